"""A database for each value of a column, really made: rows and calls go to their own."""

import json
import threading
import time
from dataclasses import replace

import pyarrow as pa
import pytest

from lab import apart, count, parts, pg, prepare, run, store, trial
from lab.clusters import databases
from lab.drivers import CALLS, Work
from lab.errors import IngestError
from lab.ingest import copy_binary
from lab.model import Instance, Parameter, Query, SqlFile, Statement, Topology
from lab.probes import _sampler
from lab.probes.host import HostProbe
from tests import samples
from tests.real import small

pytestmark = pytest.mark.server

SETTINGS = {
    "shared_preload_libraries": "pg_stat_statements",
    "autovacuum": "off",
    "pg_stat_statements.track_planning": "on",
}
SCHEMA = SqlFile(
    "t.sql",
    "CREATE TABLE orders (tenant text, id int, PRIMARY KEY (tenant, id));\nCREATE TABLE kinds (name text);\n",
)
ORDERS = pa.table({"tenant": ["a", "b b", "a", "c'\"="] * 25, "id": pa.array(range(100), pa.int32())})
KINDS = pa.table({"name": ["small", "large", "huge"]})
OF_TENANT = (Parameter("tenant", "orders.tenant"),)
SIZE = Query(
    "size", "size.sql", (Statement("SELECT /* pglab:size */ count(*) FROM orders WHERE tenant = $1", (0,)),), OF_TENANT
)
VALUES = ("a", "b b", "c'\"=")


@pytest.fixture
def shape(host, tmp_path):
    """The shape without any row, connected to as a run is, its schema applied; a client may hold two connections."""
    topology = Topology("databases", {"by": "tenant", "connections": 2})
    told = samples.scenario()
    candidate = replace(told.candidates["heap"], topology=topology, schema=SCHEMA)
    told = replace(told, candidates={**told.candidates, "heap": candidate})
    opened = databases.opened(host, topology, name="shape", settings=SETTINGS, logs=tmp_path)
    with opened as cluster, run.connected(Instance("heap", 1), candidate, cluster, told, HostProbe()) as kept:
        prepare.apply(host.psql(), kept.direct, SCHEMA, "heap")
        yield kept


def fill(kept, table, name):
    load = kept.rooms.load(copy_binary.load)
    return load(kept.direct, ("public", name), table.schema, table.to_batches(max_chunksize=30))


@pytest.fixture
def filled(shape):
    """The same with its rows."""
    fill(shape, ORDERS, "orders")
    fill(shape, KINDS, "kinds")
    return shape


def asked(endpoint, statement):
    with pg.connected(endpoint.conninfo) as connection:
        (value,) = pg.ask(connection, statement).values()
    return value


# --- rows -----------------------------------------------------------------------------------


def test_each_row_is_in_the_database_of_its_value_and_what_has_none_in_all(filled):
    places = filled.cluster.databases()
    assert sorted(places) == sorted(VALUES)
    for value, place in places.items():
        assert asked(place, "SELECT string_agg(DISTINCT tenant, '|') FROM orders") == value
        assert asked(place, "SELECT current_user || count(*) FROM kinds") == "lab3"
    assert [asked(places[value], "SELECT count(*) FROM orders") for value in VALUES] == [50, 25, 25]
    assert asked(filled.direct, "SELECT count(*) FROM orders") == 0
    assert filled.rows_there() == 100 + 3  # what is in each database counts once


def test_a_load_counts_each_row_once(shape):
    assert fill(shape, ORDERS, "orders").rows == 100
    assert fill(shape, KINDS, "kinds").rows == 3


def test_rows_of_a_value_that_comes_later_have_a_database_of_the_same_schema(filled):
    fill(filled, pa.table({"tenant": ["new"], "id": pa.array([1], pa.int32())}), "orders")
    place = filled.cluster.databases()["new"]
    assert asked(place, "SELECT count(*) FROM orders") == 1
    assert asked(place, "SELECT count(*) FROM pg_indexes WHERE tablename = 'orders'") == 1
    assert len(filled.rooms.nodes) == 4
    assert asked(place, "SELECT count(*) FROM kinds") == 3
    assert filled.rows_there() == 100 + 3 + 1


