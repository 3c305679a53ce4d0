"""How often values occur, as pg_stats have it, becomes a law over ranks: of how many keys, and with which skew.

The values themselves are not asked for: the shares of the most common ones and the number of different ones suffice.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

MOST = 1_000_000
"""Keys of one column, which are all made before the first row is."""

FAR = 0.1  # of the rows: what a law of two numbers may miss, beyond which the shares are listed
EVEN = 0.1  # of the rows: what the most common values have beyond their even part, below which nothing is skewed
_EXACT, _BINS = 256, 160  # ranks by themselves, and the others in so many classes
_STEEPEST = 4.0


def fitted(shares: Sequence[float], distinct: float, draws: float) -> tuple[int, str]:
    """How many keys to draw from by which law, so that *draws* of them have *distinct* different ones, as *shares* are.

    Some keys are never drawn: of 1000 even keys, 1000 draws have 632.

    >>> fitted((), 632, 1000), fitted((), 500, 100_000), fitted((0.5,), 1001, 100_000)
    ((997, 'uniform'), (500, 'uniform'), (1001, 'hotspot(0.000999, 0.5)'))
    """
    own = np.array(shares, np.float64)
    if _flat(own, keys := _solved(_even, own, distinct, draws)):
        return keys, "uniform"
    laws = []
    for family in (_zipfian, _hot, _listed):
        number = _solved(family, own, distinct, draws)
        words = family(own, number)
        laws.append((number, words, abs(_drawn(*_law(words, number), draws) - distinct) / draws))
    return _nearest(own, laws)


def skew(shares: Sequence[float], keys: int) -> str:
    """The law of data.yaml that comes nearest to *shares*, those of the most common of *keys* values, descending.

    >>> skew([0.1] * 10, 10), skew([0.5455, 0.2727, 0.1818], 3), skew([0.5], 1001), skew([0.5, 0.01], 1001)
    ('uniform', 'zipf(1.0)', 'hotspot(0.000999, 0.5)', 'shares(0.5, 0.01)')
    """
    own = np.array(shares[:keys], np.float64)
    if _flat(own, keys):
        return "uniform"
    return _nearest(own, [(keys, family(own, keys), 0.0) for family in (_zipfian, _hot, _listed)])[1]


def concentration(shares: Sequence[float], keys: float) -> float:
    """The chance that two draws are alike, which is the correlation that rows in random order have in pg_stats.

    Rows with the same value are ranked by where they are: of one value alone the correlation is 1.

    >>> concentration([1.0], 1), concentration([0.5, 0.5], 2), round(concentration([], 1000), 4)
    (1.0, 0.5, 0.001)
    """
    others = max(0.0, 1 - sum(shares))
    return sum(one * one for one in shares) + others * others / max(1.0, keys - len(shares))


# --- laws that may be near ------------------------------------------------------------------

Family = Callable[[Floats, int], str]


def _even(own: Floats, keys: int) -> str:  # noqa: ARG001
    return "uniform"


def _zipfian(own: Floats, keys: int) -> str:
    def miss(theta: float) -> float:
        return _miss(own, *_zipf(theta, keys))

    near = min(np.arange(0.05, _STEEPEST, 0.05), key=miss)
    return f"zipf({float(min(np.arange(near - 0.04, near + 0.05, 0.01), key=miss)):.2f})".replace("0)", ")")


def _hot(own: Floats, keys: int) -> str:
    """All common values alike; where they are all there are, or none, that is even."""
    mass = min(1.0, float(own.sum()))
    few = 0 < len(own) < keys and len(own) / keys < mass
    return f"hotspot({figures(len(own) / keys)}, {figures(mass)})" if few else "uniform"


def _listed(own: Floats, keys: int) -> str:
    return f"shares({', '.join(map(figures, own[:keys]))})" if len(own) else "uniform"


def _solved(family: Family, own: Floats, distinct: float, draws: float) -> int:
    """The fewest keys of which as many are drawn as there are to be, up to MOST."""
    low, high = max(1, len(own), round(min(distinct, MOST))), MOST
    while low < high:
        middle = (low + high) // 2 if high < 2 * low else int((low * high) ** 0.5)
        if _drawn(*_law(family(own, middle), middle), draws) < distinct - 0.5:
            low = middle + 1
        else:
            high = middle
    return low


def _flat(own: Floats, keys: int) -> bool:
    """Are the most common values hardly more common than others?"""
    return float(np.maximum(own - 1 / keys, 0).sum()) < EVEN


def _nearest(own: Floats, laws: Sequence[tuple[int, str, float]]) -> tuple[int, str]:
    """The nearest of laws of two numbers, or the last one, of all shares, where none is near enough."""
    *short, last = laws
    miss, number, words = min(
        (_miss(own, *_law(words, number)) + lacking, number, words) for number, words, lacking in short
    )
    return (number, words) if miss < FAR else last[:2]


# --- laws, by classes of ranks --------------------------------------------------------------


def _law(words: str, keys: int) -> tuple[Floats, Floats]:
    """The share of one rank, and how many ranks have it, class by class."""
    name, _, inside = words.partition("(")
    given = [float(one) for one in inside.rstrip(")").split(",") if one.strip()]
    if name == "zipf":
        return _zipf(given[0], keys)
    if name == "hotspot":
        hot = max(1, round(given[0] * keys))
        return np.array([given[1] / hot, (1 - given[1]) / (keys - hot)]), np.array([hot, keys - hot], np.float64)
    if name == "shares":
        rest = keys - len(given)
        tail = [max(0.0, 1 - sum(given)) / max(1, rest)]
        return np.array([*given, *tail]), np.array([*np.ones(len(given)), rest], np.float64)
    return np.array([1 / keys]), np.array([keys], np.float64)


def _zipf(theta: float, keys: int) -> tuple[Floats, Floats]:
    exact = np.arange(1, min(keys, _EXACT) + 1, dtype=np.float64)
    edges = np.unique(np.geomspace(_EXACT + 1, keys + 1, _BINS).astype(np.int64)) if keys > _EXACT else np.empty(0)
    ranks = np.concatenate([exact, (edges[:-1] + edges[1:] - 1) / 2])
    times = np.concatenate([np.ones(len(exact)), np.diff(edges)])
    weights = ranks**-theta
    return weights / (weights * times).sum(), times


def _drawn(shares: Floats, times: Floats, draws: float) -> float:
    """How many different ranks *draws* draws have, on average."""
    missed = np.log1p(-np.minimum(shares, 1 - 1e-12)) * draws
    return float((times * -np.expm1(missed)).sum())


def _miss(own: Floats, shares: Floats, times: Floats) -> float:
    """How far the law's first ranks are from *own*, and the others together from the rest."""
    first = np.repeat(shares, np.minimum(times, len(own)).astype(np.int64))[: len(own)]
    return float(np.abs(first - own).sum() + abs(first.sum() - own.sum()))


def figures(value: Any) -> str:
    """Three figures, as data.yaml writes them: no exponent.

    >>> figures(0.0000123456), figures(0.5)
    ('0.0000123', '0.5')
    """
    return np.format_float_positional(float(f"{value:.3g}"), trim="0")
