"""The least client that there can be, as a program: bare.py FOLDER SECONDS.

It asks the stub whose socket is in FOLDER one query after the other, and waits for each answer by poll(2) as
whoever serves several connections must; then it prints [[sent_ns, answered_ns], ...]. What its clock is off by
is the machine's own share of what a driver's is off by.
"""

import json
import select
import socket
import struct
import sys
import time


def message(kind: bytes, body: bytes) -> bytes:
    """One message of PostgreSQL's protocol."""
    return kind + struct.pack("!i", 4 + len(body)) + body


READY = b"Z\0\0\0\5I"
STARTUP = message(b"", struct.pack("!i", 196_608) + b"user\0stub\0\0")
QUERY = message(b"B", bytes(8)) + message(b"D", b"P\0") + message(b"E", bytes(5)) + message(b"S", b"")


def asked(peer: socket.socket, for_s: float) -> list[tuple[int, int]]:
    """When each query was sent and when its answer was there, in ns on CLOCK_MONOTONIC."""
    waiting = select.poll()
    waiting.register(peer, select.POLLIN)
    peer.sendall(STARTUP)
    while not peer.recv(65_536).endswith(READY):
        pass
    found = []
    until_ns = time.monotonic_ns() + int(for_s * 1e9)
    while (sent_ns := time.monotonic_ns()) < until_ns:
        peer.sendall(QUERY)
        answer = b""
        while not answer.endswith(READY):
            waiting.poll()
            answer += peer.recv(65_536)
        found.append((sent_ns, time.monotonic_ns()))
    return found


if __name__ == "__main__":
    with socket.socket(socket.AF_UNIX) as link:
        link.connect(f"{sys.argv[1]}/.s.PGSQL.5432")
        print(json.dumps(asked(link, float(sys.argv[2]))))