def test_steps_of_the_authors_run_where_later_databases_come_from_too(filled):
    sql = SqlFile("m.sql", "CREATE TABLE made (a int);")
    filled.candidate = replace(filled.candidate, steps={"before_append": sql})
    trial.author(filled, "before_append", {"from": "", "to": ""})
    fill(filled, pa.table({"tenant": ["new"], "id": pa.array([1], pa.int32())}), "orders")
    for place in filled.cluster.databases().values():
        assert asked(place, "SELECT count(*) FROM made") == 0


def test_a_row_without_a_value_is_refused(shape):
    with pytest.raises(IngestError, match="tenant: a row has NULL there, and so no database"):
        fill(shape, pa.table({"tenant": pa.array(["a", None]), "id": pa.array([1, 2], pa.int32())}), "orders")


def test_more_values_than_there_may_be_and_longer_ones_than_names_are_refused(shape, monkeypatch):
    monkeypatch.setattr(databases, "MOST", 2)
    with pytest.raises(IngestError, match=r"tenant: 3 values, and a database for each is made of 2 at most \(fewer"):
        shape.cluster.make(VALUES, shape.admin)
    with pytest.raises(IngestError, match=r"tenant: 'é{30}' is too long for the name of a database \(at most 59 bytes"):
        shape.cluster.make(["é" * 30], shape.admin)
    with pytest.raises(IngestError, match="tenant: a row has the empty text there, which names no database"):
        shape.cluster.make([""], shape.admin)
    assert shape.cluster.databases() == {}


def test_an_emptied_shape_has_none_of_them_and_a_restored_one_those_that_were_there(filled):
    filled.hang_up()
    filled.cluster.snapshot()
    with pg.connected(filled.cluster.admin().conninfo) as admin:
        filled.cluster.make(["later"], admin)
    filled.cluster.restore()
    assert sorted(filled.cluster.databases()) == sorted(VALUES)
    assert asked(filled.cluster.databases()["a"], "SELECT count(*) FROM orders") == 50
    filled.cluster.empty()
    assert filled.cluster.databases() == {}
    assert asked(filled.cluster.admin(), "SELECT count(*) FROM pg_database WHERE datname LIKE 'lab%'") == 1


# --- counted --------------------------------------------------------------------------------


def test_a_query_is_counted_where_its_values_are_and_answers_in_the_order_of_its_sets(filled):
    sets = {"size": [["a"], ["b b"], ["a"], ["c'\"="]]}
    groups = list(filled.rooms.grouped(filled.direct.conninfo, [SIZE], sets))
    assert [(pg.parsed(info)["dbname"], positions) for info, _, positions in groups] == [
        ("lab:a", {"size": [0, 2]}),
        ("lab:b b", {"size": [1]}),
        ("lab:c'\"=", {"size": [3]}),
    ]
    prepare.settle(filled.nodes, filled.rooms.nodes)
    counted = apart.counted(groups, sets, count.count)
    digests = counted.digests["size"]
    assert len(digests) == 4
    assert digests[0] == digests[2] != digests[1] == digests[3]  # 50 rows, and 25
    assert counted.metrics["query.size.rows_per_call"] == (1.0, 1.0)
    assert len(counted.metrics["query.size.planning_ms"]) == 4
    assert len(counted.explains["size"]) == count.KEPT_EXPLAINS


def test_a_value_that_no_row_has_is_told_with_the_query(filled):
    with pytest.raises(IngestError, match=r"size\.sql: tenant = 'nobody': no row has it, and no database"):
        list(filled.rooms.grouped(filled.direct.conninfo, [SIZE], {"size": [["nobody"]]}))


def test_sizes_and_statistics_are_of_all_databases_and_the_servers_own_of_one(filled):
    prepare.settle(filled.nodes, filled.rooms.nodes)
    for value in VALUES:
        with pg.connected(filled.cluster.databases()[value].conninfo) as client:
            pg.rows(client, f"SELECT /* pglab:size */ count(*) FROM orders WHERE tenant = {pg.literal(value)}")
    assert filled.server.statements()["size"]["calls"] == 3
    apart_, whole = prepare.sizes_of(filled.databases), prepare.sizes_of(filled.nodes)
    assert list(apart_) == ["shape"]
    assert apart_["shape"]["heap_bytes"] > whole["shape"]["heap_bytes"]
    before = filled.server.read()
    with pg.connected(filled.cluster.databases()["a"].conninfo) as client:
        pg.run(client, "INSERT INTO orders VALUES ('a', 1000)")
    assert filled.server.wal(before, filled.server.read())["commits"] == 1


