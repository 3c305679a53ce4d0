"""A server that speaks just enough of PostgreSQL's protocol, and answers when it is told to.

It knows when each query arrived and when it was answered, on CLOCK_MONOTONIC, so that what a
driver writes down can be held against the truth. One row of one column, whatever is asked.
"""

import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

SECOND = 1_000_000_000
Answer = Callable[[int, int], int]
"""From the number of a query and its arrival in ns: when to answer it, in ns."""


def at_once(_number: int, arrived_ns: int) -> int:
    """Answer without delay."""
    return arrived_ns


def stalled(after_s: float, for_s: float) -> Answer:
    """Stand still once, *after_s* seconds after the first query."""
    first: list[int] = []

    def answer(_number: int, arrived_ns: int) -> int:
        first.append(arrived_ns)
        start_ns = first[0] + int(after_s * SECOND)
        end_ns = start_ns + int(for_s * SECOND)
        return end_ns if start_ns <= arrived_ns < end_ns else arrived_ns

    return answer


def slow(numbers: range, by_s: float) -> Answer:
    """Answer those queries late, the others at once."""
    return lambda number, arrived_ns: arrived_ns + int(by_s * SECOND) * (number in numbers)


@dataclass
class Stub:
    """A running stub: *seen* has (arrived_ns, answered_ns) by query, in the order of arrival."""

    conninfo: str
    answer: Answer
    spin: bool
    seen: dict[int, tuple[int, int]] = field(default_factory=dict)
    numbers: list[int] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def serve(self, peer: socket.socket) -> None:
        """One connection, until it ends."""
        with peer:
            (size,) = struct.unpack("!i", _exactly(peer, 4))
            _exactly(peer, size - 4)
            status = b"".join(
                _message(b"S", word) for word in (b"server_version\x0018.0\0", b"client_encoding\0UTF8\0")
            )
            peer.sendall(_message(b"R", struct.pack("!i", 0)) + status + _message(b"Z", b"I"))
            replies, waiting = b"", b""
            while True:
                waiting += self._receive(peer)
                arrived_ns = time.monotonic_ns()
                while len(waiting) >= 5 and len(waiting) >= 1 + struct.unpack("!i", waiting[1:5])[0]:
                    size = 1 + struct.unpack("!i", waiting[1:5])[0]
                    kind, waiting = waiting[:1], waiting[size:]
                    if kind == b"X":
                        return
                    replies += _REPLIES.get(kind, b"")
                    if kind in (b"S", b"Q"):
                        self._send(peer, replies, arrived_ns)
                        replies = b""

    def _send(self, peer: socket.socket, replies: bytes, arrived_ns: int) -> None:
        """Send what was gathered; if it answers a query, when it is to be answered."""
        if b"SELECT 1\0" not in replies:
            peer.sendall(replies)
            return
        with self.lock:
            number = len(self.numbers)
            self.numbers.append(number)
            at_ns = self.answer(number, arrived_ns)
        if at_ns > time.monotonic_ns():
            time.sleep((at_ns - time.monotonic_ns()) / SECOND)
        answered_ns = time.monotonic_ns()
        peer.sendall(replies)
        self.seen[number] = arrived_ns, answered_ns

    def _receive(self, peer: socket.socket) -> bytes:
        """What has come, at least one byte; with *spin* without ever going to sleep."""
        peer.setblocking(not self.spin)
        while True:
            try:
                data = peer.recv(65536)
            except BlockingIOError:
                continue
            finally:
                peer.setblocking(True)
            if not data:
                raise ConnectionError
            return data


def _message(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack("!i", 4 + len(body)) + body


_COLUMN = _message(b"T", struct.pack("!h", 1) + b"a\0" + struct.pack("!ihihih", 0, 0, 25, -1, -1, 0))
_ROW = _message(b"D", struct.pack("!hi", 1, 1) + b"1") + _message(b"C", b"SELECT 1\0")
_READY = _message(b"Z", b"I")
_REPLIES = {
    b"P": _message(b"1", b""),
    b"B": _message(b"2", b""),
    b"D": _COLUMN,
    b"E": _ROW,
    b"S": _READY,
    b"Q": _COLUMN + _ROW + _READY,
}


def _exactly(peer: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        more = peer.recv(size - len(data))
        if not more:
            raise ConnectionError
        data += more
    return data


@contextmanager
def serving(folder: Path, answer: Answer = at_once, *, spin: bool = False) -> Iterator[Stub]:
    """A stub on a Unix socket in *folder* (a short path). With *spin* its threads never sleep."""
    stub = Stub(f"host={folder} port=5432 user=stub dbname=stub", answer, spin)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(folder / ".s.PGSQL.5432"))
        listener.listen(64)
        threading.Thread(target=_accept, args=(listener, stub), daemon=True).start()
        try:
            yield stub
        finally:
            listener.shutdown(socket.SHUT_RDWR)  # wakes accept; close alone does not


def _accept(listener: socket.socket, stub: Stub) -> None:
    while True:
        try:
            peer, _ = listener.accept()
        except OSError:
            return
        threading.Thread(target=_serve, args=(stub, peer), daemon=True).start()


def _serve(stub: Stub, peer: socket.socket) -> None:
    with suppress(ConnectionError):
        stub.serve(peer)
