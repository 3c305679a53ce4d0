"""The interpreter's promises, with fakes that write one log: what happens, in which order, and what survives."""

from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from lab import clock, design, preflight, run, store
from lab.drivers import OPS
from lab.errors import ClusterError, PlaceError
from lab.kept import Kept
from lab.model import Catalogue, Endpoint, Instance, Prepared, Slice, SqlFile, Statement, Study
from lab.timeline import Append, Drive, Retire
from tests import samples

STEPS = (Append(rows=10), Drive.model_validate({"for": "10ms", "rate": 100}), Retire())
RUN = {"id": "one", "scenario": {"name": "events"}, "rounds": 3}


@dataclass
class Fake:
    """A run without a server. *log* is what happened, in order; *on* what happens in the middle of it."""

    folder: Path
    isolation: str = "kept"
    rounds: int = 3
    log: list[str] = field(default_factory=list)
    on: dict[str, Any] = field(default_factory=dict)
    told: list[tuple[str, float, float | None]] = field(default_factory=list)
    stop: run.Stop = field(default_factory=run.Stop)
    catalogue: Catalogue | None = None

    def say(self, what: str) -> None:
        self.log.append(what)
        self.on.get(what, lambda: None)()

    @property
    def scenario(self):
        kept = {name: samples.candidate(name) for name in ("heap", "brin")}
        made = samples.scenario(
            candidates=kept, round=STEPS, isolation=self.isolation, catalogue=self.catalogue, baseline="heap"
        )
        return replace(made, profile="quick")

    @property
    def design(self) -> design.Design:
        return design.design(self.scenario, rounds=self.rounds, seed=1)

    def order(self) -> list[str]:
        """The trials as the design has them."""
        return [one.id for one in self.design.trials]

    @property
    def bench(self) -> run.Bench:
        tools = SimpleNamespace(samples={}, window_rows=10, sources=[], loads={}, psql=None, forget=self.forget)
        return run.Bench(FakeHost(), {"single": self.opened}, tools, {}, self.tell, self.stop)

    def tell(self, what: str, *, done: float, left_s: float | None) -> None:
        self.told.append((what, done, left_s))

    def forget(self, connection: str) -> None:
        self.say(f"forget {connection}")

    @contextmanager
    def opened(self, host, topology, *, name, settings, logs):
        del host, topology, settings
        logs.mkdir(parents=True, exist_ok=True)
        self.say(f"open {name}")
        server = FakeServer(name, logs / "server.log")
        server.log.write_text(f"{name} begins\n")
        cluster = SimpleNamespace(
            servers=(server,),
            processes=(server,),
            empty=lambda: self.say(f"empty {name}"),
            admin=lambda: Endpoint(name, "admin", name),
            write=lambda: Endpoint(name, "write", name),
            reads=lambda: [Endpoint(name, "write", name)],
            nodes=lambda: [Endpoint(name, "admin", name)],
            snapshot=lambda: self.say(f"snapshot {name}"),
            restore=lambda: self.say(f"restore {name}"),
        )
        try:
            yield cluster
        finally:
            self.say(f"close {name}")

    def prepared(self, kept: Kept, scenario, tools, *, again: bool = False) -> Prepared:
        del scenario, tools
        kept.rows = kept.rows_before = 1_000
        at = f"at {kept.span.appended}-{kept.span.retired}"
        self.say(f"prepare {store.label(kept.instance)} {at}{' again' if again else ''}")
        return samples.prepared(kept.candidate.name, kept.instance.load, twin=kept.instance.twin)

    def driven(self, kept: Kept, one, steps, tools) -> Slice:
        del steps, tools
        assert kept.instance == one.instance
        for server in kept.cluster.servers:
            with server.log.open("a") as log:
                log.write(f"{one.id}\n")
        kept.rows += 1
        self.say(f"drive {one.id}")
        return Slice(one, ({"do": "drive"},), OPS.empty_table(), 1_001, kept.rows)

    def kept(self, folder: Path, slice_: Slice, logs) -> None:
        _keep(folder, slice_, logs)
        self.say(f"keep {slice_.trial.id}")

    def studied(self, candidate, cluster, n, tools) -> Study:
        del cluster, tools
        self.say(f"study {candidate.name} {candidate.schema.text} {n}")
        return Study(candidate.name, n, {})

    def run(self) -> bool:
        return run.run(self.scenario, self.design, self.bench, self.folder)


