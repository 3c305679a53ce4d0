"""The columns that a query writes its parameters to, as INSERT's lists and UPDATE's SET have them.

A plan does not say: EXPLAIN shows what a parameter is compared with, and not where its value goes. Read
from the tokens of the text: what stands alone in a list of VALUES, or right of an `=` in SET, with or
without a cast. What is computed of a parameter, and what INSERT takes from a SELECT, is passed over.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from lab import statement
from lab.model import SqlFile
from lab.statement import Token

_PARAMETERS = ("named", "numbered")
_AFTER_SET = ("where", "from", "returning", ";")


@dataclass(frozen=True)
class Target:
    """A column that a parameter is written to; *inserted*: in a new row."""

    table: str
    column: str
    inserted: bool


def targets(file: SqlFile, columns: Mapping[str, Sequence[str]]) -> dict[str, list[Target]]:
    """Parameter, as the text has it without its colon -> what it is written to. *columns*: of each table, in order.

    >>> text = "INSERT INTO t (a, b) VALUES (:x, $1::int), (:y, :x + 1) ON CONFLICT (a) DO UPDATE SET b = :z"
    >>> found = targets(SqlFile("q.sql", text), {"t": ["a", "b"]})
    >>> {name: [(one.column, one.inserted) for one in each] for name, each in found.items()}
    {'x': [('a', True)], '$1': [('b', True)], 'y': [('a', True)], 'z': [('b', False)]}
    """
    words = [one for one in statement.tokens(file.file, file.text) if one.kind not in statement.SILENT]
    found: dict[str, list[Target]] = {}
    for name, target in _written(words, columns):
        if target not in found.setdefault(name, []):
            found[name].append(target)
    return found


def _written(words: Sequence[Token], columns: Mapping[str, Sequence[str]]) -> Iterator[tuple[str, Target]]:
    table = ""
    for at, word in enumerate(words):
        rest = words[at + 1 :]
        said = _plain(word)
        if said == "insert" and _plain(*rest[:1]) == "into":
            table, rest = _table(rest[1:])
            names, rest = _names(rest)
            for values in _rows(rest):
                pairs = zip(names or columns.get(table, ()), values, strict=False)
                yield from ((name, Target(table, column, True)) for column, one in pairs if (name := _alone(one)))
        elif said == "update" and _plain(*rest[:1]) != "set":
            table, _ = _table(rest[1:] if _plain(*rest[:1]) == "only" else rest)
        elif said == "set" and table:
            for left, right in _assigned(rest):
                if name := _alone(right):
                    yield name, Target(table, left, False)


def _plain(*words: Token) -> str:
    """A word in lower case; "" for anything else, also for nothing."""
    return words[0].text.lower() if words and words[0].kind == "word" else ""


def _name(word: Token) -> str:
    """A name as the server has it, "" where the token is none."""
    if word.kind == "quoted":
        return word.text[1:-1].replace('""', '"')
    return _plain(word)


def _table(words: Sequence[Token]) -> tuple[str, Sequence[Token]]:
    """The table's name without its schema, and what comes after it and its alias."""
    at = 2 if len(words) > 2 and words[1].text == "." else 0
    name, rest = (_name(words[at]) if words else ""), words[at + 1 :]
    return name, rest[2:] if _plain(*rest[:1]) == "as" else rest


def _names(words: Sequence[Token]) -> tuple[list[str], Sequence[Token]]:
    """The list of columns that INSERT names, [] where it names none, and what comes after it."""
    if not words or words[0].text != "(":
        return [], words
    end = next((at for at, one in enumerate(words) if one.text == ")"), len(words))
    return [_name(one) for one in words[1:end] if one.text != ","], words[end + 1 :]


def _rows(words: Sequence[Token]) -> Iterator[list[list[Token]]]:
    """The lists of VALUES, where that comes next: of each row the tokens of each value."""
    at = 3 if _plain(*words[:1]) == "overriding" else 0  # OVERRIDING SYSTEM VALUE
    if _plain(*words[at : at + 1]) != "values":
        return
    rest = words[at + 1 :]
    while rest and rest[0].text == "(":
        row, length = _split(rest[1:], (")",))
        yield row
        rest = rest[length + 2 :]
        rest = rest[1:] if rest and rest[0].text == "," else ()


def _assigned(words: Sequence[Token]) -> Iterator[tuple[str, list[Token]]]:
    """Column and tokens of its new value, of each assignment after SET."""
    for one in _split(words, _AFTER_SET)[0]:
        if len(one) > 2 and one[1].text == "=":
            yield _name(one[0]), one[2:]


def _split(words: Sequence[Token], ends: Sequence[str]) -> tuple[list[list[Token]], int]:
    """What stands between commas up to the first of *ends*, outside of parentheses; and how many tokens that is."""
    pieces: list[list[Token]] = [[]]
    depth = 0
    for length, word in enumerate(words):
        if depth == 0 and word.text.lower() in ends:
            return pieces, length
        depth += {"(": 1, ")": -1}.get(word.text, 0)
        if depth == 0 and word.text == ",":
            pieces.append([])
        else:
            pieces[-1].append(word)
    return pieces, len(words)


def _alone(words: Sequence[Token]) -> str:
    """The parameter that these tokens are, with or without a cast; "" where they are more or less than that."""
    if not words or words[0].kind not in _PARAMETERS or (len(words) > 1 and words[1].text != "::"):
        return ""
    return words[0].text.removeprefix(":")
