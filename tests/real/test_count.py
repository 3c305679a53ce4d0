"""The count pass on a real server: exact twice, told apart where answers differ, and no trace left."""

from dataclasses import replace
from datetime import timedelta

import pytest

from lab import count, pg, prepare
from lab.errors import IngestError
from lab.explain import redrawn
from lab.model import Parameter, Query, Statement
from lab.probes.server import Node
from lab.run import SETS

pytestmark = pytest.mark.server

DAYS = 5
TREE = [
    "CREATE TABLE events (id bigint, at date, value float8) PARTITION BY RANGE (at)",
    *(
        f"CREATE TABLE events_{n} PARTITION OF events FOR VALUES FROM ('2026-01-{n:02}') TO ('2026-01-{n + 1:02}')"
        for n in range(1, DAYS + 1)
    ),
    "INSERT INTO events SELECT n, date '2026-01-01' + n % 5, n / 7.0 FROM generate_series(1, 5000) n",
    "CREATE INDEX ON events (id)",
]
DAY = "SELECT id, value FROM events WHERE at = $1"


def query(name: str, *texts: str, ordered: bool = False, send: str = "prepared") -> Query:
    """A query whose statements all take its only parameter, where they have one."""
    statements = tuple(Statement(text, (0,) if "$1" in text else ()) for text in texts)
    params = (Parameter("day"),) if any(one.takes for one in statements) else ()
    return Query(name, f"{name}.sql", statements, params, ordered=ordered, send=send)


def sets(*queries: Query) -> count.Sets:
    """As many as a run takes: the server may choose another plan at the sixth call."""
    return {one.name: [[f"2026-01-0{1 + n % 2}"] if one.params else [] for n in range(SETS)] for one in queries}


@pytest.fixture
def info(database, server):
    """A database with a partitioned table of five days, 1,000 rows each, settled."""
    admin = server.conninfo(user="pglab", dbname=database.conninfo.rpartition("dbname=")[2].split()[0])
    with pg.connected(admin) as connection:
        pg.run(connection, "GRANT EXECUTE ON FUNCTION pg_get_backend_memory_contexts() TO lab")
    with pg.connected(database.conninfo) as connection:
        pg.run(connection, *TREE, "VACUUM (FREEZE, ANALYZE) events")
    return database.conninfo


def digest(info: str, text: str, *, ordered: bool = False) -> str:
    asked = query("q", text, ordered=ordered)
    with pg.connected(info, autocommit=False) as connection:
        count.prepare(connection, [asked])
        return count._digest(connection, asked, ["2026-01-01"])


def counted(info: str, *queries: Query, **more) -> count.Counted:
    return count.count(info, queries, sets(*queries), **more)


# --- exact ----------------------------------------------------------------------------------

TIMES = ("planning_ms", "first_query_ms", "backend_memory_bytes")


def test_what_is_counted_is_the_same_in_every_pass_and_every_time_even_if_others_write(info):
    day, write = query("day", DAY), query("write", "UPDATE events SET value = value + 1 WHERE at = $1")
    first, second = counted(info, day), counted(info, write, day)
    reads = {name: values for name, values in first.metrics.items() if not name.endswith(TIMES)}
    assert all(len(values) == count.PASSES and len(set(values)) == 1 for values in reads.values()), reads
    assert {name: second.metrics[name] for name in reads} == reads
    assert first.digests["day"] == second.digests["day"]
    assert list(second.explains) == ["write", "day"]


def test_rows_blocks_and_partitions_of_a_pruned_query_are_those_of_one_partition(info):
    found = counted(info, query("day", DAY)).metrics
    assert found["query.day.rows_per_call"] == (1_000.0,) * count.PASSES
    assert found["query.day.partitions_per_call"] == (1.0,) * count.PASSES
    with pg.connected(info) as connection:
        pages = pg.ask(connection, "SELECT relpages AS n FROM pg_class WHERE relname = 'events_1'")["n"]
    assert found["query.day.blocks_per_call"] == (pages,) * count.PASSES


def test_a_plan_that_hangs_on_the_drawing_of_analyse_does_not_repeat_and_both_are_recorded(info):
    """What ANALYZE does to a plan by chance, an index does here for certain: there after the second drawing."""
    drawn = []

    def redraw() -> None:
        drawn.append(len(drawn))
        with pg.connected(info) as connection:
            pg.run(connection, "CREATE INDEX drawn ON events (value)" if drawn == [0, 1] else "ANALYZE events")

    one = query("one", "SELECT id FROM events WHERE at = $1 AND value = 1")
    steady = counted(info, one)
    found = counted(info, one, redraw=redraw)
    before, between, after = found.metrics["query.one.blocks_per_call"]
    assert before == between > after
    assert drawn == [0, 1]
    assert redrawn(steady.explains["one"]) is None
    first, other = (redrawn(found.explains["one"]) or {}).values()
    assert first.startswith("Index Scan using") or first.startswith("Bitmap Heap Scan")
    assert other.startswith("Seq Scan")


