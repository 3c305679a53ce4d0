"""Index-only scans: answers from an index, and from the table for rows that no vacuum has seen."""

from collections.abc import Iterator, Sequence

from lab.model import Prepared, Query
from lab.reasons import MANUAL, Reason, named, nodes, own_fact, whole

NAME = "index_only"
_PAGE = f"{MANUAL}indexes-index-only-scans.html"


def explain(own: Prepared, base: Prepared, queries: Sequence[Query]) -> Iterator[Reason]:
    """A query of which exactly one side is answered from an index alone."""
    for query in queries:
        if not whole(own, query.name) or not whole(base, query.name):
            continue
        mine, theirs = _used(own, query.name), _used(base, query.name)
        if mine == theirs:
            continue
        one, other = (own, base) if mine else (base, own)
        pieces = (
            named(one),
            " reads this from an index alone, but for rows that no vacuum has marked as visible to all ",
            "(EXPLAIN's heap fetches): ",
            own_fact(NAME, own, query.name, "fetches", "number"),
            " per call while counting, just after a vacuum; fresh rows add to them; ",
            named(other),
            " visits the table for all.",
        )
        yield Reason(NAME, own.instance.candidate, query.name, pieces, _PAGE, {"fetches": _fetches(one, query.name)})


def _fetches(one: Prepared, query: str) -> float:
    """EXPLAIN's heap fetches per call, the mean over what was recorded."""
    entries = one.explains[query]
    fetched = (node.get("Heap Fetches", 0) * node["Actual Loops"] for entry in entries for node in nodes(entry))
    return float(sum(fetched)) / len(entries)


def _used(one: Prepared, query: str) -> bool:
    return any(node["Node Type"] == "Index Only Scan" for entry in one.explains[query] for node in nodes(entry))
