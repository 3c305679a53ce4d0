"""A live server is read, and nothing is written to it: its schema, its statistics, what it was asked.

    DSN -> one transaction, read-only -> pg_stats, pg_stat_statements, and of the same snapshot what pg_dump says

Values of rows stay on the server, unless the user consents: they are not even asked for. A password goes to libpq
and nowhere else.
"""

import csv
import io
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lab import parts, pg
from lab.alike import Counted, Seen
from lab.errors import ClusterError, ScenarioError

OLDEST = 12  # the major version from which on a server is read
STATEMENT_S, LOCK_S, DUMP_S = 60, 5, 300
_SECRETS = ("password", "sslpassword", "oauth_client_secret")
_LIMITS = (
    f"SET LOCAL statement_timeout = '{STATEMENT_S}s'",
    f"SET LOCAL lock_timeout = '{LOCK_S}s'",
    f"SET LOCAL idle_in_transaction_session_timeout = '{DUMP_S + STATEMENT_S}s'",
    "SET LOCAL search_path = pg_catalog, pg_temp",  # no function of anybody's stands in for the server's own
    "SET LOCAL datestyle = 'ISO'",
    "SET LOCAL timezone = 'UTC'",
)
_SCHEMA_ALONE = (
    *("--schema-only", "--no-owner", "--no-privileges", "--no-comments", "--no-tablespaces"),
    *("--no-publications", "--no-subscriptions", "--no-security-labels", f"--lock-wait-timeout={LOCK_S * 1000}"),
)
_OTHERWISE = "write it where you can, pg_dump -s > dump.sql, and say --from DSN --schema dump.sql"
EDITED = "(to leave something out: pg_dump -s > dump.sql, edit it, and say --from DSN --schema dump.sql)"
_WAYS = {
    "password": "it may be in the DSN, in PGPASSWORD or in ~/.pgpass",
    "permission denied": "read as the tables' owner, or as a member of pg_read_all_data and pg_read_all_stats",
    "statement timeout": f"somebody changes a table, or the server is slow: try again, or {_OTHERWISE}",
}


@dataclass(frozen=True)
class Read:
    """What a server said of one database. *schema*: as pg_dump writes it, "" where it was not asked.

    *tables* by (schema, table). *asked*: pg_stat_statements as CSV, "" where there is none. *notes*: what was not to be
    had. *version* as the server words it; *memory* has the settings that say how much it takes.
    """

    schema: str
    tables: Mapping[tuple[str, str], Counted]
    asked: str
    notes: tuple[str, ...]
    version: str
    memory: Mapping[str, int]


def read(dsn: str, *, values: bool, dumped: bool) -> Read:
    """The database that *dsn* names; ClusterError where it cannot be read, ScenarioError where nothing is in it.

    *values*: most common values and bounds of histograms too. *dumped*: the schema too.
    """
    given = _given(dsn)
    with _hushed(given), session(pg.conninfo(**given)) as connection:
        _readable(connection)
        tables, notes = _tables(connection, values=values)
        if not tables:
            raise ScenarioError(f"--from: the database {connection.info.dbname!r} has no tables (dbname=another)")
        asked, lacking = _asked(connection)
        memory = pg.ask(
            connection,
            "SELECT pg_size_bytes(current_setting('shared_buffers')) AS shared_buffers, "
            "pg_size_bytes(current_setting('work_mem')) AS work_mem",
        )
        version = str(pg.ask(connection, "SHOW server_version")["server_version"]).split()[0]
        schema = _dumped(connection, given) if dumped else ""
    return Read(schema, tables, asked, (*notes, *lacking), version, memory)


@contextmanager
def session(info: str) -> Iterator[pg.Connection]:
    """A connection in one transaction that sees one snapshot and cannot write, rolled back at the end of the block."""
    with pg.connected(info) as connection:
        pg.run(connection, "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY", *_LIMITS)
        try:
            yield connection
        finally:
            if not connection.closed:
                connection.rollback()


# --- the connection -------------------------------------------------------------------------


