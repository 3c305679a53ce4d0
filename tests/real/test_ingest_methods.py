"""Every way for rows to come in leaves the same rows, durable, and costs what it is known to cost."""

import datetime
import decimal
import uuid

import numpy as np
import pyarrow as pa
import pytest

from lab import literals, parts, pg, prepare
from lab.errors import IngestError
from lab.ingest import _again
from lab.probes.server import Node

pytestmark = pytest.mark.server

ROWS = 1_500
TWICE = int(_again.chosen(0, ROWS, 0.05).sum())
WAYS = {
    "binary": ("copy_binary", {}),
    "csv": ("copy_csv", {"connections": 2}),
    "row by row": ("insert", {"rows": 1}),
    "a transaction each": ("insert", {"rows": 1, "transaction_rows": 1}),
    "batches": ("insert", {"rows": 300, "transaction_rows": 600, "connections": 2}),
    "arrays": ("unnest", {"rows": 300, "transaction_rows": 300}),
    "upsert": ("on_conflict", {"rows": 300, "duplicates": 0.1}),
    "upsert of arrays": ("on_conflict", {"source": "unnest", "action": "nothing", "duplicates": 0.1, "key": ["id"]}),
    "staged": ("staging", {"duplicates": 0.1}),
    "staged in parts": ("staging", {"persistence": "temporary", "rows": 400, "duplicates": 0.1}),
    "staged, not updated": ("staging", {"action": "nothing", "duplicates": 0.1}),
    "merged": ("staging", {"then": "merge", "persistence": "logged", "rows": 400, "duplicates": 0.1}),
    "merged, not updated": ("staging", {"then": "merge", "action": "nothing", "duplicates": 0.1}),
    "staged and inserted": ("staging", {"then": "insert", "connections": 2, "rows": 300}),
    "frozen": ("copy_freeze", {}),
    "unlogged meanwhile": ("unlogged", {"connections": 2}),
}
TABLE = "id bigint PRIMARY KEY, at timestamptz NOT NULL, device int, kind text, value float8, body jsonb"
SCHEMA = pa.schema(
    [
        ("id", pa.int64()),
        ("at", pa.timestamp("us", "UTC")),
        ("device", pa.int32()),
        ("kind", pa.string()),
        ("value", pa.float64()),
        ("body", pa.string()),
    ]
)
DIFFERENT = "SELECT count(*) AS n FROM (SELECT t::text FROM t EXCEPT ALL SELECT u::text FROM u) x"
DIGEST = "SELECT count(*) AS n, md5(string_agg(t::text, ',' ORDER BY id)) AS digest FROM t"
STAGED = "SELECT count(*) AS n FROM pg_class WHERE relkind = 'r' AND relname ~ 'staging'"
START = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)


def made(first=0, last=ROWS, step=640):
    """Rows [first, last) in batches of another size than any statement's."""
    for start in range(first, last, step):
        numbers = range(start, min(last, start + step))
        columns = [
            list(numbers),
            [START + datetime.timedelta(seconds=n) for n in numbers],
            [n % 50 or None for n in numbers],
            ['a, "b"\\', "", None, "NULL", "{}"][start % 5 :][:1] * len(numbers),
            [n / 7 for n in numbers],
            ['{"a": [1, "\\u00fc"]}'] * len(numbers),
        ]
        yield pa.record_batch(columns, schema=SCHEMA)


def load(endpoint, method, options, batches=None, schema=SCHEMA, table=("public", "t")):
    return parts.load("ingest", method).load(endpoint, table, schema, batches or made(), **options)


def run(endpoint, *statements):
    with pg.connected(endpoint.conninfo) as connection:
        pg.run(connection, *statements)


def ask(endpoint, statement):
    with pg.connected(endpoint.conninfo) as connection:
        return pg.ask(connection, statement)


@pytest.fixture
def empty(database):
    run(database, f"CREATE TABLE t ({TABLE})", "CREATE INDEX ON t (device, at)")
    return database


@pytest.fixture
def admin(database):
    """A superuser's connection to the test's own database, which can measure WAL."""
    with pg.connected(database.conninfo.replace("user=lab", "user=pglab")) as connection:
        pg.run(connection, "CREATE SCHEMA pglab", "CREATE EXTENSION pg_walinspect SCHEMA pglab")
        yield connection


