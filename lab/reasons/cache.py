"""The cache: blocks that are found in shared buffers, and data that fits into them or does not."""

from collections.abc import Iterator, Sequence
from functools import partial

from lab.model import Query
from lab.reasons import MANUAL, Reason, Side, last, metric, named, own_fact

NAME = "cache"
_PAGE = f"{MANUAL}monitoring-stats.html#MONITORING-PG-STAT-DATABASE-VIEW"
_LEAST = 0.01
_SIZE = "size.total_bytes"


def explain(own: Side, base: Side, queries: Sequence[Query]) -> Iterator[Reason]:  # noqa: ARG001
    """Clearly other shares of blocks that are not in shared buffers, over the rounds."""
    mine, theirs = _misses(own), _misses(base)
    if mine is None or theirs is None or abs(mine - theirs) <= _LEAST:
        return
    if last(own, _SIZE) is None or last(base, _SIZE) is None:
        return
    cite = partial(own_fact, NAME, own, "")
    pieces = (
        "over the rounds ",
        cite("own", "percent"),
        " of the blocks that ",
        named(own),
        " was asked for were not in shared buffers, and ",
        cite("base", "percent"),
        " of those of ",
        named(base),
        "; when counted, there were ",
        metric(own, _SIZE),
        " against ",
        metric(base, _SIZE),
        " in all.",
    )
    yield Reason(NAME, own.instance.candidate, "", pieces, _PAGE, {"own": mine, "base": theirs})


def _misses(one: Side) -> float | None:
    """The share of blocks asked of the system from the first to the last reading; None where nobody looked."""
    if len(one.readings) < 2:
        return None
    first, final = (one.readings[n]["totals"] for n in (0, -1))
    hits, reads = (final[key] - first[key] for key in ("hits", "reads"))
    return reads / (hits + reads) if hits + reads > 0 else None
