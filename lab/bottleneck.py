"""What a query's work is spent on, by its EXPLAIN (ANALYZE, BUFFERS): one node, and what is wrong with it.

Counted in blocks and rows, which repeat, and not in time. The parts of a partitioned table that are
scanned alike are one.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from lab.explain import words

_VAIN = 9  # rows thrown away for each one kept, from which reading them is the matter
_LOOPS = 1000
_PARTS = 10


@dataclass(frozen=True)
class Bottleneck:
    """*kind*: `spill`, `read in vain`, `many partitions`, `row by row`, `blocks`. Numbers are those of one call.

    *node* is named as EXPLAIN names it; *blocks* are what it touches itself, of *all_blocks*; *rows* come
    out of it, *vain* are thrown away by it. *temp_blocks* are what it writes to temporary files.
    """

    kind: str
    node: str
    blocks: int
    all_blocks: int
    rows: int
    vain: int
    loops: int
    parts: int
    temp_blocks: int


SAID = {
    "spill": "rows do not fit into work_mem and go through temporary files",
    "read in vain": "most of the rows that are read are thrown away",
    "many partitions": "many partitions are opened",
    "row by row": "another table is looked into once for each row",
    "blocks": "this is where most blocks are touched",
}


def named(plan: Mapping[str, Any]) -> Bottleneck:
    """The bottleneck of *plan*, the top node of one statement as it was executed.

    >>> top = {"Node Type": "Seq Scan", "Relation Name": "t", "Actual Rows": 2, "Actual Loops": 1,
    ...     "Rows Removed by Filter": 998, "Shared Hit Blocks": 40}
    >>> (found := named(top)).kind, found.node, found.blocks, found.vain
    ('read in vain', 'Seq Scan on t', 40, 998)
    """
    nodes = list(_executed(plan))
    own_blocks, own_temp = _own(touched, plan), _own(_temp, plan)
    spilling = max(nodes, key=own_temp)
    if own_temp(spilling) > sum(map(own_blocks, nodes)):
        return _of("spill", [spilling], plan)
    heaviest = max(_alike(nodes), key=lambda group: sum(map(own_blocks, group)))
    rows, vain, loops = _rows(heaviest), _vain(heaviest), max(int(one["Actual Loops"]) for one in heaviest)
    if vain > _VAIN * max(rows, 1):
        return _of("read in vain", heaviest, plan)
    if loops >= _LOOPS:
        return _of("row by row", heaviest, plan)
    return _of("many partitions" if len(heaviest) >= _PARTS else "blocks", heaviest, plan)


def _of(kind: str, group: list[Mapping[str, Any]], plan: Mapping[str, Any]) -> Bottleneck:
    own_blocks = _own(touched, plan)
    return Bottleneck(
        kind=kind,
        node=words(group[0]),
        blocks=sum(map(own_blocks, group)),
        all_blocks=sum(map(own_blocks, _executed(plan))),
        rows=_rows(group),
        vain=_vain(group),
        loops=max(int(one["Actual Loops"]) for one in group),
        parts=len(group),
        temp_blocks=sum(map(_own(_written, plan), group)),
    )


def _executed(node: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    if node.get("Actual Loops", 0) > 0:
        yield node
        for child in node.get("Plans", ()):
            yield from _executed(child)


def _alike(nodes: list[Mapping[str, Any]]) -> list[list[Mapping[str, Any]]]:
    """Children of one Append that are of one type are one group; all others are alone."""
    groups: list[list[Mapping[str, Any]]] = []
    taken: set[int] = set()
    for node in nodes:
        if node["Node Type"] in ("Append", "Merge Append"):
            kinds: dict[str, list[Mapping[str, Any]]] = {}
            for child in node.get("Plans", ()):
                if child.get("Actual Loops", 0) > 0 and "Relation Name" in child:
                    kinds.setdefault(child["Node Type"], []).append(child)
                    taken.add(id(child))
            groups += kinds.values()
    return groups + [[node] for node in nodes if id(node) not in taken]


def _rows(group: list[Mapping[str, Any]]) -> int:
    return round(sum(float(one["Actual Rows"]) * float(one["Actual Loops"]) for one in group))


def _vain(group: list[Mapping[str, Any]]) -> int:
    keys = ("Rows Removed by Filter", "Rows Removed by Index Recheck", "Rows Removed by Join Filter")
    return round(sum(float(one.get(key, 0)) * float(one["Actual Loops"]) for one in group for key in keys))


def touched(node: Mapping[str, Any]) -> int:
    """The blocks that a node and all below it touch, found in the cache or not."""
    return sum(int(node.get(f"{kind} {how} Blocks", 0)) for kind in ("Shared", "Local") for how in ("Hit", "Read"))


def _written(node: Mapping[str, Any]) -> int:
    return int(node.get("Temp Written Blocks", 0))


def _temp(node: Mapping[str, Any]) -> int:
    """The work of temporary files: what is written, and what is read of it."""
    return _written(node) + int(node.get("Temp Read Blocks", 0))


def _own(counted: Callable[[Mapping[str, Any]], int], plan: Mapping[str, Any]) -> Callable[[Mapping[str, Any]], int]:
    """What each node of *plan* has itself.

    A node counts what is below it too. A CTE and an InitPlan stand below the node of their query's top and are
    executed by whoever asks for their rows first, which counts them again, as does all above it.
    """
    nodes = list(_executed(plan))
    own = {id(node): counted(node) - sum(counted(one) for one in _below(node) if not _aside(one)) for node in nodes}
    for owner in reversed(nodes):  # a name that is given again further down is that one's there
        for one in filter(_aside, _below(owner)):
            left = counted(one)
            for reader in sorted(_readers(one, owner), key=lambda node: -own[id(node)]):
                taken = max(0, min(left, own[id(reader)]))
                own[id(reader)] -= taken
                left -= taken
    return lambda node: own[id(node)]


def _below(node: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [child for child in node.get("Plans", ()) if child.get("Actual Loops", 0) > 0]


def _aside(node: Mapping[str, Any]) -> bool:
    """Whether a node is a CTE or an InitPlan: not read by the node that it stands below."""
    return bool(node.get("Parent Relationship") == "InitPlan")


def _readers(aside: Mapping[str, Any], owner: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The nodes of *owner* and below that ask for the rows of *aside*; *owner* where no node says that it does.

    A CTE that nobody reads is executed after all else, and counted by none: no node.
    """
    name = str(aside["Subplan Name"])
    nodes = list(_executed(owner))
    if name.startswith("CTE "):
        return [one for one in nodes if one["Node Type"] == "CTE Scan" and one["CTE Name"] == name[len("CTE ") :]]
    returned = re.search(r"\(returns (.*)\)", name)  # before PostgreSQL 17: InitPlan 1 (returns $0)
    marks = "|".join(map(re.escape, returned[1].split(",") if returned else [name]))
    return [one for one in nodes if _mentions(one, marks)] or [owner]


def _mentions(node: Mapping[str, Any], marks: str) -> bool:
    own = {key: value for key, value in node.items() if key not in ("Plans", "Subplan Name")}
    return re.search(rf"(?:{marks})(?!\w)", str(own)) is not None
