"""What the lab kept of production, and so how far a claim reaches.

The similarity sheet compares production with the lab, invariant by invariant. A metric names the
invariants that its value depends on (metrics.TABLE); where one is broken, or nobody said what it
is in production, the claim does not transfer.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from lab import metrics, shape
from lab.asked import asked
from lab.change import partitioned, setting_bytes, statements
from lab.checkpointed import checkpointed
from lab.explain import executed
from lab.model import Measurement, Prepared, Query, Scenario, Scope, Study
from lab.spread import copies, databases, largest, partitions, servers, value

TAKEN = "taken for production's own, of which the scenario says nothing"  # why what was brought keeps an invariant
TOLERANCE = 0.10  # a kept invariant is within a tenth of production's
ASYMPTOTIC_PAGES = 1000  # from here on a relation's bytes per row no longer depend on its size
SCALED_PARTITIONS = 10  # fewer do not tell how long a partition is: the last one may be hardly begun
_PAGE_BYTES = 8192


@dataclass(frozen=True)
class Row:
    """One invariant of *of* (a candidate, a key, a query; "" for the whole), in production and here.

    *production* and *lab* are None where nobody said or nothing tells. *kept* is None where that
    leaves it open: then nothing that depends on it transfers. *unit* is one of metrics.TABLE's
    or "". *because* says, without digits, why, where the two values do not. *driven* is the lab's own
    value under load, where that and not production's decides whether the invariant is kept.
    """

    invariant: str
    of: str
    production: float | None
    lab: float | None
    kept: bool | None
    unit: str = ""
    because: str = ""
    driven: float | None = None


def sheet(
    scenario: Scenario,
    prepared: Sequence[Prepared],
    studies: Sequence[Study] = (),
    measurements: Sequence[Measurement] = (),
) -> tuple[Row, ...]:
    """The similarity sheet, general invariants first, then each candidate's in the author's order.

    *prepared* gives sizes, settings and rows per call; its report's `partitions`, where it is
    there, is the number of leaf tables of the candidate. *measurements* give the blocks per call
    that were seen while load was driven.
    """
    first = {one.instance.candidate: one for one in reversed(prepared) if not one.instance.twin}
    known = [first[name] for name in scenario.candidates if name in first]
    entities = scenario.production.entities
    found = (
        _row("rows per day", "", scenario.production.rows_per_day, _rows_per_day(scenario), "rows"),
        _row("days kept", "", scenario.production.keep_days, None if _real(scenario) else scenario.lab.days, "days"),
        _row("rows in all", "", _production_rows(scenario), _rows(scenario, first), "rows"),
        *(_row("distinct keys", key, there, scenario.lab.entities.get(key), "keys") for key, there in entities.items()),
        *(_rows_per_query(scenario, query) for query in scenario.workload.queries),
        *(row for one in known for row in _of_candidate(scenario, one, studies)),
        *_while_driven(known, first.get(scenario.baseline), driven(measurements)),
        *([Row("checkpoints while rows move", "", None, None, None, "", _HELD_BACK)] if _moves(scenario) else []),
        *([Row("checkpoints while driven", "", None, None, None, "", _OF_ROWS)] if shape.several(scenario) else []),
    )
    if stated(scenario):
        return found
    return tuple(map(_as_it_is if _real(scenario) else _unsaid, found))


def scope(metric: str, rows: Iterable[Row], sides: Sequence[str] = (), *, unlike: bool = False) -> Scope:
    """How far a claim about *metric* reaches, given the sheet.

    Times and rates belong to the host that measured them; between *unlike* shapes, which share its
    cores, not even to that. Counts, sizes and work transfer where every invariant they depend on is
    kept by the *sides* compared (all candidates, if none are named); else production's value cannot
    be had from this data.
    """
    of = metrics.row(metric)
    if of.kind in ("time", "rate") and not of.work:
        return Scope.NOT_DECIDABLE if unlike else Scope.THIS_HOST
    found = list(rows)
    others = {row.of for row in found if row.invariant == "partitions in all"} - set(sides) if sides else set()
    query = metric.split(".")[1] if metric.startswith("query.") else ""
    for invariant in of.invariants:
        about = [row for row in found if row.invariant == invariant and _concerns(row, query, others)]
        if not all(row.kept for row in about) or not (about or invariant in _NOT_EVERYWHERE):
            return Scope.NOT_DECIDABLE
    return Scope.TRANSFERS


def stated(scenario: Scenario) -> bool:
    """Whether the author said how many rows production has, or that the lab has fewer."""
    there = scenario.production
    return bool(scenario.lab.shrink or there.rows_per_day or there.keep_days or there.entities)


def driven(measurements: Iterable[Measurement]) -> dict[tuple[str, str], float]:
    """Blocks per call while load was driven, over all trials: (candidate, query) -> blocks."""
    sums: dict[tuple[str, str], tuple[float, int]] = {}
    for one in measurements:
        if one.metric.endswith(".driven_blocks_per_call") and not one.instance.twin and one.operations:
            key = one.instance.candidate, one.metric.split(".")[1]
            blocks, calls = sums.get(key, (0.0, 0))
            sums[key] = blocks + one.value * one.operations, calls + one.operations
    return {key: blocks / calls for key, (blocks, calls) in sums.items()}


_HELD_BACK = (
    "the lab holds checkpoints back in the rounds, and pages that are touched again are not written whole again"
)
_OF_ROWS = "production says how many rows come in between checkpoints, and not how many operations"
_NOT_OF_ROWS = (
    *("checkpoint distance", "checkpoints while driven", "checkpoints while rows move", "data / cache"),
    *("newest day / cache", "memory for a sort", "blocks while driven"),
)
_OF_QUERIES = ("rows per query",)  # of a query of all candidates; else `candidate: query`
# where a candidate has none there is no row
_NOT_EVERYWHERE = ("rows read in vain", "days per BRIN range", "databases")


def _moves(scenario: Scenario) -> bool:
    """Whether rows come or go, or are put in order, while rounds are measured."""
    return any(step.do in ("append", "retire", "maintain") for step in scenario.round)


def _real(scenario: Scenario) -> bool:
    """Whether no row was made up: then the rows here are the rows in question, if nobody says otherwise."""
    return all(stream.kind != "synthetic" for stream in scenario.workload.streams.values())


def _rows(scenario: Scenario, first: Mapping[str, Prepared]) -> float | None:
    """The rows of the first load: as lab.rows says, but where nobody made them up: then as many as came."""
    if not _real(scenario):
        return scenario.lab.rows
    loaded = first[scenario.baseline].report.get("rows") if scenario.baseline in first else None
    return None if loaded is None else float(loaded)


def _as_it_is(row: Row) -> Row:
    """A row of unstated production is kept where the lab has the very data; caches and load are not of them."""
    if row.production is not None or row.invariant in _NOT_OF_ROWS:
        return row
    return Row(row.invariant, row.of, row.lab, row.lab, True, row.unit, TAKEN)


def _unsaid(row: Row) -> Row:
    """A row about made-up rows, of which nobody said what they stand for."""
    return replace(row, production=None, kept=None, because="")


def _concerns(row: Row, query: str, others: Iterable[str]) -> bool:
    """Whether a row is about this query ("": the whole mix), or about none, and about no candidate among *others*."""
    if row.invariant in _OF_QUERIES:
        return not query or row.of == query
    candidate, _, about = row.of.rpartition(": ") if ": " in row.of else (row.of, "", "")
    return candidate not in others and (not query or about in ("", query))


def _of_candidate(scenario: Scenario, one: Prepared, studies: Sequence[Study]) -> Iterator[Row]:
    parts = partitions(one)
    there = _in_production(scenario, one.instance.candidate, parts)
    points = sorted(
        (study for study in studies if study.candidate == one.instance.candidate), key=lambda study: study.partitions
    )
    yield from _databases(scenario, one)
    yield _density(scenario, one, parts, there)
    yield _parts_in_all(one, parts, there, points)
    yield from _parts_per_query(one, parts, there, points)
    due = scenario.production.checkpoint_rows
    here, kept, because = checkpointed(one.report, due, TOLERANCE)
    yield Row("checkpoint distance", one.instance.candidate, due, here, kept, "rows", because)
    yield from _in_vain(scenario, one)
    yield from _ranges(scenario, one)
    yield from _memory(scenario, one)


def _databases(scenario: Scenario, one: Prepared) -> Iterator[Row]:
    """The databases that rows are kept apart in, of a candidate that does."""
    made = one.report.get("databases")
    if made:
        due = scenario.production.entities.get(made["by"])
        yield _row("databases", one.instance.candidate, due, made["count"], "databases")


def _density(scenario: Scenario, one: Prepared, parts: int | None, there: float | None) -> Row:
    """Rows per partition: kept too where a partition here is large enough to be asymptotic."""
    name = one.instance.candidate
    rows = value(one.metrics, "size.total_bytes"), value(one.metrics, "size.bytes_per_row")
    lab_rows = float(rows[0] / rows[1]) if rows[0] and rows[1] else None
    here = lab_rows / parts / databases(one) if lab_rows and parts else None
    whole = _production_rows(scenario)
    made = one.report.get("databases")
    apart = scenario.production.entities.get(made["by"]) if made else 1
    row = _row("rows per partition", name, whole / there / apart if whole and there and apart else None, here, "rows")
    heap = value(one.metrics, "size.heap_bytes")
    pages = heap / copies(one) / parts / databases(one) / _PAGE_BYTES if heap and parts else 0
    per_day, days = scenario.production.rows_per_day, scenario.lab.days
    at_least = row.production or (per_day * days / parts / databases(one) if per_day and days and parts else 0)
    if not row.kept and pages >= ASYMPTOTIC_PAGES and at_least >= (here or 0):
        return replace(row, kept=True, because="large enough for bytes per row to settle")
    return row


def _parts_in_all(one: Prepared, parts: int | None, there: float | None, points: Sequence[Study]) -> Row:
    """Partitions in all; what the catalogue study counted at production's number is not what the lab has."""
    row = _row("partitions in all", one.instance.candidate, there, parts, "partitions")
    if not row.kept and there is not None and any(point.partitions >= there for point in points):
        return replace(row, because="the catalogue study counts it there")
    return row


