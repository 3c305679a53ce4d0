"""Estimates: rows that the planner expected, and rows that came."""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from lab.explain import tops, words
from lab.model import Query
from lab.reasons import MANUAL, Reason, Side, entries, explained, named, own_fact

NAME = "estimates"
_PAGE = f"{MANUAL}planner-stats.html"
_FACTOR = 10.0
_FEW = 100.0  # rows; fewer are planned the same way whatever the estimate
_NOT_COUNTED = ("BitmapAnd", "BitmapOr", "Bitmap Index Scan")  # EXPLAIN shows none, or whole pages, for them
_READS_ALL = ("Sort", "Hash", "Materialize", "ModifyTable")


def explain(own: Side, base: Side, queries: Sequence[Query]) -> Iterator[Reason]:
    """A query of whose plan a node is misestimated by more than ten times, on one side alone."""
    for query in explained(own, base, queries):
        mine, theirs = _worst(own, query), _worst(base, query)
        if (mine is None) == (theirs is None):
            continue
        one, other, worst = (own, base, mine) if mine else (base, own, theirs)
        assert worst is not None
        cite = partial(own_fact, NAME, own, query)
        pieces = (
            named(one),
            "'s plan rests on a wrong estimate: ",
            cite("planned", "number"),
            " rows expected of ",
            cite("node", "name"),
            ", ",
            cite("actual", "number"),
            " came; no node of ",
            named(other),
            "'s is that far off.",
        )
        yield Reason(NAME, own.instance.candidate, query, pieces, _PAGE, worst)


def _worst(one: Side, query: str) -> dict[str, Any] | None:
    """The node that is off by the largest factor, None where none is off by more than ten times."""
    off = [node for entry in entries(one, query) for top in tops(entry) for node in _misses(top["Plan"], whole=True)]
    worst = max(off, key=_factor, default=None)
    if worst is None:
        return None
    return {"node": words(worst), "planned": worst["Plan Rows"], "actual": worst["Actual Rows"]}


def _misses(node: Mapping[str, Any], *, whole: bool) -> list[Mapping[str, Any]]:
    """The lowest nodes of which clearly more rows came than planned, or fewer though all were read.

    What is wrong below is wrong above too, so that the lowest is where it began. *whole*: what is
    above reads this node to its end. A Limit, the other side of a join and the like may stop early,
    and rows that were not asked for say nothing of the estimate.
    """
    if node.get("Actual Loops", 0) == 0:
        return []
    children = node.get("Plans", ())
    below = [miss for child in children for miss in _misses(child, whole=_read_out(node, child, whole=whole))]
    planned, actual = node.get("Plan Rows", 0), node.get("Actual Rows", 0)
    known = "Plan Rows" in node and node["Node Type"] not in _NOT_COUNTED
    off = known and _factor(node) > _FACTOR and (actual >= _FEW or (whole and planned >= _FEW))
    return below or ([node] if off else [])


def _read_out(node: Mapping[str, Any], child: Mapping[str, Any], *, whole: bool) -> bool:
    """Does *node*, which is itself read out or not, read *child* to its end?"""
    kind = node["Node Type"]
    if kind == "Limit" or child.get("Parent Relationship") in ("SubPlan", "InitPlan"):
        return False
    if kind in _READS_ALL or (kind == "Aggregate" and node.get("Strategy") in ("Plain", "Hashed")):
        return True
    if kind in ("Nested Loop", "Merge Join"):
        return whole and kind == "Nested Loop" and child.get("Parent Relationship") == "Outer"
    return whole


def _factor(node: Mapping[str, Any]) -> float:
    """By how much an estimate is off, either way; EXPLAIN's rows are per loop, and at least one is planned."""
    planned, actual = max(1.0, float(node["Plan Rows"])), max(1.0, float(node.get("Actual Rows", 0)))
    return max(planned / actual, actual / planned)
