"""Calls to databases apart as the drivers send them, where connections are lost, refused or waited for."""

import sys
import time
from contextlib import contextmanager
from dataclasses import replace

import pyarrow as pa
import pytest

from lab import pg
from lab.drivers import CALLS
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
