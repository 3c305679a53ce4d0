"""What is said, and what is not, where candidates are not all one server."""

from dataclasses import replace

import pytest

from lab import measure, metrics, project, shape
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
            name: {"system": system, "wal_bytes": wal, "checkpoints": checkpoints, "autovacuums": 0}
            for name, (system, wal, checkpoints) in nodes.items()
        }
    }


def test_wal_is_summed_over_streams_and_checkpoints_over_servers():
    before = reading(a=("1", 100, 0), b=("1", None, 2), c=("2", 7, 0))
    after = reading(a=("1", 150, 1), b=("1", None, 3), c=("2", 17, 0))
    assert server.seen(before, after) == {"wal_bytes": 60, "checkpoints": 2, "autovacuums": 0}
    assert server.each(before, after)["b"] == {"wal_bytes": 0, "checkpoints": 1}


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
