"""Due times: as many as asked for, when they should be, the same for the same seed."""

import numpy as np
import pytest

from lab import pace


@pytest.mark.parametrize(("rate", "for_s", "calls"), [(400, 0.45, 180), (0.1, 30, 3), (7, 3, 21), (1e6, 1, 10**6)])
def test_constant_arrivals_are_rate_times_time(rate, for_s, calls):
    due = pace.due_times(rate=rate, for_s=for_s)
    assert len(due) == calls
    assert due.dtype == np.int64
    assert due[0] == 0
    assert due[-1] < for_s * 1e9


def test_constant_arrivals_gather_no_error():
    due = pace.due_times(rate=3, for_s=1000)
    assert due[2997] == 999 * 10**9
    assert set(np.diff(due).tolist()) == {333_333_333, 333_333_334}


def test_poisson_arrivals_have_the_mean_and_spread_of_independent_users():
    due = pace.due_times(rate=1000, for_s=100, arrivals="poisson", seed=7)
    gaps = np.diff(due) / 1e6
    assert abs(len(due) - 100_000) < 4 * 100_000**0.5
    assert gaps.mean() == pytest.approx(1, rel=0.02)
    assert gaps.std() == pytest.approx(1, rel=0.03)  # an exponential's sd is its mean
    assert np.all(gaps >= 0)
    assert due[-1] < 100e9


def test_the_number_of_poisson_arrivals_is_drawn_too():
    counts = [len(pace.due_times(rate=100, for_s=1, arrivals="poisson", seed=seed)) for seed in range(300)]
    assert np.var(counts) == pytest.approx(100, rel=0.4)


def test_an_equal_seed_gives_equal_times_and_another_seed_others():
    first, again, other = (pace.due_times(rate=50, for_s=2, arrivals="poisson", seed=seed) for seed in (1, 1, 2))
    assert first.tolist() == again.tolist() != other.tolist()


@pytest.mark.parametrize("wrong", [{"rate": 0}, {"rate": -1}, {"for_s": 0}, {"arrivals": "bursty"}])
def test_what_is_no_rate_is_refused(wrong):
    with pytest.raises(ValueError, match=r"above 0|none of"):
        pace.due_times(**{"rate": 1, "for_s": 1, **wrong})
