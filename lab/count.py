"""The count pass: one client, the same parameters for every candidate, no writers, nothing timed.

What is counted here repeats to the byte where the plan does (METHOD section 2), and so decides
without statistics. Each pass asks every query with every parameter set, in one connection that
has prepared them as the driver does; the first pass only warms (a prepared statement may change
from custom to generic plans at its sixth execution), the others are kept. Between these the tables
are analysed once more: a plan that hangs on the rows that ANALYZE happened to draw does not repeat,
and what it costs is not exact. Queries that write come after all passes of those that only read.
"""

import hashlib
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from lab import pg, refused
from lab.commands import only_reads
from lab.errors import IngestError
from lab.explain import parting, read
from lab.model import Json, Query, Statement
from lab.statement import inlined, quoted

PASSES = 2
DRAWINGS = 3  # passes, where the tables are analysed anew between them
KEPT_EXPLAINS = 2
FIRSTS = 3
_CHOSEN = 6  # executions of a prepared statement after which its plans are those that it will have
_EXPLAIN = "EXPLAIN (ANALYZE, BUFFERS, WAL, SETTINGS, TIMING OFF, FORMAT JSON)"
_ANEW = "SET plan_cache_mode = force_custom_plan"

Sets = Mapping[str, Sequence[Sequence[str | None]]]  # query -> its parameter sets


@dataclass(frozen=True)
class Counted:
    """What the passes saw. *metrics*: metric -> one value a pass; *explains*, *digests* as in Prepared."""

    metrics: Mapping[str, tuple[float, ...]]
    explains: Mapping[str, Json]
    digests: Mapping[str, tuple[str, ...]]


Redraw = Callable[[], None]
"""Analyse what the queries read once more."""

Inner = Callable[[], Mapping[str, float]]
"""Running totals of what servers have asked of servers: `calls`, `blocks`, `wal_bytes`, `temp_bytes`."""


def count(
    info: str,
    queries: Sequence[Query],
    sets: Sets,
    *,
    planned_anew: bool = False,
    inner: Inner | None = None,
    redraw: Redraw | None = None,
    settled: bool = False,
) -> Counted:
    """Run the passes over *queries* through a connection to *info*, as the unprivileged role.

    Prepared statements keep or drop their plans as the server chooses; *planned_anew* makes it
    plan at every call, as for a client that does not prepare. Planning times are always those of
    a plan made anew. With *inner*, what other servers were asked for is added to what the one did.
    *redraw* analyses the tables anew, between the passes. *settled*: the sets are few, and asked so often
    before anything is counted that the server has chosen between custom and generic plans.

    Raise IngestError with the query's file and the server's words where a query is refused.
    """
    with pg.connected(info, autocommit=False) as connection:
        if planned_anew:
            pg.run(connection, _ANEW)
            connection.commit()
        prepare(connection, queries)
        warm = _CHOSEN if settled else 1
        reading = _passes(connection, [query for query in queries if not writes(query)], sets, redraw, warm)
        writing = _passes(connection, [query for query in queries if writes(query)], sets, redraw, warm)
        digests, within = {}, {}
        for query in queries:
            before = inner() if inner else {}
            with _alone(connection, inner is not None and len(query.statements) == 1 and only_reads(query)):
                digests[query.name] = _digests(connection, query, sets[query.name])
            within[query.name] = _per_call(before, inner() if inner else {}, len(sets[query.name]))
        memory = pg.ask(connection, pg.query("memory"))["bytes"]
        planning = {query.name: _planning(connection, query, sets[query.name]) for query in queries}
    metrics = {
        name: tuple(one.metrics[name] for one in kept) for kept in (reading, writing) for name in kept[0].metrics
    }
    metrics["backend_memory_bytes"] = (memory,)
    metrics |= {f"query.{name}.planning_ms": values for name, values in planning.items()}
    metrics = _with_inner(metrics, within)
    for query in queries:
        metrics[f"query.{query.name}.first_query_ms"] = tuple(
            _first_ms(info, query, sets[query.name][0]) for _ in range(FIRSTS)
        )
    of = {query.name: writing if writes(query) else reading for query in queries}
    return Counted(metrics, {name: _explains(kept, name) for name, kept in of.items()}, digests)


