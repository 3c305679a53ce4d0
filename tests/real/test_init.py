"""`pglab init` of a dump and of what was asked, tried on a real server."""

import pytest

from lab import dump, parts, prepare, scenario, start
from lab.errors import IngestError, ScenarioError
from lab.model import SqlFile

pytestmark = pytest.mark.server

DUMP = """\\restrict abc
SELECT pg_catalog.set_config('search_path', '', false);
CREATE SCHEMA sales;
ALTER SCHEMA sales OWNER TO boss;
CREATE EXTENSION IF NOT EXISTS "uuid-ossp" WITH SCHEMA public;
CREATE TABLE public.customer (id integer PRIMARY KEY, token uuid DEFAULT public.uuid_generate_v4() NOT NULL);
CREATE TABLE sales.invoice (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  customer integer NOT NULL REFERENCES public.customer,
  at timestamptz NOT NULL
);
GRANT ALL ON sales.invoice TO reader;
\\unrestrict abc
"""
CSV = """query,calls,total_exec_time
SELECT id FROM sales.invoice WHERE customer = $1 LIMIT $2,100,60
SELECT id FROM sales.invoice WHERE id = $1,1000,20
SELECT id FROM sales.gone WHERE id = $1,1,20
"""


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "d.sql").write_bytes(DUMP.replace("\n", "\r\n").encode())
    (tmp_path / "s.csv").write_text(CSV)
    return tmp_path


def test_a_dump_and_its_statistics_become_a_scenario_whose_holes_have_file_and_line(here):
    done = start.perform(start.Asked("shop", here / "d.sql", queries=here / "s.csv"), print)
    folder = here / "scenarios" / "shop"
    assert "the queries that were taken are 80.0% of the recorded time" in done.said
    assert any('relation "sales.gone" does not exist' in one for one in done.said)
    asked = (folder / "workload" / "select_invoice.sql").read_text()
    assert asked.startswith("-- params: $1=invoice.customer\n-- $2 has no source yet")
    assert "select_invoice_2: 10" in (folder / "workload" / "workload.yaml").read_text()
    with pytest.raises(ScenarioError, match=r"select_invoice\.sql:3: \$2: no source"):
        scenario.read("shop", scenario.OnDisk(folder, here), parts)
    (folder / "workload" / "select_invoice.sql").write_text(asked.replace("customer\n", "customer, $2=uniform(9, 9)\n"))
    read = scenario.read("shop", scenario.OnDisk(folder, here), parts)
    assert set(read.workload.streams) == {"customer", "invoice"}
    assert 'SET search_path = "public", "sales"' in (folder / "schema.sql").read_text()


def test_a_range_of_times_is_told_in_the_readme(here):
    (here / "s.csv").write_text(
        "query,calls,total_exec_time\nSELECT count(*) FROM sales.invoice WHERE at >= $1 AND at < $2,10,60\n"
    )
    start.perform(start.Asked("shop", here / "d.sql", queries=here / "s.csv"), print)
    folder = here / "scenarios" / "shop"
    (query,) = (folder / "workload").glob("*.sql")
    assert query.read_text().startswith("-- params: $1=window.to - 1d, $2=window.to\n")
    assert f"- workload/{query.name}: $1 and $2 are the ends of a range" in (folder / "README.md").read_text()


def test_tables_with_holes_that_no_query_touches_stay_empty(here):
    hole = "CREATE TABLE public.once (yes boolean NOT NULL UNIQUE);\n"
    (here / "d.sql").write_text(DUMP.replace("GRANT", f"{hole}GRANT"))
    done = start.perform(start.Asked("shop", here / "d.sql", queries=here / "s.csv"), print)
    assert "rows: 1 table stays empty, which no query touches (once)" in done.said
    assert not any("hole: workload/data.yaml" in one for one in done.said)
    done = start.perform(start.Asked("whole", here / "d.sql"), print)
    assert any(one.startswith("hole: workload/data.yaml: once.yes: is unique") for one in done.said)


