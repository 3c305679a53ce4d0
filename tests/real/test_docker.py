"""The Docker host on this machine's engine: really up, really limited, really gone."""

import io
import os
import signal
import socket
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import docker as engine_client
import psutil
import pytest

from lab import pg, tidy
from lab.errors import ClusterError, PlaceError
from lab.hosts import Limits, _cgroup, _container, _engine, _home, docker
from lab.probes.host import HostProbe

pytestmark = [pytest.mark.server, pytest.mark.docker]
PRELOAD = {"shared_preload_libraries": "pg_stat_statements"}


def _listening(port: int) -> str:
    """A program of any image with Perl, which takes connections at a port."""
    made = f'IO::Socket::INET->new(LocalPort => {port}, Listen => 5, ReuseAddr => 1) or die "$!"'
    return f"exec perl -MIO::Socket::INET -e '$s = {made}; while (1) {{ $c = $s->accept }}'"


LISTENING = ("sh", "-c", _listening(5432))


def test_a_server_answers_with_the_settings_asked_for(docker_host, tmp_path):
    with (
        docker_host.server("one", {**PRELOAD, "work_mem": "7MB"}, tmp_path) as server,
        pg.connected(server.conninfo()) as connection,
    ):
        assert pg.ask(connection, "SHOW work_mem") == {"work_mem": "7MB"}
        assert pg.ask(connection, "SELECT rolsuper FROM pg_roles WHERE rolname = current_user") == {"rolsuper": False}
        assert pg.ask(connection, "SHOW fsync") == {"fsync": "on"}
        assert server.cpu_s() > 0


def test_a_server_that_refuses_a_setting_says_so(docker_host, tmp_path):
    with (
        pytest.raises(ClusterError, match=r"one: the server did not start: .*shared_buffers"),
        docker_host.server("one", {"shared_buffers": "many"}, tmp_path),
    ):
        pass


def test_a_password_is_in_no_connection_string_and_no_log(docker_host, tmp_path):
    with docker_host.server("one", {**PRELOAD, "log_statement": "all"}, tmp_path) as server:
        words = server.password("lab"), server.password("pglab")
        assert len(set(words)) == 2
        said = server.conninfo() + server.conninfo(user="pglab")
    said += (tmp_path / "one.log").read_text()
    assert "CREATE ROLE lab" in said
    assert [word for word in words if word in said] == []


def test_over_tcp_nobody_connects_without_a_password(docker_host, tmp_path):
    with docker_host.server("one", PRELOAD, tmp_path) as server:
        host, port = server.address()
        for user in ("lab", "pglab"):
            with (
                pytest.raises(pg.OperationalError, match="no password supplied"),
                pg.connected(pg.conninfo(host=host, port=port, user=user, dbname="lab", passfile="/nowhere")),
            ):
                pass
        assert "no password supplied" in server.run("sh", "-c", "psql -h 127.0.0.1 -U pglab -w postgres 2>&1 || true")


def test_a_standby_streams_and_its_password_is_in_no_setting(docker_host, tmp_path):
    with docker_host.private() as host, host.server("one", PRELOAD, tmp_path) as primary:
        with pg.connected(primary.conninfo()) as connection:
            pg.run(connection, "CREATE TABLE t AS SELECT 1 AS a")
        with host.standby(primary, "two-b", PRELOAD, tmp_path) as standby:
            with pg.connected(standby.conninfo()) as connection:
                assert pg.ask(connection, "SELECT a, pg_is_in_recovery() AS r FROM t") == {"a": 1, "r": True}
            with pg.connected(primary.conninfo(user="pglab")) as admin:
                asked = "SELECT application_name AS a, slot_name AS s FROM pg_stat_replication, pg_replication_slots"
                assert pg.ask(admin, asked) == {"a": "two-b", "s": "two_b"}
            with pg.connected(standby.conninfo(user="pglab")) as admin:
                assert primary.password("pglab") not in pg.ask(admin, "SHOW primary_conninfo")["primary_conninfo"]


def test_a_server_comes_back_from_whatever_happens_to_it_and_keeps_its_rows(docker_host, tmp_path):
    with docker_host.server("one", PRELOAD, tmp_path) as server:
        with pg.connected(server.conninfo()) as connection:
            pg.run(connection, "CREATE TABLE t AS SELECT 1 AS a")
        for end in (server.stop, server.kill):
            end()
            with pytest.raises(ClusterError, match="one: the container is gone: "):
                server.cpu_s()
            server.start()
            with pg.connected(server.conninfo()) as connection:
                assert pg.ask(connection, "SELECT a FROM t") == {"a": 1}
        assert "shutting down" in server.log.read_text()
        server.pause()
        with pytest.raises(pg.OperationalError), pg.connected(f"{server.conninfo()} connect_timeout=2"):
            pass
        server.resume()
        with pg.connected(server.conninfo()) as connection:
            assert pg.ask(connection, "SELECT a FROM t") == {"a": 1}
        server.pause()


