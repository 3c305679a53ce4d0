"""A schema file or a folder of migrations becomes the scripts to review, in the order they are run.

A folder's files go by their names, numbers in them by value, as migration tools have them: `V2__b`
before `V10__a`, Flyway's repeatable ones last. What undoes a migration (`*.down.sql`, `U1__*.sql`, the part below
`-- migrate:down` or `-- +goose Down`) is left out; line numbers stay those of the file.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lab.errors import ScenarioError

_UNDOES = re.compile(r"(?:.*[._-])?down\.sql|U\d.*__.*\.sql|.*[._-](?:undo|rollback)\.sql", re.IGNORECASE)
_DIRECTION = re.compile(r"^\s*--\s*(?:migrate:|\+goose\s+|\+migrate\s+)(up|down)\b", re.IGNORECASE)
_KEYED = re.compile(r"^\\(?:un)?restrict\b.*")
_COPY = re.compile(r"^\s*COPY\b.*\bFROM\s+stdin\b.*;\s*$", re.IGNORECASE)


@dataclass(frozen=True)
class Script:
    """One file: its name as messages use it, and its text as it is run, each line where it was."""

    file: str
    text: str

    @property
    def sql(self) -> str:
        """The text without what only psql understands: its commands, and rows that COPY reads.

        >>> Script("a.sql", "COPY t FROM stdin;\\n1\\n\\\\.\\nSELECT 2;\\n").sql
        '\\n\\n\\nSELECT 2;\\n'
        """
        return "".join(f"{line}\n" for line in _plain(self.text.splitlines()))


def read(path: Path) -> tuple[Script, ...]:
    """The scripts at *path*, a file or a folder; ScenarioError if there is nothing to review."""
    if path.is_file():
        return (Script(path.as_posix(), _run(_text(path))),)
    if not path.is_dir():
        raise ScenarioError(f"{path}: no such file or folder (name an SQL file, or a folder of migrations)")
    files = [one for one in path.rglob("*.sql") if one.is_file() and not _hidden(one.relative_to(path))]
    found = sorted((one for one in files if not _UNDOES.fullmatch(one.name)), key=lambda one: order(one, path))
    if not found:
        why = "only files that undo something" if files else "no *.sql file"
        raise ScenarioError(f"{path}: {why} in this folder (plain SQL is reviewed, in the order of its names)")
    return tuple(Script(one.as_posix(), _run(_text(one))) for one in found)


def order(file: Path, folder: Path) -> tuple[object, ...]:
    """The key by which the migrations of *folder* are sorted.

    >>> names = ("V10__a.sql", "R__views.sql", "V2__b.sql", "V2.1__c.sql")
    >>> sorted(names, key=lambda name: order(Path("m") / name, Path("m")))
    ['V2__b.sql', 'V2.1__c.sql', 'V10__a.sql', 'R__views.sql']
    """
    name = file.relative_to(folder).with_suffix("").as_posix().replace("__", "\0")  # what Flyway's versions end with
    pieces = [(0, int(one), "") if one.isdecimal() else (1, 0, one) for one in re.split(r"(\d+)", name) if one]
    return (file.name.startswith("R__"), pieces)


def _hidden(within: Path) -> bool:
    return any(part.startswith(".") for part in within.parts)


def _text(path: Path) -> str:
    try:
        given = path.read_bytes()
    except OSError as error:
        raise ScenarioError(f"{path}: cannot be read: {error.strerror}") from None
    if given.startswith(b"PGDMP"):
        raise ScenarioError(f"{path}: is an archive of pg_dump's (pg_restore -s -f schema.sql makes SQL of it)")
    try:
        return given.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = given.count(b"\n", 0, error.start) + 1
        raise ScenarioError(f"{path}:{line}: is not UTF-8 (save it so; iconv -t UTF-8 converts it)") from None


def _run(text: str) -> str:
    """*text* without what undoes it, and without pg_dump's own `\\restrict`: a key of the review's stands in for it.

    >>> _run("-- migrate:up\\nCREATE TABLE a ();\\n-- migrate:down\\nDROP TABLE a;\\n")
    '-- migrate:up\\nCREATE TABLE a ();\\n\\n\\n'
    """
    up, lines = True, []
    for line in text.splitlines():
        if found := _DIRECTION.match(line):
            up = found[1].lower() == "up"
        lines.append(f"{line}\n" if up and not _KEYED.match(line) else "\n")
    return "".join(lines)


def _plain(lines: list[str]) -> Iterator[str]:
    rows = False
    for line in lines:
        silent = rows or line.startswith("\\") or bool(_COPY.match(line))
        rows = (rows or bool(_COPY.match(line))) and line != "\\."
        yield "" if silent else line
