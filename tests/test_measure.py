"""From operations and facts to numbers: which, in which unit, and which not."""

import numpy as np
import pytest

from lab import measure, metrics
from lab.model import Instance, Measurement, Requirement, Slice
from tests.slices import MS, START, drive, ops, prepared, sliced, step

LIMIT = Requirement("query.recent.p95_ms", at_most=50.0)


def values(item: Slice, *requirements: Requirement) -> dict[str, float]:
    """Everything one trial says."""
    return {m.metric: m.value for m in measure.measure([item], requirements=requirements)}


def lasting(*ms: float, **more: object) -> Slice:
    """A trial whose operations took so long."""
    due = START + np.arange(len(ms)) * 10 * MS
    return sliced(drive(), ops(len(ms), due=due, end=due + np.array([int(x * MS) for x in ms]), **more))  # type: ignore[arg-type]


def test_latency_counts_from_due() -> None:
    due = START + np.arange(100) * 10 * MS
    start = np.maximum(due, START + 500 * MS)  # a stall: half of them could not start
    item = sliced(drive(), ops(100, due=due, start=start, end=start + MS))
    assert values(item)["query.recent.max_ms"] == pytest.approx(501)
    assert values(item)["query.recent.p95_ms"] > 400


def test_a_stalling_server_is_seen_in_the_quantiles() -> None:
    """A second's stall every thirty: closed-loop timing would show 1 ms (METHOD section 1)."""
    due = START + np.arange(3000) * 10 * MS
    ready = np.where(due % (30_000 * MS) < 1000 * MS, due - due % (30_000 * MS) + 1000 * MS, due)
    item = sliced(drive(end_ns=START + 30_000 * MS), ops(3000, due=due, start=due, end=ready + MS))
    assert values(item)["query.recent.p99_ms"] > 500
    assert values(item)["query.recent.p50_ms"] == pytest.approx(1.0)


def test_sub_millisecond_times_survive() -> None:
    found = values(lasting(*[0.2] * 60, *[0.4] * 40))
    assert found["query.recent.p50_ms"] == 0.2
    assert found["query.recent.mean_ms"] == pytest.approx(0.28)


@pytest.mark.parametrize(("quantile", "needed"), [("p50", 6), ("p95", 59), ("p99", 299), ("p999", 2995)])
def test_a_quantile_with_too_few_operations_is_not_given(quantile: str, needed: int) -> None:
    name = f"query.recent.{quantile}_ms"
    step_ = drive(end_ns=START + 60_000 * MS)
    few, enough = sliced(step_, ops(needed - 1)), sliced(step_, ops(needed))
    assert name not in values(few)
    assert name in values(enough)
    missing = {n.metric: n for n in measure.not_estimable([few])}
    assert missing[name] == measure.NotEstimable(Instance("heap", 1), name, needed - 1, needed)
    assert name not in {n.metric for n in measure.not_estimable([few, enough])}


def test_queries_are_measured_apart() -> None:
    names = ["recent", "report"] * 50
    due = START + np.arange(100) * 10 * MS
    end = due + np.where(np.arange(100) % 2 == 0, MS, 9 * MS)
    found = values(sliced(drive(), ops(100, due=due, end=end, name=names)))
    assert (found["query.recent.mean_ms"], found["query.report.mean_ms"]) == (1.0, 9.0)
    assert found["query.recent.per_s"] == 25.0


def test_the_limit_of_a_requirement_is_what_operations_are_counted_over() -> None:
    measured = measure.measure([lasting(*[10] * 90, *[60] * 10)], requirements=[LIMIT])
    (over,) = [m for m in measured if m.metric == "query.recent.over_limit_share"]
    assert (over.value, over.operations, over.limit_ms) == (0.1, 100, 50.0)


def test_two_limits_on_a_query_are_counted_apart() -> None:
    wide = Requirement("query.recent.over_limit_share", at_most=0.01, limit_ms=200.0)
    measured = measure.measure([lasting(*[10] * 50, *[60] * 40, *[300] * 10)], requirements=[LIMIT, wide])
    over = {m.limit_ms: m.value for m in measured if m.metric == "query.recent.over_limit_share"}
    assert over == {50.0: 0.5, 200.0: 0.1}


def test_an_operation_exactly_at_the_limit_is_within_it() -> None:
    assert values(lasting(*[50] * 10), LIMIT)["query.recent.over_limit_share"] == 0.0


@pytest.mark.parametrize("outcome", ["failed", "unknown"])
def test_what_failed_is_over_any_limit_and_in_no_latency(outcome: str) -> None:
    item = lasting(*[10] * 75, *[1] * 25, outcome=["ok"] * 75 + [outcome] * 25)
    found = values(item, LIMIT)
    assert found["query.recent.error_share"] == 0.25
    assert found["query.recent.over_limit_share"] == 0.25
    assert found["query.recent.mean_ms"] == 10.0
    assert found["query.recent.per_s"] == 37.5


