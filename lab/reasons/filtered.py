"""Rows read for nothing: fetched, looked at and thrown away."""

from collections.abc import Iterator, Sequence

from lab.explain import executed
from lab.model import Query
from lab.reasons import MANUAL, Reason, Side, differ, named, own_fact, whole

NAME = "filtered"
_PAGE = f"{MANUAL}using-explain.html"
_REMOVED = ("Rows Removed by Filter", "Rows Removed by Index Recheck", "Rows Removed by Join Filter")
_LEAST = 0.05
_FEW_ROWS = 100.0  # fewer rows in a call are thrown away in no time


def explain(own: Side, base: Side, queries: Sequence[Query]) -> Iterator[Reason]:
    """A query for which one side throws away clearly more rows than the other, in the recorded EXPLAINs."""
    for query in queries:
        if not whole(own, query.name) or not whole(base, query.name):
            continue
        mine, theirs = _removed(own, query.name), _removed(base, query.name)
        if not differ(mine, theirs, by=_LEAST) or max(mine, theirs) < _FEW_ROWS:
            continue
        pieces = (
            named(own),
            " reads and throws away ",
            own_fact(NAME, own, query.name, "own", "number"),
            " rows per call, in the calls that were looked at; ",
            named(base),
            " throws away ",
            own_fact(NAME, own, query.name, "base", "number"),
            ".",
        )
        yield Reason(NAME, own.instance.candidate, query.name, pieces, _PAGE, {"own": mine, "base": theirs})


def _removed(one: Side, query: str) -> float:
    """Rows removed per call, the mean over the recorded EXPLAINs; EXPLAIN counts them per loop."""
    entries = one.explains[query]
    removed = (
        node.get(key, 0) * node["Actual Loops"] for entry in entries for node in executed(entry) for key in _REMOVED
    )
    return float(sum(removed)) / len(entries)
