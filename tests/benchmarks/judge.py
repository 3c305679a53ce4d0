"""The judge's figures: simulated runs whose truth we chose, through the production code (lab/weigh.py).

Every figure is a share of things that happened in at least a thousand runs, with an exact binomial
interval. Where one run gives several things (its intervals), the interval is Korn and Graubard's,
for which the run is the unit. Seeds are fixed: the same figures on any machine.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from lab import stats
from lab.model import Evidence, Family, Instance, LeastEffect, Measurement, Requirement, Verdict, Weighed
from lab.weigh import weigh
from tests.simulate import NOISES, OBJECTIVE, Truth, described, experiment, over_limit, scenario

Figure = dict[str, object]

RUNS = 1000
NAMES = ("a", "b", "c", "d", "e")
NULL: Mapping[str, float] = dict.fromkeys(NAMES, 0.0)
MARGIN = math.log1p(LeastEffect().time)
AT_THE_MARGIN: Mapping[str, float] = dict(zip(NAMES, (0, -MARGIN, MARGIN, -MARGIN, MARGIN), strict=True))
DESCRIBED = tuple(f"query.q{n}.mean_ms" for n in range(10))
SD_AT_MARGIN = 0.05
OPERATIONS = 30
MANY = 20
DIFFERENCE = 0.10
LIMIT = Requirement("query.one.p95_ms", at_most=50.0)


@dataclass(frozen=True)
class Share:
    """*hits* of *size* things, with a 95 % interval, from so many *runs*."""

    hits: int
    size: int
    low: float
    high: float
    runs: int

    @property
    def value(self) -> float:
        """The share itself."""
        return self.hits / self.size


def share(happened: Iterable[bool | tuple[int, int]]) -> Share:
    """The share over runs: of each run whether it happened, or (how often, of how many)."""
    pairs = [one if isinstance(one, tuple) else (int(one), 1) for one in happened]
    counts, sizes = np.array(pairs, dtype=float).T
    _, low, high = stats.share_bounds(counts, sizes, 0.025)
    return Share(int(counts.sum()), int(sizes.sum()), low, high, len(pairs))


# --- what may happen in a run ---------------------------------------------------------------


def told(weighed: Weighed, metrics: Sequence[str] = (OBJECTIVE,)) -> list[Evidence]:
    """What is said of candidates (the twin is none) about these metrics."""
    return [e for e in weighed.evidence if e.candidate in NAMES and e.metric in metrics]


def claims(weighed: Weighed) -> bool:
    """Is any candidate called better or worse?"""
    return any(e.verdict in (Verdict.BETTER, Verdict.WORSE) for e in told(weighed) if e.family is Family.OBJECTIVE)


def held(evidence: Sequence[Evidence], effects: Mapping[str, float]) -> tuple[int, int]:
    """How many of these intervals hold the truth, of how many."""
    inside = [e.low <= math.exp(effects[e.candidate]) <= e.high for e in evidence]
    return sum(inside), len(inside)


def run(truth: Truth, seed: int, *, least: float = 0.10, profile: str = "quick") -> Weighed:
    """One run of the objective alone."""
    asked = scenario(tuple(truth.effects), least=LeastEffect(time=least), profile=profile)
    return weigh(experiment(truth, seed), scenario=asked, planned_rounds=truth.rounds)


# --- shares, one truth each -----------------------------------------------------------------


@lru_cache
def coverage(noise: str, runs: int = RUNS) -> tuple[Share, Share, Share]:
    """Of runs at the margin: described intervals that hold the truth; runs whose simultaneous intervals all do;
    runs that claim something."""
    truth = Truth(AT_THE_MARGIN, pair_sd=SD_AT_MARGIN, noise=NOISES[noise])
    single, together, claimed = [], [], []
    asked = scenario(NAMES)
    for seed in range(runs):
        measured = [*experiment(truth, seed), *described(truth, seed, DESCRIBED, len(DESCRIBED))]
        weighed = weigh(measured, scenario=asked, planned_rounds=truth.rounds)
        single.append(held(told(weighed, DESCRIBED), AT_THE_MARGIN))
        hits, size = held(told(weighed), AT_THE_MARGIN)
        together.append(hits == size)
        claimed.append(claims(weighed))
    return share(single), share(together), share(claimed)


def claimed(truth: Truth, runs: int = RUNS, *, least: float = 0.10, profile: str = "quick") -> Share:
    """Runs of *truth* in which anything is claimed."""
    return share(claims(run(truth, seed, least=least, profile=profile)) for seed in range(runs))


def uneven_claimed(runs: int = RUNS) -> Share:
    """Runs at the margin that claim anything, where one candidate is three times as noisy as the others."""
    truth = Truth(AT_THE_MARGIN, pair_sd=SD_AT_MARGIN)
    noisier = replace(truth, pair_sd=3 * SD_AT_MARGIN)
    found = []
    for seed in range(runs):
        quiet = [m for m in experiment(truth, seed) if m.instance.candidate != "b"]
        loud = [m for m in experiment(noisier, seed + runs) if m.instance.candidate == "b"]
        found.append(claims(weigh([*quiet, *loud], scenario=scenario(NAMES), planned_rounds=truth.rounds)))
    return share(found)


def power(reduction: float, *, sd: float, rounds: int, runs: int = RUNS) -> Share:
    """Runs in which the one candidate of five that is better by so much is called better."""
    truth = Truth({**NULL, "d": math.log1p(-reduction)}, pair_sd=sd, rounds=rounds)
    found = (run(truth, seed) for seed in range(runs))
    return share(any(e.verdict is Verdict.BETTER and e.candidate == "d" for e in told(one)) for one in found)


def wrong_picks(reduction: float, *, rounds: int = 8, runs: int = RUNS) -> tuple[Share, Share]:
    """Runs that recommend what is worse than the best by more than the margin; runs that recommend or keep."""
    effects = dict(zip(NAMES, (0, 0.12, math.log1p(-reduction), 0.01, 0.2), strict=True))
    best = min(effects.values())
    decided = [run(Truth(effects, rounds=rounds), seed).decision for seed in range(runs)]
    wrong = share(d.kind == "recommend" and effects[d.pick or ""] - best > MARGIN for d in decided)
    return wrong, share(d.kind in ("recommend", "keep") for d in decided)


def hard_picks(*, rounds: int = 20, runs: int = RUNS, out: bool = False) -> Share:
    """Runs that recommend a challenger just beyond the margin from the best, which is listed behind it:
    the hardest case, with few candidates and the baseline far off, or *out* by a requirement that it misses."""
    effects = {"a": 0.5, "b": MARGIN * 1.0001, "c": 0.0}
    size = Requirement("size.total_bytes", at_most=1.5)
    asked = scenario(tuple(effects), requirements=[size] * out)
    sizes = [
        Measurement(Instance(name, 1), None, f"{name}.1", size.metric, 1.0 + (name == "a")) for name in effects
    ] * out
    decided = (
        weigh(
            [*experiment(Truth(effects, rounds=rounds), seed), *sizes], scenario=asked, planned_rounds=rounds
        ).decision
        for seed in range(runs)
    )
    return share(d.kind == "recommend" and d.pick == "b" for d in decided)


def requirement(times: float, verdict: Verdict, runs: int = RUNS) -> Share:
    """Runs in which any of five candidates is said to meet (or miss) a limit on p95, the true share of
    operations over it being *times* what is allowed."""
    asked = scenario(NAMES, requirements=[LIMIT])
    said = []
    for seed in range(runs):
        measured = over_limit(seed, names=NAMES, share=0.05 * times, limit_ms=50.0, query="one", operations=OPERATIONS)
        weighed = weigh(measured, scenario=asked, planned_rounds=20)
        said.append(any(e.verdict is verdict for e in weighed.evidence if e.against == "at_most"))
    return share(said)


def all_of_three(verdict: Verdict, runs: int = RUNS) -> Share:
    """Runs in which any of five candidates is said to meet all of three limits (or to miss one of them), the true
    share of operations over each being exactly what is allowed."""
    limits = [replace(LIMIT, metric=f"query.q{n}.p95_ms") for n in range(3)]
    asked = scenario(NAMES, requirements=limits)
    said = []
    for seed in range(runs):
        measured = [
            m
            for n in range(len(limits))
            for m in over_limit(
                3 * seed + n, names=NAMES, share=0.05, limit_ms=50.0, query=f"q{n}", operations=OPERATIONS
            )
        ]
        weighed = weigh(measured, scenario=asked, planned_rounds=20)
        verdicts = [[e.verdict for e in weighed.evidence if e.against == "at_most" and e.candidate == c] for c in NAMES]
        every = all if verdict is Verdict.MET else any
        said.append(any(every(one is verdict for one in of_candidate) for of_candidate in verdicts))
    return share(said)


def looks(different: int, runs: int = RUNS, *, many: int = MANY) -> tuple[Share, Share]:
    """Of the marks that a run sets on *many* described metrics the false ones; of the metrics that differ those marked.

    The first is the mean over runs of the share of false marks, 0 in a run without any; its interval is a t interval.
    """
    names = tuple(f"query.q{n}.mean_ms" for n in range(many))
    truth = Truth({"a": 0.0, "b": math.log1p(DIFFERENCE)})
    false, found = [], []
    for seed in range(runs):
        measured = described(truth, seed, names, different)
        weighed = weigh(measured, scenario=scenario(("a", "b")), planned_rounds=20)
        marked = [names.index(e.metric) for e in weighed.evidence if e.look]
        false.append(sum(n >= different for n in marked) / max(1, len(marked)))
        found.append((sum(n < different for n in marked), different))
    mean, half = float(np.mean(false)), 1.96 * float(np.std(false, ddof=1)) / math.sqrt(runs)
    marks = Share(round(mean * runs), runs, max(0.0, mean - half), mean + half, runs)
    return marks, share(found) if different else Share(0, 1, 0.0, 1.0, runs)


# --- figures --------------------------------------------------------------------------------


def figure(found: Share, against: str, *, low: float = 0.0, high: float = 1.0) -> Figure:
    """A share that is to lie between *low* and *high*."""
    holds: bool | str = "not shown"
    if low <= found.low and found.high <= high:
        holds = True
    elif found.high < low or found.low > high:
        holds = False
    goal = f"<= {high}" if low == 0.0 else f"{low} to {high}"
    numbers = {"value": round(found.value, 4), "low": round(found.low, 4), "high": round(found.high, 4)}
    return {**numbers, "unit": "share", "against": f"{against}, {found.runs} runs", "goal": goal, "holds": holds}


def worst(shares: Mapping[str, Share], *, of: Callable[[Share], float]) -> tuple[str, Share]:
    """The one that is furthest off."""
    return max(shares.items(), key=lambda item: of(item[1]))


def coverage_share() -> Figure:
    """Described 95 % intervals that hold the truth: of the noise where they do so least well."""
    name, found = worst({noise: coverage(noise)[0] for noise in NOISES}, of=lambda one: abs(one.value - 0.95))
    return figure(
        found, f"described intervals, the worst of {len(NOISES)} kinds of noise ({name})", low=0.93, high=0.97
    )


def margin_claims_share() -> Figure:
    """Runs whose every truth lies at the margin, and that claim something: of the worst noise."""
    name, found = worst({noise: coverage(noise)[2] for noise in NOISES}, of=lambda one: one.value)
    return figure(found, f"truth at the margin, the worst of {len(NOISES)} kinds of noise ({name})", high=0.05)


def wrong_picks_share() -> Figure:
    """Recommended, and more than the margin off."""
    shares = {f"the best ahead by {lead:.0%}": wrong_picks(lead)[0] for lead in (0.0, 0.05, 0.10, 0.20)}
    shares["one just beyond the margin from the best"] = hard_picks(runs=8 * RUNS)
    shares["the same, the baseline out"] = hard_picks(runs=8 * RUNS, out=True)
    name, found = worst(shares, of=lambda one: one.value)
    return figure(found, f"the worst of {len(shares)} truths ({name})", high=0.025)


def power_at_smallest_effect() -> Figure:
    """The smallest effect that a run prints, planted: is it found in four runs of five?"""
    shares = {}
    for sd, rounds in ((0.05, 20), (0.10, 20), (0.10, 12)):
        effect = -math.expm1(-stats.smallest_effect(sd, rounds, others=4, least=0.10, twin=True))
        shares[f"sd {sd:.0%}, {rounds} rounds"] = power(effect, sd=sd, rounds=rounds, runs=2 * RUNS)
    name, found = worst(shares, of=lambda one: abs(one.value - 0.80))
    return figure(found, f"the smallest effect planted, the worst of {len(shares)} ({name})", low=0.76, high=0.84)


def requirement_wrong_share() -> Figure:
    """A limit met by none, and exactly reached by all: is any candidate said to meet it?"""
    return figure(requirement(1.0, Verdict.MET, 20 * RUNS), "five candidates exactly at a limit on p95", high=0.05)


def false_looks_share() -> Figure:
    """Of the marks on described metrics, those where nothing differs."""
    name, found = worst({str(n): looks(n)[0] for n in (0, 5)}, of=lambda one: one.value)
    return figure(found, f"{MANY} described metrics, of which {name} differ", high=0.10)


def twin_guard_share() -> Figure:
    """Loads differ by 2 %, least_effect 2 %: runs with a false claim, guarded by the twin."""
    truth = replace(Truth(NULL), load_sd=0.02)
    return figure(claimed(truth, 2 * RUNS, least=0.02), "loads that differ by 2 %, least_effect 2 %", high=0.05)


FIGURES: dict[str, Callable[[], Figure]] = {
    "coverage_share": coverage_share,
    "margin_claims_share": margin_claims_share,
    "wrong_picks_share": wrong_picks_share,
    "power_at_smallest_effect": power_at_smallest_effect,
    "requirement_wrong_share": requirement_wrong_share,
    "false_looks_share": false_looks_share,
    "twin_guard_share": twin_guard_share,
}
