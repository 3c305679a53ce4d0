"""Foreign keys without an index: who deletes what is referred to reads the whole referring table."""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

from lab.model import Query
from lab.reasons import MANUAL, Reason, Side, named, own_fact

NAME = "foreign_key"
_PAGE = f"{MANUAL}ddl-constraints.html#DDL-CONSTRAINTS-FK"


def explain(own: Side, base: Side, queries: Sequence[Query]) -> Iterator[Reason]:  # noqa: ARG001
    """A foreign key that no index serves on one side, and that the other has not, or has an index for."""
    if "foreign_keys" not in own.report or "foreign_keys" not in base.report:
        return
    mine, theirs = _bare(own), _bare(base)
    only = {"own": [k for k in mine if mine[k] and k not in theirs], "base": [k for k in theirs if k not in mine]}
    for one, other, bare, keys in ((own, base, mine, only["own"]), (base, own, theirs, only["base"])):
        if not keys:
            continue
        most = max((bare[key] for key in keys), key=lambda key: float(key["bytes"]))
        cite = partial(own_fact, NAME, own, "")
        pieces = (
            "no index of ",
            named(one),
            " serves the foreign key ",
            cite("name", "name"),
            ": each row deleted from ",
            cite("referred", "name"),
            ", or given another key, has all of ",
            cite("table", "name"),
            " read, ",
            cite("bytes", "bytes"),
            "; ",
            named(other),
            " has no such key without an index.",
        )
        facts = {key: most[key] for key in ("name", "referred", "table", "bytes")}
        yield Reason(NAME, own.instance.candidate, "", pieces, _PAGE, facts)
        return


def _bare(one: Side) -> dict[tuple[str, str], dict[str, Any]]:
    """(table, key) -> the foreign keys without an index."""
    return {(key["table"], key["name"]): key for key in one.report["foreign_keys"] if not key["indexed"]}
