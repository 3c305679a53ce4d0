"""What is read of a schema's tables: their columns, keys, references and CHECKs."""

from collections.abc import Mapping, Set
from dataclasses import dataclass, field

from lab.bounds import Rules
from lab.model import Json


@dataclass(frozen=True)
class Column:
    """A column: *type* as in pg_type, below a domain; *length*, *precision*, *scale* where its type has them.

    *generated*: by the server alone. *counted*: identity or serial, from 1 by 1. *labels*: of an enum. *checks*: of
    a domain, about VALUE.
    """

    name: str
    type: str
    not_null: bool = False
    length: int | None = None
    precision: int | None = None
    scale: int = 0
    generated: bool = False
    counted: bool = False
    defaulted: bool = False
    labels: tuple[str, ...] = ()
    checks: tuple[str, ...] = ()


@dataclass(frozen=True)
class Foreign:
    """A foreign key: *columns* refer to *theirs* of *table*; *cascades*: rows are deleted with those they refer to."""

    columns: tuple[str, ...]
    table: str
    theirs: tuple[str, ...]
    cascades: bool = False


@dataclass(frozen=True)
class Table:
    """A table; *unique*: the primary key first, then what else is unique. *checks* as the server words them."""

    name: str
    columns: tuple[Column, ...]
    unique: tuple[tuple[str, ...], ...] = ()
    foreign: tuple[Foreign, ...] = ()
    checks: tuple[str, ...] = ()


@dataclass(frozen=True)
class Brought:
    """What files bring: *tables* of which nothing is invented, and of columns (table, column) the keys that they have.

    *held*: `keys` as a column of data.yaml has it; *counts*: how many keys there are, of each column that one of the
    other tables refers to, or that one of *tables* refers to.
    """

    tables: frozenset[str] = frozenset()
    held: Mapping[tuple[str, str], Json] = field(default_factory=dict)
    counts: Mapping[tuple[str, str], int] = field(default_factory=dict)


NOTHING = Brought()


def end(tables: Mapping[str, Table], brought: Set[str], table: str, column: str) -> tuple[str, str]:
    """Whose keys a column holds: table and column at the end of its foreign keys, or its own; no further than files.

    >>> a, b = Table("a", ()), Table("b", (), foreign=(Foreign(("id",), "a", ("id",)),))
    >>> c = Table("c", (), foreign=(Foreign(("b",), "b", ("id",)),))
    >>> known = {one.name: one for one in (a, b, c)}
    >>> end(known, set(), "c", "b"), end(known, {"b"}, "c", "b")
    (('a', 'id'), ('b', 'id'))
    """
    for _ in tables:  # no further, where they go in a circle
        if table in brought:
            break
        for one in (one for one in tables[table].foreign if column in one.columns):
            table, column = one.table, one.theirs[one.columns.index(column)]
            break
    return table, column


def rules_of(table: Table, column: Column) -> Rules:
    """What the CHECKs of *table*, and of a domain, say of the column, as far as they are understood."""
    found = Rules()
    for text in table.checks:
        found.read(text, column.name)
    for text in column.checks:
        found.read(text, "VALUE")
    return found


def few_values(table: Table) -> dict[str, tuple[str, ...]]:
    """The columns that hold one of a few values, with these: an enum's, a boolean's, or those that a CHECK lists.

    >>> columns = Column("a", "bool"), Column("b", "text"), Column("c", "int4")
    >>> few_values(Table("t", columns, checks=("(b = ANY (ARRAY['x'::text, 'y'::text]))",)))
    {'a': ('false', 'true'), 'b': ('x', 'y')}
    """
    own = {one.name: one.labels or (("false", "true") if one.type == "bool" else ()) for one in table.columns}
    listed = {one.name: rules_of(table, one).choices or own[one.name] for one in table.columns if not one.generated}
    return {name: values for name, values in listed.items() if values}
