"""The candidates of a scenario: matrices expanded, what is shared merged in, files fetched."""

import itertools
import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from pydantic import BaseModel

from lab import functions, keys, mix, statement
from lab.errors import ScenarioError
from lab.model import Candidate, Query, SqlFile, Topology, Workload
from lab.page import Mistakes, Page, Path, among
from lab.wording import check

# Files of a candidate that are no queries, and the values their text may name.
STEPS: Mapping[str, tuple[str, ...]] = {
    "before_append": ("from", "to"),
    "after_append": ("from", "to"),
    "retire": ("from", "to"),
    "maintain": (),
}

# Turns durability off, and the values that do.
_DURABLE = ("fsync", "synchronous_commit", "full_page_writes")
_OFF = {"off", "of", "false", "fals", "fal", "fa", "f", "no", "n", "0"}
# The lab sets these itself; another value would take the server away from it.
_RESERVED = ("port", "listen_addresses", "unix_socket_directories", "cluster_name", "data_directory", "hba_file")

# Reads and renders a file: name, the beginning of messages, further template variables.
Render = Callable[[str, str, Mapping[str, object]], SqlFile | None]


@dataclass(frozen=True)
class Entry:
    """One candidate as written. *path* is its place; *values* those of its matrix."""

    name: str
    path: Path
    form: keys.Candidate
    values: Mapping[str, Any]


@dataclass(frozen=True)
class Desk:
    """What every candidate is built with."""

    page: Page
    shared: keys.Scenario
    workload: Workload
    names: tuple[str, ...]  # of the queries, also of those whose files are wrong
    parts: keys.Parts
    render: Render
    mistakes: Mistakes


# --- names ----------------------------------------------------------------------------------


def entries(page: Page, mistakes: Mistakes) -> list[Entry]:
    """Every candidate in the author's order, matrices expanded; those with mistakes are left out."""
    tree = page.tree.get("candidates")
    found: dict[str, Entry] = {}
    for key, body in tree.items() if isinstance(tree, dict) else ():
        path = ("candidates", key)
        form = check(keys.Candidate, page, mistakes, path, body)
        if form is None or not _placeholders(str(key), form, page, path, mistakes):
            continue
        for entry in _expanded(str(key), path, form, body, page, mistakes):
            if why := _unfit(entry.name, found):
                mistakes.add(page.at(*path), why)
            else:
                found[entry.name] = entry
    return list(found.values())


def _placeholders(key: str, form: keys.Candidate, page: Page, path: Path, mistakes: Mistakes) -> bool:
    """Whether the placeholders in a candidate's key are those of its matrix."""
    asked, given = set(re.findall(r"\{(\w*)\}", key)), set(form.matrix)
    for name in sorted(asked - given):
        right = f"matrix: {{{name or 'interval'}: [month, day]}}"
        mistakes.add(page.at(*path), f"no values for the placeholder {{{name}}} in the name (write {right})")
    for name in sorted(given - asked):
        mistakes.add(page.at(*path, "matrix", name), f"not in the candidate's name, {key!r} (name it {key}-{{{name}}})")
    for name, values in form.matrix.items():
        if len({str(value) for value in values}) < len(values):
            mistakes.add(page.at(*path, "matrix", name), "a value is there twice (give each once)")
            return False
    return asked == given


def _expanded(key: str, path: Path, form: keys.Candidate, body: Any, page: Page, mistakes: Mistakes) -> Iterator[Entry]:
    """A candidate for each combination, but of the first mistake; `{name}` is filled in in all its text."""
    for combination in itertools.product(*form.matrix.values()):
        values = dict(zip(form.matrix, combination, strict=True))
        filled = {name: _filled(value, values) for name, value in body.items() if name != "matrix"}
        own = check(keys.Candidate, page, mistakes, path, filled)
        if own is None:
            return
        yield Entry(str(_filled(key, values)), path, own, values)


def _filled(value: Any, values: Mapping[str, Any]) -> Any:
    """*value* with the placeholders in it replaced; one that is all of a text keeps its type.

    >>> _filled({"nodes": "{n}", "file": "of-{n}.sql"}, {"n": 3})
    {'nodes': 3, 'file': 'of-3.sql'}
    """
    if isinstance(value, str):
        if value[1:-1] in values and value == f"{{{value[1:-1]}}}":
            return values[value[1:-1]]
        for name, one in values.items():
            value = value.replace(f"{{{name}}}", str(one))
        return value
    if isinstance(value, dict):
        return {key: _filled(one, values) for key, one in value.items()}
    return [_filled(one, values) for one in value] if isinstance(value, list) else value


def _unfit(name: str, others: Mapping[str, Entry]) -> str | None:
    """Why *name* can be no candidate's name beside the *others*."""
    if not name.strip() or not name.isprintable():
        return f"{name!r} is no name (printable characters in one line)"
    if name.endswith("(twin)"):
        return f"{name!r}: the lab's own name for the baseline's second load (take another)"
    same = [other for other in others if _folded(other) == _folded(name)]
    return f"a second candidate of the name {same[0]!r} (take another)" if same else None


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", name).strip()


