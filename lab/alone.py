"""One measuring run on a machine at a time: two would measure each other.

Who holds the lock is asked of the kernel and not read from the file: the file may belong to
another user, and what somebody wrote into it would outlive a run that was killed.
"""

import contextlib
import fcntl
import os
import pwd
import re
import shlex
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TextIO

import psutil

from lab.errors import PlaceError

MEASURING = Path("/var/tmp/pglab-measuring.lock")  # one for the machine, whoever measures and wherever
_LOCKS = Path("/proc/locks")
_HELD = re.compile(r"\d+: FLOCK +ADVISORY +(?:READ|WRITE) +(\d+) \w+:\w+:(\d+) ")


@contextmanager
def measuring(waiting: Callable[[str], object] | None = None) -> Iterator[None]:
    """Measure, alone on this machine; PlaceError where another run does, naming it.

    With *waiting* that run is waited for, once it was told whom for; Ctrl-C ends the wait at once.
    A lock may be taken on a file that is only read, so that it serves users of whom one made it.
    """
    with _opened() as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            who = _who(os.fstat(lock.fileno()).st_ino)
            if waiting is None:
                raise PlaceError(
                    f"another pglab is measuring on this machine{who}; "
                    "two runs would measure each other: wait for it (--wait), or stop it"
                ) from None
            waiting(f"waiting for another pglab that is measuring on this machine{who}")
            _wait(lock)
        yield


@contextmanager
def unless_measuring() -> Iterator[bool]:
    """Does nobody measure on this machine? Then nobody begins to within the block either. No where it cannot be told.

    Of those who ask so there may be several at a time.
    """
    try:
        lock = _opened()
    except PlaceError:
        yield False
        return
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
            nobody = True
        except OSError:
            nobody = False
        yield nobody


def _opened() -> TextIO:
    """The lock's file, made where there is none, so that other users may read it whatever the umask."""
    try:
        if not MEASURING.exists():
            with contextlib.suppress(FileExistsError):
                os.close(os.open(MEASURING, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644))
        if MEASURING.stat().st_uid == os.getuid():
            MEASURING.chmod(0o644)
        return MEASURING.open()
    except OSError as error:
        raise PlaceError(
            f"{MEASURING}: cannot be opened: {error.strerror or error} (every user must be able to read it: have its "
            f"owner say chmod a+r {MEASURING})"
        ) from None


def _wait(lock: TextIO) -> None:
    """Return with the lock; KeyboardInterrupt where that is no longer wanted."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
    except KeyboardInterrupt as stopped:
        raise type(stopped)("interrupted while waiting for another run; nothing was begun") from None
    finally:
        signal.signal(signal.SIGINT, before)


def _who(inode: int) -> str:
    """The process that holds the lock on a file, in words; "" where the kernel does not say."""
    pid = next((pid for pid, held in _held() if held == inode), None)
    if pid is None:
        return ""
    try:
        process = psutil.Process(pid)
        since = datetime.fromtimestamp(process.create_time()).astimezone()
        return f" (pid {pid} of {_user(process)}, since {since:%Y-%m-%d %H:%M:%S}: {_words(process)})"
    except psutil.Error:
        return f" (pid {pid})"


def _held() -> Iterator[tuple[int, int]]:
    """The locks that the kernel shows: process and inode. Of processes in other containers it shows none."""
    with contextlib.suppress(OSError):
        for pid, inode in _HELD.findall(_LOCKS.read_text()):
            yield int(pid), int(inode)


def _user(process: psutil.Process) -> str:
    uid = process.uids().real
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"


def _words(process: psutil.Process) -> str:
    """The command as it was given, from pglab's own words on."""
    given = process.cmdline()
    at = next((n for n, word in enumerate(given) if Path(word).name in ("pglab", "lab.cli", "cli.py")), 0)
    return shlex.join(["pglab", *given[at + 1 :]] if at else given) or process.name()
