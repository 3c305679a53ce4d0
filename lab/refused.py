"""What psql and servers say of the author's SQL: with the file, the line, and a way out where one is known."""

import re

from lab.model import SqlFile


def words(said: str, path: str, sql: SqlFile) -> str:
    """psql's error in one line, with the author's file and the line, and a way out where one is known.

    psql names the line where a statement ends; the server quotes the one it stumbled over.

    >>> file = SqlFile("a.sql", "CREATE TABLE t (\\n  a txt\\n);")
    >>> print(words("psql:/x/a.sql:3: ERROR:  no type txt\\nLINE 2:   a txt\\n", "/x/a.sql", file))
    a.sql:2: ERROR: no type txt
    """
    text = " ".join(" ".join(line.split()) for line in said.splitlines() if _TOLD.search(line)) or " ".join(
        said.split()
    )
    text = text.removeprefix("psql:").strip().replace(path, sql.file) or "psql failed and said nothing"
    text = re.sub(
        rf"^{re.escape(sql.file)}:(\d+)", lambda found: f"{sql.file}:{_stumbled(said, sql, int(found[1]))}", text
    )
    if re.search(r"extension .* is not available", text):
        text += " (not in the embedded server; use --on docker with an image that has it)"
    if "backslash commands are restricted" in text:
        text += " (psql's own commands are locked in a schema that may be a stranger's; leave them out)"
    if re.search(r"permission denied to create extension", text):
        text += (
            " (an ordinary role makes trusted extensions, those of pg_available_extension_versions that say so; "
            "for another, --on docker with an image that makes it in template1: docs/topologies.md, Extensions)"
        )
    return text


def place(file: str, first: int, position: str | None, sent: str) -> str:
    """`file:line` of what the server stumbled over in *sent*, which begins in line *first*.

    *position* is that of a character of *sent*, from 1, as the server gives it; None where it gives none.

    >>> place("a.sql", 3, "14", "SELECT a,\\n  nothing"), place("a.sql", 3, None, "SELECT 1 / 0")
    ('a.sql:4', 'a.sql:3')
    """
    return f"{file}:{first + sent.count(chr(10), 0, int(position or 1) - 1)}"


_TOLD = re.compile(r"(ERROR|FATAL|DETAIL|HINT|error): ")


def _stumbled(said: str, sql: SqlFile, end: int) -> int:
    """The line that the server quotes: the nearest one above the statement's *end* that holds the quote."""
    quoted = re.search(r"^LINE \d+: (?:\.\.\.)?(.*?)(?:\.\.\.)?$", said, re.MULTILINE)
    lines = sql.text.splitlines()
    if quoted and quoted[1].strip():
        for number in range(min(end, len(lines)), 0, -1):
            if quoted[1].strip() in lines[number - 1]:
                return number
    return end
