"""CPU that others took: processes which neither the lab nor its servers started, and stolen time.

Another container's processes cannot be seen from inside one; time stolen from a virtual machine can.
"""

import os
from collections.abc import Callable, Collection, Mapping
from pathlib import Path

import psutil

from lab.model import Json

KIND = "host"
_TICK_S = 1 / os.sysconf("SC_CLK_TCK")


class HostProbe:
    """See probes.Probe. The lab's are *own* and what *ours* gives at each reading, with all their descendants."""

    def __init__(self, own: int | None = None, ours: Callable[[], Collection[int]] = frozenset) -> None:
        self._own = own or os.getpid()
        self._ours = ours

    def read(self) -> Mapping[str, Json]:
        """`foreign_cpu_s` process by process, since a sum would jump when one ends; `stolen_s`."""
        seen = dict(filter(None, map(_process, _pids())))
        own = _family({pid: parent for pid, (parent, _, _) in seen.items()}, {self._own, *self._ours()})
        return {
            "processes": {f"{pid}.{born}": cpu for pid, (_, born, cpu) in seen.items() if pid not in own},
            "stolen_s": psutil.cpu_times().steal,
        }


def foreign_share(after: Mapping[str, Json], before: Mapping[str, Json], wall_s: float) -> float:
    """The share of one machine (all its cores) that others took between two readings.

    A process that the first reading lacks began between the two, at 0.

    >>> read = lambda cpu: {"processes": {"7.1": cpu}, "stolen_s": 0.0}
    >>> foreign_share(read(3.0), read(2.5), 0.5 / len(os.sched_getaffinity(0)))
    1.0
    """
    took = sum(cpu - before["processes"].get(key, 0.0) for key, cpu in after["processes"].items())
    took += after["stolen_s"] - before["stolen_s"]
    return float(took / (wall_s * len(os.sched_getaffinity(0))))


def _pids() -> list[int]:
    return [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()]


def _process(pid: int) -> tuple[int, tuple[int, int, float]] | None:
    """(pid, (parent, start tick, CPU seconds)), None for one that has just ended.

    The program's name, in parentheses, may hold anything: fields are counted after the last one.
    """
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return pid, (int(fields[1]), int(fields[19]), (int(fields[11]) + int(fields[12])) * _TICK_S)


def _family(parents: Mapping[int, int], roots: Collection[int]) -> frozenset[int]:
    """*roots* and all their descendants.

    >>> sorted(_family({2: 1, 3: 2, 4: 9, 5: 4}, {2, 4}))
    [2, 3, 4, 5]
    """
    children: dict[int, list[int]] = {}
    for pid, parent in parents.items():
        children.setdefault(parent, []).append(pid)
    found, ahead = set(roots), list(roots)
    while ahead:
        ahead = [child for pid in ahead for child in children.get(pid, ())]
        found.update(ahead)
    return frozenset(found)
