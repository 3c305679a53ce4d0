"""Arrow columns in PostgreSQL's text form: CSV lines, values for a statement's parameters, array literals.

Column by column in Arrow's kernels; only bytes and keys, for which there is none, go row by row.
"""

import io
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv as _csv

_LINES = _csv.WriteOptions(include_header=False, quoting_style="needed")


def csv(batch: pa.RecordBatch) -> bytes:
    r"""The rows as CSV lines in which only a NULL is nothing at all.

    >>> csv(pa.record_batch({"a": [1, None], "b": ["", "say 'so'"], "c": [[1, 2], None]})).decode().splitlines()
    ['1,"","{1,2}"', ',"say \'so\'",']
    """
    columns = [_writable(column) for column in batch.columns]
    lines = io.BytesIO()
    _csv.write_csv(pa.RecordBatch.from_arrays(columns, names=batch.schema.names), lines, _LINES)
    return lines.getvalue()


def _writable(column: Any) -> Any:
    """What Arrow writes into CSV as PostgreSQL reads it, or the text of it."""
    kind = column.type
    plain = (pa.types.is_integer, pa.types.is_floating, pa.types.is_boolean, pa.types.is_string)
    return column if any(test(kind) for test in plain) else texts(column)


def texts(column: Any) -> Any:
    r"""Each value as PostgreSQL would read it, as Arrow strings; nulls stay.

    >>> texts(pa.array([b"\x00\xff", None])).to_pylist(), texts(pa.array([5], pa.duration("us"))).to_pylist()
    (['\\x00ff', None], ['5 microseconds'])
    """
    kind = column.type
    if pa.types.is_fixed_size_binary(kind):  # of a uuid
        return pa.array([value if value is None else value.hex() for value in column.to_pylist()], pa.string())
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        return pa.array([value if value is None else rf"\x{value.hex()}" for value in column.to_pylist()], pa.string())
    if pa.types.is_list(kind):
        return pc.if_else(column.is_valid(), _literals(column), None)
    if pa.types.is_duration(kind):
        return pc.binary_join_element_wise(pc.cast(pc.cast(column, pa.int64()), pa.string()), "microseconds", " ")
    return pc.cast(column, pa.string())


def array(column: Any) -> bytes:
    """A whole column as one array literal.

    >>> array(pa.array(["a", None, 'b"'])), array(pa.array([1, 2]))
    (b'{"a",NULL,"b\\\\""}', b'{1,2}')
    """
    (literal,) = _literals(pa.ListArray.from_arrays([0, len(column)], column)).to_pylist()
    return str(literal).encode()


def _literals(lists: Any) -> Any:
    """Each list as an array literal; a null as that of an empty one."""
    lengths = pc.fill_null(pc.list_value_length(lists), 0)
    ends = pc.cumulative_sum(lengths)
    offsets = pa.concat_arrays([pa.array([0], pa.int32()), ends.cast(pa.int32())])
    parts: Any = pc.binary_join(pa.ListArray.from_arrays(offsets, _elements(lists.flatten())), ",")
    return pc.binary_join_element_wise("{", parts, "}", "")


def _elements(values: Any) -> Any:
    """Values as an array literal has them: quoted, unless they are numbers, and NULL for nulls."""
    found = texts(values)
    if not (pa.types.is_integer(values.type) or pa.types.is_floating(values.type)):
        escaped = pc.replace_substring(pc.replace_substring(found, "\\", "\\\\"), '"', '\\"')
        found = pc.binary_join_element_wise('"', escaped, '"', "")
    return pc.fill_null(found, "NULL")


def rows(batch: pa.RecordBatch) -> list[tuple[bytes | None, ...]]:
    """Every row, its values as parameters of a statement.

    >>> rows(pa.record_batch({"a": [1, 2], "b": ["x", None]}))
    [(b'1', b'x'), (b'2', None)]
    """
    return list(zip(*(pc.cast(texts(column), pa.binary()).to_pylist() for column in batch.columns), strict=True))
