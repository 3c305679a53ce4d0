"""A process of Locust, and the pipe by which it is told what to do."""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from multiprocessing.connection import Connection, Pipe
from pathlib import Path
from typing import Any

from lab import elsewhere
from lab.drivers._clocks import SAME, Reading
from lab.errors import DriverError

END_S = 5.0
UP_S = 60.0  # for a process to start, and for its connections to open
_ROOT = Path(__file__).parent.parent.parent


@contextmanager
def opened(log: Path, script: str = "_locustfile.py", *arguments: str) -> Iterator["Process"]:
    """A *script* of this folder that serves a pipe, for the length of a `with` block."""
    ours, its = Pipe()
    with ours:
        with its:
            process = launched(log, script, str(its.fileno()), *arguments, keep=(its.fileno(),))
        try:
            yield Process(process, ours, log)
        finally:
            ours.close()
            end(process)


def launched(
    log: Path, script: str, *arguments: str, keep: tuple[int, ...] = (), given: Mapping[str, str] | None = None
) -> "subprocess.Popen[bytes]":
    """A *script* of this folder as a process. Interrupts from the terminal are the lab's to decide on.

    It inherits the descriptors to *keep*, and what is *given* in its environment.
    """
    with log.open("wb") as output:
        return subprocess.Popen(
            command(script, *arguments),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=environment() | dict(given or {}),
            pass_fds=keep,
            start_new_session=True,
        )


def command(script: str, *arguments: str) -> list[str]:
    """What runs a script of this folder; -P, as the folder on the path would make locust.py the `locust` it imports."""
    return [sys.executable, "-P", str(Path(__file__).with_name(script)), *arguments]


def environment() -> dict[str, str]:
    """Ours without what libpq reads there, and where the lab is imported from."""
    own = {name: value for name, value in os.environ.items() if not elsewhere.read(name)}
    return {**own, "PYTHONPATH": os.pathsep.join([str(_ROOT), os.environ.get("PYTHONPATH", "")])}


def end(process: "subprocess.Popen[bytes]") -> None:
    """Wait for a process that has been told to end; kill it if it does not notice."""
    try:
        process.wait(END_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def last_words(log: Path) -> str:
    """The end of what a process has written."""
    lines = log.read_text(errors="replace").split("\n")
    return " / ".join(line.strip() for line in lines[-6:] if line.strip()) or "it left no words"


class Process:
    """One process and the pipe to it. It shares this machine's clock, and its processors with the server."""

    about: Mapping[str, Any] = {}

    def __init__(self, process: "subprocess.Popen[bytes]", pipe: Connection, log: Path) -> None:
        self._process = process
        self._pipe = pipe
        self._log = log

    def tell(self, *order: object) -> None:
        """Send an order; DriverError if the process is gone."""
        try:
            self._pipe.send(order)
        except BrokenPipeError:
            raise self._gone() from None

    def heard(self, within_s: float) -> bool:
        """Is there an answer, or an end, within that time?"""
        return self._pipe.poll(within_s)

    def hear(self, within_s: float) -> tuple[Any, ...]:
        """The next answer; DriverError if there is none."""
        if not self.heard(within_s):
            raise DriverError(f"locust: no answer within {within_s:.0f} s: {last_words(self._log)}")
        try:
            answer: tuple[Any, ...] = self._pipe.recv()
        except (EOFError, ConnectionResetError):
            raise self._gone() from None
        return answer

    def clock(self) -> Reading:
        """What its clock says: ours."""
        return SAME

    def close(self) -> None:
        """Close the pipe, which is how a process is told to end."""
        self._pipe.close()

    def _gone(self) -> DriverError:
        return DriverError(f"locust: the process ended with status {self._process.wait()}: {last_words(self._log)}")
