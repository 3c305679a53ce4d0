"""Streaming standbys on this machine: what a commit waits for, how far behind they are, where reads go."""

import threading
from contextlib import contextmanager

import pytest

from lab import pg
from lab.clusters import replicas
from lab.errors import ClusterError
from lab.model import Topology

pytestmark = pytest.mark.server

SETTINGS = {"shared_preload_libraries": "pg_stat_statements", "max_connections": "30", "shared_buffers": "16MB"}


def opened(host, logs, **options):
    return replicas.opened(host, Topology("replicas", options), name="shape", settings=SETTINGS, logs=logs)


@pytest.fixture(scope="module")
def quorum(host, tmp_path_factory):
    """Two standbys, of which any one must have a commit."""
    options = {"nodes": 2, "sync": "quorum", "hot_standby_feedback": True, "reads": "all"}
    with opened(host, tmp_path_factory.mktemp("logs"), **options) as cluster:
        yield cluster


def waits(cluster, statement):
    """Does a commit wait for longer than half a second? It is cancelled then: done, with a warning."""
    warned = []
    with pg.connected(cluster.write().conninfo) as connection:
        connection.add_notice_handler(lambda notice: warned.append(notice.message_primary))
        patience = threading.Timer(0.5, connection.cancel)
        patience.start()
        pg.run(connection, statement)
        patience.cancel()
        patience.join()
    return bool(warned)


@contextmanager
def paused(cluster, node):
    cluster.pause(node)
    try:
        yield
    finally:
        cluster.resume(node)


def test_a_quorum_commits_as_long_as_enough_standbys_are_there(quorum):
    assert not waits(quorum, "CREATE TABLE acknowledged (a int)")
    with paused(quorum, "standby1"):
        assert not waits(quorum, "INSERT INTO acknowledged VALUES (1)")
        with paused(quorum, "standby2"):
            assert waits(quorum, "INSERT INTO acknowledged VALUES (2)")
        assert not waits(quorum, "INSERT INTO acknowledged VALUES (3)")


def test_standbys_that_stand_still_are_behind_until_they_caught_up(quorum):
    with paused(quorum, "standby2"):
        with pg.connected(quorum.write().conninfo) as connection:
            pg.run(connection, "CREATE TABLE much AS SELECT n FROM generate_series(1, 50000) AS n")
        assert quorum.lags()["standby2"].bytes > 1_000_000
    quorum.caught_up()
    for read in quorum.reads():
        with pg.connected(read.conninfo) as connection:
            assert pg.ask(connection, "SELECT count(*) AS n FROM much") == {"n": 50_000}


def test_a_standby_that_is_gone_catches_up_with_nothing(quorum):
    quorum.kill("standby2")
    with pytest.raises(ClusterError, match="standby2 does not answer"):
        quorum.caught_up()
    quorum.revive("standby2")
    quorum.caught_up()


def test_reads_go_where_they_are_asked_to_as_the_ordinary_role(quorum, host, tmp_path):
    assert [read.node for read in quorum.reads()] == ["primary", "standby1", "standby2"]
    with opened(host, tmp_path) as cluster:
        assert [read.node for read in cluster.reads()] == ["standby1"]
        with pg.connected(cluster.reads()[0].conninfo) as connection:
            assert pg.ask(connection, "SELECT current_user AS who, pg_is_in_recovery() AS standby") == {
                "who": "lab",
                "standby": True,
            }


def test_the_primary_knows_what_its_standbys_read(quorum):
    with pg.connected(quorum.admin().conninfo) as admin:
        found = pg.rows(
            admin, "SELECT application_name, sync_state, backend_xmin IS NOT NULL AS told FROM pg_stat_replication"
        )
    assert sorted(row["application_name"] for row in found) == ["standby1", "standby2"]
    assert {row["sync_state"] for row in found} == {"quorum"}
    for node in quorum.nodes():
        with pg.connected(node.conninfo) as connection:
            assert pg.ask(connection, "SHOW hot_standby_feedback") == {"hot_standby_feedback": "on"}


def test_without_synchrony_commits_wait_for_nobody(host, tmp_path):
    with opened(host, tmp_path, nodes=1) as cluster:
        cluster.kill("standby")
        assert not waits(cluster, "CREATE TABLE t (a int)")


def test_a_restored_primary_and_its_standbys_tell_the_same_story(quorum):
    with pg.connected(quorum.write().conninfo) as connection:
        pg.run(connection, "CREATE TABLE story AS SELECT 1 AS a")
    quorum.snapshot()
    with pg.connected(quorum.write().conninfo) as connection:
        pg.run(connection, "UPDATE story SET a = 2")
    quorum.caught_up()
    quorum.restore()
    with pg.connected(quorum.write().conninfo) as connection:
        pg.run(connection, "INSERT INTO story VALUES (10)")
    quorum.caught_up()
    for read in quorum.reads():
        with pg.connected(read.conninfo) as connection:
            assert pg.ask(connection, "SELECT sum(a) AS sum FROM story") == {"sum": 11}
