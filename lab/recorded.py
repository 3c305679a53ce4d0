"""pg_stat_statements as CSV becomes queries: its text is not quite SQL, its calls are weights, its times a share.

Every constant stands there as `$1`, those of `interval '1 day'` too, which the server does not take back.
"""

import csv
import io
import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from lab import statement
from lab.errors import ScenarioError
from lab.statement import Token

MOST = 20
_TIMES = ("total_exec_time", "total_time")
_ASKS = ("select", "insert", "update", "delete", "merge", "with", "values", "table")
_TYPES = {
    *("interval", "date", "time", "timetz", "timestamp", "timestamptz", "uuid", "json", "jsonb", "inet", "cidr"),
    *("bool", "boolean", "int", "integer", "bigint", "numeric", "float", "text", "bytea", "point", "regclass"),
}
_SCHEMAS = ("pg_catalog", "information_schema", "pg_toast")
_OWN = re.compile(
    r"pg_(?:aggregate|amop|amproc|am|attrdef|attribute|auth_members|authid|cast|class|collation|constraint|conversion"
    r"|database|db_role_setting|default_acl|depend|description|enum|event_trigger|extension|foreign_\w+|index|indexes|inherits"
    r"|init_privs|language|locks|matviews|namespace|opclass|operator|opfamily|partitioned_table|policy|policies"
    r"|prepared_\w+|proc|publication\w*|range|replication_\w+|rewrite|roles|rules|seclabels?|sequences?|settings"
    r"|shdepend|shdescription|stat_\w+|statio_\w+|statistic\w*|stats\w*|subscription\w*|tables|tablespace|timezone_\w+"
    r"|transform|trigger|ts_\w+|type|user|user_mappings?|views|cursors|file_settings|hba_file_rules|ident_file_mappings"
    r"|backend_memory_contexts|shmem_allocations\w*|aios|wait_events|available_extension\w*|config|group|shadow"
    r"|ls_\w+|show_\w+|largeobject\w*)"
)
_PLACE = r'(?:\d{1,3}|[a-z_"][\w"]*(?: \. [\w"]+)*)(?: asc| desc)?(?: nulls (?:first|last))?'
_ORDERED = re.compile(rf"\b(?:order|group) by {_PLACE}(?: , {_PLACE})*(?![\w.])")
_LENGTH = re.compile(
    r"\b(?:varchar|varying|char|character|bpchar|numeric|decimal|bit|time|timestamp|timestamptz|interval|float|vector)"
    r" \( \d{1,4}(?: , \d{1,4})? \)"
)
_ZONE = ("with", "without"), ("time",), ("zone",)


@dataclass(frozen=True)
class Recorded:
    """A query: *name*, *text* as SQL with `$1`, how often it was called, and its time in ms, 0 where unknown."""

    name: str
    text: str
    calls: float
    total_ms: float


@dataclass(frozen=True)
class Record:
    """*queries* are the costliest first; *notes* say what was left out; *share* of the whole time, None if unknown."""

    queries: tuple[Recorded, ...]
    notes: tuple[str, ...]
    whole_ms: float

    def share(self, queries: tuple[Recorded, ...]) -> float | None:
        """The part of the whole time that *queries* took, None where the file has no times."""
        return sum(one.total_ms for one in queries) / self.whole_ms if self.whole_ms else None


def read(file: str, text: str, *, values: bool = True) -> Record:
    r"""The queries of a CSV with a header; ScenarioError where there is none of them.

    Without *values* nothing of what clients asked for is kept or quoted: no constants, which pg_stat_statements leaves
    where it could not replace them, and no comments.

    >>> made = read("s.csv", "query,calls,total_time\nBEGIN,9,1\nSELECT a FROM t WHERE b > now() - interval $1,5,3\n")
    >>> made.queries[0].name, made.queries[0].text, made.share(made.queries)
    ('select_t', 'SELECT a FROM t WHERE b > now() - $1::interval', 0.75)
    """
    if "\0" in text:
        raise ScenarioError(f"{file}: has a zero byte (a CSV is wanted, as \\copy ... CSV HEADER writes it)")
    inner: list[int] = []
    rows = list(_rows(file, text, inner))
    whole = sum(total for _, _, total in rows)
    merged: dict[str, tuple[float, float]] = {}
    left: dict[str, list[str]] = {}
    for words, calls, total in rows:
        if why := _left_out(words, calls) or ("" if values else _held(words)):
            left.setdefault(why, []).append(" ".join(words.split())[:30])
            continue
        words = words if values else _uncommented(words)
        before = merged.get(words, (0.0, 0.0))
        merged[words] = (before[0] + calls, before[1] + total)
    ordered = sorted(merged.items(), key=lambda one: (-one[1][1], -one[1][0]))
    if not ordered:
        raise ScenarioError(f"{file}: no query in it that could be asked ({'; '.join(left) or 'it has no rows'})")
    quoted = {why: f": {each[0]!r} ..." if values else "" for why, each in left.items()}
    notes = [f"{file}: left out ({len(each)}{quoted[why]}): {why}" for why, each in left.items()]
    if inner:
        notes.append(
            f"{file}:{inner[0]}: left out ({len(inner)}): asked by functions (toplevel = f), whose own calls and time "
            "hold them"
        )
    if len(ordered) > MOST:
        notes.append(f"{file}: the {MOST} costliest of {len(ordered)} queries are taken")
    return Record(tuple(_named(ordered[:MOST])), tuple(notes), whole)


