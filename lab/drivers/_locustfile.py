"""What Locust runs: a process of its own that is told slice by slice what to send.

Orders come over a pipe from lab/drivers/locust.py, which ends with the lab's own process, and this
one with it. Locust is imported before all else, as lab/generator.py says.
"""

import locust  # isort: split

import gc
import sys
from contextlib import suppress
from multiprocessing.connection import Connection

import gevent
from locust.env import Environment
from locust.stats import get_stats_summary

from lab.generator import Client, Generator
from lab.waiting import end_with_parent

del locust  # it was imported for what that does


def serve(pipe: Connection) -> None:
    """Do what the pipe says until it is closed, and leave Locust's own table in the log."""
    environment = Environment(user_classes=[Client], catch_exceptions=False)
    runner = environment.create_local_runner()
    generator = Generator(environment, spawn=lambda users: runner.start(users, spawn_rate=100), send=pipe.send)
    with suppress(EOFError):
        while True:
            gevent.socket.wait_read(pipe.fileno())
            generator.do(*pipe.recv())
    sys.stdout.write("\n".join(get_stats_summary(environment.stats)) + "\n")


def main(descriptor: int) -> None:
    """Serve until the lab closes the pipe or dies, however it dies."""
    end_with_parent()
    gevent.get_hub().SYSTEM_ERROR = (Exception,)  # a greenlet's exception is a bug of ours and ends the process
    gc.freeze()
    serve(Connection(descriptor))


if __name__ == "__main__":
    main(int(sys.argv[1]))
