"""What the kernel counts and enforces for one container: its cgroup of version 1 or 2, read while it lives."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from lab.errors import ClusterError
from lab.hosts import Limits

_MOUNTED = Path("/sys/fs/cgroup")  # in a container, its own cgroup
_CONTROLLERS = ("cpu", "cpuacct", "cpuset", "memory")
_NONE_BYTES = 2**60  # version 1 writes a number near 2**63 for no limit


@dataclass(frozen=True)
class Cgroup:
    """Where the controllers of one cgroup keep their files; in version 2 all in one folder."""

    version: int
    folders: Mapping[str, Path]

    def read(self, controller: str, name: str) -> str:
        """One file; OSError where the cgroup is gone."""
        return (self.folders[controller] / name).read_text().strip()

    def cpu_s(self) -> float:
        """CPU seconds since it began."""
        if self.version == 1:
            return int(self.read("cpuacct", "cpuacct.usage")) / 1e9
        return fields(self.read("cpu", "cpu.stat"))["usage_usec"] / 1e6

    def throttled_s(self) -> float:
        """Seconds for which its quota kept it waiting."""
        stat = fields(self.read("cpu", "cpu.stat"))
        return stat["throttled_time"] / 1e9 if self.version == 1 else stat.get("throttled_usec", 0) / 1e6

    def limits(self) -> Limits:
        """What is in force; None where there is no limit, and for cores where all may be used."""
        if self.version == 1:
            quota, period = self.read("cpu", "cpu.cfs_quota_us"), self.read("cpu", "cpu.cfs_period_us")
            memory = self.read("memory", "memory.limit_in_bytes")
        else:
            quota, period = self.read("cpu", "cpu.max").split()
            memory = self.read("memory", "memory.max")
        return Limits(
            cpus=_cpus(quota, period),
            cpuset=self.read("cpuset", "cpuset.cpus") or None,
            memory_bytes=None if memory == "max" or int(memory) > _NONE_BYTES else int(memory),
        )


def of(pid: int, container: str, proc: Path = Path("/proc")) -> Cgroup | None:
    """The cgroup of a container's first process; None where the engine's processes are not this machine's."""
    try:
        lines = (proc / str(pid) / "cgroup").read_text().splitlines()
        mounts = (proc / "self" / "mountinfo").read_text().splitlines()
    except OSError:
        return None
    places = {name: path for _, names, path in (line.split(":", 2) for line in lines) for name in names.split(",")}
    found = {name: path for name, path in _folders(places, mounts).items() if container in str(path) and path.is_dir()}
    if found.keys() >= set(_CONTROLLERS):
        return Cgroup(1, found)
    unified = found.get("")
    return Cgroup(2, dict.fromkeys(_CONTROLLERS, unified)) if unified and (unified / "cpu.stat").exists() else None


def within(run: Callable[..., str]) -> Limits:
    """The limits as a container sees them; *run* runs a program in it and gives its output."""

    class Inside(Cgroup):
        def read(self, controller: str, name: str) -> str:
            return run("cat", str(self.folders[controller] / name)).strip()

    unified = Inside(2, dict.fromkeys(_CONTROLLERS, _MOUNTED))
    try:
        unified.read("cpu", "cpu.max")
    except ClusterError:
        return Inside(1, {name: _MOUNTED / name for name in _CONTROLLERS}).limits()
    return unified.limits()


def _folders(places: Mapping[str, str], mounts: list[str]) -> dict[str, Path]:
    """Controller -> folder, for those that are mounted; "" is that of version 2.

    >>> line = "30 23 0:25 / /sys/fs/cgroup/cpu rw,nosuid - cgroup cgroup rw,cpu"
    >>> _folders({"cpu": "/docker/ab", "freezer": "/docker/ab"}, [line])
    {'cpu': PosixPath('/sys/fs/cgroup/cpu/docker/ab')}
    """
    found = {}
    for line in mounts:
        place, _, rest = line.partition(" - ")
        kind, _, options = rest.split(" ", 2)
        names = [""] if kind == "cgroup2" else options.split(",") if kind == "cgroup" else []
        root, point = place.split()[3:5]
        for name in names:
            if name in places and (name == "" or name in _CONTROLLERS):
                within = places[name].removeprefix(root.rstrip("/")).lstrip("/")
                found[name] = Path(point) / within
    return found


def fields(text: str) -> dict[str, int]:
    """Lines of a name and a number.

    >>> fields("nr_periods 3\\nthrottled_time 17")
    {'nr_periods': 3, 'throttled_time': 17}
    """
    return {name: int(value) for name, value in (line.split() for line in text.splitlines())}


def _cpus(quota: str, period: str) -> float | None:
    """
    >>> _cpus("150000", "100000"), _cpus("-1", "100000"), _cpus("max", "100000")
    (1.5, None, None)
    """
    return None if quota in ("-1", "max") else int(quota) / int(period)


def cores(text: str) -> frozenset[int]:
    """The cores that a cpuset names.

    >>> sorted(cores("0-2,5"))
    [0, 1, 2, 5]
    """
    found: set[int] = set()
    for part in text.split(","):
        first, _, last = part.partition("-")
        found.update(range(int(first), int(last or first) + 1))
    return frozenset(found)


def differing(asked: Limits, found: Limits) -> list[str]:
    """What is asked for and not in force; memory may be rounded to a page, cores may be named otherwise.

    >>> differing(Limits(cpus=1.5, cpuset="0,1"), Limits(cpus=1.5, cpuset="0-1", memory_bytes=4096))
    []
    >>> differing(Limits(memory_bytes=2**30), Limits())
    ['memory_bytes is None, not 1073741824']
    """
    wrong = []
    if asked.cpus is not None and (found.cpus is None or abs(found.cpus - asked.cpus) > 0.001):
        wrong.append(f"cpus is {found.cpus}, not {asked.cpus}")
    if asked.cpuset is not None and (found.cpuset is None or cores(found.cpuset) != cores(asked.cpuset)):
        wrong.append(f"cpuset is {found.cpuset!r}, not {asked.cpuset!r}")
    if asked.memory_bytes is not None and abs((found.memory_bytes or 0) - asked.memory_bytes) >= 4096:
        wrong.append(f"memory_bytes is {found.memory_bytes}, not {asked.memory_bytes}")
    return wrong
