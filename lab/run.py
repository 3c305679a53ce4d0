"""The interpreter: one timeline, in one thread, from a design to trials on disk.

Instances are prepared once and stay up (`kept`), or each trial begins from a snapshot
(`restored`) or from nothing (`fresh`). Whatever happens in between, a trial that was kept stays:
the store writes it before the next one begins, and a later run goes on from there.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from lab import apart, bygone, count, modes, pg, prepare, shape, store, timeline, trial, workload
from lab.clock import Clock, Tell
from lab.clusters import Cluster, OpenCluster
from lab.design import Design
from lab.errors import ClusterError
from lab.hosts import Host
from lab.inventory import inventory
from lab.kept import Kept
from lab.keys import OLDEST
from lab.model import Candidate, Instance, Json, Prepared, Query, Scenario, Slice, SqlFile, Study, Trial
from lab.prepare import Span
from lab.probes.host import HostProbe
from lab.probes.server import Node
from lab.share import Share, limited
from lab.trial import Tools

SETS = 8  # parameter sets of the count pass; more than the five after which a plan may turn generic
STUDY_SETS = 2  # planned anew at each call, so that there is no sixth execution to wait for


@dataclass
class Stop:
    """A wish to stop: after the trial under way. *why* goes into the last words, *needs_s* where no trial was finished:
    about how long one takes, from the moment that the deadline was set."""

    asked: bool = False
    why: str = ""
    interrupted: bool = False
    deadline: float | None = None  # on time.monotonic
    begun: float = 0.0  # the same
    needs_s: float = 0.0

    def within(self, seconds: float, needs_s: float = 0.0) -> None:
        """Begin nothing that would end later than *seconds* from now."""
        self.begun, self.needs_s = time.monotonic(), needs_s
        self.deadline = self.begun + seconds

    def before(self, next_s: float) -> bool:
        """Should something that takes *next_s* seconds not be begun?"""
        if not self.asked and self.deadline is not None and time.monotonic() + next_s > self.deadline:
            self.asked, self.why = True, "the time given with --max-time is over"
            self.needs_s = max(self.needs_s, time.monotonic() + next_s - self.begun)
        return self.asked


@dataclass(frozen=True)
class Bench:
    """All that a run uses, chosen by the caller. *clusters*: kind of topology -> how to open it.

    *shares*: candidate -> what each of its processes is given, of those whose processes are limited.
    """

    host: Host
    clusters: Mapping[str, OpenCluster]
    tools: Tools
    settings: Mapping[str, str]
    tell: Tell
    stop: Stop = field(default_factory=Stop)
    shares: Mapping[str, Share] = field(default_factory=dict)


def run(scenario: Scenario, design: Design, bench: Bench, folder: Path) -> bool:
    """Run what is missing of *design* into *folder*; True when all of it is there.

    Stops early, between two trials, when bench.stop says so. Raise ClusterError or IngestError
    where it cannot go on; what was kept by then stays.
    """
    have = store.trials_of(folder)
    rounds = [[one for one in trials if one.id not in have] for trials in design.rounds]
    first = _first_trials(rounds) if scenario.isolation != "fresh" else {}
    studies = _missing_studies(scenario, folder)
    todo = {"studies": len(studies), "prepare": len(first), "trials": sum(map(len, rounds))}
    clock = Clock(scenario, bench.tell, bench.tools.sources, **todo)
    _studies(scenario, bench, folder, clock, studies)
    with ExitStack() as stack:
        ready = _Ready(scenario, bench, folder, stack, clock)
        for instance in (one for one in design.instances if one in first):
            if bench.stop.before(0):
                return False
            ready.prepare(first[instance])
        for one in (one for trials in rounds for one in trials):
            if bench.stop.before(clock.trial_s):
                return False
            with clock.doing(f"round {one.round} of {len(rounds)}: {one.instance.name}", "trial"):
                slice_ = ready.drive(one)
                store.keep_trial(folder, slice_, ready.logs(one.instance))
    return True


def _first_trials(rounds: Sequence[Sequence[Trial]]) -> Mapping[Instance, Trial]:
    """Each instance's first trial that is to be run."""
    first: dict[Instance, Trial] = {}
    for one in (one for trials in rounds for one in trials):
        first.setdefault(one.instance, one)
    return first


# --- instances ------------------------------------------------------------------------------


