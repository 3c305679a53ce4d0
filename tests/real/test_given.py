"""A server that somebody else runs: checked before anything is written, and left as it was."""

import secrets
from dataclasses import replace
from pathlib import Path

import pytest

from lab import pg, run, trial
from lab.clusters import given
from lab.errors import ClusterError, PlaceError
from lab.model import Instance, SqlFile, Topology
from lab.probes.host import HostProbe
from tests import samples

pytestmark = pytest.mark.server


@pytest.fixture
def theirs(server, monkeypatch):
    """An empty database of a superuser's on a server that runs, and its DSN in the environment."""
    name = f"g{secrets.token_hex(4)}"
    with pg.connected(server.conninfo(user="pglab", dbname="postgres")) as admin:
        pg.run(admin, f"CREATE ROLE {name} LOGIN SUPERUSER", f"CREATE DATABASE {name} OWNER {name}")
        monkeypatch.setenv("THEIR_DSN", server.conninfo(user=name, dbname=name))
        yield name
        pg.run(admin, f"DROP DATABASE {name} WITH (FORCE)", f"DROP ROLE {name}")


def opened(host, tmp_path, database, settings=None, **options):
    topology = Topology("given", {"dsn_env": "THEIR_DSN", **options})
    return given.opened(host, topology, name="shape", settings=settings or {}, logs=tmp_path, database=database)


def refused(host, tmp_path, database, error, match, **more):
    with pytest.raises(error, match=match), opened(host, tmp_path, database, **more):
        pass


def one(server, database, statement):
    with pg.connected(server.conninfo(user=database, dbname=database)) as admin:
        (value,) = pg.ask(admin, statement).values()
    return value


def test_it_is_written_to_as_asked_and_left_empty(host, server, theirs, tmp_path):
    with opened(host, tmp_path, theirs, {"work_mem": "9MB", "max_connections": "60"}) as cluster:
        with pg.connected(cluster.write().conninfo) as connection:
            assert pg.ask(connection, "SHOW work_mem") == {"work_mem": "9MB"}
            pg.run(connection, "CREATE TABLE t (a int)", "CREATE SCHEMA more CREATE TABLE u (a int)")
        cluster.empty()
        with pg.connected(cluster.admin().conninfo) as admin:
            assert pg.rows(admin, pg.query("relations")) == []
            assert pg.rows(admin, "SELECT FROM pglab.pg_stat_statements LIMIT 0") == []
            pg.run(admin, "CREATE TABLE t (a int)")
        (home,) = [path for path in host.home.iterdir() if path.name.startswith("shape-")]
    assert one(server, theirs, "SHOW work_mem") != "9MB"
    assert one(server, theirs, "SELECT count(*) FROM pg_namespace WHERE nspname = 'pglab'") == 0
    assert one(server, theirs, "SELECT count(*) FROM pg_class WHERE relname = 't'") == 0
    assert not home.exists()


def test_the_database_is_named_twice(host, theirs, tmp_path, monkeypatch):
    refused(host, tmp_path, None, PlaceError, rf"THEIR_DSN: .*'{theirs}'.*--given {theirs}")
    refused(host, tmp_path, "other", PlaceError, rf"names the database '{theirs}', and --given 'other'")
    monkeypatch.setenv("THEIR_DSN", "host=nowhere")
    refused(host, tmp_path, "other", PlaceError, "THEIR_DSN: names no database")
    monkeypatch.delenv("THEIR_DSN")
    refused(host, tmp_path, "other", PlaceError, "the environment has no THEIR_DSN")


def test_a_dsn_that_is_none_is_not_told(host, tmp_path, monkeypatch):
    monkeypatch.setenv("THEIR_DSN", "host=x password='hunter2")
    with pytest.raises(PlaceError, match="THEIR_DSN: is no DSN") as error, opened(host, tmp_path, "x"):
        pass
    assert "hunter2" not in str(error.value)
    assert error.value.__cause__ is None


def test_a_password_is_in_a_file_and_in_no_connection_string(host, theirs, tmp_path, monkeypatch, server):
    monkeypatch.setenv("THEIR_DSN", pg.changed(server.conninfo(user=theirs, dbname=theirs), password="a:b\\c"))
    with opened(host, tmp_path, theirs) as cluster:
        parts = pg.parsed(cluster.write().conninfo)
        assert "password" not in parts
        assert Path(parts["passfile"]).read_text() == "*:*:*:*:a\\:b\\\\c\n"


def test_a_database_with_anything_in_it_is_refused_and_left_alone(host, server, theirs, tmp_path):
    with pg.connected(server.conninfo(user=theirs, dbname=theirs)) as admin:
        pg.run(admin, "CREATE TABLE precious (a int)")
    refused(host, tmp_path, theirs, ClusterError, r"^shape: the database .* is not empty: 1 relations, precious")
    assert one(server, theirs, "SELECT count(*) FROM precious") == 0


def test_all_rights_that_lack_are_told_with_what_gives_them(host, server, theirs, tmp_path, monkeypatch):
    monkeypatch.setenv("THEIR_DSN", server.conninfo(user="lab", dbname=theirs))
    match = rf"role 'lab' lacks to own the database \(ALTER DATABASE {theirs} OWNER TO lab\); the role pg_monitor"
    refused(host, tmp_path, theirs, ClusterError, match)


def test_settings_of_the_server_must_be_as_asked_or_accepted(host, server, theirs, tmp_path):
    settings = {"max_connections": "61", "work_mem": "9MB"}
    match = r"max_connections = 60, not 61 \(set it so, or write as_is"
    refused(host, tmp_path, theirs, ClusterError, match, settings=settings)
    assert one(server, theirs, "SHOW work_mem") != "9MB"
    with opened(host, tmp_path, theirs, settings, as_is=["max_connections"]) as cluster:
        assert one(server, theirs, "SHOW work_mem") == "9MB"
        with pytest.raises(ClusterError, match="isolation"):
            cluster.snapshot()
    with opened(host, tmp_path, theirs, settings, as_is="all"):
        assert one(server, theirs, "SHOW work_mem") != "9MB"


def test_the_authors_steps_run_as_the_role_of_the_dsn(host, theirs, tmp_path):
    told = samples.scenario()
    steps = {"retire": SqlFile("retire.sql", "CREATE TABLE mine AS SELECT session_user AS who;\n")}
    candidate = replace(told.candidates["heap"], steps=steps)
    with (
        opened(host, tmp_path, theirs) as cluster,
        run.connected(Instance("heap", 1), candidate, cluster, told, HostProbe()) as kept,
    ):
        trial.author(kept, "retire", {})
        assert pg.ask(kept.admin, "SELECT who FROM mine") == {"who": theirs}


def test_an_extension_that_only_a_superuser_makes_is_told_with_the_way(host, server, theirs, tmp_path):
    with pg.connected(server.conninfo(user="pglab", dbname="postgres")) as admin:
        pg.run(admin, f"ALTER ROLE {theirs} NOSUPERUSER", f"GRANT pg_monitor, pg_checkpoint TO {theirs}")
    with pg.connected(server.conninfo(user="pglab", dbname=theirs)) as admin:
        functions = "pg_stat_reset(), pg_stat_reset_shared(text)"
        pg.run(admin, f"GRANT EXECUTE ON FUNCTION {functions} TO {theirs}")
    match = (
        r"permission denied to create extension .*\(a superuser makes it in .*: CREATE EXTENSION IF NOT EXISTS pg_stat"
    )
    refused(host, tmp_path, theirs, ClusterError, match)
