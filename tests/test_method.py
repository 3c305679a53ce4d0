"""The map of the method is true: what it names is there, and each test in it has been seen to fail."""

import ast
import re
import tomllib
from functools import lru_cache
from pathlib import Path

import pytest

TOP = Path(__file__).parent.parent
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in (TOP / "docs" / "method.md").read_text(encoding="utf-8").splitlines()
    if line.startswith("| ") and "::" in line
]
TESTS = sorted({name for row in ROWS for name in re.findall(r"`([^`]+)`", row[2])})


@lru_cache
def functions(path: Path) -> set[str]:
    return {node.name for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.FunctionDef)}


@lru_cache
def mutants() -> set[str]:
    found = tomllib.loads((TOP / "tests" / "mutants.toml").read_text(encoding="utf-8"))["mutant"]
    return {one["test"].partition("[")[0].removeprefix("tests/") for one in found}


def test_the_map_has_the_rows_of_both_parts():
    assert len(ROWS) >= 30
    assert all(len(row) == 3 for row in ROWS)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0][:40])
def test_every_row_names_code_that_is_there(row):
    named = re.findall(r"`([^`]+)`", row[1])
    assert named
    assert [name for name in named if not (TOP / name).exists()] == []


@pytest.mark.parametrize("name", TESTS)
def test_every_test_that_is_named_is_there_and_turns_red_with_a_mutant(name):
    path, _, function = name.partition("::")
    assert function in functions(TOP / "tests" / path)
    assert name in mutants(), f"tests/mutants.toml: no mutant has the test tests/{name}"
