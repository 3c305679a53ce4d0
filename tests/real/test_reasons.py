"""Every rule on databases where what it tells is so and where it is not, through the production count pass."""

import secrets
from dataclasses import replace

import pytest

from lab import count, modes, parts, pg, prepare
from lab.drivers import OPS
from lab.explain import executed
from lab.inventory import inventory
from lab.model import Instance, Parameter, Prepared, Query, Slice, Statement, Trial
from lab.probes.activity import activity
from lab.probes.server import Node, ServerProbe, less
from lab.reasons import Side
from lab.template import figures_in

pytestmark = pytest.mark.server

RULES = {rule.NAME: rule for rule in parts.rules()}
ROWS = 20_000
PLAIN = [
    "CREATE TABLE t (id bigint PRIMARY KEY, a int, b int, value float8, note text)",
    f"INSERT INTO t SELECT n, n % 100, n % 100, n / 7.0, repeat('x', 50) FROM generate_series(1, {ROWS}) n",
]


def query(text: str, *, send: str = "prepared", values: tuple[str, ...] = ()) -> tuple[Query, list[list[str]]]:
    """A query `q` and its parameter sets: eight, taking turns with *values*."""
    takes = (0,) if "$1" in text else ()
    params = (Parameter("p"),) if takes else ()
    asked = Query("q", "q.sql", (Statement(text, takes),), params, send=send)
    return asked, [[values[n % len(values)]] if takes else [] for n in range(8)]


@pytest.fixture
def made(server):
    """Makes the side of a candidate: a database of its own, loaded, settled, counted; dropped afterwards."""
    names: list[str] = []

    def make(
        name: str, sql: list[str], asked: tuple[Query, list[list[str]]], *, load: int = 1, unsettled=(), **settings: str
    ) -> Side:
        where = new_database(server, settings)
        names.append(where)
        return counted(server, where, name, sql, asked, load=load, unsettled=unsettled)

    yield make
    with pg.connected(server.conninfo(user="pglab", dbname="postgres")) as admin:
        for where in names:
            pg.run(admin, f"DROP DATABASE {where} WITH (FORCE)")


def new_database(server, settings) -> str:
    """The name of a new, empty database with these settings."""
    where = f"r{secrets.token_hex(4)}"
    with pg.connected(server.conninfo(user="pglab", dbname="postgres")) as admin:
        pg.run(admin, f"CREATE DATABASE {where} OWNER lab")
        for key, value in settings.items():
            pg.run(admin, f"ALTER DATABASE {where} SET {key} = '{value}'")
    return where


def counted(server, where, name, sql, asked, *, load, unsettled) -> Side:
    """The count pass of one database. *unsettled*: what is run after the vacuum."""
    one, sets = asked
    info = server.conninfo(dbname=where)
    with pg.connected(server.conninfo(user="pglab", dbname=where)) as admin:
        pg.run(admin, "CREATE SCHEMA pglab", "GRANT EXECUTE ON FUNCTION pg_get_backend_memory_contexts() TO lab")
        for extension in ("pg_stat_statements", "pg_walinspect"):
            pg.run(admin, f"CREATE EXTENSION {extension} SCHEMA pglab")
        node = Node("primary", admin)
        before = prepare.positions([node])
        run(server, where, sql)
        metrics = prepare.load_metrics([node], before, {"rows": ROWS, "seconds": 1.0})
        pg.alone(admin, "VACUUM (FREEZE, ANALYZE)")
        with pg.connected(info) as connection:
            pg.run(connection, *unsettled)
        metrics |= prepare.sizes([node], ROWS)
        found = count.count(info, [one], {"q": sets})
        report = {"rows": ROWS, "queries": modes.modes(info, [one], {"q": sets}), **inventory(admin)}
        report["rows_in_tables"] = prepare.rows_in(admin)
        report["partitions"] = pg.ask(admin, pg.query("partitions"))["n"]
    prepared = Prepared(
        Instance(name, load), metrics | dict(found.metrics), found.explains, found.digests, {}, (), report
    )
    return Side(prepared, (prepared,))


def run(server, database: str, sql) -> None:
    """The author's SQL, and checkpoints, which are the superuser's."""
    with (
        pg.connected(server.conninfo(dbname=database)) as author,
        pg.connected(server.conninfo(user="pglab", dbname=database)) as admin,
    ):
        for statement in sql:
            pg.run(admin if statement == "CHECKPOINT" else author, statement)


