"""What may be said, and what may not, of measurements written down by hand."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest

from lab.check import FAILED, FOREIGN, GENERATOR, OVERLOADED, Disagreement
from lab.decide import NO_TWIN, TWIN
from lab.model import (
    Doubt,
    Evidence,
    Family,
    Instance,
    LeastEffect,
    Measurement,
    Requirement,
    Scenario,
    Scope,
    Verdict,
    Weighed,
)
from lab.weigh import weigh
from tests.simulate import OBJECTIVE, Truth, experiment, scenario

SIZE = "size.total_bytes"
P95 = "query.recent.p95_ms"
OVER = "query.recent.over_limit_share"
LIMIT = Requirement(P95, at_most=50.0)


def loaded(metric: str, **values: Sequence[float]) -> list[Measurement]:
    """What count passes gave, one value for each; `twin` is the second load of `heap`."""
    instances = {name: Instance("heap", 2, twin=True) if name == "twin" else Instance(name, 1) for name in values}
    return [
        Measurement(instances[name], None, f"{name}.1", metric, value)
        for name, passes in values.items()
        for value in passes
    ]


def rounds(metric: str, **values: Sequence[float]) -> list[Measurement]:
    """One value for each round."""
    return [replace(m, round=i, trial=f"{m.instance.name}.r{i}") for m, i in _numbered(loaded(metric, **values))]


def _numbered(measured: Sequence[Measurement]) -> list[tuple[Measurement, int]]:
    seen: dict[Instance, int] = {}
    numbered = []
    for m in measured:
        seen[m.instance] = seen.get(m.instance, -1) + 1
        numbered.append((m, seen[m.instance]))
    return numbered


def shares(limit_ms: float = 50.0, operations: int = 100, **over: Sequence[int]) -> list[Measurement]:
    """How many of the operations of each round were over the limit."""
    counted = rounds(OVER, **{name: [n / operations for n in numbers] for name, numbers in over.items()})
    return [replace(m, operations=operations, limit_ms=limit_ms) for m in counted]


def judged(
    measured: Sequence[Measurement],
    *,
    asked: Scenario | None = None,
    doubts: Sequence[Doubt] = (),
    disagreements: Sequence[Disagreement] = (),
    planned: int = 0,
) -> Weighed:
    """The production judge, by default asked about heap and brin."""
    return weigh(
        measured,
        scenario=asked or scenario(["heap", "brin"]),
        doubts=doubts,
        disagreements=disagreements,
        planned_rounds=planned,
    )


def find(weighed: Weighed, address: str) -> Evidence:
    """The evidence at an address, which must be the only one."""
    (found,) = [evidence for evidence in weighed.evidence if evidence.id == address]
    return found


def noisy(effects: Mapping[str, float], seed: int = 7, pair_sd: float = 0.05) -> list[Measurement]:
    """A simulated objective."""
    return experiment(Truth(effects, pair_sd=pair_sd), seed)


# --- exact ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("own", "verdict"),
    [(980.0, Verdict.BETTER), (1000.0, Verdict.SAME), (1005.0, Verdict.SAME), (1020.0, Verdict.WORSE)],
)
def test_a_size_is_stated_as_it_is(own: float, verdict: Verdict) -> None:
    evidence = find(judged(loaded(SIZE, heap=[1000.0], brin=[own])), f"brin/{SIZE}")
    assert evidence.verdict is verdict
    assert evidence.family is Family.EXACT
    assert evidence.value == pytest.approx(own / 1000)
    assert (evidence.own, evidence.base) == (own, 1000.0)
    assert evidence.scope is Scope.TRANSFERS


def test_two_per_cent_more_bytes_are_found_in_one_count_pass_while_time_is_unclear() -> None:
    measured = [*loaded("size.bytes_per_row", heap=[100.0], brin=[102.0]), *noisy({"heap": 0.0, "brin": 0.09})]
    weighed = judged(measured)
    assert find(weighed, "brin/size.bytes_per_row").verdict is Verdict.WORSE
    assert find(weighed, f"brin/{OBJECTIVE}").verdict is Verdict.UNCLEAR


def test_a_count_that_does_not_repeat_is_described_and_not_judged() -> None:
    evidence = find(judged(loaded(SIZE, heap=[1000.0, 1002.0], brin=[800.0, 800.0])), f"brin/{SIZE}")
    assert evidence.family is Family.DESCRIBED
    assert evidence.verdict is Verdict.DESCRIBED


def test_a_value_that_was_zero_is_compared_by_difference() -> None:
    metric = "query.recent.locks_per_call"
    weighed = judged(loaded(metric, heap=[0.0], brin=[3.0]))
    evidence = find(weighed, f"brin/{metric}")
    assert (evidence.scale, evidence.value, evidence.verdict) == ("difference", 3.0, Verdict.WORSE)
    assert find(judged(loaded(metric, heap=[0.0], brin=[0.0])), f"brin/{metric}").verdict is Verdict.SAME


def test_a_difference_of_counts_reads_in_their_own_unit() -> None:
    metric = "query.recent.locks_per_call"
    evidence = find(judged(loaded(metric, heap=[4.0], brin=[1192.0])), f"brin/{metric}")
    assert (evidence.value, evidence.low, evidence.high) == (1188.0, 1188.0, 1188.0)


def test_where_two_loads_differ_in_size_no_smaller_difference_is_claimed() -> None:
    weighed = judged(loaded(SIZE, heap=[1000.0], twin=[1030.0], brin=[1020.0]))
    assert find(weighed, f"brin/{SIZE}").verdict is Verdict.UNCLEAR
    assert weighed.twin[SIZE] == pytest.approx(math.log(1.03))


def test_wal_of_the_rounds_is_exact_only_if_every_round_wrote_the_same() -> None:
    metric = "append.wal_bytes_per_row"
    same = judged(rounds(metric, heap=[279.0] * 4, brin=[140.0] * 4))
    assert find(same, f"brin/{metric}").family is Family.EXACT
    images = judged(rounds(metric, heap=[279.0, 4914.0, 279.0, 279.0], brin=[140.0] * 4))
    assert find(images, f"brin/{metric}").family is Family.DESCRIBED


# --- the objective --------------------------------------------------------------------------


def test_a_difference_of_nothing_is_not_claimed() -> None:
    assert find(judged(noisy({"heap": 0.0, "brin": 0.0})), f"brin/{OBJECTIVE}").verdict is Verdict.SAME


def test_a_large_difference_is_claimed_in_its_direction() -> None:
    weighed = judged(noisy({"heap": 0.0, "brin": math.log(0.5)}))
    evidence = find(weighed, f"brin/{OBJECTIVE}")
    assert evidence.verdict is Verdict.BETTER
    assert evidence.low < 0.5 < evidence.high < 1
    assert evidence.scope is Scope.THIS_HOST
    assert find(judged(noisy({"heap": 0.0, "brin": 0.7})), f"brin/{OBJECTIVE}").verdict is Verdict.WORSE


def test_where_more_is_better_the_ratio_stays_and_the_verdict_turns() -> None:
    asked = scenario(["heap", "brin"], objective="saturate.per_s")
    faster = [replace(m, metric="saturate.per_s") for m in noisy({"heap": 0.0, "brin": math.log(2)})]
    weighed = judged(faster, asked=asked)
    evidence = find(weighed, "brin/saturate.per_s")
    assert evidence.verdict is Verdict.BETTER
    assert evidence.value == pytest.approx(2, rel=0.1)
    assert weighed.decision.pick == "brin"
    assert weighed.decision.may_lose["heap"] > 0.8


def test_constants_are_decided_before_any_test() -> None:
    weighed = judged(rounds(OBJECTIVE, heap=[2.0] * 5, brin=[1.0] * 5))
    assert find(weighed, f"brin/{OBJECTIVE}").verdict is Verdict.BETTER
    assert weighed.decision.pick == "brin"


def test_one_round_decides_nothing() -> None:
    weighed = judged(rounds(OBJECTIVE, heap=[2.0], brin=[1.0]))
    evidence = find(weighed, f"brin/{OBJECTIVE}")
    assert (evidence.verdict, evidence.low, evidence.high) == (Verdict.UNCLEAR, 0.0, math.inf)
    assert weighed.decision.kind == "keep"
    assert weighed.decision.smallest_effect is None


def test_where_nobody_challenges_the_baseline_no_effect_is_promised() -> None:
    alone = judged(noisy({"heap": 0.0}), asked=scenario(["heap"]))
    assert alone.decision.smallest_effect is None
    assert alone.decision.noise_sd == pytest.approx(0.05, rel=0.5)


def test_rounds_that_one_side_lacks_are_not_compared() -> None:
    weighed = judged(rounds(OBJECTIVE, heap=[2.0, 2.0, 2.0, 50.0], brin=[1.0, 1.0, 1.0]))
    assert find(weighed, f"brin/{OBJECTIVE}").value == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("brin", "verdict"), [(4.0, Verdict.BETTER), (40.7, Verdict.SAME), (40.0, Verdict.BETTER), (42.0, Verdict.WORSE)]
)
def test_a_twin_of_which_one_pass_is_a_little_off_leaves_what_repeats_decided(brin: float, verdict: Verdict) -> None:
    blocks = "query.recent.blocks_per_call"
    measured = loaded(blocks, heap=[40.625] * 3, twin=[40.625, 40.625, 40.75], brin=[brin] * 3)
    assert find(judged(measured), f"brin/{blocks}").verdict is verdict


def test_a_twin_of_which_one_pass_is_far_off_leaves_what_repeats_undecided() -> None:
    blocks = "query.recent.blocks_per_call"
    measured = loaded(blocks, heap=[40.0] * 3, twin=[40.0, 40.0, 60.0], brin=[30.0] * 3)
    assert find(judged(measured), f"brin/{blocks}").verdict is Verdict.UNCLEAR


def test_an_objective_that_repeats_is_known_to() -> None:
    sizes = scenario(["heap", "brin"], objective=SIZE)
    assert judged(loaded(SIZE, heap=[100.0] * 2, twin=[100.0] * 2, brin=[98.0] * 2), asked=sizes).exact
    assert not judged(loaded(SIZE, heap=[100.0] * 2, twin=[101.0, 100.0], brin=[98.0] * 2), asked=sizes).exact


def test_an_objective_without_a_value_that_counts_does_not_repeat() -> None:
    overloaded = [Doubt(f"{name}.r{n}", OVERLOADED, "slow", False) for name in ("heap", "brin") for n in range(3)]
    assert not judged(rounds(OBJECTIVE, heap=[2.0] * 3, brin=[1.0] * 3), doubts=overloaded).exact


def test_the_twin_is_judged_under_its_own_name() -> None:
    weighed = judged(noisy({"heap": 0.0, "brin": 0.0}))
    assert find(weighed, f"heap (twin)/{OBJECTIVE}").base is not None
    assert 0 < weighed.twin[OBJECTIVE] < 0.1


def differing_twin(brin: float) -> list[Measurement]:
    """The baseline's second load is a fifth slower than its first."""
    measured = noisy({"heap": 0.0, "brin": brin}, pair_sd=0.02)
    return [replace(m, value=m.value * 1.2) if m.instance.twin else m for m in measured]