# --- what is there afterwards ---------------------------------------------------------------


def test_every_way_leaves_the_same_rows_and_nothing_else(empty):
    left, counted = {}, {}
    for name, (method, options) in WAYS.items():
        run(empty, "TRUNCATE t")
        counted[name] = load(empty, method, options).rows
        left[name] = tuple(ask(empty, DIGEST).values())
    assert set(counted.values()) == {ROWS}
    assert set(left.values()) == {left["binary"]}, left
    assert ask(empty, STAGED) == {"n": 0}
    assert ask(empty, "SELECT relpersistence::text AS p FROM pg_class WHERE relname = 't'") == {"p": "p"}
    assert {method for method, _ in WAYS.values()} == set(parts.kinds("ingest"))


TYPES = (
    "a bigint, b smallint, d float8, e real, f numeric(12, 2), g numeric, h text, i varchar(9), j boolean, k date, "
    "l timestamptz, m timestamp, n uuid, o bytea, p jsonb, q json, r uuid, s interval, x time, v e, w d"
)


def every_type():
    """Three rows: of ordinary values, of awkward ones, of none."""
    moment = datetime.datetime(2026, 2, 3, 4, 5, 6, 789, tzinfo=datetime.UTC)
    stamp, key = pa.timestamp("us", "UTC"), uuid.UUID(int=7)
    return pa.record_batch(
        {
            "a": pa.array([2**40, -(2**63), None]), "b": pa.array([-5, 32767, None]),
            "d": pa.array([0.1, float("-inf"), None]), "e": pa.array([0.1, 1e-30, None], pa.float32()),
            "f": pa.array([1.25, -0.0, None]),
            "g": pa.array([decimal.Decimal("123456.789"), decimal.Decimal("-1E+3"), None]),
            "h": ["Grüße, 世界\t\\", "", None], "i": ["x", '{"', None], "j": [True, False, None],
            "k": [datetime.date(2026, 2, 3), datetime.date(1, 1, 1), None], "l": pa.array([moment, START, None], stamp),
            "m": pa.array([moment, START, None], stamp), "n": pa.array([key.bytes, key.bytes, None], pa.binary(16)),
            "o": [b"\x00\xff", b"", None], "p": ['{"a": "\\\\ \\" ,"}', "null", None], "q": ["[1]", '"\\\\"', None],
            "r": [str(key), str(key), None], "s": pa.array([5, -(10**12), None], pa.duration("us")),
            "x": pa.array([datetime.time(1, 2, 3, 4), datetime.time(0), None], pa.time64("us")),
            "v": ["one", "two", None], "w": ["NULL", "", None],
        }
    )  # fmt: skip


def test_every_type_arrives_as_binary_copy_brings_it(database):
    run(database, "CREATE TYPE e AS ENUM ('one', 'two')", "CREATE DOMAIN d AS text CHECK (value <> 'x')")
    run(database, f"CREATE TABLE t (no int GENERATED ALWAYS AS IDENTITY, {TYPES})", "CREATE TABLE u (LIKE t)")
    run(database, "ALTER TABLE u ALTER no ADD GENERATED ALWAYS AS IDENTITY")
    rows = every_type()
    load(database, "copy_binary", {}, [rows], rows.schema)
    for method in ("copy_csv", "insert", "unnest"):
        load(database, method, {}, [rows], rows.schema, ("public", "u"))
        assert ask(database, DIFFERENT) == {"n": 0}, method
        assert ask(database, "SELECT count(*) AS n FROM u") == {"n": 3}
        run(database, "TRUNCATE u RESTART IDENTITY")


def test_arrays_arrive_as_binary_copy_brings_them(database):
    run(database, *(f"CREATE TABLE {name} (a int[], b text[], c float8[])" for name in "tu"))
    rows = pa.record_batch(
        {
            "a": pa.array([[1, None], [], None], pa.list_(pa.int32())),
            "b": pa.array([['a, "b"\\', "", None, "NULL"], None, [" x "]], pa.list_(pa.string())),
            "c": pa.array([None, [0.1, float("nan")], []], pa.list_(pa.float64())),
        }
    )
    load(database, "copy_binary", {}, [rows], rows.schema)
    for method in ("copy_csv", "insert"):
        load(database, method, {}, [rows], rows.schema, ("public", "u"))
        assert ask(database, DIFFERENT) == {"n": 0}, method
        run(database, "TRUNCATE u")