def worked(server, one: Side, database: str, *sql: str) -> Side:
    """The side after it has done *sql*, and the lab has counted rows: the server's statistics before and after."""
    readings, statements = [], []
    with pg.connected(server.conninfo(user="pglab", dbname=database)) as admin:
        node = Node("primary", admin)
        for work in ((), sql):
            run(server, database, work)
            told(server, database)
            rows = prepare.rows_in(admin)
            pg.run(admin, "SELECT pg_stat_force_next_flush()")
            readings.append(activity([node]))
            statements.append(ServerProbe([node], []).statements())
    step = {"do": "drive", "statements": less(statements[1], statements[0])}
    trial = Trial("t", one.instance, 1, 0, 0)
    return replace(one, readings=tuple(readings), slices=(Slice(trial, (step,), OPS.empty_table(), rows, rows),))


def told(server, database: str) -> None:
    """Return when no session of *database* but ours is left: statistics are told when a session ends."""
    with pg.connected(server.conninfo(user="pglab", dbname="postgres")) as admin:
        left = "SELECT count(*) AS n FROM pg_stat_activity WHERE datname = %s AND usename = 'lab'"
        while pg.ask(admin, left, [database])["n"]:
            pass


def says(rule: str, own: Side, base: Side, asked: tuple[Query, list[list[str]]]) -> list:
    """What a rule says of the two; of a side against itself it says nothing."""
    for one in (own, base):
        assert list(RULES[rule].explain(one, one, [asked[0]])) == []
    found = list(RULES[rule].explain(own, base, [asked[0]]))
    for one in found:
        assert figures_in(sentence(one)) == []
        assert set(one.facts) == {where.rsplit("/", 1)[-1] for where in one.evidence if where.startswith("reasons/")}
    return found


def sentence(reason) -> str:
    """The words alone."""
    return "".join(piece for piece in reason.pieces if isinstance(piece, str))


# --- partitions -----------------------------------------------------------------------------

DAYS = 5


def tree(leaves: int = DAYS) -> list[str]:
    return [
        "CREATE TABLE t (id bigint, a int, value float8) PARTITION BY LIST (a)",
        *(f"CREATE TABLE t_{n} PARTITION OF t FOR VALUES IN ({n})" for n in range(leaves)),
        f"INSERT INTO t SELECT n, n % {leaves}, n / 7.0 FROM generate_series(1, 5000) n",
        "CREATE INDEX ON t (a, id)",
        "CREATE TABLE wanted (a int); INSERT INTO wanted VALUES (2)",
    ]


HEAP = [
    "CREATE TABLE t (id bigint, a int, value float8)",
    "INSERT INTO t SELECT n, n % 5, n / 7.0 FROM generate_series(1, 5000) n",
    "CREATE INDEX ON t (a, id)",
    "CREATE TABLE wanted (a int); INSERT INTO wanted VALUES (2)",
]
NESTED = {"enable_hashjoin": "off", "enable_mergejoin": "off", "plan_cache_mode": "force_custom_plan"}
BY_A = "SELECT id FROM t WHERE a = $1"


@pytest.mark.parametrize(
    ("text", "settings", "when"),
    [
        (BY_A, {"plan_cache_mode": "force_custom_plan"}, "plan"),
        (BY_A, {"plan_cache_mode": "force_generic_plan"}, "start"),
        ("SELECT count(t.value) FROM wanted JOIN t USING (a) WHERE t.id < 100", NESTED, "run"),
    ],
)
def test_partitions_left_out_are_told_with_when(made, text, settings, when):
    asked = query(text, values=("1", "2"))
    [one] = says("pruning", made("tree", tree(), asked, **settings), made("heap", HEAP, asked, **settings), asked)
    left = {key: value for key, value in one.facts.items() if key != "own_all"}
    assert left == {f"own_{when}": DAYS - 1}
    assert one.facts["own_all"] == DAYS


def test_partitions_that_are_all_scanned_are_told_as_none_left_out(made):
    asked = query("SELECT count(*) FROM t WHERE value >= 0")
    [one] = says("pruning", made("tree", tree(), asked), made("heap", HEAP, asked), asked)
    assert one.facts == {"own_all": DAYS}
    assert "none left out" in sentence(one)