_keep = store.keep_trial


class FakeHost:
    def private(self):
        return nullcontext(self)

    def own(self):
        return ()


@dataclass(frozen=True)
class FakeServer:
    name: str
    log: Path

    def cpu_s(self) -> float:
        return 0.0


class Admin:
    """An admin connection that nobody asks anything."""

    closed = False
    info = SimpleNamespace(server_version=180_006)

    def close(self) -> None:
        pass


@pytest.fixture
def make(tmp_path, monkeypatch):
    """Makes a Fake; another one on the same folder is a resumed run."""
    folder = store.create(tmp_path / "results", RUN)

    @contextmanager
    def connected(info, **_):
        del info
        yield Admin()

    def made(**changes) -> Fake:
        fake = Fake(folder, **changes)
        monkeypatch.setattr(run.pg, "connected", connected)
        monkeypatch.setattr(run.pg, "make_database", lambda info: fake.say(f"database {info}"))
        monkeypatch.setattr(run, "prepare_instance", fake.prepared)
        monkeypatch.setattr(run.trial, "drive", fake.driven)
        monkeypatch.setattr(run.store, "keep_trial", fake.kept)
        monkeypatch.setattr(run, "_study", fake.studied)
        return fake

    return made


def seats(read, asked=None, *, round_=(), reads=(), **ingest) -> int:
    """Connections that 20 clients of the baseline want at a time, of the server that has most of them."""
    read = replace(read, round=round_)
    own = replace(read.candidates["heap"], ingest={"method": "copy_binary", "connections": 1, **ingest})
    own = replace(own, queries=own.queries if asked is None else tuple(q for q in own.queries if q.name in asked))
    return preflight._at_a_time(SimpleNamespace(candidate=own, reads=reads, nodes=()), read, 20)


def test_connections_that_are_wanted_at_a_time_are_the_clients_the_witnesses_and_those_that_bring_rows():
    slice_ = {"for": "450ms", "rate": 400}
    drive, twice = Drive.model_validate(slice_), Drive.model_validate({**slice_, "witness": "pgbench"})
    read = samples.scenario()
    assert seats(read, round_=[drive]) == 20
    assert seats(read, round_=[twice]) == 40
    assert seats(read, round_=[drive], connections=4) == 20
    assert seats(read, round_=[Append(), drive], connections=4) == 24
    assert seats(read, round_=[Append(), drive], append={"method": "insert", "connections": 8}) == 28
    two = (Endpoint("a", "read", ""), Endpoint("b", "read", ""))
    assert seats(read, ("recent",), round_=[drive], reads=two) == 10
    assert seats(read, ("recent", "append_one"), round_=[drive], reads=two) == 20


def did(fake: Fake, *verbs: str) -> list[str]:
    return [what for what in fake.log if what.split()[0] in verbs]


# --- order ----------------------------------------------------------------------------------


def test_each_trial_is_kept_before_the_next_begins(make):
    fake = make()
    assert fake.run()
    assert did(fake, "drive", "keep") == [f"{verb} {one}" for one in fake.order() for verb in ("drive", "keep")]


def test_all_instances_are_prepared_in_the_order_of_simplicity_before_the_first_round(make):
    fake = make()
    fake.run()
    prepared = ["heap.1", "brin.1", "heap.2"]
    begin = [what for name in prepared for what in (f"open {name}", f"prepare {name} at 0-0")]
    assert fake.log[: len(begin)] == begin
    assert len(did(fake, "prepare")) == 3


def test_instances_stay_up_until_the_last_trial_and_are_then_closed(make):
    fake = make()
    fake.run()
    assert fake.log[-3:] == ["close heap.2", "close brin.1", "close heap.1"]
    assert len(did(fake, "close")) == 3


def test_what_is_known_of_an_instance_is_on_disk_before_its_first_trial(make):
    fake = make()
    there = []
    fake.on[f"drive {fake.order()[0]}"] = lambda: there.extend(
        store.has_instance(fake.folder, one) for one in fake.design.instances
    )
    fake.run()
    assert there == [True, True, True]


