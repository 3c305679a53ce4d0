"""Rows that people bring as files, in the place of invented ones: which table each belongs to, and whether they fit."""

import graphlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from lab import likely, literals, parts
from lab.errors import ScenarioError
from lab.likely import Dataset
from lab.model import Json, Lab, Stream
from lab.page import among
from lab.tables import Brought, Column, Foreign, Table, end

_KINDS = {".csv": "csv", ".parquet": "parquet", ".pq": "parquet"}
_COMPRESSED = (".gz", ".bz2", ".zst", ".zip")


def tables_of(given: Sequence[str], tables: Sequence[Table]) -> dict[str, list[str]]:
    """Table -> files, of the words TABLE=FILE or FILE, which is then named after its table; ScenarioError if not.

    >>> tables_of(["data/events.csv", "devices=day=1/*.parquet"], [Table("events", ()), Table("devices", ())])
    {'events': ['data/events.csv'], 'devices': ['day=1/*.parquet']}
    >>> tables_of(['"My own"=a.csv'], [Table("My own", ()), Table("t", ())])
    {'My own': ['a.csv']}
    """
    names = [one.name for one in tables]
    found: dict[str, list[str]] = {}
    for words in given:
        own, said, file = words.partition("=")
        if not said or "/" in own:  # as in day=1/a.parquet
            own, said, file = _stem(words), "", words
        if re.fullmatch('".+"', own):  # as in SQL
            own = own[1:-1].replace('""', '"')
        if own not in names and not said and len(names) == 1:
            own = names[0]
        if own not in names:
            way = "" if said else f"; say which with --data TABLE={file}"
            raise ScenarioError(f"--data {words}: no table {own!r} {among(own, names)}{way}")
        found.setdefault(own, []).append(file)
    return found


def dataset(
    tables: Sequence[Table], files: Mapping[str, Sequence[str]], rows: int, sizes: Mapping[str, int] = {}
) -> Dataset:
    """The rows of *files*, by their tables, and invented ones for the other *tables*; ScenarioError if a file is none.

    What the files' rows refer to is invented with the keys that they name, and what refers to them with keys that they
    have. *sizes*: how many rows are invented for a table, where that is known.
    """
    known = _named(tables)
    streams = {name: _stream(known[name], files[name]) for name in known if name in files}
    held, holes = _held(known, streams)
    invented = likely.dataset(tables, rows, sizes, held)
    order = [name for name in _ordered(tables) if name in streams or name in invented.streams]
    both = {name: streams.get(name) or invented.streams[name] for name in order}
    referred = {one.table for table in tables if table.name in files for one in table.foreign}
    made = likely.told(both, invented.entities, invented.notes, (*invented.holes, *holes))
    texts = any(as_text for name in streams for as_text in map(likely.as_text, _brought(known[name], streams)))
    return replace(made, whole=frozenset(referred), method=literals.METHOD if texts else invented.method)


def _held(tables: Mapping[str, Table], streams: Mapping[str, Mapping[str, Json]]) -> tuple[Brought, list[str]]:
    """The keys that the files have of the tables beside theirs, and holes for what nobody can invent by these."""
    held = _Held(tables, streams)
    for table in tables.values():
        for one in (one for one in table.foreign if (table.name in streams) != (one.table in streams)):
            held.across(table.name, one)
    return Brought(frozenset(streams), *held.counted()), held.holes


