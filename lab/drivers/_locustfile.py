"""What Locust runs: a process of its own that is told slice by slice what to send.

Orders come over a pipe from lab/drivers/locust.py, which ends with the lab's own process, and this
one with it. Locust is imported before all else: it patches the process, and psycopg chooses at
its import how it waits. No pandas, no pyarrow, no numpy: columns leave as bytes.
"""

import locust  # isort: split

import ctypes
import gc
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import Any

import gevent
from gevent import getcurrent
from gevent.event import Event
from gevent.queue import Queue
from locust.env import Environment
from locust.stats import RequestStats, bucket_response_time, get_stats_summary
from locust.util.load_locustfile import load_locustfile

from lab import pg
from lab.plain import Asked, Log, Order
from lab.waiting import Alarm, Watched

RETRY_S = (0.01, 1.0)  # the first pause before a lost connection is tried again, and the longest
_LIBC = ctypes.CDLL(None)
_PR_SET_PDEATHSIG = 1


class Stopped(BaseException):
    """Thrown into a client: end the slice now. No Exception, so that nobody takes it for a failure."""


class RefusedError(Exception):
    """A slice cannot begin: *what* is the index of a query, `connection`, `read connection` or `script`."""

    def __init__(self, what: int | str, words: str) -> None:
        super().__init__(words)
        self.what = what


class Turn:
    """A slice of the declared mix. Its clients take from one list of calls."""

    def __init__(self, order: Order) -> None:
        self.order = order
        self.names = list(order.names)
        self.zero_ns = self.end_ns = 0
        self._seqs = order.seqs()
        self.logs: list[Log] = []
        self.done = Event()

    def open(self) -> None:
        """Connect and prepare; RefusedError if the server does."""
        for number, client in zip(self.order.clients, CLIENTS[: len(self.order.clients)], strict=True):
            client.connect(self.order, number)

    def begin(self, zero_ns: int) -> None:
        """Let the clients go; due times count from *zero_ns* on CLOCK_MONOTONIC."""
        gc.disable()  # a pause of the collector would be taken for the server's
        self.zero_ns, self.end_ns = zero_ns, zero_ns + int(self.order.for_s * 1e9)
        for number, client in zip(self.order.clients, CLIENTS[: len(self.order.clients)], strict=True):
            client.turns.put((number, self))

    def stop(self) -> None:
        """End the slice now."""
        for client in CLIENTS[: len(self.order.clients)]:
            client.interrupt()

    def report(self, log: Log) -> None:
        """A client has ended."""
        self.logs.append(log)
        if len(self.logs) == len(self.order.clients):
            self.done.set()

    def calls(self, alarm: Alarm) -> Iterator[tuple[int, int, list[bytes | None]]]:
        """The next call that no client has taken, when it is due, until there is none: seq, query, values."""
        call, end_ns = self.order.call, self.end_ns
        if self.order.saturate:
            alarm.until(self.zero_ns)
            for seq in self._seqs:
                if time.monotonic_ns() >= end_ns:
                    break
                yield seq, *call(seq)
        else:
            for seq in self._seqs:
                query, values = call(seq)
                alarm.until(self.zero_ns + self.order.calls.dues[seq])
                yield seq, query, values

    def count(self, stats: RequestStats) -> None:
        """Feed Locust's own counters, a slice at a time: its event per request costs more than a request."""
        took_ms: dict[str, list[float]] = {name: [] for name in self.names}
        for log in self.logs:
            for seq, start_ns, end_ns in zip(log.seq, log.start_ns, log.end_ns, strict=True):
                took_ms[self.order.name(seq)].append((end_ns - start_ns) / 1e6)
            for position in log.troubles:
                stats.get(self.order.name(log.seq[position]), "pg").num_failures += 1
                stats.total.num_failures += 1
        for name, times in took_ms.items():
            for entry in (stats.get(name, "pg"), stats.total) if times else ():
                _count(entry, times)


def _count(entry: Any, times_ms: list[float]) -> None:
    """Add requests to one line of Locust's table."""
    entry.num_requests += len(times_ms)
    entry.total_response_time += sum(times_ms)
    entry.max_response_time = max(entry.max_response_time, max(times_ms))
    entry.min_response_time = min(entry.min_response_time or times_ms[0], min(times_ms))
    for bucket, number in Counter(map(bucket_response_time, times_ms)).items():
        entry.response_times[bucket] += number


