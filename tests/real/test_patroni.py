"""Patroni really run: leaders die, are cut off, hand over; clients find the next, and nothing acknowledged is lost."""

import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from lab import pg
from lab.clusters import CanKill, CanLag, CanPartition, CanSwitchover, patroni
from lab.errors import ClusterError, PlaceError
from lab.hosts import Host
from lab.model import Endpoint, Topology

pytestmark = [pytest.mark.server, pytest.mark.docker]

SETTINGS = {
    "shared_preload_libraries": "pg_stat_statements",
    "max_connections": "50",
    "shared_buffers": "32MB",
    "work_mem": "7MB",
}
# The shortest times Patroni takes: a leader that is gone has another after some 20 s, not 30.
SHORT = {"ttl": 20, "loop_wait": 2, "retry_timeout": 3}
ROUTES = ["haproxy", "multihost"]


@contextmanager
def opened(host: Host, logs: Path, settings: dict[str, str] | None = None, **options: Any) -> Iterator[patroni.Patroni]:
    """A cluster where no other sees it; skips where its image cannot be had."""
    topology = Topology("patroni", options)
    with host.private() as own:
        shape = patroni.opened(own, topology, name="shape", settings={**SETTINGS, **(settings or {})}, logs=logs)
        try:
            cluster = shape.__enter__()
        except PlaceError as error:
            pytest.skip(str(error))
        try:
            yield cluster
        finally:
            shape.__exit__(None, None, None)


@pytest.fixture(scope="module", params=ROUTES)
def shared(request, docker_host, tmp_path_factory) -> Iterator[patroni.Patroni]:
    """Three nodes and synchronous commits, by one route and the other."""
    logs = tmp_path_factory.mktemp("logs")
    with opened(docker_host, logs, sync="on", route=request.param, check_s=1, **SHORT) as cluster:
        do(cluster.write(), "CREATE TABLE acks (id bigint PRIMARY KEY)")
        yield cluster


@pytest.fixture
def cluster(shared) -> patroni.Patroni:
    """The shared cluster, whole: without a synchronous standby Patroni lets nobody lead after the leader."""
    shared.whole(90)
    return shared


def do(endpoint: Endpoint, *statements: str) -> None:
    with pg.connected(endpoint.conninfo) as connection:
        pg.run(connection, *statements)


def one(endpoint: Endpoint, statement: str) -> Any:
    """The only value that a statement returns."""
    with pg.connected(endpoint.conninfo) as connection:
        (value,) = pg.ask(connection, statement).values()
    return value


def until(done: Callable[[], bool], within_s: float) -> None:
    deadline = time.monotonic() + within_s
    while not done():
        assert time.monotonic() < deadline, f"not within {within_s} s"
        time.sleep(0.05)


class Writer(threading.Thread):
    """A client that writes ids one by one by its route, connects again when it must, and remembers the acknowledged."""

    def __init__(self, route: Endpoint, first: int) -> None:
        super().__init__(daemon=True)
        self.route, self.next = route, first
        self.acked: list[int] = []
        self.times: list[float] = []
        self.ended = threading.Event()

    def run(self) -> None:
        while not self.ended.is_set():
            try:
                with pg.connected(f"{self.route.conninfo} connect_timeout=2") as connection:
                    while not self.ended.is_set():
                        self.write(connection)
            except pg.Error:
                time.sleep(0.05)

    def write(self, connection: pg.Connection) -> None:
        self.next += 1
        pg.run(connection, f"INSERT INTO acks VALUES ({self.next})")
        self.acked.append(self.next)
        self.times.append(time.monotonic())
        time.sleep(0.002)


@contextmanager
def writing(cluster: patroni.Patroni) -> Iterator[Writer]:
    """A writer that has begun; ended at the end."""
    writer = Writer(cluster.write(), int(one(cluster.admin(), "SELECT coalesce(max(id), 0) FROM acks")) + 1000)
    writer.start()
    until(lambda: len(writer.acked) > 100, 30)
    try:
        yield writer
    finally:
        writer.ended.set()
        writer.join(60)


