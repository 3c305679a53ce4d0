"""The only home of psycopg: connections, statements, rows, and the pq layer that load goes through.

Importable inside Locust: no pandas, no pyarrow.
"""

import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from importlib.resources import files
from typing import Any, Protocol

import psycopg
from psycopg import conninfo as _conninfo
from psycopg import pq
from psycopg import sql as _sql
from psycopg.pq.abc import PGresult
from psycopg.rows import dict_row

from lab.plain import Asked, Stated

Error = psycopg.Error
OperationalError = psycopg.OperationalError
Connection = psycopg.Connection[Any]


def conninfo(**parts: str | int) -> str:
    """libpq's keyword/value string, quoted as it must be.

    >>> conninfo(host="/tmp/a b", dbname="lab")
    "host='/tmp/a b' dbname=lab"
    """
    return _conninfo.make_conninfo("", **parts)


def changed(info: str, **parts: str | int) -> str:
    """*info* with some of its parts replaced.

    >>> changed("host=a user=lab", host="b")
    'user=lab host=b'
    """
    return _conninfo.make_conninfo(info, **parts)


def parsed(info: str) -> dict[str, str]:
    """The parts of a connection string or URI; Error, whose words may hold a password, if it is neither.

    >>> parsed("postgresql://me@there/mine")
    {'user': 'me', 'dbname': 'mine', 'host': 'there'}
    """
    return {key: str(value) for key, value in _conninfo.conninfo_to_dict(info).items() if value is not None}


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


def environmental(error: psycopg.Error) -> str | None:
    """What of the environment failed: `connection`, `room` on a disk, `system`; None where it is what was asked.

    >>> environmental(psycopg.OperationalError()), environmental(psycopg.errors.QueryCanceled())
    ('connection', None)
    """
    if isinstance(error, OperationalError) and (error.sqlstate or "08").startswith(("08", "57P")):
        return "connection"
    return {"53100": "room", "58000": "system", "58030": "system"}.get(error.sqlstate or "")


@contextmanager
def connected(info: str, *, autocommit: bool = True) -> Iterator[Connection]:
    """A connection for the length of a `with` block. Never prepares by itself.

    psycopg would prepare a statement at its sixth execution, in the middle of a measurement.
    """
    with connect(info, autocommit=autocommit) as connection:
        yield connection


def connect(info: str, *, autocommit: bool = True) -> Connection:
    """A connection that somebody closes; never prepares by itself.

    Where it cannot be had, nothing of the attempt is left: psycopg's own frames hold the error, and the error them, so
    that the socket of one that timed out would stay until the collector came. A server that can be reached again then
    waits a minute for what it has to say, and cannot shut down meanwhile.
    """
    try:
        return psycopg.connect(info, autocommit=autocommit, prepare_threshold=None)
    except Error as error:
        traceback.clear_frames(error.__traceback__)
        raise


def make_database(info: str) -> None:
    """A new, empty database `lab` of the unprivileged role, with the lab's extensions in schema `pglab`.

    *info* is a superuser's connection; an old database of that name is dropped with its connections.
    """
    with connected(_conninfo.make_conninfo(info, dbname="postgres")) as admin:
        run(admin, "DROP DATABASE IF EXISTS lab WITH (FORCE)", "CREATE DATABASE lab OWNER lab")
    with connected(_conninfo.make_conninfo(info, dbname="lab")) as admin:
        run(admin, "CREATE SCHEMA pglab", "GRANT EXECUTE ON FUNCTION pg_get_backend_memory_contexts() TO lab")
        for extension in ("pg_stat_statements", "pg_walinspect"):
            run(admin, f"CREATE EXTENSION {extension} SCHEMA pglab")


def scram(connection: Connection, user: str, password: str) -> str:
    """What a server keeps of a password, and what may be said to it and to its log."""
    return connection.pgconn.encrypt_password(password.encode(), user.encode(), b"scram-sha-256").decode()


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


def texts(connection: Connection, statement: str) -> tuple[list[str], list[list[str | None]]]:
    """The types of a statement's columns and its rows, as the server words them; [], [] where it returns none.

    Nothing is made of the values: a timestamp may be `infinity`, which is no datetime.
    """
    with connection.cursor() as cursor:
        cursor.execute(statement.encode())
        found = cursor.pgresult
        if found is None or not found.nfields:
            return [], []
        types = connection.adapters.types
        columns = [info.name if (info := types.get(found.ftype(n))) else "" for n in range(found.nfields)]
        values = [[found.get_value(row, n) for n in range(found.nfields)] for row in range(found.ntuples)]
    return columns, [[None if one is None else one.decode() for one in row] for row in values]


