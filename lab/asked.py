"""The rows of a day that a query is about, in production and in the lab.

A query that asks for one key sees that key's rows, any other query those of all keys. Where keys are
skewed the mean of a key says nothing: with a hundred keys the first of a zipf law has another share
than with a hundred thousand. So the rows are those of the keys that are asked for, each by how often.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from lab import draw
from lab.commands import only_reads
from lab.model import Json, Parameter, Prepared, Query, Scenario

_MOST_KEYS = 5_000_000  # of a skewed law; more would take too long and too much memory


class Asked(NamedTuple):
    """Rows a day; None where it is not known, and then *because* says, without digits, why."""

    production: float | None
    lab: float | None
    because: str = ""


def asked(scenario: Scenario, query: Query) -> Asked:
    """What *query* is about.

    A query with no bound of the window among its parameters may read all days, so that nothing is
    known of it unless the lab has as many days as production.
    """
    there, here = scenario.production, scenario.lab
    per_day = here.rows / here.days if here.rows and here.days else None
    timed = any(parameter.origin.startswith("window.") for parameter in query.params)
    if not timed and there.keep_days != here.days:
        return Asked(None, None, "it names no time, so that it may read all days")
    keys = [(parameter, *of) for parameter in query.params if (of := _entity(scenario, parameter)) is not None]
    if not keys:
        return Asked(there.rows_per_day, per_day, "it asks across all keys")
    if len(keys) > 1:
        return Asked(None, None, "it asks for more than one key")
    [(parameter, entity, column)] = keys
    shares = [_share(column, parameter, count.get(entity)) for count in (there.entities, here.entities)]
    rates = (there.rows_per_day, per_day)
    production, lab = (rate * share if rate and share else None for rate, share in zip(rates, shares, strict=True))
    return Asked(production, lab, "" if all(shares) else "how many rows a key has is not known")


def _entity(scenario: Scenario, parameter: Parameter) -> tuple[str, Mapping[str, Json]] | None:
    """The entity whose keys a parameter takes, and the column it takes them from; None for any other."""
    stream, _, name = parameter.origin.partition(".")
    source = scenario.workload.streams.get(stream)
    columns = source.options.get("columns", {}) if source else {}
    column = columns.get(name) if isinstance(columns, Mapping) else None
    entity = column.get("of") if isinstance(column, Mapping) else None
    if not isinstance(column, Mapping) or entity not in scenario.production.entities:
        return None
    return str(entity), column


def _share(column: Mapping[str, Json], parameter: Parameter, keys: int | None) -> float | None:
    """The share of all rows that the key of a call has, on the average over the calls.

    >>> _share({"of": "device"}, Parameter("d", "e.device", "zipf(1.1)"), 100)
    0.01
    >>> round(_share({"of": "device", "skew": "zipf(1)"}, Parameter("d", "e.device", "zipf(1)"), 3), 3)
    0.405
    >>> _share({"of": "device", "fan_out": "poisson(3)"}, Parameter("d", "e.device"), 100) is None
    True
    """
    if not keys or "fan_out" in column or "correlation" in column:
        return None
    rows = draw.parse(column.get("skew", "uniform"))
    calls = draw.parse(parameter.law) if parameter.law else rows
    if isinstance(rows, draw.Even) or isinstance(calls, draw.Even):
        return 1 / keys
    if not isinstance(rows, draw.RankLaw) or not isinstance(calls, draw.RankLaw) or keys > _MOST_KEYS:
        return None
    if isinstance(rows, draw.Latest) or isinstance(calls, draw.Latest):  # ranked by age, not by number of rows
        return None
    return float(rows.shares(keys) @ calls.shares(keys))


def found_nothing(scenario: Scenario, prepared: Sequence[Prepared]) -> Iterator[str]:
    """The queries that only read and found no row, for no candidate and with no parameter set of the count pass."""
    for query in scenario.workload.queries:
        rows = [n for one in prepared for n in one.metrics.get(f"query.{query.name}.rows_per_call", ())]
        if rows and not any(rows) and only_reads(query):
            yield query.name
