"""Is this trial fit to be evidence?

Asked of one trial at a time and before any comparison, so that nobody can ask it harder of the
candidate whose numbers displease them. Warm-up and answers are the two exceptions: the first is
asked of one instance over its rounds, the second of a candidate against the baseline.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from lab import stats
from lab.model import Doubt, Instance, Json, Prepared, Slice

Ints = npt.NDArray[np.int64]

LATE_NS = 2_000_000
"""An operation that starts later than this, although its client was free, was kept waiting by the generator."""

LATE_SHARE = 0.05
"""The share of such operations above which the generator and not the server was measured."""

FOREIGN_SHARE = 0.10
"""The share of the host's cores that other processes may take (METHOD section 4)."""

BUSY_SHARE = 0.5
"""Clients that wait for the server for more than this share of their time make the queue the server's."""

LAG_SHARE = 0.05
"""Lag that grows by more than this share of the slice is not caught up: the rate is above capacity."""

THROTTLED_SHARE = 0.01
"""The share of a driven step for which a quota of processor time may keep the servers waiting."""

CLOCK_NS = 1_000_000
"""The most by which the times of a load worker's operations may be wrong on the lab's clock."""

WARM_OPERATIONS = 60
"""With fewer operations in a slice, its thirds are too small to say whether it warmed up."""

WARM_EFFECT = math.log(1.10)
"""The first third must be slower than the last by more than this (log) before it is called warm-up."""

# What a doubt's kind means to weigh.py: OVERLOADED trials fail their latency requirements and enter
# no ratio, THROTTLED ones are no evidence about how long anything took, but about work they are, NOTES
# are told and take nothing away, the rest is no evidence about time.
OVERLOADED = "overloaded"
FOREIGN = "foreign processes"
GENERATOR = "generator"
CLOCKS = "clocks"
THROTTLED = "throttled"
WARM_UP = "warm-up"
NOT_ASSESSED = "warm-up not assessed"
FAILED = "failed operations"
DRIFT = "drift"
UNSTABLE = "unstable answers"
WITNESS = "second generator"
NOTES = frozenset({WARM_UP, NOT_ASSESSED, FAILED, DRIFT, UNSTABLE, WITNESS})

ABOUT = {
    WARM_UP: "instances",
    NOT_ASSESSED: "instances",
    DRIFT: "instances",
    UNSTABLE: "queries",
    WITNESS: "quantiles of latency",
}
"""What the kinds are about that are not about trials: what stands as their trial only names it."""

CRASH_SAFE = ("fsync", "full_page_writes")
"""Without these a crash may leave nothing: "durability: none"."""

DRIFT_LEVEL = 0.99
"""The baseline's first half of the rounds must differ from its second at this level to be called drift."""


@dataclass(frozen=True)
class Disagreement:
    """An answer that is not the baseline's: the *set*-th parameter set of *query*, from 0.

    *set* is None where the candidate was not asked the same questions.
    """

    candidate: str
    query: str
    set: int | None


def check(slices: Sequence[Slice]) -> list[Doubt]:
    """Every doubt about every trial taken alone, in the order of *slices*; warm_up has those about instances."""
    return [doubt for item in slices for doubt in _of_trial(item)]


def disagreements(prepared: Iterable[Prepared], baseline: str) -> list[Disagreement]:
    """Where instances answer the same questions otherwise than the *baseline*'s first instance.

    A rewrite that loses rows is fast, and no answer to the question.
    """
    instances = list(prepared)
    firsts = [p for p in instances if p.instance.candidate == baseline and not p.instance.twin]
    if not firsts:
        return []
    right = firsts[0].digests
    found = {
        (p.instance.name, query, place): None
        for p in instances
        for query in right
        for place in _differing(right[query], p.digests.get(query, ()))
    }
    return [Disagreement(*key) for key in found]


def unstable(found: Iterable[Disagreement], baseline: str) -> tuple[str, ...]:
    """The queries that another load of the *baseline*, the twin included, answers otherwise than its first.

    >>> unstable([Disagreement("heap (twin)", "newest", 0), Disagreement("brin", "recent", 0)], "heap")
    ('newest',)
    """
    own = {baseline, Instance(baseline, 2, twin=True).name}
    return tuple(dict.fromkeys(one.query for one in found if one.candidate in own))


def counting(found: Sequence[Disagreement], baseline: str) -> list[Disagreement]:
    """Those that put a candidate out: not where the *baseline* does not even agree with itself."""
    unsure = unstable(found, baseline)
    return [one for one in found if one.query not in unsure]


