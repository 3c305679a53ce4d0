"""Slow queries of a scenario -> what each is spent on, and candidates that address it, as a scenario to be measured.

The baseline is loaded as a run would load it, and each query explained as it is executed. Indexes
come from the plan's own conditions; each is tried on the disposable server, or by hypopg where the
server has it, and only those stay that the planner takes and expects to gain by. An estimate is
no measurement: `pglab run` on the new scenario is.
"""

import json
import re
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from lab import (
    bottleneck,
    count,
    experiment,
    explain,
    parts,
    pg,
    place,
    prepare,
    run,
    scenario,
    sizing,
    statement,
    trial,
    ways,
    workload,
)
from lab.errors import ScenarioError
from lab.experiment import Diagnosis, Tried
from lab.kept import Kept
from lab.model import Instance, Json, Query, Scenario, Statement
from lab.page import among
from lab.predicates import Table, uses
from lab.prepare import Span
from lab.probes.host import HostProbe
from lab.proposal import Index, proposals

MOST = 5  # candidates of each kind, so that a run of them ends
GAIN = 0.05  # of a query's estimated cost, below which an estimate is not worth a measurement
SETS = 3
SAMPLE_ROWS = 10_000
SEED = 0
ROWS = 100_000  # where nobody says
_NAME = re.compile(r"\w[\w.-]*")
_EXECUTED = "EXPLAIN (ANALYZE, BUFFERS, VERBOSE, TIMING OFF, FORMAT JSON)"
_ESTIMATED = "EXPLAIN (VERBOSE, FORMAT JSON)"
_FOR_ALL = "EXPLAIN (GENERIC_PLAN, VERBOSE, FORMAT JSON)"  # PostgreSQL 16 and later


@dataclass(frozen=True)
class Asked:
    """What the command line said: a scenario and names of its queries, () for all that only read; or *schema* and
    *data* with files of queries. *rewrites*: query -> a file with another text.
    """

    scenario: str | None = None
    queries: tuple[str, ...] = ()
    schema: Path | None = None
    data: Path | None = None
    rewrites: Mapping[str, Path] | None = None
    name: str | None = None
    on: str = "auto"
    rows: int | None = None


@dataclass(frozen=True)
class Done:
    """How it ended: what to say (the last line last) and data."""

    said: tuple[str, ...]
    data: Json


def perform(asked: Asked, tell: Callable[[str], None]) -> Done:
    """Diagnose and write the scenario; LabError where it cannot be."""
    read = _read(asked)
    name = asked.name if asked.name is not None else f"{read.name}-diagnosis"
    if not _NAME.fullmatch(name):
        raise ScenarioError(f"{name!r}: is no name for a scenario (letters, digits, - _ .; say another with --name)")
    folder = Path.cwd() / "scenarios" / name
    if folder.exists():
        raise ScenarioError(f"{folder}: is there already (say another with --name, or remove it)")
    queries = _queries(asked, read)
    rewrites = _rewrites(asked, read)
    tell(f"loading {read.baseline}")
    with _loaded(read, asked.on, tell) as (kept, sets):
        tell("trying indexes")
        found = diagnose(kept, queries, sets)
    files = experiment.files(folder.name, read, found, rewrites)
    scenario.read(folder.name, scenario.kept(files), parts)  # a mistake in it would be a bug of ours
    experiment.write(folder, files)
    shown = folder.relative_to(Path.cwd()).as_posix()
    said = [f"{name}: {bottleneck.SAID[one.kind]}: {one.node}" for name, one in found.bottlenecks.items()]
    said += [f"the server refused {one.ddl} with: {one.refused}" for one in found.refused]
    last = f"I have created a scenario at {shown}, please read its README.md first; then: pglab run {shown}"
    if not experiment.candidates(read, found, rewrites):
        said.append("no index would be taken, by the planner's estimates; add a candidate of your own")
    return Done((*said, last), {"scenario": shown, **asdict(found), "rewrites": sorted(rewrites)})