def _parts_per_query(one: Prepared, parts: int | None, there: float | None, points: Sequence[Study]) -> Iterator[Row]:
    """What a call of each query scans and locks: of one table always the same, else as the study shows."""
    name = one.instance.candidate
    if parts is None or parts == there or not points:
        kept = True if parts and parts == there else None
        whole = "not partitioned" if servers(one) == 1 else "not partitioned on the server that is asked"
        because = "" if not kept else whole if parts == 1 else "as many partitions as in production"
        for invariant, unit in _PER_CALL:
            yield Row(invariant, name, None, None, kept, unit, because or "no catalogue study of it")
        return
    queries = dict.fromkeys(metric.split(".")[1] for metric in one.metrics if metric.startswith("query."))
    for query in queries:
        for (invariant, unit), counted in _PER_CALL.items():
            yield _studied(
                f"{name}: {query}", invariant, unit, [f"query.{query}.{what}" for what in counted], one, there, points
            )


def _studied(
    of: str,
    invariant: str,
    unit: str,
    counted: Sequence[str],
    one: Prepared,
    there: float | None,
    points: Sequence[Study],
) -> Row:
    """Kept where the study counts the same at all its numbers of partitions, goes as far as production, and
    counts what was counted here: it plans each call anew, and a prepared statement may lock more by a generic plan.
    """
    here, reaches = value(one.metrics, counted[0]), there is None or any(point.partitions >= there for point in points)
    values = [[value(point.metrics, metric) for point in points] for metric in counted]
    alike = all(len(set(of_metric)) == 1 and None not in of_metric for of_metric in values)
    if len(points) > 1 and reaches and alike and values[0][0] == here:
        return Row(invariant, of, here, here, True, unit, "the same at every number of partitions studied")
    if there is None or not reaches:
        return Row(invariant, of, None, here, None, unit, "the catalogue study does not go as far")
    nearest = min(range(len(points)), key=lambda n: abs(points[n].partitions - there))
    return Row(invariant, of, values[0][nearest], here, False, unit, "the catalogue study counts it there")


