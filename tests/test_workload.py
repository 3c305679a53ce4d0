"""Calls: the mix, and where parameters come from."""

import uuid
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pytest
from scipy import stats

from lab import draw, drivers, workload
from lab.errors import ScenarioError
from lab.model import Parameter, Query, Window

START, END = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 8, tzinfo=UTC)
RARE_LAST = np.repeat(np.arange(100, 0, -1), np.arange(1, 101))  # device 1 a hundred times, device 100 once


def query(*params, name="q", weight=1.0):
    return Query(name, f"{name}.sql", (), params, weight)


def samples(**columns):
    return {"events": pa.table(columns)}


def calls(queries, known=None, *, size=1000, seed=1, start=START, end=END):
    due_ns = np.arange(size, dtype=np.int64) * 1000
    return workload.draw(queries, known or {}, window_start=start, window_end=end, due_ns=due_ns, seed=seed)


def texts(*params, known=None, size=1000, seed=1):
    """The parameters of one query's calls, a list for each parameter."""
    table = calls([query(*params)], known, size=size, seed=seed)
    return list(map(list, zip(*table["params"].to_pylist(), strict=True)))


def test_calls_are_what_drivers_take():
    assert workload.CALLS == drivers.CALLS
    assert calls([query()]).schema == drivers.CALLS


def test_the_same_seed_gives_the_same_calls_and_another_gives_others():
    queries = [query(Parameter("d", "events.device", "zipf(1)")), query(Parameter("n", "", "uniform(1, 99)"), name="r")]
    known = samples(device=RARE_LAST)
    assert calls(queries, known).equals(calls(queries, known))
    assert not calls(queries, known).equals(calls(queries, known, seed=2))


def test_parameters_do_not_depend_on_what_a_candidate_changes():
    known = samples(device=RARE_LAST)
    own = Query("q", "other.sql", (), (Parameter("d", "events.device", "zipf(1)"),))
    assert calls([own], known).equals(calls([query(*own.params)], known))


def test_every_call_is_due_when_it_was_asked_for():
    assert calls([query(), query(name="r")], size=5)["due_ns"].to_pylist() == [0, 1000, 2000, 3000, 4000]


def test_the_mix_follows_the_weights():
    table = calls([query(weight=70), query(name="r", weight=25), query(name="s", weight=5)], size=20_000)
    counts = np.bincount(table["query"].to_numpy(), minlength=3)
    assert stats.chisquare(counts, 20_000 * np.array([0.7, 0.25, 0.05])).pvalue > 1e-4


def test_each_call_has_the_parameters_of_its_own_query():
    table = calls(
        [
            query(Parameter("a", "", "constant(1)")),
            query(name="none"),
            query(Parameter("b", "", "constant(2)"), name="r"),
        ]
    )
    wanted = {0: ["1"], 1: [], 2: ["2"]}
    assert all(row["params"] == wanted[row["query"]] for row in table.to_pylist())


def test_executed_keys_have_the_skew_that_was_declared():
    (keys,) = texts(Parameter("d", "events.device", "zipf(1.1)"), known=samples(device=RARE_LAST), size=50_000)
    counts = np.bincount(np.array(keys, np.int64), minlength=101)[1:]
    shares = draw.parse("zipf(1.1)").shares(100)
    assert stats.chisquare(counts, 50_000 * shares).pvalue > 1e-4
    assert stats.chisquare(counts, np.full(100, 500)).pvalue < 1e-9


def test_the_most_frequent_value_has_rank_one_and_ties_go_by_value():
    column = pa.chunked_array([["b", "z", "z", "a", None, None, None]])
    assert workload.ranked(column).to_pylist() == ["z", "a", "b"]


def test_latest_ranks_by_the_value_itself():
    (keys,) = texts(Parameter("d", "events.device", "latest(1)"), known=samples(device=RARE_LAST))
    assert max(set(keys), key=keys.count) == "100"


def test_without_a_law_values_come_as_often_as_in_the_rows():
    (keys,) = texts(Parameter("d", "events.device"), known=samples(device=RARE_LAST), size=50_000)
    counts = np.bincount(np.array(keys, np.int64), minlength=101)[1:]
    assert stats.chisquare(counts, 50_000 * np.arange(100, 0, -1) / 5050).pvalue > 1e-4


