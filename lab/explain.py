"""EXPLAIN's JSON as a few lines for a reader: what was done, to how many rows, in how many blocks."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

Node = Mapping[str, Any]


_REMOTE = re.compile(r'("Remote Plan": )\[\n(?! *[\[{])(.*?)\n\n? *\]\n', re.DOTALL)


def read(text: str) -> dict[str, Any]:
    """EXPLAIN (FORMAT JSON) as the server wrote it.

    Citus puts a worker's plan into it as text where the statement is prepared, which is no JSON:
    such a plan becomes one string.

    >>> read('[{"Plan": {"Remote Plan": [\\n  Index Scan on "a"\\n\\n  ]\\n}}]')
    {'Plan': {'Remote Plan': ['  Index Scan on "a"']}}
    """
    mended = _REMOTE.sub(lambda found: f"{found[1]}[{json.dumps(found[2].rstrip())}]\n", text)
    plan: dict[str, Any] = json.loads(mended)[0]
    return plan


def elsewhere(node: Node) -> bool:
    """Does another server do part of what this node says, so that EXPLAIN here does not see it?

    >>> elsewhere({"Node Type": "Append", "Plans": [{"Node Type": "Foreign Scan"}]})
    True
    """
    foreign = node["Node Type"] == "Foreign Scan" or "Remote SQL" in node
    spread = str(node.get("Custom Plan Provider", "")).startswith("Citus")
    return foreign or spread or any(map(elsewhere, node.get("Plans", ())))


def tops(entry: Mapping[str, Any]) -> list[Node]:
    """The plans of one recorded EXPLAIN: one for each statement."""
    return entry["plan"] if isinstance(entry["plan"], list) else [entry["plan"]]


def executed(entry: Mapping[str, Any]) -> Iterator[Node]:
    """The executed nodes of all plans of one recorded EXPLAIN, from the top."""
    for top in tops(entry):
        yield from _below(top["Plan"])


def _below(node: Node) -> Iterator[Node]:
    if node.get("Actual Loops", 0) > 0:
        yield node
        for child in node.get("Plans", ()):
            yield from _below(child)


def redrawn(entries: Sequence[Mapping[str, Any]]) -> dict[str, str] | None:
    """Where two plans part that one query was given for the same parameters: `first` and `other`, each a node in words.

    None where none do. The first plan of each parameters is the one that others are held against.
    """
    for n, entry in enumerate(entries):
        first = next(one for one in entries[: n + 1] if one["params"] == entry["params"])
        if found := parting(first, entry):
            return found
    return None


def parting(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, str] | None:
    """Where two recorded plans part: the executed node of each, in words; None where they do the same."""
    mine, theirs = (list(map(words, executed(entry))) for entry in (one, other))
    for first, second in zip([*mine, "nothing more"], [*theirs, "nothing more"], strict=False):
        if first != second:
            return {"first": first, "other": second}
    return None


def lines(entry: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The plan tree of one recorded EXPLAIN (`{params, plan}`), from the top.

    Each line has `indent` (spaces), `node` (words), `rows` (per call), `blocks` (with all below),
    `alike` (how many siblings of the same shape it stands for) and `idle` (partitions below it
    that were left out or never executed). Children of an Append that look alike are one line.
    """
    return [line for top in tops(entry) for line in _lines([top["Plan"]], 0)]


def _lines(alike: Sequence[Node], depth: int) -> Iterator[dict[str, Any]]:
    """The lines of *alike*, siblings of one shape: their sums, and the first one's tree below."""
    first = alike[0]
    children = [child for child in first.get("Plans", ()) if child.get("Actual Loops", 0) > 0]
    yield {
        "indent": "  " * depth,
        "node": words(first),
        "rows": float(sum(node.get("Actual Rows", 0) * node.get("Actual Loops", 1) for node in alike)),
        "blocks": sum(_blocks(node) for node in alike),
        "alike": len(alike),
        "idle": first.get("Subplans Removed", 0) + len(first.get("Plans", ())) - len(children),
    }
    for _, same in groupby(children, key=_shape):
        group = list(same)
        if first["Node Type"] in ("Append", "Merge Append"):
            yield from _lines(group, depth + 1)
        else:
            for child in group:
                yield from _lines([child], depth + 1)


def words(node: Node) -> str:
    """A node as EXPLAIN's text format names it.

    >>> words({"Node Type": "Index Scan", "Index Name": "i", "Relation Name": "t"})
    'Index Scan using i on t'
    >>> words({"Node Type": "Custom Scan", "Custom Plan Provider": "Citus Adaptive"})
    'Custom Scan (Citus Adaptive), done by another server'
    """
    words = str(node["Node Type"])
    if "Custom Plan Provider" in node:
        words += f" ({node['Custom Plan Provider']})"
    if node.get("Partial Mode", "Simple") != "Simple":
        words = f"{node['Partial Mode']} {words}"
    if "Index Name" in node:
        words += f" using {node['Index Name']}"
    if "Relation Name" in node:
        words += f" on {node['Relation Name']}"
    return f"{words}, done by another server" if elsewhere({**node, "Plans": ()}) else words


def _shape(node: Node) -> tuple[Any, ...]:
    """What a node and all below it do, whatever they do it to."""
    return (node["Node Type"], *(_shape(child) for child in node.get("Plans", ())))


def _blocks(node: Node) -> int:
    return sum(int(node.get(f"{kind} {how} Blocks", 0)) for kind in ("Shared", "Local") for how in ("Hit", "Read"))
