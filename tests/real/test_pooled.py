"""PgBouncer in a container: its modes, what they break, and how it comes and goes."""

import secrets
from contextlib import contextmanager

import pytest

from lab import parts, pg
from lab.clusters import CanLag, CanPartition, CanSwitchover, pooled
from lab.errors import ClusterError, PlaceError
from lab.model import Topology

pytestmark = [pytest.mark.server, pytest.mark.docker]

SETTINGS = {"shared_preload_libraries": "pg_stat_statements", "max_connections": "50"}


@pytest.fixture(scope="module")
def docker():
    if "docker" not in parts.kinds("hosts"):
        pytest.skip("there is no host docker")
    try:
        with parts.load("hosts", "docker").opened(f"t{secrets.token_hex(3)}") as host:
            yield host
    except PlaceError as error:
        pytest.skip(str(error))


@contextmanager
def opened(docker, tmp_path, **options):
    topology = Topology("pooled", options)
    with (
        docker.private() as host,
        pooled.opened(host, topology, name="shape", settings=SETTINGS, logs=tmp_path) as cluster,
    ):
        yield cluster


def backends(cluster):
    """How many connections the role lab has to the server."""
    with pg.connected(cluster.admin().conninfo) as admin:
        return pg.ask(admin, "SELECT count(*) AS n FROM pg_stat_activity WHERE usename = 'lab'")["n"]


def test_many_clients_share_a_few_connections(docker, tmp_path):
    with opened(docker, tmp_path, mode="transaction", pool_size=3) as cluster:
        clients = [pg.connected(cluster.write().conninfo) for _ in range(40)]
        connections = [client.__enter__() for client in clients]
        assert [pg.ask(one, "SELECT 1 AS a")["a"] for one in connections] == [1] * 40
        assert 1 <= backends(cluster) <= 3
        for client in clients:
            client.__exit__(None, None, None)


def by_protocol(cluster):
    """Prepare a named statement as drivers do, have another client take the connection, and execute it."""
    with (
        pg.connected(cluster.write().conninfo) as one,
        pg.connected(cluster.write().conninfo) as other,
    ):
        one.pgconn.prepare(b"mine", b"SELECT 41 + 1")
        with other.transaction():
            pg.run(other, "SELECT 1")
            return one.pgconn.exec_prepared(b"mine", [])


def test_prepared_statements_follow_their_client_where_the_pooler_keeps_them_in_mind(docker, tmp_path):
    with opened(docker, tmp_path, mode="transaction", prepared=100) as cluster:
        assert by_protocol(cluster).get_value(0, 0) == b"42"


def test_without_that_they_are_lost_between_transactions(docker, tmp_path):
    with opened(docker, tmp_path, mode="transaction", prepared=0) as cluster:
        assert b'prepared statement "mine" does not exist' in by_protocol(cluster).error_message


def test_a_session_keeps_its_connection(docker, tmp_path):
    with opened(docker, tmp_path, mode="session", prepared=0) as cluster:
        assert by_protocol(cluster).get_value(0, 0) == b"42"


def test_statement_mode_takes_no_transaction_of_several(docker, tmp_path):
    with opened(docker, tmp_path, mode="statement") as cluster, pg.connected(cluster.write().conninfo) as one:
        assert pg.ask(one, "SELECT 1 AS a") == {"a": 1}
        with pytest.raises(pg.Error, match="transaction blocks not allowed in statement pooling mode"):
            pg.run(one, "BEGIN")


def test_a_pooler_that_was_killed_comes_back_and_the_server_was_there_all_the_time(docker, tmp_path):
    with opened(docker, tmp_path) as cluster:
        cluster.kill("pooler")
        with pytest.raises(pg.OperationalError), pg.connected(cluster.write().conninfo):
            pass
        with pg.connected(cluster.direct().conninfo) as direct:
            assert pg.ask(direct, "SELECT current_user AS who") == {"who": "lab"}
        cluster.revive("pooler")
        with pg.connected(cluster.write().conninfo) as again:
            assert pg.ask(again, "SELECT 1 AS a") == {"a": 1}


def test_a_server_that_comes_back_is_found_again(docker, tmp_path):
    with opened(docker, tmp_path) as cluster:
        cluster.kill("leader")
        cluster.revive("leader")
        with pg.connected(cluster.write().conninfo) as again:
            assert pg.ask(again, "SELECT 1 AS a") == {"a": 1}


def test_it_is_able_to_do_what_is_behind_it_and_nothing_else(docker, tmp_path):
    with opened(docker, tmp_path, behind={"kind": "replicas", "nodes": 1}) as cluster:
        assert isinstance(cluster, CanLag)
        assert not isinstance(cluster, CanPartition | CanSwitchover)
        assert [one.name for one in cluster.processes] == ["primary", "standby1", "pooler"]
        with pg.connected(cluster.reads()[0].conninfo) as read:
            assert pg.ask(read, "SELECT pg_is_in_recovery() AS yes") == {"yes": True}
    with opened(docker, tmp_path) as cluster:
        assert not isinstance(cluster, CanLag)


def test_clients_prove_who_they_are(docker, tmp_path):
    with opened(docker, tmp_path) as cluster:
        wrong = pg.changed(cluster.write().conninfo, password="wrong")
        with pytest.raises(pg.OperationalError, match="SASL authentication failed"), pg.connected(wrong):
            pass


def test_the_embedded_host_has_no_pooler(host, tmp_path):
    with pytest.raises(ClusterError, match=r"PgBouncer is a container.*--on docker"), opened(host, tmp_path):
        pass