def test_where_the_twin_differs_by_more_than_anybody_cares_nothing_is_the_same() -> None:
    weighed = judged(differing_twin(0.0))
    assert find(weighed, f"brin/{OBJECTIVE}").verdict is Verdict.UNCLEAR


def test_where_the_twin_differs_its_difference_is_the_margin() -> None:
    assert find(judged(differing_twin(-0.15)), f"brin/{OBJECTIVE}").verdict is Verdict.UNCLEAR
    assert find(judged(differing_twin(-0.50)), f"brin/{OBJECTIVE}").verdict is Verdict.BETTER


def test_where_the_twin_differs_no_challenger_is_recommended() -> None:
    kept = judged(differing_twin(-0.15)).decision
    assert (kept.kind, kept.pick) == ("keep", "heap")
    shown = judged(differing_twin(-0.50)).decision
    assert (shown.kind, shown.pick) == ("open", None)


def test_the_unit_of_decide_is_the_load() -> None:
    """Every round shows half; the loads differ, and their differences are what the interval is made of."""
    asked = scenario(["heap", "brin"], profile="decide")
    loads = {"heap": [1.0, 1.0, 1.0], "brin": [0.4, 0.5, 0.625]}
    measured = [
        Measurement(Instance(name, load + 1), number, f"{name}.{load}.r{number}", OBJECTIVE, level)
        for name, levels in loads.items()
        for load, level in enumerate(levels)
        for number in range(8)
    ]
    evidence = find(judged(measured, asked=asked), f"brin/{OBJECTIVE}")
    assert evidence.value == pytest.approx(0.5)
    assert evidence.low < 0.3 < 0.8 < evidence.high


