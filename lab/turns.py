"""How many keys tables have, so that rows that walk several keys in turn hold no pair of them twice.

Row i has key i mod a of one table and key i mod b of another: as many pairs differ as the least common multiple of a
and b. A reference of several columns needs the opposite: the keys of its table are a multiple of its parts' keys.
"""

import math
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass

from lab.model import Json

NEAR = 500  # multiples of what a size has to be a multiple of, among which one is looked for


@dataclass(frozen=True)
class Turn:
    """A unique *key* of *table*, whose columns walk the keys of *entities*."""

    table: str
    key: tuple[str, ...]
    entities: tuple[str, ...]

    def pairs(self, sizes: Mapping[str, int]) -> int:
        """How many rows differ in the key."""
        return math.lcm(*(sizes[one] for one in self.entities))

    @property
    def twice(self) -> str:
        """The entity whose keys it walks twice, in step, so that no pairs are known; "" if none."""
        return next((one for one in self.entities if self.entities.count(one) > 1), "")

    def lacking(self, sizes: Mapping[str, int], rows: int) -> Iterator[str]:
        """A hole where *rows* rows are more than there are pairs."""
        unique = f"{self.table}.{self.key[-1]}: ({', '.join(self.key)}) is unique"
        if self.twice:
            yield (
                f"{unique} and refers twice to {self.twice}, for which no pairs are known here (declare the columns "
                "in data.yaml)"
            )
        elif rows > (pairs := self.pairs(sizes)):
            numbers = " and ".join(f"{sizes[one]:,} of {one}" for one in self.entities)
            yield (
                f"{unique}, and {numbers} make {pairs:,} pairs for {rows:,} rows (give the table fewer rows, or "
                "declare the columns in data.yaml)"
            )


@dataclass(frozen=True)
class Whole:
    """*table* is referred to by *columns* of *by*, so that its keys are a multiple of those of *parts*."""

    table: str
    by: str
    columns: tuple[str, ...]
    parts: Set[str]

    def lacking(self, sizes: Mapping[str, int], rows: int) -> Iterator[str]:
        """A hole where *rows* rows of *by* are more than the table's, and its keys are no multiple."""
        size = sizes[self.table]
        if rows > size and any(size % sizes[part] for part in self.parts):
            parts = " and ".join(f"{sizes[one]:,} of {one}" for one in sorted(self.parts))
            yield (
                f"{self.by}.{self.columns[-1]}: ({', '.join(self.columns)}) refers to {self.table}, whose {size:,} "
                f"keys are no multiple of {parts}, so that some of the pairs are not there (declare the columns in "
                "data.yaml)"
            )


def lacking(
    walks: Sequence[Turn | Whole],
    sizes: Mapping[str, int],
    most: Mapping[str, int],
    streams: Mapping[str, Mapping[str, Json]],
    rows: int,
) -> Iterator[str]:
    """Holes for what *sizes* do not hold for the rows of *streams*, or *rows* where a stream says no number."""
    for one in walks:
        own = streams[one.by if isinstance(one, Whole) else one.table].get("rows", rows)
        yield from one.lacking(sizes, own if isinstance(own, int) else sizes[own])
    for name, size in sizes.items():
        if size > most.get(name, size) and any(one.table == name for one in walks if isinstance(one, Whole)):
            yield f"{name}: has {size:,} rows, and a column that is unique with {most[name]:,} values (give the rows)"


def coprime(size: int, others: Sequence[int]) -> int:
    """The largest number up to *size* that shares no factor with *others*.

    >>> coprime(10, [6, 7]), coprime(10, [])
    (5, 10)
    """
    return next(one for one in range(size, 0, -1) if all(math.gcd(one, other) == 1 for other in others))


def fitted(
    wanted: Mapping[str, int],
    most: Mapping[str, int],
    turns: Sequence[Turn],
    wholes: Sequence[Whole],
    fixed: Mapping[str, int] = {},
) -> dict[str, int]:
    """*wanted* sizes, parts before wholes, moved as little as makes all *turns* and *wholes* hold together.

    Those that are walked together share no factor, but for one that they have to; no size is above *most*, where it
    has to be no multiple that is larger. Those in *fixed* stay as they are.

    >>> fitted({"g": 1000, "p": 1000, "u": 1000}, {}, [Turn("gp", ("g", "p"), ("g", "p")),
    ...     Turn("ug", ("u", "g"), ("u", "g")), Turn("up", ("u", "p"), ("u", "p"))], [])
    {'g': 1000, 'p': 1001, 'u': 1003}
    >>> fitted({"t": 10, "u": 95, "r": 95}, {}, [Turn("ur", ("u", "r"), ("u", "r"))],
    ...     [Whole("u", "ur", ("t", "u"), {"t"}), Whole("r", "ur", ("t", "r"), {"t"})])
    {'t': 10, 'u': 100, 'r': 110}
    """
    below = {name: _below(name, wholes) for name in (*fixed, *wanted)}
    apart = _apart(turns, below)
    sizes = dict(fixed)
    for name, size in wanted.items():
        step = math.lcm(*(sizes[part] for part in below[name] if part in sizes))
        ready = [one for one in turns if one.table == name and not one.twice and sizes.keys() >= set(one.entities)]
        own = [one.pairs(sizes) for one in ready]
        others = [sizes[other] for other in sizes if frozenset((name, other)) in apart]
        sizes[name] = _near(size, step, min([most.get(name, size + NEAR * step), *own]), others)
    return {name: sizes[name] for name in wanted}


def _near(size: int, step: int, most: int, others: Sequence[int]) -> int:
    """The multiple of *step* near *size* that shares no more with *others* than *step* does, at best a larger one."""
    first, last = math.ceil(size / step), most // step
    top = min(first - 1, last)
    numbers = (*range(first, min(last, first + NEAR) + 1), *range(top, max(top // 2, top - NEAR), -1))
    found: list[int] = [number * step for number in numbers or (1,)]
    for one in found:
        if all(math.gcd(one, other) == math.gcd(step, other) for other in others):
            return one
    return max(found, key=lambda one: math.lcm(one, *others))


def _below(name: str, wholes: Sequence[Whole]) -> set[str]:
    """Whose multiple *name* is, and whose these are."""
    found: set[str] = set()
    new = {name}
    while new:
        new = {part for one in wholes if one.table in new for part in one.parts} - found
        found |= new
    return found - {name}


def _apart(turns: Sequence[Turn], below: Mapping[str, set[str]]) -> set[frozenset[str]]:
    """Pairs that are to share no factor: what is walked together, and what that is a multiple of."""
    found = set()
    for turn in turns:
        known = [{one, *below[one]} for one in turn.entities if one in below]
        for number, these in enumerate(known):
            pairs = ((one, other) for before in known[:number] for one in before for other in these)
            found |= {
                frozenset(two)
                for two in pairs
                if two[0] not in below[two[1]] | {two[1]} and two[1] not in below[two[0]]
            }
    return found
