"""Ways to drive load. A kind is a module here with KIND, CANNOT and `opened`.

A driver starts work and hands back a Load that can be waited for and stopped; the one timeline
in run.py owns the order of things. Ops are an Arrow table of OPS.
"""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

import pyarrow as pa

from lab.model import Endpoint, Json, Query

OPS = pa.schema(
    [
        ("seq", pa.int64()),  # index into the calls; for closed loops a running number
        ("client", pa.int32()),
        ("name", pa.dictionary(pa.int32(), pa.string())),
        ("due_ns", pa.int64()),  # CLOCK_MONOTONIC; equal to start_ns in a closed loop
        ("start_ns", pa.int64()),
        ("end_ns", pa.int64()),
        ("outcome", pa.dictionary(pa.int32(), pa.string())),  # ok, failed, unknown
        ("sqlstate", pa.string()),  # null where ok
        ("rows", pa.int64()),
        ("key", pa.string()),  # the first parameter's value, null where there is none
    ]
)

CALLS = pa.schema(
    [
        ("due_ns", pa.int64()),  # offset from the start of the slice
        ("query", pa.int32()),  # index into Work.queries
        ("params", pa.list_(pa.string())),  # in the text format of the server; null is NULL
    ]
)


@dataclass(frozen=True)
class Apart:
    """Databases of which a call goes to one: to *places*[value], its *keys*[query]-th parameter being that value.

    A client holds *connections* to them at most, and closes the one it has not used for longest for another. Opening
    one is part of the operation that wants it; where all of them may be held, they are opened before the slice.
    """

    keys: Sequence[int]
    places: Mapping[str, Endpoint]
    connections: int

    @property
    def held(self) -> bool:
        """May a client hold connections to all of them?"""
        return len(self.places) <= self.connections


@dataclass(frozen=True)
class Work:
    """One slice. Connections are kept by *connection* name from slice to slice.

    *calls* is a table of CALLS in the order of due_ns. With *saturate* due times are ignored and
    the calls are repeated from the start until *for_s* is over. With *reads*, queries that only read
    are sent there (commands.only_reads), by client k to the (k mod n)-th; all others to *endpoint*.
    """

    connection: str
    endpoint: Endpoint
    queries: Sequence[Query]
    calls: pa.Table
    clients: int
    for_s: float
    saturate: bool = False
    reads: Sequence[Endpoint] = ()
    apart: Apart | None = None  # calls go to databases of their own, and none to *endpoint*


@dataclass(frozen=True)
class Driven:
    """What the generator did in a slice: its operations, and what they cost it.

    *start_ns* is the zero of the slice's due offsets on CLOCK_MONOTONIC; *wall_ns* the same
    instant since the epoch. *workers* are the load workers that took part, if there are any: `host`,
    `cores`, `locust`, `pid`, `cpu_s`, `cpu_share` (of one core) and `clock_error_ns`, the most by which
    its times may be wrong on this machine's clock. *opened* is how many connections to databases apart were opened
    within operations, not before the slice; 0 where there are none.
    """

    ops: pa.Table
    start_ns: int
    wall_ns: int
    cpu_s: float
    workers: Sequence[Mapping[str, Json]] = ()
    opened: int = 0


class Load(Protocol):
    """Work that has been started."""

    def wait(self, until_s: float) -> bool:
        """Wait at most *until_s* seconds; True when the work is done."""
        ...

    def stop(self) -> None:
        """End the work now; operations under way are recorded as `unknown`."""
        ...

    def ops(self) -> Driven:
        """What happened, after wait() said True or stop(). DriverError if the driver broke."""
        ...


class Driver(Protocol):
    """An opened driver: one for a whole run."""

    def start(self, work: Work) -> Load:
        """Begin *work*. Connections are opened and statements prepared before its first due time."""
        ...

    def forget(self, connection: str) -> None:
        """Close the connections of that name (before an instance is restored or stopped)."""
        ...


@runtime_checkable
class CanRefuse(Protocol):
    """A driver that cannot send everything, and says so before a run."""

    def refuse(self, work: Work) -> None:
        """LabError with the place and the way out for what *work* asks and the driver cannot; nothing is sent."""
        ...


class OpenDriver(Protocol):
    """Open a driver for the length of a `with` block; its processes are gone afterwards."""

    def __call__(self, *, workdir: Path, options: Mapping[str, object]) -> AbstractContextManager[Driver]: ...
