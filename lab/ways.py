"""A candidate's own way to bring rows in: the method it names, with its options."""

from collections.abc import Iterable, Mapping
from functools import partial

import pyarrow as pa

from lab.errors import IngestError
from lab.ingest import Load, Loaded
from lab.model import Candidate, Endpoint, Json


def bound(loads: Mapping[str, Load], candidate: Candidate, *, later: bool = False) -> Load:
    """The candidate's own way to bring rows in, with its options: the first ones, or *later* those of the rounds."""
    asked = candidate.ingest
    if later:
        asked = asked.get("append", asked)
    return partial(
        loads[asked["method"]], **{key: value for key, value in asked.items() if key not in ("method", "append")}
    )


def sent(
    load: Load,
    endpoint: Endpoint,
    candidate: Candidate,
    table: tuple[str, str],
    schema: pa.Schema,
    batches: Iterable[pa.RecordBatch],
) -> Loaded:
    """Rows brought in by *load*; where they do not fit, the message names the candidate."""
    try:
        return load(endpoint, table, schema, batches)
    except IngestError as error:
        raise IngestError(f"{candidate.name}: {error}") from None


def told(loaded: Loaded) -> dict[str, Json]:
    """What a load did, for its report: rows, bytes, seconds, and `again` where rows came twice.

    >>> told(Loaded(100, 8_000, 0.5, again=2))
    {'rows': 100, 'bytes': 8000, 'seconds': 0.5, 'again': 2}
    """
    found = {"rows": loaded.rows, "bytes": loaded.bytes, "seconds": loaded.seconds}
    return found | ({"again": loaded.again} if loaded.again else {})