def unstable_answers(found: Sequence[Disagreement], baseline: str) -> list[Doubt]:
    """A doubt for each query on which the *baseline* disagrees with itself; nobody is out for it."""
    queries = unstable(found, baseline)
    what = f"loads of the baseline disagree in their answers to {', '.join(queries)}, and nobody is out for these"
    return [Doubt(query, UNSTABLE, what, False) for query in queries]


def _differing(right: Sequence[str], given: Sequence[str]) -> list[int | None]:
    """The places where two lists of digests differ; [None] where their lengths do."""
    if len(right) != len(given):
        return [None]
    return [place for place, (one, other) in enumerate(zip(right, given, strict=True)) if one != other]


def uneven(prepared: Iterable[Prepared], baseline: str) -> frozenset[str]:
    """The candidates that a crash would leave with another part of their data than the *baseline*'s.

    By the settings without which a crash may lose everything, and by unlogged tables. What may lose the last commits
    only (synchronous_commit) is a guarantee like others, listed as lost and compared.
    """
    weak = {p.instance.candidate: _weak(p) for p in prepared}
    return frozenset(name for name, off in weak.items() if off != weak.get(baseline, frozenset()))


def _weak(prepared: Prepared) -> frozenset[str]:
    """What of an instance a crash may leave nothing of."""
    unlogged = ("unlogged tables",) if prepared.report.get("unlogged") else ()
    return frozenset((*filter(partial(_off, prepared), CRASH_SAFE), *unlogged))


def _off(prepared: Prepared, setting: str) -> bool:
    """Whether a setting that is on by default was off on an instance's server."""
    return bool(prepared.settings.get(setting, {"value": "on"})["value"] == "off")


# --- one trial ------------------------------------------------------------------------------


def _of_trial(item: Slice) -> Iterator[Doubt]:
    """The doubts about one trial, gravest first."""
    trial = item.trial.id
    late = generator_late(item) > LATE_SHARE
    grows = [(ops, step) for step, ops in driven(item) if lag_grows(ops, step)]
    overloaded = any(not late or clients_busy(ops, step) > BUSY_SHARE for ops, step in grows)
    if item.rows != item.rows_due:
        yield Doubt(trial, "rows", "the tables held another number of rows than they should", True)
    if any(step.get("autovacuums", 0) for step in item.steps):
        yield Doubt(trial, "autovacuum", "an autovacuum worker ran during the trial", True)
    if missing(item) and not overloaded:  # of an overloaded trial, what was never reached is missing
        yield Doubt(trial, "missing operations", "operations were due that nobody recorded", True)
    if foreign_share(item.steps) > FOREIGN_SHARE:
        yield Doubt(trial, FOREIGN, "other processes took a good part of the processors", False)
    if generator_throttled_share(item.steps) > THROTTLED_SHARE:
        yield Doubt(trial, GENERATOR, "a quota of processor time kept the load generator waiting", False)
    elif late and not overloaded:
        yield Doubt(trial, GENERATOR, "the load generator started operations late although a client was free", False)
    if clock_error_ns(item) > CLOCK_NS:
        yield Doubt(trial, CLOCKS, "a load worker's clock could not be told by the lab's closely enough", False)
    if overloaded:
        yield Doubt(trial, OVERLOADED, "the lag behind the declared rate grew: the rate is above the capacity", False)
    if set(item.ops["outcome"].unique().to_pylist()) - {"ok"}:
        yield Doubt(trial, FAILED, "some operations failed", False)
    if throttled_share(item.steps) > THROTTLED_SHARE:
        yield Doubt(trial, THROTTLED, "the declared limit of processor time kept the servers waiting", False)


def generator_throttled_share(steps: Iterable[Mapping[str, Json]]) -> float:
    """The share of the driven steps' time for which a quota of the lab's own kept the load generator waiting.

    >>> generator_throttled_share([{"do": "drive", "for_s": 0.5, "generator_throttled_s": 0.1}, {"do": "retire"}])
    0.2
    """
    driven = [step for step in steps if step["do"] in ("drive", "saturate")]
    length_s = sum(step["for_s"] for step in driven)
    return sum(step.get("generator_throttled_s", 0.0) for step in driven) / length_s if length_s else 0.0


