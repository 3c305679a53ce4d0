"""One trial: the round's steps on one instance, and the facts of each.

Everything that may differ between two candidates is measured around the step that caused it, by
differences of running totals. Nothing is judged here.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from lab import cold, commands, pace, pg, prepare, refused, statement, timeline, ways, workload
from lab.clusters import CanKeepApart, Cluster
from lab.drivers import CALLS, OPS, Driven, Driver, Work
from lab.errors import ClusterError, IngestError
from lab.ingest import Load
from lab.kept import Kept
from lab.model import Candidate, Json, Slice, SqlFile, Trial
from lab.probes import quota
from lab.probes.activity import activity
from lab.probes.host import foreign_share
from lab.probes.server import each, joined, less, seen
from lab.probes.watcher import Watcher
from lab.sources import Source

_GRACE_S = 30.0
_OPENING = 2  # round trips at least of a new connection: its start, and a statement prepared; more with a password


@dataclass(frozen=True)
class Tools:
    """What a run works with; the caller chose it. *loads*: ingest method -> its function.

    *samples*: stream -> rows that parameters are drawn from, the same for every candidate.
    *window_rows* is how many rows `retire` takes away. *scripted*: the load is the workload's own
    locustfile, and the mix is only counted. *cold*: caches are emptied before each slice of load.
    *watcher*: who looks on while load runs, None for nobody.
    """

    psql: Path
    driver: Driver
    loads: Mapping[str, Load]
    sources: Sequence[Source]
    samples: Mapping[str, pa.Table]
    window_rows: int
    scripted: bool = False
    cold: bool = False
    watcher: Watcher | None = None
    own_schedule: bool = False  # the driver draws due times itself, so that nobody knows how many operations are due
    witness: "Tools | None" = None  # with which the slices of a second generator are driven

    def forget(self, connection: str) -> None:
        """Close the connections to an instance that is about to end or to be restored."""
        self.driver.forget(connection)
        if self.watcher is not None:
            self.watcher.forget()


def drive(kept: Kept, trial: Trial, steps: Sequence[timeline.Step], tools: Tools) -> Slice:
    """Go through the steps and give the slice; the rows are counted after the last one.

    Raise ClusterError where the server is gone, IngestError where it refuses the author's SQL.
    """
    ops: list[pa.Table] = []
    witness: list[pa.Table] = []
    series: list[pa.Table] = []
    facts: list[dict[str, Json]] = []
    own = accumulate(step.do != "witness" for step in steps)  # which is asked what the drive before it was asked
    for number, step in zip(own, steps, strict=True):
        with_ = tools.witness or tools if step.do == "witness" else tools
        act = _STEPS[step.do](kept, step, with_, trial.seed + number - 1)
        if tools.cold and step.do in ("drive", "saturate", "witness"):
            with answering(kept.instance.name, kept.cluster):
                cold.cool(kept.nodes)
        with _watched(kept, step.do) as fact, _looking(kept, step.do, tools, series):
            driven = act(fact)
        if driven is not None:
            (witness if step.do == "witness" else ops).append(driven.ops)
            _reckon(kept, fact)
        facts.append(fact)
    with answering(kept.instance.name, kept.cluster):
        if facts:
            facts[-1]["activity"] = activity(kept.nodes, kept.rooms.nodes)  # when rows are as many as they were before
        rows = kept.rows_there()
    done = pa.concat_tables(ops) if ops else OPS.empty_table()
    more = (pa.concat_tables(tables) if tables else None for tables in (series, witness))
    return Slice(trial, tuple(facts), done, rows, kept.rows, *more)


def _looking(kept: Kept, do: str, tools: Tools, series: list[pa.Table]) -> AbstractContextManager[None]:
    """Have somebody look on while load is driven, if anybody does; what was seen goes to *series*."""
    if tools.watcher is None or do not in ("drive", "saturate"):
        return nullcontext()
    return tools.watcher.looking(kept.cluster.nodes(), kept.host.ours(), series)


@contextmanager
def answering(name: str, cluster: Cluster) -> Iterator[None]:
    """A server that is gone, or has no room, is the environment's failure, told with the server's last words."""
    try:
        yield
    except pg.OperationalError as error:
        for process in cluster.processes:
            process.cpu_s()  # says how the server died, if it did
        words = pg.words(error)
        said = {"connection": f"the connection was lost: {words}", "room": f"{words} ({prepare.NO_ROOM})"}
        none = words.startswith(("connection failed", "connection is bad"))  # to lose: it could not be had
        what = "" if none else pg.environmental(error) or ""
        raise ClusterError(f"{name}: {said.get(what, words)}") from error


@contextmanager
def telling(candidate: Candidate) -> Iterator[None]:
    """Whose SQL it is that the server refuses."""
    try:
        yield
    except IngestError as error:
        raise IngestError(f"{candidate.name}: {error}") from None


@contextmanager
def _watched(kept: Kept, do: str) -> Iterator[dict[str, Json]]:
    """The facts of one step: what it adds itself, and what the probes saw before and after.

    The probes' own readings stay outside of the step's clock. A step begins when standbys have
    replayed all that was written, and its CPU seconds go on until they have replayed it too.
    """
    fact: dict[str, Json] = {"do": do}
    server = kept.server
    with answering(kept.instance.name, kept.cluster):
        driving = do in ("drive", "saturate")
        prepare.caught_up(kept.nodes)
        statements, inner = (server.statements(), server.inner()) if driving else ({}, {})
        apart = server.apart()
        others, totals, spent = kept.host.read(), joined(server.read(), apart), server.cpu_s()
        waited = server.throttled_s()
        start_ns = time.monotonic_ns()
        yield fact
        end_ns = time.monotonic_ns()
        after, kept_back = server.read(), less(server.throttled_s(), waited)
        prepare.caught_up(kept.nodes)
        cpu_s = less(server.cpu_s(), spent)
        after = joined(after, server.apart())
        asked = less(server.statements(), statements) if driving else {}
        share = foreign_share(kept.host.read(), others, (time.monotonic_ns() - start_ns) / 1e9)
        fact |= {"start_ns": start_ns, "end_ns": end_ns} | seen(totals, after)
        fact |= {"server_cpu_s": sum(cpu_s.values()) if cpu_s else None, "foreign_cpu_share": share}
        if kept_back:
            fact["throttled_s"] = kept_back
        if driving:
            fact["statements"] = {name: one for name, one in asked.items() if one["calls"] > 0}
        if kept.shaped:
            fact |= {"nodes": each(totals, after), "cpu_s": cpu_s}
        if kept.shaped and driving:
            fact |= {"wal": server.wal(totals, after), "inner_calls": less(server.inner(), inner)["calls"]}


# --- steps ----------------------------------------------------------------------------------

# What needs no server is made first; the act itself, under the clock and the probes, adds to the facts.
Act = Callable[[dict[str, Json]], Driven | None]


def _append(kept: Kept, step: Any, tools: Tools, seed: int) -> Act:
    """The next rows of every stream that has a time, by the candidate's own ingest method."""
    del seed
    first = {source.name: source.rows + kept.span.appended for source in moving(tools.sources)}
    rows = {s.name: list(s.batches(first[s.name], first[s.name] + step.rows)) for s in moving(tools.sources)}

    def act(fact: dict[str, Json]) -> None:
        fact["rows"] = 0
        for source in moving(tools.sources):
            bounds = bounds_of(source, first[source.name], first[source.name] + step.rows)
            author(kept, "before_append", bounds)
            table = prepare.table_of(kept.admin, kept.candidate, source.name)
            load = kept.load(tools.loads, later=True)
            sent = ways.sent(load, kept.cluster.write(), kept.candidate, table, source.schema, rows[source.name])
            author(kept, "after_append", bounds)
            fact["rows"] += sent.rows
            if sent.again:
                fact["again"] = fact.get("again", 0) + sent.again
        kept.span = replace(kept.span, appended=kept.span.appended + step.rows)
        kept.rows += fact["rows"]

    return act


