"""Before the first trial: every candidate once, with few rows, to find the author's mistakes."""

import math
import re
from collections.abc import Sequence
from pathlib import Path

from lab import commands, count, pg, prepare, statement, timeline, trial, ways
from lab.clusters import CanBypass, CanKeepApart, Cluster
from lab.drivers import CanRefuse
from lab.errors import IngestError, LabError
from lab.kept import Kept
from lab.model import Candidate, Instance, Scenario
from lab.prepare import Span
from lab.probes.host import HostProbe
from lab.run import Bench, brought_up, clients_of, connected, sets_of
from lab.sources import Source
from lab.trial import Tools

ROWS = 1_000
_OWN = 5  # connections of the lab's: to steer, to watch, to apply SQL
_HURRIED = re.compile(
    r"""synchronous_commit['"]?\s*(?:=|,|\bto\b)\s*['"]?(?:off|of|false|no|n|f|0)\b['"]?""", re.IGNORECASE
)
_REFERS = re.compile(r"\breferences\b", re.IGNORECASE)


def preflight(scenario: Scenario, bench: Bench, logs: Path) -> None:
    """Settings are accepted, schemas applied, rows fit, queries prepared and explained, steps run.

    Raise IngestError with the mistakes of all candidates.
    """
    mistakes: list[str] = []
    for key, candidates in _by_cluster(scenario).items():
        with brought_up(candidates[0], bench, f"preflight-{key}", logs) as cluster:
            for candidate in candidates:
                bench.tell(f"preflight: {candidate.name}", done=0.0, left_s=None)
                cluster.empty()
                try:
                    _try(candidate, cluster, scenario, bench.tools)
                except IngestError as error:
                    mistakes.append(str(error))
    if mistakes:
        raise IngestError("\n".join(mistakes))


def _by_cluster(scenario: Scenario) -> dict[int, list[Candidate]]:
    """Candidates that may share a server for a moment: of equal topology and settings."""
    found: dict[str, list[Candidate]] = {}
    for candidate in scenario.candidates.values():
        found.setdefault(repr((candidate.topology, sorted(candidate.settings.items()))), []).append(candidate)
    return dict(enumerate(found.values()))


def _try(candidate: Candidate, cluster: Cluster, scenario: Scenario, tools: Tools) -> None:
    with connected(Instance(candidate.name, 1), candidate, cluster, scenario, HostProbe()) as kept:
        _room_for(kept, scenario)
        prepare.apply(tools.psql, kept.direct, candidate.schema, candidate.name)
        prepare.names(kept.direct, f"{candidate.name}: {candidate.schema.file}")
        with pg.connected(kept.direct.conninfo) as connection:
            kept.span = Span(limit=ROWS, whole=_referred(connection, candidate, tools.sources))
        if scenario.unsafe is None:
            prepare.durable(kept.direct, f"{candidate.name}: {candidate.schema.file}")
            _waits_for_the_disk(candidate)
        sets = sets_of(kept, tools, 1)  # of all rows, of which few are loaded
        asked = kept.rooms.asked(candidate.queries, sets)
        with trial.telling(candidate):
            kept.rooms.make(tools.sources, kept.span, clients_of(candidate, scenario), asked)
        prepare.fill(tools.psql, kept.direct, candidate, kept.load(tools.loads), tools.sources, kept.span)
        with trial.telling(candidate):
            for info, queries, positions in kept.rooms.grouped(kept.direct.conninfo, candidate.queries, sets):
                count.explain(info, queries, {name: [sets[name][at] for at in own] for name, own in positions.items()})
            _try_reads(kept, sets)
        _rehearse(kept, scenario.round, tools)
        files = f"{candidate.name}: {', '.join(sorted(_files(candidate)))}"
        prepare.names(kept.direct, files)
        if scenario.unsafe is None:  # what its later SQL has made of the tables
            prepare.durable(kept.direct, files)
        _try_drivers(kept, scenario, tools)


def _room_for(kept: Kept, scenario: Scenario) -> None:
    """IngestError where the server takes fewer connections than clients and the lab want of it at a time.

    A pooler takes them in the server's stead, and of databases apart Rooms.make knows more.
    """
    if isinstance(kept.cluster, CanBypass | CanKeepApart):
        return
    server = pg.ask(kept.admin, pg.query("seats"))
    clients = clients_of(kept.candidate, scenario)
    wanted = _at_a_time(kept, scenario, clients) + _OWN + server["reserved"]
    if wanted > server["most"]:
        raise IngestError(
            f"{kept.candidate.name}: {clients} clients want {wanted} connections, the lab's own and those that the "
            f"server reserves among them, and max_connections is {server['most']} "
            f"(settings: {{max_connections: {wanted}}}, or fewer clients)"
        )


