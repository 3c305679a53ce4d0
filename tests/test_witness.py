"""A second generator: who is sent what twice, what is refused, and what the plan says of the two."""

from contextlib import contextmanager
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest

from lab import check, design, load, margin, plan, preflight, render, run, sent, store, timeline, trial, witness
from lab.drivers import OPS, Driven
from lab.errors import IngestError, LabError, ScenarioError
from lab.model import Instance, LeastEffect, Parameter, Query, Statement
from tests import samples
from tests.slices import MS, START, drive, ops, sliced, step

BY_TWO = timeline.Drive.model_validate({"for": "450ms", "rate": 400, "clients": 4, "witness": "pgbench"})
ALONE = timeline.Drive.model_validate({"for": "450ms", "rate": 400, "clients": 4})
AFTER = START + 3000 * MS
MARGIN = float(np.log(1.1))
POINT = Query("point", "workload/point.sql", (Statement("SELECT 1"),))


def twice(own_ms, other_ms, *, number=400, late_ms=0.0, round_=0, name="recent"):
    """A trial whose baseline was sent *number* operations by two generators, with such times from start."""
    times = [np.broadcast_to(np.asarray(ms) * MS, number).astype(np.int64) for ms in (own_ms, other_ms)]
    due = START + np.arange(number) * 4 * MS
    own = ops(number, due=due, end=due + times[0], name=name)
    again = due + AFTER - START
    start = again + int(late_ms * MS)
    other = ops(number, due=again, start=start, end=start + times[1], name=name)
    second = step("witness", start_ns=AFTER, end_ns=AFTER + 2000 * MS, generator_cpu_s=9.0, for_s=2.0)
    item = sliced([drive(due=number, generator_cpu_s=0.5), second], own, round_=round_)
    return replace(item, witness=other)


def told(items, *, unfit=(), margin=MARGIN):
    return witness.witness(items, unfit=unfit, margin=margin, names=("locust", "pgbench"))


def noisy(ratio, *, rounds=8, sd=0.02):
    """Trials in which the first generator's times are *ratio* of the second's, give or take."""
    logs = np.random.default_rng(3).normal(np.log(ratio), sd, rounds)
    return [twice(np.exp(log), 1.0, round_=n) for n, log in enumerate(logs)]


# --- what is compared -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ratio", "sd", "verdict"),
    [(1.0, 0.02, "agree"), (1.3, 0.02, "differ"), (0.7, 0.02, "differ"), (1.1, 0.05, "not shown")],
)
def test_the_two_agree_within_the_margin_or_differ_beyond_it_or_neither_is_shown(ratio, sd, verdict):
    found = told(noisy(ratio, sd=sd))["quantiles"]
    assert {name: one["verdict"] for name, one in found.items()} == dict.fromkeys(found, verdict)
    assert found["p50_ms"]["low"] < ratio < found["p50_ms"]["high"]
    assert found["p50_ms"]["own_ms"] == pytest.approx(ratio, rel=0.1)
    assert found["p50_ms"]["witness_ms"] == pytest.approx(1.0)


def test_one_trial_shows_nothing():
    found = told([twice(1.0, 1.0)])["quantiles"]["p50_ms"]
    assert (found["trials"], found["verdict"], found["low"], found["high"]) == (1, "not shown", 0.0, np.inf)


def test_each_query_is_compared_with_itself():
    few = twice(np.repeat([1.0, 9.0], [300, 100]), 1.0, name=["recent"] * 300 + ["slow"] * 100)
    many = twice(1.0, np.repeat([1.0, 9.0], [100, 300]), name=["recent"] * 100 + ["slow"] * 300)
    pairs = [replace(few, witness=many.witness, trial=replace(few.trial, id=f"t{n}")) for n in range(4)]
    found = told(pairs)["quantiles"]["p50_ms"]
    assert (found["ratio"], found["verdict"]) == (pytest.approx(1.0), "agree")


def test_a_high_quantile_of_too_few_operations_is_not_estimable_and_says_what_it_needs():
    found = told([twice(1.0, 1.0, number=200, round_=n) for n in range(3)])["quantiles"]
    assert (found["p99_ms"]["needs"], found["p99_ms"]["operations"]) == (299, 196)
    assert "verdict" not in found["p99_ms"]
    assert found["p50_ms"]["verdict"] == "agree"


def test_what_a_witness_waits_before_it_sends_is_in_its_latency_and_not_in_its_service_time():
    found = told([twice(1.0, 1.0, late_ms=1.0, round_=n) for n in range(4)])["quantiles"]
    assert (found["p50_ms"]["verdict"], found["service_p50_ms"]["verdict"]) == ("differ", "agree")
    assert found["p50_ms"]["ratio"] == pytest.approx(0.5)


def test_trials_that_say_nothing_of_time_and_those_of_a_late_witness_do_not_count():
    fit, late, busy = twice(1.0, 1.0, round_=1), twice(1.0, 1.0, round_=2, late_ms=5), twice(1.0, 1.0, round_=3)
    found = told([fit, late, busy], unfit={busy.trial.id})
    assert (found["trials"], found["left_out"]) == (1, 2)


