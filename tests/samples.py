"""A judged run made by hand: a heap against BRIN, monthly and daily partitions, and the heap's twin.

Tests of the plan, of verify and of the reasons take it and change what they are about.
"""

from dataclasses import dataclass, replace
from typing import Any

from lab import project, reasons
from lab.dossier import Judged
from lab.model import (
    Candidate,
    Catalogue,
    Decision,
    Doubt,
    Evidence,
    Family,
    Instance,
    Lab,
    LeastEffect,
    Measurement,
    Parameter,
    Prepared,
    Production,
    Query,
    Requirement,
    Scenario,
    Scope,
    SqlFile,
    Statement,
    Stream,
    Study,
    Topology,
    Verdict,
    Weighed,
    Workload,
)
from lab.reasons import blocks, filtered, index_only, indexes, locks, pruning, spill

RULES = (pruning, blocks, locks, index_only, filtered, spill, indexes)
QUERIES = ("recent", "daily_total", "append_one")
_SQL = {
    "recent": "SELECT /* pglab:recent */ at, value FROM events WHERE device = $1 AND at >= $2 ORDER BY at DESC",
    "daily_total": "SELECT /* pglab:daily_total */ sum(value) FROM events WHERE at >= $1 AND at < $2",
    "append_one": "INSERT /* pglab:append_one */ INTO events VALUES ($1, $2, $3)",
}
_WHOLE = """CREATE TABLE events (
  id bigint PRIMARY KEY,
  device int,
  at timestamptz,
  value float8
);
CREATE INDEX ON events """
_PARTITIONED = """CREATE TABLE events (
  id bigint,
  device int,
  at timestamptz,
  value float8,
  PRIMARY KEY (id, at)
) PARTITION BY RANGE (at);
CREATE INDEX ON events (device, at);"""
_SCHEMAS = {
    "heap": f"{_WHOLE}(device, at);",
    "brin": f"{_WHOLE}USING brin (at);",
    "by-month": _PARTITIONED,
    "by-day": _PARTITIONED,
}
_HYPOTHESES = {
    "heap": "the plain table everybody starts with",
    "brin": "a hundredth of the index bytes for slower point reads",
    "by-month": "pruning and DROP pay for planning and locks",
    "by-day": "pruning and DROP pay for planning and locks",
}
_SINCE = Parameter("since", "window.to", shift_s=-86_400.0)
_OF_DEVICE = (Parameter("device", "events.device"), _SINCE)
_PARAMS = {"recent": _OF_DEVICE, "daily_total": (_SINCE, Parameter("to", "window.to")), "append_one": _OF_DEVICE}
EVENTS = {"columns": {"device": {"type": "int", "of": "device"}}}
PARTITIONS = {"heap": 1, "brin": 1, "by-month": 2, "by-day": 40}


def queries() -> tuple[Query, ...]:
    weights = {"recent": 8.0, "daily_total": 1.0, "append_one": 4.0}
    return tuple(
        Query(
            name,
            f"{name}.sql",
            (Statement(_SQL[name], (0, 1)),),
            _PARAMS[name],
            weights[name],
        )
        for name in QUERIES
    )


def candidate(name: str) -> Candidate:
    steps = {}
    if name.startswith("by-"):
        steps["retire"] = SqlFile("retire.drop.sql", "DROP TABLE events_old;")
        steps["before_append"] = SqlFile(
            "next.sql", "CREATE TABLE events_next PARTITION OF events FOR VALUES FROM (:from) TO (:to);"
        )
    else:
        steps["retire"] = SqlFile("retire.delete.sql", "DELETE FROM events WHERE at < :to;")
    return Candidate(
        name=name,
        hypothesis=_HYPOTHESES[name],
        schema=SqlFile(f"{name}.sql", _SCHEMAS[name]),
        load=None,
        steps=steps,
        queries=queries(),
        settings={},
        topology=Topology(),
        ingest={"method": "copy_binary"},
    )


