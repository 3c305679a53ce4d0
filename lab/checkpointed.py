"""Rows that come in between two checkpoints of a load, as closely as the checkpoints that were counted tell.

A load begins and ends somewhere between two checkpoints. So n of them within it mean that more rows than its rows by
n + 1 came in between two on average, and fewer than its rows by n - 1.
"""

import math
from collections.abc import Mapping
from typing import NamedTuple

from lab.model import Json


class Checkpointed(NamedTuple):
    """Rows by checkpoint here, or all rows where none came; *kept* and *because* as project.Row has them."""

    rows: float | None
    kept: bool | None
    because: str = ""


def checkpointed(report: Mapping[str, Json], due: int | None, tolerance: float) -> Checkpointed:
    """What the *report* of a load tells, and whether it is within *tolerance* of the *due* rows for sure.

    >>> checkpointed({"rows": 42_000, "load_sql_s": 0.0, "checkpoints": {"a": 42}}, 1_000, 0.1)
    Checkpointed(rows=1000.0, kept=True, because='')
    >>> checkpointed({"rows": 1_000}, 1_000, 0.1)
    Checkpointed(rows=None, kept=None, because='')
    """
    counts = report.get("checkpoints")
    if counts is None:
        return Checkpointed(None, None)
    if len(counts) != 1:
        return Checkpointed(None, None, "rows come in on several servers")
    if report["load_sql_s"]:
        return Checkpointed(None, None, "the load SQL does not say when its rows came in")
    rows, [n] = float(report["rows"]), counts.values()
    because = "" if n else "at least: no checkpoint came while these rows did"
    if due is None:
        return Checkpointed(rows / max(n, 1), None, because)
    low, high = rows / (n + 1), rows / (n - 1) if n > 1 else math.inf
    least, most = (1 - tolerance) * due, (1 + tolerance) * due
    if low > most or high < least:
        return Checkpointed(rows / max(n, 1), False, because)
    kept = True if least <= low and high <= most else None
    return Checkpointed(rows / max(n, 1), kept, because or ("" if kept else "too few checkpoints came to be sure"))
