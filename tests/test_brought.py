"""Files of rows find their tables, take the tables' types, and stand in data.yaml beside invented rows."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from ruamel.yaml import YAML

from lab import brought, origins, parts
from lab.errors import ScenarioError
from lab.model import Lab, Stream
from lab.tables import Column, Foreign, Table

DEVICES = Table("devices", (Column("id", "int4", True), Column("zip", "text"), Column("mood", "mood", labels=("a",))))
EVENTS = Table(
    "events",
    (Column("id", "int8", True, counted=True), Column("device", "int4", True), Column("tags", "_text")),
    (("id",),),
    (Foreign(("device",), "devices", ("id",)),),
)
NOTES = Table("notes", (Column("body", "text", True),))


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "devices.csv").write_text("id,zip,mood\n1,501,a\n2,502,a\n")
    pq.write_table(pa.table({"device": [1, 2, 1], "tags": [["x"], None, []]}), tmp_path / "events.parquet")
    return tmp_path


def yaml(made) -> dict:
    return YAML(typ="safe").load(made.text)["streams"]


def test_brought_rows_take_the_tables_types_and_the_others_are_invented():
    files = {"devices": ["devices.csv"], "events": ["events.parquet"]}
    made = brought.dataset([EVENTS, NOTES, DEVICES], files, 100)
    found = yaml(made)
    assert list(found).index("devices") < list(found).index("events")
    assert found["devices"] == {
        "kind": "csv",
        "files": "devices.csv",
        "columns": {"id": "integer", "zip": "text", "mood": "text"},
    }
    assert found["events"] == {"kind": "parquet", "files": "events.parquet"}
    assert found["notes"]["kind"] == "synthetic"
    assert made.holes == ()
    assert made.whole == {"devices"}
    assert made.streams["events"]["rows"] == 3


def test_brought_texts_of_types_that_the_server_reads_from_text_name_the_method(here):
    (here / "hosts.csv").write_text("ip,cost\n10.0.0.1,1.50\n")
    hosts = Table("hosts", (Column("ip", "inet"), Column("cost", "money")))
    made = brought.dataset([hosts, NOTES], {"hosts": ["hosts.csv"]}, 100)
    assert made.method == "copy_csv"
    assert yaml(made)["hosts"]["columns"] == {"ip": "text", "cost": "text"}


def test_several_files_are_one_stream_and_their_rows_are_counted_together():
    made = brought.dataset([DEVICES], {"devices": ["devices.csv", "devices.csv"]}, 100)
    assert yaml(made)["devices"]["files"] == ["devices.csv", "devices.csv"]
    assert made.streams["devices"]["rows"] == 4


def test_what_brought_rows_refer_to_is_invented_with_the_keys_that_they_name():
    made = brought.dataset([EVENTS, DEVICES], {"events": ["events.parquet"]}, 100)
    assert made.holes == ()
    assert yaml(made)["devices"]["rows"] == "devices"
    assert yaml(made)["devices"]["columns"]["id"] == {
        "type": "integer",
        "of": "devices",
        "sequence": 1,
        "keys": {"kind": "parquet", "files": "events.parquet", "column": "device"},
    }
    assert made.entities["devices"] == 2
    assert rows_of(made, "devices")["id"].to_pylist() == [1, 2]


def test_what_refers_to_brought_rows_is_invented_with_keys_that_they_have(here):
    (here / "devices.csv").write_text("id,zip,mood\n70,501,a\n-5,502,a\n9,503,a\n")
    made = brought.dataset([EVENTS, DEVICES], {"devices": ["devices.csv"]}, 100)
    assert (made.holes, made.entities) == ((), {"devices": 3})
    assert yaml(made)["events"]["columns"]["device"] == {
        "type": "integer",
        "of": "devices",
        "keys": {"kind": "csv", "files": "devices.csv", "column": "id"},
    }
    assert set(rows_of(made, "events")["device"].to_pylist()) == {-5, 9, 70}


def test_keys_that_the_server_gives_to_brought_rows_are_numbers():
    notes = Table("notes", (Column("event", "int8"),), (), (Foreign(("event",), "events", ("id",)),))
    made = brought.dataset([EVENTS, DEVICES, notes], {"events": ["events.parquet"]}, 100)
    assert yaml(made)["notes"]["columns"]["event"] == {"type": "bigint", "of": "events"}
    assert made.entities == {"devices": 2, "events": 3}


def test_keys_of_several_files_are_those_of_all(here):
    pq.write_table(pa.table({"device": pa.array([2, 9, None])}), here / "calls.parquet")
    calls = Table("calls", (Column("device", "int4"),), (), (Foreign(("device",), "devices", ("id",)),))
    files = {"events": ["events.parquet"], "calls": ["calls.parquet"]}
    made = brought.dataset([EVENTS, DEVICES, calls], files, 100)
    assert made.holes == ()
    assert rows_of(made, "devices")["id"].to_pylist() == [1, 2, 9]


def test_a_key_behind_a_key_is_invented_too():
    """One row of devices for each of things: the files' keys are those of both."""
    things = Table("things", (Column("id", "int4", True, counted=True), Column("x", "text")), (("id",),))
    devices = Table("devices", DEVICES.columns, (("id",),), (Foreign(("id",), "things", ("id",)),))
    made = brought.dataset([EVENTS, devices, things], {"events": ["events.parquet"]}, 100)
    assert made.holes == ()
    for name in ("things", "devices"):
        assert rows_of(made, name)["id"].to_pylist() == [1, 2], name


