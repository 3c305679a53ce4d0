"""Rows in by binary COPY: Arrow batches, encoded by pgpq, sent as they are made.

The rows are matched to the table before anything is sent. One thread makes rows while others
encode and send: numpy, Arrow and the network all let go of the interpreter.
"""

import time
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from threading import Condition, Thread
from typing import Any

import pgpq
import pyarrow as pa
from pgpq import encoders
from pgpq import schema as postgres
from pydantic import BaseModel, ConfigDict, Field

from lab import pg
from lab.errors import IngestError
from lab.ingest import Loaded, _fit
from lab.model import Endpoint

KIND = "copy_binary"

_AHEAD = 4  # batches made before they are wanted: enough to never wait, few enough to stay small


class Options(BaseModel):
    """*connections*: how many load at once; only on one is the order of rows the stream's."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    connections: int = Field(1, ge=1, le=64)


def load(
    endpoint: Endpoint,
    table: tuple[str, str],
    schema: pa.Schema,
    batches: Iterable[pa.RecordBatch],
    *,
    connections: int = 1,
) -> Loaded:
    """See ingest.Load. A failure rolls every connection back, but those that had already ended.

    Each commits at its own end: one that waited for the others could hold a key that another
    waits for, and the server sees no deadlock in that.
    """
    start = time.perf_counter()
    with ExitStack() as stack:
        links = [stack.enter_context(pg.connected(endpoint.conninfo, autocommit=False)) for _ in range(connections)]
        fit = _fit.fitted(table, schema, _fit.columns(links[0], table))
        with _ahead(batches) as feed, ThreadPoolExecutor(connections) as pool:
            sent = list(pool.map(lambda link: _send(link, table, fit, feed), links))
    rows, size = (sum(column) for column in zip(*sent, strict=True))
    return Loaded(rows, size, time.perf_counter() - start)


def _send(link: pg.Connection, table: tuple[str, str], fit: _fit.Fit, feed: "_Feed") -> tuple[int, int]:
    """Send batches until there are no more; how many rows and bytes that were."""
    encoder = _encoder(fit)
    names = ", ".join(map(pg.ident, fit.schema.names))
    rows = size = 0
    try:
        with _refusals(table), pg.copying(link, pg.ident(*table), names) as write:
            write(header := encoder.write_header())
            size += len(header)
            for at, batch in feed:
                write(data := encoder.write_batch(fit(batch, at)))
                rows += batch.num_rows
                size += len(data)
            write(trailer := encoder.finish())
        with _refusals(table):
            link.rollback() if feed.stopped else link.commit()
    except BaseException:
        feed.stop()
        raise
    return rows, size + len(trailer)


def _encoder(fit: _fit.Fit) -> Any:
    """pgpq's own choice of encoder for each column, but text into jsonb carries a version byte."""
    chosen = {field.name: pgpq.ArrowToPostgresBinaryEncoder.infer_encoder(field) for field in fit.schema}
    for name in fit.jsonb:
        chosen[name] = encoders.StringEncoderBuilder.new_with_output(fit.schema.field(name), postgres.Jsonb())
    return pgpq.ArrowToPostgresBinaryEncoder.new_with_encoders(fit.schema, chosen)


@contextmanager
def _refusals(table: tuple[str, str]) -> Iterator[None]:
    """What the server refuses, with the table, the column where it is known, and the place in the COPY."""
    try:
        yield
    except pg.Error as error:
        diag = error.diag
        column = f"column {diag.column_name}: " if diag.column_name else ""
        context = f" ({diag.context.splitlines()[0]})" if diag.context else ""
        raise IngestError(f"table {_fit.dotted(table)}: {column}{pg.words(error)}{context}") from error


class _Feed:
    """Batches made ahead by one thread and handed to whoever is free; each goes to one taker."""

    def __init__(self) -> None:
        self._turn = Condition()
        self._made: deque[tuple[int, pa.RecordBatch]] = deque()
        self._ended = False
        self.stopped = False
        self._failure: Exception | None = None

    def __iter__(self) -> Iterator[tuple[int, pa.RecordBatch]]:
        """Each batch, and how many rows were made before it."""
        while (batch := self._take()) is not None:
            yield batch

    def _take(self) -> tuple[int, pa.RecordBatch] | None:
        with self._turn:
            self._turn.wait_for(lambda: self._made or self._ended)
            if self._failure is not None:
                raise self._failure
            batch = self._made.popleft() if self._made else None
            self._turn.notify_all()
            return batch

    def make(self, batches: Iterable[pa.RecordBatch]) -> None:
        """Make all *batches*; what goes wrong is raised where they are taken."""
        rows = 0
        try:
            for batch in batches:
                with self._turn:
                    self._turn.wait_for(lambda: len(self._made) < _AHEAD or self._ended)
                    if self._ended:
                        return
                    self._made.append((rows, batch))
                    self._turn.notify_all()
                rows += batch.num_rows
        except Exception as error:  # noqa: BLE001 raised again by the takers
            self._failure = error
        self._end()

    def stop(self) -> None:
        """Make no more, and let every taker end."""
        self.stopped = True
        with self._turn:
            self._made.clear()
        self._end()

    def _end(self) -> None:
        with self._turn:
            self._ended = True
            self._turn.notify_all()


@contextmanager
def _ahead(batches: Iterable[pa.RecordBatch]) -> Iterator[_Feed]:
    """A feed of *batches* for the length of a `with` block; its thread is gone afterwards."""
    feed = _Feed()
    maker = Thread(target=feed.make, args=(batches,), name="rows", daemon=True)
    maker.start()
    try:
        yield feed
    finally:
        feed.stop()
        maker.join()