def goes_on(writer: Writer) -> None:
    """Return once writes are acknowledged that began from now on."""
    there = len(writer.acked)
    until(lambda: len(writer.acked) > there + 20, 90)


def lost(cluster: patroni.Patroni, writer: Writer) -> set[int]:
    """What was acknowledged and is not there."""
    with pg.connected(cluster.admin().conninfo) as admin:
        there = {row["id"] for row in pg.rows(admin, "SELECT id FROM acks")}
    return set(writer.acked) - there


def streams(cluster: patroni.Patroni, node: str) -> bool:
    with pg.connected(cluster.admin().conninfo) as admin:
        return any(row["name"] == node and row["state"] == "streaming" for row in pg.rows(admin, pg.query("standbys")))


# --- opened ---------------------------------------------------------------------------------


def test_three_nodes_have_a_leader_two_standbys_and_a_route_within_half_a_minute(docker_host, tmp_path):
    docker_host.fingerprint()
    began = time.monotonic()
    with opened(docker_host, tmp_path) as cluster:
        assert time.monotonic() - began < 30
        assert one(cluster.write(), "SELECT pg_is_in_recovery()") is False
        assert [one(read, "SELECT pg_is_in_recovery()") for read in cluster.reads()] == [True]
        assert {name for name, lag in cluster.lags().items() if lag.bytes >= 0} == {
            node.node for node in cluster.nodes()[1:]
        }
        assert [process.name for process in cluster.processes] == ["etcd-1", "node-1", "node-2", "node-3", "haproxy"]
    for log in ("etcd-1", "node-1", "node-2", "node-3", "haproxy"):
        assert (tmp_path / f"{log}.log").stat().st_size > 0


def test_it_has_the_abilities_of_a_shape_that_chooses_its_leader(cluster):
    for ability in (CanKill, CanPartition, CanSwitchover, CanLag):
        assert isinstance(cluster, ability)


def test_every_node_shows_what_was_asked_for(cluster):
    for node in cluster.nodes():
        for setting, asked in SETTINGS.items():
            assert one(node, f"SHOW {setting}") == asked, (node.node, setting)


def test_commits_are_synchronous_and_one_standby_confirms(cluster):
    states = "SELECT array_agg(sync_state ORDER BY sync_state) FROM pg_stat_replication"
    assert one(cluster.admin(), states) == ["async", "sync"]


def test_no_password_is_in_a_connection_string_or_a_log(cluster):
    said = "".join(point.conninfo for point in (cluster.write(), *cluster.reads(), *cluster.nodes()))
    said += "".join(process.log.read_text() for process in cluster.processes)
    words = [cluster.servers[0].password(role) for role in ("pglab", "lab", "pglab_replication", "rest")]
    assert len(set(words)) == 4
    assert [word for word in words if word in said] == []


# --- struck ---------------------------------------------------------------------------------


def test_when_the_leader_dies_another_leads_clients_follow_and_nothing_acknowledged_is_lost(cluster):
    leader, timeline = cluster.admin().node, cluster.timeline()
    with writing(cluster) as writer:
        cluster.kill("leader")
        until(lambda: cluster.admin().node != leader, 5)
        goes_on(writer)
        cluster.revive("leader")
        until(lambda: streams(cluster, leader), 30)
        goes_on(writer)
    assert cluster.timeline() == timeline + 1
    assert lost(cluster, writer) == set()
    outages = [later - sooner for sooner, later in zip(writer.times, writer.times[1:], strict=False)]
    assert 1 < max(outages) < 60


def test_a_leader_that_is_cut_off_is_led_around_and_rejoins_when_healed(cluster):
    leader, timeline = cluster.admin(), cluster.timeline()
    with writing(cluster) as writer:
        cluster.partition("leader")
        with pytest.raises(pg.OperationalError, match="timeout"):
            one(Endpoint("cut", "admin", f"{leader.conninfo} connect_timeout=2"), "SELECT 1")
        until(lambda: cluster.admin().node != leader.node, 5)
        goes_on(writer)
        cluster.heal("leader")
        until(lambda: streams(cluster, leader.node), 60)
        goes_on(writer)
    assert cluster.timeline() == timeline + 1
    assert lost(cluster, writer) == set()


