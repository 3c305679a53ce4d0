"""Which tables need rows: those that queries touch, and all that these refer to.

A table is touched where a plan reads or writes it, or a query's text names it, be it in a view or a function that the
query uses or in one that a trigger of a touched table calls. Where rows are deleted, rows that refer to them are looked
for, and deleted where the foreign key says so. A name that is put together when a function runs is not seen.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from lab import origins, pg, predicates
from lab.model import SqlFile
from lab.tables import Table

_SHOWN = 5
_DELETES = {"delete", "merge", "truncate"}
_NAMES = re.compile(r'"((?:[^"]|"")+)"|([^\W\d][\w$]*)')


def of(connection: pg.Connection, queries: Mapping[str, SqlFile], tables: Sequence[Table]) -> frozenset[str]:
    """The tables that *queries* touch on this server, without what these refer to; IngestError as origins.plans."""
    plans = [plan for name, file in queries.items() for plan in origins.plans(connection, name, file)[1]]
    roots, known = origins.roots(connection), {one.name for one in tables}
    named = {word for file in queries.values() for word in _words(file.text)}
    named |= {roots.get(one, one)[1] for plan in plans for one in predicates.relations(plan)}
    bodies: dict[str, set[str]] = {}  # of functions and views, those of one name together
    for row in pg.rows(connection, pg.query("bodies")):
        bodies.setdefault(row["name"], set()).update(_words(row["text"]))
    triggers = [(row["table"], row["function"]) for row in pg.rows(connection, pg.query("trigger_functions"))]
    deleted = {roots.get(one, one)[1] for plan in plans for one in predicates.relations(plan, deleted=True)}
    deleted |= {one for file in queries.values() for one in _merged(file.text) & known}
    touched, called = known & named, bodies.keys() & named
    while True:
        words = {word for one in called for word in bodies[one]}
        fired = {function for table, function in triggers if table in touched}
        gone = deleted | {one for name in called if _DELETES & bodies[name] for one in known & bodies[name]}
        gone |= {one.name for one in tables if any(key.cascades and key.table in gone for key in one.foreign)}
        referring = {one.name for one in tables if any(key.table in gone for key in one.foreign)}
        more = touched | referring | (known & words), called | (bodies.keys() & (words | fired)), gone
        if more == (touched, called, deleted):
            return frozenset(touched)
        touched, called, deleted = more


def _merged(text: str) -> set[str]:
    """The names in a text that says MERGE, which may delete rows and whose plan does not tell of which table."""
    words = set(_words(text))
    return words if "merge" in words else set()


def differing(connection: pg.Connection) -> dict[str, str]:
    """Each table, and what of it may differ between schemas: columns, constraints, indexes, partitions, triggers."""
    return {row["table"]: row["text"] for row in pg.rows(connection, pg.query("definitions"))}


def needed(tables: Sequence[Table], touched: Iterable[str]) -> frozenset[str]:
    """*touched* and all that these refer to.

    >>> from lab.tables import Foreign
    >>> refers = lambda name, other: Table(name, (), foreign=(Foreign(("x",), other, ("id",)),))
    >>> sorted(needed([Table("a", ()), refers("b", "a"), refers("c", "b"), Table("d", ())], ["c"]))
    ['a', 'b', 'c']
    """
    known = {one.name: one for one in tables}
    found: set[str] = set()
    new = set(touched) & known.keys()
    while new:
        found |= new
        new = {key.table for name in new for key in known[name].foreign} & known.keys() - found
    return frozenset(found)


def told(tables: Sequence[Table], kept: frozenset[str]) -> Iterator[str]:
    """Which of *tables* stay empty, in a line; none where all are *kept*.

    >>> list(told([Table("a", ()), Table("b", ()), Table("c", ())], frozenset("a")))
    ['2 tables stay empty, which no query touches (b, c)']
    """
    left = [one.name for one in tables if one.name not in kept]
    if left:
        some = f"{', '.join(left[:_SHOWN])}{' ...' if len(left) > _SHOWN else ''}"
        what = "1 table stays" if len(left) == 1 else f"{len(left)} tables stay"
        yield f"{what} empty, which no query touches ({some})"


def _words(text: str) -> Iterator[str]:
    """The names in a text, as the server has them, whatever its language; those of texts and comments too.

    >>> list(_words('SELECT "My T".x FROM Events'))
    ['select', 'My T', 'x', 'from', 'events']
    """
    for quoted, word in _NAMES.findall(text):
        yield quoted.replace('""', '"') if quoted else word.lower()
