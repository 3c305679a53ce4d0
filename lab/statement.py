"""An SQL file becomes a query: statements apart, named parameters compiled, the header read.

PostgreSQL's own lexical rules decide what is text and what is a parameter: string constants
(with E'' escapes), quoted identifiers, dollar quotes, nested comments and `::` casts are passed
over. See "Lexical Structure" in PostgreSQL's manual; standard_conforming_strings is on.
"""

import difflib
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, cast

from lab import draw
from lab.errors import ScenarioError
from lab.model import Parameter, Query, Statement
from lab.page import among
from lab.timeline import seconds

_TOKEN = re.compile(
    r"""
      (?P<space>\s+)
    | (?P<comment>--[^\n]*)
    | (?P<block>/\*)
    | (?P<escape>[eE]'(?:[^'\\]|\\.|'')*')
    | (?P<string>'(?:[^']|'')*')
    | (?P<quoted>"(?:[^"]|"")*")
    | (?P<dollar>\$(?P<tag>(?:[^\W\d]\w*)?)\$.*?\$(?P=tag)\$)
    | (?P<open>['"]|\$(?:[^\W\d]\w*)?\$)
    | (?P<percent>%\(\w+\)s)
    | (?P<numbered>\$\d+)
    | (?P<word>[^\W\d][\w$]*)
    | (?P<number>\d[\w.]*)
    | (?P<cast>::|:=)
    | (?P<psql>:(?:'[^']*'|"[^"]*"|\{[^}]*\}))
    | (?P<named>:[^\W\d]\w*)
    | (?P<end>;)
    | (?P<other>.)
    """,
    re.VERBOSE | re.DOTALL,
)
SILENT = ("space", "comment", "block")
_DIRECTIVE = re.compile(r"--\s*(\w+)\s*:(?!:)\s*(.*?)\s*")
# What the value of each directive looks like: by it a misspelt directive is told from prose.
_KNOWN = {"params": "=", "send": "^(prepared|literal|unprepared)$", "order": "^total$"}
_TRANSACTION = {"begin", "start", "commit", "rollback", "end", "savepoint", "abort"}
_QUOTED = r'"(?:[^"]|"")+"'  # as in SQL: a name that is no plain word
_ORIGIN = re.compile(
    rf"(?P<stream>{_QUOTED}|[^\W\d][\w-]*)\.(?P<column>{_QUOTED}|[^\W\d]\w*)(?:\s+(?P<law>[a-z]\w*(?:\(.*\))?))?"
    r"(?:\s*(?P<sign>[+-])\s*(?P<shift>\S+))?"
)
_NUMBER = re.compile(r"\d+(?:\.\d+)?")
_TEXT = re.compile(r"constant\s*\(\s*'((?:[^']|'')*)'\s*\)")
_BOUND = re.compile(r"(?P<bound>window\.\w+)(?:\s*(?P<sign>[+-])\s*(?P<shift>\S+))?")
_HOW = "write  -- params: {name}=stream.column zipf(1.1)  at the top of the file, or params: in workload.yaml"


class Token(NamedTuple):
    """A piece of SQL: *kind* is a group of the lexer's pattern, *line* counts from 1."""

    kind: str
    text: str
    line: int


@dataclass(frozen=True)
class Header:
    """The directives of an SQL file's leading comments; *lines* says where each stands."""

    params: str | None = None
    send: Literal["prepared", "literal", "unprepared"] = "prepared"
    ordered: bool = False
    lines: Mapping[str, int] | None = None

    def line(self, directive: str) -> int:
        """The line of a directive, 1 where it is not there."""
        return (self.lines or {}).get(directive, 1)


def read(name: str, file: str, text: str, *, params: Sequence[Parameter] | None = None, weight: float = 1.0) -> Query:
    """Make the query *name* of *text*, the contents of *file*.

    *params*: what workload.yaml, or for a candidate's own text the workload's query, says of the
    parameters; the file's header must then say nothing of them or the same. A text need not use
    all that is given: whoever asks decides (see used). Raise ScenarioError with all mistakes.
    """
    top = header(file, text)
    mistakes: list[str] = []
    known = tuple(params or ())
    if top.params is not None:
        try:
            known = parameters(top.params, f"{file}:{top.line('params')}: params")
        except ScenarioError as error:
            mistakes += error.mistakes
        if params is not None and not mistakes and known != tuple(params):
            mistakes.append(
                f"{file}:{top.line('params')}: params: differ from what the workload says of this query "
                "(leave the line out; all candidates are asked the same)"
            )
    statements = [] if mistakes else _statements(name, file, text, known, mistakes)
    if mistakes:
        raise ScenarioError(mistakes)
    return Query(name, file, tuple(statements), known, weight, top.send, top.ordered)


