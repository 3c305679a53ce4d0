"""How long a quota of processor time has kept the lab's own processes waiting, the load generator's among them."""

from pathlib import Path


def throttled_s(proc: Path = Path("/proc"), mounted: Path = Path("/sys/fs/cgroup")) -> float:
    """Seconds so far, of our cgroup or one above it, whichever waited longest; 0 where none has a quota.

    Of version 2 or 1. In a container our own cgroup is what is mounted, under whatever name it goes outside.
    """
    try:
        lines = (proc / "self" / "cgroup").read_text().splitlines()
    except OSError:
        return 0.0
    found = [0.0]
    for _, controllers, path in (line.split(":", 2) for line in lines):
        if controllers == "" or "cpu" in controllers.split(","):
            top = mounted if controllers == "" else mounted / "cpu"
            inner = top / path.lstrip("/")
            found += [
                _waited_s(folder / "cpu.stat") for folder in (inner, *inner.parents) if folder.is_relative_to(top)
            ]
    return max(found)


def _waited_s(file: Path) -> float:
    """What one cgroup's file says; 0 where there is none, as at the top of the machine."""
    try:
        stat = dict(line.split() for line in file.read_text().splitlines())
    except OSError:
        return 0.0
    return int(stat.get("throttled_usec", 0)) / 1e6 + int(stat.get("throttled_time", 0)) / 1e9
