"""Fixtures: one embedded server for the whole session, a fresh database for each test that asks."""

import secrets
import signal
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from lab import pg
from lab.errors import PlaceError
from lab.hosts import Server, docker, embedded
from lab.model import Endpoint


def pytest_configure() -> None:
    """What is started in the background of a script ignores interrupts, and hands that on: tests send them."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


REAL = Path(__file__).parent / "real"


@pytest.hookimpl(tryfirst=True)  # before those are left out that a marker says
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whatever lies in tests/real needs a server: `make check` leaves it out."""
    for item in items:
        if item.path.is_relative_to(REAL):
            item.add_marker("server")


@pytest.fixture(scope="session")
def host() -> Iterator[embedded.Embedded]:
    with embedded.opened(f"t{secrets.token_hex(3)}") as opened:
        yield opened


@pytest.fixture(scope="session")
def server(host: embedded.Embedded, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    settings = {
        "shared_preload_libraries": "pg_stat_statements",
        "pg_stat_statements.track_planning": "on",
        "max_connections": "60",
    }
    with host.server("tests", settings, tmp_path_factory.mktemp("logs")) as opened:
        yield opened


@pytest.fixture(scope="session")
def docker_host() -> Iterator["docker.Docker"]:
    """A run's host on a Docker engine; the test skips where none answers."""
    with ExitStack() as stack:
        try:
            host = stack.enter_context(docker.opened(f"t{secrets.token_hex(3)}"))
        except PlaceError as error:
            pytest.skip(str(error))
        yield host


@pytest.fixture
def database(server: Server) -> Iterator[Endpoint]:
    """A database of its own for one test, as the unprivileged role."""
    name = f"t{secrets.token_hex(4)}"
    with pg.connected(server.conninfo(user="pglab", dbname="postgres")) as admin:
        pg.run(admin, f"CREATE DATABASE {name} OWNER lab")
        yield Endpoint("primary", "write", server.conninfo(dbname=name))
        pg.run(admin, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def repo() -> Path:
    """The project's own folder."""
    return Path(__file__).parent.parent