@dataclass
class _Held:
    """Foreign keys between tables with files and others: keys *found* by (table, column), *counts* of them."""

    tables: Mapping[str, Table]
    streams: Mapping[str, Mapping[str, Json]]
    found: dict[tuple[str, str], list[Json]] = field(default_factory=dict)
    counts: dict[tuple[str, str], int] = field(default_factory=dict)
    holes: list[str] = field(default_factory=list)

    def across(self, table: str, one: Foreign) -> None:
        """Take in a foreign key of *table*, of which one side has files and the other has not."""
        streams, where = self.streams, f"{table}.{', '.join(one.columns)}: refers to {one.table}"
        whose = end(self.tables, streams.keys(), one.table, one.theirs[0])
        if len(one.columns) > 1:
            lacking = table if table not in streams else one.table
            way = f"rows of both are brought, or of neither (--data {lacking}=FILE)"
            self.holes.append(f"{where} by several columns; {way}")
        elif table in streams:
            if whose[0] not in streams and one.columns[0] in streams[table]["columns"]:
                self.found.setdefault(whose, []).append(_keys(streams[table], one.columns[0]))
        elif end(self.tables, streams.keys(), table, one.columns[0]) != whose:
            self.holes.append(f"{where}, and to another table as well (--data {table}=FILE)")
        elif whose[1] in streams[whose[0]]["columns"]:
            self.found[whose] = [_keys(streams[whose[0]], whose[1])]
        elif _column(self.tables, *whose).counted:  # the server gives them numbers
            self.counts[whose] = streams[whose[0]]["rows"]
        else:
            self.holes.append(f"{where}, whose files have no column {whose[1]} (--data {table}=FILE)")

    def counted(self) -> tuple[dict[tuple[str, str], Json], dict[tuple[str, str], int]]:
        """`keys` of each column as data.yaml has them, and how many there are."""
        for (name, column), keys in self.found.items():
            own = _column(self.tables, name, column)
            if (type_ := likely.type_of(own)) is None:
                what = f"{name}.{column}: keys of type {literals.shown(own.type)} are not invented"
                self.holes.append(f"{what} (--data {name}=FILE)")
            elif count := parts.load("sources", "synthetic").count(keys, type_, "--data"):
                self.counts[name, column] = count
            elif name in self.streams:
                self.holes.append(
                    f"{name}: its files have no {column}, to which others refer (bring rows that have one)"
                )
        for name in dict.fromkeys(name for name, _ in self.counts):
            of = {column: count for (one, column), count in self.counts.items() if one == name}
            if len(set(of.values())) > 1:
                told = " and ".join(f"{count:,} of {column}" for column, count in of.items())
                way = "--data of the tables that refer to it" if name in self.streams else f"--data {name}=FILE"
                self.holes.append(f"{name}: is referred to by several columns, of which files have {told} ({way})")
        held = {whose: keys[0] if len(keys) == 1 else keys for whose, keys in self.found.items()}
        return {whose: keys for whose, keys in held.items() if whose in self.counts}, self.counts


def _column(tables: Mapping[str, Table], table: str, column: str) -> Column:
    return next(one for one in tables[table].columns if one.name == column)


def _keys(stream: Mapping[str, Json], column: str) -> dict[str, Json]:
    return {"kind": stream["kind"], "files": stream["files"], "column": column}


def _brought(table: Table, streams: Mapping[str, Mapping[str, Json]]) -> list[Column]:
    """The columns of *table* that its files bring."""
    return [one for one in table.columns if one.name in streams[table.name]["columns"]]


def _named(tables: Sequence[Table]) -> dict[str, Table]:
    return {one.name: one for one in tables}


def _stem(file: str) -> str:
    """The name of a file without what its ending says.

    >>> _stem("a/events.csv.gz"), _stem("events-*.parquet")
    ('events', 'events-*')
    """
    path = Path(file)
    return Path(path.stem).stem if path.suffix in _COMPRESSED else path.stem


def _stream(table: Table, files: Sequence[str]) -> dict[str, Json]:
    """The stream of a table's files: their columns in the types of the table, where these have a name in data.yaml."""
    kinds = {_kind(file) for file in files}
    if len(kinds) > 1:
        raise ScenarioError(f"--data: {table.name}: files of one table are of one kind ({', '.join(sorted(kinds))})")
    (kind,) = kinds
    options = {"files": files[0] if len(files) == 1 else list(files)}
    source = parts.load("sources", kind).opened(Stream(table.name, kind, options, "--data"), Lab(), seed=0)
    literal = {one.name for one in table.columns if one.labels or (kind == "csv" and likely.as_text(one))}
    known = {one.name: "text" if one.name in literal else likely.type_of(one) for one in table.columns}
    columns = {name: {"type": known[name]} if known.get(name) else {} for name in source.schema.names}
    return {"kind": kind, **options, "rows": source.rows, "columns": columns}


def _kind(file: str) -> str:
    path = Path(file)
    suffix = Path(path.stem).suffix if path.suffix in _COMPRESSED else path.suffix
    if suffix.lower() not in _KINDS:
        if path.suffix == ".zip":
            return "csv"
        raise ScenarioError(f"--data {file}: is of no kind that is known (by its ending: {', '.join(_KINDS)})")
    return _KINDS[suffix.lower()]


def _ordered(tables: Sequence[Table]) -> list[str]:
    """Tables after those that they refer to; as they were made, where they refer to each other."""
    refers = {table.name: {one.table for one in table.foreign} - {table.name} for table in tables}
    try:
        return list(graphlib.TopologicalSorter(refers).static_order())
    except graphlib.CycleError:
        return [table.name for table in tables]
