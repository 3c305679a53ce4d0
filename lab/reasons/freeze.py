"""Freezing: transaction ids that the rows take, and the vacuum that is forced when enough are used up."""

from collections.abc import Iterator, Sequence
from functools import partial

from lab.model import Query
from lab.reasons import MANUAL, Reason, Side, counted, differ, named, own_fact

NAME = "freeze"
_PAGE = f"{MANUAL}routine-vacuuming.html#VACUUM-FOR-WRAPAROUND"
_METRIC = "xids_per_million_rows"
_LEAST = 0.05
_MANY = 1000.0  # ids per million rows; fewer force nothing before any other vacuum has come by
_MILLION = 1_000_000


def explain(own: Side, base: Side, queries: Sequence[Query]) -> Iterator[Reason]:  # noqa: ARG001
    """Loads that take many transaction ids, and clearly other numbers of them."""
    mine, theirs = counted(own, _METRIC), counted(base, _METRIC)
    ages = [one.report.get("freeze_max_age") for one in (own, base)]
    if not mine or not theirs or None in ages or max(mine, theirs) < _MANY or not differ(mine, theirs, by=_LEAST):
        return
    cite = partial(own_fact, NAME, own, "")
    pieces = (
        "a row that is loaded takes ",
        cite("own_ids", "number"),
        " transaction ids with ",
        named(own),
        " and ",
        cite("base_ids", "number"),
        " with ",
        named(base),
        ": by these ids alone a vacuum against wraparound comes due after ",
        cite("own", "number"),
        " and ",
        cite("base", "number"),
        " rows (autovacuum_freeze_max_age), unless another has frozen the table before.",
    )
    facts = {"own": _rows(ages[0], mine), "base": _rows(ages[1], theirs)}
    facts |= {"own_ids": mine / _MILLION, "base_ids": theirs / _MILLION}
    yield Reason(NAME, own.instance.candidate, "", pieces, _PAGE, facts)


def _rows(age: float | None, xids: float) -> float:
    """Rows until *age* ids are used up at *xids* per million rows.

    >>> _rows(200_000_000.0, 1_000_000.0)
    200000000.0
    """
    return float(round((age or 0.0) / xids * _MILLION))
