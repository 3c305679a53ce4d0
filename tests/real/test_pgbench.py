"""pgbench against a real server, and beside the other driver at the same rate."""

import time

import numpy as np
import pyarrow as pa
import pytest

from lab import check, pace, pg
from lab.drivers import CALLS, OPS, Work, inline, pgbench
from lab.errors import DriverError
from lab.hosts import embedded
from lab.model import Endpoint, Query, Statement

NOTED = Query("noted", "noted.sql", (Statement("INSERT /* pglab:noted */ INTO noted VALUES ($1)", (0,)),))
SLEEP = Query("sleep", "sleep.sql", (Statement("SELECT pg_sleep($1::float8)", (0,)),))
WRONG = Query("wrong", "wrong.sql", (Statement("SELECT 1 / $1::int", (0,)),))


@pytest.fixture(scope="module")
def at():
    """Where the load goes, and the driver."""
    with embedded.opened("pgbench") as host:
        work = host.workdir("driver")
        with (
            host.server("driven", {"shared_preload_libraries": "pg_stat_statements"}, host.home / "logs") as server,
            pgbench.opened(workdir=work, options={"program": host.psql().with_name("pgbench")}) as driver,
        ):
            yield Endpoint("primary", "write", server.conninfo()), driver


@pytest.fixture
def noted(at):
    """An empty table that remembers what came; yields the function that reads it."""
    with pg.connected(at[0].conninfo) as connection:
        pg.run(connection, "DROP TABLE IF EXISTS noted", "CREATE TABLE noted (a int)")
        yield lambda: [row["a"] for row in pg.rows(connection, "SELECT a FROM noted")]


def driven(endpoint, driver, query, values, *, rate=None, for_s=1.0, clients=2):
    due_ns = np.zeros(100, np.int64)
    if rate is not None:
        due_ns = pace.due_times(rate=rate, for_s=for_s, arrivals="poisson", seed=4)
    params = [[values[n % len(values)]] for n in range(len(due_ns))]
    columns = {"due_ns": due_ns, "query": np.zeros(len(due_ns), np.int32), "params": params}
    calls = pa.table(columns, schema=CALLS)
    load = driver.start(Work("one", endpoint, (query,), calls, clients, for_s, saturate=rate is None))
    assert load.wait(for_s + 30)
    return load.ops()


def test_what_was_recorded_is_what_the_server_got(at, noted):
    done = driven(*at, NOTED, ["3", "8", "5"], rate=200)
    assert done.ops.schema == OPS
    assert len(noted()) == len(done.ops) > 100
    assert set(noted()) == {3, 5, 8}
    assert done.cpu_s > 0


def test_parameters_are_drawn_evenly(at, noted):
    driven(*at, NOTED, ["1", "2", "3", "4"])
    counts = np.bincount(noted())[1:]
    assert len(counts) == 4
    assert counts.min() > 0.5 * counts.mean()


def test_times_are_on_the_labs_clock_and_count_from_due(at):
    before = time.monotonic_ns()
    done = driven(*at, SLEEP, ["0.1"], rate=30, clients=1)
    after = time.monotonic_ns()
    ops = done.ops
    due, start, end = (check.column(ops, name) for name in ("due_ns", "start_ns", "end_ns"))
    assert before < due.min() <= end.max() < after + 1_000_000
    assert (end - start).min() >= 100_000_000
    assert (end - due)[-1] > 500_000_000  # ten a second are done of thirty that are due
    assert check.lag_grows(ops, {"for_s": 1.0})


def test_a_statement_that_fails_ends_it_with_the_servers_words(at):
    with pytest.raises(DriverError, match="division by zero"):
        driven(*at, WRONG, ["0"], rate=50)


def test_both_generators_see_the_same_server_at_the_same_rate(at, tmp_path):
    with inline.opened(workdir=tmp_path, options={}) as threads:
        done = [driven(at[0], driver, SLEEP, ["0.02"], rate=20, for_s=2.0) for driver in (threads, at[1])]
    one, other = (check.column(each.ops, "end_ns") - check.column(each.ops, "start_ns") for each in done)
    assert min(one.min(), other.min()) >= 20_000_000
    assert abs(np.median(one) - np.median(other)) < 10_000_000


@pytest.mark.usefixtures("noted")
def test_what_it_sent_is_found_by_its_mark(at):
    with pg.connected(pg.changed(at[0].conninfo, user="pglab")) as admin:
        pg.run(admin, "SELECT pglab.pg_stat_statements_reset()")
        done = driven(*at, NOTED, ["1"], rate=100)
        found = {row["query"]: row["calls"] for row in pg.rows(admin, pg.query("statements"))}
    assert found == {"noted": len(done.ops)}
