"""What a terminal shows of runs: every number with its unit, and why a candidate may not be chosen."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from lab import cli, plan, render, show, store
from lab.errors import RecordError
from lab.model import Doubt, Evidence, Verdict
from tests.real import small
from tests.samples import TRIALS, Differs, judged
from tests.test_store import RUN

SAMPLE = Path(__file__).parent.parent / "results" / "sample"
STANDING = {
    "heap": (Verdict.MET, ""),
    "by-month": (Verdict.NOT_MET, ""),
    "by-day": (Verdict.MET, ""),
    "brin": (Verdict.NOT_SHOWN, ""),
}


def page(*, absent=(), **changes) -> show.Shown:
    made = judged(**changes)
    made = replace(made, weighed=replace(made.weighed, standing=STANDING))
    return show.page(made, render.as_json(plan.plan(made)), absent=absent)


def row(table: show.Table, name: str) -> dict[str, str]:
    """One row by its first cell, as column -> cell."""
    (found,) = (cells for cells in table.rows if cells[0] == name)
    return dict(zip(table.columns, found, strict=True))


@pytest.fixture
def sample(tmp_path) -> Path:
    """A copy of the stored sample run."""
    shutil.copytree(SAMPLE, tmp_path / "results" / "sample")
    (folder,) = store.runs(tmp_path / "results")
    return folder


# --- one run --------------------------------------------------------------------------------


def test_a_candidates_row_has_its_requirements_its_objective_and_whether_it_may_be_chosen():
    shown = page()
    day = row(shown.tables[0], "by-day")
    (claim,) = (
        e for e in judged().weighed.evidence if (e.candidate, e.metric) == ("by-day", judged().scenario.objective)
    )
    assert day["requirements"] == f"{len(judged().scenario.requirements)} of {len(judged().scenario.requirements)} met"
    assert day["mix.server_ms_per_op"] == f"{claim.own:#.3g} ms"
    assert day["against heap"] == f"{claim.value:.2f}x"
    assert day["interval"] == f"{claim.low:.2f}x to {claim.high:.2f}x"
    assert (day["verdict"], day["loses at most"], day["may be chosen"]) == ("better", "0 %", "yes, chosen")


def test_who_may_not_be_chosen_has_the_reason_in_its_row():
    month = row(page().tables[0], "by-month")
    assert month["may be chosen"] == "no: a requirement is not met"
    assert row(page().tables[0], "heap")["may be chosen"] == "yes"


def test_the_twin_is_told_for_what_it_is_and_has_no_requirements():
    twin = row(page().tables[0], "heap (twin)")
    assert (twin["requirements"], twin["may be chosen"]) == ("-", "a second load of the baseline")


def test_a_candidate_that_was_not_measured_says_so():
    def silent(one: Evidence) -> bool:
        return one.candidate == "by-day"

    made = judged()
    left = tuple(one for one in made.weighed.evidence if not silent(one))
    table = page(weighed=replace(made.weighed, evidence=left)).tables[0]
    assert row(table, "by-day")["verdict"] == "not measured"


def test_the_decision_is_one_line_with_its_rounds():
    decision = page().decision
    assert decision.startswith("recommended by-day: it is the only candidate")
    assert decision.endswith("(20 of 20 rounds)")
    assert "\n" not in decision


@pytest.mark.parametrize(("kind", "effect"), [("warm-up", "noted"), ("foreign processes", "no evidence about time")])
def test_a_note_is_no_doubt_about_time(kind, effect):
    (note,) = page(doubts=[Doubt(TRIALS[0], kind, "something was seen", False)]).notes
    assert note.startswith(f"{effect}: 1 ")


def test_trials_left_out_are_counted_with_the_reason_and_named():
    doubts = [Doubt(trial, "autovacuum", "an autovacuum worker ran", True) for trial in TRIALS[:4]]
    (note,) = page(doubts=doubts).notes
    assert note.startswith("left out: 4 of ")
    assert note.endswith(f" trials: an autovacuum worker ran ({', '.join(sorted(TRIALS[:4])[:3])}, ...)")


def test_a_candidate_that_answers_otherwise_and_one_that_was_not_run_are_named():
    run = {**judged().run, "overrides": {"only": ["heap", "by-day"]}}
    notes = page(disagreements=[Differs("by-month", "recent")] * 2, run=run, doubts=[], absent=["brin"]).notes
    assert notes == (
        "not in this run (--only heap,by-day): brin",
        "disqualified: by-month answers recent otherwise than heap",
    )


def test_of_the_sample_every_number_that_is_shown_is_one_of_the_plan(sample):
    shown = show.shown(sample)
    plan_ = (Path(__file__).parent / "golden" / "sample.md").read_text()
    exact = shown.tables[2]
    assert exact.title == "counted exactly, against heap"
    for cells in exact.rows:
        assert f"| `{cells[0]}` |" in plan_
        for cell in cells[1:]:
            assert cell.split(",")[0] in plan_
    assert [cells[0] for cells in shown.tables[1].rows] == [
        "query.recent.p95_ms at most 50.0 ms",
        "size.bytes_per_row at most 1,000 bytes/row",
    ]
    assert shown.tables[1].rows[1][1] == "met (172 bytes/row)"


def test_candidates_that_only_left_out_are_found_in_the_scenario(sample):
    run = json.loads((sample / "run.json").read_text())
    run["overrides"]["only"] = ["by-day"]
    (sample / "run.json").write_text(json.dumps(run))
    for folder in ("instances", "trials"):
        for path in (sample / folder).glob("no-*"):
            shutil.rmtree(path)
    store.finish(sample, {"rounds": 20})
    assert show.shown(sample).notes[0] == 'not in this run (--only by-day): no "index", später'


@pytest.mark.parametrize("command", ["show", "plan"])
def test_a_store_that_was_changed_is_not_judged_and_the_file_is_named(sample, monkeypatch, command):
    monkeypatch.chdir(sample.parents[2])
    path = sorted(sample.glob("trials/*/facts.json"))[0]
    path.write_text(path.read_text() + " ")
    done = CliRunner().invoke(cli.app, [command, "sample"])
    assert done.exit_code == 2
    assert f"{path.relative_to(sample.parents[2])}: was changed" in done.stderr
    assert not Path(".claude").exists()


def test_what_a_run_would_take_is_told_in_units_with_what_it_could_not_show():
    found = {
        "scenario": "small",
        "on": "embedded",
        "candidates": ["plain", "it's other"],
        "instances": 3,
        "rounds": 20,
        "trials": 60,
        "seconds": 93,
        "disk_bytes": 315 * 2**20,
        "improvement": "reduction",
        "smallest_effects": {"noise of 2%": 0.1042},
        "warnings": ["too few rounds"],
    }
    assert list(show.foretold(found)) == [
        "small, on embedded: plain, it's other (3 instances)",
        "20 rounds, 60 trials: about 1:33 minutes, 315 MiB of disk",
        "smallest reduction that this run can show, noise of 2%: 10.4%",
        "too few rounds",
    ]


# --- the list -------------------------------------------------------------------------------


@pytest.fixture
def two(tmp_path, monkeypatch) -> Path:
    """Two runs, of which the first one's run.json is broken."""
    monkeypatch.chdir(tmp_path)
    broken = store.create(Path("results"), RUN)
    (broken / "run.json").write_text("{")
    return store.create(Path("results"), {**RUN, "id": "20270101T000000-abcdef"})


