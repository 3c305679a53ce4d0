"""Indexes that no query of the mix reads, and the bytes that they take for each row."""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

from lab.model import Query
from lab.reasons import MANUAL, Reason, Side, differ, named, own_fact

NAME = "unused_index"
_PAGE = f"{MANUAL}monitoring-stats.html#MONITORING-PG-STAT-ALL-INDEXES-VIEW"
_LEAST = 0.05


def explain(own: Side, base: Side, queries: Sequence[Query]) -> Iterator[Reason]:  # noqa: ARG001
    """Indexes that nothing scanned on one side, of clearly more bytes per row than on the other."""
    mine, theirs = _unused(own), _unused(base)
    if mine is None or theirs is None:
        return
    per_row = {"own": _per_row(own, mine), "base": _per_row(base, theirs)}
    if not differ(per_row["own"], per_row["base"], by=_LEAST):
        return
    one, unused = (own, mine) if per_row["own"] > per_row["base"] else (base, theirs)
    most = max(unused, key=lambda index: index["bytes"])
    cite = partial(own_fact, NAME, own, "")
    pieces = (
        "no query and no statement of the run has scanned ",
        cite("name", "name"),
        " of ",
        named(one),
        ", which keeps no row unique, and takes ",
        cite("bytes", "bytes"),
        "; such indexes take ",
        cite("own", "in bytes/row"),
        " in ",
        named(own),
        ", ",
        cite("base", "in bytes/row"),
        " in ",
        named(base),
        ".",
    )
    facts = {"name": most["name"], "bytes": most["bytes"], **per_row}
    yield Reason(NAME, own.instance.candidate, "", pieces, _PAGE, facts)


def _unused(one: Side) -> list[dict[str, Any]] | None:
    """Indexes that are there for reading alone and were not read in any reading.

    None where nobody looked, or where rows lie on other servers, of which the catalogs of the first know no bytes.
    """
    if "indexes" not in one.report or not one.readings or not one.report.get("rows") or not _in_one_place(one):
        return None
    read = {name for reading in one.readings for name in reading["indexes"]}
    return [index for index in one.report["indexes"] if not index["enforces"] and index["name"] not in read]


def _in_one_place(one: Side) -> bool:
    """Are all rows on one server? Those that follow it have the same ones."""
    return len(one.report.get("sizes", ("",))) - int(one.report.get("standbys", 0)) <= 1


def _per_row(one: Side, unused: Sequence[dict[str, Any]]) -> float:
    return float(sum(index["bytes"] for index in unused)) / float(one.report["rows"])
