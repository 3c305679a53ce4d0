"""Is a limit that the scenario declares kept? Met, not met, or not shown, for one candidate.

Each candidate has its own one-sided intervals at alpha / candidates, so that in at most a share
alpha of runs any candidate is said to meet all that is required although it does not: whoever is
said to must pass every requirement, also the one it misses. To be said to miss something, one of R
requirements is enough: that happens to a candidate that meets them all in at most R alpha of runs.

Who is not eligible although its limits are kept is told here too (standing).
"""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from lab import metrics
from lab.measure import quantile_of
from lab.model import Evidence, Family, Requirement, Scope, Verdict
from lab.readings import Case, Readings
from lab.stats import pair, share_bounds, t_quantile

Interval = tuple[float, float, float]
Told = tuple[Interval, tuple[Verdict, str], tuple[str, ...]]

DISQUALIFIED = "a candidate gives other answers than the baseline and is out"
FAILING = "a candidate fails more operations than the baseline and is out"
MAY_FAIL = "a candidate failed more operations than the baseline and is not eligible"
OVERLOAD = "a candidate was overloaded in some trials and is not eligible"


class Standing(NamedTuple):
    """Whether a candidate may be chosen: only if *verdict* is MET.

    *because* is a phrase for the decision where it is not for its requirements, else "".
    """

    verdict: Verdict
    because: str = ""


def standing(case: Case, candidate: str, found: Sequence[Evidence], *, alpha: float) -> Standing:
    """Whether a candidate is eligible, *found* being the evidence about all its requirements.

    A candidate whose answers are not the baseline's, or that fails where the baseline does not, is
    out, however well it does. One whose times are doubtful, or that could not always bear the
    declared rate, is not eligible; a baseline that could not in some trials may still stay.
    """
    verdicts = {e.verdict for e in found if e.candidate == candidate}
    unmeasured = sum(e.candidate == candidate for e in found) < len(case.scenario.requirements)
    failing = _failing(case, candidate, alpha)
    doubtful = "" if case.fitness.refused else case.refuses(metrics.row(case.scenario.objective), candidate)
    if candidate in case.disqualified:
        return Standing(Verdict.NOT_MET, DISQUALIFIED)
    if failing is Verdict.NOT_MET:
        return Standing(Verdict.NOT_MET, FAILING)
    if Verdict.NOT_MET in verdicts:
        return Standing(Verdict.NOT_MET)
    if doubtful:
        return Standing(Verdict.NOT_SHOWN, f"a candidate is not eligible: {doubtful}")
    if candidate in case.fitness.ever and candidate != case.scenario.baseline:
        return Standing(Verdict.NOT_SHOWN, OVERLOAD)
    if failing is Verdict.NOT_SHOWN:
        return Standing(Verdict.NOT_SHOWN, MAY_FAIL)
    if unmeasured or Verdict.NOT_SHOWN in verdicts:
        return Standing(Verdict.NOT_SHOWN)
    return Standing(Verdict.MET)


def _failing(case: Case, candidate: str, alpha: float) -> Verdict:
    """NOT_MET where a query is shown to fail more often than on the baseline, NOT_SHOWN where it only did.

    What fails costs nothing, so that no ratio can tell. Every trial counts that is not left out.
    A query with a declared limit on its error_share is judged by that limit alone.
    """
    declared = {requirement.metric for requirement in case.scenario.requirements}
    verdict = Verdict.MET
    for metric in case.by_metric:
        if not metric.endswith(".error_share") or metric in declared:
            continue
        share, low, _ = _failed(case, metric, candidate, alpha)
        base, _, high = _failed(case, metric, case.scenario.baseline, alpha)
        if share > base and low > high:
            return Verdict.NOT_MET
        if share > base:
            verdict = Verdict.NOT_SHOWN
    return verdict


