"""What Citus is made of, without a server: its settings, its options, and who goes in which order."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from lab.clusters.citus import Citus, Options, preloaded, settings_of


class Node:
    """A server that writes down what is done to it."""

    def __init__(self, name: str, log: list[str]) -> None:
        self.name, self.log = name, log

    def conninfo(self, *, user: str = "lab", dbname: str = "lab") -> str:
        return f"host={self.name} user={user} dbname={dbname}"

    def snapshot(self) -> None:
        self.log.append(f"snapshot {self.name}")

    def restore(self) -> None:
        self.log.append(f"restore {self.name}")


@pytest.fixture
def log() -> list[str]:
    return []


@pytest.fixture
def cluster(log: list[str]) -> Iterator[Citus]:
    """A coordinator and two workers."""

    @contextmanager
    def start(name: str) -> Iterator[Node]:
        log.append(f"open {name}")
        yield Node(name, log)
        log.append(f"close {name}")

    with ExitStack() as stack:
        made = Citus(stack, start)
        made.start_worker()
        made.start_worker()
        yield made


def test_citus_is_loaded_before_all_that_settings_ask_for():
    assert preloaded("pg_stat_statements,pg_wait_sampling") == "citus,pg_stat_statements,pg_wait_sampling"
    assert preloaded("auto_explain, citus") == "citus,auto_explain"
    assert preloaded("") == "citus"


def test_settings_go_over_what_the_shape_would_have():
    made = settings_of(Options(shards=64), {"wal_level": "replica", "citus.shard_count": "6"})
    assert (made["wal_level"], made["citus.shard_count"], made["ssl"]) == ("replica", "6", "off")


def test_options_become_settings():
    made = settings_of(Options(shards=64, workers=3, replication=2), {})
    assert (made["citus.shard_count"], made["citus.shard_replication_factor"]) == ("64", "2")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"replication": 3}, "replication: 3 copies on 2 workers"),
        ({"workers": 9}, "workers"),
        ({"workers": 0}, "workers"),
        ({"shards": 0}, "shards"),
        ({"worker": 2}, "worker"),
    ],
)
def test_options_that_cannot_be_are_refused(options, said):
    with pytest.raises(ValueError, match=said):
        Options(**options)


def test_nodes_are_opened_in_order_and_closed_in_reverse(cluster, log):
    names = ["coordinator", "worker1", "worker2"]
    assert log == [f"open {name}" for name in names]
    cluster._stack.close()
    assert log[3:] == [f"close {name}" for name in reversed(names)]


def test_clients_are_sent_to_the_coordinator_alone(cluster):
    assert cluster.write().conninfo == "host=coordinator user=lab dbname=lab"
    assert cluster.reads() == (cluster.write(),)
    assert cluster.admin().conninfo == "host=coordinator user=pglab dbname=lab"


def test_workers_show_their_shards_to_the_lab_and_the_coordinator_does_not(cluster):
    shown = ["override_table_visibility=off" in node.conninfo for node in cluster.nodes()]
    assert shown == [False, True, True]


def test_the_coordinator_is_kept_and_restored_before_the_workers(cluster, log):
    del log[:]
    cluster.snapshot()
    cluster.restore()
    names = ("coordinator", "worker1", "worker2")
    assert log == [*(f"snapshot {name}" for name in names), *(f"restore {name}" for name in names)]


def test_a_worker_that_came_after_the_snapshot_ends_when_that_is_restored(cluster, log):
    cluster.snapshot()
    for _ in range(2):
        assert cluster.start_worker().name == "worker3"
        assert [one.name for one in cluster.processes] == ["coordinator", "worker1", "worker2", "worker3"]
        del log[:]
        cluster.restore()
        assert log[0] == "close worker3"
        assert [one.name for one in cluster.processes] == ["coordinator", "worker1", "worker2"]
    assert log.count("close worker3") == 1


def test_a_worker_that_was_there_at_the_snapshot_is_there_after_it(cluster, log):
    cluster.start_worker()
    cluster.snapshot()
    cluster.restore()
    assert "close worker3" not in log
    assert log[-1] == "restore worker3"
