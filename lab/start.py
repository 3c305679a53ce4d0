"""`pglab init`: a scenario that teaches the format, or one made of a schema and of what a server was asked.

    dump, migrations or a live server -> a disposable server -> rows -> queries, their parameters' sources -> scenario

What could not be known stays a marked hole: the scenario is written, and `pglab run --dry-run` names file and line.
"""

import json
import re
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from lab import (
    alembic,
    alike,
    catalogue,
    dump,
    experiment,
    lesson,
    migration,
    origins,
    parts,
    pg,
    prepare,
    production,
    recorded,
    scenario,
    sketch,
    touched,
)
from lab.alike import Counted
from lab.dump import Dump
from lab.errors import IngestError, ScenarioError
from lab.hosts import Host, Server
from lab.likely import Dataset
from lab.migration import Script
from lab.model import Endpoint, Json, SqlFile
from lab.production import Read
from lab.recorded import Record, Recorded
from lab.sketch import DAYS, Rows, Sketch, Sketched
from lab.tables import Table

ROWS = 100_000
NAME = "my-question"
_NAME = re.compile(r"\w[\w.-]*")
_DUMPED = "the server's schema"
_HOLE = re.compile(r": no source for its values \(")


@dataclass(frozen=True)
class Asked:
    """What the command line said; *schema*: a dump, or *migrations*: a folder, or neither.

    *source*: a DSN of a server whose statistics are taken, and whose schema where no other is given; with *values* of
    its rows too, where the user consents. *data*: files of rows, each TABLE=FILE or named after its table.
    """

    name: str = NAME
    schema: Path | None = None
    migrations: Path | None = None
    queries: Path | None = None
    source: str | None = None
    values: bool = False
    data: tuple[str, ...] = ()


@dataclass(frozen=True)
class Done:
    """How it ended: what to say (the last line last) and data."""

    said: tuple[str, ...]
    data: Json


def perform(asked: Asked, tell: Callable[[str], None]) -> Done:
    """Write the scenario; LabError where it cannot be, and then nothing is written."""
    if not _NAME.fullmatch(asked.name):
        raise ScenarioError(f"{asked.name!r}: is no name for a scenario (letters, digits, - _ .)")
    folder = Path.cwd() / "scenarios" / asked.name
    shown = f"scenarios/{asked.name}"
    if folder.exists() or folder.is_symlink():
        raise ScenarioError(f"{shown}: is there already (say another name: pglab init NAME, or remove it)")
    if asked.schema is not None and asked.migrations is not None:
        raise ScenarioError("--schema, --from-migrations: both say which tables there are (give one of them)")
    if asked.values and asked.source is None:
        raise ScenarioError("--with-values: of which server's rows? (--from DSN)")
    if asked.schema is None and asked.migrations is None and asked.source is None:
        if asked.queries is not None:
            raise ScenarioError("--queries: of which tables? (--schema dump.sql, made by pg_dump -s)")
        if asked.data:
            raise ScenarioError("--data: rows of which tables? (--schema dump.sql, made by pg_dump -s)")
        files, notes = lesson.files(asked.name), list[str]()
    else:
        files, notes = _made(asked, tell)
    _checked(asked.name, files)
    experiment.write(folder, files)
    last = f"I have created a scenario at {shown}, please read its README.md first; then: pglab run {shown} --dry-run"
    return Done((*notes, last), {"scenario": shown, "notes": notes})


def _checked(name: str, files: dict[str, str]) -> None:
    """Read the scenario as a run would: other mistakes than holes would be ours."""
    try:
        scenario.read(name, scenario.kept(files), parts)
    except ScenarioError as error:
        others = [one for one in error.mistakes if not _HOLE.search(one)]
        if others:
            raise ScenarioError(others) from None


# --- what is given --------------------------------------------------------------------------


def _read(asked: Asked, tell: Callable[[str], None]) -> Read | None:
    """What the server of the DSN says, None where no DSN was given."""
    if asked.source is None:
        return None
    tell("reading the server, in one transaction that cannot write")
    return production.read(asked.source, values=asked.values, dumped=asked.schema is None and asked.migrations is None)


def _scripts(asked: Asked, read: Read | None, tell: Callable[[str], None]) -> tuple[Script, ...]:
    path = asked.schema or asked.migrations
    if path is None:
        assert read is not None
        return (Script(_DUMPED, read.schema),)
    if asked.schema is not None and path.is_dir():
        raise ScenarioError(f"{path}: is a folder (--from-migrations takes one; --schema takes a file)")
    if asked.migrations is not None and path.is_file():
        raise ScenarioError(f"{path}: is a file (--schema takes one; --from-migrations takes a folder)")
    home = alembic.home(path) if asked.migrations is not None else None
    if home is not None:
        tell("running the project's own alembic upgrade heads --sql, which is offline")
        return alembic.written(home)
    return migration.read(path)


