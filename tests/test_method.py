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
# METHOD sections 4 and 5: what each row there is about -> how its row, or rows, in the map begin
METHOD = {
    "intervals": "Intervals cover",
    "the margin": "A truth exactly at the margin",
    "the smallest effect": "The smallest effect that is printed",
    "the pick": "The pick is rarely wrong",
    "requests": "Requests are never the unit",
    "order": "The order is randomised",
    "common numbers": "Common numbers",
    "latency": "Latency counts from due",
    "the generator": "The generator was not the bottleneck",
    "short times": "Times below a millisecond survive",
    "exact": "Exact is exact",
    "the twin": "The twin guards; small claims",
    "warm-up": "Warm-up is honest",
    "peeking": "No peeking",
    "a busy machine": "A busy machine",
    "settle": "`settle` is one defined thing",
    "autovacuum": "A trial beside an autovacuum worker",
    "checkpoints": "The distance of checkpoints",
    "WAL": "WAL records and full-page images",
    "where WAL counts from": "WAL counts from where it is inserted",
    "vacuum": "Vacuum is an explicit step",
    "limits": "Limits are read back",
    "throttling": "Throttling is counted",
    "durability": "Durability is recorded",
    "drift": "The baseline is the reference for drift",
    "settings": "Settings that differ",
    "guarantees": "Guarantees are compared",
    "answers": "Answers agree",
    "resetting": "Resetting is exact",
}
TESTS = sorted({name for row in ROWS for name in re.findall(r"`([^`]+)`", row[2])})


@lru_cache
def functions(path: Path) -> set[str]:
    return {node.name for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.FunctionDef)}


@lru_cache
def mutants() -> set[str]:
    found = tomllib.loads((TOP / "tests" / "mutants.toml").read_text(encoding="utf-8"))["mutant"]
    return {one["test"].partition("[")[0].removeprefix("tests/") for one in found}


@pytest.mark.parametrize("begin", METHOD.values(), ids=METHOD)
def test_every_row_of_the_method_is_in_the_map_once(begin):
    assert sum(row[0].startswith(begin) for row in ROWS) == 1


def test_a_row_of_the_map_says_what_where_and_by_which_tests():
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
