"""Spills: sorts and hashes that do not fit into work_mem and go through temporary files."""

from collections.abc import Iterator, Sequence

from lab.model import Query
from lab.reasons import MANUAL, Reason, Side, apart, metric, named

NAME = "spill"
_PAGE = f"{MANUAL}runtime-config-resource.html"
_LEAST = 0.05


def explain(own: Side, base: Side, queries: Sequence[Query]) -> Iterator[Reason]:
    """A query that moves clearly more or fewer bytes through temporary files."""
    for query in queries:
        name = f"query.{query.name}.temp_bytes_per_call"
        if not apart(own, base, name, by=_LEAST):
            continue
        pieces = (
            named(own),
            " moves ",
            metric(own, name),
            " per call through temporary files; ",
            named(base),
            " moves ",
            metric(base, name),
            ".",
        )
        yield Reason(NAME, own.instance.candidate, query.name, pieces, _PAGE)
