"""What the lab kept of production, and so how far a claim reaches.

The similarity sheet compares production with the lab, invariant by invariant. A metric names the
invariants that its value depends on (metrics.TABLE); where one is broken, or nobody said what it
is in production, the claim does not transfer.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from lab import metrics
from lab.model import Prepared, Scenario, Scope, Study

TOLERANCE = 0.10  # a kept invariant is within a tenth of production's
ASYMPTOTIC_PAGES = 1000  # from here on a relation's bytes per row no longer depend on its size
_PAGE_BYTES = 8192
_MEMORY_UNITS = {"B": 1, "kB": 1024, "8kB": 8192, "MB": 2**20, "GB": 2**30}


@dataclass(frozen=True)
class Row:
    """One invariant of *of* (a candidate, a key, a query; "" for the whole), in production and here.

    *production* and *lab* are None where nobody said or nothing tells. *kept* is None where one of
    them is missing: then nothing that depends on it transfers. *unit* is one of metrics.TABLE's
    or "". *because* says, without digits, what keeps an invariant whose two values differ.
    """

    invariant: str
    of: str
    production: float | None
    lab: float | None
    kept: bool | None
    unit: str = ""
    because: str = ""


def sheet(scenario: Scenario, prepared: Sequence[Prepared], studies: Sequence[Study] = ()) -> tuple[Row, ...]:
    """The similarity sheet, general invariants first, then each candidate's in the author's order.

    *prepared* gives sizes, settings and rows per call; its report's `partitions`, where it is
    there, is the number of leaf tables of the candidate.
    """
    first = {one.instance.candidate: one for one in reversed(prepared) if not one.instance.twin}
    known = [first[name] for name in scenario.candidates if name in first]
    found = (
        _row("rows per day", "", scenario.production.rows_per_day, _rows_per_day(scenario), "rows"),
        _row("days kept", "", scenario.production.keep_days, scenario.lab.days, "days"),
        *_keys(scenario),
        *_rows_per_query(scenario),
        _row("checkpoint distance", "", scenario.production.checkpoint_rows, None, "rows"),
        *(row for one in known for row in _of_candidate(scenario, one, studies)),
    )
    return tuple(map(_as_it_is, found)) if _whole(scenario) else found


def scope(metric: str, rows: Iterable[Row], sides: Sequence[str] = ()) -> Scope:
    """How far a claim about *metric* reaches, given the sheet.

    Times and rates belong to the host that measured them. Counts and sizes transfer where every
    invariant they depend on is kept by the *sides* compared (all candidates, if none are named);
    else production's value cannot be had from this data.
    """
    of = metrics.row(metric)
    if of.kind in ("time", "rate"):
        return Scope.THIS_HOST
    found = list(rows)
    others = {row.of.partition(": ")[0] for row in found if row.invariant == "partitions in all"} - set(sides)
    query = metric.split(".")[1] if metric.startswith("query.") else ""
    for invariant in of.invariants:
        about = [row for row in found if row.invariant == invariant and _concerns(row, query)]
        about = [row for row in about if not (sides and row.of.partition(": ")[0] in others)]
        if not about or not all(row.kept for row in about):
            return Scope.NOT_DECIDABLE
    return Scope.TRANSFERS


def _whole(scenario: Scenario) -> bool:
    """Whether the lab's rows are the rows in question: nothing is shrunk, and no other volume is stated."""
    there = scenario.production
    return not (scenario.lab.shrink or there.rows_per_day or there.keep_days or there.entities)


def _as_it_is(row: Row) -> Row:
    """A row of unstated production is kept where the lab has the very data; a cache is the host's."""
    if row.production is not None or row.invariant in _HOSTS:
        return row
    return Row(row.invariant, row.of, row.lab, row.lab, True, row.unit, "the rows are those in question")


_HOSTS = ("checkpoint distance", "data / cache", "newest day / cache", "memory for a sort")


def _concerns(row: Row, query: str) -> bool:
    """Rows about one query, named `candidate: query`, say nothing of another."""
    return ": " not in row.of or row.of.rpartition(": ")[2] == query


def _of_candidate(scenario: Scenario, one: Prepared, studies: Sequence[Study]) -> Iterator[Row]:
    parts = _partitions(one)
    there = _in_production(scenario, parts)
    yield _density(scenario, one, parts, there)
    yield _parts_in_all(one, parts, there, studies)
    yield from _parts_per_query(one, parts, there)
    yield from _memory(scenario, one)


def _density(scenario: Scenario, one: Prepared, parts: int | None, there: float | None) -> Row:
    """Rows per partition: kept too where a partition here is large enough to be asymptotic."""
    name = one.instance.candidate
    rows = _value(one.metrics, "size.total_bytes"), _value(one.metrics, "size.bytes_per_row")
    lab_rows = float(rows[0] / rows[1]) if rows[0] and rows[1] else None
    here = lab_rows / parts if lab_rows and parts else None
    whole = _production_rows(scenario)
    row = _row("rows per partition", name, whole / there if whole and there else None, here, "rows")
    heap = _value(one.metrics, "size.heap_bytes")
    pages = heap / parts / _PAGE_BYTES if heap and parts else 0
    if not row.kept and pages >= ASYMPTOTIC_PAGES and (row.production or 0) >= (here or 0):
        return Row(
            row.invariant, name, row.production, here, True, row.unit, "large enough for bytes per row to settle"
        )
    return row