def throttled_share(steps: Iterable[Mapping[str, Json]]) -> float:
    """The share of the driven steps' time for which quotas kept a shape's processes waiting, the longest of each step.

    Waiting while rows arrive, or while nothing but capacity is asked for, is what a limit is for.

    >>> throttled_share([{"do": "drive", "start_ns": 0, "end_ns": 10**9, "throttled_s": {"a": 0.02, "b": 0.05}}])
    0.05
    >>> throttled_share([{"do": "saturate", "start_ns": 0, "end_ns": 10**9, "throttled_s": {"a": 0.5}}])
    0.0
    """
    driven = [step for step in steps if step["do"] == "drive"]
    length_s = sum(step["end_ns"] - step["start_ns"] for step in driven) / 1e9
    return sum(max(step.get("throttled_s", {}).values(), default=0.0) for step in driven) / length_s if driven else 0.0


def driven(item: Slice, kind: str = "drive") -> Iterator[tuple[Mapping[str, Json], pa.Table]]:
    """Each step of that *kind* with the operations that were due in it."""
    ops = item.witness if kind == "witness" and item.witness is not None else item.ops
    due = ops["due_ns"]
    for step in item.steps:
        if step["do"] == kind:
            inside = pc.and_(pc.greater_equal(due, step["start_ns"]), pc.less(due, step["end_ns"]))
            yield step, ops.filter(inside)


def missing(item: Slice) -> bool:
    """Whether an open-loop step recorded another number of operations than were due."""
    return any(step.get("due") is not None and ops.num_rows != step["due"] for step, ops in driven(item))


def foreign_share(steps: Iterable[Mapping[str, Json]]) -> float:
    """The share of the host that others took, over all steps, each weighing as long as it lasted.

    >>> foreign_share([{"start_ns": 0, "end_ns": 3, "foreign_cpu_share": 0.0},
    ...                {"start_ns": 3, "end_ns": 4, "foreign_cpu_share": 0.4}])
    0.1
    """
    timed = [(step["end_ns"] - step["start_ns"], step.get("foreign_cpu_share", 0.0)) for step in steps]
    total = sum(length for length, _ in timed)
    return float(sum(length * share for length, share in timed) / total) if total else 0.0


def clock_error_ns(item: Slice) -> int:
    """The most by which a load worker's clock may have been misread; 0 where this machine alone sent.

    Latencies from due are wrong by as much; service times have both ends on one clock.
    """
    workers = [worker for step in item.steps for worker in step.get("workers", ())]
    return max((int(worker["clock_error_ns"]) for worker in workers), default=0)


def generator_late(item: Slice, kind: str = "drive") -> float:
    """The share of operations of the *kind*'s steps that started late although their client was free."""
    late, of = late_of(item, kind)
    return late / of if of else 0.0


def late_of(item: Slice, kind: str = "drive") -> tuple[int, int]:
    """How many operations of the *kind*'s steps started late although their client was free, and of how many."""
    waited = [_kept_waiting(ops) for _, ops in driven(item, kind)]
    return sum(int((one > LATE_NS).sum()) for one in waited), sum(map(len, waited))


def _kept_waiting(ops: pa.Table) -> Ints:
    """For each operation, how long its client was free and the operation due before it started, in ns.

    The client that took it stands for all: another may have been free for longer, so that this
    never blames the generator for waiting that the server caused.
    """
    ordered = ops.sort_by([("client", "ascending"), ("start_ns", "ascending")])
    client, due, start, end = (column(ordered, name) for name in ("client", "due_ns", "start_ns", "end_ns"))
    free = np.concatenate([due[:1], end[:-1]])
    free[1:][client[1:] != client[:-1]] = np.iinfo(np.int64).min
    waited: Ints = start - np.maximum(due, free)
    return waited


