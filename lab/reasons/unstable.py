"""Unstable plans: one query, one schema, the same rows, and another plan when ANALYZE draws another sample of them."""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

from lab import commands
from lab.explain import parting, redrawn
from lab.model import Prepared, Query
from lab.reasons import MANUAL, Cite, Reason, Side, differ, named, own_fact

NAME = "unstable"
_PAGE = f"{MANUAL}planner-stats.html"
_LEAST = 0.05


def explain(own: Side, base: Side, queries: Sequence[Query]) -> Iterator[Reason]:
    """A query that one load of a side, or its loads, answer by different plans for the same parameters."""
    for query in queries:
        for one in (own, base):
            cite = partial(own_fact, NAME, own, query.name)
            if found := _drawn(one, query):
                pieces = _of_drawings(one, found, cite)
            elif found := _differing(one.loads, query.name):
                pieces = (
                    "the loads of ",
                    named(one),
                    " do not agree on the plan: one has ",
                    cite("first", "name"),
                    " where another has ",
                    cite("other", "name"),
                    "; what is said of its time is of the plans that these loads happened to get.",
                )
            else:
                continue
            yield Reason(NAME, own.instance.candidate, query.name, pieces, _PAGE, found)
            break


def _of_drawings(one: Side, found: dict[str, Any], cite: Any) -> tuple[str | Cite, ...]:
    plans: tuple[str | Cite, ...] = ()
    if "first" in found:
        plans = (", with ", cite("first", "name"), " or ", cite("other", "name"))
    return (
        "the plan of ",
        named(one),
        " hangs on the rows that ANALYZE happens to draw: ",
        cite("drawings", "number"),
        " drawings gave from ",
        cite("low", "number"),
        " to ",
        cite("high", "number"),
        " blocks per call",
        *plans,
        "; what else is said of it is of such a plan.",
    )


def _drawn(one: Side, query: Query) -> dict[str, Any] | None:
    """What ANALYZE's drawings make of a query of one load: `low`, `high`, `drawings`, and where recorded plans part.

    Blocks alone speak only of what reads: by one plan a row that is written finds room here or there, and its key
    another page of an index.
    """
    blocks = one.prepared.metrics.get(f"query.{query.name}.blocks_per_call", ())
    parted = redrawn(one.explains.get(query.name) or ())
    moved = bool(blocks) and commands.only_reads(query) and differ(min(blocks), max(blocks), by=_LEAST)
    if not blocks or not (parted or moved):
        return None
    return {"low": min(blocks), "high": max(blocks), "drawings": len(blocks), **(parted or {})}


def _differing(loads: Sequence[Prepared], query: str) -> dict[str, str] | None:
    """The first nodes in which another load differs from the first, None where none does."""
    known = [one.explains[query] for one in loads if one.explains.get(query)]
    for other in known[1:]:
        for mine, theirs in zip(known[0], other, strict=False):
            if mine["params"] == theirs["params"] and (found := parting(mine, theirs)):
                return found
    return None
