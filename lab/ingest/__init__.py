"""Ways to bring rows in. A kind is a module here with KIND, Options and `load`."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

import pyarrow as pa

from lab.model import Endpoint


@dataclass(frozen=True)
class Loaded:
    """What one load did. *bytes* is what went over the wire."""

    rows: int
    bytes: int
    seconds: float


class Load(Protocol):
    """Put *batches* into *table* (schema-qualified) of the endpoint; commit; say what was done.

    Raise IngestError, with the table, the column and the server's words, where rows do not fit;
    nothing is left half-loaded on one connection.
    """

    def __call__(
        self,
        endpoint: Endpoint,
        table: tuple[str, str],
        schema: pa.Schema,
        batches: Iterable[pa.RecordBatch],
        *,
        connections: int = 1,
    ) -> Loaded: ...
