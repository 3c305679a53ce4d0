"""Before the first trial, on a real server: what is valid passes with few rows, and what is not is told."""

from dataclasses import replace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lab import pg, preflight, prepare
from lab.errors import IngestError
from lab.ingest import copy_binary
from lab.model import Lab, SqlFile, Stream
from lab.sources import parquet, synthetic
from tests import samples
from tests.real import small

pytestmark = pytest.mark.server

ORDERS, LINES = 120_000, 130_000
SCHEMA = """\
CREATE TABLE orders (id bigint PRIMARY KEY);
CREATE TABLE lines (id bigint PRIMARY KEY, order_id bigint NOT NULL REFERENCES orders);
"""
COLUMNS = {
    "orders": {"id": {"type": "bigint", "of": "orders", "sequence": 1}},
    "lines": {"id": {"type": "bigint", "sequence": 1}, "order_id": {"type": "bigint", "of": "orders"}},
}


def invented(_):
    lab = Lab(rows=LINES, entities={"orders": ORDERS})
    for name, columns in COLUMNS.items():
        rows = "orders" if name == "orders" else LINES
        yield synthetic.opened(Stream(name, "synthetic", {"rows": rows, "columns": columns}), lab, seed=1)


def of_files(folder):
    tables = {
        "orders": {"id": range(1, ORDERS + 1)},
        "lines": {"id": range(LINES), "order_id": [ORDERS - n % ORDERS for n in range(LINES)]},
    }
    for name, columns in tables.items():
        path = folder / f"{name}.parquet"
        pq.write_table(pa.table({column: pa.array(values, pa.int64()) for column, values in columns.items()}), path)
        yield parquet.opened(Stream(name, "parquet", {"files": str(path)}), Lab(), seed=1)


def tried(psql, database, sources, schema=SCHEMA, load=None):
    """Rows of each stream that are there after preflight loaded its few."""
    load = load and SqlFile("load.sql", load)
    who = replace(samples.candidate("heap"), schema=SqlFile("s.sql", schema), load=load)
    prepare.apply(psql, database, who.schema, who.name)
    with pg.connected(database.conninfo) as connection:
        span = prepare.Span(limit=preflight.ROWS, whole=preflight._referred(connection, who, sources))
    report = prepare.fill(psql, database, who, copy_binary.load, sources, span)
    return {name: one["rows"] for name, one in report["streams"].items()}


@pytest.mark.parametrize("made", [invented, of_files])
def test_rows_that_point_to_a_large_table_find_their_parents(host, database, tmp_path, made):
    assert tried(host.psql(), database, list(made(tmp_path))) == {"orders": ORDERS, "lines": preflight.ROWS}


def test_without_foreign_keys_few_rows_of_large_tables_do(host, database, tmp_path):
    schema = SCHEMA.replace("REFERENCES orders", "")
    few = {"orders": preflight.ROWS, "lines": preflight.ROWS}
    assert tried(host.psql(), database, list(of_files(tmp_path)), schema) == few


MOVED = "INSERT INTO orders SELECT * FROM source.orders; INSERT INTO lines SELECT * FROM source.lines;"
LATER = "ALTER TABLE lines ADD FOREIGN KEY (order_id) REFERENCES orders;"


@pytest.mark.parametrize(
    ("schema", "load", "lines"),
    [
        (SCHEMA, MOVED, preflight.ROWS),
        (SCHEMA.replace("orders", "bought"), MOVED.replace("INTO orders", "INTO bought"), LINES),
        (SCHEMA.replace("REFERENCES orders", ""), MOVED + LATER, LINES),
    ],
    ids=["by its name", "by another name", "a key made later"],
)
def test_where_load_sql_moves_the_rows_they_find_their_parents_too(host, database, tmp_path, schema, load, lines):
    assert tried(host.psql(), database, list(of_files(tmp_path)), schema, load) == {"orders": ORDERS, "lines": lines}


def test_of_one_stream_that_load_sql_takes_apart_few_rows_do(host, database, tmp_path):
    load = "INSERT INTO orders SELECT id FROM source.orders; INSERT INTO lines SELECT id, id FROM source.orders;"
    orders, _ = of_files(tmp_path)
    assert tried(host.psql(), database, [orders], load=load) == {"orders": preflight.ROWS}


def test_rows_without_a_parent_are_refused_all_the_same(host, database, tmp_path):
    orders, lines = of_files(tmp_path)
    orders.rows = ORDERS - 1
    with pytest.raises(IngestError, match=r"violates foreign key constraint"):
        tried(host.psql(), database, [orders, lines])


MARKS = "CREATE TABLE marks (reading bigint NOT NULL REFERENCES readings, at timestamptz);\n"
MARKED = """\
  marks:
    kind: synthetic
    time: {column: at, start: 2026-01-01}
    order: shuffled
    columns: {reading: {type: bigint, sequence: 1}, at: {type: timestamptz}}
"""


def test_rows_that_are_appended_find_their_parents_too(tmp_path):
    scenario = small.SCENARIO.replace("rows: 2_000", "rows: 8_000").replace("rows: 500}", "rows: 2_000}")
    scenario = scenario.replace("      - {do: retire}\n", "").replace(", sql: {retire: retire.sql}", "")
    files = {
        f"scenarios/small/{name}": small.FILES[f"scenarios/small/{name}"] + MARKS for name in ("plain.sql", "other.sql")
    }
    rows = {"workloads/readings/data.yaml": small.FILES["workloads/readings/data.yaml"] + MARKED}
    folder = small.write(tmp_path, **files, **rows, **{"scenarios/small/scenario.yaml": scenario})
    done = small.pglab(folder, "run", "scenarios/small", "--on", "embedded", "--rounds", "2", "--dry-run")
    assert done.returncode == 0, done.stderr
