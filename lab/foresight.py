"""What a run will be able to show, reckoned before its first trial.

Where its rounds are too few for something that the scenario asks, the number that would do is
named. Everything is for the outcome of four runs in five, and supposes noise like that of the
newest runs; a requirement on a share also supposes that not one operation is over its limit.
"""

import math
from collections.abc import Callable, Iterator, Mapping

from lab import metrics, stats
from lab.measure import quantile_of
from lab.model import Requirement, Scenario
from lab.resample import Noise
from lab.timeline import Drive
from lab.weigh import ALPHA

POWER = 0.80
"""In which share of runs the outcome is to be had."""

_MOST = 100_000  # rounds that nobody would wait for
_EXCESS = 1 / math.sqrt(2 * math.pi)  # the mean of what a standard normal is above 0
_MANY = 5000.0  # degrees of freedom that are as good as knowing the variance


def improvement(scenario: Scenario) -> str:
    """What the objective's improvement is: a `reduction`, or an `increase` where more is better."""
    return "reduction" if metrics.row(scenario.objective).better == "lower" else "increase"


def smallest_improvement(scenario: Scenario, sd: float, units: int, *, twin: bool) -> float:
    """The smallest improvement of the objective, as a share, that is called better: stats.smallest_effect."""
    others = len(scenario.candidates) - 1
    least = scenario.least_effect.time
    effect = stats.smallest_effect(sd, units, others=others, least=least, twin=twin, power=POWER)
    return -math.expm1(-effect) if improvement(scenario) == "reduction" else math.expm1(effect)


def likeness(sd: float, units: int, *, candidates: int, twin: bool) -> float:
    """How near (log) two candidates that do not differ are shown to be, in a share POWER of runs.

    The most the baseline could lose, by Hsu's one-sided bound, where all are equal: the bound's
    half-width and the POWER quantile of the greatest error of a mean, which is Dunnett's. A
    comparison's variance is never taken for less than its own, which widens the half-width by what
    the larger of two estimates exceeds the truth. The twin's bound as well, beyond which nothing
    is recommended.
    """
    if units < 2:
        return math.inf
    if candidates < 2:
        return 0.0
    df = stats.joint_df(candidates + twin, units)
    floored = 1 + _EXCESS / math.sqrt(2 * (units - 1))
    bound = stats.with_the_best(candidates, df, alpha=ALPHA) * floored
    error = stats.dunnett(candidates - 1, _MANY, sides=1, alpha=1 - POWER)
    own = stats.t_quantile(0.95, df) + stats.t_quantile((1 + POWER) / 2, _MANY) if twin else 0.0
    return max(bound + error, own) * sd / math.sqrt(units)


def rounds_that_would_do(enough: Callable[[int], bool]) -> int | None:
    """The fewest rounds that are *enough*, which more of them remain; None where nobody would wait for them.

    >>> rounds_that_would_do(lambda n: n >= 37), rounds_that_would_do(lambda n: False)
    (37, None)
    """
    if not enough(_MOST):
        return None
    low, high = 1, _MOST
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


# --- what is asked for and cannot be shown --------------------------------------------------


def warnings(
    scenario: Scenario, rounds: int, noise: Mapping[str, Noise], *, sd: float | None = None, loads: int = 1
) -> Iterator[str]:
    """Each thing that *rounds* rounds of *loads* loads are too few for, with the number that would do.

    *noise* is by metric, as an A/A run has seen it; where it lacks a metric nothing is said of it.
    *sd* is that of a pair of the objective, None where only guesses are known.
    """
    if sd is not None and loads == 1:
        yield from _least_effect(scenario, rounds, sd)
    for requirement in scenario.requirements:
        share = _share_allowed(requirement)
        if share is not None:
            yield from _operations(scenario, requirement, rounds, share, loads)
        elif requirement.metric in noise and loads == 1:
            yield from _value(scenario, requirement, rounds, noise[requirement.metric])


def _least_effect(scenario: Scenario, rounds: int, sd: float) -> Iterator[str]:
    """Candidates that do not differ are to be shown not to, or the run recommends nothing but by luck."""
    candidates = len(scenario.candidates)
    least = math.log1p(scenario.least_effect.time)

    def enough(n: int) -> bool:
        return likeness(sd, n, candidates=candidates, twin=True) <= least

    if not enough(rounds):
        near = math.expm1(likeness(sd, rounds, candidates=candidates, twin=True))
        yield (
            f"least_effect {scenario.least_effect.time:.0%}: with {rounds} rounds, candidates that do not differ are "
            f"only shown to be within {near:.1%} of each other ({_would_do(rounds_that_would_do(enough))})"
        )


def _operations(scenario: Scenario, requirement: Requirement, rounds: int, share: float, loads: int) -> Iterator[str]:
    """Of a limit on a share: are there operations enough, even if not one is over the limit?"""
    query = requirement.metric.split(".")[1]
    each = loads * operations_per_round(scenario, query)
    needed = operations_for(share, ALPHA / len(scenario.candidates))
    if each > 0 and each * rounds < needed:
        yield (
            f"requirement {requirement.metric}: {rounds} rounds have about {each * rounds:.0f} operations of {query}; "
            f"even if none is over the limit, {needed} are needed to show it "
            f"({_would_do(math.ceil(needed / each))})"
        )


def _value(scenario: Scenario, requirement: Requirement, rounds: int, seen: Noise) -> Iterator[str]:
    """Of a limit on a value: is the baseline's own far enough from it to be told from it?"""
    limit = requirement.at_most if requirement.at_least is None else requirement.at_least
    if not limit or limit <= 0:
        return
    distance = abs(math.log(limit / seen.mean))
    alpha = ALPHA / len(scenario.candidates)

    def enough(n: int) -> bool:
        width = stats.t_quantile(1 - alpha, n - 1) + stats.t_quantile(POWER, _MANY)
        return n > 1 and width * seen.own_sd / math.sqrt(n) <= distance

    if not enough(rounds):
        yield (
            f"requirement {requirement.metric}: the baseline's {seen.mean:.4g} {seen.unit} is too near to the limit of "
            f"{limit:g} to be told from it in {rounds} rounds ({_would_do(rounds_that_would_do(enough))})"
        )


def _would_do(rounds: int | None) -> str:
    return f"--rounds {rounds} would do" if rounds is not None else f"no number up to {_MOST} of rounds would do"


def _share_allowed(requirement: Requirement) -> float | None:
    """The share of operations that may be over the limit; None of what is no limit on a share, or allows none.

    >>> round(_share_allowed(Requirement("query.recent.p95_ms", at_most=50.0)), 3)
    0.05
    """
    quantile = quantile_of(requirement.metric)
    if requirement.at_most is None:
        return None
    if quantile is not None:
        return 1 - quantile
    return requirement.at_most if requirement.metric.endswith("_share") and requirement.at_most > 0 else None


def operations_for(share: float, alpha: float) -> int:
    """How many operations, none of them over, show that at most *share* are: (1 - share)**n <= alpha.

    >>> operations_for(0.05, 0.05), operations_for(0.01, 0.05)
    (59, 299)
    """
    return math.ceil(math.log(alpha) / math.log1p(-share)) if share < 1 else 0


def operations_per_round(scenario: Scenario, query: str) -> float:
    """How many operations of *query* one round sends to each candidate, on average; 0.0 where none is due."""
    weights = {one.name: one.weight for one in scenario.workload.queries}
    asked = sum(step.rate * step.for_s for step in scenario.round if isinstance(step, Drive))
    return float(asked * weights.get(query, 0.0) / sum(weights.values())) if weights else 0.0