def _read(asked: Asked) -> Scenario:
    """The scenario; ScenarioError where its shape is not for this."""
    if asked.scenario is None:
        name, files = _given(asked)
        return scenario.read(name, scenario.kept(files), parts)
    folder = scenario.find(asked.scenario, Path.cwd())
    on_disk = scenario.OnDisk(folder, Path.cwd())
    with on_disk.locating():
        whole = scenario.read(folder.resolve().name, on_disk, parts, scenario.Given(rows=asked.rows))
    kind = whole.candidates[whole.baseline].topology.kind
    if kind != "single":
        raise ScenarioError(f"{asked.scenario}: the baseline is of kind {kind!r} (a single server can be diagnosed)")
    return whole


def _given(asked: Asked) -> tuple[str, dict[str, str]]:
    """A scenario's name and files, made of a schema, queries and data.yaml."""
    if asked.schema is None or asked.data is None or not asked.queries:
        raise ScenarioError("nothing to diagnose (--scenario NAME; or --schema, --data and --query, each a file)")
    texts = {Path(one).stem: _text(Path(one)) for one in asked.queries}
    made = {
        "scenario.yaml": experiment.first(asked.schema.stem, asked.rows or ROWS),
        "schema.sql": _text(asked.schema),
        "workload/data.yaml": _text(asked.data),
        "workload/workload.yaml": f"mix: {json.dumps(dict.fromkeys(texts, 1))}\n",
        **{f"workload/{name}.sql": text for name, text in texts.items()},
    }
    return asked.schema.stem, made


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ScenarioError(f"{path}: cannot be read: {error}") from None


def _queries(asked: Asked, read: Scenario) -> tuple[Query, ...]:
    own = {one.name: one for one in read.candidates[read.baseline].queries}
    names = asked.queries if asked.scenario is not None else ()
    for name in (*names, *(asked.rewrites or {})):
        if name not in own:
            raise ScenarioError(f"{name}: no query of the mix has this name {among(name, list(own))}")
    chosen = [own[name] for name in names] or [one for one in own.values() if not count.writes(one)]
    if not chosen:
        raise ScenarioError(f"{read.name}: no query of the mix only reads (name one with --query)")
    return tuple(chosen)


def _rewrites(asked: Asked, read: Scenario) -> dict[str, str]:
    """Query -> its other text, which takes the same parameters."""
    own = {one.name: one for one in read.candidates[read.baseline].queries}
    found = {}
    for name, path in (asked.rewrites or {}).items():
        found[name] = _text(path)
        statement.read(name, path.as_posix(), found[name], params=own[name].params)
    return found


@contextmanager
def _loaded(read: Scenario, on: str, tell: Callable[[str], None]) -> Iterator[tuple[Kept, count.Sets]]:
    """The baseline on a server of its own, loaded and settled, and parameter sets for its queries."""
    candidate = read.candidates[read.baseline]
    sources = sizing.opened(read, seed=SEED)
    settings = {**sizing.SETTINGS, **sizing.memory(read, sources), **candidate.settings}
    single = parts.load("clusters", "single")
    chosen = parts.load("hosts", place.choose(on, read))
    with chosen.opened(f"diagnose-{secrets.token_hex(4)}", tell) as host, host.private() as private:
        logs = host.workdir("logs")
        opened = single.opened(private, candidate.topology, name="diagnose", settings=settings, logs=logs)
        instance = Instance(candidate.name, 1)
        with (
            opened as cluster,
            trial.answering("diagnose", cluster),
            run.connected(instance, candidate, cluster, read, HostProbe()) as kept,
        ):
            prepare.apply(host.psql(), kept.direct, candidate.schema, candidate.name)
            prepare.names(kept.direct, f"{candidate.name}: {candidate.schema.file}")
            method = str(candidate.ingest["method"])
            load = ways.bound({method: parts.load("ingest", method).load}, candidate)
            prepare.fill(host.psql(), kept.direct, candidate, load, sources, Span())
            prepare.settle(kept.nodes)
            start, end = trial.window(kept, sources)
            samples = {one.name: one.sample(SAMPLE_ROWS, seed=SEED) for one in sources}
            yield (
                kept,
                {
                    query.name: workload.draw_sets(
                        query, samples, window_start=start, window_end=end, k=SETS, seed=SEED
                    )
                    for query in candidate.queries
                },
            )


