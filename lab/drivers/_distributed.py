"""Load from several machines: Locust's master and its workers, as the driver sees them.

The master is a process of the lab's, which passes on what either side says. Workers are started
here, or on other machines by `pglab load-worker`. Each that takes part has a seat: the same orders
and answers as a process of our own, a clock to be read, and one end: a worker that is lost in
mid-run is an error, as half of a load would be no load that anybody declared.
"""

import hmac
import importlib.metadata
import ipaddress
import os
import secrets
import socket
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import lab
from lab.drivers import _process
from lab.drivers._clocks import Reading, reading
from lab.drivers._process import UP_S, Process
from lab.errors import DriverError, PlaceError, ScenarioError
from lab.plain import DIALECT, Log, Order, packed

HOST, PORT = "127.0.0.1", 5557
COME_S = 600.0  # for workers of other machines to come
PINGS = 8
TOKEN = "PGLAB_LOAD_TOKEN"
"""Of the environment, here and there: what keeps a stranger's worker out."""


@contextmanager
def opened(workdir: Path, workers: int, bind: str | None, tell: Callable[[str], object]) -> Iterator[list["Seat"]]:
    """So many load workers, for the length of a `with` block: started here where *bind* is None.

    Else the master listens at *bind* (`address` or `address:port`), and workers of any machine are awaited,
    who know its token: that of the environment or, beyond loopback, one that is drawn. *tell* is told how
    they are started. PlaceError where the address is none of this machine or workers stay away.
    """
    host, port = (HOST, 0) if bind is None else address(bind)
    host = _listenable(host, port)
    given = os.environ.get(TOKEN, "") if bind is not None else ""
    token = secrets.token_hex(16) if bind is None else admission(host, given)
    with _process.opened(workdir / "master.log", "_master.py", host, str(port)) as process, ExitStack() as stack:
        _, port = process.hear(UP_S)
        own = {}
        for number in range(workers if bind is None else 0):
            one = stack.enter_context(_local(workdir / f"worker.{number}.log", port, token))
            own[one[0].pid] = one
        stack.callback(process.close)  # first of all: their master lets the workers go
        if bind is not None:
            tell(f"waiting for {workers} load workers, each by: {command(host, port, token, given)}")
        room = Room(process, workers, token, own, tell)
        room.fill(UP_S if bind is None else COME_S)
        yield room.seats


def admission(host: str, given: str) -> str:
    """The token that workers must have who come to *host*: the *given* one; else, beyond loopback, one that is drawn.

    >>> admission("127.0.0.1", ""), admission("10.0.0.5", "ours"), len(admission("10.0.0.5", ""))
    ('', 'ours', 32)
    """
    return given or ("" if ipaddress.ip_address(host).is_loopback else secrets.token_hex(16))


def command(host: str, port: int, token: str, given: str) -> str:
    """How a worker is started on another machine. A token that was *given* is known there, and not told.

    >>> command("10.0.0.5", 5557, "f0", "")
    'PGLAB_LOAD_TOKEN=f0 pglab load-worker --master 10.0.0.5 --port 5557'
    >>> command("10.0.0.5", 5557, "ours", "ours")
    'pglab load-worker --master 10.0.0.5 --port 5557 (PGLAB_LOAD_TOKEN as here)'
    """
    master = socket.gethostname() if host == "0.0.0.0" else host
    worker = f"pglab load-worker --master {master} --port {port}"
    if given:
        return f"{worker} ({TOKEN} as here)"
    return f"{TOKEN}={token} {worker}" if token else worker


def address(bind: str) -> tuple[str, int]:
    """The host and port of `--load-bind`.

    >>> address("10.0.0.5"), address("10.0.0.5:6000")
    (('10.0.0.5', 5557), ('10.0.0.5', 6000))
    """
    host, colon, port = bind.partition(":")
    if not host or (colon and not (port.isdigit() and 0 < int(port) < 65536)):
        raise ScenarioError(f"--load-bind: {bind!r} is no address (10.0.0.5, or 10.0.0.5:{PORT})")
    return host, int(port) if colon else PORT


def _listenable(host: str, port: int) -> str:
    """The number of an address of this machine where nobody listens yet; PlaceError where there is none."""
    try:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
            return str(probe.getsockname()[0])
    except OSError as error:
        raise PlaceError(
            f"--load-bind: {host}:{port}: {error.strerror or error} (an address of this machine, and a free port)"
        ) from None


@contextmanager
def _local(log: Path, port: int, token: str) -> Iterator[tuple["subprocess.Popen[bytes]", Path]]:
    """A worker on this machine; its master tells it when to end."""
    process = _process.launched(log, "_worker.py", HOST, str(port), "with-parent", given={TOKEN: token})
    try:
        yield process, log
    finally:
        _process.end(process)


