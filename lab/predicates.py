"""EXPLAIN's JSON -> which columns of which table a query looks for, compares, sorts and joins by.

Plans of EXPLAIN (VERBOSE, FORMAT JSON), where every column stands with the alias of its table. Only bare
columns count: `lower(name) = 'a'` is no use that an index on (name) serves. A condition with OR
says nothing of one column alone and is passed over.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Table = tuple[str, str]
"""Schema and name."""

_NAME = r'(?:"(?:[^"]|"")+"|[^\W\d][\w$]*)'
_COLUMN = re.compile(rf"({_NAME})\.({_NAME})")
_CAST = re.compile(
    r"::(?:(?:timestamp|time)(?:\(\d\))? with(?:out)? time zone|double precision|character varying|\"char\"|[\w.]+)"
    r"(?:\(\d+(?:,\d+)?\))?(?:\[\])?"
)
_COMPARED = re.compile(rf"({_NAME})\.({_NAME})\s*(<>|<=|>=|=|<|>)\s*(?:({_NAME})\.({_NAME}))?")
_BARE = re.compile(rf"(?<![\w\"])\(({_NAME}\.{_NAME})\)")
_CONDITIONS = ("Filter", "Index Cond", "Recheck Cond", "Join Filter", "Hash Cond", "Merge Cond")


@dataclass(frozen=True)
class Use:
    """How a query uses a table's columns, each in the order of the plan; *sorted* may hold `name DESC`."""

    equal: tuple[str, ...] = ()
    ranged: tuple[str, ...] = ()
    sorted: tuple[str, ...] = ()
    joined: tuple[str, ...] = ()


def uses(
    plan: Mapping[str, Any], roots: Mapping[Table, Table], indexes: Mapping[str, Sequence[str]] = {}
) -> dict[Table, Use]:
    """The uses of each table in *plan*, the top node of one statement. *roots*: partition -> its partitioned table.

    *indexes*: name -> columns; one that is read for its order alone, and of whose rows some are thrown away, says
    what is sorted by.

    >>> plan = {"Node Type": "Seq Scan", "Schema": "public", "Relation Name": "t", "Alias": "t",
    ...     "Filter": "((t.a = 5) AND (t.at >= '2026-01-01 00:00:00+00'::timestamp with time zone))"}
    >>> uses(plan, {})[("public", "t")]
    Use(equal=('a',), ranged=('at',), sorted=(), joined=())
    """
    every = list(_nodes(plan))
    tables: dict[str, Table] = {}
    for node in every:
        if "Relation Name" in node:
            table = (node["Schema"], node["Relation Name"])
            root = roots.get(table, table)
            tables[node["Alias"]] = root
            tables.setdefault(root[1], root)  # the alias of a partitioned table stands in no scan
    found: dict[Table, dict[str, dict[str, None]]] = {}
    for alias, column, how in (one for node in every for one in (*_said(node), *_ordered(node, indexes))):
        if alias in tables:
            kinds = found.setdefault(tables[alias], {"equal": {}, "ranged": {}, "sorted": {}, "joined": {}})
            kinds[how].setdefault(column)
    return {table: Use(**{how: tuple(columns) for how, columns in kinds.items()}) for table, kinds in found.items()}


def relations(plan: Mapping[str, Any], *, deleted: bool = False) -> frozenset[Table]:
    """The tables, and partitions, that *plan* reads and writes; or those alone of which it deletes rows.

    >>> scan = {"Node Type": "Seq Scan", "Schema": "public", "Relation Name": "t"}
    >>> plan = {"Node Type": "ModifyTable", "Operation": "Delete", "Schema": "a", "Relation Name": "b", "Plans": [scan]}
    >>> sorted(relations(plan)), sorted(relations(plan, deleted=True))
    ([('a', 'b'), ('public', 't')], [('a', 'b')])
    """
    nodes = [one for one in _nodes(plan) if "Relation Name" in one]
    return frozenset(
        (one["Schema"], one["Relation Name"]) for one in nodes if not deleted or one.get("Operation") == "Delete"
    )


