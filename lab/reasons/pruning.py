"""Partitions: how many a call scans, of how many, and when the others are left out."""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from lab.explain import executed, tops
from lab.model import Query
from lab.reasons import MANUAL, Cite, Reason, Side, apart, counted, entries, mean, metric, named, own_fact, whole

NAME = "pruning"
_PAGE = f"{MANUAL}ddl-partitioning.html"
_WHEN = {
    "plan": "left out by the planner",
    "start": "left out when execution starts",
    "run": "never executed: left out while it runs, or not reached",
}


def explain(own: Side, base: Side, queries: Sequence[Query]) -> Iterator[Reason]:
    """A query that scans another number of relations than the baseline's does, or leaves partitions out.

    Silent where neither side has partitions: how many tables a join reads is seen in its text.
    """
    if not any(one.report.get("trees", True) for one in (own, base)):  # unknown in older runs
        return
    for query in queries:
        name = f"query.{query.name}.partitions_per_call"
        mine, theirs = counted(own, name), counted(base, name)
        left = {"own": _left_out(own, query.name), "base": _left_out(base, query.name)}
        if mine is None or theirs is None or not (apart(own, base, name) or left["own"] != left["base"]):
            continue
        cite = partial(own_fact, NAME, own, query.name)
        facts = {f"{side}_{key}": value for side, found in left.items() for key, value in found.items()}
        told = {side: _words(side, found, cite) for side, found in left.items()}
        yield Reason(
            NAME,
            own.instance.candidate,
            query.name,
            (
                "relations scanned per call: ",
                named(own),
                " ",
                metric(own, name),
                *told["own"],
                ", ",
                named(base),
                " ",
                metric(base, name),
                *told["base"],
                ".",
            ),
            _PAGE,
            {key: value for key, value in facts.items() if value},
        )


def _words(side: str, found: Mapping[str, float], cite: Any) -> tuple[str | Cite, ...]:
    """Of how many partitions, and who leaves out how many of them."""
    if not found:
        return ()
    pieces: list[str | Cite] = [" (of ", cite(f"{side}_all", "number"), " partitions"]
    for when, words in _WHEN.items():
        if found[when]:
            pieces += [", ", cite(f"{side}_{when}", "number"), f" {words}"]
    if not any(found[when] for when in _WHEN):
        pieces.append(", none left out")
    return (*pieces, ")")


def _left_out(one: Side, query: str) -> dict[str, float]:
    """`all`, and by when they are left out `plan`, `start`, `run`: partitions per call, means over the EXPLAINs.

    {} where the query asks no partitioned table, or some of it is not to be seen.
    """
    if not whole(one, query) or not one.report.get("trees"):
        return {}
    found = [_of(entry, one.report["trees"]) for entry in entries(one, query)]
    if not all(found):
        return {}
    return {key: mean([each[key] for each in found]) for key in ("all", *_WHEN)}


def _of(entry: Mapping[str, Any], trees: Mapping[str, Sequence[str]]) -> dict[str, float]:
    """The same of one EXPLAIN; {} where it cannot be told from it."""
    scanned = {node["Relation Name"] for node in executed(entry) if "Relation Name" in node}
    nodes = [node for top in tops(entry) for node in _nodes(top["Plan"])]
    there = {node["Relation Name"] for node in nodes if "Relation Name" in node}
    leaves = {leaf for tree in trees.values() if there & set(tree) for leaf in tree}
    start = sum(node.get("Subplans Removed", 0) for node in nodes)
    plan = len(leaves) - len(there & leaves) - start
    alike = sum(map(len, trees.values())) - len({leaf for tree in trees.values() for leaf in tree})
    twice = any(_twice(entry, tree) for tree in trees.values())
    if not leaves or plan < 0 or alike or twice:  # or of one name in two schemas: not to be told apart
        return {}
    return {"all": len(leaves), "plan": plan, "start": start, "run": len((there - scanned) & leaves)}


def _twice(entry: Mapping[str, Any], tree: Sequence[str]) -> bool:
    """Is a partition tree asked in two places? Then a leaf has two scans, or not all scans have one Append."""
    scans = [
        (node["Relation Name"], place)
        for top in tops(entry)
        for node, place in _placed(top["Plan"], None)
        if node.get("Relation Name") in tree and node["Node Type"] != "ModifyTable"
    ]
    alone = [leaf for leaf, place in scans if place is None]
    places = {place for _, place in scans if place is not None}
    return len({leaf for leaf, _ in scans}) < len(scans) or len(alone) + len(places) > 1


def _placed(node: Mapping[str, Any], place: int | None) -> Iterator[tuple[Mapping[str, Any], int | None]]:
    """All nodes, each with the identity of the nearest Append above it, None without one."""
    yield node, place
    below = id(node) if node["Node Type"] in ("Append", "Merge Append") else place
    for child in node.get("Plans", ()):
        yield from _placed(child, below)


def _nodes(node: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield node
    for child in node.get("Plans", ()):
        yield from _nodes(child)
