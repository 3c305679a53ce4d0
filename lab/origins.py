"""Where a query's parameters have their values from: the column each is compared with, written to, or named as."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import ROUND_DOWN, Decimal

from lab import assignments, explain, pg, predicates, refused, statement
from lab.assignments import Target
from lab.errors import IngestError, ScenarioError
from lab.likely import Dataset
from lab.model import Json, Parameter, Query, SqlFile
from lab.page import among
from lab.tables import Table, end

_PIECE = "it is a pattern or a part of a value (LIKE, ~, @>), and no column holds such"
_NEW = "it is written to {}, where a value that is there already is refused"
_PLAIN = re.compile(r"[^\W\d]\w*")


@dataclass(frozen=True)
class Origin:
    """A parameter; *words* for its source as a workload has them, "" where it is not known; *either*: what may be.

    *hint*: why nothing is taken for it. *told*: what to know of what is taken.
    """

    name: str
    words: str = ""
    either: tuple[str, ...] = ()
    hint: str = ""
    told: str = ""

    def shown(self) -> str:
        """As the query has it."""
        return self.name if self.name.startswith("$") else f":{self.name}"


def of(
    connection: pg.Connection, name: str, file: SqlFile, tables: Sequence[Table], made: Dataset, rows: int
) -> list[Origin]:
    """The parameters of a query in the order of their first use; IngestError where the server refuses the query."""
    query, found = plans(connection, name, file)
    trees = roots(connection)
    compared: dict[str, list[tuple[str, str]]] = {one.name: [] for one in query.params}
    pieces: set[str] = set()
    ranges: list[tuple[str, str]] = []
    for each, plan in zip(query.statements, found, strict=True):
        for number, columns in predicates.parameters(plan, trees).items():
            asked = compared[query.params[each.takes[number - 1]].name]
            asked += [(table, column) for (_, table), column in columns if (table, column) not in asked]
        ranges += [
            (query.params[each.takes[low - 1]].name, query.params[each.takes[high - 1]].name)
            for low, high in predicates.ranges(plan)
        ]
        pieces |= {query.params[each.takes[number - 1]].name for number in predicates.parts(plan)}
    known = {t.name: t for t in tables}
    written = assignments.targets(file, {t.name: [c.name for c in t.columns] for t in tables})
    hints = {} if _upserts(file) else {name: _NEW.format(column) for name, column in _new(written, known).items()}
    hints |= dict.fromkeys(pieces, _PIECE)
    for parameter, goes in written.items():
        compared[parameter] = compared[parameter] or [(target.table, target.column) for target in goes]
    origins = {
        one.name: Origin(one.name, hint=hints[one.name])
        if one.name in hints
        else _chosen(one.name, compared[one.name], known, made, rows)
        for one in query.params
    }
    for low, high in ranges:
        origins |= {one.name: one for one in _range(origins[low], origins[high], made)}
    return list(origins.values())


def roots(connection: pg.Connection) -> dict[predicates.Table, predicates.Table]:
    """Each partition's table at the top of its tree, both as (schema, name)."""
    rows = pg.rows(connection, pg.query("roots"))
    return {(one["schema"], one["name"]): (one["root_schema"], one["root_name"]) for one in rows}


def _range(low: Origin, high: Origin, made: Dataset) -> tuple[Origin, ...]:
    """The ends of a range, where both have the same source: the last day, or from a value on; else what is wrong."""
    if not low.words or low.words != high.words or low.name == high.name:
        return low, high
    both = f"{low.shown()} and {high.shown()} are the ends of a range, both from {low.words}"
    times = {name: one for name, one in made.streams.items() if "time" in one}
    spans = {(str(one["time"]["start"]), one["time"].get("step_s"), one.get("rows")) for one in times.values()}
    own = [f"{_name(name)}.{_name(one['time']['column'])}" for name, one in times.items()]
    if len(spans) == 1 and low.words in own:  # the window is that of all streams together
        ends = "window.to - 1d", "window.to"
        told = f"{both}, which would be empty: taken is {ends[0]} to {ends[1]}, a day (write how long it really is)"
        return replace(low, words=ends[0], told=told), replace(high, words=ends[1])
    if width := _width(low.words, made):
        told = f"{both}, which would be empty: taken is what is there and {width} from it (write how wide it really is)"
        return replace(low, told=told), replace(high, words=f"{high.words} + {width}")
    how = (
        "and half of the ranges are empty" if low.words.startswith("uniform(") else "of one row, and the range is empty"
    )
    told = f"{both}, {how} (give each its own, such as {low.name}=uniform(1, 100) and {high.name}=uniform(101, 200))"
    return replace(low, told=told), high


def _width(words: str, made: Dataset) -> str:
    """How far a range goes from a value of a column: a day, a tenth of what a law makes, 100; "" of what has no width.

    >>> columns = {"a": {"type": "integer", "law": "uniform(1, 1000)"}, "b": {"type": "date"}, "c": {"type": "text"}}
    >>> columns["d"] = {"type": "numeric(12, 2)", "law": "uniform(1, 9999999999)"}
    >>> columns["e"] = {"type": "numeric(8, 2)", "law": "uniform(0, 0.01)"}
    >>> made = Dataset("", {}, (), (), {"t": {"columns": columns}})
    >>> [_width(f"t.{one}", made) for one in "abcde"]
    ['99', '1d', '', '999999999.8', '0.01']
    """
    table, _, column = statement.parameter("", words).origin.partition(".")
    way = made.streams.get(table, {}).get("columns", {}).get(column, {})
    kind = way.get("type", "")
    if kind in ("timestamptz", "timestamp", "date"):
        return "1d"
    if not re.match("bigint|int|smallint|numeric|real|double|float", kind):
        return ""
    if not (law := re.fullmatch(r"uniform\((\S+), (\S+)\)", way.get("law", ""))):
        return "100"
    scale = re.fullmatch(r"numeric\(\d+, ?(\d+)\)", kind)
    digits = int(scale[1]) if scale else 6 if re.match("real|double|float", kind) else 0
    step = max((Decimal(law[2]) - Decimal(law[1])) / 10, Decimal(1).scaleb(-digits))
    text = f"{step.quantize(Decimal(1).scaleb(-digits), ROUND_DOWN):f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _upserts(file: SqlFile) -> bool:
    """Does the query say itself what becomes of a row whose key is there?"""
    return any(one.kind == "word" and one.text.lower() == "conflict" for one in statement.tokens(file.file, file.text))


