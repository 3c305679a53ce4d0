"""The indexes that a use of a table suggests, the simplest first. Whether the planner wants them is not said here."""

from collections.abc import Iterator
from dataclasses import dataclass

from lab.predicates import Table, Use


@dataclass(frozen=True)
class Index:
    """An index to be tried. *columns* may say `name DESC`."""

    table: Table
    columns: tuple[str, ...]
    method: str = "btree"

    @property
    def name(self) -> str:
        """A name for a candidate: schema if it is not public, table, columns and, if it is no B-tree, the method.

        Names that differ by case or signs alone become one: experiment.candidates tells these apart.

        >>> Index(("public", "Big Table"), ("at DESC", "id")).name, Index(("own", "t"), ("at",), "brin").name
        ('big-table-at-desc-id', 'own-t-at-brin')
        """
        words = [*(one for one in self.table[:1] if one != "public"), self.table[1], *self.columns]
        words += [] if self.method == "btree" else [self.method]
        return "-".join("".join(c if c.isalnum() else "-" for c in word.lower()) for word in words)


def proposals(table: Table, use: Use) -> tuple[Index, ...]:
    """The indexes that *use* of *table* suggests, each once, those with fewest columns first.

    One column each; what is equal and then what is sorted or compared; a join's column before or
    after what is equal; BRIN for what is compared.

    >>> [one.columns for one in proposals(("public", "t"), Use(equal=("a", "b"), sorted=("at",)))]
    [('a',), ('b',), ('a', 'b'), ('a', 'b', 'at')]
    """
    found = dict.fromkeys(_columns(use))
    btrees = [Index(table, columns) for columns in sorted(found, key=len)]
    return (*btrees, *(Index(table, (column,), "brin") for column in use.ranged))


def _columns(use: Use) -> Iterator[tuple[str, ...]]:
    for column in (*use.joined, *use.equal, *use.ranged):
        yield (column,)
    for last in (use.sorted, use.ranged[:1], use.joined[:1]):
        columns = tuple(dict.fromkeys((*use.equal, *last)))
        if columns:
            yield columns
    if use.joined and use.equal:
        yield tuple(dict.fromkeys((use.joined[0], *use.equal)))
    if use.equal:
        yield use.equal