def _at_a_time(kept: Kept, scenario: Scenario, clients: int) -> int:
    """Connections of so many clients, a witness's clients and the load of later rows, to the server that has most."""
    asked, candidate = clients, kept.candidate
    if kept.reads and candidate.queries and all(map(commands.only_reads, candidate.queries)):
        following = sum(not prepare.leads(node.connection) for node in kept.nodes)
        asked = math.ceil(clients / max(len(kept.reads), following))
    if candidate.name == scenario.baseline and timeline.witness(scenario.round):
        asked += clients  # the first generator keeps its own meanwhile
    way = candidate.ingest.get("append") or candidate.ingest
    return asked + int(way["connections"]) * any(step.do == "append" for step in scenario.round)


def _referred(connection: pg.Connection, candidate: Candidate, sources: Sequence[Source]) -> frozenset[str]:
    """The streams that a row of another, or of its own, may point to: without all of them it may find no parent.

    Where load.sql moves the rows, and not each table has the stream of its name, nobody knows which stream fills it.
    """
    keys = pg.rows(connection, pg.query("referred"))
    tables = {key["parent"] for key in keys if key["parent"] == key["child"] or len(sources) > 1}
    streams = frozenset(source.name for source in sources)
    if candidate.load is not None and (tables - streams or (_REFERS.search(candidate.load.text) and len(sources) > 1)):
        return streams
    return streams & tables


def _files(candidate: Candidate) -> dict[str, str]:
    """The candidate's own SQL by its file: its schema, what loads rows, what its steps and its queries do."""
    queries = {one.file: "; ".join(each.text for each in one.statements) for one in candidate.queries}
    own = [candidate.schema, *filter(None, [candidate.load]), *candidate.steps.values()]
    return {**queries, **{one.file: one.text for one in own}}


def _waits_for_the_disk(candidate: Candidate) -> None:
    """Refuse SQL by which a transaction would not wait for its own WAL; IngestError names the file."""
    for file, text in _files(candidate).items():
        said = "".join(one.text for one in statement.tokens(file, text) if one.kind != "comment")
        if found := _HURRIED.search(said):
            raise IngestError(
                f"{candidate.name}: {file}: {found[0]}: would not survive a crash, and is compared with what does "
                "(leave it out, or say `unsafe: why` in scenario.yaml)"
            )


def _try_reads(kept: Kept, sets: count.Sets) -> None:
    """Ask the queries that only read of every server that follows another, if reads are sent to such."""
    if not kept.reads:
        return
    prepare.caught_up(kept.nodes)
    reading = list(filter(commands.only_reads, kept.candidate.queries))
    following = {node.name for node in kept.nodes if not prepare.leads(node.connection)}
    for endpoint in kept.cluster.nodes():
        if endpoint.node not in following:
            continue
        try:
            count.explain(endpoint.conninfo, reading, sets)
        except IngestError as error:
            raise IngestError(
                f"{error} (on {endpoint.node}, where reads are sent and nothing may be written)"
            ) from None


def _rehearse(kept: Kept, steps: Sequence[timeline.Step], tools: Tools) -> None:
    """Run the author's own SQL of the round's steps once, with a few rows; IngestError where refused."""
    few = kept.span.limit or 1
    for step in steps:
        for source in trial.moving(tools.sources):
            if isinstance(step, timeline.Append):
                assert step.rows is not None
                bounds = trial.bounds_of(source, source.rows, source.rows + step.rows)
                trial.author(kept, "before_append", bounds)
                load = kept.load(tools.loads, later=True)
                table = prepare.table_of(kept.admin, kept.candidate, source.name)
                sent = step.rows if source.name in kept.span.whole else min(few, step.rows)
                rows = source.batches(source.rows, source.rows + sent)
                ways.sent(load, kept.cluster.write(), kept.candidate, table, source.schema, rows)
                trial.author(kept, "after_append", bounds)
            elif step.do == "retire":
                trial.author(kept, "retire", trial.bounds_of(source, 0, tools.window_rows))
        if step.do == "maintain":
            trial.author(kept, "maintain", {})


def _try_drivers(kept: Kept, scenario: Scenario, tools: Tools) -> None:
    """Show the drivers the calls of their slices; IngestError for what they cannot send, such as a text to pgbench."""
    own = kept.candidate.name == scenario.baseline
    for step in timeline.witnessed(scenario.round) if own else scenario.round:
        with_ = tools.witness or tools if step.do == "witness" else tools
        if step.do not in ("drive", "saturate", "witness") or not isinstance(with_.driver, CanRefuse):
            continue
        try:
            with_.driver.refuse(trial.work_of(kept, step, with_, 0))
        except LabError as error:
            way = " (it is the witness of a drive step: leave `witness` out)" if step.do == "witness" else ""
            raise IngestError(f"{kept.candidate.name}: {error}{way}") from None
