"""Rows in by INSERT ... VALUES: one row a statement or many, in one transaction, in several, or in one each."""

from collections.abc import Iterable
from typing import Any

import pyarrow as pa

from lab.ingest import Loaded, _feed, _insert
from lab.ingest._options import Statements
from lab.model import Endpoint

KIND = "insert"


class Options(Statements):
    """See Statements. `rows: 1, transaction_rows: 1`: each row its own statement and its own transaction."""


def load(
    endpoint: Endpoint, table: tuple[str, str], schema: pa.Schema, batches: Iterable[pa.RecordBatch], **options: Any
) -> Loaded:
    """See ingest.Load. What a transaction has committed stays where a later one fails."""
    given = Options(**options)
    rows = _feed.Rows(endpoint, table, schema, _feed.cut(batches, given.unit()))
    return _insert.load(rows, _insert.Values(), given)
