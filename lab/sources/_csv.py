"""CSV files as Arrow batches: one type for each column over all of them.

A type is declared or, where it is not, the narrowest that every value has: a later row may need a
wider one, so that a file is read once as text before it is read in its types.
"""

import difflib
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import IO, Any

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

from lab.errors import ScenarioError
from lab.sources import _types

_LADDER: tuple[str, ...] = (
    "bigint",
    "float8",
    "boolean",
    "date",
    "timestamp",
    "timestamptz",
    "text",
)  # narrowest first
_PADDED = r"^[+-]?0[0-9]"  # 00501 is a code: as a number it would lose its zeros


class Csv:
    """Files of the same columns, one after the other, read as often as they are asked for.

    *columns*: names and types of some or all columns. *nulls*: words that mean null. *entry*: the file inside a
    .zip that holds several. A name that ends in .gz, .bz2 or .zst is decompressed. *place*: for messages.
    """

    def __init__(
        self,
        paths: Sequence[Path],
        place: str,
        *,
        columns: Mapping[str, str],
        nulls: Sequence[str] = ("",),
        delimiter: str = ",",
        entry: str | None = None,
    ) -> None:
        self._paths, self._place = tuple(paths), place
        self._columns, self._nulls = columns, list(nulls)
        self._delimiter, self._entry = delimiter, entry
        self.schema, self.rows = self._shape()

    def batches(self, first: int) -> Iterator[pa.RecordBatch]:
        """See _fixed.File; what lies before *first* is read and thrown away."""
        types = {field.name: field.type for field in self.schema}
        for path in self._paths:
            try:
                for batch in self._read(path, types):
                    if batch.num_rows > first:
                        yield batch.slice(first)
                    first = max(0, first - batch.num_rows)
            except pa.ArrowInvalid as error:
                raise ScenarioError(self._misfit(path) or self._said(path, error)) from None

    def _shape(self) -> tuple[pa.Schema, int]:
        """Names and types of the columns, and the number of rows: one pass over the files, as text."""
        names = self._names(self._paths[0])
        if foreign := [name for name in self._columns if name not in names]:
            near = difflib.get_close_matches(foreign[0], names, 1)
            hint = f"did you mean {near[0]!r}? " if near else ""
            raise ScenarioError(
                f"{self._place}: the file has no column {foreign[0]!r} ({hint}it has {', '.join(names)})"
            )
        if twice := {name for name in names if names.count(name) > 1}:
            raise ScenarioError(f"{self._place}: {self._paths[0].name}: has two columns {twice.pop()!r} (rename one)")
        open_ = {name: _LADDER for name in names if name not in self._columns}
        rows = 0
        for path in self._paths:
            if (others := self._names(path)) != names:
                raise ScenarioError(
                    f"{self._place}: {path.name}: has the columns {', '.join(others)}, and {self._paths[0].name} has "
                    f"{', '.join(names)} (files of one stream have the same)"
                )
            for batch in self._texts(path, names):
                rows += batch.num_rows
                open_ = {name: _still(batch[name], left) for name, left in open_.items()}
        inferred = {name: "text" if left == _LADDER else left[0] for name, left in open_.items()}
        kinds = {**inferred, **self._columns}
        return pa.schema([(name, _read_type(kinds[name])) for name in names]), rows

    def _names(self, path: Path) -> list[str]:
        try:
            with self._opened(path) as stream, self._reader(stream, {}) as reader:
                return list(reader.schema.names)
        except (pa.ArrowInvalid, UnicodeDecodeError) as error:  # the second: a name that is no text
            raise ScenarioError(self._said(path, error)) from None

    def _texts(self, path: Path, names: Sequence[str]) -> Iterator[pa.RecordBatch]:
        try:
            yield from self._read(path, dict.fromkeys(names, pa.string()))
        except pa.ArrowInvalid as error:
            raise ScenarioError(self._said(path, error)) from None

    def _read(self, path: Path, types: Mapping[str, pa.DataType]) -> Iterator[pa.RecordBatch]:
        with self._opened(path) as stream, self._reader(stream, types) as reader:
            yield from reader

    def _reader(self, stream: IO[bytes], types: Mapping[str, pa.DataType]) -> Any:
        return csv.open_csv(
            stream,
            parse_options=csv.ParseOptions(delimiter=self._delimiter, newlines_in_values=True),
            convert_options=csv.ConvertOptions(
                column_types=dict(types), null_values=self._nulls, strings_can_be_null=True
            ),
        )

    def _said(self, path: Path, error: Exception) -> str:
        return f"{self._place}: {path.name}: {' '.join(str(error).split())}"

    def _misfit(self, path: Path) -> str | None:
        """The first value of a file that its column's type cannot read: its row, counted from 1 after the header."""
        at = count(1)
        for batch in self._texts(path, self.schema.names):
            for row in batch.to_pylist():
                number = next(at)
                for field in self.schema:
                    value = row[field.name]
                    if value is not None and not _reads_as(pa.array([value]), field.type):
                        kind = self._columns.get(field.name, str(field.type))
                        return (
                            f"{self._place}: {path.name}: row {number}, column {field.name}: {value!r} is no {kind} "
                            f"(columns: declares another type, nulls: the words that mean null)"
                        )
        return None

    @contextmanager
    def _opened(self, path: Path) -> Iterator[Any]:
        try:
            if path.suffix != ".zip":
                with pa.input_stream(path) as stream:  # decompresses by the name's ending
                    yield stream
                return
            with self._entry_of(path) as stream:
                yield stream
        except (OSError, zipfile.BadZipFile) as error:
            raise ScenarioError(f"{self._place}: {path}: cannot be read: {error}") from None

    @contextmanager
    def _entry_of(self, path: Path) -> Iterator[IO[bytes]]:
        with zipfile.ZipFile(path) as archive:
            entries = [name for name in archive.namelist() if name.endswith(".csv")]
            entry = self._entry or (entries[0] if len(entries) == 1 else "")
            if entry not in archive.namelist():
                raise ScenarioError(f"{self._place}: entry: {path.name} holds {', '.join(entries)} (name one)")
            with archive.open(entry) as stream:
                yield stream


def _still(values: Any, left: tuple[str, ...]) -> tuple[str, ...]:
    """Those of the types *left* that all *values*, texts or nulls, have.

    >>> _still(pa.array(["1", None, "2.5"]), _LADDER), _still(pa.array(["00501"]), _LADDER)
    (('float8', 'text'), ('text',))
    """
    if pc.any(pc.match_substring_regex(values, _PADDED)).as_py():
        left = tuple(kind for kind in left if kind not in ("bigint", "float8"))
    return tuple(kind for kind in left if _reads_as(values, _types.arrow(kind)))


def _reads_as(values: Any, kind: pa.DataType) -> bool:
    try:
        values.cast(kind)
    except pa.ArrowInvalid:
        return False
    return True


def _read_type(kind: str) -> pa.DataType:
    """The Arrow type a column is read as: what Arrow's reader does not know stays text."""
    return pa.string() if kind in ("uuid", "bytea") else _types.arrow(kind)
