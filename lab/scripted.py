"""An author's locustfile, run slice by slice. Only inside Locust's process."""

import time

import gevent
import locust
from gevent import getcurrent
from gevent.event import Event
from locust.env import Environment
from locust.stats import RequestStats
from locust.util.load_locustfile import load_locustfile

from lab import pg
from lab.plain import Log, Order, RefusedError
from lab.waiting import Alarm


class Script:
    """An author's locustfile: Locust runs its users as ever, and their request events are operations.

    A user finds the server in `self.host`, as libpq's conninfo, and times what it does by
    `with self.environment.events.request.measure("pg", name):`. Its `response_length` is the rows.
    """

    def __init__(self, path: str) -> None:
        try:
            classes, _ = load_locustfile(path)
        except Exception as error:  # noqa: BLE001 - the author's module may raise anything
            raise RefusedError("script", f"{type(error).__name__}: {error}") from None
        users = [self._gated(user) for user in classes.values()]
        self._environment = Environment(user_classes=users, events=locust.events)
        self._runner = self._environment.create_local_runner()
        self._alarm = Alarm()
        locust.events.request.add_listener(self._record)  # type: ignore[no-untyped-call]

    def _gated(self, user: type[locust.User]) -> type[locust.User]:
        """The class, whose users connect in on_start and then wait for the slice to begin."""
        script = self

        class Gated(user):  # type: ignore[misc,valid-type]
            def on_start(self) -> None:
                try:
                    super().on_start()
                except Exception as error:  # noqa: BLE001 - the author's method may raise anything
                    script.failures.append(f"{type(error).__name__}: {error}")
                script.clients.append(getcurrent())
                script.gate.wait()

        Gated.__name__ = user.__name__
        return Gated

    def plan(self, order: Order) -> None:
        """Take the order for the next slice."""
        self._environment.host = order.conninfo
        self._for_s = order.for_s
        self.gate, self.done, self._halt = Event(), Event(), Event()
        self.failures: list[str] = []
        self.clients: list[gevent.Greenlet] = []
        self.names: list[str] = []
        self.logs = [Log(number) for number in order.clients]

    def open(self) -> None:
        """Spawn the users and wait until each has come through its on_start."""
        self._runner.start(len(self.logs), spawn_rate=100)
        while len(self.clients) < len(self.logs):
            gevent.sleep(0.001)
        if self.failures:
            self._runner.stop()
            raise RefusedError("script", f"on_start: {self.failures[0]}")

    def begin(self, zero_ns: int) -> None:
        """Let the users go at *zero_ns*, for the time of the slice."""
        gevent.spawn(self._run, zero_ns)

    def _run(self, zero_ns: int) -> None:
        self._alarm.until(zero_ns)
        self.gate.set()
        self._halt.wait(self._for_s)
        self._halt.set()
        self._runner.stop()
        self.done.set()

    def stop(self) -> None:
        """End the slice now."""
        self._halt.set()

    def _record(
        self, name: str, response_time: float, response_length: int, exception: object = None, **_: object
    ) -> None:
        """Take an event for an operation; what ends after the slice was cut off by its end."""
        if not self.gate.is_set():
            return  # of on_start
        me = getcurrent()
        log = self.logs[self.clients.index(me) if me in self.clients else 0]
        self.names += [name] if name not in self.names else []
        sqlstate = getattr(exception, "sqlstate", None)
        lost = isinstance(exception, pg.Error) and (sqlstate or "08").startswith("08")
        outcome = "unknown" if lost or self._halt.is_set() else "failed" if exception else None
        start_ns = time.monotonic_ns() - int(response_time * 1e6)
        log.add(self.names.index(name), start_ns, response_length or 0, outcome, sqlstate)

    def count(self, stats: RequestStats) -> None:
        """Nothing: Locust has counted."""
