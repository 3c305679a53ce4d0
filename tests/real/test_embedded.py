"""The embedded host on this machine: really up, really gone."""

import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from lab import pg
from lab.errors import ClusterError
from lab.hosts import _tree, embedded

pytestmark = pytest.mark.server


def test_a_server_answers_with_the_settings_asked_for(host, tmp_path):
    preload = {"shared_preload_libraries": "pg_stat_statements"}
    with (
        host.server("one", {**preload, "work_mem": "7MB"}, tmp_path) as server,
        pg.connected(server.conninfo()) as connection,
    ):
        assert pg.ask(connection, "SHOW work_mem") == {"work_mem": "7MB"}
        assert pg.ask(connection, "SELECT rolsuper FROM pg_roles WHERE rolname = current_user") == {"rolsuper": False}
        assert pg.ask(connection, "SHOW fsync") == {"fsync": "on"}
        assert server.cpu_s() > 0


def test_what_the_environment_says_of_another_server_leads_nobody_there(tmp_path, monkeypatch):
    for name, word in {
        "PGPORT": "1",
        "PGHOSTADDR": "127.0.0.1",
        "PGSERVICE": "absent",
        "PGOPTIONS": "-c a.b=c",
    }.items():
        monkeypatch.setenv(name, word)
    with (
        embedded.opened("talone") as host,
        host.server("one", {"shared_preload_libraries": "pg_stat_statements"}, tmp_path) as server,
        pg.connected(server.conninfo()) as connection,
    ):
        assert pg.ask(connection, "SELECT current_setting('a.b', true) AS told") == {"told": None}
    assert os.environ["PGPORT"] == "1"


def test_a_server_that_refuses_a_setting_says_so(host, tmp_path):
    with (
        pytest.raises(ClusterError, match=r"one: the server did not start: .*shared_buffers"),
        host.server("one", {"shared_buffers": "many"}, tmp_path),
    ):
        pass


def test_a_server_starts_whatever_the_umask(tmp_path, monkeypatch):
    before = os.umask(0o077)
    try:
        with tempfile.TemporaryDirectory(prefix="t", dir="/var/tmp") as top:
            Path(top).chmod(0o711)
            monkeypatch.setenv("PGLAB_BASE", f"{top}/base")
            settings = {"shared_preload_libraries": "pg_stat_statements"}
            with embedded.opened("tmask") as host, host.server("one", settings, tmp_path / "logs") as server:
                assert server.cpu_s() > 0
    finally:
        os.umask(before)


def test_nothing_but_the_log_remains(tmp_path):
    with embedded.opened("tgone") as host:
        home = host.home
        with host.server("one", {"shared_preload_libraries": "pg_stat_statements"}, tmp_path) as server:
            pid = server._process.pid
        assert not psutil.pid_exists(pid)
    assert not home.exists()
    assert "ready to accept connections" in (tmp_path / "one.log").read_text()


def test_restore_brings_the_kept_state_back(host, tmp_path):
    with host.server("one", {"shared_preload_libraries": "pg_stat_statements"}, tmp_path) as server:
        with pg.connected(server.conninfo()) as connection:
            pg.run(connection, "CREATE TABLE t AS SELECT 1 AS a")
        server.snapshot()
        with pg.connected(server.conninfo()) as connection:
            pg.run(connection, "DROP TABLE t")
        server.restore()
        with pg.connected(server.conninfo()) as connection:
            assert pg.ask(connection, "SELECT a FROM t") == {"a": 1}


