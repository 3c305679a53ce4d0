"""When calls are due: a rate becomes offsets in int64 ns from the start of a slice.

The schedule is made before anything is sent and does not know how the server does: a stalled
server finds its calls waiting, as it would in production.
"""

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Arrivals = Literal["constant", "poisson"]


def due_times(
    *, rate: float, for_s: float, arrivals: Arrivals = "constant", seed: int | None = None
) -> NDArray[np.int64]:
    """Offsets in ns, ascending, in [0, for_s). *rate* is in calls per second.

    `constant` is a call every 1/rate s, the first at once; no error accumulates.
    `poisson` is many independent users: the number of calls is drawn too, and equal for an equal *seed*.

    >>> due_times(rate=4, for_s=1).tolist()
    [0, 250000000, 500000000, 750000000]
    >>> len(due_times(rate=1000, for_s=10, arrivals="poisson", seed=1))
    10003
    """
    if not rate > 0 or not for_s > 0:
        raise ValueError(f"rate and time must be above 0, not {rate!r} per s for {for_s!r} s")
    if arrivals == "constant":
        count = int(np.ceil(round(rate * for_s, 6)))
        return (np.arange(count) * (1e9 / rate)).astype(np.int64)
    if arrivals == "poisson":
        return _poisson(rate, for_s, np.random.default_rng(seed))
    raise ValueError(f"arrivals: {arrivals!r} is none of constant, poisson")


def _poisson(rate: float, for_s: float, random: np.random.Generator) -> NDArray[np.int64]:
    """A Poisson process by its own theorem: given their number, arrivals are uniform and independent."""
    due: NDArray[np.int64] = np.sort(random.integers(0, int(for_s * 1e9), random.poisson(rate * for_s)))
    return due


def of_step(step: Any, *, seed: int) -> NDArray[np.int64]:
    """When the calls of a `drive` or `saturate` are due: drawn at its rate, or all at once for a closed loop."""
    if step.do == "saturate":
        return np.zeros(_SATURATE_CALLS, dtype=np.int64)
    return due_times(rate=step.rate, for_s=step.for_s, arrivals="poisson", seed=seed)


_SATURATE_CALLS = 20_000  # parameters drawn for a closed loop; repeated when they run out