def test_parameters_of_one_query_and_stream_come_from_one_row():
    known = samples(device=np.arange(500), twice=np.arange(500) * 2)
    device, twice = texts(Parameter("d", "events.device"), Parameter("t", "events.twice"), known=known)
    assert [2 * int(value) for value in device] == list(map(int, twice))


def test_parameters_with_a_law_of_their_own_are_independent():
    known = samples(device=np.arange(500), twice=np.arange(500) * 2)
    device, twice = texts(
        Parameter("d", "events.device", "uniform"), Parameter("t", "events.twice", "uniform"), known=known
    )
    assert sum(2 * int(d) == int(t) for d, t in zip(device, twice, strict=True)) < 20


def test_nobody_looks_for_null():
    known = samples(a=pa.array([1, None, 3]), b=pa.array([None, 2, 3]))
    together = texts(Parameter("a", "events.a"), Parameter("b", "events.b"), known=known)
    assert [set(keys) for keys in together] == [{"3"}, {"3"}]
    (keys,) = texts(Parameter("a", "events.a", "uniform"), known=known)
    assert set(keys) == {"1", "3"}


def test_the_bounds_of_the_window_can_be_shifted():
    since, until = texts(Parameter("a", "window.from"), Parameter("b", "window.to", shift_s=-3600), size=1)
    assert (since, until) == (["2026-01-01 00:00:00+00:00"], ["2026-01-07 23:00:00+00:00"])


def test_a_value_can_be_moved_and_both_ends_of_a_range_are_of_one_row():
    known = samples(
        a=np.arange(50), b=pa.array([START] * 50, pa.timestamp("us", "UTC")), c=[START.date()] * 50,
        d=pa.array(["1.50"] * 50).cast(pa.decimal128(5, 2)), e=[0.5] * 50,
    )  # fmt: skip
    low, high = texts(Parameter("l", "events.a"), Parameter("h", "events.a", shift=7.0), known=known)
    assert {int(h) - int(one) for one, h in zip(low, high, strict=True)} == {7}
    assert len(set(low)) > 10
    moved = [
        Parameter("b", "events.b", shift_s=-3600.0), Parameter("c", "events.c", shift_s=7 * 86_400.0),
        Parameter("d", "events.d", "uniform", shift=0.25), Parameter("e", "events.e", shift=-1.0),
    ]  # fmt: skip
    wide = samples(f=pa.array(["9" * 30]).cast(pa.decimal128(38, 2)))
    assert texts(Parameter("f", "events.f", shift=100.0), known=wide, size=1) == [["1" + "0" * 28 + "99.00"]]
    assert [one for (one,) in texts(*moved, known=known, size=1)] == [
        "2025-12-31 23:00:00.000000Z", "2026-01-08", "1.75", "-0.5",
    ]  # fmt: skip


@pytest.mark.parametrize("law", ["", "uniform"])
def test_where_no_call_is_due_nothing_is_moved(law):
    known = samples(b=pa.array([START], pa.timestamp("us", "UTC")), c=[START.date()], a=[1])
    moved = [Parameter(one, f"events.{one}", law, shift_s=86_400.0) for one in "bc"]
    moved.append(Parameter("a", "events.a", law, shift=5.0))
    assert calls([query(*moved)], known, size=0).num_rows == 0


@pytest.mark.parametrize(
    ("parameter", "told"),
    [
        (Parameter("p", "events.a", shift_s=86_400.0), "is a number, and a time is added (write + 50)"),
        (Parameter("p", "events.a", shift=0.5), "is of whole numbers, and 0.5 is added"),
        (Parameter("p", "events.b", shift=5.0), "is a time, and a number is added (write + 7d)"),
        (Parameter("p", "events.c", shift_s=60.0), "is a date, which moves by whole days (write + 7d)"),
        (Parameter("p", "events.d", shift=5.0), "events.d is of type string, to which nothing can be added"),
        (Parameter("p", "events.a", shift=2.0**63), "events.a cannot be moved so far"),
        (Parameter("p", "events.a", "uniform", shift=2.0**63 - 1024), "events.a cannot be moved so far"),
        (Parameter("p", "events.b", shift_s=86_400.0 * 106_000_000), "events.b cannot be moved so far"),
        (Parameter("p", "events.b", shift_s=86_400.0 * 200_000_000), "events.b cannot be moved so far"),
        (Parameter("p", "events.e", shift=100.0), "events.e cannot be moved so far"),
        (Parameter("p", "window.to", shift_s=86_400.0 * 106_000_000), "window.to cannot be moved so far"),
    ],
)
def test_what_cannot_be_moved_so_is_told(parameter, told):
    known = samples(
        a=[10_000], b=pa.array([START], pa.timestamp("us", "UTC")), c=[START.date()], d=["x"],
        e=pa.array([32_700], pa.int16()),
    )  # fmt: skip
    with pytest.raises(ScenarioError) as found:
        texts(parameter, known=known)
    assert told in str(found.value)