# --- bodies ---------------------------------------------------------------------------------


def build(entry: Entry, desk: Desk) -> Candidate | None:
    """The candidate of *entry*, or None after noting its mistakes."""
    before = desk.mistakes.noted
    own, shared = entry.form, desk.shared
    schema = _file(entry, desk, own.schema_ or shared.schema_, "schema")
    if not own.schema_ and not shared.schema_:
        desk.mistakes.add(desk.page.at(*entry.path), "schema is missing (the SQL file that makes the tables)")
    topology = own if "topology" in own.model_fields_set else shared
    ingest = own if "ingest" in own.model_fields_set else shared
    load = _file(entry, desk, own.load or shared.load, "load")
    steps, queries = _sql(entry, desk)
    queries = functions.marked(queries, filter(None, (schema, load)))
    where = _where(entry, topology, "topology")
    candidate = Candidate(
        name=entry.name,
        hypothesis=own.hypothesis.strip(),
        schema=schema or SqlFile("", ""),
        load=load,
        steps=steps,
        queries=queries,
        settings=_settings(entry, desk),
        topology=shape(topology.topology.model_dump(), desk, where),
        ingest=_ingest(ingest.ingest, desk, _where(entry, ingest, "ingest")),
        clients=own.clients,
    )
    if desk.mistakes.noted == before:
        _beyond(candidate, desk, where)
        _apart(candidate, desk, where)
    return candidate if desk.mistakes.noted == before else None


def _where(entry: Entry, form: keys.Shared, key: str) -> Path:
    """The path of a key: the candidate's own, or the scenario's."""
    return (*entry.path, key) if form is entry.form else (key,)


def _file(entry: Entry, desk: Desk, name: str | None, *keys_: str) -> SqlFile | None:
    if not name:
        return None
    path = (*entry.path, *keys_)
    return desk.render(name, desk.page.at(*(path if desk.page.has(*path) else keys_)), entry.values)


def _sql(entry: Entry, desk: Desk) -> tuple[dict[str, SqlFile], tuple[Query, ...]]:
    """The candidate's steps, and the mix with its own texts and weights in place."""
    names = {**desk.shared.sql, **entry.form.sql}
    files = {key: _file(entry, desk, name, "sql", key) for key, name in names.items()}
    for key in names:
        if key not in STEPS and key not in desk.names:
            path = (*entry.path, "sql", key) if key in entry.form.sql else ("sql", key)
            desk.mistakes.add(desk.page.at(*path), f"neither a query nor a step {among(key, [*STEPS, *desk.names])}")
    steps = {key: file for key in STEPS if (file := files.get(key)) is not None}
    for key, file in steps.items():
        _bounds(key, file, desk.mistakes)
    own = [_own_text(query, files.get(query.name), desk) for query in desk.workload.queries]
    return steps, tuple(_own_mix(own, entry, desk))


def _bounds(step: str, file: SqlFile, mistakes: Mistakes) -> None:
    """Note the names in a step's text that have no value there."""
    try:
        statement.bound(file.text, dict.fromkeys(STEPS[step], ""), file.file)
    except ScenarioError as error:
        mistakes.extend(error.mistakes)


def _own_text(query: Query, file: SqlFile | None, desk: Desk) -> Query:
    """The query with a candidate's own text; asked with the same parameters, or fewer of them."""
    if file is None:
        return query
    try:
        return statement.read(query.name, file.file, file.text, params=query.params, weight=query.weight)
    except ScenarioError as error:
        desk.mistakes.extend(error.mistakes)
        return query


def _own_mix(queries: list[Query], entry: Entry, desk: Desk) -> Iterator[Query]:
    """The queries by a candidate's own mix, where the scenario allows one."""
    if entry.form.mix is None:
        yield from queries
        return
    path = (*entry.path, "mix")
    if "mix" not in desk.shared.may_differ:
        desk.mistakes.add(desk.page.at(*path), "candidates are asked the same (write may_differ: [mix] to allow it)")
    asked = mix.weights(desk.page, path, desk.mistakes)
    for name in asked:
        if name not in desk.names:
            what = f"no query {name!r} in the workload {among(name, desk.names)}"
            desk.mistakes.add(desk.page.at(*path, name), what)
    yield from (replace(query, weight=asked[query.name]) for query in queries if query.name in asked)


