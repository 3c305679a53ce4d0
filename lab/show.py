"""What a terminal shows: the list of stored runs, and one judged run as a few tables of text.

The plan is for reading at leisure; here stand the same numbers, in the same forms, at a glance. Why
a candidate may not be chosen stands in its row.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from lab import archive, dossier, form, judge, metrics, store
from lab.dossier import Judged
from lab.errors import RecordError
from lab.model import Evidence, Family, Json, Verdict

_IDS = 3  # of trials left out, so many are named


@dataclass(frozen=True)
class Table:
    """Columns and rows of text, under a *title*."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True)
class Shown:
    """A judged run at a glance. *notes*: what is left out of it, and why, a line each."""

    question: str
    decision: str
    tables: tuple[Table, ...]
    notes: tuple[str, ...]
    plan: Json

    def data(self) -> dict[str, Json]:
        """The same for programs."""
        return asdict(self)


# --- the list of runs -----------------------------------------------------------------------


def listed(results: Path) -> tuple[list[dict[str, Json]], list[str]]:
    """What a list shows of each run, oldest first; and what is wrong with the runs that cannot be read."""
    found, broken = [], []
    with archive.laid_out(results) as (runs, told):
        for folder in store.runs(runs):
            try:
                found.append({**about(folder), "folder": told(folder.as_posix())})
            except RecordError as error:
                broken.append(told(str(error)))
    return found, broken


def about(folder: Path) -> dict[str, Json]:
    """What a list of runs shows of one; RecordError naming the file that cannot be read."""
    run = store.read_run(folder)
    return {
        "scenario": run["scenario"]["name"],
        "run": run["id"],
        "folder": folder.as_posix(),
        "host": f"{run['on']} {run['host']['postgres']}",
        "rounds": store.planned(folder),
        "trials": len(store.trials_of(folder)),
        "bytes": sum(path.lstat().st_size for path in folder.rglob("*") if path.is_file()),
        "complete": store.complete(folder),
    }


def runs_table(found: Sequence[Mapping[str, Json]]) -> Table:
    """The list of runs as a table."""
    columns = ["scenario", "run", "host", "rounds", "trials", "size", "complete"]
    rows = [[str({**one, "size": form.size(one["bytes"])}[column]) for column in columns] for one in found]
    return Table("", columns, [[*row[:-1], "yes" if row[-1] == "True" else "no"] for row in rows])


# --- a run to come --------------------------------------------------------------------------


def foretold(found: Mapping[str, Json]) -> Iterator[str]:
    """What a run would take and could show (session.rehearse), for people."""
    names, seconds = ", ".join(found["candidates"]), found["seconds"]
    yield f"{found['scenario']}, on {found['on']}: {names} ({found['instances']} instances)"
    yield (
        f"{found['rounds']} rounds, {found['trials']} trials: about {seconds // 60}:{seconds % 60:02d} minutes, "
        f"{form.size(found['disk_bytes'])} of disk"
    )
    for noise, share in found["smallest_effects"].items():
        yield f"smallest {found['improvement']} that this run can show, {noise}: {share:.1%}"
    yield from found["warnings"]


# --- one run --------------------------------------------------------------------------------


def shown(folder: Path) -> Shown:
    """The run in *folder*, judged; RecordError where it cannot be read or is not as it was written."""
    store.whole(folder)
    judgement = judge.judge(folder)
    return page(judgement.judged, judgement.data(), absent=_absent(judgement.judged))


def page(judged: Judged, plan: Json, *, absent: Sequence[str] = ()) -> Shown:
    """A judged run at a glance; *absent* are the scenario's candidates that were not run."""
    tables = (_candidates(judged), _requirements(judged), _exact(judged))
    return Shown(
        question=judged.scenario.question,
        decision=_decision(judged),
        tables=tuple(table for table in tables if table.rows),
        notes=tuple(_notes(judged, plan, absent)),
        plan=plan,
    )


def _absent(judged: Judged) -> list[str]:
    """The candidates of the scenario that --only left out."""
    if not judged.run["overrides"]["only"]:
        return []
    whole = {**judged.run, "overrides": {**judged.run["overrides"], "only": []}}
    return [name for name in judge.scenario_of(whole).candidates if name not in judged.scenario.candidates]


def _decision(judged: Judged) -> str:
    decision = judged.weighed.decision
    words = {"recommend": "recommended", "keep": "keep", "open": "open", "no": "no"}[decision.kind]
    rounds = f"{judged.weighed.rounds} of {judged.planned_rounds} rounds"
    return f"{' '.join(filter(None, [words, decision.pick]))}: {'; '.join(decision.because)} ({rounds})"


def _candidates(judged: Judged) -> Table:
    """A row a candidate, and the twin: requirements, objective, and whether it may be chosen."""
    metric, baseline = judged.scenario.objective, judged.scenario.baseline
    claims = {one.candidate: one for one in judged.weighed.evidence if one.metric == metric and _against(one)}
    base = next((one.base for one in claims.values() if one.base is not None), None)
    names = dict.fromkeys([*judged.scenario.candidates, *claims])
    columns = ["candidate", "requirements", metric, f"against {baseline}", "interval", "verdict", "loses at most"]
    rows = [
        [name, _kept(judged, name), *_objective(name, claims.get(name), judged, base), _standing(judged, name)]
        for name in names
    ]
    return Table("", [*columns, "may be chosen"], rows)


