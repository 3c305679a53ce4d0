"""Rows made ahead by one thread, and shared out among the connections that load them.

The rows are matched to the table before any is made. One thread makes rows while others encode and
send: numpy, Arrow and the network all let go of the interpreter.
"""

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from threading import Condition, Thread

import pyarrow as pa

from lab import pg
from lab.errors import IngestError
from lab.ingest import Loaded, _fit
from lab.model import Endpoint

_AHEAD = 4  # batches made before they are wanted: enough to never wait, few enough to stay small
AT_LEAST_ROWS = 1_024  # handed over at a time: a row alone would wait longer for its turn than for the server


@dataclass(frozen=True)
class Rows:
    """What is to be loaded: *batches* of *schema*, into *table* of the endpoint."""

    endpoint: Endpoint
    table: tuple[str, str]
    schema: pa.Schema
    batches: Iterable[pa.RecordBatch]


# Sends what the feed gives until there is no more, by one connection: how many rows and bytes that were.
Send = Callable[[pg.Connection, _fit.Fit, "Feed"], tuple[int, int]]


def share(rows: Rows, send: Send, *, connections: int = 1, autocommit: bool = False, texts: bool = False) -> Loaded:
    """Load *rows*, each connection by *send*; what a connection has not committed by itself is committed at its end.

    *texts*: whether *send* sends values as text; see _fit.fitted.

    A failure or an interrupt rolls every connection back, but what had been committed. Each commits at its own end:
    one that waited for the others could hold a key that another waits for, and the server sees no
    deadlock in that.
    """
    start = time.perf_counter()
    with ExitStack() as stack:
        links = [
            stack.enter_context(pg.connected(rows.endpoint.conninfo, autocommit=autocommit)) for _ in range(connections)
        ]
        fit = _fit.fitted(rows.table, rows.schema, _fit.columns(links[0], rows.table), texts=texts)
        with _ahead(rows.batches) as feed, ThreadPoolExecutor(connections) as pool:
            try:
                sent = list(pool.map(lambda link: _sent(link, fit, feed, send), links))
            except BaseException:  # of an interrupt no connection knows, and the pool waits for all of them
                feed.stop()
                raise
    loaded, size = (sum(column) for column in zip(*sent, strict=True))
    return Loaded(loaded, size, time.perf_counter() - start)


def _sent(link: pg.Connection, fit: _fit.Fit, feed: "Feed", send: Send) -> tuple[int, int]:
    try:
        with refusals(fit.table):
            sent = send(link, fit, feed)
            link.rollback() if feed.stopped else link.commit()
    except BaseException:
        feed.stop()
        raise
    return sent


@contextmanager
def refusals(table: tuple[str, str]) -> Iterator[None]:
    """What the server refuses, with the table, the column where it is known, and the place in a COPY.

    What the environment failed at is raised as it is.
    """
    try:
        yield
    except pg.Error as error:
        if pg.environmental(error):
            raise
        diag = error.diag
        column = f"column {diag.column_name}: " if diag.column_name else ""
        context = f" ({diag.context.splitlines()[0]})" if diag.context else ""
        raise IngestError(f"table {_fit.dotted(table)}: {column}{pg.words(error)}{context}") from error


def cut(batches: Iterable[pa.RecordBatch], rows: int, *, at_least: int = AT_LEAST_ROWS) -> Iterator[pa.RecordBatch]:
    """The same rows in batches of a whole multiple of *rows*, *at_least* so many; only the last may be smaller.

    So a statement or a transaction of so many rows never spans two batches, and how many there are
    does not hang on how many connections share them.

    >>> [one.num_rows for one in cut([pa.record_batch({"a": range(7_000)})], 600)]
    [1200, 1200, 1200, 1200, 1200, 1000]
    """
    unit = rows * -(-at_least // rows)
    kept: list[pa.RecordBatch] = []
    size = 0
    for batch in batches:
        kept.append(batch)
        size += batch.num_rows
        if size >= unit:
            table = pa.Table.from_batches(kept).combine_chunks()
            whole = size - size % unit
            for start in range(0, whole, unit):
                yield from table.slice(start, unit).to_batches()
            kept, size = table.slice(whole).to_batches(), size - whole
    if size:
        yield from pa.Table.from_batches(kept).combine_chunks().to_batches()


class Feed:
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
def _ahead(batches: Iterable[pa.RecordBatch]) -> Iterator[Feed]:
    """A feed of *batches* for the length of a `with` block; its thread is gone afterwards."""
    feed = Feed()
    maker = Thread(target=feed.make, args=(batches,), name="rows", daemon=True)
    maker.start()
    try:
        yield feed
    finally:
        feed.stop()
        maker.join()
