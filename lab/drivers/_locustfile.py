"""What Locust runs: a process of its own that is told slice by slice what to send.

Orders come over a pipe from lab/drivers/locust.py, which ends with the lab's own process, and this
one with it. Locust is imported before all else: it patches the process, and psycopg chooses at
its import how it waits. No pandas, no pyarrow, no numpy: columns leave as bytes.
"""

import locust  # isort: split

import ctypes
import gc
import itertools
import os
import signal
import sys
import time
from array import array
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from multiprocessing.connection import Connection
from typing import Any, ClassVar

import gevent
from gevent.event import Event
from gevent.queue import Queue
from locust.env import Environment
from locust.stats import StatsEntry, bucket_response_time, get_stats_summary

from lab import pg

RETRY_S = (0.01, 1.0)  # the first pause before a lost connection is tried again, and the longest
WAKE_NS = 100_000  # what waking up takes; what is left of it is spent looking at the clock
_LIBC = ctypes.CDLL(None, use_errno=True)
_PR_SET_PDEATHSIG = 1
_TFD_TIMER_ABSTIME = 1
_READ, _WRITE = 1, 2  # libev's names for them


class Stopped(BaseException):
    """Thrown into a client: end the slice now. No Exception, so that nobody takes it for a failure."""


class RefusedError(Exception):
    """The server refused a connection (*query* is None) or to prepare the statement of a query."""

    def __init__(self, query: int | None, words: str) -> None:
        super().__init__(words)
        self.query = query


def waits(descriptor: int) -> tuple[Callable[[], None], Callable[[], None]]:
    """pg.Waits for greenlets."""
    hub = gevent.get_hub()
    readable, writable = (hub.loop.io(descriptor, event) for event in (_READ, _WRITE))
    return partial(hub.wait, readable), partial(hub.wait, writable)


class Alarm:
    """Waits for a time on CLOCK_MONOTONIC by a timer of the kernel's; gevent's own count whole ms."""

    def __init__(self) -> None:
        self._timer = _LIBC.timerfd_create(time.CLOCK_MONOTONIC, os.O_NONBLOCK | os.O_CLOEXEC)
        if self._timer < 0:
            raise OSError(ctypes.get_errno(), "timerfd_create")
        self._rings, _ = waits(self._timer)

    def until(self, at_ns: int) -> None:
        """Return at *at_ns*, or at once if that is past."""
        if time.monotonic_ns() < at_ns - WAKE_NS:
            spec = (ctypes.c_long * 4)(0, 0, *divmod(at_ns - WAKE_NS, 1_000_000_000))
            _LIBC.timerfd_settime(self._timer, _TFD_TIMER_ABSTIME, spec, None)
            self._rings()
        while time.monotonic_ns() < at_ns:
            gevent.sleep(0)  # lets the others' answers in


class Log:
    """One client's operations, as bytes in the end: see _ops.Log."""

    def __init__(self, client: int) -> None:
        self.client = client
        self.seq, self.start_ns, self.end_ns, self.rows = (array("q") for _ in range(4))
        self.troubles: dict[int, tuple[str, str | None]] = {}

    def add(self, seq: int, start_ns: int, rows: int, outcome: str | None, sqlstate: str | None) -> None:
        """An operation has just ended."""
        self.end_ns.append(time.monotonic_ns())
        self.start_ns.append(start_ns)
        self.seq.append(seq)
        self.rows.append(rows)
        if outcome is not None:
            self.troubles[len(self.seq) - 1] = outcome, sqlstate

    def plain(self) -> dict[str, Any]:
        """The fields of _ops.Log."""
        columns = {name: getattr(self, name).tobytes() for name in ("seq", "start_ns", "end_ns", "rows")}
        return {"client": self.client, "troubles": self.troubles, **columns}