def test_only_the_slices_that_were_sent_twice_are_compared():
    first = drive(due=400, start_ns=START - 2000 * MS, end_ns=START, zero_ns=START - 2000 * MS)
    slow = ops(400, due=START - 2000 * MS + np.arange(400) * MS, end=START + np.arange(400) * MS)
    items = [twice(1.0, 1.0, round_=n) for n in range(4)]
    items = [replace(one, steps=(first, *one.steps), ops=pa.concat_tables([slow, one.ops])) for one in items]
    assert told(items)["quantiles"]["p50_ms"]["ratio"] == pytest.approx(1.0)


def test_a_clients_first_operation_of_a_query_in_which_pgbench_prepares_does_not_count():
    preparing = np.where(np.arange(400) < 4, 50.0, 1.0)
    found = told([twice(1.0, preparing, round_=n) for n in range(4)])["quantiles"]
    assert (found["p99_ms"]["verdict"], found["p99_ms"]["witness_ms"]) == ("agree", 1.0)


def test_without_a_witness_there_is_nothing_to_say():
    assert told([sliced(drive(due=9), ops(9))]) == {}
    assert list(witness.doubts({})) == []


def test_the_margin_is_the_least_effect_or_the_twins_bound_if_that_is_more():
    judged = samples.judged()
    wide = replace(judged.weighed, twin={judged.scenario.objective: 0.3})
    assert margin.of_times(judged.scenario, wide) == 0.3
    assert margin.of_times(replace(judged.scenario, least_effect=LeastEffect(time=0.5)), wide) == np.log1p(0.5)


# --- what is said ---------------------------------------------------------------------------


def test_a_latency_that_the_two_tell_otherwise_is_doubted_and_a_service_time_is_not():
    found = told(noisy(1.3))
    assert [(one.trial, one.kind, one.leaves_out) for one in witness.doubts(found)] == [
        ("p50_ms", check.WITNESS, False),
        ("p99_ms", check.WITNESS, False),
    ]
    assert check.WITNESS in check.NOTES
    assert list(witness.doubts(told(noisy(1.0)))) == []


def page_of(**changes):
    return next(iter(render.pages(plan.plan(samples.judged(**changes))).values())).text


def test_a_plan_says_of_both_generators_what_they_tell_and_whether_they_agree():
    own = {"mean": 0.25, "most": 0.5, "hosts": []}
    differing = told(noisy(1.3))
    page = page_of(load=own | {"witness": differing}, doubts=list(witness.doubts(differing)))
    assert "A second generator, pgbench, sent the baseline the same mix" in page
    assert "right after locust (trials: 8, left out: 0):" in page
    assert "**they differ** by more than 10 %, and latency is in doubt." in page
    assert "**Noted** (quantiles of latency: 2): two load generators tell another latency" in page
    page = page_of(load=own | {"witness": told(noisy(1.0))})
    assert "they agree within 10 %." in page
    page = page_of(load=own | {"witness": told([twice(1.0, 1.0, number=200)])})
    assert "not estimable; it needs 299 operations of a query in a slice, and the best had 196." in page
    assert "whether they agree within 10 % is not shown." in page
    page = page_of(load=own | {"witness": told([twice(1.0, 1.0, late_ms=5)])})
    assert "(trials: 0, left out: 1); nothing is left to compare.\n- " in page
    assert "not estimable; it needs" not in page
    assert "second generator" not in page_of(load=own)


# --- who is sent what -----------------------------------------------------------------------


def test_the_baseline_is_sent_the_same_again_and_nobody_else_is_not_even_the_twin():
    made = samples.scenario(round=(BY_TWO,))
    kinds = {
        one: [each.do for each in run.steps_of(made, one)]
        for one in (Instance("heap", 1), Instance("heap", 2), Instance("heap", 2, twin=True), Instance("brin", 1))
    }
    assert list(kinds.values()) == [["drive", "witness"], ["drive", "witness"], ["drive"], ["drive"]]


def test_a_step_without_a_witness_gives_trials_the_ids_they_had_before_there_were_any():
    steps = [design._step(one) for one in (ALONE, BY_TWO, timeline.Retire())]
    assert steps == [
        {"do": "drive", "for_s": 0.45, "rate": 400.0, "clients": 4},
        {"do": "drive", "for_s": 0.45, "rate": 400.0, "clients": 4, "witness": "pgbench"},
        {"do": "retire"},
    ]


@contextmanager
def _nothing(*words):
    del words
    yield {}


