"""workload.yaml, its SQL and its data.yaml become a Workload: what is asked, and of which rows."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from lab import keys, statement
from lab.errors import ScenarioError
from lab.model import Parameter, Query, SqlFile, Stream, Workload
from lab.page import Mistakes, Page, Path, among
from lab.wording import check

QUERY = re.compile(r"[a-z][a-z0-9_]*")
_STANDS_IN = datetime(2026, 1, 1, tzinfo=UTC)
_LONGEST = 63  # bytes of a name in PostgreSQL

# Reads a file by name, for the message's beginning *where*; None after noting why it cannot be had.
Fetch = Callable[[str, str], SqlFile | None]


@dataclass(frozen=True)
class Read:
    """A workload as far as it could be read.

    *names* are the queries of the mix, also those whose files are wrong; *start* is when the rows
    begin, None where nothing says so.
    """

    workload: Workload
    names: tuple[str, ...]
    start: datetime | None


def read(name: str, page: Page, data: Page | None, fetch: Fetch, parts: keys.Parts, mistakes: Mistakes) -> Read | None:
    """The workload *name* of its two pages; None after noting mistakes for which there can be none.

    *fetch* takes names beside workload.yaml.
    """
    form = check(keys.Workload, page, mistakes)
    streams, start = _streams(data, parts, mistakes) if data else (None, _STANDS_IN)
    if form is None:
        return None
    asked = weights(page, ("mix",), mistakes)
    for other in form.params:
        if other not in asked:
            mistakes.add(page.at("params", other), f"no query {other!r} in the mix {among(other, asked)}")
    desk = _Desk(page, form, streams, fetch, mistakes)
    read_ = (_query(query, weight, desk) for query, weight in asked.items())
    queries = tuple(query for query in read_ if query is not None)
    if kind_known(parts, "drivers", form.driver, page, ("driver",), mistakes):
        mistakes.extend(_beyond(queries, form.driver, page, parts))
    script = fetch(form.locustfile, page.at("locustfile")) if form.locustfile else None
    return Read(
        Workload(name, queries, streams or {}, form.clients, form.driver, script, form.processes), tuple(asked), start
    )


def weights(page: Page, path: Path, mistakes: Mistakes) -> dict[str, float]:
    """The mix at *path*: query -> weight, of those entries that are right."""
    tree: Any = page.tree
    for key in path:
        tree = tree[key]
    found: dict[str, float] = {}
    if not isinstance(tree, dict) or not tree:
        mistakes.add(page.at(*path), "is empty (query: weight, such as recent: 5)")
        return found
    for query, weight in tree.items():
        if not QUERY.fullmatch(query):
            mistakes.add(page.at(*path, query), f"{query!r} is no name of a query (a-z, then a-z, 0-9 and _)")
        elif check(keys.Weights, page, mistakes, path[:-1], {"mix": {query: weight}}):
            found[query] = float(weight)
    return found


# --- queries --------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Desk:
    """What every query is read with. *streams* None: data.yaml is wrong, and origins cannot be checked."""

    page: Page
    form: keys.Workload
    streams: Mapping[str, Stream] | None
    fetch: Fetch
    mistakes: Mistakes


def _query(name: str, weight: float, desk: _Desk) -> Query | None:
    sql = desk.fetch(f"{name}.sql", desk.page.at("mix", name))
    if sql is None:
        return None
    before = desk.mistakes.noted
    params = _params(desk.form.params[name], name, desk) if name in desk.form.params else None
    if desk.mistakes.noted > before:
        return None
    try:
        query = statement.read(name, sql.file, sql.text, params=params, weight=weight)
    except ScenarioError as error:
        desk.mistakes.extend(error.mistakes)
        return None
    for parameter in query.params:
        where = _place(query, parameter, desk.page, sql.text)
        if desk.streams is not None and (stranger := _stranger(parameter.origin, desk.streams)):
            desk.mistakes.add(where, stranger)
        if parameter.name not in statement.used(query):
            sign = "" if parameter.name.startswith("$") else ":"
            desk.mistakes.add(where, f"is never used (write {sign}{parameter.name} in {sql.file}, or take it out)")
    return query


def _place(query: Query, parameter: Parameter, page: Page, text: str) -> str:
    """Where the source of a parameter is written: in workload.yaml, or in the header of the query's *text*."""
    if page.has("params", query.name):
        key = int(parameter.name[1:]) - 1 if parameter.name.startswith("$") else parameter.name
        return page.at("params", query.name, key)
    return f"{query.file}:{statement.header(query.file, text).line('params')}: params: {parameter.name}"


def _params(tree: Any, query: str, desk: _Desk) -> tuple[Parameter, ...]:
    """The parameters of one query in workload.yaml: name: source, or a list for $1, $2 ..."""
    named = {f"${number}": source for number, source in enumerate(tree, 1)} if isinstance(tree, list) else tree
    if not isinstance(named, dict) or not named:
        desk.mistakes.add(desk.page.at("params", query), "is no mapping (parameter: stream.column zipf(1.1))")
        return ()
    found = []
    for number, (name, source) in enumerate(named.items()):
        where = desk.page.at("params", query, number if isinstance(tree, list) else name)
        try:
            if not isinstance(source, str):
                raise ValueError(f"{source!r} is no source (stream.column zipf(1.1), or window.to - 7d)")
            found.append(statement.parameter(name, source))
        except ValueError as error:
            desk.mistakes.add(where, str(error))
    return tuple(found)