def scenario(**changes: Any) -> Scenario:
    made = Scenario(
        name="events",
        question="Which layout takes 10 M rows a day, keeps 13 months, and answers the dashboard within 50 ms?",
        production=Production(
            rows_per_day=10_000_000,
            keep_days=395,
            entities={"device": 100_000},
            memory_bytes=64 * 2**30,
            shared_buffers_bytes=16 * 2**30,
            work_mem_bytes=64 * 2**20,
        ),
        lab=Lab(rows=400_000, days=40, shrink=("short", "narrow"), entities={"device": 100}),
        requirements=(
            Requirement("query.recent.p95_ms", at_most=50.0, place="scenario.yaml:9"),
            Requirement("append.rows_per_s", at_least=20_000.0, place="scenario.yaml:10"),
        ),
        objective="mix.server_ms_per_op",
        least_effect=LeastEffect(),
        profile="quick",
        workload=Workload("events", queries(), {"events": Stream("events", "synthetic", EVENTS)}),
        baseline="heap",
        candidates={name: candidate(name) for name in _SCHEMAS},
        catalogue=Catalogue("by-day", (13, 60, 395, 2000), ()),
        prepare=(),
        round=(),
        isolation="kept",
        unsafe=None,
        files={},
    )
    return replace(made, **changes)


# --- what was counted -----------------------------------------------------------------------

_COUNTED = {
    "heap": {
        "query.recent.blocks_per_call": 104.0,
        "query.recent.partitions_per_call": 1.0,
        "query.recent.locks_per_call": 4.0,
        "query.recent.fast_path_misses_per_call": 0.0,
        "query.daily_total.blocks_per_call": 3704.0,
        "query.daily_total.partitions_per_call": 1.0,
        "query.daily_total.locks_per_call": 4.0,
        "query.daily_total.fast_path_misses_per_call": 0.0,
        "query.daily_total.temp_bytes_per_call": 0.0,
        "size.total_bytes": 56_623_104.0,
        "size.heap_bytes": 30_343_168.0,
        "size.index_bytes": 26_279_936.0,
        "size.bytes_per_row": 141.55776,
        "wal.record_bytes_per_row": 211.4,
        "backend_memory_bytes": 2_201_000.0,
    },
    "brin": {
        "query.recent.blocks_per_call": 3710.0,
        "query.recent.partitions_per_call": 1.0,
        "query.recent.locks_per_call": 4.0,
        "query.recent.fast_path_misses_per_call": 0.0,
        "query.daily_total.blocks_per_call": 190.0,
        "query.daily_total.partitions_per_call": 1.0,
        "query.daily_total.locks_per_call": 4.0,
        "query.daily_total.fast_path_misses_per_call": 0.0,
        "query.daily_total.temp_bytes_per_call": 0.0,
        "size.total_bytes": 39_378_944.0,
        "size.heap_bytes": 30_343_168.0,
        "size.index_bytes": 9_035_776.0,
        "size.bytes_per_row": 98.44736,
        "wal.record_bytes_per_row": 150.1,
        "backend_memory_bytes": 2_201_000.0,
    },
    "by-month": {
        "query.recent.blocks_per_call": 62.0,
        "query.recent.partitions_per_call": 1.0,
        "query.recent.locks_per_call": 6.0,
        "query.recent.fast_path_misses_per_call": 0.0,
        "query.daily_total.blocks_per_call": 1900.0,
        "query.daily_total.partitions_per_call": 1.0,
        "query.daily_total.locks_per_call": 5.0,
        "query.daily_total.fast_path_misses_per_call": 0.0,
        "query.daily_total.temp_bytes_per_call": 0.0,
        "size.total_bytes": 56_700_000.0,
        "size.heap_bytes": 30_400_000.0,
        "size.index_bytes": 26_300_000.0,
        "size.bytes_per_row": 141.75,
        "wal.record_bytes_per_row": 212.0,
        "backend_memory_bytes": 2_300_000.0,
    },
    "by-day": {
        "query.recent.blocks_per_call": 24.5,
        "query.recent.partitions_per_call": 7.0,
        "query.recent.locks_per_call": 22.0,
        "query.recent.fast_path_misses_per_call": 6.0,
        "query.daily_total.blocks_per_call": 95.0,
        "query.daily_total.partitions_per_call": 1.0,
        "query.daily_total.locks_per_call": 5.0,
        "query.daily_total.fast_path_misses_per_call": 0.0,
        "query.daily_total.temp_bytes_per_call": 0.0,
        "size.total_bytes": 58_900_000.0,
        "size.heap_bytes": 31_200_000.0,
        "size.index_bytes": 27_700_000.0,
        "size.bytes_per_row": 147.25,
        "wal.record_bytes_per_row": 214.9,
        "backend_memory_bytes": 2_900_000.0,
    },
}


