"""What sessions waited for, from the series of hand-written trials."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from lab.model import Instance
from lab.probes import SERIES
from lab.waits import facts, waits
from tests.slices import MS, START, drive, ops, sliced


def series(*readings):
    """A table of SERIES of the server `primary` from (at_ns, name, value)."""
    rows = [{"at_ns": at, "node": "primary", "name": name, "value": value} for at, name, value in readings]
    return pa.Table.from_pylist(rows, schema=SERIES)


def watched(*readings, **of_trial):
    """A trial of heap, driven for two seconds from START, with these readings."""
    item = sliced(drive(), ops(3))
    return replace(item, trial=replace(item.trial, **of_trial), series=series(*readings))


def test_a_share_is_of_the_sessions_seen_over_all_trials():
    one = watched((START, "active", 2.0), (START, "wait.IO:WalSync", 2.0))
    other = watched((START, "active", 6.0), (START, "wait.running", 5.0), (START, "wait.IO:WalSync", 1.0))
    found = waits([one, other])["heap"]
    assert found.looks == 2
    assert found.share("IO:WalSync") == 3 / 8


def test_looks_before_and_after_the_load_do_not_count():
    late = START + 2000 * MS
    item = watched((START - 1, "active", 9.0), (START - 1, "wait.running", 9.0), (late, "wait.running", 9.0))
    assert waits([item])["heap"].active == 0
    assert facts(waits([item])) == {}


def test_a_look_that_saw_nobody_is_a_look():
    item = watched((START, "active", 0.0), (START + MS, "active", 1.0), (START + MS, "wait.running", 1.0))
    assert facts(waits([item]))["candidates"]["heap"]["active"] == 0.5


def test_the_twin_and_trials_that_nobody_watched_are_left_out():
    twin = watched((START, "wait.running", 1.0), instance=Instance("heap", 2, twin=True))
    assert waits([twin, sliced(drive(), ops(3))]) == {}


def test_waits_without_a_row_are_summed():
    many = [(START, f"wait.LWLock:{number}", float(number)) for number in range(1, 11)]
    found = facts(waits([watched((START, "active", 55.0), *many)]))
    assert [row["wait"] for row in found["rows"]][:2] == ["LWLock:10", "LWLock:9"]
    assert found["candidates"]["heap"]["rest"] == pytest.approx((1 + 2 + 3 + 4) / 55)
    assert np.isclose(sum(row["shares"]["heap"] for row in found["rows"]) + found["candidates"]["heap"]["rest"], 1.0)


def test_servers_that_could_not_be_looked_at_are_told():
    item = watched((START, "active", 1.0), (START, "wait.running", 1.0), (START + MS, "down", 1.0))
    assert facts(waits([item]))["down"] == {"heap": {"name": "heap", "times": 1}}
    assert facts(waits([item]))["candidates"]["heap"]["looks"] == 1


def test_of_servers_that_always_answered_nothing_is_said():
    assert "down" not in facts(waits([watched((START, "active", 1.0), (START, "wait.running", 1.0))]))


def test_a_server_that_never_answered_is_told_although_nobody_was_seen():
    assert facts(waits([watched((START, "down", 1.0))])) == {
        "down": {"heap": {"name": "heap", "times": 1}},
        "candidates": {},
        "rows": [],
    }
