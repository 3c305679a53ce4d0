"""From operations to the verdict: trials written down by hand, through check, measure and weigh."""

import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from lab import check, judge, measure, store
from lab.model import Family, Instance, LeastEffect, Measurement, Requirement, Slice, Trial, Verdict, Weighed
from lab.weigh import weigh
from tests.simulate import OBJECTIVE, band, scenario
from tests.slices import MS, START, drive, ops, sliced

TOP = Path(__file__).parent.parent
SIDES = (Instance("heap", 1), Instance("brin", 1), Instance("heap", 2, twin=True))
P95 = Requirement("query.recent.p95_ms", at_most=50.0)
SIZE = "size.total_bytes"


def trial(instance: Instance, number: int, ms: float = 1.0, *, late_ms: float = 0.0, **facts: Any) -> Slice:
    """A slice of a hundred operations that take about *ms* each, started so much late by the generator."""
    rng = np.random.default_rng([number, SIDES.index(instance)])
    due = START + np.arange(100) * 10 * MS
    start = due + int(late_ms * MS)
    took = ms * MS * rng.lognormal(sigma=0.05, size=100)
    statements = {"recent": {"calls": 100, "plan_ms": 0.0, "exec_ms": float(took.sum()) / MS}}
    step = drive(due=100, statements=statements, **facts)
    item = sliced(step, ops(100, due=due, start=start, end=start + took.astype(np.int64)), round_=number)
    return replace(item, trial=Trial(f"{instance.name}.{instance.load}.r{number}", instance, number, 0, 7))


def sizes(heap: float, brin: float) -> list[Measurement]:
    """What the count pass found."""
    of = {SIDES[0]: heap, SIDES[1]: brin, SIDES[2]: heap}
    return [Measurement(one, None, one.name, SIZE, value) for one, value in of.items()]


def judged(slices: Sequence[Slice], *more: Measurement, objective: str = OBJECTIVE) -> Weighed:
    """As judge.py joins them."""
    asked = scenario(["heap", "brin"], requirements=[P95], objective=objective, least=LeastEffect())
    measured = [*measure.measure(slices, requirements=[P95]), *more]
    doubts = [*check.check(slices), *check.warm_up(slices)]
    return weigh(measured, scenario=asked, doubts=doubts, planned_rounds=10)


def run(*, rounds: int = 10, brin_ms: float = 0.5, **changes: Any) -> list[Slice]:
    """Ten rounds in which brin takes half as long."""
    return [
        trial(one, n, brin_ms if one.candidate == "brin" else 1.0, **changes) for n in range(rounds) for one in SIDES
    ]


def verdicts(weighed: Weighed, metric: str) -> set[Verdict]:
    return {e.verdict for e in weighed.evidence if e.metric == metric and e.candidate == "brin"} - {Verdict.DESCRIBED}


def test_a_run_as_it_should_be_is_decided() -> None:
    weighed = judged(run(), *sizes(1000, 900))
    assert verdicts(weighed, OBJECTIVE) == {Verdict.BETTER}
    assert verdicts(weighed, P95.metric) == {Verdict.MET}
    assert (weighed.decision.kind, weighed.decision.pick) == ("recommend", "brin")


def test_behind_a_late_generator_no_latency_is_judged_and_what_is_exact_stands() -> None:
    late = run(late_ms=5.0)
    assert {check.generator_late(item) for item in late} == {1.0}
    weighed = judged(late, *sizes(1000, 900))
    assert verdicts(weighed, P95.metric) == {Verdict.NOT_SHOWN}
    assert verdicts(weighed, OBJECTIVE) == {Verdict.UNCLEAR}
    assert verdicts(weighed, SIZE) == {Verdict.BETTER}
    assert "generator" in weighed.time_refused


def test_beside_a_busy_process_time_is_not_decided_and_what_is_exact_is() -> None:
    busy = run(foreign_cpu_share=0.4)
    weighed = judged(busy, *sizes(1000, 900))
    assert (verdicts(weighed, OBJECTIVE), weighed.decision.kind) == ({Verdict.UNCLEAR}, "open")
    assert verdicts(weighed, SIZE) == {Verdict.BETTER}
    by_size = judged(busy, *sizes(1000, 900), objective=SIZE)
    assert [e.verdict for e in by_size.evidence if e.family is Family.OBJECTIVE and e.candidate == "brin"] == [
        Verdict.BETTER
    ]