def node(kind: str, rows: float, blocks_: int, *children: Any, loops: int = 1, **more: Any) -> dict[str, Any]:
    return {
        "Node Type": kind,
        "Actual Rows": rows,
        "Actual Loops": loops,
        "Shared Hit Blocks": blocks_,
        "Shared Read Blocks": 0,
        **({"Plans": list(children)} if children else {}),
        **{key.replace("_", " "): value for key, value in more.items()},
    }


def explains(name: str) -> dict[str, Any]:
    total = 3704 if name == "heap" else 95
    if name == "by-day":
        parts = [
            node("Index Scan", 14.0, 3, Relation_Name=f"events_{day}", Index_Name=f"events_{day}_device_at_idx")
            for day in range(7)
        ]
        recent = node("Limit", 98.0, 21, node("Append", 98.0, 21, *parts, Subplans_Removed=33))
    else:
        recent = node(
            "Limit", 98.0, 104, node("Index Scan", 98.0, 104, Relation_Name="events", Index_Name="events_device_at_idx")
        )
    daily = node(
        "Aggregate",
        1.0,
        total,
        node(
            "Seq Scan", 10_000.0, total, Relation_Name="events", Rows_Removed_by_Filter=390_000 if name == "heap" else 0
        ),
    )
    return {
        "recent": [{"params": ["7", "2026-01-01"], "plan": {"Plan": recent}}],
        "daily_total": [{"params": ["2026-01-01", "2026-01-02"], "plan": {"Plan": daily}}],
    }


def prepared(name: str, load: int = 1, *, twin: bool = False) -> Prepared:
    key = "PRIMARY KEY (id, at)" if name.startswith("by-") else "PRIMARY KEY (id)"
    settings = {
        "shared_buffers": {"value": "16384", "unit": "8kB", "source": "command line"},
        "work_mem": {"value": "65536", "unit": "kB", "source": "command line"},
    }
    if name == "by-day":
        settings["max_locks_per_transaction"] = {"value": "256", "unit": None, "source": "command line"}
    return Prepared(
        instance=Instance(name, load, twin),
        metrics={metric: (value, value) for metric, value in _COUNTED[name].items()},
        explains=explains(name),
        digests={"recent": ("aa", "bb")},
        settings=settings,
        guarantees=(f"events: {key}",),
        report={"rows": 400_000, "seconds": 0.8, "partitions": PARTITIONS[name]},
    )


def studies() -> tuple[Study, ...]:
    points = {
        13: (43, 27, 0.31, 2.1, 2.6e6),
        60: (184, 168, 1.4, 6.0, 4.1e6),
        395: (1192, 1128, 11.1, 35.0, 15.1e6),
        2000: (6004, 5940, 61.0, 180.0, 66.0e6),
    }
    return tuple(
        Study(
            "by-day",
            count,
            {
                "query.recent.locks_per_call": (float(seen[0]),) * 2,
                "query.recent.fast_path_misses_per_call": (float(seen[1]),) * 2,
                "query.recent.partitions_per_call": (float(count),) * 2,
                "query.recent.planning_ms": (seen[2], seen[2] * 1.1),
                "query.recent.first_query_ms": (seen[3], seen[3] * 1.1, seen[3] * 1.2),
                "backend_memory_bytes": (seen[4],),
            },
        )
        for count, seen in points.items()
    )


_DRIVEN = {  # blocks per call of recent and of daily_total
    "heap": (106.0, 3_900.0),
    "brin": (3_800.0, 260.0),
    "by-month": (64.0, 2_050.0),
    "by-day": (140.0, 98.0),
}


def driven() -> list[Measurement]:
    return [
        Measurement(Instance(name, 1), 0, TRIALS[0], f"query.{query}.driven_blocks_per_call", blocks, 20)
        for name, both in _DRIVEN.items()
        for query, blocks in zip(("recent", "daily_total"), both, strict=True)
    ]


# --- what may be said -----------------------------------------------------------------------

TRIALS = tuple(f"heap.1.r{n}-0123456789" for n in range(20))


def evidence(candidate: str, metric: str, value: float, **changes: Any) -> Evidence:
    made = Evidence(
        candidate=candidate,
        against="heap",
        metric=metric,
        scale="ratio",
        value=value,
        low=value * 0.93,
        high=value * 1.08,
        family=Family.DESCRIBED,
        verdict=Verdict.DESCRIBED,
        scope=Scope.THIS_HOST,
        because="",
        trials=TRIALS,
        own=None,
        base=None,
    )
    return replace(made, **changes)


