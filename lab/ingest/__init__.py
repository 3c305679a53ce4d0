"""Ways to bring rows in. A kind is a module here with KIND, Options and `load`."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Protocol

import pyarrow as pa

from lab.model import Endpoint


@dataclass(frozen=True)
class Loaded:
    """What one load did. *rows* are those of the stream; *again* how many of them were sent a second time.

    *bytes* is what went over the wire for all of these, the protocol's own aside.
    """

    rows: int
    bytes: int
    seconds: float
    again: int = 0


class Load(Protocol):
    """Put *batches* into *table* (schema-qualified) of the endpoint; commit; say what was done.

    *options* are fields of the kind's Options; those left out have its defaults. Afterwards the
    table holds every row of the stream once and survives a crash, whatever the way: candidates that
    differ only in it must agree. Raise IngestError, with the table, the column and the server's
    words, where rows do not fit or this way is none into this table. Nothing is left half-loaded on
    one connection, but what a kind is asked to commit on the way.

    A kind's Options may have `cannot()`: what it cannot do, in the words of ingest.needs -> the way out.
    """

    def __call__(
        self,
        endpoint: Endpoint,
        table: tuple[str, str],
        schema: pa.Schema,
        batches: Iterable[pa.RecordBatch],
        **options: Any,
    ) -> Loaded: ...
