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
        pieces = (
            named(own),
            " scans ",
            metric(own, name),
            " relations per call, ",
            named(base),
            " ",
            metric(base, name),
        )
        yield Reason(NAME, own.instance.candidate, query.name, (*pieces, "."), _PAGE)
