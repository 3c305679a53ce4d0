"""Ways for rows to come in, as a scenario says them: what cannot be is told at its line, with the way out."""

import pyarrow as pa
import pytest

from lab import parts, scenario
from lab.change import way
from lab.errors import ScenarioError
from lab.ingest import Loaded, _feed
from lab.model import Candidate
from lab.ways import bound

UPSERT = "{method: on_conflict, rows: 500, action: nothing, duplicates: 0.01}"
FREEZE = "{method: copy_freeze, append: {method: copy_binary}}"

QUERIES = {
    "newest": "SELECT * FROM readings ORDER BY id DESC LIMIT 1",
    "reading_by_id": "SELECT * FROM readings WHERE id = 1",
}


@pytest.fixture
def read(repo):
    """Reads the repository's own scenario with (old, new) of its text replaced."""
    files = dict(scenario.read("ingestion", scenario.OnDisk(repo / "scenarios/ingestion", repo), parts).files)

    def reader(*edits, **more):
        text = files["scenario.yaml"]
        for old, new in edits:
            assert text.count(old) == 1, old
            text = text.replace(old, new)
        return scenario.read("ingestion", scenario.kept({**files, "scenario.yaml": text, **more}), parts)

    return reader


WRONG = {
    "{method: insert, rows: 500}": [
        ("{method: insert, row: 500}", "ingest: unknown key 'row' (did you mean 'rows'? known: connections, rows, tr"),
        ("{method: insert, rows: 0}", "ingest.rows: 0 is not at least 1 (rows per statement, such as 1_000)"),
        (
            "{method: insert, rows: 500, transaction_rows: 700}",
            "ingest.transaction_rows: 700 rows are no whole number of statements of 500 rows (a multiple of 500; or",
        ),
        (
            "{method: inserts}",
            "ingest.method: unknown kind 'inserts' (did you mean 'insert'? known: copy_binary, copy_",
        ),
        ("{append: {method: insrt}}", "ingest.append.method: unknown kind 'insrt' (did you mean 'insert'?"),
        ("{append: {method: insert, append: {}}}", "ingest.append: unknown key 'append' ("),
        ("{append: {method: unnest, rows: x}}", "ingest.append.rows: 'x' is not a whole number (rows per statement"),
    ],
    UPSERT: [
        (
            "{method: on_conflict, duplicates: 2}",
            "ingest.duplicates: 2 is not at most 1 (the share of rows that is sent",
        ),
        ("{method: on_conflict, action: none}", "ingest.action: unknown value 'none' ("),
        (
            "{method: on_conflict, duplicates: 0.1, connections: 2}",
            "ingest: rows that come twice may meet on two connections, each waiting for the other's (connections: 1",
        ),
        (
            "{method: staging, then: insert, duplicates: 0.1}",
            "ingest: a plain INSERT tells no rows that come twice (then: on_conflict or merge)",
        ),
        ("{method: staging, persistence: temp}", "ingest.persistence: unknown value 'temp' (did you mean 'temporary'?"),
    ],
    FREEZE: [
        (
            "{method: copy_freeze}",
            "ingest: copy_freeze cannot add to rows that are there, as the round does (a way of their own for later "
            "rows: append: {method: copy_binary})",
        ),
        ("{append: {method: unlogged}}", "ingest: unlogged cannot add to rows that are there, as the round does ("),
        (
            "{method: copy_freeze, connections: 2, append: {}}",
            "ingest.connections: 2 is not at most 1 (a single connection, whose transaction it is)",
        ),
    ],
}


@pytest.mark.parametrize(("old", "new", "told"), [(old, *one) for old, several in WRONG.items() for one in several])
def test_what_cannot_be_is_told_at_its_line(read, old, new, told):
    with pytest.raises(ScenarioError) as found:
        read((f"ingest: {old}", f"ingest: {new}"))
    (mistake,) = found.value.mistakes
    candidate = {UPSERT: "upsert", FREEZE: "frozen-first"}.get(old, "batch")
    assert mistake.partition(": ")[2].startswith(f"candidates.{candidate}.{told}")
    assert mistake.startswith("scenario.yaml:")


def test_a_way_that_needs_a_key_or_a_table_of_its_own_brings_nothing_to_load_sql(read):
    load = ("schema: readings.sql", "schema: readings.sql\nload: load.sql")
    with pytest.raises(ScenarioError) as found:
        read(load, **{"load.sql": "INSERT INTO readings SELECT * FROM source.readings;\n"})
    words = "cannot bring rows to a candidate's own load SQL"
    told = "\n".join(found.value.mistakes)
    assert len(found.value.mistakes) == 4
    assert (
        f"candidates.upsert.ingest: on_conflict {words} (the tables in schema source have no key; method: copy_b"
        in told
    )
    assert (
        f"candidates.unlogged-first.ingest: unlogged {words} (the tables in schema source are unlogged as they" in told
    )


def test_a_way_that_citus_cannot_take_is_told_before_anything_runs(read):
    with pytest.raises(ScenarioError, match=r"copy_freeze cannot bring rows into citus \(method: copy_binary\)"):
        read((f"ingest: {FREEZE}", f"ingest: {FREEZE}\n    topology: {{kind: citus, workers: 2}}"))


def test_a_pooler_that_keeps_no_prepared_statements_refuses_ways_that_prepare(read):
    shape = "topology: {kind: pooled, mode: transaction, prepared: 0}"
    asked = {f"workload/{name}.sql": f"-- send: unprepared\n{text}" for name, text in QUERIES.items()}
    with pytest.raises(
        ScenarioError, match=r"batch\.ingest: pooled cannot do prepared here, which insert needs \(prep"
    ):
        read(("hypothesis: what is there; 500", f"{shape}\n    hypothesis: what is there; 500"), **asked)


def test_first_and_later_rows_may_come_in_by_ways_of_their_own():
    asked = {"method": "insert", "connections": 2, "rows": 5, "append": {"method": "unnest", "connections": 1}}
    candidate = Candidate("c", "h", None, None, {}, (), {}, None, asked)
    given = []

    def noting(name):
        return lambda *_, **options: given.append((name, options)) or Loaded(0, 0, 0.0)

    loads = {name: noting(name) for name in ("insert", "unnest")}
    bound(loads, candidate)()
    bound(loads, candidate, later=True)()
    bound(loads, Candidate("c", "h", None, None, {}, (), {}, None, {"method": "insert"}), later=True)()
    assert given == [("insert", {"connections": 2, "rows": 5}), ("unnest", {"connections": 1}), ("insert", {})]


def test_a_way_reads_as_its_author_wrote_it(read):
    candidates = read().candidates
    assert way(candidates["frozen-first"].ingest) == "copy_freeze, later rows by copy_binary"
    assert way(candidates["upsert"].ingest) == "on_conflict (rows: 500, action: nothing, duplicates: 0.01)"


def test_no_transaction_spans_two_batches_however_rows_are_made():
    made = [pa.record_batch({"a": range(first, first + 700)}) for first in range(0, 7_000, 700)]
    found = list(_feed.cut(made, 300))
    assert [one.num_rows for one in found] == [1_200] * 5 + [1_000]
    assert [value for one in found for value in one["a"].to_pylist()] == list(range(7_000))