def run(connection: Connection, *statements: str) -> None:
    """Execute statements that return nothing worth having."""
    for statement in statements:
        connection.execute(statement.encode())


def alone(connection: Connection, statement: str) -> None:
    """A VACUUM or ANALYZE of the whole database on this server alone.

    Citus would have all nodes do it, once for each that is asked; elsewhere the setting means nothing.
    """
    propagation = "citus.enable_ddl_propagation"
    run(connection, f"SET {propagation} = off", statement, f"RESET {propagation}")


@contextmanager
def acting_as(connection: Connection, role: str) -> Iterator[None]:
    """Another role for the length of a `with` block, by a superuser's connection, which is then as it was.

    What is set in the block is reset, and a transaction that is left open is rolled back.
    """
    run(connection, f"SET SESSION AUTHORIZATION {ident(role)}")
    try:
        yield
    finally:
        if not connection.closed:
            connection.rollback()
            run(connection, "RESET SESSION AUTHORIZATION; RESET ALL")


def in_transaction(connection: Connection) -> bool:
    """Is a transaction open, failed ones among them?"""
    return connection.info.transaction_status in (pq.TransactionStatus.INTRANS, pq.TransactionStatus.INERROR)


@contextmanager
def copying(
    connection: Connection, table: str, columns: str, how: str = "FORMAT binary"
) -> Iterator[Callable[[bytes], None]]:
    """COPY FROM STDIN for the length of a `with` block, which yields the function that sends.

    *table*, *columns* and *how*, COPY's options, are SQL. Bytes may be cut anywhere. An exception in the
    block ends the COPY as failed; what the server refuses is raised at the latest when the block ends.
    """
    statement = f"COPY {table} ({columns}) FROM STDIN ({how})"
    with connection.cursor() as cursor, cursor.copy(statement.encode()) as copy:
        yield copy.write


Texts = Sequence[bytes | None]


def prepared(connection: Connection, name: str, statement: str) -> Callable[[Texts], None]:
    """Prepare *statement* now, as *name*: what executes it with values as text; Error where the server refuses.

    By libpq's own calls, so that each execution is a transaction of its own unless one is open on the server.
    """
    libpq: Any = connection.pgconn  # which takes None for NULL, though its types do not say so
    called = name.encode()

    def execute(values: Texts) -> None:
        _taken(libpq.exec_prepared(called, values))

    _taken(libpq.prepare(called, statement.encode()))
    return execute


def _taken(result: PGresult) -> None:
    if result.status in _REFUSED:
        raise psycopg.errors.error_from_result(result)


# --- load -----------------------------------------------------------------------------------


class Waiter(Protocol):
    """How a thread or a greenlet waits for one descriptor."""

    def readable(self) -> None:
        """Return once there is something to read."""

    def writable(self) -> None:
        """Return once something can be sent."""

    def close(self) -> None:
        """Let go of the descriptor, which is closed next."""


Waits = Callable[[int], Waiter]
"""What waits for a descriptor."""

_BEGIN, _COMMIT, _ROLLBACK = ((word, (), (word,)) for word in ("BEGIN", "COMMIT", "ROLLBACK"))

_ONE = (0,)  # of a statement's values: nearly every point query takes just the first
_TUPLES_OK = int(pq.ExecStatus.TUPLES_OK)  # a look into the enumeration costs as much as a call of libpq's
_FINE = (pq.ExecStatus.COMMAND_OK, pq.ExecStatus.EMPTY_QUERY)
_REFUSED = (pq.ExecStatus.FATAL_ERROR, pq.ExecStatus.BAD_RESPONSE)


