"""Who generates the load: the options of the driver, by the scenario and by what the command line asks for."""

import ipaddress
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from lab import commands, mix, parts, timeline
from lab.errors import ScenarioError
from lab.model import Query, Scenario
from lab.trial import Tools


def check(read: Scenario, workers: int | None, bind: str | None) -> None:
    """ScenarioError where `--load-workers` and `--load-bind` do not go with the scenario or with each other."""
    if read.workload.driver == "pgbench":
        _whole_seconds(read)
    if (witness := timeline.witness(read.round)) is not None:
        _witness(read, witness)
    if workers is None:
        if bind is not None:
            raise ScenarioError("--load-bind: how many workers are awaited there? (--load-workers N)")
        return
    if read.workload.driver != "locust":
        raise ScenarioError(f"--load-workers: the driver {read.workload.driver!r} has none (driver: locust)")
    if read.workload.processes > 1:
        raise ScenarioError(
            f"--load-workers: the workload has `processes: {read.workload.processes}` already (leave one of them out)"
        )
    mine = [name for name, one in read.candidates.items() if one.topology.kind != "given"]
    if bind is not None and mine and not _stays_here(bind):
        raise ScenarioError(
            f"--load-bind: {bind}: workers of another machine cannot reach the servers that the lab starts "
            f"({', '.join(mine)}), which only this machine can (topology: given; or workers on this machine, "
            "--load-bind 127.0.0.1)"
        )


def _whole_seconds(read: Scenario) -> None:
    """ScenarioError where a step drives for parts of a second, which pgbench cannot."""
    for step in read.round:
        for_s = getattr(step, "for_s", 0)
        if for_s != round(for_s):
            raise ScenarioError(
                f"timeline: {step.do}: for: {for_s:g} s: pgbench drives for whole seconds "
                "(for: 1s, or another driver: inline, locust)"
            )


def _witness(read: Scenario, witness: str) -> None:
    """ScenarioError where a second generator could not send the baseline the same, or would change it."""
    where, way = f"timeline: drive: witness: {witness}", "leave the witness out"
    if read.workload.driver == witness or read.workload.locustfile is not None:
        own = "a locustfile" if read.workload.locustfile is not None else f"driver: {witness}"
        raise ScenarioError(f"{where}: is no second witness of {own} (driver: locust without a locustfile, or {way})")
    queries = read.candidates[read.baseline].queries
    mistakes = [f"{one.file}: {where}: {why} ({way})" for one in queries for why in _not_twice(one, witness)]
    if len({one.send for one in queries}) > 1:
        mistakes.append(f"{where}: sends all queries of a mix in one way, and they differ in `send` ({way})")
    if mistakes:
        raise ScenarioError("\n".join(mistakes))


def _not_twice(query: Query, witness: str) -> Iterator[str]:
    """Why the baseline cannot be asked *query* once more, by *witness*."""
    if not commands.only_reads(query):
        yield f"query {query.name!r} writes, and the baseline alone would be written to twice"
    if lacking := sorted(frozenset(mix.needs(query)) & parts.cannot(witness)):
        yield f"query {query.name!r} needs {', '.join(lacking)}: dates, and {witness} draws numbers only"


@contextmanager
def witnessed(read: Scenario, tools: Tools, work: Path) -> Iterator[Tools]:
    """*tools*, with those of the witness if *read* has one; nobody looks on at its slices."""
    kind = timeline.witness(read.round)
    if kind is None:
        yield tools
        return
    module = parts.load("drivers", kind)
    with module.opened(workdir=work, options={"program": tools.psql.with_name(kind)}) as driver:
        yield replace(tools, witness=replace(tools, driver=driver, own_schedule=True, watcher=None))


def program(read: Scenario, psql: Path) -> dict[str, object]:
    """Where the driver's program is, if it has one: beside *psql*."""
    return {"program": psql.with_name("pgbench")} if read.workload.driver == "pgbench" else {}


def _stays_here(bind: str) -> bool:
    """Whether only this machine can come in there.

    >>> _stays_here("127.0.0.1:6000"), _stays_here("localhost"), _stays_here("10.0.0.5"), _stays_here("db.example")
    (True, True, False, False)
    """
    host = bind.partition(":")[0]
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def options(
    read: Scenario, work: Path, *, workers: int | None, bind: str | None, tell: Callable[[str], object]
) -> dict[str, object]:
    """The driver's options. An author's locustfile is written into the folder *work*."""
    found: dict[str, object] = {"processes": read.workload.processes} if read.workload.processes > 1 else {}
    if read.workload.locustfile is not None:
        path = work / "locustfile.py"
        path.write_text(read.workload.locustfile.text, encoding="utf-8")
        found["locustfile"] = path
    if workers is not None:
        found |= {"workers": workers, "bind": bind, "tell": tell}
    return found


def words(workers: int | None, bind: str | None) -> list[str]:
    """What the command line would say.

    >>> words(2, "10.0.0.5"), words(None, None)
    (['--load-workers', '2', '--load-bind', '10.0.0.5'], [])
    """
    asked = {"--load-workers": workers, "--load-bind": bind}
    return [word for name, value in asked.items() if value is not None for word in (name, str(value))]