def test_a_reference_of_several_columns_is_brought_with_what_it_refers_to():
    pairs = Table("pairs", (Column("a", "int4", True), Column("b", "int4", True)), (("a", "b"),))
    columns = (Column("device", "int4", True), Column("tags", "_text"))
    refers = Table("events", columns, (), (Foreign(("device", "tags"), "pairs", ("a", "b")),))
    made = brought.dataset([pairs, refers], {"events": ["events.parquet"]}, 100)
    (hole,) = made.holes
    assert hole.startswith("events.device, tags: refers to pairs by several columns")
    assert "--data pairs=FILE" in hole


def test_a_table_that_files_name_by_two_columns_of_unlike_numbers_is_told():
    codes = Table("devices", (Column("id", "int4", True), Column("code", "int4", True)), (("id",), ("code",)))
    calls = Table("calls", (Column("n", "int4"),), (), (Foreign(("n",), "devices", ("code",)),))
    pq.write_table(pa.table({"n": [1, 2, 3]}), "calls.parquet")
    files = {"events": ["events.parquet"], "calls": ["calls.parquet"]}
    made = brought.dataset([EVENTS, codes, calls], files, 100)
    told = "devices: is referred to by several columns, of which files have 2 of id and 3 of code (--data devices=FILE)"
    assert made.holes == (told,)


def test_a_brought_table_that_is_referred_to_by_two_columns_of_unlike_numbers_is_told():
    columns = (Column("id", "int4", True), Column("serial", "int4"))
    devices = Table("devices", columns, (("id",), ("serial",)))
    alarms = Table("alarms", (Column("serial", "int4"),), (), (Foreign(("serial",), "devices", ("serial",)),))
    pq.write_table(pa.table({"id": [1, 2, 3], "serial": [7, None, 9]}), "devices.parquet")
    made = brought.dataset([EVENTS, devices, alarms], {"devices": ["devices.parquet"]}, 100)
    (hole,) = made.holes
    assert "files have 3 of id and 2 of serial (--data of the tables that refer to it)" in hole


def test_a_table_with_a_row_for_each_of_anothers_has_as_many_as_files_name():
    """Not as many as the other has, which would be keys twice."""
    accounts = Table("accounts", (Column("id", "int4", True, counted=True), Column("x", "text")), (("id",),))
    columns = (Column("id", "int4", True), Column("account", "int4", True))
    devices = Table("devices", columns, (("id",), ("account",)), (Foreign(("account",), "accounts", ("id",)),))
    pq.write_table(pa.table({"device": list(range(500))}), "events.parquet")
    made = brought.dataset([EVENTS, devices, accounts], {"events": ["events.parquet"]}, 100)
    assert made.holes == ()
    assert made.entities["accounts"] >= made.entities["devices"] == 500
    assert [len(set(rows_of(made, "devices")[one].to_pylist())) for one in ("id", "account")] == [500, 500]


def test_a_reference_that_no_row_has_needs_no_keys():
    pq.write_table(pa.table({"device": pa.array([None, None], pa.int32())}), "events.parquet")
    made = brought.dataset([EVENTS, DEVICES], {"events": ["events.parquet"]}, 100)
    assert made.holes == ()
    assert "keys" not in yaml(made)["devices"]["columns"]["id"]


def test_a_reference_to_a_brought_column_that_itself_refers_is_drawn_from_the_file():
    seen = Table("seen", (Column("device", "int4", True),), (), (Foreign(("device",), "events", ("device",)),))
    events = Table("events", EVENTS.columns, (("id",), ("device",)), EVENTS.foreign)
    made = brought.dataset([events, DEVICES, seen], {"events": ["events.parquet"]}, 100)
    assert made.holes == ()
    assert set(rows_of(made, "seen")["device"].to_pylist()) == {1, 2}


