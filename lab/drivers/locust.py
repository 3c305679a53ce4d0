"""The declared mix, driven by Locust in processes of its own.

Importing Locust patches a process, so the lab's own never does: it sends work orders over a pipe
and turns the columns that come back into Arrow. With *processes* above 1 there are as many
independent Locusts, each with its share of the clients and of the calls; none listens anywhere.
With *workers* they are Locust's own workers, here or on other machines, behind its master.
"""

import os
import time
from array import array
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn, Protocol

import numpy as np

from lab.drivers import Driven, Work, _clocks, _distributed, _ops, _process
from lab.drivers._clocks import Reading
from lab.drivers._process import UP_S
from lab.errors import LabError, ScenarioError
from lab.plain import Log

KIND = "locust"
CANNOT: frozenset[str] = frozenset()
LEAD_NS = 3_000_000  # from `go` to the zero of the slice: every process has got it by then
FAR_LEAD_NS = 30_000_000  # the same where it goes through the master, and perhaps a network
_KNOWN = ("bind", "locustfile", "processes", "tell", "workers")


class Hand(Protocol):
    """One of those that drive: a process of ours, or a load worker behind the master."""

    @property
    def about(self) -> Mapping[str, Any]:
        """Who a load worker is; nothing of a process of ours."""
        ...

    def tell(self, *order: Any) -> None:
        """Send an order; DriverError if it is gone."""
        ...

    def heard(self, within_s: float) -> bool:
        """Is there an answer, or an end, within that time?"""
        ...

    def hear(self, within_s: float) -> tuple[Any, ...]:
        """The next answer; DriverError if there is none."""
        ...

    def clock(self) -> Reading:
        """What its clock says now."""
        ...


@contextmanager
def opened(*, workdir: Path, options: Mapping[str, object]) -> Iterator["Locust"]:
    """See drivers.OpenDriver.

    *options*: `processes` (1), and `locustfile`, a path: the users of that file drive the slices
    whose Work has no queries, and their request events are the operations (scripted.Script).
    `workers` are that many of Locust's own, started here, or awaited from elsewhere at the address
    `bind` (_distributed.opened), which `tell` is told of.
    """
    processes, workers, script = options.get("processes", 1), options.get("workers"), options.get("locustfile")
    if unknown := set(options) - set(_KNOWN):
        raise ScenarioError(f"driver locust: unknown option {min(unknown)!r} (known: {', '.join(_KNOWN)})")
    for name, number in {"processes": processes, "workers": 1 if workers is None else workers}.items():
        if not isinstance(number, int) or number < 1:
            raise ScenarioError(f"driver locust: {name}: {number!r} is no number of {name} (1, 2, ...)")
    if script is not None and not Path(str(script)).is_file():
        raise ScenarioError(f"driver locust: locustfile: {script!r} is no file")
    with ExitStack() as stack:
        each: Sequence[Hand]
        if workers is None:
            logs = [workdir / f"locust.{number}.log" for number in range(int(str(processes)))]
            each = [stack.enter_context(_process.opened(log)) for log in logs]
        else:
            bind, tell = options.get("bind"), options.get("tell", _silent)
            assert callable(tell)
            each = stack.enter_context(_distributed.opened(workdir, int(str(workers)), _text(bind), tell))
        yield Locust(each, None if script is None else str(Path(str(script)).resolve()))


def worker(master: str, port: int, *, as_json: bool) -> NoReturn:
    """Become a load worker of the run whose master listens there; the process is replaced."""
    command = _process.command("_worker.py", master, str(port), *(["json"] if as_json else []))
    os.execve(command[0], command, _process.environment())


def _silent(_: str) -> None:
    """Tell nobody."""


def _text(value: object) -> str | None:
    return None if value is None else str(value)


