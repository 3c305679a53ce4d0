"""Critical values against their tables, intervals against the truth."""

import math

import numpy as np
import pytest
from scipy import stats as reference

from lab import stats
from lab.stats import Block, Pair


@pytest.mark.parametrize("df", [1.0, 2.0, 5.0, 19.0, 47.5, 5000.0])
def test_one_comparison_with_a_control_is_students_t(df: float) -> None:
    assert stats.dunnett(1, df, sides=1) == pytest.approx(reference.t.ppf(0.95, df), abs=1e-4)
    assert stats.dunnett(1, df, sides=2) == pytest.approx(reference.t.ppf(0.975, df), abs=1e-4)


@pytest.mark.parametrize(("sides", "expected"), [(1, [1.72, 2.03, 2.19, 2.30]), (2, [2.09, 2.38, 2.54, 2.65])])
def test_critical_values_are_those_of_dunnetts_tables(sides: int, expected: list[float]) -> None:
    assert [round(stats.dunnett(m, 20, sides=sides), 2) for m in (1, 2, 3, 4)] == expected


def test_the_smaller_the_error_the_wider_the_interval() -> None:
    assert stats.dunnett(3, 20, sides=2, alpha=0.01) > stats.dunnett(3, 20, sides=2, alpha=0.05)


def test_no_comparison_needs_no_width() -> None:
    assert stats.dunnett(0, 20, sides=1) == 0.0


# --- pairs ---


def test_a_pair_is_taken_over_the_units_that_both_sides_have() -> None:
    own, base = np.array([3.0, np.nan, 5.0]), np.array([1.0, 1.0, np.nan])
    assert stats.pair(own, base).n == 1
    assert stats.pair(own, base).mean == 2.0
    assert stats.pair(own, np.full(3, np.nan)).n == 0


def test_rounding_is_no_variance() -> None:
    assert stats.pair(np.log([0.1 + 0.2, 0.3]), np.zeros(2)).sd == 0.0


def test_constant_differences_are_decided_without_a_test() -> None:
    assert stats.half_width(Pair(0.2, 0.0, 5)) == 0.0
    assert stats.p_value(Pair(0.2, 0.0, 5)) == 0.0


def test_one_difference_says_nothing() -> None:
    assert stats.half_width(Pair(0.2, math.nan, 1)) == math.inf


def test_rounding_is_no_difference_of_means() -> None:
    """Ten equal logarithms have a standard deviation of 4e-16, and one that is off by rounding another mean."""
    equal = np.log(np.full(10, 0.1))
    assert not stats.means_differ(equal, equal + 1e-15, alpha=0.01)
    assert not stats.means_differ(equal, np.append(equal[1:], equal[0] + 1e-15), alpha=0.01)
    assert stats.means_differ(equal, equal + 1e-9, alpha=0.01)


@pytest.mark.parametrize("by", [0.0, 0.05, 0.2])
def test_means_differ_where_welchs_test_says_so(by: float) -> None:
    rng = np.random.default_rng(3)
    first, second = rng.normal(size=8) / 10, rng.normal(size=12) / 20 + by
    p = reference.ttest_ind(first, second, equal_var=False).pvalue
    assert stats.means_differ(first, second, alpha=p * 1.0001)
    assert not stats.means_differ(first, second, alpha=p * 0.9999)
    assert stats.means_differ(np.full(8, 1.0), second + 2.0, alpha=0.01), "one constant, and no warning of it"


def test_a_pairs_interval_and_p_are_those_of_the_t_test() -> None:
    own, base = np.array([1.0, 2.0, 4.0, 3.0]), np.array([0.5, 2.5, 3.0, 1.0])
    expected = reference.ttest_rel(own, base)
    p = stats.pair(own, base)
    assert stats.p_value(p) == pytest.approx(expected.pvalue)
    assert p.mean + stats.half_width(p) == pytest.approx(expected.confidence_interval(0.95).high)


# --- quantiles and shares ---


@pytest.mark.parametrize(("q", "needed"), [(0.5, 6), (0.95, 59), (0.99, 299), (0.999, 2995)])
def test_a_quantile_needs_so_many_operations_and_no_fewer(q: float, needed: int) -> None:
    assert stats.operations_needed(q) == needed
    assert stats.quantile_interval(np.arange(needed, dtype=float), q) is not None
    assert stats.quantile_interval(np.arange(needed - 1, dtype=float), q) is None


@pytest.mark.parametrize(("q", "size"), [(0.5, 20), (0.95, 59), (0.95, 200), (0.99, 1000)])
def test_the_interval_of_a_quantile_holds_it_whatever_the_distribution(q: float, size: int) -> None:
    rng = np.random.default_rng(3)
    truth = float(reference.lognorm.ppf(q, 1.5))
    intervals = [stats.quantile_interval(rng.lognormal(sigma=1.5, size=size), q) for _ in range(2000)]
    held = [interval is not None and interval[0] <= truth <= interval[1] for interval in intervals]
    assert sum(held) / 2000 >= 0.95 - 0.015


def test_the_interval_of_a_quantile_is_no_wider_than_it_must_be() -> None:
    rng = np.random.default_rng(4)
    intervals = [stats.quantile_interval(rng.random(200), 0.5) for _ in range(2000)]
    held = [interval is not None and interval[0] <= 0.5 <= interval[1] for interval in intervals]
    assert sum(held) / 2000 <= 0.975


def test_of_the_intervals_that_hold_a_median_the_narrowest_in_ranks_is_taken() -> None:
    assert stats.quantile_interval(np.arange(1.0, 21.0), 0.5) == (6.0, 15.0)


