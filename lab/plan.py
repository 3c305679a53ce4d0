"""Evidence and reasons -> Plan: what a person who must decide is shown, in which order.

A plan is a book of facts and an outline: for each section the places in the book that it shows.
The words are the templates'; nothing here is worded and no number is written here.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from lab import change, dossier, figure, metrics, peak, project
from lab.asked import found_nothing
from lab.book import Book, Datum, Place, address
from lab.dossier import Judged
from lab.model import Evidence, Family, Prepared, Scenario, Scope, Verdict
from lab.reasons import Cite, Reason

BLIND = 0.95
"""A run that finds no smaller reduction than this share finds none that anybody could make."""

_CLAIMED = (Family.EXACT, Family.OBJECTIVE)
_WORK = (
    *("cpu_s_per_op", "busiest_cpu_s_per_op", "mix.wal_record_bytes_per_op", "mix.commits_per_op"),
    *("mix.inner_calls_per_op", "mix.round_trips_per_op", "size.total_bytes"),
)
"""What carries from shape to shape, whatever machines they run on."""


@dataclass(frozen=True)
class Plan:
    """What render.py makes pages of.

    *outline*: section -> places and data of *book*, see `outline`. *figures*: names of the
    figures that this run has something to show in.
    """

    name: str
    book: Book
    outline: dict[str, Any]
    figures: tuple[str, ...]


def plan(judged: Judged) -> Plan:
    """The plan of a judged run; the same for the same run, on any machine."""
    subject = subject_of(judged)
    facts = dossier.facts(judged, subject)
    facts["figure"] = figure.figures(judged)
    facts["peak"] = peak.facts(judged.scenario.production)
    book = Book(facts)
    return Plan(judged.scenario.name, book, outline(judged, book, subject), tuple(facts["figure"]))


def subject_of(judged: Judged) -> str | None:
    """The challenger whose SQL, plans and steps are shown: the pick, else the one nearest to it.

    Where the baseline is kept, a reader wants to know what was turned down; nearest is the
    challenger with the best objective, or the first one where nothing is known of it.
    """
    scenario, decision = judged.scenario, judged.weighed.decision
    if decision.pick is not None and decision.pick != scenario.baseline:
        return decision.pick
    ratios = {
        one.candidate: one.value
        for one in judged.weighed.evidence
        if one.metric == scenario.objective and one.family == Family.OBJECTIVE and one.candidate in scenario.candidates
    }
    challengers = [name for name in scenario.candidates if name != scenario.baseline]
    if not ratios:
        return challengers[0] if challengers else None
    best = min if metrics.row(scenario.objective).better == "lower" else max
    return best(ratios, key=lambda name: ratios[name])


def outline(judged: Judged, book: Book, subject: str | None) -> dict[str, Any]:
    """Section -> the places it shows. Names of candidates are plain words, for lookups only."""
    scenario, evidence = judged.scenario, judged.weighed.evidence
    challengers = [name for name in scenario.candidates if name != scenario.baseline]
    sides = [_sides(name, judged, book) for name in challengers]
    twins = [one.candidate for one in evidence if one.candidate not in scenario.candidates]
    return {
        "baseline": scenario.baseline,
        "subject": subject,
        "challengers": challengers,
        "brief": change.brief({name: one.schema.text for name, one in scenario.candidates.items()}, scenario.baseline),
        "twins": [
            book.datum(address("evidence", name, scenario.objective, "candidate"), "name")
            for name in dict.fromkeys(twins)
            if _place(book, "evidence", name, scenario.objective) is not None
        ],
        "requirements": _requirements(scenario, book),
        "exact": _exact(evidence, challengers, book),
        "exact_same": _silent(evidence, challengers, book),
        "driven": _driven(judged, book),
        "objective": _of_metric(scenario.objective, [*challengers, *dict.fromkeys(twins)], book),
        "described": _described(scenario, evidence, book),
        "work": [row for one in _WORK if (row := _of_metric(one, challengers, book))["any"] is not None],
        "peak": [row for one in peak.RATES if (row := _of_metric(one, challengers, book))["any"] is not None],
        "catalogue": _catalogue(judged, book),
        "reasons": _reasons([one for one in judged.reasons if one.candidate == subject], book),
        "others": _reasons([one for one in judged.reasons if one.candidate != subject], book),
        "explained": _explained(judged, book, subject),
        "sides": sides,
        "open": _open(sides),
        "scopes": _scopes([one for one in evidence if one.candidate == subject], book),
        "autovacuum_off": any(one.settings.get("autovacuum", {}).get("value") == "off" for one in judged.prepared),
        "appends": any(step.do == "append" for step in scenario.round),
        "blind": metrics.row(scenario.objective).better == "lower"
        and (judged.weighed.decision.smallest_effect or 0.0) >= BLIND,
        "broken": _broken(judged, book),
        "unsaid": all(row.kept is None for row in judged.sheet),
        "taken": any(row.because == project.TAKEN for row in judged.sheet),
        "watch": _watch(judged, book),
        "empty": [_name(book, name) for name in found_nothing(scenario, judged.prepared)],
        "pick": _instance(judged.prepared, judged.weighed.decision.pick, book),
    }


# --- tables ---------------------------------------------------------------------------------


def _requirements(scenario: Scenario, book: Book) -> list[dict[str, Any]]:
    """A row a requirement: its limit, and each candidate's evidence, None where there is none."""
    return [
        {
            "limit": book.place(address("scenario", "requirements", n)),
            "cells": [_place(book, "requirement", str(n), name) for name in scenario.candidates],
        }
        for n in range(len(scenario.requirements))
    ]


