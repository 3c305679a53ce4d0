"""Differences that nobody acts on: the least effect in force, and what the twin makes of it."""

import math
from typing import Any

from lab.model import Scenario, Weighed
from lab.readings import BY_LOAD

SMALL = 0.05
"""A second load is one draw of how far loads differ, which guards small claims badly (docs/calibration.md)."""


def least(scenario: Scenario, weighed: Weighed) -> float:
    """The least effect of the objective, as a share: that of exact values where its own repeat."""
    return scenario.least_effect.exact if weighed.exact else scenario.least_effect.time


def of_objective(scenario: Scenario, weighed: Weighed) -> float:
    """The margin in force for the objective, as a log: the least effect, or the twin's bound if that is more."""
    return max(math.log1p(least(scenario, weighed)), weighed.twin.get(scenario.objective, 0.0))


def of_times(scenario: Scenario, weighed: Weighed) -> float:
    """The margin for times, as a log: that of an objective that does not repeat, else the least effect on times."""
    return math.log1p(scenario.least_effect.time) if weighed.exact else of_objective(scenario, weighed)


def facts(scenario: Scenario, weighed: Weighed) -> dict[str, Any]:
    """For the plan: the least effect, the twin's part and the margin, as shares; whether the twin set the margin.

    *small*: the margin is one within which loads of one table often differ, and only one load was compared.
    """
    twin = weighed.twin.get(scenario.objective)
    share, acted_on = None if twin is None else math.expm1(twin), least(scenario, weighed)
    return {
        "exact": weighed.exact,
        "least": acted_on,
        "twin": share,
        "margin": max(acted_on, share or 0.0),
        "small": not weighed.exact and scenario.profile != BY_LOAD and max(acted_on, share or 0.0) < SMALL,
        "raised": share is not None and share > acted_on,
    }
