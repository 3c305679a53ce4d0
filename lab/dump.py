"""What `pg_dump -s` writes becomes a schema for a disposable server: what cannot be there is commented out, and told.

The text stays as it is, line by line, so that the server's messages name the dump's own lines. What is left
out is what needs other roles, other servers or rights that the lab's role does not have, and rows.
"""

import hashlib
import itertools
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from lab import statement
from lab.errors import ScenarioError
from lab.statement import Token

_ON = r"^(?:CREATE|ALTER|DROP|COMMENT ON)(?: OR REPLACE)? "
_OWN = r"ROLE (?:CURRENT_USER|CURRENT_ROLE|SESSION_USER|lab) (?:RE)?SET\b"  # what the lab's role itself is asked with
_RULES = tuple(
    (re.compile(pattern, re.IGNORECASE), why)
    for pattern, why in (
        (r"^ALTER DEFAULT PRIVILEGES|^(?:GRANT|REVOKE)\b", "rights; one role asks everything"),
        (r"^ALTER (?!TABLE .* OWNED BY).* OWNER TO \S+ ?;?$", "owners; the lab's role owns everything"),
        (
            _ON + r"(?:FOREIGN DATA WRAPPER|SERVER|USER MAPPING|FOREIGN TABLE)\b|^IMPORT FOREIGN SCHEMA",
            "foreign servers and their tables; there is no such server here",
        ),
        (
            _ON + rf"(?!{_OWN})(?:ROLE|USER|GROUP)\b|^SET (?:SESSION AUTHORIZATION|ROLE)\b",
            "roles; one role asks everything",
        ),
        (_ON + r"(?:DATABASE|TABLESPACE)\b|^ALTER SYSTEM", "databases, tablespaces and the server's own settings"),
        (r"^SET default_tablespace = (?!'')", "tablespaces; the server has one disk"),
        (_ON + r"(?:PUBLICATION|SUBSCRIPTION)\b", "publications and subscriptions; nobody receives"),
        (_ON + r"EVENT TRIGGER\b", "event triggers; only a superuser makes them"),
        (r"^COMMENT ON EXTENSION|^ALTER EXTENSION", "what is said of extensions; it needs their owner"),
        (r"^CREATE SCHEMA public ?;?$|^(?:COMMENT ON|ALTER) SCHEMA public\b", "schema public; it is there already"),
        (
            _ON + r"POLICY\b|^ALTER TABLE .*\bROW LEVEL SECURITY\b",
            "row security; it does not bind the owner of a table, who asks here",
        ),
        (r"^SECURITY LABEL", "security labels"),
        (r"^(?:CREATE|ALTER) TABLE (?:ONLY )?(?:\w+ \. )?alembic_version\b", "what Alembic keeps for itself"),
        (r"^CREATE (?:OR REPLACE )?(?:TRUSTED |PROCEDURAL )*LANGUAGE\b", "languages; plpgsql is there already"),
        (r"^CREATE (?:OR REPLACE )?FUNCTION .* LANGUAGE '?c'?(?: |;|$)", "functions in C; only a superuser makes them"),
        (
            r"^(?:INSERT INTO|UPDATE|DELETE FROM|MERGE INTO)\b|^SELECT (?:pg_catalog \. )?setval\b"
            r"|^WITH\b.*\b(?:INSERT INTO|UPDATE|DELETE FROM|MERGE INTO)\b",
            "rows; data.yaml says which rows there are",
        ),
    )
)
_COPY = re.compile(r"^COPY\b.*\bFROM stdin\b", re.IGNORECASE)
_EXTENSION = re.compile(r"^CREATE EXTENSION (?:IF NOT EXISTS )?(\S+)(?: WITH)?(?: SCHEMA (\S+))?", re.IGNORECASE)
_UUIDS = ("uuid_generate_v1", "uuid_generate_v1mc", "uuid_generate_v4")


@dataclass(frozen=True)
class Dump:
    """*text* may be run; *notes* say what was left out of it, with the first place of each and why."""

    text: str
    notes: tuple[str, ...]


def read(file: str, text: str, extensions: Collection[str], *, psql: bool = False) -> Dump:
    r"""The schema in *text*; *extensions* are those that the server's ordinary role can make.

    *psql*: its own commands stay, for psql to refuse.

    ScenarioError where it has rows of COPY, or no statement.

    >>> made = read("d.sql", "CREATE TABLE t (a int);\nALTER TABLE t OWNER TO joe;\nTABLE t;\n", ())
    >>> print(made.text, *made.notes, sep="")
    CREATE TABLE t (a int);
    -- ALTER TABLE t OWNER TO joe;
    TABLE t;
    d.sql:2: left out (1 statement): owners; the lab's role owns everything
    """
    if "\0" in text:
        raise ScenarioError(f"{file}: has a zero byte (an SQL file is wanted, as pg_dump -s writes it)")
    left: dict[str, list[int]] = {}
    commented = False
    pieces = list(_pieces(list(_silenced(file, text, left, psql=psql))))
    if not any(_body(one) for one in pieces):
        raise ScenarioError(f"{file}: there is no statement in it (pg_dump -s writes a schema)")
    made = ""
    for piece in pieces:
        own = "".join(one.text for one in piece)
        if commented and own.strip(" \t") and not own.lstrip(" \t").startswith("\n"):
            made += "\n"  # what follows on the line of a statement that became a comment
        kept = _kept(piece, extensions, left)
        commented = kept != own
        made += kept
    return Dump(made, tuple(_note(file, why, lines) for why, lines in left.items()))