def _objective(name: str, claim: Evidence | None, judged: Judged, base: float | None) -> list[str]:
    """The objective of one candidate: value, against the baseline, interval, verdict, the most it may lose."""
    may_lose = judged.weighed.decision.may_lose.get(name)
    lost = "-" if may_lose is None else form.percent(may_lose)
    if name == judged.scenario.baseline:
        return [_value(judged.scenario.objective, base), "", "", "baseline", lost]
    if claim is None:
        return ["-", "", "", "not measured", lost]
    return [_value(claim.metric, claim.own), _scaled(claim, claim.value), _interval(claim), str(claim.verdict), lost]


def _kept(judged: Judged, name: str) -> str:
    """How many of the requirements a candidate is shown to meet."""
    found = [one for one in judged.weighed.evidence if one.family is Family.REQUIREMENT and one.candidate == name]
    due = len(judged.scenario.requirements)
    if not due or name not in judged.scenario.candidates:
        return "-"
    counts = {verdict: sum(one.verdict is verdict for one in found) for verdict in (Verdict.MET, Verdict.NOT_MET)}
    failed = f", {counts[Verdict.NOT_MET]} not met" if counts[Verdict.NOT_MET] else ""
    return f"{counts[Verdict.MET]} of {due} met{failed}"


def _standing(judged: Judged, name: str) -> str:
    """Whether a candidate may be chosen, and why not."""
    if name not in judged.weighed.standing:
        return "a second load of the baseline" if name not in judged.scenario.candidates else "-"
    verdict, because = judged.weighed.standing[name]
    if verdict is Verdict.MET:
        return "yes, chosen" if name == judged.weighed.decision.pick else "yes"
    words = "a requirement is not met" if verdict is Verdict.NOT_MET else "not shown to meet all requirements"
    return f"no: {because or words}"


def _requirements(judged: Judged) -> Table:
    """A row a requirement, with what is shown of each candidate."""
    facts = dossier.facts(judged, None)
    names = list(judged.scenario.candidates)
    rows = []
    for n, limit in enumerate(facts["scenario"]["requirements"]):
        side = "at most" if limit["at_most"] else "at least"
        over = f" over {form.in_unit(limit['limit_ms'], 'ms')}" if limit["limit_ms"] is not None else ""
        words = f"{limit['metric']}{over} {side} {form.FORMS[limit['shape']](limit['limit'])}"
        rows.append([words, *(_limited(facts["requirement"][str(n)].get(name)) for name in names)])
    return Table("requirements", ["limit", *names], rows)


def _limited(one: Mapping[str, Any] | None) -> str:
    if one is None:
        return "not measured"
    here = form.FORMS[one["shape"] if one["allowed"] is not None else one["unit"]](one["value"])
    return f"{one['verdict']} ({here}{' over it' if one['allowed'] is not None else ''})"


def _exact(judged: Judged) -> Table:
    """A row for each metric that repeats exactly and in which some challenger differs from the baseline."""
    baseline = judged.scenario.baseline
    names = [name for name in judged.scenario.candidates if name != baseline]
    exact = [one for one in judged.weighed.evidence if one.family is Family.EXACT and one.candidate in names]
    told = {(one.metric, one.candidate): one for one in exact}
    loud = dict.fromkeys(one.metric for one in exact if one.verdict is not Verdict.SAME)
    rows = []
    for metric in loud:
        base = next(one.base for one in exact if one.metric == metric)
        rows.append([metric, _value(metric, base), *(_counted(told.get((metric, name))) for name in names)])
    return Table(f"counted exactly, against {baseline}", ["metric", baseline, *names], rows)


def _counted(one: Evidence | None) -> str:
    if one is None:
        return "-"
    scaled = f"{_scaled(one, one.value)}, " if one.verdict is not Verdict.SAME else ""
    return f"{_value(one.metric, one.own)}, {scaled}{one.verdict}"


# --- what is left out -----------------------------------------------------------------------


def _notes(judged: Judged, plan: Json, absent: Sequence[str]) -> Iterator[str]:
    if absent:
        yield f"not in this run (--only {','.join(judged.run['overrides']['only'])}): {', '.join(absent)}"
    for doubt in plan["doubts"]:
        about = "noted" if doubt["noted"] else "no evidence about time"
        effect = "left out" if doubt["leaves_out"] else about
        ids = ", ".join(doubt["trials"][:_IDS]) + (", ..." if len(doubt["trials"]) > _IDS else "")
        of = f"of {plan['trials']['total']} trials" if doubt["of"] == "trials" else doubt["of"]
        yield f"{effect}: {doubt['count']} {of}: {doubt['what']} ({ids})"
    pairs = dict.fromkeys((one.candidate, one.query) for one in judged.disagreements)
    for candidate, query in pairs:
        yield f"disqualified: {candidate} answers {query} otherwise than {judged.scenario.baseline}"
    if judged.weighed.time_refused:
        yield f"nothing is said about time: {judged.weighed.time_refused}"


# --- numbers --------------------------------------------------------------------------------


def _against(one: Evidence) -> bool:
    return one.family is not Family.REQUIREMENT


def _value(metric: str, value: float | None) -> str:
    return "-" if value is None else form.FORMS[form.of_unit(metrics.row(metric).unit)](value)


def _scaled(one: Evidence, value: float) -> str:
    """A claim's number: a ratio, or a difference in the metric's unit."""
    shape = "ratio" if one.scale == "ratio" else form.of_unit(metrics.row(one.metric).unit, signed=True)
    return form.FORMS[shape](value)


def _interval(one: Evidence) -> str:
    if not (math.isfinite(one.low) and math.isfinite(one.high)):
        return "not known"
    return f"{_scaled(one, one.low)} to {_scaled(one, one.high)}"
