"""Rows in by INSERT ... ON CONFLICT: a unique key tells rows that are there already, which may come twice."""

from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from typing import Any, Literal

import pyarrow as pa

from lab import pg
from lab.ingest import Loaded, _again, _feed, _fit, _insert, _target
from lab.ingest._options import NO_KEY, Keyed, Statements
from lab.model import Endpoint

KIND = "on_conflict"


class Options(Statements, Keyed):
    """See Statements and Keyed. *source*: whether rows come as `values` or as arrays, by `unnest`."""

    source: Literal["values", "unnest"] = "values"

    def cannot(self) -> dict[str, str]:
        """See ingest.Load."""
        return {"load": NO_KEY}


def load(
    endpoint: Endpoint, table: tuple[str, str], schema: pa.Schema, batches: Iterable[pa.RecordBatch], **options: Any
) -> Loaded:
    """See ingest.Load. Rows that come twice do so in a statement of their own, after those they were among.

    In one and the same statement the server would refuse to update a row twice.
    """
    given = Options(**options)
    again = _again.Again(_feed.cut(batches, given.unit()), given.duplicates)
    rows = _feed.Rows(endpoint, table, schema, again)
    form = _insert.Unnest() if given.source == "unnest" else _insert.Values()
    loaded = _insert.load(rows, form, given, partial(_clause, given))
    return replace(loaded, rows=loaded.rows - again.rows, again=again.rows)


def _clause(given: Options, link: pg.Connection, fit: _fit.Fit) -> str:
    return _target.upsert(fit, _target.key(link, fit, given.key), given.action)
