"""What is found again without the lab's counting: on a server with plain SQL, and in the stored trials."""

import json
import statistics
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from lab import parts, pg, prepare, run, statement, trial, ways, workload
from lab.hosts import embedded
from lab.kept import Kept
from lab.model import Instance, Query, Scenario
from lab.prepare import Span
from lab.probes.host import HostProbe

SETS, KEPT, SAMPLE_ROWS = 8, 2, 10_000  # as the count pass has them
DRAWINGS, MANY = 3, 12  # of ANALYZE


# --- what a server shows ---------------------------------------------------------------------


@dataclass
class Shown:
    """One query of one candidate. Per call; *nodes*: (words, rows planned, rows that came) of the first calls."""

    blocks: float = 0.0
    temp: float = 0.0
    removed: float = 0.0
    fetched: float = 0.0
    from_index: bool = False
    launched: float = 0.0
    planned: float = 0.0
    locks: float = 0.0
    misses: float = 0.0
    scanned: float = 0.0
    leaves: float = 0.0
    left: dict[str, float] = field(default_factory=dict)
    planning: list[float] = field(default_factory=list)
    keeps: bool = False
    by_mode: dict[str, list[float]] = field(default_factory=dict)  # blocks by ANALYZE's drawings
    locks_by_mode: dict[str, float] = field(default_factory=dict)
    nodes: list[tuple[str, float, float]] = field(default_factory=list)
    drawn: list[float] = field(default_factory=list)  # blocks by ANALYZE's drawings


@dataclass
class Server:
    """One candidate: its queries, and bytes of its tables."""

    queries: dict[str, Shown]
    index_bytes: float
    total_bytes: float
    table_bytes: float
    wal_per_row: float
    leaves: int


@contextmanager
def loaded(read: Scenario, candidate: str, stored: Mapping[str, Any]) -> Iterator[tuple[Kept, Any, float]]:
    """A candidate's rows on a server of its own, the parameter sets, and WAL bytes of records by row of the load."""
    own = read.candidates[candidate]
    streams = read.workload.streams.values()
    sources = [parts.load("sources", one.kind).opened(one, read.lab, seed=stored["seed"]) for one in streams]
    single = parts.load("clusters", "single")
    with embedded.opened("checked") as host, ExitStack() as stack:
        settings = {**stored["settings"], **own.settings}
        cluster = stack.enter_context(
            single.opened(host, own.topology, name="checked", settings=settings, logs=host.workdir("logs"))
        )
        kept = stack.enter_context(run.connected(Instance(candidate, 1), own, cluster, read, HostProbe()))
        prepare.apply(host.psql(), kept.direct, own.schema, candidate)
        (before,) = pg.rows(kept.admin, "SELECT pg_current_wal_insert_lsn()::text AS at")
        method = str(own.ingest["method"])
        load = ways.bound({method: parts.load("ingest", method).load}, own)
        rows = prepare.fill(host.psql(), kept.direct, own, load, sources, Span())["rows"]
        (after,) = pg.rows(
            kept.admin,
            "SELECT sum(record_size)::float8 AS bytes FROM pglab.pg_get_wal_stats(%s, pg_current_wal_flush_lsn())",
            [before["at"]],
        )
        prepare.settle(kept.nodes)
        start, end = trial.window(kept, sources)
        samples = {one.name: one.sample(SAMPLE_ROWS, seed=stored["seed"]) for one in sources}
        drawn = {
            query.name: workload.draw_sets(query, samples, window_start=start, window_end=end, k=SETS, seed=0)
            for query in own.queries
        }
        yield kept, drawn, after["bytes"] / rows