class Turn:
    """This process' share of one slice: see _ops.order for the fields of *order*."""

    def __init__(self, order: dict[str, Any]) -> None:
        self.connection: str = order["connection"]
        self.conninfo: str = order["conninfo"]
        self.clients: list[int] = order["clients"]
        self.names: list[str] = order["names"]
        self.asked: list[pg.Asked] = order["asked"]
        self.saturate: bool = order["saturate"]
        self.for_ns = int(order["for_s"] * 1e9)
        self.zero_ns = self.end_ns = 0
        self._query = memoryview(order["query"]).cast("i")
        self._due = memoryview(order["due_ns"]).cast("q")
        self._first = memoryview(order["first"]).cast("i")
        self._at = memoryview(order["at"]).cast("i")
        self._data: bytes = order["data"]
        self._nulls: bytes = order["nulls"]
        start, step = order["share"]
        self._seqs = itertools.count(start, step) if self.saturate else iter(range(start, len(self._due), step))
        self.logs: list[Log] = []
        self.done = Event()

    def begin(self, zero_ns: int) -> None:
        """Due times count from *zero_ns* on CLOCK_MONOTONIC."""
        self.zero_ns, self.end_ns = zero_ns, zero_ns + self.for_ns

    def report(self, log: Log) -> None:
        """A client has ended."""
        self.logs.append(log)
        if len(self.logs) == len(self.clients):
            self.done.set()

    def calls(self, alarm: Alarm) -> Iterator[tuple[int, pg.Asked, list[bytes | None]]]:
        """The next call that no client has taken, when it is due, until there is none."""
        if self.saturate:
            alarm.until(self.zero_ns)
            while time.monotonic_ns() < self.end_ns:
                seq = next(self._seqs)
                yield seq, *self._call(seq % len(self._due))
        else:
            for seq in self._seqs:
                call = self._call(seq)
                alarm.until(self.zero_ns + self._due[seq])
                yield seq, *call

    def _call(self, index: int) -> tuple[pg.Asked, list[bytes | None]]:
        at, data = self._at, self._data
        params = range(self._first[index], self._first[index + 1])
        values: list[bytes | None] = [data[at[param] : at[param + 1]] for param in params]
        if self._nulls:
            values = [None if self._nulls[param] else value for param, value in zip(params, values, strict=True)]
        return self.asked[self._query[index]], values

    def name(self, seq: int) -> str:
        """The query of an operation."""
        return self.names[self._query[seq % len(self._due)]]


class Client(locust.User):
    """One client of the declared mix. Its only task takes turns for ever; connections outlive them."""

    abstract = False
    wait_time = locust.constant(0)
    everyone: ClassVar[list["Client"]] = []

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        self.turns: Queue[tuple[int, Turn]] = Queue()
        self._wires: dict[str, pg.Wire] = {}
        self._alarm = Alarm()
        self.everyone.append(self)

    def connect(self, turn: Turn) -> None:
        """Have a live connection of that name, with everything prepared; RefusedError if it cannot be."""
        wire = self._wires.get(turn.connection)
        if wire is not None:
            wire.check()
        if wire is None or wire.lost:
            self.forget(turn.connection)
            try:
                self._wires[turn.connection] = wire = pg.Wire(turn.conninfo, waits)
            except pg.Error as error:
                raise RefusedError(None, pg.words(error)) from None
        for index, asked in enumerate(turn.asked):
            try:
                wire.prepare(asked)
            except pg.Error as error:
                raise RefusedError(index, pg.words(error)) from None

    def forget(self, connection: str) -> None:
        """Close the connection of that name, if there is one."""
        if wire := self._wires.pop(connection, None):
            wire.close()

    def interrupt(self) -> None:
        """End the slice now."""
        if self._greenlet is not None:
            self._greenlet.kill(Stopped, block=False)

    @locust.task
    def take_turns(self) -> None:
        """Wait for a slice and do one's share of it, again and again."""
        while True:
            with suppress(Stopped):  # it may come when this client has already ended
                number, turn = self.turns.get()
                log = Log(number)
                with suppress(Stopped):
                    self._drive(turn, log)
                turn.report(log)

    def _drive(self, turn: Turn, log: Log) -> None:
        """The inner loop: nothing here but the call and two looks at the clock."""
        wire = self._wires[turn.connection]
        for seq, asked, values in turn.calls(self._alarm):
            start_ns = time.monotonic_ns()
            try:
                log.add(seq, start_ns, *wire.run(asked, values))
            except Stopped:
                log.add(seq, start_ns, 0, "unknown", None)
                self.forget(turn.connection)
                raise
            if wire.lost:
                if not self._reconnect(turn):
                    return
                wire = self._wires[turn.connection]

    def _reconnect(self, turn: Turn) -> bool:
        """Try until there is a connection, or the time of the slice is over."""
        pause_s, longest_s = RETRY_S
        while time.monotonic_ns() < turn.end_ns:
            try:
                self.connect(turn)
            except RefusedError:
                gevent.sleep(pause_s)
                pause_s = min(2 * pause_s, longest_s)
            else:
                return True
        return False