_PER_CALL = {
    ("partitions per query", "relations"): ("partitions_per_call",),
    ("locks per query", "locks"): ("locks_per_call", "fast_path_misses_per_call"),
}


def _while_driven(
    known: Sequence[Prepared], base: Prepared | None, seen: Mapping[tuple[str, str], float]
) -> Iterator[Row]:
    """Each challenger's blocks per call by the baseline's: in peace, and driven, which is nearer to production.

    The count pass reads tables just vacuumed, with few parameters. Under load there are fresh rows,
    which an index alone cannot answer for, and all the parameters of the mix.
    """
    if base is None:
        return
    theirs = base.instance.candidate
    for one in known:
        mine = one.instance.candidate
        for metric in one.metrics if mine != theirs else ():
            if metric.endswith(".blocks_per_call"):
                query = metric.split(".")[1]
                here = _by(value(one.metrics, metric), value(base.metrics, metric))
                there = _by(seen.get((mine, query)), seen.get((theirs, query)))
                row = _row("blocks while driven", f"{mine}: {query}", there, here, "ratio")
                yield replace(row, production=None, driven=there)


def _by(own: float | None, base: float | None) -> float | None:
    return own / base if own is not None and base else None


def _memory(scenario: Scenario, one: Prepared) -> Iterator[Row]:
    """Data to cache, and the memory a sort may take.

    The cache is shared_buffers; with `memory: strict` those of the lab stand for all memory of production.
    """
    name, production, share = one.instance.candidate, scenario.production, largest(one)
    total, per_row = value(one.metrics, "size.total_bytes"), value(one.metrics, "size.bytes_per_row")
    total, per_row = total and share * total, per_row and share * per_row
    rows, cache = _production_rows(scenario), setting_bytes(one.settings.get("shared_buffers"))
    memory = production.memory_bytes if scenario.lab.strict else production.shared_buffers_bytes
    there = rows * per_row / memory if rows and per_row and memory else None
    yield _row("data / cache", name, there, total / cache if total and cache else None, "ratio")
    hot = (
        production.rows_per_day * per_row / memory if there and per_row and production.rows_per_day and memory else None
    )
    day = _rows_per_day(scenario)
    yield _row("newest day / cache", name, hot, day * per_row / cache if day and per_row and cache else None, "ratio")
    if production.work_mem_bytes:
        yield _row(
            "memory for a sort", name, production.work_mem_bytes, setting_bytes(one.settings.get("work_mem")), "bytes"
        )


