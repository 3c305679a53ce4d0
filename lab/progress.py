"""How far a run is, for people who wait: a bar on a terminal, plain lines without one."""

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn


@contextmanager
def told(err: Console, *, quiet: bool) -> Iterator[Any]:
    """A progress bar on a terminal, plain lines without one; on stderr, so that stdout is the answer."""
    if not err.is_terminal:
        yield _Lines(err, silent=quiet)
        return
    with Progress(
        BarColumn(bar_width=24),
        TaskProgressColumn(),
        TextColumn("{task.fields[left]}"),
        TextColumn("{task.description}"),
        console=err,
        transient=True,
    ) as progress:
        yield _Bar(progress)


@contextmanager
def interruptible(err: Console) -> Iterator[Any]:
    """Ctrl-C once: finish the trial and judge what is there. Twice: stop."""
    from lab.run import Stop  # which takes a while, and `pglab --help` needs none

    stop = Stop()

    def asked(signum: int, frame: object) -> None:
        del signum, frame
        if stop.asked:
            raise KeyboardInterrupt
        stop.asked, stop.interrupted, stop.why = True, True, "interrupted"
        err.print("finishing the trial under way; Ctrl-C again stops at once", markup=False)

    before = signal.signal(signal.SIGINT, asked)
    try:
        yield stop
    finally:
        signal.signal(signal.SIGINT, before)


class _Bar:
    """How far it is, how long it will still take, and what is being done."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._task = progress.add_task("", total=1.0, left="")

    def __call__(self, what: str, *, done: float, left_s: float | None) -> None:
        self._progress.update(self._task, completed=done, description=escape(what), left=_left(left_s))

    def note(self, what: str) -> None:
        self._progress.console.print(what, markup=False)


class _Lines:
    """One line when what is done changes, and at most one in five seconds."""

    def __init__(self, err: Console, *, silent: bool) -> None:
        self._err, self._silent = err, silent
        self._last = float("-inf")

    def __call__(self, what: str, *, done: float, left_s: float | None) -> None:
        now = time.monotonic()
        if not self._silent and now - self._last >= 5:
            self._last = now
            self._err.print(f"{done:4.0%} {_left(left_s):>12} {what}", markup=False)

    def note(self, what: str) -> None:
        if not self._silent:
            self._err.print(what, markup=False)


def _left(left_s: float | None) -> str:
    """
    >>> _left(75.0), _left(None)
    ('1:15 left', '')
    """
    return "" if left_s is None else f"{int(left_s) // 60}:{int(left_s) % 60:02d} left"
