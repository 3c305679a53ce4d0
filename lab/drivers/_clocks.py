"""One clock for several machines: what a load worker's clock says, told by this machine's.

A ping is (sent, theirs, back) in ns: sent and received by our CLOCK_MONOTONIC, answered by theirs.
Their clock was read between the two, so that an offset taken from their middle is wrong by half the
round trip at most, however unequal the two ways are (Cristian, Distributed Computing 3 (1989) 146).
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Ping = tuple[int, int, int]


@dataclass(frozen=True)
class Reading:
    """Theirs less ours at *at_ns* of ours, right to within *error_ns*."""

    at_ns: int = 0
    offset_ns: int = 0
    error_ns: int = 0


SAME = Reading()
"""Of a process on this machine, whose CLOCK_MONOTONIC is ours."""


def reading(pings: Iterable[Ping], *, same_machine: bool) -> Reading:
    """The offset by the ping with the shortest round trip.

    A *same_machine*, told by its boot id, has the same clock, if the pings do not say otherwise: a
    container may have been given another.

    >>> reading([(0, 1_000_400, 1000), (2000, 1_002_050, 2100)], same_machine=False)
    Reading(at_ns=2050, offset_ns=1000000, error_ns=50)
    >>> reading([(2000, 2060, 2100)], same_machine=True), reading([(2000, 2160, 2100)], same_machine=True).offset_ns
    (Reading(at_ns=2050, offset_ns=0, error_ns=0), 110)
    """
    sent, theirs, back = min(pings, key=lambda one: one[2] - one[0])
    at, error = (sent + back) // 2, (back - sent + 1) // 2
    if same_machine and abs(theirs - at) <= error:
        return Reading(at)
    return Reading(at, theirs - at, error)


def ours(theirs_ns: NDArray[np.int64], before: Reading, after: Reading) -> NDArray[np.int64]:
    """Times of their clock as times of ours, by an offset that drifts evenly from *before* to *after*.

    >>> ours(np.array([1000, 1500, 2010]), Reading(0, 1000), Reading(1000, 1010)).tolist()
    [0, 495, 1000]
    """
    drift = (after.offset_ns - before.offset_ns) / max(after.at_ns - before.at_ns, 1)
    since = theirs_ns - (before.at_ns + before.offset_ns)
    drifted: NDArray[np.int64] = np.rint(since * drift / (1 + drift)).astype(np.int64)
    return theirs_ns - before.offset_ns - drifted
