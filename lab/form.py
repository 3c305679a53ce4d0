"""How a value is written: the small table of forms.

Every form is a function from a value to text, the same on any machine and in any locale. Number
forms take numbers, word forms take strings; anything else is a TypeError, because a fact of
another type than the template expects is a bug, and a guess at it would be printed as evidence.
"""

import math
import re
from collections.abc import Callable, Mapping

_BINARY = ("bytes", "KiB", "MiB", "GiB", "TiB", "PiB")
_UNITS = {
    "ms": "ms",
    "us": "µs",
    "s": "s",
    "1/s": "/s",
    "bytes/row": "bytes/row",
    "rows/s": "rows/s",
    "share": "share",
    "bytes": "bytes",
}
# Characters with a meaning in Markdown or HTML, wherever they stand in a line.
_MARKED = re.compile(r"([\\`*_{}\[\]<>|~$#])")
# The marks by which template.py finds a datum in a page; see there.
_PRIVATE = re.compile("[\ue000-\uf8ff]")


def number(value: object) -> str:
    """At least three significant digits, whole digits never rounded away, thousands apart.

    >>> [number(v) for v in (0, 4, 4.0, 12.345, 0.0123456, 1234.56, 1234567, float("inf"))]
    ['0', '4', '4', '12.3', '0.0123', '1,235', '1,234,567', '∞']
    """
    given = _float(value)
    if math.isinf(given):
        return "∞" if given > 0 else "-∞"
    if given == int(given):
        return f"{int(given):,}"
    return f"{given:,.{_places(given)}f}"


def percent(value: object) -> str:
    """A share in hundredths.

    >>> [percent(v) for v in (0.1, 0.0514, 0.0, 1.5, float("inf"))]
    ['10 %', '5.14 %', '0 %', '150 %', '∞ %']
    """
    text = _significant(_float(value) * 100)
    return f"{text.rstrip('0').rstrip('.') if '.' in text else text} %"


def ratio(value: object) -> str:
    """Candidate by baseline: 0.80x is a fifth less.

    >>> [ratio(v) for v in (0.8, 1, 12.34, 0.0123, 1234, float("inf"))]
    ['0.80x', '1.00x', '12.3x', '0.012x', '1,234x', '∞x']
    """
    given = _float(value)
    if math.isinf(given) or given == 0 or abs(given) >= 100:
        return f"{number(given if math.isinf(given) else round(given))}x"
    places = 1 if abs(given) >= 10 else 2 if abs(given) >= 0.1 else _places(given) - 1
    return f"{given:.{places}f}x"


def size(value: object) -> str:
    """Bytes in binary units.

    >>> [size(v) for v in (0, 417, 4096, 160 * 2**20, 15.5)]
    ['0 bytes', '417 bytes', '4.00 KiB', '160 MiB', '15.5 bytes']
    """
    given, step = _float(value), 0
    while abs(given) >= 1024 and step < len(_BINARY) - 1 and math.isfinite(given):
        given, step = given / 1024, step + 1
    text = number(given) if step == 0 or math.isinf(given) else f"{given:.{_places(given)}f}"
    return f"{text} {_BINARY[step]}"


def coordinate(value: object) -> str:
    """A place in a figure, in its own units.

    >>> [coordinate(v) for v in (12, 12.345, -0.01)]
    ['12', '12.3', '0']
    """
    text = f"{_float(value):.1f}"
    return "0" if text in ("0.0", "-0.0") else text.removesuffix(".0")


def plain(value: object) -> str:
    """A whole number as a label: a seed, a version, a load; no thousands set apart.

    >>> plain(2000)
    '2000'
    """
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{value!r} is not a whole number")
    return str(value)


def text(value: object) -> str:
    r"""Words of the author or the server in running Markdown: one line, nothing in them acts.

    >>> text("a | b\n<i>`x`")
    'a \\| b \\<i\\>\\`x\\`'
    """
    return _MARKED.sub(r"\\\1", " ".join(_string(value).split()))


def name(value: object) -> str:
    """A name in running Markdown, set as code.

    >>> name("by-day")
    '`by-day`'
    """
    return "`" + " ".join(_string(value).split()).replace("`", "'").replace("|", "\\|") + "`"