def test_a_trial_keeps_what_its_server_logged_since_the_one_before(make):
    fake = make()
    fake.run()
    for instance in fake.design.instances:
        label, mine = store.label(instance), [one.id for one in fake.design.trials if one.instance == instance]
        logs = [(fake.folder / "trials" / one / "logs" / f"{label}.log").read_text() for one in mine]
        assert logs == [f"{label} begins\n{mine[0]}\n", *(f"{one}\n" for one in mine[1:])]


# --- stopping -------------------------------------------------------------------------------


def ask_to_stop(fake: Fake, at: str) -> None:
    def asked() -> None:
        fake.stop.asked = True

    fake.on[at] = asked


def test_a_stop_that_is_asked_for_in_a_trial_ends_the_run_after_it(make):
    fake = make()
    ask_to_stop(fake, f"drive {fake.order()[3]}")
    assert not fake.run()
    assert did(fake, "keep") == [f"keep {one}" for one in fake.order()[:4]]
    assert len(did(fake, "close")) == 3


def test_a_stop_that_is_asked_for_while_instances_are_prepared_begins_no_further_one(make):
    fake = make()
    ask_to_stop(fake, "prepare heap.1 at 0-0")
    assert not fake.run()
    assert did(fake, "prepare", "drive") == ["prepare heap.1 at 0-0"]


@pytest.fixture
def now(monkeypatch):
    """The only time that the run knows, in a list of one."""
    now = [0.0]
    for module in (run, clock):
        monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: now[0]))
    return now


def test_nothing_is_begun_that_would_end_after_the_deadline(make, now):
    fake = make()
    fake.stop.within(0.6)
    for one in fake.order():
        fake.on[f"drive {one}"] = lambda: now.append(now.pop() + 0.25)
    assert not fake.run()
    assert did(fake, "keep") == [f"keep {one}" for one in fake.order()[:2]]
    assert "--max-time" in fake.stop.why


def test_what_a_first_trial_needs_is_what_was_guessed_or_has_been_seen_to_be_more(now):
    stop = run.Stop()
    stop.within(10, 4.0)
    assert not stop.before(9)
    now[0] = 8.0
    assert stop.before(3)
    assert stop.needs_s == 11.0
    stop = run.Stop()
    stop.within(1, 4.0)
    assert stop.before(1.5)
    assert stop.needs_s == 4.0


def test_a_deadline_that_is_over_prepares_nothing(make):
    fake = make()
    fake.stop.within(-1)
    assert not fake.run()
    assert fake.log == []


def test_a_stop_after_the_last_trial_is_a_complete_run(make):
    fake = make()
    ask_to_stop(fake, f"keep {fake.order()[-1]}")
    assert fake.run()


# --- failing --------------------------------------------------------------------------------


def fail(error: BaseException):
    def failing() -> None:
        raise error

    return failing


@pytest.mark.parametrize("error", [ClusterError("gone"), KeyboardInterrupt(), ZeroDivisionError(), PlaceError("full")])
def test_a_failure_in_a_trial_loses_none_that_was_kept_and_closes_everything(make, error):
    fake = make()
    fake.on[f"drive {fake.order()[4]}"] = fail(error)
    with pytest.raises(type(error)):
        fake.run()
    assert store.trials_of(fake.folder) == set(fake.order()[:4])
    assert store.problems(fake.folder) == []
    assert len(did(fake, "close")) == 3


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("server closed the connection", "the connection was lost: server closed the connection"),
        ("connection failed: FATAL: too many", "connection failed: FATAL: too many"),
        ("connection is bad: no such file", "connection is bad: no such file"),
    ],
)
def test_a_connection_that_is_lost_or_cannot_be_had_for_an_instance_is_the_environments_failure(make, said, told):
    fake = make()
    fake.on["prepare brin.1 at 0-0"] = fail(run.pg.OperationalError(said))
    with pytest.raises(ClusterError, match=rf"brin\.1: {told}"):
        fake.run()


# --- going on -------------------------------------------------------------------------------


def test_a_resumed_run_does_what_is_missing_and_nothing_else(make):
    first = make()
    first.on[f"drive {first.order()[4]}"] = fail(ClusterError("gone"))
    with pytest.raises(ClusterError):
        first.run()
    second = make()
    assert second.run()
    assert did(second, "drive") == [f"drive {one}" for one in first.order()[4:]]
    assert store.trials_of(second.folder) == set(first.order())