# --- driven ---------------------------------------------------------------------------------


def work(kept, order, clients=1):
    calls = pa.table(
        {"due_ns": [0] * len(order), "query": [0] * len(order), "params": [[one] for one in order]}, schema=CALLS
    )
    return Work("shape", kept.cluster.write(), [SIZE], calls, clients, 5.0, apart=kept.rooms.apart([SIZE]))


@pytest.fixture(params=["inline", "locust"])
def driver(request, tmp_path):
    with parts.load("drivers", request.param).opened(workdir=tmp_path, options={}) as opened:
        yield opened


def driven(driver, asked_for):
    return whole(driver, asked_for).ops


def whole(driver, asked_for):
    load = driver.start(asked_for)
    assert load.wait(30)
    return load.ops()


def test_connections_that_calls_had_to_open_are_counted(driver, filled):
    order = ["a", "b b", "a", "c'\"=", "a", "b b"]  # b b in the place of c'"= at the end, and c'"= in that of b b
    assert whole(driver, work(filled, order)).opened == 4
    assert whole(driver, work(filled, ["a", "b b", "nobody"])).opened == 0


def test_what_happens_in_all_databases_is_in_the_series(filled):
    admin = filled.admin
    before = pg.ask(admin, pg.query("series"))["commits"]
    for value in VALUES:
        with pg.connected(filled.cluster.databases()[value].conninfo) as client:
            for _ in range(20):
                pg.run(client, "SELECT 1")
    for _ in range(
        20
    ):  # a session tells what it did when it has ended, which may be after its client; to ask is one more
        if (told := pg.ask(admin, pg.query("series"))["commits"] - before) >= 60:
            break
        time.sleep(0.5)
    assert told >= 60
    seen = _sampler.Server(filled.cluster.admin().conninfo)
    with pg.connected(filled.cluster.databases()["a"].conninfo) as client, client.cursor() as busy:
        sleeping = threading.Thread(target=lambda: busy.execute("SELECT pg_sleep(3)"))
        sleeping.start()
        until = time.monotonic() + 2.5
        while "wait.Timeout:PgSleep" not in (waits := seen.waits()) and time.monotonic() < until:
            time.sleep(0.05)
        sleeping.join()
    seen.close()
    assert "wait.Timeout:PgSleep" in waits


HELD = "SELECT count(*) FROM pg_stat_activity WHERE datname LIKE 'lab:%' AND usename = 'lab'"


def test_calls_go_to_the_database_of_their_value_and_the_oldest_connection_makes_room(driver, filled):
    pg.rows(filled.admin, pg.query("reset"))
    done = driven(driver, work(filled, ["a", "b b", "a", "c'\"=", "a", "b b"]))
    assert done["outcome"].to_pylist() == ["ok"] * 6
    assert asked(filled.cluster.admin(), HELD) == 2
    each = (
        "SELECT substr(datname, 5) AS value, calls FROM pglab.pg_stat_statements s JOIN pg_database d ON d.oid = dbid "
        "WHERE query LIKE '%pglab:size%'"
    )
    assert {row["value"]: row["calls"] for row in pg.rows(filled.admin, each)} == {"a": 3, "b b": 2, "c'\"=": 1}
    opened = "SELECT sum(sessions) AS n FROM pg_stat_database WHERE datname LIKE 'lab:%'"
    driver.forget("shape")
    assert asked(filled.cluster.admin(), HELD) <= 2
    assert pg.ask(filled.admin, opened)["n"] >= 4  # a, b b, c'"= in the place of b b, b b again in that of c'"=


def test_a_call_of_a_value_without_a_database_fails_and_the_others_go_on(driver, filled):
    done = driven(driver, work(filled, ["a", "nobody", "a"]))
    assert list(zip(done["outcome"].to_pylist(), done["sqlstate"].to_pylist(), strict=True)) == [
        ("ok", None),
        ("failed", "3D000"),
        ("ok", None),
    ]


def test_a_connection_that_cannot_be_had_is_a_failed_call(driver, filled):
    asked_for = work(filled, ["a", "b b", "a"])
    pg.run(filled.admin, 'ALTER DATABASE "lab:b b" ALLOW_CONNECTIONS false')
    done = driven(driver, asked_for)
    assert done["outcome"].to_pylist() == ["ok", "failed", "ok"]
    assert done["sqlstate"][1].as_py() in ("55000", "08001")


