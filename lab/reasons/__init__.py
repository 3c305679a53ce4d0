"""Why: which difference in what was counted accounts for which difference between two candidates.

Each module of this package holds one rule: a NAME and `explain`, which looks at a candidate and
the baseline as their count passes and rounds left them. A rule speaks only of what it can show: it
cites the counters, and the page of the manual that explains them. Of time it says only what the
server measured itself, in the same rounds for both. docs/reasons.md tells how to check each by hand.
"""

import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from lab import explain, metrics
from lab.book import address
from lab.form import of_unit
from lab.model import Instance, Json, LeastEffect, Prepared, Query, Slice

MANUAL = "https://www.postgresql.org/docs/current/"


@dataclass(frozen=True)
class Cite:
    """A fact within a sentence: its address in the book, and the form to print it in."""

    address: str
    form: str


@dataclass(frozen=True)
class Reason:
    """One sentence about *candidate* against the baseline, and about *query* unless that is "".

    *pieces* are words, which hold no figures, and citations. *facts* are what the rule reckoned
    itself; they stand at `at(key)`. *page* is a page of the PostgreSQL manual. *leads*: how much of
    the difference in time the query carries (ms per operation of the mix), where the rule knows.
    """

    rule: str
    candidate: str
    query: str
    pieces: tuple[str | Cite, ...]
    page: str
    facts: Mapping[str, Any] = field(default_factory=dict)
    leads: float = 0.0

    @property
    def evidence(self) -> tuple[str, ...]:
        """The addresses that the sentence rests on, in its order."""
        return tuple(piece.address for piece in self.pieces if isinstance(piece, Cite))


@dataclass(frozen=True)
class Times:
    """What may be said about server time, as the judge has it (readings.Case).

    *barred* trials are no evidence about it, and of *silent* sides (Instance.name) nothing is said. What
    repeats is the load where *by_load*, else the round. *least*: the least effect, as a share.
    """

    barred: frozenset[str] = frozenset()
    silent: frozenset[str] = frozenset()
    by_load: bool = False
    least: float = LeastEffect().time


@dataclass(frozen=True)
class Side:
    """A candidate as rules see it.

    *prepared* is its first instance; *loads* are all of them, the twin too. *slices* are its trials
    that are evidence, the twin's left out; *timed* those that are evidence about server time, by *times*,
    and *twin* the twin's. *readings* are the server's statistics after each trial of
    the first instance (probes/activity.py), in order, since they were last reset; () where instances do
    not stay up.
    """

    prepared: Prepared
    loads: tuple[Prepared, ...] = ()
    slices: tuple[Slice, ...] = ()
    readings: tuple[Mapping[str, Json], ...] = ()
    timed: tuple[Slice, ...] = ()
    twin: tuple[Slice, ...] = ()
    times: Times = Times()

    @property
    def instance(self) -> Instance:
        """The first instance's."""
        return self.prepared.instance

    @property
    def silent(self) -> bool:
        """Whether nothing is said about its times."""
        return self.instance.name in self.times.silent

    @property
    def explains(self) -> Mapping[str, Json]:
        """The first instance's."""
        return self.prepared.explains

    @property
    def report(self) -> Mapping[str, Json]:
        """The first instance's."""
        return self.prepared.report


class Rule(Protocol):
    """A module of this package."""

    NAME: str

    def explain(self, own: Side, base: Side, queries: Sequence[Query]) -> Iterator[Reason]:
        """What this rule can say of the candidate *own* against *base*; nothing, if nothing."""


def reasons(
    rules: Sequence[Rule],
    prepared: Sequence[Prepared],
    baseline: str,
    queries: Mapping[str, Sequence[Query]],
    slices: Sequence[Slice] = (),
    *,
    kept: bool = True,
    times: Times = Times(),
) -> tuple[Reason, ...]:
    """What *rules* say of every candidate against the baseline.

    Queries that carry more of the difference in server time come first, then by *rules*; what is about
    no query comes last. *queries* are each candidate's own, *slices* the trials that are evidence;
    *kept*: instances stay up, so that their statistics go on from trial to trial. *times*: which say
    something about time. Nothing is said where the baseline was not prepared.
    """
    everybody = dict.fromkeys([*queries, baseline])
    found = {name: side(name, prepared, slices, kept=kept, times=times) for name in everybody}
    base = found[baseline]
    if base is None:
        return ()
    told: list[Reason] = []
    for name in queries:
        own = found[name]
        if own is not None and name != baseline:
            told += _ordered([one for rule in rules for one in rule.explain(own, base, queries[name])])
    return tuple(told)