def used(query: Query) -> frozenset[str]:
    """The names of the parameters that the query's text takes."""
    return frozenset(query.params[index].name for statement in query.statements for index in statement.takes)


# --- parameters -----------------------------------------------------------------------------


def parameters(text: str, where: str) -> tuple[Parameter, ...]:
    """The parameters of a `-- params:` line; raise ScenarioError with all mistakes of the line.

    >>> for p in parameters("device=events.device zipf(1.1), since=window.to - 7d", "q.sql:1: params"): print(p)
    Parameter(name='device', origin='events.device', law='zipf(1.1)', shift_s=0.0, shift=0.0)
    Parameter(name='since', origin='window.to', law='', shift_s=-604800.0, shift=0.0)
    """
    found: list[Parameter] = []
    mistakes: list[str] = []
    for part in _parts(text):
        name, equals, source = part.partition("=")
        name = name.strip()
        if not equals or not re.fullmatch(r"\$[1-9]\d*|[^\W\d]\w*", name):
            mistakes.append(f"{where}: {part.strip()!r} is no parameter (write name=stream.column zipf(1.1))")
        elif name in {parameter.name for parameter in found}:
            mistakes.append(f"{where}: {name}: given twice (give it one source)")
        else:
            try:
                found.append(parameter(name, source))
            except ValueError as error:
                mistakes.append(f"{where}: {name}: {error}")
    if mistakes:
        raise ScenarioError(mistakes)
    return tuple(found)


def parameter(name: str, source: str) -> Parameter:
    """A parameter from the words for its source; ValueError says what the words may be.

    >>> parameter("n", "uniform(1, 100)"), parameter("id", "events.id")
    (Parameter(name='n', origin='', law='uniform(1, 100)', shift_s=0.0, shift=0.0), \
Parameter(name='id', origin='events.id', law='', shift_s=0.0, shift=0.0))
    >>> parameter("n", '"my ""own"" events"."a b" zipf(1.1)').origin
    'my "own" events.a b'
    >>> constant(parameter("how", "constant('english')").law)
    'english'
    >>> one, two = parameter("n", "events.size zipf(1.1) + 50"), parameter("until", "events.at + 7d")
    >>> (one.law, one.shift), (two.origin, two.shift_s)
    (('zipf(1.1)', 50.0), ('events.at', 604800.0))
    """
    words = source.strip()
    if constant(words) is not None:
        return Parameter(name, "", words)
    if bound := _BOUND.fullmatch(words):
        if bound["bound"] not in ("window.from", "window.to"):
            raise ValueError(f"unknown bound {bound['bound']!r} {among(bound['bound'], ['window.from', 'window.to'])}")
        shift = seconds(bound["shift"]) if bound["shift"] else 0.0
        return Parameter(name, bound["bound"], "", -shift if bound["sign"] == "-" else shift)
    if origin := _ORIGIN.fullmatch(words):
        law, stream, column = origin["law"] or "", *map(_unquoted, (origin["stream"], origin["column"]))
        if law and not isinstance(draw.parse(law), draw.RankLaw):
            raise ValueError(f"law {law!r} makes values of its own and chooses none of {stream} (zipf(1.1))")
        number, shift_s = _shift(origin["sign"], origin["shift"])
        return Parameter(name, f"{stream}.{column}", law, shift_s, number)
    if not re.match(r"[a-z]+\s*\(", words):
        way = (
            "stream.column, stream.column zipf(1.1), stream.column + 7d, window.to - 7d, uniform(1, 100), or "
            "constant('a text')"
        )
        if re.fullmatch("'.*'|\"[^.]*\"", words):
            raise ValueError(f"{words} is no source (a text that is always the same: constant('{words[1:-1]}'))")
        if re.search(r'[\s"].*\.|\..*"', words):
            way = 'names that are no plain words in double quotes: "my stream"."my column" zipf(1.1)'
        raise ValueError(f"{words!r} is no source ({way})")
    if words.startswith("constant") and not re.search(r"\(\s*[-+.\d]", words):
        raise ValueError(f"{words!r} is no constant (a number, or a text in single quotes: constant('english'))")
    if not isinstance(draw.parse(words), draw.ValueLaw):
        raise ValueError(f"law {words!r} has nothing to choose from (stream.column {words})")
    return Parameter(name, "", words)