def _parts_in_all(one: Prepared, parts: int | None, there: float | None, studies: Sequence[Study]) -> Row:
    """Partitions in all: kept too where the catalogue study went as far as production does."""
    name = one.instance.candidate
    row = _row("partitions in all", name, there, parts, "partitions")
    studied = max((study.partitions for study in studies if study.candidate == name), default=0)
    if not row.kept and there is not None and studied >= there:
        return Row(row.invariant, name, there, parts, True, row.unit, "covered by the catalogue study")
    return row


def _parts_per_query(one: Prepared, parts: int | None, there: float | None) -> Iterator[Row]:
    """Partitions per call: where a query is pruned to a part of them, more of them change nothing."""
    name = one.instance.candidate
    if parts is None or there is None or parts == 1:
        yield _row("partitions per query", name, there, parts, "partitions")
        return
    for metric in one.metrics:
        here = _value(one.metrics, metric)
        if not metric.endswith(".partitions_per_call") or here is None:
            continue
        of = f"{name}: {metric.split('.')[1]}"
        if here < parts:
            yield Row("partitions per query", of, here, here, True, "partitions", "pruned")
        else:
            yield _row("partitions per query", of, there, here, "partitions")


def _memory(scenario: Scenario, one: Prepared) -> Iterator[Row]:
    """Data to cache, and the memory a sort may take."""
    name, production = one.instance.candidate, scenario.production
    total, per_row = _value(one.metrics, "size.total_bytes"), _value(one.metrics, "size.bytes_per_row")
    rows, cache = _production_rows(scenario), _bytes(one.settings.get("shared_buffers"))
    there = (
        rows * per_row / production.shared_buffers_bytes
        if rows and per_row and production.shared_buffers_bytes
        else None
    )
    yield _row("data / cache", name, there, total / cache if total and cache else None, "ratio")
    hot = (
        production.rows_per_day * per_row / production.shared_buffers_bytes
        if there and per_row and production.rows_per_day and production.shared_buffers_bytes
        else None
    )
    day = _rows_per_day(scenario)
    yield _row("newest day / cache", name, hot, day * per_row / cache if day and per_row and cache else None, "ratio")
    if production.work_mem_bytes:
        yield _row("memory for a sort", name, production.work_mem_bytes, _bytes(one.settings.get("work_mem")), "bytes")


def _keys(scenario: Scenario) -> Iterator[Row]:
    for key, count in scenario.production.entities.items():
        yield _row("distinct keys", key, count, scenario.lab.entities.get(key), "keys")


def _rows_per_query(scenario: Scenario) -> Iterator[Row]:
    """Rows of one key in one day: what a query by key and time returns and reads."""
    there, here = scenario.production.rows_per_day, _rows_per_day(scenario)
    if not scenario.production.entities:
        yield _row("rows per query", "", there, here, "rows")
    for key, count in scenario.production.entities.items():
        mine = scenario.lab.entities.get(key)
        yield _row(
            "rows per query", key, there / count if there else None, here / mine if here and mine else None, "rows"
        )


def _row(invariant: str, of: str, production: float | None, lab: float | None, unit: str) -> Row:
    """A row that is kept where the two values are within TOLERANCE.

    >>> _row("days kept", "", 395, 40, "days").kept, _row("days kept", "", 395, 400, "days").kept
    (False, True)
    >>> _row("days kept", "", None, 40, "days").kept is None
    True
    """
    if production is None or lab is None:
        return Row(invariant, of, production, lab, None, unit)
    return Row(invariant, of, production, lab, abs(lab - production) <= TOLERANCE * production, unit)


def _rows_per_day(scenario: Scenario) -> float | None:
    rows, days = scenario.lab.rows, scenario.lab.days
    return rows / days if rows and days else None


def _production_rows(scenario: Scenario) -> float | None:
    per_day, days = scenario.production.rows_per_day, scenario.production.keep_days
    return float(per_day * days) if per_day and days else None


def _partitions(one: Prepared) -> int | None:
    found = one.report.get("partitions")
    return max(1, int(found)) if found is not None else None


def _in_production(scenario: Scenario, parts: int | None) -> float | None:
    """Partitions by time grow with the days kept; a table that is whole stays whole."""
    if parts is None or parts == 1:
        return parts
    keep, days = scenario.production.keep_days, scenario.lab.days
    return float(round(parts * keep / days)) if keep and days else None


def _value(known: Mapping[str, Sequence[float]], metric: str) -> float | None:
    values = known.get(metric)
    return values[-1] if values else None


def _bytes(setting: Mapping[str, object] | None) -> float | None:
    """A memory setting as pg_settings has it, in bytes.

    >>> _bytes({"value": "16384", "unit": "8kB"}), _bytes({"value": "64MB", "unit": None}), _bytes(None)
    (134217728.0, 67108864.0, None)
    """
    if setting is None:
        return None
    value, unit = str(setting.get("value", "")), str(setting.get("unit") or "B")
    for suffix in ("kB", "MB", "GB"):
        if value.endswith(suffix):
            value, unit = value.removesuffix(suffix), suffix
    return float(value) * _MEMORY_UNITS[unit] if value.isdecimal() and unit in _MEMORY_UNITS else None