def server(
    read: Scenario, candidate: str, stored: Mapping[str, Any], known: Mapping[str, Any], often: Mapping[str, set[str]]
) -> Server:
    """All that sentences may be about, of one candidate.

    *known*: the recorded parameters, which must be drawn again. *often*: query -> of what ANALYZE is to draw often for
    it: `plan`, `modes`.
    """
    with loaded(read, candidate, stored) as (kept, drawn, wal):
        for name, entries in known.items():
            recorded = [entry["params"] for entry in entries][:KEPT]
            again = [list(one) for one in drawn[name][:KEPT]]
            if again != recorded:
                raise SystemExit(f"{candidate}: {name}: other parameters than the run's: {again}")
        trees = {
            row["root"]: set(row["leaves"])
            for row in pg.rows(
                kept.admin,
                "SELECT c.oid::regclass::text AS root, array_agg(t.relid::regclass::text) AS leaves "
                "FROM pg_class c, pg_partition_tree(c.oid) t "
                "WHERE c.relkind = 'p' AND NOT c.relispartition AND t.isleaf GROUP BY 1",
            )
        }
        own = [query for query in read.candidates[candidate].queries if len(query.statements) == 1]
        queries = {query.name: Shown() for query in own}
        for n in range(MANY if any(often.values()) else DRAWINGS):
            pg.run(kept.admin, "ANALYZE")
            for query in own:
                one, sets, wanted = queries[query.name], drawn[query.name], often.get(query.name, set())
                if n < DRAWINGS or "plan" in wanted:
                    one.drawn.append(blocks(kept, query, sets))
                for mode, touches in by_mode(kept, query, sets[:KEPT]).items() if "modes" in wanted else ():
                    one.by_mode.setdefault(mode, []).append(touches)
        for query in own:
            shown(queries[query.name], kept, query, drawn[query.name], trees)
        (sizes,) = pg.rows(
            kept.admin,
            "SELECT sum(pg_indexes_size(oid))::float8 AS indexes, sum(pg_table_size(oid))::float8 AS tables "
            "FROM pg_class WHERE relkind IN ('r', 'm') AND relnamespace = 'public'::regnamespace",
        )
    return Server(
        queries,
        sizes["indexes"],
        sizes["indexes"] + sizes["tables"],
        sizes["tables"],
        wal,
        max([len(leaves) for leaves in trees.values()], default=1),
    )


def calls_of(query: Query, sets: Sequence[Sequence[str | None]]) -> list[str]:
    """Each call as it is sent: of the statement that is prepared as `q`, or with its values in it."""
    (one,) = query.statements
    given = [[params[k] for k in one.takes] for params in sets]
    if query.send == "literal":
        return [statement.inlined(one.text, values) for values in given]
    return [f"EXECUTE q({', '.join(map(_value, values))})".replace("()", "") for values in given]


def _value(value: str | None) -> str:
    return "NULL" if value is None else pg.literal(value)


def blocks(kept: Kept, query: Query, sets: Sequence[Sequence[str | None]]) -> float:
    """Blocks per call, when each has been made before."""
    calls = calls_of(query, sets)
    with session(kept, query) as (connection, _):
        for _ in range(3):
            tops = [explained(connection, "ANALYZE, BUFFERS", call)["Plan"] for call in calls]
    return statistics.fmean(map(touched, tops))


def by_mode(kept: Kept, query: Query, sets: Sequence[Sequence[str | None]]) -> dict[str, float]:
    """Blocks per call with a plan for all values and with one for each, when each has been made before."""
    found = {}
    with session(kept, query) as (connection, _):
        for mode in ("generic", "custom"):
            pg.run(connection, f"SET plan_cache_mode = force_{mode}_plan")
            connection.commit()
            for _ in range(2):
                tops = [explained(connection, "ANALYZE, BUFFERS", call)["Plan"] for call in calls_of(query, sets)]
            found[mode] = statistics.fmean(map(touched, tops))
    return found


