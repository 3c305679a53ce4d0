"""Rows of CSV files: one or many, compressed or not, larger than memory."""

from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict, Field, field_validator

from lab.model import Lab, Stream
from lab.sources import _paths, _types
from lab.sources._csv import Csv
from lab.sources._fixed import Fixed

KIND = "csv"


class Options(BaseModel):
    """*files*: a path, or several, or patterns such as `data/2026-*.csv`, from the current folder, with a header each.

    *columns*: names and types, for some or all of them; where none is given, a column has the narrowest type that
    all its values have. *nulls*: words that mean null. *rows*: at most so many, from the beginning.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    files: str | tuple[str, ...]
    columns: Mapping[str, str] = {}
    nulls: tuple[str, ...] = ("",)
    delimiter: str = Field(",", min_length=1, max_length=1)
    rows: int | None = Field(None, ge=0)

    @field_validator("columns")
    @classmethod
    def _known(cls, columns: Mapping[str, str]) -> Mapping[str, str]:
        for kind in columns.values():
            _types.arrow(kind)
        return columns


def opened(stream: Stream, lab: Lab, *, seed: int) -> Fixed:  # noqa: ARG001 files are as large as they are
    """See sources.OpenSource. Reads the files once."""
    options, place = _paths.asked(stream, Options)
    paths = _paths.found(options.files, place)
    file = Csv(
        paths,
        place,
        columns=options.columns,
        nulls=options.nulls,
        delimiter=options.delimiter,
    )
    rows = min(file.rows, file.rows if options.rows is None else options.rows)
    return Fixed(stream.name, file, file.schema, rows, {str(path): path for path in paths})
