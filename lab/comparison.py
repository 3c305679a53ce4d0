"""`pglab compare`: schema files and queries become a scenario, which is run like any other.

    files -> each schema applied to a disposable server -> likely rows, tried -> parameters' sources -> scenario -> run

What was guessed is told, what cannot be guessed is asked for, and all of it stands in the scenario afterwards, whose
files are made to be edited.
"""

import json
import re
import secrets
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from lab import (
    catalogue,
    dump,
    experiment,
    origins,
    parts,
    pg,
    prepare,
    publish,
    scenario,
    session,
    show,
    statement,
    store,
    touched,
)
from lab.errors import IngestError, LabError, ScenarioError
from lab.hosts import Host, Server
from lab.likely import Dataset
from lab.model import Endpoint, SqlFile
from lab.origins import Origin
from lab.run import Stop

ROWS = 100_000
DAYS = 10
_NAME = re.compile(r"\w[\w.-]*")
_KEYED = re.compile(r"^\\(?:un)?restrict\b.*", re.MULTILINE)
_DIGITS = 12
_COUNT = re.compile(r"(\d[\d_]*)(k|m)?", re.IGNORECASE)


@dataclass(frozen=True)
class Asked:
    """What the command line said. *params*: name -> the words for its source. *run*: how to run it.

    *data*: files of rows, each TABLE=FILE or named after its table.
    """

    schemas: tuple[Path, ...]
    queries: tuple[Path, ...]
    params: Mapping[str, str]
    run: session.Asked
    rows: int = ROWS
    name: str | None = None
    data: tuple[str, ...] = ()


def count(words: str) -> int:
    """A number of rows, as people write it; LabError where it is none.

    >>> count("200k"), count("1_000"), count("2M")
    (200000, 1000, 2000000)
    """
    found = _COUNT.fullmatch(words.strip())
    digits = found[1].replace("_", "").lstrip("0") if found else ""
    if found is None or not digits or len(digits) > _DIGITS:
        raise LabError(f"--rows {words}: is no number of rows (such as 200k)")
    return int(digits) * {"k": 1_000, "m": 1_000_000}.get((found[2] or "").lower(), 1)


def perform(asked: Asked, tell: session.Tell, stop: Stop) -> tuple[publish.Published, show.Shown | None]:
    """Write the scenario, run it, and give its plan and its table, None where no trial was finished.

    LabError where the files do not fit each other, or the scenario's folder holds something else; nothing is written.
    """
    schemas, queries = _files(asked)
    name = asked.name or f"compare-{'-'.join(schemas)}"
    if not _NAME.fullmatch(name):
        raise ScenarioError(f"{name!r}: is no name for a scenario (letters, digits, - _ .; say another with --name)")
    folder = Path.cwd() / "scenarios" / name
    made = _made(asked, schemas, queries, tell.note)
    shown = folder.relative_to(Path.cwd()).as_posix()
    fresh, runs = _written(folder, made, shown), store.runs(asked.run.results, name)
    tell.note(f"the scenario is {shown}")
    try:
        done = session.perform(replace(asked.run, scenario=shown), tell, stop)
    except (ScenarioError, IngestError, KeyboardInterrupt):
        if fresh and store.runs(asked.run.results, name) == runs:
            shutil.rmtree(folder)
            tell.note(f"{shown} is gone again: it was not run")
        raise
    said = (f"{shown}: made to be edited; run it again with: pglab run {shown}", *done.said)
    own = [one for one in store.runs(asked.run.results, name) if one.name == done.data.get("run")]
    return replace(done, said=said, data={"scenario": shown, **done.data}), show.shown(own[0]) if own else None


# --- files ----------------------------------------------------------------------------------