class Wire:
    """One connection driven by libpq's own calls: an operation costs a third of a cursor's.

    It waits only by *waits*, so that threads and greenlets can both use it. What a statement fails
    at is returned, not raised. *lost* is True from the moment the connection cannot be used.
    """

    def __init__(self, info: str, waits: Waits) -> None:
        """Connect; Error if the server refuses."""
        self._connection = connect(info)
        self._libpq = self._connection.pgconn  # non-blocking: psycopg has made it so
        self._waiter = waits(self._libpq.socket)
        self._readable, self._writable = self._waiter.readable, self._waiter.writable
        self._prepared: dict[str, bytes] = {}
        self.lost = False

    def close(self) -> None:
        """Close; the server is asked to drop what may be under way."""
        if self._libpq.transaction_status == pq.TransactionStatus.ACTIVE:
            with suppress(Error):
                self._libpq.get_cancel().cancel()
        self.lost = True
        self._waiter.close()
        self._connection.close()

    def check(self) -> None:
        """Notice a connection that ended while nobody looked."""
        try:
            self._libpq.consume_input()
        except Error:
            self.lost = True

    def prepare(self, asked: Asked) -> None:
        """Prepare the statements that are sent prepared, unless this connection has; Error if refused."""
        send, statements = asked
        for text, *_ in statements if send == "prepared" else ():
            if text in self._prepared:
                continue
            name = b"pglab_%d" % len(self._prepared)
            self._libpq.send_prepare(name, text.encode())
            _, refusal = self._answer()
            if refusal is not None:
                raise psycopg.errors.error_from_result(refusal)
            if self.lost:
                raise psycopg.OperationalError("the server closed the connection")
            self._prepared[text] = name

    def run(self, asked: Asked, values: Sequence[bytes | None]) -> tuple[int, str | None, str | None]:
        """Rows, outcome (None where ok, else `failed` or `unknown`) and SQLSTATE of one operation.

        Several statements are one transaction, rolled back when one fails. Rows are those
        returned or, where nothing is returned, touched.
        """
        send, statements = asked
        try:
            if len(statements) == 1:
                rows, refusal = self._one(send, statements[0], values)
            else:
                rows, refusal = self._transaction(send, statements, values)
        except psycopg.OperationalError:  # the connection did not even take the query
            self.lost, rows, refusal = True, 0, None
        if refusal is None and not self.lost:
            return rows, None, None
        state = _sqlstate(refusal)
        unknown = self.lost or state is None or state.startswith("08")
        return rows, "unknown" if unknown else "failed", state

    def _transaction(
        self, send: str, statements: Sequence[Stated], values: Sequence[bytes | None]
    ) -> tuple[int, PGresult | None]:
        rows, refusal = self._one("literal", _BEGIN, ())
        for statement in statements:
            if refusal is not None or self.lost:
                break
            more, refusal = self._one(send, statement, values)
            rows += more
        if self.lost:
            return rows, refusal
        _, last = self._one("literal", _ROLLBACK if refusal else _COMMIT, ())
        return rows, refusal or last

    def _one(self, send: str, statement: Stated, values: Sequence[bytes | None]) -> tuple[int, PGresult | None]:
        text, takes, pieces = statement
        if send == "prepared":
            asked = values if takes == _ONE and len(values) == 1 else [values[index] for index in takes]
            self._libpq.send_query_prepared(self._prepared[text], asked)
        elif send == "unprepared":
            self._libpq.send_query_params(text.encode(), [values[index] for index in takes])
        else:
            filled = (piece if isinstance(piece, str) else _constant(values[piece]) for piece in pieces)
            self._libpq.send_query("".join(filled).encode())
        return self._answer()

    def _answer(self) -> tuple[int, PGresult | None]:
        """Rows, and the result that says what was refused, after the last result has come."""
        libpq = self._libpq
        rows, refusal = 0, None
        try:
            while libpq.flush():
                self._writable()
            self._readable()  # nothing can have come of what was sent just now
            libpq.consume_input()
            while True:
                while libpq.is_busy():
                    self._readable()
                    libpq.consume_input()
                result = libpq.get_result()
                if result is None:
                    break
                status = result.status
                if status == _TUPLES_OK:
                    rows += result.ntuples
                elif status in _FINE:
                    rows += result.command_tuples or 0
                elif status in _REFUSED:
                    refusal = refusal or result
                else:  # COPY, which would wait for us for ever
                    self.lost = True
                    break
        except psycopg.OperationalError:
            self.lost = True
        if refusal is not None and libpq.status == pq.ConnStatus.BAD:
            self.lost = True
        return rows, refusal


def _constant(value: bytes | None) -> str:
    return "NULL" if value is None else literal(value.decode())


def _sqlstate(refusal: PGresult | None) -> str | None:
    state = refusal and refusal.error_field(pq.DiagnosticField.SQLSTATE)
    return state.decode() if state else None
