"""Numbers in, numbers out: intervals, critical values, and what a run can show.

The only home of scipy. Natural logarithms and one-sided or two-sided are said in each name; levels
are shares (0.95), *alpha* is the error allowed. Every function is deterministic.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
import numpy.typing as npt
from scipy import optimize, special
from scipy import stats as _scipy

Array = npt.NDArray[np.float64]

NOTHING = 1e-12
"""A standard deviation of logarithms below this is rounding: the values are constant."""


# --- pairs ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Pair:
    """Two sides compared over the units both have: mean and sd of the n differences.

    *sd* is 0.0 where the differences are constant, nan where there are fewer than two.
    """

    mean: float
    sd: float
    n: int


def pair(own: Array, base: Array) -> Pair:
    """The differences own - base, unit by unit; nan marks a unit that a side lacks.

    >>> pair(np.array([1.0, 3.0, np.nan]), np.array([0.0, 1.0, 7.0]))
    Pair(mean=1.5, sd=0.7071067811865476, n=2)
    """
    differences = own - base
    differences = differences[~np.isnan(differences)]
    n = differences.size
    if n == 0:
        return Pair(math.nan, math.nan, 0)
    mean = float(differences.sum()) / n
    if n == 1:
        return Pair(mean, math.nan, 1)
    off = differences - mean
    sd = math.sqrt(float(off @ off) / (n - 1))
    return Pair(mean, sd if sd > NOTHING else 0.0, n)


def pooled_sd(pairs: Sequence[Pair]) -> float:
    """The root of the mean variance of those pairs that have one; 0.0 where none has.

    >>> pooled_sd([Pair(0.0, 3.0, 5), Pair(0.0, 4.0, 5), Pair(0.0, math.nan, 1)])
    3.5355339059327378
    """
    known = [p.sd**2 for p in pairs if not math.isnan(p.sd)]
    return math.sqrt(sum(known) / len(known)) if known else 0.0


def joint_df(k: int, n: int) -> float:
    """Degrees of freedom of the pooled paired variance: *k* sides (k >= 2), *n* units.

    The k - 1 variances share the baseline, so that they are worth less than (k-1)(n-1):
    METHOD section 3.

    >>> joint_df(2, 20), joint_df(6, 20)
    (19.0, 47.5)
    """
    return (k - 1) * (n - 1) / (1 + (k - 2) / 4)


# --- one interval ---------------------------------------------------------------------------


@lru_cache(maxsize=4096)
def t_quantile(level: float, df: float) -> float:
    """Student's t: the value not exceeded with probability *level*.

    >>> round(t_quantile(0.975, 19), 3)
    2.093
    """
    return float(special.stdtrit(df, level))


def half_width(p: Pair, alpha: float = 0.05) -> float:
    """Half of the two-sided t interval of a mean; inf where there is no variance to go by."""
    if p.n < 2:
        return math.inf
    return t_quantile(1 - alpha / 2, p.n - 1) * p.sd / math.sqrt(p.n)


def p_value(p: Pair) -> float:
    """Two-sided p of a mean of nothing. Constant differences are decided without a test.

    >>> p_value(Pair(0.0, 0.0, 5)), p_value(Pair(0.1, 0.0, 5)), p_value(Pair(0.1, math.nan, 1))
    (1.0, 0.0, 1.0)
    """
    if p.n < 2:
        return 1.0
    if p.sd == 0.0:
        return 1.0 if abs(p.mean) <= NOTHING else 0.0
    return float(2 * special.stdtr(p.n - 1, -abs(p.mean) / (p.sd / math.sqrt(p.n))))


def means_differ(first: Array, second: Array, *, alpha: float) -> bool:
    """Do two samples of logarithms have different means, by Welch's test at *alpha*? Constants are compared exactly.

    Exactly but for rounding: NOTHING. Welch, Biometrika 34 (1947) 28.

    >>> means_differ(np.array([1.0, 1.1, 0.9]), np.array([2.0, 2.1, 1.9]), alpha=0.01)
    True
    >>> means_differ(np.array([1.0, 1.0]), np.array([1.0, 1.0 + 1e-15]), alpha=0.01)
    False
    """
    by = float(first.mean() - second.mean())
    own = [float(one.var(ddof=1)) / one.size if one.std() > NOTHING else 0.0 for one in (first, second)]
    if not any(own):
        return abs(by) > NOTHING
    df = sum(own) ** 2 / sum(v**2 / (one.size - 1) for v, one in zip(own, (first, second), strict=True))
    return float(2 * special.stdtr(df, -abs(by) / math.sqrt(sum(own)))) < alpha


def looks(p_values: Sequence[float], q: float = 0.10) -> list[bool]:
    """Which of many are worth a look: the false ones among them are a share of at most *q*.

    Benjamini and Hochberg, JRSS B 57 (1995) 289.

    >>> looks([0.001, 0.04, 0.9, 0.8])
    [True, True, False, False]
    """
    if not p_values:
        return []
    return [bool(p <= q) for p in _scipy.false_discovery_control(p_values)]


# --- quantiles and shares -------------------------------------------------------------------


def operations_needed(q: float, level: float = 0.95) -> int:
    """How many values there must be before any interval between two of them holds quantile *q*.

    The widest, from the least to the greatest, misses with probability q**n + (1-q)**n.

    >>> [operations_needed(q) for q in (0.5, 0.95, 0.99, 0.999)]
    [6, 59, 299, 2995]
    """
    n = max(2, math.floor(math.log(1 - level) / math.log(max(q, 1 - q))))
    while q**n + (1 - q) ** n > 1 - level:
        n += 1
    return n


def quantile_interval(values: Array, q: float, level: float = 0.95) -> tuple[float, float] | None:
    """The narrowest pair of order statistics that hold quantile *q* whatever the distribution.

    Narrowest in ranks, and of those the one that divides the error most evenly. None where there
    are too few values (operations_needed). David & Nagaraja, Order Statistics (2003), 7.1.

    >>> quantile_interval(np.arange(1.0, 7.0), 0.5), quantile_interval(np.arange(5.0), 0.5)
    ((1.0, 6.0), None)
    """
    n = values.size
    below = special.bdtr(np.arange(n), n, q)  # below[r - 1]: at least r values lie under it not
    lower = below[:-1]
    upper = np.searchsorted(below, lower + level)
    possible = upper < n
    if not possible.any():
        return None
    ranks = np.flatnonzero(possible)
    width = upper[ranks] - ranks
    narrow = ranks[width == width.min()]
    uneven = np.abs(lower[narrow] - (1 - below[upper[narrow]]))
    low = int(narrow[int(np.argmin(uneven))])
    ordered = np.sort(values)
    return float(ordered[low]), float(ordered[upper[low]])


def share_bounds(counts: Array, sizes: Array, alpha: float) -> tuple[float, float, float]:
    """A share over clustered trials: estimate, lower and upper bound, each one-sided at *alpha*.

    *counts* of *sizes* operations in each trial. The effective number of operations, from the
    variance between trials, goes into Clopper and Pearson's exact bounds: Korn & Graubard, Survey
    Methodology 24 (1998) 193, with the number never above the true one. Where every operation or
    none counts there is no variance to see, and the bounds are those of independent operations.

    >>> [round(x, 4) for x in share_bounds(np.zeros(4), np.full(4, 15.0), 0.05)]
    [0.0, 0.0, 0.0487]
    """
    total, hits = float(sizes.sum()), float(counts.sum())
    if total == 0:
        return math.nan, 0.0, 1.0
    share = hits / total
    n = _effective(counts, sizes, share, alpha)
    x = share * n
    low = 0.0 if hits == 0 else float(special.betaincinv(x, n - x + 1, alpha))
    high = 1.0 if hits == total else float(special.betaincinv(x + 1, n - x, 1 - alpha))
    return share, low, high


def _effective(counts: Array, sizes: Array, share: float, alpha: float) -> float:
    """How many independent operations the clustered ones are worth, degrees of freedom included."""
    total, trials = float(sizes.sum()), counts.size
    if trials < 2 or share in (0.0, 1.0):
        return total
    residuals = counts - share * sizes
    variance = trials / (trials - 1) * float(residuals @ residuals) / total**2
    if variance <= NOTHING**2:
        return total
    ratio = t_quantile(1 - alpha, total - 1) / t_quantile(1 - alpha, trials - 1)
    return min(total, share * (1 - share) / variance * ratio**2)


# --- many against one, many against the best ------------------------------------------------


@lru_cache(maxsize=1024)
def dunnett(m: int, df: float, *, sides: int, alpha: float = 0.05) -> float:
    """The critical value for *m* comparisons with one control, as a multiple of standard errors.

    c solves: the double integral of [Phi(z + sqrt(2) c s)]^m phi(z) dz dF(s) = 1 - alpha with
    s = sqrt(chi2_df / df); two-sided, Phi(z + sqrt(2) c s) - Phi(z - sqrt(2) c s). Dunnett, JASA
    50 (1955) 1096. By quadrature, because the answer must be the same on every run.

    >>> [round(dunnett(m, 20, sides=1), 2) for m in (1, 2, 3, 4)]
    [1.72, 2.03, 2.19, 2.3]
    >>> [round(dunnett(m, 20, sides=2), 2) for m in (1, 2, 3, 4)]
    [2.09, 2.38, 2.54, 2.65]
    """
    if m < 1:
        return 0.0
    z, z_weight = _legendre(-8.5, 8.5, 80)
    z_weight = z_weight * np.exp(-(z**2) / 2) / math.sqrt(2 * math.pi)
    s, s_weight = _scale_nodes(df)

    def missed(c: float) -> float:
        shift = math.sqrt(2) * c * s[None, :]
        inside = special.ndtr(z[:, None] + shift)
        if sides == 2:
            inside = inside - special.ndtr(z[:, None] - shift)
        return float(z_weight @ inside**m @ s_weight) - (1 - alpha)

    return float(optimize.brentq(missed, 0.0, 1000.0, xtol=1e-9))


def with_the_best(sides: int, df: float, *, alpha: float) -> float:
    """How many standard errors to compare *sides* with the best: all hold with 1 - alpha, each with 1 - alpha / 2.

    Of two sides there is one statement, and a pick rests on it alone (docs/decisions/0025).

    >>> [round(with_the_best(sides, 20, alpha=0.05), 2) for sides in (2, 3, 4)]
    [2.09, 2.09, 2.19]
    """
    return max(dunnett(sides - 1, df, sides=1, alpha=alpha), t_quantile(1 - alpha / 2, df))


def _legendre(low: float, high: float, n: int) -> tuple[Array, Array]:
    """Nodes and weights of Gauss-Legendre quadrature over [low, high]."""
    nodes, weights = np.polynomial.legendre.leggauss(n)
    half = (high - low) / 2
    return low + half * (nodes + 1), weights * half


def _scale_nodes(df: float) -> tuple[Array, Array]:
    """Nodes and weights for an integral over s = sqrt(chi2_df / df), whose density has one peak."""
    edges = np.sqrt(_scipy.chi2.ppf([1e-13, 1 - 1e-13], df) / df)
    s, weight = _legendre(float(edges[0]), float(edges[1]), 96)
    density = 2 * df * s * _scipy.chi2.pdf(df * s**2, df)
    return s, weight * density


@dataclass(frozen=True)
class Block:
    """Several sides over the same units, one of them the control; nan where a side lacks a unit.

    Every comparison shares one variance, the mean of the paired variances against the control,
    but is never given less than its own: one noisy arm then neither hides behind the quiet ones
    nor widens them much (METHOD section 3).
    """

    values: Mapping[str, Array]
    control: str

    @cached_property
    def pairs(self) -> dict[str, Pair]:
        """Each other side against the control, with its own sd."""
        base = self.values[self.control]
        return {side: pair(own, base) for side, own in self.values.items() if side != self.control}

    @cached_property
    def sd(self) -> float:
        """The pooled sd of one difference."""
        return pooled_sd(list(self.pairs.values()))

    @cached_property
    def units(self) -> int:
        """How many units the poorest comparison has that has a variance at all; 0 if none has."""
        return min((p.n for p in self.pairs.values() if p.n > 1), default=0)

    @cached_property
    def df(self) -> float:
        """Degrees of freedom of the pooled sd; nan where there is none."""
        k = 1 + sum(p.n > 1 for p in self.pairs.values())
        return joint_df(k, self.units) if k > 1 else math.nan

    def compare(self, own: str, base: str, c: float) -> tuple[float, float]:
        """The mean difference own - base, and *c* of its standard errors: inf where unknown, 0.0 for constants.

        Two sides without a common unit differ by 0.0, give or take everything: never by nan, of
        which every comparison is false.
        """
        p = self.pairs[own] if base == self.control else pair(self.values[own], self.values[base])
        if p.n == 0:
            return 0.0, math.inf
        return p.mean, c * max(self.sd, p.sd) / math.sqrt(p.n) if p.n > 1 and c < math.inf else math.inf

    def against_control(self, own: str, *, alpha: float = 0.05) -> tuple[float, float]:
        """Difference and half-width, all sides' intervals holding together with 1 - alpha (Dunnett)."""
        c = dunnett(len(self.pairs), self.df, sides=2, alpha=alpha) if self.units else math.inf
        return self.compare(own, self.control, c)

    def bound(self, own: str) -> float:
        """The largest difference from the control that *own* may stand for: |mean| + t(.95) standard errors."""
        mean, width = self.compare(own, self.control, t_quantile(0.95, self.df) if self.units else math.inf)
        return abs(mean) + width

    def losses(self, sides: Sequence[str], *, alpha: float = 0.05) -> dict[str, tuple[bool, float]]:
        """For each of *sides*, lower being better: may it be the best, and how much it loses at most.

        Multiple comparisons with the best: Hsu, Annals of Statistics 12 (1984) 1136. A side alone loses nothing.
        """
        c = with_the_best(len(sides), self.df, alpha=alpha) if self.units else math.inf
        told = {}
        for own in sides:
            others = [self.compare(own, other, c) for other in sides if other != own]
            may_be_best = not any(mean - width > 0 for mean, width in others)
            told[own] = may_be_best, max((mean + width for mean, width in others), default=0.0)
        return {own: (best, max(0.0, lost)) for own, (best, lost) in told.items()}


