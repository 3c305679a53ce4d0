"""CPU that others took: processes which neither the lab nor its servers started, and stolen time.

Processes are looked at one by one. Those that begin and end between two readings, or run in another
container, are seen only in what the processors did in all, which the kernel samples by its clock tick:
that counts by as much as sampling cannot explain.
"""

import math
import os
from collections.abc import Callable, Collection, Mapping

import psutil

from lab.model import Json
from lab.procfs import TICK_S, family, processes

KIND = "host"


class HostProbe:
    """See probes.Probe. The lab's are *own* and what *ours* gives at each reading, with all their descendants."""

    def __init__(self, own: int | None = None, ours: Callable[[], Collection[int]] = frozenset) -> None:
        self._own = own or os.getpid()
        self.ours = ours

    def read(self) -> Mapping[str, Json]:
        """CPU seconds: of `processes` one by one, since a sum would jump when one ends; `own_s`; `busy_s`; `stolen_s`.

        `own_s` are the lab's, with those of its children that have ended; `busy_s` is what the
        processors that we may use did for anybody, without interrupts.
        """
        seen = tuple(processes())
        own = family({one.pid: one.parent for one in seen}, {self._own, *self.ours()})
        cores = [psutil.cpu_times(percpu=True)[core] for core in os.sched_getaffinity(0)]
        return {
            "processes": {f"{one.pid}.{one.born}": one.cpu_s for one in seen if one.pid not in own},
            "own_s": sum(one.cpu_s + one.ended_s for one in seen if one.pid in own),
            "busy_s": sum(core.user + core.nice + core.system for core in cores),
            "stolen_s": psutil.cpu_times().steal,
        }


def foreign_share(after: Mapping[str, Json], before: Mapping[str, Json], wall_s: float) -> float:
    """The share of one machine (all its cores) that others took between two readings.

    A process that the first reading lacks began between the two, at 0.

    >>> read = lambda cpu: {"processes": {"7.1": cpu}, "own_s": 0.0, "busy_s": cpu, "stolen_s": 0.0}
    >>> foreign_share(read(3.0), read(2.5), 0.5 / len(os.sched_getaffinity(0)))
    1.0
    """
    capacity_s = wall_s * len(os.sched_getaffinity(0))
    listed_s = sum(cpu - before["processes"].get(key, 0.0) for key, cpu in after["processes"].items())
    busy_s, own_s, stolen_s = (after[name] - before[name] for name in ("busy_s", "own_s", "stolen_s"))
    return float((listed_s + stolen_s + unlisted_s(busy_s - own_s - listed_s, capacity_s)) / capacity_s)


def unlisted_s(left_s: float, capacity_s: float) -> float:
    """How much of the busy time that is left over, *left_s*, cannot be an error of sampling by ticks.

    Each tick finds a core busy or not. Of n = capacity / tick such looks the count's standard
    deviation is sqrt(n) / 2 at the most (binomial, at one half); three of them are allowed for.

    >>> [round(unlisted_s(left_s, 1.0), 6) for left_s in (0.14, 0.25)], unlisted_s(1.0, 100.0) > 0
    ([0.0, 0.1], False)
    """
    return max(0.0, left_s - 1.5 * math.sqrt(capacity_s / TICK_S) * TICK_S)