def _shift(sign: str | None, words: str | None) -> tuple[float, float]:
    """What is added to a value: a number, or seconds where *words* have a unit; ValueError where they are neither."""
    if words is None:
        return 0.0, 0.0
    way = -1.0 if sign == "-" else 1.0
    try:
        number = float(words) if _NUMBER.fullmatch(words) else math.inf
        return (way * number, 0.0) if math.isfinite(number) else (0.0, way * seconds(words))
    except ValueError:
        raise ValueError(f"{sign} {words}: is neither a number nor a time (50, 7d, 20s)") from None


def constant(law: str) -> str | None:
    """The text that is always the same, as `constant('it''s')` has it; None for every other law.

    >>> constant("constant('it''s')"), constant("constant(10)")
    ("it's", None)
    """
    found = _TEXT.fullmatch(law)
    return found[1].replace("''", "'") if found else None


def _unquoted(name: str) -> str:
    return name[1:-1].replace('""', '"') if name.startswith('"') else name


def _parts(text: str) -> list[str]:
    """*text* cut at the commas outside parentheses and quotes."""
    parts, depth, quoted = [""], 0, ""
    for letter in text:
        if letter in "'\"" and quoted in ("", letter):
            quoted = "" if quoted else letter
        depth += 0 if quoted else {"(": 1, ")": -1}.get(letter, 0)
        if letter == "," and depth == 0 and not quoted:
            parts.append("")
        else:
            parts[-1] += letter
    return parts


# --- the text -------------------------------------------------------------------------------


def tokens(file: str, text: str, at: int = 0, line: int = 1) -> Iterator[Token]:
    """The pieces of *text* from *at* on, in *line*, in order, nothing left out; ScenarioError where one has no end."""
    while at < len(text):
        match = _TOKEN.match(text, at)
        assert match is not None  # `other` takes anything
        kind = cast(str, match.lastgroup if match.lastgroup != "tag" else "dollar")
        end = _comment_end(text, at) if kind == "block" else match.end()
        if kind == "open" or end < 0:
            what = {"/": "comment", "'": "string", '"': "quoted name", "$": "dollar quote"}[text[at]]
            raise ScenarioError(f"{file}:{line}: the {what} that begins here has no end")
        yield Token(kind, text[at:end], line)
        line += text.count("\n", at, end)
        at = end


def _comment_end(text: str, at: int) -> int:
    """The end of the block comment that begins at *at*; comments nest. -1 where it has none."""
    depth = 0
    for mark in re.finditer(r"/\*|\*/", text[at:]):
        depth += 1 if mark[0] == "/*" else -1
        if depth == 0:
            return at + mark.end()
    return -1


def header(file: str, text: str) -> Header:
    """The directives in the comment lines before the first statement; ScenarioError where they are wrong."""
    found: dict[str, str] = {}
    lines: dict[str, int] = {}
    for token in tokens(file, text):
        if token.kind not in SILENT:
            break
        directive = _DIRECTIVE.fullmatch(token.text) if token.kind == "comment" else None
        if directive is None:
            continue
        word = directive[1].lower()
        if _misspelt(word, directive[2]):
            raise ScenarioError(f"{file}:{token.line}: unknown directive {word!r} {among(word, _KNOWN)}")
        if word in found:
            raise ScenarioError(f"{file}:{token.line}: {word}: given twice (first in line {lines[word]})")
        if word in _KNOWN:
            found[word], lines[word] = directive[2], token.line
    return _directives(file, found, lines)


def _misspelt(word: str, value: str) -> bool:
    near = difflib.get_close_matches(word, _KNOWN, n=1)
    return word not in _KNOWN and bool(near) and re.search(_KNOWN[near[0]], value) is not None


def _directives(file: str, found: Mapping[str, str], lines: Mapping[str, int]) -> Header:
    sends = ("prepared", "literal", "unprepared")
    send = found.get("send", "prepared")
    if send not in sends:
        raise ScenarioError(f"{file}:{lines['send']}: send: unknown way {send!r} {among(send, sends)}")
    if found.get("order", "total") != "total":
        raise ScenarioError(
            f"{file}:{lines['order']}: order: unknown order {found['order']!r} "
            "(total: the rows' order is part of the answer; without the line it is not)"
        )
    return Header(
        found.get("params"), cast(Literal["prepared", "literal", "unprepared"], send), "order" in found, lines
    )


def _statements(name: str, file: str, text: str, known: Sequence[Parameter], mistakes: list[str]) -> list[Statement]:
    bodies = _bodies(file, text)
    if not bodies:
        mistakes.append(f"{file}:1: there is no statement in it (write one SQL statement)")
    mistakes += _misplaced(file, bodies)
    return [] if mistakes else [_compiled(name, file, body, known, mistakes) for body in bodies]