def needs(query: Query) -> Iterator[str]:
    """What a driver, and a shape's way to its servers, must be able to do for *query*.

    `samples`: values drawn from the rows. `window`: bounds of the rows that are there. `prepared`,
    `literal`, `unprepared`: that way of sending. `transaction`: several statements.
    """
    origins = [parameter.origin for parameter in query.params]
    if any(origin and not origin.startswith("window.") for origin in origins):
        yield "samples"
    if any(origin.startswith("window.") for origin in origins):
        yield "window"
    yield query.send
    if len(query.statements) > 1:
        yield "transaction"


def keyed(query: Query, column: str) -> int | None:
    """The index of the first parameter that is drawn from a *column* of that name, of any stream.

    >>> of = lambda *origins: Query("q", "q.sql", (), tuple(Parameter("p", origin) for origin in origins))
    >>> keyed(of("orders.id", "orders.tenant"), "tenant"), keyed(of("orders.id", "window.to"), "tenant")
    (1, None)
    """
    origins = [parameter.origin.rpartition(".")[2].strip('"') for parameter in query.params]
    return origins.index(column) if column in origins else None


def _beyond(queries: Iterable[Query], driver: str, page: Page, parts: keys.Parts) -> Iterator[str]:
    """What the driver cannot do, with those that can."""
    for query in queries:
        asked = frozenset(needs(query))
        if lacking := sorted(asked & parts.cannot(driver)):
            able = [other for other in parts.kinds("drivers") if not asked & parts.cannot(other)]
            what = f"{driver} cannot do {', '.join(lacking)}, which {query.name} needs"
            yield f"{page.at('driver')}: {what} (drivers that can: {', '.join(able) or 'none'})"


# --- streams --------------------------------------------------------------------------------


def _streams(page: Page, parts: keys.Parts, mistakes: Mistakes) -> tuple[Mapping[str, Stream] | None, datetime | None]:
    """The streams of data.yaml in the author's order, and the first of their starts.

    Where there is a mistake in it, no streams, and a start that only stands in: templates need one.
    """
    before, data = mistakes.noted, check(keys.Data, page, mistakes)
    if data is None:
        return None, _STANDS_IN
    found: dict[str, Stream] = {}
    starts: list[datetime] = []
    for name, tree in data.streams.items():
        path = ("streams", name)
        if why := _no_name(name):
            mistakes.add(page.at(*path), f"{name!r} cannot be a stream's name: {why}")
            continue
        form = check(keys.Stream, page, mistakes, path, tree)
        if form is None or not kind_known(parts, "sources", form.kind, page, (*path, "kind"), mistakes):
            continue
        options = {key: value for key, value in tree.items() if key != "kind"}
        takes = parts.options("sources", form.kind)
        given = check(takes, page, mistakes, path, options) if takes else None
        start = getattr(getattr(given, "time", None), "start", None)
        starts += [start] if isinstance(start, datetime) else []
        found[name] = Stream(name, form.kind, options, f"{page.file}:{page.line(path)}")
    if len(found) < len(data.streams) or mistakes.noted > before:
        return None, _STANDS_IN
    return found, (starts[0] if starts else None)


def _no_name(stream: str) -> str:
    """Why rows cannot be asked for and kept by this name, "" where they can."""
    if stream == "window":
        return "parameters take window.from and window.to from the rows that are there (take another)"
    if not stream.strip() or not stream.isprintable() or set(stream) & set("./"):
        return "it names a table, a file, and in stream.column a source (printable, no dot and no slash)"
    if len(stream.encode()) > _LONGEST:
        return f"it names a table, and the server cuts names after {_LONGEST} bytes (take a shorter one)"
    return ""


def _stranger(origin: str, streams: Mapping[str, Stream]) -> str | None:
    """What is wrong with an origin that is no column of a stream. Columns are known where the stream lists them all.

    Of files it may list some, whose types it says.
    """
    stream, _, column = origin.partition(".")
    if stream in ("", "window"):
        return None
    if stream not in streams:
        return f"no stream {stream!r} in the data {among(stream, streams)}"
    options = streams[stream].options
    columns = {} if options.keys() & {"file", "files"} else options.get("columns")
    if columns and column not in columns:
        return f"no column {column!r} in stream {stream!r} {among(column, columns)}"
    return None


def kind_known(parts: keys.Parts, package: str, kind: str, page: Page, path: Path, mistakes: Mistakes) -> bool:
    """Whether *package* has *kind*; if not, that is noted as a mistake at *path*."""
    known = parts.kinds(package)
    if kind not in known:
        mistakes.add(page.at(*path), f"unknown kind {kind!r} {among(kind, known)}")
    return kind in known
