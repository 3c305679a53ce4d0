"""Blocks: how many a call touches, and how much of the mix's difference that is."""

from collections.abc import Iterator, Sequence

from lab.model import Query
from lab.reasons import MANUAL, Reason, Side, apart, counted, metric, named, own_fact

NAME = "blocks"
_PAGE = f"{MANUAL}using-explain.html"
_LEAST = 0.05


def explain(own: Side, base: Side, queries: Sequence[Query]) -> Iterator[Reason]:
    """A query that touches other numbers of blocks, and that matters: its part of all by which the mix differs."""
    gaps = {query.name: query.weight * _gap(own, base, query.name) for query in queries}
    whole = sum(abs(gap) for gap in gaps.values())
    for query in queries:
        name = f"query.{query.name}.blocks_per_call"
        if not apart(own, base, name, by=_LEAST):
            continue
        if abs(gaps[query.name]) < _LEAST * whole:
            continue
        way = " fewer blocks than " if gaps[query.name] < 0 else " more blocks than "
        yield Reason(
            NAME,
            own.instance.candidate,
            query.name,
            (
                named(own),
                " touches",
                way,
                named(base),
                ": ",
                metric(own, name),
                " per call against ",
                metric(base, name),
                "; weighted by the mix that is ",
                own_fact(NAME, own, query.name, "part", "percent"),
                " of all blocks by which the mix differs.",
            ),
            _PAGE,
            {"part": abs(gaps[query.name]) / whole},
        )


def _gap(own: Side, base: Side, query: str) -> float:
    """By how much the blocks differ; 0 where the passes do not agree that they do."""
    name = f"query.{query}.blocks_per_call"
    return (counted(own, name) or 0.0) - (counted(base, name) or 0.0) if apart(own, base, name) else 0.0