def test_a_resumed_run_prepares_each_instance_at_the_window_of_its_first_missing_trial(make):
    first = make()
    ask_to_stop(first, f"drive {first.order()[3]}")  # one trial of round 2 is there, two are not
    first.run()
    done = first.design.trials[3].instance
    second = make()
    second.run()
    at = {instance: "at 20-20" if instance == done else "at 10-10" for instance in second.design.instances}
    assert did(second, "prepare") == [f"prepare {store.label(one)} {at[one]} again" for one in second.design.instances]


def test_an_instance_that_lacks_no_trial_is_not_prepared_again(make):
    first = make()
    ask_to_stop(first, f"drive {first.order()[-2]}")
    first.run()
    second = make()
    assert second.run()
    last = second.design.trials[-1].instance
    assert did(second, "prepare") == [f"prepare {store.label(last)} at 20-20 again"]


def test_a_run_that_lacks_nothing_begins_nothing(make):
    make().run()
    again = make()
    assert again.run()
    assert again.log == []


def test_more_rounds_go_on_where_the_run_ended(make):
    make(rounds=2).run()
    longer = make(rounds=4)
    assert longer.run()
    assert did(longer, "prepare")[0] == "prepare heap.1 at 20-20 again"
    assert did(longer, "drive") == [f"drive {one}" for one in longer.order()[6:]]


# --- isolation ------------------------------------------------------------------------------


def test_restored_instances_are_kept_once_and_brought_back_before_every_trial(make):
    fake = make(isolation="restored", rounds=2)
    assert fake.run()
    assert did(fake, "snapshot") == ["snapshot heap.1", "snapshot brin.1", "snapshot heap.2"]
    expected = []
    for one in fake.design.trials:
        label = store.label(one.instance)
        expected += [f"forget {label}", f"restore {label}", f"drive {one.id}"]
    assert did(fake, "forget", "restore", "drive") == expected


def test_a_restored_instance_holds_in_every_trial_the_rows_that_it_was_prepared_with(make):
    fake = make(isolation="restored")
    fake.run()
    assert {one.rows_due for one in store.read(fake.folder).slices} == {1_001}


def test_a_kept_instance_goes_on_with_the_rows_of_the_trial_before(make):
    fake = make()
    fake.run()
    due = {}
    for one in store.read(fake.folder).slices:
        due.setdefault(one.trial.instance, []).append(one.rows_due)
    assert list(due.values()) == [[1_001, 1_002, 1_003]] * 3


def test_fresh_instances_are_made_for_every_trial_and_closed_after_it(make):
    fake = make(isolation="fresh", rounds=2)
    assert fake.run()
    seen, expected = set(), []
    for one in fake.design.trials:
        label = store.label(one.instance)
        again = " again" if label in seen else ""
        seen.add(label)
        expected += [f"open {label}", f"prepare {label} at 0-0{again}", f"drive {one.id}", f"forget {label}"]
        expected += [f"close {label}", f"keep {one.id}"]
    assert fake.log == expected


@pytest.mark.parametrize("isolation", ["restored", "fresh"])
def test_instances_that_begin_every_trial_alike_are_resumed_at_the_first_window(make, isolation):
    first = make(isolation=isolation)
    ask_to_stop(first, f"drive {first.order()[4]}")
    first.run()
    second = make(isolation=isolation)
    assert second.run()
    assert {what.split(" ", 2)[2] for what in did(second, "prepare")} == {"at 0-0 again"}


# --- the catalogue study --------------------------------------------------------------------

POINTS = Catalogue("brin", (13, 60, 395), tuple(SqlFile("p.sql", f"of {n}") for n in (13, 60, 395)))


def test_the_catalogue_is_studied_first_each_number_in_a_database_of_its_own(make):
    fake = make(catalogue=POINTS)
    assert fake.run()
    studied = [what for n in POINTS.partitions for what in ("empty catalogue", f"study brin of {n} {n}")]
    assert fake.log[: len(studied) + 2] == ["open catalogue", *studied, "close catalogue"]
    assert [one.partitions for one in store.read(fake.folder).studies] == [13, 60, 395]


def test_a_resumed_study_counts_only_the_numbers_that_are_missing(make):
    first = make(catalogue=POINTS)
    ask_to_stop(first, "study brin of 60 60")
    assert not first.run()
    assert did(first, "open") == ["open catalogue"]
    second = make(catalogue=POINTS)
    assert second.run()
    assert did(second, "study") == ["study brin of 395 395"]


