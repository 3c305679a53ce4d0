"""COPY FROM STDIN: Arrow batches in PostgreSQL's binary form, encoded by pgpq, or as CSV lines."""

from collections.abc import Iterable, Iterator
from typing import Any

import pgpq
import pyarrow as pa
from pgpq import encoders
from pgpq import schema as postgres

from lab import pg
from lab.ingest import _fit, _text

Batches = Iterable[tuple[int, pa.RecordBatch]]


def binary(
    link: pg.Connection, fit: _fit.Fit, batches: Batches, *, into: str = "", freeze: bool = False
) -> tuple[int, int]:
    """COPY *batches* in binary, into the table of *fit* or what *into* names as SQL; how many rows and bytes."""
    return _copied(link, into or fit.into, fit, "binary, FREEZE" if freeze else "binary", _binary(fit, batches))


def csv(link: pg.Connection, fit: _fit.Fit, batches: Batches) -> tuple[int, int]:
    """COPY *batches* as CSV; how many rows and bytes."""
    lines = ((batch.num_rows, _text.csv(fit(batch, at))) for at, batch in batches)
    return _copied(link, fit.into, fit, "csv", lines)


def _copied(
    link: pg.Connection, into: str, fit: _fit.Fit, form: str, pieces: Iterable[tuple[int, bytes]]
) -> tuple[int, int]:
    rows = size = 0
    with pg.copying(link, into, fit.names, f"FORMAT {form}") as write:
        for more, data in pieces:
            write(data)
            rows += more
            size += len(data)
    return rows, size


def _binary(fit: _fit.Fit, batches: Batches) -> Iterator[tuple[int, bytes]]:
    """How many rows, and their bytes: the stream's header first, its trailer last."""
    encoder = _encoder(fit)
    yield 0, encoder.write_header()
    for at, batch in batches:
        yield batch.num_rows, encoder.write_batch(fit(batch, at))
    yield 0, encoder.finish()


def _encoder(fit: _fit.Fit) -> Any:
    """pgpq's own choice of encoder for each column, but text into jsonb carries a version byte."""
    chosen = {field.name: pgpq.ArrowToPostgresBinaryEncoder.infer_encoder(field) for field in fit.schema}
    for field in fit.schema:
        if fit.types[field.name].type == "jsonb":
            chosen[field.name] = encoders.StringEncoderBuilder.new_with_output(field, postgres.Jsonb())
    return pgpq.ArrowToPostgresBinaryEncoder.new_with_encoders(fit.schema, chosen)
