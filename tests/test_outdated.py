"""Old stored runs go by age and number, and what is still needed stays, with a reason."""

import fcntl
import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from lab import alone, cli, outdated
from lab.errors import PlaceError

NOW = datetime(2026, 6, 30, tzinfo=UTC)
DAY_S = 86_400.0


def stored(results: Path, scenario: str, *ages: int) -> list[Path]:
    """Runs that began so many days ago, in the order of *ages*."""
    made = []
    for days in ages:
        begun = NOW - timedelta(days=days)
        folder = results / scenario / f"{begun:%Y%m%dT%H%M%S}-abcdef"
        folder.mkdir(parents=True)
        run = {"format": 1, "begun": begun.isoformat(timespec="seconds"), "scenario": {"name": scenario}}
        (folder / "run.json").write_text(json.dumps(run))
        made.append(folder)
    return made


def going(tmp_path: Path, **how) -> list[str]:
    """The ids' days of the runs that would go; the folder of plans is *tmp_path*."""
    given = {"older_s": None, "keep": None, "living": (), **how}
    found = outdated.old(tmp_path / "results", tmp_path, now=NOW, **given)
    return [f"{one.folder.parent.name} {one.folder.name[:8]}" for one in found if not one.stays]


@pytest.fixture
def runs(tmp_path):
    return {name: stored(tmp_path / "results", name, *ages) for name, ages in (("a", (40, 20, 1)), ("[b]", (50,)))}


@pytest.mark.parametrize(
    ("how", "goes"),
    [
        ({}, []),
        ({"older_s": 30 * DAY_S}, ["[b] 20260511", "a 20260521"]),
        ({"older_s": 60 * DAY_S}, []),
        ({"keep": 1}, ["a 20260610", "a 20260521"]),
        ({"keep": 0}, ["[b] 20260511", "a 20260629", "a 20260610", "a 20260521"]),
        ({"keep": 2, "older_s": 10 * DAY_S}, ["a 20260521"]),
        ({"keep": 5, "older_s": 10 * DAY_S}, []),
    ],
)
def test_runs_go_by_age_and_by_number(tmp_path, runs, how, goes):
    assert going(tmp_path, **how) == goes
    assert all(folder.exists() for every in runs.values() for folder in every)


def seal(scenario: str, run: Path) -> str:
    return f"words\n\n<!-- pglab scenario={scenario} run={run.name} root=r method=1 printed=p pages=q -->\n"


def test_a_run_that_a_plan_rests_on_stays(tmp_path, runs):
    (tmp_path / "a.md").write_text(seal("a", runs["a"][0]))
    found = list(outdated.old(tmp_path / "results", tmp_path, now=NOW, older_s=DAY_S, keep=None, living=()))
    assert {one.folder: one.stays for one in found if one.stays} == {runs["a"][0]: f"{tmp_path / 'a.md'} rests on it"}


def test_a_run_that_goes_on_stays(tmp_path, runs):
    assert going(tmp_path, keep=0, living={runs["a"][0].name}) == ["[b] 20260511", "a 20260629", "a 20260610"]


@pytest.mark.parametrize(
    "text", ["{", '{"format": 1}', '{"format": 1, "begun": "yesterday"}', '{"format": 1, "begun": "2026-01-01"}', "[]"]
)
def test_a_run_of_which_nobody_can_tell_when_it_began_stays_and_is_told(tmp_path, runs, text):
    (runs["a"][0] / "run.json").write_text(text)
    found = list(outdated.old(tmp_path / "results", tmp_path, now=NOW, older_s=DAY_S, keep=None, living=()))
    [odd] = [one for one in found if one.stays]
    assert odd.folder == runs["a"][0]
    assert "when it began cannot be read" in odd.stays


def test_what_may_go_is_gone_with_the_folder_of_a_scenario_that_has_none_left(tmp_path, runs):
    outdated.remove(outdated.old(tmp_path / "results", tmp_path, now=NOW, older_s=30 * DAY_S, keep=None, living=()))
    assert sorted(path.name for path in (tmp_path / "results").iterdir()) == ["a"]
    assert [path.exists() for path in runs["a"]] == [False, True, True]


@pytest.fixture
def lock(tmp_path, monkeypatch) -> Path:
    """A lock and a base folder of this test's own."""
    monkeypatch.setenv("PGLAB_BASE", str(tmp_path / "base"))
    monkeypatch.setattr(alone, "MEASURING", tmp_path / "measuring.lock")
    return tmp_path / "measuring.lock"


def test_while_somebody_measures_what_is_not_complete_is_kept_with_its_fragments_and_told(tmp_path, runs, lock):
    done, going, logs = runs["a"][0], runs["a"][1], runs["a"][1] / ".logs"
    for folder, rounds in ((done, 2), (going, 3)):
        run = json.loads((folder / "run.json").read_text())
        (folder / "run.json").write_text(json.dumps({**run, "rounds": rounds}))
        (folder / "done.json").write_text('{"format": 1, "rounds": 2}')
    for folder in (logs, done / ".logs"):
        folder.mkdir()
        os.utime(folder, (1, 1))
    words = ["clean", "--keep", "0", "--results", str(tmp_path / "results"), "--doc", str(tmp_path)]
    with lock.open("w") as theirs:
        fcntl.flock(theirs, fcntl.LOCK_EX)
        dry = CliRunner().invoke(cli.app, [*words[:1], *words[3:]])
        assert (dry.exit_code, logs.exists(), (done / ".logs").exists()) == (0, True, False)
        said = CliRunner().invoke(cli.app, words)
    assert said.exit_code == 0, said.output
    assert "kept: " in said.stderr
    assert "runs that are not complete (3): somebody measures on this machine" in said.stderr
    assert (done.exists(), going.exists(), logs.exists()) == (False, True, True)
    said = CliRunner().invoke(cli.app, words)
    assert ("kept" in said.stderr, list((tmp_path / "results").iterdir())) == (False, [])


def test_nobody_begins_to_measure_while_something_is_taken_from_the_results(lock):
    with alone.unless_measuring() as one, alone.unless_measuring() as another:
        assert one
        assert another
        with pytest.raises(PlaceError, match=f"is measuring on this machine .pid {os.getpid()} of"), alone.measuring():
            pass
    lock.unlink()
    lock.mkdir()  # which cannot be opened
    with alone.unless_measuring() as nobody:
        assert not nobody


@pytest.mark.usefixtures("lock")
def test_the_command_says_what_goes_and_what_stays(tmp_path, runs):
    (tmp_path / "a.md").write_text(seal("a", runs["a"][0]))
    words = ["clean", "--keep", "0", "--results", str(tmp_path / "results"), "--doc", str(tmp_path)]
    said = CliRunner().invoke(cli.app, [*words, "--dry-run"])
    assert said.exit_code == 0, said.output
    assert "stored run: " in said.output
    assert "3 left over or old, " in said.output
    assert "rests on it" in said.output
    assert runs["[b]"][0].exists()
    CliRunner().invoke(cli.app, words)
    assert [path.exists() for path in (*runs["a"], *runs["[b]"])] == [True, False, False, False]


def test_an_age_that_is_none_is_a_message_with_the_option(tmp_path):
    said = CliRunner().invoke(cli.app, ["clean", "--older", "a month", "--results", str(tmp_path)])
    assert said.exit_code == 2
    assert "--older: 'a month' is no duration" in said.stderr
