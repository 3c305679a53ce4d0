"""Were the candidates of a round asked the same?

What is compared over a round is the same calls at the same times, so that they differ by the candidates alone. A
trial that was asked something else is no evidence. Closed loops send what they come to, and are not held to it.
"""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pyarrow as pa

from lab.check import column, driven
from lab.model import Doubt, Instance, Json, Scenario, Slice

KIND = "asked otherwise"

_Mix = tuple[tuple[str, float], ...]


def asked_otherwise(slices: Sequence[Slice], scenario: Scenario) -> list[Doubt]:
    """A doubt for each trial whose calls are not those of the baseline's first load in the same round.

    By number, time, query and first parameter, as far as both trials recorded a call. Of candidates with a mix
    of their own, and of a round without that trial, the first with that mix is what the others are held against.
    """
    first = Instance(scenario.baseline, 1)
    held: dict[tuple[int, _Mix], Slice] = {}
    found = []
    for item in sorted(slices, key=lambda item: (item.trial.instance != first, item.trial.round)):
        other = held.setdefault((item.trial.round, _mix(scenario, item)), item)
        if any(_differ(one, same) for one, same in zip(_open(item), _open(other), strict=False)):
            what = "it was asked something else than the others of its round, or at other times"
            found.append(Doubt(item.trial.id, KIND, what, True))
    return found


def _mix(scenario: Scenario, item: Slice) -> _Mix:
    queries = scenario.candidates[item.trial.instance.candidate].queries
    return tuple((query.name, query.weight) for query in queries)


def _open(item: Slice) -> Iterator[tuple[Mapping[str, Json], pa.Table]]:
    """The steps whose calls were due at times that the lab drew, with their operations."""
    return ((step, ops) for step, ops in driven(item) if step.get("due") is not None)


def _differ(one: tuple[Mapping[str, Json], pa.Table], other: tuple[Mapping[str, Json], pa.Table]) -> bool:
    (step, ops), (step_, ops_) = one, other
    _, here, there = np.intersect1d(column(ops, "seq"), column(ops_, "seq"), return_indices=True)
    due, due_ = column(ops, "due_ns")[here] - step["zero_ns"], column(ops_, "due_ns")[there] - step_["zero_ns"]
    same = (ops[name].cast(pa.string()).take(here).equals(ops_[name].cast(pa.string()).take(there)) for name in _ASKED)
    return bool(step["due"] != step_["due"] or np.any(due != due_) or not all(same))


_ASKED = ("name", "key")
