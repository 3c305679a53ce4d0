"""Figures: where everything in them is drawn, reckoned from the same evidence as the tables.

A figure is a mapping of places (in the figure's own units, from its upper left corner) that an
SVG template draws; each place has an address like any other number of a plan.
"""

import math
import statistics
from collections.abc import Sequence
from typing import Any

from lab import form, margin, metrics
from lab.dossier import Judged
from lab.model import Evidence, Family, Study

XMLNS = "http://www.w3.org/2000/svg"
_WIDTH = 720.0
_LETTER = 7.5  # about the width of a letter of the labels
_RIGHT = 40.0
_TOP = 64.0
_ROW = 34.0
_TICKS = (
    0.01,
    0.02,
    0.05,
    0.1,
    0.2,
    0.3,
    0.4,
    0.5,
    0.6,
    0.7,
    0.8,
    0.9,
    1.0,
    1.1,
    1.25,
    1.5,
    2.0,
    3.0,
    5.0,
    10.0,
    20.0,
    50.0,
    100.0,
)


def figures(judged: Judged) -> dict[str, Any]:
    """Figure -> its places; only those that this run has something to show in."""
    made = {"objective": objective(judged), "catalogue": catalogue(judged.studies)}
    return {name: places for name, places in made.items() if places is not None}


def objective(judged: Judged) -> dict[str, Any] | None:
    """Each challenger's interval for the objective against the baseline, on a log scale, and the margin."""
    scenario = judged.scenario
    found = [
        one
        for one in judged.weighed.evidence
        if one.family == Family.OBJECTIVE and one.scale == "ratio" and 0 < one.low <= one.high < math.inf
    ]
    if not found:
        return None
    band = margin.of_objective(scenario, judged.weighed)
    bounds = [math.log(edge) for one in found for edge in (one.low, one.high)] + [-band, band]
    left = 32 + _LETTER * max(len(one.candidate) for one in found)
    scale = Scale(min(bounds), max(bounds), left)
    bottom = _TOP + _ROW * len(found)
    return {
        "xmlns": XMLNS,
        "metric": scenario.objective,
        "better": metrics.row(scenario.objective).better,
        "baseline": scenario.baseline,
        "exact": judged.weighed.exact,
        "origin": 0.0,
        "width": _WIDTH,
        "height": bottom + 44,
        "top": _TOP - 8,
        "bottom": bottom,
        "left": left,
        "right": _WIDTH - _RIGHT,
        "bar": 4.0,
        "dot": 6.0,
        "label_x": left - 12,
        "axis_y": bottom + 20,
        "title_x": 16.0,
        "title_y": 24.0,
        "note_y": 44.0,
        "one": scale(0.0),
        "band_left": scale(-band),
        "band_width": scale(band) - scale(-band),
        "band_height": bottom - _TOP + 8,
        "ticks": [{"x": scale(math.log(tick)), "value": tick} for tick in scale.ticks()],
        "rows": [_interval(one, scale, _TOP + _ROW * (n + 0.5)) for n, one in enumerate(found)],
    }


def _interval(one: Evidence, scale: "Scale", y: float) -> dict[str, Any]:
    return {
        "label": one.candidate,
        "y": y,
        "text_y": y + 5,
        "low": scale(math.log(one.low)),
        "high": scale(math.log(one.high)),
        "at": scale(math.log(one.value)),
        "verdict": str(one.verdict),
    }


class Scale:
    """Log ratios to places between *left* and the figure's right edge, with some room at both ends."""

    def __init__(self, low: float, high: float, left: float) -> None:
        room = 0.06 * (high - low)
        self.low, self.high, self.left = low - room, high + room, left

    def __call__(self, log: float) -> float:
        """The place of a log ratio.

        >>> Scale(-1.0, 1.0, 80.0)(0.0)
        380.0
        """
        return self.left + (_WIDTH - _RIGHT - self.left) * (log - self.low) / (self.high - self.low)

    def ticks(self) -> list[float]:
        """Round ratios inside the scale, 1 among them, so few that their labels stay apart."""
        inside = [tick for tick in _TICKS if self.low <= math.log(tick) <= self.high]
        apart: list[float] = [1.0]
        for tick in inside:
            if all(abs(self(math.log(tick)) - self(math.log(other))) >= 52 for other in apart):
                apart.append(tick)
        return sorted(apart)


# --- the catalogue study --------------------------------------------------------------------

_BAR = 22.0
_COUNTS = 64.0  # the column of partition counts
_VALUE = 78.0  # room for the value behind the longest bar
_GAP = 14.0
_PANELS = (
    ("locks_per_call", "relation locks per call"),
    ("planning_ms", "planning"),
    ("backend_memory_bytes", "backend memory"),
)


def catalogue(studies: Sequence[Study]) -> dict[str, Any] | None:
    """What grows with the number of partitions: panels side by side, a bar for each point."""
    points = sorted(studies, key=lambda one: one.partitions)
    if len(points) < 2:
        return None
    locks = {k: max(v) for k, v in points[-1].metrics.items() if k.endswith(".locks_per_call")}
    query = max(locks, key=lambda name: locks[name]).split(".")[1] if locks else ""
    named = [(f"query.{query}.{name}" if name != "backend_memory_bytes" else name, label) for name, label in _PANELS]
    shown = [(name, label) for name, label in named if all(name in point.metrics for point in points)]
    if not shown:
        return None
    room = (_WIDTH - 32 - _COUNTS) / len(shown)
    ys = [_TOP + 26 + n * (_BAR + 8) for n in range(len(points))]
    return {
        "xmlns": XMLNS,
        "candidate": points[-1].candidate,
        "query": query,
        "origin": 0.0,
        "width": _WIDTH,
        "height": ys[-1] + _BAR + 20,
        "title_x": 16.0,
        "title_y": 24.0,
        "note_y": _TOP + 6,
        "counts_x": 16 + _COUNTS - 12,
        "counts": [{"y": y + 0.7 * _BAR, "value": point.partitions} for y, point in zip(ys, points, strict=True)],
        "panels": [
            _panel(name, label, points, ys, 16 + _COUNTS + n * room, room - _GAP)
            for n, (name, label) in enumerate(shown)
        ],
    }


def _panel(
    name: str, label: str, points: Sequence[Study], ys: Sequence[float], left: float, room: float
) -> dict[str, Any]:
    """One metric's bars, from 0 to the largest; every bar carries its value behind it."""
    values = [statistics.median(point.metrics[name]) for point in points]
    most = max(values) or 1.0
    bars = [
        {
            "y": y,
            "width": (room - _VALUE) * value / most,
            "value_x": left + (room - _VALUE) * value / most + 6,
            "value_y": y + 0.7 * _BAR,
            "value": value,
        }
        for y, value in zip(ys, values, strict=True)
    ]
    shape = form.of_unit(metrics.row(name).unit)
    return {"label": label, "left": left, "height": _BAR, "shape": shape, "bars": bars}