def _recorded(asked: Asked, read: Read | None, notes: list[str]) -> Record | None:
    """What was asked: of a file, or of the server, where nothing of it is no mistake but goes to *notes*."""
    if asked.queries is not None:
        return _of_file(asked.queries)
    if read is None or not read.asked:
        return None
    try:
        return recorded.read("pg_stat_statements", read.asked, values=asked.values)
    except ScenarioError as error:
        notes.append(str(error))
        return None


def _of_file(path: Path) -> Record:
    try:
        return recorded.read(path.as_posix(), path.read_text(encoding="utf-8-sig"))
    except UnicodeDecodeError as error:
        raise ScenarioError(f"{path}: is no text in UTF-8: {error.reason} at byte {error.start}") from None
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise ScenarioError(f"{path}: cannot be read: {why}") from None


# --- on a disposable server -----------------------------------------------------------------


@contextmanager
def _server() -> Iterator[tuple[Host, Server]]:
    embedded = parts.load("hosts", "embedded")
    with (
        embedded.opened(f"init-{secrets.token_hex(4)}") as host,
        host.private() as private,
        private.server("init", {}, host.workdir("logs")) as server,
    ):
        pg.make_database(server.conninfo(user="pglab"))
        yield host, server


def _made(asked: Asked, tell: Callable[[str], None]) -> tuple[dict[str, str], list[str]]:
    """The scenario's files, and what is to be told."""
    read = _read(asked, tell)
    told = list(read.notes) if read else []
    scripts, record = _scripts(asked, read, tell), _recorded(asked, read, told)
    tell("trying the schema on a disposable server")
    with _server() as (host, server):
        dumps = _applied(host, server, scripts)
        paths = _search_path(host, server)
        with pg.connected(server.conninfo()) as connection:
            rows = _rows(connection, read, asked.data, record)
            if not rows.made.streams:
                raise ScenarioError(f"{_given(asked)}: makes no table that rows could come to")
            queries, notes = _queries(connection, record, rows) if record else ([_count(rows.made)], [])
        refused = () if rows.made.holes else catalogue.attempt(_end(server), rows.made, days=DAYS, rows=rows.most)
    if record is None:
        notes.append("no queries were given: workload/ has one that counts rows; put yours in its place")
    holes = [f"workload/data.yaml: {one}" for one in (*rows.made.holes, *refused)]
    open_ = [f"workload/{one.name}.sql: no source for {', '.join(one.holes)}" for one in queries if one.holes]
    left = [note for one in dumps for note in one.notes]
    said = [*told, *left, *(f"rows: {one}" for one in rows.made.notes), *notes]
    schema = "".join(_titled(script, one, len(scripts)) for script, one in zip(scripts, dumps, strict=True)) + paths
    weighted = asked.queries is not None or asked.source is not None
    drawn = Sketch(asked.name, schema, rows, tuple(queries), weighted=weighted, values=asked.values)
    return sketch.files(drawn, said, [*holes, *open_]), [*said, *(f"hole: {o}" for o in (*holes, *open_))]


def _titled(script: Script, made: Dump, scripts: int) -> str:
    return f"-- {script.file}\n{made.text.rstrip()}\n\n" if scripts > 1 else made.text


def _given(asked: Asked) -> str:
    """What was to have tables, as messages name it; no DSN, which may hold a password."""
    return str(asked.schema or asked.migrations or _DUMPED)


def _rows(connection: pg.Connection, read: Read | None, data: Sequence[str], record: Record | None) -> Rows:
    """The rows of the tables that *connection* sees: brought, likely, or alike to those of the server that was read.

    Where they cannot be had for all tables, those that no query touches stay empty.
    """
    tables = catalogue.tables(connection)
    homes = {one.name: (catalogue.home(connection, one.name), one.name) for one in tables} if read else {}
    counted = {name: read.tables[key] for name, key in homes.items() if read and key in read.tables}
    sizes = alike.sizes(counted, ROWS)
    most = max(sizes.values(), default=ROWS)
    made = catalogue.of(connection, most, data, sizes)
    if made.holes and record:
        less = catalogue.of(connection, most, data, sizes, _touched(connection, record, tables))
        made = less if less.streams and len(less.holes) < len(made.holes) else made
    if read is None:
        return Rows(made, most)
    made = alike.adjusted(made, tables, counted, most)
    there = {name: round(counted[name].rows or 0) for name in made.entities if name in counted}
    memory = [f"{key}: {value // 1024}KiB" for key, value in read.memory.items()]
    known = {name: rows for name, rows in there.items() if rows}
    entities = [f"entities: {json.dumps(known, ensure_ascii=False)}"] if known else []
    return Rows(made, most, f"production: {{{', '.join([*entities, *memory])}}}", _seen(counted, read.version))


