"""Rows of CSV and Parquet files: every row once, in the types that the files have, and mistakes with their place."""

import datetime
import decimal
import gzip
import hashlib
import shutil
import uuid
from itertools import pairwise
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lab import sources
from lab.errors import LabError, ScenarioError
from lab.model import Lab, Stream
from lab.sources import csv, parquet

ROWS = 50_000
NEW_YEAR = datetime.datetime(2026, 1, 1)  # noqa: DTZ001 a timestamp without a zone is what is meant


def opened(kind, files, **more):
    options = {"files": files if isinstance(files, str) else [str(one) for one in files], **more}
    return kind.opened(Stream("events", kind.KIND, options, "data.yaml:3"), Lab(rows=10), seed=1)


def whole(source, first=0, last=None):
    return pa.Table.from_batches(source.batches(first, source.rows if last is None else last), source.schema)


def text(path: Path, *lines: str) -> Path:
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def table():
    ids = list(range(ROWS))
    at = [NEW_YEAR + datetime.timedelta(seconds=n) for n in ids]
    return pa.table({"id": ids, "at": at, "kind": [f"k{n % 7}" if n % 5 else None for n in ids]})


@pytest.fixture(scope="module")
def made(table, tmp_path_factory):
    """The same rows as one Parquet file of many row groups, as three, and as CSV."""
    folder = tmp_path_factory.mktemp("rows")
    pq.write_table(table, folder / "one.parquet", row_group_size=7_000)
    for n, (low, high) in enumerate(pairwise((0, 100, 20_001, ROWS))):
        pq.write_table(table.slice(low, high - low), folder / f"part-{n}.parquet", row_group_size=9_999)
        lines = (f"{r['id']},{r['at']},{r['kind'] or ''}" for r in table.slice(low, high - low).to_pylist())
        text(folder / f"part-{n}.csv", "id,at,kind", *lines)
    return folder


KINDS = [(parquet, "one.parquet"), (parquet, "part-*.parquet"), (csv, "part-*.csv")]


@pytest.mark.parametrize(("kind", "files"), KINDS)
def test_every_row_comes_once_and_in_order(kind, files, made, table):
    assert whole(opened(kind, str(made / files))).equals(table)


@pytest.mark.parametrize(("kind", "files"), KINDS)
def test_a_range_is_the_same_however_it_is_cut(kind, files, made, table):
    source = opened(kind, str(made / files))
    for low, high in pairwise((0, 1, 99, 100, 101, 7_000, 20_000, 20_001, 49_999, ROWS)):
        assert whole(source, low, high).equals(table.slice(low, high - low)), (low, high)
    assert list(source.batches(5, 5)) == []


def test_what_lies_before_a_range_is_not_read(made, monkeypatch):
    source = opened(parquet, str(made / "one.parquet"))
    read = []
    real = pq.ParquetFile.iter_batches
    monkeypatch.setattr(
        pq.ParquetFile, "iter_batches", lambda *a, **k: (read.append(k["row_groups"]), real(*a, **k))[1]
    )
    assert whole(source, 21_500, 21_600).num_rows == 100
    assert read == [[3, 4, 5, 6, 7]]


@pytest.mark.parametrize(("kind", "files"), KINDS)
def test_a_sample_is_of_all_rows_and_the_same_for_a_seed(kind, files, made):
    source = opened(kind, str(made / files))
    one, other = source.sample(500, seed=3), source.sample(500, seed=3)
    assert one.equals(other)
    ids = one["id"].to_pylist()
    assert ids == sorted(set(ids))
    assert min(ids) < 2_000 < 48_000 < max(ids)
    assert source.sample(2 * ROWS, seed=1).num_rows == ROWS


@pytest.mark.parametrize(("kind", "files"), KINDS)
def test_rows_may_be_limited_and_past_them_there_are_none(kind, files, made):
    source = opened(kind, str(made / files), rows=150)
    assert whole(source)["id"].to_pylist() == list(range(150))
    with pytest.raises(LabError, match="rows to 151 were asked for, and the file has 150"):
        list(source.batches(0, 151))


# --- types ---


