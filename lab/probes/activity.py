"""What servers' own statistics say was done since they were reset: tables, indexes, checkpoints, WAL, blocks.

A session tells the statistics of its work once a second at most, so that a reading lags behind
by up to that: what counts is a reading after many slices, and no difference within one.
"""

from collections.abc import Sequence
from typing import Any

from lab import pg
from lab.model import Json
from lab.probes.server import Node, added

_OF_DATABASE = ("hits", "reads")


def activity(nodes: Sequence[Node], rooms: Sequence[Node] = ()) -> dict[str, Json]:
    """The totals of all servers together, with what they count apart for *rooms*, further databases of theirs.

    `since`: node -> when its statistics were reset. `tables` and `indexes` (scanned ones): name -> the columns of
    queries/activity_tables.sql and queries/activity_indexes.sql. `totals`: those of queries/activity.sql.
    """
    found: dict[str, Any] = {"since": {}, "tables": {}, "indexes": {}, "totals": {}}
    for node in nodes:
        totals = pg.ask(node.connection, pg.query("activity"))
        found["since"][node.name] = totals.pop("since")
        found["totals"] = added(totals, found["totals"]) if found["totals"] else totals
    for room in rooms:
        apart = pg.ask(room.connection, pg.query("activity"))
        found["totals"] = {key: n + apart[key] * (key in _OF_DATABASE) for key, n in found["totals"].items()}
    for node in (*nodes, *rooms):
        tables = pg.rows(node.connection, pg.query("activity_tables"))
        indexes = pg.rows(node.connection, pg.query("activity_indexes"))
        for kind, rows in (("tables", tables), ("indexes", indexes)):
            for row in rows:
                name = row.pop("name")
                found[kind][name] = added(row, found[kind][name]) if name in found[kind] else row
    return found