def _touched(connection: pg.Connection, record: Record, tables: Sequence[Table]) -> frozenset[str]:
    """The tables of the recorded queries, as far as the server takes these; what it does not take is told elsewhere."""
    found: frozenset[str] = frozenset()
    for one in record.queries:
        with suppress(IngestError, ScenarioError):
            found |= touched.of(connection, {one.name: SqlFile(one.name, one.text)}, tables)
    return found


def _seen(counted: Mapping[str, Counted], version: str) -> tuple[str, ...]:
    """What the rows are alike to, a line each."""
    tables = (f"{name}: {one.rows:,.0f} rows" for name, one in counted.items() if one.rows)
    return (f"a server of PostgreSQL {version}, by its own statistics", *tables)


def _end(server: Server) -> Endpoint:
    return Endpoint("init", "write", server.conninfo())


def _applied(host: Host, server: Server, scripts: Sequence[Script]) -> list[Dump]:
    """Each script as it may be run, after it was; IngestError with file and line, and what was left out before."""
    with pg.connected(server.conninfo()) as connection:
        extensions = {one["name"] for one in pg.rows(connection, pg.query("extensions"))}
    dumps = [dump.read(one.file, one.text, extensions) for one in scripts]
    dumps = [
        replace(one, text=dump.bare(one.text)) if script.file == _DUMPED else one
        for script, one in zip(scripts, dumps, strict=True)
    ]
    for script, one in zip(scripts, dumps, strict=True):
        try:
            prepare.apply(host.psql(), _end(server), SqlFile(script.file, one.text), "the embedded server", locked=True)
        except IngestError as error:
            lacking = [production.EDITED] if script.file == _DUMPED else []
            lacking += [note for each in dumps for note in each.notes if re.search(": extension |: psql's", note)]
            raise IngestError("\n".join([str(error), *lacking])) from None
    return dumps


def _search_path(host: Host, server: Server) -> str:
    """SQL by which the tables of other schemas than public are found by their bare names; "" where there are none."""
    with pg.connected(server.conninfo()) as connection:
        schemas = dict.fromkeys(one["schema"] for one in pg.rows(connection, pg.query("catalogue_elsewhere")))
    if not schemas:
        return ""
    path = ", ".join(map(pg.ident, ("public", *schemas)))
    text = f"\n-- Rows come to tables by their bare names.\nALTER ROLE CURRENT_USER SET search_path = {path};\n"
    prepare.apply(host.psql(), _end(server), SqlFile("schema.sql", text), "the embedded server")
    return text


def _queries(connection: pg.Connection, record: Record, rows: Rows) -> tuple[list[Sketched], list[str]]:
    """The queries that the server understands, with their weights, and what is to be told of them."""
    tables = catalogue.tables(connection)
    kept: list[tuple[Recorded, list[origins.Origin]]] = []
    notes = list(record.notes)
    for one in record.queries:
        try:
            found = origins.of(connection, one.name, SqlFile(one.name, one.text), tables, rows.made, rows.most)
        except (IngestError, ScenarioError) as error:
            notes.append(f"query left out, the server does not take it: {error}")
            continue
        kept.append((one, found))
        notes += [f"workload/{one.name}.sql: {each.told}" for each in found if each.told]
    if not kept and rows.seen:
        return [_count(rows.made)], [*notes, "no query of the server's fits: workload/ has one that counts rows"]
    if not kept:
        raise ScenarioError("\n".join(["--queries: no query fits the schema", *notes]))
    share = record.share(tuple(one for one, _ in kept))
    if share is not None:
        notes.append(f"the queries that were taken are {share:.1%} of the recorded time")
    least = min(one.calls for one, _ in kept if one.calls) if any(one.calls for one, _ in kept) else 1.0
    return [_query(one, found, least) for one, found in kept], notes


def _query(one: Recorded, found: Sequence[origins.Origin], least: float) -> Sketched:
    known = [f"{each.name}={each.words}" for each in found if each.words]
    lines = [f"-- params: {', '.join(known)}"] if known else []
    for each in (each for each in found if not each.words):
        may = f"it may be {' or '.join(each.either)}; " if each.either else f"{each.hint}; " if each.hint else ""
        lines.append(
            f"-- {each.name} has no source yet: {may}write it into the line `params`, such as "
            f"{each.name}=table.column, or {each.name}=constant(20) or constant('a text') for what is always the same"
        )
    holes = tuple(each.name for each in found if not each.words)
    return Sketched(one.name, "\n".join([*lines, one.text]) + "\n", max(1, round(one.calls / least)), holes)


def _count(made: Dataset) -> Sketched:
    table = max(made.streams, key=lambda name: name not in made.entities)
    return Sketched("count_rows", f"SELECT count(*) FROM {pg.ident(table)}\n", 1, ())