def _files(asked: Asked) -> tuple[dict[str, SqlFile], dict[str, SqlFile]]:
    """Candidates' schemas and queries by their names; ScenarioError with what is wrong with the files themselves."""
    given = [_unkeyed(_read(path)) for path in asked.schemas]
    _differing(given)
    schemas = _named(given, lambda path: path.stem)
    queries = _named([_read(path) for path in asked.queries], _query_name)
    if len(schemas) < 2:
        raise ScenarioError("one schema alone is no comparison (pglab compare a.sql b.sql --query q.sql)")
    if not queries:
        raise ScenarioError("nothing is asked of the schemas (--query q.sql, once for each query)")
    for file in (*schemas.values(), *queries.values()):
        if not _pieces(file):
            raise ScenarioError(f"{file.file}: there is no statement in it")
    return schemas, queries


def _differing(schemas: Sequence[SqlFile]) -> None:
    """ScenarioError where two say the same, so that nothing between them could differ."""
    seen: dict[tuple[str, ...], str] = {}
    for file in schemas:
        pieces = _pieces(file)
        if pieces in seen:
            raise ScenarioError(
                f"{seen[pieces]} and {file.file} are identical but for space and comments: nothing between them can "
                "differ (give schemas that do; what noise this machine has, pglab aa SCENARIO measures)"
            )
        seen[pieces] = file.file


def _unkeyed(schema: SqlFile) -> SqlFile:
    """Without pg_dump's own lock: ours stands in for it, of which the file knows no key."""
    return replace(schema, text=_KEYED.sub("", schema.text))


def _read(path: Path) -> SqlFile:
    try:
        return SqlFile(path.as_posix(), path.read_text(encoding="utf-8-sig"))
    except UnicodeDecodeError as error:
        raise ScenarioError(f"{path}: is no text in UTF-8: {error.reason} at byte {error.start}") from None
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise ScenarioError(f"{path}: cannot be read: {why}") from None


def _named(files: Sequence[SqlFile], name: Callable[[Path], str]) -> dict[str, SqlFile]:
    found: dict[str, SqlFile] = {}
    for file in files:
        own = name(Path(file.file))
        if own in found:
            raise ScenarioError(f"{found[own].file} and {file.file}: both would be called {own!r} (rename one)")
        found[own] = file
    return found


def _query_name(path: Path) -> str:
    """The query's name: the file's, in the letters that a query's name may have.

    >>> _query_name(Path("q/Top 10.sql")), _query_name(Path("2.sql"))
    ('top_10', 'q2')
    """
    own = re.sub(r"[^a-z0-9]+", "_", path.stem.lower()).strip("_") or "query"
    return own if own[0].isalpha() else f"q{own}"


def _pieces(file: SqlFile) -> tuple[str, ...]:
    """The text without space and comments; the bare text where it is not SQL throughout, such as a dump's COPY."""
    try:
        found = statement.tokens(file.file, file.text)
        return tuple(one.text for one in found if one.kind not in ("space", "comment", "block", "end"))
    except ScenarioError:
        return (file.text.strip(),)


def _written(folder: Path, made: Mapping[str, str], shown: str) -> bool:
    """Write the scenario; False where it is there already, word for word. ScenarioError where something else is."""
    if not folder.exists():
        experiment.write(folder, made)
        return True
    try:
        same = all((folder / path).read_text(encoding="utf-8") == text for path, text in made.items())
    except (OSError, UnicodeDecodeError):
        same = False
    if not same:
        raise ScenarioError(
            f"{shown}: is there already, and is not what these files and options make: it was edited, or made of "
            f"others (pglab run {shown} runs it as it is; another --name keeps both)"
        )
    return False


# --- on a disposable server -----------------------------------------------------------------


def _made(
    asked: Asked, schemas: Mapping[str, SqlFile], queries: Mapping[str, SqlFile], note: Callable[[str], None]
) -> dict[str, str]:
    """Path within the scenario's folder -> text; ScenarioError or IngestError where something does not fit."""
    baseline = next(iter(schemas))
    with _server() as (host, server):
        end = Endpoint("compare", "write", server.conninfo())
        made, sources = None, {}
        schemas = _dumped(server, schemas, note)
        only = _touched(host, server, schemas, queries)
        for name, schema in schemas.items():
            _applied(host, server, name, schema)
            if made is None:
                made = _rows(server, asked, schema, only, note)
            refused = catalogue.attempt(end, made, days=DAYS, rows=asked.rows)
            if refused:
                own = "" if name == baseline else f" (the rows are what {baseline} needs; other tables need a load.sql)"
                raise IngestError("\n".join(f"{name}: {one}{own}" for one in refused))
            if name == baseline:
                sources = _sources(server, queries, made, asked, note)
            _explained(server, name, queries)
    assert made is not None
    files = _scenario(asked, schemas, queries, made, sources)
    scenario.read("compare", scenario.kept(files), parts)
    return files


