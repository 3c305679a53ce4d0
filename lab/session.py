"""One `pglab run`, from the words of the command line to the judged plan.

Here the parts are chosen and joined: the host, the driver, the sources, the settings that every
instance gets. What was decided is written into run.json before the first trial, and nothing of it
is edited afterwards.
"""

import hashlib
import math
import secrets
import shlex
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cache, cached_property, partial
from pathlib import Path
from typing import Protocol

from lab import (
    alone,
    clock,
    judge,
    load,
    noise,
    parts,
    place,
    preflight,
    publish,
    resample,
    resume,
    run,
    scenario,
    share,
    sizing,
    sources,
    store,
    versions,
)
from lab import design as design_
from lab.clock import Tell as Doing
from lab.errors import ClusterError, DriverError, RecordError, ScenarioError
from lab.hosts import Host, embedded
from lab.model import Json, Scenario
from lab.probes import watcher
from lab.run import Bench, Stop
from lab.trial import Tools

SAMPLE_ROWS = 10_000


class Tell(Doing, Protocol):
    """Where a run says what it does, and what is to be known before it."""

    def note(self, what: str) -> None:
        """One line that stays."""
        ...


@dataclass(frozen=True)
class Asked:
    """What the command line said. None is the scenario's own, or the profile's."""

    scenario: str
    results: Path
    doc: Path
    on: str = "auto"
    profile: str | None = None
    rounds: int | None = None
    rows: int | None = None
    only: tuple[str, ...] = ()
    max_time_s: float | None = None
    resume: bool = False
    given: str | None = None  # the database that a server somebody else runs may be measured in
    load_workers: int | None = None
    load_bind: str | None = None  # where the master of load workers listens; None: workers are started here
    probes: str | None = None  # as in scenario.yaml
    wait: bool = False  # for another run on this machine
    itself: bool = False  # the baseline against itself: every candidate is a copy of it


def rehearse(asked: Asked, tell: Tell) -> dict[str, Json]:
    """Check everything as before a run, and give the estimate; nothing is measured or kept.

    Its preflight works the processors, which a run beside it would count as foreign: it takes its turn as a run does.
    """
    read, files = _read(asked)
    _writable(asked, read)
    with files.locating(), _alone(tell if asked.wait else None), ExitStack() as stack:
        session = _Session(asked, read, _run_id(), stack, tell, Stop())
        session.preflight()
        return session.estimate()


def perform(asked: Asked, tell: Tell, stop: Stop) -> publish.Published:
    """Prepare, run, judge, and write the plan. What was run when it is interrupted is judged.

    Raise LabError where it cannot begin or go on; kept trials stay, and `--resume` goes on.
    """
    folder, complete = measured(asked, tell, stop)
    if not store.trials_of(folder):
        return nothing(asked, stop)
    published = publish.publish(folder, asked.doc)
    if complete:
        return published
    said = (stopped(asked, stop), *published.said)
    return replace(published, status=130 if stop.interrupted else published.status, said=said)


def stopped(asked: Asked, stop: Stop) -> str:
    """What is said of a run that ended early."""
    return f"stopped before all rounds were there: {stop.why}; go on with: {_again(asked)}"


def nothing(asked: Asked, stop: Stop) -> publish.Published:
    """What is said where no trial was finished: too little time was given, or it was interrupted."""
    status = 130 if stop.interrupted else 2
    said = "no trial was finished"
    if not stop.interrupted:
        said += f": {stop.why} (to prepare and to finish one takes about {math.ceil(stop.needs_s)} s; give more)"
    return publish.Published(status, (said, f"go on with: {_again(asked)}"), {"error": said, "status": status})


def measured(asked: Asked, tell: Tell, stop: Stop) -> tuple[Path, bool]:
    """Prepare and run, without judging: the run's folder, and whether all planned rounds are there."""
    read, files = _read(asked)
    note = cache(tell.note)  # runs that are passed over are told once
    unfinished = partial(resume.unfinished, asked.results, read.name, note, rounds=asked.rounds)
    if asked.resume:
        unfinished()  # that there is none is told before anybody waits for the machine
    _writable(asked, read)
    with files.locating(), _alone(tell if asked.wait else None), ExitStack() as stack:
        old = unfinished() if asked.resume else None  # the run that was waited for has ended
        session = _Session(asked, read, old.name if old else _run_id(), stack, tell, stop)
        folder = session.take_up(old) if old else session.begin()
        for line in () if asked.itself else session.foreseen.lines():
            tell.note(line)
        return folder, session.run(folder)


