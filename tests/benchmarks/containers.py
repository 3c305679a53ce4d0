"""How long a server in a container takes: from being asked for to its first answer, and to be gone.

The image is present and the run's host is open, as they are for every instance of a run but its
first. Gone is when the engine has no container, network or volume of it any more.
"""

import math
import secrets
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

from scipy.stats import t

from lab import pg, sizing
from lab.clusters import citus, patroni
from lab.errors import PlaceError
from lab.hosts import docker
from lab.model import Topology

Figure = dict[str, object]
TIMES, FEW = 8, 4


def container_ready_s() -> Figure:
    """From asking for a cluster's network and its server to the answer of a query."""
    return _figure(0, goal=3.0)


def container_gone_s() -> Figure:
    """From the last answer to nothing of it being left."""
    return _figure(1, goal=3.0)


def citus_ready_s() -> Figure:
    """From asking for a Citus of two workers to the first answer over all shards of a table."""
    try:
        seconds = _citus()
    except PlaceError as error:
        return _no_figure(str(error), 15.0)
    return _told(seconds, f"{len(seconds)} shapes of three nodes, one after the other", goal=15.0)


def patroni_ready_s() -> Figure:
    """From asking for Patroni's three nodes to a leader, two standbys caught up, and an answer by the route."""
    try:
        seconds = _patroni()
    except PlaceError as error:
        return _no_figure(str(error), 30.0)
    return _told(seconds, f"{len(seconds)} shapes of three nodes, one after the other", goal=30.0)


def _figure(which: int, *, goal: float) -> Figure:
    try:
        seconds = [one[which] for one in _measured()]
    except PlaceError as error:
        return _no_figure(str(error), goal)
    return _told(seconds, f"{len(seconds)} single servers, one after the other", goal=goal)


def _told(seconds: Sequence[float], against: str, *, goal: float) -> Figure:
    """The mean with its interval."""
    mean = statistics.fmean(seconds)
    half = float(t.ppf(0.975, len(seconds) - 1)) * statistics.stdev(seconds) / math.sqrt(len(seconds))
    low, high = mean - half, mean + half
    holds: bool | str = True if high <= goal else (False if low > goal else "not shown")
    return _as(mean, low, high, against, goal, holds)


def _no_figure(why: str, goal: float) -> Figure:
    """Where there is no engine nothing is shown."""
    return _as(None, None, None, why, goal, "not shown")


def _as(value: object, low: object, high: object, against: str, goal: float, holds: object) -> Figure:
    numbers = {"value": value, "low": low, "high": high, "unit": "s"}
    return {**numbers, "against": against, "goal": f"<= {goal:g}", "holds": holds}


@cache
def _measured() -> list[tuple[float, float]]:
    """Seconds until ready, and until gone; the first is warm-up."""
    with tempfile.TemporaryDirectory(prefix="pglab-bench-") as logs, docker.opened(f"b{secrets.token_hex(3)}") as host:
        return [_once(host, Path(logs)) for _ in range(TIMES + 1)][1:]


def _once(host: docker.Docker, logs: Path) -> tuple[float, float]:
    begun = time.monotonic()
    with host.private() as private, private.server("one", sizing.SETTINGS, logs) as server:
        with pg.connected(server.conninfo()) as connection:
            pg.ask(connection, "SELECT 1 AS a")
        ready = time.monotonic()
    return ready - begun, time.monotonic() - ready


def _citus() -> list[float]:
    """Seconds until ready; the first is warm-up."""
    with tempfile.TemporaryDirectory(prefix="pglab-bench-") as logs, docker.opened(f"b{secrets.token_hex(3)}") as host:
        return [_citus_once(host, Path(logs)) for _ in range(FEW + 1)][1:]


def _citus_once(host: docker.Docker, logs: Path) -> float:
    """The table is the author's, and costs a fraction of what the nodes do."""
    begun = time.monotonic()
    with (
        host.private() as private,
        citus.opened(private, Topology("citus"), name="bench", settings=sizing.SETTINGS, logs=logs) as cluster,
        pg.connected(cluster.write().conninfo) as connection,
    ):
        pg.run(connection, "CREATE TABLE t (a int)", "SELECT create_distributed_table('t', 'a')")
        pg.ask(connection, "SELECT count(*) FROM t")
        return time.monotonic() - begun


def _patroni() -> list[float]:
    """Seconds until ready; the first is warm-up."""
    with tempfile.TemporaryDirectory(prefix="pglab-bench-") as logs, docker.opened(f"b{secrets.token_hex(3)}") as host:
        return [_patroni_once(host, Path(logs)) for _ in range(FEW + 1)][1:]


def _patroni_once(host: docker.Docker, logs: Path) -> float:
    begun = time.monotonic()
    with (
        host.private() as private,
        patroni.opened(private, Topology("patroni"), name="bench", settings=sizing.SETTINGS, logs=logs) as cluster,
        pg.connected(cluster.write().conninfo) as connection,
    ):
        pg.ask(connection, "SELECT 1 AS a")
        return time.monotonic() - begun


FIGURES: dict[str, Callable[[], Figure]] = {
    "container_ready_s": container_ready_s,
    "container_gone_s": container_gone_s,
    "citus_ready_s": citus_ready_s,
    "patroni_ready_s": patroni_ready_s,
}
