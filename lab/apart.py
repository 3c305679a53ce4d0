"""Rows kept apart, a database for each value of a column: how they come in, where calls go, what is counted there."""

import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from statistics import fmean
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from lab import commands, count, mix, pg, workload
from lab.clusters import CanKeepApart, Cluster
from lab.drivers import CALLS, Apart, Driver, Work
from lab.errors import IngestError
from lab.ingest import Load, Loaded
from lab.model import Endpoint, Json, Query
from lab.prepare import Span
from lab.probes.server import Node
from lab.sources import Source

_OTHERS = 10  # connections of the lab's own to `lab`, and those that the server keeps for superusers
_WARM_S = 120.0


@dataclass
class Rooms:
    """The databases of an instance beside `lab`: as superuser, one connection for each; none of most shapes.

    *servers*: the connections to `lab` on each of its servers, that to the one that is written to first.
    """

    cluster: Cluster
    servers: Sequence[Node]
    nodes: list[Node] = field(default_factory=list)
    warmed: bool = False

    def meet(self) -> None:
        """Connect to those that have been made and that nobody is connected to yet; if one cannot be had, to none."""
        if not isinstance(self.cluster, CanKeepApart):
            return
        try:
            for endpoint in list(self.cluster.databases(admin=True).values())[len(self.nodes) :]:
                self.nodes.append(Node(endpoint.node, pg.connect(endpoint.conninfo)))
        except pg.Error:
            self.close()
            raise

    def make(self, sources: Sequence[Source], span: Span, clients: int, more: Collection[str] = ()) -> dict[str, Json]:
        """Have a database for each value that is in the rows of *span*, and for *more*; say what that took.

        For the report, `databases`: `by`, their `count`, `seconds` to make them, `bytes` of one before it has rows, and
        how many connections one of *clients* has `held` at most. {} of shapes that keep nothing apart. IngestError
        where a stream lacks the column that must have it, or the server has too few connections for all values.
        """
        if not isinstance(self.cluster, CanKeepApart):
            return {}
        by, values, every = self.cluster.by, set(more), set(more)
        for source in _keyed(sources, by):
            values |= _values_in(source, by, span)
            every |= _values_in(source, by, replace(span, limit=None)) if span.limit else set()
        self._room_for(len(values | every), clients)
        begun = time.monotonic()
        self.cluster.make(values, self.servers[0].connection)
        took_s = time.monotonic() - begun
        self.meet()
        size = pg.ask(self.nodes[0].connection, "SELECT pg_database_size(current_database())::float8 AS bytes")
        return {"databases": {"by": by, "count": len(self.nodes), "seconds": took_s, "held": self.held, **size}}

    def _room_for(self, count: int, clients: int) -> None:
        """IngestError where so many databases, and clients, want more connections than the server takes."""
        assert isinstance(self.cluster, CanKeepApart)
        most = int(pg.ask(self.servers[0].connection, "SHOW max_connections")["max_connections"])
        wanted = count + clients * min(count, self.cluster.connections) + _OTHERS
        if wanted > most:
            raise IngestError(
                f"topology: by: {self.cluster.by}: {count} databases want {wanted} connections (one of the lab's to "
                f"each, up to {self.cluster.connections} of each of {clients} clients), and max_connections is {most} "
                f"(settings: {{max_connections: {wanted}}}, or fewer connections in the topology)"
            )

    def warm(self, work: Work, driver: Driver) -> None:
        """Open what may be held, and have every database asked each query of *work* that only reads, before any slice.

        The count pass, which warms the one database of other shapes, goes to a few of these alone.
        """
        if work.apart is None or self.warmed:
            return
        self.warmed = True
        example: dict[int, Any] = {call["query"]: call["params"] for call in work.calls.to_pylist()}
        calls = []
        for query in (at for at in example if commands.only_reads(work.queries[at])):
            for value in work.apart.places:
                params = [*example[query]]
                params[work.apart.keys[query]] = value
                calls.append({"due_ns": 0, "query": query, "params": params})
        table = pa.Table.from_pylist(calls, schema=CALLS)
        load = driver.start(replace(work, calls=table, saturate=False, for_s=_WARM_S))
        if not load.wait(_WARM_S):
            load.stop()
        load.ops()

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
            for value, parts in _parted(batches, cluster.by).items():
                if value is not None:
                    cluster.make([value], self.servers[0].connection)
                places = cluster.databases()
                asked = [*places.values(), cluster.model()] if value is None else [places[value]]
                for at, place in enumerate(asked):
                    total = _sum(total, own(place, table, schema, parts, **options), again=value is None and at > 0)
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

    def asked(self, queries: Sequence[Query], sets: count.Sets) -> set[str]:
        """The values whose databases the parameter sets go to; none where rows are not kept apart."""
        if not isinstance(self.cluster, CanKeepApart):
            return set()
        by = self.cluster.by
        return {str(params[key_of(query, by)]) for query in queries for params in sets[query.name]}

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

    @property
    def by(self) -> str | None:
        """The column whose values have databases."""
        return self.cluster.by if isinstance(self.cluster, CanKeepApart) else None

    @property
    def held(self) -> int:
        """How many sessions a client has at most."""
        return min(len(self.nodes), self.cluster.connections) if isinstance(self.cluster, CanKeepApart) else 1

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