def test_tables_without_partitions_are_no_reason_by_pruning(made):
    asked = query(BY_A, values=("1", "2"))
    assert says("pruning", made("one", HEAP, asked), made("other", HEAP, asked), asked) == []


def test_planning_is_told_where_many_partitions_are_planned_for_and_not_between_equals(made):
    asked = query("SELECT count(*) FROM t WHERE value >= 0")
    heap = made("heap", HEAP, asked)
    [one] = says("planning", made("tree", tree(200), asked), heap, asked)
    assert "to plan it anew" in sentence(one)
    assert says("planning", made("same", HEAP, asked), heap, asked) == []


def test_locks_beyond_the_fast_path_are_told_and_those_within_it_are_not(made):
    asked = query("SELECT count(*) FROM t WHERE value >= 0")
    heap = made("heap", HEAP, asked)
    assert says("locks", made("tree", tree(200), asked), heap, asked)
    assert says("locks", made("tree", tree(3), asked), heap, asked) == []


# --- rows -----------------------------------------------------------------------------------


def test_an_index_only_scan_is_told_and_heap_fetches_where_both_have_one(made):
    asked = query("SELECT count(a) FROM t WHERE a < 5")
    index = [*PLAIN, "CREATE INDEX ON t (a)"]
    only = {"enable_seqscan": "off", "enable_bitmapscan": "off"}
    fresh, settled = (
        made("fresh", index, asked, unsettled=["UPDATE t SET b = b + 1"], **only),
        made("a", index, asked, **only),
    )
    plain = made("plain", index, asked, enable_indexonlyscan="off")
    [one] = says("index_only", settled, plain, asked)
    assert one.facts == {"fetches": 0.0}
    [one] = says("index_only", fresh, settled, asked)
    assert one.facts["own"] >= 1_000
    assert one.facts["base"] == 0.0
    assert says("index_only", settled, made("same", index, asked, **only), asked) == []


def test_heap_fetches_of_a_scan_in_a_loop_are_those_of_all_its_loops_once(made):
    """A vacuum saw no row of the table: each that is looked up is fetched once."""
    asked = query("SELECT count(t.a) FROM generate_series(1, 40) g JOIN t ON t.a = g")
    settings = {"enable_hashjoin": "off", "enable_mergejoin": "off", "enable_seqscan": "off"}
    settings |= {"enable_bitmapscan": "off", "enable_material": "off", "enable_memoize": "off"}
    table = ["CREATE TABLE t (a int) WITH (autovacuum_enabled = off)", "CREATE INDEX ON t (a)"]
    table.append("INSERT INTO t SELECT n FROM generate_series(1, 1000) n")
    fresh = made("fresh", table, asked, unsettled=["UPDATE t SET a = a"], **settings)
    [one] = says("index_only", fresh, made("plain", table, asked, enable_indexonlyscan="off", **settings), asked)
    scans = [node for entry in fresh.explains["q"] for node in executed(entry) if "Heap Fetches" in node]
    assert {node["Actual Loops"] for node in scans} == {40}
    assert 40 <= one.facts["fetches"] <= 80  # the old version of a row too, until its index entry is marked as dead


def test_rows_thrown_away_by_a_filter_are_told_and_those_of_an_index_are_not(made):
    asked = query("SELECT note FROM t WHERE a = 7")
    index = [*PLAIN, "CREATE INDEX ON t (a)"]
    with_index = made("index", index, asked)
    [one] = says("filtered", made("plain", PLAIN, asked), with_index, asked)
    assert one.facts == {"own": ROWS - ROWS / 100, "base": 0.0}
    assert says("filtered", made("same", index, asked), with_index, asked) == []


def test_blocks_are_told_where_a_query_touches_more(made):
    asked = query("SELECT note FROM t WHERE a = 7 AND id < 1000")
    assert says(
        "blocks",
        made("none", [*PLAIN, "ALTER TABLE t DROP CONSTRAINT t_pkey"], asked),
        made("key", PLAIN, asked),
        asked,
    )
    assert says("blocks", made("one", PLAIN, asked), made("other", PLAIN, asked), asked) == []