def shown(found: Shown, kept: Kept, query: Query, sets: Sequence[Any], trees: Mapping[str, set[str]]) -> None:
    """Everything else of one query, in sessions of its own."""
    calls = calls_of(query, sets)
    tops = []
    with session(kept, query) as (connection, look):
        for _ in range(2):
            for call in calls:
                explained(connection, "ANALYZE, BUFFERS", call)
        for call in calls:
            tops.append(explained(connection, "ANALYZE, BUFFERS", call, keep=True)["Plan"])
            locks = look(_LOCKS)
            connection.rollback()
            found.locks += locks["n"] / len(calls)
            found.misses += locks["missed"] / len(calls)
    found.blocks = statistics.median(found.drawn)
    found.temp = 8192 * statistics.fmean(top["Temp Read Blocks"] + top["Temp Written Blocks"] for top in tops)
    found.scanned = statistics.fmean(len(relations(ran(top))) for top in tops)
    first = tops[:KEPT]
    found.removed = statistics.fmean(map(removed, first))
    only = [n for top in first for n in ran(top) if n["Node Type"] == "Index Only Scan"]
    found.from_index, found.fetched = bool(only), sum(n["Heap Fetches"] for n in only) / len(first)
    found.planned, found.launched = (
        statistics.fmean(sum(n.get(f"Workers {what}", 0) for n in ran(top)) for top in first)
        for what in ("Planned", "Launched")
    )
    found.nodes = [(n["Node Type"], n["Plan Rows"], n["Actual Rows"]) for top in first for n in ran(top)]
    _partitions(found, first, trees)
    with session(kept, query) as (connection, _):
        pg.run(connection, "SET plan_cache_mode = force_custom_plan")
        connection.commit()
        for _ in range(10):  # the first looks everything up in the catalogue, and is not the shortest
            found.planning += [explained(connection, "SUMMARY", call)["Planning Time"] for call in calls]
    with session(kept, query) as (connection, look):
        for call in calls:
            explained(connection, "ANALYZE", call)
        (row,) = pg.rows(connection, "SELECT generic_plans AS n FROM pg_prepared_statements WHERE name = 'q'")
        found.keeps = row["n"] >= 2  # of the three calls after the fifth
        for mode in ("generic", "custom"):
            pg.run(connection, f"SET plan_cache_mode = force_{mode}_plan")
            connection.commit()
            held = []
            for call in calls:
                explained(connection, "ANALYZE", call, keep=True)
                held.append(look(_LOCKS)["n"])
                connection.rollback()
            found.locks_by_mode[mode] = statistics.fmean(held)


_LOCKS = (
    "SELECT count(*) AS n, count(*) FILTER (WHERE NOT fastpath) AS missed "
    "FROM pg_locks WHERE locktype = 'relation' AND pid = "
)


def _partitions(found: Shown, tops: Sequence[Mapping[str, Any]], trees: Mapping[str, set[str]]) -> None:
    """How many partitions the tables of the plans have, and when how many of them are left out."""
    there = [relations(every(top)) for top in tops]
    asked = set().union(*(leaves for leaves in trees.values() if any(leaves & one for one in there)), set())
    at_start = statistics.fmean(sum(n.get("Subplans Removed", 0) for n in every(top)) for top in tops)
    found.leaves = len(asked)
    found.left = {
        "left out by the planner": len(asked) - statistics.fmean(len(one & asked) for one in there) - at_start,
        "left out when execution starts": at_start,
    }


@contextmanager
def session(kept: Kept, query: Query) -> Iterator[tuple[pg.Connection, Callable[[str], Mapping[str, Any]]]]:
    """A session that has prepared the statement as `q`, and a look at it from beside."""
    (one,) = query.statements
    with pg.connected(kept.direct.conninfo, autocommit=False) as connection:
        pg.run(connection, f"PREPARE q AS {one.text}")
        if query.send == "unprepared":
            pg.run(connection, "SET plan_cache_mode = force_custom_plan")
        (me,) = pg.rows(connection, "SELECT pg_backend_pid() AS pid")
        connection.commit()
        yield connection, lambda asked: pg.rows(kept.admin, f"{asked}{me['pid']}")[0]


def explained(connection: pg.Connection, how: str, call: str, *, keep: bool = False) -> dict[str, Any]:
    """EXPLAIN of a call; with *keep* its transaction stays open, and so do its locks."""
    (row,) = pg.rows(connection, f"EXPLAIN ({how}, FORMAT JSON) {call}")
    if not keep:
        connection.rollback()
    plan: dict[str, Any] = row["QUERY PLAN"][0]
    return plan


