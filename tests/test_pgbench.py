"""What pgbench is told and what is made of what it says; and what it is refused for."""

from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest

from lab import load, parts
from lab.drivers import CALLS, Work, pgbench
from lab.errors import DriverError, LabError, PlaceError, ScenarioError
from lab.model import Endpoint, Query, Statement

THERE = Endpoint("primary", "write", "host=nowhere")
POINT = Query("point", "point.sql", (Statement("SELECT /* pglab:point */ b FROM t WHERE a = $1", (0,)),))
OTHER = Query("other", "other.sql", (Statement("SELECT 1"),))


def work(*values, queries=(POINT,), query=None, **more):
    """A slice of calls of *queries* with one parameter each."""
    columns = {
        "due_ns": np.arange(len(values)) * 1000,
        "query": np.array([0] * len(values) if query is None else query, np.int32),
        "params": [[value] for value in values],
    }
    return Work("c", THERE, queries, pa.table(columns, schema=CALLS), **{"clients": 2, "for_s": 2.0, **more})


def test_every_set_of_parameters_has_its_number():
    _, expression, *_ = pgbench.script(POINT, [["5"], ["9"], ["12"]]).splitlines()
    right = "case when :set_ < 2 then 9 else 12 end"
    assert expression == f"\\set p0 case when :set_ < 1 then 5 else {right} end"


def test_the_pool_has_the_parameters_that_were_drawn_of_that_query_alone():
    asked = work("1", "2", "3", queries=(POINT, OTHER), query=[0, 1, 0])
    assert pgbench.pool(asked, 0) == [["1"], ["3"]]


@pytest.mark.parametrize("value", ["2026-01-01", "007", "Zürich", None])
def test_what_is_no_number_is_refused_with_those_that_can(value):
    with pytest.raises(LabError, match=r"point\.sql.*numbers only \(drivers that can: inline, locust\)"):
        pgbench.pool(work(value), 0)


def test_what_would_be_taken_for_a_variable_is_refused():
    with pytest.raises(LabError, match=r"':noon'"):
        pgbench.script(Query("q", "q.sql", (Statement("SELECT ':noon'"),)), [])


def test_casts_times_and_placeholders_in_text_stay_as_they_are():
    text = pgbench.script(Query("q", "q.sql", (Statement("SELECT '12:30 $1'::time, $1::int", (0,)),)), [["4"]])
    assert text == "\\set set_ random(0, 0)\n\\set p0 4\nSELECT '12:30 $1'::time, :p0::int;\n"


def test_several_statements_are_one_transaction():
    text = pgbench.script(Query("q", "q.sql", (Statement("SELECT 1"), Statement("SELECT 2"))), [])
    assert text.split() == ["BEGIN;", "SELECT", "1;", "SELECT", "2;", "COMMIT;"]


def test_the_rate_is_that_of_the_calls_and_a_closed_loop_has_none():
    assert "-R 1.5 " in " ".join([*pgbench.arguments(work("1", "2", "3")), ""])
    assert "-R" not in pgbench.arguments(work("1", saturate=True))


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        (work("1", for_s=0.45), "whole seconds, not 0.45 s"),
        (work("1", queries=()), "runs no locustfile"),
        (work("1", queries=(POINT, Query("o", "o.sql", (), send="literal"))), "in one way"),
        (work("1", reads=(THERE,)), "reads where writes go"),
    ],
)
def test_what_it_cannot_do_is_refused(asked, why):
    with pytest.raises(LabError, match=why):
        pgbench.refuse(asked)


def test_a_part_of_a_second_is_refused_before_anything_runs():
    read = SimpleNamespace(workload=SimpleNamespace(driver="pgbench"), round=[SimpleNamespace(do="drive", for_s=0.45)])
    with pytest.raises(ScenarioError, match=r"drive: for: 0.45 s: pgbench drives for whole seconds"):
        load.check(read, None, None)


def test_bounds_of_the_window_are_declared_as_what_it_cannot():
    assert parts.cannot("pgbench") == {"window", "apart"}


def test_latency_counts_from_due_and_lateness_is_apart():
    lines = ["1 1 3000 0 10 5000 2000", "0 1 1000 1 10 4000 0"]
    made = pgbench.operations(lines, ["point", "other"], -9_000_000_000, saturate=False).to_pylist()
    first, second = made
    assert [first["due_ns"], first["start_ns"], first["end_ns"]] == [1_002_000_000, 1_004_000_000, 1_005_000_000]
    assert [second["client"], second["name"], second["seq"]] == [0, "other", 1]


def test_in_a_closed_loop_what_is_due_is_what_begins():
    (made,) = pgbench.operations(["0 1 1000 0 10 4000"], ["point"], 0, saturate=True).to_pylist()
    assert made["due_ns"] == made["start_ns"] == 10_003_000_000


@pytest.mark.parametrize(("word", "state"), [("failed", None), ("serialization", "40001"), ("deadlock", "40P01")])
@pytest.mark.parametrize("saturate", [True, False])
def test_a_transaction_that_failed_has_an_outcome_and_no_latency(word, state, saturate):
    lines = ["0 1 1000 0 10 4000 0", f"1 1 {word} 0 10 5000 2000"]
    ok, failed = pgbench.operations(lines, ["point"], 0, saturate=saturate).to_pylist()
    assert (ok["outcome"], ok["sqlstate"]) == ("ok", None)
    assert (failed["outcome"], failed["sqlstate"]) == ("failed", state)
    assert failed["end_ns"] - failed["start_ns"] == 0
    assert failed["start_ns"] - failed["due_ns"] == (0 if saturate else 2_000_000)


def test_a_missing_program_is_told_with_the_way_out(tmp_path):
    with pytest.raises(PlaceError, match="driver: locust"), pgbench.opened(workdir=tmp_path, options={"program": "no"}):
        pass


def test_a_pgbench_that_fails_is_an_error_with_its_words(tmp_path):
    program = tmp_path / "pgbench"
    program.write_text("#!/bin/sh\necho 'pgbench: error: it is broken' >&2\nexit 2\n")
    program.chmod(0o755)
    with pgbench.opened(workdir=tmp_path, options={"program": program}) as driver:
        run = driver.start(work("1"))
        assert run.wait(10)
        with pytest.raises(DriverError, match="status 2: pgbench: error: it is broken"):
            run.ops()
