"""How a query does when planned for its values, when planned for all values, and with a clock at each node.

A prepared statement begins with plans made for its values (custom); from the sixth execution on the
server may keep one plan for all values (generic). Which it did, and what either touches, is counted here.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from lab import count, pg
from lab.model import Json, Query

_MODES = ("custom", "generic")
_SETS = 2  # parameter sets: as many as EXPLAIN is kept of
_BEFORE = 5  # executions that are planned for their values whatever they cost
_ASKED = 3  # executions after these
_TIMED = "EXPLAIN (ANALYZE, BUFFERS, TIMING ON, FORMAT JSON)"
_CHOSEN = (
    "SELECT coalesce(sum(custom_plans), 0)::float8 AS custom, coalesce(sum(generic_plans), 0)::float8 AS generic "
    "FROM pg_prepared_statements WHERE name = ANY(%s)"
)


def modes(info: str, queries: Sequence[Query], sets: count.Sets) -> dict[str, Json]:
    """Query -> what is known of its plans, through a connection of its own to *info*.

    `blocks`: mode -> blocks per call, over the same parameter sets; `chosen`: mode -> executions
    in which the server took it by itself, of those after the fifth; both for prepared queries alone. `timed`: one
    call with a clock at every node: `execution_ms`, `triggers` and `jit`, as EXPLAIN has them.
    What a query writes is rolled back; queries that only read go first.
    """
    found = {}
    with pg.connected(info, autocommit=False) as connection:
        count.prepare(connection, queries)
        for query in sorted(queries, key=count.writes):
            given = sets[query.name]
            found[query.name] = {"timed": _timed(connection, query, given[0])}
            if query.send == "prepared":
                found[query.name] |= {"chosen": _chosen(connection, query, given)}
                found[query.name] |= {"blocks": _blocks(connection, query, given[:_SETS])}
    return {query.name: found[query.name] for query in queries}


def agreed(before: Mapping[str, Json], after: Mapping[str, Json]) -> dict[str, Json]:
    """*after*, without `chosen` and `blocks` of queries of which *before*, by another drawing of ANALYZE, had others.

    >>> agreed({"q": {"blocks": 5}}, {"q": {"timed": 1, "blocks": 5}, "w": {"timed": 2, "blocks": 7}})
    {'q': {'timed': 1, 'blocks': 5}, 'w': {'timed': 2, 'blocks': 7}}
    >>> agreed({"q": {"blocks": 5, "chosen": 1}}, {"q": {"timed": 1, "blocks": 6, "chosen": 1}})
    {'q': {'timed': 1}}
    """
    drawn = ("chosen", "blocks")
    found = {}
    for name, one in after.items():
        same = all(before.get(name, one).get(key) == one.get(key) for key in drawn)
        found[name] = {key: value for key, value in one.items() if same or key not in drawn}
    return found


def _timed(connection: pg.Connection, query: Query, params: Sequence[str | None]) -> Json:
    plans = count.explained(connection, query, params, how=_TIMED).plans
    return {
        "execution_ms": sum(plan.get("Execution Time", 0.0) for plan in plans),
        "triggers": [trigger for plan in plans for trigger in plan.get("Triggers", ())],
        "jit": [plan["JIT"] for plan in plans if "JIT" in plan],
    }


def _chosen(connection: pg.Connection, query: Query, sets: Sequence[Sequence[str | None]]) -> Mapping[str, Any]:
    """Mode -> how many statements the server executed in it, of the calls after those in which it has no choice."""
    names = [[count.name_of(query, i) for i in range(len(query.statements))]]
    for n in range(_BEFORE + _ASKED):
        if n == _BEFORE:
            before = pg.ask(connection, _CHOSEN, names)
        count.explained(connection, query, sets[n % len(sets)])
    after = pg.ask(connection, _CHOSEN, names)
    connection.rollback()
    return {mode: after[mode] - before[mode] for mode in _MODES}


def _blocks(connection: pg.Connection, query: Query, sets: Sequence[Sequence[str | None]]) -> Mapping[str, float]:
    found = {}
    for mode in _MODES:
        pg.run(connection, f"SET plan_cache_mode = force_{mode}_plan")
        connection.commit()
        for _ in range(2):  # the first one warms
            seen = [count.explained(connection, query, params).counts["blocks_per_call"] for params in sets]
        found[mode] = sum(seen) / len(seen)
    pg.run(connection, "SET plan_cache_mode = auto")
    connection.commit()
    return found
