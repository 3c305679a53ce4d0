"""The declared mix from threads of the lab's own process: for tests, and as a second opinion.

Written apart from the Locust driver but for the wire, so that a mistake in one shows against the
other. The interpreter's lock makes it slow and its times coarse: no evidence comes from it.
"""

import itertools
import select
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from lab import commands, pg
from lab.drivers import Apart, Driven, Work, _ops
from lab.errors import ClusterError, LabError, ScenarioError
from lab.model import Endpoint
from lab.plain import NO_CONNECTION, NO_DATABASE, Log

KIND = "inline"
CANNOT: frozenset[str] = frozenset()
RETRY_S = 0.05


@contextmanager
def opened(*, workdir: Path, options: Mapping[str, object]) -> Iterator["Inline"]:
    """See drivers.OpenDriver. It takes no options and leaves nothing in *workdir*."""
    del workdir
    if options:
        raise ScenarioError(f"driver inline: unknown option {min(options)!r} (it takes none)")
    driver = Inline()
    try:
        yield driver
    finally:
        driver.close()


class _StoppedError(Exception):
    """Raised where a client waits, once its slice is stopped."""


class _Waiter:
    """pg.Waiter for a thread, until *stopping* is set."""

    def __init__(self, stopping: threading.Event, descriptor: int) -> None:
        self._stopping = stopping
        self._descriptor = descriptor

    def readable(self) -> None:
        """See pg.Waiter."""
        self._wait(select.POLLIN)

    def writable(self) -> None:
        """See pg.Waiter."""
        self._wait(select.POLLOUT)

    def close(self) -> None:
        """See pg.Waiter: nothing is held between waits."""

    def _wait(self, event: int) -> None:
        poll = select.poll()
        poll.register(self._descriptor, event)
        while not poll.poll(20):
            if self._stopping.is_set():
                raise _StoppedError


class Inline:
    """See drivers.Driver."""

    def __init__(self) -> None:
        self._wires: dict[int, dict[tuple[str, str], pg.Wire]] = {}  # by client, whose thread alone changes its own
        self._stopping = threading.Event()

    def start(self, work: Work) -> "Threads":
        """See drivers.Driver.start. LabError with the server's words if a statement is refused."""
        self._stopping.clear()
        for client in range(work.clients) if work.apart is None or work.apart.held else ():
            for query in range(len(work.queries)):
                for place in [None] if work.apart is None else work.apart.places.values():
                    self.wire(work, client, query, place)
        return Threads(self, work, self._stopping)

    def wire(
        self, work: Work, client: int, query: int, apart: Endpoint | None = None, log: Log | None = None
    ) -> pg.Wire:
        """The client's connection for a query, live when last seen, with the query prepared; to *apart* if given.

        One that is opened for it is counted in *log*.
        """
        asked = work.queries[query]
        reading = bool(work.reads) and commands.only_reads(asked)
        place = apart or (work.reads[client % len(work.reads)] if reading else work.endpoint)
        wires, key = self._wires.setdefault(client, {}), (work.connection, place.conninfo)
        if apart is not None and work.apart is not None:
            _room_for(wires, key, work.apart.connections)
        if key in wires:
            wires[key].check()
            if wires[key].lost:
                wires.pop(key).close()
        if key not in wires:
            try:
                wires[key] = pg.Wire(place.conninfo, partial(_Waiter, self._stopping))
            except pg.Error as error:
                raise _ops.unconnected(work, pg.words(error), reading=reading) from None
            if log is not None:
                log.opened += 1
        try:
            wires[key].prepare(_ops.asked(asked))
        except pg.Error as error:
            if pg.environmental(error):
                raise _ops.unconnected(work, pg.words(error), reading=reading) from None
            raise _ops.unprepared(work, query, pg.words(error)) from None
        except _StoppedError:  # its answer may still come
            wires.pop(key).close()
            raise
        return wires[key]

    def forget(self, connection: str) -> None:
        """See drivers.Driver.forget."""
        for wires in self._wires.values():
            for key in [key for key in wires if key[0] == connection]:
                wires.pop(key).close()

    def close(self) -> None:
        """Close all connections."""
        for wires in self._wires.values():
            for wire in wires.values():
                wire.close()