AS_TEXT = {"a": "inet", "b": "interval", "c": "tsvector", "d": "int4range", "e": "_varchar", "f": "_uuid", "g": "_inet"}


@pytest.mark.parametrize("method", ["copy_csv", "insert", "unnest"])
def test_texts_are_read_by_the_server_for_types_of_which_no_binary_is_written(database, method):
    names = "abcd" if method == "unnest" else "abcdefg"  # which would take arrays apart
    run(database, f"CREATE TABLE t ({', '.join(f'{one} {literals.shown(AS_TEXT[one])}' for one in names)})")
    given = {
        "a": ["10.0.0.1", None], "b": ["1 day", None], "c": ["'a b' 'it''s'", None], "d": ["[1,5)", None],
        "e": pa.array([['x"', "NULL", ""], None]), "f": pa.array([[str(uuid.UUID(int=7))], None]),
        "g": ["{10.0.0.1,::1}", None],
    }  # fmt: skip
    rows = pa.record_batch({one: given[one] for one in names})
    load(database, method, {}, [rows], rows.schema)
    found = ask(database, f"SELECT {', '.join(f'{one}::text' for one in names)} FROM t WHERE a IS NOT NULL")
    every = ["10.0.0.1/32", "1 day", "'a b' 'it''s'", "[1,5)", r"""{"x\"","NULL",""}""", f"{{{uuid.UUID(int=7)}}}"]
    assert list(found.values()) == [*every, "{10.0.0.1,::1}"][: len(names)]
    empty_row = " AND ".join(f"{one} IS NULL" for one in names)
    assert ask(database, f"SELECT count(*) AS n FROM t WHERE {empty_row}") == {"n": 1}


def test_what_is_no_literal_of_the_type_is_refused_with_table_and_column(database):
    run(database, "CREATE TABLE t (a inet)")
    rows = pa.record_batch({"a": ["10.0.0.1", "here"]})
    with pytest.raises(
        IngestError, match=r'table public\.t: invalid input syntax for type inet: "here".*line 2, column a'
    ):
        load(database, "copy_csv", {}, [rows], rows.schema)
    assert ask(database, "SELECT count(*) AS n FROM t") == {"n": 0}


def test_a_text_is_no_number_though_the_server_would_read_it_as_one(database):
    run(database, "CREATE TABLE t (a int)")
    rows = pa.record_batch({"a": ["1"]})
    with pytest.raises(IngestError, match=r"what the rows have \(string\) and what the table has \(int4\) do not fit$"):
        load(database, "copy_csv", {}, [rows], rows.schema)


def test_later_rows_are_added_to_those_that_are_there(empty):
    left = []
    for method in ("copy_binary", "copy_csv", "insert", "unnest", "on_conflict", "staging"):
        load(empty, method, {}, made(0, 700))
        load(empty, method, {}, made(700, 1_500))
        left.append(ask(empty, DIGEST))
        run(empty, "TRUNCATE t")
    assert [one["n"] for one in left] == [1_500] * 6
    assert left == left[:1] * 6


def test_partitions_take_every_way_that_needs_no_table_of_its_own(database):
    run(
        database,
        f"CREATE TABLE t ({TABLE.replace(' PRIMARY KEY', '')}, PRIMARY KEY (id, at)) PARTITION BY RANGE (at)",
        "CREATE TABLE t1 PARTITION OF t FOR VALUES FROM (MINVALUE) TO ('2026-01-01 00:10+00')",
        "CREATE TABLE t2 PARTITION OF t DEFAULT",
    )
    left = []
    for name, (method, options) in WAYS.items():
        if name != "a transaction each" and method not in ("copy_freeze", "unlogged"):
            load(database, method, {key: value for key, value in options.items() if key != "key"})
            left.append(ask(database, DIGEST))
            run(database, "TRUNCATE t")
    assert left == left[:1] * 13
    assert left[0]["n"] == ROWS


# --- rows that come twice -------------------------------------------------------------------

