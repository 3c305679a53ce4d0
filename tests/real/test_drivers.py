"""Both drivers against a real server, and against a stub that knows the truth."""

import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import psutil
import pyarrow as pa
import pytest

import lab
from lab import images, pace, pg
from lab.drivers import CALLS, OPS, Work, _distributed, inline, locust
from lab.errors import ClusterError, DriverError, LabError, PlaceError, ScenarioError
from lab.model import Endpoint, Query, Statement
from tests import stub
from tests.real import small

pytestmark = pytest.mark.server

ONE = Query("one", "one.sql", (Statement("SELECT /* pglab:one */ 1"),))
ECHO = Query("echo", "echo.sql", (Statement("/* pglab:echo */ INSERT INTO echoed VALUES ($1)", (0,)),))
OTHERS = "SELECT count(*) AS n FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
SLEEP = Query("sleep", "sleep.sql", (Statement("SELECT pg_sleep($1::float8)", (0,)),))


@pytest.fixture(scope="module")
def opened(tmp_path_factory):
    """Both drivers, opened once for the module as for a run."""
    folder = tmp_path_factory.mktemp("drivers")
    with (
        locust.opened(workdir=folder, options={}) as locusts,
        inline.opened(workdir=folder, options={}) as threads,
    ):
        yield {"locust": locusts, "inline": threads}


@pytest.fixture(params=["locust", "inline"])
def driver(request, opened):
    return opened[request.param]


