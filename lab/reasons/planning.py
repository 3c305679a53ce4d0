"""Planning: what it takes to plan a query anew, with how many partitions and locks."""

from collections.abc import Iterator, Sequence
from functools import partial

from lab.book import address
from lab.model import Query
from lab.reasons import MANUAL, Cite, Reason, Side, apart, counted, metric, named, own_fact, untimed

NAME = "planning"
_PAGE = f"{MANUAL}ddl-partitioning.html#DDL-PARTITIONING-DECLARATIVE-BEST-PRACTICES"
_LEAST = 0.2  # of the longer: 1.25 times the shorter


def explain(own: Side, base: Side, queries: Sequence[Query]) -> Iterator[Reason]:
    """A query of which every plan that was timed took longer on one side than any on the other, and locks go with it.

    Plans of one query are timed within milliseconds, so that a slow moment of the machine may be all of them: where
    what is planned for is the same on both sides, nothing is said.
    """
    for query in () if untimed(own, base) else queries:
        name, locks = f"query.{query.name}.planning_ms", f"query.{query.name}.locks_per_call"
        if not apart(own, base, name, by=_LEAST) or not _with_locks(own, base, name, locks):
            continue
        share = _share(own, query.name)
        cited: tuple[str | Cite, ...] = ()
        if share is not None:
            part = own_fact(NAME, own, query.name, "part", "percent")
            cited = ("; while driven, planning was ", part, " of the server time that ", named(own), " spent on it")
        yield Reason(
            NAME,
            own.instance.candidate,
            query.name,
            (*_told(own, name, locks), "; ", *_told(base, name, locks), *cited, "."),
            _PAGE,
            {} if share is None else {"part": share},
        )


def _told(one: Side, planning: str, locks: str) -> tuple[str | Cite, ...]:
    report = partial(address, "instances", f"{one.instance.candidate}.{one.instance.load}", "report")
    leaves: tuple[str | Cite, ...] = ()
    if one.report.get("partitions", 1) > 1:
        leaves = (" (leaves of its largest partition tree: ", Cite(report("partitions"), "number"), ")")
    return (
        named(one),
        " takes ",
        metric(one, planning),
        " to plan it anew and locks ",
        metric(one, locks),
        " relations per call",
        *leaves,
    )


def _with_locks(own: Side, base: Side, planning: str, locks: str) -> bool:
    """Does the side that takes longer to plan lock more relations too?"""
    longer, more = ((counted(own, name) or 0.0) > (counted(base, name) or 0.0) for name in (planning, locks))
    return apart(own, base, locks) and longer == more


def _share(one: Side, query: str) -> float | None:
    """Planning's share of the query's server time over all trials that are evidence about it, None without any."""
    seen = [step["statements"][query] for s in one.timed for step in s.steps if query in step.get("statements", {})]
    plan, execute = (sum(counters[key] for counters in seen) for key in ("plan_ms", "exec_ms"))
    return plan / (plan + execute) if plan + execute else None