def test_an_estimate_that_is_off_by_more_than_ten_times_is_told_and_extended_statistics_mend_it(made):
    asked = query("SELECT note FROM t WHERE a = 7 AND b = 7")
    known = [*PLAIN, "CREATE STATISTICS s (dependencies) ON a, b FROM t"]
    right = made("right", known, asked)
    [one] = says("estimates", made("wrong", PLAIN, asked), right, asked)
    assert one.facts["actual"] == ROWS / 100
    assert one.facts["planned"] <= 10
    assert one.facts["node"].endswith("Seq Scan on t")
    assert says("estimates", made("same", known, asked), right, asked) == []


def test_rows_that_a_limit_did_not_ask_for_are_no_wrong_estimate(made):
    asked = query("SELECT note FROM t WHERE value > 1 LIMIT 3")
    other = query("SELECT note FROM t WHERE id = 1")
    assert says("estimates", made("limit", PLAIN, asked), made("key", PLAIN, other), asked) == []


def test_spills_are_told_where_work_mem_is_too_small(made):
    asked = query("SELECT * FROM t ORDER BY value DESC")
    assert says(
        "spill", made("small", PLAIN, asked, work_mem="64kB"), made("large", PLAIN, asked, work_mem="64MB"), asked
    )
    assert (
        says("spill", made("a", PLAIN, asked, work_mem="64MB"), made("b", PLAIN, asked, work_mem="64MB"), asked) == []
    )


def test_workers_are_told_where_just_one_side_has_them(made):
    asked = query("SELECT count(*) FROM t WHERE value > 1")
    eager = {"parallel_setup_cost": "0", "parallel_tuple_cost": "0", "min_parallel_table_scan_size": "0"}
    alone = made("alone", PLAIN, asked, max_parallel_workers_per_gather="0")
    [one] = says("parallel", made("many", PLAIN, asked, **eager), alone, asked)
    assert one.facts["own_planned"] >= 1
    assert one.facts["base_planned"] == 0
    assert says("parallel", made("same", PLAIN, asked, max_parallel_workers_per_gather="0"), alone, asked) == []


# --- plans ----------------------------------------------------------------------------------


def test_a_plan_for_all_values_is_told_where_just_one_side_keeps_one(made):
    asked = query("SELECT note FROM t WHERE id = $1", values=("1", "2"))
    anew = made("anew", PLAIN, asked, plan_cache_mode="force_custom_plan")
    [one] = says("generic", made("kept", PLAIN, asked), anew, asked)
    assert one.facts["own_generic"] == one.facts["own_custom"] == 3.0
    assert says("generic", made("same", PLAIN, asked, plan_cache_mode="force_custom_plan"), anew, asked) == []


def test_a_plan_for_all_values_that_does_not_fit_some_touches_more_blocks(made):
    asked = query("SELECT note FROM t WHERE a = $1 ORDER BY id LIMIT 5", values=("0",))
    rare = [PLAIN[0], PLAIN[1].replace("n % 100, n % 100", f"(n < {ROWS - 100})::int, 0"), "CREATE INDEX ON t (a)"]
    found = made("skewed", rare, asked).report["queries"]["q"]["blocks"]
    assert found["custom"] < found["generic"]


def test_loads_that_do_not_agree_on_a_plan_are_told(made):
    asked = query("SELECT note FROM t WHERE a = 7")
    index = [*PLAIN, "CREATE INDEX ON t (a)"]
    first = made("heap", index, asked)
    other = made("heap", index, asked, load=2, enable_bitmapscan="off", enable_indexscan="off").prepared
    same = made("heap", index, asked, load=2).prepared
    candidate = made("own", index, asked)
    [one] = RULES["unstable"].explain(candidate, replace(first, loads=(first.prepared, other)), [asked[0]])
    assert one.facts == {"first": "Bitmap Heap Scan on t", "other": "Seq Scan on t"}
    agreed = replace(first, loads=(first.prepared, same))
    assert list(RULES["unstable"].explain(candidate, agreed, [asked[0]])) == []