def _exact(evidence: Sequence[Evidence], challengers: Sequence[str], book: Book) -> list[dict[str, Any]]:
    """A row for each exact metric in which some challenger differs from the baseline."""
    rows = []
    for metric in _metrics(evidence, Family.EXACT, challengers):
        verdicts = {one.verdict for one in evidence if one.metric == metric and one.candidate in challengers}
        if verdicts != {Verdict.SAME}:
            rows.append(_of_metric(metric, challengers, book))
    return rows


def _silent(evidence: Sequence[Evidence], challengers: Sequence[str], book: Book) -> list[Datum]:
    """The exact metrics in which all challengers are the same as the baseline: by label, or in full.

    A label stands for all queries, so it is used where no query differs in it, in what did not repeat exactly either.
    """
    exact = [one for one in evidence if one.family == Family.EXACT and one.candidate in challengers]
    loud = {one.metric for one in exact if one.verdict != Verdict.SAME}
    described = {one.metric for one in evidence if one.family == Family.DESCRIBED and one.candidate in challengers}
    labels = {dossier.label(metric) for metric in loud | described}
    found: dict[str, Datum] = {}
    for one in exact:
        if one.metric not in loud | described:
            datum = _told(book.place(address("evidence", one.candidate, one.metric)), short=one.metric, labels=labels)
            found.setdefault(datum.text, datum)
    return list(found.values())


def _driven(judged: Judged, book: Book) -> list[dict[str, Any]]:
    """A row a query: each candidate's blocks per call in peace and driven, where they differ for any."""
    seen, rows = project.driven(judged.measurements), []
    for query in judged.scenario.workload.queries:
        metric, cells, apart = f"query.{query.name}.blocks_per_call", [], False
        for name in judged.scenario.candidates:
            place = _instance(judged.prepared, name, book)
            counted = None if place is None else _metric_of(place, metric)
            cells.append((counted, _place(book, "driven", name, query.name)))
            load = seen.get((name, query.name))
            mine = [one.metrics[metric][-1] for one in judged.prepared if counted and one.instance.candidate == name]
            apart |= load is not None and bool(mine) and abs(mine[0] - load) > project.TOLERANCE * load
        if apart:
            rows.append({"query": book.place(address("scenario", "queries", query.name)), "cells": cells})
    return rows


def _told(place: Place, *, short: str, labels: Collection[str]) -> Datum:
    """A metric's label, or its name where the label of metric *short* is among *labels* and so taken."""
    return place["metric"].printed("name") if dossier.label(short) in labels else place["label"].printed("text")


def _metrics(evidence: Iterable[Evidence], family: Family, candidates: Sequence[str]) -> list[str]:
    """The metrics of *family*, in the order of the evidence, each once."""
    return list(dict.fromkeys(one.metric for one in evidence if one.family == family and one.candidate in candidates))


def _of_metric(metric: str, candidates: Sequence[str], book: Book) -> dict[str, Any]:
    """One metric's cells; `any` is the place of the first there is, for the metric's and the base's sake."""
    cells = [_place(book, "evidence", name, metric) for name in candidates]
    return {"cells": cells, "any": next((cell for cell in cells if cell is not None), None)}