@contextmanager
def _server() -> Iterator[tuple[Host, Server]]:
    embedded = parts.load("hosts", "embedded")
    with (
        embedded.opened(f"compare-{secrets.token_hex(4)}") as host,
        host.private() as private,
        private.server("compare", {}, host.workdir("logs")) as server,
    ):
        yield host, server


def _dumped(server: Server, schemas: Mapping[str, SqlFile], note: Callable[[str], None]) -> dict[str, SqlFile]:
    """The schemas as they may be run here, as pg_dump -s writes them too; what is left out of each is told."""
    pg.make_database(server.conninfo(user="pglab"))
    with pg.connected(server.conninfo()) as connection:
        extensions = {one["name"] for one in pg.rows(connection, pg.query("extensions"))}
    dumps = {name: dump.read(one.file, one.text, extensions, psql=True) for name, one in schemas.items()}
    for line in (line for one in dumps.values() for line in one.notes):
        note(line)
    return {name: replace(schemas[name], text=one.text) for name, one in dumps.items()}


def _applied(host: Host, server: Server, name: str, schema: SqlFile) -> None:
    """An empty database with a candidate's schema; IngestError where the server does not take it."""
    pg.make_database(server.conninfo(user="pglab"))
    with pg.connected(server.conninfo(user="pglab")) as admin:
        pg.run(admin, "ALTER ROLE lab RESET ALL")  # what a schema set outlives its database
    prepare.apply(host.psql(), Endpoint("compare", "write", server.conninfo()), schema, name, locked=True)


def _touched(
    host: Host, server: Server, schemas: Mapping[str, SqlFile], queries: Mapping[str, SqlFile]
) -> frozenset[str]:
    """The tables that the queries touch, on any candidate, and those in which candidates differ."""
    found: set[str] = set()
    base: dict[str, str] | None = None
    for name, schema in schemas.items():
        _applied(host, server, name, schema)
        with pg.connected(server.conninfo()) as connection:
            every, own = catalogue.tables(connection), touched.differing(connection)
            base = own if base is None else base
            found |= {table for table in own.keys() & base.keys() if own[table] != base[table]}
            try:
                found |= touched.of(connection, queries, every)
            except IngestError as error:
                whose = "" if schema is next(iter(schemas.values())) else f"{name}: "
                raise IngestError(f"{whose}{error}") from None
            if touched.needed(every, found) == {one.name for one in every}:
                break  # nothing could stay empty
    return frozenset(found)


def _rows(server: Server, asked: Asked, schema: SqlFile, only: frozenset[str], note: Callable[[str], None]) -> Dataset:
    with pg.connected(server.conninfo()) as connection:
        made = catalogue.of(connection, asked.rows, asked.data, only=only)
    for line in made.notes:
        note(f"rows: {line}")
    if made.holes:
        raise ScenarioError([f"{schema.file}: {one}" for one in made.holes])
    if not made.streams:
        raise ScenarioError(f"{schema.file}: makes no table that rows could come to")
    return made


