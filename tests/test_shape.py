"""What is said, and what is not, where candidates are not all one server."""

from dataclasses import replace
from types import SimpleNamespace

import pytest

from lab import measure, metrics, parts, project, shape, share
from lab.errors import ClusterError, ScenarioError
from lab.hosts import Limits
from lab.model import Family, Resources, Topology, Verdict
from lab.probes import server
from lab.weigh import weigh
from tests import samples
from tests.simulate import scenario
from tests.slices import drive, ops, sliced
from tests.test_weigh import rounds

WAL = {"record_bytes": 5_000.0, "fpi_bytes": 100.0, "records": 80.0, "commits": 50.0}


def values(**more: object) -> dict[str, float]:
    return {m.metric: m.value for m in measure.measure([sliced(drive(**more), ops(100))])}


def prepared(name: str, processes: int, **report: object):
    one = samples.prepared(name)
    return replace(one, report={**one.report, "processes": [f"n{n}" for n in range(processes)], **report})


# --- what is measured -----------------------------------------------------------------------


def test_wal_commits_and_calls_are_told_per_operation():
    found = values(wal=WAL, cpu_s={"a": 0.1, "b": 0.3}, inner_calls=400.0, round_trips=300)
    assert found["busiest_cpu_s_per_op"] == 0.003
    assert found["mix.wal_record_bytes_per_op"] == 50.0
    assert found["mix.wal_fpi_bytes_per_op"] == 1.0
    assert found["mix.commits_per_op"] == 0.5
    assert found["mix.inner_calls_per_op"] == 4.0
    assert found["mix.round_trips_per_op"] == 3.0


def test_a_trial_of_single_servers_says_nothing_of_shapes():
    assert not [name for name in values() if metrics.row(name).shapes]


def test_blocks_that_several_servers_read_are_told_of_no_query():
    statements = {"recent": {"calls": 100, "plan_ms": 1.0, "exec_ms": 1.0, "blocks": 450}}
    shape_ = {"statements": statements, "wal": WAL, "cpu_s": {"a": 0.1}}
    assert "query.recent.driven_blocks_per_call" in values(**shape_, inner_calls=0.0)
    assert "query.recent.driven_blocks_per_call" not in values(**shape_, inner_calls=9.0)


def test_only_a_scenario_with_shapes_has_their_metrics():
    alone = metrics.names_of(["recent"], ["count", "drive"])
    shaped = metrics.names_of(["recent"], ["count", "drive"], shapes=True)
    assert {name for name in shaped if metrics.row(name).shapes} == set(shaped) - set(alone) != set()


def reading(**nodes: tuple[str, int | None, int]) -> dict[str, object]:
    """System, WAL position and checkpoints of each server."""
    return {
        "nodes": {
            name: {"system": system, "wal_bytes": wal, "checkpoints": checkpoints, "autovacuums": 0, "autovacuumed": {}}
            for name, (system, wal, checkpoints) in nodes.items()
        }
    }


def test_wal_is_summed_over_streams_and_checkpoints_over_servers():
    before = reading(a=("1", 100, 0), b=("1", None, 2), c=("2", 7, 0))
    after = reading(a=("1", 150, 1), b=("1", None, 3), c=("2", 17, 0))
    assert server.seen(before, after) == {"wal_bytes": 60, "checkpoints": 2, "autovacuums": 0}
    assert server.each(before, after)["b"] == {"wal_bytes": 0, "checkpoints": 1}


def test_an_autovacuum_that_begins_and_ends_within_a_step_is_seen():
    before, after = reading(a=("1", 0, 0), b=("2", 0, 0)), reading(a=("1", 0, 0), b=("2", 0, 0), c=("3", 0, 0))
    after["nodes"]["c"]["autovacuumed"] = {"7": 9}
    assert server.seen(before, after)["autovacuums"] == 0, "of a server that was not there nothing is known"
    before["nodes"]["a"]["autovacuumed"], after["nodes"]["a"]["autovacuumed"] = {"7": 1, "8": 5}, {"7": 2}
    assert server.seen(before, after)["autovacuums"] == 1
    after["nodes"]["b"]["autovacuums"] = 2
    assert server.seen(before, after)["autovacuums"] == 3


