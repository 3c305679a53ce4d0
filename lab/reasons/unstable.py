"""Unstable plans: one query, one schema, the same rows, and another plan after another load."""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from lab.explain import executed, words
from lab.model import Prepared, Query
from lab.reasons import MANUAL, Reason, Side, named, own_fact

NAME = "unstable"
_PAGE = f"{MANUAL}planner-stats.html"


def explain(own: Side, base: Side, queries: Sequence[Query]) -> Iterator[Reason]:
    """A query that loads of the candidate, or of the baseline, answer by different plans for the same parameters."""
    for query in queries:
        for one in (own, base):
            found = _differing(one.loads, query.name)
            if found is None:
                continue
            cite = partial(own_fact, NAME, own, query.name)
            pieces = (
                "the loads of ",
                named(one),
                " do not agree on the plan: one has ",
                cite("first", "name"),
                " where another has ",
                cite("other", "name"),
                "; what is said of its time is of the plans that these loads happened to get.",
            )
            yield Reason(NAME, own.instance.candidate, query.name, pieces, _PAGE, found)
            break


def _differing(loads: Sequence[Prepared], query: str) -> dict[str, str] | None:
    """The first nodes in which another load differs from the first, None where none does."""
    known = [one.explains[query] for one in loads if one.explains.get(query)]
    for other in known[1:]:
        for mine, theirs in zip(known[0], other, strict=False):
            if mine["params"] == theirs["params"] and (found := _parting(mine, theirs)):
                return found
    return None


def _parting(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, str] | None:
    """Where two plans part: the node of each, in words."""
    mine, theirs = (list(map(words, executed(entry))) for entry in (one, other))
    for first, second in zip([*mine, "nothing more"], [*theirs, "nothing more"], strict=False):
        if first != second:
            return {"first": first, "other": second}
    return None