def _ordered(told: Sequence[Reason]) -> list[Reason]:
    """Reasons by what their query carries, then as they are; those about no query last."""
    leads = {one.query: one.leads for one in told if one.leads}
    return sorted(told, key=lambda one: (not one.query, -leads.get(one.query, 0.0), not one.leads))


def side(
    name: str,
    prepared: Sequence[Prepared],
    slices: Sequence[Slice],
    *,
    kept: bool = True,
    times: Times = Times(),
) -> Side | None:
    """A candidate as rules see it, None where it was not prepared."""
    loads = tuple(one for one in prepared if one.instance.candidate == name)
    first = next((one for one in loads if not one.instance.twin), None)
    if first is None:
        return None
    every = [one for one in slices if one.trial.instance.candidate == name]
    own = tuple(one for one in every if not one.trial.instance.twin)
    fit = [one for one in every if one.trial.id not in times.barred and one.trial.instance.name not in times.silent]
    mine = [one for one in own if one.trial.instance == first.instance] if kept else []
    readings = [step["activity"] for one in mine for step in one.steps if "activity" in step]
    since = readings[-1]["since"] if readings else None
    return Side(
        first,
        loads,
        own,
        tuple(one for one in readings if one["since"] == since),
        timed=tuple(one for one in fit if not one.trial.instance.twin),
        twin=tuple(one for one in fit if one.trial.instance.twin),
        times=times,
    )


# --- for the rules --------------------------------------------------------------------------


def untimed(own: Side, base: Side) -> bool:
    """Whether nothing is said about times of the two: a rule that cites milliseconds is silent then."""
    return own.silent or base.silent


def counted(one: Side, metric: str) -> float | None:
    """The value that stands for all passes, which `metric` cites: their median. None where it was not counted."""
    values = one.prepared.metrics.get(metric)
    return statistics.median(values) if values else None


def apart(own: Side, base: Side, metric: str, *, by: float = 0.0) -> bool:
    """Whether every pass of one side lies further than the share *by* from every pass of the other, the same way.

    A plan may hang on the rows that ANALYZE happens to draw; what one drawing gives and another takes is no reason.
    """
    mine, theirs = own.prepared.metrics.get(metric), base.prepared.metrics.get(metric)
    if not mine or not theirs:
        return False
    low, high = sorted((mine, theirs), key=max)
    return max(low) < min(high) and differ(max(low), min(high), by=by)


def differ(own: float | None, base: float | None, *, by: float) -> bool:
    """Whether both are known and lie further apart than the share *by* of the larger.

    >>> differ(90, 100, by=0.05), differ(0, 0, by=0.05), differ(None, 1, by=0.05)
    (True, False, False)
    """
    return own is not None and base is not None and abs(own - base) > by * max(abs(own), abs(base))


def metric(one: Side, name: str) -> Cite:
    """The citation of a counted metric, in the form of its unit."""
    return Cite(
        address("instances", f"{one.instance.candidate}.{one.instance.load}", "metrics", name, "value"),
        of_unit(metrics.row(name).unit),
    )


def named(one: Side) -> Cite:
    """The citation of a candidate's name."""
    return Cite(address("scenario", "candidates", one.instance.candidate, "name"), "name")


def own_fact(rule: str, one: Side, query: str, key: str, form: str) -> Cite:
    """The citation of a fact that the rule reckoned itself."""
    return Cite(address("reasons", rule, one.instance.candidate, query, key), form)


def whole(one: Side, query: str) -> bool:
    """Was the query explained, is all its work in what EXPLAIN saw, none of it on another server, and the plan one?"""
    entries = one.explains.get(query) or ()
    beyond = any(explain.elsewhere(top["Plan"]) for entry in entries for top in explain.tops(entry))
    return bool(entries) and not beyond and explain.redrawn(entries) is None


def explained(own: Side, base: Side, queries: Sequence[Query]) -> Iterator[str]:
    """The queries of which both sides' EXPLAINs tell all."""
    return (query.name for query in queries if whole(own, query.name) and whole(base, query.name))


def entries(one: Side, query: str) -> Sequence[Mapping[str, Any]]:
    """The recorded EXPLAINs of a query."""
    return one.explains.get(query) or ()


def mean(values: Sequence[float]) -> float:
    """The mean of at least one value."""
    return float(sum(values)) / len(values)