def _retire(kept: Kept, step: Any, tools: Tools, seed: int) -> Act:
    """The oldest rows go, by the candidate's own SQL."""
    del step, seed

    def act(fact: dict[str, Json]) -> None:
        fact["rows"] = 0
        for source in moving(tools.sources):
            author(kept, "retire", bounds_of(source, kept.span.retired, kept.span.retired + tools.window_rows))
            fact["rows"] += tools.window_rows
        kept.span = replace(kept.span, retired=kept.span.retired + tools.window_rows)
        kept.rows -= fact["rows"]

    return act


def _maintain(kept: Kept, step: Any, tools: Tools, seed: int) -> Act:
    """The candidate's own `maintain` SQL, or VACUUM (ANALYZE) of all that is the author's."""
    del step, tools, seed

    def act(fact: dict[str, Json]) -> None:
        fact["own"] = "maintain" in kept.candidate.steps
        author(kept, "maintain", {})
        for node in () if fact["own"] else kept.databases:
            if prepare.leads(node.connection):
                pg.alone(node.connection, "VACUUM (ANALYZE)")

    return act


def _driven(kept: Kept, step: Any, tools: Tools, seed: int) -> Act:
    """A slice of the mix, open loop at a rate or as fast as the clients go; or of scripted users."""
    work = work_of(kept, step, tools, seed)
    kept.rooms.warm(work, tools.driver)

    def act(fact: dict[str, Json]) -> Driven:
        waited_s = quota.throttled_s()
        load = tools.driver.start(work)
        if not load.wait(step.for_s + _GRACE_S):
            load.stop()
        driven = load.ops()
        open_loop = not work.saturate and not tools.scripted
        fact |= {
            "rate": step.rate if open_loop else None,
            "due": len(work.calls) if open_loop and not tools.own_schedule else None,
            "for_s": step.for_s,
            "clients": work.clients,
            "generator_cpu_s": driven.cpu_s,
            "generator_throttled_s": quota.throttled_s() - waited_s,
            "zero_ns": driven.start_ns,
            "zero_wall_ns": driven.wall_ns,
        }
        if driven.workers:
            fact["workers"] = list(driven.workers)
        if work.queries:
            fact |= _sent(driven.ops, work)
        if work.apart is not None:
            fact |= {"opened": driven.opened, "round_trips": fact["round_trips"] + _OPENING * driven.opened}
        return driven

    return act


