"""Where a page is not what it should be, in words that name the line and the address.

A plan is the machine's file: whatever in it is not as expected is told, a number with its address
and a sentence that somebody added just as well.
"""

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from lab.template import Rendered

_EMPTY = "(an empty line)"
_SHOWN = 60  # characters of a longer text that a message shows
_FIGURE = re.compile(r"[^\W_]*\d[\w.,]*")
_ATOM = re.compile(r"\w+(?:[.,]\w+)*|\s+|.")


@dataclass(frozen=True)
class Difference:
    """Where a page is not what it should be. *line* counts from 1 on the page as it was found.

    *address* is "" for words that come from no address. *found* is "" for what is missing,
    *expected* for what was added.
    """

    line: int
    address: str
    found: str
    expected: str

    def __str__(self) -> str:
        """One line for a person.

        >>> print(Difference(12, "evidence/by-day/retire.ms/value", "41.3", "41.2"))
        line 12: 41.3 should be 41.2 (evidence/by-day/retire.ms/value)
        >>> print(Difference(30, "", "twice as 7 fast", ""))
        line 30: 'twice as 7 fast' is not in the plan
        """
        where = f" ({self.address})" if self.address else ""
        if not self.expected:
            return f"line {self.line}: {_shown(self.found)!r} is not in the plan"
        if not self.found:
            return f"line {self.line}: {_shown(self.expected)!r} is missing{where}"
        if self.address:
            return f"line {self.line}: {_shown(self.found)} should be {_shown(self.expected)}{where}"
        return f"line {self.line}: {_shown(self.found)!r} should be {_shown(self.expected)!r}"


def compare(found: Mapping[str, str | None], expected: Mapping[str, Rendered]) -> list[str]:
    """What is wrong with the pages *found* (path -> text, None where there is no file), in words.

    [] if and only if every page is exactly as *expected*, and there is no other.
    """
    told = []
    for path, page in expected.items():
        text = found.get(path)
        if text is None:
            told.append(f"{path}: is missing")
        else:
            told += [f"{path}: {one}" for one in differences(text, page)]
    return told + [f"{path}: is not in the plan" for path in found if path not in expected]


def differences(page: str, expected: Rendered) -> list[Difference]:
    r"""Everything in which *page* is not *expected*, by line; [] if and only if the texts are equal.

    Line ends may be CRLF: git makes them so on some machines, and they hold no number.
    """
    text = page.replace("\r\n", "\n")
    if text == expected.text:
        return []
    due, got = _lines(expected), text.split("\n")
    found = list(_compare(due, got))
    found = [one for one in found if _EMPTY not in (one.found, one.expected)] or found
    # Equal texts alone verify. Should the telling of a difference ever miss it, it is told bluntly.
    return found or [Difference(1, "", "the page", "what the stored run makes of it")]


# --- lines ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Line:
    """A line of the expected page: its text, and its data as (start, end, address) within it."""

    text: str
    spans: tuple[tuple[int, int, str], ...]


def _lines(page: Rendered) -> list[_Line]:
    """The lines of a page; a datum of several lines has a span on each."""
    lines = []
    tokens = [(token.start, token.start + len(token.text), token.address) for token in page.tokens]
    start = first = 0
    for text in page.text.split("\n"):
        end = start + len(text)
        while first < len(tokens) and tokens[first][1] < start:
            first += 1
        spans = []
        for left, right, address in tokens[first:]:
            if left > end:
                break
            if max(left, start) < min(right, end):
                spans.append((max(left, start) - start, min(right, end) - start, address))
        lines.append(_Line(text, tuple(spans)))
        start = end + 1
    return lines


def _compare(due: Sequence[_Line], got: Sequence[str]) -> Iterator[Difference]:
    """Line up equal lines first, then those equal but for their figures, then the rest in order."""
    for left, right, first, last in _blocks([line.text for line in due], got):
        ours, theirs = due[left:right], got[first:last]
        inner = _blocks([_FIGURE.sub("#", line.text) for line in ours], [_FIGURE.sub("#", text) for text in theirs])
        same = list(_paired(inner, len(ours), len(theirs)))
        for one, other in same:
            yield from _of_pair(ours, theirs, one, other, first)


def _blocks(due: Sequence[str], got: Sequence[str]) -> Iterator[tuple[int, int, int, int]]:
    """Where two sequences differ: [left, right) of *due* against [first, last) of *got*."""
    matcher = difflib.SequenceMatcher(None, due, got, autojunk=False)
    for tag, left, right, first, last in matcher.get_opcodes():
        if tag != "equal":
            yield left, right, first, last


def _paired(blocks: Iterable[tuple[int, int, int, int]], due: int, got: int) -> Iterator[tuple[int | None, int | None]]:
    """Every index of both sides once, in order: lines outside *blocks* face each other, None faces nothing."""
    one = other = 0
    for left, right, first, last in [*blocks, (due, due, got, got)]:
        while one < left:
            yield one, other
            one, other = one + 1, other + 1
        for step in range(max(right - left, last - first)):
            yield (left + step if left + step < right else None), (first + step if first + step < last else None)
        one, other = right, last


def _of_pair(
    due: Sequence[_Line], got: Sequence[str], one: int | None, other: int | None, first: int
) -> Iterator[Difference]:
    """What is to be told of two lines that face each other. *first*: the place of got[0] on the page."""
    if one is None and other is not None:
        if got[other].strip():
            yield Difference(first + other + 1, "", got[other].strip(), "")
        else:
            yield Difference(first + other + 1, "", _EMPTY, "")
    elif one is not None and other is None:
        line = due[one]
        addresses = ", ".join(dict.fromkeys(address for _, _, address in line.spans))
        yield Difference(first + len(got) + 1, addresses, "", line.text.strip() or _EMPTY)
    elif one is not None and other is not None and due[one].text != got[other]:
        yield from _in_line(due[one], got[other], first + other + 1)


# --- within a line --------------------------------------------------------------------------


def _in_line(due: _Line, got: str, line: int) -> Iterator[Difference]:
    """Where all words are in place, datum against datum; else piece by piece."""
    edges = [0, *(edge for left, right, _ in due.spans for edge in (left, right)), len(due.text)]
    words = [re.escape(due.text[left:right]) for left, right in zip(edges[::2], edges[1::2], strict=True)]
    filled = re.fullmatch("(.*?)".join(words), got, re.DOTALL)
    if filled is None or not due.spans:
        yield from _by_atoms(due, got, line)
        return
    for (left, right, address), text in zip(due.spans, filled.groups(), strict=True):
        if text != due.text[left:right]:
            yield Difference(line, address, text, due.text[left:right])


def _by_atoms(due: _Line, got: str, line: int) -> Iterator[Difference]:
    """The pieces that differ, each with the data that it touches."""
    ours, theirs = _ATOM.findall(due.text), _ATOM.findall(got)
    places = [0]
    for atom in ours:
        places.append(places[-1] + len(atom))
    for left, right, first, last in _blocks(ours, theirs):
        start, end = places[left], places[right]
        touched = [address for low, high, address in due.spans if low < end and start < high]
        found, expected = "".join(theirs[first:last]), "".join(ours[left:right])
        yield Difference(line, ", ".join(dict.fromkeys(touched)), found, expected)


def _shown(text: str) -> str:
    """*text* short enough for a message, with what cannot be seen made visible."""
    visible = text if text.isprintable() else text.encode("unicode_escape").decode()
    return visible if len(visible) <= _SHOWN else f"{visible[: _SHOWN - 1]}…"
