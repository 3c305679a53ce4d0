"""Rows in by binary COPY: Arrow batches, encoded by pgpq, sent as they are made."""

from collections.abc import Iterable
from typing import Any

import pyarrow as pa

from lab.ingest import Loaded, _copy, _feed
from lab.ingest._options import Way
from lab.model import Endpoint

KIND = "copy_binary"


class Options(Way):
    """See Way."""


def load(
    endpoint: Endpoint, table: tuple[str, str], schema: pa.Schema, batches: Iterable[pa.RecordBatch], **options: Any
) -> Loaded:
    """See ingest.Load. Each connection's COPY is a transaction."""
    given = Options(**options)
    rows = _feed.Rows(endpoint, table, schema, batches)
    return _feed.share(rows, _copy.binary, connections=given.connections)