@contextmanager
def _alone(connection: pg.Connection, alone: bool) -> Iterator[None]:
    """Send statements as the driver sends a query of one that only reads: with no transaction around it.

    A coordinator asks other servers less for such a one: without BEGIN, and what follows from it.
    """
    connection.autocommit = alone
    try:
        yield
    finally:
        connection.autocommit = False


def _per_call(before: Mapping[str, float], after: Mapping[str, float], calls: int) -> dict[str, float]:
    """What one call of a query took on other servers: asked plainly, since EXPLAIN may ask them otherwise."""
    return {key: (value - before[key]) / calls for key, value in after.items()}


def _with_inner(
    metrics: Mapping[str, tuple[float, ...]], within: Mapping[str, Mapping[str, float]]
) -> dict[str, tuple[float, ...]]:
    """Metrics with what other servers did; without those that count just one backend's share of it.

    >>> inner = {"calls": 3.0, "blocks": 8.0, "wal_bytes": 0.0, "temp_bytes": 0.0}
    >>> _with_inner({"query.q.blocks_per_call": (1.0, 1.0), "query.q.locks_per_call": (4.0, 4.0)}, {"q": inner})
    {'query.q.blocks_per_call': (9.0, 9.0), 'query.q.inner_calls_per_call': (3.0,)}
    """
    found = dict(metrics)
    for query, totals in within.items():
        for key in ("blocks", "wal_bytes", "temp_bytes") if totals else ():
            name = f"query.{query}.{key}_per_call"
            found |= {name: tuple(value + totals[key] for value in found[name])} if name in found else {}
        if totals:
            found[f"query.{query}.inner_calls_per_call"] = (totals["calls"],)
    if any(totals.get("calls") for totals in within.values()):
        found = {name: values for name, values in found.items() if name.rpartition(".")[2] not in _OF_ONE_BACKEND}
    return found


_OF_ONE_BACKEND = (
    "locks_per_call",
    "fast_path_misses_per_call",
    "partitions_per_call",
    "planning_ms",
    "backend_memory_bytes",
)


def writes(query: Query) -> bool:
    """May this query write? What it leaves behind, though rolled back, others would have to read past.

    >>> writes(Query("q", "q.sql", (Statement("SELECT 1"), Statement("delete from t"))))
    True
    """
    return not only_reads(query)


def explain(info: str, queries: Sequence[Query], sets: Sets) -> None:
    """Prepare and ask every query once, to find out whether the server takes it."""
    with pg.connected(info, autocommit=False) as connection:
        prepare(connection, queries)
        _pass(connection, queries, sets)


def prepare(connection: pg.Connection, queries: Iterable[Query]) -> None:
    """Prepare every statement under the name that `_call` uses; IngestError where one is refused."""
    for query in queries:
        for i, statement in enumerate(query.statements):
            sent = f"PREPARE {name_of(query, i)} AS {statement.text}"
            try:
                pg.run(connection, sent)
            except pg.Error as error:
                raise refusal(query, statement, sent, error) from None
    connection.commit()


def refusal(query: Query, statement: Statement, sent: str, error: pg.Error, asked: str = "") -> Exception:
    """What to raise of a statement that was *sent*, "" if without its lines; the environment's failure as it is."""
    place = refused.place(query.file, statement.line, error.diag.statement_position, sent)
    return error if pg.environmental(error) else IngestError(f"{place}: {asked}{pg.words(error)}")


@dataclass(frozen=True)
class _Pass:
    metrics: Mapping[str, float]
    explains: Mapping[str, Json]


def _passes(
    connection: pg.Connection, queries: Sequence[Query], sets: Sets, redraw: Redraw | None = None, warm: int = 1
) -> list[_Pass]:
    for _ in range(warm):
        _pass(connection, queries, sets)
    found = []
    for n in range(DRAWINGS if redraw else PASSES):
        if n and queries and redraw:
            redraw()
        found.append(_pass(connection, queries, sets))
    return found


def _explains(passes: Sequence[_Pass], query: str) -> list[Json]:
    """What the last pass recorded of a query, and of earlier passes the plans that are not those."""
    last = passes[-1].explains[query]
    earlier = [(one, mine) for kept in passes[:-1] for one, mine in zip(kept.explains[query], last, strict=True)]
    return [*last, *(one for one, mine in earlier if parting(mine, one))]


