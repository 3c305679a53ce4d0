"""The judge, judged: simulated experiments whose truth we chose, through the production code.

Each figure is METHOD section 4's. A share seen in a number of experiments may be off by chance:
what is asked for is widened by three standard errors (simulate.band), no more.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from functools import lru_cache

import numpy as np
import pytest
from scipy.stats import ttest_ind

from lab import stats
from lab.model import Evidence, Family, Instance, LeastEffect, Measurement, Requirement, Verdict, Weighed
from lab.weigh import weigh
from tests.benchmarks import judge
from tests.simulate import (
    NOISES,
    OBJECTIVE,
    Truth,
    band,
    described,
    designed,
    drifting,
    experiment,
    over_limit,
    sawtooth,
    scenario,
)

pytestmark = pytest.mark.long
EXPERIMENTS = 1000
DESCRIBED = "retire.ms"
MARGIN = math.log1p(LeastEffect().time)
NAMES = ("a", "b", "c", "d", "e")
NULL: Mapping[str, float] = dict.fromkeys(NAMES, 0.0)
AT_THE_MARGIN: Mapping[str, float] = dict(zip(NAMES, (0, -MARGIN, MARGIN, -MARGIN, MARGIN), strict=True))


def runs(truth: Truth, *, least: LeastEffect | None = None, profile: str = "quick") -> Iterator[Weighed]:
    """The experiments of one truth, each weighed as a run would be."""
    asked = scenario(tuple(truth.effects), least=least, profile=profile)
    for seed in range(EXPERIMENTS):
        yield weigh(experiment(truth, seed), scenario=asked, planned_rounds=truth.rounds)


def share(weighed: Iterable[Weighed], happened: Callable[[Weighed], bool]) -> float:
    """In which share of the experiments something happened."""
    return sum(map(happened, weighed)) / EXPERIMENTS


def told(weighed: Weighed, effects: Mapping[str, float], metric: str = OBJECTIVE) -> list[Evidence]:
    """What is said of the candidates; the twin is none."""
    return [e for e in weighed.evidence if e.candidate in effects and e.metric == metric]


def holds(evidence: Evidence, effects: Mapping[str, float]) -> bool:
    """Whether an interval holds the truth."""
    return evidence.low <= math.exp(effects[evidence.candidate]) <= evidence.high


def claims_something(weighed: Weighed) -> bool:
    """Whether the objective of any candidate is called better or worse."""
    verdicts = {e.verdict for e in told(weighed, NULL) if e.family is Family.OBJECTIVE}
    return bool(verdicts & {Verdict.BETTER, Verdict.WORSE})


@lru_cache
def at_the_margin(noise: str) -> list[Weighed]:
    """Runs whose truth lies at the margin for every challenger, with a described twin of the objective."""
    truth = Truth(AT_THE_MARGIN, pair_sd=0.05, noise=NOISES[noise])
    asked = scenario(NAMES)
    weighed = []
    for seed in range(EXPERIMENTS):
        measured = experiment(truth, seed)
        described = [replace(m, metric=DESCRIBED) for m in measured]
        weighed.append(weigh([*measured, *described], scenario=asked, planned_rounds=truth.rounds))
    return weighed


@pytest.mark.parametrize("noise", NOISES)
def test_described_intervals_hold_the_truth_as_often_as_they_say(noise: str) -> None:
    held = [holds(e, AT_THE_MARGIN) for w in at_the_margin(noise) for e in told(w, AT_THE_MARGIN, DESCRIBED)]
    assert len(held) == 4 * EXPERIMENTS
    assert 0.93 <= sum(held) / len(held) <= 0.97


@pytest.mark.parametrize("noise", NOISES)
def test_simultaneous_intervals_hold_the_truth_all_together(noise: str) -> None:
    together = share(at_the_margin(noise), lambda w: all(holds(e, AT_THE_MARGIN) for e in told(w, AT_THE_MARGIN)))
    assert together >= 0.95 - band(0.95, EXPERIMENTS)


@pytest.mark.parametrize("noise", NOISES)
def test_a_difference_exactly_at_the_margin_is_rarely_claimed(noise: str) -> None:
    claimed = share(
        at_the_margin(noise), lambda w: any(e.verdict is not Verdict.UNCLEAR for e in told(w, AT_THE_MARGIN))
    )
    assert claimed <= 0.05 + band(0.05, EXPERIMENTS)


def test_one_arm_three_times_noisier_does_not_break_the_family() -> None:
    truth = Truth(AT_THE_MARGIN, pair_sd=0.05, twin=False)
    noisier = replace(truth, pair_sd=0.15)
    asked = scenario(NAMES)
    claimed = 0
    for seed in range(EXPERIMENTS):
        quiet = [m for m in experiment(truth, seed) if m.instance.candidate != "b"]
        loud = [m for m in experiment(noisier, seed + EXPERIMENTS) if m.instance.candidate == "b"]
        weighed = weigh([*quiet, *loud], scenario=asked, planned_rounds=20)
        claimed += any(e.verdict is not Verdict.UNCLEAR for e in told(weighed, AT_THE_MARGIN))
    assert claimed / EXPERIMENTS <= 0.05 + band(0.05, EXPERIMENTS)


@pytest.mark.parametrize(("pair_sd", "rounds"), [(0.05, 20), (0.10, 20), (0.10, 12)])
def test_the_smallest_effect_that_is_printed_is_found_in_four_of_five_runs(pair_sd: float, rounds: int) -> None:
    effect = stats.smallest_effect(pair_sd, rounds, others=4, least=0.10, twin=True)
    truth = Truth({**NULL, "d": -effect}, pair_sd=pair_sd, rounds=rounds)
    found = share(runs(truth), lambda w: any(e.verdict is Verdict.BETTER and e.candidate == "d" for e in w.evidence))
    assert abs(found - 0.80) <= band(0.80, EXPERIMENTS)


def test_the_smallest_effect_of_a_run_is_near_that_of_its_true_noise() -> None:
    weighed = weigh(experiment(Truth(NULL, rounds=200), 1), scenario=scenario(NAMES), planned_rounds=200)
    expected = -math.expm1(-stats.smallest_effect(0.10, 200, others=4, least=0.10, twin=True))
    assert weighed.decision.smallest_effect == pytest.approx(expected, rel=0.02)
    assert weighed.decision.noise_sd == pytest.approx(0.10, rel=0.1)


@pytest.mark.parametrize("reduction", [0.0, 0.05, 0.10, 0.20])
def test_the_pick_is_rarely_wrong(reduction: float) -> None:
    wrong, _ = judge.wrong_picks(reduction, runs=EXPERIMENTS)
    assert wrong.value <= 0.025


@pytest.mark.parametrize("out", [False, True], ids=["the baseline far off", "the baseline out"])
def test_one_just_beyond_the_margin_from_the_best_is_rarely_picked(out: bool) -> None:
    assert judge.hard_picks(runs=2 * EXPERIMENTS, out=out).value <= 0.025 + band(0.025, 2 * EXPERIMENTS)


def test_the_most_that_a_pick_may_lose_is_rarely_exceeded() -> None:
    effects = dict(zip(NAMES, (0, 0.05, -0.05, 0.0, 0.1), strict=True))
    best = min(effects.values())

    def exceeded(weighed: Weighed) -> bool:
        lost = weighed.decision.may_lose
        return any(math.expm1(effects[side] - best) > most + 1e-12 for side, most in lost.items())

    assert share(runs(Truth(effects)), exceeded) <= 0.05 + band(0.05, EXPERIMENTS)


def test_a_difference_of_loading_is_claimed_without_the_twin_and_not_with_it() -> None:
    truth = Truth(NULL, load_sd=0.02)
    least = LeastEffect(time=0.02)
    assert share(runs(truth, least=least), claims_something) <= 0.05
    assert share(runs(replace(truth, twin=False), least=least), claims_something) > 0.06


def test_comparing_loads_needs_no_twin_to_see_that_loads_differ() -> None:
    truth = Truth(NULL, pair_sd=0.02, rounds=8, load_sd=0.03, loads=3, twin=False)
    claimed = share(runs(truth, least=LeastEffect(time=0.0), profile="decide"), claims_something)
    assert claimed <= 0.05 + band(0.05, EXPERIMENTS)


def test_drift_deceives_whoever_does_not_shuffle() -> None:
    """The simulation can fail: the same drift, trials in blocks of one side."""
    truth = Truth(NULL, pair_sd=0.05, noise=drifting)
    least = LeastEffect(time=0.02)
    assert share(runs(truth, least=least), claims_something) <= 0.05 + band(0.05, EXPERIMENTS)
    assert share(runs(replace(truth, shuffled=False, twin=False), least=least), claims_something) > 0.5


def test_a_place_in_the_round_that_is_always_slow_deceives_nobody_for_the_order_is_drawn() -> None:
    """As the production code draws it; with the sides in one order in every round the first would lose."""
    truth = Truth(NULL, pair_sd=0.05, noise=sawtooth, order=designed, twin=False)  # which would guard
    asked = scenario(NAMES, least=LeastEffect(time=0.02))
    weighed = [weigh(experiment(truth, seed), scenario=asked, planned_rounds=20) for seed in range(200)]
    assert sum(map(claims_something, weighed)) / 200 <= 0.05 + band(0.05, 200)


def test_requests_are_never_the_unit() -> None:
    """Trials differ by 5 %: whoever pools their requests finds a difference in nearly half of null runs."""
    rng = np.random.default_rng(11)
    rounds, requests, runs_ = 20, 570, 400
    asked = scenario(("a", "b"), least=LeastEffect(time=0.0))
    pooled = claimed = 0
    for _ in range(runs_):
        times = np.exp(0.05 * rng.normal(size=(2, rounds, 1)) + rng.normal(scale=0.5, size=(2, rounds, requests)))
        pooled += ttest_ind(times[0].ravel(), times[1].ravel()).pvalue < 0.05
        measured = [
            Measurement(Instance(name, 1), r, f"{name}.{r}", OBJECTIVE, times[n, r].mean(), requests)
            for n, name in enumerate(("a", "b"))
            for r in range(rounds)
        ]
        claimed += claims_something(weigh(measured, scenario=asked, planned_rounds=rounds))
    assert abs(pooled / runs_ - 0.45) <= 0.05 + band(0.45, runs_)
    assert claimed / runs_ <= 0.05 + band(0.05, runs_)


# --- a whole run: several requirements, one objective, many described metrics ---------------

LIMITS = tuple(Requirement(f"query.{query}.p95_ms", at_most=50.0) for query in ("one", "two", "three"))
MANY = tuple(f"query.q{n}.mean_ms" for n in range(40))


def required(share_over: float, seed: int) -> list[Measurement]:
    """Three requirements, on each candidate so large a share over the limit."""
    return [
        m
        for n, query in enumerate(("one", "two", "three"))
        for m in over_limit(seed * 10 + n, names=NAMES, share=share_over, limit_ms=50.0, query=query)
    ]


@lru_cache
def of_requirements(share_over: float) -> list[Weighed]:
    asked = scenario(NAMES, requirements=LIMITS)
    return [weigh(required(share_over, seed), scenario=asked, planned_rounds=20) for seed in range(EXPERIMENTS)]


def wrongly(weighed: Weighed, verdict: Verdict, metric: str) -> bool:
    """Whether any candidate is said to meet, or to miss, a requirement."""
    return any(e.verdict is verdict and e.metric == metric for e in weighed.evidence if e.against == "at_most")


@pytest.mark.parametrize("verdict", [Verdict.MET, Verdict.NOT_MET])
def test_a_requirement_exactly_at_its_limit_is_rarely_decided_for_any_candidate(verdict: Verdict) -> None:
    for requirement in LIMITS:
        wrong = share(of_requirements(0.05), lambda w, m=requirement.metric: wrongly(w, verdict, m))  # type: ignore[misc]
        assert wrong <= 0.05 + band(0.05, EXPERIMENTS)


@pytest.mark.parametrize("verdict", [Verdict.MET, Verdict.NOT_MET])
@pytest.mark.parametrize("load_sd", [0.1, 0.4])
def test_loads_that_differ_are_what_a_requirement_is_decided_by_where_loads_are_compared(
    load_sd: float, verdict: Verdict
) -> None:
    """Taking the trials for it, which agree within a load, decides six times as often as it may."""
    asked = scenario(NAMES, requirements=LIMITS[:1], profile="decide")
    wrong = 0
    for seed in range(EXPERIMENTS):
        over = {"share": 0.05, "limit_ms": 50.0, "query": "one", "operations": 200, "rounds": 8}
        measured = over_limit(seed, names=NAMES, loads=3, load_sd=load_sd, **over)
        weighed = weigh(measured, scenario=asked, planned_rounds=8)
        wrong += wrongly(weighed, verdict, LIMITS[0].metric)
    assert wrong / EXPERIMENTS <= 0.05 + band(0.05, EXPERIMENTS)


def test_an_ineligible_candidate_is_rarely_recommended_though_there_are_several_requirements() -> None:
    """Every candidate misses all three limits by a third: each wrong pick needs three wrong verdicts."""
    asked = scenario(NAMES, requirements=LIMITS)
    picked = 0
    for seed in range(300):
        measured = [*required(0.067, seed), *experiment(Truth(NULL), seed)]
        picked += weigh(measured, scenario=asked, planned_rounds=20).decision.pick is not None
    assert picked / 300 <= 0.025


@pytest.mark.parametrize("different", [0, 10])
def test_of_many_described_metrics_few_are_marked_where_nothing_differs(different: int) -> None:
    truth = Truth({"a": 0.0, "b": 0.10}, twin=False)
    asked = scenario(("a", "b"))
    false, found = [], 0
    for seed in range(300):
        weighed = weigh(described(truth, seed, MANY, different), scenario=asked, planned_rounds=20)
        marked = [MANY.index(e.metric) for e in weighed.evidence if e.look]
        false.append(sum(n >= different for n in marked) / max(1, len(marked)))
        found += sum(n < different for n in marked)
    assert np.mean(false) <= 0.10 + band(0.10, 300)
    assert found >= 0.8 * different * 300