def _nodes(node: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield node
    for child in node.get("Plans", ()):
        yield from _nodes(child)


def _said(node: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """(alias, column, how) of everything that one node says."""
    for key in _CONDITIONS:
        if key in node:
            yield from compared(node[key])
    if "Sort Key" in node:
        yield from _sorted(node["Sort Key"])


def _ordered(node: Mapping[str, Any], indexes: Mapping[str, Sequence[str]]) -> Iterator[tuple[str, str, str]]:
    """The columns by which a scan is ordered that has no other reason for its index."""
    if "Filter" in node and "Index Cond" not in node:
        for column in indexes.get(node.get("Index Name", ""), ()):
            yield node["Alias"], column, "sorted"


def compared(condition: str) -> Iterator[tuple[str, str, str]]:
    """The columns that a condition compares: (alias, column, `equal`, `ranged` or `joined`).

    >>> list(compared("((a.x = b.y) AND (lower(a.z) = 'q'::text) AND ((a.n)::text > 'x'::text))"))
    [('a', 'x', 'joined'), ('b', 'y', 'joined'), ('a', 'n', 'ranged')]
    >>> list(compared("((a.x = 1) OR (a.y = 2))")), list(compared("(a.x <> 1)"))
    ([], [])
    """
    text = _CAST.sub("", re.sub(r"'(?:[^']|'')*'", "?", condition))
    text = _BARE.sub(r"\1", text)
    if re.search(r"\bOR\b|\bNOT\b", text):
        return
    for alias, column, sign, other, theirs in _COMPARED.findall(text):
        if sign == "<>":
            continue
        if other:
            yield _plain(alias), _plain(column), "joined"
            yield _plain(other), _plain(theirs), "joined"
        else:
            yield _plain(alias), _plain(column), "equal" if sign == "=" else "ranged"


def _sorted(keys: Sequence[str]) -> Iterator[tuple[str, str, str]]:
    """The leading keys of a sort that are bare columns of one table; all the other way round is the same index."""
    found: list[tuple[str, str, bool]] = []
    for key in keys:
        bare = _COLUMN.match(key)
        rest = key[bare.end() :].strip() if bare else "?"
        if bare is None or rest not in ("", "DESC") or (found and found[0][0] != _plain(bare[1])):
            break
        found.append((_plain(bare[1]), _plain(bare[2]), rest == "DESC"))
    mixed = len({down for _, _, down in found}) > 1
    for alias, column, down in found:
        yield alias, f"{column} DESC" if mixed and down else column, "sorted"


def _plain(name: str) -> str:
    return name[1:-1].replace('""', '"') if name.startswith('"') else name


_ASKED = re.compile(rf"({_NAME})\.({_NAME})\s*(?:<>|<=|>=|=|<|>)\s*\$(\d+)(?!\d)")
_PART = re.compile(r"(?:!?~~\*?|!?~\*?|@>|<@|\?[|&]?)\s*\(?\$(\d+)(?!\d)")
_TURNED = re.compile(rf"\$(\d+)\s*(?:<>|<=|>=|=|<|>)\s*({_NAME})\.({_NAME})")


def parameters(plan: Mapping[str, Any], roots: Mapping[Table, Table]) -> dict[int, list[tuple[Table, str]]]:
    """Number of a parameter -> the columns it is compared with, in a plan of EXPLAIN (GENERIC_PLAN, VERBOSE).

    >>> plan = {"Node Type": "Seq Scan", "Schema": "public", "Relation Name": "t", "Alias": "u",
    ...     "Filter": "(((u.kind)::text <> $1) OR (u.n > $2))"}
    >>> parameters(plan, {})
    {1: [(('public', 't'), 'kind')], 2: [(('public', 't'), 'n')]}
    """
    every = list(_nodes(plan))
    tables = {one["Alias"]: (one["Schema"], one["Relation Name"]) for one in every if "Relation Name" in one}
    found: dict[int, list[tuple[Table, str]]] = {}
    for text in (node[key] for node in every for key in _CONDITIONS if key in node):
        bare = _bare(text)
        straight = [(alias, column, number) for alias, column, number in _ASKED.findall(bare)]
        turned = [(alias, column, number) for number, alias, column in _TURNED.findall(bare)]
        for alias, column, number in (*straight, *turned):
            if (table := tables.get(_plain(alias))) is not None:
                uses_ = found.setdefault(int(number), [])
                one = (roots.get(table, table), _plain(column))
                uses_ += [] if one in uses_ else [one]
    return found


_BOUND = re.compile(rf"({_NAME}\.{_NAME})\s*(<=|>=|<|>)\s*\$(\d+)(?!\d)")
_BOUNDS = re.compile(rf"\$(\d+)\s*(<=|>=|<|>)\s*({_NAME}\.{_NAME})")


def ranges(plan: Mapping[str, Any]) -> list[tuple[int, int]]:
    """Numbers of the parameters between which one column is to lie, the lower one first.

    >>> ranges({"Index Cond": "((e.at >= $1) AND (e.at < $2) AND (e.n > $3))", "Filter": "($4 > t.n AND $5 < t.n)"})
    [(5, 4), (1, 2)]
    """
    found: list[tuple[int, int]] = []
    for text in (node[key] for node in _nodes(plan) for key in _CONDITIONS if key in node):
        bare = _bare(text)
        sides = [(column, sign[0], int(number)) for column, sign, number in _BOUND.findall(bare)]
        sides += [(column, "<>"[sign[0] == "<"], int(number)) for number, sign, column in _BOUNDS.findall(bare)]
        for column in dict.fromkeys(column for column, _, _ in sides):
            low, high = ([number for one, sign, number in sides if (one, sign) == (column, way)] for way in "><")
            if len(low) == len(high) == 1 and (low[0], high[0]) not in found:
                found.append((low[0], high[0]))
    return found


def _bare(condition: str) -> str:
    """A condition without constants, casts, and the brackets around single columns and parameters."""
    bare = _BARE.sub(r"\1", _CAST.sub("", re.sub(r"'(?:[^']|'')*'", "?", condition)))
    return re.sub(r"\((\$\d+)\)", r"\1", bare)


def parts(plan: Mapping[str, Any]) -> frozenset[int]:
    """Numbers of the parameters that are a pattern, or hold only a part of a value (LIKE, ~, @>): no whole value.

    >>> sorted(parts({"Filter": "((t.a ~~ $1) AND (t.b = $2) AND (t.c @> ($3)::jsonb))"}))
    [1, 3]
    """
    texts = (node[key] for node in _nodes(plan) for key in _CONDITIONS if key in node)
    return frozenset(int(number) for text in texts for number in _PART.findall(re.sub(r"'(?:[^']|'')*'", "?", text)))
