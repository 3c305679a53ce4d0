"""The cache: blocks that are found in shared buffers, and data that fits into them or does not."""

from collections.abc import Iterator, Sequence
from functools import partial

from lab.model import Query
from lab.reasons import MANUAL, Reason, Side, counted, metric, named, own_fact

NAME = "cache"
_PAGE = f"{MANUAL}pgstatstatements.html"
_LEAST = 0.01
_SIZE = "size.total_bytes"


def explain(own: Side, base: Side, queries: Sequence[Query]) -> Iterator[Reason]:  # noqa: ARG001
    """Clearly other shares of the mix's blocks that are not in shared buffers, over the rounds."""
    mine, theirs = _misses(own), _misses(base)
    if mine is None or theirs is None or abs(mine - theirs) <= _LEAST:
        return
    if counted(own, _SIZE) is None or counted(base, _SIZE) is None:
        return
    cite = partial(own_fact, NAME, own, "")
    pieces = (
        "over the rounds ",
        cite("own", "percent"),
        " of the blocks that the mix asked ",
        named(own),
        " for were not in shared buffers, and ",
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
    """The share of the mix's blocks that the system was asked for, in all trials of the first instance.

    None where nobody counted, or where servers asked others, whose blocks nobody knows.
    """
    steps = [step for each in one.slices if each.trial.instance == one.instance for step in each.steps]
    seen = [counters for step in steps for counters in step.get("statements", {}).values()]
    if any(step.get("inner_calls") for step in steps) or any("read" not in counters for counters in seen):
        return None
    blocks, read = (sum(counters[key] for counters in seen) for key in ("blocks", "read"))
    return read / blocks if blocks > 0 else None