def locked(text: str) -> str:
    r"""*text* behind a key that locks psql's own commands, so that a stranger's schema runs none of them.

    The key follows from the text, so that no text can hold its own.

    >>> locked("TABLE t;\n") == locked("TABLE t;\n") != locked("TABLE u;\n"), locked("").startswith(r"\restrict ")
    (True, True)
    """
    return f"\\restrict {hashlib.sha256(text.encode()).hexdigest()}\n{text}"


def bare(text: str) -> str:
    r"""*text* without comments, and with no more than one empty line on end; those in bodies of functions stay.

    >>> bare("-- Owner: joe\n\n\nCREATE TABLE t (a int); -- x\n/* y */TABLE t;\n")
    'CREATE TABLE t (a int);\nTABLE t;\n'
    """
    kept = (one.text if one.kind not in statement.SILENT[1:] else "" for one in statement.tokens("schema.sql", text))
    return "".join(_joined(kept)).lstrip()


def _joined(pieces: Iterator[str]) -> Iterator[str]:
    """The same pieces; of space on end its last line is left, and one empty line before that."""
    space = ""
    for one in itertools.chain(pieces, ["\0"]):
        if not one or one.isspace():
            space += one
            continue
        lines = space.count("\n")
        yield "\n" * min(lines, 2) + space.rpartition("\n")[2] if lines else space
        yield one.rstrip("\0")
        space = ""


def _silenced(file: str, text: str, left: dict[str, list[int]], *, psql: bool) -> Iterator[Token]:
    """The tokens of *text*; psql's own commands are comments, and go to *left* with their lines, unless they stay.

    ScenarioError where one stands within a statement, whose end it would be, and at rows of COPY.
    """
    at, line = 0, 1
    words: list[str] = []
    while at < len(text):
        for here in statement.tokens(file, text, at, line):
            if here.text == "\\":
                end = text.find("\n", at)
                own = text[at : end if end >= 0 else len(text)]
                if words:
                    raise ScenarioError(f"{file}:{here.line}: {own.split()[0]} is psql's own (end the statement by ;)")
                if not psql:
                    left.setdefault("psql's own commands", []).append(here.line)
                yield Token("comment", own if psql else f"-- {own}", here.line)
                at, line = at + len(own), here.line
                break
            at += len(here.text)
            if here.kind == "end":
                _rowless(file, here.line, words)
                words = []
            elif here.kind not in statement.SILENT:
                words.append(here.text)
            yield here


def _rowless(file: str, line: int, words: Sequence[str]) -> None:
    if _COPY.match(" ".join(words)):
        raise ScenarioError(f"{file}:{line}: has rows, and a scenario makes its own (pg_dump -s leaves them out)")


def _note(file: str, why: str, lines: Sequence[int]) -> str:
    return f"{file}:{lines[0]}: left out ({len(lines)} statement{'s' if len(lines) > 1 else ''}): {why}"


def _kept(piece: Sequence[Token], extensions: Collection[str], left: dict[str, list[int]]) -> str:
    """A statement's text, as a comment where it is left out; why goes to *left* with its line."""
    text, body = "".join(one.text for one in piece), _body(piece)
    if not body:
        return text
    head = " ".join(one.text for one in body)
    why, instead = _why(head, extensions)
    if not why:
        return text
    left.setdefault(why, []).append(body[0].line)
    silent = "".join(one.text for one in piece[: piece.index(body[0])])
    commented = text[len(silent) :].replace("\n", "\n-- ")
    return f"{silent}{instead}-- {commented}"


def _why(head: str, extensions: Collection[str]) -> tuple[str, str]:
    """Why a statement is left out, "" if it is not; and SQL that stands in for it."""
    if found := _EXTENSION.match(head):
        name = found[1].strip('"')
        if name in extensions:
            return "", ""
        schema = f"{found[2]}." if found[2] else ""
        if name == "uuid-ossp":
            return f"extension {name}; random uuids stand in for what {', '.join(_UUIDS)} give", _uuids(schema)
        own = "; gen_random_uuid() is the server's own" if name == "pgcrypto" else ""
        return f"extension {name}; the embedded server lacks it, or only a superuser makes it{own}", ""
    return next((why for rule, why in _RULES if rule.search(head)), ""), ""


def _uuids(schema: str) -> str:
    made = (
        f"CREATE FUNCTION {schema}{one}() RETURNS uuid LANGUAGE sql AS 'SELECT gen_random_uuid()'" for one in _UUIDS
    )
    return "; ".join(made) + "; "


def _body(piece: Sequence[Token]) -> list[Token]:
    return [one for one in piece if one.kind not in statement.SILENT and one.kind != "end"]


def _pieces(tokens: Sequence[Token]) -> Iterator[list[Token]]:
    """Statements with the space and comments before them; a body between BEGIN ATOMIC and its END is of one."""
    piece: list[Token] = []
    depth, before = 0, ""
    for token in tokens:
        word = token.text.upper() if token.kind == "word" else ""
        if word == "ATOMIC" and before == "BEGIN":
            depth = 1
        elif depth:
            depth += {"CASE": 1, "END": -1}.get(word, 0)
        before = word if token.kind not in statement.SILENT else before
        piece.append(token)
        if token.kind == "end" and not depth:
            yield piece
            piece = []
    yield piece
