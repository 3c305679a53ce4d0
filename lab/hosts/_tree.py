"""A server process and its children as one: frozen, thawed, or killed with the shared memory they hold."""

import ctypes
import signal
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

import psutil

from lab.hosts._home import born

DEAD_S = 30.0
_IPC_RMID = 0
_LIBC = ctypes.CDLL(None, use_errno=True)


def freeze(pid: int) -> list[int]:
    """SIGSTOP to all of them, the parent first so that no child is born in between; their process ids."""
    _send([pid], signal.SIGSTOP)
    found = _tree(pid)
    _send(found, signal.SIGSTOP)
    return found


def thaw(pid: int) -> None:
    """SIGCONT to all of them."""
    _send(_tree(pid), signal.SIGCONT)


def slay(pid: int) -> None:
    """SIGKILL to all of them at once, as when the machine loses power; nothing of them is left on return.

    A killed server leaves its shared memory behind, which only a server on the same data directory
    would remove. Children that end by themselves when the parent is gone would take their time.
    """
    doomed = freeze(pid)
    held = {one for each in doomed for one in _held(each)}
    _send(doomed, signal.SIGKILL)
    _wait(doomed)
    for path, number in held:
        if path.startswith("/SYSV"):
            _LIBC.shmctl(number, _IPC_RMID, None)
        else:
            Path(path).unlink(missing_ok=True)


def _tree(pid: int) -> list[int]:
    """The process and all that descend from it; none where it is gone."""
    with suppress(psutil.NoSuchProcess):
        return [pid, *(child.pid for child in psutil.Process(pid).children(recursive=True))]
    return []


def _send(pids: Iterable[int], what: signal.Signals) -> None:
    for pid in pids:
        with suppress(psutil.NoSuchProcess):
            psutil.Process(pid).send_signal(what)


def _held(pid: int) -> Iterator[tuple[str, int]]:
    """The shared memory that a process maps: path and inode, which is the id of a System V segment."""
    with suppress(FileNotFoundError, ProcessLookupError):
        for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
            *_, inode, path = line.split(maxsplit=5) if line.count("/") else ("0", "")
            if path.startswith(("/SYSV", "/dev/shm/PostgreSQL.")):
                yield path.removesuffix(" (deleted)"), int(inode)


def _wait(pids: Iterable[int]) -> None:
    """Return once none of them runs; a zombie does not."""
    deadline = time.monotonic() + DEAD_S
    while any(born(pid) is not None for pid in pids) and time.monotonic() < deadline:
        time.sleep(0.002)
