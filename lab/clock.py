"""How long a run will still take: first guesses, replaced by this run's own means."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from statistics import fmean
from typing import Protocol

from lab import sizing
from lab.design import Design
from lab.model import Scenario
from lab.sources import Source

ROUND_OVERHEAD_S = 0.15  # a first guess, as are the others; the run measures its own
_PREPARE_S = 4.0  # of an instance without rows
_ROWS_PER_S, _BYTES_PER_S = 150_000, 20_000_000  # loaded with their indexes, settled, counted: both take their time
_RESTORE_S = 1.0
_APART_S = 0.3  # of a database of its own


class Tell(Protocol):
    """Where the run says what it does, for people who wait."""

    def __call__(self, what: str, *, done: float, left_s: float | None) -> None:
        """*done* is the share of the whole, 0 to 1; *left_s* None while nothing is known."""
        ...


class Clock:
    """What is left of each kind of work, and what one of it takes."""

    def __init__(
        self, scenario: Scenario, tell: Tell, sources: Sequence[Source], *, studies: int, prepare: int, trials: int
    ) -> None:
        self._tell = tell
        self._left = {"study": studies, "prepare": prepare, "trial": trials}
        rows = sum(source.rows for source in sources)
        row_s = 1 / _ROWS_PER_S + sizing.data_bytes(sources) / rows / _BYTES_PER_S if rows else 0.0
        prepare_s = _PREPARE_S + rows * row_s
        prepare_s += _APART_S * fmean(sizing.apart(scenario, one) for one in scenario.candidates)
        driven = sum(getattr(step, "for_s", 0.05) for step in scenario.round)
        appended = sum(step.rows for step in scenario.round if step.do == "append")
        before = {"kept": 0.0, "restored": _RESTORE_S, "fresh": prepare_s}[scenario.isolation]
        trial_s = driven + appended * row_s + ROUND_OVERHEAD_S + before
        self._guess = {"study": 5.0, "prepare": prepare_s, "trial": trial_s}
        self._took: dict[str, list[float]] = {kind: [] for kind in self._left}
        self._start = time.monotonic()
        self._told = 0.0

    @property
    def trial_s(self) -> float:
        """What the next trial will take."""
        return self._mean("trial")

    def _mean(self, kind: str) -> float:
        took = self._took[kind]
        return sum(took) / len(took) if took else self._guess[kind]

    def left_s(self) -> float:
        """What all that is left will take."""
        return sum(self._mean(kind) * n for kind, n in self._left.items())

    @contextmanager
    def doing(self, what: str, kind: str) -> Iterator[None]:
        """Say *what*, and learn from how long it takes.

        What is left may grow, where work takes longer than guessed; the share that is done does not shrink.
        """
        left_s, spent_s = self.left_s(), time.monotonic() - self._start
        self._told = max(self._told, spent_s / (spent_s + left_s) if left_s else 1.0)
        self._tell(what, done=self._told, left_s=left_s)
        start = time.monotonic()
        yield
        self._took[kind].append(time.monotonic() - start)
        self._left[kind] -= 1


def estimate_s(scenario: Scenario, design: Design, sources: Sequence[Source], *, trials: int | None = None) -> float:
    """A first guess of how long the whole takes, or all that comes before so many *trials*, and they."""
    studies = len(scenario.catalogue.partitions) if scenario.catalogue else 0
    prepare = len(design.instances) if scenario.isolation != "fresh" else 0
    trials = len(design.trials) if trials is None else trials
    return Clock(scenario, _silent, sources, studies=studies, prepare=prepare, trials=trials).left_s()


def _silent(what: str, *, done: float, left_s: float | None) -> None:
    del what, done, left_s
