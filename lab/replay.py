"""Somebody's SQL, applied to a disposable server: what the server refused, and where each object came from.

psql runs it as the unprivileged role, statement by statement: what is refused is told and the rest goes on.
psql's own commands are locked (`\\restrict` with a key nobody knows), because what is
reviewed may be of strangers and `\\!` would run on this machine. Roles that are missing get a
stand-in without rights, so that owners, grants and policies are looked at too.
"""

import itertools
import re
import secrets
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lab import pg, refused
from lab.errors import IngestError
from lab.hosts import Server
from lab.migration import Script
from lab.model import SqlFile

PATIENCE_S = 300.0
SYNTAX = "42601"
_ERROR = re.compile(r"^psql:<stdin>:\d+: (?:ERROR|FATAL):  (?:(?P<state>\w{5}): )?(?P<words>.*)", re.MULTILINE)
_NO_ROLE = re.compile(r'role "(?!pg_)(.+)" does not exist')  # names that begin so are the server's alone
_EXPECTED = re.compile(r'schema "public" already exists|must be owner of extension')  # as dumps have it
_LOCKED = re.compile(r"error: backslash commands are restricted.*")
_SILENT = re.compile(r"(?:\s+|--[^\n]*\n|/\*.*?\*/)*", re.DOTALL)


@dataclass(frozen=True)
class Refused:
    """A statement that the server refused: SQLSTATE, and `file:line: message`."""

    state: str
    said: str


@dataclass(frozen=True)
class Replayed:
    """What came of it: refusals in order, and the roles that were made as stand-ins."""

    refused: tuple[Refused, ...]
    roles: tuple[str, ...]


@dataclass(frozen=True)
class Place:
    """Where something was written; *line* is None where the statement is not found in the file."""

    file: str
    line: int | None

    def __str__(self) -> str:
        return self.file if self.line is None else f"{self.file}:{self.line}"


def replay(server: Server, psql: Path, scripts: Sequence[Script]) -> Replayed:
    """Apply *scripts* to the new database `lab` of *server*, with the recorder of queries/review_recorder.sql.

    Once more from the start where roles were missing. Raise IngestError where a script does not end.
    """
    roles: list[str] = []
    while True:
        _anew(server, roles)
        refused = [one for n, script in enumerate(scripts) for one in _sent(psql, server.conninfo(), n, script)]
        missing = {found[1] for one in refused if (found := _NO_ROLE.search(one.said))} - {*roles}
        if not missing:
            return Replayed(tuple(refused), tuple(roles))
        with pg.connected(server.conninfo(user="pglab", dbname="postgres")) as admin:
            pg.run(admin, *(f"CREATE ROLE {pg.ident(name)}; GRANT {pg.ident(name)} TO lab" for name in sorted(missing)))
        roles += sorted(missing)


@contextmanager
def asking(server: Server) -> Iterator[pg.Connection]:
    """A connection that asks the catalogue after somebody's SQL, whose author owns the database.

    It is the unprivileged role's own, since a superuser's could be led to run what the author named like a function
    of the catalogue; and the search_path is not the author's, so that no question is answered by such a function.
    """
    path = "pg_catalog, pg_temp"
    options = f"-c search_path={path.replace(' ', '')}"
    with pg.connected(pg.changed(server.conninfo(), options=options)) as connection:
        pg.run(connection, f"SET search_path = {path}")
        yield connection


def _anew(server: Server, roles: Sequence[str]) -> None:
    pg.make_database(server.conninfo(user="pglab"))
    with pg.connected(server.conninfo(user="pglab")) as admin:
        pg.run(admin, pg.query("review_recorder"))
        for role in map(pg.ident, roles):
            pg.run(admin, f"GRANT CREATE ON SCHEMA public TO {role}; GRANT CREATE ON DATABASE lab TO {role}")


