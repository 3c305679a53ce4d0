"""Rows that come twice, as from a queue that delivers at least once: which, and when they come again."""

from collections.abc import Iterable, Iterator

import numpy as np
import numpy.typing as npt
import pyarrow as pa

_SEED = 0x9E3779B97F4A7C15  # of splitmix64 (Steele, Lea, Flood, OOPSLA 2014)


class Again:
    """*batches*, each followed by a smaller one: the *share* of its rows that come twice, as they were.

    Which rows these are hangs on their place in the load alone, so that it is the same rows for every
    way and however the batches are cut. *rows*: how many came twice by now.
    """

    def __init__(self, batches: Iterable[pa.RecordBatch], share: float) -> None:
        self._batches, self._share = batches, share
        self.rows = 0

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        first = 0
        for batch in self._batches:
            yield batch
            twice = batch.filter(pa.array(chosen(first, first + batch.num_rows, self._share)))
            first += batch.num_rows
            if twice.num_rows:
                self.rows += twice.num_rows
                yield twice


def chosen(first: int, last: int, share: float) -> npt.NDArray[np.bool_]:
    """Of rows [first, last) of a load, those that come twice.

    >>> int(chosen(0, 100_000, 0.01).sum())
    1018
    >>> bool((chosen(0, 50, 0.5)[20:30] == chosen(20, 30, 0.5)).all())
    True
    """
    mixed = np.arange(first + 1, last + 1, dtype=np.uint64) * np.uint64(_SEED)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(factor)
    mixed ^= mixed >> np.uint64(31)
    taken: npt.NDArray[np.bool_] = (mixed >> np.uint64(11)) * 2.0**-53 < share
    return taken