@pytest.mark.docker
def test_a_short_query_that_is_compiled_is_told_where_the_server_can_compile(docker_host, tmp_path):
    """The embedded server has no just-in-time compiler; the image has."""
    asked = query("SELECT sum(value) FROM t WHERE a = 7")
    settings = {"shared_preload_libraries": "pg_stat_statements", "pg_stat_statements.track_planning": "on"}
    with docker_host.server("jit", settings, tmp_path) as server:
        eager = {"jit": "on", "jit_above_cost": "0", "jit_inline_above_cost": "0", "jit_optimize_above_cost": "0"}

        def side(name, given):
            where = new_database(server, given)
            return counted(server, where, name, PLAIN, asked, load=1, unsettled=())

        plain = side("plain", {"jit": "off"})
        [one] = says("jit", side("eager", eager), plain, asked)
        assert one.facts["functions"] >= 1
        assert 0 < one.facts["ms"] < one.facts["execution_ms"]
        assert says("jit", side("same", {"jit": "off"}), plain, asked) == []


# --- writes ---------------------------------------------------------------------------------

UPDATE = query("UPDATE t SET value = value + 1 WHERE a = 7")


def test_a_call_that_writes_more_of_the_log_is_told(made):
    index = made("index", [*PLAIN, "CREATE INDEX ON t (value)"], UPDATE)
    assert says("writes", index, made("plain", PLAIN, UPDATE), UPDATE)
    assert says("writes", index, made("same", [*PLAIN, "CREATE INDEX ON t (value)"], UPDATE), UPDATE) == []


def test_indexes_are_told_with_the_log_of_the_load(made):
    index = [PLAIN[0], "CREATE INDEX ON t (value)", PLAIN[1]]
    assert says("indexes", made("index", index, UPDATE), made("plain", PLAIN, UPDATE), UPDATE)
    assert says("indexes", made("one", PLAIN, UPDATE), made("other", PLAIN, UPDATE), UPDATE) == []


def test_the_time_of_triggers_is_told_with_the_one_that_took_most(made):
    slow = [
        *PLAIN,
        "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(0.0005); RETURN NEW; END'",
        "CREATE TRIGGER dawdle BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION slow()",
    ]
    plain = made("plain", PLAIN, UPDATE)
    [one] = says("triggers", made("slow", slow, UPDATE), plain, UPDATE)
    assert (one.facts["most"], one.facts["calls"], one.facts["base_ms"]) == ("dawdle", ROWS / 100, 0.0)
    assert one.facts["own_ms"] > ROWS / 100 * 0.5
    assert says("triggers", made("same", PLAIN, UPDATE), plain, UPDATE) == []


def test_a_foreign_key_without_an_index_is_told_and_one_with_an_index_is_not(made):
    child = [*PLAIN, "CREATE TABLE c (id bigint PRIMARY KEY, t_id bigint REFERENCES t)"]
    served = made("served", [*child, "CREATE INDEX ON c (t_id)"], UPDATE)
    [one] = says("foreign_key", made("bare", child, UPDATE), served, UPDATE)
    assert (one.facts["name"], one.facts["table"], one.facts["referred"]) == ("c_t_id_fkey", "c", "t")
    assert says("foreign_key", made("same", [*child, "CREATE INDEX ON c (t_id)"], UPDATE), served, UPDATE) == []


def test_an_index_serves_a_foreign_key_if_any_of_its_columns_comes_first_and_not_with_another_before(made):
    both = ["CREATE TABLE p (a int, b int, PRIMARY KEY (a, b))"]
    child = "CREATE TABLE c (x int, a int, b int, FOREIGN KEY (a, b) REFERENCES p)"
    cases = {"(b, a)": True, "(b, a, x)": True, "(x, a, b)": False, "(a)": True, "(b) INCLUDE (a)": True}
    cases |= {"(x) INCLUDE (a, b)": False, "((a + 0), a, b)": False}
    cases |= {"USING brin (a, b)": False, "(a, b) WHERE x > 0": False}
    for columns, served in cases.items():
        asked = query("SELECT count(*) FROM c")
        keys = made("c", [*both, child, f"CREATE INDEX ON c {columns}"], asked).report["foreign_keys"]
        assert [key["indexed"] for key in keys] == [served], columns


def test_the_bytes_that_a_foreign_key_has_read_are_those_of_rows_without_what_is_stored_apart(made):
    child = ["CREATE TABLE p (id int PRIMARY KEY)", "CREATE TABLE c (p int REFERENCES p, doc text)"]
    child += ["ALTER TABLE c ALTER doc SET STORAGE EXTERNAL", "INSERT INTO p VALUES (1)"]
    child.append("INSERT INTO c SELECT 1, repeat('x', 100000) FROM generate_series(1, 20)")
    [key] = made("c", child, query("SELECT count(*) FROM c")).report["foreign_keys"]
    assert key["bytes"] == 8192


