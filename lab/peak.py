"""Rows that production has to take in at peak, by what its author says of it."""

from typing import Any

from lab import form
from lab.model import Production

RATES = ("ingest.rows_per_s", "append.rows_per_s")
"""What the lab measures of rows coming in: told beside the peak, never judged by it."""

_DAY_S = 86_400


def facts(production: Production) -> dict[str, Any]:
    """`factor`, and with rows_per_day said `rows_per_day` and `rows_per_s` at peak; {} without a peak factor.

    >>> facts(Production(rows_per_day=86_400, peak_factor=5.0))
    {'factor': 5.0, 'rows_per_day': 86400, 'rows_per_s': 5.0, 'shape': 'in rows/s'}
    >>> facts(Production(peak_factor=5.0)), facts(Production(rows_per_day=86_400))
    ({'factor': 5.0}, {})
    """
    per_day, factor = production.rows_per_day, production.peak_factor
    if factor is None:
        return {}
    if per_day is None:
        return {"factor": factor}
    rate = per_day * factor / _DAY_S
    return {"factor": factor, "rows_per_day": per_day, "rows_per_s": rate, "shape": form.of_unit("rows/s")}