CLIENTS: list["Client"] = []  # all that were ever spawned, in that order: a slice takes the first few


class Client(locust.User):
    """One client of the declared mix. Its only task takes turns for ever; connections outlive them."""

    abstract = False
    wait_time = locust.constant(0)

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        self.turns: Queue[tuple[int, Turn]] = Queue()
        self._wires: dict[tuple[str, str], pg.Wire] = {}  # by name and by where to
        self._routes: list[tuple[pg.Wire, Asked]] = []
        self._alarm = Alarm()
        CLIENTS.append(self)

    def connect(self, order: Order, number: int) -> None:
        """Have what each query is sent by: live connections, everything prepared; RefusedError if that cannot be."""
        self._routes = []
        for index, asked in enumerate(order.asked):
            wire = self._wire(order.connection, order.place(index, number), order)
            try:
                wire.prepare(asked)
            except pg.Error as error:
                raise RefusedError(index, pg.words(error)) from None
            self._routes.append((wire, asked))

    def _wire(self, name: str, info: str, order: Order) -> pg.Wire:
        wire = self._wires.get((name, info))
        if wire is not None:
            wire.check()
            if not wire.lost:
                return wire
            self._wires.pop((name, info)).close()
        try:
            self._wires[name, info] = wire = pg.Wire(info, Watched)
        except pg.Error as error:
            raise RefusedError("connection" if info == order.conninfo else "read connection", pg.words(error)) from None
        return wire

    def forget(self, connection: str) -> None:
        """Close the connections of that name, if there are any."""
        for key in [key for key in self._wires if key[0] == connection]:
            self._wires.pop(key).close()

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
        routes = self._routes
        for seq, query, values in turn.calls(self._alarm):
            wire, asked = routes[query]
            start_ns = time.monotonic_ns()
            try:
                log.add(seq, start_ns, *wire.run(asked, values))
            except Stopped:
                log.add(seq, start_ns, 0, "unknown", None)
                self.forget(turn.order.connection)
                raise
            if wire.lost:
                if not self._reconnect(turn, log.client):
                    return
                routes = self._routes

    def _reconnect(self, turn: Turn, number: int) -> bool:
        """Try until there is a connection, or the time of the slice is over."""
        pause_s, longest_s = RETRY_S
        while time.monotonic_ns() < turn.end_ns:
            try:
                self.connect(turn.order, number)
            except RefusedError:
                gevent.sleep(pause_s)
                pause_s = min(2 * pause_s, longest_s)
            else:
                return True
        return False


class Script:
    """An author's locustfile: Locust runs its users as ever, and their request events are operations.

    A user finds the server in `self.host`, as libpq's conninfo, and times what it does by
    `with self.environment.events.request.measure("pg", name):`. Its `response_length` is the rows.
    """

    def __init__(self, path: str) -> None:
        try:
            classes, _ = load_locustfile(path)
        except Exception as error:  # noqa: BLE001 - the author's module may raise anything
            raise RefusedError("script", f"{type(error).__name__}: {error}") from None
        users = [self._gated(user) for user in classes.values()]
        self._environment = Environment(user_classes=users, events=locust.events)
        self._runner = self._environment.create_local_runner()
        self._alarm = Alarm()
        locust.events.request.add_listener(self._record)  # type: ignore[no-untyped-call]

    def _gated(self, user: type[locust.User]) -> type[locust.User]:
        """The class, whose users connect in on_start and then wait for the slice to begin."""
        script = self

        class Gated(user):  # type: ignore[misc,valid-type]
            def on_start(self) -> None:
                try:
                    super().on_start()
                except Exception as error:  # noqa: BLE001 - the author's method may raise anything
                    script.failures.append(f"{type(error).__name__}: {error}")
                script.clients.append(getcurrent())
                script.gate.wait()

        Gated.__name__ = user.__name__
        return Gated

    def plan(self, order: Order) -> None:
        """Take the order for the next slice."""
        self._environment.host = order.conninfo
        self._for_s = order.for_s
        self.gate, self.done, self._halt = Event(), Event(), Event()
        self.failures: list[str] = []
        self.clients: list[gevent.Greenlet] = []
        self.names: list[str] = []
        self.logs = [Log(number) for number in order.clients]

    def open(self) -> None:
        """Spawn the users and wait until each has come through its on_start."""
        self._runner.start(len(self.logs), spawn_rate=100)
        while len(self.clients) < len(self.logs):
            gevent.sleep(0.001)
        if self.failures:
            self._runner.stop()
            raise RefusedError("script", f"on_start: {self.failures[0]}")

    def begin(self, zero_ns: int) -> None:
        """Let the users go at *zero_ns*, for the time of the slice."""
        gevent.spawn(self._run, zero_ns)

    def _run(self, zero_ns: int) -> None:
        self._alarm.until(zero_ns)
        self.gate.set()
        self._halt.wait(self._for_s)
        self._halt.set()
        self._runner.stop()
        self.done.set()

    def stop(self) -> None:
        """End the slice now."""
        self._halt.set()

    def _record(
        self, name: str, response_time: float, response_length: int, exception: object = None, **_: object
    ) -> None:
        """Take an event for an operation; what ends after the slice was cut off by its end."""
        if not self.gate.is_set():
            return  # of on_start
        me = getcurrent()
        log = self.logs[self.clients.index(me) if me in self.clients else 0]
        self.names += [name] if name not in self.names else []
        sqlstate = getattr(exception, "sqlstate", None)
        lost = isinstance(exception, pg.Error) and (sqlstate or "08").startswith("08")
        outcome = "unknown" if lost or self._halt.is_set() else "failed" if exception else None
        start_ns = time.monotonic_ns() - int(response_time * 1e6)
        log.add(self.names.index(name), start_ns, response_length or 0, outcome, sqlstate)

    def count(self, stats: RequestStats) -> None:
        """Nothing: Locust has counted."""


