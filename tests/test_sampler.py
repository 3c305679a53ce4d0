"""When the process that watches looks, by a clock that only the looks themselves move."""

import pytest

from lab.probes import _sampler
from lab.probes._sampler import Begin, watch

MS = 1_000_000


class Clock:
    """Time that passes by waiting, and by *look_ns* at each look. It is the pipe as well: *until_ns*, then a word."""

    def __init__(self, look_ns, until_ns):
        self.now, self.look_ns, self.until_ns = 0, look_ns, until_ns

    def monotonic_ns(self):
        return self.now

    def poll(self, for_s):
        self.now = min(self.now + round(for_s * 1e9), self.until_ns) if self.now < self.until_ns else self.now
        return self.now >= self.until_ns

    def waits(self):
        self.now += self.look_ns
        return {"active": 1.0}

    def totals(self):
        return {"commits": 1.0}


@pytest.fixture
def looks(monkeypatch):
    """From what a look takes to the times of all looks of one second, by name."""
    monkeypatch.setattr(_sampler._machine, "totals", lambda _lab, _ours: {})

    def at(look_ns):
        clock = Clock(look_ns, 1000 * MS)
        monkeypatch.setattr(_sampler, "time", clock)
        begin = Begin({"a": ""}, lab=1, ours=(), waits_ns=50 * MS, totals_ns=300 * MS)
        notes = watch(clock, begin, {"a": clock})
        return {name: list(times) for (_, name), times in notes.times.items()}

    return at


def test_looks_keep_to_their_beat_however_long_one_takes(looks):
    assert looks(10 * MS)["active"] == [number * 50 * MS for number in range(20)]


def test_looks_that_a_slow_answer_made_late_are_left_out(looks):
    assert looks(120 * MS)["active"] == [number * 120 * MS for number in range(9)]
    assert looks(70 * MS)["active"][:3] == [0, 70 * MS, 140 * MS]


def test_totals_are_read_at_both_ends_and_in_between(looks):
    assert looks(0)["commits"] == [0, 300 * MS, 600 * MS, 900 * MS, 1000 * MS]