def clients_busy(ops: pa.Table, step: Mapping[str, Json]) -> float:
    """The share of the clients' time that they waited for the server, over the last third of what was due.

    Where the generator shares its processors with a saturated server it starts operations late as
    well; but then its clients are busy, and what is due queues for them and not for the generator.
    """
    ordered = ops.sort_by("due_ns").slice(ops.num_rows * 2 // 3)
    start, end = column(ordered, "start_ns"), column(ordered, "end_ns")
    span = int(end.max() - start.min()) if start.size else 0
    return float((end - start).sum() / (span * step["clients"])) if span else 0.0


def lag_grows(ops: pa.Table, step: Mapping[str, Json]) -> bool:
    """Whether operations start ever later behind their due times: from third to third of the slice.

    One stall is not overload: the lag must grow both from the first third to the second and on to
    the last, as it does when more is asked than can be done.
    """
    due, start = column(ops, "due_ns"), column(ops, "start_ns")
    if due.size < 6:
        return False
    parts = np.array_split((start - due)[np.argsort(due, kind="stable")], 3)
    first, second, last = (float(np.median(part)) for part in parts)
    growth = last - first
    length = step["end_ns"] - step["start_ns"] if "for_s" not in step else step["for_s"] * 1e9
    return growth > LAG_SHARE * length and second - first > growth / 4


def column(ops: pa.Table, name: str) -> Ints:
    """A column of whole numbers as an array of int64."""
    values: Ints = ops[name].to_numpy().astype(np.int64)
    return values


# --- one instance over its rounds -----------------------------------------------------------


def warm_up(slices: Sequence[Slice]) -> list[Doubt]:
    """Instances whose slices begin slower than they end, or where that cannot be told.

    The first third of each slice against its last, paired over the rounds: one doubt for each
    instance, at its first trial. Service times are compared, so that a queue is no warm-up.
    """
    ratios: dict[Instance, list[float]] = {}
    firsts: dict[Instance, str] = {}
    for item in slices:
        if any(step["do"] == "drive" for step in item.steps):
            firsts.setdefault(item.trial.instance, item.trial.id)
            ratios.setdefault(item.trial.instance, []).append(_first_to_last(item))
    return [
        doubt
        for instance, values in ratios.items()
        if (doubt := _warm_up_doubt(firsts[instance], np.array(values))) is not None
    ]


def drift(slices: Sequence[Slice], baseline: str) -> list[Doubt]:
    """Did the machine, or the data, change while the run lasted? Told of the baseline, which all share.

    CPU seconds of the server per operation, first against second half of the rounds, Welch's t on
    the logs. Interleaved rounds keep drift out of the comparisons; it is told because a limit that
    is met on average may not be met at the end.
    """
    items = [item for item in slices if item.trial.instance == Instance(baseline, 1) and _cpu_per_operation(item) > 0]
    items.sort(key=lambda item: item.trial.round)
    values = np.log([_cpu_per_operation(item) for item in items])
    half = len(items) // 2
    if half < 2 or not stats.means_differ(values[:half], values[half:], alpha=1 - DRIFT_LEVEL):
        return []
    slower = values[half:].mean() > values[:half].mean()
    what = f"the baseline took {'more' if slower else 'less'} processor time per operation later in the run"
    return [Doubt(items[half].trial.id, DRIFT, what, False)]


def _cpu_per_operation(item: Slice) -> float:
    """CPU seconds of the server for each recorded operation of the driven steps; 0 where there is none."""
    spent = [(step["server_cpu_s"] or 0.0, ops.num_rows) for step, ops in driven(item)]
    done = sum(rows for _, rows in spent)
    return sum(cpu_s for cpu_s, _ in spent) / done if done else 0.0


def _warm_up_doubt(trial: str, ratios: stats.Array) -> Doubt | None:
    """What the log ratios of one instance's slices say; nan is a slice with too few operations."""
    paired = stats.pair(ratios, np.zeros(ratios.size))
    if paired.n < 2:
        return Doubt(trial, NOT_ASSESSED, "too few operations in a slice to tell whether it warmed up", False)
    low = paired.mean - stats.t_quantile(0.95, paired.n - 1) * paired.sd / math.sqrt(paired.n)
    if low <= WARM_EFFECT:
        return None
    return Doubt(trial, WARM_UP, "the first third of the slices was slower than the last", False)


def _first_to_last(item: Slice) -> float:
    """The log ratio of mean service times, first to last third of a slice; nan for too few.

    Each query is compared with itself, because a third may hold more of a slow one by chance.
    """
    logs, weights = [], []
    for _, ops in driven(item):
        if ops.num_rows < WARM_OPERATIONS:
            continue
        ordered = ops.sort_by("due_ns")
        name = ordered["name"].combine_chunks().dictionary_encode()
        code = np.asarray(name.indices)
        service = column(ordered, "end_ns") - column(ordered, "start_ns")
        third = ordered.num_rows // 3
        for query in np.unique(code):
            first = service[:third][code[:third] == query]
            last = service[-third:][code[-third:] == query]
            if first.size and last.size and first.mean() > 0 and last.mean() > 0:
                logs.append(math.log(first.mean() / last.mean()))
                weights.append(first.size + last.size)
    return float(np.average(logs, weights=weights)) if logs else math.nan
