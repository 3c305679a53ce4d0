"""A database that was kept and brought back answers as one that was loaded anew."""

from pathlib import Path

import pytest

from lab import count, pg
from lab.hosts import embedded
from lab.model import Query, Statement

pytestmark = pytest.mark.server

LOAD = (
    "CREATE TABLE events (id bigint PRIMARY KEY, at timestamptz, value float8)",
    "INSERT INTO events SELECT n, timestamptz '2026-01-01' + n * interval '1 min', n / 7.0"
    " FROM generate_series(1, 5000) n",
)
ASKED = Query("all", "all.sql", (Statement("SELECT id, at, value FROM events", ()),))


def digest(conninfo: str) -> str:
    """Of all rows, as the count pass makes it."""
    with pg.connected(conninfo, autocommit=False) as connection:
        count.prepare(connection, [ASKED])
        return count._digest(connection, ASKED, [])


def loaded(conninfo: str) -> str:
    with pg.connected(conninfo) as connection:
        pg.run(connection, *LOAD)
    return digest(conninfo)


def test_a_restored_database_and_one_loaded_anew_give_equal_digests(tmp_path: Path) -> None:
    settings = {"shared_preload_libraries": "pg_stat_statements"}
    with embedded.opened("resetting") as host:
        with host.server("kept", settings, tmp_path) as server:
            first = loaded(server.conninfo())
            server.snapshot()
            with pg.connected(server.conninfo()) as connection:
                pg.run(connection, "DELETE FROM events WHERE id % 10 = 0")
            assert digest(server.conninfo()) != first
            server.restore()
            restored = digest(server.conninfo())
        with host.server("anew", settings, tmp_path) as server:
            anew = loaded(server.conninfo())
    assert restored == anew == first