def test_a_switchover_takes_seconds_and_loses_nothing(cluster):
    leader, timeline = cluster.admin().node, cluster.timeline()
    with writing(cluster) as writer:
        cluster.switchover()
        assert cluster.admin().node != leader
        goes_on(writer)
        until(lambda: streams(cluster, leader), 60)
    assert cluster.timeline() == timeline + 1
    assert lost(cluster, writer) == set()


def test_a_postmaster_that_dies_alone_is_started_again_by_its_agent(cluster):
    leader = cluster.admin().node
    with writing(cluster) as writer:
        cluster.kill_server("leader")
        goes_on(writer)
    assert cluster.admin().node == leader
    assert lost(cluster, writer) == set()


def test_what_was_struck_as_leader_is_revived_though_another_leads(cluster):
    leader = cluster.admin().node
    cluster.pause("leader")
    assert cluster.admin().node != leader
    cluster.resume("leader")
    until(lambda: streams(cluster, leader), 60)


def test_a_restored_cluster_is_as_it_was_though_a_node_is_down(cluster):
    do(cluster.write(), "CREATE TABLE kept AS SELECT 1 AS a")
    cluster.snapshot()
    do(cluster.write(), "DROP TABLE kept")
    cluster.kill("standby")
    cluster.restore()
    for endpoint in (cluster.write(), *cluster.reads(), *cluster.nodes()):
        assert one(endpoint, "SELECT a FROM kept") == 1, endpoint
    assert len(cluster.lags()) == 2


# --- refused --------------------------------------------------------------------------------


def test_a_setting_that_patroni_would_drop_is_told(docker_host, tmp_path):
    with (
        pytest.raises(ClusterError, match=r"shape: node-\d: max_wal_senders is '10', not '1' \(Patroni"),
        opened(docker_host, tmp_path, {"max_wal_senders": "1"}, nodes=2, route="multihost"),
    ):
        pass


def test_a_setting_of_patronis_own_is_refused(docker_host, tmp_path):
    with (
        pytest.raises(ClusterError, match=r"shape: Patroni sets hot_standby, port itself \(take it out"),
        opened(docker_host, tmp_path, {"port": "5433", "hot_standby": "off"}),
    ):
        pass


def test_an_image_that_is_not_there_says_how_to_have_it(docker_host, tmp_path):
    topology = Topology("patroni", {"image": "pglab/nothing:17"})
    with docker_host.private() as host:
        shape = patroni.opened(host, topology, name="shape", settings=SETTINGS, logs=tmp_path)
        with pytest.raises(PlaceError, match="image 'pglab/nothing:17'"):
            shape.__enter__()


def test_a_host_without_containers_is_told_which_has_them(host, tmp_path):
    shape = patroni.opened(host, Topology("patroni"), name="shape", settings=SETTINGS, logs=tmp_path)
    with pytest.raises(ClusterError, match=r"shape: patroni .* containers, which the host embedded .* \(--on docker\)"):
        shape.__enter__()


def test_three_members_of_etcd_serve_as_one_and_closed_leaves_nothing(docker_host, tmp_path):
    def there() -> set[str]:
        kinds = (("ps", "-aq"), ("network", "ls", "-q"))
        label = f"label=pglab.run={docker_host.home.name}"
        return {
            one
            for kind in kinds
            for one in subprocess.run(
                ["docker", *kind, "--filter", label], capture_output=True, text=True, check=True
            ).stdout.split()
        }

    before = there(), set(docker_host.home.iterdir())
    with opened(docker_host, tmp_path, etcd=3, nodes=2, sync="quorum", **SHORT) as cluster:
        assert [process.name for process in cluster.processes][:3] == ["etcd-1", "etcd-2", "etcd-3"]
        assert one(cluster.admin(), "SELECT sync_state FROM pg_stat_replication") == "quorum"
        assert there() > before[0]
    assert (there(), set(docker_host.home.iterdir())) == before