def _new(written: Mapping[str, Sequence[Target]], tables: Mapping[str, Table]) -> dict[str, str]:
    """Parameters that need values which no row has: parts of a unique key that an INSERT is given as a whole."""
    given = {(one.table, one.column) for each in written.values() for one in each if one.inserted}
    found: dict[str, str] = {}
    for parameter, each in written.items():
        for one in each:
            keys = tables[one.table].unique if one.inserted and one.table in tables else ()
            if any(one.column in key and all((one.table, part) in given for part in key) for key in keys):
                found[parameter] = f"{one.table}.{one.column}"
    return found


def plans(connection: pg.Connection, name: str, file: SqlFile) -> tuple[Query, list[Json]]:
    """The query with its parameters, and the generic plan of each statement; nothing is executed."""
    query = statement.read(name, file.file, file.text, params=_every(file))
    found: list[Json] = []
    for one in query.statements:
        text = f"EXPLAIN (GENERIC_PLAN, VERBOSE, FORMAT JSON) {one.text}"
        try:
            _, ((plan,),) = pg.texts(connection, text)
        except pg.Error as error:
            place = refused.place(file.file, one.line, error.diag.statement_position, text)
            raise IngestError(f"{place}: {pg.words(error)}") from None
        found.append(explain.read(str(plan))["Plan"])
    return query, found


def _every(file: SqlFile) -> tuple[Parameter, ...] | None:
    """All parameters that the text has, in the order of their first use; None where its header says."""
    if statement.header(file.file, file.text).params is not None:
        return None
    used = [one.text.removeprefix(":") for one in statement.tokens(file.file, file.text) if one.kind in _KINDS]
    return tuple(Parameter(name, "", "uniform(1, 2)") for name in dict.fromkeys(used))


_KINDS = ("named", "numbered")


def _chosen(
    name: str, compared: Sequence[tuple[str, str]], tables: Mapping[str, Table], made: Dataset, rows: int
) -> Origin:
    """The source of a parameter: of what it is compared with the column of its name, or the only one.

    Columns that hold the same keys are as good as each other; where it is compared with none, a column of its name.
    """
    able = [words for one in compared if (words := _words(*one, tables, made, rows))]
    named = [words for one in compared if one[1] == name and (words := _words(*one, tables, made, rows))]
    whose = {end(tables, frozenset(), *one) for one in compared if one[0] in tables}
    if not compared:
        columns = [(table, name) for table, own in tables.items() if any(one.name == name for one in own.columns)]
        able = [words for one in columns if (words := _words(*one, tables, made, rows))]
    for choice in (able, named):
        if len(set(choice)) == 1 or (choice and _alike(choice, made)):
            return Origin(name, choice[0])
    if able and len(whose) == 1:  # keys that the server counts, and columns that refer to them
        return Origin(name, next((words for words in able if not words.startswith("uniform(")), able[0]))
    return Origin(name, "", tuple(dict.fromkeys(able)))


def _alike(words: Sequence[str], made: Dataset) -> bool:
    """Do all of these columns hold the keys of one entity?"""
    keys = set()
    for one in words:
        table, _, column = one.replace('"', "").partition(".")
        keys.add(made.streams.get(table, {}).get("columns", {}).get(column, {}).get("of", one))
    return len(keys) == 1


def _words(table: str, column: str, tables: Mapping[str, Table], made: Dataset, rows: int) -> str:
    """The source for values of a column: the stream's own, or the numbers that the server gives; "" where none."""
    if column in made.streams.get(table, {}).get("columns", {}):
        return f"{_name(table)}.{_name(column)}"
    own = next((one for one in tables[table].columns if one.name == column), None) if table in tables else None
    if own is not None and own.counted:
        return f"uniform(1, {_size(table, made, rows)})"
    return ""


def _size(table: str, made: Dataset, rows: int) -> int:
    entity = made.streams.get(table, {}).get("rows")
    if isinstance(entity, int):
        return entity
    return made.entities.get(str(entity), rows) if entity else rows


def _name(word: str) -> str:
    return word if _PLAIN.fullmatch(word) else json.dumps(word, ensure_ascii=False)


def given(params: Mapping[str, str], made: Dataset) -> dict[str, str]:
    """The sources that the command line names; ScenarioError with all that cannot be."""
    mistakes: list[str] = []
    for name, words in params.items():
        try:
            origin = statement.parameter(name, words).origin
        except ValueError as error:
            mistakes.append(f"--param {name}={words}: {error}")
            continue
        table, _, column = origin.partition(".")
        if origin and table != "window" and table not in made.streams:
            mistakes.append(f"--param {name}={words}: no table {table!r} with rows {among(table, made.streams)}")
        elif origin and table != "window" and column not in made.streams[table]["columns"]:
            known = list(made.streams[table]["columns"])
            mistakes.append(
                f"--param {name}={words}: no column {column!r} in the rows of {table} {among(column, known)}"
            )
    if mistakes:
        raise ScenarioError(mistakes)
    return dict(params)
