"""Rows in, on a real server: what arrives is what was made, and what does not fit is said."""

import datetime
import decimal
import signal
import threading
import time
import uuid

import pyarrow as pa
import pytest

from lab import pg
from lab.errors import IngestError
from lab.ingest import copy_binary, insert
from lab.model import Lab, Stream
from lab.sources import synthetic

pytestmark = pytest.mark.server


def table(endpoint, definition, name=("public", "t")):
    with pg.connected(endpoint.conninfo) as connection:
        pg.run(connection, f"CREATE TABLE {pg.ident(*name)} ({definition})")
    return name


def rows(endpoint, statement):
    with pg.connected(endpoint.conninfo) as connection:
        return pg.rows(connection, statement)


def put(endpoint, name, batches, connections=1):
    batches = list(batches)
    return copy_binary.load(endpoint, name, batches[0].schema, batches, connections=connections)


def one(**columns):
    return [pa.record_batch(columns)]


def test_every_type_arrives_as_it_was(database):
    name = table(
        database,
        "a bigint, b int, c smallint, d float8, e real, f numeric(12, 2), g numeric, h text, i varchar(9), j boolean, "
        "k date, l timestamptz, m timestamp, n uuid, o bytea, p jsonb, q json, r uuid, s int[]",
    )
    day, key = datetime.date(2026, 2, 3), uuid.uuid4()
    moment = datetime.datetime(2026, 2, 3, 4, 5, 6, 789, tzinfo=datetime.UTC)
    values = one(
        a=pa.array([2**40]), b=pa.array([-5]), c=pa.array([7]), d=pa.array([0.1]), e=pa.array([0.5], pa.float32()),
        f=pa.array([1.25]), g=pa.array([decimal.Decimal("123456.789")]), h=["Grüße, 世界\t\\"], i=["x"], j=[True],
        k=[day], l=pa.array([moment], pa.timestamp("us", "UTC")), m=pa.array([moment], pa.timestamp("us", "UTC")),
        n=pa.array([key.bytes], pa.binary(16)), o=[b"\x00\xff"], p=['{"a": [1, "ü"]}'], q=["[1]"], r=[str(key)],
        s=pa.array([[1, None]], pa.list_(pa.int32())),
    )  # fmt: skip
    assert put(database, name, values).rows == 1
    (row,) = rows(database, "SELECT *, l AT TIME ZONE 'UTC' = m AS same FROM t")
    assert row == {
        "a": 2**40, "b": -5, "c": 7, "d": 0.1, "e": 0.5, "f": decimal.Decimal("1.25"),
        "g": decimal.Decimal("123456.789"), "h": "Grüße, 世界\t\\", "i": "x", "j": True, "k": day, "l": moment,
        "m": moment.replace(tzinfo=None), "n": key, "o": b"\x00\xff", "p": {"a": [1, "ü"]}, "q": [1], "r": key,
        "s": [1, None], "same": True,
    }  # fmt: skip


def test_nulls_of_every_type_arrive_as_nulls(database):
    name = table(database, "a bigint, f numeric, h text, l timestamptz, n uuid, p jsonb")
    kinds = [pa.int64(), pa.decimal128(9, 2), pa.string(), pa.timestamp("us", "UTC"), pa.binary(16), pa.string()]
    put(database, name, [pa.record_batch([pa.nulls(3, kind) for kind in kinds], names=list("afhlnp"))])
    assert rows(database, "SELECT count(*) AS n, num_nulls(min(a), min(f), min(h), min(l)) AS nulls FROM t") == [
        {"n": 3, "nulls": 4}
    ]


def test_columns_that_the_stream_lacks_take_their_defaults(database):
    name = table(
        database,
        "id bigint GENERATED ALWAYS AS IDENTITY, v int, w text DEFAULT 'd', x int GENERATED ALWAYS AS (v + 1) STORED",
    )
    put(database, name, one(v=pa.array([1, 2])))
    assert rows(database, "SELECT * FROM t ORDER BY id") == [
        {"id": 1, "v": 1, "w": "d", "x": 2},
        {"id": 2, "v": 2, "w": "d", "x": 3},
    ]


def test_columns_go_by_name_not_by_place(database):
    name = table(database, "a int, b int")
    put(database, name, one(b=pa.array([2]), a=pa.array([1])))
    assert rows(database, "SELECT a, b FROM t") == [{"a": 1, "b": 2}]


def test_odd_names_are_quoted(database):
    with pg.connected(database.conninfo) as connection:
        pg.run(connection, 'CREATE SCHEMA "Größe"')
    name = table(database, '"odd ""Name""" int, "select" int', ("Größe", 'ta"ble'))
    put(database, name, one(**{'odd "Name"': pa.array([1]), "select": pa.array([2])}))
    assert rows(database, 'SELECT * FROM "Größe"."ta""ble"') == [{'odd "Name"': 1, "select": 2}]


