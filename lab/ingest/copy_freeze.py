"""Rows in by COPY with FREEZE: written as if VACUUM (FREEZE) had been, into a table emptied in the same transaction."""

from collections.abc import Iterable
from typing import Any

import pyarrow as pa

from lab import pg
from lab.ingest import Loaded, _copy, _feed, _fit, _target
from lab.ingest._options import One, Way
from lab.model import Endpoint

KIND = "copy_freeze"


class Options(Way):
    """*connections* can only be one: the rows must come in the transaction that emptied the table."""

    connections: One = 1

    def cannot(self) -> dict[str, str]:
        """See ingest.Load."""
        return {
            "append": "a way of their own for later rows: append: {method: copy_binary}",
            "citus": "method: copy_binary",
        }


def load(
    endpoint: Endpoint, table: tuple[str, str], schema: pa.Schema, batches: Iterable[pa.RecordBatch], **options: Any
) -> Loaded:
    """See ingest.Load. TRUNCATE and COPY are one transaction; a table that has rows is refused, since they would go."""
    given = Options(**options)
    return _feed.share(_feed.Rows(endpoint, table, schema, batches), _send, connections=given.connections)


def _send(link: pg.Connection, fit: _fit.Fit, feed: _feed.Feed) -> tuple[int, int]:
    _target.plain(link, fit.table, "COPY FREEZE")
    pg.run(link, f"TRUNCATE {fit.into}")
    return _copy.binary(link, fit, feed, freeze=True)
