"""Indexes: the bytes that are kept, cached and written besides the rows."""

from collections.abc import Iterator, Sequence

from lab.model import Query
from lab.reasons import MANUAL, Reason, Side, apart, counted, metric, named

NAME = "indexes"
_PAGE = f"{MANUAL}indexes-types.html"
_LEAST = 0.05


def explain(own: Side, base: Side, queries: Sequence[Query]) -> Iterator[Reason]:  # noqa: ARG001
    """Indexes of clearly another size: every row that arrives is written there too."""
    size, wal = "size.index_bytes", "wal.record_bytes_per_row"
    known = [counted(one, name) for one in (own, base) for name in (size, wal)]
    if None in known or not apart(own, base, size, by=_LEAST):
        return
    pieces = (
        named(own),
        " has ",
        metric(own, size),
        " of indexes and writes ",
        metric(own, wal),
        " to the write-ahead log while loading; ",
        named(base),
        " has ",
        metric(base, size),
        " and writes ",
        metric(base, wal),
        ".",
    )
    yield Reason(NAME, own.instance.candidate, "", pieces, _PAGE)
