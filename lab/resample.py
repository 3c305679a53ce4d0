"""One long run of the baseline against itself: its noise, and what shorter runs of it would have claimed.

Every claim about a copy of the baseline is false, so that the share of false claims can be counted.
A shorter run is a stretch of rounds as they happened, in their order, so that drift and
autocorrelation are in it as they were; only the roles are dealt anew. Subsampling of blocks:
Politis and Romano, Annals of Statistics 22 (1994) 2031.
"""

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np

from lab import metrics, stats, weigh
from lab.draw import rng
from lab.errors import ScenarioError
from lab.model import Doubt, Instance, Measurement, Scenario, Verdict
from lab.readings import Readings, case
from lab.stats import Array

SUFFIX = ".aa"
"""How the name of a scenario that is run against itself ends: its runs are not taken for the others."""

STATED = weigh.ALPHA
"""The share of runs in which anything false may be claimed (METHOD section 3)."""

TOO_MANY = 0.25
"""From a larger share of the experiments on, the judge is told not to hold its level.

60 rounds give three experiments of 20 rounds that share none, so that the share varies much: a judge
at exactly 5 % (neither twin nor least effect) exceeds it in about 5 % of long runs of two copies and
1.4 % of four, and would exceed 15 % in 9.4 % and 7.6 % (500 simulated runs each, tests/simulate.py).
With twin and least effect it hardly claims anything of a copy (docs/calibration.md).
"""

# --- the scenario ---------------------------------------------------------------------------


def against_itself(scenario: Scenario) -> Scenario:
    """The same with every candidate replaced by a copy of the baseline: as many sides, two at least, nothing to find.

    Requirements and the catalogue study are left out. Rounds are compared whatever the profile,
    because a few loads could not be resampled. ScenarioError where rounds do not measure the objective.
    """
    if not metrics.row(scenario.objective).in_rounds:
        raise ScenarioError(
            f"objective: {scenario.objective}: is measured once a load and not in each round, so that no shorter runs "
            "can be made of a long one (pglab aa needs one such as mix.server_ms_per_op)"
        )
    base = scenario.candidates[scenario.baseline]
    sides = max(2, len(scenario.candidates))
    names = [base.name, *(f"{base.name} (copy {n})" for n in range(2, sides + 1))]
    return replace(
        scenario,
        name=f"{scenario.name}{SUFFIX}",
        requirements=(),
        profile="quick",
        candidates=MappingProxyType({name: replace(base, name=name) for name in names}),
        catalogue=None,
    )


# --- noise ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Noise:
    """How much one metric varies where nothing differs.

    *sd* is that of the log ratio of one pair, *autocorrelation* that of a pair's log ratios from
    one round to the next, *load_sd* that of a load's own mean (log) beyond what its rounds explain,
    *own_sd* that of one trial's log, all pooled over the copies; *mean* is the arithmetic mean of all
    trials, as a limit is judged on, in *unit*.
    """

    sd: float
    autocorrelation: float
    load_sd: float
    own_sd: float
    mean: float
    unit: str


def noise(measurements: Sequence[Measurement], scenario: Scenario, doubts: Sequence[Doubt] = ()) -> dict[str, Noise]:
    """Metric -> its noise, of every metric of the rounds that varies and of which ratios are taken."""
    all_of = case(measurements, scenario=scenario, doubts=doubts, disqualified=())
    found = {metric: _noise(all_of.readings(metric)) for metric in sorted(all_of.by_metric)}
    return {metric: one for metric, one in found.items() if one is not None}


def _noise(readings: Readings) -> Noise | None:
    """The noise of one metric; None where there is none to see."""
    if not readings.ratio or len(readings.sides) < 2:
        return None
    logs = list(readings.block(next(iter(readings.sides))).values.values())
    pairs = [stats.pair(one, other) for one, other in itertools.combinations(logs, 2)]
    sd = stats.pooled_sd(pairs)
    if sd == 0.0 or min(one.n for one in pairs) < 3:
        return None
    own_sd = stats.pooled_sd([stats.pair(one, np.zeros(one.size)) for one in logs])
    loads = float(np.mean([one.mean**2 - sd**2 / one.n for one in pairs])) / 2
    load_sd = math.sqrt(max(0.0, loads))
    correlated = float(np.mean([autocorrelation(one - other) for one, other in itertools.combinations(logs, 2)]))
    values = [value for side in readings.sides for value in readings.values(side)]
    return Noise(sd, correlated, load_sd, own_sd, float(np.mean(values)), readings.metric.unit)