def test_a_trial_in_which_everything_failed_has_shares_and_no_latency() -> None:
    found = values(lasting(1, 1, outcome=["failed"] * 2), LIMIT)
    assert found["query.recent.error_share"] == 1.0
    assert not {name for name in found if name.endswith("_ms")}


def test_the_mix_costs_the_server_planning_and_execution() -> None:
    statements = {
        "recent": {"calls": 90, "plan_ms": 9.0, "exec_ms": 81.0},
        "report": {"calls": 10, "plan_ms": 10.0, "exec_ms": 100.0},
    }
    found = values(sliced(drive(statements=statements, generator_cpu_s=0.004, server_cpu_s=0.2), ops(100)))
    assert found["mix.server_ms_per_op"] == pytest.approx(2.0)
    assert found["mix.generator_us_per_op"] == pytest.approx(40.0)
    assert found["cpu_s_per_op"] == pytest.approx(0.002)
    assert found["mix.per_s"] == 50.0


def test_blocks_while_driven_are_those_of_all_statements_of_an_operation() -> None:
    statements = {"recent": {"calls": 300, "plan_ms": 1.0, "exec_ms": 1.0, "blocks": 450}}
    found = measure.measure([sliced(drive(statements=statements), ops(100))])
    [one] = [one for one in found if one.metric == "query.recent.driven_blocks_per_call"]
    assert (one.value, one.operations) == (4.5, 100)


def test_saturation_has_a_service_time_and_no_latency() -> None:
    saturate = drive() | {"do": "saturate"}
    due = START + np.arange(100) * MS
    found = values(sliced(saturate, ops(100, due=due, start=due + MS, end=due + 4 * MS)))
    assert found["saturate.per_s"] == 50.0
    assert found["saturate.service_ms"] == pytest.approx(3.0)
    assert not {name for name in found if name.startswith("query.")}


def test_the_rate_of_an_overloaded_server_is_what_it_did_and_not_what_was_asked() -> None:
    due = START + np.arange(200) * 10 * MS
    end = START + np.arange(1, 201) * 20 * MS
    found = values(sliced(drive(end_ns=START + 5000 * MS), ops(200, due=due, start=end - MS, end=end)))
    assert found["mix.per_s"] == pytest.approx(50.0)


def test_operations_belong_to_the_step_they_were_due_in() -> None:
    first = drive(end_ns=START + 500 * MS, for_s=0.5)
    second = drive(start_ns=START + 500 * MS, end_ns=START + 1000 * MS, zero_ns=START + 500 * MS, for_s=0.5) | {
        "do": "saturate"
    }
    found = values(sliced([first, second], ops(100)))
    assert found["mix.per_s"] == 100.0
    assert found["saturate.per_s"] == 100.0


def test_the_steps_around_the_load_have_their_own_metrics() -> None:
    steps = [
        step("append", rows=1000, wal_bytes=279_000, end_ns=START + 500 * MS),
        step("retire", rows=500, wal_bytes=208_500, end_ns=START + 20 * MS),
        step("maintain", wal_bytes=50_000, end_ns=START + 30 * MS),
    ]
    found = values(sliced(steps, ops(0)))
    assert found == {
        "append.rows_per_s": 2000.0,
        "append.wal_bytes_per_row": 279.0,
        "retire.ms": 20.0,
        "retire.wal_bytes_per_row": 417.0,
        "maintain.ms": 30.0,
        "maintain.wal_bytes_per_row": 50.0,
    }


def test_several_steps_of_a_kind_add_up() -> None:
    steps = [step("retire", rows=100, wal_bytes=100, end_ns=START + 20 * MS)] * 2
    found = values(sliced(steps, ops(0)))
    assert (found["retire.ms"], found["retire.wal_bytes_per_row"]) == (40.0, 1.0)


def test_a_count_pass_gives_one_measurement_for_each_pass() -> None:
    measured = measure.measure(
        [], [prepared("brin", metrics={"size.total_bytes": (8192.0, 8192.0), "unknown": (1.0,)})]
    )
    expected = Measurement(Instance("brin", 1), None, "brin.1", "size.total_bytes", 8192.0)
    assert measured == [expected, expected]


def test_every_metric_that_is_measured_is_in_the_table() -> None:
    item = sliced([drive(), step("append", rows=10), step("retire", rows=1)], ops(100))
    assert all(metrics.find(name) for name in values(item, LIMIT))


@pytest.mark.parametrize(("passes", "expected"), [((1000, 1001), True), ((1000, 1002), False), ((0, 1), False)])
def test_exact_is_what_repeats_within_a_thousandth(passes: tuple[float, ...], expected: bool) -> None:
    assert measure.exact(passes) is expected
