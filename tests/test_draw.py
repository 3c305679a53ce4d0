"""Laws: the words that name them, and that draws have the distribution that the words say."""

import time

import numpy as np
import pytest
from scipy import stats

from lab import draw, permutation

SIZE = 200_000


def p_value(counts, shares):
    """Of the chi-square test of *counts* against *shares*; neighbours are put into cells of 1 % or more."""
    upto = np.cumsum(shares) / np.sum(shares)
    cells = np.unique(np.searchsorted(upto, np.arange(0, 1, 0.01), side="right"))
    observed, expected = np.add.reduceat(counts, cells), np.add.reduceat(np.asarray(shares) / np.sum(shares), cells)
    return stats.chisquare(observed, expected / expected.sum() * observed.sum()).pvalue


def counted(law, n, seed=1):
    return np.bincount(law.over(n).draw(draw.rng(seed, "t"), SIZE), minlength=n)


@pytest.mark.parametrize(
    "words", ["uniform", "zipf(0)", "zipf(0.5)", "zipf(1)", "zipf(1.1)", "zipf(3)", "hotspot(0.2, 0.8)"]
)
@pytest.mark.parametrize("n", [1, 2, 7, 1000, 100_000])
def test_ranks_are_drawn_as_often_as_their_law_says(words, n):
    law = draw.parse(words)
    counts = counted(law, n)
    assert len(counts) == n
    if n > 1:
        assert p_value(counts, law.shares(n)) > 1e-4


@pytest.mark.parametrize("words", ["zipf(0.5)", "zipf(1.1)", "zipf(3)"])
def test_the_guide_table_finds_what_a_plain_search_finds(words):
    law, quantiles = draw.parse(words), draw.rng(1).random(SIZE)
    bounds = np.cumsum(law.shares(100_000))
    assert np.array_equal(law.over(100_000).at(quantiles), np.searchsorted(bounds, quantiles, side="right"))


def test_a_uniform_generator_is_rejected_against_a_zipf_target():
    counts = counted(draw.parse("uniform"), 1000)
    assert p_value(counts, draw.parse("zipf(0.2)").shares(1000)) < 1e-9


def test_a_zipf_of_another_theta_is_rejected():
    counts = counted(draw.parse("zipf(1.05)"), 1000)
    assert p_value(counts, draw.parse("zipf(1.1)").shares(1000)) < 1e-9


def test_shares_follow_the_formula_of_the_finite_zipfian():
    theta, n = 1.3, 50
    weights = [k**-theta for k in range(1, n + 1)]
    assert draw.Zipf(theta).shares(n) == pytest.approx([w / sum(weights) for w in weights])


@pytest.mark.parametrize(
    ("words", "distribution"),
    [
        ("uniform(2.0, 5.0)", stats.uniform(2, 3)),
        ("normal(20, 5)", stats.norm(20, 5)),
        ("lognormal(1, 0.5)", stats.lognorm(0.5, scale=np.e)),
        ("exponential(30)", stats.expon(scale=30)),
    ],
)
def test_values_have_the_distribution_their_law_says(words, distribution):
    values = draw.parse(words).values(draw.rng(1), SIZE)
    assert stats.kstest(values, distribution.cdf).pvalue > 1e-4


@pytest.mark.parametrize(
    ("words", "distribution"), [("uniform(3, 9)", stats.randint(3, 10)), ("poisson(4)", stats.poisson(4))]
)
def test_whole_values_have_the_distribution_their_law_says(words, distribution):
    values = draw.parse(words).values(draw.rng(1), SIZE)
    assert values.dtype == np.int64
    support = np.arange(int(distribution.ppf(1 - 1e-9)) + 1)
    assert p_value(np.bincount(values, minlength=len(support)), distribution.pmf(support)) > 1e-4


@pytest.mark.parametrize(("words", "whole"), [("constant(5)", True), ("constant(5.0)", False), ("uniform(1, 2)", True)])
def test_a_law_is_whole_where_its_numbers_are_written_so(words, whole):
    values = draw.parse(words).values(draw.rng(1), 3)
    assert (values.dtype == np.int64) is whole


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("zpif(1)", "did you mean 'zipf'"),
        ("zipf", "written zipf(theta)"),
        ("zipf(1, 2)", "written zipf(theta)"),
        ("zipf(-1)", "needs theta >= 0, got -1"),
        ("zipf(x)", "'x' is not a number"),
        ("normal(1, inf)", "'inf' is not a finite number"),
        ("uniform(5, 1)", "needs low <= high"),
        ("uniform(1)", "written uniform or uniform(low, high)"),
        ("hotspot(0.8, 0.2)", "needs items <= draws <= 1"),
        ("normal(1, -2)", "needs sd >= 0"),
        ("zipf(1", "is no law"),
        ("", "is no law"),
    ],
)
def test_a_mistaken_law_is_answered_with_what_would_be_right(words, message):
    with pytest.raises(ValueError, match=r".") as refused:
        draw.parse(words)
    assert message in str(refused.value)


def test_over_nothing_nothing_is_drawn():
    with pytest.raises(ValueError, match="nothing to choose from"):
        draw.parse("zipf(1)").over(0)


def test_draws_depend_on_every_part_of_their_key_and_on_the_block():
    seen = {
        float(draw.rng(*key, block=block).random())
        for key in [(1,), (2,), ("1",), (1, "a"), (1, "b")]
        for block in (0, 1)
    }
    assert len(seen) == 10


def test_a_million_zipf_ranks_of_a_hundred_thousand_take_well_under_a_tenth_of_a_second():
    ranks, random = draw.parse("zipf(0.9)").over(100_000), draw.rng(1)
    took = []
    for _ in range(5):
        start = time.perf_counter()
        ranks.draw(random, 1_000_000)
        took.append(time.perf_counter() - start)
    assert min(took) < 0.1


@pytest.mark.parametrize("n", [1, 2, 3, 16, 17, 1000, 65_537])
def test_a_permutation_gives_every_place_once_however_it_is_asked(n):
    whole = permutation.permuted(np.arange(n), n, key=5)
    assert sorted(whole.tolist()) == list(range(n))
    assert permutation.permuted(np.arange(n)[n // 2 :], n, key=5).tolist() == whole[n // 2 :].tolist()


def test_permutations_of_other_keys_differ_and_leave_no_order():
    one, two = (permutation.permuted(np.arange(10_000), 10_000, key) for key in (1, 2))
    assert (one == two).mean() < 0.01
    assert abs(stats.spearmanr(np.arange(10_000), one).statistic) < 0.05
    assert abs(np.corrcoef(one[:-1], one[1:])[0, 1]) < 0.05