# --- described ------------------------------------------------------------------------------


def test_everything_else_is_described_and_never_judged() -> None:
    slower = [replace(m, metric="retire.ms") for m in noisy({"heap": 0.0, "brin": 2.0})]
    evidence = find(judged([*slower, *noisy({"heap": 0.0, "brin": 0.0})]), "brin/retire.ms")
    assert evidence.verdict is Verdict.DESCRIBED
    assert evidence.look
    assert evidence.low > 1


def test_a_described_difference_of_nothing_is_not_worth_a_look() -> None:
    quiet = [replace(m, metric="retire.ms") for m in noisy({"heap": 0.0, "brin": 0.0}, seed=3)]
    assert not find(judged(quiet), "brin/retire.ms").look


def test_one_value_a_side_has_a_ratio_and_no_interval() -> None:
    evidence = find(judged(loaded("ingest.rows_per_s", heap=[2000.0], brin=[1000.0])), "brin/ingest.rows_per_s")
    assert (evidence.value, evidence.low, evidence.high) == pytest.approx((0.5, 0.0, math.inf))


def test_passes_over_one_load_repeat_each_other_and_not_the_load() -> None:
    metric = "query.recent.planning_ms"
    evidence = find(judged(loaded(metric, heap=[1.0, 1.01, 0.99], brin=[2.0, 2.01, 1.99])), f"brin/{metric}")
    assert (evidence.value, evidence.low, evidence.high) == (pytest.approx(2.0, rel=0.01), 0.0, math.inf)
    assert not evidence.look


