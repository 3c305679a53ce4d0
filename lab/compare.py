"""One metric, every side against the control: by exact values or by intervals, and how wide a margin.

All differences are on the *scale* of the metric: natural logarithms of ratios, or, where a value
can be 0, shares of the control's own mean. On it the least effect, the twin's bound and every
interval are comparable, and what is lower is smaller whatever the metric's good direction.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from lab import stats
from lab.model import LeastEffect, Verdict
from lab.readings import Readings


class Interval(NamedTuple):
    """A difference on the metric's scale; infinite bounds where one side says nothing."""

    middle: float
    low: float
    high: float


@dataclass(frozen=True)
class Comparison:
    """One *metric*'s readings, compared with the side *control*; *twin* is its second load, if any."""

    metric: str
    readings: Readings
    control: str
    twin: str | None
    least_effect: LeastEffect

    def has(self, side: str) -> bool:
        """Whether there is anything to compare *side* by."""
        return side in self.readings.sides and self.control in self.readings.sides

    def exact(self, side: str) -> bool:
        """Whether *side* and the control both repeat exactly."""
        return self.has(side) and self.readings.repeats(side) and self.readings.repeats(self.control)

    @cached_property
    def all_exact(self) -> bool:
        """Whether every side repeats exactly, so that the whole metric needs no test."""
        return all(self.readings.repeats(side) for side in self.readings.sides)

    @cached_property
    def block(self) -> stats.Block:
        """The sides by units, on the metric's scale."""
        return self.readings.block(self.control)

    # --- how wide a margin ---

    @cached_property
    def least(self) -> float:
        """The least effect on the scale: 0.0 where the control is 0, since no share of 0 is anything."""
        share = self.least_effect.exact if self.all_exact else self.least_effect.time
        return self.on_scale(share)

    def on_scale(self, share: float) -> float:
        """A share, such as a least effect, on the metric's scale."""
        if self.readings.ratio:
            return math.log1p(share)
        return share if self.readings.mean(self.control) else 0.0

    @cached_property
    def bound(self) -> float:
        """What a difference of nothing may be, by the twin; 0.0 without one, inf where it cannot be told.

        A twin that was not counted guards nothing; one of whose times none is fit is no guard either,
        and then nothing may be claimed. One whose passes do not quite repeat, beside a control whose do, may differ
        by as much as its furthest pass does.
        """
        if self.twin is None or (self.all_exact and not self.has(self.twin)):
            return 0.0
        if not self.has(self.twin):
            return math.inf
        bound = math.inf if self.exact(self.twin) else self.block.bound(self.twin)
        if bound == math.inf and self.readings.repeats(self.control):
            return max(abs(x) for x in self.exactly(self.twin))
        return bound

    @property
    def blocked(self) -> bool:
        """Whether the twin differs by more than anybody cares about: nothing is the same, nothing recommended."""
        return self.bound > self.least

    # --- intervals ---

    def exactly(self, side: str) -> Interval:
        """The difference of values that repeat: from the closest passes to the furthest."""
        (own_low, own_high), (low, high) = self.readings.span(side), self.readings.span(self.control)
        if self.readings.ratio:
            middle = math.log(self._mean(side) / self._mean(self.control))
            return Interval(middle, math.log(own_low / high), math.log(own_high / low))
        step = self.readings.step(self.control)
        middle = self._mean(side) - self._mean(self.control)
        return Interval(middle / step, (own_low - high) / step, (own_high - low) / step)

    def jointly(self, side: str, *, alpha: float) -> Interval:
        """The difference with an interval that holds together with those of all other sides."""
        middle, half = self.block.against_control(side, alpha=alpha)
        if half == math.inf:
            middle = self._apart(side)
        return Interval(middle, middle - half, middle + half)

    def singly(self, side: str, *, alpha: float) -> tuple[Interval, float]:
        """The difference with an interval of its own, and its two-sided p.

        Over the units both sides have. Where there are not two, as with passes over one load each,
        no bound is known: passes repeat each other and not the load, and two loads of one table
        were seen to plan one query in times a factor of two apart.
        """
        p = self.block.pairs[side] if self.control == self.block.control else stats.Pair(0.0, math.nan, 0)
        if p.n < 2:
            return Interval(self._apart(side), -math.inf, math.inf), 1.0
        half = stats.half_width(p, alpha)
        return Interval(p.mean, p.mean - half, p.mean + half), stats.p_value(p)

    def _apart(self, side: str) -> float:
        """The difference of the means of all values, where units do not pair them."""
        return float(self._values(side).mean() - self._values(self.control).mean())

    def _values(self, side: str) -> stats.Array:
        """All values of a side, on the scale."""
        values = np.array(self.readings.values(side))
        return np.log(values) if self.readings.ratio else values / self.readings.step(self.control)

    def _mean(self, side: str) -> float:
        """A side's own value, for a side that has values."""
        mean = self.readings.mean(side)
        return 0.0 if mean is None else mean

    # --- what they say ---

    @property
    def sign(self) -> int:
        """1 where lower is better, -1 where higher is."""
        return 1 if self.readings.metric.better == "lower" else -1

    def verdict(self, interval: Interval, *, least: float | None = None) -> Verdict:
        """What an interval allows to be claimed: better and worse beyond the margin, same within the least effect."""
        limit = self.least if least is None else least
        margin = max(limit, self.bound)
        low, high = sorted((self.sign * interval.low, self.sign * interval.high))
        if high < -margin:
            return Verdict.BETTER
        if low > margin:
            return Verdict.WORSE
        if -limit <= low and high <= limit and margin <= limit:
            return Verdict.SAME
        return Verdict.UNCLEAR

    def losses(self, sides: Sequence[str], *, alpha: float) -> dict[str, tuple[bool, float]]:
        """For each of *sides*: may it be the best of them, and the share it loses to the best at most.

        Sides without values are left out: nobody can say what they lose.
        """
        known = [side for side in sides if side in self.readings.sides]
        if self.all_exact:
            told = self._exact_losses(known)
        else:
            values = {side: self.sign * array for side, array in self.block.values.items()}
            told = stats.Block(values, self.block.control).losses(known, alpha=alpha)
        return {side: (best, self.share(lost)) for side, (best, lost) in told.items()}

    def _exact_losses(self, sides: Sequence[str]) -> dict[str, tuple[bool, float]]:
        """By values that repeat: a side loses its worst value less the best of each other."""
        spans = {}
        for side in sides:
            values = self.sign * self._values(side)
            spans[side] = float(values.min()), float(values.max())
        told = {}
        for own, (low, high) in spans.items():
            others = [span for side, span in spans.items() if side != own]
            may_be_best = not any(low > worst for _, worst in others)
            told[own] = may_be_best, max([0.0, *(high - best for best, _ in others)])
        return told

    def share(self, lost: float) -> float:
        """A loss on the scale as a share of the best."""
        if self.readings.ratio:
            return math.expm1(lost)
        return lost if lost == 0.0 or self.readings.mean(self.control) else math.inf