# --- finding --------------------------------------------------------------------------------


def diagnose(kept: Kept, queries: Sequence[Query], sets: count.Sets) -> Diagnosis:
    """Explain *queries*, name what each is spent on, and try the indexes that their plans suggest."""
    roots: dict[Table, Table] = {
        (one["schema"], one["name"]): (one["root_schema"], one["root_name"])
        for one in pg.rows(kept.admin, pg.query("roots"))
    }
    hypothetical = _has_hypopg(kept.admin)
    with pg.connected(kept.direct.conninfo, autocommit=False) as connection:
        executed = {one.name: _plans(connection, _EXECUTED, one, sets[one.name]) for one in queries}
        worst = {name: max(plans, key=bottleneck.touched) for name, plans in executed.items()}
        ask = Screen(connection, queries, sets, hypothetical and not roots)
        seen = [plan for plans in executed.values() for plan in plans]
        known = {one["name"]: one["columns"] for one in pg.rows(kept.admin, pg.query("index_columns"))}
        uses_ = [one for plan in seen for one in uses(plan, roots, known).items()]
        indexes = list(dict.fromkeys(index for table, use in uses_ for index in proposals(table, use)))
        tried = [ask.tried(one) for one in indexes]
        replanned = ask.replanned()
    by = "hypopg" if ask.hypothetical else "making and dropping each"
    bottlenecks = {name: bottleneck.named(plan) for name, plan in worst.items()}
    refused = tuple(one for one in tried if one.refused)
    return Diagnosis(bottlenecks, best(tried), len(indexes), by, replanned, refused)


def _plans(connection: pg.Connection, how: str, query: Query, sets: Sequence[Sequence[str | None]]) -> list[Json]:
    """The top nodes of all statements of *query*, with each parameter set; what they wrote is rolled back."""
    found: list[Json] = []
    for params in sets:
        for one in query.statements:
            sent = f"{how} {statement.inlined(one.text, [params[k] for k in one.takes])}"
            found.append(_plan(connection, query, one, sent))
        connection.rollback()
    return found


def _plan(connection: pg.Connection, query: Query, one: Statement, sent: str) -> Json:
    """The top node of the plan that EXPLAIN gives of one statement, as it is *sent*."""
    try:
        _, ((plan,),) = pg.texts(connection, sent)
    except pg.Error as error:
        raise count.refusal(query, one, sent, error) from None
    return explain.read(str(plan))["Plan"]


def _has_hypopg(admin: pg.Connection) -> bool:
    """Make hypopg usable for the author's role, where the server has it."""
    if not pg.rows(admin, "SELECT FROM pg_available_extensions WHERE name = 'hypopg'"):
        return False
    pg.run(admin, "CREATE EXTENSION hypopg SCHEMA pglab", "GRANT USAGE ON SCHEMA pglab TO lab")
    return True


