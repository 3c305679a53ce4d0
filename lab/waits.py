"""What sessions waited for while load was driven, by candidate, from the series of its trials.

Looks at a beat, and not each wait's begin and end: what took a tenth of the sessions' time is seen in
about a tenth of the looks. Trials that are left out for other reasons are not handed in.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from lab.model import Slice

RUNNING = "running"
"""Sessions that wait for nothing: they are on a processor, or ready for one."""

ROWS = 6
"""So many waits a plan shows."""

_PREFIX = "wait."


@dataclass
class Waits:
    """Of one candidate: *looks* at its servers, and how many sessions were seen, by what they waited for.

    *down* is how often a server could not be looked at.
    """

    looks: int = 0
    down: int = 0
    sessions: dict[str, float] = field(default_factory=dict)

    @property
    def active(self) -> float:
        """Sessions seen, over all looks."""
        return sum(self.sessions.values())

    def share(self, wait: str) -> float:
        """The share of the sessions seen that waited for this; 0 where none was seen at all.

        >>> Waits(4, sessions={"running": 3.0, "IO:WalSync": 1.0}).share("IO:WalSync")
        0.25
        """
        return self.sessions.get(wait, 0.0) / self.active if self.active else 0.0


def waits(slices: Iterable[Slice]) -> dict[str, Waits]:
    """Candidate -> what its sessions waited for, over all its trials that were watched; the twin is left out."""
    found: dict[str, Waits] = {}
    for item in slices:
        if item.series is None or item.trial.instance.twin:
            continue
        mine = found.setdefault(item.trial.instance.candidate, Waits())
        for name, value in _while_driven(item, item.series):
            if name == "active":
                mine.looks += 1
            elif name == "down":
                mine.down += 1
            elif name.startswith(_PREFIX):
                wait = name.removeprefix(_PREFIX)
                mine.sessions[wait] = mine.sessions.get(wait, 0.0) + value
    return found


def leading(found: Mapping[str, Waits], most: int) -> list[str]:
    """The waits that take the greatest share with any candidate, the greatest first; *most* of them.

    >>> one, other = {"running": 9.0}, {"running": 1.0, "IO:WalSync": 3.0}
    >>> leading({"a": Waits(9, sessions=one), "b": Waits(9, sessions=other)}, 1)
    ['running']
    """
    names = {wait for one in found.values() for wait in one.sessions}
    return sorted(names, key=lambda wait: (-max(one.share(wait) for one in found.values()), wait))[:most]


def facts(found: Mapping[str, Waits]) -> dict[str, Any]:
    """What a plan may print: each candidate's looks and mean number of active sessions, and a row a wait.

    {} where nobody watched. `rest` is the share of the waits that have no row. `down` has the candidates
    whose servers could not be looked at, and how often; it is not there where all could be, always.
    """
    down = {name: {"name": name, "times": one.down} for name, one in found.items() if one.down}
    if not down and not any(one.active for one in found.values()):
        return {}
    names = leading(found, ROWS)
    return ({"down": down} if down else {}) | {
        "candidates": {
            name: {"name": name, "looks": one.looks, "active": one.active / one.looks, "rest": _rest(one, names)}
            for name, one in found.items()
            if one.looks
        },
        "rows": [{"wait": wait, "shares": {name: one.share(wait) for name, one in found.items()}} for wait in names],
    }


def _rest(one: Waits, names: Sequence[str]) -> float:
    """What is left of a candidate's sessions; sums of sessions, so that a rest of nothing is 0 exactly."""
    return sum(seen for wait, seen in one.sessions.items() if wait not in names) / one.active if one.active else 0.0


def _while_driven(item: Slice, series: pa.Table) -> Iterable[tuple[str, float]]:
    """Names and values of the readings that fall into a driven step, from its zero to its declared end."""
    at = series["at_ns"].to_numpy()
    inside = np.zeros(len(at), dtype=bool)
    for zero_ns, end_ns in _spans(item):
        inside |= (at >= zero_ns) & (at < end_ns)
    kept = series.filter(pa.array(inside))
    return zip(map(str, kept["name"].to_pylist()), kept["value"].to_numpy(), strict=True)


def _spans(item: Slice) -> Sequence[tuple[int, float]]:
    driven = [step for step in item.steps if step["do"] in ("drive", "saturate")]
    return [(step["zero_ns"], step["zero_ns"] + step["for_s"] * 1e9) for step in driven]