def test_analyse_draws_again_and_leaves_nothing_out(info, server):
    """Of the unprivileged role's tables, partitions too; and another sample than before."""
    where = pg.parsed(info)["dbname"]
    with pg.connected(server.conninfo(user="pglab", dbname=where)) as admin:
        when = "SELECT relname, last_analyze FROM pg_stat_user_tables WHERE relname LIKE 'events%'"
        before = {row["relname"]: row["last_analyze"] for row in pg.rows(admin, when)}
        prepare.analyse([Node("primary", admin)])
        after = {row["relname"]: row["last_analyze"] for row in pg.rows(admin, when)}
    assert len(after) == 1 + DAYS
    assert all(after[name] > (before[name] or after[name] - timedelta(1)) for name in after)


def test_an_unpruned_query_scans_and_locks_every_partition(info):
    asked = query("all", "SELECT count(*) FROM events WHERE value >= 0")
    found = counted(info, asked).metrics
    assert found["query.all.partitions_per_call"] == (DAYS,) * count.PASSES
    assert found["query.all.locks_per_call"][0] == 1 + DAYS + indexes(info, asked)


def indexes(info: str, asked: Query) -> int:
    """How many indexes a first call of a prepared query holds locked."""
    with pg.connected(info, autocommit=False) as connection:
        count.prepare(connection, [asked])
        for _ in range(3):
            connection.execute(f"EXPLAIN ANALYZE EXECUTE pglab_{asked.name}_0".encode())
            held = pg.ask(
                connection,
                "SELECT count(*) AS n FROM pg_locks JOIN pg_class c ON c.oid = relation "
                "WHERE pid = pg_backend_pid() AND relkind IN ('i', 'I') AND relname LIKE 'events%%'",
            )
            connection.rollback()
    return held["n"]


def test_locks_are_those_of_the_query_and_of_no_catalog(info):
    plain = query("one", "SELECT 1 AS a")
    found = counted(info, plain).metrics
    assert found["query.one.locks_per_call"] == (0.0,) * count.PASSES


def test_locks_that_miss_the_fast_path_are_counted_apart(info):
    with pg.connected(info) as connection:
        pg.run(
            connection,
            "CREATE TABLE wide (a int) PARTITION BY LIST (a)",
            *(f"CREATE TABLE wide_{n} PARTITION OF wide FOR VALUES IN ({n})" for n in range(80)),
        )
        slots = int(pg.ask(connection, "SHOW max_locks_per_transaction")["max_locks_per_transaction"])
    found = counted(info, query("wide", "SELECT * FROM wide")).metrics
    locks, misses = found["query.wide.locks_per_call"][0], found["query.wide.fast_path_misses_per_call"][0]
    assert locks == 81.0
    assert 0 < misses <= locks - 16, f"{slots} slots"


def test_plans_made_anew_lock_only_what_is_left_after_pruning(info):
    asked = query("day", DAY)
    found = counted(info, asked, planned_anew=True).metrics
    assert found["query.day.locks_per_call"][0] <= 2 + 1 + 1


def test_wal_and_temporary_files_of_a_call_are_counted(info):
    write = query("write", "INSERT INTO events VALUES (0, $1, 1)")
    sort = query("sort", "SELECT a.id FROM events a, events b WHERE a.at = $1 AND b.id < 50 ORDER BY a.value + b.value")
    with pg.connected(info) as connection:
        name = pg.ask(connection, "SELECT current_database() AS name")["name"]
        pg.run(connection, f"ALTER DATABASE {name} SET work_mem = '64kB'")
    found = counted(info, write, sort).metrics
    assert found["query.write.wal_bytes_per_call"][0] > 50
    assert found["query.write.temp_bytes_per_call"] == (0.0,) * count.PASSES
    assert found["query.sort.temp_bytes_per_call"][0] >= 100_000
    assert found["query.sort.temp_bytes_per_call"][0] % 8192 == 0


def test_planning_is_timed_for_every_parameter_set_and_first_queries_in_new_connections(info):
    found = counted(info, query("day", DAY)).metrics
    assert len(found["query.day.planning_ms"]) == SETS
    assert len(found["query.day.first_query_ms"]) == count.FIRSTS
    assert all(ms > 0 for name in ("planning_ms", "first_query_ms") for ms in found[f"query.day.{name}"])