def test_a_server_whose_address_was_taken_meanwhile_is_found_at_its_new_one(docker_host, tmp_path):
    with docker_host.private() as host, host.server("one", PRELOAD, tmp_path) as server:
        before = server.address()
        server.stop()
        with host.container("two", server.image, tmp_path, port=5432, command=LISTENING) as other:
            assert other.address() == before
            server.start()
            assert server.address() != before
            with pg.connected(server.conninfo()) as connection:
                assert pg.ask(connection, "SELECT 1 AS a") == {"a": 1}


def test_restore_brings_the_kept_state_back(docker_host, tmp_path):
    with docker_host.server("one", PRELOAD, tmp_path) as server:
        with pg.connected(server.conninfo()) as connection:
            pg.run(connection, "CREATE TABLE t AS SELECT 1 AS a")
        server.snapshot()
        for _ in range(2):
            with pg.connected(server.conninfo()) as connection:
                pg.run(connection, "DROP TABLE t")
            server.restore()
            with pg.connected(server.conninfo()) as connection:
                assert pg.ask(connection, "SELECT a FROM t") == {"a": 1}


# --- what a container is given --------------------------------------------------------------


def test_limits_are_in_force_and_read_from_where_the_kernel_enforces_them(docker_host, tmp_path):
    asked = Limits(cpus=0.25, cpuset="0", memory_bytes=256 * 2**20)
    with docker_host.server("one", PRELOAD, tmp_path, limits=asked) as server:
        assert server.limits() == asked
        assert _cgroup.within(server.run) == asked
        before = server.cpu_s()
        server.run("sh", "-c", "i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done")
        assert server.cpu_s() > before + 0.1
        assert server.throttled_s() > 0
        assert server._stats()["cpu_usage"]["total_usage"] / 1e9 == pytest.approx(server.cpu_s(), abs=0.05)


def test_a_limit_that_is_not_in_force_is_an_error(docker_host, tmp_path, monkeypatch):
    monkeypatch.setattr(_container, "_limited", lambda _: {})
    with (
        pytest.raises(ClusterError, match=r"one: the limits are not in force: cpus is None, not 0\.5"),
        docker_host.server("one", PRELOAD, tmp_path, limits=Limits(cpus=0.5)),
    ):
        pass


def test_a_limit_that_the_engine_refuses_is_an_error_in_its_words(docker_host, tmp_path):
    with (
        pytest.raises(ClusterError, match=r"one: the Docker engine refuses: .*4 ?MB|6 ?MB"),
        docker_host.server("one", PRELOAD, tmp_path, limits=Limits(memory_bytes=1)),
    ):
        pass


def test_containers_of_a_cluster_know_each_other_by_name_and_nobody_else(docker_host, tmp_path):
    with (
        docker_host.private() as host,
        docker_host.private() as others,
        host.server("one", PRELOAD, tmp_path / "a") as one,
        host.container("two", one.image, tmp_path / "a", port=5432, command=LISTENING) as two,
        others.container("one", one.image, tmp_path / "b", port=5432, command=LISTENING) as stranger,
    ):
        assert one.peer() == ("one", 5432)
        said = two.run("sh", "-c", f"PGPASSWORD={one.password('lab')} psql -h one -U lab -Atc 'SELECT 41 + 1' lab")
        assert said.strip() == "42"
        with pytest.raises(ClusterError, match="pg_isready"):
            stranger.run("pg_isready", "-t", "1", "-h", one.address()[0])
        with pytest.raises(ClusterError, match="pg_isready"):
            stranger.run("pg_isready", "-t", "1", "-h", "two")


def test_a_container_gets_its_variables_files_and_command(docker_host, tmp_path):
    script = "#!/bin/sh\ncat /etc/a/b/text; echo $WORD\n"
    with docker_host.container(
        *("two", docker_host.image, tmp_path),
        port=6000,
        env={"WORD": "from the environment"},
        files={"/etc/a/b/text": "from a file\n", "/usr/local/bin/say": script},
        command=("sh", "-c", f"say; {_listening(6000)}"),
    ) as two:
        assert two.address()[1] == 6000
        assert "from a file\nfrom the environment\n" in two.log.read_text()


def test_nothing_is_published_where_a_container_is_reached_by_its_own_address(docker_host, tmp_path):
    with docker_host.container("two", docker_host.image, tmp_path, port=5432, command=LISTENING) as two:
        assert two.address()[0] != "127.0.0.1"
        assert not any(two._it.attrs["NetworkSettings"]["Ports"].values())


