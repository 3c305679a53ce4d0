"""From a schema file to an instance, on a real server: applied, filled, settled, and what is known of it."""

import datetime
import time
import uuid
from dataclasses import replace
from types import SimpleNamespace

import pyarrow as pa
import pytest

from lab import count, pg, prepare, trial
from lab.errors import ClusterError, IngestError
from lab.ingest import copy_binary
from lab.kept import Kept
from lab.model import Endpoint, Instance, Query, SqlFile, Statement
from lab.prepare import Span
from lab.probes.server import Node, ServerProbe, seen
from lab.sources import _types, parquet
from tests import samples

pytestmark = pytest.mark.server

TABLE = SqlFile("t.sql", "CREATE TABLE events (id bigint PRIMARY KEY, name text, value float8);\n")


class Rows:
    """A source of so many rows, without a time."""

    name = "events"
    schema = pa.schema([("id", pa.int64()), ("name", pa.string()), ("value", pa.float64())])

    def __init__(self, rows: int = 2_000, wide: int = 20) -> None:
        self.rows = rows
        self.wide = wide

    def batches(self, first, last):
        numbers = range(first, last)
        columns = [list(numbers), ["x" * self.wide for _ in numbers], [n / 7 for n in numbers]]
        yield pa.record_batch(columns, schema=self.schema)

    def time_of(self, row):
        del row


class Failing(Rows):
    """One row is missing."""

    def batches(self, first, last):
        yield from super().batches(first, last - 1)


@pytest.fixture
def psql(host):
    return host.psql()


@pytest.fixture
def admin(database):
    """A superuser's connection to the test's own database, with the lab's extensions."""
    with pg.connected(as_admin(database)) as connection:
        pg.run(connection, "CREATE SCHEMA pglab", "CREATE EXTENSION pg_stat_statements SCHEMA pglab")
        pg.run(connection, "CREATE EXTENSION pg_walinspect SCHEMA pglab")
        yield connection


def alone(admin) -> tuple[Node, ...]:
    """A shape of one server."""
    return (Node("primary", admin),)


def as_admin(database: Endpoint) -> str:
    return database.conninfo.replace("user=lab", "user=pglab")


def candidate(schema: SqlFile = TABLE, load: str | None = None, **steps: str):
    return replace(
        samples.candidate("heap"),
        schema=schema,
        load=SqlFile("load.sql", load) if load else None,
        steps={name: SqlFile(f"{name}.sql", text) for name, text in steps.items()},
    )


def fill(psql, database, who=None, source=None, span=None):
    return prepare.fill(psql, database, who or candidate(), copy_binary.load, [source or Rows()], span or Span())


# --- the author's SQL -----------------------------------------------------------------------