@dataclass
class _Ready:
    """The instances that are up, prepared when first asked for. *seen* bytes of each log are
    stored; each instance holds the rows that round *ahead* begins with."""

    scenario: Scenario
    bench: Bench
    folder: Path
    stack: ExitStack
    clock: Clock
    kept: dict[Instance, Kept] = field(default_factory=dict)
    seen: dict[str, int] = field(default_factory=dict)
    ahead: dict[Instance, int] = field(default_factory=dict)

    def prepare(self, first: Trial) -> None:
        """Bring an instance up, at the window that its *first* trial begins with."""
        position = first.round if self.scenario.isolation == "kept" else 1
        with self.clock.doing(f"preparing {first.instance.name}", "prepare"):
            kept = self.stack.enter_context(self._opened(first.instance, position))
            if self.scenario.isolation == "restored":
                kept.hang_up()
                kept.cluster.snapshot()
        self.kept[first.instance], self.ahead[first.instance] = kept, first.round

    def drive(self, one: Trial) -> Slice:
        """The trial's slice, on its instance as the scenario's isolation says."""
        steps, tools = steps_of(self.scenario, one.instance), self.bench.tools
        if self.scenario.isolation == "fresh":
            with self._opened(one.instance, 1) as kept:
                self.kept[one.instance] = kept
                slice_ = trial.drive(kept, one, steps, tools)
                tools.forget(kept.connection)
                return slice_
        kept = self.kept[one.instance]
        if self.scenario.isolation == "restored":
            kept = self.kept[one.instance] = self._restored(kept)
        elif self.ahead[one.instance] != one.round:
            tools.forget(kept.connection)  # a trial between is on record: its rows came and went elsewhere
            self.prepare(one)
            kept = self.kept[one.instance]
        self.ahead[one.instance] = one.round + 1
        return trial.drive(kept, one, steps, tools)

    def _restored(self, kept: Kept) -> Kept:
        """The instance as it was after it was prepared; connections do not survive that."""
        self.bench.tools.forget(kept.connection)
        kept.hang_up()
        kept.cluster.restore()
        anew = connected(kept.instance, kept.candidate, kept.cluster, self.scenario, kept.host)
        again = self.stack.enter_context(anew)
        again.host, again.rows, again.rows_before = kept.host, kept.rows_before, kept.rows_before
        return again

    @contextmanager
    def _opened(self, instance: Instance, round_: int) -> Iterator[Kept]:
        candidate = self.scenario.candidates[instance.candidate]
        name = store.label(instance)
        with (
            brought_up(candidate, self.bench, name, self.folder / ".logs" / name) as cluster,
            connected(instance, candidate, cluster, self.scenario, HostProbe(ours=self.bench.host.own)) as kept,
        ):
            kept.span = _span(self.scenario, self.bench.tools, round_ - 1)
            known = store.has_instance(self.folder, instance)
            prepared = prepare_instance(kept, self.scenario, self.bench.tools, again=known)
            store.keep_instance(self.folder, prepared, self.bench.tools.samples)
            yield kept

    def logs(self, instance: Instance) -> dict[str, str]:
        """What the instance's servers have logged since it was last asked."""
        found = {}
        for server in self.kept[instance].cluster.servers:
            data, key = server.log.read_bytes(), str(server.log)
            found[server.name] = data[self.seen.get(key, 0) :].decode(errors="replace")
            self.seen[key] = len(data)
        return found


def steps_of(scenario: Scenario, instance: Instance) -> tuple[timeline.Step, ...]:
    """The round's steps for *instance*: loads of the baseline, the twin aside, are driven by the witness too."""
    witnessed = instance.candidate == scenario.baseline and not instance.twin
    return tuple(timeline.witnessed(scenario.round)) if witnessed else tuple(scenario.round)


@contextmanager
def brought_up(candidate: Candidate, bench: Bench, name: str, logs: Path) -> Iterator[Cluster]:
    """The candidate's cluster; a server that is gone while it is open is a ClusterError."""
    settings = {**bench.settings, **candidate.settings}
    opened = bench.clusters[candidate.topology.kind]
    given = bench.shares.get(candidate.name)
    with (
        bench.host.private() as private,
        opened(limited(private, given), candidate.topology, name=name, settings=settings, logs=logs) as cluster,
        trial.answering(name, cluster),
    ):
        if given is not None:
            given.check(name, cluster.processes)
        yield cluster