def work_of(kept: Kept, step: Any, tools: Tools, seed: int) -> Work:
    """What the driver is asked for in a driven step, drawn from *seed*."""
    due_ns = np.zeros(0, dtype=np.int64) if tools.scripted else pace.of_step(step, seed=seed)
    queries = () if tools.scripted else kept.candidate.queries
    start, end = window(kept, tools.sources)
    calls = CALLS.empty_table()
    if queries:
        calls = workload.draw(queries, tools.samples, window_start=start, window_end=end, due_ns=due_ns, seed=seed)
    return Work(
        connection=kept.connection,
        endpoint=kept.cluster.write(),
        queries=queries,
        calls=calls,
        clients=kept.candidate.clients or step.clients,
        for_s=step.for_s,
        saturate=step.do == "saturate",
        reads=kept.reads,
        apart=kept.rooms.apart(queries) if queries else None,
    )


def _sent(ops: pa.Table, work: Work) -> dict[str, Json]:
    """How the operations went out: `round_trips` of client and server, and how many went to `reads`.

    A transaction of several statements takes one round trip for each, for its BEGIN and its COMMIT.
    """
    done = Counter(map(str, ops["name"].to_pylist()))
    size = {query.name: len(query.statements) for query in work.queries}
    reading = [query.name for query in work.queries if work.reads and commands.only_reads(query)]
    return {
        "round_trips": sum(count * (1 if size[name] == 1 else size[name] + 2) for name, count in done.items()),
        "reads": sum(done[name] for name in reading),
    }


_STEPS: Mapping[str, Callable[[Kept, Any, Tools, int], Act]] = {
    "append": _append,
    "retire": _retire,
    "maintain": _maintain,
    "drive": _driven,
    "saturate": _driven,
    "witness": _driven,
}

_MOVES_ROWS = {"insert", "delete", "merge", "truncate", "copy", "call"}


def _reckon(kept: Kept, fact: dict[str, Json]) -> None:
    """Where the load itself may add rows or take them away, what is there now is what should be there."""
    if any(_MOVES_ROWS & commands.of(query) for query in kept.candidate.queries):
        with answering(kept.instance.name, kept.cluster):
            now = kept.rows_there()
        fact["rows_by_load"] = now - kept.rows
        kept.rows = now


def author(kept: Kept, step: str, bounds: Mapping[str, str]) -> None:
    """Run the candidate's own SQL of a step, statement by statement, with `:from` and `:to` filled in.

    Where rows are kept apart, in each database that holds some. Nothing of it outlives it in the connection: neither a
    setting nor a transaction.
    """
    sql = kept.candidate.steps.get(step)
    for connection in [one.connection for one in kept.rooms.nodes] or [kept.admin]:
        if sql is not None:
            _authored(kept, connection, sql, bounds)
    if sql is not None and isinstance(kept.cluster, CanKeepApart):  # and in what later ones will be like
        with pg.connected(kept.cluster.model(admin=True).conninfo) as model:
            _authored(kept, model, sql, bounds)


def _authored(kept: Kept, connection: pg.Connection, sql: SqlFile, bounds: Mapping[str, str]) -> None:
    who = kept.candidate.name
    with pg.acting_as(connection, kept.role):
        for one in statement.bound(sql.text, bounds, sql.file):
            try:
                pg.run(connection, one.text)
            except pg.Error as error:
                if connection.closed or pg.environmental(error):
                    raise
                place = refused.place(sql.file, one.line, error.diag.statement_position, one.text)
                raise IngestError(f"{who}: {place}: {pg.words(error)}") from None
        if pg.in_transaction(connection):
            raise IngestError(f"{who}: {sql.file}: leaves a transaction open (end it with COMMIT;)")


def moving(sources: Sequence[Source]) -> list[Source]:
    """The streams that have a time, of which rows come and go."""
    return [source for source in sources if source.time_of(0) is not None]


def bounds_of(source: Source, first: int, last: int) -> dict[str, str]:
    """The times that rows [first, last) span, as SQL would read them."""
    start, end = source.time_of(first), source.time_of(last)
    assert start is not None
    assert end is not None
    return {"from": start.isoformat(sep=" "), "to": end.isoformat(sep=" ")}


def window(kept: Kept, sources: Sequence[Source]) -> tuple[Any, Any]:
    """From and to of the rows that are there now; (None, None) where nothing has a time."""
    timed = moving(sources)
    if not timed:
        return None, None
    first, last = kept.span.of(timed[0])
    return timed[0].time_of(first), timed[0].time_of(last)
