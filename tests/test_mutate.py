"""The mutants' own tool: a mutant counts only if its test passes where nothing is broken."""

import os

import pytest

from tests import mutate

MUTANT = {"file": "lab/pace.py", "old": "a", "new": "b", "test": "tests/test_pace.py::test_one"}


def test_a_mutant_is_tried_if_its_test_passes_unbroken_in_any_of_its_cases():
    outcomes = {"tests/test_pace.py::test_one[a]": ["no engine"], "tests/test_pace.py::test_one[b]": ["passed"]}
    assert mutate.sorted_out([MUTANT], outcomes) == ([MUTANT], [], [])


def test_a_mutant_whose_test_skips_is_not_tried_and_says_why():
    sound, untried, unsound = mutate.sorted_out([MUTANT], {MUTANT["test"]: ["Skipped: no engine"]})
    assert (sound, unsound) == ([], [])
    assert untried == ["not tried: lab/pace.py: 'a': tests/test_pace.py::test_one: Skipped: no engine"]


def test_a_test_that_fails_where_nothing_is_broken_proves_nothing():
    sound, untried, unsound = mutate.sorted_out([MUTANT], {MUTANT["test"]: ["passed", "failed"]})
    assert (sound, untried) == ([], [])
    assert unsound == ["lab/pace.py: tests/test_pace.py::test_one fails where nothing is broken"]


def test_a_test_of_another_name_is_not_the_mutants():
    sound, untried, unsound = mutate.sorted_out([MUTANT], {"tests/test_pace.py::test_one_more": ["passed"]})
    assert (sound, untried) == ([], [])
    assert unsound == ["lab/pace.py: tests/test_pace.py::test_one is not found where nothing is broken"]


@pytest.mark.parametrize(
    ("words", "asked"),
    [
        ([], True),
        (["pace"], True),
        (["plan"], False),
        (["-real"], True),
        (["-pace"], False),
        (["pace", "-test_one"], False),
    ],
)
def test_mutants_are_chosen_by_words_and_spared_by_words_after_a_minus(words, asked):
    assert mutate.asked_for(MUTANT, words) is asked


def test_fewer_tests_than_copies_are_run_and_no_others(tmp_path, monkeypatch):
    ran = []

    def forked(top, tests, _):
        ran.append((top.name, tests))
        top.mkdir()
        (top / "outcomes").write_text('{"tests/a.py::test": ["passed"]}')
        return os.spawnlp(os.P_NOWAIT, "true", "true")

    monkeypatch.setattr(mutate, "_forked", forked)
    outcomes = mutate._unchanged([tmp_path / "0", tmp_path / "1"], ["tests/a.py::test"])
    assert ran == [("0", ["tests/a.py::test"])]
    assert outcomes == {"tests/a.py::test": ["passed"]}
