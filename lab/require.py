"""Is a limit that the scenario declares kept? Met, not met, or not shown, for one candidate.

Each candidate has its own one-sided intervals at alpha / candidates, so that in at most a share
alpha of runs any candidate is said to meet, or to miss, what it does not.
"""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from lab import metrics
from lab.measure import quantile_of
from lab.model import Evidence, Family, Requirement, Scope, Verdict
from lab.readings import Case, Readings
from lab.stats import pair, share_bounds, t_quantile

MOST = 0.5
"""The share of overloaded trials from which on nothing else about the candidate's latency matters."""


def standing(case: Case, candidate: str, found: Sequence[Evidence]) -> Verdict:
    """What a candidate's requirements come to, *found* being the evidence about all of them.

    A candidate whose answers are not the baseline's fails, however well it does.
    """
    verdicts = {e.verdict for e in found if e.candidate == candidate}
    unmeasured = sum(e.candidate == candidate for e in found) < len(case.scenario.requirements)
    if candidate in case.disqualified or Verdict.NOT_MET in verdicts:
        return Verdict.NOT_MET
    if unmeasured or Verdict.NOT_SHOWN in verdicts:
        return Verdict.NOT_SHOWN
    return Verdict.MET


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
        own=readings.mean(candidate),
        base=_limit(requirement),
    )
    return _overruled(case, evidence, row)


def _overruled(case: Case, evidence: Evidence, row: metrics.Metric) -> Evidence:
    """The same unless the trials, whatever their numbers, cannot say that: time refused, or overloaded."""
    if case.refuses(row):
        return replace(evidence, low=-math.inf, high=math.inf, verdict=Verdict.NOT_SHOWN, because=case.fitness.refused)
    if row.kind not in ("time", "rate") or row.after != "drive" or evidence.verdict is Verdict.NOT_MET:
        return evidence
    overloaded = len(case.fitness.overloaded.intersection(evidence.trials))
    if overloaded >= MOST * len(evidence.trials):
        because = "the lag grew in most trials: the declared rate is above the capacity"
        return replace(evidence, verdict=Verdict.NOT_MET, because=because)
    if overloaded and quantile_of(row.pattern) is None and not row.pattern.endswith("_share"):
        return replace(evidence, verdict=Verdict.NOT_SHOWN, because="the lag grew in some trials")
    return evidence


Interval = tuple[float, float, float]
Told = tuple[Interval, tuple[Verdict, str], tuple[str, ...]]


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
    return (value, low, high), _verdict(requirement, limit, low, high, _TIME), trials


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
    """A share of operations over all trials; all operations of an overloaded trial were over any limit."""
    measured = readings.sides[candidate]
    slow = readings.metric.pattern.endswith("over_limit_share")
    sizes = np.array([float(m.operations or 0) for m in measured])
    overloaded = np.array([slow and m.trial in case.fitness.overloaded for m in measured])
    counts = np.where(overloaded, sizes, np.rint(np.array([m.value for m in measured]) * sizes))
    return share_bounds(counts, sizes, alpha)


def _mean(readings: Readings, candidate: str, alpha: float) -> Interval | None:
    """The mean over units, of logarithms where no value is 0; over passes where there is one unit."""
    values = readings.values(candidate)
    if not values:
        return None
    log = min(values) > 0
    units = list(readings.units(candidate, log=log).values())
    if len(units) == 1:
        units = [math.log(value) if log else value for value in values]
    p = pair(np.array(units), np.zeros(len(units)))
    width = t_quantile(1 - alpha, p.n - 1) * p.sd / math.sqrt(p.n) if p.n > 1 else math.inf
    bounds = p.mean, p.mean - width, p.mean + width
    value, low, high = (math.exp(x) for x in bounds) if log else bounds
    return value, low, high
