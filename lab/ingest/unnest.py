"""Rows in by INSERT ... SELECT FROM unnest(): an array for each column, and one statement for any number of rows."""

from collections.abc import Iterable
from typing import Any

import pyarrow as pa

from lab.ingest import Loaded, _feed, _insert
from lab.ingest._options import Statements
from lab.model import Endpoint

KIND = "unnest"


class Options(Statements):
    """See Statements."""


def load(
    endpoint: Endpoint, table: tuple[str, str], schema: pa.Schema, batches: Iterable[pa.RecordBatch], **options: Any
) -> Loaded:
    """See ingest.Load. What a transaction has committed stays where a later one fails; no array columns."""
    given = Options(**options)
    rows = _feed.Rows(endpoint, table, schema, _feed.cut(batches, given.unit()))
    return _insert.load(rows, _insert.Unnest(), given)
