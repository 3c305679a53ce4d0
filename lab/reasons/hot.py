"""HOT updates: new row versions that fit beside the old ones and need no index entries."""

from collections.abc import Iterator, Sequence
from functools import partial

from lab.model import Query
from lab.reasons import MANUAL, Reason, Side, named, own_fact

NAME = "hot"
_PAGE = f"{MANUAL}storage-hot.html"
_LEAST = 0.05
_FEW = 100.0  # updates


def explain(own: Side, base: Side, queries: Sequence[Query]) -> Iterator[Reason]:  # noqa: ARG001
    """Updates of which clearly another share is HOT."""
    mine, theirs = _updates(own), _updates(base)
    if mine is None or theirs is None or abs(mine[1] - theirs[1]) <= _LEAST:
        return
    cite = partial(own_fact, NAME, own, "")
    pieces = (
        "without new index entries (HOT) went ",
        cite("own", "percent"),
        " of ",
        cite("own_updates", "number"),
        " updates of ",
        named(own),
        ", and ",
        cite("base", "percent"),
        " of ",
        cite("base_updates", "number"),
        " of ",
        named(base),
        ".",
    )
    facts = {"own": mine[1], "own_updates": mine[0], "base": theirs[1], "base_updates": theirs[0]}
    yield Reason(NAME, own.instance.candidate, "", pieces, _PAGE, facts)


def _updates(one: Side) -> tuple[float, float] | None:
    """Rows updated by the last reading, and the share of HOT among them; None where there are few."""
    tables = one.readings[-1]["tables"].values() if one.readings else ()
    updated, hot = (sum(table[key] for table in tables) for key in ("updated", "hot"))
    return (updated, hot / updated) if updated >= _FEW else None
