"""Rows in by binary COPY: Arrow batches, encoded by pgpq, sent as they are made.

The rows are matched to the table before anything is sent. One thread makes rows while others
encode and send: numpy, Arrow and the network all let go of the interpreter.
"""

import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from queue import Empty, Full, Queue
from threading import Event, Thread
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
_LOOK_S = 0.05  # how soon a waiting thread sees that the load has failed elsewhere


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
    """See ingest.Load. No connection commits before the last of them has sent its rows."""
    start = time.perf_counter()
    with ExitStack() as stack:
        links = [stack.enter_context(pg.connected(endpoint.conninfo, autocommit=False)) for _ in range(connections)]
        fit = _fit.fitted(table, schema, _fit.columns(links[0], table))
        with _ahead(batches) as feed, ThreadPoolExecutor(connections) as pool:
            sent = list(pool.map(lambda link: _send(link, table, fit, feed), links))
        for link in links:
            with _refusals(table):
                link.commit()
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
            for batch in feed:
                write(data := encoder.write_batch(fit(batch)))
                rows += batch.num_rows
                size += len(data)
            write(trailer := encoder.finish())
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

    def __init__(self, batches: Iterable[pa.RecordBatch]) -> None:
        self._batches = batches
        self._queue: Queue[pa.RecordBatch] = Queue(_AHEAD)
        self._made_all = Event()
        self._stopped = Event()
        self._failure: Exception | None = None

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        while not self._stopped.is_set():
            made_all = self._made_all.is_set()
            try:
                yield self._queue.get(timeout=_LOOK_S)
            except Empty:
                if made_all:
                    break
        if self._failure is not None:
            raise self._failure

    def make(self) -> None:
        """Make all batches; what goes wrong is raised where they are taken."""
        try:
            for batch in self._batches:
                if not self._put(batch):
                    return
        except Exception as error:  # noqa: BLE001 raised again by the takers
            self._failure = error
            self._stopped.set()
        finally:
            self._made_all.set()

    def _put(self, batch: pa.RecordBatch) -> bool:
        while not self._stopped.is_set():
            try:
                self._queue.put(batch, timeout=_LOOK_S)
            except Full:
                continue
            return True
        return False

    def stop(self) -> None:
        """Make no more, and let every taker end."""
        self._stopped.set()


@contextmanager
def _ahead(batches: Iterable[pa.RecordBatch]) -> Iterator[_Feed]:
    """A feed of *batches* for the length of a `with` block; its thread is gone afterwards."""
    feed = _Feed(batches)
    maker = Thread(target=feed.make, name="rows", daemon=True)
    maker.start()
    try:
        yield feed
    finally:
        feed.stop()
        maker.join()
