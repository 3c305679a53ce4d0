"""Measurements -> Evidence and a Decision: what one run allows to be said, and no more.

Four families, each with its own error rate (METHOD section 3): what repeats exactly is stated as
it is; the few limits the scenario declares are met, not met or not shown; one metric, the
objective, is claimed about; everything else is an interval for the reader.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

from lab import metrics, stats
from lab.check import Disagreement, counting
from lab.compare import Comparison, Interval
from lab.decide import Contest, decide
from lab.model import Doubt, Evidence, Family, Measurement, Scenario, Scope, Verdict, Weighed
from lab.readings import Case, case
from lab.require import require, standing

ALPHA = 0.05
"""The error rate of each family of claims."""

LOOK = 0.10
"""Of the described metrics marked for a look, the share that may be there by chance."""

Scopes = Callable[[str, str], Scope]  # of a metric, for a candidate against the baseline


def reach(metric: str, candidate: str = "") -> Scope:
    """How far a claim about a metric goes if nobody knows better: counts transfer, times do not.

    >>> reach("size.total_bytes"), reach("retire.ms")
    (<Scope.TRANSFERS: 'transfers'>, <Scope.THIS_HOST: 'this host only'>)
    """
    del candidate
    return Scope.TRANSFERS if metrics.row(metric).kind in ("exact", "size") else Scope.THIS_HOST


def weigh(
    measurements: Sequence[Measurement],
    *,
    scenario: Scenario,
    doubts: Sequence[Doubt] = (),
    disagreements: Sequence[Disagreement] = (),
    planned_rounds: int,
    exploratory: bool = False,
    scope: Scopes = reach,
    unlike: Iterable[str] = (),
    uneven: Iterable[str] = (),
) -> Weighed:
    """All that *measurements* allow to be said, given the *doubts* about their trials.

    A run with fewer than *planned_rounds* is exploratory, as is one that was looked at before.
    *unlike* are the candidates whose shape is not the baseline's, so that their times decide nothing;
    *uneven* those whose durability is not, so that nothing that writing costs decides anything.
    The twin's evidence has the twin's name (Instance.name) as its candidate.
    """
    wrong = {disagreement.candidate for disagreement in counting(disagreements, scenario.baseline)}
    all_of = case(measurements, scenario=scenario, doubts=doubts, disqualified=wrong, unlike=unlike, uneven=uneven)
    rounds = {m.round for m in measurements if m.round is not None and m.trial not in all_of.fitness.out}
    compared = {metric: _comparison(all_of, metric) for metric in all_of.by_metric}
    required = _required(all_of, scope)
    objective = compared.pop(scenario.objective, None)
    claims = _claims(all_of, objective, scope) if objective else []
    alpha = ALPHA / len(scenario.candidates)
    contest = Contest(objective, claims, {c: standing(all_of, c, required, alpha=alpha) for c in scenario.candidates})
    everything = [*compared.values(), *([objective] if objective else [])]
    return Weighed(
        evidence=(*_exact(all_of, compared.values(), scope), *required, *claims, *_described(all_of, compared, scope)),
        decision=decide(all_of, contest, exploratory=exploratory or len(rounds) < planned_rounds, alpha=ALPHA),
        twin={c.metric: c.bound for c in everything if c.readings.ratio and 0 < c.bound < math.inf},
        rounds=len(rounds),
        time_refused=all_of.fitness.refused,
        standing=contest.standing,
        exact=objective is not None and bool(objective.readings.sides) and objective.all_exact,
    )


def _comparison(all_of: Case, metric: str) -> Comparison:
    """One metric of all sides."""
    twin = next((side for side in all_of.order if all_of.twin(side)), None)
    return Comparison(metric, all_of.readings(metric), all_of.scenario.baseline, twin, all_of.scenario.least_effect)


# --- the families ---------------------------------------------------------------------------


def _required(all_of: Case, scope: Scopes) -> list[Evidence]:
    """Every requirement on every candidate, each candidate at its share of the error rate."""
    alpha = ALPHA / len(all_of.scenario.candidates)
    found = [
        require(all_of, requirement, candidate, scope=scope(requirement.metric, candidate), alpha=alpha)
        for requirement in all_of.scenario.requirements
        for candidate in all_of.scenario.candidates
    ]
    return [evidence for evidence in found if evidence is not None]


def _claims(all_of: Case, objective: Comparison, scope: Scopes) -> list[Evidence]:
    """The objective of every challenger and the twin against the baseline, exactly or all together."""
    told = []
    for side in filter(objective.has, all_of.challengers):
        if objective.all_exact:
            interval, because = objective.exactly(side), "the values repeat exactly"
        else:
            interval, because = objective.jointly(side, alpha=ALPHA), ""
        verdict = objective.verdict(interval)
        if why := all_of.refuses(objective.readings.metric, side, objective.control):
            interval = interval._replace(low=-math.inf, high=math.inf)
            verdict, because = Verdict.UNCLEAR, why
        elif why := all_of.undecidable(objective.readings.metric, side):
            verdict, because = Verdict.UNCLEAR, why
        because = because or _WORDS[verdict]
        told.append(_evidence(objective, side, interval, Family.OBJECTIVE, verdict, because, scope))
    return told


_WORDS = {
    Verdict.BETTER: "the whole interval is better than the margin",
    Verdict.WORSE: "the whole interval is worse than the margin",
    Verdict.SAME: "the whole interval lies within the least effect",
    Verdict.UNCLEAR: "the interval reaches beyond the margin on one side and not on the other",
}


def _exact(all_of: Case, compared: Iterable[Comparison], scope: Scopes) -> list[Evidence]:
    """Every other metric of every side that repeats exactly: no test, no error."""
    told = []
    for c in compared:
        for side in filter(c.exact, all_of.challengers):
            interval = c.exactly(side)
            verdict = c.verdict(interval, least=c.on_scale(c.least_effect.exact))
            because = "the values repeat exactly"
            if why := all_of.undecidable(c.readings.metric, side):
                verdict, because = Verdict.UNCLEAR, why
            told.append(_evidence(c, side, interval, Family.EXACT, verdict, because, scope))
    return told


def _described(all_of: Case, compared: Mapping[str, Comparison], scope: Scopes) -> list[Evidence]:
    """Every other metric that does not repeat: an interval each, and which are worth a look."""
    told, chances = [], []
    for c in compared.values():
        for side in all_of.challengers:
            if all_of.refuses(c.readings.metric, side, c.control):
                continue
            if c.has(side) and not c.exact(side):
                interval, chance = c.singly(side, alpha=ALPHA)
                because = _TOLD if interval.high < math.inf else _ALONE
                because = all_of.undecidable(c.readings.metric, side) or because
                told.append(_evidence(c, side, interval, Family.DESCRIBED, Verdict.DESCRIBED, because, scope))
                chances += [] if all_of.twin(side) else [chance]
    looks = iter(stats.looks(chances, LOOK))  # at the twin's there is nothing to look at, so it does not count
    return [e if all_of.twin(e.candidate) else replace(e, look=next(looks)) for e in told]


_TOLD = "an interval for the reader"
_ALONE = "each side was seen once, so that no interval is known"


def _evidence(
    c: Comparison, side: str, interval: Interval, family: Family, verdict: Verdict, because: str, scope: Scopes
) -> Evidence:
    """One statement about *side* against the control, off the scale again: a ratio, or the metric's unit."""
    step = c.readings.step(c.control)
    value, low, high = (math.exp(x) if c.readings.ratio else x * step for x in interval)
    return Evidence(
        candidate=side,
        against=c.control,
        metric=c.metric,
        scale="ratio" if c.readings.ratio else "difference",
        value=value,
        low=low,
        high=high,
        family=family,
        verdict=verdict,
        scope=scope(c.metric, side),
        because=because,
        trials=c.readings.trials(side, c.control),
        own=c.readings.mean(side),
        base=c.readings.mean(c.control),
    )
