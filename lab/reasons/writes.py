"""Writes: the write-ahead log of a call, rows and index entries together."""

from collections.abc import Iterator, Sequence

from lab.model import Query
from lab.reasons import MANUAL, Reason, Side, apart, metric, named

NAME = "writes"
_PAGE = f"{MANUAL}wal-intro.html"
_LEAST = 0.05


def explain(own: Side, base: Side, queries: Sequence[Query]) -> Iterator[Reason]:
    """A query that writes clearly more or less of the write-ahead log."""
    for query in queries:
        name = f"query.{query.name}.wal_bytes_per_call"
        if not apart(own, base, name, by=_LEAST):
            continue
        pieces = (
            named(own),
            " writes ",
            metric(own, name),
            " of the write-ahead log per call, ",
            named(base),
            " ",
            metric(base, name),
            ".",
        )
        yield Reason(NAME, own.instance.candidate, query.name, pieces, _PAGE)
