"""Has a setting taken? Patroni drops without a word what it holds for invalid, so what servers show is compared."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from lab import pg
from lab.model import Endpoint

_BYTES = {"B": 1, "kB": 2**10, "MB": 2**20, "GB": 2**30, "TB": 2**40}
_SECONDS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
_SCALES: tuple[Mapping[str, float], ...] = (_BYTES, _SECONDS)
_SWITCH = {"on": "on", "true": "on", "yes": "on", "1": "on", "off": "off", "false": "off", "no": "off", "0": "off"}
_SHOWN = """SELECT name, setting AS value, unit, vartype AS kind, current_setting(name) AS shown
  FROM pg_settings WHERE lower(name) = ANY(%s)"""


@dataclass(frozen=True)
class Shown:
    """A setting as pg_settings has it: *value* in units of *unit*, *shown* as SHOW prints it."""

    value: str
    unit: str | None
    kind: str
    shown: str


def differing(node: Endpoint, settings: Mapping[str, str]) -> list[str]:
    """The settings that are not in force on *node*, each with what is; its conninfo is a superuser's."""
    with pg.connected(node.conninfo) as connection:
        found = pg.rows(connection, _SHOWN, [[name.lower() for name in settings]])
        there = {row.pop("name").lower(): Shown(**row) for row in found}
        return list(_wrong(connection, there, settings))


def _wrong(connection: pg.Connection, there: Mapping[str, Shown], settings: Mapping[str, str]) -> Iterator[str]:
    for name, asked in settings.items():
        shown = there.get(name.lower()) or _custom(connection, name)
        if shown is None:
            yield f"{name} is not known"
        elif not taken(asked, shown):
            yield f"{name} is {shown.shown!r}, not {asked!r}"


def _custom(connection: pg.Connection, name: str) -> Shown | None:
    """A setting of an extension that has not declared it."""
    value = pg.ask(connection, "SELECT current_setting(%s, true) AS value", [name])["value"]
    return None if value is None else Shown(value, None, "string", value)


def taken(asked: str, shown: Shown) -> bool:
    """Is what was asked for what is shown? -1 leaves the choice to the server.

    >>> taken("7MB", Shown("7168", "kB", "integer", "7MB")), taken("1min", Shown("30", "s", "integer", "30s"))
    (True, False)
    >>> taken("256MB", Shown("32768", "8kB", "integer", "256MB")), taken("many", Shown("16384", "8kB", "integer", ""))
    (True, False)
    >>> taken("true", Shown("on", None, "bool", "on")), taken("Replica", Shown("replica", None, "enum", "replica"))
    (True, True)
    """
    asked = asked.strip()
    if shown.kind in ("integer", "real"):
        wanted = amount(asked, shown.unit)
        return asked == "-1" or (wanted is not None and abs(wanted - float(shown.value)) <= _slack(shown))
    if shown.kind == "string":
        return asked == shown.value.strip()
    return _plain(asked) == _plain(shown.value)


def _slack(shown: Shown) -> float:
    """How much the server rounds: integers to the nearest of their unit."""
    return 0.5 if shown.kind == "integer" else 1e-6 * abs(float(shown.value))


def _plain(word: str) -> str:
    return _SWITCH.get(word.lower(), word.lower())


def amount(text: str, unit: str | None) -> float | None:
    """A number with or without a unit, in units of *unit*; None if it is none.

    >>> amount("1GB", "8kB"), amount("100", "ms"), amount("0.5s", "ms"), amount("3 apples", None)
    (131072.0, 100.0, 500.0, None)
    """
    number, own = _parted(text)
    if number is None or not own:
        return number
    base, within = _parted(unit or "")
    for scale in _SCALES:
        if own in scale and within in scale:
            return number * scale[own] / ((base or 1.0) * scale[within])
    return None


def _parted(text: str) -> tuple[float | None, str]:
    """The number at the beginning of a text, None where there is none, and what follows it."""
    digits = text.rstrip("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
    try:
        return float(digits), text[len(digits) :].strip()
    except ValueError:
        return None, text[len(digits) :].strip()
