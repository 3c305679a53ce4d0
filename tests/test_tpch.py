"""TPC-H's rows: made once, below the lab's own base, and the same each time."""

import importlib.metadata

import pyarrow as pa
import pytest

from lab import tidy
from lab.errors import PlaceError, ScenarioError
from lab.model import Lab, Stream
from lab.sources import tpch


@pytest.fixture(autouse=True)
def base(tmp_path, monkeypatch):
    monkeypatch.setenv("PGLAB_BASE", str(tmp_path / "base"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "base"


def opened(name, **options):
    return tpch.opened(Stream(name, "tpch", options), Lab(), seed=0)


def table(source):
    return pa.Table.from_batches(source.batches(0, source.rows), source.schema)


def test_rows_are_made_once_below_the_base_and_the_same_each_time(base, tmp_path):
    source = opened("supplier", scale=0.01)
    first = table(source)
    assert (source.rows, first.num_rows) == (100, 100)
    assert first.schema.field("s_suppkey").type == pa.int64()
    assert first.schema.field("s_name").type == pa.string()
    assert first.schema.field("s_acctbal").type == pa.decimal128(15, 2)
    (made,) = base.rglob("*.parquet")
    before = made.stat().st_mtime_ns
    assert table(opened("supplier", scale=0.01)).equals(first)
    assert made.stat().st_mtime_ns == before
    made.unlink()
    assert table(opened("supplier", scale=0.01)).equals(first)
    assert [path.name for path in tmp_path.iterdir()] == ["base"]
    assert [path.name for path in base.iterdir()] == [made.parent.name]


def test_a_stream_of_another_name_says_which_table_and_how_many_rows():
    source = opened("sold", table="orders", scale=0.001, rows=70)
    assert source.rows == 70
    assert source.data == {"tpchgen-cli": importlib.metadata.version("tpchgen-cli")}  # no path of this machine
    assert "o_orderkey" in source.schema.names


def test_what_is_no_table_of_tpch_is_refused():
    with pytest.raises(ScenarioError, match=r"'events' is none of TPC-H's .one of region, nation"):
        opened("events")
    with pytest.raises(ScenarioError, match="scale"):
        opened("orders", scale=0)


def test_without_the_generator_it_is_said_how_to_get_it(monkeypatch):
    def lacking(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", lacking)
    with pytest.raises(PlaceError, match=r"tpchgen-cli is not installed .pip install 'pglab\[tpch\]'"):
        opened("orders")


def test_what_was_made_is_left_until_it_is_old_and_then_tidied(base, monkeypatch):
    opened("region", scale=0.01)
    assert tidy.left(base, base) == []
    monkeypatch.setattr(tidy, "_age_s", lambda _: 61.0)
    (one,) = tidy.left(base, base)
    assert one.what == "rows of TPC-H's generator"
