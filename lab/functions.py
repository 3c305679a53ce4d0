"""Which functions of a schema may write, told by its SQL: neither STABLE nor IMMUTABLE, nor SQL that only reads.

What DO blocks, extensions and files that psql includes make is not seen, nor what comes after a line that is no SQL
(rows of a COPY), nor who calls by a view, an operator or a trigger: preflight asks the server.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby, pairwise, takewhile

from lab import commands
from lab.errors import ScenarioError
from lab.model import Query, SqlFile, Statement
from lab.statement import SILENT, Token, tokens


def marked(queries: Iterable[Query], files: Iterable[SqlFile]) -> tuple[Query, ...]:
    """The *queries*, each with those functions of the schema's *files* that it calls and that may write.

    >>> from lab.statement import read
    >>> schema = SqlFile("schema.sql", "CREATE FUNCTION note(a int) RETURNS int LANGUAGE plpgsql AS $$ ... $$;")
    >>> [sorted(one.calls) for one in marked([read("q", "q.sql", "SELECT app.NOTE (1)")], [schema])]
    [['note']]
    """
    found = writing(files)
    return tuple(replace(one, calls=calls) if (calls := found & commands.called(one)) else one for one in queries)


def writing(files: Iterable[SqlFile]) -> frozenset[str]:
    """The names, without schemas, of functions that may write; of several of one name, if any of them may.

    >>> text = '''CREATE FUNCTION a() RETURNS int STABLE AS 'SELECT 1' LANGUAGE sql;
    ... CREATE OR REPLACE FUNCTION app."B c"() RETURNS void BEGIN ATOMIC SELECT CASE WHEN true THEN 1 END; TABLE t; END;
    ... CREATE FUNCTION d() RETURNS bigint LANGUAGE sql AS $$ SELECT e() $$;
    ... CREATE FUNCTION e() RETURNS bigint RETURN nextval('s');'''
    >>> sorted(writing([SqlFile("schema.sql", text)]))
    ['d', 'e']
    """
    declared = [one for file in files if "function" in file.text.lower() for one in _declared(file)]
    found: frozenset[str] = frozenset()
    while more := {one.name for one in declared if one.may_write(found)} - found:
        found |= more
    return found


@dataclass(frozen=True)
class _Function:
    """A function that is declared VOLATILE, or nothing; *body* None: in a language that is not read here."""

    name: str
    body: Query | None

    def may_write(self, others: frozenset[str]) -> bool:
        """Whether it may, where *others* do."""
        if self.body is None:
            return True
        return not commands.only_reads(replace(self.body, calls=others & commands.called(self.body)))


def _declared(file: SqlFile) -> Iterator[_Function]:
    pieces = _readable(_pieces(file.file, file.text))
    for piece in pieces:
        words = [token.text.lower() for token in piece]
        head = 4 if words[1:3] == ["or", "replace"] else 2
        if words[:1] != ["create"] or words[head - 1 : head] != ["function"] or "(" not in words:
            continue
        name = commands.name_of(piece[words.index("(") - 1])
        options, own = _options(piece[words.index("(") :])
        if own[:1] and own[0].text.lower() == "begin":
            inner = takewhile(lambda one: [token.text.lower() for token in one] != ["end"], pieces)
            body = [own[2:], *inner]
        else:
            body = [own] if own else _body(file.file, options)
        said = [token.text.lower() for token in options]
        if not {"stable", "immutable"} & set(said):
            language = said[said.index("language") + 1].strip("'\"") if "language" in said else "sql"
            yield _Function(name, _query(file.file, body) if language == "sql" and body else None)


def _readable(pieces: Iterator[list[Token]]) -> Iterator[list[Token]]:
    try:
        yield from pieces
    except ScenarioError:  # rows of a COPY among the statements are no SQL
        return


def _body(file: str, options: Sequence[Token]) -> list[Sequence[Token]]:
    try:
        return list(_quoted(file, options))
    except ScenarioError:  # of another language
        return []


def _pieces(file: str, text: str) -> Iterator[list[Token]]:
    """The statements of a text; those within BEGIN ATOMIC ... END each for itself."""
    said = (token for token in tokens(file, text) if token.kind not in SILENT)
    return (list(piece) for ends, piece in groupby(said, lambda token: token.kind == "end") if not ends)


def _options(declared: Sequence[Token]) -> tuple[list[Token], Sequence[Token]]:
    """What is said of a function beside its parameters, and the body that follows without quotes, if any."""
    depth = 0
    found: list[Token] = []
    for at, token in enumerate(declared):
        depth += {"(": 1, ")": -1}.get(token.text, 0)
        if depth == 0 and token.text.lower() in ("begin", "return"):
            return found, declared[at:]
        found += [token] if depth == 0 else []
    return found, ()


def _quoted(file: str, options: Sequence[Token]) -> Iterator[list[Token]]:
    """The statements of a body that is a text; none of one with escapes."""
    for before, token in pairwise(options):
        if before.text.lower() == "as" and token.kind == "dollar":
            yield from _pieces(file, token.text.split("$", 2)[2].rsplit("$", 2)[0])
        elif before.text.lower() == "as" and token.kind == "string":
            yield from _pieces(file, token.text[1:-1].replace("''", "'"))


def _query(file: str, body: Iterable[Sequence[Token]]) -> Query:
    """A body as a query, where RETURN is SELECT."""
    texts = (" ".join(token.text for token in piece) for piece in body if piece)
    selects = ("SELECT" + text[6:] if text[:6].lower() == "return" else text for text in texts)
    return Query("", file, tuple(map(Statement, selects)))
