"""The process that watches while load runs: it looks at servers and the machine, and writes down what it saw.

Started by probes/watcher.py as a program, with a descriptor of a pipe. It ends when the pipe does.
Each server is looked at by a thread of its own, so that one which is frozen or cut off keeps nobody
from looking at the others.
"""

import sys
import threading
import time
from array import array
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection

from lab import pg
from lab.probes import _machine

Seen = dict[tuple[str, str], tuple[bytes, bytes]]
"""(node, name) -> the times (int64 ns) and the values (float64) of its readings, in their bytes."""

PATIENCE = {"connect_timeout": 2, "tcp_user_timeout": 2000}  # s and ms: a server that is cut off is not waited for
MACHINE = ""  # the node of what is the whole machine's
DOWN = {"down": 1.0}
SILENT_NS = 2_000_000_000  # a look that has no answer for so long is one at a server that is down
LAST_S = 3.0  # for the first looks, or the last, of all servers together


@dataclass(frozen=True)
class Begin:
    """What to look at, and how often. *nodes*: node -> conninfo of a superuser; *ours* as in _machine.totals."""

    nodes: Mapping[str, str]
    lab: int
    ours: tuple[int, ...]
    waits_ns: int
    totals_ns: int


class Server:
    """A connection that is kept from slice to slice, and opened again where it was lost."""

    def __init__(self, info: str) -> None:
        self._info = pg.changed(info, **PATIENCE, application_name="pglab watch")
        self._connection: pg.Connection | None = None
        self._waits = ""

    def waits(self) -> dict[str, float]:
        """`wait.<what>` -> sessions; `active`: all of them. Only `down`, 1, where the server cannot be asked."""
        return self._asked(self._sessions)

    def totals(self) -> dict[str, float]:
        """The columns of queries/series.sql that are not null, or `down`."""
        return self._asked(self._series)

    def close(self) -> None:
        """Hang up."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _asked(self, question: Callable[[pg.Connection], dict[str, float]]) -> dict[str, float]:
        try:
            if self._connection is None:
                self._open()
            assert self._connection is not None
            return question(self._connection)
        except pg.OperationalError:  # gone, or about to be; any other refusal is a mistake of ours, and is told
            self.close()
            return DOWN

    def _open(self) -> None:
        self._connection = pg.connect(self._info)
        oid = pg.ask(self._connection, "SELECT oid::int8 AS oid FROM pg_database WHERE datname = current_database()")
        self._waits = f"EXECUTE pglab_waits({oid['oid']})"
        for name, text in {"waits": pg.query("waits"), "series": pg.query("series")}.items():
            pg.run(self._connection, f"PREPARE pglab_{name} AS {text}")

    def _sessions(self, connection: pg.Connection) -> dict[str, float]:
        found = {f"wait.{row['wait']}": float(row["sessions"]) for row in pg.rows(connection, self._waits)}
        return {"active": sum(found.values()), **found}

    def _series(self, connection: pg.Connection) -> dict[str, float]:
        found = pg.ask(connection, "EXECUTE pglab_series")
        return {name: value for name, value in found.items() if value is not None}


@dataclass
class Notes:
    """Readings, column by column; written by several threads."""

    times: dict[tuple[str, str], "array[int]"] = field(default_factory=dict)
    values: dict[tuple[str, str], "array[float]"] = field(default_factory=dict)
    _one: threading.Lock = field(default_factory=threading.Lock)

    def add(self, node: str, at_ns: int, readings: Mapping[str, float]) -> None:
        """What was read of *node* at that time."""
        with self._one:
            for name, value in readings.items():
                self.times.setdefault((node, name), array("q")).append(at_ns)
                self.values.setdefault((node, name), array("d")).append(value)

    def seen(self) -> Seen:
        """All of it."""
        with self._one:
            return {key: (times.tobytes(), self.values[key].tobytes()) for key, times in self.times.items()}


class Eye(threading.Thread):
    """Looks at one server until *over* is set. A server that never answers keeps it, and nobody else, for ever."""

    def __init__(self, node: str, server: Server, begin: Begin, notes: Notes, over: threading.Event) -> None:
        super().__init__(name=f"watch {node}", daemon=True)
        self.node = node
        self._server, self._begin, self._notes, self._over = server, begin, notes, over
        self._asked_ns: int | None = None
        self._told_ns: int | None = None  # of the question that was last found to have no answer
        self.begun = threading.Event()  # once there are totals to begin with
        self.error: Exception | None = None

    def run(self) -> None:
        """See `look`; what goes wrong is kept in `error`."""
        try:
            look(self, self._begin, self._over.wait)
        except Exception as error:  # noqa: BLE001 - raised again by who waits for the end
            self.error = error

    def waits(self) -> None:
        """Write down what sessions wait for now."""
        self._note(self._server.waits)

    def totals(self) -> None:
        """Write down the running totals of now."""
        self._note(self._server.totals)
        self.begun.set()

    def silent(self, now_ns: int) -> bool:
        """Has a look been without an answer for too long? It is said once of each."""
        asked_ns = self._asked_ns
        if asked_ns is None or asked_ns == self._told_ns or now_ns - asked_ns <= SILENT_NS:
            return False
        self._told_ns = asked_ns
        return True

    def _note(self, question: Callable[[], dict[str, float]]) -> None:
        at_ns = self._asked_ns = time.monotonic_ns()
        readings = question()
        self._asked_ns = None
        self._notes.add(self.node, at_ns, readings)


def look(eye: Eye, begin: Begin, over: Callable[[float], bool]) -> None:
    """Look until *over*, which waits for so many seconds, says so: totals at the begin, at the end and in between.

    Looks keep to their beat from the begin on; those that a slow answer made late are left out.
    """
    waits_at = totals_at = time.monotonic_ns()
    while True:
        now_ns = time.monotonic_ns()
        if now_ns >= totals_at:
            eye.totals()
            totals_at += begin.totals_ns * (1 + (now_ns - totals_at) // begin.totals_ns)
        if now_ns >= waits_at:
            eye.waits()
            waits_at += begin.waits_ns * (1 + (now_ns - waits_at) // begin.waits_ns)
        if over(max(0, min(waits_at, totals_at) - time.monotonic_ns()) / 1e9):
            eye.totals()
            return


def watch(pipe: Connection, begin: Begin, servers: Mapping[str, Server]) -> tuple[Notes, set[str]]:
    """Look at all servers and the machine until something comes by the pipe, which is told once all have been seen.

    What was seen, and the nodes whose last look has had no answer within LAST_S: their servers are still being asked.
    """
    notes, over = Notes(), threading.Event()
    eyes = [Eye(node, server, begin, notes, over) for node, server in servers.items()]
    for eye in eyes:
        eye.start()
    every_s = begin.totals_ns / 1e9
    _machine_seen(notes, begin, ())
    deadline = time.monotonic() + LAST_S
    for eye in eyes:
        eye.begun.wait(max(0.0, deadline - time.monotonic()))
    pipe.send("looking")
    while not pipe.poll(every_s):
        _machine_seen(notes, begin, eyes)
    over.set()
    _machine_seen(notes, begin, eyes)
    return notes, _ended(eyes, notes)


def _machine_seen(notes: Notes, begin: Begin, eyes: Iterable[Eye]) -> None:
    now_ns = time.monotonic_ns()
    notes.add(MACHINE, now_ns, _machine.totals(begin.lab, begin.ours))
    for eye in eyes:
        _told(eye, notes, now_ns)


def _told(eye: Eye, notes: Notes, now_ns: int) -> None:
    if eye.silent(now_ns):
        notes.add(eye.node, time.monotonic_ns(), DOWN)


def _ended(eyes: Iterable[Eye], notes: Notes) -> set[str]:
    """The nodes that are not seen to the end, each down then; what went wrong with any other is raised."""
    deadline = time.monotonic() + LAST_S
    lost = set()
    for eye in eyes:
        eye.join(max(0.0, deadline - time.monotonic()))
        if eye.is_alive():
            _told(eye, notes, time.monotonic_ns() + SILENT_NS)
            lost.add(eye.node)
        elif eye.error is not None:
            raise eye.error
    return lost


def serve(pipe: Connection) -> None:
    """Say that we are here, then orders until the pipe ends: a Begin, then None; `forget` hangs up.

    The answer to a Begin is "looking", and to None what was Seen, and the seconds of processor time that all
    watching has taken so far. A server that was not seen to the end is connected to anew for the next Begin.
    """
    kept: dict[str, Server] = {}
    pipe.send("here")
    while True:
        order = pipe.recv()
        if order == "forget":
            for server in kept.values():
                server.close()
            kept.clear()
            continue
        servers = {node: kept.setdefault(info, Server(info)) for node, info in order.nodes.items()}
        notes, lost = watch(pipe, order, servers)
        for node in lost:
            kept.pop(order.nodes[node], None)
        pipe.recv()
        pipe.send((notes.seen(), time.process_time()))


if __name__ == "__main__":
    with Connection(int(sys.argv[1])) as end_of_pipe, suppress(EOFError, ConnectionResetError, BrokenPipeError):
        serve(end_of_pipe)  # until the lab has ended, or wants no more
