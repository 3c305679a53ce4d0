"""The keys that rows in files have or refer to: what is invented beside these rows is invented for them."""

import uuid
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from lab.errors import ScenarioError
from lab.model import Lab, Stream
from lab.sources import _paths, _types, csv, parquet
from lab.sources._shapes import Keys

_APART = 1_000_000  # values that are kept before what they have twice is taken out


def values(keys: Sequence[Keys], type_: str, place: str) -> Any:
    """Every value of the columns once, ascending and without nulls, in PostgreSQL's *type_*; ScenarioError if not."""
    stamps = tuple((str(path), path.stat().st_mtime_ns, path.stat().st_size) for path in paths(keys, place))
    return _values(tuple(keys), type_, place, stamps)


def paths(keys: Sequence[Keys], place: str) -> list[Path]:
    """The files; ScenarioError where there are none."""
    return list(dict.fromkeys(path for one in keys for path in _paths.found(one.files, place)))


@lru_cache(maxsize=64)
def _values(keys: tuple[Keys, ...], type_: str, place: str, stamps: object) -> Any:  # noqa: ARG001 what was read
    kind = _types.arrow(type_)
    plain = pa.binary() if pa.types.is_fixed_size_binary(kind) else kind  # Arrow sorts none of fixed size
    found, new = pa.array([], plain), list[Any]()
    for one in keys:
        for batch in _batches(one, type_, place):
            try:
                new.append(pc.unique(_as(batch, kind).cast(plain).drop_null()))
            except (pa.ArrowException, ValueError) as error:
                raise ScenarioError(
                    f"{place}: keys: column {one.column} of {one.files}: {' '.join(str(error).split())}"
                ) from None
            if sum(map(len, new)) > max(len(found), _APART):
                found, new = pc.unique(pa.concat_arrays([found, *new])), []
    found = pc.unique(pa.concat_arrays([found, *new]))
    if not len(found):
        raise ScenarioError(f"{place}: keys: column {keys[0].column} of {keys[0].files} has no value")
    return found.take(pc.sort_indices(found)).cast(kind)


def _as(column: Any, kind: pa.DataType) -> Any:
    """*column* in type *kind*; UUIDs in files may be texts."""
    if pa.types.is_fixed_size_binary(kind) and pa.types.is_string(column.type):
        return pa.array([one and uuid.UUID(one).bytes for one in column.to_pylist()], kind)
    return column.cast(kind)


def _batches(keys: Keys, type_: str, place: str) -> Iterator[Any]:
    files = keys.files if isinstance(keys.files, str) else list(keys.files)
    options = {"files": files, **({"columns": {keys.column: type_}} if keys.kind == "csv" else {})}
    module = csv if keys.kind == "csv" else parquet
    source = module.opened(Stream("keys", keys.kind, options, place), Lab(), seed=0)
    if keys.column not in source.schema.names:
        raise ScenarioError(
            f"{place}: keys: there is no column {keys.column!r} in {files} (known: {', '.join(source.schema.names)})"
        )
    for batch in source.batches(0, source.rows):
        yield batch.column(keys.column)