@pytest.fixture
def folder():
    """A folder whose path is short enough for a socket."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as name:
        yield Path(name)


def calls(due_ns, params=None, query=None):
    count = len(due_ns)
    params = [[]] * count if params is None else params
    return pa.table({"due_ns": due_ns, "query": query or [0] * count, "params": params}, schema=CALLS)


def work(endpoint, queries, table, **changes):
    name = changes.pop("connection", secrets.token_hex(4))
    given = {"clients": 2, "for_s": 1.0, "saturate": False, **changes}
    return Work(connection=name, endpoint=endpoint, queries=queries, calls=table, **given)


def driven(driver, order):
    load = driver.start(order)
    assert load.wait(30)
    return load.ops()


def ask(endpoint, statement):
    with pg.connected(endpoint.conninfo) as connection:
        return pg.rows(connection, statement)


def make(endpoint, *statements):
    with pg.connected(endpoint.conninfo) as connection:
        pg.run(connection, *statements)


def ms(ops, end, start):
    return (ops[end].to_numpy() - ops[start].to_numpy()) / 1e6


# --- what is done ---------------------------------------------------------------------------


def test_attempts_are_rate_times_time(driver, database):
    due = pace.due_times(rate=200, for_s=0.5)
    order = work(database, [ONE], calls(due), for_s=0.5, clients=3)
    done = driven(driver, order)
    assert done.ops.schema == OPS
    assert sorted(done.ops["seq"].to_pylist()) == list(range(100))
    assert set(done.ops["outcome"].to_pylist()) == {"ok"}
    assert set(done.ops["rows"].to_pylist()) == {1}
    assert set(done.ops["name"].to_pylist()) == {"one"}
    offset = done.ops["due_ns"].to_numpy() - done.start_ns
    assert offset.tolist() == due[done.ops["seq"].to_numpy()].tolist()
    assert np.all(ms(done.ops, "start_ns", "due_ns") >= 0)
    assert np.all(ms(done.ops, "end_ns", "start_ns") > 0)
    assert set(done.ops["client"].to_pylist()) <= {0, 1, 2}
    assert 0 < done.cpu_s < 5
    assert abs(done.wall_ns - time.time_ns()) < 60e9


def test_what_only_reads_goes_to_the_read_endpoints_and_all_else_to_the_write_endpoint(driver, server, database):
    """A table that only the reads have, and one that they have not: sent elsewhere, a query would be refused."""
    make(database, "CREATE TABLE echoed (a text)")
    places = []
    with pg.connected(server.conninfo(user="pglab", dbname="postgres")) as admin:
        for _ in range(2):
            name = f"t{secrets.token_hex(4)}"
            pg.run(admin, f"CREATE DATABASE {name} OWNER lab")
            places.append(Endpoint(name, "read", server.conninfo(dbname=name)))
            make(places[-1], "CREATE TABLE there (a int)", "INSERT INTO there VALUES (1)")
        look = Query("look", "look.sql", (Statement("SELECT a FROM there"),))
        due = pace.due_times(rate=200, for_s=0.5)
        order = work(
            database,
            [look, ECHO],
            calls(due, [[], ["x"]] * 50, [0, 1] * 50),
            for_s=0.5,
            clients=4,
            reads=places,
            connection="split",
        )
        done = driven(driver, order)
        opened = [ask(place, OTHERS)[0]["n"] for place in (database, *places)]
        driver.forget("split")
        assert set(done.ops["outcome"].to_pylist()) == {"ok"}
        assert ask(database, "SELECT count(*) AS n FROM echoed") == [{"n": 50}]
        assert opened == [4, 2, 2]
        for place in places:
            pg.run(admin, f"DROP DATABASE {place.node} WITH (FORCE)")


def test_a_read_endpoint_that_is_not_there_is_named(driver, database):
    gone = Endpoint("standby", "read", "host=/nowhere user=lab dbname=lab")
    with pytest.raises(ClusterError, match=r"^standby: no connection for 'x': "):
        driver.start(work(database, [ONE], calls([0]), reads=[gone], connection="x"))


def test_an_open_loop_starts_calls_when_they_are_due(driver, database):
    ops = driven(driver, work(database, [ONE], calls(pace.due_times(rate=50, for_s=0.6)))).ops
    assert np.median(np.abs(ms(ops, "start_ns", "due_ns"))) < 5


def test_a_closed_loop_repeats_the_calls_until_the_time_is_over(driver, database):
    order = work(database, [ONE, ONE], calls([0, 0, 0], query=[0, 1, 0]), for_s=0.3, saturate=True)
    done = driven(driver, order)
    count = len(done.ops)
    assert count > 50
    assert sorted(done.ops["seq"].to_pylist()) == list(range(count))
    assert done.ops["due_ns"].equals(done.ops["start_ns"])
    assert 0.25 < (done.ops["end_ns"].to_numpy().max() - done.start_ns) / 1e9 < 2


def test_parameters_arrive_as_they_were_drawn(driver, database):
    make(database, "CREATE TABLE echoed (a text)")
    texts = ["plain", "it's", "a\\b", 'dou"ble', "größe 漢字", "", None, "$1"]
    for send in ("prepared", "unprepared", "literal"):
        query = Query("echo", "echo.sql", ECHO.statements, send=send)
        done = driven(driver, work(database, [query], calls([0] * 8, [[text] for text in texts]), clients=1))
        assert set(done.ops["outcome"].to_pylist()) == {"ok"}
        assert done.ops["key"].to_pylist() == texts
        found = [row["a"] for row in ask(database, "SELECT a FROM echoed")]
        assert found == texts, send
        make(database, "TRUNCATE echoed")


def test_statements_take_the_parameters_they_name(driver, database):
    make(database, "CREATE TABLE pair (a text, b text)")
    for send in ("prepared", "unprepared", "literal"):
        statement = Statement("INSERT INTO pair VALUES ($1, $2 || '$1')", (1, 0))
        query = Query("swap", "swap.sql", (statement,), send=send)
        driven(driver, work(database, [query], calls([0], [["x", "y"]])))
    assert ask(database, "SELECT DISTINCT a, b FROM pair") == [{"a": "y", "b": "x$1"}]


def test_several_statements_are_one_transaction(driver, database):
    make(database, "CREATE TABLE t (a int PRIMARY KEY, x xid8 DEFAULT pg_current_xact_id())")
    both = Query(
        "both", "b.sql", (Statement("INSERT INTO t VALUES ($1)", (0,)), Statement("INSERT INTO t VALUES ($1)", (1,)))
    )
    ops = driven(driver, work(database, [both], calls([0, 1], [["1", "2"], ["3", "3"]]), clients=1)).ops
    assert ops["outcome"].to_pylist() == ["ok", "failed"]
    assert ops["sqlstate"].to_pylist() == [None, "23505"]
    assert ops["rows"].to_pylist()[0] == 2
    assert [row["a"] for row in ask(database, "SELECT a FROM t ORDER BY a")] == [1, 2]
    assert ask(database, "SELECT count(DISTINCT x) AS n FROM t") == [{"n": 1}]


# --- connections ----------------------------------------------------------------------------


def test_statements_are_prepared_once_per_connection_and_connections_kept(driver, database):
    backend = Query("pid", "pid.sql", (Statement("SELECT pg_backend_pid() / $1::int", (0,)),))
    count = Query(
        "n", "n.sql", (Statement("INSERT INTO kept SELECT pg_backend_pid(), count(*) FROM pg_prepared_statements"),)
    )
    make(database, "CREATE TABLE kept (pid int, prepared int)")
    for _ in range(3):
        order = work(database, [backend, count], calls([0, 0], [["1"], []], [0, 1]), clients=1, connection="kept")
        assert set(driven(driver, order).ops["outcome"].to_pylist()) == {"ok"}
    kept = ask(database, "SELECT count(*) AS n, count(DISTINCT pid) AS pids, max(prepared) AS prepared FROM kept")
    assert kept == [{"n": 3, "pids": 1, "prepared": 2}]
    driver.forget("kept")
    driven(driver, order)
    assert ask(database, "SELECT count(DISTINCT pid) AS pids FROM kept") == [{"pids": 2}]
    driver.forget("kept")


def test_a_forgotten_connection_is_closed(driver, database):
    driven(driver, work(database, [ONE], calls([0, 0, 0]), clients=3, connection="gone"))
    assert ask(database, OTHERS) == [{"n": 3}]
    driver.forget("gone")
    deadline = time.monotonic() + 5
    while ask(database, OTHERS) != [{"n": 0}]:
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_refused_statement_names_the_file_and_the_servers_words(driver, database):
    wrong = Query("wrong", "mix/wrong.sql", (Statement("SELECT nothing FROM nowhere"),))
    with pytest.raises(LabError, match=r'^mix/wrong\.sql: .*\'wrong\': relation "nowhere" does not exist'):
        driver.start(work(database, [ONE, wrong], calls([0])))
    assert len(driven(driver, work(database, [ONE], calls([0]))).ops) == 1


def test_a_refused_connection_names_the_node(driver, database):
    nowhere = Endpoint("primary", "write", database.conninfo + " dbname=absent")
    with pytest.raises(ClusterError, match=r"^primary: no connection for .*absent"):
        driver.start(work(nowhere, [ONE], calls([0])))


ENDED = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
    "WHERE datname = current_database() AND wait_event_type = 'Lock'"
)


def test_a_connection_that_ends_while_it_prepares_is_no_refused_query(driver, database):
    def end():
        while not ask(database, ENDED):
            time.sleep(0.02)

    make(database, "CREATE TABLE t (a int)")
    look = Query("look", "look.sql", (Statement("SELECT a FROM t"),))
    with pg.connected(database.conninfo, autocommit=False) as locked:
        pg.run(locked, "LOCK TABLE t")
        ending = threading.Thread(target=end)
        ending.start()
        with pytest.raises(ClusterError, match=r"^primary: no connection for .*terminating connection"):
            driver.start(work(database, [look], calls([0]), clients=1))
        ending.join()


# --- failures are data ----------------------------------------------------------------------


def test_a_failed_statement_is_data_with_its_sqlstate(driver, database):
    divide = Query("divide", "divide.sql", (Statement("SELECT 1 / $1::int", (0,)),))
    ops = driven(driver, work(database, [divide], calls([0, 1, 2], [["1"], ["0"], ["x"]]), clients=1)).ops
    assert ops["outcome"].to_pylist() == ["ok", "failed", "failed"]
    assert ops["sqlstate"].to_pylist() == [None, "22012", "22P02"]


def test_a_killed_backend_is_unknown_and_the_client_goes_on(driver, database):
    order = work(database, [SLEEP], calls([0, 1, 2], [["0.5"], ["0"], ["0"]]), clients=1)
    load = driver.start(order)
    time.sleep(0.2)
    ask(database, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep%'")
    assert load.wait(10)
    ops = load.ops().ops
    assert ops["outcome"].to_pylist() == ["unknown", "ok", "ok"]
    assert ops["sqlstate"].to_pylist() == ["57P01", None, None]


def test_stop_leaves_operations_under_way_unknown(driver, database):
    load = driver.start(work(database, [SLEEP], calls([0, 0, 0], [["30"]] * 3), clients=2, for_s=60))
    assert not load.wait(0.3)
    load.stop()
    assert load.wait(5)
    ops = load.ops().ops
    assert ops["outcome"].to_pylist() == ["unknown"] * 2
    sleeping = "SELECT count(*) AS n FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep%' AND state = 'active'"
    deadline = time.monotonic() + 5
    while ask(database, sleeping) != [{"n": 0}]:  # nothing is left running into the next slice
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_copy_cannot_make_a_client_wait_for_ever(driver, database):
    copy = Query("copy", "copy.sql", (Statement("COPY (SELECT 1) TO STDOUT"),), send="literal")
    ops = driven(driver, work(database, [copy, ONE], calls([0, 1], query=[0, 1]), clients=1)).ops
    assert ops["outcome"].to_pylist() == ["unknown", "ok"]


# --- against the truth ----------------------------------------------------------------------


def test_a_stall_shows_in_latency_from_due(driver, folder):
    due = pace.due_times(rate=100, for_s=3)
    with stub.serving(folder, stub.stalled(1, 1)) as server:
        there = Endpoint("stub", "read", server.conninfo)
        ops = driven(driver, work(there, [ONE], calls(due), for_s=3, clients=2, connection="stall")).ops
        driver.forget("stall")
    assert len(ops) == 300
    assert np.percentile(ms(ops, "end_ns", "due_ns"), 99) > 500
    assert np.percentile(ms(ops, "end_ns", "start_ns"), 99) < 500  # what a closed loop would have seen


def test_slow_answers_are_found_where_they_were_slow(driver, folder):
    slow = range(40, 44)
    with stub.serving(folder, stub.slow(slow, 0.1)) as server:
        there = Endpoint("stub", "read", server.conninfo)
        ops = driven(driver, work(there, [ONE], calls(pace.due_times(rate=100, for_s=1)), clients=1)).ops
        driver.forget("any")
    took = ms(ops, "end_ns", "start_ns")
    assert np.flatnonzero(took > 90).tolist() == list(slow)


def test_timestamps_enclose_what_the_server_saw(driver, folder):
    with stub.serving(folder) as server:
        there = Endpoint("stub", "read", server.conninfo)
        ops = driven(driver, work(there, [ONE], calls(pace.due_times(rate=200, for_s=1)), clients=1)).ops
    seen = np.array([server.seen[number] for number in sorted(server.seen)])
    before = (seen[:, 0] - ops["start_ns"].to_numpy()) / 1e6
    after = (ops["end_ns"].to_numpy() - seen[:, 1]) / 1e6
    assert np.all(before > 0)
    assert np.all(after > 0)
    assert np.median(before) < 2  # ms; the figure is in benchmarks/generator.py
    assert np.median(after) < 2


# --- Locust's process -----------------------------------------------------------------------


def test_two_processes_share_clients_and_calls(database, tmp_path):
    with locust.opened(workdir=tmp_path, options={"processes": 2}) as driver:
        ops = driven(driver, work(database, [ONE], calls(pace.due_times(rate=200, for_s=0.5)), clients=3)).ops
        assert sorted(ops["seq"].to_pylist()) == list(range(100))
        assert set(ops["client"].to_pylist()) == {0, 1, 2}
        assert ask(database, OTHERS) == [{"n": 3}]
        order = work(database, [ONE], calls([0]), clients=2, for_s=0.3, saturate=True)
        seqs = sorted(driven(driver, order).ops["seq"].to_pylist())
        assert len(seqs) == len(set(seqs)) > 50


def test_nothing_listens(database, tmp_path):
    with locust.opened(workdir=tmp_path, options={"processes": 2}) as driver:
        load = driver.start(work(database, [SLEEP], calls([0], [["0.3"]])))
        children = psutil.Process().children(recursive=True)
        mine = [child for child in children if "_locustfile.py" in small.words(child)]
        assert len(mine) >= 2
        assert [c for child in mine for c in child.net_connections("inet") if c.status == psutil.CONN_LISTEN] == []
        assert load.wait(5)


def test_its_process_is_light(opened, database):
    driven(opened["locust"], work(database, [ONE], calls([0])))
    children = psutil.Process().children()
    (child,) = [child for child in children if "_locustfile.py" in small.words(child)]
    libraries = {Path(each.path).name for each in child.memory_maps()}
    assert not [name for name in libraries if "arrow" in name or "pandas" in name]
    assert child.memory_info().rss < 150e6


def test_a_process_that_ends_is_an_error_with_its_last_words(database, tmp_path):
    with locust.opened(workdir=tmp_path, options={}) as driver:
        load = driver.start(work(database, [SLEEP], calls([0], [["30"]]), for_s=60))
        driver._processes[0]._process.kill()
        assert load.wait(5)
        with pytest.raises(DriverError, match="ended with status -9"):
            load.ops()
        with pytest.raises(DriverError, match="ended with status -9"):
            driver.start(work(database, [ONE], calls([0])))


def test_a_bug_in_its_process_ends_it_with_a_traceback(database, tmp_path):
    with locust.opened(workdir=tmp_path, options={}) as driver:
        load = driver.start(work(database, [ONE], calls([0], query=[7])))
        assert load.wait(10)
        with pytest.raises(DriverError, match=r"status 1: .*IndexError"):
            load.ops()


def test_its_process_goes_with_the_lab(tmp_path):
    script = (
        "import sys, time; from pathlib import Path; from lab.drivers import locust\n"
        "with locust.opened(workdir=Path(sys.argv[1]), options={}) as driver:\n"
        "    print(driver._processes[0]._process.pid, flush=True); driver.forget('x'); print('up', flush=True)\n"
        "    time.sleep(60)\n"
    )
    lab = subprocess.Popen([sys.executable, "-c", script, tmp_path], stdout=subprocess.PIPE, text=True)
    child = psutil.Process(int(lab.stdout.readline()))
    assert lab.stdout.readline() == "up\n"
    assert os.getsid(child.pid) != os.getsid(lab.pid)  # Ctrl-C on the terminal does not reach it
    os.kill(lab.pid, signal.SIGKILL)
    lab.wait()
    lab.stdout.close()
    child.wait(5)


def test_a_slow_reader_does_not_hold_it_up(opened, database):
    load = opened["locust"].start(work(database, [ONE], calls([0]), for_s=0.5, saturate=True, clients=4))
    time.sleep(1)  # nobody reads; the report is larger than the pipe's buffer
    done = load.ops()
    assert done.ops["end_ns"].to_numpy().max() - done.start_ns < 0.9e9


@pytest.mark.parametrize("options", [{"process": 1}, {"processes": 0}, {"processes": "2"}, {"workers": 0}])
def test_unknown_options_are_refused(options, tmp_path):
    with pytest.raises(ScenarioError, match="driver locust: "), locust.opened(workdir=tmp_path, options=options):
        pass


def test_threads_are_gone_after_a_slice(opened, database):
    before = threading.active_count()
    driven(opened["inline"], work(database, [ONE], calls([0])))
    assert threading.active_count() == before


# --- a locustfile of the author's own -------------------------------------------------------

SCRIPT = """
import locust, psycopg