def _rows_per_query(scenario: Scenario, query: Query) -> Row:
    """Rows of one day that a query is about: what it returns and reads."""
    found = asked(scenario, query)
    row = _row("rows per query", query.name, found.production, found.lab, "rows")
    return row if row.kept else replace(row, because=found.because)


def _in_vain(scenario: Scenario, one: Prepared) -> Iterator[Row]:
    """Rows that a query reads and throws away: production has more of them."""
    there = scenario.production
    volumes = (there.rows_per_day, _rows_per_day(scenario)), (there.keep_days, scenario.lab.days)
    if all(_row("", "", due, here, "").kept for due, here in volumes):
        return
    for query, entries in one.explains.items():
        removed = sum(
            node.get(key, 0) * node["Actual Loops"] for entry in entries for node in executed(entry) for key in _REMOVED
        )
        if removed:
            words = "rows that are not asked for, of which production has more"
            of = f"{one.instance.candidate}: {query}"
            yield Row("rows read in vain", of, None, float(removed) / len(entries), None, "rows", words)


_REMOVED = ("Rows Removed by Filter", "Rows Removed by Index Recheck", "Rows Removed by Join Filter")


def _ranges(scenario: Scenario, one: Prepared) -> Iterator[Row]:
    """The days that a BRIN range spans: it is read whole, however little of it is asked for."""
    name = one.instance.candidate
    found = [_BRIN.search(part) for part in statements(scenario.candidates[name].schema.text)]
    pages = max((int(one["pages"] or _RANGE) for one in found if one), default=0)
    total, per_row = value(one.metrics, "size.total_bytes"), value(one.metrics, "size.bytes_per_row")
    heap = value(one.metrics, "size.heap_bytes")
    if not pages or not total or not per_row or not heap:
        return
    rows = pages * _PAGE_BYTES / (heap / copies(one)) * (total / per_row)
    there, here = scenario.production.rows_per_day, _rows_per_day(scenario)
    yield _row("days per BRIN range", name, rows / there if there else None, rows / here if here else None, "days")


_RANGE = 128  # pages, where the schema does not say
_BRIN = re.compile(r"\busing brin\b(.*pages_per_range ?= ?'?(?P<pages>[0-9]+))?")


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
    """Rows a day here; None of rows that nobody made up, of which nobody knows the days."""
    rows, days = scenario.lab.rows, scenario.lab.days
    return rows / days if rows and days and not _real(scenario) else None


def _production_rows(scenario: Scenario) -> float | None:
    per_day, days = scenario.production.rows_per_day, scenario.production.keep_days
    return float(per_day * days) if per_day and days else None


def _in_production(scenario: Scenario, candidate: str, parts: int | None) -> float | None:
    """Partitions by time grow with the days kept; a table that is whole stays whole. None: not to be told."""
    whole = not partitioned(scenario.candidates[candidate].schema.text)
    keep, days = scenario.production.keep_days, scenario.lab.days
    if parts is None or whole or (keep and keep == days):
        return parts
    return float(round(parts * keep / days)) if keep and days and parts >= SCALED_PARTITIONS else None
