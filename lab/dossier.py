"""A judged run as one tree of facts: what a Book holds and a plan may print.

    scenario/  run/  method/           what was asked, where it ran, how it was judged
    inputs/                            which rows there were, and where queries had their parameters from
    evidence/<candidate>/<metric>/     what may be said against the baseline
    requirement/<n>/<candidate>/       what may be said of the scenario's n-th limit, from 0
    decision/  objective/              what to do, and how sure that is
    instances/<candidate>.<load>/      counted metrics, settings, guarantees, EXPLAIN as lines
    catalogue/<candidate>/<n>/         the points of the catalogue study
    driven/<candidate>/<query>/        blocks per call while load was driven
    waits/                             what sessions waited for meanwhile, by candidate
    load/                              who sent it, and what that took of the processors
    trials/  doubts/  disagreements/   how many there were, which are left out and why
    twin/  sheet/  reasons/  changes/  the difference of nothing; production and lab; why; what to do
    shapes/                            what serves each candidate, where some is no single server
    figure/  peak/                     the places of everything drawn (figure.py), rows at peak (peak.py)

Addresses are stable: where the same thing is told of two runs, it stands at the same address.
"""

import math
import re
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

from lab import change, explain, form, inputs, margin, metrics, shape
from lab import waits as waits_
from lab.check import ABOUT, NOTES
from lab.model import (
    Candidate,
    Doubt,
    Evidence,
    Family,
    Measurement,
    Prepared,
    Requirement,
    Scenario,
    Study,
    Verdict,
    Weighed,
)
from lab.project import Row, driven
from lab.reasons import Reason

METHOD: Mapping[str, Any] = {"level": 0.95, "power": 0.80, "look": 0.10}
"""What the intervals hold with, the smallest effect is found with, and `look` is marked at."""


class Differs(Protocol):
    """An answer that is not the baseline's (check.Disagreement)."""

    @property
    def candidate(self) -> str:
        """The instance's name."""

    @property
    def query(self) -> str:
        """The query that it answers otherwise."""


class Lacks(Protocol):
    """A quantile that no trial of an instance has operations enough for (measure.NotEstimable)."""

    @property
    def metric(self) -> str:
        """The quantile's metric."""

    @property
    def operations(self) -> int:
        """The most operations that a trial has."""

    @property
    def needs(self) -> int:
        """How many it would take."""


@dataclass(frozen=True)
class Judged:
    """All that judging one run brought to light: the input of plan.plan.

    *run* is run.json; it has at least `id`. *method* has at least `version`; *root* is the Merkle
    root of the store. *sheet* is project.sheet's, *disagreements* check.disagreements' and
    *not_estimable* measure.not_estimable's.
    """

    scenario: Scenario
    weighed: Weighed
    run: Mapping[str, Any]
    method: Mapping[str, Any]
    root: str
    prepared: Sequence[Prepared]
    measurements: Sequence[Measurement] = ()
    studies: Sequence[Study] = ()
    doubts: Sequence[Doubt] = ()
    disagreements: Sequence[Differs] = ()
    reasons: Sequence[Reason] = ()
    sheet: Sequence[Row] = ()
    planned_rounds: int | None = None
    not_estimable: Sequence[Lacks] = ()
    load: Mapping[str, Any] = field(default_factory=dict)
    waits: Mapping[str, waits_.Waits] = field(default_factory=dict)