def touched(top: Mapping[str, Any]) -> float:
    """Blocks that a plan found in a cache of the server or asked for."""
    return float(sum(top[f"{whose} {how} Blocks"] for whose in ("Shared", "Local") for how in ("Hit", "Read")))


def relations(nodes: Iterable[Mapping[str, Any]]) -> set[str]:
    """The tables that nodes read."""
    return {node["Relation Name"] for node in nodes if "Relation Name" in node}


def removed(top: Mapping[str, Any]) -> float:
    """Rows read and thrown away: EXPLAIN shows them per loop."""
    why = [f"Rows Removed by {what}" for what in ("Filter", "Index Recheck", "Join Filter")]
    return float(sum(node.get(one, 0) * node["Actual Loops"] for node in ran(top) for one in why))


def every(node: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The nodes of a plan."""
    yield node
    for child in node.get("Plans", ()):
        yield from every(child)


def ran(top: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Those that were executed."""
    return [node for node in every(top) if node["Actual Loops"]]


# --- what the stored trials show -------------------------------------------------------------


class Rounds:
    """The stored trials of a run, by instance and round; those *out* are no evidence about time."""

    def __init__(self, folder: Path, out: set[str]) -> None:
        self.spent: dict[str, dict[int, dict[str, tuple[float, float]]]] = {}
        self.shares: dict[str, list[Mapping[str, Any]]] = {}
        self.tables: dict[str, tuple[int, float]] = {}
        self.counters: dict[str, list[Mapping[str, Any]]] = {}
        for path in sorted((folder / "trials").iterdir()):
            told = json.loads((path / "trial.json").read_text())
            one, number = told["instance"], told["round"]
            name = f"{one['candidate']}.{one['load']}"
            for step in json.loads((path / "facts.json").read_text())["steps"]:
                if "activity" in step and number >= self.tables.get(name, (0, 0.0))[0]:
                    now = sum(table["bytes"] for table in step["activity"]["tables"].values())
                    self.tables[name] = (number, now)
                if "statements" not in step:
                    continue
                self.shares.setdefault(name, []).extend(step["statements"].values())
                if told["id"] in out:
                    continue
                self.counters.setdefault(name, []).append(step["statements"])
                outcomes = pq.read_table(path / "ops.parquet", columns=["outcome"])["outcome"].to_pylist()
                done = outcomes.count("ok")
                self.spent.setdefault(name, {})[number] = {
                    query: (c["plan_ms"] / done, c["exec_ms"] / done) for query, c in step["statements"].items()
                }

    def differences(self, own: str, base: str, query: str) -> tuple[list[float], float, float, float, float]:
        """Paired by rounds: the differences in ms, both means, and the means of planning's and execution's part."""
        mine, theirs = self.spent[f"{own}.1"], self.spent[f"{base}.1"]
        both = [(mine[n].get(query, (0.0, 0.0)), theirs[n].get(query, (0.0, 0.0))) for n in mine if n in theirs]
        return (
            [sum(a) - sum(b) for a, b in both],
            statistics.fmean(sum(a) for a, _ in both),
            statistics.fmean(sum(b) for _, b in both),
            statistics.fmean(a[0] - b[0] for a, b in both),
            statistics.fmean(a[1] - b[1] for a, b in both),
        )

    def planning(self, own: str, query: str) -> float:
        """Planning's share of the server time."""
        seen = [one[query] for one in self.counters[f"{own}.1"] if query in one]
        plan, spent = (sum(one[key] for one in seen) for key in ("plan_ms", "exec_ms"))
        return float(plan / (plan + spent))

    def missed(self, own: str) -> float:
        """The share of the mix's blocks that were not in shared buffers."""
        seen = self.shares[f"{own}.1"]
        return sum(one["read"] for one in seen) / sum(one["blocks"] for one in seen)