def _pass(connection: pg.Connection, queries: Sequence[Query], sets: Sets) -> _Pass:
    metrics: dict[str, float] = {}
    explains: dict[str, Json] = {}
    for query in queries:
        seen = [explained(connection, query, params) for params in sets[query.name]]
        for name in seen[0].counts:
            metrics[f"query.{query.name}.{name}"] = sum(one.counts[name] for one in seen) / len(seen)
        explains[query.name] = [
            {"params": list(params), "plan": one.plans[-1] if len(one.plans) == 1 else one.plans}
            for params, one in zip(sets[query.name][:KEPT_EXPLAINS], seen, strict=False)
        ]
    return _Pass(metrics, explains)


@dataclass(frozen=True)
class _Call:
    counts: Mapping[str, float]
    plans: Sequence[Json]


def explained(connection: pg.Connection, query: Query, params: Sequence[str | None], *, how: str = _EXPLAIN) -> _Call:
    """One operation under EXPLAIN, in a transaction that is rolled back, and the locks it held."""
    try:
        plans = [_asked(connection, query, i, params, how) for i in range(len(query.statements))]
        held = pg.ask(connection, pg.query("locks"))
    finally:
        connection.rollback()
    counts = {"locks_per_call": held["locks"], "fast_path_misses_per_call": held["misses"]}
    for key, of in _COUNTS.items():
        counts[key] = float(sum(of(plan) for plan in plans))
    return _Call(counts, plans)


def _asked(connection: pg.Connection, query: Query, i: int, params: Sequence[str | None], how: str) -> Json:
    sent = f"{how} {_call(query, i, query.statements[i], params)}"
    try:
        return _plan(connection, sent)
    except pg.Error as error:
        text = sent if query.send == "literal" else ""
        raise refusal(query, query.statements[i], text, error, f"with {_shown(query, params)}: ") from None


def _planning(connection: pg.Connection, query: Query, sets: Sequence[Sequence[str | None]]) -> tuple[float, ...]:
    """Milliseconds to plan one operation, made anew for each parameter set."""
    pg.run(connection, _ANEW)
    connection.commit()
    found: list[float] = []
    for params in sets:
        explained = [
            _plan(connection, f"EXPLAIN (SUMMARY, FORMAT JSON) {_call(query, i, statement, params)}")
            for i, statement in enumerate(query.statements)
        ]
        connection.rollback()
        found.append(sum(float(plan["Planning Time"]) for plan in explained))
    return tuple(found)


def _plan(connection: pg.Connection, statement: str) -> dict[str, Json]:
    _, ((text,),) = pg.texts(connection, statement)
    return read(str(text))


def name_of(query: Query, i: int | str) -> str:
    """The name that a query's statement is prepared under, by its number."""
    return f"pglab_{query.name}_{i}"


def _call(query: Query, i: int, statement: Statement, params: Sequence[str | None]) -> str:
    """How the driver sends it: prepared, or with the values in the text."""
    values = [params[k] for k in statement.takes]
    if query.send == "literal":
        return inlined(statement.text, values)
    return f"EXECUTE {name_of(query, i)}" + (f"({', '.join(map(quoted, values))})" if values else "")


def _shown(query: Query, params: Sequence[str | None]) -> str:
    return ", ".join(f":{p.name} = {value!r}" for p, value in zip(query.params, params, strict=True)) or "no parameters"


def _first_ms(info: str, query: Query, params: Sequence[str | None]) -> float:
    """The first execution of a query in a new connection: caches of relations and plans are empty."""
    with pg.connected(info, autocommit=False) as connection:
        start = time.monotonic_ns()
        prepare(connection, [query])
        for i, statement in enumerate(query.statements):
            pg.run(connection, _call(query, i, statement, params))
        took_ns = time.monotonic_ns() - start
        connection.rollback()  # what it wrote belongs to no round, and the next one would meet it
        return took_ns / 1e6


# --- reading EXPLAIN ------------------------------------------------------------------------


def nodes(plan: Mapping[str, Any]) -> Iterable[Mapping[str, Any]]:
    """A plan node and all below it, in the order EXPLAIN prints them."""
    yield plan
    for child in plan.get("Plans", ()):
        yield from nodes(child)


