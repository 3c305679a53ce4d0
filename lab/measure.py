"""Operations and facts of a stored run -> Measurements: one number per metric and trial.

Latency counts from when an operation was due, so that a stall is paid for by everything that
waited for it. Only in `saturate`, where nothing is due, is there a service time instead.
A quantile that too few operations of a trial speak for is not given at all: not_estimable says so.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from lab import check, metrics
from lab.model import Instance, Json, Measurement, Prepared, Requirement, Slice

QUANTILES: Mapping[str, float] = {"p50": 0.50, "p95": 0.95, "p99": 0.99, "p999": 0.999}
"""The names that metrics use, and the share of operations that are to be no slower."""

EXACT_SPREAD = 0.001
"""Passes that repeat within this share of the largest are exact (METHOD section 2)."""

Frame = pd.DataFrame
Floats = npt.NDArray[np.float64]


class Value(NamedTuple):
    """What one step says: a Measurement that does not know its trial yet."""

    metric: str
    value: float
    operations: int | None = None
    limit_ms: float | None = None


@dataclass(frozen=True)
class NotEstimable:
    """A quantile for which no trial of *instance* has enough operations: it *needs* so many.

    *operations* is the most that any of its trials has.
    """

    instance: Instance
    metric: str
    operations: int
    needs: int


def exact(values: Sequence[float]) -> bool:
    """Whether values repeat within a thousandth; what does not belongs to the time class.

    >>> exact([1000.0, 1000.9]), exact([1000.0, 1002.0]), exact([0.0, 0.0]), exact([5.0])
    (True, False, True, True)
    """
    return max(values) - min(values) <= EXACT_SPREAD * max(abs(value) for value in values)


def quantile_of(metric: str) -> float | None:
    """The share that a metric's quantile stands for, None where it is no quantile.

    >>> quantile_of("query.recent.p999_ms"), quantile_of("retire.ms")
    (0.999, None)
    """
    return QUANTILES.get(metric.rsplit(".", 1)[-1].removesuffix("_ms"))


def measure(
    slices: Iterable[Slice], prepared: Iterable[Prepared] = (), requirements: Sequence[Requirement] = ()
) -> list[Measurement]:
    """Every metric of metrics.TABLE that these trials and instances give, instances first.

    *requirements* say which limits operations are counted against. An instance's metric has one
    Measurement for each pass, so that `exact` can be asked of them.
    """
    limits = limits_of(requirements)
    found = [measurement for item in prepared for measurement in _of_instance(item)]
    for item in slices:
        trial = item.trial
        for value in _of_slice(item, limits):
            found.append(
                Measurement(
                    trial.instance, trial.round, trial.id, value.metric, value.value, value.operations, value.limit_ms
                )
            )
    return found


def limits_of(requirements: Iterable[Requirement]) -> dict[str, tuple[float, ...]]:
    """For each query the limits (ms) that its operations are counted against, ascending.

    >>> limits_of([Requirement("query.recent.p95_ms", at_most=50.0), Requirement("retire.ms", at_most=9.0),
    ...            Requirement("query.recent.over_limit_share", at_most=0.01, limit_ms=200.0)])
    {'recent': (50.0, 200.0)}
    """
    limits: dict[str, set[float]] = {}
    for requirement in requirements:
        limit = requirement.limit_ms if quantile_of(requirement.metric) is None else requirement.at_most
        if limit is not None:
            limits.setdefault(requirement.metric.split(".")[1], set()).add(limit)
    return {query: tuple(sorted(values)) for query, values in limits.items()}


def not_estimable(slices: Iterable[Slice]) -> list[NotEstimable]:
    """The quantiles that no trial of an instance has operations enough for, by instance and query."""
    most: dict[tuple[Instance, str], int] = {}
    for item in slices:
        counted: dict[str, int] = {}
        for _, ops in check.driven(item):
            for query, answered in _answered(_frame(ops)):
                counted[query] = counted.get(query, 0) + len(answered)
        for query, count in counted.items():
            key = (item.trial.instance, query)
            most[key] = max(most.get(key, 0), count)
    return [
        NotEstimable(instance, metric, count, needs)
        for (instance, query), count in most.items()
        for quantile in QUANTILES
        if count < (needs := metrics.row(metric := f"query.{query}.{quantile}_ms").operations)
    ]


# --- instances ------------------------------------------------------------------------------


def _of_instance(item: Prepared) -> Iterator[Measurement]:
    """One Measurement for each pass of each metric that the table knows."""
    folder = f"{item.instance.candidate}.{item.instance.load}"
    for name, passes in item.metrics.items():
        if metrics.find(name) is not None:
            for value in passes:
                yield Measurement(item.instance, None, folder, name, float(value))


# --- trials ---------------------------------------------------------------------------------


def _of_slice(item: Slice, limits: Mapping[str, tuple[float, ...]]) -> Iterator[Value]:
    """All that one trial says: of its driven operations, and of the steps around them."""
    drives = list(check.driven(item, "drive"))
    if drives:
        steps = [step for step, _ in drives]
        frame = _frame(pa.concat_tables([ops for _, ops in drives]))
        yield from _of_queries(frame, _seconds(drives), limits)
        yield from _of_mix(frame, steps, _seconds(drives))
        yield from _of_blocks(frame, steps)
        yield from _of_shape(frame, steps)
    saturated = list(check.driven(item, "saturate"))
    if saturated:
        frame = _frame(pa.concat_tables([ops for _, ops in saturated]))
        yield from _of_saturation(frame, _seconds(saturated))
    yield from _of_steps(item.steps)


def _frame(ops: pa.Table) -> Frame:
    """Operations as a frame: name, ok, ms (from due) and service_ms (from start)."""
    due, start, end = (check.column(ops, name) for name in ("due_ns", "start_ns", "end_ns"))
    return pd.DataFrame(
        {
            "name": ops["name"].cast(pa.string()).to_pandas(),
            "ok": np.asarray(ops["outcome"].cast(pa.string()).to_pandas() == "ok"),
            "ms": (end - due) / 1e6,
            "service_ms": (end - start) / 1e6,
        }
    )


def _answered(frame: Frame) -> Iterator[tuple[str, Floats]]:
    """The latencies (ms, ascending) of the operations that were answered, query by query."""
    for query, group in frame[frame["ok"]].groupby("name", sort=True):
        yield str(query), np.sort(group["ms"].to_numpy())


def _seconds(driven: Iterable[tuple[Mapping[str, Json], pa.Table]]) -> float:
    """How long the steps lasted: as declared, or until the last answer where that came later.

    An overloaded server answers all that was due in the end; its rate is not the declared one.
    """
    seconds = 0.0
    for step, ops in driven:
        last = (int(check.column(ops, "end_ns").max()) - step["zero_ns"]) / 1e9 if ops.num_rows else 0.0
        seconds += max(step["for_s"], last)
    return seconds


def _of_queries(frame: Frame, seconds: float, limits: Mapping[str, tuple[float, ...]]) -> Iterator[Value]:
    """Latencies, failures and limits of each query. What failed or never came is over any limit."""
    for query, answered in _answered(frame):
        yield from _latencies(f"query.{query}.", answered)
    for name, group in frame.groupby("name", sort=True):
        ok, total = group["ok"], len(group)
        yield Value(f"query.{name}.per_s", int(ok.sum()) / seconds, total)
        yield Value(f"query.{name}.error_share", float((~ok).mean()), total)
        for limit in limits.get(str(name), ()):
            over = ~ok | (group["ms"] > limit)
            yield Value(f"query.{name}.over_limit_share", float(over.mean()), total, limit)


def _latencies(prefix: str, answered: Floats) -> Iterator[Value]:
    """Quantiles (the observed value at or above the share), mean and greatest of *answered*, ms."""
    size = answered.size
    statistics = {f"{name}_ms": np.quantile(answered, q, method="inverted_cdf") for name, q in QUANTILES.items()}
    statistics |= {"mean_ms": answered.mean(), "max_ms": answered[-1]}
    for name, value in statistics.items():
        if size >= metrics.row(prefix + name).operations:
            yield Value(prefix + name, float(value), size)


def _of_mix(frame: Frame, steps: Sequence[Mapping[str, Json]], seconds: float) -> Iterator[Value]:
    """What the whole mix cost the server and the generator, per operation."""
    done = int(frame["ok"].sum())
    if not done:
        return
    yield Value("mix.per_s", done / seconds, done)
    asked = [counters for step in steps for counters in step.get("statements", {}).values()]
    if asked:  # by operations and not by statements: a transaction of three is one operation
        spent = sum(counters["plan_ms"] + counters["exec_ms"] for counters in asked)
        yield Value("mix.server_ms_per_op", spent / done, done)
    for key, metric, unit in (
        ("generator_cpu_s", "mix.generator_us_per_op", 1e6),
        ("server_cpu_s", "cpu_s_per_op", 1.0),
        ("round_trips", "mix.round_trips_per_op", 1.0),
    ):
        if all(step.get(key) is not None for step in steps):
            yield Value(metric, unit * sum(step[key] for step in steps) / done, done)


def _of_blocks(frame: Frame, steps: Sequence[Mapping[str, Json]]) -> Iterator[Value]:
    """Blocks per operation as the server saw them: with what planning read, and rows no vacuum has seen."""
    for query, done in frame[frame["ok"]].groupby("name", sort=True).size().items():
        seen = [step["statements"][query] for step in steps if query in step.get("statements", {})]
        if any(step.get("inner_calls") for step in steps):
            continue  # the blocks that other servers read for it cannot be told from other queries'
        if seen and all("blocks" in counters for counters in seen):
            blocks = sum(counters["blocks"] for counters in seen)
            yield Value(f"query.{query}.driven_blocks_per_call", blocks / int(done), int(done))


def _of_shape(frame: Frame, steps: Sequence[Mapping[str, Json]]) -> Iterator[Value]:
    """What an operation takes of all servers together, and processor time of the one that works most.

    By the utilisation law no shape does more operations a second than the cores of its busiest
    server by their seconds per operation, wherever it runs (Denning and Buzen, Computing Surveys 10, 1978).
    """
    done = int(frame["ok"].sum())
    if not done or not all("wal" in step for step in steps):
        return
    for name, key in (
        ("wal_record_bytes_per_op", "record_bytes"),
        ("wal_fpi_bytes_per_op", "fpi_bytes"),
        ("commits_per_op", "commits"),
    ):
        yield Value(f"mix.{name}", sum(step["wal"][key] for step in steps) / done, done)
    spent = [sum(step["cpu_s"][name] for step in steps) for name in steps[0]["cpu_s"]]
    if spent:  # there is no looking into the processes of a server that somebody else runs
        yield Value("busiest_cpu_s_per_op", max(spent) / done, done)
    yield Value("mix.inner_calls_per_op", sum(step["inner_calls"] for step in steps) / done, done)


def _of_saturation(frame: Frame, seconds: float) -> Iterator[Value]:
    """Capacity, and the mean time of an operation under it; that is no latency, since nothing was due."""
    done = frame[frame["ok"]]
    if len(done):
        yield Value("saturate.per_s", len(done) / seconds, len(done))
        yield Value("saturate.service_ms", float(done["service_ms"].mean()), len(done))


def _of_steps(steps: Sequence[Mapping[str, Json]]) -> Iterator[Value]:
    """Rows arriving and leaving, and maintenance: time and WAL. Several steps of a kind add up."""
    done = {kind: [step for step in steps if step["do"] == kind] for kind in ("append", "retire", "maintain")}
    rows = {kind: sum(step.get("rows", 0) for step in of_kind) for kind, of_kind in done.items()}
    rows["maintain"] = rows["maintain"] or rows["append"] or rows["retire"]  # vacuum works for the rows that changed
    for kind, of_kind in done.items():
        if not of_kind:
            continue
        took_ns = sum(step["end_ns"] - step["start_ns"] for step in of_kind)
        if kind == "append":
            if rows[kind] and took_ns:
                yield Value("append.rows_per_s", rows[kind] / (took_ns / 1e9))
        else:
            yield Value(f"{kind}.ms", took_ns / 1e6)
        if rows[kind]:
            wal = sum(step["wal_bytes"] for step in of_kind)
            yield Value(f"{kind}.wal_bytes_per_row", wal / rows[kind])
