"""The noise that earlier runs of a scenario have seen on this host.

An A/A run says most: it has many rounds, nothing differs in it, and it knows every metric. An
ordinary run says what its objective's pairs varied by. Where there is neither, three guesses.
"""

import glob
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from lab import foresight, judge, metrics, store
from lab.design import LOADS
from lab.errors import RecordError, ScenarioError
from lab.model import Json, Scenario
from lab.resample import SUFFIX, Claims, Noise

FORMAT = 1
FILE = "noise.json"
GUESSES = (0.02, 0.05, 0.10)


@dataclass(frozen=True)
class Known:
    """What is known of noise, and whence: pair sds of the objective by where they come from.

    *metrics*: of the newest A/A run, empty where there is none. *passed_over*: runs that cannot be
    read, in words.
    """

    sds: Mapping[str, float]
    metrics: Mapping[str, Noise] = field(default_factory=dict)
    passed_over: tuple[str, ...] = ()

    @property
    def sd(self) -> float | None:
        """The pair sd that was seen; None where there are only guesses."""
        return next(iter(self.sds.values())) if len(self.sds) == 1 else None


@dataclass(frozen=True)
class Foreseen:
    """What a run will be able to show: the smallest improvement of the objective (a share) by where the
    noise is taken from, and in words what it will not. *improvement*: `reduction` or `increase`."""

    improvement: str
    smallest_effects: dict[str, float]
    warnings: list[str]

    def lines(self) -> Iterator[str]:
        """The same as lines for people."""
        for name, share in self.smallest_effects.items():
            yield f"smallest {self.improvement} that this run can show, {name}: {share:.1%}"
        yield from self.warnings


def foreseen(results: Path, scenario: Scenario, *, rounds: int, host: Mapping[str, Json]) -> Foreseen:
    """What *rounds* rounds of *scenario* will be able to show on *host*, by the newest noise in *results*.

    An objective that repeats exactly has no noise, and no smallest effect but the least one; one that is measured
    once a load has none that is known where there is one load. Without a challenger there is nothing to find.
    """
    loads = LOADS[scenario.profile]
    seen = known(results, scenario, host=host)
    units = loads if loads > 1 else rounds
    row = metrics.row(scenario.objective)
    noisy = row.kind in ("time", "rate") and (row.in_rounds or loads > 1) and len(scenario.candidates) > 1
    effects = {
        where: round(foresight.smallest_improvement(scenario, sd, units, twin=loads == 1), 4)
        for where, sd in seen.sds.items()
        if noisy
    }
    warnings = foresight.warnings(scenario, rounds, seen.metrics, sd=seen.sd if noisy else None, loads=loads)
    return Foreseen(foresight.improvement(scenario), effects, [*scenario.lengthened, *seen.passed_over, *warnings])


def known(results: Path, scenario: Scenario, *, host: Mapping[str, Json]) -> Known:
    """The newest noise of *scenario* on *host*: an A/A run's, else an ordinary run's, else guesses.

    Only of runs of as many rows with the same steps in a round, and an ordinary run's only of this profile and
    objective. Where loads are compared, rounds say nothing: only runs that compared loads are asked.
    """
    passed_over: list[str] = []
    name, by_load = scenario.name.removesuffix(SUFFIX), LOADS[scenario.profile] > 1
    for folder in [] if by_load else _of_host(results, f"{name}{SUFFIX}", host, passed_over):
        of_all = _metrics(folder, passed_over)
        if scenario.objective in of_all and _alike(folder, scenario, passed_over):
            label = f"noise as in A/A run {folder.name}"
            return Known({label: of_all[scenario.objective].sd}, of_all, tuple(passed_over))
    for folder in _of_host(results, name, host, passed_over):
        sd = _sd(folder, passed_over)
        if sd is not None and _alike(folder, scenario, passed_over, ordinary=True):
            return Known({f"noise as in run {folder.name}": sd}, {}, tuple(passed_over))
    return Known({f"noise of {sd:.0%}": sd for sd in GUESSES}, {}, tuple(passed_over))


def keep(folder: Path, objective: str, noise: Mapping[str, Noise], claims: Claims, **more: Json) -> dict[str, Json]:
    """Store what an A/A run in *folder* found; what was stored, for programs. *more* is told as it is."""
    low, high = claims.interval
    value = {
        "format": FORMAT,
        "objective": objective,
        **more,
        "claims": {**asdict(claims), "share": claims.share, "low": low, "high": high, "too_many": claims.too_many},
        "metrics": {name: asdict(one) for name, one in noise.items()},
    }
    (folder / "analysis").mkdir(exist_ok=True)
    store.write_json(folder / "analysis" / FILE, value)
    return value


def _of_host(results: Path, name: str, host: Mapping[str, Json], passed_over: list[str]) -> Iterator[Path]:
    """The runs of one name on this host, newest first; what cannot be read is passed over, and told."""
    for folder in reversed(store.runs(results, glob.escape(name))):
        try:
            same = store.read_run(folder)["host"] == dict(host)
        except RecordError as error:
            passed_over.append(f"passed over for its noise: {error}")
            continue
        if same:
            yield folder


def _metrics(folder: Path, passed_over: list[str]) -> Mapping[str, Noise]:
    """Metric -> noise, as an A/A run's folder holds it; nothing where it was not finished or was disturbed."""
    path = folder / "analysis" / FILE
    if not path.exists():
        return {}
    try:
        stored = store.read_json(path)
        if stored["refused"]:
            return {}
        return {name: Noise(**one) for name, one in stored["metrics"].items()}
    except (RecordError, TypeError) as error:
        passed_over.append(f"passed over for its noise: {path}: {error}")
        return {}


def _sd(folder: Path, passed_over: list[str]) -> float | None:
    """The pair sd of an ordinary run's objective; None where it was not judged, or has no noise."""
    judged = folder / "analysis" / "plan.json"
    if not judged.exists():
        return None
    try:
        sd = store.read_json(judged)["decision"]["noise_sd"]
        return None if sd is None else float(sd)
    except RecordError as error:
        passed_over.append(f"passed over for its noise: {error}")
        return None


def _alike(folder: Path, scenario: Scenario, passed_over: list[str], *, ordinary: bool = False) -> bool:
    """Did a stored run ask what *scenario* asks? Of an *ordinary* run, objective and profile count too."""
    try:
        was = judge.scenario_of(store.read_run(folder))
    except (RecordError, ScenarioError) as error:
        passed_over.append(f"passed over for its noise: {folder}: {error}")
        return False
    same = (was.lab.rows, was.round) == (scenario.lab.rows, scenario.round)
    return same and (not ordinary or (was.objective, was.profile) == (scenario.objective, scenario.profile))