def test_a_trial_beside_an_autovacuum_worker_is_in_no_evidence() -> None:
    slices = run()
    disturbed = trial(SIDES[1], 3, 90.0, autovacuums=1)
    weighed = judged([disturbed if item.trial.id == disturbed.trial.id else item for item in slices])
    assert not any(disturbed.trial.id in e.trials for e in weighed.evidence)
    assert verdicts(weighed, OBJECTIVE) == {Verdict.BETTER}


def test_one_more_partition_scanned_is_found_while_time_is_unclear() -> None:
    metric = "query.recent.partitions_per_call"
    of = dict(zip(SIDES, (3.0, 4.0, 3.0), strict=True))
    counted = [Measurement(one, None, one.name, metric, value) for one, value in of.items() for _ in range(2)]
    weighed = judged(run(brin_ms=1.08), *counted)
    assert verdicts(weighed, metric) == {Verdict.WORSE}
    assert verdicts(weighed, OBJECTIVE) <= {Verdict.UNCLEAR, Verdict.SAME}


# --- drift, at the level that is said -------------------------------------------------------


def drifting(seed: int, by: float) -> list[Slice]:
    """Twenty slices of the baseline, the later ten dearer by a share, with noise of 5 % in each."""
    rng = np.random.default_rng(seed)
    cost = 0.1 * np.exp(0.05 * rng.normal(size=20)) * np.where(np.arange(20) < 10, 1.0, 1 + by)
    table = ops(90)
    return [sliced(drive(server_cpu_s=float(cpu_s)), table, round_=n) for n, cpu_s in enumerate(cost)]


@pytest.mark.long
def test_drift_is_told_falsely_once_in_a_hundred_runs_and_ten_per_cent_are_found() -> None:
    even = sum(bool(check.drift(drifting(seed, 0.0), "heap")) for seed in range(1000)) / 1000
    assert even <= 0.01 + band(0.01, 1000)
    slower = sum(bool(check.drift(drifting(seed, 0.10), "heap")) for seed in range(200)) / 200
    assert slower >= 0.85


# --- common numbers -------------------------------------------------------------------------


def test_a_trial_that_was_asked_something_else_is_in_no_evidence(monkeypatch: pytest.MonkeyPatch) -> None:
    (folder,) = store.runs(TOP / "results", "sample")
    stored = store.read(folder)
    one, other = next(item for item in stored.slices if item.trial.instance == Instance("by-day", 1)), "of its own"
    at = one.ops.schema.get_field_index("key")
    changed = replace(one, ops=one.ops.set_column(at, "key", pa.array([other] * one.ops.num_rows)))
    slices = tuple(changed if item is one else item for item in stored.slices)
    monkeypatch.setattr(judge.store, "read", lambda _: replace(stored, slices=slices))
    found = judge.judge(folder).judged
    assert [doubt.trial for doubt in found.doubts if doubt.leaves_out] == [one.trial.id]
    assert not any(one.trial.id in each.trials for each in found.weighed.evidence)


# --- no peeking -----------------------------------------------------------------------------


def test_a_run_that_ended_within_its_last_round_is_exploratory(tmp_path: Path) -> None:
    shutil.copytree(TOP / "results" / "sample", tmp_path / "sample")
    (folder,) = store.runs(tmp_path, "sample")
    last = [path for path in (folder / "trials").iterdir() if store.read_json(path / "trial.json")["round"] == 20]
    shutil.rmtree(last[0])
    (folder / "done.json").unlink()
    assert judge.judge(folder).judged.weighed.decision.exploratory


def test_rounds_added_to_a_finished_run_make_its_plan_exploratory(tmp_path: Path) -> None:
    shutil.copytree(TOP / "results" / "sample", tmp_path / "sample")
    (folder,) = store.runs(tmp_path, "sample")
    planned = store.read(folder).rounds
    assert not judge.judge(folder).judged.weighed.decision.exploratory
    store.take_up(folder, {"rounds": planned, "trials": 0, "why": "more rounds"})
    assert judge.judge(folder).judged.weighed.decision.exploratory