def test_elsewhere_its_port_is_published_on_loopback_only(docker_host, tmp_path, monkeypatch):
    monkeypatch.setattr(docker, "local", lambda _: False)
    monkeypatch.setattr(_cgroup, "of", lambda *_: None)
    with docker_host.server("one", PRELOAD, tmp_path, limits=Limits(cpus=1)) as server:
        assert server.address()[0] == "127.0.0.1"
        bound = [one for ports in server._it.attrs["NetworkSettings"]["Ports"].values() for one in ports or ()]
        assert {one["HostIp"] for one in bound} == {"127.0.0.1"}
        with pg.connected(server.conninfo()) as connection:
            assert pg.ask(connection, "SHOW fsync") == {"fsync": "on"}
        assert server.cpu_s() > 0
        assert server.throttled_s() >= 0
        with pytest.raises(ClusterError, match=r"one: the port 8008 is not reached from here"):
            server.address(8008)


# --- mistakes and misfortunes ---------------------------------------------------------------


def test_a_port_that_is_taken_is_told(docker_host, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with (
            pytest.raises(ClusterError, match=rf"two: the port 127\.0\.0\.1:{port} is taken \(end what listens"),
            docker_host.container("two", docker_host.image, tmp_path, port=5432, command=LISTENING, published=port),
        ):
            pass


def test_a_container_that_ends_at_once_is_told_with_its_last_words(docker_host, tmp_path):
    command = ("sh", "-c", "echo no such thing >&2; exit 7")
    with (
        pytest.raises(ClusterError, match=r"two: the container ended with status 7: no such thing"),
        docker_host.container("two", docker_host.image, tmp_path, port=5432, command=command),
    ):
        pass
    assert (tmp_path / "two.log").read_text() == "no such thing\n"


def test_a_container_that_never_listens_is_told(docker_host, tmp_path, monkeypatch):
    monkeypatch.setattr(_container, "START_S", 0.5)
    with (
        pytest.raises(ClusterError, match=r"two: took no connection at port 5432 within 0 s: hello"),
        docker_host.container(
            "two", docker_host.image, tmp_path, port=5432, command=("sh", "-c", "echo hello; sleep 60")
        ),
    ):
        pass


def test_an_image_of_the_authors_own_may_have_made_an_extension_that_is_not_trusted(docker_host, tmp_path):
    script = 'psql -U "$POSTGRES_USER" -d template1 -c "CREATE EXTENSION hypopg"'
    recipe = f"FROM {docker_host.image}\nRUN printf '{script}\\n' > /docker-entrypoint-initdb.d/zz-mine.sh\n"
    with closing(engine_client.from_env()) as client:
        client.images.build(fileobj=io.BytesIO(recipe.encode()), tag="pglab-test/own:1", rm=True, forcerm=True)
        try:
            with (
                docker_host.server("one", PRELOAD, tmp_path, image="pglab-test/own:1") as server,
                pg.connected(server.conninfo()) as author,
            ):
                assert pg.ask(author, "SELECT count(*) AS n FROM pg_extension WHERE extname = 'hypopg'") == {"n": 1}
        finally:
            client.images.remove("pglab-test/own:1", force=True)


def test_an_image_that_does_not_exist_is_told(docker_host, tmp_path):
    with (
        pytest.raises(PlaceError, match=r"image 'nowhere\.invalid/nothing:1': is not present, and cannot be pulled: "),
        docker_host.server("one", PRELOAD, tmp_path, image="nowhere.invalid/nothing:1"),
    ):
        pass


def test_an_image_that_is_no_server_is_told_and_leaves_nothing(docker_host, tmp_path):
    with (
        pytest.raises(ClusterError, match=r"the Docker engine refuses: .*\"?postgres\"?.*not found"),
        docker_host.server("one", PRELOAD, tmp_path, image="pglab/pgbouncer"),
    ):
        pass
    assert things(docker_host.home.name) == []


# --- what remains ---------------------------------------------------------------------------


def things(run: str) -> list[str]:
    """What the engine has of a run."""
    with _engine.answering("tests") as engine:
        only = {"filters": {"label": f"{_engine.RUN}={run}"}}
        found = [
            *engine.client.containers.list(all=True, **only),
            *engine.client.networks.list(**only),
            *engine.client.volumes.list(**only),
        ]
        return [one.name for one in found]


def fall(host: docker.Docker, logs: Path) -> None:
    """Open a primary and a standby, and fail."""
    with (
        host.private() as private,
        private.server("one", PRELOAD, logs) as one,
        private.standby(one, "two", PRELOAD, logs),
    ):
        assert len(things("tgone")) == 5
        one.pause()
        raise KeyError


@pytest.mark.usefixtures("docker_host")
def test_nothing_but_the_logs_remains_however_it_ended(tmp_path):
    with docker.opened("tgone") as host:
        home = host.home
        with pytest.raises(KeyError):
            fall(host, tmp_path)
    assert things("tgone") == []
    assert not home.exists()
    for name in ("one", "two"):
        assert "ready to accept" in (tmp_path / f"{name}.log").read_text()


def test_the_first_reading_of_two_runs_on_one_host_is_the_same(docker_host):
    with docker.opened("tsame") as other:
        assert other.fingerprint() == docker_host.fingerprint()
    seen = docker_host.fingerprint()
    assert seen["postgres"].partition(".")[0] == docker_host.image.rpartition(":")[2]
    assert seen["image"].startswith("sha256:")


def test_what_a_killed_lab_left_is_found_with_its_size_and_removed_and_a_live_run_keeps_its_own(docker_host, tmp_path):
    script = (
        "import sys, time; from pathlib import Path; from lab.hosts import docker\n"
        "with docker.opened('tkilled') as host:\n"
        f"    with host.server('one', {PRELOAD}, Path(sys.argv[1])):\n"
        "        print('up', flush=True); time.sleep(60)\n"
    )
    lab = subprocess.Popen([sys.executable, "-c", script, tmp_path], stdout=subprocess.PIPE, text=True)
    assert lab.stdout.readline() == "up\n"
    os.kill(lab.pid, signal.SIGKILL)
    lab.wait()
    lab.stdout.close()
    with docker_host.container("two", docker_host.image, tmp_path, port=5432, command=LISTENING):
        found = tidy.left(_home.base(), tmp_path)
        assert not any(docker_host.home.name in one.where for one in found)
        ours = [one for one in found if "tkilled" in one.where]
        assert [one.what for one in ours] == ["container", "network", "volume", "servers' data"]
        assert ours[2].bytes > 2**20
        tidy.remove(ours)
    assert things("tkilled") == []
    assert not any("tkilled" in one.where for one in tidy.left(_home.base(), tmp_path))
    tidy.remove(ours)


@pytest.mark.usefixtures("docker_host")
def test_what_has_lost_its_home_is_left_over_and_that_of_another_base_folder_is_somebody_elses(tmp_path, monkeypatch):
    monkeypatch.setattr(_engine, "base", lambda: tmp_path)
    with _engine.answering("tlost") as engine:
        engine.client.volumes.create("pglab-tlost", labels=dict(engine.labels()))
    assert not any("tlost" in one.where for one in tidy.left(tmp_path / "another", tmp_path))
    (found,) = tidy.left(tmp_path, tmp_path)
    assert (found.what, found.where) == ("volume", "pglab-tlost")
    tidy.remove([found])
    assert tidy.left(tmp_path, tmp_path) == []


def test_an_engine_that_is_down_keeps_nobody_from_cleaning_the_rest(tmp_path, monkeypatch):
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/nobody.sock")
    (tmp_path / "base" / "gone").mkdir(parents=True)
    os.utime(tmp_path / "base" / "gone", (0, 0))
    (found,) = tidy.left(tmp_path / "base", tmp_path)
    tidy.remove([found])
    assert not (tmp_path / "base" / "gone").exists()


def test_without_an_engine_there_is_one_message_with_the_way_out(tmp_path, monkeypatch):
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/nobody.sock")
    with (
        pytest.raises(
            PlaceError, match=r"^no Docker engine answers: unix://.*/nobody\.sock: No such file or directory "
        ),
        docker.opened("tnone"),
    ):
        pass
    assert not (_home.base() / "tnone").exists()


def test_what_a_container_of_the_run_takes_is_the_labs_and_what_anothers_takes_is_foreign(docker_host, tmp_path):
    probe = HostProbe(ours=docker_host.own)
    with docker_host.server("one", PRELOAD, tmp_path) as server:
        inside = _pids(server)
        assert inside
        assert not inside & _foreign(probe)
        server.run("true")
        with docker.opened("tother") as other, other.server("two", PRELOAD, tmp_path) as stranger:
            theirs, foreign = _pids(stranger), _foreign(probe)
            there = theirs & _pids(stranger)  # one that a server starts may end in between
            assert there <= foreign
            assert there
            assert not _pids(stranger) & _foreign(HostProbe(ours=other.own))


def _pids(server) -> set[int]:
    """The postmaster and its children."""
    first = psutil.Process(server.pid())
    return {first.pid, *(child.pid for child in first.children())}


def _foreign(probe: HostProbe) -> set[int]:
    return {int(key.partition(".")[0]) for key in probe.read()["processes"]}
