"""Distributions as numpy kernels, for rows and for query parameters alike.

A law is written in the field's words, `zipf(1.1)`, and is one of two sorts. A law over *ranks*
says how often each of n things is chosen, most frequent first; what the things are is the
caller's business. A law of *values* makes numbers by itself.

Random numbers come from Philox, which is a function of a key and a counter (Salmon, Moraes,
Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011): any part of a stream can be
had without what lies before it.
"""

import difflib
import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Numbers = Ints | Floats

_BUCKETS_PER_RANK = 8  # of the guide table: fewer make more binary searches, more spill the cache
_BUCKETS_AT_LEAST, _BUCKETS_AT_MOST = 1 << 12, 1 << 22


def rng(*key: str | int, block: int = 0) -> np.random.Generator:
    """A generator that depends on *key* and *block* alone; blocks of one key never overlap.

    >>> float(rng(1, "events", block=7).random()) == float(rng(1, "events", block=7).random())
    True
    >>> float(rng(1, "events").random()) == float(rng(1, "event", "s").random())
    False
    """
    digest = hashlib.blake2b(repr(key).encode(), digest_size=16).digest()
    words = np.frombuffer(digest, dtype="<u8")
    return np.random.Generator(np.random.Philox(key=words, counter=[0, 0, 0, block]))


@dataclass(frozen=True)
class RankLaw:
    """How often each of n things is chosen; rank 0 is the most frequent."""

    def shares(self, n: int) -> Floats:
        """The probability of each rank, shape (n,), descending, summing to 1."""
        raise NotImplementedError

    def over(self, n: int) -> "Ranks":
        """The law over *n* ranks, ready to be drawn from; tables are made once and kept."""
        return _ranks(self, n)


@dataclass(frozen=True)
class ValueLaw:
    """A law that makes numbers by itself."""

    @property
    def whole(self) -> bool:
        """Are its values integers?"""
        return False

    def values(self, random: np.random.Generator, size: int) -> Numbers:
        """*size* independent values; int64 where the law is `whole`, else float64."""
        raise NotImplementedError


Law = RankLaw | ValueLaw


# --- laws over ranks ------------------------------------------------------------------------


@dataclass(frozen=True)
class Even(RankLaw):
    """`uniform`: every rank alike."""

    def shares(self, n: int) -> Floats:
        return np.full(n, 1.0 / n)


@dataclass(frozen=True)
class Zipf(RankLaw):
    """`zipf(theta)`: p(k) ~ k^-theta for k = 1..n, any theta >= 0; theta 0 is even.

    >>> Zipf(1.0).shares(3).round(4).tolist()
    [0.5455, 0.2727, 0.1818]
    """

    theta: float

    def __post_init__(self) -> None:
        _require(self.theta >= 0, "zipf", "theta >= 0", self.theta)

    def shares(self, n: int) -> Floats:
        weights: Floats = np.arange(1, n + 1, dtype=np.float64) ** -self.theta
        weights /= weights.sum()
        return weights


@dataclass(frozen=True)
class Latest(Zipf):
    """`latest(theta)`: zipf over things ordered newest (largest) first, after YCSB's `latest`.

    Cooper et al., "Benchmarking cloud serving systems with YCSB", SoCC 2010, section 4.2.
    """


@dataclass(frozen=True)
class Hotspot(RankLaw):
    """`hotspot(items, draws)`: the share *draws* of the draws goes evenly to the share *items*.

    The words are YCSB's. At least one item is hot.

    >>> Hotspot(0.2, 0.8).shares(5).round(2).tolist()
    [0.8, 0.05, 0.05, 0.05, 0.05]
    """

    items: float
    draws: float

    def __post_init__(self) -> None:
        _require(0 < self.items < 1, "hotspot", "0 < items < 1", self.items)
        _require(self.items <= self.draws <= 1, "hotspot", "items <= draws <= 1", self.draws)

    def shares(self, n: int) -> Floats:
        hot = min(n, max(1, round(n * self.items)))
        cold = np.full(n - hot, (1 - self.draws) / max(1, n - hot))
        shares: Floats = np.concatenate([np.full(hot, self.draws / hot), cold])
        shares /= shares.sum()
        return shares


