"""What names a machine or a person in a text, and the text without it.

Paths below known home folders are changed so that they remain paths, and so may be changed in whatever an
author wrote. Words, addresses and other folders below /home are changed in logs and settings only: within
SQL or rows `alice` and `/home/cart` may mean something else, so there they are found, and told.
"""

import ipaddress
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

from lab.model import Json

HOME = "/home/user"
HOST, USER, ADDRESS, GONE = "[host]", "[user]", "[address]", "[redacted]"
_COMMON = frozenset(("admin", "database", "docker", "lab", "local", "localhost", "nobody", "pglab", "postgres", "root"))
"""Names that tell nobody who or where it was, and that logs are full of."""
_SHORTEST = 3  # of shorter names, in characters, a text is full by chance

_HOMES = re.compile(r"(?<![\w.~-])/(?:home|Users)/[^/\s'\"`:;,)\]}]+")
_BASE = re.compile(r"(/var/tmp/pglab)-\d+")  # and a user's number
_URI = re.compile(r"\bpostgres(?:ql)?://(?!\[redacted\])[^\s'\"]+")
_PART = re.compile(
    r"\b(hostaddr|host|user|password|passfile)(\s*=\s*)('(?:[^'\\]|\\.)*'|(?!\[(?:local|redacted)\])[^\s,;'\")]+)"
)
_QUOTED = re.compile(r'\b(user|role|host name|host|server at) "([^"\[]+)"')
_V4 = re.compile(r"(?<![\w.])\d{1,3}(?:\.\d{1,3}){3}(?![\w.]*\d)")
_V6 = re.compile(r"(?<![\w:.])(?=[0-9A-Fa-f]*:)[0-9A-Fa-f:]{3,39}(?:\.\d{1,3}){0,3}(?![\w:])")


@dataclass(frozen=True)
class Names:
    """Who is to be found in no text: *hosts* and *users* as words, *homes* as beginnings of paths."""

    hosts: frozenset[str] = frozenset()
    users: frozenset[str] = frozenset()
    homes: frozenset[str] = frozenset()

    @cached_property
    def words(self) -> Mapping[str, re.Pattern[str]]:
        """What stands for hosts and for users -> where one is named."""
        found = {HOST: _words(self.hosts, r"(?:\.[A-Za-z][\w-]*)*"), USER: _words(self.users, "")}
        return {mark: pattern for mark, pattern in found.items() if pattern}

    @cached_property
    def below(self) -> re.Pattern[str] | None:
        """Where one of the home folders begins."""
        known = sorted((home.rstrip("/") for home in self.homes if home.strip("/")), key=len, reverse=True)
        return re.compile(rf"(?<![\w.~-])(?:{'|'.join(map(re.escape, known))})(?![\w.-])") if known else None


def _words(names: Iterable[str], after: str) -> re.Pattern[str] | None:
    told = [name for name in names if len(name) >= _SHORTEST and name.lower() not in _COMMON]
    either = "|".join(map(re.escape, sorted(told, key=lambda name: (-len(name), name))))
    return re.compile(rf"(?<![\w-])(?:{either})(?![\w-]){after}", re.IGNORECASE) if told else None


def paths(written: str, names: Names) -> str:
    """*written* with each of the known home folders as that of a user called user.

    >>> paths("files: /home/alice/rows/*.csv, /home/cart", Names(homes=frozenset({"/home/alice"})))
    'files: /home/user/rows/*.csv, /home/cart'
    """
    return written if names.below is None else names.below.sub(HOME, written)


def text(written: str, names: Names) -> str:
    """*written*, a log or a setting, without hosts, users, addresses and what connects to a server.

    What was redacted before stays as it is.

    >>> box = Names(hosts=frozenset({"box"}))
    >>> text("FATAL: no role \\"eve\\" for host=10.0.0.7 user=eve, from 10.0.0.7 on box.corp", box)
    'FATAL: no role "[user]" for host=[redacted] user=[redacted], from [address] on [host]'
    """
    written = _BASE.sub(r"\1", _HOMES.sub(HOME, paths(written, names)))
    written = _URI.sub(f"postgresql://{GONE}", written)
    written = _PART.sub(_part, written)
    written = _QUOTED.sub(_quoted, written)
    for mark, pattern in names.words.items():
        written = pattern.sub(mark, written)
    return _V6.sub(_address, _V4.sub(_address, written))


def _part(found: re.Match[str]) -> str:
    key, equals, value = found.groups()
    return found[0] if value.strip("'").lower() in _COMMON else f"{key}{equals}{GONE}"


def _quoted(found: re.Match[str]) -> str:
    what, name = found.groups()
    mark = USER if what in ("user", "role") else HOST
    return found[0] if name.lower() in _COMMON else f'{what} "{mark}"'


def _address(found: re.Match[str]) -> str:
    """What stands for an address; the text itself where it is none, or every machine's own."""
    return ADDRESS if _is_somewhere(found[0]) else found[0]


def _is_somewhere(written: str) -> bool:
    try:
        address = ipaddress.ip_address(written)
    except ValueError:
        return False
    return not (address.is_loopback or address.is_unspecified)


def found(written: str, names: Names) -> list[str]:
    """The names, addresses, home folders and connection strings in a text, each once, in alphabetical order.

    >>> found("SELECT 'alice', '10.0.0.7', '127.0.0.1', '/home/cart/', 12 AS alices", Names(users=frozenset({"alice"})))
    ['/home/cart', '10.0.0.7', 'alice']
    """
    there = {one[0] for pattern in (*names.words.values(), _URI, _HOMES) for one in pattern.finditer(written)}
    there |= {one[0] for pattern in (_V4, _V6) for one in pattern.finditer(written) if _is_somewhere(one[0])}
    return sorted(there - {HOME})


def strings(value: Json, edit: Callable[[str], str]) -> Json:
    """*value* with every string in it edited; keys stay.

    >>> strings({"a": ["x", 1, None], "b": "y"}, str.upper)
    {'a': ['X', 1, None], 'b': 'Y'}
    """
    if isinstance(value, str):
        return edit(value)
    if isinstance(value, Mapping):
        return {key: strings(one, edit) for key, one in value.items()}
    return [strings(one, edit) for one in value] if isinstance(value, list | tuple) else value
