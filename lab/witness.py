"""Do two load generators tell the same of the baseline? What a second witness says, and the doubt where it differs.

Both sent the same mix at the same rate, the witness's slice right after the other's, in the same trial; so a trial
is a pair. The witness draws due times and parameters of its own, from those of the other's slice.
"""

import math
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from lab import check, stats
from lab.model import Doubt, Slice

Floats = npt.NDArray[np.float64]
Two = tuple[pa.Table, pa.Table]
"""Operations of the run's own generator, and of the witness."""

AGREE = "agree"
DIFFER = "differ"
NOT_SHOWN = "not shown"


@dataclass(frozen=True)
class Quantile:
    """What is compared: quantile *q* of the times since *since*. Latency is *judged* by what counts from due."""

    label: str
    since: str
    q: float

    @property
    def judged(self) -> bool:
        """Whether it is a latency as limits and candidates are judged by."""
        return self.since == "due_ns"


QUANTILES = {
    "p50_ms": Quantile("the median, from due", "due_ns", 0.5),
    "p99_ms": Quantile("the 99th percentile, from due", "due_ns", 0.99),
    "service_p50_ms": Quantile("the median, from when it was sent", "start_ns", 0.5),
}


def witness(
    slices: Iterable[Slice], *, unfit: Collection[str], margin: float, names: tuple[str, str]
) -> dict[str, Any]:
    """For the plan: what two generators say of the same; {} where there was no witness.

    *names* are the two generators. Trials in *unfit*, whose times are no evidence, and those in which the
    witness was late itself, do not count: `left_out` is how many, `trials` how many are left.
    """
    both = [item for item in slices if item.witness is not None]
    if not both:
        return {}
    fit = [one for one in both if one.trial.id not in unfit and _punctual(one)]
    pairs = [_two(one) for one in fit]
    return {
        "driver": names[0],
        "witness": names[1],
        "trials": len(fit),
        "left_out": len(both) - len(fit),
        "margin": math.expm1(margin),
        "quantiles": {name: _compared(pairs, one, margin) for name, one in QUANTILES.items()},
    }


def doubts(found: dict[str, Any]) -> Iterator[Doubt]:
    """A doubt for each quantile from due in which the two differ. It is told, and takes nothing away."""
    what = "two load generators tell another latency of the same queries at the same rate, beyond the margin"
    for name, one in found.get("quantiles", {}).items():
        if one["judged"] and one.get("verdict") == DIFFER:
            yield Doubt(name, check.WITNESS, what, False)


def _punctual(item: Slice) -> bool:
    return check.generator_late(item, "witness") <= check.LATE_SHARE


def _two(item: Slice) -> Two:
    """What both generators did in a trial: only the slices that were sent twice."""
    own = {step["start_ns"]: ops for step, ops in check.driven(item)}
    again = list(check.driven(item, "witness"))
    before = [item.steps[item.steps.index(step) - 1]["start_ns"] for step, _ in again]
    return (
        pa.concat_tables([_prepared(own[start]) for start in before]),
        pa.concat_tables([_prepared(ops) for _, ops in again]),
    )


def _prepared(ops: pa.Table) -> pa.Table:
    """Without each client's first operation of each query: pgbench prepares statements only then, in each slice."""
    ordered = ops.sort_by("start_ns")
    clients = check.column(ordered, "client")
    query = np.unique(np.array(ordered["name"].cast(pa.string()).to_pylist(), np.str_), return_inverse=True)[1]
    later = np.ones(clients.size, np.bool_)
    later[np.unique(query * (clients.max(initial=0) + 1) + clients, return_index=True)[1]] = False
    return ordered.filter(pa.array(later))


def _compared(pairs: Sequence[Two], quantile: Quantile, margin: float) -> dict[str, Any]:
    """The ratio, own by witness, with its 95 % t interval over trials; or what it lacks."""
    said = {"label": quantile.label, "judged": quantile.judged}
    since, q = quantile.since, quantile.q
    logs = np.array([_log_ratio(two, since, q) for two in pairs])
    paired = stats.pair(logs, np.zeros(logs.size))
    if paired.n == 0:
        most = max((min(counts) for two in pairs for counts in _counts(two, since)), default=0)
        return said | {"operations": most, "needs": stats.operations_needed(q)}
    half = stats.half_width(paired)
    low, high = paired.mean - half, paired.mean + half
    inside, outside = -margin <= low and high <= margin, low > margin or high < -margin
    own, other = (np.concatenate([_ms(two[side], since)[1] for two in pairs]) for side in (0, 1))
    return said | {
        "trials": paired.n,
        "bounded": paired.n > 1,
        "ratio": math.exp(paired.mean),
        "low": math.exp(low),
        "high": math.exp(high) if math.isfinite(high) else math.inf,
        "own_ms": float(np.quantile(own, q)),
        "witness_ms": float(np.quantile(other, q)),
        "verdict": AGREE if inside else DIFFER if outside else NOT_SHOWN,
    }


def _log_ratio(two: Two, since: str, q: float) -> float:
    """The log ratio of a quantile in one trial; nan where no query has operations enough on both sides.

    Each query is compared with itself, because one side may hold more of a slow one by chance.
    """
    logs, weights = [], []
    for own, other in _by_query(two, since):
        if min(own.size, other.size) >= stats.operations_needed(q):
            logs.append(math.log(np.quantile(own, q) / np.quantile(other, q)))
            weights.append(own.size + other.size)
    return float(np.average(logs, weights=weights)) if logs else math.nan


def _counts(two: Two, since: str) -> Iterator[tuple[int, int]]:
    """How many operations each query has on both sides."""
    return ((own.size, other.size) for own, other in _by_query(two, since))


def _by_query(two: Two, since: str) -> Iterator[tuple[Floats, Floats]]:
    """The times of each query, of both sides."""
    (own_names, own), (names, other) = (_ms(ops, since) for ops in two)
    for name in np.unique(own_names):
        yield own[own_names == name], other[names == name]


def _ms(ops: pa.Table, since: str) -> tuple[npt.NDArray[np.str_], Floats]:
    """Names and times, in ms, of the operations that were answered."""
    done = ops.filter(pc.equal(ops["outcome"].cast(pa.string()), pa.scalar("ok")))
    took: Floats = (check.column(done, "end_ns") - check.column(done, since)) / 1e6
    return np.array(done["name"].cast(pa.string()).to_pylist(), np.str_), took
