"""What the way to a container costs a load generator, against the way to an embedded server.

A container's server is reached by TCP at its own address on a bridge, an embedded one by its Unix
socket. Both are asked the same prepared `SELECT 1`, which takes a server microseconds: what
differs is the way, and the little by which the two builds of PostgreSQL differ, which are told.
Blocks of calls alternate, in turns of who is first; a pair of blocks is the unit. No goal is
stated: these tell how much of a latency measured in containers is not the shape's.
"""

import math
import secrets
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from scipy.stats import t

from lab import pg, sizing
from lab.errors import PlaceError
from lab.hosts import docker, embedded

Figure = dict[str, object]
PAIRS, CALLS = 30, 1_000
_NAME, _TEXT = b"one", b"SELECT 1"


def route_container_us_per_op() -> Figure:
    """Processor time of the asking process for each call, to a container less to an embedded server."""
    return _figure(0, "us")


def route_container_latency_ms() -> Figure:
    """The median time from a call to its answer, to a container less to an embedded server."""
    return _figure(1, "ms")


def _figure(which: int, unit: str) -> Figure:
    try:
        pairs, versions = _measured()
    except PlaceError as error:
        return {"value": None, "low": None, "high": None, "unit": unit, "against": str(error), "goal": "none"} | {
            "holds": "not shown"
        }
    low, mean, high = interval([there[which] - here[which] for there, here in pairs])
    against = f"{PAIRS} pairs of {CALLS} calls by one client, PostgreSQL {versions}"
    return {"value": mean, "low": low, "high": high, "unit": unit, "against": against, "goal": "none", "holds": True}


def interval(differences: Sequence[float]) -> tuple[float, float, float]:
    """The 95 % t interval of the mean: low, mean, high."""
    mean = statistics.fmean(differences)
    error = statistics.stdev(differences) / math.sqrt(len(differences))
    half = float(t.ppf(0.975, len(differences) - 1)) * error
    return mean - half, mean, mean + half


Block = tuple[float, float]  # microseconds of processor time per call, and the median call in ms


@cache
def _measured() -> tuple[list[tuple[Block, Block]], str]:
    """Pairs of blocks, container and embedded; and the versions of the two. The first pair is warm-up."""
    with _both() as (there, here):
        versions = (
            f"{there.info.server_version // 10_000} in a container, {here.info.server_version // 10_000} embedded"
        )
        return alternating(lambda: block(there), lambda: block(here), PAIRS + 1)[1:], versions


@contextmanager
def _both() -> Iterator[tuple[pg.Connection, pg.Connection]]:
    """A connection to a server in a container and one to an embedded server, with the statement prepared."""
    run = f"b{secrets.token_hex(3)}"
    with (
        tempfile.TemporaryDirectory(prefix="pglab-bench-") as logs,
        docker.opened(f"{run}d") as far,
        embedded.opened(f"{run}e") as near,
        far.private() as private,
        private.server("one", sizing.SETTINGS, Path(logs)) as there,
        near.server("two", sizing.SETTINGS, Path(logs)) as here,
        pg.connected(there.conninfo()) as first,
        pg.connected(here.conninfo()) as second,
    ):
        for connection in (first, second):
            connection.pgconn.prepare(_NAME, _TEXT)
        yield first, second


def alternating(first: Callable[[], Block], second: Callable[[], Block], pairs: int) -> list[tuple[Block, Block]]:
    """So many pairs of blocks, each time the other one begun with."""
    found = []
    for number in range(pairs):
        if number % 2:
            later = second()
            found.append((first(), later))
        else:
            found.append((first(), second()))
    return found


def block(connection: pg.Connection) -> Block:
    """CALLS calls one after the other."""
    took, before = [], time.process_time_ns()
    for _ in range(CALLS):
        start = time.monotonic_ns()
        answer = connection.pgconn.exec_prepared(_NAME, [])
        took.append(time.monotonic_ns() - start)
        assert answer.get_value(0, 0) == b"1"
    return (time.process_time_ns() - before) / 1e3 / CALLS, statistics.median(took) / 1e6


FIGURES: dict[str, Callable[[], Figure]] = {
    "route_container_us_per_op": route_container_us_per_op,
    "route_container_latency_ms": route_container_latency_ms,
}
