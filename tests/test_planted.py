"""The scenarios in which the benchmark plants effects are scenarios, and differ by what is planted and nothing else."""

from pathlib import Path

import pytest

from lab import metrics, parts, scenario
from lab.model import Scenario
from tests.benchmarks import planted


def read(folder: Path, files: dict[str, str]) -> Scenario:
    planted.write(folder, files)
    return scenario.read("planted", scenario.OnDisk(folder / "scenarios" / "planted", folder), parts)


def test_the_work_that_is_counted_is_what_the_figures_are_named_after(tmp_path):
    read(tmp_path, planted.TIMED_FILES)
    assert {name: rows / planted.WORK["plain"] for name, rows in planted.WORK.items()} == {
        "plain": 1.0,
        "three": 1.03,
        "twenty": 1.20,
    }
    told = {name: planted.TIMED_FILES[f"scenarios/planted/{name}.sql"] for name in planted.WORK}
    assert {text.replace(str(planted.WORK[name]), "N") for name, text in told.items()} == {
        told["plain"].replace("20000", "N")
    }


@pytest.mark.parametrize("candidate", planted.EXACTLY)
def test_each_planted_thing_has_a_metric_that_its_scenario_knows(tmp_path, candidate):
    found = read(tmp_path, planted.COUNTED_FILES)
    metric, _low, _high = planted.EXACTLY[candidate]
    assert candidate in found.candidates
    assert metric in metrics.names_of([one.name for one in found.workload.queries], ["ingest", "count", "drive"])