def _settings(entry: Entry, desk: Desk) -> dict[str, str]:
    """The server's settings: the scenario's with the candidate's on top, as text."""
    found: dict[str, str] = {}
    for form, path in ((desk.shared, ()), (entry.form, entry.path)):
        for key, value in form.settings.items():
            name = key.lower()
            where = desk.page.at(*path, "settings", key)
            found[name] = str(value).lower() if isinstance(value, bool) else str(value)
            if not re.fullmatch(r"[a-z_][a-z0-9_]*(\.[a-z_][a-z0-9_]*)?", name):
                desk.mistakes.add(where, f"{key!r} is no name of a setting (work_mem: 64MB)")
            elif name in _RESERVED:
                desk.mistakes.add(where, "the lab sets this itself (take it out)")
            elif name in _DURABLE and found[name].strip().lower() in _OFF and not desk.shared.unsafe:
                desk.mistakes.add(where, "off loses data in a crash (take it out, or say why with unsafe: ...)")
    return found


def shape(tree: Mapping[str, Any], desk: Desk, path: Path) -> Topology:
    """A topology; its kind must be known, its options those of the kind. `behind` holds another."""
    kind = str(tree["kind"])
    options = {key: value for key, value in tree.items() if key not in ("kind", "postgres")}
    if mix.kind_known(desk.parts, "clusters", kind, desk.page, (*path, "kind"), desk.mistakes):
        takes = desk.parts.options("clusters", kind)
        if takes is not None:
            check(takes, desk.page, desk.mistakes, path, options)
    behind = options.get("behind")
    if isinstance(behind, dict):
        inner = check(keys.Topology, desk.page, desk.mistakes, (*path, "behind"), behind)
        if inner is not None:
            shape(inner.model_dump(), desk, (*path, "behind"))
    return Topology(kind, options, tree["postgres"])


def _beyond(candidate: Candidate, desk: Desk, path: Path) -> None:
    """Note what the queries need and the topology, which is right in itself, says it `cannot`."""
    topology = candidate.topology
    for need, way in cannot(desk.parts, "clusters", topology.kind, topology.options).items():
        if lacking := [query.name for query in candidate.queries if need in mix.needs(query)]:
            what = f"{topology.kind} cannot do {need} here, which {', '.join(lacking)} needs ({way})"
            desk.mistakes.add(desk.page.at(*path), what)


def _apart(candidate: Candidate, desk: Desk, path: Path) -> None:
    """Note what keeps a candidate's calls from finding the database that is theirs, where rows are kept apart."""
    shape_, workload = candidate.topology, desk.workload
    by = getattr(_given(desk.parts, "clusters", shape_.kind, shape_.options), "by", None)
    if by is None:
        return
    where = desk.page.at(*path)
    for query in candidate.queries:
        if mix.keyed(query, by) is None:
            what = f"{query.file} has no parameter of a column {by!r}, and so no database to go to"
            desk.mistakes.add(where, f"{what} (params: {by}=stream.{by}, or leave the query out of the mix)")
    if candidate.load is not None:
        desk.mistakes.add(where, f"{candidate.load.file} cannot move rows to databases apart (leave load out)")
    if workload.locustfile is not None:
        desk.mistakes.add(where, f"{shape_.kind}: users of a locustfile know of one database (declare a mix)")
    if "apart" in desk.parts.cannot(workload.driver):
        desk.mistakes.add(where, f"{shape_.kind}: the driver {workload.driver} knows of one database (driver: locust)")


def _ingest(form: keys.Ingest, desk: Desk, path: Path) -> dict[str, Any]:
    """How rows come in, as mapping: method, connections, the options of the method, and `append` where it is given."""
    way = _way(form, desk, path)
    return way if form.append is None else {**way, "append": _way(form.append, desk, (*path, "append"))}


def cannot(parts: keys.Parts, package: str, kind: str, options: Mapping[str, Any]) -> Mapping[str, str]:
    """What a kind with these options, which are right in themselves, says it cannot do -> the way out."""
    found: Mapping[str, str] = getattr(_given(parts, package, kind, options), "cannot", dict)()
    return found


def needs(parts: keys.Parts, package: str, kind: str, options: Mapping[str, Any]) -> frozenset[str]:
    """What a kind with these options says that it needs of a shape, in the words of mix.needs."""
    found: frozenset[str] = getattr(_given(parts, package, kind, options), "needs", frozenset)()
    return found


def _given(parts: keys.Parts, package: str, kind: str, options: Mapping[str, Any]) -> BaseModel | None:
    takes = parts.options(package, kind)
    return takes.model_validate(dict(options)) if takes else None


def _way(form: keys.Way, desk: Desk, path: Path) -> dict[str, Any]:
    """A method that is known, and its options as it takes them."""
    given = form.model_dump(exclude={"append"})
    if mix.kind_known(desk.parts, "ingest", form.method, desk.page, (*path, "method"), desk.mistakes):
        takes = desk.parts.options("ingest", form.method)
        extra = dict(form.model_extra or {})
        for key in [] if takes else extra:
            desk.mistakes.add(desk.page.at(*path), f"unknown key {key!r} {among(key, ['connections', 'method'])}")
        if takes is not None:
            check(takes, desk.page, desk.mistakes, path, {**extra, "connections": form.connections})
    return given
