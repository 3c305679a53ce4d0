"""The only home of psycopg: connections, statements, rows, and the pq layer that load goes through.

Importable inside Locust: no pandas, no pyarrow.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.resources import files
from typing import Any

import psycopg
from psycopg import conninfo as _conninfo
from psycopg import sql as _sql
from psycopg.rows import dict_row

Error = psycopg.Error
Connection = psycopg.Connection[Any]


def conninfo(**parts: str | int) -> str:
    """libpq's keyword/value string, quoted as it must be.

    >>> conninfo(host="/tmp/a b", dbname="lab")
    "host='/tmp/a b' dbname=lab"
    """
    return _conninfo.make_conninfo("", **parts)


def ident(*parts: str) -> str:
    """A quoted, dotted identifier.

    >>> print(ident("public", 'odd name'))
    "public"."odd name"
    """
    return _sql.Identifier(*parts).as_string(None)


def literal(value: object) -> str:
    """A quoted literal, as text to be put into a statement.

    >>> literal("it's")
    "'it''s'"
    """
    return _sql.Literal(value).as_string(None).strip()


def words(error: psycopg.Error) -> str:
    """What the server said, in one line: message, detail and hint, without psycopg's own frame."""
    diag = error.diag
    said = [diag.message_primary, diag.message_detail, diag.message_hint]
    return ". ".join(part.rstrip(".") for part in said if part) or str(error).strip()


@contextmanager
def connected(info: str, *, autocommit: bool = True) -> Iterator[Connection]:
    """A connection for the length of a `with` block. Never prepares by itself.

    psycopg would prepare a statement at its sixth execution, in the middle of a measurement.
    """
    with psycopg.connect(info, autocommit=autocommit, prepare_threshold=None) as connection:
        yield connection


def query(name: str) -> str:
    """The text of one of the lab's own queries, `lab/queries/<name>.sql`."""
    return (files("lab") / "queries" / f"{name}.sql").read_text(encoding="utf-8")


Params = Sequence[Any] | Mapping[str, Any]


def rows(connection: Connection, statement: str, params: Params = ()) -> list[dict[str, Any]]:
    """All rows of a statement, as dictionaries. Without *params* a `%` needs no doubling."""
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(statement.encode(), params or None).fetchall()


def ask(connection: Connection, statement: str, params: Params = ()) -> dict[str, Any]:
    """The only row of a statement."""
    (row,) = rows(connection, statement, params)
    return row


def run(connection: Connection, *statements: str) -> None:
    """Execute statements that return nothing worth having."""
    for statement in statements:
        connection.execute(statement.encode())
