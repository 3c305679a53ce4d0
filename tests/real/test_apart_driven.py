"""Calls to databases apart as the drivers send them, where connections are lost, refused or waited for."""

import sys
import time
from contextlib import contextmanager
from dataclasses import replace

import pyarrow as pa
import pytest

from lab import parts, pg
from lab.drivers import CALLS
from lab.probes._sampler import Server
from tests.real.test_apart import HELD, asked, driver, filled, shape, work

__all__ = ["driver", "filled", "shape"]

pytestmark = pytest.mark.server

EVERY = ("a", "b b", "c'\"=")


def held(asked_for, connections):
    return replace(asked_for, apart=replace(asked_for.apart, connections=connections))


def timed(asked_for, dues_ms):
    calls = asked_for.calls.set_column(0, "due_ns", pa.array([due * 1_000_000 for due in dues_ms], pa.int64()))
    return replace(asked_for, calls=calls.cast(CALLS))


@contextmanager
def driving(driver, asked_for):
    """A slice under way, stopped at the end whatever happens."""
    load = driver.start(asked_for)
    try:
        yield load
    finally:
        load.stop()


def done(driver, asked_for):
    with driving(driver, asked_for) as load:
        assert load.wait(20)
        return load.ops()


@contextmanager
def locked(place):
    """Nobody can prepare anything of the table meanwhile."""
    with pg.connected(place.conninfo) as connection:
        pg.run(connection, "BEGIN", "LOCK TABLE orders IN ACCESS EXCLUSIVE MODE")
        yield


def kill(kept, where):
    ended = f"SELECT count(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity WHERE usename = 'lab' AND {where}"
    assert asked(kept.cluster.admin(), ended) > 0


def test_clients_that_change_their_connections_at_once_lose_no_call(driver, filled):
    order = [EVERY[at % 3] for at in range(400)]
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        ops = done(driver, held(work(filled, order, clients=8), 1)).ops
    finally:
        sys.setswitchinterval(before)
    assert sorted(ops["seq"].to_pylist()) == list(range(400))
    assert set(ops["outcome"].to_pylist()) == {"ok"}
    assert asked(filled.cluster.admin(), HELD) <= 8


@pytest.mark.parametrize(("connections", "there"), [(3, 6), (2, 1)])
def test_connections_are_opened_before_the_slice_where_all_may_be_held_and_only_there(
    driver, filled, connections, there
):
    done(driver, held(work(filled, ["a"], clients=2), connections))
    assert asked(filled.cluster.admin(), HELD) == there


def test_a_call_that_is_stopped_while_it_prepares_is_unknown_and_the_next_slice_goes_on(driver, filled):
    asked_for = timed(work(filled, ["a", "b b"]), [0, 10])
    with locked(filled.cluster.databases()["b b"]), driving(driver, asked_for) as load:
        assert not load.wait(0.5)
        load.stop()
        assert load.wait(5)
        ops = load.ops().ops
    assert ops["outcome"].to_pylist() == ["ok", "unknown"]
    assert set(done(driver, asked_for).ops["outcome"].to_pylist()) == {"ok"}


def test_what_was_done_before_a_stop_is_told_where_the_client_was_connecting_again(driver, filled):
    asked_for = replace(timed(work(filled, ["a"] * 3), [0, 600, 610]), apart=None)
    with driving(driver, asked_for) as load:
        time.sleep(0.2)
        kill(filled, "datname = 'lab'")
        with locked(filled.cluster.write()):
            assert not load.wait(1.0)
            load.stop()
            assert load.wait(5)
    assert load.ops().ops["outcome"].to_pylist()[0] == "ok"


# --- refused and lost -----------------------------------------------------------------------


def refused(kept, value, *, connections="false"):
    pg.run(kept.admin, f"ALTER DATABASE {pg.ident('lab:' + value)} ALLOW_CONNECTIONS {connections}")