def test_the_bound_of_a_share_is_korn_and_graubards() -> None:
    """Two trials of thirty, one with six over: n_eff = 9 independent ones, shrunk for one degree of freedom."""
    n = 9 * (reference.t.ppf(0.95, 59) / reference.t.ppf(0.95, 1)) ** 2
    expected = reference.beta.ppf(0.95, 0.1 * n + 1, 0.9 * n)
    assert stats.share_bounds(np.array([0.0, 6.0]), np.full(2, 30.0), 0.05)[2] == pytest.approx(expected)


def test_of_none_among_many_the_bound_is_exact() -> None:
    _, low, high = stats.share_bounds(np.zeros(10), np.full(10, 30.0), 0.05)
    assert low == 0.0
    assert high == pytest.approx(1 - 0.05 ** (1 / 300))
    assert stats.share_bounds(np.full(2, 5.0), np.full(2, 5.0), 0.05)[2] == 1.0


def test_evenly_spread_operations_get_clopper_and_pearsons_bounds() -> None:
    _, low, high = stats.share_bounds(np.full(10, 3.0), np.full(10, 30.0), 0.025)
    exact = reference.binomtest(30, 300).proportion_ci(0.95, "exact")
    assert (low, high) == pytest.approx((exact.low, exact.high))


def test_operations_that_fail_together_count_for_less() -> None:
    spread = stats.share_bounds(np.full(10, 3.0), np.full(10, 30.0), 0.05)
    together = stats.share_bounds(np.array([30.0] + [0.0] * 9), np.full(10, 30.0), 0.05)
    assert together[0] == spread[0]
    assert together[2] > spread[2] + 0.1


def test_the_bound_of_a_clustered_share_holds_where_pooled_operations_would_not() -> None:
    rng = np.random.default_rng(5)
    sizes, truth = np.full(20, 50.0), 0.1
    missed = pooled = 0
    for _ in range(1000):
        counts = rng.binomial(50, rng.beta(1.0, 9.0, size=20)).astype(float)
        missed += stats.share_bounds(counts, sizes, 0.05)[2] < truth
        x = counts.sum()
        pooled += reference.beta.ppf(0.95, x + 1, 1000 - x) < truth
    assert missed <= 80
    assert pooled > 150


# --- families ---


def test_one_noisy_arm_keeps_its_own_variance() -> None:
    block = Block({"a": np.zeros(4), "b": np.array([0.1, -0.1, 0.1, -0.1]), "c": np.array([1.0, -1, 1, -1])}, "a")
    assert block.compare("c", "a", 1.0)[1] > 1.4 * block.compare("b", "a", 1.0)[1]
    assert block.compare("b", "a", 1.0)[1] == pytest.approx(block.sd / 2)


def test_constants_have_an_interval_of_no_width() -> None:
    block = Block({"a": np.zeros(4), "b": np.full(4, 0.3)}, "a")
    assert block.against_control("b") == (pytest.approx(0.3), 0.0)
    assert block.losses(["a", "b"]) == {"a": (True, 0.0), "b": (False, pytest.approx(0.3))}


def test_a_single_unit_decides_nothing() -> None:
    block = Block({"a": np.zeros(1), "b": np.ones(1)}, "a")
    assert block.against_control("b")[1] == math.inf
    assert block.losses(["a", "b"])["a"] == (True, math.inf)


def test_a_side_alone_loses_nothing() -> None:
    rng = np.random.default_rng(1)
    assert Block({"a": rng.normal(size=9), "b": rng.normal(size=9)}, "a").losses(["b"]) == {"b": (True, 0.0)}


def test_the_set_of_the_best_leaves_out_what_is_shown_to_be_worse() -> None:
    rng = np.random.default_rng(2)
    values = {side: level + 0.05 * rng.normal(size=20) for side, level in {"a": 0.0, "b": 0.01, "c": 0.5}.items()}
    losses = Block(values, "a").losses(["a", "b", "c"])
    assert [side for side, (best, _) in losses.items() if best] == ["a", "b"]
    assert losses["a"][1] < 0.06 < 0.4 < losses["c"][1]


def test_the_df_of_pooled_pairs_are_fewer_than_their_number() -> None:
    assert stats.joint_df(6, 20) == 5 * 19 / 2


def test_few_rounds_show_less_than_many() -> None:
    effects = [stats.smallest_effect(0.1, n, others=4, least=0.1, twin=True) for n in (3, 6, 12, 20)]
    assert effects == sorted(effects, reverse=True)
    assert stats.smallest_effect(0.1, 1, others=4, least=0.1, twin=True) == math.inf


@pytest.mark.parametrize(("sd", "rounds", "reduction"), [(0.1, 20, 0.161), (0.05, 20, 0.126), (0.1, 12, 0.184)])
def test_the_smallest_effects_are_those_of_the_method(sd: float, rounds: int, reduction: float) -> None:
    effect = stats.smallest_effect(sd, rounds, others=4, least=0.10, twin=True)
    assert -math.expm1(-effect) == pytest.approx(reduction, abs=0.002)


def test_what_two_loads_may_differ_by_is_part_of_the_smallest_effect() -> None:
    guarded = stats.smallest_effect(0.3, 6, others=4, least=0.02, twin=True)
    assert guarded > 1.2 * stats.smallest_effect(0.3, 6, others=5, least=0.02, twin=False)


def test_without_noise_the_smallest_effect_is_the_margin() -> None:
    assert stats.smallest_effect(0.0, 20, others=1, least=0.1, twin=True) == pytest.approx(math.log(1.1))