def _failed(case: Case, metric: str, candidate: str, alpha: float) -> Interval:
    """The share of operations that failed, with its bounds; 0 where nothing was asked."""
    given = [m for m in case.by_metric[metric] if m.instance.name == candidate and m.trial not in case.fitness.out]
    sizes = np.array([float(m.operations or 1) for m in given])
    share, low, high = share_bounds(np.array([m.value for m in given]) * sizes, sizes, alpha)
    return (share if given else 0.0), low, high


def require(case: Case, requirement: Requirement, candidate: str, *, scope: Scope, alpha: float) -> Evidence | None:
    """What the trials say of one requirement on one candidate; None where nothing was measured.

    The evidence is against `at_most` or `at_least`, its *base* the limit and *own* the candidate's
    own value. Of a requirement on pNN, *value*, *low* and *high* are shares of operations over the
    limit; of any other they have the metric's unit. Both bounds are one-sided at *alpha*.
    """
    row = metrics.row(requirement.metric)
    readings = case.readings(requirement.metric, limit_ms=requirement.limit_ms, overloaded=True)
    told = _told(case, requirement, candidate, readings, alpha)
    if told is None:
        return None
    (value, low, high), (verdict, because), trials = told
    evidence = Evidence(
        candidate=candidate,
        against="at_least" if requirement.at_most is None else "at_most",
        metric=requirement.metric,
        scale="value",
        value=value,
        low=low,
        high=high,
        family=Family.REQUIREMENT,
        verdict=verdict,
        scope=scope,
        because=because,
        trials=trials,
        own=readings.mean(candidate) if _ordinal(requirement) else value,
        base=_limit(requirement),
    )
    return _overruled(case, evidence, row)


def _overruled(case: Case, evidence: Evidence, row: metrics.Metric) -> Evidence:
    """The same unless the trials, whatever their numbers, cannot say that: time refused, or overloaded."""
    driven = row.kind in ("time", "rate") and row.after == "drive"
    hopeless = driven and evidence.candidate in case.fitness.often
    if why := case.refuses(row, *([] if hopeless else [evidence.candidate])):
        return replace(evidence, low=-math.inf, high=math.inf, verdict=Verdict.NOT_SHOWN, because=why)
    if not driven or evidence.verdict is Verdict.NOT_MET:
        return evidence
    overloaded = case.fitness.overloaded.intersection(evidence.trials)
    if hopeless:
        because = "the lag grew in most trials: the declared rate is above the capacity"
        return replace(evidence, verdict=Verdict.NOT_MET, because=because)
    if overloaded and quantile_of(row.pattern) is None and not row.pattern.endswith("_share"):
        return replace(evidence, verdict=Verdict.NOT_SHOWN, because="the lag grew in some trials")
    return evidence


def _told(case: Case, requirement: Requirement, candidate: str, readings: Readings, alpha: float) -> Told | None:
    """Interval, verdict with its reason, and trials, by the kind of the metric."""
    quantile = quantile_of(requirement.metric)
    limit = _limit(requirement)
    if quantile is not None and requirement.at_most is not None:
        shares = f"query.{requirement.metric.split('.')[1]}.over_limit_share"
        readings = case.readings(shares, limit_ms=requirement.at_most, overloaded=True)
        limit = 1 - quantile
    if candidate not in readings.sides:
        return None
    trials = readings.trials(candidate)
    value, (low, high) = readings.values(candidate)[0], readings.span(candidate)
    if readings.repeats(candidate):
        value = readings.mean(candidate) or 0.0
        return (value, low, high), _verdict(requirement, limit, low, high, _EXACT), trials
    if requirement.metric.endswith(".max_ms"):
        return (high, high, math.inf), _greatest(high, limit), trials
    if readings.metric.pattern.endswith("_share"):
        value, low, high = _share(case, readings, candidate, alpha)
        words = _NONE_OVER if value == 0 else _SHARE
        return (value, low, high), _verdict(requirement, limit, low, high, words), trials
    value, low, high = _mean(case.readings(requirement.metric), candidate, alpha) or (value, -math.inf, math.inf)
    words = _TIME if high < math.inf else _ALONE
    return (value, low, high), _verdict(requirement, limit, low, high, words), trials


