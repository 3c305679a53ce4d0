"""Rows in by way of a staging table: COPY into it, then INSERT, INSERT ... ON CONFLICT or MERGE into the target."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal, Self

import pyarrow as pa
from pydantic import Field, model_validator

from lab import pg
from lab.ingest import Loaded, _again, _copy, _feed, _fit, _target
from lab.ingest._options import NO_KEY, Keyed
from lab.model import Endpoint

KIND = "staging"

_CREATE = {"unlogged": "CREATE UNLOGGED TABLE", "temporary": "CREATE TEMPORARY TABLE", "logged": "CREATE TABLE"}


class Options(Keyed):
    """See Keyed. *persistence* is that of the staging table, *then* how rows go on from it.

    *rows* are staged before each such statement, and all of that is one transaction; all rows of a
    load where it is left out. The staging table is made and dropped by each load.
    """

    persistence: Literal["unlogged", "temporary", "logged"] = "unlogged"
    then: Literal["insert", "on_conflict", "merge"] = "on_conflict"
    rows: Annotated[int, Field(strict=True, ge=1, description="rows staged at a time, or leave it out")] | None = None

    @model_validator(mode="after")
    def _told(self) -> Self:
        if self.then == "insert" and self.duplicates:
            raise ValueError("a plain INSERT tells no rows that come twice (then: on_conflict or merge)")
        return self

    def cannot(self) -> dict[str, str]:
        """See ingest.Load."""
        merged = {"citus": "then: on_conflict"} if self.then == "merge" else {}  # of its own tables alone
        return merged if self.then == "insert" else {"load": NO_KEY, **merged}


def load(
    endpoint: Endpoint, table: tuple[str, str], schema: pa.Schema, batches: Iterable[pa.RecordBatch], **options: Any
) -> Loaded:
    """See ingest.Load. Rows that come twice are staged with those after them; each connection has its own staging."""
    given = Options(**options)
    again = _again.Again(_feed.cut(batches, given.rows, at_least=1) if given.rows else batches, given.duplicates)

    def send(link: pg.Connection, fit: _fit.Fit, feed: _feed.Feed) -> tuple[int, int]:
        return _Staging(link, fit, given).send(feed)

    loaded = _feed.share(_feed.Rows(endpoint, table, schema, again), send, connections=given.connections)
    return replace(loaded, rows=loaded.rows - again.rows, again=again.rows)


@dataclass(frozen=True)
class _Staging:
    """One connection's way through its own staging table."""

    link: pg.Connection
    fit: _fit.Fit
    given: Options

    def send(self, feed: _feed.Feed) -> tuple[int, int]:
        """Stage and move on until there is no more; commit, unless another connection has failed."""
        with self._made(feed) as staging:
            move = self._move(staging)
            sent = size = 0
            batches = iter(feed)
            while True:
                rows, more = _copy.binary(self.link, self.fit, _taken(batches, self.given.rows), into=staging)
                if not rows:
                    return sent, size
                pg.run(self.link, move, f"TRUNCATE {staging}")
                if self.given.rows is not None and not feed.stopped:
                    self.link.commit()
                sent, size = sent + rows, size + more

    @contextmanager
    def _made(self, feed: _feed.Feed) -> Iterator[str]:
        """The staging table, as SQL, for the length of a `with` block; gone afterwards, though parts were committed."""
        schema = () if self.given.persistence == "temporary" else (self.fit.table[0],)
        staging = pg.ident(*schema, f"pglab_staging_{self.link.info.backend_pid}")
        kept = f"SELECT {self.fit.names} FROM {self.fit.into} WITH NO DATA"
        pg.run(self.link, f"{_CREATE[self.given.persistence]} {staging} AS {kept}")
        try:
            yield staging
        except BaseException:
            self._undo(staging)
            raise
        if feed.stopped:
            self._undo(staging)
        else:
            pg.run(self.link, f"DROP TABLE {staging}")
            self.link.commit()

    def _undo(self, staging: str) -> None:
        with suppress(pg.Error):
            self.link.rollback()
            pg.run(self.link, f"DROP TABLE IF EXISTS {staging}")
            self.link.commit()

    def _move(self, staging: str) -> str:
        """The statement that moves rows on to the target."""
        names = self.fit.names
        into = f"INSERT INTO {self.fit.into} ({names})"
        if self.given.then == "insert":
            return f"{into} SELECT {names} FROM {staging}"
        key = _target.key(self.link, self.fit, self.given.key)
        once = f"SELECT DISTINCT ON ({_fit.listed(key)}) {names} FROM {staging}"
        if self.given.then == "on_conflict":
            return f"{into} {once} {_target.upsert(self.fit, key, self.given.action)}"
        return self._merge(once, key)

    def _merge(self, once: str, key: Sequence[str]) -> str:
        names = self.fit.schema.names
        others = [name for name in names if name not in key]
        same = " AND ".join(f"t.{pg.ident(name)} = s.{pg.ident(name)}" for name in key)
        update = f"WHEN MATCHED THEN UPDATE SET {_target.assigned(others, 's.')}"
        return (
            f"MERGE INTO {self.fit.into} t USING ({once}) s ON {same} "
            f"{update if others and self.given.action == 'update' else ''} "
            f"WHEN NOT MATCHED THEN INSERT ({self.fit.names}) VALUES ({_fit.listed(names, 's.')})"
        )


def _taken(batches: Iterator[tuple[int, pa.RecordBatch]], rows: int | None) -> Iterator[tuple[int, pa.RecordBatch]]:
    """Batches until there are *rows* rows of them, or no more."""
    taken = 0
    for at, batch in batches:
        yield at, batch
        taken += batch.num_rows
        if rows is not None and taken >= rows:
            return