def all_evidence(told: Scenario) -> list[Evidence]:
    found = []
    rows = project.sheet(told, [prepared(name) for name in _SCHEMAS], studies(), driven())
    for metric in _COUNTED["heap"]:
        for name in list(_SCHEMAS)[1:]:
            own, base = _COUNTED[name][metric], _COUNTED["heap"][metric]
            zero = base == 0
            value = own - base if zero else own / base
            same = abs(value) < 0.01 if zero else abs(value - 1) <= 0.01
            better = value < 0 if zero else value < 1
            verdict = Verdict.SAME if same else Verdict.BETTER if better else Verdict.WORSE
            found.append(
                evidence(
                    name,
                    metric,
                    value,
                    scale="difference" if zero else "ratio",
                    low=value,
                    high=value,
                    family=Family.EXACT,
                    verdict=verdict,
                    scope=project.scope(metric, rows, (name, "heap")),
                    own=own,
                    base=base,
                )
            )
    for name, value, verdict in (
        ("brin", 1.31, Verdict.WORSE),
        ("by-month", 0.94, Verdict.UNCLEAR),
        ("by-day", 0.61, Verdict.BETTER),
        ("heap (twin)", 1.01, Verdict.SAME),
    ):
        found.append(
            evidence(
                name,
                "mix.server_ms_per_op",
                value,
                family=Family.OBJECTIVE,
                verdict=verdict,
                own=0.41 * value,
                base=0.41,
            )
        )
        for query in ("recent", "daily_total"):
            for what, base in (("p50_ms", 0.82), ("p95_ms", 2.4), ("mean_ms", 1.1)):
                found.append(
                    evidence(name, f"query.{query}.{what}", value, own=base * value, base=base, look=value < 0.7)
                )
        found.append(evidence(name, "retire.ms", value / 3, own=41.0 * value / 3, base=41.0, look=True))
    for name, own, high in (
        ("heap", 2.4, 0.006),
        ("brin", 61.0, 0.31),
        ("by-month", 2.2, 0.005),
        ("by-day", 1.5, 0.002),
    ):
        met = Verdict.MET if own < 50 else Verdict.NOT_MET
        limit = {"scale": "value", "family": Family.REQUIREMENT}
        shares = {"low": 0.0 if own < 50 else 0.2, "high": high, "own": own, "base": 50.0, "against": "at_most"}
        found.append(evidence(name, "query.recent.p95_ms", high / 2, verdict=met, **shares, **limit))
        rate = {"low": 70_000.0, "high": float("inf"), "own": 90_000.0, "base": 20_000.0, "against": "at_least"}
        found.append(evidence(name, "append.rows_per_s", 90_000.0, verdict=Verdict.MET, **rate, **limit))
    return found


def decision(**changes: Any) -> Decision:
    made = Decision(
        kind="recommend",
        pick="by-day",
        may_lose={"heap": 0.79, "by-month": 0.68, "by-day": 0.0},
        may_be_best=("by-day",),
        smallest_effect=0.126,
        noise_sd=0.05,
        exploratory=False,
        because=("it is the only candidate whose loss to the best stays within what anybody acts on",),
    )
    return replace(made, **changes)


@dataclass(frozen=True)
class Differs:
    candidate: str
    query: str


def judged(**changes: Any) -> Judged:
    told = changes.pop("scenario", None) or scenario()
    instances = [prepared(name) for name in _SCHEMAS if name in told.candidates] + [prepared("heap", 2, twin=True)]
    made = Judged(
        scenario=told,
        weighed=Weighed(tuple(all_evidence(told)), decision(), {"mix.server_ms_per_op": 0.021}, 20, ""),
        run={
            "id": "20260102T030405-ab12cd",
            "rounds": 20,
            "host": {"kind": "embedded", "cores": 2, "memory_bytes": 8 * 2**30, "postgres": "18.6"},
        },
        method={"version": "1"},
        root="ab" * 32,
        prepared=instances,
        measurements=[
            Measurement(Instance("heap", 1), n, trial, "mix.server_ms_per_op", 0.41, 200)
            for n, trial in enumerate(TRIALS)
        ]
        + driven(),
        studies=studies(),
        doubts=[Doubt(TRIALS[3], "autovacuum", "an autovacuum worker ran during the trial", True)],
        reasons=reasons.reasons(
            RULES, instances, told.baseline, {name: one.queries for name, one in told.candidates.items()}
        ),
        sheet=project.sheet(told, instances, studies(), driven()),
        planned_rounds=20,
    )
    return replace(made, **changes)
