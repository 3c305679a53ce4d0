"""How long a server in a container takes: from being asked for to its first answer, and to be gone.

The image is present and the run's host is open, as they are for every instance of a run but its
first. Gone is when the engine has no container, network or volume of it any more.
"""

import math
import secrets
import statistics
import tempfile
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path

from scipy.stats import t

from lab import pg, sizing
from lab.errors import PlaceError
from lab.hosts import docker

Figure = dict[str, object]
TIMES = 8


def container_ready_s() -> Figure:
    """From asking for a cluster's network and its server to the answer of a query."""
    return _figure(0, goal=3.0)


def container_gone_s() -> Figure:
    """From the last answer to nothing of it being left."""
    return _figure(1, goal=3.0)


def _figure(which: int, *, goal: float) -> Figure:
    try:
        seconds = [one[which] for one in _measured()]
    except PlaceError as error:
        return _no_figure(str(error), goal)
    mean = statistics.fmean(seconds)
    half = float(t.ppf(0.975, len(seconds) - 1)) * statistics.stdev(seconds) / math.sqrt(len(seconds))
    low, high = mean - half, mean + half
    holds: bool | str = True if high <= goal else (False if low > goal else "not shown")
    return _as(mean, low, high, f"{len(seconds)} single servers, one after the other", goal, holds)


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


FIGURES: dict[str, Callable[[], Figure]] = {
    "container_ready_s": container_ready_s,
    "container_gone_s": container_gone_s,
}