def test_laws_make_values_in_the_text_the_server_reads():
    whole, real = texts(Parameter("a", "", "uniform(1, 3)"), Parameter("b", "", "constant(0.1)"))
    assert (set(whole), set(real)) == ({"1", "2", "3"}, {"0.1"})


def test_values_of_every_type_become_text():
    key = uuid.UUID(int=7, version=4)
    known = samples(
        a=pa.array([key.bytes], pa.binary(16)), b=pa.array([b"\x00\xff"]), f=[False],
        c=pa.array([START], pa.timestamp("us", "UTC")),
        d=pa.array([START.date()]), e=["ü'\\"], g=pa.array(["1.50"]).cast(pa.decimal128(5, 2)),
    )  # fmt: skip
    for law in ("", "uniform"):
        found = texts(*(Parameter(name, f"events.{name}", law) for name in "abcdefg"), known=known, size=1)
        assert [value for (value,) in found] == [
            str(key), "\\x00ff", "2026-01-01 00:00:00.000000Z", "2026-01-01", "ü'\\", "false", "1.50",
        ]  # fmt: skip


def test_no_calls_are_an_empty_table():
    assert calls([query(Parameter("d", "events.device"))], samples(device=[1]), size=0).num_rows == 0


def test_the_count_pass_gets_k_tuples():
    asked = query(Parameter("d", "events.device", "zipf(1)"), Parameter("n", "", "constant(1)"))
    sets = workload.draw_sets(asked, samples(device=RARE_LAST), window_start=None, window_end=None, k=20, seed=1)
    assert len(sets) == 20
    assert all(len(each) == 2 and each[1] == "1" for each in sets)
    assert workload.draw_sets(query(), {}, window_start=None, window_end=None, k=3, seed=1) == [(), (), ()]


@pytest.mark.parametrize(
    ("parameter", "message"),
    [
        (Parameter("d", "event.device"), "there is no stream 'event' (did you mean 'events'? known: events)"),
        (Parameter("d", "events.devise"), "stream events has no column 'devise' (did you mean 'device'? known: "),
        (Parameter("d", "events.device", "zpif(1)"), "unknown law 'zpif'"),
        (Parameter("d", "events.device", "normal(1, 2)"), "normal(1, 2) makes values itself (leave out events.device)"),
        (Parameter("d", "", "zipf(1)"), "zipf(1) chooses among values (name a stream.column before it)"),
        (Parameter("d", "window.start"), "'window.start' is no bound (window.from or window.to, without a law)"),
        (Parameter("d", "window.to"), "there is no window"),
        (Parameter("d", "events.void"), "the sample of events.void holds no value"),
        (Parameter("d", "events.void", "zipf(1)"), "the sample of events.void holds no value"),
    ],
)  # fmt: skip
def test_a_parameter_that_cannot_be_drawn_is_named_with_its_file(parameter, message):
    known = samples(device=[1], void=pa.nulls(1, pa.string()))
    with pytest.raises(ScenarioError) as refused:
        calls([query(parameter)], known, start=None, end=None)
    assert str(refused.value).startswith(f"q.sql: parameter 'd': {message}")


def test_a_window_spans_the_times_of_its_rows():
    assert workload.window({0: START, 7: END}.get, 0, 7) == Window(0, 7, START, END)
    assert workload.window({}.get, 0, 7) is None


def test_a_constant_text_is_in_every_call():
    assert texts(Parameter("how", "", "constant('it''s')"), size=3) == [["it's"] * 3]
