"""What to do, and how sure that is: the one decision that a run comes to.

The baseline where it may lose no more than the least effect, else the simplest candidate that may
not. Where nothing can be said to be that good the baseline stays, which is a decision too, unless
a challenger was shown to be better than it: then the run was too short to choose, and says so.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from lab import stats
from lab.compare import Comparison
from lab.model import Decision, Evidence, Verdict
from lab.readings import Case
from lab.require import Standing

Kind = Literal["recommend", "keep", "open", "no"]

ALL_FAIL = "every candidate fails a requirement, or more operations than the baseline, or gives other answers"
NONE_MEETS = "no candidate is shown to meet the requirements"
NO_OBJECTIVE = "the objective was not measured on any candidate that meets the requirements"
KEEP = "the baseline meets the requirements and may lose no more than the least effect"
RECOMMEND = "the simplest candidate that meets the requirements and may lose no more than the least effect"
STAY = "no challenger is shown to lose no more than the least effect, so that the baseline stays"
NOT_TOLD = "a challenger is shown to be better than the baseline, but not which candidate to take"
UNSHOWN_BASELINE = (
    "no candidate is shown to lose no more than the least effect, nor the baseline to meet the requirements"
)
TWIN = "two loads of the baseline may differ by more than the least effect, so that no challenger is recommended"
NO_TWIN = (
    "how far two loads of the baseline differ could not be seen, so that no challenger is recommended before others"
)
EXPLORATORY = "the rounds are not those that were planned: the run is exploratory"
DOUBTFUL_BASELINE = "the baseline's times are doubtful, so that nothing can be compared with it"


@dataclass(frozen=True)
class Contest:
    """What the decision rests on: the objective compared, None where it was not measured,
    the *claims* about it, and each candidate's *standing*: whether it may be chosen."""

    comparison: Comparison | None
    claims: Sequence[Evidence]
    standing: Mapping[str, Standing]

    @property
    def eligible(self) -> list[str]:
        """The candidates that may be chosen, in the author's order."""
        return [side for side, (verdict, _) in self.standing.items() if verdict is Verdict.MET]

    @property
    def better(self) -> list[str]:
        """The candidates shown to be better than the baseline that may be chosen."""
        return [e.candidate for e in self.claims if e.verdict is Verdict.BETTER and e.candidate in self.eligible]

    @property
    def notes(self) -> list[str]:
        """Why candidates may not be chosen although no requirement says so, each phrase once."""
        return list(dict.fromkeys(because for _, because in self.standing.values() if because))


def decide(case: Case, contest: Contest, *, exploratory: bool, alpha: float) -> Decision:
    """The decision, with what each eligible candidate may lose and what the run could have shown."""
    told: dict[str, tuple[bool, float]] = {}
    row = contest.comparison.readings.metric if contest.comparison is not None else None
    refused = "" if row is None else case.refuses(row) or case.undecidable(row, *contest.eligible)
    if contest.comparison is not None and not refused:
        told = contest.comparison.losses(contest.eligible, alpha=alpha)
    lost = {side: loss for side, (_, loss) in told.items()}
    kind, pick, because = _choose(case, contest, lost, refused=refused)
    notes = [*contest.notes, *[EXPLORATORY] * exploratory]
    effect, noise = (None, None) if refused else could_show(case, contest.comparison)
    return Decision(
        kind=kind,
        pick=pick,
        may_lose=lost,
        may_be_best=tuple(side for side, (best, _) in told.items() if best),
        smallest_effect=effect,
        noise_sd=noise,
        exploratory=exploratory,
        because=(*because, *notes),
    )


def _choose(
    case: Case, contest: Contest, lost: Mapping[str, float], *, refused: str
) -> tuple[Kind, str | None, list[str]]:
    """Kind, pick and the phrases why; *lost* has the eligible candidates in the author's order."""
    baseline = case.scenario.baseline
    if all(verdict is Verdict.NOT_MET for verdict, _ in contest.standing.values()):
        return "no", None, [ALL_FAIL]
    if refused:
        return "open", None, [refused]
    if not contest.eligible:
        return "open", None, [NONE_MEETS]
    if contest.comparison is None or not lost:
        return "open", None, [NO_OBJECTIVE]
    if case.refuses(contest.comparison.readings.metric, baseline) and baseline not in case.fitness.often:
        return "open", None, [DOUBTFUL_BASELINE]
    least = contest.comparison.share(contest.comparison.least)
    if lost.get(baseline, math.inf) <= least:
        return "keep", baseline, [KEEP]
    near = [side for side, loss in lost.items() if side != baseline and loss <= least]
    blocked = _blocked(case, contest)
    if near and not blocked:
        return "recommend", near[0], [RECOMMEND]
    if contest.better:
        return "open", None, [NOT_TOLD, *blocked]
    if baseline in lost:
        return "keep", baseline, [STAY, *blocked]
    return "open", None, [UNSHOWN_BASELINE, *blocked]


def _blocked(case: Case, contest: Contest) -> list[str]:
    """Why no challenger is recommended, [] where the twin does not stand in the way.

    Nor where it has no times because the baseline could not bear the load, and one candidate alone meets the
    requirements: then no times are compared.
    """
    comparison = contest.comparison
    if comparison is None or not comparison.blocked:
        return []
    if comparison.twin is None or comparison.has(comparison.twin):
        return [TWIN]
    failed = contest.standing[case.scenario.baseline][0] is Verdict.NOT_MET
    return [] if failed and len(contest.eligible) == 1 else [NO_TWIN]


def could_show(case: Case, comparison: Comparison | None) -> tuple[float | None, float | None]:
    """The smallest improvement of the objective that the verdict shows in most runs, and the noise.

    The first as a share of the baseline, the second the pooled sd of the log ratio of one pair.
    None where the objective is exact, is no ratio, or has too few units; the first where there is no challenger.
    """
    if comparison is None or comparison.all_exact or not comparison.readings.ratio or comparison.block.units < 2:
        return None, None
    twin = comparison.twin is not None and comparison.has(comparison.twin)
    others = sum(not case.twin(side) for side in comparison.block.pairs)
    if not others:
        return None, comparison.block.sd
    effect = stats.smallest_effect(
        comparison.block.sd,
        comparison.block.units,
        others=others,
        least=comparison.least_effect.time,
        twin=twin,
    )
    return math.expm1(effect) if comparison.sign < 0 else -math.expm1(-effect), comparison.block.sd
