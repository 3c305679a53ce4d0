"""Caches emptied before a slice: with `memory: strict`, shared_buffers are all the cache there is.

What is not emptied: what sessions remember of catalogues and plans, and the disk's own cache.
"""

import time
from collections.abc import Sequence

from lab import pg, prepare
from lab.errors import ClusterError
from lab.probes.server import Node

_HELD_S = 5.0  # for whoever holds a buffer to let it go


def cool(nodes: Sequence[Node]) -> None:
    """Empty shared_buffers of every server; ClusterError where a buffer is held for longer than 5 s."""
    for node in nodes:
        if prepare.leads(node.connection):
            pg.run(node.connection, "CREATE EXTENSION IF NOT EXISTS pg_buffercache SCHEMA pglab")
    prepare.caught_up(nodes)
    for node in nodes:
        _evict(node)


def _evict(node: Node) -> None:
    version = int(pg.ask(node.connection, "SELECT current_setting('server_version_num') AS number")["number"])
    query = pg.query("evict") if version >= 180000 else pg.query("evict_17")
    until = time.monotonic() + _HELD_S
    while held := pg.ask(node.connection, query)["held"]:
        if time.monotonic() > until:
            raise ClusterError(f"{node.name}: {held} buffers are in use and cannot be emptied (cache: warm)")
        time.sleep(0.05)
