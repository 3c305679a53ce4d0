"""A load worker: Locust's own, told slice by slice what to send by the master of a run.

Started by `pglab load-worker`, by the run itself (`with-parent`), or in the image of docker/loadgen.
It connects to the master and listens nowhere. Locust is imported before all else.
"""

import locust  # isort: split

import gc
import json
import os
import platform
import socket
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import gevent
from gevent.queue import Queue
from locust.env import Environment

import lab
from lab import plain
from lab.generator import Client, Generator
from lab.waiting import end_with_parent

KIND = "pglab"
TOKEN = "PGLAB_LOAD_TOKEN"
INTERRUPTED, MISTAKE, NO_MASTER = 130, 2, 3


def about() -> dict[str, Any]:
    """What the lab wants to know before it lets a worker take part."""
    return {
        "dialect": plain.DIALECT,
        "lab": lab.__version__,
        "locust": locust.__version__,
        "python": platform.python_version(),
        "byteorder": sys.byteorder,
        "token": os.environ.get(TOKEN, ""),
        "host": socket.gethostname(),
        "cores": len(os.sched_getaffinity(0)),
        "boot": Path("/proc/sys/kernel/random/boot_id").read_text().strip(),
        "pid": os.getpid(),
    }


class Worker:
    """Takes orders from the master until it is let go, refused, or loses the master."""

    def __init__(self, master: str, port: int, folder: Path) -> None:
        environment = Environment(user_classes=[Client], catch_exceptions=False)
        self._folder = folder
        self._inbox: Queue[list[Any]] = Queue()
        self._runner = environment.create_worker_runner(master, port)
        self._runner.register_message(KIND, self._heard)
        self._generator = Generator(environment, spawn=self._spawned, send=self._send)
        gevent.spawn(self._until_let_go)
        self._say("hello", about())

    def serve(self) -> tuple[int, str]:
        """Do what the master says; the exit status, and why it ends."""
        while True:
            order, *rest = self._inbox.get()
            if order == "let go":
                return 0, "the run is over, or its master is gone"
            if order == "refused":
                return MISTAKE, f"the run refuses this worker: {rest[0]}"
            if order == "welcome":
                say(rest[0])
            elif order == "start":
                self._generator.do("start", self._order(*rest))
            else:
                self._generator.do(order, *rest)

    def _heard(self, environment: Environment, msg: Any) -> None:
        """In Locust's listener: a ping and a stop do not wait for their turn."""
        del environment
        said = msg.data["said"]
        if said[0] == "ping":
            self._say("pong", said[1], time.monotonic_ns())
        elif said[0] == "stop":
            self._generator.do("stop")
        else:
            self._inbox.put(said)

    def _send(self, answer: tuple[Any, ...]) -> None:
        if answer[0] == "done":
            what, logs, *rest = answer
            answer = (what, [log.packed() for log in logs], *rest)
        self._say(*answer)

    def _say(self, *said: Any) -> None:
        self._runner.send_message(KIND, {"said": list(said)})

    def _spawned(self, users: int) -> None:
        """What Locust does at its master's `spawn`; how many each worker has is the lab's to say."""
        self._runner.start_worker({Client.__name__: users})

    def _order(self, packed: dict[str, Any], script: str | None) -> plain.Order:
        """The order; a locustfile comes as its text, as Locust's own workers get theirs."""
        if script is None:
            return plain.unpacked(packed)
        path = self._folder / "locustfile.py"
        path.write_text(script, encoding="utf-8")
        return plain.unpacked({**packed, "script": str(path)})

    def _until_let_go(self) -> None:
        self._runner.greenlet.join()
        self._inbox.put(["let go"])


def say(words: str) -> None:
    """A line for who watches."""
    print(f"load worker: {words}", file=sys.stderr, flush=True)


def served(master: str, port: int) -> tuple[int, str]:
    """Look for the master, five minutes at most, and serve it; the exit status, and why it ends."""
    gevent.get_hub().SYSTEM_ERROR = (Exception,)  # a greenlet's exception is a bug of ours and ends the process
    gc.freeze()
    say(f"looking for the run at {master} port {port}")
    with tempfile.TemporaryDirectory() as folder:
        try:
            return Worker(master, port, Path(folder)).serve()
        except ConnectionError:
            return (
                NO_MASTER,
                f"no run answers at {master} port {port} (pglab run ... --load-workers N --load-bind ADDRESS)",
            )
        except (KeyboardInterrupt, SystemExit):  # the latter is Locust's, while it looks for its master
            return INTERRUPTED, "interrupted"


def main(master: str, port: int, *, as_json: bool) -> int:
    """Serve, and say on stdout how it ended."""
    status, why = served(master, port)
    print(json.dumps({"status": status, "ended": why}) if as_json else f"load worker: {why}", flush=True)
    return status


if __name__ == "__main__":
    if "with-parent" in sys.argv[3:]:
        end_with_parent()
    sys.exit(main(sys.argv[1], int(sys.argv[2]), as_json="json" in sys.argv[3:]))
