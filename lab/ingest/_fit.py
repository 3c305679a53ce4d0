"""Rows and a table, matched column by column before anything is sent."""

import difflib
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from lab import pg
from lab.errors import IngestError

_EXACT: Mapping[str, pa.DataType] = {
    "bool": pa.bool_(),
    "bytea": pa.binary(),
    "date": pa.date32(),
    "float4": pa.float32(),
    "float8": pa.float64(),
    "int2": pa.int16(),
    "int4": pa.int32(),
    "int8": pa.int64(),
    "interval": pa.duration("us"),
    "time": pa.time64("us"),
    "timestamp": pa.timestamp("us", tz="UTC"),
    "timestamptz": pa.timestamp("us", tz="UTC"),
    "uuid": pa.binary(16),
}
_TEXTS = frozenset(("text", "varchar", "bpchar", "name", "json", "jsonb", "citext"))
_IN_ARRAYS = frozenset(("_bool", "_date", "_float4", "_float8", "_int2", "_int4", "_int8", "_text"))
_WHOLE_DIGITS = 19  # of any 64-bit number


@dataclass(frozen=True)
class Column:
    """A column of the table. *precision* and *scale* are those of numeric, None where open; *schema* is the type's."""

    name: str
    type: str
    precision: int | None
    scale: int | None
    generated: bool
    enumerated: bool
    schema: str = "pg_catalog"


@dataclass(frozen=True)
class Fit:
    """How the rows' columns become the table's: *schema* is what is encoded, *types* what each is in the table."""

    table: tuple[str, str]
    schema: pa.Schema
    types: Mapping[str, Column]

    @property
    def into(self) -> str:
        """The table, as SQL."""
        return pg.ident(*self.table)

    @property
    def names(self) -> str:
        """The columns that rows bring, as SQL."""
        return listed(self.schema.names)

    def __call__(self, batch: pa.RecordBatch, at: int = 0) -> pa.RecordBatch:
        """*batch* in the types of the table; IngestError where a value does not fit. *at* rows came before it."""
        if batch.schema.equals(self.schema):
            return batch
        columns = [self._cast(values, field, at) for values, field in zip(batch.columns, self.schema, strict=True)]
        return pa.RecordBatch.from_arrays(columns, schema=self.schema)

    def _cast(self, values: Any, field: Any, at: int) -> Any:
        try:
            return _as(values, field.type)
        except (pa.ArrowInvalid, ValueError):
            row, error = _misfit(values, field.type)
            place = f"table {dotted(self.table)}: column {field.name}: row {at + row + 1}: {values[row].as_py()!r}"
            raise IngestError(f"{place} does not fit: {error}") from None


def _as(values: Any, kind: Any) -> Any:
    if pa.types.is_fixed_size_binary(kind) and not values.type.equals(kind):
        return pa.array([v and uuid.UUID(v).bytes for v in values.to_pylist()], kind)
    return pc.cast(values, kind)


def _misfit(values: Any, kind: Any) -> tuple[int, Exception]:
    """The number of the first value, from 0, that is no *kind*, and why; there is one."""
    for row in range(len(values)):
        try:
            _as(values.slice(row, 1), kind)
        except (pa.ArrowInvalid, ValueError) as error:
            return row, error
    raise ValueError("all of them fit")


def columns(connection: pg.Connection, table: tuple[str, str]) -> list[Column]:
    """The columns of *table*, in its order; IngestError where there is no such table."""
    found = pg.rows(connection, pg.query("columns"), {"schema": table[0], "table": table[1]})
    if not found:
        raise IngestError(f"table {dotted(table)}: there is no such table (does the schema make it?)")
    return [Column(**row) for row in found]


def dotted(table: tuple[str, str]) -> str:
    """The table's name for messages."""
    return ".".join(table)


def listed(names: Iterable[str], before: str = "") -> str:
    """Column names as SQL writes several, each after *before*.

    >>> listed(["id", "Odd name"], "s.")
    's."id", s."Odd name"'
    """
    return ", ".join(before + pg.ident(name) for name in names)


