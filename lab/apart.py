"""Rows kept apart, a database for each value of a column: how they come in, where calls go, what is counted there."""

import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from statistics import fmean
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from lab import count, mix, pg
from lab.clusters import CanKeepApart, Cluster
from lab.drivers import Apart
from lab.errors import IngestError
from lab.ingest import Load, Loaded
from lab.model import Endpoint, Json, Query
from lab.prepare import Span
from lab.probes.server import Node
from lab.sources import Source


@dataclass
class Rooms:
    """The databases of an instance beside `lab`: as superuser, one connection for each; none of most shapes.

    *servers*: the connections to `lab` on each of its servers, that to the one that is written to first.
    """

    cluster: Cluster
    servers: Sequence[Node]
    nodes: list[Node] = field(default_factory=list)

    def meet(self) -> None:
        """Connect to those that have been made and that nobody is connected to yet."""
        if isinstance(self.cluster, CanKeepApart):
            for endpoint in list(self.cluster.databases(admin=True).values())[len(self.nodes) :]:
                self.nodes.append(Node(endpoint.node, pg.connect(endpoint.conninfo)))

    def make(self, sources: Sequence[Source], span: Span) -> dict[str, Json]:
        """Have a database for each value that is in the rows of *span*, and say what that took: for the report.

        `databases`: their `count`, `seconds` to make them, `bytes` of one before it has rows, and how many connections
        a client has `held` at most. {} of shapes that keep nothing apart; IngestError where no stream has the column.
        """
        if not isinstance(self.cluster, CanKeepApart):
            return {}
        by, begun = self.cluster.by, time.monotonic()
        keyed = [source for source in sources if by in source.schema.names]
        if not keyed:
            raise IngestError(f"topology: by: {by}: no stream has such a column (by: one of {_columns(sources)})")
        for source in keyed:
            values = {one for batch in source.batches(*span.of(source)) for one in _values(batch[by])}
            self.cluster.make(values, self.servers[0].connection)
        took_s = time.monotonic() - begun
        self.meet()
        size = pg.ask(self.nodes[0].connection, "SELECT pg_database_size(current_database())::float8 AS bytes")
        held = min(len(self.nodes), self.cluster.connections)
        return {"databases": {"count": len(self.nodes), "seconds": took_s, "held": held, **size}}

    def load(self, own: Load) -> Load:
        """*own*, by which each row goes to its database where rows are kept apart."""
        if not isinstance(self.cluster, CanKeepApart):
            return own
        cluster = self.cluster

        def load(
            endpoint: Endpoint,
            table: tuple[str, str],
            schema: pa.Schema,
            batches: Iterable[pa.RecordBatch],
            **options: Any,
        ) -> Loaded:
            del endpoint
            total = Loaded(0, 0, 0.0)
            for value, part in _parted(batches, cluster.by):
                if value is not None:
                    cluster.make([value], self.servers[0].connection)
                places = cluster.databases()
                for at, place in enumerate(places.values() if value is None else [places[value]]):
                    total = _sum(total, own(place, table, schema, [part], **options), again=value is None and at > 0)
            self.meet()
            return total

        return load

    def grouped(
        self, info: str, queries: Sequence[Query], sets: count.Sets
    ) -> Iterator[tuple[str, tuple[Query, ...], dict[str, list[int]]]]:
        """Where parameter sets are asked: a connection's info, queries, and query -> the positions of its sets.

        All of them at *info* where rows are not kept apart.
        """
        if not isinstance(self.cluster, CanKeepApart):
            yield info, tuple(queries), {query.name: list(range(len(sets[query.name]))) for query in queries}
            return
        asked: dict[str, dict[str, list[int]]] = {}
        for query in queries:
            key = key_of(query, self.cluster.by)
            for position, params in enumerate(sets[query.name]):
                asked.setdefault(str(params[key]), {}).setdefault(query.name, []).append(position)
        places = self.cluster.databases()
        for value, positions in asked.items():
            own = tuple(query for query in queries if query.name in positions)
            if value not in places:
                raise IngestError(f"{own[0].file}: {self.cluster.by} = {value!r}: no row has it, and no database")
            yield places[value].conninfo, own, positions

    def behind(self, info: str) -> Sequence[Node]:
        """What is asked through a connection's *info*: a database apart, else all servers (*servers*)."""
        name = pg.parsed(info)["dbname"]
        return [one for one in self.nodes if one.connection.info.dbname == name] or self.servers

    def apart(self, queries: Sequence[Query]) -> Apart | None:
        """What a driver has to know of databases apart; None where there are none."""
        if not isinstance(self.cluster, CanKeepApart):
            return None
        keys = tuple(key_of(query, self.cluster.by) for query in queries)
        return Apart(keys, self.cluster.databases(), self.cluster.connections)

    def close(self) -> None:
        """Close the connections."""
        for node in self.nodes:
            node.connection.close()
        self.nodes.clear()


