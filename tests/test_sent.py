"""The plan's account of who sent the load."""

import numpy as np
import pytest

from lab import plan, render, sent
from tests import samples
from tests.slices import MS, START, drive, ops, sliced, step


def worker(host, pid, *, share, error_ns=0, cores=8):
    return {"host": host, "cores": cores, "locust": "2", "pid": pid, "cpu_share": share, "clock_error_ns": error_ns}


def test_the_generators_share_is_of_the_time_that_load_was_driven_for():
    first = drive(due=100, generator_cpu_s=1.0, for_s=2.0)
    second = drive(due=100, generator_cpu_s=0.4, for_s=4.0)
    found = sent.sent([sliced([step("append"), first], ops(100)), sliced(second, ops(100))])
    assert (found["mean"], found["most"], found["hosts"]) == (pytest.approx(1.4 / 6), 0.5, [])


def test_operations_that_a_free_client_started_late_are_counted_and_told():
    due = START + np.arange(100) * 10 * MS
    late = ops(100, start=due + np.where(np.arange(100) % 10 == 0, 3, 0) * MS)
    found = sent.sent([sliced(drive(due=100, generator_cpu_s=1.0), late), sliced(drive(due=100), ops(100))])
    assert found["late"] == {"count": 10, "due": 200, "by_ms": 2.0}
    told = "Operations that started more than 2.00 ms late although a client was free: 10 of 200 that had"
    assert told in page_of(samples.judged(load=found))
    saturated = {**found, "late": {"count": 0, "due": 0, "by_ms": 2.0}}
    assert "although a client was free" not in page_of(samples.judged(load=saturated))


def test_where_nothing_was_driven_there_is_nothing_to_say():
    assert sent.sent([sliced(step("retire"), ops(0))]) == {}


def test_each_host_is_told_with_its_busiest_worker_and_its_worst_clock():
    one = [worker("b", 1, share=0.2, error_ns=30_000), worker("a", 2, share=0.3), worker("a", 3, share=0.9)]
    two = [worker("b", 9, share=0.4, error_ns=20_000), worker("a", 2, share=0.1), worker("a", 3, share=0.1)]
    slices = [sliced(drive(due=9, generator_cpu_s=1.0, workers=each), ops(9)) for each in (one, two)]
    assert sent.sent(slices)["hosts"] == [
        {"host": "a", "workers": 2, "cores": 8, "cpu_share": 0.9, "clock_error_ms": 0.0},
        {"host": "b", "workers": 1, "cores": 8, "cpu_share": 0.4, "clock_error_ms": 0.03},
    ]


def test_a_plan_says_who_sent_the_load_and_what_it_took():
    host = {"host": "load-1", "workers": 2, "cores": 8, "cpu_share": 0.62, "clock_error_ms": 0.031}
    page = page_of(samples.judged(load={"mean": 1.1, "most": 1.24, "hosts": [host]}))
    assert "took 110 % of a core while load was driven, 124 % at the most in a trial, all workers together." in page
    assert "from load-1: workers: 2, cores: 8; at the most 62 % of a core for a worker, and its times right to " in page
    page = page_of(samples.judged(load={"mean": 0.25, "most": 0.5, "hosts": []}))
    assert "took 25 % of a core while load was driven, 50 % at the most in a trial.\n" in page
    assert "load generator took" not in page_of(samples.judged(load={}))


def page_of(judged):
    return next(iter(render.pages(plan.plan(judged)).values())).text
