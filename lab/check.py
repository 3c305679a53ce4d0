"""Is this trial fit to be evidence?"""

from collections.abc import Sequence

from lab.model import Doubt, Prepared, Slice

OVERLOADED = "overloaded"


def check(slices: Sequence[Slice], prepared: Sequence[Prepared] = ()) -> list[Doubt]:
    """Every doubt about every trial, asked of each trial alone."""
    raise NotImplementedError


def disagreements(prepared: Sequence[Prepared], baseline: str) -> list["Disagreement"]:
    """Where a candidate's answers differ from the baseline's."""
    raise NotImplementedError


class Disagreement:
    """One answer that differs: *candidate*, *query*, *set* (index of the parameter set)."""
