"""Series of a real server, and who else keeps the machine busy."""

import subprocess
import sys
import time

import pytest

from lab import pg
from lab.check import FOREIGN_SHARE
from lab.hosts import embedded
from lab.model import Endpoint
from lab.probes import SERIES, watcher
from lab.probes.host import HostProbe, foreign_share
from lab.probes.watcher import Every

EVERY = Every(waits_ns=20_000_000, totals_ns=200_000_000)


@pytest.fixture(scope="module")
def server():
    with (
        embedded.opened("probes") as host,
        host.server("watched", {"shared_preload_libraries": "pg_stat_statements"}, host.home / "logs") as one,
    ):
        yield one


@pytest.fixture
def at(server):
    """The server as superuser."""
    return Endpoint("primary", "admin", server.conninfo(user="pglab"))


@pytest.fixture
def looking(tmp_path):
    with watcher.opened(tmp_path, EVERY) as one:
        yield one


def seen(table, name):
    """The readings of that name: times and values."""
    rows = [row for row in table.to_pylist() if row["name"] == name]
    return [row["at_ns"] for row in rows], [row["value"] for row in rows]


def test_a_sleeping_session_is_seen_to_sleep_and_at_what_times(server, at, looking):
    looking.begin([at], ())
    with pg.connected(server.conninfo()) as session:
        time.sleep(0.3)
        start_ns = time.monotonic_ns()
        pg.run(session, "SELECT pg_sleep(0.4)")
        end_ns = time.monotonic_ns()
        time.sleep(0.3)
    table = looking.end()
    times, values = seen(table, "wait.Timeout:PgSleep")
    assert table.schema == SERIES
    assert set(values) == {1.0}
    assert len(times) >= 5
    assert start_ns - EVERY.waits_ns < min(times) <= max(times) < end_ns + EVERY.waits_ns
    assert seen(table, "active")[1][0] == 0.0


def test_who_looks_is_not_seen(at, looking):
    looking.begin([at], ())
    time.sleep(0.3)
    table = looking.end()
    assert set(seen(table, "active")[1]) == {0.0}


def test_totals_grow_by_what_is_done(server, at, looking):
    looking.begin([at], ())
    with pg.connected(server.conninfo()) as session:
        pg.run(session, "CREATE TABLE written AS SELECT generate_series(1, 100000) a", "DROP TABLE written")
        until = time.monotonic() + 0.5
        while time.monotonic() < until:
            pg.run(session, "SELECT count(*) FROM generate_series(1, 10000)")
        table = looking.end()  # what has just ended may be seen neither as itself nor as its parent's
    _, wal = seen(table, "wal_bytes")
    _, spent = seen(table, "cpu_server_s")
    assert len(wal) >= 3
    assert wal[-1] - wal[0] > 100_000 * 28
    assert spent[-1] - spent[0] > 0.1


def test_a_connection_is_kept_from_slice_to_slice_and_opened_again_when_lost(server, at, looking):
    backends = []
    for _ in range(2):
        looking.begin([at], ())
        time.sleep(0.1)
        backends.append(_watching(server))
        looking.end()
    assert len(backends[0]) == 1
    assert backends[0] == backends[1]
    with pg.connected(at.conninfo) as admin:
        pg.run(admin, f"SELECT pg_terminate_backend({backends[0][0]})")
    looking.begin([at], ())
    time.sleep(0.3)
    table = looking.end()
    assert seen(table, "down")[1] == [1.0]
    assert seen(table, "active")[0]
    looking.forget()
    until = time.monotonic() + 10
    while _watching(server) and time.monotonic() < until:
        time.sleep(0.02)
    assert _watching(server) == []


def test_a_server_that_is_not_there_is_down_and_no_error(looking, tmp_path):
    looking.begin([Endpoint("gone", "admin", f"host={tmp_path} dbname=lab user=pglab")], ())
    time.sleep(0.1)
    table = looking.end()
    assert set(seen(table, "down")[1]) == {1.0}
    assert seen(table, "cpu_busy_s")[0]


def _watching(server):
    with pg.connected(server.conninfo(user="pglab")) as admin:
        found = pg.rows(admin, "SELECT pid FROM pg_stat_activity WHERE application_name = 'pglab watch'")
    return [row["pid"] for row in found]


# --- who else -------------------------------------------------------------------------------

SPIN = "import time; end = time.monotonic() + 2\nwhile time.monotonic() < end: pass"
SHORT = "end=$(($(date +%s) + 2)); while [ $(date +%s) -lt $end ]; do :; done"


def orphaned(*command):
    """Start a process that is no descendant of this one, and ends by itself after some two seconds."""
    subprocess.run(["setsid", "--fork", *command], check=True, stdout=subprocess.DEVNULL)


@pytest.mark.parametrize("command", [(sys.executable, "-c", SPIN), ("sh", "-c", SHORT)], ids=["one", "many-short"])
def test_who_keeps_a_core_busy_beside_is_foreign(command):
    probe = HostProbe()
    orphaned(*command)
    before, start = probe.read(), time.monotonic()
    time.sleep(1.0)
    share = foreign_share(probe.read(), before, time.monotonic() - start)
    time.sleep(1.0)
    assert share > FOREIGN_SHARE


def test_what_the_labs_own_processes_take_is_the_labs_even_when_they_have_ended():
    probe = HostProbe()
    before = probe.read()
    for _ in range(3):
        subprocess.run([sys.executable, "-c", SPIN.replace("+ 2", "+ 0.2")], check=True)
    after = probe.read()
    assert after["own_s"] - before["own_s"] > 0.15
    assert after["busy_s"] - before["busy_s"] >= 0