def facts(judged: Judged, subject: str | None) -> dict[str, Any]:
    """The whole tree; *subject* is the challenger that `changes` describes, None for nobody."""
    scenario, weighed = judged.scenario, judged.weighed
    return {
        "scenario": _scenario(scenario),
        "inputs": inputs.facts(scenario, judged.prepared),
        "run": {key: value for key, value in judged.run.items() if key not in ("scenario", "files")},
        "method": {**METHOD, **judged.method},
        "root": judged.root,
        "evidence": _nested(_evidence(one) for one in weighed.evidence if one.family != Family.REQUIREMENT),
        "requirement": _required(weighed.evidence, scenario),
        "decision": asdict(weighed.decision) | {"time_refused": weighed.time_refused},
        "objective": margin.facts(scenario, weighed),
        "rounds": {"entered": weighed.rounds, "planned": judged.planned_rounds},
        "twin": {metric: {"metric": metric, "share": math.expm1(log)} for metric, log in weighed.twin.items()},
        "instances": {f"{one.instance.candidate}.{one.instance.load}": _instance(one) for one in judged.prepared},
        "catalogue": _catalogue(judged.studies),
        "driven": _driven(judged.measurements),
        "waits": waits_.facts(judged.waits),
        "trials": _trials(judged.measurements, judged.doubts),
        "doubts": _doubts(judged.doubts),
        "disagreements": _disagreements(judged.disagreements),
        "not_estimable": _not_estimable(judged.not_estimable),
        "load": judged.load,
        "sheet": [_sheet_row(row) for row in judged.sheet],
        "reasons": _reasons(judged.reasons),
        "changes": _changes(judged, subject) if subject else {},
        "shapes": shape.facts(scenario, judged.prepared),
    }


# --- what was asked -------------------------------------------------------------------------


def _scenario(scenario: Scenario) -> dict[str, Any]:
    return {
        "name": scenario.name,
        "question": scenario.question,
        "baseline": scenario.baseline,
        "profile": scenario.profile,
        "objective": {"metric": scenario.objective, "better": metrics.row(scenario.objective).better},
        "least_effect": asdict(scenario.least_effect),
        "requirements": [_requirement(one) for one in scenario.requirements],
        "unsafe": scenario.unsafe,
        "isolation": scenario.isolation,
        "cache": {"strict": scenario.lab.strict, "cold": scenario.cache == "cold"},
        "clients": scenario.workload.clients,
        "candidates": {name: _candidate(one) for name, one in scenario.candidates.items()},
        "queries": {query.name: {"name": query.name, "weight": query.weight} for query in scenario.workload.queries},
    }


def _requirement(one: Requirement) -> dict[str, Any]:
    return {
        "metric": one.metric,
        "limit": one.at_most if one.at_most is not None else one.at_least,
        "at_most": one.at_most is not None,
        "limit_ms": one.limit_ms,
        **_unit(one.metric),
    }


def _candidate(one: Candidate) -> dict[str, Any]:
    return {
        "name": one.name,
        "hypothesis": one.hypothesis,
        "schema": {"file": one.schema.file, "text": one.schema.text},
        "load": one.load and {"file": one.load.file, "text": one.load.text},
        "steps": {name: {"name": name, "file": sql.file, "text": sql.text} for name, sql in one.steps.items()},
        "settings": dict(one.settings),
    }


# --- what may be said -----------------------------------------------------------------------


def _evidence(one: Evidence) -> dict[str, Any]:
    """One piece of evidence, with the forms of its numbers: `shape` for the claim, `unit` for the sides."""
    unit = metrics.row(one.metric).unit
    shapes = {"ratio": "ratio", "difference": form.of_unit(unit, signed=True), "value": form.of_unit(unit)}
    return {
        "candidate": one.candidate,
        "against": one.against,
        "metric": one.metric,
        "label": label(one.metric),
        "query": one.metric.split(".")[1] if one.metric.startswith("query.") else "",
        "scale": one.scale,
        "shape": shapes[one.scale],
        "unit": form.of_unit(unit),
        "value": one.value,
        "low": one.low,
        "high": one.high,
        "bounded": math.isfinite(one.low) and math.isfinite(one.high),
        "family": str(one.family),
        "verdict": str(one.verdict),
        "scope": str(one.scope),
        "because": one.because,
        "trials": len(one.trials),
        "own": one.own,
        "base": one.base,
        "look": one.look,
    }