# --- how long it takes ----------------------------------------------------------------------


def test_the_share_that_is_done_grows_and_what_is_left_is_the_runs_own_measure(make, now):
    fake = make()
    for one in fake.order():
        fake.on[f"drive {one}"] = lambda: now.append(now.pop() + 0.01)
    fake.run()
    trials = [(done, left) for what, done, left in fake.told if what.startswith("round")]
    shares = [done for done, _ in trials]
    assert shares == sorted(shares)
    assert trials[-1][1] == pytest.approx(0.01)


def test_a_resumed_run_counts_only_what_it_has_to_do(make):
    first = make()
    ask_to_stop(first, f"drive {first.order()[-2]}")
    first.run()
    second = make()
    second.run()
    assert second.told[0][2] == pytest.approx(4.0 + 0.01 + 0.1 + clock.ROUND_OVERHEAD_S)


def test_the_estimate_counts_instances_and_trials(make):
    fake = make()
    assert clock.estimate_s(fake.scenario, fake.design, []) == pytest.approx(
        3 * 4.0 + 9 * (0.11 + clock.ROUND_OVERHEAD_S)
    )
    fresh = make(isolation="fresh")
    assert clock.estimate_s(fresh.scenario, fresh.design, []) == pytest.approx(
        9 * (4.0 + 0.11 + clock.ROUND_OVERHEAD_S)
    )


# --- the rows of a window -------------------------------------------------------------------


@pytest.mark.parametrize("rounds", [0, 1, 7])
def test_after_so_many_rounds_so_many_rows_came_and_went(make, rounds):
    fake = make()
    span = run._span(fake.scenario, fake.bench.tools, rounds)
    assert (span.appended, span.retired) == (10 * rounds, 10 * rounds)


def test_the_twin_has_a_folder_of_its_own():
    assert store.label(Instance("heap", 2, twin=True)) != store.label(Instance("heap", 1))


@pytest.fixture
def asked(monkeypatch):
    """What the count of an instance asked for, in order; `modes` has other blocks at each asking."""
    log = []

    def count(*_args, redraw=None, **_more):
        if redraw:
            redraw()
        log.append("count")
        names = ("recent", "write")
        return run.count.Counted({}, dict.fromkeys(names, ()), dict.fromkeys(names, ()))

    def modes(_info, queries, _sets):
        log.append([one.name for one in queries])
        return {one.name: {"timed": 1, "chosen": 1, "blocks": len(log)} for one in queries}

    monkeypatch.setattr(run.count, "count", count)
    monkeypatch.setattr(run.modes, "modes", modes)
    monkeypatch.setattr(run.prepare, "analyse", lambda nodes: log.append(f"analyse {nodes}"))
    return log


class Together:
    """The rooms of a shape that keeps nothing apart."""

    nodes = ()
    held = 1

    def behind(self, _info):
        return "all"

    def grouped(self, info, queries, _sets):
        yield info, queries, {query.name: [] for query in queries}


def counting(*, shaped: bool) -> Any:
    """An instance of two queries, one of which writes."""
    queries = (samples.queries()[0], replace(samples.queries()[0], name="write", statements=(Statement("DELETE"),)))
    heap = replace(samples.candidate("heap"), queries=queries)
    direct, server = Endpoint("primary", "write", ""), SimpleNamespace(inner=None)
    return SimpleNamespace(candidate=heap, shaped=shaped, rooms=Together(), direct=direct, server=server)


def test_tables_are_analysed_anew_between_the_passes_of_the_count(asked):
    run.counted_on(counting(shaped=True), {})
    assert "analyse all" in asked


def test_how_a_query_is_planned_is_asked_before_and_after_the_drawings(asked):
    """Before them not of queries that write, since the others would read past what was rolled back."""
    _, planned = run.counted_on(counting(shaped=False), {})
    assert asked == [["recent"], "analyse all", "count", ["recent", "write"]]
    assert planned["recent"] == {"timed": 1}
    assert planned["write"].keys() == {"timed", "chosen", "blocks"}


def test_of_several_servers_plans_are_not_asked_in_other_modes(asked):
    assert run.counted_on(counting(shaped=True), {})[1] == {}
    assert ["recent", "write"] not in asked