def _read(asked: Asked) -> tuple[Scenario, scenario.OnDisk]:
    """The scenario, and the files it was read from."""
    given = scenario.Given(rows=asked.rows, profile=asked.profile, only=asked.only, probes=asked.probes)
    folder = scenario.find(asked.scenario, Path.cwd())
    files = scenario.OnDisk(folder, Path.cwd())
    with files.locating():
        read = scenario.read(folder.resolve().name, files, parts, given)
    if read.isolation != "fresh" and any(one.topology.kind == "given" for one in read.candidates.values()):
        raise ScenarioError(
            f"isolation: {read.isolation}: a given server has one database, which holds one candidate at a time "
            "(isolation: fresh)"
        )
    with files.locating():
        load.check(read, asked.load_workers, asked.load_bind)
    place.choose(asked.on, read)  # what is mistaken is told before anybody waits for the machine
    return (resample.against_itself(read) if asked.itself else read), files


def _writable(asked: Asked, read: Scenario) -> None:
    """PlaceError where the run or its plan could not be kept: better told now than after the run."""
    sizing.writable(asked.results / read.name, "--results")
    if not asked.itself:
        sizing.writable(asked.doc / read.name, "--doc")
        sizing.writable(asked.doc / f"{read.name}.md", "--doc", folder=False)


def _run_id() -> str:
    return f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{secrets.token_hex(3)}"


def _again(asked: Asked) -> str:
    """The command that goes on with a run: told as it was begun, since what differs is refused."""
    told = dict[str, object]({"--on": asked.on, "--profile": asked.profile, "--rows": asked.rows})
    told |= {"--only": ",".join(asked.only), "--given": asked.given, "--probes": asked.probes}
    told |= {"--results": asked.results}
    told |= {} if asked.itself else {"--doc": asked.doc}
    usual = (None, "", "auto", Path("results"), Path(".claude/doc"))
    words = [word for name, value in told.items() if value not in usual for word in (name, str(value))]
    words += load.words(asked.load_workers, asked.load_bind)
    return shlex.join(["pglab", "aa" if asked.itself else "run", asked.scenario, "--resume", *words])


@contextmanager
def _alone(tell: Tell | None) -> Iterator[None]:
    """The machine for ourselves, once it is known that the lab's folder on it is ours; with *tell* it is waited for."""
    embedded.guard(embedded.base())
    with alone.measuring(tell.note if tell else None):
        yield


# --- what a run is made of ------------------------------------------------------------------


