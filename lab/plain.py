"""Calls and operations without Arrow: what goes to a load generator's process, and what comes back.

Standard library only: the process that sends holds nothing it does not need. What goes to another
machine is `packed` into lists, dicts, numbers, texts and bytes, which make nobody run anything.
"""

import itertools
import time
from array import array
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any

DIALECT = 3
"""Of orders and logs as they are packed; a worker that speaks another is refused."""

NO_DATABASE, NO_CONNECTION = "3D000", "08001"  # invalid_catalog_name, sqlclient_unable_to_establish_sqlconnection

Stated = tuple[str, tuple[int, ...], tuple[str | int, ...]]
"""A statement: its text, which of the call's values it takes, and for `literal` its text in pieces,
with an index into the values where a constant is to stand."""

Asked = tuple[str, tuple[Stated, ...]]
"""A query: how it is sent, and its statements."""


@dataclass(frozen=True)
class Calls:
    """A table of drivers.CALLS in its columns' bytes, read call by call.

    int32 *query*, int64 *due_ns*, and the parameters as Arrow has them: those of call i are
    first[i] to first[i + 1], the text of parameter j is data[at[j]:at[j + 1]] (*first* and *at* are
    int32); *nulls* has a byte for each parameter, not 0 where it is NULL, or none if none is.
    """

    query: bytes
    due_ns: bytes
    first: bytes
    at: bytes
    data: bytes
    nulls: bytes

    @cached_property
    def count(self) -> int:
        """How many there are."""
        return len(self.dues)

    @cached_property
    def dues(self) -> memoryview:
        """Due times in ns, by call."""
        return memoryview(self.due_ns).cast("q")

    @cached_property
    def queries(self) -> memoryview:
        """Indices into Work.queries, by call."""
        return memoryview(self.query).cast("i")

    @cached_property
    def _columns(self) -> tuple[memoryview, memoryview, memoryview, bytes, bytes]:
        return self.queries, memoryview(self.first).cast("i"), memoryview(self.at).cast("i"), self.data, self.nulls

    def read(self, call: int) -> tuple[int, list[bytes | None]]:
        """Index of a call's query, and its parameters as the server's texts; None is NULL."""
        query, first, at, data, nulls = self._columns
        begin, end = first[call], first[call + 1]
        if nulls:
            values = [None if nulls[param] else data[at[param] : at[param + 1]] for param in range(begin, end)]
        elif end - begin == 1:  # a loop for one costs as much as the rest
            values = [data[at[begin] : at[end]]]
        else:
            values = [data[at[param] : at[param + 1]] for param in range(begin, end)]
        return query[call], values


@dataclass(frozen=True)
class Order:
    """One process' share of a slice: drivers.Work, less what the process need not know.

    *clients* are the numbers of its own; its calls are *share*[0] and every *share*[1]th after it.
    *script* is the locustfile that drives the slice instead of the calls, None if none does. Queries
    of which *reading* is true are sent to one of *reads*, all others to *conninfo*. Where there are
    *keys*, each call goes to *apart*[its keys[query]-th value], by one of *held* connections at most (drivers.Apart).
    """

    connection: str
    conninfo: str
    clients: tuple[int, ...]
    names: tuple[str, ...]
    asked: tuple[Asked, ...]
    calls: Calls
    share: tuple[int, int]
    for_s: float
    saturate: bool
    script: str | None = None
    reads: tuple[str, ...] = ()
    reading: tuple[bool, ...] = ()
    keys: tuple[int, ...] = ()
    apart: Mapping[str, str] = field(default_factory=dict)
    held: int = 0

    def place(self, query: int, client: int) -> str:
        """Where a client sends a query: the conninfo of its own connection for such queries."""
        return self.reads[client % len(self.reads)] if self.reads and self.reading[query] else self.conninfo

    def seqs(self) -> Iterator[int]:
        """The numbers of the operations to be done; those of a closed loop do not end."""
        start, step = self.share
        return itertools.count(start, step) if self.saturate else iter(range(start, self.calls.count, step))

    def call(self, seq: int) -> tuple[int, list[bytes | None]]:
        """What operation *seq* sends: index of the query, and values."""
        return self.calls.read(seq % self.calls.count)

    def name(self, seq: int) -> str:
        """The query of operation *seq*."""
        return self.names[self.calls.queries[seq % self.calls.count]]


class Log:
    """One client's operations: int64 columns of equal length, and *troubles* by position in them.

    A trouble is (outcome, SQLSTATE or None). *seq* is drivers.OPS' own or, in a scripted slice, the
    index of the operation's name. *opened* is how many connections operations opened (drivers.Driven).
    """

    def __init__(self, client: int) -> None:
        self.client = client
        self.seq, self.start_ns, self.end_ns, self.rows = (array("q") for _ in range(4))
        self.troubles: dict[int, tuple[str, str | None]] = {}
        self.opened = 0

    def add(self, seq: int, start_ns: int, rows: int, outcome: str | None, sqlstate: str | None) -> None:
        """An operation has just ended; *outcome* is None where it is ok."""
        self.end_ns.append(time.monotonic_ns())
        self.start_ns.append(start_ns)
        self.seq.append(seq)
        self.rows.append(rows)
        if outcome is not None:
            self.troubles[len(self.seq) - 1] = outcome, sqlstate

    def packed(self) -> dict[str, Any]:
        """The same for another machine; see `Log.unpacked`."""
        columns = {name: getattr(self, name).tobytes() for name in _COLUMNS}
        troubles = [[at, *what] for at, what in self.troubles.items()]
        return {"client": self.client, "opened": self.opened, "troubles": troubles, **columns}

    @classmethod
    def unpacked(cls, plain: Mapping[str, Any]) -> "Log":
        """
        >>> log = Log(3)
        >>> log.add(7, 100, 1, "failed", "22012")
        >>> log.opened = 2
        >>> again = Log.unpacked(log.packed())
        >>> again.client, again.opened, again.seq.tolist(), again.start_ns.tolist(), again.troubles
        (3, 2, [7], [100], {0: ('failed', '22012')})
        """
        log = cls(plain["client"])
        log.opened = plain["opened"]
        for name in _COLUMNS:
            getattr(log, name).frombytes(plain[name])
        log.troubles = {at: (outcome, state) for at, outcome, state in plain["troubles"]}
        return log


_COLUMNS = ("seq", "start_ns", "end_ns", "rows")


class RefusedError(Exception):
    """A slice cannot begin: *what* is the index of a query, `connection`, `read connection` or `script`."""

    def __init__(self, what: int | str, words: str) -> None:
        super().__init__(words)
        self.what = what


def packed(order: Order) -> dict[str, Any]:
    """An order for another machine. Byte order is the sender's, which a worker of another is refused for."""
    return asdict(order)


def unpacked(plain: Mapping[str, Any]) -> Order:
    """The order that was packed; what came as lists was tuples.

    >>> calls = Calls(bytes(4), bytes(8), bytes(8), bytes(4), b"", b"")
    >>> asked = ("prepared", (("SELECT 1", (), ()),))
    >>> order = Order("c", "host=x", (0, 2), ("one",), (asked,), calls, (0, 2), 0.5, saturate=False)
    >>> unpacked(packed(order)) == order
    True
    """
    rest = {name: _tuples(value) for name, value in plain.items() if name != "calls"}
    return Order(calls=Calls(**plain["calls"]), **rest)


def _tuples(value: Any) -> Any:
    return tuple(map(_tuples, value)) if isinstance(value, list | tuple) else value
