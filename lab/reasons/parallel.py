"""Parallel plans: processes that work on one query besides the session's own."""

from collections.abc import Iterator, Sequence
from functools import partial

from lab.explain import executed
from lab.model import Query
from lab.reasons import MANUAL, Reason, Side, entries, explained, mean, named, own_fact

NAME = "parallel"
_PAGE = f"{MANUAL}how-parallel-query-works.html"


def explain(own: Side, base: Side, queries: Sequence[Query]) -> Iterator[Reason]:
    """A query that more or fewer workers took part in than in the baseline's, or were meant to."""
    for query in explained(own, base, queries):
        found = {
            f"{side}_{what.lower()}": _workers(one, query, what)
            for side, one in (("own", own), ("base", base))
            for what in ("Planned", "Launched")
        }
        if (found["own_planned"], found["own_launched"]) == (found["base_planned"], found["base_launched"]):
            continue
        cite = partial(own_fact, NAME, own, query)
        pieces = (
            named(own),
            " is answered with ",
            cite("own_launched", "number"),
            " parallel workers per call (",
            cite("own_planned", "number"),
            " planned), ",
            named(base),
            " with ",
            cite("base_launched", "number"),
            " (",
            cite("base_planned", "number"),
            " planned); each is a process that is started for the call.",
        )
        yield Reason(NAME, own.instance.candidate, query, pieces, _PAGE, found)


def _workers(one: Side, query: str, what: str) -> float:
    """Workers per call, the mean over the recorded EXPLAINs."""
    counts = (sum(node.get(f"Workers {what}", 0) for node in executed(entry)) for entry in entries(one, query))
    return mean(list(counts))
