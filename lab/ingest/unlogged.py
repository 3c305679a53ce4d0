"""Rows in by COPY into a table that is UNLOGGED meanwhile, and LOGGED again afterwards, indexes and all."""

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pyarrow as pa

from lab import pg
from lab.ingest import Loaded, _copy, _feed, _target
from lab.ingest._options import Way
from lab.model import Endpoint

KIND = "unlogged"


class Options(Way):
    """See Way."""

    def cannot(self) -> dict[str, str]:
        """See ingest.Load."""
        return {
            "append": "rows that are there would not survive a crash meanwhile; append: {method: copy_binary}",
            "load": "the tables in schema source are unlogged as they are; method: copy_binary",
            "citus": "method: copy_binary",
        }


def load(
    endpoint: Endpoint, table: tuple[str, str], schema: pa.Schema, batches: Iterable[pa.RecordBatch], **options: Any
) -> Loaded:
    """See ingest.Load. SET LOGGED, which writes all of the table into the write-ahead log, is part of the time."""
    given = Options(**options)
    rows = _feed.Rows(endpoint, table, schema, batches)
    start = time.perf_counter()
    with _unlogged(endpoint, table):
        loaded = _feed.share(rows, _copy.binary, connections=given.connections)
    return replace(loaded, seconds=time.perf_counter() - start)


@contextmanager
def _unlogged(endpoint: Endpoint, table: tuple[str, str]) -> Iterator[None]:
    """The table as an unlogged one for the length of a `with` block; logged again however that ends."""
    alter = f"ALTER TABLE {pg.ident(*table)} SET"
    with pg.connected(endpoint.conninfo) as link:
        _target.plain(link, table, "UNLOGGED and then LOGGED")
        with _feed.refusals(table):
            pg.run(link, f"{alter} UNLOGGED")
    try:
        yield
    finally:
        with pg.connected(endpoint.conninfo) as link, _feed.refusals(table):
            pg.run(link, f"{alter} LOGGED")
