"""What generating load costs, and how true its times are: figures against pgbench and a stub.

Whatever is compared is interleaved in one run, a round at a time in a drawn order; intervals are
95 % t intervals over rounds, of log ratios where the figure is a ratio.
"""

import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from scipy.stats import t

from lab import pace, pg
from lab.drivers import CALLS, Driven, Driver, Work, locust
from lab.hosts import embedded
from lab.model import Endpoint, Query, Statement
from tests import stub

Figure = dict[str, object]
ROWS = 100_000
POINT = Query("point", "point.sql", (Statement("/* pglab:point */ SELECT b FROM points WHERE a = $1", (0,)),))
SCRIPT = f"\\set a random(1, {ROWS})\nSELECT b FROM points WHERE a = :a;\n"
SETUP = (
    f"CREATE TABLE points AS SELECT a, a AS b, repeat('x', 84) AS c FROM generate_series(1, {ROWS}) a",
    "ALTER TABLE points ADD PRIMARY KEY (a)",
    "VACUUM ANALYZE points",
)


# --- what is measured -----------------------------------------------------------------------


@dataclass(frozen=True)
class Bench:
    """A server with a table of points."""

    host: embedded.Embedded
    endpoint: Endpoint
    folder: Path

    def drive(self, driver: Driver, clients: int, for_s: float, rate: float | None = None) -> Driven:
        """Point reads: saturating, or open-loop at *rate* per s."""
        due_ns = pace.due_times(rate=rate, for_s=for_s) if rate else np.zeros(20_000, np.int64)
        keys = np.random.default_rng(1).integers(1, ROWS + 1, len(due_ns)).astype(str)
        return driven(driver, "bench", self.endpoint, POINT, due_ns, keys, clients, for_s, saturate=rate is None)

    def pgbench(self, clients: int, for_s: float) -> tuple[float, float]:
        """Transactions per s, and the median latency in ms, of the same reads."""
        script = self.host.home / "point.sql"
        script.write_text(SCRIPT)
        for log in self.folder.glob("log.*"):
            log.unlink()
        said = self.host.run(
            *(self.host.bin / "pgbench", "-n", "-M", "prepared", "-f", script, "-T", str(for_s)),
            *("-c", str(clients), "-j", str(min(clients, 2))),
            *(("-l", "--log-prefix", self.folder / "log") if clients == 1 else ()),
            self.endpoint.conninfo,
        )
        (tps,) = [float(line.split()[2]) for line in said.splitlines() if line.startswith("tps")]
        took_us = [int(line.split()[2]) for log in self.folder.glob("log.*") for line in log.read_text().splitlines()]
        return tps, statistics.median(took_us) / 1e3 if took_us else 0.0


@contextmanager
def bench() -> Iterator[Bench]:
    """A fresh server for one figure."""
    with embedded.opened(f"bench{os.getpid()}") as host:
        settings = {"shared_preload_libraries": "pg_stat_statements", "shared_buffers": "256MB"}
        with host.server("bench", settings, host.home / "logs") as server:
            endpoint = Endpoint("primary", "write", server.conninfo())
            with pg.connected(endpoint.conninfo) as connection:
                pg.run(connection, *SETUP)
            yield Bench(host, endpoint, host.folder(host.home / "bench"))


@contextmanager
def drivers(*processes: int) -> Iterator[list[Driver]]:
    """The Locust driver, once for each number of processes."""
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        each = [locust.opened(workdir=Path(folder), options={"processes": number}) for number in processes]
        yield [stack.enter_context(opening) for opening in each]


def driven(
    driver: Driver,
    connection: str,
    endpoint: Endpoint,
    query: Query,
    due_ns: Sequence[int],
    keys: Sequence[str],
    clients: int,
    for_s: float,
    *,
    saturate: bool,
) -> Driven:
    """One slice, waited for."""
    calls = pa.table(
        {"due_ns": due_ns, "query": np.zeros(len(due_ns), np.int32), "params": [[key] for key in keys]}, schema=CALLS
    )
    load = driver.start(Work(connection, endpoint, (query,), calls, clients, for_s, saturate))
    if not load.wait(for_s + 30):
        raise TimeoutError("the slice did not end")
    return load.ops()


