"""INSERT statements: how rows become the parameters of one, and sending them prepared.

A statement is prepared once on each connection, as drivers of applications do, so that planning
is not paid for with each; the last rows, which are fewer, may take another.
"""

import itertools
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Protocol

import pyarrow as pa

from lab import pg
from lab.errors import IngestError
from lab.ingest import Loaded, _feed, _fit, _text
from lab.ingest._options import Statements

_MOST_PARAMETERS = 65_535  # of one statement: the protocol counts them in 16 bits

# Gives the parameters of the statement for rows [start, end).
Parameters = Callable[[int, int], pg.Texts]


class Form(Protocol):
    """How rows become a statement: what stands after the table's columns, and its parameters."""

    def text(self, fit: _fit.Fit, rows: int) -> str:
        """The source of a statement for so many rows; IngestError where there can be none."""
        ...

    def parameters(self, rows: pa.RecordBatch) -> Parameters:
        """What gives its parameters for some of these rows."""
        ...


class Values:
    """VALUES ($1, $2), ($3, $4) ...: a parameter for each value, so that many rows make a long statement."""

    def text(self, fit: _fit.Fit, rows: int) -> str:
        """See Form."""
        wide = len(fit.schema)
        if rows * wide > _MOST_PARAMETERS:
            raise IngestError(
                f"table {_fit.dotted(fit.table)}: {rows} rows of {wide} columns are more than the {_MOST_PARAMETERS} "
                f"parameters that a statement may have (rows: {_MOST_PARAMETERS // wide}, or method: unnest)"
            )
        one = (", ".join(f"${row * wide + at}" for at in range(1, wide + 1)) for row in range(rows))
        return f"VALUES {', '.join(f'({row})' for row in one)}"

    def parameters(self, rows: pa.RecordBatch) -> Parameters:
        """See Form. All are encoded at once: a row at a time would cost more than the server takes for it."""
        encoded = _text.rows(rows)
        return lambda start, end: list(itertools.chain.from_iterable(encoded[start:end]))


class Unnest:
    """SELECT FROM unnest($1::int8[], $2::text[]): an array for each column, one statement for any number of rows."""

    def text(self, fit: _fit.Fit, rows: int) -> str:
        """See Form."""
        del rows
        kinds = [fit.types[name] for name in fit.schema.names]
        for kind in kinds:
            if kind.type.startswith("_"):
                raise IngestError(
                    f"table {_fit.dotted(fit.table)}: column {kind.name}: unnest would take arrays apart "
                    "(method: insert)"
                )
        arrays = (f"${at}::{pg.ident(kind.schema, kind.type)}[]" for at, kind in enumerate(kinds, 1))
        return f"SELECT * FROM unnest({', '.join(arrays)})"

    def parameters(self, rows: pa.RecordBatch) -> Parameters:
        """See Form."""
        return lambda start, end: [_text.array(column) for column in rows.slice(start, end - start).columns]


# What stands at the end of a statement, such as ON CONFLICT, by the table that it is for.
Ending = Callable[[pg.Connection, _fit.Fit], str]


def load(rows: _feed.Rows, form: Form, given: Statements, ending: Ending = lambda *_: "") -> Loaded:
    """Load *rows*, cut into whole units, by INSERTs of a *form*; see Statements for how many go into each."""

    def send(link: pg.Connection, fit: _fit.Fit, feed: _feed.Feed) -> tuple[int, int]:
        return _Sender(link, fit, form, ending(link, fit)).send(feed, given)

    return _feed.share(rows, send, connections=given.connections, autocommit=True, texts=True)


@dataclass
class _Sender:
    """One connection, in autocommit, and what executes the statements that are prepared on it, by their rows."""

    link: pg.Connection
    fit: _fit.Fit
    form: Form
    ending: str
    prepared: dict[int, Callable[[pg.Texts], None]] = field(default_factory=dict)

    def send(self, feed: _feed.Feed, given: Statements) -> tuple[int, int]:
        """Send all that the feed gives; the one transaction of all rows is the caller's to end."""
        if given.transaction_rows is None:
            pg.run(self.link, "BEGIN")
        several = given.transaction_rows is not None and given.transaction_rows > given.rows
        sent = size = 0
        for at, batch in feed:
            parameters = self.form.parameters(self.fit(batch, at))
            for start in range(0, batch.num_rows, given.unit()):
                end = min(start + given.unit(), batch.num_rows)
                with self.link.transaction() if several else nullcontext():
                    size += self._statements(parameters, range(start, end, given.rows))
            sent += batch.num_rows
        return sent, size

    def _statements(self, parameters: Parameters, rows: range) -> int:
        """Send *rows*, each statement a step of them; how many bytes their values were."""
        size = 0
        for start in rows:
            end = min(start + rows.step, rows.stop)
            values = parameters(start, end)
            self._statement(end - start)(values)
            size += sum(map(len, filter(None, values)))
        return size

    def _statement(self, rows: int) -> Callable[[pg.Texts], None]:
        """What executes the statement for so many rows, prepared at its first use."""
        if rows not in self.prepared:
            source = self.form.text(self.fit, rows)
            text = f"INSERT INTO {self.fit.into} ({self.fit.names}) {source} {self.ending}"
            self.prepared[rows] = pg.prepared(self.link, f"pglab_{rows}", text)
        return self.prepared[rows]
