"""One `pglab aa`: the baseline against itself, to see the noise of this host and what the judge makes of it.

One long run, in which every candidate is a copy of the baseline, is stored like any other (and may
be judged, shown and gone on with like any other), under the scenario's name with `.aa` behind it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from lab import foresight, judge, noise, resample, session, store
from lab.design import ROUNDS
from lab.dossier import Judged
from lab.errors import RecordError
from lab.model import Family, Json, Scenario, Verdict
from lab.publish import Published
from lab.resample import Noise
from lab.run import Stop

TIMES = 3
"""So many times the rounds of an ordinary run, where nobody says how many."""

EXPERIMENTS = 1000
"""How many shorter runs are resampled."""

SHOWN = (5, 10, 20, 40, 80, 160)
"""The numbers of rounds for which the smallest effect is told."""


def perform(asked: session.Asked, tell: session.Tell, stop: Stop) -> Published:
    """Run the baseline against itself, and say what that shows; exit status 1 at too many false claims.

    Raise LabError where it cannot begin or go on; kept trials stay, and `--resume` goes on.
    """
    asked = replace(asked, itself=True, rounds=asked.rounds or (None if asked.resume else TIMES * ROUNDS["quick"]))
    folder, complete = session.measured(asked, tell, stop)
    if not store.trials_of(folder):
        return session.nothing(asked, stop)
    early = () if complete else (session.stopped(asked, stop),)
    try:
        found = report(folder)
    except RecordError as error:
        if complete:
            raise
        return Published(130 if stop.interrupted else 2, (*early, str(error)), {"error": str(error)})
    said = (*early, *lines(found), f"kept as {folder.as_posix()}; pglab run goes by it before its first trial")
    status = 1 if found["claims"]["too_many"] else 0
    return Published(130 if stop.interrupted else status, said, found)


def report(folder: Path) -> dict[str, Json]:
    """What the A/A run in *folder* shows; kept with it. RecordError where its rounds are too few."""
    judged = judge.judge(folder).judged
    scenario, there = judged.scenario, judged.weighed.rounds
    rounds = min(ROUNDS["quick"], there // 2)
    if rounds < 3:
        raise RecordError(f"{folder}: {there} rounds are too few to be resampled (go on with --resume --rounds 60)")
    told = resample.noise(judged.measurements, scenario, judged.doubts)
    claims = resample.false_claims(
        judged.measurements, scenario, judged.doubts, rounds=rounds, experiments=EXPERIMENTS, seed=judged.run["seed"]
    )
    return noise.keep(
        folder,
        scenario.objective,
        told,
        claims,
        scenario=scenario.name.removesuffix(resample.SUFFIX),
        run=judged.run["id"],
        host=judged.run["host"],
        sides=len(scenario.candidates) + 1,
        rounds=there,
        rounds_of_an_experiment=rounds,
        least_effect=scenario.least_effect.time,
        refused=judged.weighed.time_refused,
        exact_differences=_exact_differences(judged),
        **{f"smallest_{foresight.improvement(scenario)}s": _smallest(scenario, told)},
    )


def _smallest(scenario: Scenario, told: dict[str, Noise]) -> dict[str, float]:
    """Number of rounds -> the smallest improvement of the objective that is found; {} where its noise is not known."""
    if scenario.objective not in told:
        return {}
    sd = told[scenario.objective].sd
    return {str(n): round(foresight.smallest_improvement(scenario, sd, n, twin=True), 4) for n in SHOWN}


def _exact_differences(judged: Judged) -> list[str]:
    """The exact metrics in which loads of the same table were called different."""
    claimed = (Verdict.BETTER, Verdict.WORSE)
    exact = (e for e in judged.weighed.evidence if e.family is Family.EXACT and e.verdict in claimed)
    return sorted({e.metric for e in exact})


# --- for people -----------------------------------------------------------------------------


def lines(found: dict[str, Json]) -> Iterator[str]:
    """The report as lines of text, the objective's noise first."""
    yield f"{found['sides']} copies of the baseline, {found['rounds']} rounds"
    if found["refused"]:
        yield f"times are refused: {found['refused']} (the noise below is not used by pglab run)"
    yield from _table(found)
    better = "increase" if "smallest_increases" in found else "reduction"
    if smallest := found[f"smallest_{better}s"]:
        told = ", ".join(f"{n}: {share:.1%}" for n, share in smallest.items())
        yield f"smallest {better} of {found['objective']} that is found in four runs of five, by rounds: {told}"
    yield _claims(found)
    for metric in found["exact_differences"]:
        yield f"{metric}: loads of one table differ by more than the least effect of what is exact"


def _table(found: dict[str, Json]) -> Iterator[str]:
    """A line a metric."""
    rows: list[Sequence[str]] = [("metric", "mean", "", "sd of a pair", "lag-1", "between loads")]
    for name, one in sorted(found["metrics"].items(), key=lambda item: (item[0] != found["objective"], item[0])):
        told = (f"{one['mean']:.4g}", one["unit"], f"{one['sd']:.1%}", f"{one['autocorrelation']:+.2f}")
        rows.append((name, *told, f"{one['load_sd']:.1%}"))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = [
            cell.ljust(w) if i in _LEFT else cell.rjust(w) for i, (cell, w) in enumerate(zip(row, widths, strict=True))
        ]
        yield "  ".join(cells)


_LEFT = (0, 2)  # the columns of words


def _claims(found: dict[str, Json]) -> str:
    """How often a copy was called better or worse, and how sure that is."""
    one, rounds = found["claims"], found["rounds_of_an_experiment"]
    verdict = "too many: the judge does not hold its level here" if one["too_many"] else "not too many"
    refused = f"; {one['refused']} could not speak of time and are not counted" if one["refused"] else ""
    spoke = one["experiments"] - one["refused"]
    return (
        f"false claims: {one['false']} of {spoke} resampled runs of {rounds} rounds "
        f"({one['share']:.1%}; {resample.STATED:.0%} is stated, told as too many above {resample.TOO_MANY:.0%}: "
        f"{verdict}{refused}); "
        f"95 % interval {one['low']:.1%} to {one['high']:.1%}, that of the {one['independent']} that share no round"
    )