@pytest.mark.parametrize(
    ("kind", "value", "carried"),
    [
        (pa.uint64(), 2**64 - 1, decimal.Decimal(2**64 - 1)),
        (pa.uint32(), 2**32 - 1, 2**32 - 1),
        (pa.uint16(), 2**16 - 1, 2**16 - 1),
        (pa.uint8(), 255, 255),
        (pa.int8(), -128, -128),
        (pa.float32(), 0.5, 0.5),
        (pa.decimal128(9, 2), decimal.Decimal("1.25"), decimal.Decimal("1.25")),
        (pa.large_string(), "ü", "ü"),
        (pa.dictionary(pa.int32(), pa.string()), "ü", "ü"),
        (pa.binary(16), uuid.UUID(int=7).bytes, uuid.UUID(int=7).bytes),
        (pa.binary(3), b"abc", b"abc"),
        (pa.date64(), datetime.date(2026, 2, 3), datetime.date(2026, 2, 3)),
        (pa.time32("s"), datetime.time(1, 2), datetime.time(1, 2)),
        (pa.timestamp("ms"), NEW_YEAR, NEW_YEAR),
        (
            pa.timestamp("s", "Europe/Rome"),
            datetime.datetime(2026, 2, 3, 4, tzinfo=datetime.UTC),
            datetime.datetime(2026, 2, 3, 4, tzinfo=datetime.UTC),
        ),
        (pa.list_(pa.int8()), [1, None], [1, None]),
        (pa.null(), None, None),
    ],
    ids=str,
)
def test_a_files_types_are_carried_in_types_that_tables_have(kind, value, carried, tmp_path):
    pq.write_table(pa.table({"a": pa.array([value, None], kind)}), tmp_path / "a.parquet")
    source = opened(parquet, str(tmp_path / "a.parquet"))
    assert whole(source)["a"].to_pylist() == [carried, None]
    assert parquet.plain(source.schema.field("a").type) == source.schema.field("a").type


def test_what_is_finer_than_a_microsecond_is_cut_off(tmp_path):
    pq.write_table(pa.table({"a": pa.array([1_000_000_999], pa.timestamp("ns"))}), tmp_path / "a.parquet")
    [found] = whole(opened(parquet, str(tmp_path / "a.parquet")))["a"].cast(pa.int64()).to_pylist()
    assert found == 1_000_000


def test_a_column_that_no_table_has_is_named(tmp_path):
    pq.write_table(pa.table({"a": [1], "b": [{"x": 1}]}), tmp_path / "a.parquet")
    with pytest.raises(
        ScenarioError, match=r"data.yaml:3: stream events: a.parquet: column b: struct<x: int64> fits no"
    ):
        opened(parquet, str(tmp_path / "a.parquet"))


def test_values_may_hold_lines_quotes_and_delimiters(tmp_path):
    """Wherever they lie: the file is larger than the blocks in which it is read."""
    text(tmp_path / "a.csv", "a;b", *(f'"one;\ntwo ""{n}""\n";{n}' if n % 2 else f";{n}" for n in range(100_000)))
    assert (tmp_path / "a.csv").stat().st_size > 1.5e6
    found = whole(opened(csv, str(tmp_path / "a.csv"), delimiter=";"))
    assert found["b"].to_pylist() == list(range(100_000))
    assert found["a"].to_pylist() == [f'one;\ntwo "{n}"\n' if n % 2 else None for n in range(100_000)]


def test_a_compressed_file_is_read_as_it_would_be(tmp_path):
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(b"a\n1\n2\n"))
    assert whole(opened(csv, str(tmp_path / "a.csv.gz")))["a"].to_pylist() == [1, 2]


def test_a_declared_type_is_taken_and_a_code_keeps_its_zeros(tmp_path):
    path = text(tmp_path / "a.csv", "zip,code,n", "00501,1,x", "10001,2,7")
    source = opened(csv, str(path), columns={"code": "text"}, nulls=["x"])
    assert whole(source).to_pylist() == [
        {"zip": "00501", "code": "1", "n": None},
        {"zip": "10001", "code": "2", "n": 7},
    ]


# --- mistakes ---


def refusal(kind, files, **more) -> str:
    with pytest.raises(ScenarioError) as found:
        whole(opened(kind, files, **more))
    return str(found.value)


def test_a_value_of_another_type_is_named_with_its_column_and_row(tmp_path):
    good = text(tmp_path / "a.csv", "id,n", *(f"{n},{n}" for n in range(30_000)))
    bad = text(tmp_path / "b.csv", "id,n", *(f"{n},{n}" for n in range(20_000)), "20000,many", "20001,2")
    said = refusal(csv, [good, bad], columns={"n": "integer"})
    assert "data.yaml:3: stream events: b.csv: row 20001, column n: 'many' is no integer" in said
    assert "columns: declares another type" in said


