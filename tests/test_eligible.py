"""Who may be chosen at all: not who fails, not the survivors of overload, and nobody by nan."""

import dataclasses
import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import pytest

from lab import metrics, plan, render
from lab.check import FOREIGN, GENERATOR, OVERLOADED, THROTTLED, Disagreement, unstable_answers
from lab.model import Doubt, Family, Instance, Measurement, Requirement, Verdict
from lab.weigh import weigh
from tests import samples
from tests.simulate import OBJECTIVE, scenario
from tests.test_weigh import LIMIT, P95, SIZE, find, judged, loaded, rounds, shares

ERRORS = "query.recent.error_share"


def errors(operations: int = 100, **failed: int) -> list[Measurement]:
    """In each of twenty rounds, how many of the operations failed."""
    measured = rounds(ERRORS, **{name: [count / operations] * 20 for name, count in failed.items()})
    return [replace(m, operations=operations) for m in measured]


def faster() -> list[Measurement]:
    """brin takes six tenths of the time, for sure."""
    return rounds(OBJECTIVE, heap=[2.0, 2.02] * 10, brin=[1.2, 1.21] * 10)


def doubts(kind: str, name: str, number: int) -> list[Doubt]:
    """About the first rounds of one side."""
    return [Doubt(f"{name}.r{i}", kind, "doubtful", False) for i in range(number)]


# --- who fails ---


def test_a_candidate_that_fails_operations_is_out_however_fast() -> None:
    weighed = judged([*faster(), *errors(heap=0, brin=90)])
    assert judged(faster()).decision.pick == "brin"
    assert (weighed.decision.kind, weighed.decision.pick) == ("keep", "heap")
    assert "a candidate fails more operations than the baseline and is out" in weighed.decision.because
    assert list(weighed.decision.may_lose) == ["heap"]


def test_a_candidate_that_failed_once_is_not_eligible_unless_a_limit_allows_it() -> None:
    few = [*errors(heap=0, brin=0)[:-1], errors(brin=1)[-1]]
    assert judged([*faster(), *few]).decision.pick == "heap"
    allowed = scenario(["heap", "brin"], requirements=[Requirement(ERRORS, at_most=0.05)])
    assert judged([*faster(), *few], asked=allowed).decision.pick == "brin"


def test_a_candidate_that_fails_no_more_than_the_baseline_is_eligible() -> None:
    assert judged([*faster(), *errors(heap=5, brin=5)]).decision.pick == "brin"


def test_failures_in_overloaded_trials_count() -> None:
    because = judged([*faster(), *errors(heap=0, brin=90)], doubts=doubts(OVERLOADED, "brin", 20)).decision.because
    assert "a candidate fails more operations than the baseline and is out" in because


# --- who survived ---


def test_the_few_trials_without_overload_are_no_sample() -> None:
    weighed = judged(faster(), doubts=doubts(OVERLOADED, "brin", 18))
    evidence = find(weighed, f"brin/{OBJECTIVE}")
    assert (evidence.verdict, evidence.low, evidence.high) == (Verdict.UNCLEAR, 0.0, math.inf)
    assert "overloaded" in evidence.because
    assert weighed.decision.pick == "heap"
    assert any("overloaded" in phrase for phrase in weighed.decision.because)


def test_one_overloaded_trial_bars_the_recommendation() -> None:
    weighed = judged(faster(), doubts=doubts(OVERLOADED, "brin", 1))
    assert weighed.decision.pick == "heap"
    assert "a candidate was overloaded in some trials and is not eligible" in weighed.decision.because
    assert find(weighed, f"brin/{OBJECTIVE}").verdict is Verdict.BETTER


def test_a_baseline_that_was_overloaded_once_may_stay() -> None:
    slower = rounds(OBJECTIVE, heap=[2.0, 2.02] * 10, brin=[4.0, 4.02] * 10)
    assert judged(slower, doubts=doubts(OVERLOADED, "heap", 1)).decision.pick == "heap"


@pytest.mark.parametrize("kind", [FOREIGN, GENERATOR])
def test_a_candidate_most_of_whose_trials_are_doubted_meets_nothing_and_is_not_recommended(kind: str) -> None:
    asked = scenario(["heap", "brin", "other"], requirements=[LIMIT])
    measured = [*faster(), *shares(heap=[0] * 20, brin=[0] * 20, other=[0] * 20)]
    measured += rounds(OBJECTIVE, other=[2.0, 2.02] * 10)
    assert judged(measured, asked=asked).decision.pick == "brin"
    weighed = judged(measured, asked=asked, doubts=doubts(kind, "brin", 14))
    assert not weighed.time_refused
    assert find(weighed, f"brin:at_most/{P95}").verdict is Verdict.NOT_SHOWN
    assert find(weighed, f"other:at_most/{P95}").verdict is Verdict.MET
    assert weighed.decision.pick == "heap"