def fitted(table: tuple[str, str], schema: pa.Schema, known: Sequence[Column], *, texts: bool = False) -> Fit:
    """Match the rows' *schema* to the table's *known* columns; IngestError names all that do not fit.

    Columns that only the table has take their defaults. *texts*: whether values are sent as text, which the server
    reads for every type.

    >>> fitted(("s", "t"), pa.schema([("c", pa.int64())]), [Column("c", "text", None, None, False, False)])
    Traceback (most recent call last):
      ...
    lab.errors.IngestError: table s.t: column c: what the rows have (int64) and what the table has (text) do not fit
    """
    by_name = {column.name: column for column in known}
    fields, mistakes = [], []
    for field in schema:
        target = _target(field, by_name, texts=texts)
        if isinstance(target, str):
            mistakes.append(f"table {dotted(table)}: column {field.name}: {target}")
        else:
            fields.append(pa.field(field.name, target))
    if mistakes:
        raise IngestError("\n".join(mistakes))
    return Fit(table, pa.schema(fields), by_name)


def _target(field: Any, known: Mapping[str, Column], *, texts: bool) -> pa.DataType | str:
    """The type that is encoded for *field*, or what is wrong with it."""
    if field.name not in known:
        near = difflib.get_close_matches(field.name, known, 1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        return f"the table has no such column ({hint}it has {', '.join(known)})"
    column = known[field.name]
    if column.generated:
        return "the table generates it; the stream may not give it"
    target = wire_type(field.type, column) or (_read_from_text(field.type, column) if texts else None)
    if target is None:
        way = "" if texts or _read_from_text(field.type, column) is None else "; as text they do (method: copy_csv)"
        if pa.types.is_floating(field.type) and column.type in ("int2", "int4", "int8"):
            way = "; whole numbers with nulls that pandas wrote are Int64 there: frame.astype({...: 'Int64'})"
        return f"what the rows have ({field.type}) and what the table has ({column.type}) do not fit{way}"
    return target


def wire_type(rows: pa.DataType, column: Column) -> pa.DataType | None:
    """The Arrow type whose encoding *column* reads, for rows of type *rows*; None where there is none.

    Whole numbers fit each other (values are checked as they are sent), real ones each other and
    numeric(p, s); a numeric without digits takes no real number, whose digits it would make up.

    >>> wire_type(pa.int64(), Column("c", "int2", None, None, False, False))
    DataType(int16)
    """
    if column.type == "numeric":
        return _numeric(rows, column)
    if column.type in _TEXTS or column.enumerated:
        return pa.string() if _is_text(rows) else None
    if column.type in _IN_ARRAYS:  # the others' elements carry a type that pgpq cannot be told
        element = _element(rows, column)
        return None if element is None else pa.list_(element)
    target = _EXACT.get(column.type)
    return target if target is not None and _fits(rows, target) else None


def _read_from_text(rows: pa.DataType, column: Column) -> pa.DataType | None:
    """The type as which rows of *rows* become text that the server reads: for types that `wire_type` knows nothing of.

    What it knows stays as strict: a text is no number, though the server would read it as one.
    """
    if column.type in (*_EXACT.keys() - {"interval", "time"}, *_TEXTS, "numeric") or column.enumerated:
        return None
    if _is_text(rows):
        return pa.string()
    return rows if column.type.startswith("_") and pa.types.is_list(rows) else None


def _element(rows: pa.DataType, column: Column) -> pa.DataType | None:
    if not pa.types.is_list(rows) and not pa.types.is_large_list(rows):
        return None
    return wire_type(rows.value_type, replace(column, type=column.type[1:]))


def _numeric(rows: pa.DataType, column: Column) -> pa.DataType | None:
    if pa.types.is_decimal(rows):
        return rows
    if pa.types.is_integer(rows):
        return pa.decimal128(_WHOLE_DIGITS, 0)
    if pa.types.is_floating(rows) and column.precision is not None and column.precision <= 38:
        return pa.decimal128(column.precision, column.scale or 0)
    return None


def _fits(rows: pa.DataType, target: pa.DataType) -> bool:
    if rows.equals(target):
        return True
    if pa.types.is_fixed_size_binary(target):
        return _is_text(rows)
    alike = (
        (pa.types.is_integer,),
        (pa.types.is_floating, pa.types.is_decimal),
        (pa.types.is_timestamp,),
        (pa.types.is_date,),
        (pa.types.is_time,),
        (pa.types.is_duration,),
        (pa.types.is_binary, pa.types.is_large_binary, pa.types.is_fixed_size_binary),
    )
    return any(any(test(rows) for test in tests) and any(test(target) for test in tests) for tests in alike)


def _is_text(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        return _is_text(kind.value_type)
    return pa.types.is_string(kind) or pa.types.is_large_string(kind)