def _rows(file: str, text: str, inner: list[int]) -> Iterator[tuple[str, float, float]]:
    """(text, calls, total ms) of every row that a client asked; ScenarioError names the line.

    The lines of those that ran within a function go to *inner*: its row counts them already.
    """
    csv.field_size_limit(2**27)
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    try:
        columns = {str(one).strip().lower(): one for one in reader.fieldnames or ()}
        if len(columns) == 1 and (found := re.search(r"[;\t|]", next(iter(columns)))):
            raise ScenarioError(f"{file}:1: the delimiter is {found[0]!r}, a comma is wanted (\\copy ... CSV HEADER)")
        if "query" not in columns:
            raise ScenarioError(
                f"{file}:1: has no column `query` in its header "
                r"(\copy (SELECT * FROM pg_stat_statements) TO 'pg_stat_statements.csv' CSV HEADER makes it)"
            )
        time = next((columns[one] for one in _TIMES if one in columns), None)
        for row in reader:
            where = f"{file}:{reader.line_num}"
            if str(row.get(columns.get("toplevel", "")) or "").strip().lower() in ("f", "false"):
                inner.append(reader.line_num)
            elif row.get(columns["query"]):
                calls = _number(row, columns.get("calls"), where, 1.0)
                yield str(row[columns["query"]]).strip(), calls, _number(row, time, where, 0.0)
    except csv.Error as error:
        raise ScenarioError(f"{file}:{reader.line_num}: is no CSV: {error} (\\copy ... CSV HEADER makes it)") from None


def _number(row: Mapping[str, str | None], column: str | None, where: str, unknown: float) -> float:
    if column is None:
        return unknown
    words = row.get(column) or ""
    if not re.fullmatch(r"\d{1,18}(?:\.\d+)?(?:[eE][-+]?\d{1,2})?", words.strip()):
        raise ScenarioError(f"{where}: {column}: {words!r} is no number (as pg_stat_statements writes it)")
    return float(words)


def _left_out(words: str, calls: float) -> str:
    """Why a text is no query of the mix, "" if it is one."""
    if not calls:  # where plans are counted too (track_planning)
        return "planned and never run to an end (calls is 0)"
    if words == "<insufficient privilege>":
        return "another role's, not shown to who asked (pg_read_all_stats shows it)"
    try:
        tokens = [one for one in statement.tokens("query", words) if one.kind not in statement.SILENT]
    except ScenarioError:
        return "cut off in the middle"
    first = next((one.text.lower() for one in tokens if one.text != "("), "")
    if first not in _ASKS:
        return "commands, which are not asked in a mix"
    return "of the server's own catalogue" if _catalogue([one.text.lower() for one in tokens]) else ""


def _held(words: str) -> str:
    """Why a text may hold a value that somebody asked for, "" if it holds none.

    Numbers are none where they name a column of the answer (ORDER BY 1) or a type's length (varchar(20)).

    >>> [bool(_held(one)) for one in ("a = $1 ORDER BY 1, t.b DESC, 2 LIMIT $2", "a::varchar(20)", "f(a, $1)")]
    [False, False, False]
    >>> [bool(_held(one)) for one in ("a = 'x'", "a = 7", "f(a, 7)", "ORDER BY a, 7 + 1", "ORDER BY 1234")]
    [True, True, True, True, True]
    """
    tokens = [one for one in statement.tokens("query", words) if one.kind not in statement.SILENT]
    text = " ".join("$" if one.kind == "numbered" else one.text.lower() for one in tokens)
    numbers = re.search(r"(?:^| )\d", _LENGTH.sub(" ", _ORDERED.sub(" ", text)))
    if numbers or any(one.kind in ("string", "escape", "dollar") for one in tokens):
        return "they hold constants, which may be values of rows (--with-values takes them)"
    return ""