def test_a_candidate_most_of_whose_trials_are_doubted_is_not_recommended_where_nothing_is_required() -> None:
    weighed = judged(faster(), doubts=doubts(FOREIGN, "brin", 11), asked=scenario(["heap", "brin", "none"]))
    assert weighed.decision.pick == "heap"
    assert any("other processes" in phrase for phrase in weighed.decision.because)


def test_an_exact_objective_decides_though_a_candidates_times_are_doubted() -> None:
    asked = scenario(["heap", "brin"], objective=SIZE)
    measured = [*faster(), *loaded(SIZE, heap=[100.0], brin=[10.0])]
    assert judged(measured, asked=asked, doubts=doubts(FOREIGN, "brin", 14)).decision.pick == "brin"


def test_overload_in_half_of_the_trials_is_a_limit_missed() -> None:
    asked = scenario(["heap", "brin"], requirements=[LIMIT])
    measured = shares(heap=[0] * 20, brin=[0] * 20)
    weighed = judged(measured, asked=asked, doubts=doubts(OVERLOADED, "brin", 10))
    assert find(weighed, f"brin:at_most/{P95}").verdict is Verdict.NOT_MET
    weighed = judged(measured, asked=asked, doubts=doubts(OVERLOADED, "brin", 18))
    assert find(weighed, f"brin:at_most/{P95}").verdict is Verdict.NOT_MET


@pytest.mark.parametrize(("number", "verdict"), [(9, Verdict.NOT_SHOWN), (10, Verdict.NOT_MET), (18, Verdict.NOT_MET)])
def test_a_mean_is_missed_from_half_of_the_trials_overloaded_on(number: int, verdict: Verdict) -> None:
    metric = "query.recent.mean_ms"
    asked = scenario(["heap", "brin"], requirements=[Requirement(metric, at_most=50.0)])
    measured = rounds(metric, heap=[1.0] * 20, brin=[1.0] * 20)
    weighed = judged(measured, asked=asked, doubts=doubts(OVERLOADED, "brin", number))
    assert find(weighed, f"brin:at_most/{metric}").verdict is verdict


def test_who_was_kept_waiting_by_a_quota_shows_no_latency_and_all_of_its_work() -> None:
    work = "cpu_s_per_op"
    asked = scenario(["heap", "brin"], requirements=[LIMIT], objective=work)
    measured = [*rounds(work, heap=[2.0, 2.02] * 10, brin=[1.2, 1.21] * 10), *shares(heap=[0] * 20, brin=[0] * 20)]
    weighed = judged(measured, asked=asked, doubts=doubts(THROTTLED, "brin", 11))
    assert not weighed.time_refused
    assert find(weighed, f"brin:at_most/{P95}").verdict is Verdict.NOT_SHOWN
    assert find(weighed, f"brin:at_most/{P95}").because.startswith("its limit of processor time kept it waiting")
    assert find(weighed, f"heap:at_most/{P95}").verdict is Verdict.MET
    assert find(weighed, f"brin/{work}").verdict is Verdict.BETTER


def test_the_few_trials_in_which_a_quota_kept_servers_waiting_are_left_out_of_latencies_alone() -> None:
    metric, work = "query.recent.mean_ms", "cpu_s_per_op"
    told = {"heap": [1.0] * 20, "brin": [9.0] + [1.0] * 19}
    weighed = judged([*rounds(metric, **told), *rounds(work, **told)], doubts=doubts(THROTTLED, "brin", 1))
    assert find(weighed, f"brin/{metric}").value == 1.0
    assert find(weighed, f"brin/{work}").value > 1.0


def test_nothing_is_compared_with_a_baseline_whose_times_are_doubted() -> None:
    weighed = judged(faster(), doubts=doubts(FOREIGN, "heap", 14), asked=scenario(["heap", "brin", "none"]))
    assert (weighed.decision.kind, weighed.decision.pick) == ("open", None)
    assert find(weighed, f"brin/{OBJECTIVE}").verdict is Verdict.UNCLEAR


def test_a_twin_of_whose_times_none_is_fit_guards_nothing_and_nobody_is_recommended() -> None:
    measured = [*faster(), *rounds(OBJECTIVE, twin=[3.0] * 20)]
    weighed = judged(measured, doubts=doubts(FOREIGN, "heap (twin)", 20))
    assert not weighed.time_refused
    assert find(weighed, f"brin/{OBJECTIVE}").verdict is Verdict.UNCLEAR
    assert weighed.decision.kind != "recommend"


# --- what a mean is ---


@pytest.mark.parametrize("metric", ["query.recent.mean_ms", "retire.ms", "cpu_s_per_op", OBJECTIVE])
def test_a_limit_on_a_mean_is_judged_on_the_arithmetic_mean(metric: str) -> None:
    asked = scenario(["heap", "brin"], requirements=[Requirement(metric, at_most=50.0)], objective=SIZE)
    measured = rounds(metric, heap=[1.0] * 20, brin=[10.0] * 18 + [500.0] * 2)
    evidence = find(judged(measured, asked=asked), f"brin:at_most/{metric}")
    assert evidence.value == evidence.own == pytest.approx(59.0)
    assert evidence.verdict is Verdict.NOT_SHOWN
    assert evidence.high > 59


