"""Just-in-time compilation: code that is made at every call, of queries too short to gain by it."""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from lab.model import Query
from lab.reasons import MANUAL, Reason, Side, named, own_fact, untimed

NAME = "jit"
_PAGE = f"{MANUAL}jit-decision.html"
_SHORT_MS = 1000.0
_LEAST = 0.10  # of the execution time


def explain(own: Side, base: Side, queries: Sequence[Query]) -> Iterator[Reason]:
    """A short query that one side compiles and the other does not, where compiling is a good part of its time."""
    for query in () if untimed(own, base) else queries:
        mine, theirs = _compiled(own, query.name), _compiled(base, query.name)
        if mine is None or theirs is None or bool(mine["functions"]) == bool(theirs["functions"]):
            continue
        one, other, found = (own, base, mine) if mine["functions"] else (base, own, theirs)
        if found["execution_ms"] > _SHORT_MS or found["ms"] < _LEAST * found["execution_ms"]:
            continue
        cite = partial(own_fact, NAME, own, query.name)
        pieces = (
            named(one),
            " compiles ",
            cite("functions", "number"),
            " functions at each call, which took ",
            cite("ms", "in ms"),
            " of the ",
            cite("execution_ms", "in ms"),
            " of one call under EXPLAIN; ",
            named(other),
            " compiles none (jit, jit_above_cost).",
        )
        yield Reason(NAME, own.instance.candidate, query.name, pieces, _PAGE, found)


def _compiled(one: Side, query: str) -> dict[str, float] | None:
    """What one call compiled, and how long that took; None where no call was timed."""
    timed: Mapping[str, Any] | None = one.report.get("queries", {}).get(query, {}).get("timed")
    if timed is None:
        return None
    return {
        "functions": float(sum(jit["Functions"] for jit in timed["jit"])),
        "ms": float(sum(jit["Timing"]["Total"] for jit in timed["jit"])),
        "execution_ms": float(timed["execution_ms"]),
    }
