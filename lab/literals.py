"""Types of columns as data.yaml names them, and literals of those whose values are given as text.

The lab writes the binary form of the common types; all others are read by the server's own input functions, from what
a method sends as text.
"""

import re
from collections.abc import Mapping

METHOD = "copy_csv"
"""The method that brings in such values; see ingest/copy_csv."""

_SAME: Mapping[str, str] = {
    "int2": "smallint",
    "int4": "integer",
    "int8": "bigint",
    "float4": "real",
    "float8": "double precision",
    "bool": "boolean",
    "text": "text",
    "varchar": "text",
    "bpchar": "text",
    "name": "text",
    "citext": "text",
    "date": "date",
    "timestamptz": "timestamptz",
    "timestamp": "timestamp",
    "uuid": "uuid",
    "bytea": "bytea",
    "jsonb": "jsonb",
    "json": "jsonb",
}
_LITERALS: Mapping[str, tuple[str, ...]] = {
    "bit": ("0", "1"),
    "varbit": ("0", "1", "101"),
    "box": ("(1,1),(0,0)", "(3,2),(1,1)"),
    "cidr": ("192.0.2.0/24", "198.51.100.0/24", "2001:db8::/32"),
    "circle": ("<(0,0),1>", "<(5,5),2>"),
    "daterange": ("[2026-01-01,2026-01-08)", "[2026-01-08,2026-02-01)"),
    "hstore": ('"a"=>"1"', '"a"=>"2", "b"=>"3"'),
    "inet": ("192.0.2.1", "192.0.2.2", "198.51.100.7", "2001:db8::1"),
    "int4range": ("[1,10)", "[10,100)"),
    "int8range": ("[1,10)", "[10,100)"),
    "interval": ("00:01:00", "01:00:00", "1 day", "1 mon"),
    "lseg": ("[(0,0),(1,1)]", "[(1,2),(3,4)]"),
    "ltree": ("a", "a.b", "a.b.c"),
    "macaddr": ("00:00:5e:00:53:01", "00:00:5e:00:53:02"),
    "macaddr8": ("00:00:5e:ff:fe:00:53:01", "00:00:5e:ff:fe:00:53:02"),
    "money": ("1.00", "20.00", "300.00"),
    "numrange": ("[1.0,2.5)", "[2.5,10.0)"),
    "path": ("[(0,0),(1,1),(2,0)]",),
    "point": ("(0,0)", "(1,2)", "(3.5,4.5)"),
    "polygon": ("((0,0),(1,1),(2,0))",),
    "time": ("08:00:00", "12:30:00", "23:59:59"),
    "timetz": ("08:00:00+00", "12:30:00+00", "23:59:59+00"),
    "tsquery": ("'a'", "'a' & 'b'"),
    "tsrange": ("[2026-01-01 00:00:00,2026-01-08 00:00:00)", "[2026-01-08 00:00:00,2026-02-01 00:00:00)"),
    "tstzrange": ("[2026-01-01 00:00:00+00,2026-01-08 00:00:00+00)", "[2026-01-08 00:00:00+00,2026-02-01 00:00:00+00)"),
    "tsvector": ("'apple' 'bread'", "'bread' 'cheese' 'dates'", "'eggs'"),
}
_ELEMENTS: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(("int2", "int4", "int8", "numeric", "float4", "float8"), ("{1}", "{1,2}", "{1,2,3}")),
    **dict.fromkeys(("text", "varchar", "citext", "name"), ("{a}", "{a,b}", "{a,b,c}")),
    "bool": ("{t}", "{f,t}"),
    "date": ("{2026-01-01}", "{2026-01-01,2026-01-08}"),
    "uuid": ("{00000000-0000-4000-8000-000000000001}", "{00000000-0000-4000-8000-000000000002}"),
}


def of(type_: str, length: int | None = None) -> tuple[str, ...]:
    """A few literals of *type_*, as pg_type names it (`_int4` is int4[]); () where none is known. *length*: of a bit.

    >>> of("_int4"), of("_mood"), of("bit", 3), of("vector"), of("int4")
    (('{1}', '{1,2}', '{1,2,3}'), ('{}',), ('000', '111'), (), ())
    """
    if re.match("_", type_):
        return _ELEMENTS.get(type_[1:], ("{}",))
    if type_ == "bit":
        return tuple(one * (length or 1) for one in _LITERALS["bit"])
    if type_ == "varbit" and length is not None:
        return tuple(one for one in _LITERALS["varbit"] if len(one) <= length)
    return _LITERALS.get(type_, ())


def named(type_: str, precision: int | None = None, scale: int = 0) -> str | None:
    """The type as data.yaml names it, None where no such values are made.

    >>> named("int4"), named("numeric", 8, 3), named("numeric"), named("inet")
    ('integer', 'numeric(8, 3)', 'numeric(12, 2)', None)
    """
    if type_ == "numeric":
        precision, scale = (precision, scale) if precision is not None else (12, 2)
        return f"numeric({precision}, {scale})" if precision <= 38 and scale <= precision else None
    return _SAME.get(type_)


def shown(type_: str) -> str:
    """The type as SQL names it: of an array its element's, with brackets.

    >>> shown("_text"), shown("inet")
    ('text[]', 'inet')
    """
    return re.sub("^_(.*)", r"\1[]", type_)