def _sources(
    server: Server, queries: Mapping[str, SqlFile], made: Dataset, asked: Asked, note: Callable[[str], None]
) -> dict[str, dict[str, str]]:
    """Query -> parameter -> the words for its source; ScenarioError names the flag for each that is not known."""
    given = origins.given(asked.params, made)
    known: dict[str, dict[str, str]] = {}
    missing: list[str] = []
    with pg.connected(server.conninfo()) as connection:
        tables = catalogue.tables(connection)
        for name, file in queries.items():
            if statement.header(file.file, file.text).params is not None:
                continue
            known[name] = {}
            for one in origins.of(connection, name, file, tables, made, asked.rows):
                words = given.get(one.name) or one.words
                known[name][one.name] = words
                if words:
                    note(f"{file.file}: {one.shown()} is drawn from {words}")
                    if one.told and one.name not in given:
                        note(f"{file.file}: {one.told}")
                else:
                    missing.append(_missing(file, one))
    strangers = set(given) - {parameter for each in known.values() for parameter in each}
    missing += [f"--param {name}: no query takes :{name}" for name in sorted(strangers)]
    if missing:
        raise ScenarioError(missing)
    return {name: each for name, each in known.items() if each}


def _missing(file: SqlFile, one: Origin) -> str:
    why = (
        f"it may be {' or '.join(one.either)}" if one.either else one.hint or "nothing that it is compared with says so"
    )
    flag = f"--param {one.name}={one.either[0] if one.either else 'TABLE.COLUMN'}"
    return f"{file.file}: where do the values of {one.shown()} come from? {why} ({flag}, or a law: 'uniform(1, 100)')"


def _explained(server: Server, name: str, queries: Mapping[str, SqlFile]) -> None:
    """IngestError where the server does not understand a query on this candidate's tables."""
    with pg.connected(server.conninfo()) as connection:
        for query, file in queries.items():
            try:
                origins.plans(connection, query, file)
            except IngestError as error:
                raise IngestError(f"{name}: {error}") from None


# --- the scenario's text --------------------------------------------------------------------


def _scenario(
    asked: Asked,
    schemas: Mapping[str, SqlFile],
    queries: Mapping[str, SqlFile],
    made: Dataset,
    sources: Mapping[str, Mapping[str, str]],
) -> dict[str, str]:
    entities = f", entities: {json.dumps(dict(made.entities), ensure_ascii=False)}" if made.entities else ""
    entries = [
        f"  {_quoted(name)}: {{schema: {_quoted(f'{name}.sql')}, {made.way}"
        f"hypothesis: {_quoted(f'as {Path(file.file).name} has it')}}}"
        for name, file in schemas.items()
    ]
    question = f"Which of {', '.join(schemas)} answers {', '.join(queries)} with the least work?"
    asks = ", ".join(f"{name}: 1" for name in queries)
    lines = [
        "# Made by pglab compare; every line may be edited. `pglab run` with this folder runs it again.",
        "format: 1",
        f"question: {_quoted(question)}",
        f"lab: {{rows: {asked.rows}, days: {DAYS}{entities}}}",
        "objective: {minimise: mix.server_ms_per_op}",
        f"baseline: {_quoted(next(iter(schemas)))}",
        "candidates:",
        *entries,
        "timeline:",
        "  - {do: ingest}",
        "  - {do: settle}",
        "  - {do: count}",
        "  - {do: round, steps: [{do: drive, for: 500ms, rate: 200}]}",
    ]
    mix = [f"mix: {{{asks}}}   # how often each query is asked, in proportion", "clients: 2"]
    if sources:
        mix += ["params:", *(f"  {name}: {_params(each)}" for name, each in sources.items())]
    return {
        "scenario.yaml": "\n".join(lines) + "\n",
        "workload/workload.yaml": "\n".join(mix) + "\n",
        "workload/data.yaml": f"# {made.whence} after {next(iter(schemas))}: edit what you know better.\n"
        f"{made.left}{made.text}",
        **{f"{name}.sql": dump.locked(file.text) for name, file in schemas.items()},
        **{f"workload/{name}.sql": file.text for name, file in queries.items()},
    }


def _params(each: Mapping[str, str]) -> str:
    if all(name.startswith("$") for name in each):
        ordered = sorted(each, key=lambda name: int(name[1:]))
        return f"[{', '.join(_quoted(each[name]) for name in ordered)}]"
    return f"{{{', '.join(f'{name}: {_quoted(words)}' for name, words in each.items())}}}"


def _quoted(words: str) -> str:
    return json.dumps(words, ensure_ascii=False)
