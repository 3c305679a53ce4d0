"""Which trials are no evidence, and why: slices written down by hand."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from lab import check
from lab.check import FAILED, FOREIGN, GENERATOR, NOT_ASSESSED, OVERLOADED, WARM_UP, Disagreement
from lab.model import Instance, Prepared, Slice
from tests.slices import MS, START, drive, ops, prepared, sliced, step


def kinds(*slices: Slice) -> set[str]:
    """The kinds of all doubts but that slices are too short to have warmed up."""
    return {doubt.kind for doubt in [*check.check(slices), *check.warm_up(slices)]} - {NOT_ASSESSED}


def leaves_out(item: Slice) -> bool:
    """Whether the trial is no evidence at all."""
    return any(doubt.leaves_out for doubt in check.check([item]))


def test_a_trial_as_it_should_be_is_not_doubted() -> None:
    assert kinds(sliced(drive(due=100), ops(100))) == set()


def test_a_half_loaded_table_is_no_evidence() -> None:
    item = sliced(drive(due=100), ops(100), rows=500, rows_due=1000)
    assert leaves_out(item)
    assert kinds(item) == {"rows"}


def test_a_trial_beside_an_autovacuum_worker_is_left_out() -> None:
    assert leaves_out(sliced(drive(due=100, autovacuums=1), ops(100)))


def test_a_trial_that_lost_operations_is_left_out() -> None:
    assert leaves_out(sliced(drive(due=101), ops(100)))
    assert kinds(sliced(drive(due=101), ops(100))) == {"missing operations"}


def test_a_load_workers_clock_that_is_off_by_more_than_a_millisecond_makes_the_times_doubtful() -> None:
    for error_ns, found in ((1_000_000, set()), (1_000_001, {check.CLOCKS})):
        workers = [{"host": "a", "clock_error_ns": 0}, {"host": "b", "clock_error_ns": error_ns}]
        assert kinds(sliced(drive(due=100, workers=workers), ops(100))) == found


def test_foreign_processes_make_the_times_doubtful_and_leave_the_rest() -> None:
    item = sliced(drive(due=100, foreign_cpu_share=0.11), ops(100))
    assert kinds(item) == {FOREIGN}
    assert not leaves_out(item)
    assert kinds(sliced(drive(due=100, foreign_cpu_share=0.09), ops(100))) == set()


def test_a_quota_that_keeps_servers_waiting_makes_the_times_doubtful_and_leaves_the_rest() -> None:
    item = sliced(drive(due=100, throttled_s={"primary": 0.0, "standby1": 0.03}), ops(100))  # of two seconds
    assert kinds(item) == {check.THROTTLED}
    assert not leaves_out(item)
    assert kinds(sliced(drive(due=100, throttled_s={"primary": 0.01, "standby1": 0.015}), ops(100))) == set()


def test_a_quota_that_keeps_servers_waiting_while_rows_arrive_is_what_a_quota_is_for() -> None:
    steps = [step("append", rows=5, throttled_s={"primary": 1.0}), drive(due=100)]
    assert kinds(sliced(steps, ops(100))) == set()


# --- who was late ---


def queued(number: int, *, every_ns: int, service_ns: int) -> pa.Table:
    """One client that is asked every so often and takes so long: it starts when it is free."""
    due = START + np.arange(number) * every_ns
    start = np.empty(number, dtype=np.int64)
    free = START
    for i in range(number):
        start[i] = max(due[i], free)
        free = start[i] + service_ns
    return ops(number, due=due, start=start, end=start + service_ns, clients=1)


def test_a_generator_capped_at_half_the_rate_is_found_and_the_server_not_blamed() -> None:
    due = START + np.arange(100) * 5 * MS
    start = START + np.arange(100) * 10 * MS
    item = sliced(drive(due=100, for_s=0.5, end_ns=START + 2000 * MS), ops(100, due=due, start=start, end=start + MS))
    assert kinds(item) == {GENERATOR}


def test_a_server_slower_than_the_rate_is_overloaded_and_the_generator_not_blamed() -> None:
    item = sliced(drive(due=100, for_s=0.5), queued(100, every_ns=5 * MS, service_ns=10 * MS))
    assert kinds(item) == {OVERLOADED}
    assert not leaves_out(item)


def test_operations_never_reached_are_part_of_the_overload() -> None:
    item = sliced(drive(due=100, for_s=0.5), queued(60, every_ns=5 * MS, service_ns=10 * MS))
    assert kinds(item) == {OVERLOADED}


def shared(number: int, *, service_ns: int, gap_ns: int) -> pa.Table:
    """Due every 4 ms; each of four clients takes so long, and so long again to begin the next."""
    due = START + np.arange(number) * 4 * MS
    turn, client = np.divmod(np.arange(number), 4)
    start = np.maximum(due + gap_ns, START + turn * (service_ns + gap_ns) + client * MS)
    return ops(number, due=due, start=start, end=start + service_ns)


def test_a_saturated_server_that_starves_the_generator_beside_it_is_overloaded() -> None:
    item = sliced(drive(due=200, for_s=0.8), shared(200, service_ns=20 * MS, gap_ns=3 * MS))
    assert check.generator_late(item) > check.LATE_SHARE
    assert kinds(item) == {OVERLOADED}


def test_a_queue_beside_clients_that_are_mostly_free_is_the_generators() -> None:
    item = sliced(drive(due=200, for_s=0.8), shared(200, service_ns=8 * MS, gap_ns=15 * MS))
    assert kinds(item) == {GENERATOR}


@pytest.mark.parametrize("place", [10, 50, 70])
def test_one_stall_is_no_overload(place: int) -> None:
    due = START + np.arange(100) * 5 * MS
    start = due.copy()
    stalled = slice(place, place + 28)
    start[stalled] = due[place] + 140 * MS
    table = ops(100, due=due, start=start, end=start + MS, clients=1)
    assert not check.lag_grows(table, drive(due=100, for_s=0.5))


def test_a_lag_that_does_not_grow_is_no_overload() -> None:
    due = START + np.arange(100) * 5 * MS
    item = ops(100, due=due, start=due + 100 * MS, end=due + 101 * MS)
    assert not check.lag_grows(item, drive(due=100, for_s=0.5))


def test_late_means_late_though_the_client_was_free() -> None:
    due = START + np.arange(50) * 10 * MS
    punctual = ops(50, due=due, start=due + MS, end=due + 2 * MS)
    late = ops(50, due=due, start=due + 3 * MS, end=due + 4 * MS)
    assert check.generator_late(sliced(drive(), punctual)) == 0.0
    assert check.generator_late(sliced(drive(), late)) == 1.0


def test_a_saturating_step_has_no_due_times_to_be_late_for() -> None:
    step = drive() | {"do": "saturate"}
    assert check.generator_late(sliced(step, queued(50, every_ns=MS, service_ns=10 * MS))) == 0.0


# --- failures and warm-up ---


@pytest.mark.parametrize("outcome", ["failed", "unknown"])
def test_failed_operations_are_told_and_take_nothing_away(outcome: str) -> None:
    outcomes = ["ok"] * 99 + [outcome]
    item = sliced(drive(due=100), ops(100, outcome=outcomes))
    assert kinds(item) == {FAILED}
    assert FAILED in check.NOTES
    assert not leaves_out(item)


def warming(first: float, seed: int, number: int = 90) -> pa.Table:
    """A slice whose first third takes *first* times as long."""
    rng = np.random.default_rng(seed)
    service = rng.lognormal(mean=np.log(MS), sigma=0.2, size=number) * np.where(
        np.arange(number) < number / 3, first, 1
    )
    due = START + np.arange(number) * 5 * MS
    return ops(number, due=due, start=due, end=due + service.astype(np.int64))


def over_rounds(first: float, number: int = 90) -> list[Slice]:
    """Six rounds of one instance."""
    return [sliced(drive(due=number), warming(first, r, number), round_=r) for r in range(6)]


def test_a_half_speed_start_is_found() -> None:
    assert kinds(*over_rounds(2.0)) == {WARM_UP}


def test_an_even_speed_is_no_warm_up() -> None:
    assert kinds(*over_rounds(1.0)) == set()


def test_slices_with_few_operations_are_not_assessed() -> None:
    (doubt,) = check.warm_up(over_rounds(2.0, number=59))
    assert doubt.kind == NOT_ASSESSED
    assert not doubt.leaves_out


def test_a_slow_query_that_comes_first_is_no_warm_up() -> None:
    due = START + np.arange(90) * 5 * MS
    rare = np.where(np.arange(90) < 30, np.arange(90) % 3, np.arange(90) % 30) == 0
    names = ["report" if r else "recent" for r in rare]
    end = due + np.where(rare, 40 * MS, MS)
    items = [
        sliced(drive(due=90), ops(90, due=due, start=due, end=end, name=names, clients=90), round_=r) for r in (0, 1)
    ]
    assert check.warm_up(items) == []


# --- answers ---


def test_equal_answers_agree() -> None:
    digests = {"recent": ("aa", "bb")}
    assert check.disagreements([prepared("heap", digests), prepared("brin", digests)], "heap") == []


def test_a_rewrite_that_loses_rows_is_named_with_query_and_parameters() -> None:
    baseline = prepared("heap", {"recent": ("aa", "bb"), "latest": ("cc",)})
    rewrite = prepared("jsonb", {"recent": ("aa", "xx"), "latest": ("cc",)})
    assert check.disagreements([rewrite, baseline], "heap") == [Disagreement("jsonb", "recent", 1)]


def test_other_questions_are_found_by_the_digests() -> None:
    given = [prepared("heap", {"recent": ("aa", "bb")}), prepared("brin", {"recent": ("aa",)}), prepared("none", {})]
    assert check.disagreements(given, "heap") == [
        Disagreement("brin", "recent", None),
        Disagreement("none", "recent", None),
    ]


def test_the_twin_is_asked_as_well() -> None:
    twin = prepared("heap", {"recent": ("zz",)}, instance=Instance("heap", 2, twin=True))
    found = check.disagreements([prepared("heap", {"recent": ("aa",)}), twin], "heap")
    assert found == [Disagreement("heap (twin)", "recent", 0)]


def test_a_query_on_which_the_baseline_disagrees_with_itself_puts_nobody_out_and_is_told() -> None:
    loads = [prepared("heap", {"newest": ("aa",), "recent": ("cc",)}, instance=Instance("heap", n)) for n in (1, 2)]
    loads[1] = prepared("heap", {"newest": ("zz",), "recent": ("cc",)}, instance=Instance("heap", 2))
    found = check.disagreements([*loads, prepared("brin", {"newest": ("bb",), "recent": ("dd",)})], "heap")
    assert check.counting(found, "heap") == [Disagreement("brin", "recent", 0)]
    (doubt,) = check.unstable_answers(found, "heap")
    assert "newest" in doubt.what
    assert doubt.kind in check.NOTES


def test_no_phrase_holds_a_digit() -> None:
    items = [
        *over_rounds(2.0),
        sliced(drive(due=3, autovacuums=1, foreign_cpu_share=0.5), ops(2, outcome=["failed"] * 2), rows=1),
    ]
    doubts = [*check.check(items), *check.warm_up(items)]
    assert len(doubts) > 4
    assert not any(c.isdigit() for doubt in doubts for c in doubt.what)


# --- durability ---


def durable_as(name: str, **off: str) -> Prepared:
    return replace(prepared(name), settings={setting: {"value": value} for setting, value in off.items()})


@pytest.mark.parametrize("setting", ["fsync", "full_page_writes"])
def test_a_candidate_that_a_crash_may_leave_nothing_is_not_of_the_baselines_durability(setting: str) -> None:
    both = [durable_as("heap"), durable_as("risky", **{setting: "off"})]
    assert check.uneven(both, "heap") == {"risky"}
    assert check.uneven(both, "risky") == {"heap"}
    assert check.uneven([durable_as("heap", **{setting: "off"}), both[1]], "heap") == frozenset()


def test_tables_that_a_crash_would_empty_are_not_of_the_baselines_durability() -> None:
    both = [durable_as("heap"), replace(prepared("risky"), report={"unlogged": ["events"]})]
    assert check.uneven(both, "heap") == {"risky"}


def test_what_may_lose_the_last_commits_is_a_guarantee_that_is_lost_and_compared() -> None:
    assert check.uneven([durable_as("heap"), durable_as("late", synchronous_commit="off")], "heap") == frozenset()


# --- drift ---


def run_of(cpu_s: list[float]) -> list:
    """A baseline whose slices cost the server so many CPU seconds."""
    return [sliced(drive(server_cpu_s=cpu), ops(90), round_=r) for r, cpu in enumerate(cpu_s)]


def test_a_machine_that_slows_down_is_told() -> None:
    (doubt,) = check.drift(run_of([0.10, 0.11, 0.09, 0.10, 0.20, 0.21, 0.19, 0.20]), "heap")
    assert doubt.kind == check.DRIFT
    assert "more processor time" in doubt.what
    assert doubt.kind in check.NOTES, "interleaving keeps drift out of the ratios"


def test_an_even_machine_is_not_said_to_drift() -> None:
    assert check.drift(run_of([0.10, 0.11, 0.09, 0.10, 0.11, 0.10, 0.09, 0.10]), "heap") == []


def test_another_candidates_drift_is_not_the_machines() -> None:
    assert check.drift(run_of([0.1] * 4 + [0.2] * 4), "brin") == []