def test_a_stream_goes_on_where_another_server_came_to_lead():
    before, after = reading(a=("1", 100, 0), b=("1", None, 0)), reading(b=("1", 180, 0))
    assert server.seen(before, after)["wal_bytes"] == 80


# --- what is claimed ------------------------------------------------------------------------

CPU, TIME = "cpu_s_per_op", "mix.server_ms_per_op"
MEASURED = [
    m for name in (CPU, TIME) for m in rounds(name, heap=[4.0, 4.1] * 6, brin=[2.0, 2.02] * 6, twin=[4.1, 4.0] * 6)
]


def weighed(objective: str, unlike: set[str]):
    told = scenario(["heap", "brin"], objective=objective)
    return weigh(MEASURED, scenario=told, planned_rounds=12, unlike=unlike)


def test_a_time_between_unlike_shapes_decides_nothing_and_says_why():
    found = weighed(TIME, {"brin"})
    (claim,) = [one for one in found.evidence if one.family is Family.OBJECTIVE and one.candidate == "brin"]
    assert claim.verdict is Verdict.UNCLEAR
    assert "share the cores" in claim.because
    assert (found.decision.kind, found.decision.may_lose) == ("open", {})
    assert "share the cores" in found.decision.because[0]
    assert weighed(TIME, set()).decision.kind == "recommend"


def test_processor_time_between_unlike_shapes_decides():
    found = weighed(CPU, {"brin"})
    assert (found.decision.kind, found.decision.pick) == ("recommend", "brin")
    (told,) = [one for one in found.evidence if one.metric == TIME and one.candidate == "brin"]
    assert told.verdict is Verdict.DESCRIBED
    assert "share the cores" in told.because


def shaped(**changes):
    told = samples.scenario()
    brin = replace(told.candidates["brin"], topology=Topology("replicas", {"nodes": 1}))
    return replace(told, candidates={**told.candidates, "brin": brin}, **changes)


def test_shapes_are_unlike_where_their_processes_are_more_or_fewer():
    both = [prepared("heap", 1), prepared("brin", 2)]
    assert shape.several(shaped())
    assert not shape.several(samples.scenario())
    assert shape.unlike(shaped(), both) == {"brin"}
    assert shape.unlike(shaped(), [prepared("heap", 2), prepared("brin", 2)]) == set()
    assert shape.unlike(samples.scenario(), [samples.prepared("heap"), samples.prepared("brin")]) == set()


@pytest.mark.parametrize("equal", ["total", "per_node"])
def test_shapes_that_were_given_the_same_are_compared(equal):
    told = shaped(resources=Resources(equal, 1.0, 2**30))
    assert shape.unlike(told, [prepared("heap", 1), prepared("brin", 2)]) == set()


def test_a_cache_is_one_servers_and_holds_one_servers_bytes():
    each = {"heap_bytes": 20_000_000.0, "index_bytes": 8_000_000.0, "toast_bytes": 0.0}
    alone = project.sheet(shaped(), [samples.prepared("brin")])
    twice = project.sheet(shaped(), [prepared("brin", 2, sizes={"a": each, "b": each}, standbys=1)])
    (one,), (two,) = ([row.lab for row in rows if row.invariant == "data / cache"] for rows in (alone, twice))
    assert two == one / 2


# --- what a shape is given --------------------------------------------------------------------


def given(equal: str = "total", cpus: float = 1.0) -> Resources:
    return Resources(equal, cpus, 4 * 2**30, "scenario.yaml:3")  # type: ignore[arg-type]


def test_equal_in_all_is_shared_out_among_the_processes_of_each_shape():
    found = share.shares(shaped(resources=given()), kind="docker", cores=4)
    assert found["heap"].limits == Limits(cpus=1.0, memory_bytes=4 * 2**30)
    assert (found["brin"].limits, found["brin"].count) == (Limits(cpus=0.5, memory_bytes=2 * 2**30), 2)


def test_equal_for_each_gives_every_process_the_same():
    found = share.shares(shaped(resources=given("per_node")), kind="docker", cores=4)
    assert {one.limits for one in found.values()} == {Limits(cpus=1.0, memory_bytes=4 * 2**30)}