# --- what servers count while they work -----------------------------------------------------


@pytest.fixture
def busy(made, server):
    """Makes a side that has done some work after it was counted."""

    def make(name: str, sql: list[str], *work: str, asked=UPDATE, **settings: str) -> Side:
        with pg.connected(server.conninfo(user="pglab", dbname="postgres")) as admin:
            there = {row["datname"] for row in pg.rows(admin, "SELECT datname FROM pg_database")}
            side = made(name, sql, asked, **settings)
            now = {row["datname"] for row in pg.rows(admin, "SELECT datname FROM pg_database")}
        (database,) = now - there
        return worked(server, side, database, *work)

    return make


NOTHING = query("SELECT 1 AS a")
QUIET = [f"{PLAIN[0]} WITH (autovacuum_enabled = off, fillfactor = 50)", PLAIN[1]]


def test_updates_that_need_index_entries_are_told_and_hot_ones_are_not(busy):
    work = "UPDATE t SET value = value + 1"
    hot, cold = busy("hot", QUIET, work), busy("cold", [*QUIET, "CREATE INDEX ON t (value)"], work)
    [one] = says("hot", cold, hot, UPDATE)
    assert one.facts["own"] == 0.0
    assert one.facts["base"] > 0.9
    assert one.facts["own_updates"] >= ROWS
    assert says("hot", busy("same", QUIET, work), hot, UPDATE) == []


def test_tables_that_grow_though_their_rows_do_not_are_told(busy):
    work = "UPDATE t SET value = value + 1"
    still = busy("still", PLAIN, "SELECT 1", asked=NOTHING)
    grown = busy("grown", PLAIN, work, asked=NOTHING)
    [one] = says("bloat", grown, still, NOTHING)
    assert one.facts["own_share"] == pytest.approx(1.0, abs=0.1)
    assert one.facts["base_share"] == pytest.approx(0.0, abs=0.01)
    assert says("bloat", busy("same", PLAIN, asked=NOTHING), still, NOTHING) == []
    more = busy("more", PLAIN, f"INSERT INTO t SELECT id + {ROWS}, a, b, value, note FROM t", asked=NOTHING)
    assert says("bloat", more, still, NOTHING) == []


def test_an_index_that_nothing_reads_is_told_with_its_bytes_per_row_and_one_that_is_read_is_not(busy):
    index, asked = [*PLAIN, "CREATE INDEX t_value ON t (value)"], query("SELECT id FROM t WHERE id = 1")
    plain = busy("plain", PLAIN, asked=asked)
    [one] = says("unused_index", busy("unused", index, asked=asked), plain, asked)
    assert one.facts["name"] == "t_value"
    assert one.facts["own"] == one.facts["bytes"] / ROWS > 8
    assert one.facts["base"] == 0.0
    read = busy("read", index, "SET enable_seqscan = off", "SELECT id FROM t WHERE value = 3", asked=asked)
    assert says("unused_index", read, plain, asked) == []


def test_an_index_that_keeps_rows_unique_is_not_unused(busy):
    unique, asked = [*PLAIN, "CREATE UNIQUE INDEX ON t (value)"], query("SELECT count(*) FROM t")
    assert says("unused_index", busy("unique", unique, asked=asked), busy("plain", PLAIN, asked=asked), asked) == []


def test_the_indexes_of_partitions_count_as_one(busy):
    asked = query(BY_A, values=("1", "2"))
    [used] = [one for one in busy("tree", tree(), asked=asked).report["indexes"] if one["table"] == "t"]
    assert used["name"] == "t_a_id_idx"
    assert used["bytes"] >= DAYS * 2 * 8192


def test_what_several_servers_counted_is_summed_by_name(server, made):
    made("heap", HEAP, query(BY_A, values=("1", "2")))
    with pg.connected(server.conninfo(user="pglab", dbname="postgres")) as admin:
        where = "SELECT max(datname) AS name FROM pg_database WHERE datname ~ '^r[0-9a-f]{8}$'"
        database = pg.ask(admin, where)["name"]
    with pg.connected(server.conninfo(user="pglab", dbname=database)) as admin:
        alone, both = (activity([Node(name, admin) for name in names]) for names in (("a",), ("a", "b")))
    scans, twofold = (one["indexes"]["t_a_id_idx"]["scans"] for one in (alone, both))
    assert twofold == 2 * scans > 0
    assert both["tables"]["t"]["bytes"] == 2 * alone["tables"]["t"]["bytes"]
    assert both["since"].keys() == {"a", "b"}