NOTED = (
    "CREATE TABLE seen (id bigint)",
    "CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS "
    "'BEGIN INSERT INTO seen VALUES (new.id); RETURN new; END'",
    "CREATE TRIGGER note BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION note()",
)


def test_the_same_rows_come_twice_for_every_way_and_however_they_are_cut(empty):
    run(empty, *NOTED)
    found = []
    for method, options, step in (
        ("on_conflict", {"rows": 100}, 700),
        ("on_conflict", {"rows": 999, "source": "unnest"}, 640),
        ("staging", {"rows": 100, "then": "merge"}, 700),
    ):
        loaded = load(empty, method, {**options, "duplicates": 0.05}, made(step=step))
        assert (loaded.rows, loaded.again) == (ROWS, TWICE)
        found.append(ask(empty, "SELECT array_agg(id ORDER BY id) AS ids FROM seen")["ids"])
        run(empty, "TRUNCATE t, seen")
    assert found[0] == found[1] == np.flatnonzero(_again.chosen(0, ROWS, 0.05)).tolist()
    assert found[2] == found[0]  # staged by less than comes between a row and itself


def test_rows_that_come_twice_are_left_as_they_are_where_nothing_is_to_be_done(empty):
    run(empty, *NOTED)
    load(empty, "on_conflict", {"action": "nothing", "duplicates": 0.5})
    assert ask(empty, "SELECT count(*) AS n FROM seen") == {"n": 0}


# --- what it costs --------------------------------------------------------------------------


def cost(endpoint, admin, method, options, batches=None):
    """Exact metrics of a load, as the lab takes them."""
    nodes = (Node("primary", admin),)
    before = prepare.positions(nodes)
    loaded = load(endpoint, method, options, batches)
    return {
        name: values[0]
        for name, values in prepare.load_metrics(nodes, before, {"rows": loaded.rows, "seconds": 1.0}).items()
    }


XIDS = {(1, 1): 300, (100, 100): 3, (10, 150): 2, (1, None): 1}


def test_each_transaction_takes_an_id_and_a_commit_in_the_wal(empty, admin):
    found = {}
    for (rows, transaction_rows), xids in XIDS.items():
        options = {"rows": rows, "transaction_rows": transaction_rows}
        found[rows, transaction_rows] = costs = cost(empty, admin, "insert", options, made(0, 300))
        assert costs["xids_per_million_rows"] == xids * 1_000_000 / 300, options
        run(empty, "TRUNCATE t")
    alone, together = (found[1, each]["wal.record_bytes_per_row"] for each in (1, None))
    assert 30 < alone - together < 80  # a commit record is 34 bytes


def test_a_staging_table_is_seen_in_the_wal_and_a_logged_one_twice(empty, admin):
    found = {}
    for persistence in ("logged", "unlogged", "temporary"):
        found[persistence] = cost(empty, admin, "staging", {"persistence": persistence, "then": "insert"})
        run(empty, "TRUNCATE t")
    found["none"] = cost(empty, admin, "copy_binary", {})
    logged, unlogged, temporary, none = (one["wal.record_bytes_per_row"] for one in found.values())
    assert logged > unlogged + 50
    assert unlogged > none + 1  # what the catalogs note of a table that is made and dropped
    assert temporary > none + 1


def test_copy_writes_a_page_of_rows_at_once_and_on_conflict_confirms_each(empty, admin):
    found = {}
    for method, options in (
        ("copy_binary", {}),
        ("insert", {}),
        ("staging", {"then": "merge", "persistence": "temporary"}),
        ("on_conflict", {}),
        ("staging", {"then": "on_conflict", "persistence": "temporary"}),
    ):
        found[method, options.get("then")] = cost(empty, admin, method, options)["wal.record_bytes_per_row"]
        run(empty, "TRUNCATE t")
    copied, inserted, merged, upserted, staged = found.values()
    assert copied + 20 < inserted
    assert abs(merged - inserted) < 20
    assert inserted + 20 < upserted
    assert abs(staged - upserted) < 20