@pytest.mark.parametrize(
    ("definition", "column", "kind", "why"),
    [
        ("c text", "c", pa.int64(), "what the rows have (int64) and what the table has (text) do not fit"),
        ("c int", "c", pa.string(), "what the rows have (string) and what the table has (int4) do not fit"),
        ("c numeric", "c", pa.float64(), "what the rows have (double) and what the table has (numeric) do not fit"),
        (
            "c inet",
            "c",
            pa.string(),
            "what the rows have (string) and what the table has (inet) do not fit; as text they do (method: copy_csv)",
        ),
        ("c inet", "c", pa.int32(), "what the rows have (int32) and what the table has (inet) do not fit"),
        ("colour int", "color", pa.int32(), "the table has no such column (did you mean 'colour'? it has colour)"),
        ("c int, g int GENERATED ALWAYS AS (c) STORED", "g", pa.int32(), "the table generates it; the stream may not"),
    ],
)
def test_rows_that_do_not_fit_are_refused_before_any_is_made(database, definition, column, kind, why):
    name = table(database, definition)

    def never():
        raise AssertionError("a row was made")
        yield

    with pytest.raises(IngestError) as refused:
        copy_binary.load(database, name, pa.schema([(column, kind)]), never())
    assert str(refused.value).startswith(f"table public.t: column {column}: {why}")


def test_a_value_that_does_not_fit_names_its_column_and_row_and_leaves_nothing(database):
    name = table(database, "c smallint")
    batches = [*one(c=pa.array([1, 2])), *one(c=pa.array([5, None, 70_000, 80_000]))]
    with pytest.raises(IngestError, match=r"table public\.t: column c: row 5: 70000 does not fit"):
        put(database, name, batches)
    assert rows(database, "SELECT count(*) AS n FROM t") == [{"n": 0}]


def test_a_missing_table_is_named(database):
    with pytest.raises(IngestError, match=r"table public\.absent: there is no such table"):
        put(database, ("public", "absent"), one(c=pa.array([1])))


@pytest.mark.parametrize("connections", [1, 2, 3])
def test_what_the_server_refuses_is_told_in_its_words(database, connections):
    name = table(database, "c int PRIMARY KEY, d text NOT NULL")
    good = [batch for first in range(8) for batch in one(c=pa.array([first]), d=["x"])]
    twice = [*good, *one(c=pa.array([3]), d=["y"])]
    with pytest.raises(
        IngestError, match=r"table public\.t: duplicate key .*Key \(c\)=\(3\) already exists.*COPY t, line"
    ):
        put(database, name, twice, connections)
    with pg.connected(database.conninfo) as connection:
        pg.run(connection, "TRUNCATE t")  # of several connections, those that had ended have committed
    with pytest.raises(IngestError, match=r'table public\.t: column d: null value in column "d".*\(COPY t, line'):
        put(database, name, [*good, *one(c=pa.array([99]), d=pa.array([None], pa.string()))], connections)
    if connections == 1:
        assert rows(database, "SELECT count(*) AS n FROM t") == [{"n": 0}]


def test_an_error_of_the_source_is_raised_as_it_is_and_leaves_nothing(database):
    name = table(database, "c int")

    def broken():
        yield from one(c=pa.array([1]))
        raise LookupError("the source broke")

    with pytest.raises(LookupError, match="the source broke"):
        copy_binary.load(database, name, pa.schema([("c", pa.int64())]), broken())
    assert rows(database, "SELECT count(*) AS n FROM t") == [{"n": 0}]


def test_no_rows_are_a_load_of_none(database):
    name = table(database, "c int")
    loaded = copy_binary.load(database, name, pa.schema([("c", pa.int64())]), [])
    assert (loaded.rows, loaded.bytes) == (0, 21)  # the header and the trailer of an empty COPY


def test_one_connection_keeps_the_order_of_the_stream(database):
    name = table(database, "c int")
    put(database, name, [pa.record_batch({"c": range(i, i + 1000)}) for i in range(0, 20_000, 1000)])
    assert rows(database, "SELECT array_agg(c ORDER BY ctid) = array_agg(c ORDER BY c) AS sorted FROM t") == [
        {"sorted": True}
    ]


def test_two_connections_share_the_rows_and_load_each_once(database):
    name = table(database, "c int")

    def batches():
        for first in range(0, 50_000, 1000):
            time.sleep(0.002)  # so that both are waiting for rows
            yield pa.record_batch({"c": range(first, first + 1000)})

    loaded = copy_binary.load(database, name, pa.schema([("c", pa.int64())]), batches(), connections=2)
    assert loaded.rows == 50_000
    assert rows(database, "SELECT count(*) AS n, count(DISTINCT c) AS d FROM t") == [{"n": 50_000, "d": 50_000}]
    assert rows(database, "SELECT count(DISTINCT xmin::text) AS n FROM t") == [{"n": 2}]


