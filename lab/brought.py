"""Rows that people bring as files, in the place of invented ones: which table each belongs to, and whether they fit."""

import graphlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from lab import likely, literals, parts
from lab.errors import ScenarioError
from lab.likely import Dataset
from lab.model import Json, Lab, Stream
from lab.page import among
from lab.tables import Column, Table

_KINDS = {".csv": "csv", ".parquet": "parquet", ".pq": "parquet"}
_COMPRESSED = (".gz", ".bz2", ".zst", ".zip")


def tables_of(given: Sequence[str], tables: Sequence[Table]) -> dict[str, list[str]]:
    """Table -> files, of the words TABLE=FILE or FILE, which is then named after its table; ScenarioError if not.

    >>> tables_of(["data/events.csv", "devices=day=1/*.parquet"], [Table("events", ()), Table("devices", ())])
    {'events': ['data/events.csv'], 'devices': ['day=1/*.parquet']}
    """
    names = [one.name for one in tables]
    found: dict[str, list[str]] = {}
    for words in given:
        own, said, file = words.partition("=")
        if not said or "/" in own:  # as in day=1/a.parquet
            own, said, file = _stem(words), "", words
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

    Rows that refer to others are brought with these, and a table that refers to what is brought is brought too:
    nobody can invent keys that a file has. *sizes*: how many rows are invented for a table, where that is known.
    """
    others = [one for one in tables if one.name not in files]
    alone = [replace(one, foreign=tuple(key for key in one.foreign if key.table not in files)) for one in others]
    invented = likely.dataset(alone, rows, sizes)
    streams = {name: _stream(table, files[name]) for name, table in _named(tables).items() if name in files}
    holes = [
        f"{table.name}.{', '.join(one.columns)}: refers to {one.table}; rows of either are brought with those of the "
        f"other (--data {lacking}=FILE)"
        for table in tables
        for one in table.foreign
        for lacking in (table.name if table.name not in files else one.table,)
        if (table.name in files) != (one.table in files)
    ]
    order = [name for name in _ordered(tables) if name in streams or name in invented.streams]
    both = {name: streams.get(name) or invented.streams[name] for name in order}
    referred = {one.table for table in tables if table.name in files for one in table.foreign}
    made = likely.told(both, invented.entities, invented.notes, (*invented.holes, *holes))
    texts = any(as_text for name in streams for as_text in map(likely.as_text, _brought(_named(tables)[name], streams)))
    return replace(made, whole=frozenset(referred), method=literals.METHOD if texts else invented.method)


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
