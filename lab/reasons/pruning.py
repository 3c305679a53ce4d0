"""Partitions: how many a call scans, of how many."""

from collections.abc import Iterator, Sequence

from lab.model import Prepared, Query
from lab.reasons import MANUAL, Reason, last, metric, named

NAME = "pruning"
_PAGE = f"{MANUAL}ddl-partitioning.html"


def explain(own: Prepared, base: Prepared, queries: Sequence[Query]) -> Iterator[Reason]:
    """A query that scans another number of relations than the baseline's does."""
    for query in queries:
        name = f"query.{query.name}.partitions_per_call"
        mine, theirs = last(own, name), last(base, name)
        if mine is None or theirs is None or mine == theirs:
            continue
        more = " relations per call: nothing in it lets the planner leave partitions out; "
        some = " relations per call, what pruning leaves; "
        pieces = (named(own), " scans ", metric(own, name), more if mine > theirs and mine > _FEW else some)
        yield Reason(
            NAME, own.instance.candidate, query.name, (*pieces, named(base), " scans ", metric(base, name), "."), _PAGE
        )


_FEW = 10  # more relations than these in one call are no pruning worth the name
