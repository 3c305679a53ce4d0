"""What a trial costs beside its steps: between and around them, from the clocks of stored trials.

A small scenario is run for real, once with kept instances and once with a fresh cluster for each
trial. The overhead of a trial is the time from the end of the trial before it to its own end, less
its steps: probes, row counts, writing to disk; for a fresh one also opening the cluster, its
schema, the load of two thousand rows, and settling, so that figure is an upper bound.
"""

import itertools
import math
import statistics
import tempfile
from collections.abc import Callable
from pathlib import Path

from scipy.stats import t

from lab import store
from tests.real import small

Figure = dict[str, object]
ROUNDS = {"kept": 10, "fresh": 4}


def trial_overhead_s() -> Figure:
    """Kept instances."""
    return _figure("kept", goal=0.2)


def trial_overhead_fresh_s() -> Figure:
    """A fresh cluster for each trial."""
    return _figure("fresh", goal=1.5)


def _figure(isolation: str, *, goal: float) -> Figure:
    seconds = _overheads(isolation)
    mean, n = statistics.fmean(seconds), len(seconds)
    half = float(t.ppf(0.975, n - 1)) * statistics.stdev(seconds) / math.sqrt(n)
    low, high = mean - half, mean + half
    holds: bool | str = True if high <= goal else (False if low > goal else "not shown")
    return {
        "value": mean,
        "low": low,
        "high": high,
        "unit": "s",
        "against": f"{n} trials of a small scenario, {isolation} instances",
        "goal": f"<= {goal}",
        "holds": holds,
    }


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


FIGURES: dict[str, Callable[[], Figure]] = {
    "trial_overhead_s": trial_overhead_s,
    "trial_overhead_fresh_s": trial_overhead_fresh_s,
}
