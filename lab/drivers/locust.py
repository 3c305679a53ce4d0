"""The declared mix, driven by Locust in a process of its own.

Importing Locust patches a process, so the lab's own never does: it sends work orders over a pipe
and turns the columns that come back into Arrow. With *processes* above 1 there are as many
independent Locusts, each with its share of the clients and of the calls; none listens anywhere.
"""

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from multiprocessing.connection import Connection, Pipe
from pathlib import Path
from typing import Any

from lab.drivers import Driven, Work, _ops
from lab.errors import DriverError, LabError, ScenarioError

KIND = "locust"
CANNOT: frozenset[str] = frozenset()
END_S = 5.0
UP_S = 60.0  # for a process to start, and for its connections to open
LEAD_NS = 3_000_000  # from `go` to the zero of the slice: every process has got it by then
_ROOT = Path(__file__).parent.parent.parent


@contextmanager
def opened(*, workdir: Path, options: Mapping[str, object]) -> Iterator["Locust"]:
    """See drivers.OpenDriver.

    *options*: `processes` (1), and `locustfile`, a path: the users of that file drive the slices
    whose Work has no queries, and their request events are the operations (_locustfile.Script).
    """
    processes, script = options.get("processes", 1), options.get("locustfile")
    if unknown := set(options) - {"processes", "locustfile"}:
        raise ScenarioError(f"driver locust: unknown option {min(unknown)!r} (known: locustfile, processes)")
    if not isinstance(processes, int) or processes < 1:
        raise ScenarioError(f"driver locust: processes: {processes!r} is no number of processes (1, 2, ...)")
    if script is not None and not Path(str(script)).is_file():
        raise ScenarioError(f"driver locust: locustfile: {script!r} is no file")
    with ExitStack() as stack:
        each = [stack.enter_context(_process(workdir / f"locust.{number}.log")) for number in range(processes)]
        yield Locust(each, None if script is None else str(Path(str(script)).resolve()))


@contextmanager
def _process(log: Path) -> Iterator["_Process"]:
    """A Locust for the length of a `with` block. Interrupts from the terminal are the lab's to decide on."""
    ours, its = Pipe()
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(_ROOT), os.environ.get("PYTHONPATH", "")])}
    with ours, log.open("wb") as output:
        with its:
            process = subprocess.Popen(
                # -P: its own folder on the path would make this module the `locust` it imports
                [sys.executable, "-P", str(Path(__file__).with_name("_locustfile.py")), str(its.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=environment,
                pass_fds=[its.fileno()],
                start_new_session=True,
            )
        try:
            yield _Process(process, ours, log)
        finally:
            ours.close()
            _end(process)


def _end(process: "subprocess.Popen[bytes]") -> None:
    """Wait for a process whose pipe is closed; kill it if it does not notice."""
    try:
        process.wait(END_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


class _Process:
    """One Locust, and the pipe to it."""

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
            raise DriverError(f"locust: no answer within {within_s:.0f} s: {self._last_words()}")
        try:
            answer: tuple[Any, ...] = self._pipe.recv()
        except (EOFError, ConnectionResetError):
            raise self._gone() from None
        return answer

    def _gone(self) -> DriverError:
        return DriverError(f"locust: the process ended with status {self._process.wait()}: {self._last_words()}")

    def _last_words(self) -> str:
        lines = self._log.read_text(errors="replace").split("\n")
        return " / ".join(line.strip() for line in lines[-6:] if line.strip()) or "it left no words"


class Locust:
    """See drivers.Driver."""

    def __init__(self, processes: Sequence[_Process], script: str | None) -> None:
        self._processes = processes
        self._script = script

    def start(self, work: Work) -> "Drive":
        """See drivers.Driver.start. LabError with the server's words if a statement is refused."""
        busy = self._processes[: work.clients]
        script = None if work.queries else self._script
        for number, process in enumerate(busy):
            process.tell("start", _ops.order(work, (number, len(busy)), script))
        for answer in [process.hear(UP_S) for process in busy]:
            if answer[0] == "refused":
                raise _refusal(work, script, *answer[1:])
        wall_ns, zero_ns = time.time_ns() + LEAD_NS, time.monotonic_ns() + LEAD_NS
        for process in busy:
            process.tell("go", zero_ns)
        return Drive(work, busy, zero_ns, wall_ns)

    def forget(self, connection: str) -> None:
        """See drivers.Driver.forget."""
        for process in self._processes:
            process.tell("forget", connection)
        for process in self._processes:
            process.hear(UP_S)


def _refusal(work: Work, script: str | None, what: int | str, words: str) -> LabError:
    """What to raise for a slice that cannot begin."""
    if isinstance(what, int):
        return _ops.unprepared(work, what, words)
    if what == "script":
        return LabError(f"{script}: {words}")
    return _ops.unconnected(work, words, reading=what == "read connection")


class Drive:
    """See drivers.Load."""

    def __init__(self, work: Work, processes: Sequence[_Process], zero_ns: int, wall_ns: int) -> None:
        self._work = work
        self._processes = processes
        self._zero_ns = zero_ns
        self._wall_ns = wall_ns

    def wait(self, until_s: float) -> bool:
        """See drivers.Load.wait."""
        deadline = time.monotonic() + until_s
        return all(process.heard(max(0.0, deadline - time.monotonic())) for process in self._processes)

    def stop(self) -> None:
        """See drivers.Load.stop."""
        for process in self._processes:
            process.tell("stop")

    def ops(self) -> Driven:
        """See drivers.Load.ops."""
        answers = [process.hear(UP_S)[1:] for process in self._processes]
        cpu_s = sum(cpu_s for _, cpu_s, _ in answers)
        if self._work.queries:
            table = _ops.table(self._work, self._zero_ns, [log for logs, _, _ in answers for log in logs])
        else:
            table = _ops.scripted_table([(names, logs) for logs, _, names in answers])
        return Driven(table, self._zero_ns, self._wall_ns, cpu_s)
