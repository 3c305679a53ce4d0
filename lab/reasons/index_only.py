"""Index-only scans: answers from an index, and from the table for rows that no vacuum has seen."""

from collections.abc import Iterator, Sequence
from functools import partial

from lab.explain import executed
from lab.model import Query
from lab.reasons import MANUAL, Cite, Reason, Side, differ, entries, explained, mean, named, own_fact

NAME = "index_only"
_PAGE = f"{MANUAL}indexes-index-only-scans.html"
_SCAN = "Index Only Scan"
_LEAST = 0.05
_FEW = 10.0  # heap fetches per call that explain nothing


def explain(own: Side, base: Side, queries: Sequence[Query]) -> Iterator[Reason]:
    """A query that just one side answers from an index alone, or that looks into the table more on one."""
    for query in explained(own, base, queries):
        mine, theirs = _used(own, query), _used(base, query)
        fetches = {"own": _fetches(own, query), "base": _fetches(base, query)}
        cite = partial(own_fact, NAME, own, query)
        if mine != theirs:
            one, other = (own, base) if mine else (base, own)
            pieces = _alone(one, other, query, cite("fetches", "number"))
            facts = {"fetches": fetches["own"] if mine else fetches["base"]}
        elif mine and differ(*fetches.values(), by=_LEAST) and max(fetches.values()) >= _FEW:
            pieces = _both(own, base, cite("own", "number"), cite("base", "number"))
            facts = fetches
        else:
            continue
        yield Reason(NAME, own.instance.candidate, query, pieces, _PAGE, facts)


def _alone(one: Side, other: Side, query: str, fetches: Cite) -> tuple[str | Cite, ...]:
    scans = [node for entry in entries(one, query) for node in executed(entry) if "Relation Name" in node]
    what = "this" if all(node["Node Type"] == _SCAN for node in scans) else "a part of this"
    return (
        named(one),
        f" reads {what} from an index alone, but for rows that no vacuum has marked as visible to all ",
        "(EXPLAIN's heap fetches): ",
        fetches,
        " per call while counting, just after a vacuum; fresh rows add to them; ",
        named(other),
        " has no such scan.",
    )


def _both(own: Side, base: Side, mine: Cite, theirs: Cite) -> tuple[str | Cite, ...]:
    words = "both read this from an index alone, but for rows that no vacuum has marked as visible to all: "
    return (words, named(own), " looks up ", mine, " of them in the table per call, ", named(base), " ", theirs, ".")


def _fetches(one: Side, query: str) -> float:
    """EXPLAIN's heap fetches per call, the mean over what was recorded.

    EXPLAIN prints the total over all loops of a node, unlike rows, which it prints per loop.
    """
    return mean([sum(node.get("Heap Fetches", 0) for node in executed(entry)) for entry in entries(one, query)])


def _used(one: Side, query: str) -> bool:
    return any(node["Node Type"] == _SCAN for entry in entries(one, query) for node in executed(entry))