class Screen:
    """Asks the planner what it would do with an index, and what it expects of it."""

    def __init__(
        self, connection: pg.Connection, queries: Sequence[Query], sets: count.Sets, hypothetical: bool
    ) -> None:
        """*hypothetical*: by hypopg; else each index is made and dropped again.

        `for_all`: query -> the plans for all values that a server may come to keep of it, where it is sent prepared.
        """
        self._connection, self._queries, self._sets = connection, queries, sets
        self.hypothetical = hypothetical
        self._before = {one.name: self._plans(one) for one in queries}
        self.for_all = {one.name: self._plans_for_all(one) for one in queries}

    def _plans(self, query: Query) -> list[Json]:
        return _plans(self._connection, _ESTIMATED, query, self._sets[query.name])

    def _plans_for_all(self, query: Query) -> list[Json]:
        if query.send != "prepared":
            return []
        found = [_plan(self._connection, query, one, f"{_FOR_ALL} {one.text}") for one in query.statements]
        self._connection.rollback()
        return found

    def tried(self, index: Index) -> Tried:
        """What each query is expected to gain by *index*, if the planner takes it and the server makes it."""
        columns = ", ".join(map(_column, index.columns))
        ddl = f"CREATE INDEX ON {pg.ident(*index.table)} USING {index.method} ({columns})"
        try:
            with self._there(ddl) as names:
                after = {one.name: self._plans(one) for one in self._queries}
                for_all = {one.name: self._plans_for_all(one) for one in self._queries}
        except pg.Error as error:  # a type that has no such index, or a value that is too long for one
            self._connection.rollback()
            return Tried(index, f"{ddl};", {}, pg.words(error))
        gains: dict[str, float] = {}
        for was, now in ((self._before, after), (self.for_all, for_all)):
            for name, plans in now.items():
                if names & _named(plans):
                    gains[name] = min(gains.get(name, 1.0), round(_cost(plans) / _cost(was[name]), 4))
        return Tried(index, f"{ddl};", {name: gain for name, gain in gains.items() if gain < 1 - GAIN})

    def replanned(self) -> tuple[str, ...]:
        """The queries that use other indexes where blocks may be read in any order at hardly more cost."""
        connection = self._connection
        for name, value in experiment.RANDOM_READS.items():
            pg.run(connection, f"SET {name} = {value}")
        connection.commit()
        found = tuple(one.name for one in self._queries if _named(self._plans(one)) != _named(self._before[one.name]))
        for name in experiment.RANDOM_READS:
            pg.run(connection, f"RESET {name}")
        connection.commit()
        return found

    def _there(self, ddl: str) -> AbstractContextManager[set[str]]:
        """The index, for the length of the block; yields the names that plans have for it and its parts."""
        return self._supposed(ddl) if self.hypothetical else self._made(ddl)

    @contextmanager
    def _supposed(self, ddl: str) -> Iterator[set[str]]:
        connection = self._connection
        made = pg.ask(connection, "SELECT indexname FROM pglab.hypopg_create_index(%(ddl)s)", {"ddl": ddl})
        connection.commit()
        yield {made["indexname"]}
        pg.run(connection, "SELECT pglab.hypopg_reset()")
        connection.commit()

    @contextmanager
    def _made(self, ddl: str) -> Iterator[set[str]]:
        connection = self._connection
        name = f"pglab_{secrets.token_hex(4)}"
        pg.run(connection, ddl.replace("CREATE INDEX ON", f"CREATE INDEX {name} ON", 1))
        schema = pg.ask(connection, pg.query("index_schema"), {"name": name})["schema"]
        tree = pg.rows(connection, pg.query("index_tree"), {"index": pg.ident(schema, name)})
        connection.commit()
        yield {one["name"] for one in tree}
        pg.run(connection, f"DROP INDEX {pg.ident(schema, name)}")
        connection.commit()


def best(tried: Sequence[Tried]) -> tuple[Tried, ...]:
    """Those that the planner takes, at most MOST, the simplest first; no index that a simpler one does as well.

    Of more than MOST the ones stay from which some query gains most.
    """
    kept: list[Tried] = []
    for one in sorted(tried, key=lambda one: (len(one.index.columns), one.index.method != "btree")):
        known = {name: min((k.gains[name] for k in kept if name in k.gains), default=1.0) for name in one.gains}
        if any(gain < (1 - GAIN) * known[name] for name, gain in one.gains.items()):
            kept.append(one)
    chosen = sorted(kept, key=lambda one: min(one.gains.values()))[:MOST]
    return tuple(one for one in kept if one in chosen)


def _column(column: str) -> str:
    bare = column.removesuffix(" DESC")
    return pg.ident(bare) + column[len(bare) :]


def _cost(plans: Sequence[Json]) -> float:
    """The planner's own unit, which is no time."""
    return sum(float(plan["Total Cost"]) for plan in plans) or 1.0


def _named(plans: Sequence[Json]) -> set[str]:
    """The indexes that *plans* use."""
    return {str(node["Index Name"]) for plan in plans for node in count.nodes(plan) if "Index Name" in node}
