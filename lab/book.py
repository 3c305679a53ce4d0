"""Every fact of a judged run by its address, and the forms in which a fact may print.

A Book holds one tree of mappings, sequences and values. The address of a value is the keys that
lead to it, joined by `/`: `evidence/by-day/size.total_bytes/value`. The only way from the book to
a page is a Datum, which the book makes from an address: address and value cannot disagree.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, unquote

from lab import form


class UnaddressedError(TypeError):
    """Something was about to print that does not say where it comes from: a bug of ours."""


def address(*keys: str | int) -> str:
    """The address that *keys* lead to; different keys, different addresses.

    >>> address("evidence", "a/b", "size.total_bytes")
    'evidence/a%2Fb/size.total_bytes'
    """
    return "/".join(quote(str(key), safe=" ()[]<>=,:;+*&?!#@~$'\"|^{}`\\") for key in keys)


@dataclass(frozen=True)
class Datum:
    """A value that may print: where it is, what it is, and how it is written.

    It has no text of its own in the ordinary way, so that no filter, join or concatenation can
    take the number out of it: only template.finalize writes it.
    """

    address: str
    value: object
    form: str

    @property
    def text(self) -> str:
        """The value in its form."""
        return form.FORMS[self.form](self.value)

    def __str__(self) -> str:
        raise UnaddressedError(f"{self.address}: a datum prints by itself only, not as part of another text")

    def __format__(self, _: str) -> str:
        return str(self)


class Book:
    """The tree of facts. It is not copied; whoever makes it does not change it afterwards."""

    def __init__(self, facts: Mapping[str, Any]) -> None:
        self._facts = facts

    def value(self, where: str) -> Any:
        """What stands at *where*; raise KeyError naming the address if nothing does."""
        found: Any = self._facts
        for key in where.split("/"):
            try:
                found = _child(found, unquote(key))
            except (KeyError, IndexError, ValueError, TypeError):
                raise KeyError(f"{where}: no such fact (stops at {key!r})") from None
        return found

    def datum(self, where: str, shape: str) -> Datum:
        """The value at *where*, to be written in the form *shape*.

        >>> Book({"size": {"heap": 4096}}).datum("size/heap", "bytes").text
        '4.00 KiB'
        """
        return Datum(where, self.value(where), shape)

    def place(self, where: str) -> "Place":
        """A cursor at *where*, by which templates walk the tree."""
        return Place(self, where)

    def __getitem__(self, key: str) -> "Place":
        """The place under *key* at the top of the tree; KeyError if there is none."""
        self.value(address(key))
        return Place(self, address(key))


class Place:
    """Somewhere in a Book. Templates walk by `place.key`, compare, loop, and print by a form.

    True where something stands: 0 is a value and counts, None, False and nothing in it do not.
    A loop over a mapping or a sequence gives the places of its values in order.
    """

    __slots__ = ("_book", "_where")

    def __init__(self, book: Book, where: str) -> None:
        self._book = book
        self._where = where

    def __getitem__(self, key: "str | int | Place") -> "Place":
        where = f"{self._where}/{address(key._found() if isinstance(key, Place) else key)}"
        self._book.value(where)
        return Place(self._book, where)

    def __iter__(self) -> Iterator["Place"]:
        found = self._found()
        keys: Sequence[str | int] = list(found) if isinstance(found, Mapping) else range(len(found))
        return (self[key] for key in keys)

    def __len__(self) -> int:
        return len(self._found())

    def __bool__(self) -> bool:
        found = self._found()
        return bool(found) if isinstance(found, Mapping | Sequence | bool) else found is not None

    def __eq__(self, other: object) -> bool:
        return bool(self._found() == (other._found() if isinstance(other, Place) else other))

    def __hash__(self) -> int:
        return hash(self._where)

    def __contains__(self, key: object) -> bool:
        return (key._found() if isinstance(key, Place) else key) in self._found()

    def __str__(self) -> str:
        raise UnaddressedError(f"{self._where}: say in which form it prints")

    def _found(self) -> Any:
        return self._book.value(self._where)

    def printed(self, shape: str) -> Datum:
        """The datum of this place in the form *shape*."""
        return self._book.datum(self._where, shape)


def printer(shape: str) -> Callable[[object], Datum]:
    """The template filter that prints a place in the form *shape*, and takes nothing else."""

    def filtered(place: object) -> Datum:
        if not isinstance(place, Place):
            raise UnaddressedError(f"{shape}: {type(place).__name__} {place!r:.60} has no address")
        return place.printed(shape)

    return filtered


def _child(found: Any, key: str) -> Any:
    """One step down: by key in a mapping, by number in a sequence."""
    if isinstance(found, Mapping):
        return found[key]
    if isinstance(found, Sequence) and not isinstance(found, str):
        if not key.isdecimal() or str(int(key)) != key:
            raise KeyError(key)
        return found[int(key)]
    raise KeyError(key)