def _uncommented(words: str) -> str:
    """A text without comments, of which there is one in `IN ($1 /*, ... */)` too.

    >>> _uncommented("SELECT/* by joe@example.com */a IN ($1 /*, ... */)")
    'SELECT a IN ($1 )'
    """
    tokens = statement.tokens("query", words)
    return "".join(" " if one.kind in statement.SILENT[1:] else one.text for one in tokens).replace("  )", " )").strip()


def _catalogue(words: Sequence[str]) -> bool:
    """Does a query read the server's own tables and views, of its schemas or by their names, or its functions alone?

    >>> [_catalogue(text.split()) for text in ("from pg_class", "from pg_orders", "join pg_catalog . x", "from t")]
    [True, False, True, False]
    >>> [_catalogue(text.split()) for text in ("select pg_a ( )", "select f ( )", "select pg_catalog . f ( )")]
    [True, False, True]
    """
    pairs = list(itertools.pairwise(words))
    named = [after for before, after in pairs if before in ("from", "join", ",")]
    alone = not {"from", "into", "update"} & set(words) and any(one.startswith("pg_") for one in words)
    return alone or ("pg_catalog", ".") in pairs or any(one in _SCHEMAS or _OWN.fullmatch(one) for one in named)


def _named(ordered: list[tuple[str, tuple[float, float]]]) -> Iterator[Recorded]:
    taken: set[str] = set()
    for words, (calls, total) in ordered:
        text = sql(words)
        own = name = _name(text)
        while name in taken:
            name = f"{own}_{sum(one == own or one.startswith(f'{own}_') for one in taken) + 1}"
        taken.add(name)
        yield Recorded(name, text, calls, total)


def _name(text: str) -> str:
    """The verb and the first table.

    >>> _name('SELECT * FROM public."Big Table" b'), _name("INSERT INTO a.t VALUES ($1)"), _name("VALUES ($1)")
    ('select_big_table', 'insert_t', 'values')
    """
    verb = next(iter(re.findall(r"[a-z]+", text.lower())), "query")
    found = re.search(
        r'\b(?:from|into|update)\s+(?:only\s+)?((?:"[^"]+"|\w+)(?:\.(?:"[^"]+"|\w+))*)', text, re.IGNORECASE
    )
    last = re.findall(r'"[^"]+"|\w+', found[1])[-1] if found else ""
    return re.sub(r"[^a-z0-9]+", "_", f"{verb}_{last}".lower()).strip("_")[:48]


def sql(words: str) -> str:
    """pg_stat_statements' text as the server takes it.

    >>> sql("a > interval $1 AND b = timestamp with time zone $2 AND c IN ($3 /*, ... */) AND d = $4")
    'a > $1::interval AND b = $2::timestamp with time zone AND c IN ($3 /*, ... */) AND d = $4'
    """
    pieces = list(statement.tokens("query", words))
    made: list[str] = []
    at = 0
    while at < len(pieces):
        type_, after = _typed(pieces, at)
        if type_:
            made.append(f"{pieces[after].text}::{type_}")
            at = after + 1
        else:
            made.append(pieces[at].text)
            at += 1
    return "".join(made)


def _typed(pieces: list[Token], at: int) -> tuple[str, int]:
    """The type whose name begins at *at* and the place of the `$1` behind it; "" if it is none."""
    if pieces[at].kind != "word" or pieces[at].text.lower() not in _TYPES:
        return "", at
    words, at = [pieces[at].text], at + 1
    for expected in ((), *_ZONE):
        while at < len(pieces) and pieces[at].kind == "space":
            at += 1
        if at < len(pieces) and pieces[at].kind == "numbered":
            return " ".join(words), at
        if expected and at < len(pieces) and pieces[at].text.lower() in expected:
            words.append(pieces[at].text)
            at += 1
    while at < len(pieces) and pieces[at].kind == "space":
        at += 1
    return (" ".join(words), at) if at < len(pieces) and pieces[at].kind == "numbered" else ("", at)