@dataclass(frozen=True)
class Listed(RankLaw):
    """`shares(a, b, ...)`: the first ranks have these shares, the others what is left, evenly: pg_stats' own model.

    >>> Listed((0.5, 0.2)).shares(5).round(2).tolist(), Listed((0.6, 0.2)).shares(2).round(2).tolist()
    ([0.5, 0.2, 0.1, 0.1, 0.1], [0.75, 0.25])
    """

    listed: tuple[float, ...]

    def __post_init__(self) -> None:
        _require(min(self.listed) >= 0, "shares", "no share below 0", min(self.listed))
        _require(0 < sum(self.listed) <= 1.01, "shares", "a sum above 0, and not above 1", sum(self.listed))

    def shares(self, n: int) -> Floats:
        first = np.array(self.listed[:n], np.float64)
        rest = np.full(n - len(first), max(0.0, 1 - first.sum()) / max(1, n - len(first)))
        shares: Floats = np.concatenate([first, rest])
        shares /= shares.sum()
        return shares


class Ranks:
    """A law over n ranks as a table: inverse of its distribution function by guide table.

    H.-C. Chen, Y. Asau, "On generating random variates from an empirical distribution", AIIE
    Transactions 6 (1974) 163: the unit interval is cut into buckets that know their first rank,
    and only a draw that is not of that rank is searched for.
    """

    def __init__(self, shares: Floats) -> None:
        self._bounds = np.cumsum(shares)
        self._bounds[-1] = 1.0  # the sum of rounded shares may stop short of it
        wanted = max(_BUCKETS_AT_LEAST, _BUCKETS_PER_RANK * len(shares))
        self._buckets = min(_BUCKETS_AT_MOST, 1 << (wanted - 1).bit_length())
        edges = np.arange(self._buckets) / self._buckets
        self._guide = np.searchsorted(self._bounds, edges, side="right").astype(np.int32)

    def at(self, quantiles: Floats) -> npt.NDArray[np.int32]:
        """The rank at each quantile in [0, 1), same shape.

        >>> Zipf(1.0).over(3).at(np.array([0.0, 0.5, 0.6, 0.99])).tolist()
        [0, 0, 1, 2]
        """
        bucket = (quantiles * self._buckets).astype(np.intp)
        rank = self._guide.take(bucket, mode="clip")
        beyond = np.flatnonzero(quantiles >= self._bounds.take(rank, mode="clip"))
        rank[beyond] = np.searchsorted(self._bounds, quantiles[beyond], side="right")
        return rank

    def draw(self, random: np.random.Generator, size: int) -> npt.NDArray[np.int32]:
        """*size* independent ranks in [0, n)."""
        return self.at(random.random(size))


@lru_cache(maxsize=32)
def _ranks(law: RankLaw, n: int) -> Ranks:
    if n < 1:
        raise ValueError(f"{law}: there is nothing to choose from")
    return Ranks(law.shares(n))


# --- laws of values -------------------------------------------------------------------------


@dataclass(frozen=True)
class Constant(ValueLaw):
    """`constant(x)`: always x; whole where x is written without a point."""

    x: float

    @property
    def whole(self) -> bool:
        return isinstance(self.x, int)

    def values(self, random: np.random.Generator, size: int) -> Numbers:  # noqa: ARG002
        return np.full(size, self.x, np.int64) if self.whole else np.full(size, self.x, np.float64)


@dataclass(frozen=True)
class Uniform(ValueLaw):
    """`uniform(low, high)`: whole numbers low..high, both included; with a point, [low, high).

    >>> sorted(set(Uniform(1, 3).values(rng(1), 100).tolist()))
    [1, 2, 3]
    >>> Uniform(1.0, 3).whole
    False
    """

    low: float
    high: float

    def __post_init__(self) -> None:
        _require(self.low <= self.high, "uniform", "low <= high", (self.low, self.high))

    @property
    def whole(self) -> bool:
        return isinstance(self.low, int) and isinstance(self.high, int)

    def values(self, random: np.random.Generator, size: int) -> Numbers:
        return self.at(random.random(size))

    def at(self, quantiles: Floats) -> Numbers:
        """The values at quantiles in [0, 1), ascending with them."""
        if self.whole:
            return np.int64(self.low) + (quantiles * (self.high - self.low + 1)).astype(np.int64)
        return self.low + quantiles * (self.high - self.low)


@dataclass(frozen=True)
class Normal(ValueLaw):
    """`normal(mean, sd)`."""

    mean: float
    sd: float

    def __post_init__(self) -> None:
        _require(self.sd >= 0, "normal", "sd >= 0", self.sd)

    def values(self, random: np.random.Generator, size: int) -> Numbers:
        return random.normal(self.mean, self.sd, size)


