"""What dead runs left behind, and how to be rid of it. A live run is never touched.

A run's home below the base folder names its owner by process id and start time: a home whose
owner is gone is left over, and with it the servers, containers, networks and volumes that carry
its name as their label.
"""

import contextlib
import json
import shutil
import time
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

from lab import store
from lab.errors import PlaceError, RecordError
from lab.hosts import _left, _tree, embedded

_LABEL = "cluster_name=pglab-"
_CHILD = "postgres: pglab-"  # what a server makes of that for the titles of its children
_PROGRAMS = frozenset(("initdb", "pg_basebackup", "pg_ctl", "pg_rewind", "postgres", "psql"))
"""What a run starts besides its servers, and names a path in its home to."""


@dataclass(frozen=True)
class Left:
    """One thing that a dead run left: a folder, a process, or one of an engine's. *bytes*: on disk."""

    what: str
    where: str
    bytes: int
    pid: int | None = None


def left(base: Path, results: Path, others: Collection[str] = ()) -> list[Left]:
    """Everything that dead runs left below *base* and in *results*; nothing of *others*, ids of runs that may go on."""
    found = [*_processes(base), *_engines(base), *_homes(base), *_wheels(base), *_made(base)]
    return found + list(_fragments(results, living(base).union(others)))


def living(base: Path) -> set[str]:
    """The ids of the runs that go on."""
    return {home.name.partition(".")[0] for home in _folders(base) if alive(home)}


def unfinished(results: Path) -> set[str]:
    """The ids of the runs of which not all planned rounds are there, or cannot be told to be.

    Where somebody measures, one of them may go on below another user's base folder.
    """
    return {folder.name for folder in store.runs(results) if not _complete(folder)}


def _complete(folder: Path) -> bool:
    try:
        return store.complete(folder)
    except RecordError:
        return False


def remove(found: Iterable[Left]) -> None:
    """Remove what `left` found, in its order: processes first, so that no folder comes back."""
    for one in found:
        if one.what in _left.KINDS:
            _left.remove(one.what, one.where)
            continue
        if one.pid is not None:
            _tree.slay(one.pid)  # children that were paused would never notice that their parent is gone
        elif Path(one.where).is_dir():
            shutil.rmtree(one.where, ignore_errors=True)
        else:
            Path(one.where).unlink(missing_ok=True)


def alive(home: Path) -> bool:
    """Does the process that made this home still run? Its id alone could be another's by now.

    A home without a readable owner is being made, or was left half made; the first for less than
    a minute.
    """
    try:
        owner = json.loads((home / "owner.json").read_text())
        born = embedded.born(int(owner["pid"]))
        return born is not None and bool(born == owner["started"])
    except (OSError, ValueError, KeyError, TypeError):
        return _age_s(home) < 60


def size(folder: Path) -> int:
    """Bytes on the disk of a folder and all below it, or of a file; links counted where they are."""
    total = 0
    for path in (folder, *folder.rglob("*")):
        with contextlib.suppress(OSError):
            total += path.lstat().st_blocks * 512
    return total


def _age_s(path: Path) -> float:
    """Seconds since *path* was changed; for ever where it is gone."""
    try:
        return time.time() - path.stat().st_mtime
    except FileNotFoundError:
        return float("inf")


def _folders(base: Path) -> list[Path]:
    try:
        return sorted(path for path in base.iterdir() if path.is_dir())
    except FileNotFoundError:
        return []
    except OSError as error:
        raise PlaceError(f"{base}: cannot be read: {error.strerror} (set PGLAB_BASE to a folder of your own)") from None


def _homes(base: Path) -> Iterator[Left]:
    for home in _folders(base):
        if not home.name.startswith(("wheel-", "tpch-")) and not alive(home):
            yield Left("servers' data", str(home), size(home))


def _wheels(base: Path) -> Iterator[Left]:
    """Copies of binaries of other versions than the installed one."""
    for folder in _folders(base):
        if folder.name.startswith("wheel-") and folder.name != f"wheel-{embedded.version()}" and _age_s(folder) > 60:
            yield Left("binaries of another version", str(folder), size(folder))


def _made(base: Path) -> Iterator[Left]:
    """Rows that can be made again, while no run may be reading them."""
    for folder in _folders(base) if not living(base) else ():
        if folder.name.startswith("tpch-") and _age_s(folder) > 60:
            yield Left("rows of TPC-H's generator", str(folder), size(folder))


def _engines(base: Path) -> Iterator[Left]:
    """What a Docker engine has of runs whose home is gone, or whose owner is."""
    for one in _left.of(base, lambda run: not ((base / run).exists() and alive(base / run))):
        yield Left(one.kind, one.name, one.bytes)


def _processes(base: Path) -> Iterator[Left]:
    """Servers, children of servers that are gone already, and programs that make a server."""
    found = {process.pid: process for process in psutil.process_iter(["cmdline", "ppid"]) if _run(process, base)}
    for process in found.values():
        home = base / _run(process, base)
        if process.info["ppid"] not in found and home.exists() and not alive(home):
            yield Left("server process", f"{_LABEL}{home.name}", 0, process.pid)


def _run(process: psutil.Process, base: Path) -> str:
    """The run whose server, server's child or program a process is; "" where it is none."""
    words: list[str] = process.info["cmdline"] or []
    for word in words:
        if word.startswith(_LABEL):
            return str(word.removeprefix(_LABEL))
        if word.startswith(_CHILD):
            return str(word.removeprefix(_CHILD).partition(":")[0])
    paths = [word for word in words[1:] if word.startswith(f"{base}/")]
    if paths and Path(words[0]).name in _PROGRAMS:
        return str(Path(paths[0]).relative_to(base).parts[0])
    return ""


def _fragments(results: Path, alive_ones: Iterable[str]) -> Iterator[Left]:
    """Trials that were being written, and logs of servers that are gone."""
    if not results.exists():
        return
    running = set(alive_ones)
    names = ("*/*/.logs", "*/.partial-*", "*/*/.partial-*", "*/*/*/.partial-*")
    for path in sorted(path for name in names for path in results.glob(name)):
        if not running.intersection(path.parts) and path.exists() and _age_s(path) > 1:
            yield Left("unfinished files", str(path), size(path))
