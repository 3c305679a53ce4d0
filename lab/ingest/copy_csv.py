"""Rows in by COPY of CSV lines, as psql's `\\copy` and most tools send them."""

from collections.abc import Iterable
from typing import Any

import pyarrow as pa

from lab.ingest import Loaded, _copy, _feed
from lab.ingest._options import Way
from lab.model import Endpoint

KIND = "copy_csv"


class Options(Way):
    """See Way."""


def load(
    endpoint: Endpoint, table: tuple[str, str], schema: pa.Schema, batches: Iterable[pa.RecordBatch], **options: Any
) -> Loaded:
    """See ingest.Load. Each connection's COPY is a transaction; the lines are made as they are sent.

    Texts go into columns of any type whose binary form the lab does not write, such as inet or tsvector.
    """
    given = Options(**options)
    rows = _feed.Rows(endpoint, table, schema, batches)
    return _feed.share(rows, _copy.csv, connections=given.connections, texts=True)