_EXACT = ("the value repeats and is within the limit", "the value repeats and is beyond the limit", "the passes differ")
_SHARE = (
    "the share of operations over the limit is as small as required",
    "too large a share of the operations was over the limit",
    "the share of operations over the limit is not known well enough",
)
_NONE_OVER = ("no operation was over the limit", _SHARE[1], "no operation was over the limit, but there were too few")
_TIME = (
    "the whole interval is within the limit",
    "the whole interval is beyond the limit",
    "the interval holds the limit",
)
_ALONE = (*_TIME[:2], "it is of one load or round only, so that no interval is known (several loads: --profile decide)")


def _ordinal(requirement: Requirement) -> bool:
    """Whether the metric is a quantile or the greatest, of which the evidence tells more than its own value."""
    return quantile_of(requirement.metric) is not None or requirement.metric.endswith(".max_ms")


def _limit(requirement: Requirement) -> float:
    """The one limit that a requirement has."""
    limit = requirement.at_least if requirement.at_most is None else requirement.at_most
    if limit is None:
        raise ValueError(f"{requirement.place}: a requirement without a limit")
    return limit


def _verdict(
    requirement: Requirement, limit: float, low: float, high: float, words: tuple[str, str, str]
) -> tuple[Verdict, str]:
    """Met if the whole interval is on the right side of the *limit*, which itself is right."""
    if requirement.at_most is None:
        low, high, limit = -high, -low, -limit
    if high <= limit:
        return Verdict.MET, words[0]
    if low > limit:
        return Verdict.NOT_MET, words[1]
    return Verdict.NOT_SHOWN, words[2]


def _greatest(seen: float, limit: float) -> tuple[Verdict, str]:
    """One operation refutes a limit on the greatest; no number of them shows it."""
    if seen > limit:
        return Verdict.NOT_MET, "an operation took longer than the limit"
    return Verdict.NOT_SHOWN, "no operation took longer, which does not show that none can"


def _share(case: Case, readings: Readings, candidate: str, alpha: float) -> Interval:
    """A share of operations over all trials; all operations of an overloaded trial were over any limit.

    Trials of one load are one cluster where loads are what is compared: loads differ by more than their slices do.
    Where nobody counted operations only the mean of the trials is known.
    """
    measured = readings.sides[candidate]
    if not any(m.operations for m in measured):
        return math.fsum(m.value for m in measured) / len(measured), 0.0, 1.0
    slow = readings.metric.pattern.endswith("over_limit_share")
    sizes = np.array([float(m.operations or 0) for m in measured])
    overloaded = np.array([slow and m.trial in case.fitness.overloaded for m in measured])
    counts = np.where(overloaded, sizes, np.rint(np.array([m.value for m in measured]) * sizes))
    if readings.by_load:
        loads = np.unique([m.instance.load for m in measured], return_inverse=True)[1]
        counts, sizes = np.bincount(loads, counts), np.bincount(loads, sizes)
    return share_bounds(counts, sizes, alpha)


def _mean(readings: Readings, candidate: str, alpha: float) -> Interval | None:
    """The arithmetic mean over units; over passes of what is counted where there is one unit.

    Of logarithms it would be the geometric one, which a few very slow trials hardly move: whoever
    declares a limit on a mean means that they count in full. Passes that took times repeat each other and not the
    load they were made on: of one load no interval is known.
    """
    values = readings.values(candidate)
    if not values:
        return None
    units = list(readings.units(candidate, log=False).values())
    if len(units) == 1 and readings.metric.kind in ("exact", "size"):
        units = values
    p = pair(np.array(units), np.zeros(len(units)))
    width = t_quantile(1 - alpha, p.n - 1) * p.sd / math.sqrt(p.n) if p.n > 1 else math.inf
    least = 0.0 if min(values) >= 0 else -math.inf
    return p.mean, max(least, p.mean - width), p.mean + width