def test_a_column_that_refers_to_a_brought_table_and_another_is_told():
    other = Table("other", (Column("id", "int4", True),), (("id",),))
    both = Foreign(("device",), "other", ("id",)), Foreign(("device",), "devices", ("id",))
    seen = Table("seen", (Column("device", "int4", True),), (), both)
    made = brought.dataset([DEVICES, other, seen], {"devices": ["devices.csv"]}, 100)
    assert made.holes == ("seen.device: refers to devices, and to another table as well (--data seen=FILE)",)


def test_keys_that_nobody_wrote_into_a_file_are_told_unless_the_server_counts():
    keyed = Table("events", (Column("id", "uuid", True, defaulted=True), *EVENTS.columns[1:]), (("id",),))
    notes = Table("notes", (Column("event", "uuid"),), (), (Foreign(("event",), "events", ("id",)),))
    made = brought.dataset([keyed, notes], {"events": ["events.parquet"]}, 100)
    assert made.holes == ("notes.event: refers to events, whose files have no column id (--data notes=FILE)",)


def test_more_keys_than_a_unique_column_has_values_are_told():
    columns = (Column("id", "int4", True), Column("code", "int2", True))
    devices = Table("devices", columns, (("id",), ("code",)))
    pq.write_table(pa.table({"device": list(range(40_000))}), "events.parquet")
    made = brought.dataset([EVENTS, devices], {"events": ["events.parquet"]}, 100)
    (hole,) = made.holes
    assert hole.startswith("devices.code: is unique with 32,749 values, and files have 40,000 keys of the table")


def rows_of(made, name):
    """The rows of a stream, as data.yaml has them."""
    tree = yaml(made)[name]
    stream = Stream(name, tree["kind"], {key: value for key, value in tree.items() if key != "kind"}, "data.yaml:1")
    source = parts.load("sources", stream.kind).opened(stream, Lab(rows=100, days=10, entities=made.entities), seed=0)
    return pa.Table.from_batches(source.batches(0, source.rows), source.schema)


def test_a_parameter_is_drawn_from_brought_rows_and_from_the_numbers_that_the_server_gives_them():
    files = {"devices": ["devices.csv"], "events": ["events.parquet"]}
    made = brought.dataset([EVENTS, DEVICES], files, 100)
    tables = {"events": EVENTS, "devices": DEVICES}
    assert origins._words("events", "device", tables, made, 100) == "events.device"
    assert origins._words("events", "id", tables, made, 100) == "uniform(1, 3)"
    assert origins.given({"d": "devices.id"}, made) == {"d": "devices.id"}


@pytest.mark.parametrize(
    ("words", "table", "file"),
    [
        ("events.parquet", "events", "events.parquet"),
        ("in/events.csv.gz", "events", "in/events.csv.gz"),
        ("in/day=1/events.pq", "events", "in/day=1/events.pq"),
        ("notes=b/*.parquet", "notes", "b/*.parquet"),
        ("notes=day=1/a.parquet", "notes", "day=1/a.parquet"),
    ],
)
def test_a_file_belongs_to_the_table_that_is_said_or_that_it_is_named_after(words, table, file):
    assert brought.tables_of([words], [EVENTS, NOTES]) == {table: [file]}


def test_of_one_table_a_file_may_have_any_name():
    assert brought.tables_of(["x-1.csv", "x-2.csv"], [NOTES]) == {"notes": ["x-1.csv", "x-2.csv"]}


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (
            "event.csv",
            "no table 'event' (did you mean 'events'? known: events, notes); say which with --data TABLE=event.csv",
        ),
        ("shop=a.csv", "--data shop=a.csv: no table 'shop' (known: events, notes)"),
    ],
)
def test_a_file_of_no_table_is_told_with_those_that_there_are(words, told):
    with pytest.raises(ScenarioError) as found:
        brought.tables_of([words], [EVENTS, NOTES])
    assert told in str(found.value)


@pytest.mark.parametrize(
    ("files", "told"),
    [
        (["devices.txt"], "--data devices.txt: is of no kind that is known (by its ending: .csv, .parquet, .pq)"),
        (["devices.csv", "events.parquet"], "files of one table are of one kind (csv, parquet)"),
        (["gone.csv"], "--data: stream devices: files: gone.csv: there is no such file"),
    ],
)
def test_files_that_are_none_are_told(files, told):
    with pytest.raises(ScenarioError) as found:
        brought.dataset([DEVICES], {"devices": files}, 100)
    assert told in str(found.value)