class Generator:
    """Takes orders until the pipe is closed."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe
        self._environment = Environment(user_classes=[Client], catch_exceptions=False)
        self._runner = self._environment.create_local_runner()
        self._turn: Turn | None = None

    def serve(self) -> None:
        """Do what the pipe says; each order but `stop` and `forget` is answered by one message."""
        with suppress(EOFError):
            while True:
                gevent.socket.wait_read(self._pipe.fileno())
                order, *rest = self._pipe.recv()
                getattr(self, order)(*rest)

    def start(self, fields: dict[str, Any]) -> None:
        """Connect and prepare for a slice; it begins at `go`."""
        turn = Turn(fields)
        self._spawn(len(turn.clients))
        try:
            for client in Client.everyone[: len(turn.clients)]:
                client.connect(turn)
        except RefusedError as refused:
            self._pipe.send(("refused", refused.query, str(refused)))
        else:
            self._turn = turn
            self._pipe.send(("ready",))

    def go(self, zero_ns: int) -> None:
        """Begin the slice; it is reported when the last client has ended."""
        assert self._turn is not None
        gc.disable()  # a pause of the collector would be taken for the server's
        cpu_s = time.process_time()
        self._turn.begin(zero_ns)
        for number, client in zip(self._turn.clients, Client.everyone, strict=False):
            client.turns.put((number, self._turn))
        gevent.spawn(self._report, self._turn, cpu_s)

    def stop(self) -> None:
        """End the slice now; it is reported as usual."""
        if self._turn is not None:
            for client in Client.everyone[: len(self._turn.clients)]:
                client.interrupt()

    def forget(self, connection: str) -> None:
        """Close the connections of that name."""
        for client in Client.everyone:
            client.forget(connection)
        self._pipe.send(("forgotten",))

    def summary(self) -> None:
        """Locust's own table, for the log."""
        sys.stdout.write("\n".join(get_stats_summary(self._environment.stats)) + "\n")

    def _spawn(self, clients: int) -> None:
        """Have as many users; they stay for the whole run."""
        if clients > len(Client.everyone):
            self._runner.start(clients, spawn_rate=100)
            while len(Client.everyone) < clients:
                gevent.sleep(0.001)

    def _report(self, turn: Turn, cpu_s: float) -> None:
        turn.done.wait()
        cpu_s = time.process_time() - cpu_s
        self._turn = None
        gc.enable()
        self._pipe.send(("done", [log.plain() for log in turn.logs], cpu_s))
        self._count(turn)

    def _count(self, turn: Turn) -> None:
        """Feed Locust's own counters, a slice at a time: its event per request costs more than a request."""
        stats = self._environment.stats
        entries: dict[str, Any] = {name: StatsEntry(stats, name, "pg") for name in turn.names}
        for log in turn.logs:
            for position, (seq, start_ns, end_ns) in enumerate(zip(log.seq, log.start_ns, log.end_ns, strict=True)):
                entry, took_ms = entries[turn.name(seq)], (end_ns - start_ns) / 1e6
                entry.num_requests += 1
                entry.num_failures += position in log.troubles
                entry.total_response_time += took_ms
                entry.response_times[bucket_response_time(took_ms)] += 1
                entry.min_response_time = min(entry.min_response_time or took_ms, took_ms)
                entry.max_response_time = max(entry.max_response_time, took_ms)
        for name, entry in entries.items():
            stats.get(name, "pg").extend(entry)
            stats.total.extend(entry)


def main(descriptor: int) -> None:
    """Serve until the lab closes the pipe or dies, however it dies."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    hub = gevent.get_hub()
    hub.SYSTEM_ERROR = (Exception,)  # a greenlet's exception is a bug of ours and ends the process
    gc.freeze()
    generator = Generator(Connection(descriptor))
    generator.serve()
    generator.summary()


if __name__ == "__main__":
    main(int(sys.argv[1]))
