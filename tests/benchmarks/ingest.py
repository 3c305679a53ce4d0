"""Rows in: rows per second against psql's \\copy of a ready CSV file, and the memory it takes.

Both sides load the same rows into the same table; ours has to make them as well. A pair is one
load of each in a drawn order; intervals are 95 % t intervals over pairs, of log ratios.
"""

import functools
import math
import os
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from scipy.stats import t

from lab import pg
from lab.hosts import embedded
from lab.ingest import copy_binary
from lab.model import Endpoint, Lab, Stream
from lab.sources import synthetic

Figure = dict[str, object]
ROWS = 2_000_000
PAIRS = 7
SMALL_ROWS, LARGE_ROWS, MEMORY_PAIRS = 1_000_000, 20_000_000, 3
TABLE = ("public", "events")
DEFINITION = "id bigint, at timestamptz, device int, kind text, value float8, payload text"
COLUMNS = {
    "id": {"type": "bigint", "sequence": 1},
    "at": {"type": "timestamptz"},
    "device": {"type": "int", "of": "device", "skew": "zipf(1.1)"},
    "kind": {"type": "text", "choices": {"reading": 0.80, "status": 0.14, "warning": 0.05, "alarm": 0.01}},
    "value": {"type": "float8", "law": "normal(20, 5)"},
    "payload": {"type": "text", "width": 40},
}


def source(rows: int) -> synthetic.Synthetic:
    """The six columns of the comparison."""
    stream = Stream("events", "synthetic", {"columns": COLUMNS, "time": {"column": "at"}})
    return synthetic.opened(stream, Lab(rows=rows, days=40, entities={"device": 100_000}), seed=1)


@dataclass(frozen=True)
class Bench:
    """A server, and a CSV file with the rows of the comparison."""

    host: embedded.Embedded
    endpoint: Endpoint
    admin: str
    csv: Path

    def fresh(self) -> None:
        """An empty table, and the work of what was there before finished."""
        with pg.connected(self.endpoint.conninfo) as connection:
            pg.run(connection, "DROP TABLE IF EXISTS events", f"CREATE TABLE events ({DEFINITION})")
        with pg.connected(self.admin) as connection:
            pg.run(connection, "CHECKPOINT")

    def ours(self, connections: int, rows: int = ROWS) -> float:
        """Rows per s, from nothing to committed, making them included."""
        self.fresh()
        made = source(rows)
        loaded = copy_binary.load(self.endpoint, TABLE, made.schema, made.batches(0, rows), connections=connections)
        return loaded.rows / loaded.seconds

    def psql(self) -> float:
        """Rows per s of \\copy from the ready file, start of psql included (some ms)."""
        self.fresh()
        start = time.perf_counter()
        self._copy("FROM")
        return ROWS / (time.perf_counter() - start)

    def write_csv(self) -> None:
        """The ready file, as the server itself writes it."""
        self.ours(1)
        self._copy("TO")

    def _copy(self, way: str) -> None:
        command = f"\\copy events {way} '{self.csv}' (FORMAT csv)"
        subprocess.run([self.host.psql(), self.endpoint.conninfo, "-Xqc", command], check=True)


@contextmanager
def bench() -> Iterator[Bench]:
    """A fresh server for one figure; no checkpoint comes in the middle of a load."""
    with embedded.opened(f"bench{os.getpid()}") as host:
        settings = {"shared_preload_libraries": "pg_stat_statements", "max_wal_size": "16GB"}
        with host.server("bench", settings, host.home / "logs") as server:
            endpoint = Endpoint("primary", "write", server.conninfo())
            yield Bench(host, endpoint, server.conninfo(user="pglab"), host.home / "rows.csv")


def interval(values: Sequence[float]) -> tuple[float, float, float]:
    """Mean and 95 % t interval."""
    mean = statistics.fmean(values)
    half = float(t.ppf(0.975, len(values) - 1)) * statistics.stdev(values) / math.sqrt(len(values))
    return mean, mean - half, mean + half


def figure(values: Sequence[float], unit: str, against: str, goal: str, meets: Callable[[float], bool]) -> Figure:
    """A figure from logarithms. *meets* says whether one value meets the goal."""
    value, low, high = map(math.exp, interval(values))
    ends = {meets(low), meets(high)}
    holds = "not shown" if len(ends) == 2 else ends.pop()
    return {"value": value, "low": low, "high": high, "unit": unit, "against": against, "goal": goal, "holds": holds}


def rate(connections: int, goal: float) -> Figure:
    """Our rows per s over psql's, in pairs of drawn order."""
    order = random.Random(1)
    ratios = []
    with bench() as opened:
        opened.write_csv()
        for _ in range(PAIRS):
            ways: list[tuple[str, Callable[[], float]]] = [
                ("ours", lambda: opened.ours(connections)),
                ("psql", opened.psql),
            ]
            order.shuffle(ways)
            took = {name: run() for name, run in ways}
            ratios.append(math.log(took["ours"] / took["psql"]))
    against = "rows/s of psql \\copy of a ready CSV file, 2 M rows of six columns, making ours included"
    return figure(ratios, "ratio", against, f">= {goal}", lambda ratio: ratio >= goal)


def ingest_one_connection() -> Figure:
    """Throughput on one connection."""
    return rate(1, 1.5)


def ingest_two_connections() -> Figure:
    """Throughput on two connections."""
    return rate(2, 2.0)


# --- memory ---------------------------------------------------------------------------------


@functools.cache
def peaks_mb() -> tuple[tuple[float, float], ...]:
    """Peak memory of loading few and many rows, each in a process of its own."""
    with bench() as opened:
        return tuple((peak_mb(opened, SMALL_ROWS), peak_mb(opened, LARGE_ROWS)) for _ in range(MEMORY_PAIRS))


def peak_mb(opened: Bench, rows: int) -> float:
    """Peak resident memory, in 10^6 bytes, of a process that makes and loads *rows* rows."""
    opened.fresh()
    command = [sys.executable, "-m", "tests.benchmarks.ingest", opened.endpoint.conninfo, str(rows)]
    done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=Path(__file__).parents[2])
    return float(done.stdout)


def load_and_tell(conninfo: str, rows: int) -> None:
    """In the child: load, and print the peak.

    VmHWM, not ru_maxrss: that one also counts what the parent had when it forked.
    """
    made = source(rows)
    copy_binary.load(Endpoint("primary", "write", conninfo), TABLE, made.schema, made.batches(0, rows))
    (peak,) = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")]
    sys.stdout.write(f"{int(peak.split()[1]) * 1024 / 1e6}\n")


def ingest_memory_growth() -> Figure:
    """Is memory flat in the number of rows?"""
    growth = [math.log(large / small) for small, large in peaks_mb()]
    against = f"peak memory of the lab's process, {LARGE_ROWS:,} rows against {SMALL_ROWS:,}"
    return figure(growth, "ratio", against, "<= 1.1", lambda ratio: ratio <= 1.1)


def ingest_memory_mb() -> Figure:
    """How much memory is it?"""
    against = f"peak memory of the lab's process, {LARGE_ROWS:,} rows"
    return figure([math.log(large) for _, large in peaks_mb()], "MB", against, "< 500 MB", lambda peak: peak < 500)


FIGURES: Mapping[str, Callable[[], Figure]] = {
    "ingest_one_connection": ingest_one_connection,
    "ingest_two_connections": ingest_two_connections,
    "ingest_memory_growth": ingest_memory_growth,
    "ingest_memory_mb": ingest_memory_mb,
}

if __name__ == "__main__":
    load_and_tell(sys.argv[1], int(sys.argv[2]))