def autocorrelation(values: Array) -> float:
    """The correlation of each value with the one before it; pairs with a nan are passed over.

    About -1 / n where there is none, because the mean is that of the values themselves.

    >>> autocorrelation(np.array([1.0, -1.0, 1.0, -1.0]))
    -0.75
    """
    off = values - np.nanmean(values)
    total = float(np.nansum(off**2))
    return float(np.nansum(off[1:] * off[:-1])) / total if total else 0.0


# --- resampling -----------------------------------------------------------------------------


@dataclass(frozen=True)
class Claims:
    """How many of the *experiments* claimed anything of a copy, and how many could not speak of time.

    Experiments share rounds, so that they are worth fewer: *independent* is how many share none.
    """

    experiments: int
    false: int
    refused: int
    independent: int

    @property
    def share(self) -> float:
        """The share that made a false claim, of those that could speak of time; 0.0 where none could."""
        spoke = self.experiments - self.refused
        return self.false / spoke if spoke else 0.0

    @property
    def interval(self) -> tuple[float, float]:
        """Clopper and Pearson's 95 % interval of that share, for the number that share no round."""
        n = float(self.independent if self.experiments > self.refused else 0)
        _, low, high = stats.share_bounds(np.array([self.share * n]), np.array([n]), 0.025)
        return low, high

    @property
    def too_many(self) -> bool:
        """Whether the share is larger than chance lets it be at the stated one."""
        return self.share > TOO_MANY


def false_claims(
    measurements: Sequence[Measurement],
    scenario: Scenario,
    doubts: Sequence[Doubt] = (),
    *,
    rounds: int,
    experiments: int,
    seed: int,
) -> Claims:
    """Weigh so many *experiments* of so many *rounds*, and count in how many a copy is called better or worse."""
    false = refused = 0
    for given in resampled(measurements, scenario.objective, rounds=rounds, experiments=experiments, seed=seed):
        told = {m.trial for m in given}
        about = [doubt for doubt in doubts if doubt.trial in told]
        weighed = weigh.weigh(given, scenario=scenario, doubts=about, planned_rounds=rounds)
        false += any(
            e.candidate in scenario.candidates and e.verdict in (Verdict.BETTER, Verdict.WORSE)
            for e in weighed.evidence
        )
        refused += bool(weighed.time_refused)
    there = len({m.round for m in measurements if m.metric == scenario.objective and m.round is not None})
    return Claims(experiments, false, refused, max(1, there // rounds))


def resampled(
    measurements: Sequence[Measurement], metric: str, *, rounds: int, experiments: int, seed: int
) -> Iterator[list[Measurement]]:
    """So many shorter runs: *rounds* successive rounds each, the instances' roles dealt by chance.

    Raise ValueError where there are fewer rounds than one of them needs.
    """
    by_round: dict[int, list[Measurement]] = {}
    for m in measurements:
        if m.metric == metric and m.round is not None:
            by_round.setdefault(m.round, []).append(m)
    order = sorted(by_round)
    if len(order) < rounds:
        raise ValueError(f"{len(order)} rounds are fewer than the {rounds} of one experiment")
    instances = list(dict.fromkeys(m.instance for number in order for m in by_round[number]))
    for n in range(experiments):
        random = rng("resample", metric, seed, n)
        first = int(random.integers(len(order) - rounds + 1))
        roles = _dealt(instances, random)
        yield [replace(m, instance=roles[m.instance]) for r in order[first : first + rounds] for m in by_round[r]]


def _dealt(instances: Sequence[Instance], random: np.random.Generator) -> Mapping[Instance, Instance]:
    """Instance -> whose role it plays; each role once."""
    return {one: instances[i] for one, i in zip(instances, random.permutation(len(instances)), strict=True)}
