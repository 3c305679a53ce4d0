"""Whose processor time it was, from readings written down by hand."""

import os

import pytest

from lab.check import FOREIGN_SHARE
from lab.probes.host import foreign_share

CORES = len(os.sched_getaffinity(0))


def reading(*, busy=0.0, own=0.0, stolen=0.0, **listed):
    """CPU seconds of all cores at one moment; *listed* are the processes of others."""
    return {"busy_s": busy * CORES, "own_s": own * CORES, "stolen_s": stolen * CORES, "processes": listed}


def test_processes_too_short_to_be_listed_are_what_the_machine_did_beyond_the_rest():
    assert foreign_share(reading(busy=0.9, own=0.4), reading(), 1.0) > FOREIGN_SHARE


def test_what_the_lab_did_itself_is_not_foreign():
    assert foreign_share(reading(busy=0.9, own=0.9), reading(), 1.0) == 0


def test_what_sampling_by_ticks_explains_is_nobodys():
    assert foreign_share(reading(busy=0.5 / CORES, own=0.4 / CORES), reading(), 0.5 / CORES) == 0


def test_nobody_is_counted_twice():
    assert foreign_share(reading(busy=0.5, a=0.5 * CORES), reading(a=0.0), 1.0) == pytest.approx(0.5)


def test_the_lab_may_have_done_more_than_the_ticks_have_seen():
    assert foreign_share(reading(busy=0.2, own=0.9, a=0.1 * CORES), reading(a=0.0), 1.0) == pytest.approx(0.1)


def test_stolen_time_is_foreign():
    assert foreign_share(reading(stolen=0.3), reading(), 1.0) == pytest.approx(0.3)