def test_the_twin_takes_no_look_away() -> None:
    """One metric of four at p = 0.018: marked among four, and not if there were eight of them."""
    names = [f"query.q{n}.mean_ms" for n in range(4)]
    measured = []
    for n, name in enumerate(names):
        own = [math.exp((0.0576 if n == 0 else 0.0) + 0.05 * (-1) ** i) for i in range(8)]
        twin = [math.exp(0.05 * (-1) ** (i // 2)) for i in range(8)]
        measured += rounds(name, heap=[1.0] * 8, brin=own, twin=twin)
    assert {e.metric for e in judged(measured).evidence if e.look} == {names[0]}


# --- requirements ---------------------------------------------------------------------------


@pytest.mark.parametrize(("profile", "loads", "verdict"), [("quick", 1, "not shown"), ("decide", 3, "met")])
def test_passes_on_one_load_show_no_limit_on_a_time(profile: str, loads: int, verdict: str) -> None:
    limit = Requirement("query.recent.planning_ms", at_most=1.0)
    passes = [
        Measurement(Instance(name, load + 1), None, f"{name}.{load + 1}", limit.metric, 0.5 + 0.01 * n + 0.01 * load)
        for name in ("heap", "brin")
        for load in range(loads)
        for n in range(8)
    ]
    asked = scenario(["heap", "brin"], requirements=[limit], profile=profile)
    told = [e for e in judged(passes, asked=asked).evidence if e.family is Family.REQUIREMENT]
    assert {str(e.verdict) for e in told} == {verdict}
    assert all(("--profile decide" in e.because) == (loads == 1) for e in told)


@pytest.mark.parametrize(("kind", "verdict"), [(FOREIGN, "not shown"), (GENERATOR, "met")])
def test_on_a_busy_machine_no_limit_on_a_time_is_decided(kind: str, verdict: str) -> None:
    limit = Requirement("ingest.rows_per_s", at_least=100.0)
    rates = [
        Measurement(Instance(name, load), None, f"{name}.{load}", limit.metric, 1000.0 + load)
        for name in ("heap", "brin")
        for load in (1, 2, 3)
    ]
    asked = scenario(["heap", "brin"], requirements=[limit], profile="decide")
    weighed = judged([*halved(), *rates], asked=asked, doubts=busy(kind))
    assert weighed.time_refused
    assert {str(e.verdict) for e in weighed.evidence if e.family is Family.REQUIREMENT} == {verdict}


def required(measured: Sequence[Measurement], *limits: Requirement, doubts: Sequence[Doubt] = ()) -> Weighed:
    """heap and brin under these requirements."""
    return judged(measured, asked=scenario(["heap", "brin"], requirements=limits), doubts=doubts)


@pytest.mark.parametrize(
    ("over", "verdict"),
    [([0] * 6, Verdict.MET), ([1] * 6, Verdict.MET), ([5] * 6, Verdict.NOT_SHOWN), ([20] * 6, Verdict.NOT_MET)],
)
def test_a_quantile_is_required_of_the_share_of_operations_over_its_limit(over: list[int], verdict: Verdict) -> None:
    evidence = find(required(shares(brin=over), LIMIT), f"brin:at_most/{P95}")
    assert evidence.verdict is verdict
    assert evidence.low <= evidence.value == sum(over) / 600 <= evidence.high
    assert evidence.base == 50.0


def test_too_few_operations_show_nothing_though_none_was_over() -> None:
    assert find(required(shares(operations=9, brin=[0] * 6), LIMIT), f"brin:at_most/{P95}").verdict is Verdict.NOT_SHOWN


def test_the_error_of_requirements_is_shared_by_the_candidates() -> None:
    """Of a hundred operations none is over: enough at half the error, too few at a ninth of it."""
    few = shares(operations=10, heap=[0] * 10, brin=[0] * 10)
    alone = judged(few, asked=scenario(["heap", "brin"], requirements=[LIMIT]))
    crowd = judged(few, asked=scenario(["heap", "brin", *"abcdefg"], requirements=[LIMIT]))
    assert find(alone, f"brin:at_most/{P95}").verdict is Verdict.MET
    assert find(crowd, f"brin:at_most/{P95}").verdict is Verdict.NOT_SHOWN


def test_operations_over_the_limit_all_at_once_show_less_than_scattered_ones() -> None:
    scattered, at_once = [2] * 6, [12, 0, 0, 0, 0, 0]
    assert find(required(shares(brin=scattered), LIMIT), f"brin:at_most/{P95}").verdict is Verdict.MET
    assert find(required(shares(brin=at_once), LIMIT), f"brin:at_most/{P95}").verdict is Verdict.NOT_SHOWN


def test_each_requirement_counts_against_its_own_limit() -> None:
    wide = Requirement("query.recent.p99_ms", at_most=200.0)
    weighed = required([*shares(50.0, brin=[0] * 6), *shares(200.0, brin=[30] * 6)], LIMIT, wide)
    assert find(weighed, f"brin:at_most/{P95}").verdict is Verdict.MET
    assert find(weighed, "brin:at_most/query.recent.p99_ms").verdict is Verdict.NOT_MET


@pytest.mark.parametrize(("limit", "verdict"), [(1100.0, Verdict.MET), (1000.0, Verdict.MET), (999.0, Verdict.NOT_MET)])
def test_an_exact_value_is_its_own_interval(limit: float, verdict: Verdict) -> None:
    weighed = required(loaded(SIZE, heap=[1.0], brin=[1000.0]), Requirement(SIZE, at_most=limit))
    assert find(weighed, f"brin:at_most/{SIZE}").verdict is verdict


@pytest.mark.parametrize(("limit", "verdict"), [(4.0, Verdict.NOT_MET), (5.0, Verdict.NOT_SHOWN), (6.0, Verdict.MET)])
def test_a_time_is_required_of_the_interval_over_trials(limit: float, verdict: Verdict) -> None:
    measured = rounds("retire.ms", heap=[1.0] * 6, brin=[4.9, 5.1, 5.0, 4.8, 5.2, 5.05])
    assert (
        find(required(measured, Requirement("retire.ms", at_most=limit)), "brin:at_most/retire.ms").verdict is verdict
    )


@pytest.mark.parametrize(("limit", "verdict"), [(900.0, Verdict.MET), (1100.0, Verdict.NOT_MET)])
def test_a_rate_is_required_at_least(limit: float, verdict: Verdict) -> None:
    measured = rounds("saturate.per_s", heap=[1.0] * 4, brin=[990.0, 1000.0, 1010.0, 1000.0])
    weighed = required(measured, Requirement("saturate.per_s", at_least=limit))
    assert find(weighed, "brin:at_least/saturate.per_s").verdict is verdict


def test_no_number_of_operations_shows_the_greatest() -> None:
    measured = rounds("query.recent.max_ms", heap=[9.0, 8.0], brin=[3.0, 12.0])
    weighed = required(measured, Requirement("query.recent.max_ms", at_most=10.0))
    assert find(weighed, "heap:at_most/query.recent.max_ms").verdict is Verdict.NOT_SHOWN
    assert find(weighed, "brin:at_most/query.recent.max_ms").verdict is Verdict.NOT_MET


def overloaded(*numbers: int) -> list[Doubt]:
    """Doubts about these rounds of brin."""
    return [Doubt(f"brin.r{i}", OVERLOADED, "the lag grew", False) for i in numbers]


def test_an_overloaded_candidate_does_not_meet_a_latency() -> None:
    weighed = required(shares(brin=[0] * 6), LIMIT, doubts=overloaded(0, 1, 2))
    assert find(weighed, f"brin:at_most/{P95}").verdict is Verdict.NOT_MET


def test_every_operation_of_an_overloaded_trial_is_over_the_limit() -> None:
    evidence = find(required(shares(brin=[0] * 6), LIMIT, doubts=overloaded(3)), f"brin:at_most/{P95}")
    assert evidence.value == pytest.approx(1 / 6)
    assert evidence.verdict is Verdict.NOT_SHOWN


def test_an_overloaded_trial_enters_no_ratio() -> None:
    measured = rounds(OBJECTIVE, heap=[2.0] * 4, brin=[1.0, 1.0, 9.0, 1.0])
    evidence = find(judged(measured, doubts=overloaded(2)), f"brin/{OBJECTIVE}")
    assert evidence.value == pytest.approx(0.5)
    assert "brin.r2" not in evidence.trials


def test_an_overloaded_trial_fails_no_limit_on_errors() -> None:
    failed = [replace(m, metric="query.recent.error_share", limit_ms=None) for m in shares(brin=[0] * 6)]
    weighed = required(failed, Requirement("query.recent.error_share", at_most=0.05), doubts=overloaded(1))
    assert find(weighed, "brin:at_most/query.recent.error_share").value == 0.0


def borne(*names: str) -> Weighed:
    """The baseline and its twin are overloaded in every round, the others bear the load."""
    sides = {"heap": [1.0] * 6, "twin": [1.0] * 6} | {name: [0.5, 0.51, 0.5, 0.49, 0.5, 0.52] for name in names}
    measured = [*rounds(OBJECTIVE, **sides), *shares(**{name: [0] * 6 for name in sides})]
    doubts = [Doubt(m.trial, OVERLOADED, "the lag grew", False) for m in measured if m.instance.candidate == "heap"]
    asked = scenario(["heap", *names], requirements=[LIMIT])
    return judged(measured, asked=asked, doubts=doubts)


def test_a_baseline_that_cannot_bear_the_load_is_replaced_by_the_one_that_can() -> None:
    decision = borne("brin").decision
    assert (decision.kind, decision.pick) == ("recommend", "brin")


def test_where_the_baseline_cannot_bear_the_load_its_twin_says_nothing_of_how_loads_differ() -> None:
    decision = borne("brin", "late").decision
    assert (decision.kind, decision.pick) == ("open", None)
    assert NO_TWIN in decision.because
    assert TWIN not in decision.because


# --- doubts ---------------------------------------------------------------------------------


def test_a_trial_that_is_left_out_is_no_evidence_of_anything() -> None:
    measured = rounds("append.wal_bytes_per_row", heap=[2.0] * 3, brin=[1.0, 1.0, 7.0])
    doubt = Doubt("brin.r2", "rows", "half loaded", True)
    evidence = find(judged(measured, doubts=[doubt]), "brin/append.wal_bytes_per_row")
    assert evidence.verdict is Verdict.BETTER
    assert "brin.r2" not in evidence.trials


def busy(kind: str) -> list[Doubt]:
    """A doubt about most trials of heap and brin."""
    return [Doubt(f"{name}.r{i}", kind, "busy", False) for name in ("heap", "brin") for i in range(3)]


def halved() -> list[Measurement]:
    """brin takes half the time and a tenth of the bytes, for sure."""
    return [*rounds(OBJECTIVE, heap=[2.0] * 4, brin=[1.0] * 4), *loaded(SIZE, heap=[100.0], brin=[10.0])]


@pytest.mark.parametrize("kind", [FOREIGN, GENERATOR])
def test_where_time_is_refused_exact_evidence_stands(kind: str) -> None:
    weighed = judged(halved(), doubts=busy(kind))
    assert weighed.time_refused
    assert find(weighed, f"brin/{SIZE}").verdict is Verdict.BETTER
    evidence = find(weighed, f"brin/{OBJECTIVE}")
    assert (evidence.verdict, evidence.low, evidence.high) == (Verdict.UNCLEAR, 0.0, math.inf)
    assert (weighed.decision.kind, weighed.decision.because) == ("open", (weighed.time_refused,))


def test_where_time_is_refused_an_exact_objective_decides() -> None:
    asked = scenario(["heap", "brin"], objective=SIZE)
    weighed = judged(halved(), asked=asked, doubts=busy(GENERATOR))
    assert (weighed.decision.kind, weighed.decision.pick) == ("recommend", "brin")


def test_where_time_is_refused_no_latency_is_met_and_none_missed() -> None:
    weighed = required(shares(heap=[0] * 4, brin=[90] * 4), LIMIT, doubts=busy(GENERATOR))
    assert {e.verdict for e in weighed.evidence if e.family is Family.REQUIREMENT} == {Verdict.NOT_SHOWN}


def test_some_doubted_trials_are_passed_over_and_the_rest_decides() -> None:
    measured = rounds(OBJECTIVE, heap=[2.0] * 6, brin=[9.0, 1.0, 1.0, 1.0, 1.0, 1.0])
    weighed = judged(measured, doubts=[Doubt("brin.r0", FOREIGN, "busy", False)])
    assert not weighed.time_refused
    assert find(weighed, f"brin/{OBJECTIVE}").verdict is Verdict.BETTER


def test_a_note_takes_nothing_away() -> None:
    weighed = judged(halved(), doubts=busy(FAILED))
    assert not weighed.time_refused
    assert len(find(weighed, f"brin/{OBJECTIVE}").trials) == 8


# --- the decision ---------------------------------------------------------------------------


def test_the_simplest_candidate_that_loses_little_is_taken() -> None:
    asked = scenario(["heap", "simple", "best"])
    weighed = judged(noisy({"heap": 0.0, "simple": -1.00, "best": -1.01}, pair_sd=0.05), asked=asked)
    assert (weighed.decision.kind, weighed.decision.pick) == ("recommend", "simple")
    assert set(weighed.decision.may_be_best) == {"simple", "best"}


def test_the_baseline_stays_where_it_loses_little() -> None:
    weighed = judged(noisy({"heap": 0.0, "brin": -0.03}, pair_sd=0.02))
    assert (weighed.decision.kind, weighed.decision.pick) == ("keep", "heap")
    assert weighed.decision.may_lose["heap"] < 0.10


def test_the_baseline_stays_where_nothing_is_shown() -> None:
    weighed = judged(noisy({"heap": 0.0, "brin": -0.3}, pair_sd=0.7))
    assert (weighed.decision.kind, weighed.decision.pick) == ("keep", "heap")
    assert weighed.decision.may_lose["heap"] > 0.10


def test_a_baseline_shown_to_be_worse_does_not_stay() -> None:
    asked = scenario(["heap", "one", "two"])
    weighed = judged(noisy({"heap": 0.0, "one": -1.0, "two": -1.0}, pair_sd=0.4), asked=asked)
    assert (weighed.decision.kind, weighed.decision.pick) == ("open", None)
    assert set(weighed.decision.may_be_best) == {"one", "two"}


def decided(heap: Sequence[int], brin: Sequence[int], **more: Sequence[Disagreement]) -> Weighed:
    """brin takes half the time; how many of a hundred operations were over the limit decides."""
    asked = scenario(["heap", "brin"], requirements=[LIMIT])
    measured = [*shares(heap=heap, brin=brin), *rounds(OBJECTIVE, heap=[2.0] * 6, brin=[1.0] * 6)]
    return judged(measured, asked=asked, **more)


def test_a_candidate_that_misses_a_requirement_is_not_taken() -> None:
    weighed = decided([0] * 6, [50] * 6)
    assert (weighed.decision.kind, weighed.decision.pick) == ("keep", "heap")
    assert "brin" not in weighed.decision.may_lose


def test_the_answer_is_no_where_every_candidate_misses_a_requirement() -> None:
    assert decided([50] * 6, [50] * 6).decision.kind == "no"


def test_merely_not_shown_is_not_no() -> None:
    assert decided([50] * 6, [5] * 6).decision.kind == "open"


def test_a_candidate_with_other_answers_is_out() -> None:
    wrong = [Disagreement("brin", "recent", 0)]
    assert decided([0] * 6, [0] * 6).decision.pick == "brin"
    assert decided([0] * 6, [0] * 6, disagreements=wrong).decision.pick == "heap"


def test_a_requirement_that_nobody_measured_is_not_shown() -> None:
    weighed = required(rounds(OBJECTIVE, heap=[2.0] * 3, brin=[1.0] * 3), LIMIT)
    assert weighed.decision.kind == "open"


def test_fewer_rounds_than_planned_are_exploratory() -> None:
    measured = noisy({"heap": 0.0, "brin": 0.0})
    assert judged(measured, planned=21).decision.exploratory
    assert not judged(measured, planned=20).decision.exploratory
    assert judged(measured, planned=20).rounds == 20


def test_rounds_added_after_a_look_are_exploratory() -> None:
    weighed = weigh(
        noisy({"heap": 0.0, "brin": 0.0}), scenario=scenario(["heap", "brin"]), planned_rounds=20, exploratory=True
    )
    assert weighed.decision.exploratory


def test_the_least_effect_of_an_exact_objective_is_the_exact_one() -> None:
    asked = scenario(["heap", "brin"], objective=SIZE, least=LeastEffect(exact=0.01, time=0.5))
    weighed = judged(loaded(SIZE, heap=[100.0], brin=[95.0]), asked=asked)
    assert weighed.decision.pick == "brin"
    assert find(weighed, f"brin/{SIZE}").family is Family.OBJECTIVE


def test_no_phrase_holds_a_digit() -> None:
    every = [
        decided([50] * 6, [5] * 6),
        decided([0] * 6, [0] * 6),
        judged(halved(), doubts=busy(FOREIGN), planned=50),
        judged(differing_twin(-0.5)),
    ]
    phrases = [e.because for w in every for e in w.evidence] + [b for w in every for b in w.decision.because]
    assert all(phrase and not any(c.isdigit() for c in phrase) for phrase in phrases)


def test_no_two_statements_share_an_address() -> None:
    weighed = required([*shares(heap=[0] * 6, brin=[0] * 6), *rounds(P95, heap=[2.0] * 6, brin=[1.0] * 6)], LIMIT)
    addresses = [e.id for e in weighed.evidence]
    assert len(addresses) == len(set(addresses))
    assert {f"brin/{P95}", f"brin:at_most/{P95}"} <= set(addresses)


# --- unequal durability ---


def test_nothing_that_writing_costs_is_compared_between_unequal_durabilities() -> None:
    wal = loaded("wal.record_bytes_per_row", heap=[300.0], risky=[100.0])
    size = loaded(SIZE, heap=[300.0], risky=[100.0])
    faster = noisy({"heap": 0.0, "risky": -1.0})
    weighed = weigh([*faster, *wal, *size], scenario=scenario(["heap", "risky"]), planned_rounds=20, uneven={"risky"})
    told = {e.metric: e for e in weighed.evidence if e.candidate == "risky"}
    assert told[OBJECTIVE].verdict is told["wal.record_bytes_per_row"].verdict is Verdict.UNCLEAR
    assert "durability" in told[OBJECTIVE].because
    assert told[SIZE].verdict is Verdict.BETTER
    assert weighed.decision.kind == "open"