def interleaved(rounds: int, what: Mapping[str, Callable[[], float]]) -> dict[str, np.ndarray]:
    """Each of *what* once a round, in a drawn order; one round before, which does not count."""
    order = random.Random(1)
    seen: dict[str, list[float]] = {name: [] for name in what}
    for _ in range(rounds + 1):
        for name in order.sample(sorted(what), len(what)):
            seen[name].append(what[name]())
    return {name: np.array(values[1:]) for name, values in seen.items()}


# --- what is said of it ---------------------------------------------------------------------


def mean_interval(values: np.ndarray) -> tuple[float, float, float]:
    """Mean and its 95 % t interval."""
    half = t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values))
    return float(values.mean()), float(values.mean() - half), float(values.mean() + half)


def figure(interval: Sequence[float], unit: str, against: str, goal: str) -> Figure:
    """The figure as the runner prints it. *goal* is `<= x` or `>= x`."""
    value, low, high = interval
    relation, bound = goal.split()
    good, bad = (
        (high <= float(bound), low > float(bound)) if relation == "<=" else (low >= float(bound), high < float(bound))
    )
    holds = True if good else False if bad else "not shown"
    return {
        "value": value, "low": low, "high": high,
        "unit": unit, "against": against, "goal": goal, "holds": holds,
    }  # fmt: skip


def exp(interval: Sequence[float]) -> tuple[float, ...]:
    """An interval of logs as one of ratios."""
    return tuple(float(np.exp(value)) for value in interval)


# --- the figures ----------------------------------------------------------------------------


def generator_us_per_op() -> Figure:
    """CPU of the generator for one prepared point read, 8 clients, op log on."""
    with bench() as at, drivers(1) as (driver,):

        def once() -> float:
            done = at.drive(driver, 8, 1.0)
            return done.cpu_s / len(done.ops) * 1e6

        seen = interleaved(12, {"locust": once})
    return figure(exp(mean_interval(np.log(seen["locust"]))), "us", "8 clients, closed loop", "<= 25")


@contextmanager
def one_core() -> Iterator[None]:
    """Everything that is started here on one core.

    Across cores the kernel's choice of core for each backend decides, for pgbench as for Locust, and not the same from
    one slice to the next: on a virtual machine to wake another core costs as much as the operation.
    """
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(cores)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, cores)


def driver_locust_core() -> Figure:
    """Throughput of prepared point reads with 8 clients, as a share of pgbench's, on one core: what each op costs."""
    with one_core():
        return _throughput(12, "one core")


def driver_locust() -> Figure:
    """The same on all cores, where the kernel's choices are in it."""
    return _throughput(30, f"{os.cpu_count()} cores")


def _throughput(rounds: int, where: str) -> Figure:
    """The better of one and two processes."""
    with bench() as at, drivers(1, 2) as (one, two):
        seen = interleaved(
            rounds,
            {
                "pgbench": lambda: at.pgbench(8, 2)[0],
                "one": lambda: len(at.drive(one, 8, 2.0).ops) / 2,
                "two": lambda: len(at.drive(two, 8, 2.0).ops) / 2,
            },
        )
    best = max(("one", "two"), key=lambda name: np.log(seen[name]).mean())
    ratio = exp(mean_interval(np.log(seen[best] / seen["pgbench"])))
    return figure(ratio, "x", f"pgbench -M prepared -c 8 -j 2; {best} process(es) of Locust; {where}", ">= 0.75")


def driver_locust_latency_ms() -> Figure:
    """Median latency with 1 client above pgbench's, everything on one core."""
    with one_core(), bench() as at, drivers(1) as (driver,):

        def once() -> float:
            ops = at.drive(driver, 1, 1.0).ops
            return float(np.median(ops["end_ns"].to_numpy() - ops["start_ns"].to_numpy())) / 1e6

        seen = interleaved(12, {"pgbench": lambda: at.pgbench(1, 1)[1], "locust": once})
    return figure(mean_interval(seen["locust"] - seen["pgbench"]), "ms", "pgbench -l, one core", "<= 0.02")


