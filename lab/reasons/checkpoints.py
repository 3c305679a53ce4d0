"""Checkpoints and images: whole pages in the write-ahead log, as at the first change after a checkpoint."""

from collections.abc import Iterator, Sequence
from functools import partial

from lab.model import Query
from lab.reasons import MANUAL, Cite, Reason, Side, counted, metric, named, own_fact

NAME = "checkpoints"
_PAGE = f"{MANUAL}wal-configuration.html"
_LEAST = 0.05
_IMAGES, _RECORDS = "wal.fpi_bytes_per_row", "wal.record_bytes_per_row"


def explain(own: Side, base: Side, queries: Sequence[Query]) -> Iterator[Reason]:  # noqa: ARG001
    """Images of whole pages while loading, that differ by a good part of all that was written."""
    known = [counted(one, name) for one in (own, base) for name in (_IMAGES, _RECORDS)]
    if None in known:
        return
    mine, my_records, theirs, their_records = (value or 0.0 for value in known)
    if abs(mine - theirs) <= _LEAST * max(mine + my_records, theirs + their_records):
        return
    driven = _while_driven(own, base)
    pieces = (
        "images of whole pages (the first change of a page after a checkpoint; an index that is built at once) took ",
        metric(own, _IMAGES),
        " of the load of ",
        named(own),
        " (records: ",
        metric(own, _RECORDS),
        ") and ",
        metric(base, _IMAGES),
        " of ",
        named(base),
        " (",
        metric(base, _RECORDS),
        ")",
        *(_told(own) if driven else ()),
        ".",
    )
    yield Reason(NAME, own.instance.candidate, "", pieces, _PAGE, driven)


def _told(own: Side) -> tuple[str | Cite, ...]:
    cite = partial(own_fact, NAME, own, "")
    return (
        "; during the rounds ",
        cite("own_images", "number"),
        " of them in ",
        cite("own_checkpoints", "number"),
        " checkpoints against ",
        cite("base_images", "number"),
        " in ",
        cite("base_checkpoints", "number"),
    )


def _while_driven(own: Side, base: Side) -> dict[str, float]:
    """Images and checkpoints of both sides between their first and last reading, {} where either has too few."""
    found = {}
    for side, one in (("own", own), ("base", base)):
        if len(one.readings) < 2:
            return {}
        first, final = (one.readings[n]["totals"] for n in (0, -1))
        found[f"{side}_images"] = final["wal_fpi"] - first["wal_fpi"]
        found[f"{side}_checkpoints"] = final["checkpoints"] - first["checkpoints"]
    return found
