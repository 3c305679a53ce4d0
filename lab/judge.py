"""A stored run in, a plan out: check, measure, weigh, reasons, plan, render.

Needs no server: an old run can be judged again by a better method. Everything is derived from
trials/ and instances/; what an earlier judgement left in analysis/ is never read.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from lab import (
    check,
    common,
    margin,
    measure,
    metrics,
    parts,
    project,
    readings,
    reasons,
    render,
    resample,
    scenario,
    sent,
    shape,
    store,
    timeline,
    waits,
    weigh,
    witness,
)
from lab import plan as plan_
from lab.dossier import Judged
from lab.errors import RecordError
from lab.model import Doubt, Json, Scenario, Slice
from lab.template import Rendered

METHOD_VERSION = "3"
"""Raised when the same trials may give another plan; older plans are then judged again, not verified."""


@dataclass(frozen=True)
class Judgement:
    """A judged run: all that was found, and the pages that say so."""

    folder: Path
    judged: Judged

    @cached_property
    def plan(self) -> plan_.Plan:
        """The plan, of which the pages are made."""
        return plan_.plan(self.judged)

    @cached_property
    def pages(self) -> Mapping[str, Rendered]:
        """Every page by its path in the folder of plans, the Markdown first."""
        return render.pages(self.plan)

    @property
    def status(self) -> int:
        """The exit status: 1 where every candidate fails a requirement, else 0."""
        return 1 if self.judged.weighed.decision.kind == "no" else 0

    def data(self) -> dict[str, Json]:
        """The plan for programs."""
        return render.as_json(self.plan)


def judge(folder: Path) -> Judgement:
    """Judge the run in *folder*; RecordError where it cannot be read or holds no trial."""
    stored = store.read(folder)
    if not stored.slices:
        raise RecordError(f"{folder}: holds no finished trial (go on with pglab run --resume)")
    read = scenario_of(stored.run)
    differing = check.disagreements(stored.prepared, read.baseline)
    doubts = _doubts(stored, read, differing)
    measurements = measure.measure(stored.slices, stored.prepared, read.requirements)
    sheet = project.sheet(read, stored.prepared, stored.studies, measurements)
    unlike, uneven = shape.unlike(read, stored.prepared), check.uneven(stored.prepared, read.baseline)
    weighed = weigh.weigh(
        measurements,
        scenario=read,
        doubts=doubts,
        disagreements=differing,
        planned_rounds=stored.rounds,
        exploratory=not store.complete(folder) or any(more["why"] == "more rounds" for more in stored.more),
        scope=lambda metric, candidate: project.scope(
            metric, sheet, (candidate, read.baseline), unlike=candidate in unlike
        ),
        unlike=unlike,
        uneven=uneven,
    )
    all_of = readings.case(measurements, scenario=read, doubts=doubts, disqualified=(), unlike=unlike, uneven=uneven)
    left_out = {doubt.trial for doubt in doubts if doubt.leaves_out}
    counted = [one for one in stored.slices if one.trial.id not in left_out]
    unfit = {doubt.trial for doubt in doubts if doubt.kind not in check.NOTES}
    second = witness.witness(stored.slices, unfit=unfit, margin=margin.of_times(read, weighed), names=_generators(read))
    judged = Judged(
        scenario=read,
        weighed=weighed,
        run=stored.run,
        method={"version": METHOD_VERSION, "level": 1 - weigh.ALPHA, "look": weigh.LOOK},
        root=store.root(folder),
        prepared=stored.prepared,
        measurements=measurements,
        studies=stored.studies,
        doubts=[*doubts, *witness.doubts(second)],
        disagreements=check.counting(differing, read.baseline),
        reasons=_why(stored, read, counted, all_of),
        sheet=sheet,
        planned_rounds=stored.rounds,
        not_estimable=measure.not_estimable(stored.slices),
        load=sent.sent(stored.slices) | ({"witness": second} if second else {}),
        waits=waits.waits(counted),
    )
    return Judgement(folder, judged)


def _doubts(stored: store.Stored, read: Scenario, differing: Sequence[check.Disagreement]) -> list[Doubt]:
    """Every doubt about the trials, and about what they were asked and answered."""
    return [
        *check.check(stored.slices),
        *common.asked_otherwise(stored.slices, read),
        *check.warm_up(stored.slices),
        *check.drift(stored.slices, read.baseline),
        *check.unstable_answers(differing, read.baseline),
    ]


def _why(
    stored: store.Stored, read: Scenario, counted: Sequence[Slice], all_of: readings.Case
) -> Sequence[reasons.Reason]:
    """The reasons that the rules find in what was counted, and in the slices that count."""
    return reasons.reasons(
        parts.rules(),
        stored.prepared,
        read.baseline,
        {name: one.queries for name, one in read.candidates.items()},
        counted,
        kept=read.isolation == "kept",
        times=_times(all_of),
    )


def _generators(read: Scenario) -> tuple[str, str]:
    """Who sent the load, and who sent the baseline the same again; the second "" where nobody did."""
    return read.workload.driver, timeline.witness(read.round) or ""


def _times(all_of: readings.Case) -> reasons.Times:
    """Of which trials, and of whom, reasons may name server time: where the time of the whole mix could be compared."""
    row, baseline = metrics.row("mix.server_ms_per_op"), all_of.scenario.baseline
    silent = [
        side
        for side in all_of.order
        if all_of.refuses(row, side, baseline) or (side != baseline and all_of.undecidable(row, side))
    ]
    return reasons.Times(
        barred=all_of.barred(row),
        silent=frozenset(silent),
        by_load=all_of.scenario.profile == readings.BY_LOAD,
        least=all_of.scenario.least_effect.time,
    )


def scenario_of(run: Mapping[str, Json]) -> Scenario:
    """The scenario as it was, from the files that run.json holds."""
    was, name = run["overrides"], run["scenario"]["name"]
    itself = was.get("itself", False)
    given = scenario.Given(rows=was["rows"], profile=was["profile"], only=tuple(was["only"]))
    name = name.removesuffix(resample.SUFFIX) if itself else name
    read = scenario.read(name, scenario.kept(run["scenario"]["files"]), parts, given)
    return resample.against_itself(read) if itself else read