def _required(evidence: Sequence[Evidence], scenario: Scenario) -> dict[str, dict[str, Any]]:
    """Requirement by its place in the scenario -> candidate -> evidence. One metric may have several limits."""
    left = [one for one in evidence if one.family == Family.REQUIREMENT]
    found: dict[str, dict[str, Any]] = {}
    for n, limit in enumerate(scenario.requirements):
        found[str(n)] = {}
        for name in scenario.candidates:
            mine = next((one for one in left if one.candidate == name and _about(one, limit)), None)
            if mine is not None:
                left.remove(mine)
                found[str(n)][name] = _evidence(mine) | _kept(mine, limit)
    return found


def _about(one: Evidence, limit: Requirement) -> bool:
    """Whether *one* is evidence about *limit*: require.py gives it the limit's side and value."""
    given = limit.at_least if limit.at_most is None else limit.at_most
    side = "at_least" if limit.at_most is None else "at_most"
    return (one.metric, one.against, one.base) == (limit.metric, side, given)


def _kept(one: Evidence, limit: Requirement) -> dict[str, Any]:
    """How far the bound that counts is within a limit, as a factor; None where it is not, or not finite.

    A limit on a percentile is judged by the share of operations over it: then `allowed` is the
    share that may be, and the evidence's own numbers are shares.
    """
    allowed = _may_exceed(limit)
    shape = {"shape": "percent", "allowed": allowed} if allowed is not None else {"allowed": None}
    spare = None
    if limit.at_most is not None and 0 < one.high < math.inf:
        spare = (limit.at_most if allowed is None else allowed) / one.high
    elif limit.at_least and 0 < one.low < math.inf:
        spare = one.low / limit.at_least
    return {**shape, "spare": spare if spare is not None and one.verdict == Verdict.MET else None}


def _may_exceed(limit: Requirement) -> float | None:
    """The share of operations that may be over a limit on a percentile; None for any other metric.

    >>> [_may_exceed(Requirement(metric, at_most=9.0)) for metric in ("query.recent.p95_ms", "retire.ms")]
    [0.05, None]
    """
    found = re.fullmatch(r"query\.\w+\.p(\d+)_ms", limit.metric)
    return round(1 - float(f"0.{found[1]}"), 6) if found and limit.at_most is not None else None