class Reader(locust.User):
    wait_time = locust.constant(0.01)

    def on_start(self):
        self.connection = psycopg.connect(self.host, autocommit=True)

    @locust.task(3)
    def read(self):
        with self.environment.events.request.measure("pg", "read") as request:
            request["response_length"] = self.connection.execute("SELECT pg_sleep(0.02)").rowcount

    @locust.task
    def fail(self):
        with self.environment.events.request.measure("pg", "fail"):
            self.connection.execute("SELECT 1 / 0")
"""


def scripted(folder, text, **changes):
    path = folder / "mine.py"
    path.write_text(text)
    return locust.opened(workdir=folder, options={"locustfile": str(path), **changes})


def test_an_authors_users_run_side_by_side_and_their_requests_are_operations(database, tmp_path):
    with scripted(tmp_path, SCRIPT) as driver:
        for _ in range(2):  # users of one slice are gone in the next
            ops = driven(driver, work(database, [], calls([]), clients=4, for_s=0.6)).ops
            names = ops["name"].to_pylist()
            assert ops.schema == OPS
            assert set(names) == {"read", "fail"}
            assert len(ops) > 4 * 0.6 / 0.05  # one after the other they could not be as many
            assert set(ops["client"].to_pylist()) == {0, 1, 2, 3}
            for name, outcome, state, rows in zip(
                names, *(ops[column].to_pylist() for column in ("outcome", "sqlstate", "rows")), strict=True
            ):
                assert outcome == "unknown" or (outcome, state, rows) == (
                    ("failed", "22012", 0) if name == "fail" else ("ok", None, 1)
                )
            reads = ms(ops, "end_ns", "start_ns")[np.array(names) == "read"]
            assert 20 <= np.median(reads) < 60
            assert ops["due_ns"].equals(ops["start_ns"])


def test_scripted_users_in_two_processes(database, tmp_path):
    with scripted(tmp_path, SCRIPT, processes=2) as driver:
        ops = driven(driver, work(database, [], calls([]), clients=3, for_s=0.3)).ops
        assert set(ops["client"].to_pylist()) == {0, 1, 2}
        assert ops["seq"].to_pylist() == list(range(len(ops)))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("import nothing_of_the_kind", "No module named"),
        (SCRIPT.replace("self.host", "self.host + ' dbname=absent'"), 'on_start: .*"absent" does not exist'),
    ],
)
def test_a_script_that_cannot_begin_is_named(database, tmp_path, text, words):
    with scripted(tmp_path, text) as driver, pytest.raises(LabError, match=rf"mine\.py: .*{words}"):
        driver.start(work(database, [], calls([])))


# --- Locust's own workers -------------------------------------------------------------------


@pytest.fixture(scope="module")
def workers(tmp_path_factory):
    """The driver with two load workers on this machine."""
    with locust.opened(workdir=tmp_path_factory.mktemp("workers"), options={"workers": 2}) as driver:
        yield driver


def test_two_workers_do_what_one_process_does(workers, opened, database):
    due = pace.due_times(rate=200, for_s=0.5, arrivals="poisson", seed=3)
    params = [[str(number)] for number in range(len(due))]
    query = Query("same", "s.sql", (Statement("SELECT $1::int / 1", (0,)),))
    one, two = (
        driven(driver, work(database, [query], calls(due, params), clients=3)) for driver in (opened["locust"], workers)
    )
    for done in (one, two):
        ops = done.ops.sort_by("seq")
        assert (ops["due_ns"].to_numpy() - done.start_ns).tolist() == due.tolist()
        assert ops["key"].to_pylist() == [key for (key,) in params]
        assert set(ops["outcome"].to_pylist()) == {"ok"}
        assert np.all(ms(ops, "start_ns", "due_ns") >= 0)
    assert set(two.ops["client"].to_pylist()) == {0, 1, 2}
    assert one.workers == ()
    assert [about["clock_error_ns"] for about in two.workers] == [0, 0]  # one machine has one clock
    assert len({about["pid"] for about in two.workers}) == 2
    assert all(0 < about["cpu_share"] <= 1.5 for about in two.workers)
    assert two.cpu_s == pytest.approx(sum(about["cpu_s"] for about in two.workers))


def test_workers_saturate_and_stop(workers, database):
    seqs = driven(workers, work(database, [ONE], calls([0]), for_s=0.3, saturate=True)).ops["seq"].to_pylist()
    assert len(seqs) == len(set(seqs)) > 50
    load = workers.start(work(database, [SLEEP], calls([0] * 2, [["30"]] * 2), for_s=60))
    assert not load.wait(0.3)
    load.stop()
    assert load.wait(5)
    assert load.ops().ops["outcome"].to_pylist() == ["unknown"] * 2


def test_workers_fail_with_the_servers_words(workers, database):
    wrong = Query("wrong", "mix/wrong.sql", (Statement("SELECT nothing FROM nowhere"),))
    with pytest.raises(LabError, match=r'^mix/wrong\.sql: .*\'wrong\': relation "nowhere" does not exist'):
        workers.start(work(database, [wrong], calls([0])))
    nowhere = Endpoint("primary", "write", database.conninfo + " dbname=absent")
    with pytest.raises(ClusterError, match=rf"absent.* \(asked by the load worker on {os.uname().nodename}\)"):
        workers.start(work(nowhere, [ONE], calls([0])))
    divide = Query("divide", "divide.sql", (Statement("SELECT 1 / $1::int", (0,)),))
    ops = driven(workers, work(database, [divide], calls([0, 1], [["1"], ["0"]]))).ops.sort_by("seq")
    assert ops["sqlstate"].to_pylist() == [None, "22012"]


def listening(processes):
    """Addresses on which they listen."""
    sockets = [one for process in processes for one in process.net_connections("inet")]
    return [one.laddr.ip for one in sockets if one.status == psutil.CONN_LISTEN]


def test_only_the_master_listens_and_only_on_loopback(workers):
    del workers
    children = psutil.Process().children()
    mine = {name: [c for c in children if name in small.words(c)] for name in ("_master.py", "_worker.py")}
    assert listening(mine["_master.py"]) == ["127.0.0.1"]
    assert len(mine["_worker.py"]) == 2
    assert listening(mine["_worker.py"]) == []


def test_a_worker_lost_in_mid_run_is_an_error_and_no_half_load(database, tmp_path):
    with locust.opened(workdir=tmp_path, options={"workers": 2}) as driver:
        load = driver.start(work(database, [ONE], calls(pace.due_times(rate=100, for_s=1)), for_s=1))
        os.kill(driver._processes[0].about["pid"], signal.SIGKILL)
        assert load.wait(20)
        with pytest.raises(DriverError, match=r"^load worker .* is lost, its heartbeat has stopped"):
            load.ops()
        with pytest.raises(DriverError, match=r"^load worker .* is lost"):
            driver.start(work(database, [ONE], calls([0])))


def test_workers_are_gone_afterwards(tmp_path):
    with locust.opened(workdir=tmp_path, options={"workers": 2}) as driver:
        pids = [one.about["pid"] for one in driver._processes]
    assert not any(map(psutil.pid_exists, pids))
    assert "the run is over" in (tmp_path / "worker.0.log").read_text()


def test_scripted_users_in_two_workers(database, tmp_path):
    with scripted(tmp_path, SCRIPT, workers=2) as driver:
        ops = driven(driver, work(database, [], calls([]), clients=3, for_s=0.3)).ops
        assert set(ops["client"].to_pylist()) == {0, 1, 2}
        assert set(ops["name"].to_pylist()) == {"read", "fail"}


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def elsewhere(port, folder, before=(), **given):
    """A worker as somebody would start it on another machine; its output goes to a file."""
    command = [*before, sys.executable, "-m", "lab.cli", "load-worker", "--master", "127.0.0.1", "--port", str(port)]
    with (folder / "elsewhere.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env={**os.environ, **given})
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def test_a_worker_of_the_command_line_takes_part_and_ends_with_the_run(database, tmp_path):
    port, told = free_port(), []
    options = {"workers": 1, "bind": f"localhost:{port}", "tell": told.append}
    with elsewhere(port, tmp_path) as process:
        with locust.opened(workdir=tmp_path, options=options) as driver:
            done = driven(driver, work(database, [ONE], calls(pace.due_times(rate=100, for_s=0.3))))
        assert len(done.ops) == 30
        assert [about["pid"] for about in done.workers] == [process.pid]
        assert process.wait(20) == 0
    assert told[0].endswith(f"pglab load-worker --master 127.0.0.1 --port {port}")
    assert told[1].startswith("load worker 1 of 1 has come: ")


def test_a_worker_with_another_token_is_refused_and_told_why(tmp_path, monkeypatch):
    port, told = free_port(), []
    monkeypatch.setattr(_distributed, "COME_S", 15.0)
    monkeypatch.setenv("PGLAB_LOAD_TOKEN", "ours")
    options = {"workers": 1, "bind": f"127.0.0.1:{port}", "tell": told.append}
    with elsewhere(port, tmp_path, PGLAB_LOAD_TOKEN="theirs") as process:
        with (
            pytest.raises(PlaceError, match=r"^0 of 1 load workers have come within 15 s \(pglab load-worker"),
            locust.opened(workdir=tmp_path, options=options),
        ):
            pass
        assert process.wait(5) == 2
    assert "it has another token" in told[1]
    assert "refuses this worker: it has another token" in (tmp_path / "elsewhere.log").read_text()


def test_an_address_that_is_not_this_machines_is_refused(tmp_path):
    with (
        pytest.raises(PlaceError, match=r"^--load-bind: 203\.0\.113\.1:5557: .*an address of this machine"),
        locust.opened(workdir=tmp_path, options={"workers": 1, "bind": "203.0.113.1"}),
    ):
        pass


def test_a_worker_with_another_clock_is_brought_onto_ours(database, tmp_path):
    """In a namespace whose CLOCK_MONOTONIC is a day ahead: as on another machine, and the truth is known."""
    ahead = ["unshare", "--time", "--monotonic", "86400"]
    if subprocess.run([*ahead, "true"], capture_output=True, check=False).returncode:
        pytest.skip("unshare cannot make a time namespace here (it takes root, and Linux 5.6)")
    port, due = free_port(), pace.due_times(rate=100, for_s=0.5)
    options = {"workers": 1, "bind": f"127.0.0.1:{port}"}
    with elsewhere(port, tmp_path, ahead), locust.opened(workdir=tmp_path, options=options) as driver:
        before_ns = time.monotonic_ns()
        done = driven(driver, work(database, [ONE], calls(due), for_s=0.5))
        assert driver._processes[0].clock().offset_ns == pytest.approx(86_400e9, abs=5e6)
    assert (done.ops["due_ns"].to_numpy() - done.start_ns)[np.argsort(done.ops["seq"])].tolist() == due.tolist()
    assert before_ns < done.ops["start_ns"].to_numpy().min()
    assert done.ops["end_ns"].to_numpy().max() < time.monotonic_ns()
    error_ns = done.workers[0]["clock_error_ns"]
    assert 0 < error_ns < 50e6
    assert np.all(ms(done.ops, "start_ns", "due_ns") >= -error_ns / 1e6)
    assert np.median(ms(done.ops, "start_ns", "due_ns")) < 50


@pytest.mark.docker
def test_a_worker_in_a_container_takes_part(docker_host, server, database, tmp_path):
    del docker_host  # it skips where no engine answers
    if not [one for one in images.listed() if one.name == "pglab/loadgen:latest" and one.present]:
        pytest.skip("the image pglab/loadgen is not here (pglab images build loadgen)")
    port, name = free_port(), f"pglab-load-{secrets.token_hex(4)}"
    place = Path(server.conninfo().split("host=")[1].split()[0])
    mounts = [f"--volume={Path(lab.__file__).parent.parent}:/pglab:ro", f"--volume={place}:{place}"]
    command = ["docker", "run", "--rm", "--name", name, "--network", "host", *mounts, "pglab/loadgen"]
    with subprocess.Popen([*command, "127.0.0.1", str(port)], stdout=subprocess.DEVNULL) as process:
        try:
            options = {"workers": 1, "bind": f"127.0.0.1:{port}"}
            with locust.opened(workdir=tmp_path, options=options) as driver:
                done = driven(driver, work(database, [ONE], calls(pace.due_times(rate=100, for_s=0.3))))
            assert process.wait(30) == 0
        finally:
            subprocess.run(["docker", "rm", "--force", name], capture_output=True, check=False)
    assert set(done.ops["outcome"].to_pylist()) == {"ok"}
    assert len(done.ops) == 30
