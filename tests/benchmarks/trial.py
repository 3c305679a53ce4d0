"""What a trial costs beside its steps: between and around them, from the clocks of stored trials.

A small scenario is run for real, once with kept instances and once with a fresh cluster for each
trial. The overhead of a trial is the time from the end of the trial before it to its own end, less
its steps: probes, row counts, writing to disk; for a fresh one also opening the cluster, its
schema, the load of two thousand rows, and settling, so that figure is an upper bound.
"""

import itertools
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from lab import store
from tests.benchmarks.generator import figure, mean_interval
from tests.real import small

Figure = dict[str, object]
ROUNDS = {"kept": 10, "fresh": 4}
RUNS = 3


def trial_overhead_s() -> Figure:
    """Kept instances."""
    return _figure("kept", goal=0.2)


def trial_overhead_fresh_s() -> Figure:
    """A fresh cluster for each trial."""
    return _figure("fresh", goal=1.5)


def _figure(isolation: str, *, goal: float) -> Figure:
    seconds = np.array(_overheads(isolation))
    against = f"{len(seconds)} trials of a small scenario, {isolation} instances"
    return figure(mean_interval(seconds), "s", against, f"<= {goal}")


def _overheads(isolation: str) -> list[float]:
    """Seconds beside the steps, for each trial but the first of the run."""
    text = small.SCENARIO.replace("workload: readings\n", f"workload: readings\nisolation: {isolation}\n")
    with tempfile.TemporaryDirectory(prefix="pglab-bench-") as folder:
        where = small.write(Path(folder), **{"scenarios/small/scenario.yaml": text})
        done = small.pglab(where, "run", "scenarios/small", "--on", "embedded", "--rounds", str(ROUNDS[isolation]))
        if done.returncode:
            raise RuntimeError(done.stderr)
        slices = store.read(store.find(where / "results", "small")).slices
    found = []
    for before, one in itertools.pairwise(slices):
        inside = sum(step["end_ns"] - step["start_ns"] for step in one.steps)
        found.append((one.steps[-1]["end_ns"] - before.steps[-1]["end_ns"] - inside) / 1e9)
    return found


def quickstart_s() -> Figure:
    """The whole of `pglab run quickstart`, from the command to its last line: five candidates and the twin."""
    seconds = []
    for _ in range(RUNS):
        with tempfile.TemporaryDirectory(prefix="pglab-bench-") as folder:
            start = time.monotonic()
            done = small.pglab(Path(folder), "run", "quickstart", "--on", "embedded")
            seconds.append(time.monotonic() - start)
        if done.returncode:
            raise RuntimeError(done.stderr)
    return figure(mean_interval(np.array(seconds)), "s", f"{RUNS} runs", "<= 90")


FIGURES: dict[str, Callable[[], Figure]] = {
    "trial_overhead_s": trial_overhead_s,
    "trial_overhead_fresh_s": trial_overhead_fresh_s,
    "quickstart_s": quickstart_s,
}