def _room_for(wires: dict[tuple[str, str], pg.Wire], key: tuple[str, str], most: int) -> None:
    """Put a client's connection at its end, or close the one unused for longest where there is no room for it."""
    if key in wires:
        wires[key] = wires.pop(key)
        return
    own = [one for one in wires if one[0] == key[0]]
    if len(own) >= most:
        wires.pop(own[0]).close()


class Threads:
    """See drivers.Load: a thread for each client, and one list of calls for all."""

    def __init__(self, driver: Inline, work: Work, stopping: threading.Event) -> None:
        self._driver = driver
        self._work = work
        self._stopping = stopping
        self._asked = [_ops.asked(query) for query in work.queries]
        self._calls: list[dict[str, Any]] = work.calls.to_pylist()
        self._seqs = itertools.count() if work.saturate else iter(range(len(self._calls)))
        self._logs: list[Log] = []
        self._cpu_s = time.process_time()
        self._wall_ns, self._zero_ns = time.time_ns(), time.monotonic_ns()
        self._threads = [threading.Thread(target=self._drive, args=(client,)) for client in range(work.clients)]
        for thread in self._threads:
            thread.start()

    def wait(self, until_s: float) -> bool:
        """See drivers.Load.wait."""
        deadline = time.monotonic() + until_s
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        return not any(thread.is_alive() for thread in self._threads)

    def stop(self) -> None:
        """See drivers.Load.stop."""
        self._stopping.set()

    def ops(self) -> Driven:
        """See drivers.Load.ops."""
        for thread in self._threads:
            thread.join()
        cpu_s = time.process_time() - self._cpu_s
        opened = sum(log.opened for log in self._logs)
        table = _ops.table(self._work, self._zero_ns, self._logs)
        return Driven(table, self._zero_ns, self._wall_ns, cpu_s, opened=opened)

    def _drive(self, client: int) -> None:
        """One thread."""
        log = Log(client)
        for seq, call in self._due():
            if self._work.apart is not None:
                start_ns = time.monotonic_ns()
                try:
                    log.add(seq, start_ns, *self._apart(self._work.apart, call, log))
                except ClusterError:
                    log.add(seq, start_ns, 0, "failed", NO_CONNECTION)
                    if not self._paused():
                        break
                continue
            wire = self._wire(client, call["query"])
            if wire is None:
                break
            start_ns = time.monotonic_ns()
            log.add(seq, start_ns, *self._one(wire, call))
        self._logs.append(log)

    def _due(self) -> Iterator[tuple[int, dict[str, Any]]]:
        """The next call that no thread has taken, when it is due, until there is none."""
        end_ns = self._zero_ns + self._work.for_s * 1e9
        for seq in self._seqs:
            call = self._calls[seq % len(self._calls)]
            due_ns = 0 if self._work.saturate else self._zero_ns + call["due_ns"]
            stopped = self._stopping.wait(max(0.0, (due_ns - time.monotonic_ns()) / 1e9))
            if stopped or (self._work.saturate and time.monotonic_ns() >= end_ns):
                return
            yield seq, call

    def _one(self, wire: pg.Wire, call: dict[str, Any]) -> tuple[int, str | None, str | None]:
        values = [None if value is None else value.encode() for value in call["params"]]
        try:
            return wire.run(self._asked[call["query"]], values)
        except _StoppedError:
            wire.close()
            return 0, "unknown", None

    def _apart(self, apart: Apart, call: dict[str, Any], log: Log) -> tuple[int, str | None, str | None]:
        """A call to the database of its own; ClusterError where there is no connection to it."""
        place = apart.places.get(str(call["params"][apart.keys[call["query"]]]))
        if place is None:
            return 0, "failed", NO_DATABASE
        try:
            return self._one(self._driver.wire(self._work, log.client, call["query"], place, log), call)
        except ClusterError:
            raise
        except LabError:
            return 0, "failed", NO_CONNECTION
        except _StoppedError:
            return 0, "unknown", None

    def _wire(self, client: int, query: int) -> pg.Wire | None:
        """A connection, tried for until the time is over."""
        while not self._stopping.is_set():
            try:
                return self._driver.wire(self._work, client, query)
            except _StoppedError:
                return None
            except LabError:
                if not self._paused():
                    return None
        return None

    def _paused(self) -> bool:
        """Pause before a connection is tried for again; False where the time is over."""
        left_s = self._work.for_s - (time.monotonic_ns() - self._zero_ns) / 1e9
        return left_s > 0 and not self._stopping.wait(min(RETRY_S, left_s))
