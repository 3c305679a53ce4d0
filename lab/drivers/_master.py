"""Locust's master: a process of its own that passes on what the lab and the load workers say.

The lab's pipe ends with its process, and this one with it. What comes from the network goes to the
lab as it is; only the lab decides whom it believes. Locust is imported before all else.
"""

import locust  # isort: split

import sys
import time
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import Any

import gevent
from gevent.event import AsyncResult
from locust.env import Environment
from locust.runners import STATE_MISSING
from locust.stats import get_stats_summary

from lab.waiting import end_with_parent

del locust  # it was imported for what that does

KIND = "pglab"
LOOK_S = 0.2  # how often it looks for workers that Locust has given up
PING_S = 2.0


class Master:
    """Takes (worker, order ...) from the pipe; sends (worker, answer ...), which is `lost` for one that is gone."""

    def __init__(self, pipe: Connection, host: str, port: int) -> None:
        self._pipe = pipe
        self._environment = Environment(user_classes=[])
        self._runner = self._environment.create_master_runner(host, port)
        self._runner.register_message(KIND, self._heard)
        self._pong, self._asked = AsyncResult(), ("", 0)
        gevent.spawn(self._watch)
        pipe.send(("up", self._runner.server.port))

    def serve(self) -> None:
        """Pass on until the pipe is closed; then let the workers go, and leave Locust's own table in the log."""
        with suppress(EOFError):
            while True:
                gevent.socket.wait_read(self._pipe.fileno())
                worker, order, *rest = self._pipe.recv()
                if order == "clock":
                    self._pipe.send((worker, "clock", self._pings(worker, *rest)))
                else:
                    self._runner.send_message(KIND, {"said": [order, *rest]}, worker)
        self._runner.quit()
        sys.stdout.write("\n".join(get_stats_summary(self._environment.stats)) + "\n")

    def _heard(self, environment: Environment, msg: Any) -> None:
        """In Locust's listener: a worker has said something, which may be anything."""
        del environment
        back_ns = time.monotonic_ns()
        said = msg.data.get("said") if isinstance(msg.data, dict) else None
        if not isinstance(said, list) or not said:
            return
        if said[0] != "pong":
            self._pipe.send((msg.node_id, *said))
        elif len(said) == 3 and (msg.node_id, said[1]) == self._asked:
            self._pong.set((said[2], back_ns))

    def _pings(self, worker: str, count: int) -> list[tuple[int, int, int]]:
        """So many pings of a worker, less those that it does not answer; see drivers/_clocks.py."""
        pings = []
        for _ in range(count):
            self._pong = AsyncResult()
            sent_ns = time.monotonic_ns()
            self._asked = worker, sent_ns
            self._runner.send_message(KIND, {"said": ["ping", sent_ns]}, worker)
            with suppress(gevent.Timeout):
                theirs_ns, back_ns = self._pong.get(timeout=PING_S)
                pings.append((sent_ns, theirs_ns, back_ns))
        return pings

    def _watch(self) -> None:
        """Tell of each worker that has left, or whose heartbeat Locust misses."""
        known: set[str] = set()
        while True:
            gevent.sleep(LOOK_S)
            alive = {name for name, node in self._runner.clients.items() if node.state != STATE_MISSING}
            for gone in known - alive:
                self._pipe.send((gone, "lost"))
            known = alive


def main(descriptor: int, host: str, port: int) -> None:
    """Serve until the lab closes the pipe or dies, however it dies."""
    end_with_parent()
    gevent.get_hub().SYSTEM_ERROR = (Exception,)  # a greenlet's exception is a bug of ours and ends the process
    Master(Connection(descriptor), host, port).serve()


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
