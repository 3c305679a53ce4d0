"""Series of servers and machine while load runs, on the load's own clock: waits, WAL, checkpoints, CPU, IO.

A process of its own looks (_sampler.py), as the lab's has nothing to do but wait while load runs, and
is to stay so. What throughput and latency were at any time is in the operations, on the same clock.
"""

import os
import subprocess
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, Pipe
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from lab.errors import PlaceError
from lab.model import Endpoint
from lab.probes import SERIES
from lab.probes._sampler import Begin, Seen

ANSWER_S = 30.0  # the last looks have a tenth of this
END_S = 5.0
_LEAVE_OUT = "leave the series out with --probes off"


@dataclass(frozen=True)
class Every:
    """How often is looked: at what sessions wait for, and at running totals."""

    waits_ns: int = 50_000_000
    totals_ns: int = 1_000_000_000


EVERY: Mapping[str, Every] = {"1s": Every(), "100ms": Every(waits_ns=20_000_000, totals_ns=100_000_000)}
"""What a scenario may write as `probes`, and how often it makes us look."""


class Watcher:
    """The process that watches. One slice at a time: begin, then end."""

    def __init__(self, process: "subprocess.Popen[bytes]", pipe: Connection, log: Path, every: Every) -> None:
        self._process = process
        self._pipe = pipe
        self._log = log
        self._every = every
        self.cpu_s = 0.0  # of all watching so far; the process' own start is in it

    def begin(self, nodes: Sequence[Endpoint], ours: Collection[int]) -> None:
        """Look at these servers, as superuser, from now on. *ours*: processes that serve, beside the lab's own.

        Returns once all were looked at, or have had the time to answer, so that what is done next is seen.
        """
        infos = {node.node: node.conninfo for node in nodes}
        self._tell(Begin(infos, os.getpid(), tuple(ours), self._every.waits_ns, self._every.totals_ns))
        self.hear()

    def end(self) -> pa.Table:
        """Look once more, stop looking, and give what was seen: a table of SERIES in the order of time."""
        self._tell(None)
        seen, self.cpu_s = self.hear()
        return table(seen)

    def hear(self) -> Any:
        """The next answer; PlaceError if there is none."""
        if not self._pipe.poll(ANSWER_S):
            raise PlaceError(f"the series: no answer within {ANSWER_S:.0f} s ({_LEAVE_OUT})")
        try:
            return self._pipe.recv()
        except (EOFError, ConnectionResetError):
            raise self._gone() from None

    @contextmanager
    def looking(self, nodes: Sequence[Endpoint], ours: Collection[int], series: list[pa.Table]) -> Iterator[None]:
        """Look for the length of a `with` block, and add to *series* what was seen, unless the block fails."""
        self.begin(nodes, ours)
        try:
            yield
        except BaseException:
            with suppress(PlaceError):  # the block's own error is the one to tell
                self.end()
            raise
        series.append(self.end())

    def forget(self) -> None:
        """Close the connections to all servers: some are to be stopped or restored."""
        self._tell("forget")

    def _tell(self, order: object) -> None:
        try:
            self._pipe.send(order)
        except BrokenPipeError:
            raise self._gone() from None

    def _gone(self) -> PlaceError:
        said = " / ".join(self._log.read_text(errors="replace").strip().splitlines()[-3:])
        return PlaceError(f"the series: the process that watches ended: {said or 'without a word'} ({_LEAVE_OUT})")


@contextmanager
def opened(workdir: Path, every: Every) -> Iterator[Watcher]:
    """A process that watches, for the length of a `with` block; its log is in *workdir*."""
    log = workdir / "watch.log"
    ours, its = Pipe()
    with ours:
        with its, log.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-P", "-m", "lab.probes._sampler", str(its.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env={**os.environ, "PYTHONPATH": os.pathsep.join([_ROOT, os.environ.get("PYTHONPATH", "")])},
                pass_fds=(its.fileno(),),
                start_new_session=True,
            )
        try:
            watcher = Watcher(process, ours, log, every)
            watcher.hear()
            yield watcher
        finally:
            ours.close()
            _end(process)


_ROOT = str(Path(__file__).parents[2])


def _end(process: "subprocess.Popen[bytes]") -> None:
    try:
        process.wait(END_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def table(seen: Seen) -> pa.Table:
    """What was seen as a table of SERIES.

    >>> from array import array
    >>> two = array("q", [20, 10]).tobytes(), array("d", [2.0, 1.0]).tobytes()
    >>> table({("primary", "active"): two}).to_pylist()[0]
    {'at_ns': 10, 'node': 'primary', 'name': 'active', 'value': 1.0}
    """
    keys = list(seen)
    which = np.repeat(np.arange(len(keys), dtype=np.int32), [len(times) // 8 for times, _ in seen.values()])
    at_ns = np.frombuffer(b"".join(times for times, _ in seen.values()), np.int64)
    values = np.frombuffer(b"".join(values for _, values in seen.values()), np.float64)
    order = np.argsort(at_ns, kind="stable")
    nodes, names = ([keys[index][part] for index in which[order]] for part in (0, 1))
    columns = [pa.array(at_ns[order]), pa.array(nodes).dictionary_encode(), pa.array(names).dictionary_encode()]
    return pa.table([*columns, pa.array(values[order])], names=SERIES.names).cast(SERIES)