def test_without_resources_nothing_is_limited():
    assert share.shares(shaped(), kind="embedded", cores=1) == {}


@pytest.mark.parametrize(
    ("resources", "said"),
    [
        (given("per_node", 2.0), r"brin has 2 processes, which makes 4 cores, .* 3 beside .* \(cpus: 1\.5 or less"),
        (given("per_node", 1.75), r"which makes 3\.5 cores, and this host has 3 beside"),
        (given("total", 4.5), r"4\.5 cores, and this host has 4 \(cpus: 4 or less, or a larger host\)"),
    ],
)
def test_more_than_the_host_has_beside_the_generators_core_is_refused_with_both_numbers(resources, said):
    with pytest.raises(ScenarioError, match=rf"^scenario\.yaml:3: resources: .*{said}"):
        share.shares(shaped(resources=resources), kind="docker", cores=4)


def test_an_embedded_server_cannot_be_limited_and_the_way_out_is_named():
    with pytest.raises(ScenarioError, match=r"^scenario\.yaml:3: resources: .*cannot limit a server \(--on docker"):
        share.shares(shaped(resources=given()), kind="embedded", cores=64)


def test_a_host_is_asked_for_limited_processes_and_for_all_else_as_ever():
    asked = []
    host = SimpleNamespace(kind="docker", server=lambda *words, **more: asked.append((words, more)))
    hers = share.limited(host, share.Share(Limits(cpus=0.5), 1))
    hers.server("a", {}, "logs")
    assert asked == [(("a", {}, "logs"), {"limits": Limits(cpus=0.5)})]
    assert hers.kind == "docker"
    assert share.limited(host, None) is host


def test_what_is_up_is_held_against_what_was_shared_out():
    with pytest.raises(ClusterError, match="2 processes are up, and resources were shared out among 1"):
        share.Share(Limits(), 1).check("brin.1", ["a", "b"])


@pytest.mark.parametrize("kind", parts.kinds("clusters"))
def test_every_kind_of_shape_says_how_many_processes_it_has(kind):
    if kind == "given":
        return
    options = {"pooled": {"behind": {"kind": "single"}}, "databases": {"by": "a"}}.get(kind, {})
    assert shape.count(Topology(kind, options), share._filled) >= 1


def test_what_a_shape_takes_away_is_a_promise_lost():
    alone = set(shape.promises(Topology(), names="", commit="on", standbys=0, reads=False))
    stale = set(shape.promises(Topology("replicas"), names="", commit="on", standbys=1, reads=True))
    shards = set(shape.promises(Topology("sharded"), names="", commit="on", standbys=0, reads=False))
    pooled = Topology("pooled", {"behind": {"kind": "sharded"}})
    assert alone - stale == {"every read sees all that was committed before it"}
    assert len(alone - shards) == 2
    apart = Topology("databases", {"by": "tenant"})
    assert alone - set(shape.promises(apart, names="", commit="on", standbys=0, reads=False)) == {
        "one query may ask for all rows"
    }
    assert len(alone - set(shape.promises(pooled, names="", commit="on", standbys=0, reads=False))) == 3


def test_a_commit_that_a_standby_only_received_is_on_one_disk():
    sync = {"names": "FIRST 1 (a)", "standbys": 1, "reads": False}
    assert any("2 servers" in one for one in shape.promises(Topology("replicas"), commit="on", **sync))
    for weak in ("remote_write", "local"):
        assert not any("servers" in one for one in shape.promises(Topology("replicas"), commit=weak, **sync))


def test_reads_that_every_commit_waits_for_are_never_old():
    told = {"names": "FIRST 2 (a, b)", "standbys": 2, "reads": True}
    some = {**told, "names": "ANY 1 (a, b)"}
    assert any("every read" in one for one in shape.promises(Topology("replicas"), commit="remote_apply", **told))
    assert not any("every read" in one for one in shape.promises(Topology("replicas"), commit="on", **told))
    assert not any("every read" in one for one in shape.promises(Topology("replicas"), commit="remote_apply", **some))
