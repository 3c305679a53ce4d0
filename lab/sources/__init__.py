"""Rows as Arrow record batches. A kind is a module here with KIND, Options and `opened`.

A stream is a sequence of rows by number. Any range of it can be had again, the same to the
byte, from the same seed, however it is cut into batches.

PostgreSQL's types as Arrow's: timestamptz is timestamp(us, UTC), numeric decimal128, jsonb string,
uuid fixed_size_binary(16); the others go by their names.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Protocol, runtime_checkable

import pyarrow as pa

from lab.model import Json, Lab, Stream


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


@runtime_checkable
class HasData(Protocol):
    """A source whose rows hang on more than its options, the lab and the seed."""

    data: Mapping[str, str]
    """File -> the sha256 of its bytes, or package -> its version: if one differs, so may the rows."""


class OpenSource(Protocol):
    """Open *stream* for a lab of this size; LabError where the source cannot be had."""

    def __call__(self, stream: Stream, lab: Lab, *, seed: int) -> Source: ...


def data(sources: Sequence[Source]) -> dict[str, list[list[str]]]:
    """Stream -> [name, what it held] of all that its rows are made of, for streams that are HasData."""
    return {source.name: [[*pair] for pair in source.data.items()] for source in sources if isinstance(source, HasData)}


def changed(was: Mapping[str, Json] | None, now: Mapping[str, Json]) -> Iterator[str]:
    """Each file or package by which the `data` of two runs differ; *was* None: nobody wrote it down."""
    for stream, made_of in now.items():
        there, before = dict(made_of), dict(was[stream] if was else [[name, ""] for name, _ in made_of])
        for name in sorted(before.keys() | there.keys()):
            if name not in there or name not in before:
                yield f"stream {stream}: {name} is {'new' if name in there else 'gone'}"
            elif before[name] != there[name]:
                yield f"stream {stream}: {name} {'has changed' if was else 'may have changed: nobody kept its sum'}"
