"""Server time: how much of the difference each query carries, and which of its counters goes the same way."""

import math
from collections.abc import Iterator, Mapping, Sequence
from functools import partial

import numpy as np

from lab import stats
from lab.book import address
from lab.model import Query, Slice
from lab.reasons import MANUAL, Cite, Reason, Side, apart, counted, mean, metric, named, own_fact

NAME = "server_time"
_PAGE = f"{MANUAL}pgstatstatements.html"
_LEAST = 0.05
_PARTS = ("plan_ms", "exec_ms")
_COUNTERS: Mapping[str, Mapping[str, str]] = {
    "plan_ms": {"locks_per_call": "relation locks", "partitions_per_call": "relations scanned"},
    "exec_ms": {
        "blocks_per_call": "blocks",
        "temp_bytes_per_call": "of temporary files",
        "wal_bytes_per_call": "of write-ahead log",
    },
}
Spent = Mapping[int, tuple[float, float]]  # load or round -> ms of planning, of execution


def explain(own: Side, base: Side, queries: Sequence[Query]) -> Iterator[Reason]:
    """A query whose server time differs in the paired rounds: what it carries of all by which the queries differ.

    The time is planning and execution by pg_stat_statements for each operation of the mix, so that the
    queries' differences add up to that of `mix.server_ms_per_op`, of means over rounds, or over loads in
    the profile that compares these. A query speaks where the t interval of its paired differences lies
    wholly beyond the least effect on its time, and beyond what the twin differs by.
    """
    spent = {
        query.name: (_spent(own, own.timed, query.name), _spent(base, base.timed, query.name)) for query in queries
    }
    pairs = {name: _pair(*both) for name, both in spent.items()}
    total = sum(abs(pair.mean) for pair in pairs.values() if pair.n)
    for name, pair in pairs.items():
        wide = stats.half_width(pair)
        if pair.n < 2 or abs(pair.mean) < _LEAST * total:
            continue
        if abs(pair.mean) - wide <= max(_bound(base, name), own.times.least * _mean(*spent[name][::-1])):
            continue
        gaps = [_gap(*spent[name], part) / pair.n for part in range(len(_PARTS))]
        counter = _counter(own, base, name, _PARTS[int(abs(gaps[1]) >= abs(gaps[0]))], more=pair.mean > 0)
        facts = {
            "own": _mean(*spent[name]),
            "base": _mean(*spent[name][::-1]),
            "low": pair.mean - wide,
            "high": pair.mean + wide,
            "part": abs(pair.mean) / total,
            "plan": gaps[0],
            "exec": gaps[1],
        }
        way = "less" if pair.mean < 0 else "more"
        pieces = (named(own), f" spends {way} server time on it than ", named(base), *_told(own, name), *counter, ".")
        yield Reason(NAME, own.instance.candidate, name, pieces, _PAGE, facts, leads=abs(pair.mean))


def _told(own: Side, query: str) -> tuple[str | Cite, ...]:
    cite = partial(own_fact, NAME, own, query)
    return (
        ", ",
        cite("own", "in ms"),
        " per operation of the mix against ",
        cite("base", "in ms"),
        " (difference ",
        cite("low", "signed in ms"),
        " to ",
        cite("high", "signed in ms"),
        ", at ",
        Cite(address("method", "level"), "percent"),
        "): ",
        cite("part", "percent"),
        " of all by which the queries' times differ. Planning differs by ",
        cite("plan", "signed in ms"),
        ", execution by ",
        cite("exec", "signed in ms"),
    )


def _counter(own: Side, base: Side, query: str, part: str, *, more: bool) -> tuple[str | Cite, ...]:
    """Of what is counted for the larger *part* of the time: what differs by the largest factor, the same way."""
    found: dict[str, float] = {}
    for counter in _COUNTERS[part]:
        name = f"query.{query}.{counter}"
        mine, theirs = counted(own, name), counted(base, name)
        if mine is None or theirs is None or (mine > theirs) != more:
            continue
        if apart(own, base, name, by=_LEAST):
            low, high = sorted((mine, theirs))
            found[counter] = high / low if low else float("inf")
    if not found:
        return ("; no counter of the larger part differs in its direction",)
    most = max(found, key=lambda name: found[name])
    name, unit = f"query.{query}.{most}", _COUNTERS[part][most]
    words = "; of the counters of the larger part this one goes its way and differs by the largest factor: "
    return (words, metric(own, name), f" {unit} per call against ", metric(base, name))


def _bound(base: Side, query: str) -> float:
    """The largest difference (ms) that may be nothing, by the twin: |mean| + t(.95) standard errors.

    0.0 without a twin, inf where its time cannot be told: it is then no guard (METHOD section 3).
    """
    if not any(one.instance.twin for one in base.loads):
        return 0.0
    pair = _pair(_spent(base, base.twin, query), _spent(base, base.timed, query))
    return abs(pair.mean) + stats.half_width(pair, 0.10) if pair.n > 1 else math.inf


def _spent(one: Side, slices: Sequence[Slice], query: str) -> Spent:
    """Load or round -> mean ms for planning and for executing *query*, each by operation of the mix."""
    units: dict[int, list[tuple[float, float]]] = {}
    for slice_ in slices:
        done = _done(slice_)
        if done and any("statements" in step for step in slice_.steps):
            unit = slice_.trial.instance.load if one.times.by_load else slice_.trial.round
            both = _of(slice_, query, "plan_ms") / done, _of(slice_, query, "exec_ms") / done
            units.setdefault(unit, []).append(both)
    return {unit: (mean([plan for plan, _ in each]), mean([run for _, run in each])) for unit, each in units.items()}


def _done(slice_: Slice) -> int:
    return int(slice_.ops["outcome"].to_pylist().count("ok"))


def _of(slice_: Slice, query: str, part: str) -> float:
    counters = (step.get("statements", {}).get(query) for step in slice_.steps)
    return float(sum(one[part] for one in counters if one))


def _pair(own: Spent, base: Spent) -> stats.Pair:
    both = sorted(own.keys() & base.keys())
    return stats.pair(np.array([sum(own[key]) for key in both]), np.array([sum(base[key]) for key in both]))


def _gap(own: Spent, base: Spent, part: int) -> float:
    return sum(own[key][part] - base[key][part] for key in own.keys() & base.keys())


def _mean(one: Spent, other: Spent) -> float:
    """The mean of *one* over the units that *other* has too."""
    both = one.keys() & other.keys()
    return sum(sum(one[key]) for key in both) / len(both)
