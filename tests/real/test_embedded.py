"""The embedded host on this machine: really up, really gone."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from lab import pg
from lab.errors import ClusterError
from lab.hosts import embedded

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


def test_a_server_that_refuses_a_setting_says_so(host, tmp_path):
    with (
        pytest.raises(ClusterError, match=r"one: the server did not start: .*shared_buffers"),
        host.server("one", {"shared_buffers": "many"}, tmp_path),
    ):
        pass


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
