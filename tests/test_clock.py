"""What people who wait are told: how far it is, and how long it will still take."""

from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab import clock
from tests.samples import scenario

SECONDS = st.floats(0.01, 100)


class Watched:
    """A clock whose time goes on only by what is done, and all that it told."""

    def __init__(self, **todo: int) -> None:
        self.told: list[tuple[float, float]] = []
        self.now = 0.0
        self._time, clock.time = clock.time, SimpleNamespace(monotonic=lambda: self.now)
        try:
            self._clock = clock.Clock(scenario(), self._tell, **todo)
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