def _bodies(file: str, text: str) -> list[list[Token]]:
    """The statements of a file, without the space and comments around them."""
    pieces: list[list[Token]] = [[]]
    for token in tokens(file, text):
        if token.kind == "end":
            pieces.append([])
        elif pieces[-1] or token.kind not in SILENT:
            pieces[-1].append(token)
    for piece in pieces:
        while piece and piece[-1].kind in SILENT:
            piece.pop()
    return [piece for piece in pieces if piece]


def _misplaced(file: str, bodies: Sequence[Sequence[Token]]) -> Iterator[str]:
    """Mistakes that need no knowledge of the parameters."""
    everything = [token for body in bodies for token in body]
    for token in everything:
        if token.kind == "percent":
            right = f"write :{token.text[2:-2]}"
            yield f"{file}:{token.line}: {token.text} is a placeholder of a Python driver ({right})"
        elif token.kind == "psql":
            yield f"{file}:{token.line}: {token.text}: psql's quoting of variables is not known here (write :name)"
    for body in bodies:
        if body[0].text.lower() in _TRANSACTION:
            yield (
                f"{file}:{body[0].line}: {body[0].text}: the statements of a file are one transaction already "
                "(leave it out)"
            )
    kinds = {token.kind: token for token in everything if token.kind in ("named", "numbered")}
    if len(kinds) == 2:
        token = kinds["numbered"]
        yield f"{file}:{token.line}: {token.text} beside {kinds['named'].text} (write all by name, or all by number)"


def _compiled(
    name: str, file: str, body: Sequence[Token], known: Sequence[Parameter], mistakes: list[str]
) -> Statement:
    """One statement with its parameters numbered from $1 in the order they first occur."""
    index = {parameter.name: at for at, parameter in enumerate(known)}
    takes: list[int] = []
    text = ""
    for token in body:
        asked = token.text.removeprefix(":") if token.kind == "named" else token.text
        if token.kind not in ("named", "numbered"):
            text += token.text
        elif asked not in index:
            there = f"; known: {', '.join(index)}" if index else ""
            mistake = f"{file}:{token.line}: {token.text}: no source for its values ({_HOW.format(name=asked)}{there})"
            mistakes += [] if mistake in mistakes else [mistake]
        else:
            if index[asked] not in takes:
                takes.append(index[asked])
            text += f"${takes.index(index[asked]) + 1}"
    first = body[0].text  # never a parameter: the server's statistics leave out a comment before it
    return Statement(f"{first} /* pglab:{name} */{text.removeprefix(first)}", tuple(takes), body[0].line)


# --- filling in -----------------------------------------------------------------------------


def bound(sql: str, values: Mapping[str, str], file: str) -> tuple[Statement, ...]:
    """The statements of a step's *file*, each `:name` replaced by the literal of its value.

    Steps are sent without parameters: VACUUM, CALL and DDL take none. Raise ScenarioError where
    a name has no value.

    >>> bound("DELETE FROM t WHERE d < :to; -- then\\nVACUUM t;", {"to": "2026-01-02"}, "retire.sql")[0].text
    "DELETE FROM t WHERE d < '2026-01-02'"
    """
    mistakes = [
        f"{file}:{token.line}: {token.text}: no such value in a step {among(token.text[1:], values)}"
        for token in tokens(file, sql)
        if token.kind == "named" and token.text[1:] not in values
    ]
    if mistakes:
        raise ScenarioError(mistakes)
    return tuple(
        Statement("".join(quoted(values[one.text[1:]]) if one.kind == "named" else one.text for one in body), (), line)
        for line, body in ((body[0].line, body) for body in _bodies(file, sql))
    )


def inlined(sql: str, values: Sequence[str | None]) -> str:
    """A statement with `$1` and so on replaced by literals, so that the planner sees the values.

    >>> inlined("SELECT '$1', a FROM t WHERE a = $1 AND b = $2", ["it's", None])
    "SELECT '$1', a FROM t WHERE a = 'it''s' AND b = NULL"
    """
    pieces = (
        quoted(values[int(token.text[1:]) - 1]) if token.kind == "numbered" else token.text
        for token in tokens("sql", sql)
    )
    return "".join(pieces)


def quoted(value: str | None) -> str:
    """A string constant, or NULL; standard_conforming_strings is on."""
    return "NULL" if value is None else "'" + value.replace("'", "''") + "'"