def test_explains_are_kept_with_their_parameters(info):
    first, second = counted(info, query("day", DAY)).explains["day"]
    assert second["params"] == ["2026-01-02"]
    assert first["params"] == ["2026-01-01"]
    assert first["plan"]["Plan"]["Actual Rows"] == 1_000


# --- no trace -------------------------------------------------------------------------------


def test_what_a_counted_query_writes_is_gone_afterwards(info):
    asked = query("write", "INSERT INTO events VALUES (0, $1, 1)", "DELETE FROM events WHERE at = $1 AND id > 0")
    counted(info, asked)
    with pg.connected(info) as connection:
        seen = pg.ask(connection, "SELECT count(*) AS n, min(id) AS least FROM events")
    assert seen == {"n": 5_000, "least": 1}


def test_a_query_that_can_be_done_only_once_is_counted_as_often_as_needed(info):
    with pg.connected(info) as connection:
        pg.run(connection, "CREATE TABLE once (at date PRIMARY KEY)")
    found = counted(info, query("once", "INSERT INTO once VALUES ($1)")).metrics
    assert len(found["query.once.first_query_ms"]) == count.FIRSTS


# --- answers --------------------------------------------------------------------------------


def test_equal_answers_have_equal_digests_whatever_their_order(info):
    assert digest(info, DAY) == digest(info, f"{DAY} ORDER BY id DESC")


def test_where_order_is_part_of_the_answer_it_is_part_of_the_digest(info):
    up, down = (digest(info, f"{DAY} ORDER BY id {way}", ordered=True) for way in ("ASC", "DESC"))
    assert up != down


def test_a_lost_row_a_doubled_row_and_a_changed_value_are_seen(info):
    whole = digest(info, DAY)
    lost = digest(info, f"{DAY} AND id <> 5")
    doubled = digest(info, f"{DAY} UNION ALL SELECT 5, 5 / 7.0::float8")
    changed = digest(info, "SELECT id, value + CASE id WHEN 5 THEN 1 ELSE 0 END FROM events WHERE at = $1")
    assert len({whole, lost, doubled, changed}) == 4


def test_null_is_neither_an_empty_text_nor_the_text_that_stands_for_it(info):
    assert len({digest(info, f"SELECT {value}::text") for value in ("NULL", "''", "'NULL'")}) == 3


def test_sums_in_another_order_are_the_same_answer(info):
    texts = (
        "SELECT (0.1::float8 + 0.2::float8) + 0.3::float8",
        "SELECT 0.1::float8 + (0.2::float8 + 0.3::float8)",
        "SELECT 0.6::numeric",
        "SELECT 0.60::numeric",
    )
    assert len({digest(info, text) for text in texts}) == 1
    assert digest(info, "SELECT -0.0::float8") == digest(info, "SELECT 0.0::float8")


def test_a_difference_in_the_eleventh_digit_is_a_difference(info):
    assert digest(info, "SELECT 1.0000000001::float8") != digest(info, "SELECT 1.0000000002::float8")


VALUES = (
    "'infinity'::timestamptz",
    "'-infinity'::date",
    "'24:00'::time",
    "'NaN'::float8",
    "'1000 years'::interval",
    "'\\x00ff'::bytea",
    '\'{"b": 1, "a": 2}\'::jsonb',
    "'0044-03-15 BC'::date",
    "ARRAY[1, NULL]",
    "ROW(1, 'a')",
)


@pytest.mark.parametrize("value", VALUES)
def test_any_value_that_a_server_may_answer_has_a_digest(info, value):
    assert digest(info, f"SELECT {value}") == digest(info, f"SELECT {value}")


def test_digests_are_one_for_each_parameter_set(info):
    asked = query("day", DAY)
    found = counted(info, asked).digests["day"]
    assert len(found) == SETS
    assert len(set(found)) == 2


# --- how it is sent -------------------------------------------------------------------------


@pytest.mark.parametrize("send", ["prepared", "literal", "unprepared"])
def test_a_query_answers_the_same_however_it_is_sent(info, send):
    asked = replace(query("day", DAY), send=send)
    found = counted(info, asked)
    assert found.digests == counted(info, query("day", DAY)).digests
    assert found.metrics["query.day.rows_per_call"] == (1_000.0,) * count.PASSES


# --- refused --------------------------------------------------------------------------------


def test_a_query_that_cannot_be_prepared_is_told_with_its_file(info):
    with pytest.raises(IngestError, match=r'day\.sql:1: column "nothing" does not exist'):
        counted(info, query("day", "SELECT nothing FROM events WHERE at = $1"))


def test_a_query_that_fails_with_some_values_is_told_with_them(info):
    with pytest.raises(IngestError, match=r"bad\.sql:1: with .*division by zero"):
        counted(info, query("bad", "SELECT 1 / (extract(day FROM $1::date)::int - 2)"))
