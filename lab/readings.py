"""Which measurements are evidence for what: one metric's values by side and unit.

A *side* is a candidate, or the twin under the name that says so. A *unit* is what differences are
taken over and what repeats: the round, and where whole loads are compared (`decide`) the load.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from lab import metrics
from lab.check import CLOCKS, FOREIGN, GENERATOR, NOTES, OVERLOADED, THROTTLED
from lab.measure import exact
from lab.model import Doubt, Measurement, Scenario
from lab.stats import Array, Block

BY_LOAD = "decide"
"""The profile that compares loads; the others compare rounds of one load."""

UNLIKE = "the candidates' shapes differ and share the cores of this host, which decide every time and rate"
"""Why nothing is claimed about times between shapes."""

UNEVEN = (
    "a crash may leave it nothing and the baseline everything, or the other way round: durability is never compared"
)
"""Why nothing is claimed about what writing costs between candidates of unequal durability."""

HELD_UP = "its limit of processor time kept it waiting in too many of its trials"
"""Why nothing is said about how long a side took, though about its work."""

_REFUSALS = {
    GENERATOR: "the load generator was the limit in most trials",
    FOREIGN: "other processes took the processors in most trials",
    CLOCKS: "the clocks of load workers could not be told closely enough in most trials",
}
_DOUBTFUL = {
    GENERATOR: "the load generator was the limit in too many of its trials",
    FOREIGN: "other processes took the processors in too many of its trials",
    CLOCKS: "the clocks of load workers could not be told closely enough in too many of its trials",
    OVERLOADED: "it was overloaded in too many of its trials, and the others are the fortunate ones",
}


@dataclass(frozen=True)
class Fitness:
    """What the doubts take away: trials left *out*, those *untimed*, and those *overloaded*.

    Overloaded trials are untimed as well: they enter no ratio. *refused* says in words why
    nothing is said about time at all, "" where it is. *doubtful*: each side of which nothing is
    said about time, because the trials that remain of it are a minority -> why. *ever* and *often*:
    the sides overloaded in any trial, and in half of them or more. Quotas that kept servers waiting
    bear on all times but work: *throttled* trials, and of *held_up* sides, which have too many of these, all.
    """

    out: frozenset[str]
    untimed: frozenset[str]
    overloaded: frozenset[str]
    refused: str
    doubtful: Mapping[str, str] = field(default_factory=dict)
    ever: frozenset[str] = frozenset()
    often: frozenset[str] = frozenset()
    throttled: frozenset[str] = frozenset()
    held_up: frozenset[str] = frozenset()


def fitness(doubts: Sequence[Doubt], trials: Mapping[str, str]) -> Fitness:
    """Sort the doubts about *trials*, trial -> side. Time is refused where more than half are doubted.

    Of the trials that remain, and again of those of each side alone: half a table of survivors is
    no sample. Overload is a side's own doing, and refuses nobody else's times.
    """
    out = frozenset(doubt.trial for doubt in doubts if doubt.leaves_out)
    rest = set(trials) - out
    waited = {d.trial for d in doubts if d.trial in rest and d.kind == THROTTLED}
    timed = [d for d in doubts if d.trial in rest and not d.leaves_out and d.kind not in NOTES | {THROTTLED}]
    disturbed = [doubt for doubt in timed if doubt.kind != OVERLOADED]
    refused = ""
    if 2 * len({doubt.trial for doubt in disturbed}) > len(rest):
        kind = Counter(doubt.kind for doubt in disturbed).most_common(1)[0][0]
        refused = _REFUSALS.get(kind, "most trials are doubted")
    untimed = frozenset(doubt.trial for doubt in timed)
    overloaded = frozenset(doubt.trial for doubt in timed if doubt.kind == OVERLOADED)
    of, slow, bad, held = (Counter(trials[t] for t in some) for some in (rest, overloaded, untimed, untimed | waited))
    doubtful = {side: _most(timed, trials, side) for side in of if 2 * bad[side] > of[side]}
    often = frozenset(side for side in of if slow[side] and 2 * slow[side] >= of[side])
    held_up = frozenset(side for side in of if side not in doubtful and 2 * held[side] > of[side])
    throttled = frozenset(trial for trial in waited if trials[trial] not in held_up)
    return Fitness(out, untimed, overloaded, refused, doubtful, frozenset(slow), often, throttled, held_up)


def _most(timed: Iterable[Doubt], trials: Mapping[str, str], side: str) -> str:
    """In words, what most of the doubts about a side's times are."""
    kinds = Counter(doubt.kind for doubt in timed if trials[doubt.trial] == side)
    return _DOUBTFUL.get(kinds.most_common(1)[0][0], "too many of its trials are doubted")