@pytest.mark.parametrize("connections", [1, 2])
def test_a_load_that_fails_makes_no_more_rows(database, connections):
    name = table(database, "c smallint")
    made = []

    def batches():
        for number in range(1000):
            made.append(number)
            yield pa.record_batch({"c": [70_000 if number == 3 else number % 100]})

    with pytest.raises(IngestError, match="70000"):
        copy_binary.load(database, name, pa.schema([("c", pa.int64())]), batches(), connections=connections)
    assert len(made) < 100


@pytest.mark.parametrize("method", [copy_binary, insert])
def test_an_interrupted_load_is_soon_over_and_commits_nothing(database, method):
    name = table(database, "c bigint")
    made = []

    def batches():
        for number in range(200):
            made.append(number)
            if number == 20:
                signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
            time.sleep(0.01)
            yield pa.record_batch({"c": range(1_024)})

    with pytest.raises(KeyboardInterrupt):
        method.load(database, name, pa.schema([("c", pa.int64())]), batches(), connections=2)
    assert len(made) < 100
    assert rows(database, "SELECT count(*) AS n FROM t") == [{"n": 0}]


# --- made rows, as the server's own statistics see them -------------------------------------

LAB = Lab(rows=60_000, days=10, entities={"device": 500})
COLUMNS = {
    "id": {"type": "bigint", "sequence": 1},
    "at": {"type": "timestamptz"},
    "device": {"type": "int", "of": "device", "skew": "zipf(1.0)"},
    "kind": {"type": "text", "choices": {"a": 0.7, "b": 0.2, "c": 0.1}},
    "level": {"type": "smallint", "given": "kind", "cases": {"a": {0: 1}, "b": {1: 1}, "c": {2: 0.5, 3: 0.5}}},
    "value": {"type": "float8", "law": "normal(20, 5)", "nulls": 0.2},
    "near": {"type": "float8", "law": "uniform(0.0, 1.0)", "correlation": -0.8},
    "code": {"type": "text", "n_distinct": 40, "width": 12},
    "note": {"type": "text", "width": 33},
    "key": {"type": "uuid"},
    "body": {"type": "jsonb", "width": 40},
    "price": {"type": "numeric(10, 2)", "law": "lognormal(3, 1)"},
}


@pytest.fixture
def loaded(database):
    source = synthetic.opened(Stream("t", "synthetic", {"columns": COLUMNS, "time": {"column": "at"}}), LAB, seed=3)
    name = table(
        database,
        "id bigint, at timestamptz, device int, kind text, level smallint, value float8, near float8, code text, "
        "note text, key uuid, body jsonb, price numeric(10, 2)",
    )
    copy_binary.load(database, name, source.schema, source.batches(0, source.rows))
    with pg.connected(database.conninfo) as connection:
        pg.run(connection, "SET default_statistics_target = 1000", "ANALYZE t")
    stats = rows(database, "SELECT *, most_common_freqs[1] AS top FROM pg_stats WHERE tablename = 't'")
    return database, {row["attname"]: row for row in stats}


def test_the_server_finds_the_declared_distribution(loaded):
    _, stats = loaded
    assert stats["id"]["n_distinct"] == -1
    assert stats["id"]["correlation"] == pytest.approx(1)
    assert stats["at"]["correlation"] == pytest.approx(1)
    assert stats["device"]["n_distinct"] == pytest.approx(500, abs=5)
    harmonic = sum(1 / k for k in range(1, 501))
    assert stats["device"]["top"] == pytest.approx(1 / harmonic, rel=0.05)
    assert stats["device"]["most_common_freqs"][9] == pytest.approx(0.1 / harmonic, rel=0.15)
    assert stats["kind"]["most_common_freqs"] == pytest.approx([0.7, 0.2, 0.1], rel=0.05)
    assert stats["value"]["null_frac"] == pytest.approx(0.2, abs=0.01)
    assert stats["near"]["correlation"] == pytest.approx(-0.8, abs=0.02)
    assert stats["code"]["n_distinct"] == 40
    assert stats["code"]["avg_width"] == 13  # and one byte of length
    assert stats["note"]["avg_width"] == 34
    assert (stats["note"]["n_distinct"], stats["key"]["n_distinct"]) == (-1, -1)


def test_the_server_finds_the_declared_values(loaded):
    database, _ = loaded
    (found,) = rows(
        database,
        "SELECT count(*) AS n, avg(value) AS mean, stddev(value) AS sd, min(at) AS first, max(at) AS last, "
        "count(DISTINCT (kind, level)) AS pairs, min(length(body::text)) AS body, "
        "percentile_cont(0.5) WITHIN GROUP (ORDER BY price) AS price FROM t",
    )
    assert (found["n"], found["pairs"], found["body"]) == (60_000, 4, 40)
    assert found["mean"] == pytest.approx(20, abs=0.15)
    assert found["sd"] == pytest.approx(5, abs=0.1)
    assert found["price"] == pytest.approx(20.09, rel=0.03)  # the median of a lognormal is exp(mu)
    step = datetime.timedelta(days=10) / 60_000
    assert found["first"] == datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    assert found["last"] == found["first"] + datetime.timedelta(days=10) - step
