"""Locks: how many a call takes, and how many miss the backend's own fast path."""

from collections.abc import Iterator, Sequence

from lab.model import Query
from lab.reasons import MANUAL, Reason, Side, apart, counted, metric, named

NAME = "locks"
_PAGE = f"{MANUAL}view-pg-locks.html"


def explain(own: Side, base: Side, queries: Sequence[Query]) -> Iterator[Reason]:
    """A query that misses the fast path more or less often than the baseline's: shared tables, contended."""
    for query in queries:
        locks, misses = (f"query.{query.name}.{what}_per_call" for what in ("locks", "fast_path_misses"))
        if not apart(own, base, misses) or counted(own, locks) is None or counted(base, locks) is None:
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
