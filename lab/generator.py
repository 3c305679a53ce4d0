"""What a process of Locust does with its orders: slice by slice, it sends what it is told to.

Imported after Locust, which patches the process; psycopg chooses at its import how it waits. No
pandas, no pyarrow, no numpy: columns leave as bytes.
"""

import gc
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import gevent
import locust
from gevent.event import Event
from gevent.queue import Queue
from locust.env import Environment
from locust.stats import RequestStats, bucket_response_time

from lab import pg
from lab.plain import NO_CONNECTION, NO_DATABASE, Asked, Log, Order, RefusedError
from lab.scripted import Script
from lab.waiting import Alarm, Watched

RETRY_S = (0.01, 1.0)  # the first pause before a lost connection is tried again, and the longest


class Stopped(BaseException):
    """Thrown into a client: end the slice now. No Exception, so that nobody takes it for a failure."""


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
                query, values = call(seq)
                yield seq, query, values
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


def _connection(info: str, order: Order) -> str:
    """Which connection of an order it is, as RefusedError has it."""
    return "connection" if info == order.conninfo else "read connection"


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
        self._rooms: dict[str, dict[str, pg.Wire]] = {}  # by name and by where to, the one used last at the end
        self._alarm = Alarm()
        CLIENTS.append(self)

    def connect(self, order: Order, number: int) -> None:
        """Have what each query is sent by: live connections, everything prepared; RefusedError if that cannot be."""
        self._routes = []
        if order.keys:
            self._furnish(order)
            return
        for index, asked in enumerate(order.asked):
            place = order.place(index, number)
            wire = self._wire(order.connection, place, order)
            try:
                wire.prepare(asked)
            except pg.Error as error:
                what = _connection(place, order) if pg.environmental(error) else index
                raise RefusedError(what, pg.words(error)) from None
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
            raise RefusedError(_connection(info, order), pg.words(error)) from None
        return wire

    def _furnish(self, order: Order) -> None:
        """Drop lost connections to databases apart; open those to all of them where so many may be held."""
        rooms = self._rooms.setdefault(order.connection, {})
        for info, wire in list(rooms.items()):
            wire.check()
            if wire.lost:
                rooms.pop(info).close()
        for info in order.apart.values() if len(order.apart) <= order.held else ():
            for index, asked in enumerate(order.asked):
                try:
                    self._room(order, info, asked, Log(0))
                except pg.Error as error:
                    refused = info in rooms and not pg.environmental(error)
                    raise RefusedError(index if refused else "connection", pg.words(error)) from None

    def _room(self, order: Order, info: str, asked: Asked, log: Log) -> pg.Wire:
        """A connection to a database apart, with a query prepared; the one unused for longest makes room for it.

        One that is opened for it is counted in *log*.
        """
        rooms = self._rooms[order.connection]
        wire = rooms.pop(info, None)
        if wire is None:
            if len(rooms) >= order.held:
                rooms.pop(next(iter(rooms))).close()
            wire = pg.Wire(info, Watched)
            log.opened += 1
        rooms[info] = wire
        wire.prepare(asked)
        return wire

    def forget(self, connection: str) -> None:
        """Close the connections of that name, if there are any."""
        for wire in self._rooms.pop(connection, {}).values():
            wire.close()
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
        if turn.order.keys:
            self._drive_apart(turn, log)
            return
        routes = self._routes
        for seq, query, values in turn.calls(self._alarm):
            wire, asked = routes[query]
            start_ns = time.monotonic_ns()
            try:
                rows, outcome, sqlstate = wire.run(asked, values)
                log.add(seq, start_ns, rows, outcome, sqlstate)
            except Stopped:
                log.add(seq, start_ns, 0, "unknown", None)
                self.forget(turn.order.connection)
                raise
            if wire.lost:
                if not self._reconnect(turn, log.client):
                    return
                routes = self._routes

    def _drive_apart(self, turn: Turn, log: Log) -> None:
        """The inner loop where each call goes to a database of its own; one that is refused is paused for."""
        order, rooms, pause_s = turn.order, self._rooms[turn.order.connection], RETRY_S[0]
        for seq, query, values in turn.calls(self._alarm):
            info, asked = order.apart.get((values[order.keys[query]] or b"").decode()), order.asked[query]
            start_ns = time.monotonic_ns()
            try:
                if info is None:
                    log.add(seq, start_ns, 0, "failed", NO_DATABASE)
                    continue
                log.add(seq, start_ns, *self._room(order, info, asked, log).run(asked, values))
                refused, pause_s = False, RETRY_S[0]
            except pg.Error as error:
                log.add(seq, start_ns, 0, "failed", error.sqlstate or NO_CONNECTION)
                refused = True
            except Stopped:
                log.add(seq, start_ns, 0, "unknown", None)
                self.forget(order.connection)
                raise
            if info in rooms and rooms[info].lost:
                rooms.pop(info).close()
            if refused and info not in rooms:
                gevent.sleep(min(pause_s, max(0.0, (turn.end_ns - time.monotonic_ns()) / 1e9)))
                if time.monotonic_ns() >= turn.end_ns:
                    return
                pause_s = min(2 * pause_s, RETRY_S[1])

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


class Generator:
    """Does orders one at a time, and answers by *send*; *spawn* has Locust run so many clients."""

    def __init__(
        self, environment: Environment, *, spawn: Callable[[int], object], send: Callable[[tuple[Any, ...]], object]
    ) -> None:
        self._environment = environment
        self._spawn = spawn
        self._send = send
        self._script: Script | None = None
        self._turn: Turn | Script | None = None

    def do(self, order: str, *rest: Any) -> None:
        """`start`, `go`, `stop` or `forget`; `stop` alone is not answered."""
        orders: dict[str, Callable[..., None]] = {
            "start": self._start,
            "go": self._go,
            "stop": self._stop,
            "forget": self._forget,
        }
        orders[order](*rest)

    def _start(self, order: Order) -> None:
        """Connect and prepare for a slice; it begins at `go`."""
        try:
            self._turn = self._declared(order) if order.script is None else self._scripted(order)
            self._turn.open()
        except RefusedError as refused:
            self._turn = None
            self._send(("refused", refused.what, str(refused)))
        else:
            self._send(("ready",))

    def _scripted(self, order: Order) -> Script:
        self._script = self._script or Script(str(order.script))
        self._script.plan(order)
        return self._script

    def _declared(self, order: Order) -> Turn:
        """Have as many users as clients; they stay for the whole run."""
        if len(CLIENTS) < len(order.clients):
            self._spawn(len(order.clients))
        while len(CLIENTS) < len(order.clients):
            gevent.sleep(0.001)
        return Turn(order)

    def _go(self, zero_ns: int) -> None:
        """Begin the slice; it is reported when the last client has ended."""
        assert self._turn is not None
        begun = time.process_time(), time.monotonic()
        self._turn.begin(zero_ns)
        gevent.spawn(self._report, self._turn, *begun)

    def _report(self, turn: Turn | Script, cpu_s: float, begun_s: float) -> None:
        turn.done.wait()
        cpu_s, took_s = time.process_time() - cpu_s, time.monotonic() - begun_s
        self._turn = None
        gc.enable()
        self._send(("done", turn.logs, cpu_s, turn.names, took_s))
        turn.count(self._environment.stats)

    def _stop(self) -> None:
        """End the slice now, if there is one; it is reported as usual."""
        if self._turn is not None:
            self._turn.stop()

    def _forget(self, connection: str) -> None:
        """Close the connections of that name."""
        for client in CLIENTS:
            client.forget(connection)
        self._send(("forgotten",))
