"""Processes of this machine, as the kernel tells of them below /proc.

Looked at between all steps of a trial, with all processes that there are: so a file is read in one go, and psutil,
which makes an object of each and looks when each was born, is for what is done rarely.
"""

import os
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

TICK_S = 1 / os.sysconf("SC_CLK_TCK")
_STAT_BYTES = 4096  # of one line of numbers, after a name of 64 bytes at the most
_ENDED = b"ZX"


class Process(NamedTuple):
    """One process: who started it, when (in ticks), its CPU seconds, and those of its children that have ended.

    *born* counts from the machine's start: a time of day moves when the clock is set. *ended*: a zombie, or nearly.
    """

    pid: int
    parent: int
    born: int
    cpu_s: float
    ended_s: float
    ended: bool


def processes() -> Iterator[Process]:
    """All that there are, zombies too."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (one := process(int(entry.name))) is not None:
            yield one


def process(pid: int) -> Process | None:
    """A process, None for one that is gone.

    The program's name, in parentheses, may hold anything: fields are counted after the last one.
    """
    data = _read(f"/proc/{pid}/stat")
    if data is None:
        return None
    fields = data[data.rindex(b")") + 1 :].split(maxsplit=20)
    user, system, ended_user, ended_system = (int(field) * TICK_S for field in fields[11:15])
    return Process(pid, int(fields[1]), int(fields[19]), user + system, ended_user + ended_system, fields[0] in _ENDED)


def on_cpu_s(pid: int) -> float:
    """CPU seconds of a process' main thread, in ns where others count ticks of 10 ms; 0 for one that is gone."""
    data = _read(f"/proc/{pid}/schedstat")
    return int(data.split(maxsplit=1)[0]) / 1e9 if data else 0.0


def family(parents: Mapping[int, int], roots: Collection[int]) -> frozenset[int]:
    """*roots* and all their descendants.

    >>> sorted(family({2: 1, 3: 2, 4: 9, 5: 4}, {2, 4}))
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


def _read(path: str) -> bytes | None:
    """The first bytes of a file below /proc; None where the process is gone."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        return os.read(descriptor, _STAT_BYTES)
    except ProcessLookupError:
        return None
    finally:
        os.close(descriptor)