def _nested(evidence: Iterable[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """candidate -> metric -> evidence; two pieces under one address are a bug."""
    found: dict[str, dict[str, Any]] = {}
    for one in evidence:
        of_candidate = found.setdefault(one["candidate"], {})
        if one["metric"] in of_candidate:
            raise ValueError(f"{one['candidate']}/{one['metric']}: two pieces of evidence have this address")
        of_candidate[one["metric"]] = one
    return found


# --- what was counted -----------------------------------------------------------------------


def _instance(one: Prepared) -> dict[str, Any]:
    return {
        "name": one.instance.name,
        "candidate": one.instance.candidate,
        "metrics": {name: _counted(name, values) for name, values in one.metrics.items()},
        "settings": {name: {"name": name, "value": change.setting(found)} for name, found in one.settings.items()},
        "guarantees": list(one.guarantees),
        "report": dict(one.report),
        "plans": {
            query: {"name": query, "lines": explain.lines(entries[0])}
            for query, entries in one.explains.items()
            if entries
        },
    }


def _counted(name: str, values: Sequence[float]) -> dict[str, Any]:
    """A metric's passes, and the value that stands for them: the median, which is one of equals if exact."""
    return {"metric": name, "value": statistics.median(values), "values": list(values), **_unit(name)}


def _catalogue(studies: Sequence[Study]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for study in sorted(studies, key=lambda one: one.partitions):
        point = {"partitions": study.partitions, "metrics": {k: _counted(k, v) for k, v in study.metrics.items()}}
        found.setdefault(study.candidate, {"candidate": study.candidate, "points": {}})["points"][
            str(study.partitions)
        ] = point
    return found


def _driven(measurements: Sequence[Measurement]) -> dict[str, Any]:
    """candidate -> query -> blocks per call while load was driven."""
    found: dict[str, Any] = {}
    for (candidate, query), blocks in driven(measurements).items():
        found.setdefault(candidate, {})[query] = {"value": blocks, "shape": form.of_unit("blocks")}
    return found


def _trials(measurements: Sequence[Measurement], doubts: Sequence[Doubt]) -> dict[str, int]:
    trials = {one.trial for one in measurements if one.round is not None}
    out = {doubt.trial for doubt in doubts if doubt.leaves_out}
    return {"total": len(trials | out), "left_out": len(out)}


def _doubts(doubts: Sequence[Doubt]) -> list[dict[str, Any]]:
    """One entry a kind, gravest first: those that leave trials out, then those about time.

    *count* is of *of*: trials, or what the kind is about otherwise (check.ABOUT).
    """
    kinds = {doubt.kind: doubt for doubt in doubts}
    return [
        {
            "kind": kind,
            "what": one.what,
            "leaves_out": one.leaves_out,
            "noted": kind in NOTES,
            "trials": sorted({doubt.trial for doubt in doubts if doubt.kind == kind}),
            "count": len({doubt.trial for doubt in doubts if doubt.kind == kind}),
            "of": ABOUT.get(kind, "trials"),
        }
        for kind, one in sorted(kinds.items(), key=lambda item: not item[1].leaves_out)
    ]


def _disagreements(found: Sequence[Differs]) -> list[dict[str, Any]]:
    """One entry for each candidate and query, with the number of parameter sets that differ."""
    pairs = [(one.candidate, one.query) for one in found]
    return [{"candidate": c, "query": q, "sets": pairs.count((c, q))} for c, q in dict.fromkeys(pairs)]


def _not_estimable(found: Sequence[Lacks]) -> list[dict[str, Any]]:
    """One entry for each metric: the most operations that a trial of any instance has."""
    most: dict[str, Lacks] = {}
    for one in found:
        if one.metric not in most or one.operations > most[one.metric].operations:
            most[one.metric] = one
    return [{"metric": name, "operations": one.operations, "needs": one.needs} for name, one in most.items()]


def _sheet_row(row: Row) -> dict[str, Any]:
    return {**asdict(row), "shape": form.of_unit(row.unit)}


def _reasons(reasons: Sequence[Reason]) -> dict[str, Any]:
    """rule -> candidate -> query -> what the rule reckoned, beside what it is about and rests on."""
    found: dict[str, Any] = {}
    for one in reasons:
        found.setdefault(one.rule, {}).setdefault(one.candidate, {})[one.query] = {
            **one.facts,
            "rule": one.rule,
            "query": one.query,
            "page": one.page,
        }
    return found


# --- what would change ----------------------------------------------------------------------


def _changes(judged: Judged, subject: str) -> dict[str, Any]:
    """From the baseline to *subject*, each by its first instance."""
    candidates, baseline = judged.scenario.candidates, judged.scenario.baseline
    first = {one.instance.candidate: one for one in reversed(judged.prepared) if not one.instance.twin}
    return change.changes(candidates[baseline], candidates[subject], first.get(baseline), first.get(subject))


# --- words ----------------------------------------------------------------------------------


def label(metric: str) -> str:
    """A metric in a reader's words, without its query, which is named beside it or does not matter.

    >>> [label(name) for name in ("query.recent.p95_ms", "size.total_bytes", "retire.ms", "cpu_s_per_op")]
    ['p95', 'size total', 'retire', 'cpu s per op']
    """
    group, _, name = metric.rpartition(".")
    words = f"_{name}".removesuffix("_ms").removesuffix("_bytes").replace("_", " ").strip()
    return words if group.startswith("query.") else f"{group} {words}".strip()


def _unit(metric: str) -> dict[str, str]:
    return {"shape": form.of_unit(metrics.row(metric).unit), "label": label(metric)}