def test_a_server_dies_with_the_lab(tmp_path):
    script = (
        "import sys, time; from pathlib import Path; from lab.hosts import embedded\n"
        "with embedded.opened('tdies') as host:\n"
        "    with host.server('one', {'shared_preload_libraries': 'pg_stat_statements'}, Path(sys.argv[1])) as s:\n"
        "        print(s._process.pid, flush=True); time.sleep(60)\n"
    )
    lab = subprocess.Popen([sys.executable, "-c", script, tmp_path], stdout=subprocess.PIPE, text=True)
    pid = int(lab.stdout.readline())
    os.kill(lab.pid, signal.SIGKILL)
    lab.wait()
    lab.stdout.close()
    deadline = time.monotonic() + 5
    while psutil.pid_exists(pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    left = Path(embedded.base() / "tdies")
    assert left.exists()
    __import__("shutil").rmtree(left)
    assert not psutil.pid_exists(pid)


PRELOAD = {"shared_preload_libraries": "pg_stat_statements"}


def tree(server):
    """The server and its children."""
    postmaster = psutil.Process(server._process.pid)
    return [postmaster.pid, *(child.pid for child in postmaster.children(recursive=True))]


def test_a_server_killed_at_work_is_gone_at_once_and_starts_again(host, tmp_path, monkeypatch):
    monkeypatch.setattr(_tree, "DEAD_S", 1)
    with host.server("one", PRELOAD, tmp_path) as server:
        with pg.connected(server.conninfo()) as connection:
            pg.run(connection, "CREATE TABLE t AS SELECT 1 AS a", "SELECT pg_sleep(0)")
            busy = threading.Thread(target=lost, args=(connection, "SELECT count(*) FROM generate_series(1, 1e9)"))
            busy.start()
            time.sleep(0.2)
            there = tree(server)
            try:
                server.kill()
                assert [pid for pid in there if embedded.born(pid) is not None] == []
            finally:
                _tree._send(there, signal.SIGKILL)  # else a failure would wait for an answer for ever
            busy.join()
        server.kill()  # there is nothing left to kill
        server.start()
        assert (server.data / "postmaster.pid").read_text().splitlines()[0] == str(server._process.pid)
        with pg.connected(server.conninfo()) as connection:
            assert pg.ask(connection, "SELECT a FROM t") == {"a": 1}


def test_the_file_that_a_killed_server_left_says_nothing_of_the_next(host, tmp_path, monkeypatch):
    with host.server("one", PRELOAD, tmp_path) as server:
        left = (server.data / "postmaster.pid").read_text().splitlines()
        assert left[7].strip() == "ready"
        with monkeypatch.context() as patched:
            patched.setattr(server, "_process", SimpleNamespace(pid=int(left[0]) + 1, poll=lambda: None))
            with pytest.raises(ClusterError, match="was not ready"):
                server._wait_until_ready(time.monotonic() + 0.05)
        server._wait_until_ready(time.monotonic() + 0.05)


def lost(connection, statement):
    with pytest.raises(pg.OperationalError):
        pg.run(connection, statement)


def test_a_killed_server_leaves_no_shared_memory(host, tmp_path):
    with host.server("one", PRELOAD, tmp_path) as server:
        held = set(_tree._held(server._process.pid))
        server.kill()
    paths = {path for path, _ in held}
    assert {path.split(".")[0][:5] for path in paths} == {"/SYSV", "/dev/"}
    assert not [path for path in paths if Path(path).exists()]
    segments = {line.split()[1] for line in Path("/proc/sysvipc/shm").read_text().splitlines()[1:]}
    assert not segments & {str(number) for path, number in held if path.startswith("/SYSV")}


def test_a_paused_server_answers_nobody_until_it_goes_on(host, tmp_path):
    with host.server("one", PRELOAD, tmp_path) as server:
        server.pause()
        with (
            pytest.raises(pg.OperationalError, match="timeout"),
            pg.connected(f"{server.conninfo()} connect_timeout=2"),
        ):
            pass
        server.resume()
        with pg.connected(server.conninfo()) as connection:
            assert pg.ask(connection, "SELECT 1 AS a") == {"a": 1}


def test_a_paused_server_is_shut_down_all_the_same(host, tmp_path, monkeypatch):
    monkeypatch.setattr(embedded, "END_S", 20)
    with host.server("one", PRELOAD, tmp_path) as server:
        server.pause()
        server.stop()
        server.start()
    assert (tmp_path / "one.log").read_text().count("database system was shut down at") == 2  # by initdb, and now


def test_what_is_done_to_a_server_that_is_gone_says_so(host, tmp_path):
    with host.server("one", PRELOAD, tmp_path) as server:
        server.kill()
        for act in (server.pause, server.resume, server.cpu_s):
            with pytest.raises(ClusterError, match="one: the server is gone"):
                act()


def test_a_standby_follows_as_it_was_asked(host, tmp_path):
    with host.server("one", PRELOAD, tmp_path) as server, host.standby(server, "one-b", PRELOAD, tmp_path) as standby:
        with pg.connected(standby.conninfo()) as connection:
            assert pg.ask(connection, "SELECT pg_is_in_recovery() AS yes") == {"yes": True}
        with pg.connected(server.conninfo(user="pglab")) as admin:
            found = pg.ask(admin, "SELECT slot_name, active FROM pg_replication_slots")
            assert found == {"slot_name": "one_b", "active": True}
            assert pg.ask(admin, "SELECT application_name AS name FROM pg_stat_replication") == {"name": "one-b"}


def test_cpu_seconds_are_those_of_the_postmaster_its_children_and_those_it_waited_for(host, tmp_path):
    work = "SELECT count(*) FROM generate_series(1, 1000000) a, LATERAL (SELECT sqrt(a)) b"
    with host.server("one", {}, tmp_path) as server:
        before_s = server.cpu_s()
        with pg.connected(server.conninfo()) as connection:
            start_s = time.perf_counter()
            pg.run(connection, work)
            took_s = time.perf_counter() - start_s
            lives_s = server.cpu_s() - before_s
        until = time.monotonic() + 5
        while backends(server) and time.monotonic() < until:
            time.sleep(0.01)
        ended_s = server.cpu_s() - before_s
    assert 0.5 * took_s < lives_s < 1.5 * took_s + 0.05  # the session lives
    assert lives_s - 0.03 < ended_s < lives_s + 0.1  # it has ended; of that clock ticks count


def backends(server):
    """How many sessions of clients there are, beside who asks."""
    with pg.connected(server.conninfo()) as connection:
        found = pg.ask(connection, "SELECT count(*) AS n FROM pg_stat_activity WHERE backend_type = 'client backend'")
    return found["n"] - 1