class Locust:
    """See drivers.Driver."""

    def __init__(self, processes: Sequence[Hand], script: str | None) -> None:
        self._processes = processes
        self._script = script

    def start(self, work: Work) -> "Drive":
        """See drivers.Driver.start. LabError with the server's words if a statement is refused."""
        busy = self._processes[: work.clients]
        script = None if work.queries else self._script
        for number, process in enumerate(busy):
            process.tell("start", _ops.order(work, (number, len(busy)), script))
        for process, answer in [(process, process.hear(UP_S)) for process in busy]:
            if answer[0] == "refused":
                raise _refusal(work, script, *answer[1:], at=str(process.about.get("host", "")))
        clocks = [process.clock() for process in busy]
        lead_ns = FAR_LEAD_NS if busy[0].about else LEAD_NS
        wall_ns, zero_ns = time.time_ns() + lead_ns, time.monotonic_ns() + lead_ns
        for process, clock in zip(busy, clocks, strict=True):
            process.tell("go", zero_ns + clock.offset_ns)
        return Drive(work, list(map(_Busy, busy, clocks)), zero_ns, wall_ns)

    def forget(self, connection: str) -> None:
        """See drivers.Driver.forget."""
        for process in self._processes:
            process.tell("forget", connection)
        for process in self._processes:
            process.hear(UP_S)


def _refusal(work: Work, script: str | None, what: int | str, words: str, *, at: str) -> LabError:
    """What to raise for a slice that cannot begin; *at* is the machine of a load worker, "" without one."""
    if isinstance(what, int):
        return _ops.unprepared(work, what, words)
    if what == "script":
        return LabError(f"{script}: {words}")
    where = f" (asked by the load worker on {at})" if at else ""
    return _ops.unconnected(work, words + where, reading=what == "read connection")


@dataclass(frozen=True)
class _Busy:
    """One that drives a slice, and what its clock said before."""

    hand: Hand
    before: Reading


@dataclass(frozen=True)
class _Report:
    """What one did in a slice, with times of our clock. *names* are those of a scripted slice."""

    logs: Sequence[Log]
    cpu_s: float
    names: Sequence[str]
    about: Mapping[str, Any]


class Drive:
    """See drivers.Load."""

    def __init__(self, work: Work, busy: Sequence[_Busy], zero_ns: int, wall_ns: int) -> None:
        self._work = work
        self._busy = busy
        self._zero_ns = zero_ns
        self._wall_ns = wall_ns

    def wait(self, until_s: float) -> bool:
        """See drivers.Load.wait."""
        deadline = time.monotonic() + until_s
        return all(one.hand.heard(max(0.0, deadline - time.monotonic())) for one in self._busy)

    def stop(self) -> None:
        """See drivers.Load.stop."""
        for one in self._busy:
            one.hand.tell("stop")

    def ops(self) -> Driven:
        """See drivers.Load.ops."""
        reports = list(map(_report, self._busy))
        cpu_s = sum(one.cpu_s for one in reports)
        if self._work.queries:
            table = _ops.table(self._work, self._zero_ns, [log for one in reports for log in one.logs])
        else:
            table = _ops.scripted_table([(one.names, one.logs) for one in reports])
        workers = tuple(one.about for one in reports if one.about)
        opened = sum(log.opened for one in reports for log in one.logs)
        return Driven(table, self._zero_ns, self._wall_ns, cpu_s, workers, opened)


def _report(one: _Busy) -> _Report:
    """The report of one that has driven; of a load worker with its processor time and its clock's error."""
    _, logs, cpu_s, names, took_s = one.hand.hear(UP_S)
    after = one.hand.clock()
    if (one.before.offset_ns, after.offset_ns) != (0, 0):
        for log in logs:
            log.start_ns, log.end_ns = (_ours(times, one.before, after) for times in (log.start_ns, log.end_ns))
    about = one.hand.about
    if about:
        error_ns = max(one.before.error_ns, after.error_ns)
        about = {**about, "cpu_s": cpu_s, "cpu_share": cpu_s / took_s, "clock_error_ns": error_ns}
    return _Report(logs, cpu_s, names, about)


def _ours(times: "array[int]", before: Reading, after: Reading) -> "array[int]":
    return array("q", _clocks.ours(np.frombuffer(times, np.int64), before, after).tobytes())
