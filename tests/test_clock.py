"""What people who wait are told: how far it is, and how long it will still take."""

from collections.abc import Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab import clock, timeline
from lab.model import Topology
from tests.samples import scenario

SECONDS = st.floats(0.01, 100)


class Watched:
    """A clock whose time goes on only by what is done, and all that it told."""

    def __init__(self, sources: Sequence[Any] = (), round_: Sequence[Any] = (), **todo: int) -> None:
        self.told: list[tuple[float, float]] = []
        self.now = 0.0
        self._time, clock.time = clock.time, SimpleNamespace(monotonic=lambda: self.now)
        try:
            self._clock = clock.Clock(replace(scenario(), round=tuple(round_)), self._tell, sources, **todo)
        finally:
            clock.time = self._time

    def _tell(self, what: str, *, done: float, left_s: float) -> None:
        assert what
        self.told.append((done, left_s))

    def do(self, kind: str, seconds: float) -> None:
        clock.time = SimpleNamespace(monotonic=lambda: self.now)
        try:
            with self._clock.doing("something", kind):
                self.now += seconds
        finally:
            clock.time = self._time


@given(st.lists(SECONDS, min_size=1, max_size=4), st.lists(SECONDS, min_size=1, max_size=30))
def test_the_share_that_is_done_never_shrinks_however_wrong_the_guesses_were(prepare, trials):
    watched = Watched(studies=0, prepare=len(prepare), trials=len(trials))
    for kind, took in (("prepare", prepare), ("trial", trials)):
        for seconds in took:
            watched.do(kind, seconds)
    shares = [done for done, _ in watched.told]
    assert shares == sorted(shares)
    assert 0 <= shares[0] <= shares[-1] < 1


def test_what_is_left_counts_down_once_the_run_knows_what_a_trial_takes():
    watched = Watched(studies=0, prepare=0, trials=20)
    for _ in range(20):
        watched.do("trial", 7.0)
    left = [left_s for _, left_s in watched.told]
    assert left[1:] == [pytest.approx(7.0 * n) for n in range(19, 0, -1)]


class Wide:
    """A million rows of a hundred bytes each."""

    rows = 1_000_000

    def batches(self, first, last):
        yield pa.record_batch([pa.array(["x" * 96] * (last - first))], names=["a"])


def test_before_anything_is_measured_what_is_left_counts_the_loading_of_all_rows():
    watched = Watched([Wide()], studies=0, prepare=3, trials=0)
    watched.do("prepare", 20.0)
    ((_, left),) = watched.told
    assert left == pytest.approx(3 * (4.0 + 1_000_000 / 150_000 + 100e6 / 20e6), rel=0.01)
    watched.do("prepare", 20.0)
    assert watched.told[-1][1] == pytest.approx(2 * 20.0)


def test_rows_that_a_round_appends_are_counted_in_every_trial():
    steps = [timeline.Append(rows=30_000), timeline.Drive.model_validate({"for": "1s", "rate": 10})]
    few, many = (Watched([Wide()], steps[n:], studies=0, prepare=0, trials=10) for n in (1, 0))
    for watched in (few, many):
        watched.do("trial", 1.0)
    assert many.told[0][1] - few.told[0][1] == pytest.approx(10 * (0.05 + 0.2 + 0.15), rel=0.01)


def test_before_anything_is_measured_databases_apart_are_counted_in_what_prepares_an_instance():
    own = scenario()
    heap = replace(own.candidates["heap"], topology=Topology("databases", {"by": "device"}))
    read = replace(own, candidates={"heap": heap, "by-day": own.candidates["by-day"]})
    left = [clock.Clock(one, print, [], studies=0, prepare=2, trials=0).left_s() for one in (own, read)]
    assert own.lab.entities["device"] == 100
    assert left[1] - left[0] == pytest.approx(0.3 * 100)  # one of the two instances makes them