@dataclass(frozen=True)
class Readings:
    """One metric's measurements that count, by side. *by_load*: the unit is the load."""

    metric: metrics.Metric
    sides: Mapping[str, Sequence[Measurement]]
    by_load: bool

    def trials(self, *sides: str) -> tuple[str, ...]:
        """The ids of the trials (or instances) behind *sides*, each once, in the order given."""
        return tuple(dict.fromkeys(m.trial for side in sides for m in self.sides.get(side, ())))

    def values(self, side: str) -> list[float]:
        """All values of a side."""
        return [m.value for m in self.sides.get(side, ())]

    def mean(self, side: str) -> float | None:
        """A side's own value: the geometric mean, arithmetic where a value is 0; None without values."""
        values = self.values(side)
        if not values:
            return None
        if min(values) == max(values):
            return values[0]  # not its own logarithm and back
        if min(values) > 0:
            return math.exp(math.fsum(math.log(value) for value in values) / len(values))
        return math.fsum(values) / len(values)

    def span(self, side: str) -> tuple[float, float]:
        """The least and the greatest value of a side that has values."""
        values = self.values(side)
        return min(values), max(values)

    def repeats(self, side: str) -> bool:
        """Whether the metric may be exact and this side's values are: within each instance, over its passes."""
        if self.metric.kind not in ("exact", "size"):
            return False
        instances: dict[int, list[float]] = {}
        for m in self.sides.get(side, ()):
            instances.setdefault(m.instance.load, []).append(m.value)
        return bool(instances) and all(exact(values) for values in instances.values())

    @cached_property
    def ratio(self) -> bool:
        """Whether sides are compared by ratio: not where a value is, or by its nature can be, 0."""
        return not self.metric.zero and all(m.value > 0 for side in self.sides.values() for m in side)

    def units(self, side: str, *, log: bool) -> dict[int, float]:
        """Unit -> the mean of the side's values there, of their logarithms if *log*."""
        groups: dict[int, list[float]] = {}
        for m in self.sides.get(side, ()):
            unit = m.instance.load if self.by_load or m.round is None else m.round
            groups.setdefault(unit, []).append(math.log(m.value) if log else m.value)
        return {unit: math.fsum(values) / len(values) for unit, values in groups.items()}

    def block(self, control: str) -> Block:
        """The sides over all units: logarithms for ratios, else shares of the *control*'s mean.

        Where the control has nothing to be compared with, the first side takes its place.
        """
        base = self.step(control)
        by_side = {side: self.units(side, log=self.ratio) for side in self.sides}
        every = sorted({unit for units in by_side.values() for unit in units})
        arrays: dict[str, Array] = {
            side: np.array([units.get(unit, math.nan) for unit in every]) / base for side, units in by_side.items()
        }
        return Block(arrays, control if control in arrays else next(iter(arrays)))

    def step(self, control: str) -> float:
        """What 1 on the block's scale is worth where differences are taken: the *control*'s mean."""
        mean = None if self.ratio else self.mean(control)
        return abs(mean) if mean else 1.0