# --- a run ----------------------------------------------------------------------------------

ROUND, REQUIRED = "      - {do: retire}\n", "requirements:\n  - {metric: query.recent.p95_ms, at_most: 1_000}\n"
CANDIDATES = """\
candidates:
  plain: {hypothesis: what is there}
  apart: {hypothesis: small tables, topology: {kind: databases, by: device, connections: 3}}
"""
SCENARIO = (
    small.SCENARIO.partition("candidates:")[0]
    .replace(ROUND, f"{ROUND}      - {{do: maintain}}\nsql: {{retire: retire.sql}}\nschema: plain.sql\n")
    .replace(REQUIRED, "")
    .replace("device: 20", "device: 5")
    + CANDIDATES
)
BY_ID = (
    "-- params: device=readings.device, id=readings.id\nSELECT * FROM readings WHERE device = :device AND id = :id\n"
)


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    folder = tmp_path_factory.mktemp("apart")
    changes = {"scenarios/small/scenario.yaml": SCENARIO, "workloads/readings/by_id.sql": BY_ID}
    changes["scenarios/small/retire.sql"] = "DELETE FROM readings WHERE at >= :from AND at < :to;\n"
    small.write(folder, **changes)
    result = small.pglab(folder, "run", "scenarios/small", "--on", "embedded", "--rounds", "3", "--json")
    assert result.returncode == 0, result.stdout + result.stderr
    return folder


def test_a_run_gives_a_plan_that_verifies_and_says_what_was_made(done):
    assert small.pglab(done, "verify", ".claude/doc/small.md").returncode == 0
    plan = (done / ".claude/doc/small.md").read_text()
    assert "`apart` has 5 databases, of " in plan
    assert "A client held up to 3 connections to them" in plan
    assert "one query may ask for all rows" in plan  # which only the baseline promises


def test_answers_and_rows_are_those_of_one_database_and_nothing_fails(done):
    (folder,) = store.runs(done / "results", "small")
    stored = store.read(folder)
    of = {one.instance.candidate: one for one in stored.prepared if not one.instance.twin}
    assert of["plain"].digests == of["apart"].digests
    for slice_ in stored.slices:
        assert slice_.rows == slice_.rows_due
        assert set(slice_.ops["outcome"].to_pylist()) == {"ok"}
        assert len(slice_.ops) == sum(step.get("due") or 0 for step in slice_.steps) > 0
    assert json.loads((folder / "run.json").read_text())["rounds"] == 3


# --- what a scenario asks too much of ---------------------------------------------------------


def dry(folder, **changes):
    small.write(folder, **{"scenarios/small/scenario.yaml": SCENARIO, "workloads/readings/by_id.sql": BY_ID, **changes})
    return small.pglab(folder, "run", "scenarios/small", "--on", "embedded", "--dry-run")


def test_too_few_connections_are_told_before_anything_is_run(tmp_path):
    few = SCENARIO.replace("connections: 3}", "connections: 3}, settings: {max_connections: 20}")
    done = dry(tmp_path, **{"scenarios/small/scenario.yaml": few})
    assert done.returncode == 2
    assert "apart: topology: by: device: 5 databases want 21 connections" in done.stderr
    assert "(settings: {max_connections: 21}, or fewer connections in the topology)" in done.stderr


@pytest.mark.parametrize("kind", ["uuid", "boolean"])
def test_values_of_any_type_have_the_names_that_parameters_have(tmp_path, kind):
    column = "{type: boolean, choices: {true: 0.5, false: 0.5}}" if kind == "boolean" else "{type: uuid, n_distinct: 6}"
    data = small.FILES["workloads/readings/data.yaml"].replace("{type: int, of: device, skew: zipf(1.1)}", column)
    queries = {
        f"workloads/readings/{name}.sql": text.replace("readings.device zipf(1.1)", "readings.device")
        for name, text in (("recent", small.FILES["workloads/readings/recent.sql"]), ("by_id", BY_ID))
    }
    table = small.TABLE.replace("device integer", f"device {kind}") + small.INDEX
    scenario = SCENARIO.replace(", entities: {device: 5}", "")
    done = dry(
        tmp_path,
        **queries,
        **{
            "workloads/readings/data.yaml": data,
            "scenarios/small/plain.sql": table,
            "scenarios/small/scenario.yaml": scenario,
        },
    )
    assert done.returncode == 0, done.stderr