def key_of(query: Query, by: str) -> int:
    """The index of the parameter by which a query finds its database."""
    found = mix.keyed(query, by)
    assert found is not None, f"{query.file}: no parameter of column {by}"  # candidates.py has refused it
    return found


# --- rows -----------------------------------------------------------------------------------


def _values(column: "pa.Array[Any]") -> set[str]:
    """The values of a column as the server's texts; NULL has no database."""
    return {str(one) for one in pc.unique(column).to_pylist() if one is not None}


def _parted(batches: Iterable[pa.RecordBatch], by: str) -> Iterator[tuple[str | None, pa.RecordBatch]]:
    """Each batch in parts of one value; whole, and None, where it has no such column."""
    for batch in batches:
        if by not in batch.schema.names:
            yield None, batch
            continue
        column = batch[by]
        if column.null_count:
            raise IngestError(f"{by}: a row has NULL there, and so no database")
        for value in pc.unique(column):
            yield str(value.as_py()), batch.filter(pc.equal(column, value))


def _sum(total: Loaded, more: Loaded, *, again: bool) -> Loaded:
    """Both loads; rows that are another copy of those before count once."""
    rows = total.rows + (0 if again else more.rows)
    return Loaded(rows, total.bytes + more.bytes, total.seconds + more.seconds, total.again + more.again)


def _columns(sources: Sequence[Source]) -> str:
    return ", ".join(dict.fromkeys(name for source in sources for name in source.schema.names))


# --- counted --------------------------------------------------------------------------------

Count = Callable[[str, Sequence[Query], count.Sets], count.Counted]


def counted(
    groups: Iterable[tuple[str, tuple[Query, ...], dict[str, list[int]]]], sets: count.Sets, one: Count
) -> count.Counted:
    """The count pass database by database: *one* counts at a connection's info.

    A metric of a query is the mean over its sets, wherever they were asked; one of a session the mean over sessions.
    """
    found = [
        (positions, one(info, queries, {name: [sets[name][at] for at in own] for name, own in positions.items()}))
        for info, queries, positions in groups
    ]
    metrics: dict[str, list[tuple[int, tuple[float, ...]]]] = {}
    explains: dict[str, list[object]] = {}
    digests: dict[str, dict[int, str]] = {}
    for positions, part in found:
        for name, values in part.metrics.items():
            query = name.split(".")[1] if name.startswith("query.") else ""
            metrics.setdefault(name, []).append((len(positions[query]) if query else 1, values))
        for query, own in positions.items():
            explains.setdefault(query, []).extend(part.explains[query])
            digests.setdefault(query, {}).update(zip(own, part.digests[query], strict=True))
    return count.Counted(
        {name: (_all if name.endswith(_EACH) else _mean)(parts) for name, parts in metrics.items()},
        {query: plans[: count.KEPT_EXPLAINS] for query, plans in explains.items()},
        {query: tuple(by_set[at] for at in sorted(by_set)) for query, by_set in digests.items()},
    )


_EACH = (".planning_ms", ".first_query_ms")  # a value for each set, or for each try
_Parts = Collection[tuple[int, tuple[float, ...]]]


def _all(parts: _Parts) -> tuple[float, ...]:
    return tuple(value for _, values in parts for value in values)


def _mean(parts: _Parts) -> tuple[float, ...]:
    """Values of parts of unlike weight, pass by pass.

    >>> _mean([(1, (2.0, 2.0)), (3, (6.0, 10.0))])
    (5.0, 8.0)
    """
    weights = [weight for weight, _ in parts]
    return tuple(fmean(of_pass, weights) for of_pass in zip(*(values for _, values in parts), strict=True))