def _keyed(sources: Sequence[Source], by: str) -> list[Source]:
    """The streams with a column *by*; IngestError where there is none, or rows come and go in one without."""
    for source in sources:
        if by not in source.schema.names and source.time_of(0) is not None:
            raise IngestError(
                f"topology: by: {by}: rows of the stream {source.name!r} come and go, and have no such column (give it "
                "one, or leave its time out: such rows go to every database)"
            )
    found = [source for source in sources if by in source.schema.names]
    if not found:
        raise IngestError(f"topology: by: {by}: no stream has such a column (by: one of {_columns(sources)})")
    return found


def _values_in(source: Source, by: str, span: Span) -> set[str]:
    """The values that rows have in a column, as the server's texts; NULL has no database."""
    columns = (workload.texts(pc.unique(batch[by])) for batch in source.batches(*span.of(source)))
    return {str(one) for column in columns for one in column.to_pylist() if one is not None}


def _parted(batches: Iterable[pa.RecordBatch], by: str) -> dict[str | None, list[pa.RecordBatch]]:
    """The rows by their value, all of them held; by None where they have no such column."""
    found: dict[str | None, list[pa.RecordBatch]] = {}
    for batch in batches:
        if by not in batch.schema.names:
            found.setdefault(None, []).append(batch)
            continue
        column = batch[by]
        if column.null_count:
            raise IngestError(f"topology: by: {by}: a row has NULL there, and so no database")
        words = workload.texts(column)
        for value in pc.unique(words):
            found.setdefault(str(value), []).append(batch.filter(pc.equal(words, value)))
    return found


def _sum(total: Loaded, more: Loaded, *, again: bool) -> Loaded:
    """Both loads; rows that are another copy of those before count once."""
    rows = total.rows + (0 if again else more.rows)
    return Loaded(rows, total.bytes + more.bytes, total.seconds + more.seconds, total.again + more.again)


def _columns(sources: Sequence[Source]) -> str:
    return ", ".join(dict.fromkeys(name for source in sources for name in source.schema.names))


# --- counted --------------------------------------------------------------------------------

Count = Callable[[str, Sequence[Query], count.Sets], count.Counted]


def counted(
    groups: Iterable[tuple[str, tuple[Query, ...], dict[str, list[int]]]], sets: count.Sets, one: Count, held: int = 1
) -> count.Counted:
    """The count pass database by database: *one* counts at a connection's info.

    A metric of a query is the mean over its sets, wherever they were asked. Memory is that of the *held* sessions which
    one client has; each is taken for as large as those that counted are on the average.
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
    means = {name: (_all if name.endswith(_EACH) else _mean)(parts) for name, parts in metrics.items()}
    for name in means.keys() & {"backend_memory_bytes"}:  # it is not there where other servers were asked too
        means[name] = tuple(held * value for value in means[name])
    return count.Counted(
        means,
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
