"""Who generates the load: the options of the driver, by the scenario and by what the command line asks for."""

import ipaddress
from collections.abc import Callable
from pathlib import Path

from lab.errors import ScenarioError
from lab.model import Scenario


def check(read: Scenario, workers: int | None, bind: str | None) -> None:
    """ScenarioError where `--load-workers` and `--load-bind` do not go with the scenario or with each other."""
    if read.workload.driver == "pgbench":
        _whole_seconds(read)
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