def test_the_witness_follows_its_drive_with_the_same_parameters_and_changes_no_other_step(monkeypatch):
    asked = []

    def acting(_, step, tools, seed):
        asked.append((step.do, tools.driver, seed))
        return lambda fact: fact.update(do=step.do) or Driven(OPS.empty_table(), 0, 0, 0.0)

    monkeypatch.setattr(trial, "_STEPS", dict.fromkeys(trial._STEPS, acting))
    monkeypatch.setattr(trial, "_watched", _nothing)
    monkeypatch.setattr(trial, "_looking", _nothing)
    monkeypatch.setattr(trial, "_reckon", lambda *_: None)
    monkeypatch.setattr(trial, "activity", lambda *_: {})
    tools = trial.Tools(None, "locust", {}, [], {}, 0)
    tools = replace(tools, witness=replace(tools, driver="pgbench"))
    kept = SimpleNamespace(
        instance=Instance("heap", 1),
        nodes=(),
        rooms=SimpleNamespace(nodes=()),
        rows=3,
        rows_there=lambda: 3,
        cluster=SimpleNamespace(processes=()),
    )
    steps = (timeline.Append(rows=1), BY_TWO, timeline.Retire(), ALONE)
    one = sliced(drive(), ops(1)).trial
    done = trial.drive(kept, replace(one, seed=100), tuple(timeline.witnessed(steps)), tools)
    assert asked == [
        ("append", "locust", 100),
        ("drive", "locust", 101),
        ("witness", "pgbench", 101),
        ("retire", "locust", 102),
        ("drive", "locust", 103),
    ]
    assert done.witness is not None
    assert trial.drive(kept, one, steps, tools).witness is None


def test_what_the_witness_did_is_kept_with_the_trial_and_sealed_apart_from_the_evidence(tmp_path):
    folder = store.create(tmp_path, {"id": "one", "scenario": {"name": "events"}, "rounds": 2})
    store.keep_trial(folder, twice(1.0, 2.0, round_=1), {})
    store.keep_trial(folder, sliced(drive(due=9), ops(9), round_=2), {})
    with_witness, without = store.read(folder).slices
    assert with_witness.witness.equals(twice(1.0, 2.0).witness)
    assert with_witness.ops.equals(twice(1.0, 2.0).ops)
    assert without.witness is None
    (folder / "trials" / with_witness.trial.id / "witness.parquet").write_bytes(b"")
    assert [problem.endswith("witness.parquet: was changed") for problem in store.problems(folder)] == [True]


# --- what is refused before a run -----------------------------------------------------------


def asked(*queries, driver="locust", locustfile=None):
    made = samples.scenario(round=(BY_TWO,))
    heap = replace(made.candidates["heap"], queries=queries or (POINT,))
    workload = replace(made.workload, driver=driver, locustfile=locustfile)
    return replace(made, workload=workload, candidates={**made.candidates, "heap": heap})


WRITES = replace(POINT, statements=(Statement("INSERT INTO t VALUES (1)"),))
DATED = replace(POINT, params=(Parameter("since", "window.from", "", 0.0),))


@pytest.mark.parametrize(
    ("read", "why"),
    [
        (
            asked(WRITES),
            r"workload/point\.sql: timeline: drive: witness: pgbench: query 'point' writes.*leave the witness out",
        ),
        (asked(DATED), r"workload/point\.sql: .* needs window: dates, and pgbench draws numbers only \(leave the"),
        (asked(POINT, replace(POINT, name="b", send="literal")), "in one way.*leave the witness out"),
        (asked(driver="pgbench"), "no second witness of driver: pgbench"),
        (asked(locustfile=POINT), "no second witness of a locustfile"),
    ],
)
def test_what_a_witness_cannot_be_is_refused_with_place_and_way_out(read, why):
    with pytest.raises(ScenarioError, match=why):
        load.check(replace(read, round=(replace_for(read),)), None, None)


def replace_for(read):
    """A drive of whole seconds where pgbench is the driver too."""
    return BY_TWO.model_copy(update={"for_s": 1.0}) if read.workload.driver == "pgbench" else BY_TWO


def test_a_mix_that_reads_by_numbers_may_have_a_witness():
    load.check(asked(), None, None)


class Refusing:
    def refuse(self, work):
        del work
        raise LabError("q.sql: takes a text (drivers that can: locust)")


def test_drivers_are_shown_their_calls_before_the_run_and_the_witness_those_of_the_baseline_alone(monkeypatch):
    monkeypatch.setattr(trial, "work_of", lambda *_: None)
    plain = trial.Tools(None, "locust", {}, [], {}, 0)
    tools = replace(plain, witness=replace(plain, driver=Refusing()))
    made = samples.scenario(round=(BY_TWO,))
    heap, brin = (SimpleNamespace(candidate=made.candidates[name]) for name in ("heap", "brin"))
    with pytest.raises(
        IngestError, match=r"heap: q\.sql: takes a text .* \(it is the witness .* leave `witness` out\)"
    ):
        preflight._try_drivers(heap, made, tools)
    preflight._try_drivers(brin, made, tools)
    with pytest.raises(IngestError, match=r"brin: q\.sql: takes a text \(drivers that can: locust\)$"):
        preflight._try_drivers(brin, made, replace(plain, driver=Refusing()))


def test_the_witness_takes_no_part_in_what_the_generator_is_said_to_have_taken():
    assert sent.sent([twice(1.0, 1.0)])["mean"] == 0.25
