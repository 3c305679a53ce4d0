"""When the process that watches looks, by a clock that only looks move; and servers that do not answer."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import Pipe

import pytest

from lab import pg
from lab.probes import _sampler
from lab.probes._sampler import Begin, Server, look, watch

MS = 1_000_000


class Clock:
    """Time that passes by waiting, and by *look_ns* at each look. It is the server as well."""

    def __init__(self, look_ns, until_ns):
        self.now, self.look_ns, self.until_ns = 0, look_ns, until_ns
        self.seen = {"active": [], "commits": []}

    def monotonic_ns(self):
        return self.now

    def over(self, for_s):
        self.now = min(self.now + round(for_s * 1e9), self.until_ns) if self.now < self.until_ns else self.now
        return self.now >= self.until_ns

    def waits(self):
        self.seen["active"].append(self.now)
        self.now += self.look_ns

    def totals(self):
        self.seen["commits"].append(self.now)


@pytest.fixture
def looks(monkeypatch):
    """From what a look takes to the times of all looks of one second, by name."""

    def at(look_ns):
        clock = Clock(look_ns, 1000 * MS)
        monkeypatch.setattr(_sampler, "time", clock)
        look(clock, Begin({"a": ""}, lab=1, ours=(), waits_ns=50 * MS, totals_ns=300 * MS), clock.over)
        return clock.seen

    return at


def test_looks_keep_to_their_beat_however_long_one_takes(looks):
    assert looks(10 * MS)["active"] == [number * 50 * MS for number in range(20)]


def test_looks_that_a_slow_answer_made_late_are_left_out(looks):
    assert looks(120 * MS)["active"] == [number * 120 * MS for number in range(9)]
    assert looks(70 * MS)["active"][:3] == [0, 70 * MS, 140 * MS]


def test_totals_are_read_at_both_ends_and_in_between(looks):
    assert looks(0)["commits"] == [0, 300 * MS, 600 * MS, 900 * MS, 1000 * MS]


# --- servers that do not answer -------------------------------------------------------------

EVERY = Begin({"a": "", "b": ""}, lab=1, ours=(), waits_ns=5 * MS, totals_ns=10 * MS)


class Sound:
    """A server that answers at once."""

    def waits(self):
        return {"active": 1.0}

    def totals(self):
        return {"commits": 1.0}


class Frozen(Sound):
    """One that answers no more until it is thawed."""

    def __init__(self):
        self.thawed = threading.Event()

    def waits(self):
        self.thawed.wait(5)
        return super().waits()


@pytest.fixture
def watched(monkeypatch):
    """Look at servers for a tenth of a second: node -> name -> how often, and who was lost."""
    monkeypatch.setattr(_sampler._machine, "totals", lambda _lab, _ours: {"cores": 2.0})
    monkeypatch.setattr(_sampler, "SILENT_NS", 20 * MS)
    monkeypatch.setattr(_sampler, "LAST_S", 0.2)

    def at(**servers):
        ours, its = Pipe()
        with ours, its:
            threading.Timer(0.1, ours.send, (None,)).start()
            notes, lost = watch(its, EVERY, servers)
        return {node: {name: len(notes.times[node, name]) for other, name in notes.times if other == node}
                for node, _ in notes.times}, lost  # fmt: skip

    return at


def test_a_frozen_server_keeps_nobody_from_looking_at_the_others(watched):
    frozen = Frozen()
    found, lost = watched(a=frozen, b=Sound())
    frozen.thawed.set()
    assert lost == {"a"}
    assert found["b"]["active"] > 5
    assert found[""]["cores"] > 3
    assert found["a"]["down"] == 1  # one look that has no answer, however long
    assert "active" not in found["a"]


def test_a_look_without_an_answer_at_the_end_is_told_however_short_it_was(watched, monkeypatch):
    frozen = Frozen()
    monkeypatch.setattr(_sampler, "SILENT_NS", 60_000 * MS)
    found, lost = watched(a=frozen)
    frozen.thawed.set()
    assert (lost, found["a"]["down"]) == ({"a"}, 1)


def test_what_is_done_once_it_looks_is_seen(monkeypatch):
    """A server that takes a while to be connected to."""
    monkeypatch.setattr(_sampler._machine, "totals", lambda _lab, _ours: {})
    ours, its = Pipe()
    slow, done = Sound(), []
    slow.totals = lambda: time.sleep(0.05) or {"commits": float(len(done))}
    with ours, its, ThreadPoolExecutor(1) as pool:
        watching = pool.submit(watch, its, EVERY, {"a": slow})
        assert ours.recv() == "looking"
        done.append("something")
        ours.send(None)
        notes, _ = watching.result()
    assert notes.values["a", "commits"][0] == 0.0


def test_servers_that_answer_are_never_down(watched):
    found, lost = watched(a=Sound(), b=Sound())
    assert lost == set()
    assert found["a"].keys() == found["b"].keys() == {"active", "commits"}


def test_a_question_that_is_wrong_is_no_server_that_is_down(watched):
    class Asked(Sound):
        def waits(self):
            raise pg.Error("there is no such view")

    with pytest.raises(pg.Error, match="no such view"):
        watched(a=Asked())


@pytest.mark.parametrize(("error", "down"), [(pg.OperationalError("gone"), True), (pg.Error("no such view"), False)])
def test_only_a_server_that_cannot_be_asked_is_down(monkeypatch, error, down):
    def refused(_):
        raise error

    monkeypatch.setattr(pg, "connect", refused)
    if down:
        assert Server("host=nowhere").totals() == {"down": 1.0}
    else:
        with pytest.raises(pg.Error, match="no such view"):
            Server("host=nowhere").totals()