def _described(scenario: Scenario, evidence: Sequence[Evidence], book: Book) -> list[dict[str, Any]]:
    """One table for each query, and one for what is not about a query; columns are `columns`."""
    names = list(dict.fromkeys(one.candidate for one in evidence if one.family == Family.DESCRIBED))
    found = _metrics(evidence, Family.DESCRIBED, names)
    tables = []
    for query in ["", *(one.name for one in scenario.workload.queries)]:
        mine = [metric for metric in found if metric.startswith(f"query.{query}.")]
        if not query:
            mine = [metric for metric in found if not metric.startswith("query.")]
        if mine:
            title = book.place(address("scenario", "queries", query)) if query else None
            tables.append({"query": title, "names": names, "rows": [_of_metric(m, names, book) for m in mine]})
    return tables


def _catalogue(judged: Judged, book: Book) -> dict[str, Any] | None:
    """The points of the study, for the query that takes the most locks at the largest of them."""
    if not judged.studies:
        return None
    largest = max(judged.studies, key=lambda one: one.partitions)
    locks = {k: max(v) for k, v in largest.metrics.items() if k.endswith(".locks_per_call")}
    if not locks:
        return None
    query = max(locks, key=lambda name: locks[name]).split(".")[1]
    wanted = [f"query.{query}.{what}" for what in ("locks_per_call", "fast_path_misses_per_call")]
    wanted += [f"query.{query}.{what}" for what in ("partitions_per_call", "planning_ms", "first_query_ms")]
    wanted.append("backend_memory_bytes")
    candidate = largest.candidate
    points = [one for one in judged.studies if one.candidate == candidate]
    rows = [
        _point(book, ("catalogue", candidate, "points", str(one.partitions)), wanted)
        for one in sorted(points, key=lambda one: one.partitions)
    ]
    lab = _instance(judged.prepared, candidate, book)
    there = next((n for n, row in enumerate(judged.sheet) if _in_all(row.invariant, row.of, candidate)), None)
    sheet_row = None if there is None else book.place(address("sheet", there))
    return {
        "candidate": book.place(address("scenario", "candidates", candidate)),
        "query": book.place(address("scenario", "queries", query)),
        "rows": rows,
        "timed": None if lab is None else [_metric_of(lab, name) for name in wanted],
        "sheet": sheet_row,
        "nearest": _nearest(judged, candidate, there, rows),
    }


def _in_all(invariant: str, of: str, candidate: str) -> bool:
    return invariant == "partitions in all" and of == candidate


def _nearest(judged: Judged, candidate: str, there: int | None, rows: Sequence[dict[str, Any]]) -> Any:
    """The row of the study nearest to production's number of partitions, None where that is unknown."""
    due = None if there is None else judged.sheet[there].production
    counts = sorted(one.partitions for one in judged.studies if one.candidate == candidate)
    return None if due is None else rows[min(range(len(counts)), key=lambda n: abs(counts[n] - due))]


def _point(book: Book, keys: Sequence[str], wanted: Sequence[str]) -> dict[str, Any]:
    place = book.place(address(*keys))
    return {"partitions": place["partitions"], "cells": [_metric_of(place, name) for name in wanted]}


def _metric_of(place: Place, metric: str) -> Place | None:
    counted = place["metrics"]
    return counted[metric] if metric in counted else None  # noqa: SIM401  a Place has no get


# --- why, and for and against ---------------------------------------------------------------


def _reasons(reasons: Sequence[Reason], book: Book) -> list[dict[str, Any]]:
    """Each candidate's reasons; the pieces of a sentence are words and data, in order."""
    found: dict[str, list[dict[str, Any]]] = {}
    for one in reasons:
        about = book.place(address("reasons", one.rule, one.candidate, one.query))
        pieces: list[str | Datum] = [
            book.datum(piece.address, piece.form) if isinstance(piece, Cite) else piece for piece in one.pieces
        ]
        found.setdefault(one.candidate, []).append({"about": about, "pieces": pieces})
    return [
        {"candidate": book.place(address("scenario", "candidates", name)), "sentences": sentences}
        for name, sentences in found.items()
    ]


def _explained(judged: Judged, book: Book, subject: str | None) -> list[dict[str, Any]]:
    """Query -> the plan lines of the baseline and of *subject*, where both have them."""
    base = _instance(judged.prepared, judged.scenario.baseline, book)
    own = _instance(judged.prepared, subject, book)
    if base is None or own is None:
        return []
    names = [one.name for one in judged.scenario.workload.queries]
    return [
        {"base": base["plans"][name], "own": own["plans"][name]}
        for name in names
        if name in base["plans"] and name in own["plans"]
    ]