def _sent(psql: Path, info: str, number: int, script: Script) -> list[Refused]:
    """Run a script; what the server refused of it, each `file:line: message` in one line."""
    key = secrets.token_hex(16)
    each = ("-v", "ON_ERROR_ROLLBACK=on", "-v", "VERBOSITY=verbose")
    try:
        done = subprocess.run(
            [psql, "-X", "-q", *each, "-d", info, "-c", f"\\restrict {key}", "-f", "-"],
            input=script.text,
            capture_output=True,
            text=True,
            encoding="utf-8",
            errors="replace",
            check=False,
            cwd="/",
            env={"PGCLIENTENCODING": "UTF8", "LC_ALL": "C.UTF-8", "PGAPPNAME": f"pglab review {number}"},
            start_new_session=True,
            timeout=PATIENCE_S,
        )
    except subprocess.TimeoutExpired:
        raise IngestError(
            f"{script.file}: does not end within {PATIENCE_S:.0f} s (a review needs the schema, leave the data out)"
        ) from None
    return _refusals(done.stderr, SqlFile(script.file, script.text))


def _refusals(said: str, sql: SqlFile) -> list[Refused]:
    """psql's errors, one by one.

    >>> told = "psql:<stdin>:2: ERROR:  42P01: no table a\\nLINE 1: TABLE a\\n                  ^\\nLOCATION:  x.c:1\\n"
    >>> _refusals(told * 2, SqlFile("a.sql", "\\nTABLE a;"))[1]
    Refused(state='42P01', said='a.sql:2: ERROR: no table a')
    """
    starts = [found.start() for found in re.finditer(r"^psql:", said, re.MULTILINE)]
    blocks = [said[start:end] for start, end in itertools.pairwise([*starts, len(said)])]
    found = []
    for block in blocks:
        error = _ERROR.match(block)
        own = "psql:<stdin>" in block and "error:" in block  # psql's own, such as a command that is locked
        if not own and (error is None or _EXPECTED.search(error["words"])):
            continue
        state = error["state"] or "" if error else ""
        told = refused.words(block.replace(f"  {state}: ", "  ", 1) if state else block, "<stdin>", sql)
        found.append(Refused(state, _LOCKED.sub("psql's own commands are not run in a review (leave them out)", told)))
    return found


# --- where things came from -----------------------------------------------------------------


class Origins:
    """Object -> the place in the scripts where it was written, as far as that can be known."""

    def __init__(self, connection: pg.Connection, scripts: Sequence[Script]) -> None:
        """Ask the recorder's tables by a connection of asking()."""
        self._scripts = scripts
        self._statements = _found(pg.rows(connection, pg.query("review_statements")), scripts)
        self._made = {
            (one["oid"], one["attnum"]): one["statement"] for one in pg.rows(connection, pg.query("review_origin"))
        }

    def place(self, oid: int, attnum: int, words: Sequence[str]) -> Place | None:
        """Where the object *oid*, or its column, was made; the line within the statement by *words*."""
        statement = self._made.get((oid, attnum), self._made.get((oid, 0)))
        if statement not in self._statements:
            return None
        script, start, end = self._statements[statement]
        if start is None:
            return Place(script.file, None)
        return Place(script.file, script.text.count("\n", 0, start + _within(script.text[start:end], words)) + 1)


def _found(
    rows: Sequence[Mapping[str, object]], scripts: Sequence[Script]
) -> dict[object, tuple[Script, int | None, int]]:
    """Statement id -> its script and where in it the statement begins and ends; None where it is not found.

    Statements were run in the order they are written, so that each is looked for after the one before.
    """
    reached = dict.fromkeys(range(len(scripts)), 0)
    found: dict[object, tuple[Script, int | None, int]] = {}
    for row in rows:
        number, text = row["script"], str(row["text"])
        if not isinstance(number, int) or number >= len(scripts):
            continue  # the author's SQL may say another application_name
        script = scripts[number]
        at = script.text.find(text, reached[number])
        if at < 0:
            found[row["id"]] = (script, None, 0)
            continue
        reached[number] = at
        silent = _SILENT.match(text)
        found[row["id"]] = (script, at + (silent.end() if silent else 0), at + len(text))
    return found


def _within(text: str, words: Sequence[str]) -> int:
    """Where in a statement one of *words* stands, those at the beginning of a line first; 0 if nowhere.

    >>> text = "CREATE TABLE a (\\n  b int REFERENCES c,\\n  c int\\n)"
    >>> text[_within(text, ["c"]) :]
    'c int\\n)'
    """
    for before in (r"^\s*\"?", r"(?<![\w$])"):
        for word in words:
            if found := re.search(rf"{before}({re.escape(word)})(?![\w$])", text, re.MULTILINE | re.IGNORECASE):
                return found.start(1)
    return 0
