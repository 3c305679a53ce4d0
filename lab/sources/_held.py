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
    """Every value of the columns once, ascending and without nulls, in PostgreSQL's *type_*; ScenarioError if not.

    What was read is kept as long as the files stay as they are.
    """
    stamps = tuple((str(path), path.stat().st_mtime_ns, path.stat().st_size) for path in paths(keys, place))
    try:
        return _values(tuple(keys), type_, stamps)
    except ValueError as error:
        raise ScenarioError(f"{place}: keys: {error}") from None
    except ScenarioError as error:
        raise ScenarioError([one.replace(_ANYWHERE, f"{place}: keys", 1) for one in error.mistakes]) from None


def paths(keys: Sequence[Keys], place: str) -> list[Path]:
    """The files; ScenarioError where there are none."""
    return list(dict.fromkeys(path for one in keys for path in _paths.found(one.files, place)))


_ANYWHERE = "files: stream keys"  # for whom they are read is told by who asks


@lru_cache(maxsize=64)
def _values(keys: tuple[Keys, ...], type_: str, stamps: object) -> Any:  # noqa: ARG001 what was read
    kind = _types.arrow(type_)
    plain = pa.binary() if pa.types.is_fixed_size_binary(kind) else kind  # Arrow sorts none of fixed size
    found, new, waiting = pa.array([], plain), list[Any](), 0
    for one in keys:
        for column in _columns(one, type_):
            try:
                new.append(pc.unique(_as(column, kind).cast(plain).drop_null()))
            except (pa.ArrowException, ValueError) as error:
                raise ValueError(f"column {one.column} of {one.files}: {' '.join(str(error).split())}") from None
            waiting += len(new[-1])
            if waiting > max(len(found), _APART):
                found, new, waiting = pc.unique(pa.concat_arrays([found, *new])), [], 0
    found = pc.unique(pa.concat_arrays([found, *new]))
    return found.take(pc.sort_indices(found)).cast(kind)


def _as(column: Any, kind: pa.DataType) -> Any:
    """*column* in type *kind*; UUIDs in files may be texts."""
    if pa.types.is_fixed_size_binary(kind) and pa.types.is_string(column.type):
        return pa.array([one and uuid.UUID(one).bytes for one in column.to_pylist()], kind)
    return column.cast(kind)


def _columns(keys: Keys, type_: str) -> Iterator[Any]:
    """The column, a batch at a time; ValueError where the files have none of its name."""
    files = keys.files if isinstance(keys.files, str) else list(keys.files)
    options: dict[str, Any] = {"files": files, "rows": keys.rows}
    if keys.kind == "csv":
        options |= {"columns": {keys.column: type_}, "nulls": keys.nulls, "delimiter": keys.delimiter}
    stream = Stream("keys", keys.kind, options, "files")
    source = (csv if keys.kind == "csv" else parquet).opened(stream, Lab(), seed=0)
    if keys.column not in source.schema.names:
        raise ValueError(f"there is no column {keys.column!r} in {files} (known: {', '.join(source.schema.names)})")
    if keys.kind == "parquet":
        source = parquet.opened(stream, Lab(), seed=0, only=keys.column)
    for batch in source.batches(0, source.rows):
        yield batch.column(keys.column)