@pytest.mark.parametrize("words", [["list"], ["list", "--json"]])
def test_a_run_that_cannot_be_read_is_named_and_the_others_are_listed(two, words):
    done = CliRunner().invoke(cli.app, words)
    assert done.exit_code == 2
    assert "results/events/20260101T000000-abcdef/run.json: cannot be read" in done.stderr
    assert two.name in done.stdout
    assert RUN["id"] not in done.stdout


def test_a_list_says_what_a_run_is_and_what_it_takes(two):
    assert show.about(two) == {
        "scenario": "events",
        "run": "20270101T000000-abcdef",
        "folder": two.as_posix(),
        "host": "embedded 18.1",
        "rounds": 2,
        "trials": 0,
        "bytes": (two / "run.json").stat().st_size,
        "complete": False,
    }
    with pytest.raises(RecordError):
        show.about(two.parent / RUN["id"])


# --- piped ----------------------------------------------------------------------------------


def piped(*words: str, **more) -> subprocess.CompletedProcess[str]:
    """The command with its output in a pipe, and a narrow terminal around it."""
    environment = {**small.environment(), "COLUMNS": "40"}
    command = [sys.executable, "-m", "lab.cli", *words]
    return subprocess.run(command, text=True, env=environment, check=False, stderr=subprocess.PIPE, **more)


@pytest.mark.parametrize("words", [["show", "sample"], ["list"]])
def test_a_row_is_a_line_however_narrow_the_terminal(sample, words):
    done = piped(*words, cwd=sample.parents[2], stdout=subprocess.PIPE)
    (line,) = (line for line in done.stdout.splitlines() if line.startswith(("query.by_id.blocks_per_call", "sample")))
    assert line.endswith(("worse", "yes"))
    assert len(line) > 40


@pytest.mark.parametrize("words", [["list"], ["list", "--json"], ["show", "sample"], ["--help"]])
def test_a_reader_that_leaves_changes_neither_the_status_nor_says_anything(sample, words):
    reader, writer = os.pipe()
    os.close(reader)
    done = piped(*words, cwd=sample.parents[2], stdout=writer)
    os.close(writer)
    assert (done.returncode, done.stderr) == (0, "")
