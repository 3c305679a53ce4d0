"""The baseline against itself on this machine: in how many shorter runs does the judge claim what is not there?"""

import json
import tempfile
from collections.abc import Callable
from pathlib import Path

from tests.real import small

Figure = dict[str, object]

ROUNDS = 520  # 26 runs of 20 rounds that share none: where none of them claims anything, the interval ends at 0.13
GOAL = 3 / 20


def aa_false_claims_share() -> Figure:
    """Of a small scenario, resampled as `pglab aa` does it; the interval is that of runs that share no round."""
    with tempfile.TemporaryDirectory(prefix="pglab-bench-") as folder:
        where = small.write(Path(folder))
        words = ("aa", "scenarios/small", "--on", "embedded", "--rounds", str(ROUNDS), "--json")
        done = small.pglab(where, *words, timeout=1_800)
    if done.returncode not in (0, 1):
        raise RuntimeError(done.stderr)
    told = json.loads(done.stdout)
    one = told["claims"]
    shown = not told["refused"]  # who cannot speak of time claims nothing falsely, and shows nothing by it
    holds: bool | str = True if one["high"] <= GOAL else (False if one["low"] > GOAL else "not shown")
    return {
        "value": one["share"],
        "low": one["low"],
        "high": one["high"],
        "unit": "share",
        "against": f"{one['experiments']} resampled runs, {one['independent']} of which share no round"
        + (f"; {told['refused']}" if not shown else ""),
        "goal": f"<= {GOAL}",
        "holds": holds if shown else "not shown",
    }


FIGURES: dict[str, Callable[[], Figure]] = {"aa_false_claims_share": aa_false_claims_share}
