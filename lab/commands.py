"""What the statements of a query do, told by their words: whether they read alone, and by what they write."""

import re
from collections.abc import Iterator
from itertools import pairwise

from lab.model import Query
from lab.statement import SILENT, Token, tokens

_COMMAND = re.compile(
    r"^[( ]*(\w+)|[()] (insert|update|delete|merge)\b|(?<!\. )\b(into)\b"
    r"|\bfor (?:no key )?(update)\b|\bfor (?:key )?(share)\b"
)

# Functions of PostgreSQL's own that write, or that a standby refuses.
_WRITING = {
    "nextval",
    "setval",
    "pg_notify",
    "pg_logical_emit_message",
    "pg_current_xact_id",
    "txid_current",
    "lowrite",
}
_WRITING |= {
    f"lo_{name}" for name in ("creat", "create", "from_bytea", "import", "put", "truncate", "truncate64", "unlink")
}


def only_reads(query: Query) -> bool:
    """Whether a server that may not write can answer: each statement is a SELECT that locks no rows.

    Nor does it call a function that may write, as far as such are known (functions.marked); preflight asks the server.

    >>> from lab.model import Statement
    >>> texts = ("SELECT 1", "SELECT a FROM t FOR NO KEY UPDATE", "WITH d AS (DELETE FROM t) SELECT 1", "CALL p()")
    >>> [only_reads(Query("q", "q.sql", (Statement("WITH a AS (SELECT 1) TABLE a"), Statement(t)))) for t in texts]
    [True, False, False, False]
    """
    return of(query) <= {"select", "with", "values", "table"}


def of(query: Query) -> frozenset[str]:
    """What the statements of *query* do: the words that they begin with, and those by which they write besides.

    Names, constants and comments are none, whatever they say: `into`, and `update` or `share` for locks, are. A
    function of the schema that may write is a `call`, one of PostgreSQL's own its name.

    >>> from lab.model import Statement
    >>> text = "WITH d AS (DELETE FROM call) SELECT 'insert', \\"into\\", t.update FROM t /* merge */ FOR KEY SHARE"
    >>> sorted(of(Query("q", "q.sql", (Statement(text),))))
    ['delete', 'share', 'with']
    >>> sorted(of(Query("q", "q.sql", (Statement("SELECT pg_catalog.NextVal ('s'), setval FROM t"),))))
    ['nextval', 'select']
    """
    said = (_plain(one) for one in _pieces(query))
    words = frozenset(word for text in said for groups in _COMMAND.findall(text) for word in groups if word)
    return words | (called(query) & _WRITING) | ({"call"} if query.calls else set())


def called(query: Query) -> frozenset[str]:
    """The names, without schemas, that a parenthesis follows: of functions, and of what looks like one.

    >>> from lab.model import Statement
    >>> sorted(called(Query("q", "q.sql", (Statement('SELECT F (1), app."G h"(2), i'),))))
    ['G h', 'f']
    """
    pairs = (pair for one in _pieces(query) for pair in pairwise(one))
    return frozenset(name_of(one) for one, then in pairs if then.text == "(" and one.kind in ("word", "quoted"))


def name_of(token: Token) -> str:
    """A name as the server has it."""
    return token.text[1:-1].replace('""', '"') if token.kind == "quoted" else token.text.lower()


def _pieces(query: Query) -> Iterator[list[Token]]:
    for one in query.statements:
        yield [token for token in tokens(query.file, one.text) if token.kind not in SILENT]


def _plain(pieces: list[Token]) -> str:
    """The words and signs of a statement, apart; `_` for what is neither."""
    return " ".join(token.text.lower() if token.kind in ("word", "other") else "_" for token in pieces)
