"""The baseline against itself on a real server: stored, gone on with, and used by the run that follows."""

import json
import shutil
from pathlib import Path

import pytest

from lab import store
from tests.real import small

pytestmark = pytest.mark.server


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict]:
    """A folder with an A/A run of six rounds, and what it said as JSON."""
    folder = small.write(tmp_path_factory.mktemp("aa"))
    done = small.pglab(folder, "aa", "scenarios/small", "--on", "embedded", "--rounds", "6", "--json")
    assert done.returncode in (0, 1), done.stderr
    return folder, json.loads(done.stdout)


def test_copies_of_the_baseline_are_loaded_driven_and_measured(finished):
    folder, told = finished
    (run,) = store.runs(folder / "results", "small.aa")
    stored = store.read(run)
    assert {item.trial.instance.name for item in stored.slices} == {"plain", "plain (copy 2)", "plain (twin)"}
    assert (told["sides"], told["rounds"], told["rounds_of_an_experiment"]) == (3, 6, 3)
    assert told["metrics"]["mix.server_ms_per_op"]["sd"] > 0
    assert told["exact_differences"] == []
    assert json.loads((run / "analysis" / "noise.json").read_text()) == told


def test_it_is_a_run_like_others_under_a_name_of_its_own(finished):
    folder, told = finished
    listed = json.loads(small.once(folder, "list", "--json").stdout)
    assert [one["scenario"] for one in listed] == ["small.aa"]
    assert small.once(folder, "show", "small.aa").returncode == 0
    assert small.once(folder, "show", "small").returncode == 2
    assert told["scenario"] == "small"


def test_a_run_of_the_scenario_knows_its_noise_beforehand(finished):
    folder, told = finished
    done = small.pglab(folder, "run", "scenarios/small", "--on", "embedded", "--rounds", "2", "--dry-run", "--json")
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    seen = [f"noise as in A/A run {told['run']}"]
    expected = seen if not told["refused"] else ["noise of 2%", "noise of 5%", "noise of 10%"]
    assert list(said["smallest_effects"]) == expected
    assert any("query.recent.p95_ms" in line and "would do" in line for line in said["warnings"])


def test_more_rounds_make_it_surer(finished, tmp_path):
    folder = shutil.copytree(finished[0], tmp_path / "copy")
    done = small.pglab(folder, "aa", "scenarios/small", "--on", "embedded", "--rounds", "8", "--resume", "--json")
    assert done.returncode in (0, 1), done.stderr
    assert json.loads(done.stdout)["rounds"] == 8
