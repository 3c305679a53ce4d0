"""Measurements -> Evidence and a Decision."""

from collections.abc import Callable, Sequence

from lab.check import Disagreement
from lab.model import Doubt, Measurement, Scenario, Scope, Weighed


def weigh(
    measurements: Sequence[Measurement],
    *,
    scenario: Scenario,
    doubts: Sequence[Doubt] = (),
    disagreements: Sequence[Disagreement] = (),
    planned_rounds: int,
    exploratory: bool = False,
    scope: Callable[[str], Scope] | None = None,
) -> Weighed:
    """All that may be said."""
    raise NotImplementedError