@dataclass(frozen=True)
class Lognormal(ValueLaw):
    """`lognormal(mu, sigma)`: exp of a normal; *mu* and *sigma* are those of the logarithm."""

    mu: float
    sigma: float

    def __post_init__(self) -> None:
        _require(self.sigma >= 0, "lognormal", "sigma >= 0", self.sigma)

    def values(self, random: np.random.Generator, size: int) -> Numbers:
        return random.lognormal(self.mu, self.sigma, size)


@dataclass(frozen=True)
class Exponential(ValueLaw):
    """`exponential(mean)`."""

    mean: float

    def __post_init__(self) -> None:
        _require(self.mean >= 0, "exponential", "mean >= 0", self.mean)

    def values(self, random: np.random.Generator, size: int) -> Numbers:
        return random.exponential(self.mean, size)


@dataclass(frozen=True)
class Poisson(ValueLaw):
    """`poisson(mean)`: whole numbers from 0."""

    mean: float

    def __post_init__(self) -> None:
        _require(self.mean >= 0, "poisson", "mean >= 0", self.mean)

    @property
    def whole(self) -> bool:
        return True

    def values(self, random: np.random.Generator, size: int) -> Numbers:
        return random.poisson(self.mean, size)


# --- words ----------------------------------------------------------------------------------

_LAWS: dict[str, tuple[Callable[..., Law], ...]] = {
    "uniform": (Even, Uniform),
    "zipf": (Zipf,),
    "latest": (Latest,),
    "hotspot": (Hotspot,),
    "shares": (Listed,),
    "constant": (Constant,),
    "normal": (Normal,),
    "lognormal": (Lognormal,),
    "exponential": (Exponential,),
    "poisson": (Poisson,),
}
_WORDS = re.compile(r"\s*([A-Za-z_]+)\s*(?:\((.*)\))?\s*", re.DOTALL)


def parse(text: str) -> Law:
    """A law from its words; ValueError says what is known, and what was probably meant.

    >>> parse("zipf(1.1)"), parse("uniform(1, 100)"), parse("uniform")
    (Zipf(theta=1.1), Uniform(low=1, high=100), Even())
    >>> parse("zipff(1.1)")
    Traceback (most recent call last):
      ...
    ValueError: unknown law 'zipff' (did you mean 'zipf'? known: \
constant(x), exponential(mean), hotspot(items, draws), latest(theta), lognormal(mu, sigma), normal(mean, sd), \
poisson(mean), shares(a, b, ...), uniform, uniform(low, high), zipf(theta))
    >>> parse("normal(20)")
    Traceback (most recent call last):
      ...
    ValueError: law 'normal(20)' does not have its arguments (it is written normal(mean, sd))
    """
    match = _WORDS.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is no law (known: {', '.join(known())})")
    name, inside = match.groups()
    if name not in _LAWS:
        near = difflib.get_close_matches(name, _LAWS, 1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise ValueError(f"unknown law {name!r} ({hint}known: {', '.join(known())})")
    args = [_number(part, text) for part in inside.split(",")] if inside and inside.strip() else []
    if name == "shares" and args:
        return Listed(tuple(args))
    for law in _LAWS[name]:
        if len(_arguments(law)) == len(args):
            return law(*args)
    forms = " or ".join(_form(name, law) for law in _LAWS[name])
    raise ValueError(f"law {text!r} does not have its arguments (it is written {forms})")


def known() -> list[str]:
    """Every law as it is written, in alphabetical order."""
    return [_form(name, law) for name in sorted(_LAWS) for law in _LAWS[name]]


def _form(name: str, law: Callable[..., Law]) -> str:
    arguments = _arguments(law)
    return f"{name}({', '.join(arguments)})" if arguments else name


def _arguments(law: Any) -> list[str]:
    return ["a", "b", "..."] if law is Listed else [field.name for field in fields(law)]


def _number(part: str, text: str) -> float:
    """An int where the author wrote one: it decides whether the law's values are whole."""
    try:
        value = float(part)
    except ValueError:
        raise ValueError(f"law {text!r}: {part.strip()!r} is not a number") from None
    if not np.isfinite(value):
        raise ValueError(f"law {text!r}: {part.strip()!r} is not a finite number")
    return int(part) if part.strip().lstrip("+-").isdecimal() else value


def _require(holds: bool, law: str, rule: str, got: object) -> None:
    if not holds:
        raise ValueError(f"{law}: needs {rule}, got {got!r}")