def test_set_logged_writes_the_rows_as_records_and_the_indexes_as_whole_pages(empty, admin):
    found = cost(empty, admin, "unlogged", {})
    both = found["wal.record_bytes_per_row"] + found["wal.fpi_bytes_per_row"]
    assert found["wal.bytes_per_row"] == pytest.approx(both)
    indexes = ask(empty, "SELECT pg_indexes_size('t') AS n")["n"]
    heap = ask(empty, "SELECT pg_relation_size('t') AS n")["n"]
    assert found["wal.record_bytes_per_row"] * ROWS > heap / 2
    assert found["wal.fpi_bytes_per_row"] * ROWS > indexes / 2


def test_most_pages_of_a_frozen_load_are_left_to_no_vacuum(empty):
    frozen = {}
    for method in ("copy_freeze", "copy_binary"):
        load(empty, method, {})
        run(empty, "ANALYZE t")
        asked = "SELECT relallfrozen::float / relpages AS share FROM pg_class WHERE relname = 't'"
        frozen[method] = ask(empty, asked)["share"]
        run(empty, "TRUNCATE t")
    assert frozen["copy_freeze"] > 0.5  # not those that two of COPY's own batches share
    assert frozen["copy_binary"] == 0


# --- what cannot be -------------------------------------------------------------------------

PARTITIONED = (
    "CREATE TABLE p (id bigint, at timestamptz NOT NULL, device int, kind text, value float8, body jsonb) "
    "PARTITION BY RANGE (at)",
    "CREATE TABLE p1 PARTITION OF p DEFAULT",
)
REFUSED = {
    "FREEZE into partitions": (
        "copy_freeze",
        {},
        "p",
        r"table public\.p: is a partitioned table: COPY FREEZE .*method: copy",
    ),
    "UNLOGGED partitions": ("unlogged", {}, "p", r"is a partitioned table: UNLOGGED and then LOGGED is for ordinary"),
    "no key": ("on_conflict", {}, "p", r"table public\.p: no unique key .*PRIMARY KEY"),
    "no such key": ("on_conflict", {"key": ["device"]}, "t", r"no unique key \[device\] \(the table has: \[id\]\)"),
    "no key to merge by": ("staging", {"then": "merge"}, "p", r"table public\.p: no unique key"),
    "too many parameters": (
        "insert",
        {"rows": 20_000},
        "t",
        r"20000 rows of 6 columns .*\(rows: 10922, or method: unnest",
    ),
}


def test_what_cannot_be_is_refused_with_the_way_out(empty):
    run(empty, *PARTITIONED)
    for method, options, table, words in REFUSED.values():
        with pytest.raises(IngestError, match=words):
            load(empty, method, options, made(0, 30_000), table=("public", table))


@pytest.mark.parametrize("method", ["copy_freeze", "unlogged"])
def test_a_table_that_has_rows_is_not_emptied_and_not_put_at_risk(empty, method):
    load(empty, "copy_binary", {}, made(0, 10))
    with pytest.raises(IngestError, match=r"table public\.t: has rows already: .*append: \{method: copy_binary\}"):
        load(empty, method, {})
    assert ask(empty, "SELECT count(*) AS n FROM t") == {"n": 10}
    assert ask(empty, "SELECT relpersistence::text AS p FROM pg_class WHERE relname = 't'") == {"p": "p"}


def test_arrays_are_not_taken_apart_by_unnest(database):
    run(database, "CREATE TABLE t (a int[])")
    rows = pa.record_batch({"a": pa.array([[1, 2]], pa.list_(pa.int32()))})
    with pytest.raises(IngestError, match=r"table public\.t: column a: unnest would take arrays apart"):
        load(database, "unnest", {}, [rows], rows.schema)


def test_what_the_server_refuses_is_told_in_its_words_and_leaves_a_table_that_survives(empty):
    run(empty, "ALTER TABLE t ADD CHECK (id <> 700)")
    whole = {name for name, (_, options) in WAYS.items() if not {"connections", "transaction_rows"} & set(options)}
    for name, (method, options) in WAYS.items():
        with pytest.raises(IngestError, match=r"table public\.t: .*violates check constraint"):
            load(empty, method, options)
        left = ask(empty, "SELECT count(*) AS n FROM t")["n"]
        assert left == 0 or name not in whole or "rows" in options, name
        assert ask(empty, STAGED) == {"n": 0}, name
        assert ask(empty, "SELECT relpersistence::text AS p FROM pg_class WHERE relname = 't'") == {"p": "p"}
        run(empty, "TRUNCATE t")