class Room:
    """The master's pipe, and who has a seat; whoever else comes is refused, with the reason."""

    def __init__(
        self,
        process: Process,
        places: int,
        token: str,
        own: Mapping[int, tuple["subprocess.Popen[bytes]", Path]],
        tell: Callable[[str], object],
    ) -> None:
        self._process = process
        self._places = places
        self._token = token
        self._own = own
        self._tell = tell
        self._boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        self.seats: list[Seat] = []

    def fill(self, within_s: float) -> None:
        """Wait until every seat is taken; PlaceError where that takes longer."""
        deadline = time.monotonic() + within_s
        while len(self.seats) < self._places:
            left_s = deadline - time.monotonic()
            self._check_own()
            if left_s <= 0:
                raise PlaceError(
                    f"{len(self.seats)} of {self._places} load workers have come within {within_s:.0f} s "
                    "(pglab load-worker on each machine; is the port open between them?)"
                )
            self.listen(min(left_s, 1.0))

    def _check_own(self) -> None:
        for process, log in self._own.values():
            if process.poll() is not None:
                raise DriverError(f"load worker ended with status {process.wait()}: {_process.last_words(log)}")

    def listen(self, within_s: float) -> bool:
        """Take one message from the master, if one comes; False where none does."""
        if not self._process.heard(within_s):
            return False
        who, *said = self._process.hear(0)
        seat = next((one for one in self.seats if one.name == who), None)
        if seat is not None:
            seat.take(said)
        elif said[0] == "hello":
            self._greet(who, *said[1:])
        return True

    def _greet(self, who: str, *rest: Any) -> None:
        hello = rest[0] if rest and isinstance(rest[0], dict) else {}
        why = unfit(hello, self._token) or ("it has its workers" if len(self.seats) == self._places else None)
        if why:
            self._tell(f"a load worker of {hello.get('host', 'an unknown host')} is refused: {why}")
            self.send(who, "refused", why)
            return
        own = self._own.get(hello["pid"]) if hello["boot"] == self._boot else None
        self.seats.append(Seat(self, who, hello, here=hello["boot"] == self._boot, log=own[1] if own else None))
        count = f"{len(self.seats)} of {self._places}"
        self.send(who, "welcome", f"takes part, as {count}")
        if not own:
            self._tell(f"load worker {count} has come: {hello['host']}")

    def send(self, who: str, *order: object) -> None:
        """Have the master pass an order on."""
        self._process.tell(who, *order)


_HELLO = {"lab": str, "locust": str, "byteorder": str, "token": str, "host": str, "boot": str, "pid": int, "cores": int}


def unfit(hello: Mapping[Any, Any], token: str) -> str | None:
    """Why a worker that says this of itself cannot take part; None where it can.

    >>> unfit({"dialect": 0}, "")
    'it speaks another dialect, so its pglab is of another version'
    """
    if hello.get("dialect") != DIALECT or not all(isinstance(hello.get(key), kind) for key, kind in _HELLO.items()):
        return "it speaks another dialect, so its pglab is of another version"
    if not hmac.compare_digest(hello["token"].encode(), token.encode()):
        return f"it has another token ({TOKEN} is to be the same here and there)"
    ours = {"lab": lab.__version__, "locust": importlib.metadata.version("locust"), "byteorder": sys.byteorder}
    for key, named in {"lab": "pglab", "locust": "Locust", "byteorder": "byte order"}.items():
        if hello[key] != ours[key]:
            return f"its {named} is {hello[key]}, the run's is {ours[key]} (install the same)"
    return None


class Seat:
    """One load worker that takes part; as `_process.Process`, by way of the master."""

    def __init__(self, room: Room, name: str, hello: Mapping[str, Any], *, here: bool, log: Path | None) -> None:
        self.name = name
        self.about = {key: hello[key] for key in ("host", "cores", "locust", "pid")}
        self._room = room
        self._here = here
        self._log = log
        self._said: deque[tuple[Any, ...]] = deque()
        self._lost = False

    def take(self, said: list[Any]) -> None:
        """A message of this worker, from the room."""
        if said[0] == "lost":
            self._lost = True
        else:
            self._said.append(tuple(said))

    def tell(self, *order: Any) -> None:
        """See _process.Process.tell."""
        self._check()
        what, *rest = order
        self._room.send(self.name, *(plain(*rest) if what == "start" else order))

    def heard(self, within_s: float) -> bool:
        """See _process.Process.heard."""
        deadline = time.monotonic() + within_s
        while not self._said and not self._lost:
            if not self._room.listen(max(0.0, deadline - time.monotonic())) and time.monotonic() >= deadline:
                return False
        return True

    def hear(self, within_s: float) -> tuple[Any, ...]:
        """See _process.Process.hear."""
        if not self.heard(within_s):
            raise DriverError(f"{self._named()}: no answer within {within_s:.0f} s")
        if not self._said:
            self._check()
        answer = self._said.popleft()
        if answer[0] == "done":
            what, logs, *rest = answer
            return what, [Log.unpacked(log) for log in logs], *rest
        return answer

    def clock(self) -> Reading:
        """See _process.Process.clock; by pings, a few ms in all."""
        self.tell("clock", PINGS)
        _, pings = self.hear(UP_S)
        if not pings:
            raise DriverError(f"{self._named()}: answers no ping")
        return reading(pings, same_machine=self._here)

    def _check(self) -> None:
        if self._lost:
            words = f": {_process.last_words(self._log)}" if self._log else ""
            raise DriverError(f"{self._named()}: is lost, its heartbeat has stopped{words}")

    def _named(self) -> str:
        return f"load worker {self.about['host']} (process {self.about['pid']})"


def plain(order: Order) -> tuple[str, dict[str, Any], str | None]:
    """What a worker is told at `start`: the order, and the text of the locustfile that drives it."""
    script = None if order.script is None else Path(order.script).read_text(encoding="utf-8")
    return "start", packed(order), script
