"""PostgreSQL's names of types, as authors write them, and the Arrow types that carry them."""

import difflib
import re

import pyarrow as pa

_KINDS: dict[str, pa.DataType] = {
    "bigint": pa.int64(),
    "integer": pa.int32(),
    "int": pa.int32(),
    "smallint": pa.int16(),
    "double precision": pa.float64(),
    "float8": pa.float64(),
    "real": pa.float32(),
    "text": pa.string(),
    "boolean": pa.bool_(),
    "date": pa.date32(),
    "timestamptz": pa.timestamp("us", tz="UTC"),
    "timestamp": pa.timestamp("us"),
    "uuid": pa.binary(16),
    "bytea": pa.binary(),
    "jsonb": pa.string(),
}
_NUMERIC = re.compile(r"numeric\s*\(\s*(\d+)\s*(?:,\s*(\d+)\s*)?\)")
_DIGITS = 38  # of decimal128


def arrow(name: str) -> pa.DataType:
    """The Arrow type for one of PostgreSQL's; ValueError names those that are known.

    >>> arrow("numeric(12, 2)"), arrow("uuid")
    (Decimal128Type(decimal128(12, 2)), FixedSizeBinaryType(fixed_size_binary[16]))
    >>> arrow("bigin")
    Traceback (most recent call last):
      ...
    ValueError: unknown type 'bigin' (did you mean 'bigint'? known: bigint, integer, int, smallint, \
double precision, float8, real, text, boolean, date, timestamptz, timestamp, uuid, bytea, jsonb, numeric(p, s))
    """
    if name in _KINDS:
        return _KINDS[name]
    match = _NUMERIC.fullmatch(name)
    if match and 1 <= int(match[1]) <= _DIGITS and int(match[2] or 0) <= int(match[1]):
        return pa.decimal128(int(match[1]), int(match[2] or 0))
    near = difflib.get_close_matches(name, _KINDS, 1)
    hint = f"did you mean {near[0]!r}? " if near else ""
    raise ValueError(f"unknown type {name!r} ({hint}known: {', '.join(_KINDS)}, numeric(p, s))")
