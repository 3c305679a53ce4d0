"""Why: which difference in what was counted accounts for which difference between two candidates.

Each module of this package holds one rule: a NAME and `explain`, which looks at a candidate and
the baseline as their count passes left them. A rule speaks only of what it can show: it cites
the counters, and the page of the manual that explains them. It claims nothing about time.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from lab import metrics
from lab.book import address
from lab.explain import elsewhere
from lab.form import of_unit
from lab.model import Prepared, Query

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
    itself; they stand at `at(key)`. *page* is a page of the PostgreSQL manual.
    """

    rule: str
    candidate: str
    query: str
    pieces: tuple[str | Cite, ...]
    page: str
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def evidence(self) -> tuple[str, ...]:
        """The addresses that the sentence rests on, in its order."""
        return tuple(piece.address for piece in self.pieces if isinstance(piece, Cite))


class Rule(Protocol):
    """A module of this package."""

    NAME: str

    def explain(self, own: Prepared, base: Prepared, queries: Sequence[Query]) -> Iterator[Reason]:
        """What this rule can say of the candidate *own* against *base*; nothing, if nothing."""


def reasons(
    rules: Sequence[Rule], prepared: Sequence[Prepared], baseline: str, queries: Mapping[str, Sequence[Query]]
) -> tuple[Reason, ...]:
    """What *rules* say, in their order, of every candidate's first instance against the baseline's.

    *queries* are each candidate's own. Nothing is said where the baseline was not prepared.
    """
    first = {one.instance.candidate: one for one in reversed(prepared) if not one.instance.twin}
    base = first.get(baseline)
    own = [first[name] for name in queries if name in first and name != baseline]
    if base is None:
        return ()
    return tuple(
        reason for one in own for rule in rules for reason in rule.explain(one, base, queries[one.instance.candidate])
    )


# --- for the rules --------------------------------------------------------------------------


def last(one: Prepared, metric: str) -> float | None:
    """The value of the last pass, or None where it was not counted."""
    values = one.metrics.get(metric)
    return values[-1] if values else None


def differ(own: float | None, base: float | None, *, by: float) -> bool:
    """Whether both are known and lie further apart than the share *by* of the larger.

    >>> differ(90, 100, by=0.05), differ(0, 0, by=0.05), differ(None, 1, by=0.05)
    (True, False, False)
    """
    return own is not None and base is not None and abs(own - base) > by * max(abs(own), abs(base))


def metric(one: Prepared, name: str) -> Cite:
    """The citation of a counted metric, in the form of its unit."""
    return Cite(
        address("instances", f"{one.instance.candidate}.{one.instance.load}", "metrics", name, "value"),
        of_unit(metrics.row(name).unit),
    )


def named(one: Prepared) -> Cite:
    """The citation of a candidate's name."""
    return Cite(address("scenario", "candidates", one.instance.candidate, "name"), "name")


def own_fact(rule: str, one: Prepared, query: str, key: str, form: str) -> Cite:
    """The citation of a fact that the rule reckoned itself."""
    return Cite(address("reasons", rule, one.instance.candidate, query, key), form)


def whole(one: Prepared, query: str) -> bool:
    """Was the query explained, and is all its work in what EXPLAIN saw, none of it on another server?"""
    entries = one.explains.get(query) or ()
    return bool(entries) and not any(elsewhere(top["Plan"]) for entry in entries for top in _tops(entry))


def nodes(explained: Any) -> Iterator[Mapping[str, Any]]:
    """The executed nodes of all plans of one query's EXPLAIN entry, from the top."""
    for top in _tops(explained):
        yield from _below(top["Plan"])


def _tops(explained: Any) -> Sequence[Mapping[str, Any]]:
    """The plans of one entry: one for each statement."""
    plans: Sequence[Mapping[str, Any]] = (
        explained["plan"] if isinstance(explained["plan"], list) else [explained["plan"]]
    )
    return plans


def _below(node: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    if node.get("Actual Loops", 0) > 0:
        yield node
        for child in node.get("Plans", ()):
            yield from _below(child)
