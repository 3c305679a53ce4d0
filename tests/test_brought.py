"""Files of rows find their tables, take the tables' types, and stand in data.yaml beside invented rows."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from ruamel.yaml import YAML

from lab import brought, origins
from lab.errors import ScenarioError
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


@pytest.mark.parametrize(("given", "lacking"), [("devices", "events"), ("events", "devices")])
def test_rows_that_refer_to_others_are_brought_with_these(given, lacking):
    file = {"devices": "devices.csv", "events": "events.parquet"}[given]
    made = brought.dataset([EVENTS, DEVICES], {given: [file]}, 100)
    assert [hole for hole in made.holes if f"--data {lacking}=FILE" in hole and hole.startswith("events.device:")]


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
