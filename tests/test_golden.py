"""The stored sample run is judged as it was, to the byte, and nothing of it or its plan is edited unnoticed."""

import re
import shutil
from pathlib import Path

import pytest

from lab import judge, publish, render, store, verify
from lab.errors import RecordError

TOP = Path(__file__).parent.parent
GOLDEN = TOP / "tests" / "golden"
PLAN = GOLDEN / "sample.md"


def run_of(results: Path) -> Path:
    (folder,) = store.runs(results, "sample")
    return folder


@pytest.fixture(scope="module")
def judged() -> judge.Judgement:
    return judge.judge(run_of(TOP / "results"))


@pytest.fixture
def mine(tmp_path) -> tuple[Path, Path]:
    """A copy of the plan with its figures, and of the results it is of."""
    shutil.copytree(TOP / "results" / "sample", tmp_path / "results" / "sample")
    shutil.copytree(GOLDEN / "sample", tmp_path / "sample")
    return Path(shutil.copy(PLAN, tmp_path / "sample.md")), tmp_path / "results"


def wrong(mine: tuple[Path, Path]) -> list[str]:
    return verify.verify(*mine).wrong


# --- to the byte ----------------------------------------------------------------------------


def test_the_sample_is_judged_as_it_was_to_the_byte(judged):
    assert next(iter(judged.pages)) == PLAN.name
    for path, page in judged.pages.items():
        assert page.text.encode() == (GOLDEN / path).read_bytes(), f"{path}: make sample, or a bug"


def test_no_figure_lies_beside_the_plan_that_it_has_not(judged):
    there = {path.relative_to(GOLDEN).as_posix() for path in GOLDEN.rglob("*.svg")}
    assert there == {path for path in judged.pages if path.endswith(".svg")}


def test_judging_leaves_the_run_as_it_was(judged):
    folder = run_of(TOP / "results")
    root = store.root(folder)
    assert judge.judge(folder).pages == judged.pages
    assert store.root(folder) == root
    assert store.problems(folder) == []


def test_the_sample_is_whole_and_small():
    folder = run_of(TOP / "results")
    assert store.complete(folder)
    stored = store.read(folder)
    assert len(stored.slices) == stored.rounds * len(stored.prepared)
    kept = [path for path in folder.rglob("*") if path.is_file() and "analysis" not in path.parts]
    assert sum(path.stat().st_size for path in kept) < 1_500_000
    assert not list(folder.rglob(".partial-*"))


def test_the_sample_is_of_the_scenario_beside_its_plan():
    here = GOLDEN / "scenario" / "sample"
    for name, text in store.read_run(run_of(TOP / "results"))["scenario"]["files"].items():
        (path,) = here.rglob(Path(name).name)
        assert path.read_text(encoding="utf-8") == text, name


# --- every edit is named --------------------------------------------------------------------


def test_the_plan_verifies(mine):
    found = verify.verify(*mine)
    assert found.wrong == []
    assert found.numbers > 100


def line_of(plan: Path, start: str) -> tuple[int, str]:
    """The number and the text of the line that begins so."""
    lines = plan.read_text().splitlines()
    (number,) = [n for n, line in enumerate(lines) if line.startswith(start)]
    return number, lines[number]


def replace(plan: Path, number: int, line: str) -> None:
    lines = plan.read_text().splitlines(keepends=True)
    lines[number] = f"{line}\n"
    plan.write_text("".join(lines))


def test_one_digit_is_named_with_its_line_and_its_address(mine):
    number, line = line_of(mine[0], "| `size.total_bytes`")
    replace(mine[0], number, re.sub(r"\d", lambda found: str((int(found[0]) + 1) % 10), line, count=1))
    (found,) = wrong(mine)
    assert f"line {number + 1}:" in found
    assert "size.total_bytes" in found


@pytest.mark.long
def test_an_added_sentence_with_a_number_is_named(mine):
    number, line = line_of(mine[0], "## Requirements")
    replace(mine[0], number, f"It is 7 times as fast.\n\n{line}")
    (found,) = [one for one in wrong(mine) if "7" in one]
    assert "It is 7 times as fast" in found


def test_a_sentence_below_the_last_line_is_named_and_the_plan_was_edited(mine):
    with mine[0].open("a") as file:
        file.write("\nIt is 7 times as fast.\n")
    number = len(mine[0].read_text().splitlines())
    assert wrong(mine) == [f"sample.md: line {number}: 'It is 7 times as fast.' is not in the plan"]
    assert publish.edited(mine[0], run_of(mine[1]))


@pytest.mark.long
def test_an_added_sentence_without_a_number_is_named(mine):
    number, line = line_of(mine[0], "## Requirements")
    replace(mine[0], number, f"Trust us.\n\n{line}")
    assert any("Trust us" in one for one in wrong(mine))