class Generator:
    """Takes orders until the pipe is closed."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe
        self._environment = Environment(user_classes=[Client], catch_exceptions=False)
        self._runner = self._environment.create_local_runner()
        self._script: Script | None = None
        self._turn: Turn | Script | None = None

    def serve(self) -> None:
        """Do what the pipe says, and leave Locust's own table in the log; `stop` alone is not answered."""
        with suppress(EOFError):
            while True:
                gevent.socket.wait_read(self._pipe.fileno())
                order, *rest = self._pipe.recv()
                getattr(self, order)(*rest)
        sys.stdout.write("\n".join(get_stats_summary(self._environment.stats)) + "\n")

    def start(self, order: Order) -> None:
        """Connect and prepare for a slice; it begins at `go`."""
        try:
            self._turn = self._declared(order) if order.script is None else self._scripted(order)
            self._turn.open()
        except RefusedError as refused:
            self._turn = None
            self._pipe.send(("refused", refused.what, str(refused)))
        else:
            self._pipe.send(("ready",))

    def _scripted(self, order: Order) -> Script:
        self._script = self._script or Script(str(order.script))
        self._script.plan(order)
        return self._script

    def _declared(self, order: Order) -> Turn:
        """Have as many users as clients; they stay for the whole run."""
        if len(CLIENTS) < len(order.clients):
            self._runner.start(len(order.clients), spawn_rate=100)
        while len(CLIENTS) < len(order.clients):
            gevent.sleep(0.001)
        return Turn(order)

    def go(self, zero_ns: int) -> None:
        """Begin the slice; it is reported when the last client has ended."""
        assert self._turn is not None
        cpu_s = time.process_time()
        self._turn.begin(zero_ns)
        gevent.spawn(self._report, self._turn, cpu_s)

    def _report(self, turn: Turn | Script, cpu_s: float) -> None:
        turn.done.wait()
        cpu_s = time.process_time() - cpu_s
        self._turn = None
        gc.enable()
        self._pipe.send(("done", turn.logs, cpu_s, turn.names))
        turn.count(self._environment.stats)

    def stop(self) -> None:
        """End the slice now, if there is one; it is reported as usual."""
        if self._turn is not None:
            self._turn.stop()

    def forget(self, connection: str) -> None:
        """Close the connections of that name."""
        for client in CLIENTS:
            client.forget(connection)
        self._pipe.send(("forgotten",))


def main(descriptor: int) -> None:
    """Serve until the lab closes the pipe or dies, however it dies."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    gevent.get_hub().SYSTEM_ERROR = (Exception,)  # a greenlet's exception is a bug of ours and ends the process
    gc.freeze()
    Generator(Connection(descriptor)).serve()


if __name__ == "__main__":
    main(int(sys.argv[1]))