def test_a_closed_loop_pauses_where_it_is_refused_and_ends_with_the_slice(driver, filled):
    asked_for = replace(work(filled, EVERY), saturate=True, for_s=1.6)
    for value in EVERY:
        refused(filled, value)
    told = done(driver, asked_for)
    assert time.monotonic_ns() - told.start_ns < 2.1e9  # pauses of 10 ms to 1 s, not cut off, end after 2.27 s
    ops = told.ops
    assert set(ops["outcome"].to_pylist()) == {"failed"}
    assert set(ops["sqlstate"].to_pylist()) <= {"55000", "08001"}
    assert 5 <= len(ops) <= 35


def test_a_pause_is_short_again_once_there_was_a_connection(driver, filled):
    asked_for = work(filled, ["a", "b b"] * 20)
    refused(filled, "b b")
    assert done(driver, asked_for).ops["outcome"].to_pylist() == ["ok", "failed"] * 20


def test_nobody_pauses_for_a_value_without_a_database(driver, filled):
    ops = done(driver, replace(work(filled, ["nobody"]), saturate=True, for_s=0.3)).ops
    assert set(ops["sqlstate"].to_pylist()) == {"3D000"}
    assert len(ops) > 100


def test_a_client_goes_on_once_it_is_no_longer_refused(driver, filled):
    asked_for = replace(work(filled, ["a"]), saturate=True, for_s=2.0)
    refused(filled, "a")
    with driving(driver, asked_for) as load:
        time.sleep(0.3)
        refused(filled, "a", connections="true")
        assert load.wait(10)
        outcomes = load.ops().ops["outcome"].to_pylist()
    assert outcomes[0] == "failed"
    assert outcomes[-1] == "ok"


def test_a_connection_that_is_lost_between_two_calls_is_dropped_and_the_database_asked_again(driver, filled):
    asked_for = timed(work(filled, ["a"] * 4), [0, 700, 720, 740])
    with driving(driver, asked_for) as load:
        time.sleep(0.3)
        kill(filled, "datname = 'lab:a'")
        assert load.wait(10)
        outcomes = load.ops().ops["outcome"].to_pylist()
    assert outcomes[1] in ("ok", "unknown")  # ok where the driver noticed before it sent anything
    assert outcomes[:1] + outcomes[2:] == ["ok"] * 3


# --- counted and watched --------------------------------------------------------------------


def test_connections_that_calls_opened_are_counted_and_those_before_the_slice_are_not(driver, filled):
    order = ["a", "b b", "a", "c'\"=", "a", "b b", "nobody"]  # c'"= in the place of b b, and the other way round
    asked_for = work(filled, order)
    assert done(driver, asked_for).opened == 4
    driver.forget("shape")
    assert done(driver, held(asked_for, 3)).opened == 0
    assert done(driver, replace(asked_for, apart=None)).opened == 0


def test_load_workers_tell_what_they_opened(filled, tmp_path):
    with parts.load("drivers", "locust").opened(workdir=tmp_path, options={"workers": 2}) as workers:
        assert done(workers, held(work(filled, ["a", "a", "b b", "b b"], clients=2), 1)).opened == 4


def test_who_watches_sees_what_databases_apart_do(filled):
    server, place = Server(filled.cluster.admin().conninfo), filled.cluster.databases()["a"]
    try:
        before = server.totals()
        assert server.waits()["active"] == 0
        with pg.connected(place.conninfo) as busy:
            for _ in range(20):
                pg.rows(busy, "SELECT count(*) FROM orders")
            busy.pgconn.send_query(b"SELECT pg_sleep(2)")
            time.sleep(1)
            assert server.waits() == {"active": 1.0, "wait.Timeout:PgSleep": 1.0}
            busy.pgconn.get_cancel().cancel()
            while busy.pgconn.get_result() is not None:
                pass
        time.sleep(0.5)
        after = server.totals()
    finally:
        server.close()
    assert after["commits"] - before["commits"] >= 20
    assert after["blocks_hit"] > before["blocks_hit"]
