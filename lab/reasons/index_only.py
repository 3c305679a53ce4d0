"""Index-only scans: answers that need not visit the table."""

from collections.abc import Iterator, Sequence

from lab.model import Prepared, Query
from lab.reasons import MANUAL, Reason, named, nodes

NAME = "index_only"
_PAGE = f"{MANUAL}indexes-index-only-scans.html"


def explain(own: Prepared, base: Prepared, queries: Sequence[Query]) -> Iterator[Reason]:
    """A query of which exactly one side is answered from an index alone."""
    for query in queries:
        if query.name not in own.explains or query.name not in base.explains:
            continue
        mine, theirs = _used(own, query.name), _used(base, query.name)
        if mine == theirs:
            continue
        one, other = (own, base) if mine else (base, own)
        words = " reads this from an index alone and need not visit the table; "
        pieces = (named(one), words, named(other), " visits the table.")
        yield Reason(NAME, own.instance.candidate, query.name, pieces, _PAGE)


def _used(one: Prepared, query: str) -> bool:
    return any(node["Node Type"] == "Index Only Scan" for entry in one.explains[query] for node in nodes(entry))