@dataclass(frozen=True)
class Case:
    """Everything weigh is given, sorted once: measurements by metric, doubts by what they take away."""

    scenario: Scenario
    fitness: Fitness
    by_metric: Mapping[str, Sequence[Measurement]]
    disqualified: frozenset[str] = frozenset()
    order: Sequence[str] = field(default=())  # sides: candidates in the author's order, then the twin
    unlike: frozenset[str] = frozenset()  # sides of another shape than the baseline's, on the same cores
    uneven: frozenset[str] = frozenset()  # sides of another durability than the baseline's

    @property
    def challengers(self) -> list[str]:
        """Everything that is compared with the baseline, the twin included, in order."""
        return [side for side in self.order if side != self.scenario.baseline]

    def twin(self, side: str) -> bool:
        """Whether a side is no candidate but the baseline's second load."""
        return side not in self.scenario.candidates

    def refuses(self, row: metrics.Metric, *sides: str) -> str:
        """Why nothing is said about a metric, of these *sides* if any: their trials are no evidence about time.

        What was timed before the trials is no evidence either where the machine was not the lab's in most of them.
        """
        if row.kind not in ("time", "rate"):
            return ""
        if not row.in_rounds:
            return self.fitness.refused if self.fitness.refused == _REFUSALS[FOREIGN] else ""
        held_up = not row.work and self.fitness.held_up.intersection(sides)
        doubtful = next(filter(None, map(self.fitness.doubtful.get, sides)), HELD_UP if held_up else "")
        return self.fitness.refused or doubtful

    def undecidable(self, row: metrics.Metric, *sides: str) -> str:
        """Why a difference in a metric says nothing of these *sides* (of any, if none is named), "" where it does."""
        timed = row.kind in ("time", "rate")
        if (timed or "wal" in row.pattern) and self.uneven.intersection(sides or self.uneven):
            return UNEVEN
        return UNLIKE if timed and not row.work and self.unlike.intersection(sides or self.unlike) else ""

    def readings(self, metric: str, *, limit_ms: float | None = None, overloaded: bool = False) -> Readings:
        """A metric's measurements that are fit for what the metric is, by side in order.

        Of times and rates those of undoubted trials, with *overloaded* those of overloaded ones as
        well. An over_limit_share with several limits is read at *limit_ms*, else at its lowest.
        """
        row = metrics.row(metric)
        given = self.by_metric.get(metric, ())
        limit = limit_ms if limit_ms is not None else min((m.limit_ms for m in given if m.limit_ms), default=None)
        barred = self.barred(row, overloaded=overloaded)
        sides: dict[str, list[Measurement]] = {side: [] for side in self.order}
        for m in given:
            if m.trial not in barred and m.limit_ms == limit and m.instance.name in sides:
                sides[m.instance.name].append(m)
        kept = {side: values for side, values in sides.items() if values}
        return Readings(row, kept, by_load=self.scenario.profile == BY_LOAD)

    def barred(self, row: metrics.Metric, *, overloaded: bool = False) -> frozenset[str]:
        """The trials that are no evidence for this metric. Where time is refused, the values are still told."""
        doubted = frozenset[str]()
        if row.kind in ("time", "rate"):
            doubted = self.fitness.overloaded if self.fitness.refused else self.fitness.untimed
            if overloaded:
                doubted -= self.fitness.overloaded
            if not row.work:
                doubted |= self.fitness.throttled
        return self.fitness.out | doubted


def case(
    measurements: Sequence[Measurement],
    *,
    scenario: Scenario,
    doubts: Sequence[Doubt],
    disqualified: Iterable[str],
    unlike: Iterable[str] = (),
    uneven: Iterable[str] = (),
) -> Case:
    """Sort what weigh is given."""
    by_metric: dict[str, list[Measurement]] = {}
    for m in measurements:
        by_metric.setdefault(m.metric, []).append(m)
    trials = {m.trial: m.instance.name for m in measurements if m.round is not None}
    twins = dict.fromkeys(m.instance.name for m in measurements if m.instance.twin)
    order = (*scenario.candidates, *twins)
    return Case(
        scenario,
        fitness(doubts, trials),
        by_metric,
        frozenset(disqualified),
        order,
        unlike=frozenset(unlike),
        uneven=frozenset(uneven),
    )