def timestamp_error_core_us() -> Figure:
    """How far start and end are from what the other side saw, one call after the other, everything on one core.

    The worse of the two medians. To wake the other side is a switch of the same core here, so it is the driver's own.
    """
    with one_core():
        return figure(_errors(spin=False, saturate=True)[0], "us", "a stub's own clock, closed loop, one core", "<= 50")


def timestamp_error_us() -> Figure:
    """The same on all cores, with the time that it takes to wake another core; and what the least client sees there."""
    error, bare = _errors(spin=True, saturate=True)
    least = "bare.py: {:.1f} [{:.1f}, {:.1f}]".format(*bare)
    return figure(error, "us", f"a stub's own clock, closed loop, {os.cpu_count()} cores; {least}", "<= 50")


def timestamp_error_idle_us() -> Figure:
    """At 500 calls per s: with the time the machine takes to wake up an idle processor."""
    return figure(_errors(spin=True, saturate=False)[0], "us", "a stub's own clock, 500 per s, 1 client", "<= 100")


Interval = tuple[float, float, float]


def _errors(*, spin: bool, saturate: bool) -> tuple[Interval, Interval]:
    """In us, of the driver, and of bare.py in a closed loop."""
    with (
        tempfile.TemporaryDirectory() as folder,
        stub.serving(Path(folder), spin=spin) as server,
        drivers(1) as (driver,),
    ):
        there = Endpoint("stub", "read", server.conninfo)
        due_ns = pace.due_times(rate=500, for_s=1)

        def once() -> float:
            server.seen.clear()
            done = driven(driver, "stub", there, POINT, due_ns, ["1"] * len(due_ns), 1, 1.0, saturate=saturate)
            return _off_us(server, done.ops["start_ns"].to_numpy(), done.ops["end_ns"].to_numpy())

        def bare() -> float:
            server.seen.clear()
            program = (sys.executable, Path(__file__).with_name("bare.py"), folder, "1")
            told = json.loads(subprocess.run(program, capture_output=True, check=True).stdout)
            return _off_us(server, *np.array(told).T)

        seen = interleaved(12, {"driver": once, "bare": bare})
        return mean_interval(seen["driver"]), mean_interval(seen["bare"])


def _off_us(server: stub.Stub, start_ns: np.ndarray, end_ns: np.ndarray) -> float:
    """The worse of two medians: from the start of a call to its arrival, and from its answer to its end."""
    until = time.monotonic() + 5
    while len(server.seen) < len(start_ns) and time.monotonic() < until:
        time.sleep(0.01)  # the stub writes a call down after it has answered
    seen = np.array([server.seen[number] for number in sorted(server.seen)])
    return float(max(np.median(seen[:, 0] - start_ns), np.median(end_ns - seen[:, 1]))) / 1e3


def lateness_us() -> Figure:
    """How late a call starts that is due while the generator idles: the median at 200 per s."""
    with bench() as at, drivers(1) as (driver,):

        def once() -> float:
            ops = at.drive(driver, 4, 1.0, rate=200).ops
            return float(np.median(ops["start_ns"].to_numpy() - ops["due_ns"].to_numpy())) / 1e3

        seen = interleaved(8, {"locust": once})
    return figure(mean_interval(seen["locust"]), "us", "due times, 200 per s, 4 clients", "<= 100")


def generator_open_share() -> Figure:
    """The share of one core that the generator takes at 500 calls per s, mostly waiting for due times."""
    with bench() as at, drivers(1) as (driver,):
        seen = interleaved(8, {"locust": lambda: at.drive(driver, 8, 1.0, rate=500).cpu_s})
    return figure(mean_interval(seen["locust"]), "cores", "500 per s, 8 clients, open loop", "<= 0.15")


FIGURES: dict[str, Callable[[], Figure]] = {
    "generator_us_per_op": generator_us_per_op,
    "driver_locust_core": driver_locust_core,
    "driver_locust": driver_locust,
    "driver_locust_latency_ms": driver_locust_latency_ms,
    "timestamp_error_core_us": timestamp_error_core_us,
    "timestamp_error_us": timestamp_error_us,
    "timestamp_error_idle_us": timestamp_error_idle_us,
    "lateness_us": lateness_us,
    "generator_open_share": generator_open_share,
}
