"""Totals of one server: WAL position, checkpoints, autovacuum workers, statements of the mix, CPU."""

from collections.abc import Mapping
from typing import Any

from lab import pg
from lab.hosts import Process
from lab.model import Json

KIND = "server"


class ServerProbe:
    """See probes.Probe. Holds one superuser connection that somebody else opened."""

    def __init__(self, connection: pg.Connection, processes: tuple[Process, ...]) -> None:
        self._connection = connection
        self._processes = processes
        self._totals = pg.query("totals")
        self._statements = pg.query("statements")

    def read(self) -> Mapping[str, Json]:
        """`wal_bytes`, `checkpoints`, `autovacuums`, and `cpu_s` summed over the processes."""
        return {**pg.ask(self._connection, self._totals), "cpu_s": sum(one.cpu_s() for one in self._processes)}

    def statements(self) -> Mapping[str, Mapping[str, float]]:
        """Query -> its totals in pg_stat_statements."""
        found = pg.rows(self._connection, self._statements)
        return {row.pop("query"): row for row in found}


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
