"""The tables of a live schema, as far as rows for them depend on it; and the rows, tried on that server.

    connection -> tables -> likely.dataset -> data.yaml, tried by `attempt`

The schema has been applied to a disposable server, by the author's role; nothing is asked of anybody's production.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import time
from typing import Any

from lab import brought, datayaml, likely, partitions, parts, pg, touched
from lab.errors import IngestError
from lab.ingest import Load
from lab.likely import Dataset
from lab.model import Endpoint, Lab, Stream
from lab.tables import Column, Foreign, Table

TRIED_ROWS = 300
_AS_TEXT = "columns have types that the server reads from text alone: every candidate takes its rows by {method}"


def of(
    connection: pg.Connection,
    rows: int,
    given: Sequence[str] = (),
    sizes: Mapping[str, int] = {},
    only: Iterable[str] | None = None,
) -> Dataset:
    """data.yaml for the tables that *connection* sees by their bare names, the largest with *rows* rows.

    *given*: files of rows that are brought, as brought.tables_of reads them. *sizes*: rows of a table, where known.
    *only*: the tables that need rows, beside those that are brought and what these refer to; the others stay empty.
    """
    every = tables(connection)
    files = brought.tables_of(given, every)
    kept = touched.needed(every, [one.name for one in every] if only is None else [*only, *files])
    known = [one for one in every if one.name in kept]
    made = _spread(connection, brought.dataset(known, files, rows, sizes), rows)
    empty = tuple(touched.told(every, kept))
    made = replace(made, notes=(*made.notes, *empty), left="".join(f"# {one}\n" for one in empty))
    elsewhere = tuple(
        f"table {one['table']}: is in a schema that is not on the search_path, and gets no rows "
        f"(ALTER ROLE lab SET search_path = public, {pg.ident(one['schema'])}; in the schema file, "
        "or load it by a load.sql)"
        for one in pg.rows(connection, pg.query("catalogue_elsewhere"))
    )
    way = () if made.method == likely.Dataset.method else (_AS_TEXT.format(method=made.method),)
    return replace(made, notes=(*made.notes, *way, *elsewhere))


def _spread(connection: pg.Connection, made: Dataset, rows: int) -> Dataset:
    """*made* with times that lie evenly between the bounds of the partitions, where a table has these by its time."""
    streams = dict(made.streams)
    for (table, column), bounds in _bounds(connection).items():
        stream = streams.get(table, {})
        if stream.get("time", {}).get("column") == column and (found := partitions.span(bounds)):
            begin, end = found
            step_s = round((end - begin).total_seconds() / stream.get("rows", rows), 6)
            start = begin.date() if begin.time() == time() else begin
            streams[table] = {**stream, "time": {"column": column, "start": start.isoformat(), "step_s": step_s}}
    return replace(made, streams=streams, text=datayaml.text(streams))


def _bounds(connection: pg.Connection) -> dict[tuple[str, str], list[str]]:
    return {(one["table"], one["column"]): one["bounds"] for one in pg.rows(connection, pg.query("catalogue_bounds"))}


def tables(connection: pg.Connection) -> tuple[Table, ...]:
    """Every table that a stream can be named after, in the order they were made."""
    columns: dict[str, list[Column]] = {}
    bounds = _bounds(connection)
    for row in pg.rows(connection, pg.query("catalogue_columns")):
        within = partitions.checks(bounds.get((row["table"], row["name"]), ()))
        column = _column(row)
        columns.setdefault(row["table"], []).append(replace(column, checks=(*column.checks, *within)))
    rules: dict[str, list[Mapping[str, Any]]] = {name: [] for name in columns}
    for row in pg.rows(connection, pg.query("catalogue_constraints")):
        rules[row["table"]].append(row)
    return tuple(_table(name, columns[name], rules[name], columns) for name in columns)


def _column(row: Mapping[str, Any]) -> Column:
    length, precision, scale = _modified(row["type"], row["modifier"])
    return Column(
        name=row["name"],
        type=row["type"],
        length=length,
        precision=precision,
        scale=scale,
        not_null=row["not_null"],
        generated=row["generated"],
        counted=row["counted"],
        defaulted=row["defaulted"],
        labels=tuple(row["labels"]),
        checks=tuple(row["checks"]),
    )


def _modified(type_: str, modifier: int) -> tuple[int | None, int | None, int]:
    """(length, precision, scale) by pg_attribute.atttypmod, which is 4 too large but for bits.

    >>> _modified("varchar", 24), _modified("numeric", (12 << 16) + 2 + 4), _modified("numeric", -1)
    ((20, None, 0), (None, 12, 2), (None, None, 0))
    >>> _modified("bit", 3)
    (3, None, 0)
    """
    if type_ in ("bit", "varbit"):
        return modifier if modifier > 0 else None, None, 0
    if modifier < 4:
        return None, None, 0
    if type_ in ("varchar", "bpchar"):
        return modifier - 4, None, 0
    return (None, (modifier - 4) >> 16, (modifier - 4) & 0x7FF) if type_ == "numeric" else (None, None, 0)


def _table(
    name: str, columns: Sequence[Column], rules: Sequence[Mapping[str, Any]], known: Mapping[str, object]
) -> Table:
    foreign = [one for one in rules if one["kind"] == "f" and one["other"] in known]
    return Table(
        name=name,
        columns=tuple(columns),
        unique=tuple(tuple(one["columns"]) for one in rules if one["kind"] == "u"),
        foreign=tuple(
            Foreign(tuple(one["columns"]), one["other"], tuple(one["theirs"]), one["cascades"]) for one in foreign
        ),
        checks=tuple(one["text"] for one in rules if one["kind"] == "c"),
    )


# --- tried ----------------------------------------------------------------------------------


def attempt(endpoint: Endpoint, made: Dataset, *, days: int, rows: int, tried: int = TRIED_ROWS) -> tuple[str, ...]:
    """What the server refuses of the first and last *tried* of *rows* rows, () if nothing; they stay there.

    What foreign keys point to is loaded whole. A table whose rows are refused is named with its column and the way
    out; those that refer to it are then not tried.
    """
    lab = Lab(rows=rows, days=days, entities=made.entities)
    load: Load = parts.load("ingest", made.method).load
    refused: list[str] = []
    for name, options in made.streams.items():
        stream = Stream(name, options["kind"], datayaml.options(options), "data.yaml")
        source = parts.load("sources", stream.kind).opened(stream, lab, seed=0)
        first = source.rows if name in made.entities or name in made.whole else min(source.rows, tried)
        spans = [(0, first), (max(first, source.rows - tried), source.rows)]
        try:
            for begin, end in (one for one in spans if one[0] < one[1]):
                load(endpoint, (_home(endpoint, name), name), source.schema, source.batches(begin, end), connections=1)
        except IngestError as error:
            refused.append(f"{error} ({_way_out(options, str(error))})")
            break
    return tuple(refused)


def _way_out(stream: Mapping[str, Any], error: str) -> str:
    """What to do about rows that a table refuses."""
    if "files" in stream:
        return f"put the rows of {stream['files']} right, or leave the column out of them"
    if "foreign key" in error:
        return "tables that refer to each other in a circle cannot be filled: take one key out of every schema"
    return "give rows of your own with --data, or take the rule out of every schema"


def _home(endpoint: Endpoint, table: str) -> str:
    with pg.connected(endpoint.conninfo) as connection:
        return home(connection, table)


def home(connection: pg.Connection, table: str) -> str:
    """The schema of the table that is found by its bare name."""
    asked = (
        "SELECT n.nspname AS schema FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
        "WHERE c.oid = to_regclass(%s)"
    )
    return str(pg.ask(connection, asked, [pg.ident(table)])["schema"])