@pytest.mark.long
def test_two_swapped_numbers_are_both_named(mine):
    number, line = line_of(mine[0], "| `wal.record_bytes_per_row`")
    first, second = re.findall(r"\d+ bytes/row", line)[:2]
    assert first != second
    replace(mine[0], number, line.replace(first, "@").replace(second, first).replace("@", second))
    found = wrong(mine)
    assert len(found) == 2
    assert all(f"line {number + 1}:" in one and "wal.record_bytes_per_row" in one for one in found)


@pytest.mark.long
def test_a_removed_line_is_named(mine):
    number, line = line_of(mine[0], "| `size.total_bytes`")
    lines = mine[0].read_text().splitlines(keepends=True)
    mine[0].write_text("".join(lines[:number] + lines[number + 1 :]))
    assert wrong(mine)
    assert line


@pytest.mark.long
def test_an_edited_figure_is_named(mine):
    (figure,) = (mine[0].parent / "sample").glob("catalogue.svg")
    text = figure.read_text()
    figure.write_text(re.sub(r">(\d)", lambda found: f">{(int(found[1]) + 1) % 10}", text, count=1))
    assert any("catalogue.svg" in one for one in wrong(mine))


# --- another version of the lab -------------------------------------------------------------


def written_otherwise(plan: Path) -> None:
    """The plan as a version of the lab would have written it that has another word for something."""
    pages = {plan.name: plan.read_text().replace("## Requirements", "## What is required", 1)}
    pages |= {path.relative_to(plan.parent).as_posix(): path.read_text() for path in plan.parent.glob("sample/*.svg")}
    seal = render.seal_of(pages[plan.name])
    assert seal is not None
    plan.write_text(pages[plan.name].replace(seal.pages, render.digest(pages)))


def test_a_plan_of_another_version_is_no_edited_one_and_is_to_be_judged_again(mine):
    written_otherwise(mine[0])
    with pytest.raises(
        RecordError, match=r"another version of the lab.* pglab plan 2026\S+\); the first difference: sample.md: line"
    ):
        verify.verify(*mine)
    assert not publish.edited(mine[0], run_of(mine[1]))


@pytest.mark.long
def test_a_plan_of_another_version_that_was_edited_is_named_with_its_lines(mine):
    written_otherwise(mine[0])
    number, line = line_of(mine[0], "| `size.total_bytes`")
    replace(mine[0], number, f"{line} 7")
    assert any(f"line {number + 1}:" in one for one in wrong(mine))
    assert publish.edited(mine[0], run_of(mine[1]))


@pytest.mark.long
def test_a_plan_of_another_version_with_a_figure_of_somebodys_own_was_edited(mine):
    written_otherwise(mine[0])
    (mine[0].parent / "sample" / "own.svg").write_text("<svg/>")
    assert "sample/own.svg: is not in the plan" in wrong(mine)


@pytest.mark.long
def test_a_plan_of_another_version_whose_store_was_changed_is_not_true(mine):
    written_otherwise(mine[0])
    shutil.rmtree(sorted(run_of(mine[1]).glob("trials/*"))[0])
    assert any("is not the run that the plan was made of" in one for one in wrong(mine))


FILES = ("trials/*/ops.parquet", "trials/*/facts.json", "trials/*/logs/*.log", "trials/*/trial.json")
FILES += tuple(
    f"instances/*/{name}.json" for name in ("metrics", "explains", "digests", "settings", "report", "instance")
)
FILES += ("instances/*/parameters.readings.parquet", "studies/*/metrics.json", "studies/*/study.json")
FILES += ("run.json", "done.json")


@pytest.mark.long
@pytest.mark.parametrize("name", FILES)
def test_a_changed_stored_file_is_named(mine, name):
    folder = run_of(mine[1])
    victim = sorted(folder.glob(name))[0]
    data = bytearray(victim.read_bytes())
    at = data.rindex(b"1")
    data[at] = ord("2")
    victim.write_bytes(data)
    assert f"{folder}: {victim.relative_to(folder).as_posix()}: was changed" in wrong(mine)


@pytest.mark.long
def test_a_removed_trial_is_noticed(mine):
    shutil.rmtree(sorted(run_of(mine[1]).glob("trials/*"))[0])
    assert any("is not the run that the plan was made of" in one for one in wrong(mine))


@pytest.mark.long
def test_a_trial_without_its_seal_is_named(mine):
    victim = sorted(run_of(mine[1]).glob("trials/*/trial.json"))[0]
    victim.unlink()
    assert any(f"{victim.parent.name}/trial.json: is missing" in one for one in wrong(mine))


@pytest.mark.long
def test_what_was_left_in_analysis_is_not_asked(mine):
    (run_of(mine[1]) / "analysis").mkdir()
    (run_of(mine[1]) / "analysis" / "plan.json").write_text("{}")
    assert wrong(mine) == []