REFUSED = {
    "an unknown type, in the middle of a statement": (
        "-- a comment\nCREATE TABLE t (\n  id bigint,\n  name txet\n);\n",
        r'heap: s\.sql:4: ERROR: type "txet" does not exist',
    ),
    "a syntax error": ("SELECT 1;\n\nCREATE TABEL t ();\n", r's\.sql:3: ERROR: syntax error at or near "TABEL"'),
    "a constraint, with the server's detail": (
        "CREATE TABLE t (a int UNIQUE);\nINSERT INTO t VALUES (1), (1);\n",
        r"s\.sql:2: ERROR: duplicate key .*DETAIL: Key \(a\)=\(1\) already exists",
    ),
    "a right that an ordinary role has not": ("CREATE ROLE other;\n", r"s\.sql:1: ERROR: permission denied"),
    "an extension that is not there": (
        'CREATE EXTENSION "uuid-ossp";\n',
        r"s\.sql:1: ERROR: extension .* is not available .*--on docker",
    ),
    "an extension that is not trusted": (
        "CREATE EXTENSION pageinspect;\n",
        r"s\.sql:1: ERROR: permission denied to create extension .*template1: docs/topologies\.md, Extensions",
    ),
    "a file that it includes": ("\\i other.sql\n", r"s\.sql:1: (error: )?other\.sql: No such file"),
    "rows of a COPY": (
        "CREATE TABLE t (a int);\nCOPY t FROM stdin;\n1\nzwei\n\\.\n",
        r's\.sql:\d: ERROR: invalid input syntax for type integer: "zwei"',
    ),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_the_server_refuses_is_told_with_the_authors_file_and_line(psql, database, what):
    text, words = REFUSED[what]
    with pytest.raises(IngestError, match=words) as told:
        prepare.apply(psql, database, SqlFile("s.sql", text), "heap")
    assert "\n" not in str(told.value)
    assert "/tmp" not in str(told.value)


def test_a_file_of_quotes_and_letters_of_all_kinds_is_applied(psql, database):
    prepare.apply(psql, database, SqlFile("ö.sql", 'CREATE TABLE "Ünï ""q""" (a text DEFAULT \'東京\');\n'), "heap")
    with pg.connected(database.conninfo) as connection:
        pg.run(connection, 'INSERT INTO "Ünï ""q""" DEFAULT VALUES')
        assert pg.ask(connection, 'SELECT a FROM "Ünï ""q"""') == {"a": "東京"}


def test_what_pg_dump_writes_is_a_schema_file(psql, host, database):
    prepare.apply(psql, database, TABLE, "heap")
    text = host.run(host.bin / "pg_dump", "-s", "-d", database.conninfo)
    assert "\\restrict" in text
    with pg.connected(database.conninfo) as connection:
        pg.run(connection, "DROP TABLE events")
    prepare.apply(psql, database, SqlFile("dump.sql", text), "heap")
    with pg.connected(database.conninfo) as connection:
        assert prepare.rows_in(connection) == 0
        assert len(prepare.guarantees(connection)) >= 1


def test_the_authors_psqlrc_and_environment_do_not_enter(psql, database, monkeypatch, tmp_path):
    (tmp_path / ".psqlrc").write_text("\\quit\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PGOPTIONS", "-c search_path=nowhere")
    prepare.apply(psql, database, TABLE, "heap")
    monkeypatch.delenv("PGOPTIONS")
    with pg.connected(database.conninfo) as connection:
        assert prepare.table_of(connection, candidate(), "events") == ("public", "events")


# --- rows -----------------------------------------------------------------------------------


def test_all_rows_arrive_and_the_report_says_how_many(psql, database):
    prepare.apply(psql, database, TABLE, "heap")
    report = fill(psql, database)
    with pg.connected(database.conninfo) as connection:
        assert prepare.rows_in(connection) == report["rows"] == report["streams"]["events"]["rows"] == 2_000
    assert report["load_sql_s"] == 0.0
    assert 0 < report["streams"]["events"]["seconds"] <= report["seconds"]


def test_a_row_that_is_lost_on_the_way_is_seen(psql, database):
    prepare.apply(psql, database, TABLE, "heap")
    with pytest.raises(IngestError, match="heap: events: 1999 of 2000 rows arrived"):
        fill(psql, database, source=Failing())


def test_streams_are_tables_of_the_schema_source_until_load_sql_has_run(psql, database):
    schema = SqlFile("t.sql", "CREATE TABLE narrow (id bigint);\n")
    load = "INSERT INTO narrow SELECT id FROM source.events WHERE id % 2 = 0;\n"
    prepare.apply(psql, database, schema, "heap")
    report = fill(psql, database, candidate(schema, load))
    with pg.connected(database.conninfo) as connection:
        assert prepare.rows_in(connection) == 1_000
        assert pg.rows(connection, "SELECT FROM pg_namespace WHERE nspname = 'source'") == []
    assert report["rows"] == 2_000
    assert report["load_sql_s"] > 0


FILE_TYPES = [
    *(pa.bool_(), pa.int8(), pa.uint8(), pa.int16(), pa.uint16(), pa.int32(), pa.uint32(), pa.int64(), pa.uint64()),
    *(pa.float16(), pa.float32(), pa.float64(), pa.decimal256(9, 2), pa.string(), pa.large_string(), pa.string_view()),
    *(pa.binary(5), pa.binary(16), pa.binary(), pa.large_binary(), pa.null(), pa.dictionary(pa.int8(), pa.string())),
    *(pa.timestamp("ns"), pa.timestamp("s", "Europe/Rome"), pa.date32(), pa.date64(), pa.time32("s"), pa.time64("ns")),
    *(pa.duration("s"), pa.list_(pa.int64()), pa.large_list(pa.string()), pa.list_(pa.float16(), 2)),
    *(pa.list_(pa.bool_()), pa.list_(pa.date32())),
]
STREAM_TYPES = [*map(_types.arrow, [*_types._KINDS, "numeric(12, 2)"]), *map(parquet.plain, FILE_TYPES)]
MOMENT = datetime.datetime(2026, 2, 3, 4, 5, 6, 789, tzinfo=datetime.UTC)


def example(kind: pa.DataType) -> object:
    """A value of a type that a stream may have."""
    if pa.types.is_list(kind):
        return [example(kind.value_type)]
    examples = {
        pa.types.is_boolean: True, pa.types.is_string: "ü", pa.types.is_timestamp: MOMENT, pa.types.is_date: MOMENT,
        pa.types.is_time: MOMENT.time(), pa.types.is_duration: datetime.timedelta(days=1, microseconds=1),
        pa.types.is_binary: b"\x00\xff", pa.types.is_fixed_size_binary: uuid.UUID(int=7).bytes,
    }  # fmt: skip
    return next((value for test, value in examples.items() if test(kind)), 7)


def test_a_row_of_every_type_that_a_stream_may_have_goes_through_its_table_in_schema_source(psql, database):
    columns = {f"c{n}": pa.array([example(kind)], kind) for n, kind in enumerate(STREAM_TYPES)}

    class One(Rows):
        schema = pa.schema([(name, column.type) for name, column in columns.items()])

        def batches(self, *_):
            yield pa.record_batch(columns)

    prepare.apply(psql, database, SqlFile("t.sql", "CREATE SCHEMA own;\n"), "heap")
    fill(psql, database, candidate(load="CREATE TABLE own.t AS SELECT * FROM source.events;\n"), One(1))
    with pg.connected(database.conninfo) as connection:
        _, ((*found,),) = pg.texts(connection, "SELECT * FROM own.t")
    told = dict(zip(map(str, STREAM_TYPES), found, strict=True))
    assert None not in found
    assert told["fixed_size_binary[16]"] == str(uuid.UUID(int=7))
    assert told["time64[us]"] == "04:05:06.000789"
    assert told["duration[us]"] == "24:00:00.000001"
    assert told["list<item: string>"] == "{ü}"


def test_what_is_no_type_of_the_servers_is_told_with_stream_and_column(psql, database):
    class Nested(Rows):
        schema = pa.schema([("id", pa.int64()), ("at", pa.struct([("x", pa.int64())]))])

    with pytest.raises(IngestError, match=r"^stream events: column at: struct<x: int64> fits no column"):
        fill(psql, database, candidate(load="SELECT 1;"), Nested())


def test_a_load_sql_that_is_refused_is_told_with_its_own_file(psql, database):
    prepare.apply(psql, database, TABLE, "heap")
    with pytest.raises(IngestError, match=r'heap: load\.sql:1: ERROR: relation "source\.evnets" does not exist'):
        fill(psql, database, candidate(load="INSERT INTO events SELECT * FROM source.evnets;\n"))


def test_a_stream_without_a_table_names_both_ways_out(psql, database):
    with pytest.raises(IngestError, match=r"no table for the stream 'events' \(create table .*load: load\.sql"):
        fill(psql, database)


# --- settled --------------------------------------------------------------------------------


def test_settling_leaves_nothing_running_and_nothing_to_do(psql, database, admin):
    brin = (
        "CREATE INDEX by_id ON events USING brin (id) WITH (pages_per_range = 8);\n"  # the last range is no whole one
    )
    prepare.apply(psql, database, SqlFile("t.sql", TABLE.text + brin), "heap")
    fill(psql, database)
    pg.rows(admin, "SELECT /* pglab:before */ count(*) FROM events")
    assert pg.rows(admin, pg.query("statements")) != []
    written = pg.ask(admin, "SELECT pg_current_wal_insert_lsn()::text AS at")["at"]
    prepare.settle(alone(admin))
    since = pg.ask(admin, "SELECT redo_lsn - %(at)s::pg_lsn AS bytes FROM pg_control_checkpoint()", {"at": written})
    assert since["bytes"] > 0
    seen = pg.ask(
        admin, "SELECT relpages, reltuples, relallvisible, relallfrozen FROM pg_class WHERE relname = 'events'"
    )
    assert seen["reltuples"] == 2_000
    assert seen["relallfrozen"] == seen["relallvisible"] == seen["relpages"] > 0
    assert pg.ask(admin, pg.query("totals"))["autovacuums"] == 0
    assert pg.ask(admin, "SELECT count(*) AS n FROM pg_stat_progress_vacuum") == {"n": 0}
    left = pg.ask(admin, "SELECT brin_summarize_new_values('by_id') AS n")
    assert left == {"n": 0}
    assert pg.rows(admin, pg.query("statements")) == []


def test_an_autovacuum_that_does_not_end_is_told_and_not_waited_for_for_ever(admin, monkeypatch):
    monkeypatch.setattr(prepare, "_QUIET_S", 0.2)
    really = pg.ask
    monkeypatch.setattr(
        prepare.pg, "ask", lambda *words: {"autovacuums": 1} if words[1] == pg.query("totals") else really(*words)
    )
    with pytest.raises(ClusterError, match=r"autovacuum worker was still busy .*autovacuum: off"):
        prepare.settle(alone(admin))


def test_an_autovacuum_that_has_come_and_gone_is_counted_in_the_step(host, tmp_path):
    eager = {"autovacuum_naptime": "1s", "autovacuum_vacuum_threshold": "1", "autovacuum_vacuum_scale_factor": "0"}
    eager |= {"autovacuum_analyze_threshold": "1000000000"}  # which would count as well
    with (
        host.server("eager", eager, tmp_path) as server,
        pg.connected(server.conninfo(user="pglab", dbname="postgres")) as admin,
    ):
        probe = ServerProbe([Node("a", admin)], [])
        pg.run(admin, "CREATE TABLE t AS SELECT n FROM generate_series(1, 1000) n", "CREATE TABLE u (n int)")
        before = probe.read()
        pg.run(admin, "DELETE FROM t")
        until = time.monotonic() + 30
        while not (after := probe.read())["nodes"]["a"]["autovacuumed"] or after["nodes"]["a"]["autovacuums"]:
            assert time.monotonic() < until
            time.sleep(0.1)
        assert seen(before, after)["autovacuums"] >= 1
        pg.run(admin, "ALTER SYSTEM SET autovacuum = off")
        pg.rows(admin, "SELECT pg_reload_conf()")
        time.sleep(1.5)
        before = probe.read()
        pg.run(admin, "DROP TABLE t", "VACUUM ANALYZE u")
        assert seen(before, probe.read())["autovacuums"] == 0


# --- what is known --------------------------------------------------------------------------


def test_sizes_add_up_to_what_the_server_says(psql, database, admin):
    schema = SqlFile(
        "t.sql",
        "CREATE TABLE events (id bigint, name text, value float8) PARTITION BY RANGE (id);\n"
        "CREATE TABLE low PARTITION OF events FOR VALUES FROM (0) TO (1000);\n"
        "CREATE TABLE high PARTITION OF events FOR VALUES FROM (1000) TO (maxvalue);\n"
        "ALTER TABLE low ALTER name SET STORAGE EXTERNAL;\n"
        "CREATE INDEX ON events (value);\n"
        "CREATE MATERIALIZED VIEW totals AS SELECT generate_series(1, 5000) AS n;\n",
    )
    prepare.apply(psql, database, schema, "heap")
    fill(psql, database, candidate(schema), Rows(wide=3_000))
    found = {name: values[0] for name, values in prepare.sizes(alone(admin), 2_000).items()}
    said = pg.ask(
        admin, "SELECT sum(pg_total_relation_size(c))::float8 AS n FROM unnest('{low,high,totals}'::regclass[]) c"
    )["n"]
    assert found["size.heap_bytes"] + found["size.index_bytes"] + found["size.toast_bytes"] == said
    assert found["size.total_bytes"] == said
    assert found["size.bytes_per_row"] == said / 2_000
    assert found["size.toast_bytes"] > 1_000 * 3_000
    assert found["size.index_bytes"] > 0


def loaded(psql, database, admin, *, before: str) -> dict[str, float]:
    """WAL of a second load of a table whose pages are there already, after the statement *before*."""
    prepare.apply(psql, database, TABLE, "heap")
    fill(psql, database)
    pg.run(admin, before)
    start = prepare.positions(alone(admin))
    pg.run(admin, "UPDATE events SET value = 0 WHERE id % 40 = 0")
    found = prepare.load_metrics(alone(admin), start, {"rows": 50, "seconds": 1.0})
    return {name: values[0] for name, values in found.items()}


def test_after_a_checkpoint_most_of_the_wal_is_full_page_images(psql, database, admin):
    found = loaded(psql, database, admin, before="CHECKPOINT")
    assert found["wal.fpi_bytes_per_row"] > 3 * found["wal.record_bytes_per_row"] > 0


def test_without_a_checkpoint_there_are_only_records(psql, database, admin):
    found = loaded(psql, database, admin, before="SELECT 1")
    assert found["wal.fpi_bytes_per_row"] < found["wal.record_bytes_per_row"]


def test_checkpoints_since_a_position_are_counted(admin):
    start = prepare.positions(alone(admin))
    pg.run(admin, "CREATE TABLE c ()", "CHECKPOINT")
    until = time.monotonic() + 10.0
    while (found := prepare.checkpoints(alone(admin), start)) != dict.fromkeys(start, 1):
        assert time.monotonic() < until, found
        time.sleep(0.05)  # the checkpointer tells the statistics after it is done
    assert prepare.checkpoints(alone(admin), prepare.positions(alone(admin))) == dict.fromkeys(start, 0)


def test_wal_counts_from_where_it_is_inserted_and_not_from_where_it_is_written(admin):
    """What nobody has flushed yet is written work all the same, as during a VACUUM."""
    before = pg.ask(admin, pg.query("totals"))["wal_bytes"]
    pg.rows(admin, "SELECT pg_logical_emit_message(false, 'lab', repeat('x', 1000))")
    assert pg.ask(admin, pg.query("totals"))["wal_bytes"] - before > 1000


def test_transactions_are_counted_one_by_one(psql, database, admin):
    prepare.apply(psql, database, TABLE, "heap")
    start = prepare.positions(alone(admin))
    for n in range(7):
        pg.run(admin, f"INSERT INTO events VALUES ({n})")
    found = prepare.load_metrics(alone(admin), start, {"rows": 7, "seconds": 2.0})
    assert found["xids_per_million_rows"] == (1_000_000.0,)
    assert found["ingest.rows_per_s"] == (3.5,)


WRITTEN = ["CREATE TABLE w AS SELECT n FROM generate_series(1, 10) n", *["SELECT pg_switch_wal()", "CHECKPOINT"] * 3]


def test_wal_that_checkpoints_would_remove_is_held_until_it_is_measured(admin):
    start = prepare.positions(alone(admin))
    pg.run(admin, *WRITTEN)
    first = prepare.load_metrics(alone(admin), start, {"rows": 10, "seconds": 1.0})
    start = prepare.positions(alone(admin))
    pg.run(admin, "DROP TABLE w", *WRITTEN)
    again = prepare.load_metrics(alone(admin), start, {"rows": 10, "seconds": 1.0})
    assert first["wal.record_bytes_per_row"][0] > 50
    assert again["wal.record_bytes_per_row"][0] > 50
    held = "SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn) AS n FROM pg_replication_slots WHERE temporary"
    assert pg.ask(admin, held)["n"] < 2**20  # what was measured is let go


DROP = "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE temporary"
KEPT = "SELECT name FROM pg_ls_waldir() WHERE name = pg_walfile_name(%(at)s::pg_lsn)"
STATE = "SELECT (SELECT json_agg(s) FROM pg_replication_slots s) AS slots, (SELECT json_agg(w) FROM pg_ls_waldir() w)"


def lose(admin, at: str) -> None:
    """Have the server remove the log at *at*, which nobody holds: three checkpoints do; up to ten times as many here.

    Once in CI three left it where it was, with no slot to be seen: each further round makes and drops
    a slot, at which the server computes anew what is needed.
    """
    for _ in range(10):
        pg.run(admin, DROP, *WRITTEN, "DROP TABLE w")
        if not pg.rows(admin, KEPT, {"at": at}):
            return
        pg.run(admin, "SELECT pg_create_physical_replication_slot('again', true, true)")
    pytest.fail(f"the log at {at} is still there: {pg.rows(admin, STATE)}")


def test_where_wal_cannot_be_held_its_loss_is_told_with_the_way_out(admin):
    start = prepare.positions(alone(admin))
    lose(admin, pg.ask(admin, "SELECT pg_current_wal_insert_lsn()::text AS at")["at"])
    with pytest.raises(ClusterError, match=r"^primary: the write-ahead log .* was removed .*wal_keep_size"):
        prepare.load_metrics(alone(admin), start, {"rows": 10, "seconds": 1.0})


PROMISES = """
CREATE TABLE device (id int PRIMARY KEY);
CREATE TABLE reading (
  id bigint, device int REFERENCES device, value float8 CHECK (value > 0), at timestamptz NOT NULL,
  PRIMARY KEY (id, at)
) PARTITION BY RANGE (at);
CREATE TABLE reading_1 PARTITION OF reading FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
CREATE UNIQUE INDEX ON device ((id + 1)) WHERE id > 5;
CREATE INDEX ON reading (device);
"""


def test_guarantees_are_what_the_catalogs_say_once_for_a_whole_tree(psql, database, admin):
    prepare.apply(psql, database, SqlFile("p.sql", PROMISES), "heap")
    found = prepare.guarantees(admin)
    for promise in (
        "device: PRIMARY KEY (id)",
        "reading: PRIMARY KEY (id, at)",
        "reading: FOREIGN KEY (device) REFERENCES device(id)",
        "reading: CHECK ((value > (0)::double precision))",
        "reading: NOT NULL at",
    ):
        assert found.count(promise) == 1, found
    assert sum("UNIQUE INDEX" in one and "WHERE (id > 5)" in one for one in found) == 1
    assert not any("reading_1" in one for one in found)


def test_guarantees_do_not_know_in_which_order_they_were_made(psql, database, admin):
    first = "CREATE TABLE t (a int UNIQUE, b int CHECK (b > 0));"
    prepare.apply(psql, database, SqlFile("p.sql", first), "heap")
    one = prepare.guarantees(admin)
    pg.run(admin, "DROP TABLE t")
    again = "CREATE TABLE t (a int, b int); ALTER TABLE t ADD CHECK (b > 0); ALTER TABLE t ADD UNIQUE (a);"
    prepare.apply(psql, database, SqlFile("p.sql", again), "heap")
    assert prepare.guarantees(admin) == one


def test_settings_are_those_that_differ_from_the_servers_own(admin):
    found = prepare.settings(admin)
    assert found["max_connections"] == {"value": "60", "unit": None, "source": "command line"}
    assert "work_mem" not in found
    assert not any("/" in str(one["value"]) for one in found.values() if one["source"] == "command line"), found


def test_rows_are_counted_through_the_roots_and_only_the_authors(psql, database, admin):
    prepare.apply(psql, database, SqlFile("p.sql", PROMISES), "heap")
    assert prepare.rows_in(admin) == 0
    pg.run(admin, "INSERT INTO device VALUES (1)", "INSERT INTO reading VALUES (1, 1, 1, '2026-05-05')")
    assert prepare.rows_in(admin) == 2


# --- the author's own steps -----------------------------------------------------------------


@pytest.fixture
def kept(admin):
    def made(**steps: str) -> Kept:
        ends = {role: lambda role=role: Endpoint("one", role, "user=lab") for role in ("admin", "write")}
        cluster = SimpleNamespace(processes=(), **ends)
        return Kept(Instance("heap", 1), candidate(**steps), cluster, admin, None)

    return made


def settled(admin) -> bool:
    """Is the connection the lab's own again: its role, its settings, no transaction?"""
    seen = pg.ask(admin, "SELECT session_user, current_setting('statement_timeout') AS timeout")
    return seen == {"session_user": "pglab", "timeout": "0"} and not pg.in_transaction(admin)


def test_a_step_runs_as_the_unprivileged_role_with_its_bounds(kept, admin):
    pg.run(admin, "CREATE TABLE public.seen (who text, at timestamptz)", "GRANT INSERT ON public.seen TO lab")
    trial.author(kept(retire="INSERT INTO seen SELECT session_user, :from;\n"), "retire", {"from": "2026-01-02 00:00"})
    assert pg.ask(admin, "SELECT who, at::date::text AS day FROM public.seen") == {"who": "lab", "day": "2026-01-02"}
    assert settled(admin)


def test_a_step_that_vacuums_runs_outside_of_a_transaction(kept, admin):
    pg.run(admin, "CREATE TABLE public.mine (a int)", "ALTER TABLE public.mine OWNER TO lab")
    trial.author(kept(retire="DELETE FROM mine;\nVACUUM mine;\n"), "retire", {})


REFUSED_STEPS = {
    "a name": ("2: ", "DELETE\nFROM evnets;\n", 'relation "evnets" does not exist'),
    "an error in a transaction of its own": (
        "4: ",
        "BEGIN;\n-- why\n\nDELETE FROM evnets;\nCOMMIT;\n",
        'relation "evnets" does not exist',
    ),
    "a transaction that is left open": (
        " ",
        "BEGIN;\nSELECT 1;\n",
        r"leaves a transaction open \(end it with COMMIT;\)",
    ),
    "a timeout, which is no lost connection": (
        "2: ",
        "SET statement_timeout = '20ms';\nSELECT pg_sleep(5);\n",
        "canceling statement due to statement timeout",
    ),
    "a right": ("1: ", "CHECKPOINT;\n", "permission denied"),
}


@pytest.mark.parametrize("what", REFUSED_STEPS)
def test_a_step_that_is_refused_is_the_authors_mistake_and_leaves_the_connection_as_it_was(kept, admin, what):
    line, text, words = REFUSED_STEPS[what]
    with pytest.raises(IngestError, match=rf"heap: retire\.sql:{line}{words}"):
        trial.author(kept(retire=text), "retire", {})
    assert settled(admin)


RAISED = "BEGIN RAISE 'no more' USING ERRCODE = '{}'; END"
NO_ROOM = r"^heap: no more \(free some room .*PGLAB_BASE"


@pytest.mark.parametrize(
    ("state", "kind", "words"),
    [
        ("53100", ClusterError, NO_ROOM),
        ("58030", ClusterError, "^heap: no more$"),
        ("57P01", ClusterError, "^heap: the connection was lost: no more$"),
        ("53200", IngestError, "no more"),
        ("57014", IngestError, "no more"),
    ],
)
def test_what_the_environment_fails_at_is_no_mistake_of_the_authors(kept, psql, database, admin, state, kind, words):
    trigger = "CREATE TRIGGER raising BEFORE INSERT ON events FOR EACH ROW EXECUTE FUNCTION raising()"
    raising = f"CREATE FUNCTION raising() RETURNS trigger LANGUAGE plpgsql AS $$ {RAISED.format(state)} $$; {trigger};"
    prepare.apply(psql, database, SqlFile("t.sql", TABLE.text + raising), "heap")
    one = kept(retire=f"DO $$ {RAISED.format(state)} $$")
    asked = Query("q", "q.sql", (Statement("INSERT INTO events VALUES (1)"),))
    for act in (
        lambda: fill(psql, database),
        lambda: trial.author(one, "retire", {}),
        lambda: count.explain(database.conninfo, [asked], {"q": [[]]}),
    ):
        with pytest.raises(kind, match=words), trial.answering("heap", one.cluster):
            act()
    assert settled(admin)


def test_a_full_disk_that_psql_tells_of_is_the_environments_failure(psql, database):
    full = "DO $$ BEGIN RAISE 'could not extend file: No space left on device' USING ERRCODE = '53100'; END $$;"
    with pytest.raises(ClusterError, match=r"^heap: s\.sql:1: ERROR: could not extend .*device \(free some room"):
        prepare.apply(psql, database, SqlFile("s.sql", full), "heap")


def test_a_setting_of_a_step_does_not_outlive_it(kept, admin):
    trial.author(kept(retire="SET statement_timeout = '1h';\nSELECT 1;\n"), "retire", {})
    assert settled(admin)