def test_rows_of_one_table_are_brought_and_what_they_refer_to_is_invented(here):
    (here / "invoice.csv").write_text("customer,at\n70,2026-01-01 00:00:00+00\n9,2026-01-02 00:00:00+00\n")
    start.perform(start.Asked("shop", here / "d.sql", queries=here / "s.csv", data=("invoice.csv",)), print)
    folder = here / "scenarios/shop"
    data = (folder / "workload/data.yaml").read_text()
    assert data.startswith("# Brought and invented after the schema")
    assert '"customer": 2' in (folder / "scenario.yaml").read_text()
    assert 'keys: {kind: csv, files: "invoice.csv", column: customer}' in data
    with pytest.raises(ScenarioError, match="--data: rows of which tables"):
        start.perform(start.Asked("other", data=("invoice.csv",)), print)


def test_a_dump_that_the_server_refuses_is_told_with_file_and_line_and_nothing_is_written(here):
    (here / "d.sql").write_text("CREATE EXTENSION postgis;\nCREATE TABLE t (\n  a geometry\n);\n")
    with pytest.raises(IngestError, match=r"d\.sql:3: .*geometry(?s:.*)extension postgis"):
        start.perform(start.Asked("shop", here / "d.sql"), print)
    assert not (here / "scenarios").exists()


def test_migrations_are_one_schema_in_their_order(here):
    folder = here / "m"
    folder.mkdir()
    (folder / "V10__b.sql").write_text("ALTER TABLE t ADD b int;\n")
    (folder / "V2__a.sql").write_text("CREATE TABLE t (a int);\n")
    start.perform(start.Asked("moved", migrations=folder), print)
    schema = (here / "scenarios" / "moved" / "schema.sql").read_text()
    assert schema.index("CREATE TABLE t") < schema.index("ADD b")
    read = scenario.read("moved", scenario.OnDisk(here / "scenarios" / "moved", here), parts)
    assert list(read.workload.streams["t"].options["columns"]) == ["a", "b"]


def test_a_schema_that_init_wrote_runs_no_command_of_psql_when_it_is_run(here):
    hidden = "SET standard_conforming_strings = off;\nSELECT '\\'' \\! touch {0}\n ';\n".replace("{0}", str(here / "x"))
    (here / "d.sql").write_text(hidden)
    with pytest.raises((IngestError, ScenarioError)):
        start.perform(start.Asked("shop", here / "d.sql"), print)
    assert not (here / "x").exists()
    with start._server() as (host, server), pytest.raises(IngestError, match="backslash commands are restricted"):
        prepare.apply(host.psql(), start._end(server), SqlFile("schema.sql", dump.locked(hidden)), "a")
    assert not (here / "x").exists()


def test_rows_lie_within_the_bounds_of_partitions(here):
    (here / "d.sql").write_text(
        "CREATE TABLE day (at timestamptz NOT NULL, v int) PARTITION BY RANGE (at);\n"
        "CREATE TABLE day1 PARTITION OF day FOR VALUES FROM ('2024-05-01 00:00+00') TO ('2024-05-08 00:00+00');\n"
        "CREATE TABLE day2 PARTITION OF day FOR VALUES FROM ('2024-05-08 00:00+00') TO ('2024-05-11 00:00+00');\n"
        "CREATE TABLE place (k int NOT NULL, region text NOT NULL) PARTITION BY LIST (region);\n"
        "CREATE TABLE place1 PARTITION OF place FOR VALUES IN ('north', 'south');\n"
        "CREATE TABLE span (k int NOT NULL) PARTITION BY RANGE (k);\n"
        "CREATE TABLE span1 PARTITION OF span FOR VALUES FROM (5000) TO (6000);\n"
    )
    done = start.perform(start.Asked("shop", here / "d.sql"), print)
    data = (here / "scenarios" / "shop" / "workload" / "data.yaml").read_text()
    assert not any("hole" in one for one in done.said)
    assert "time: {column: at, start: 2024-05-01, step_s: 8.64}" in data
    assert "choices: {north: 1, south: 1}" in data
    assert 'k: {type: integer, law: "uniform(5000, 5999)"}' in data