@contextmanager
def connected(
    instance: Instance, candidate: Candidate, cluster: Cluster, scenario: Scenario, host: HostProbe
) -> Iterator[Kept]:
    """An instance, connected to each of its servers for the length of the block."""
    with ExitStack() as stack:
        first, *rest = cluster.nodes()
        admin = stack.enter_context(pg.connected(first.conninfo))
        if admin.info.server_version < OLDEST * 10_000:
            found = admin.info.server_version // 10_000
            raise ClusterError(
                f"{candidate.name}: the server is PostgreSQL {found} (the lab measures {OLDEST} and later)"
            )
        spoken_to = {first.node, cluster.write().node, *(one.node for one in cluster.reads())}
        others = []
        for one in rest:
            connection = stack.enter_context(pg.connected(one.conninfo))
            others.append(Node(one.node, connection, inner=one.node not in spoken_to and prepare.leads(connection)))
        shaped = shape.several(scenario)
        kept = Kept(instance, candidate, cluster, admin, host, others=others, shaped=shaped)
        stack.callback(kept.rooms.close)
        yield kept


def _span(scenario: Scenario, tools: Tools, rounds: int) -> Span:
    """Which rows are there after so many rounds."""
    appended = sum(step.rows for step in scenario.round if step.do == "append")
    retired = sum(tools.window_rows for step in scenario.round if step.do == "retire")
    return Span(appended=appended * rounds, retired=retired * rounds)


def prepare_instance(kept: Kept, scenario: Scenario, tools: Tools, *, again: bool = False) -> Prepared:
    """Go through the steps before the rounds and give what is known of the instance.

    *again*: its count pass is on record, from before the first round; it is not counted twice.
    """
    candidate, admin = kept.candidate, kept.admin
    metrics: dict[str, tuple[float, ...]] = {}
    report: dict[str, Json] = {}
    counted = count.Counted({}, {}, {})
    for step in scenario.prepare:
        if step.do == "ingest":
            report, of_load = ingest(kept, scenario, tools)
            metrics |= of_load
        elif step.do == "settle":
            prepare.settle(kept.nodes, kept.rooms.nodes)
        elif step.do == "count" and not again:
            prepare.caught_up(kept.nodes)
            metrics |= prepare.sizes(kept.databases, report["rows"], beside=_copies(report))
            with trial.telling(candidate):
                counted, planned = counted_on(kept, sets_of(kept, tools, SETS))
            metrics |= counted.metrics
            report |= {"queries": planned} if planned else {}
            if any(map(count.writes, candidate.queries)):
                # what was rolled back takes room, and a resumed instance has none of it
                prepare.settle(kept.nodes, kept.rooms.nodes)
        elif step.do == "maintain":
            trial.author(kept, "maintain", {})
    kept.rows = kept.rows_before = kept.rows_there()
    report["rows_in_tables"] = kept.rows
    report |= inventory(admin)
    report |= {"unlogged": unlogged} if (unlogged := prepare.unlogged(admin)) else {}
    report["partitions"] = pg.ask(admin, pg.query("partitions"))["n"]
    promised: tuple[str, ...] = ()
    if kept.shaped:
        report |= shape_of(kept)
        promised = prepare.promises(kept.nodes, candidate.topology, reads=bool(kept.reads))
    return Prepared(
        instance=kept.instance,
        metrics=metrics,
        explains=counted.explains,
        digests=counted.digests,
        settings=prepare.settings(admin),
        guarantees=prepare.guarantees(admin) + promised,
        report=report,
    )


def ingest(kept: Kept, scenario: Scenario, tools: Tools) -> tuple[dict[str, Json], dict[str, tuple[float, ...]]]:
    """Apply the schema and bring the rows in: the report of that, and its exact metrics."""
    candidate = kept.candidate
    prepare.apply(tools.psql, kept.direct, candidate.schema, candidate.name)
    made = kept.rooms.make(tools.sources, kept.span, clients_of(candidate, scenario))
    bygone.before_rows(kept, scenario.round, tools)
    before = prepare.positions(kept.nodes)  # from here on it is the rows that write
    report = prepare.fill(tools.psql, kept.direct, candidate, kept.load(tools.loads), tools.sources, kept.span)
    report["checkpoints"] = prepare.checkpoints(kept.nodes, before)
    metrics = prepare.load_metrics(kept.nodes, before, report)
    bygone.after_rows(kept, scenario.round, tools)
    return {**report, **made}, metrics


