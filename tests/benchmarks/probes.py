"""What watching costs, and pgbench as a driver: figures on a real server, interleaved."""

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from lab import pg
from lab.drivers import Driver, pgbench
from lab.hosts import embedded
from lab.model import Endpoint
from lab.probes import watcher
from tests.benchmarks.generator import (
    ROWS,
    SETUP,
    Bench,
    Figure,
    bench,
    drivers,
    exp,
    figure,
    interleaved,
    mean_interval,
)

RATE, CLIENTS, FOR_S = 400.0, 8, 2.0


def probes_us_per_op() -> Figure:
    """CPU of server, generator and watcher for one point read, with series less without, pair by pair."""
    with embedded.opened(f"bench{os.getpid()}") as host, tempfile.TemporaryDirectory() as folder:
        settings = {"shared_preload_libraries": "pg_stat_statements", "shared_buffers": "256MB"}
        with (
            host.server("bench", settings, host.home / "logs") as server,
            drivers(1) as (driver,),
            watcher.opened(Path(folder), watcher.Every()) as looking,
        ):
            endpoint = Endpoint("primary", "write", server.conninfo())
            admin = Endpoint("primary", "admin", server.conninfo(user="pglab"))
            with pg.connected(endpoint.conninfo) as connection:
                pg.run(connection, *SETUP)
            at = Bench(host, endpoint, host.folder(host.home / "bench"))

            def once(*, watched: bool) -> float:
                """CPU in us for each operation of a slice."""
                spent_s, looked_s = server.cpu_s(), looking.cpu_s
                if watched:
                    looking.begin([admin], ())
                done = at.drive(driver, CLIENTS, FOR_S, rate=RATE)
                if watched:
                    looking.end()
                spent_s = server.cpu_s() - spent_s + done.cpu_s + looking.cpu_s - looked_s
                return spent_s / len(done.ops) * 1e6

            once(watched=True)  # its connection is opened here
            seen = interleaved(12, {"on": lambda: once(watched=True), "off": lambda: once(watched=False)})
    against = f"the same without, {RATE:.0f} per s, {CLIENTS} clients, {FOR_S:.0f} s"
    return figure(mean_interval(seen["on"] - seen["off"]), "us", against, "<= 100")


def driver_pgbench() -> Figure:
    """Throughput of prepared point reads by the driver, as a share of that of pgbench called by hand."""
    with bench() as at, tempfile.TemporaryDirectory() as folder:
        program = at.host.psql().with_name("pgbench")
        with pgbench.opened(workdir=Path(folder), options={"program": program}) as driver:
            seen = interleaved(12, {"hand": lambda: at.pgbench(8, 2)[0], "driver": lambda: _per_s(at, driver)})
    ratio = exp(mean_interval(np.log(seen["driver"] / seen["hand"])))
    return figure(
        ratio, "x", f"pgbench -M prepared -c 8 -j 2, {ROWS} rows; the driver logs and draws of a pool", ">= 0.75"
    )


def _per_s(at: Bench, driver: Driver) -> float:
    return len(at.drive(driver, 8, 2.0).ops) / 2


FIGURES: dict[str, Callable[[], Figure]] = {"probes_us_per_op": probes_us_per_op, "driver_pgbench": driver_pgbench}
