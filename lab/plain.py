"""Calls and operations without Arrow: what goes to a load generator's process, and what comes back.

Standard library only: the process that sends holds nothing it does not need.
"""

import time
from array import array
from dataclasses import dataclass
from functools import cached_property


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

    def __len__(self) -> int:
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
    def _bounds(self) -> tuple[memoryview, memoryview]:
        return memoryview(self.first).cast("i"), memoryview(self.at).cast("i")

    def values(self, call: int) -> list[bytes | None]:
        """The parameters of a call, as the server's texts; None is NULL."""
        first, at = self._bounds
        params = range(first[call], first[call + 1])
        if self.nulls:
            return [None if self.nulls[param] else self.data[at[param] : at[param + 1]] for param in params]
        return [self.data[at[param] : at[param + 1]] for param in params]


class Log:
    """One client's operations: int64 columns of equal length, and *troubles* by position in them.

    A trouble is (outcome, SQLSTATE or None). *seq* is drivers.OPS' own or, in a scripted slice, the
    index of the operation's name.
    """

    def __init__(self, client: int) -> None:
        self.client = client
        self.seq, self.start_ns, self.end_ns, self.rows = (array("q") for _ in range(4))
        self.troubles: dict[int, tuple[str, str | None]] = {}

    def add(self, seq: int, start_ns: int, rows: int, outcome: str | None, sqlstate: str | None) -> None:
        """An operation has just ended; *outcome* is None where it is ok."""
        self.end_ns.append(time.monotonic_ns())
        self.start_ns.append(start_ns)
        self.seq.append(seq)
        self.rows.append(rows)
        if outcome is not None:
            self.troubles[len(self.seq) - 1] = outcome, sqlstate
