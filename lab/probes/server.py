"""Totals of all servers of a shape: WAL, checkpoints, autovacuum workers, statements of the mix, CPU.

Each server is asked; what is summed over them, and why, is docs/decisions/0009. Servers that follow
one another write one stream of WAL, whoever of them leads, so that WAL is summed over streams.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from lab import pg
from lab.errors import ClusterError
from lab.hosts import Process, Throttled
from lab.model import Json

KIND = "server"
_REMOVED = "58P01"  # undefined_file: a segment of WAL that is not there


@dataclass(frozen=True)
class Node:
    """One server of a shape, as superuser. *inner*: only other servers speak to it, no client does."""

    name: str
    connection: pg.Connection
    inner: bool = False


class ServerProbe:
    """See probes.Probe. Holds superuser connections that somebody else opened.

    *rooms*: further databases of these servers, of which there may be more later: see `apart`.
    """

    def __init__(self, nodes: Sequence[Node], processes: Sequence[Process], rooms: Sequence[Node] = ()) -> None:
        self._nodes = tuple(nodes)
        self._rooms = rooms
        self._processes = tuple(processes)
        self._totals = pg.query("totals")
        self._statements = pg.query("statements")
        self._inner = pg.query("inner")

    def read(self) -> Mapping[str, Json]:
        """`nodes`: node -> its totals as queries/totals.sql has them. WAL is held from here on."""
        hold(self._nodes)
        return {"nodes": {node.name: pg.ask(node.connection, self._totals) for node in self._nodes}}

    def apart(self) -> Mapping[str, Mapping[str, int]]:
        """Node -> what its further databases count apart, as `autovacuumed`. To be read while no CPU is counted."""
        found: dict[str, dict[str, int]] = {}
        for number, room in enumerate(self._rooms):
            done = pg.ask(room.connection, self._totals)["autovacuumed"]
            found.setdefault(room.name, {}).update({f"{number}.{table}": n for table, n in done.items()})
        return found

    def cpu_s(self) -> dict[str, float]:
        """Process -> CPU seconds since it was started, of everything that serves."""
        return {process.name: process.cpu_s() for process in self._processes}

    def throttled_s(self) -> dict[str, float]:
        """Process -> seconds for which its limit of processor time kept it waiting, of those that can tell."""
        return {one.name: one.throttled_s() for one in self._processes if isinstance(one, Throttled)}

    def statements(self) -> Mapping[str, Mapping[str, float]]:
        """Query -> its totals in pg_stat_statements, over all servers that clients speak to."""
        found: dict[str, dict[str, float]] = {}
        for node in self._nodes:
            for row in [] if node.inner else pg.rows(node.connection, self._statements):
                name = row.pop("query")
                found[name] = added(found[name], row) if name in found else row
        return found

    def inner(self) -> Mapping[str, float]:
        """What servers have asked of servers: `calls`, and the blocks and bytes these took there."""
        found = {"calls": 0.0, "blocks": 0.0, "wal_bytes": 0.0, "temp_bytes": 0.0}
        for node in self._nodes:
            if node.inner:
                found = added(found, pg.ask(node.connection, self._inner))
        return found

    def wal(self, before: Mapping[str, Json], after: Mapping[str, Json]) -> dict[str, float]:
        """The WAL between two readings over all streams: `record_bytes`, `fpi_bytes`, `records`, `commits`."""
        found = {"record_bytes": 0.0, "fpi_bytes": 0.0, "records": 0.0, "commits": 0.0}
        for writer, first, last in streams(before, after):
            node = next(node for node in self._nodes if node.name == writer)
            found = added(found, written(node, lsn(first), lsn(last)))
        return found


def joined(reading: Mapping[str, Json], apart: Mapping[str, Mapping[str, int]]) -> dict[str, Json]:
    """A reading with what further databases count.

    >>> joined({"nodes": {"a": {"autovacuumed": {"1": 2}}}}, {"a": {"0.1": 5}})
    {'nodes': {'a': {'autovacuumed': {'1': 2, '0.1': 5}}}}
    """
    return {
        "nodes": {
            name: {**totals, "autovacuumed": {**totals["autovacuumed"], **apart.get(name, {})}}
            for name, totals in reading["nodes"].items()
        }
    }


def hold(nodes: Sequence[Node]) -> None:
    """Keep servers that write from removing WAL that is to be measured yet, for as long as the sessions live.

    Not where a server has no slot to give, or no right to it: `written` says so if that matters.
    """
    for node in nodes:
        with suppress(pg.Error):
            pg.rows(node.connection, pg.query("hold"))


def written(node: Node, first: str, last: str) -> dict[str, float]:
    """The WAL of *node* from one position to another, as queries/wal.sql has it; ClusterError where it is gone.

    WAL before *last* is no longer held.
    """
    pg.rows(node.connection, pg.query("flush"))
    try:
        found = pg.ask(node.connection, pg.query("wal"), {"first": first, "last": last})
    except pg.Error as error:
        if error.sqlstate != _REMOVED:
            raise
        raise ClusterError(
            f"{node.name}: the write-ahead log from {first} on was removed before it could be measured: checkpoints "
            "came between, and there was no replication slot to hold it (settings: max_replication_slots and "
            "wal_level: replica, or a large wal_keep_size)"
        ) from error
    pg.rows(node.connection, pg.query("release"), {"last": last})
    return found


def streams(before: Mapping[str, Json], after: Mapping[str, Json]) -> list[tuple[str, int, int]]:
    """Who writes each stream of WAL now, and from where to where it grew between two readings.

    Where another server has come to lead, the position goes on from that of one that led before: of
    the same system identifier, which alone does not tell streams apart (data directories are copied).

    >>> node = lambda wal: {"system": "1", "wal_bytes": wal}
    >>> streams({"nodes": {"a": node(50), "b": node(None), "c": node(70)}},
    ...         {"nodes": {"a": node(None), "b": node(90), "c": node(75)}})
    [('b', 50, 90), ('c', 70, 75)]
    """
    first, last = _writers(before), _writers(after)
    found = []
    for name, (system, end) in last.items():
        led = [at for other, (own, at) in first.items() if other not in last and own == system]
        start = first[name][1] if name in first else max(led, default=None)
        if start is not None:
            found.append((name, start, end))
    return found


def _writers(reading: Mapping[str, Json]) -> dict[str, tuple[str, int]]:
    """Server -> its system identifier and how far it has written; those in recovery write nothing."""
    return {
        name: (totals["system"], totals["wal_bytes"])
        for name, totals in reading["nodes"].items()
        if totals["wal_bytes"] is not None
    }


def seen(before: Mapping[str, Json], after: Mapping[str, Json]) -> dict[str, Json]:
    """Facts of a step from two readings: what all servers together wrote and did in between.

    `autovacuums` are the workers at the busier of the two readings, or what they finished in between if that is more.
    """
    pairs = [(before["nodes"].get(name, {}), totals) for name, totals in after["nodes"].items()]
    return {
        "wal_bytes": sum(last - first for _, first, last in streams(before, after)),
        "checkpoints": sum(now["checkpoints"] - was.get("checkpoints", 0) for was, now in pairs),
        "autovacuums": sum(
            max(now["autovacuums"], was.get("autovacuums", 0), _autovacuumed(was or now, now)) for was, now in pairs
        ),
    }


def _autovacuumed(was: Mapping[str, Json], now: Mapping[str, Json]) -> int:
    """How often a table of a server was vacuumed or analysed by itself between two readings.

    >>> _autovacuumed({"autovacuumed": {"1": 3, "2": 1, "3": 4}}, {"autovacuumed": {"2": 2, "3": 1}})
    2
    """
    first, last = was["autovacuumed"], now["autovacuumed"]  # a number that has fallen was reset to 0 in between
    return sum(n - first.get(table, 0) if n >= first.get(table, 0) else n for table, n in last.items())


def each(before: Mapping[str, Json], after: Mapping[str, Json]) -> dict[str, Json]:
    """The same by server, for the record: node -> `wal_bytes` (0 of those that follow), `checkpoints`."""
    wal = {name: last - first for name, first, last in streams(before, after)}
    return {
        name: {
            "wal_bytes": wal.get(name, 0),
            "checkpoints": now["checkpoints"] - before["nodes"].get(name, now)["checkpoints"],
        }
        for name, now in after["nodes"].items()
    }


def lsn(position: int) -> str:
    """A position in WAL as PostgreSQL writes it.

    >>> lsn(50_541_024)
    '0/30331E0'
    """
    return f"{position >> 32:X}/{position & 0xFFFFFFFF:X}"


def added(one: Mapping[str, float], other: Mapping[str, float]) -> dict[str, float]:
    """The sums key by key.

    >>> added({"a": 1.0, "b": 2.0}, {"a": 0.5, "b": 0.0})
    {'a': 1.5, 'b': 2.0}
    """
    return {key: value + other[key] for key, value in one.items()}


def less(after: Mapping[str, Any], before: Mapping[str, Any]) -> dict[str, Any]:
    """What happened between two readings: key by key, and mappings within mappings.

    A key that the first reading lacks began at 0.

    >>> less({"a": 5, "q": {"calls": 3}}, {"a": 2})
    {'a': 3, 'q': {'calls': 3}}
    """
    return {
        key: less(value, before.get(key) or {}) if isinstance(value, Mapping) else value - (before.get(key) or 0)
        for key, value in after.items()
    }