def _sides(candidate: str, judged: Judged, book: Book) -> dict[str, Any]:
    """What was promised of *candidate*, and what the claims say for it and against it."""
    mine = [one for one in judged.weighed.evidence if one.candidate == candidate]
    limits = [_place(book, "requirement", str(n), candidate) for n in range(len(judged.scenario.requirements))]

    def claimed(wanted: Verdict) -> list[Place]:
        return [
            book.place(address("evidence", candidate, one.metric))
            for one in mine
            if one.verdict == wanted and one.family in _CLAIMED
        ]

    def required(wanted: Verdict) -> list[Place]:
        return [place for place in limits if place is not None and place["verdict"] == str(wanted)]

    unclear = claimed(Verdict.UNCLEAR)
    known = set(map(_metric, unclear))
    return {
        "candidate": book.place(address("scenario", "candidates", candidate)),
        "for": _grouped(claimed(Verdict.BETTER)),
        "against": _grouped(claimed(Verdict.WORSE)),
        "failed": required(Verdict.NOT_MET),
        "open": unclear + [place for place in required(Verdict.NOT_SHOWN) if _metric(place) not in known],
    }


def _metric(place: Place) -> str:
    return place["metric"].printed("name").text


def _grouped(places: Iterable[Place]) -> list[list[Place]]:
    """Evidence by label, so that one metric of several queries is told once, with its queries."""
    groups: dict[str, list[Place]] = {}
    for place in places:
        groups.setdefault(place["label"].printed("text").text, []).append(place)
    return list(groups.values())


def _open(sides: Sequence[dict[str, Any]]) -> list[list[Place]]:
    """What is not shown, by metric: for each the evidence of the candidates it is not shown of."""
    groups: dict[str, list[Place]] = {}
    for place in (place for side in sides for place in side["open"]):
        groups.setdefault(_metric(place), []).append(place)
    return list(groups.values())


def _scopes(evidence: Sequence[Evidence], book: Book) -> dict[str, list[dict[str, Any]]]:
    """Scope -> what is claimed in it by its label; with `queries` where not all queries are; all sizes as one."""
    claimed = {one.metric: one for one in evidence if one.family in _CLAIMED}
    reaches: dict[str, set[str]] = {}
    for one in claimed.values():
        reaches.setdefault(_kind(one.metric), set()).add(str(one.scope))
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for one in claimed.values():
        place, kind = book.place(address("evidence", one.candidate, one.metric)), _kind(one.metric)
        empty = {"label": place["label"].printed("text"), "sizes": kind == _SIZES, "queries": []}
        entry = found.setdefault(str(one.scope), {}).setdefault(kind, empty)
        if len(reaches[kind]) > 1 and one.metric.startswith("query."):
            entry["queries"].append(place["query"].printed("name"))
    return {scope: list(found[scope].values()) for scope in map(str, Scope) if scope in found}


_SIZES = "size."


def _kind(metric: str) -> str:
    return _SIZES if metric.startswith(_SIZES) else dossier.label(metric)


def _broken(judged: Judged, book: Book) -> list[Datum]:
    """The invariants that the lab does not keep for every candidate, each once."""
    names = {row.invariant: n for n, row in reversed(list(enumerate(judged.sheet))) if not row.kept}
    return [book.datum(address("sheet", n, "invariant"), "text") for n in sorted(names.values())]


def _watch(judged: Judged, book: Book) -> list[dict[str, Any]]:
    """What the decided-for candidate's queries touched per call here: the values to watch for."""
    decided = judged.weighed.decision.pick or judged.scenario.baseline
    place = _instance(judged.prepared, decided, book)
    if place is None:
        return []
    rows = []
    for query in judged.scenario.workload.queries:
        counted = [
            _metric_of(place, f"query.{query.name}.{what}")
            for what in ("blocks_per_call", "rows_per_call", "locks_per_call")
        ]
        cells = [counted[0], _place(book, "driven", decided, query.name), *counted[1:]]
        if any(cell is not None for cell in cells):
            rows.append({"query": book.place(address("scenario", "queries", query.name)), "cells": cells})
    return rows


def _name(book: Book, query: str) -> Datum:
    return book.datum(address("scenario", "queries", query, "name"), "name")


def _instance(prepared: Sequence[Prepared], candidate: str | None, book: Book) -> Place | None:
    """The place of a candidate's first instance, the twin left aside."""
    loads = [one.instance.load for one in prepared if one.instance.candidate == candidate and not one.instance.twin]
    return book.place(address("instances", f"{candidate}.{min(loads)}")) if loads else None


def _place(book: Book, *keys: str) -> Place | None:
    """The place at *keys*, None where nothing stands there."""
    try:
        book.value(address(*keys))
    except KeyError:
        return None
    return book.place(address(*keys))