def test_images_of_pages_are_told_where_a_checkpoint_came_between(busy):
    halves = [PLAIN[0], PLAIN[1], "UPDATE t SET value = value + 1"]
    checked = [PLAIN[0], PLAIN[1], "CHECKPOINT", "UPDATE t SET value = value + 1"]
    calm = busy("calm", halves)
    [one] = says("checkpoints", busy("often", checked, "CHECKPOINT", "UPDATE t SET value = value + 1"), calm, UPDATE)
    assert one.facts["own_checkpoints"] >= 1
    assert one.facts["own_images"] > one.facts["base_images"]
    assert says("checkpoints", busy("same", halves), calm, UPDATE) == []


def test_blocks_that_are_not_in_shared_buffers_are_told(busy):
    """A table of more than a quarter of shared buffers is read through a ring of a few of them."""
    large = ["CREATE TABLE t (a int, filler text)", "ALTER TABLE t ALTER filler SET STORAGE PLAIN"]
    large.append("INSERT INTO t SELECT n, repeat('x', 7000) FROM generate_series(1, 6000) n")
    asked = query("SELECT count(a) FROM t WHERE a < 0")
    one_worker = {"max_parallel_workers_per_gather": "0"}
    work = ["VACUUM FULL t", *["SELECT /* pglab:q */ count(a) FROM t"] * 30]  # what it writes anew is in no buffer
    small = busy("small", [large[0], "INSERT INTO t SELECT n, '' FROM generate_series(1, 6000) n"], *work, asked=asked)
    [one] = says("cache", busy("large", large, *work, asked=asked, **one_worker), small, asked)
    assert one.facts["own"] > 0.5
    assert one.facts["base"] < 0.05


def test_blocks_that_the_lab_itself_asks_for_are_not_those_of_the_mix(busy):
    work = "SELECT /* pglab:q */ note FROM t WHERE id = 1"
    still = busy("still", PLAIN, *[work] * 50, asked=NOTHING)
    other = busy("other", PLAIN, *[work] * 50, "VACUUM FULL t", *["SELECT count(value) FROM t"] * 5, asked=NOTHING)
    assert says("cache", other, still, NOTHING) == []


def test_an_index_that_only_the_lab_could_count_rows_by_is_unused(busy):
    """The smaller of two indexes of a table that is wider than both."""
    wide = ["CREATE TABLE t (id bigint PRIMARY KEY, a int, note text)"]
    wide += [
        f"INSERT INTO t SELECT n, 1, repeat('x', 500) FROM generate_series(1, {ROWS}) n",
        "CREATE INDEX i ON t (a)",
    ]
    plain = busy("plain", wide[:2], asked=NOTHING)
    [one] = says("unused_index", busy("unused", wide, asked=NOTHING), plain, NOTHING)
    assert one.facts["name"] == "i"


def test_a_transaction_for_each_row_brings_a_forced_vacuum_near(made):
    asked = query("SELECT 1 AS a")
    each = ["CREATE TABLE t (a int)", *[f"INSERT INTO t VALUES ({n})" for n in range(500)]]
    some = ["CREATE TABLE t (a int)", *[f"INSERT INTO t VALUES ({n})" for n in range(50)]]
    few = made("few", some, asked)
    [one] = says("freeze", made("each", each, asked), few, asked)
    assert one.facts["own"] < one.facts["base"]
    taken = 501 * 1_000_000 / ROWS
    assert one.facts["own"] == pytest.approx(200_000_000 / taken * 1_000_000, rel=0.01)
    assert says("freeze", few, made("same", some, asked), asked) == []


def test_every_rule_has_its_test_here_or_says_why_not(repo):
    text = (repo / "tests" / "real" / "test_reasons.py").read_text()
    of_trials = ["server_time"]  # tests/test_reasons.py
    untested = [name for name in RULES if f'says("{name}"' not in text and f'RULES["{name}"]' not in text]
    assert [name for name in untested if name not in of_trials] == []
