"""How greenlets wait: for a connection's answer, and for a time. Only inside Locust's processes."""

import ctypes
import os
import signal
import time

import gevent
from gevent import getcurrent

WAKE_NS = 100_000  # what waking up takes; what is left of it is spent looking at the clock
_LIBC = ctypes.CDLL(None, use_errno=True)
_TFD_TIMER_ABSTIME = 1
_PR_SET_PDEATHSIG = 1
_READ, _WRITE = 1, 2


class Watched:
    """pg.Waits for greenlets: one watcher a connection, which stays in the loop between its operations.

    gevent's own `hub.wait` puts a watcher into the loop and takes it out for every wait.
    """

    def __init__(self, descriptor: int) -> None:
        self._hub = gevent.get_hub()
        self._switch = self._hub.switch
        self._input, self._output = (self._hub.loop.io(descriptor, event) for event in (_READ, _WRITE))
        self._stop = self._input.stop

    def readable(self) -> None:
        """Wait until there is something to read."""
        watcher = self._input
        if watcher.active:
            watcher.callback = getcurrent().switch
        else:
            watcher.start(getcurrent().switch)
        try:
            self._switch()
        finally:  # also where the client is stopped here: what comes when nobody waits is read with the next answer
            watcher.callback = self._stop

    def writable(self) -> None:
        """Wait until something can be sent."""
        self._hub.wait(self._output)

    def close(self) -> None:
        """Leave the loop, before the descriptor is closed."""
        self._input.stop()


class Alarm:
    """Waits for a time on CLOCK_MONOTONIC by a timer of the kernel's; gevent's own count whole ms."""

    def __init__(self) -> None:
        self._timer = _LIBC.timerfd_create(time.CLOCK_MONOTONIC, os.O_NONBLOCK | os.O_CLOEXEC)
        if self._timer < 0:
            raise OSError(ctypes.get_errno(), "timerfd_create")
        self._hub = gevent.get_hub()
        self._input = self._hub.loop.io(self._timer, _READ)

    def until(self, at_ns: int) -> None:
        """Return at *at_ns*, or at once if that is past."""
        while time.monotonic_ns() < at_ns - WAKE_NS:
            spec = (ctypes.c_long * 4)(0, 0, *divmod(at_ns - WAKE_NS, 1_000_000_000))
            _LIBC.timerfd_settime(self._timer, _TFD_TIMER_ABSTIME, spec, None)
            self._hub.wait(self._input)  # in the loop only now: what an earlier ring left there would end this one
        while time.monotonic_ns() < at_ns:
            gevent.sleep(0)  # lets the others' answers in


def end_with_parent() -> None:
    """Have the kernel end this process when the one that started it ends, however it ends."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
