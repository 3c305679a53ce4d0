"""The process that watches while load runs: it looks at servers and the machine, and writes down what it saw.

Started by probes/watcher.py as a program, with a descriptor of a pipe. It ends when the pipe does.
"""

import sys
import time
from array import array
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection

from lab import pg
from lab.probes import _machine

Seen = dict[tuple[str, str], tuple[bytes, bytes]]
"""(node, name) -> the times (int64 ns) and the values (float64) of its readings, in their bytes."""

PATIENCE = {"connect_timeout": 2, "tcp_user_timeout": 2000}  # s and ms: a server that is cut off is not waited for
MACHINE = ""  # the node of what is the whole machine's


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
        """`wait.<what>` -> sessions; `active`: all of them. Only `down`, 1, where the server does not answer."""
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
        except pg.Error:
            self.close()
            return {"down": 1.0}

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
    """Readings, column by column."""

    times: dict[tuple[str, str], "array[int]"] = field(default_factory=dict)
    values: dict[tuple[str, str], "array[float]"] = field(default_factory=dict)

    def add(self, node: str, at_ns: int, readings: Mapping[str, float]) -> None:
        """What was read of *node* at that time."""
        for name, value in readings.items():
            self.times.setdefault((node, name), array("q")).append(at_ns)
            self.values.setdefault((node, name), array("d")).append(value)

    def seen(self) -> Seen:
        """All of it."""
        return {key: (times.tobytes(), self.values[key].tobytes()) for key, times in self.times.items()}


def watch(pipe: Connection, begin: Begin, servers: Mapping[str, Server]) -> Notes:
    """Look until something comes by the pipe: totals at the begin, at the end and in between.

    Looks keep to their beat from the begin on; those that a slow answer made late are left out.
    """
    notes = Notes()
    start_ns = time.monotonic_ns()
    waits_at = totals_at = start_ns
    while True:
        now_ns = time.monotonic_ns()
        if now_ns >= totals_at:
            _totals(notes, begin, servers)
            totals_at += begin.totals_ns * (1 + (now_ns - totals_at) // begin.totals_ns)
        if now_ns >= waits_at:
            for node, server in servers.items():
                at_ns = time.monotonic_ns()
                notes.add(node, at_ns, server.waits())
            waits_at += begin.waits_ns * (1 + (now_ns - waits_at) // begin.waits_ns)
        if pipe.poll(max(0, min(waits_at, totals_at) - time.monotonic_ns()) / 1e9):
            _totals(notes, begin, servers)
            return notes


def _totals(notes: Notes, begin: Begin, servers: Mapping[str, Server]) -> None:
    for node, server in servers.items():
        at_ns = time.monotonic_ns()
        notes.add(node, at_ns, server.totals())
    at_ns = time.monotonic_ns()
    notes.add(MACHINE, at_ns, _machine.totals(begin.lab, begin.ours))


def serve(pipe: Connection) -> None:
    """Say that we are here, then orders until the pipe ends: a Begin, then None; `forget` hangs up.

    The answer is what was Seen, and the seconds of processor time that all watching has taken so far.
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
        notes = watch(pipe, order, servers)
        pipe.recv()
        pipe.send((notes.seen(), time.process_time()))


if __name__ == "__main__":
    with Connection(int(sys.argv[1])) as end_of_pipe, suppress(EOFError, ConnectionResetError, BrokenPipeError):
        serve(end_of_pipe)  # until the lab has ended, or wants no more
