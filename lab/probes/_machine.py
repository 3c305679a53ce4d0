"""What the machine has done since it was started, and whose processor time it was, for a series."""

from collections.abc import Collection, Mapping
from pathlib import Path

import psutil

from lab.procfs import Process, family, processes


def totals(lab: int, ours: Collection[int]) -> dict[str, float]:
    """Running totals; those that this machine does not tell are left out.

    `cpu_busy_s` and `cpu_stolen_s` of all cores; `cpu_server_s`, `cpu_lab_s` (the load generator's,
    and that of all else of the process *lab*) of the processes that there are; `read_bytes` and
    `written_bytes` of all disks. Servers are what descends from *ours*, or from a `postgres` of the lab's.
    """
    times = psutil.cpu_times()
    busy_s = times.user + times.nice + times.system + times.irq + times.softirq  # guests are part of user
    found = {"cpu_busy_s": busy_s, "cpu_stolen_s": times.steal}
    found |= _by_whom(lab, ours)
    disks = psutil.disk_io_counters()
    if disks is not None:
        found |= {"read_bytes": float(disks.read_bytes), "written_bytes": float(disks.write_bytes)}
    return found


def _by_whom(lab: int, ours: Collection[int]) -> dict[str, float]:
    seen = {one.pid: one for one in processes()}
    parents = {one.pid: one.parent for one in seen.values()}
    own = family(parents, {lab})
    servers = family(parents, {*ours, *(pid for pid in own if _is_server(pid))})
    return {
        "cpu_server_s": _spent(seen, servers),
        "cpu_lab_s": _spent(seen, own - servers),
    }


def _spent(seen: Mapping[int, Process], pids: Collection[int]) -> float:
    return sum(one.cpu_s + one.ended_s for one in seen.values() if one.pid in pids)


def _is_server(pid: int) -> bool:
    """Is it a postgres? What has ended meanwhile is none."""
    try:
        return Path(f"/proc/{pid}/comm").read_text(errors="replace").strip() == "postgres"
    except (FileNotFoundError, ProcessLookupError):
        return False