def sql(value: object) -> str:
    """A block of SQL, whole; the fence is longer than any in it."""
    return _fenced("sql", _string(value))


def yaml(value: object) -> str:
    """A block of YAML, whole."""
    return _fenced("yaml", _string(value))


def diff(value: object) -> str:
    """A block with lines taken away and added."""
    return _fenced("diff", _string(value))


def xml(value: object) -> str:
    """Words in SVG text or an attribute.

    >>> xml('a < "b"')
    'a &lt; &quot;b&quot;'
    """
    given = _string(value)
    for mark, entity in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ('"', "&quot;")):
        given = given.replace(mark, entity)
    return given


def raw(value: object) -> str:
    """Words as they are: identifiers in the seal, lines inside a fence. They may end no line."""
    return " ".join(_string(value).splitlines())


def in_unit(value: object, unit: str) -> str:
    """A metric's value with its unit, by the unit's name in metrics.TABLE.

    >>> [in_unit(0.4123, "ms"), in_unit(4096, "bytes"), in_unit(0.02, "share"), in_unit(12, "blocks")]
    ['0.412 ms', '4.00 KiB', '2 %', '12']
    """
    if unit == "bytes":
        return size(value)
    if unit == "share":
        return percent(value)
    words = _UNITS.get(unit, "")
    space = "" if words.startswith("/") or not words else " "
    return f"{_significant(value)}{space}{words}" if words else number(value)


def _significant(value: object) -> str:
    """Three significant digits: times are not known better.

    >>> [_significant(v) for v in (0.41234, 41.234, 1234.5, 0.0)]
    ['0.412', '41.2', '1,230', '0']
    """
    given = _float(value)
    if given == 0 or math.isinf(given):
        return number(given)
    magnitude = math.floor(math.log10(abs(given)))
    rounded = round(given, 2 - magnitude)
    return f"{rounded:,.{max(0, 2 - math.floor(math.log10(abs(rounded))))}f}"


def _places(given: float) -> int:
    """How many decimals give three significant digits."""
    return max(0, 2 - math.floor(math.log10(abs(given)))) if given else 0


def _float(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or math.isnan(value):
        raise TypeError(f"{value!r} is not a number")
    return value


def _string(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is not words")
    return _PRIVATE.sub("\ufffd", value)


def _fenced(language: str, body: str) -> str:
    longest = max((len(run) for run in re.findall("`+", body)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{body.rstrip()}\n{fence}"


def _unit_form(unit: str) -> Callable[[object], str]:
    return lambda value: in_unit(value, unit)


def _signed(shape: Callable[[object], str]) -> Callable[[object], str]:
    """The form of a difference: *shape*, with a plus where the value has grown."""
    return lambda value: f"+{shape(value)}" if _float(value) > 0 else shape(value)


_UNIT_FORMS = {
    "number": number,
    "bytes": size,
    **{f"in {unit}": _unit_form(unit) for unit in _UNITS if unit != "bytes"},
}
FORMS: Mapping[str, Callable[[object], str]] = {
    **{made.__name__: made for made in (percent, ratio, coordinate, plain)},
    **{made.__name__: made for made in (text, name, sql, yaml, diff, xml, raw)},
    **_UNIT_FORMS,
    **{f"signed {shape}": _signed(made) for shape, made in {**_UNIT_FORMS, "percent": percent}.items()},
}
"""Every form by its name; `in ms` and the like are those of the units of metrics.TABLE."""


def of_unit(unit: str, *, signed: bool = False) -> str:
    """The form of values in *unit*, a unit of metrics.TABLE; *signed* for differences.

    >>> [of_unit("ms"), of_unit("bytes"), of_unit("locks")]
    ['in ms', 'bytes', 'number']
    >>> FORMS[of_unit("locks", signed=True)](2), FORMS[of_unit("bytes", signed=True)](-2048)
    ('+2', '-2.00 KiB')
    """
    shape = "bytes" if unit == "bytes" else f"in {unit}" if unit in _UNITS else "number"
    return f"signed {shape}" if signed else shape