def test_a_rate_that_cannot_be_negative_has_no_bound_below_nothing() -> None:
    asked = scenario(["heap", "brin"], requirements=[Requirement("saturate.per_s", at_least=5.0)])
    measured = rounds("saturate.per_s", heap=[1.0] * 3, brin=[1.0, 100.0, 1.0])
    assert find(judged(measured, asked=asked), "brin:at_least/saturate.per_s").low == 0.0


# --- whose answers ---


def test_nobody_is_out_for_a_query_on_which_the_baseline_disagrees_with_itself() -> None:
    wrong = [Disagreement("heap (twin)", "newest", 0), Disagreement("brin", "newest", 0)]
    weighed = judged(faster(), disagreements=wrong)
    assert weighed.decision.pick == "brin"
    assert not any("other answers" in phrase for phrase in weighed.decision.because)
    assert judged(faster(), disagreements=[*wrong, Disagreement("brin", "recent", 0)]).decision.pick == "heap"


def test_another_load_of_the_baseline_does_not_put_it_out() -> None:
    asked = scenario(["heap", "brin"], profile="decide")
    level = {("heap", 1): 1.0, ("heap", 2): 1.01, ("brin", 1): 2.0, ("brin", 2): 2.02}
    measured = [
        Measurement(Instance(name, load), number, f"{name}.{load}.r{number}", OBJECTIVE, value)
        for (name, load), value in level.items()
        for number in range(8)
    ]
    weighed = judged(measured, asked=asked, disagreements=[Disagreement("heap", "newest", 0)])
    assert (weighed.decision.kind, weighed.decision.pick) == ("keep", "heap")


# --- nothing is known, and said ---


def test_who_was_never_measured_beside_the_others_may_lose_everything() -> None:
    apart = [m for m in faster() if (m.instance.candidate == "heap") == (m.round is not None and m.round < 10)]
    weighed = judged(apart)
    assert weighed.decision.may_lose == {"heap": math.inf, "brin": math.inf}
    assert find(weighed, f"brin/{OBJECTIVE}").verdict is Verdict.UNCLEAR
    assert find(weighed, f"brin/{OBJECTIVE}").value == pytest.approx(0.6, rel=0.01)


def test_a_twin_that_does_not_repeat_itself_still_guards() -> None:
    weighed = judged(loaded(SIZE, heap=[100.0], brin=[98.0], twin=[100.0, 140.0]))
    assert find(weighed, f"brin/{SIZE}").verdict is Verdict.UNCLEAR


def numbers(value: Any) -> Iterator[float]:
    """Every number in a tree of dataclasses, mappings and sequences."""
    if isinstance(value, float):
        yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from numbers(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from numbers(inner)


def without_rounds(metric: str, candidates: Sequence[str]) -> list[Measurement]:
    """Passes that do not repeat, over load 1 of each candidate and over load 2, which is the twin."""
    names = {name: [1.0 + place, 1.5 + place] for place, name in enumerate(candidates)}
    return loaded(metric, **names, twin=[1.0, 1.4])


def disjoint(metric: str, candidates: Sequence[str]) -> list[Measurement]:
    """Each side was measured in rounds of its own."""
    sides = [*(Instance(name, 1) for name in candidates), Instance("heap", 2, twin=True)]
    return [
        Measurement(side, 2 * place + more, f"{side.name}.r{2 * place + more}", metric, 1.0 + place + more)
        for place, side in enumerate(sides)
        for more in (0, 1)
    ]


@pytest.mark.parametrize("given", [without_rounds, disjoint])
@pytest.mark.parametrize("row", metrics.TABLE, ids=lambda row: row.pattern)
def test_whatever_the_objective_no_nan_leaves_the_judge_and_the_plan_can_be_read(row: metrics.Metric, given) -> None:
    metric = row.pattern.replace("<query>", "recent")
    limit = Requirement(metric, at_most=3.0)
    told = samples.scenario(objective=metric, requirements=(limit,))
    measured = given(metric, list(told.candidates))
    weighed = weigh(measured, scenario=told, planned_rounds=0)
    assert any(e.family is Family.OBJECTIVE for e in weighed.evidence)
    assert not any(math.isnan(number) for number in numbers(dataclasses.asdict(weighed)))
    assert weighed.decision.kind != "recommend"
    made = plan.plan(samples.judged(scenario=told, weighed=weighed, measurements=measured))
    assert render.pages(made)


def test_a_doubt_of_the_judge_names_the_query_on_the_page() -> None:
    found = [Disagreement("heap (twin)", "top10", 0), Disagreement("brin", "top10", 0)]
    made = render.pages(plan.plan(samples.judged(doubts=unstable_answers(found, "heap"))))
    assert "(queries: 1): loads of the baseline disagree in their answers to top10" in made["events.md"].text