@pytest.mark.parametrize(
    ("kind", "content", "told"),
    [
        (csv, b"", "a: Empty CSV file"),
        (csv, b"a,b\n1\n", "Expected 2 columns, got 1"),
        (csv, b"a,a\n1,2\n", "two columns 'a'"),
        (csv, b"a\n\xff\xfe\n", "invalid UTF8"),
        (parquet, b"", "a: Parquet file size is 0 bytes"),
        (parquet, b"PAR1 and nothing more", "a: "),
    ],
)
def test_a_file_that_is_broken_is_named_with_what_is_wrong(kind, content, told, tmp_path):
    (tmp_path / "a").write_bytes(content)
    assert told in refusal(kind, str(tmp_path / "a"))


@pytest.mark.parametrize("kind", [csv, parquet])
def test_a_file_that_is_not_there_is_named(kind):
    assert "data.yaml:3: stream events: files: no/*.such: there is no such file" in refusal(kind, "no/*.such")
    assert "names none" in refusal(kind, [])


def test_a_truncated_archive_is_no_traceback(tmp_path):
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(b"a\n" + b"1\n" * 100_000)[:200])
    assert "a.csv.gz: " in refusal(csv, str(tmp_path / "a.csv.gz"))
    (tmp_path / "a.zip").write_bytes(b"PK and nothing more")
    assert "a.zip: cannot be read" in refusal(csv, str(tmp_path / "a.zip"))


def test_files_of_one_stream_have_the_same_columns(tmp_path):
    one, other = text(tmp_path / "a.csv", "a,b", "1,2"), text(tmp_path / "b.csv", "a,c", "1,2")
    assert "b.csv: has the columns a, c, and a.csv has a, b" in refusal(csv, [one, other])
    pq.write_table(pa.table({"a": [1]}), tmp_path / "a.parquet")
    pq.write_table(pa.table({"a": ["x"]}), tmp_path / "b.parquet")
    assert "a int64, a string" in refusal(parquet, [tmp_path / "a.parquet", tmp_path / "b.parquet"])


def test_a_column_that_the_file_has_not_is_named_with_the_nearest(tmp_path):
    path = text(tmp_path / "a.csv", "amount", "1")
    assert "did you mean 'amount'" in refusal(csv, str(path), columns={"amuont": "text"})


def test_options_that_are_none_are_named():
    assert "delimiter" in refusal(csv, "a.csv", delimiter="||")
    assert "columns" in refusal(csv, "a.csv", columns={"a": "txt"})


# --- what they held -------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "files"), KINDS)
def test_other_bytes_are_other_data_whatever_the_files_are_called(kind, files, made, tmp_path):
    here = tmp_path / "here"
    shutil.copytree(made, here)
    there = opened(kind, str(here / files)).data
    assert list(there) == [str(path) for path in sorted(here.glob(files))]
    assert there == opened(kind, str(here / files), rows=10).data
    assert list(there.values()) == list(opened(kind, str(made / files)).data.values())
    last = sorted(here.glob(files))[-1]
    was = last.read_bytes()
    last.write_bytes(was[:100] + bytes([was[100] ^ 1]) + was[101:] if kind is csv else was.replace(b"k1", b"k9"))
    now = opened(kind, str(here / files)).data
    assert {name for name in there if there[name] != now[name]} == {str(last)}
    assert there[str(last)] == f"sha256 {hashlib.sha256(was).hexdigest()}"


def test_a_file_that_has_gone_meanwhile_is_told(made, tmp_path):
    shutil.copy(made / "one.parquet", tmp_path)
    source = opened(parquet, str(tmp_path / "one.parquet"))
    (tmp_path / "one.parquet").unlink()
    with pytest.raises(LabError, match=r"stream events: .*one.parquet: cannot be read: No such file"):
        sources.data([source])


def test_runs_of_other_files_are_told_apart_and_so_is_who_never_wrote_them_down():
    now = {"events": [["a.csv", "sha256 1"], ["b.csv", "sha256 2"]]}
    assert list(sources.changed(now, now)) == []
    assert list(sources.changed({"events": [["a.csv", "sha256 0"], ["c.csv", "sha256 2"]]}, now)) == [
        "stream events: a.csv has changed",
        "stream events: b.csv is new",
        "stream events: c.csv is gone",
    ]
    assert len(list(sources.changed(None, now))) == 2
    assert list(sources.changed(None, {})) == list(sources.changed({}, {})) == []
