"""Bloat: room in tables that holds no row any more, seen as growth while the rows stay as many."""

from collections.abc import Iterator, Sequence
from functools import partial
from itertools import takewhile

from lab.model import Query, Slice
from lab.reasons import MANUAL, Reason, Side, counted, named, own_fact

NAME = "bloat"
_PAGE = f"{MANUAL}routine-vacuuming.html#VACUUM-FOR-SPACE-RECOVERY"
_LEAST = 0.05
_SAME_ROWS = 0.01
_ADDS = {"append": 1, "retire": -1}


def explain(own: Side, base: Side, queries: Sequence[Query]) -> Iterator[Reason]:  # noqa: ARG001
    """Tables that have clearly grown more on one side over the rounds, though they hold as many rows as before."""
    mine, theirs = _grown(own), _grown(base)
    if mine is None or theirs is None or abs(mine["share"] - theirs["share"]) <= _LEAST:
        return
    cite = partial(own_fact, NAME, own, "")
    pieces = (
        "over the rounds, with as many rows as before, the tables of ",
        named(own),
        " have come to ",
        cite("own_bytes", "bytes"),
        " (",
        cite("own_share", "signed percent"),
        "), and those of ",
        named(base),
        " to ",
        cite("base_bytes", "bytes"),
        " (",
        cite("base_share", "signed percent"),
        "): room that new rows may fill, but that scans read past.",
    )
    facts = {f"{side}_{key}": value for side, one in (("own", mine), ("base", theirs)) for key, value in one.items()}
    yield Reason(NAME, own.instance.candidate, "", pieces, _PAGE, facts)


def _grown(one: Side) -> dict[str, float] | None:
    """`bytes` of all tables by the last reading, and the `share` by which they grew since they were counted.

    None where nobody looked, or where there were more or fewer rows then than were loaded.
    """
    before = [counted(one, f"size.{part}_bytes") for part in ("heap", "toast")]
    loaded = one.report.get("rows_in_tables")
    rows = [rows_then(slice_) for slice_ in one.slices if slice_.trial.instance == one.instance]
    if None in before or not one.readings or not loaded or not rows or abs(rows[-1] / loaded - 1) > _SAME_ROWS:
        return None
    was = sum(part or 0.0 for part in before)
    now = float(sum(table["bytes"] for table in one.readings[-1]["tables"].values()))
    return {"bytes": now, "share": now / was - 1} if was else None


def rows_then(slice_: Slice) -> int:
    """The rows at the trial's last reading: those at its end, less what later steps added, and what they took away."""
    steps = list(takewhile(lambda step: "activity" not in step, reversed(slice_.steps)))
    added = sum(step.get("rows", 0) * _ADDS.get(step["do"], 0) + step.get("rows_by_load", 0) for step in steps)
    return int(slice_.rows - added)
