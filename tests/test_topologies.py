"""What a topology's options may be, and what shapes say of themselves without a server."""

import pytest
from pydantic import ValidationError

from lab import parts
from lab.clusters import _nodes, pooled, replicas, sharded
from lab.errors import ClusterError
from lab.model import Topology


@pytest.mark.parametrize(
    ("kind", "options", "said"),
    [
        ("single", {"nodes": 1}, "Extra inputs"),
        ("replicas", {"nodes": 0}, "greater than or equal to 1"),
        ("replicas", {"nodes": 6}, "less than or equal to 5"),
        ("replicas", {"nodes": True}, "valid integer"),
        ("replicas", {"sync": "yes"}, "'off', 'on' or 'quorum'"),
        ("replicas", {"nodes": 1, "sync": "on", "confirm": 2}, r"confirm: 2 of 1 standbys \(at most nodes\)"),
        ("replicas", {"confirm": 1}, r"no standby confirms with sync: off \(write sync: on or quorum"),
        ("sharded", {"shards": 9}, "less than or equal to 8"),
        ("sharded", {"fetch_size": 0}, "greater than or equal to 1"),
        ("sharded", {"fdw": {"fetchsize": 3}}, "Input should be 'analyze_sampling'"),
        ("pooled", {"mode": "query"}, "'session', 'transaction' or 'statement'"),
        ("pooled", {"behind": {"kind": "pooled"}}, r"a pooler behind a pooler \(name another kind\)"),
        ("pooled", {"behind": {"kind": "databases", "by": "a"}}, "databases made on the way behind a pooler"),
        ("databases", {}, "Field required"),
        ("databases", {"by": "tenant", "connections": 0}, "greater than or equal to 1"),
        ("pooled", {"behind": "single"}, "valid dictionary"),
        ("given", {}, "Field required"),
        ("given", {"dsn_env": "postgres://me:secret@there/db"}, "match pattern"),
        ("given", {"dsn_env": "DSN", "named": "db"}, "Extra inputs"),
    ],
    ids=str,
)
def test_an_option_that_makes_no_sense_is_refused(kind, options, said):
    takes = parts.options("clusters", kind)
    with pytest.raises(ValidationError, match=said):
        takes.model_validate(options)


@pytest.mark.parametrize("kind", ["single", "replicas", "sharded", "pooled"])
def test_every_kind_that_the_lab_builds_has_defaults(kind):
    parts.options("clusters", kind).model_validate({})


@pytest.mark.parametrize(
    ("options", "cannot"),
    [
        ({}, set()),
        ({"mode": "session", "prepared": 0}, set()),
        ({"prepared": 0}, {"prepared"}),
        ({"mode": "statement"}, {"transaction"}),
        ({"mode": "statement", "prepared": 0}, {"prepared", "transaction"}),
    ],
    ids=str,
)
def test_a_pooler_says_what_queries_may_not_need(options, cannot):
    assert set(pooled.Options(**options).cannot()) == cannot


def test_what_stands_behind_is_of_the_same_major_version_unless_it_says_so():
    for postgres, expected in ((None, 17), (18, 18)):
        behind = {"kind": "replicas", "nodes": 2} | ({"postgres": postgres} if postgres else {})
        topology = Topology("pooled", {"behind": behind}, 17)
        inner = pooled._behind(pooled.Options(behind=behind), topology)
        assert inner == Topology("replicas", {"nodes": 2}, expected)


def test_foreign_servers_take_what_is_asked_in_postgres_fdws_words():
    options = sharded.Options(
        batch_size=50, async_capable=True, fdw={"use_remote_estimate": True, "fdw_tuple_cost": 0.3}
    )
    assert options.of_servers() == {
        "batch_size": "50",
        "fetch_size": "100",
        "async_capable": "true",
        "use_remote_estimate": "true",
        "fdw_tuple_cost": "0.3",
    }


def test_waiting_ends_with_what_was_waited_for():
    with pytest.raises(ClusterError, match=r"^nobody came \(waited 0 s\)"):
        _nodes.until(lambda: False, 0.01, lambda: "nobody came")


def test_standbys_are_named_in_order_for_commits_to_wait_for():
    class Named:
        def __init__(self, name: str) -> None:
            self.name = name

    standbys = [Named("standby1"), Named("standby2")]
    for sync, confirm, said in (
        ("on", 1, 'FIRST 1 ("standby1", "standby2")'),
        ("quorum", 2, 'ANY 2 ("standby1", "standby2")'),
    ):
        options = replicas.Options(nodes=2, sync=sync, confirm=confirm)
        assert replicas.Replicas(Named("primary"), standbys, options)._names() == said


def test_who_waits_for_whom_is_the_shapes_to_say(tmp_path):
    settings = {"synchronous_standby_names": "*"}
    with (
        pytest.raises(ClusterError, match=r"one: the shape sets synchronous_standby_names itself \(take it out"),
        replicas.opened(None, Topology("replicas"), name="one", settings=settings, logs=tmp_path),
    ):
        pass


@pytest.mark.parametrize("kind", ["single", "replicas", "sharded", "patroni", "citus", "pooled", "databases"])
def test_every_kind_of_containers_takes_an_image(kind):
    options = parts.options("clusters", kind)
    rest = {"by": "a"} if kind == "databases" else {}
    assert options.model_validate({"image": "mine:1", **rest}).image == "mine:1"
    with pytest.raises(ValueError, match="image"):
        options.model_validate({"image": ""})
