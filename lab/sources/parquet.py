"""Rows of Parquet files: one or many, larger than memory; what lies before a range is not read."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pydantic import BaseModel, ConfigDict, Field

from lab.errors import ScenarioError
from lab.model import Lab, Stream
from lab.sources import _paths
from lab.sources._fixed import Fixed

KIND = "parquet"

_BATCH = 16_384  # rows
_UINT64 = pa.decimal128(20, 0)
_MOST_DIGITS = 38  # of decimal128


class Options(BaseModel):
    """*files*: a path, or several, or patterns such as `data/*.parquet`, from the current folder.

    *rows*: at most so many, from the beginning. The types are the files' own.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    files: str | tuple[str, ...]
    rows: int | None = Field(None, ge=0)


def opened(stream: Stream, lab: Lab, *, seed: int, only: str | None = None) -> Fixed:  # noqa: ARG001 files are as large as they are
    """See sources.OpenSource. Reads the files' footers. *only*: a column that is read, and no other."""
    options, place = _paths.asked(stream, Options)
    paths = _paths.found(options.files, place)
    file = _Parquet(paths, place, only)
    rows = min(file.rows, file.rows if options.rows is None else options.rows)
    return Fixed(stream.name, file, file.schema, rows, {str(path): path for path in paths})


class _Parquet:
    """See _fixed.File."""

    def __init__(self, paths: Sequence[Path], place: str, only: str | None = None) -> None:
        self._paths, self._place, self._only = tuple(paths), place, only
        self._rows: list[int] = []
        schemas = []
        for path in paths:
            with self._read(path) as file:
                self._rows.append(file.metadata.num_rows)
                try:
                    schema = self._plain(path, file.schema_arrow)
                    schemas.append(schema if only is None else pa.schema([schema.field(only)]))
                except (pa.ArrowException, UnicodeDecodeError) as error:  # the second: a name that is no text
                    raise ScenarioError(self._said(path, error)) from None
        self.schema, self.rows = schemas[0], sum(self._rows)
        for path, schema in zip(paths, schemas, strict=True):
            if not schema.equals(self.schema):
                raise ScenarioError(
                    f"{place}: {path.name}: has other columns or types than {paths[0].name}: "
                    f"{_difference(schema, self.schema)}"
                )

    def batches(self, first: int) -> Iterator[pa.RecordBatch]:
        """See _fixed.File: row groups before *first* are passed by."""
        for path, rows in zip(self._paths, self._rows, strict=True):
            if first < rows:
                with self._read(path) as file:
                    yield from self._of(path, file, first)
            first = max(0, first - rows)

    def _of(self, path: Path, file: pq.ParquetFile, first: int) -> Iterator[pa.RecordBatch]:
        groups = [file.metadata.row_group(n).num_rows for n in range(file.num_row_groups)]
        begin = 0
        while groups[begin] <= first:
            first -= groups[begin]
            begin += 1
        try:
            wanted = list(range(begin, len(groups)))
            for batch in file.iter_batches(_BATCH, row_groups=wanted, columns=[self._only] if self._only else None):
                if batch.num_rows > first:
                    yield self._cast(batch.slice(first))
                first = max(0, first - batch.num_rows)
        except (pa.ArrowException, OSError) as error:
            raise ScenarioError(self._said(path, error)) from None

    def _cast(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        return pa.RecordBatch.from_arrays(list(map(_as, batch.columns, self.schema.types)), schema=self.schema)

    def _read(self, path: Path) -> pq.ParquetFile:
        try:
            return pq.ParquetFile(path)
        except (pa.ArrowException, OSError) as error:
            raise ScenarioError(self._said(path, error)) from None

    def _said(self, path: Path, error: Exception) -> str:
        return f"{self._place}: {path.name}: {' '.join(str(error).split())}"

    def _plain(self, path: Path, schema: pa.Schema) -> pa.Schema:
        fields, mistakes = [], []
        for field in schema:
            kind = plain(field.type)
            if kind is None:
                mistakes.append(
                    f"{self._place}: {path.name}: column {field.name}: {field.type} fits no column of a table "
                    "(write its parts as columns, or the whole as text of JSON)"
                )
            else:
                fields.append((field.name, kind))
        if mistakes:
            raise ScenarioError(mistakes)
        if twice := {name for name in schema.names if schema.names.count(name) > 1}:
            raise ScenarioError(f"{self._place}: {path.name}: has two columns {twice.pop()!r} (rename one)")
        return pa.schema(fields)


def plain(kind: Any) -> Any:
    """The type in which a stream carries values of a file's type; None where no table has such a column.

    >>> plain(pa.timestamp("ns", "Europe/Rome")), plain(pa.dictionary(pa.int8(), pa.large_string()))
    (TimestampType(timestamp[us, tz=UTC]), DataType(string))
    """
    is_ = pa.types
    if isinstance(kind, pa.BaseExtensionType):
        return plain(kind.storage_type)
    if is_.is_dictionary(kind):
        return plain(kind.value_type)
    if is_.is_list(kind) or is_.is_large_list(kind) or is_.is_fixed_size_list(kind):
        element = plain(kind.value_type)
        return None if element is None else pa.list_(element)
    if is_.is_decimal(kind):
        return pa.decimal128(kind.precision, kind.scale) if kind.precision <= _MOST_DIGITS else None
    for test, target in _PLAIN:
        if test(kind):
            return kind if target is None else target(kind) if callable(target) else target
    return None


def _timestamp(kind: Any) -> pa.DataType:
    return pa.timestamp("us", tz="UTC") if kind.tz else pa.timestamp("us")


def _bytes(kind: Any) -> pa.DataType:
    return kind if kind.byte_width == 16 else pa.binary()


_PLAIN: tuple[tuple[Any, Any], ...] = (
    (pa.types.is_boolean, None),
    (pa.types.is_uint64, _UINT64),
    (pa.types.is_uint32, pa.int64()),
    (pa.types.is_uint16, pa.int32()),
    (lambda kind: pa.types.is_int8(kind) or pa.types.is_uint8(kind), pa.int16()),
    (pa.types.is_integer, None),
    (pa.types.is_float16, pa.float32()),
    (pa.types.is_floating, None),
    (lambda kind: pa.types.is_string(kind) or pa.types.is_large_string(kind), pa.string()),
    (pa.types.is_string_view, pa.string()),
    (pa.types.is_fixed_size_binary, _bytes),
    (lambda kind: pa.types.is_binary(kind) or pa.types.is_large_binary(kind), pa.binary()),
    (pa.types.is_timestamp, _timestamp),
    (pa.types.is_date, pa.date32()),
    (pa.types.is_time, pa.time64("us")),
    (pa.types.is_duration, pa.duration("us")),
    (pa.types.is_null, pa.string()),
)


def _as(values: Any, kind: pa.DataType) -> Any:
    """*values* in a plain type; of times what is finer than a microsecond is cut off, as PostgreSQL has none."""
    if isinstance(values.type, pa.BaseExtensionType):
        values = values.storage
    if values.type.equals(kind):
        return values
    if pa.types.is_temporal(kind):
        return pc.cast(values, kind, safe=False)
    return pc.cast(values, kind)


def _difference(one: pa.Schema, other: pa.Schema) -> str:
    mine, theirs = ({f"{field.name} {field.type}" for field in schema} for schema in (one, other))
    return ", ".join(sorted(mine ^ theirs)) or "in another order"
