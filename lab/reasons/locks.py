"""Locks: how many a call takes, and how many miss the backend's own fast path."""

from collections.abc import Iterator, Sequence

from lab.model import Query
from lab.reasons import MANUAL, Reason, Side, last, metric, named

NAME = "locks"
_PAGE = f"{MANUAL}view-pg-locks.html"


def explain(own: Side, base: Side, queries: Sequence[Query]) -> Iterator[Reason]:
    """A query that misses the fast path more or less often than the baseline's: shared tables, contended."""
    for query in queries:
        locks, misses = (f"query.{query.name}.{what}_per_call" for what in ("locks", "fast_path_misses"))
        mine, theirs = last(own, misses), last(base, misses)
        if mine is None or theirs is None or mine == theirs or last(own, locks) is None or last(base, locks) is None:
            continue
        yield Reason(
            NAME,
            own.instance.candidate,
            query.name,
            (
                named(own),
                " takes ",
                metric(own, locks),
                " relation locks per call, ",
                metric(own, misses),
                " of them in the shared lock table, where sessions contend; ",
                named(base),
                " takes ",
                metric(base, locks),
                " and ",
                metric(base, misses),
                ".",
            ),
            _PAGE,
        )