# --- what a run can show --------------------------------------------------------------------


def smallest_effect(sd: float, units: int, *, others: int, least: float, twin: bool, power: float = 0.80) -> float:
    """The smallest true difference, on the log scale, that the verdict finds in a share *power*.

    *sd* is that of the log ratio of one pair, *units* the rounds or loads, *others* how many
    challengers are compared with the baseline (the twin not counted), *least* the least effect as
    a share. The rule includes the margin with the twin's part in it, the family, and each variance
    floored by its own, for which there is no formula: it is drawn, from a fixed seed, and every
    draw finds the differences beyond a threshold of its own, so that one quantile answers.

    >>> round(-math.expm1(-smallest_effect(0.05, 20, others=4, least=0.10, twin=True)), 3)
    0.127
    """
    if units < 2:
        return math.inf
    reach, bound = _draws(units, others, twin)
    margin = np.maximum(math.log1p(least), sd * bound)
    return float(np.quantile(margin + sd * reach, power))


@lru_cache(maxsize=64)
def _draws(units: int, others: int, twin: bool, size: int = 20_000) -> tuple[Array, Array]:
    """For a pair sd of 1: interval half-width less the error of the mean, and the twin's bound."""
    m = others + twin
    rng = np.random.default_rng(20_260_101)
    values = rng.normal(scale=math.sqrt(0.5), size=(size, m + 1, units))
    differences = values[:, 1:, :] - values[:, :1, :]
    means, variances = differences.mean(axis=2), differences.var(axis=2, ddof=1)
    pooled = variances.mean(axis=1)
    df = joint_df(m + 1, units)
    widths = np.sqrt(np.maximum(pooled[:, None], variances) / units)
    reach = dunnett(m, df, sides=2) * widths[:, 0] + means[:, 0]
    bound = np.abs(means[:, -1]) + t_quantile(0.95, df) * widths[:, -1] if twin else np.zeros(size)
    return reach, bound
