"""Rows as Arrow record batches. A kind is a module here with KIND, Options and `opened`.

A stream is a sequence of rows by number. Any range of it can be had again, the same to the
byte, from the same seed, however it is cut into batches.

PostgreSQL's types as Arrow's: timestamptz is timestamp(us, UTC), numeric decimal128, jsonb string,
uuid fixed_size_binary(16); the others go by their names.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Protocol

import pyarrow as pa

from lab.model import Lab, Stream


class Source(Protocol):
    """One opened stream."""

    name: str
    rows: int  # how many the first load has
    schema: pa.Schema

    def batches(self, first: int, last: int) -> Iterator[pa.RecordBatch]:
        """Rows [first, last) in order. A source of fixed data raises LabError past its end."""
        ...

    def sample(self, n: int, *, seed: int) -> pa.Table:
        """At most *n* rows of the first load, chosen by *seed* alone: what parameters are drawn from.

        Cheap however many rows there are; all of them where there are no more than *n*.
        """
        ...

    def time_of(self, row: int) -> datetime | None:
        """The time that row number *row* begins, UTC; None where the stream has no time."""
        ...


class OpenSource(Protocol):
    """Open *stream* for a lab of this size; LabError where the source cannot be had."""

    def __call__(self, stream: Stream, lab: Lab, *, seed: int) -> Source: ...