def counted_on(kept: Kept, sets: count.Sets) -> tuple[count.Counted, dict[str, Json]]:
    """The count pass of an instance, all its servers' tables analysed anew between the passes; and `modes.modes`.

    The latter before and after these drawings; {} of several servers, of which others have plans of their own.
    """
    info, queries = kept.direct.conninfo, kept.candidate.queries
    inner = kept.server.inner if kept.shaped else None

    def counting(info: str, queries: Sequence[Query], sets: count.Sets) -> count.Counted:
        redraw = partial(prepare.analyse, kept.rooms.behind(info))
        return count.count(info, queries, sets, inner=inner, redraw=redraw, settled=bool(kept.rooms.nodes))

    if kept.shaped:
        return apart.counted(kept.rooms.grouped(info, queries, sets), sets, counting, kept.rooms.held), {}
    before = modes.modes(info, [one for one in queries if not count.writes(one)], sets)
    return counting(info, queries, sets), modes.agreed(before, modes.modes(info, queries, sets))


def clients_of(candidate: Candidate, scenario: Scenario) -> int:
    """The most clients that ask a candidate at a time."""
    driven = (step for step in scenario.round if isinstance(step, timeline.Drive | timeline.Saturate))
    return candidate.clients or max((step.clients or 1 for step in driven), default=1)


def _copies(report: Json) -> float:
    """The bytes of databases beside the first: each has catalogs of its own, before it has any row."""
    made = report.get("databases")
    return float((made["count"] - 1) * made["bytes"]) if made else 0.0


def shape_of(kept: Kept) -> dict[str, Json]:
    """What the report says of a shape: its processes, and the bytes on each server."""
    return {
        "processes": [process.name for process in kept.cluster.processes],
        "reads": [one.node for one in kept.reads],
        "standbys": sum(not prepare.leads(node.connection) for node in kept.nodes),
        "sizes": prepare.sizes_of(kept.databases),
    }


def sets_of(kept: Kept, tools: Tools, k: int) -> count.Sets:
    start, end = trial.window(kept, tools.sources)
    return {
        query.name: workload.draw_sets(query, tools.samples, window_start=start, window_end=end, k=k, seed=0)
        for query in kept.candidate.queries
    }


# --- the catalogue study --------------------------------------------------------------------

_STUDIED = ("locks_per_call", "fast_path_misses_per_call", "partitions_per_call", "planning_ms", "first_query_ms")


def _missing_studies(scenario: Scenario, folder: Path) -> list[tuple[int, SqlFile]]:
    """The points of the catalogue study that are not on disk: number of partitions, schema."""
    catalogue = scenario.catalogue
    if catalogue is None:
        return []
    points = zip(catalogue.partitions, catalogue.schemas, strict=True)
    return [(n, schema) for n, schema in points if not store.has_study(folder, catalogue.candidate, n)]


def _studies(
    scenario: Scenario, bench: Bench, folder: Path, clock: Clock, missing: Sequence[tuple[int, SqlFile]]
) -> None:
    """Count at each number of partitions, without rows: what planning and locking cost by themselves.

    Nothing is analysed: the planner takes a table it knows nothing of for ten pages, and an
    analysed empty one for none, for which it would not even open the indexes.
    """
    if scenario.catalogue is None or not missing or bench.stop.before(0):
        return
    candidate = scenario.candidates[scenario.catalogue.candidate]
    with brought_up(candidate, bench, "catalogue", folder / ".logs" / "catalogue") as cluster:
        for n, schema in missing:
            if bench.stop.before(0):
                return
            with clock.doing(f"catalogue study: {candidate.name} with {n} partitions", "study"):
                cluster.empty()
                study = _study(replace(candidate, schema=schema), cluster, n, bench.tools)
                store.keep_study(folder, study)


def _study(candidate: Candidate, cluster: Cluster, partitions: int, tools: Tools) -> Study:
    prepare.apply(tools.psql, cluster.write(), candidate.schema, candidate.name)
    with pg.connected(cluster.admin().conninfo) as admin:
        kept = Kept(Instance(candidate.name, 1), candidate, cluster, admin, HostProbe())
        sets = sets_of(kept, tools, STUDY_SETS)
    counted = count.count(cluster.write().conninfo, candidate.queries, sets, planned_anew=True)
    kept_metrics = {
        name: values
        for name, values in counted.metrics.items()
        if name.rpartition(".")[2] in _STUDIED or name == "backend_memory_bytes"
    }
    return Study(candidate.name, partitions, kept_metrics)
