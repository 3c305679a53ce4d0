"""Triggers: what runs for each row that is written, foreign keys' checks among it."""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from lab.model import Query
from lab.reasons import MANUAL, Reason, Side, named, own_fact, untimed

NAME = "triggers"
_PAGE = f"{MANUAL}using-explain.html#USING-EXPLAIN-ANALYZE"
_LEAST = 0.05


def explain(own: Side, base: Side, queries: Sequence[Query]) -> Iterator[Reason]:
    """A query of whose time triggers take clearly another share than the baseline's do."""
    for query in () if untimed(own, base) else queries:
        mine, theirs = _timed(own, query.name), _timed(base, query.name)
        if mine is None or theirs is None or abs(_share(mine) - _share(theirs)) < _LEAST:
            continue
        found = {"own_ms": _ms(mine), "own_all": mine["execution_ms"]}
        found |= {"base_ms": _ms(theirs), "base_all": theirs["execution_ms"]}
        cite = partial(own_fact, NAME, own, query.name)
        one = mine if _share(mine) > _share(theirs) else theirs
        most = max(one["triggers"], key=lambda trigger: trigger["Time"])
        pieces = (
            "triggers took ",
            cite("own_ms", "in ms"),
            " of the ",
            cite("own_all", "in ms"),
            " of one call of ",
            named(own),
            " under EXPLAIN, and ",
            cite("base_ms", "in ms"),
            " of the ",
            cite("base_all", "in ms"),
            " of ",
            named(base),
            "; the largest part was ",
            cite("most", "name"),
            ", run ",
            cite("calls", "number"),
            " times.",
        )
        facts = {**found, "most": most.get("Constraint Name") or most["Trigger Name"], "calls": most["Calls"]}
        yield Reason(NAME, own.instance.candidate, query.name, pieces, _PAGE, facts)


def _timed(one: Side, query: str) -> Mapping[str, Any] | None:
    timed: Mapping[str, Any] | None = one.report.get("queries", {}).get(query, {}).get("timed")
    return timed


def _ms(timed: Mapping[str, Any]) -> float:
    return float(sum(trigger["Time"] for trigger in timed["triggers"]))


def _share(timed: Mapping[str, Any]) -> float:
    return _ms(timed) / timed["execution_ms"] if timed["execution_ms"] else 0.0