def _given(dsn: str) -> dict[str, str]:
    """The parts of a DSN; a single word is a database, as psql has it, and libpq adds what is left out."""
    try:
        found = {"dbname": dsn} if re.fullmatch(r"[\w.-]+", dsn) else pg.parsed(dsn)
    except pg.Error:  # whose words may hold the password
        raise ScenarioError("--from: is no DSN (host=... dbname=... user=..., or postgresql://...)") from None
    timeout = {} if "PGCONNECT_TIMEOUT" in os.environ else {"connect_timeout": "10"}
    return {**timeout, "application_name": "pglab init", **found}


@contextmanager
def _hushed(given: Mapping[str, str]) -> Iterator[None]:
    """What the server refuses becomes a ClusterError in which no password stands."""
    try:
        yield
    except pg.Error as error:
        raise ClusterError(_told(pg.words(error), given)) from None


def _told(said: str, given: Mapping[str, str]) -> str:
    """A message of the server's or of pg_dump's in one line, with the way out where one is known."""
    text = " ".join(said.split())
    for secret in (given[one] for one in _SECRETS if given.get(one)):
        text = text.replace(secret, "***")
    way = next((way for word, way in _WAYS.items() if word in text), "")
    return f"--from: {text}{f' ({way})' if way else ''}"


def _readable(connection: pg.Connection) -> None:
    version = connection.info.server_version // 10_000
    if version < OLDEST:
        raise ClusterError(f"--from: the server is PostgreSQL {version} (servers from {OLDEST} on are read)")


# --- statistics -----------------------------------------------------------------------------


def _tables(connection: pg.Connection, *, values: bool) -> tuple[dict[tuple[str, str], Counted], list[str]]:
    """What is known of each table, and what is known of none."""
    columns: dict[tuple[str, str], dict[str, Seen]] = {}
    for one in pg.rows(connection, pg.query("source_columns"), {"values": values}):
        seen = Seen(
            nulls=one["nulls"],
            width=one["width"],
            distinct=one["distinct"],
            shares=tuple(one["shares"]),
            correlation=one["correlation"],
            values=tuple(one["values"] or ()),
            bounds=tuple(one["bounds"] or ()),
        )
        columns.setdefault((one["schema"], one["table"]), {})[one["column"]] = seen
    tables, notes = dict[tuple[str, str], Counted](), list[str]()
    for one in pg.rows(connection, pg.query("source_tables")):
        name = one["schema"], one["table"]
        tables[name] = Counted(one["rows"], columns.get(name, {}))
        if not one["readable"]:
            notes.append(f"{'.'.join(name)}: this role may not know its statistics (pg_read_all_data may)")
        elif not tables[name].columns:
            why = "it is empty, or was never analysed (ANALYZE)" if one["rows"] is None else "it was never analysed"
            notes.append(f"{'.'.join(name)}: has no statistics, its rows are guessed after the schema: {why}")
    return tables, notes


def _asked(connection: pg.Connection) -> tuple[str, tuple[str, ...]]:
    """pg_stat_statements of this database as CSV, "" and why where it cannot be read."""
    found = pg.rows(
        connection,
        "SELECT n.nspname AS schema FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace "
        "WHERE e.extname = 'pg_stat_statements'",
    )
    if not found:
        return "", ("pg_stat_statements: is not in this database (CREATE EXTENSION), so that no queries are known",)
    view = pg.ident(found[0]["schema"], "pg_stat_statements")
    pg.run(connection, "SAVEPOINT asked")
    try:
        rows = pg.rows(
            connection,
            f"SELECT * FROM {view} WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database())",
        )
    except pg.Error as error:
        pg.run(connection, "ROLLBACK TO SAVEPOINT asked")
        return "", (f"pg_stat_statements: cannot be read, so that no queries are known: {pg.words(error)}",)
    finally:
        pg.run(connection, "RELEASE SAVEPOINT asked")  # within one no snapshot is handed on
    return _csv(rows), ()


