"""The way to a container: blocks of calls in turns, and the interval of what they differ by."""

import pytest

from tests.benchmarks import routes


def test_pairs_of_blocks_begin_in_turns_and_are_told_in_one_order():
    log: list[str] = []

    def asked(name: str) -> routes.Block:
        log.append(name)
        return (1.0, 2.0) if name == "far" else (3.0, 4.0)

    found = routes.alternating(lambda: asked("far"), lambda: asked("near"), 3)
    assert log == ["far", "near", "near", "far", "far", "near"]
    assert found == [((1.0, 2.0), (3.0, 4.0))] * 3


def test_the_interval_is_of_the_mean_of_the_differences():
    low, mean, high = routes.interval([1.0, 2.0, 3.0])
    assert mean == 2.0
    assert (low, high) == pytest.approx((2.0 - 4.302653 / 3**0.5, 2.0 + 4.302653 / 3**0.5), rel=1e-5)