def _blocks(explained: Json) -> float:
    top = explained["Plan"]
    return float(sum(top.get(f"{kind} {how} Blocks", 0) for kind in ("Shared", "Local") for how in ("Hit", "Read")))


def _rows(explained: Json) -> float:
    """Rows that are returned or, by a statement that returns none, found to be written, as pg_stat_statements has them.

    But for an UPDATE or DELETE with a join, which counts a row there once, however often it was found.

    >>> scan = {"Node Type": "Index Scan", "Parent Relationship": "Outer", "Actual Rows": 3, "Actual Loops": 1}
    >>> first = {**scan, "Parent Relationship": "InitPlan"}
    >>> write = {"Node Type": "ModifyTable", "Actual Rows": 0, "Actual Loops": 1, "Plans": [first, scan]}
    >>> _rows({"Plan": scan}), _rows({"Plan": write})
    (3.0, 3.0)
    >>> _rows({"Plan": {**write, "Conflict Resolution": "NOTHING", "Tuples Inserted": 2, "Conflicting Tuples": 1}})
    2.0
    """
    top = explained["Plan"]
    if top["Node Type"] != "ModifyTable" or top["Actual Rows"]:
        return float(top["Actual Rows"]) * float(top["Actual Loops"])
    if "Conflict Resolution" in top:
        updated = top["Conflicting Tuples"] - top.get("Rows Removed by Conflict Filter", 0)
        return float(top["Tuples Inserted"] + (top["Conflict Resolution"] == "UPDATE") * updated)
    merged = [top[key] for key in ("Tuples Inserted", "Tuples Updated", "Tuples Deleted") if key in top]  # MERGE
    found = (one for one in top.get("Plans", ()) if one["Parent Relationship"] == "Outer")
    return float(sum(merged or (one["Actual Rows"] * one["Actual Loops"] for one in found)))


def _relations(explained: Json) -> float:
    """Relations that were truly scanned: pruned ones are not in the plan, or never executed."""
    scanned = (node for node in nodes(explained["Plan"]) if node.get("Actual Loops", 0) > 0)
    return float(len({(n.get("Schema"), n["Relation Name"]) for n in scanned if "Relation Name" in n}))


def _wal_bytes(explained: Json) -> float:
    return float(explained["Plan"].get("WAL Bytes", 0))


def _temp_bytes(explained: Json) -> float:
    """Bytes of temporary files written and read, at the default block size of 8192 bytes."""
    top = explained["Plan"]
    return 8192.0 * float(sum(top.get(f"Temp {how} Blocks", 0) for how in ("Read", "Written")))


_COUNTS = {
    "blocks_per_call": _blocks,
    "rows_per_call": _rows,
    "partitions_per_call": _relations,
    "wal_bytes_per_call": _wal_bytes,
    "temp_bytes_per_call": _temp_bytes,
}


# --- answers --------------------------------------------------------------------------------


def _digests(connection: pg.Connection, query: Query, sets: Sequence[Sequence[str | None]]) -> tuple[str, ...]:
    return tuple(_digest(connection, query, params) for params in sets)


def _digest(connection: pg.Connection, query: Query, params: Sequence[str | None]) -> str:
    """One digest of an answer: a multiset of rows unless their order is part of it; 16 hex digits."""
    lines: list[str] = []
    try:
        for i, statement in enumerate(query.statements):
            columns, rows = pg.texts(connection, _call(query, i, statement, params))
            answer = ["\t".join(map(_word, columns, row)) for row in rows]
            lines += answer if query.ordered else sorted(answer)
    finally:
        connection.rollback()
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]


def _word(column: str, text: str | None) -> str:
    r"""A value of a type, as the server words it. Floats to 12 digits, since their sums depend on
    the order of rows; numerics in full, but for the zeros at their end.

    >>> _word("float8", "0.30000000000000004") == _word("numeric", "0.30"), _word("float8", None), _word("text", "0.30")
    (True, '\\N', '0.30')
    >>> _word("numeric", "10000000000001") == _word("numeric", "10000000000002")
    False
    """
    if text is None:
        return "\\N"
    if column in ("float4", "float8"):
        return f"{float(text) + 0.0:.12g}"
    return text.rstrip("0").rstrip(".") if column == "numeric" and "." in text else text