def _csv(rows: Sequence[Mapping[str, object]]) -> str:
    """The columns that recorded.read knows."""
    kept = [one for one in ("query", "calls", "total_exec_time", "total_time", "toplevel") if rows and one in rows[0]]
    made = io.StringIO()
    writer = csv.DictWriter(made, kept, extrasaction="ignore")
    if kept:
        writer.writeheader()
        writer.writerows(rows)
    return made.getvalue()


# --- schema ---------------------------------------------------------------------------------


def _dumped(connection: pg.Connection, given: Mapping[str, str]) -> str:
    """The schema, as pg_dump has it in the transaction's own snapshot, without what it says to psql."""
    if pg.ask(connection, "SELECT pg_backend_pid() AS pid")["pid"] != connection.info.backend_pid:
        raise ClusterError(
            "--from: a pooler stands before the server, and would give settings of pg_dump's to other clients (name "
            f"the server's own host and port; or {_OTHERWISE})"
        )
    encrypted = bool(connection.pgconn.ssl_in_use)
    program = _program(connection.info.server_version // 10_000, encrypted=encrypted)
    snapshot = pg.ask(connection, "SELECT pg_export_snapshot() AS it")["it"]
    same = _same(connection, given, encrypted=encrypted)
    command = [str(program), *_SCHEMA_ALONE, f"--snapshot={snapshot}", "-d", same]
    password = {"PGPASSWORD": connection.info.password} if connection.info.password else {}
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            encoding="utf-8",
            check=False,
            timeout=DUMP_S,
            env={**os.environ, **password, "PGCLIENTENCODING": "UTF8", "LC_ALL": "C.UTF-8"},
        )
    except subprocess.TimeoutExpired:
        raise ClusterError(f"--from: pg_dump has not ended within {DUMP_S} s ({_OTHERWISE})") from None
    if done.returncode:
        said = " ".join(line for line in done.stderr.splitlines() if not line.startswith("pg_dump: detail: Query was"))
        raise ClusterError(_told(said, {**given, **({"password": password["PGPASSWORD"]} if password else {})}))
    return re.sub(r"^\\(?:un)?restrict\b.*\n", "", done.stdout, flags=re.MULTILINE)


def _same(connection: pg.Connection, given: Mapping[str, str], *, encrypted: bool) -> str:
    """A connection string for the very server that the snapshot is of, without secrets, which others see in a list."""
    left = (*_SECRETS, "hostaddr", "target_session_attrs", "load_balance_hosts")
    info = connection.info
    here = {"host": info.host, "port": str(info.port), "user": info.user, "dbname": info.dbname}
    if info.hostaddr and not info.host.startswith("/"):
        here["hostaddr"] = info.hostaddr
    plain = {} if encrypted else {"sslmode": "disable"}  # as it was; the lab's own pg_dump knows nothing else
    return pg.conninfo(**{**{key: one for key, one in given.items() if key not in left}, **here, **plain})


def _program(server: int, *, encrypted: bool) -> Path:
    """A pg_dump as new as the server; ClusterError where there is none, or none that can encrypt and must."""
    own: Path = parts.load("hosts", "embedded").wheel() / "bin" / "pg_dump"
    other = shutil.which("pg_dump")
    able = [own] if not encrypted else []
    for one in (*able, *([Path(other)] if other else [])):
        if _major(one) >= server:
            return one
    lacking = "of the lab's own cannot encrypt, as this connection is," if encrypted else f"is {_major(own)}"
    on_path = f"on PATH is {_major(Path(other))}" if other else "on PATH there is none"
    raise ClusterError(
        f"--from: the server is PostgreSQL {server}; the pg_dump {lacking} and {on_path} (have the client programs of "
        f"PostgreSQL {server} or later on PATH; or {_OTHERWISE})"
    )


def _major(program: Path) -> int:
    """The major version of a pg_dump, 0 where it does not say."""
    try:
        done = subprocess.run([program, "--version"], capture_output=True, text=True, check=False, timeout=STATEMENT_S)
    except (OSError, subprocess.TimeoutExpired):
        return 0
    found = re.search(r"\) (\d+)", done.stdout)
    return int(found[1]) if found else 0
