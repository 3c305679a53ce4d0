"""What the statements of a query do, told by their words: whether they read alone, and by what they write."""

import re

from lab.model import Query
from lab.statement import SILENT, tokens

_COMMAND = re.compile(
    r"^[( ]*(\w+)|[()] (insert|update|delete|merge)\b|(?<!\. )\b(into)\b"
    r"|\bfor (?:no key )?(update)\b|\bfor (?:key )?(share)\b"
)


def only_reads(query: Query) -> bool:
    """Whether a server that may not write can answer: each statement is a SELECT that locks no rows.

    A function that writes, such as nextval, is not seen here; preflight asks the server.

    >>> from lab.model import Statement
    >>> texts = ("SELECT 1", "SELECT a FROM t FOR NO KEY UPDATE", "WITH d AS (DELETE FROM t) SELECT 1", "CALL p()")
    >>> [only_reads(Query("q", "q.sql", (Statement("WITH a AS (SELECT 1) TABLE a"), Statement(t)))) for t in texts]
    [True, False, False, False]
    """
    return of(query) <= {"select", "with", "values", "table"}


def of(query: Query) -> frozenset[str]:
    """What the statements of *query* do: the words that they begin with, and those by which they write besides.

    Names, constants and comments are none, whatever they say: `into`, and `update` or `share` for locks, are.

    >>> from lab.model import Statement
    >>> text = "WITH d AS (DELETE FROM call) SELECT 'insert', \\"into\\", t.update FROM t /* merge */ FOR KEY SHARE"
    >>> sorted(of(Query("q", "q.sql", (Statement(text),))))
    ['delete', 'share', 'with']
    """
    said = (_plain(query.file, one.text) for one in query.statements)
    return frozenset(word for text in said for groups in _COMMAND.findall(text) for word in groups if word)


def _plain(file: str, text: str) -> str:
    """The words and signs of a statement, apart; `_` for what is neither."""
    pieces = (token for token in tokens(file, text) if token.kind not in SILENT)
    return " ".join(token.text.lower() if token.kind in ("word", "other") else "_" for token in pieces)