class _Session:
    """Everything that is open while a run lasts; *stack* closes it."""

    def __init__(self, asked: Asked, read: Scenario, run_id: str, stack: ExitStack, tell: Tell, stop: Stop) -> None:
        self.asked, self.scenario, self.id = asked, read, run_id
        self.on = place.choose(asked.on, read)
        home = f"{run_id}.{secrets.token_hex(2)}"
        self.host: Host = stack.enter_context(parts.load("hosts", self.on).opened(home, tell.note))
        self.seed = _seed(read)
        self.rounds = asked.rounds or design_.ROUNDS[read.profile]
        self.sources = sizing.opened(read, seed=self.seed)
        self.data = sources.data(self.sources)
        self.settings = {**sizing.SETTINGS, **sizing.memory(read, self.sources)}
        work = stack.enter_context(_workdir(self.host, "driver"))
        options = load.options(read, work, workers=asked.load_workers, bind=asked.load_bind, tell=tell.note)
        options |= load.program(read, self.host.psql())
        module = parts.load("drivers", read.workload.driver)
        driver = stack.enter_context(module.opened(workdir=work, options=options))
        every = watcher.EVERY.get(read.probes)
        tools = Tools(
            psql=self.host.psql(),
            driver=driver,
            loads={kind: parts.load("ingest", kind).load for kind in parts.kinds("ingest")},
            sources=self.sources,
            samples={source.name: source.sample(SAMPLE_ROWS, seed=self.seed) for source in self.sources},
            window_rows=_window_rows(read),
            scripted=read.workload.locustfile is not None,
            own_schedule=getattr(module, "OWN_SCHEDULE", False),
            cold=read.cache == "cold",
            watcher=None if every is None else stack.enter_context(watcher.opened(work, every)),
        )
        kinds = {candidate.topology.kind for candidate in read.candidates.values()}
        clusters = {kind: parts.load("clusters", kind).opened for kind in kinds}
        if "given" in clusters:
            clusters["given"] = partial(clusters["given"], database=asked.given)
        shares = share.shares(read, kind=self.on, cores=int(self.host.fingerprint()["cores"]))
        tools = stack.enter_context(load.witnessed(read, tools, work))
        self.bench = Bench(self.host, clusters, tools, self.settings, tell, stop, shares)

    def preflight(self) -> None:
        """The author's mistakes, and whether the disk has room; before anything is kept."""
        with _workdir(self.host, "preflight") as logs:
            preflight.preflight(self.scenario, self.bench, logs)
        sizing.room(embedded.base(), self._disk_bytes())

    def estimate(self) -> dict[str, Json]:
        """What a run would do, how long it would take and what it would need."""
        plan = self._design(self.rounds)
        return {
            "scenario": self.scenario.name,
            "on": self.on,
            "candidates": list(self.scenario.candidates),
            "instances": len(plan.instances),
            "rounds": self.rounds,
            "trials": sum(map(len, plan.rounds)),
            "seconds": round(clock.estimate_s(self.scenario, plan, self.sources)),
            "disk_bytes": self._disk_bytes(),
            "improvement": self.foreseen.improvement,
            "smallest_effects": self.foreseen.smallest_effects,
            "warnings": self.foreseen.warnings,
        }

    @cached_property
    def foreseen(self) -> noise.Foreseen:
        """What this run can show and what it cannot, by the noise of earlier runs."""
        host = self.host.fingerprint()
        return noise.foreseen(self.asked.results, self.scenario, rounds=self.rounds, host=host)

    def begin(self) -> Path:
        """A new run: preflight, then run.json, which says everything that was decided."""
        self.preflight()
        return store.create(self.asked.results, self._run_json())

    def take_up(self, old: Path) -> Path:
        """Go on with a run that was begun; RecordError where it was of something else, or is not as it was written."""
        store.whole(old)
        was = store.read(old)
        resume.same(was.run, self._run_json())
        if self.asked.rounds and self.asked.rounds < was.rounds:
            raise RecordError(f"--rounds {self.asked.rounds}: the run has {was.rounds} already (leave --rounds out)")
        self.rounds = self.asked.rounds or was.rounds
        longer = self.rounds > was.rounds
        what = {"rounds": self.rounds, "trials": len(was.slices), "why": "more rounds" if longer else "resumed"}
        store.take_up(old, what)
        return old

    def run(self, folder: Path) -> bool:
        """Run what is missing; True when all planned rounds are there."""
        design = self._design(self.rounds)
        if self.asked.max_time_s is not None:
            needs_s = clock.estimate_s(self.scenario, design, self.sources, trials=1)
            self.bench.stop.within(self.asked.max_time_s, needs_s)
        try:
            complete = run.run(self.scenario, design, self.bench, folder)
        except (ClusterError, DriverError) as error:
            raise type(error)(f"{error} (finished trials are kept; go on with: {_again(self.asked)})") from error
        finally:
            shutil.rmtree(folder / ".logs", ignore_errors=True)
        if complete:
            store.finish(folder, {"rounds": self.rounds})
        return complete

    def _design(self, rounds: int) -> design_.Design:
        return design_.design(self.scenario, rounds=rounds, seed=self.seed, what=self._what())

    def _what(self) -> dict[str, Json]:
        """Everything beside the design that decides what a trial does; part of every trial's id."""
        return {
            "settings": self.settings,
            "host": self.on,
            "postgres": self.host.fingerprint()["postgres"],
            "method": judge.METHOD_VERSION,
            **({"data": self.data} if self.data else {}),
            **({"resources": self.scenario.resources} if self.scenario.resources else {}),
            **({"cache": "cold"} if self.scenario.cache == "cold" else {}),
            **({"load_workers": self.asked.load_workers} if self.asked.load_workers else {}),
        }

    def _disk_bytes(self) -> int:
        return sizing.disk_bytes(self.scenario, self._design(2).instances, self.sources)

    def _run_json(self) -> dict[str, Json]:
        return {
            "id": self.id,
            "begun": datetime.now(UTC).isoformat(timespec="seconds"),
            "scenario": {"name": self.scenario.name, "files": dict(self.scenario.files)},
            "overrides": _overrides(self.asked),
            "profile": self.scenario.profile,
            "rounds": self.rounds,
            "seed": self.seed,
            "data": self.data,
            "on": self.on,
            "host": dict(self.host.fingerprint()),
            "settings": self.settings,
            "isolation": self.scenario.isolation,
            "probes": self.scenario.probes,
            "lengthened": list(self.scenario.lengthened),
            "method": judge.METHOD_VERSION,
            "versions": versions.versions(),
            "git": versions.commit(Path.cwd()),
        }


def _overrides(asked: Asked) -> dict[str, Json]:
    """What the command line put in the place of the scenario's own."""
    given: dict[str, Json] = {"rows": asked.rows, "profile": asked.profile, "only": asked.only}
    if asked.load_workers:
        given |= {"load_workers": asked.load_workers}
    return {**given, "itself": True} if asked.itself else given


def _seed(read: Scenario) -> int:
    """One seed for a scenario's data, parameters and orders: the same in every run of it."""
    return int.from_bytes(hashlib.sha256(read.name.encode()).digest()[:4], "big")


def _window_rows(read: Scenario) -> int:
    """The rows of one window: what is appended at a time, else a day of the lab."""
    appended = [step.rows for step in read.round if step.do == "append" and step.rows]
    if appended:
        return sum(appended)
    return read.lab.rows // read.lab.days if read.lab.rows and read.lab.days else 0


@contextmanager
def _workdir(host: Host, name: str) -> Iterator[Path]:
    """A folder below the run's home, so that what is left of it is found by its name."""
    path = host.workdir(name)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)
