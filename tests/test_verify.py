"""Whatever is changed on a plan's pages is named, with its line and its address."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lab import plan, render
from lab.book import Book
from lab.differences import compare as verify
from lab.differences import differences
from lab.template import rendered_text
from tests import samples

SMALL = rendered_text(
    "Time: {{ book.a | number }} ms, not {{ book.b | number }}.\n"
    "Words of the author: {{ book.q | text }}\n"
    "\n"
    "| x | {{ book.b | number }} | {{ book.c | number }} |\n"
    "{{ book.s | sql }}\n"
    "The end.\n",
    Book({"a": 41.2, "b": 3, "c": 4, "q": "pruning pays, 7 times", "s": "SELECT 1\nFROM t"}),
)


def told(page):
    return [str(one) for one in differences(page, SMALL)]


def changed(old, new):
    assert SMALL.text.count(old) == 1
    return told(SMALL.text.replace(old, new))


def test_a_page_as_it_was_rendered_is_true():
    assert told(SMALL.text) == []


def test_an_edited_number_is_named_with_its_line_and_address():
    assert changed("41.2", "41.3") == ["line 1: 41.3 should be 41.2 (a)"]


def test_an_edited_quote_is_named():
    assert changed("pruning pays, 7 times", "pruning pays, 8 times") == [
        "line 2: pruning pays, 8 times should be pruning pays, 7 times (q)"
    ]


def test_an_edited_line_of_sql_is_named():
    assert changed("FROM t", "FROM u") == ["line 7: FROM u should be FROM t (s)"]


def test_two_numbers_swapped_in_a_row_are_both_named():
    assert changed("| 3 | 4 |", "| 4 | 3 |") == ["line 4: 4 should be 3 (b)", "line 4: 3 should be 4 (c)"]


def test_two_numbers_swapped_between_lines_are_both_named():
    page = SMALL.text.replace("not 3", "not 4").replace("| 3 | 4 |", "| 3 | 3 |")
    assert told(page) == ["line 1: 4 should be 3 (b)", "line 4: 3 should be 4 (c)"]


def test_a_removed_number_is_named():
    assert changed("not 3.", "not .") == ["line 1: '3' is missing (b)"]


def test_a_removed_line_is_named_with_its_addresses():
    assert changed("| x | 3 | 4 |\n", "") == ["line 4: '| x | 3 | 4 |' is missing (b, c)"]


def test_an_added_sentence_is_not_in_the_plan():
    assert changed("The end.", "It is twice as 7 fast.\nThe end.") == [
        "line 9: 'It is twice as 7 fast.' is not in the plan"
    ]


def test_empty_lines_are_told_only_where_nothing_else_is():
    assert told(SMALL.text.replace("The end.", "\nA note.\n\nThe end.")) == ["line 10: 'A note.' is not in the plan"]
    assert told(SMALL.text.replace("The end.", "\nThe end.")) == ["line 9: '(an empty line)' is not in the plan"]


def test_an_edit_beside_an_added_line_is_still_told_where_it_is():
    page = SMALL.text.replace("Time: 41.2", "A note.\nTime: 41.3")
    assert told(page) == ["line 1: 'A note.' is not in the plan", "line 2: 41.3 should be 41.2 (a)"]


def test_an_added_number_within_a_line_is_named():
    assert changed("The end.", "The 7 end.") == ["line 9: ' 7' is not in the plan"]


def test_a_note_without_a_number_is_a_difference_too():
    assert changed("The end.", "The very end.") == ["line 9: ' very' is not in the plan"]


def test_an_invisible_character_is_made_visible():
    assert changed("41.2", "41\u200b.2") == ["line 1: 41\\u200b.2 should be 41.2 (a)"]


def test_line_ends_of_another_system_are_no_difference():
    assert told(SMALL.text.replace("\n", "\r\n")) == []


def test_what_follows_the_last_line_is_named():
    assert told(SMALL.text + "PS: 9\n") == ["line 10: 'PS: 9' is not in the plan"]


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_every_change_is_a_difference(data):
    """The texts are equal exactly when nothing is told, whatever is cut out or put in."""
    text = SMALL.text
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, min(len(text), start + 30)))
    page = text[:start] + data.draw(st.text("ab 3471.|\n", max_size=8)) + text[end:]
    assert (differences(page, SMALL) == []) == (page == text)


# --- the sample run -------------------------------------------------------------------------


@pytest.fixture(scope="module")
def pages():
    return render.pages(plan.plan(samples.judged()))


def test_the_pages_of_a_plan_verify(pages):
    assert verify({path: page.text for path, page in pages.items()}, pages) == []


def test_every_figure_of_the_plan_is_covered_wherever_it_stands(pages):
    """One digit changed anywhere on any page is told, with the line it is on."""
    chance = random.Random(1)
    for path, page in pages.items():
        digits = [n for n, c in enumerate(page.text) if c.isdigit()]
        for n in chance.sample(digits, min(60, len(digits))):
            other = str((int(page.text[n]) + 1) % 10)
            [one, *_] = differences(page.text[:n] + other + page.text[n + 1 :], page)
            assert one.line == page.text.count("\n", 0, n) + 1, path
            assert one.address, path


def test_a_figure_that_was_edited_or_is_gone_or_was_added_is_named(pages):
    found = {path: page.text for path, page in pages.items()}
    edited = found["events/objective.svg"].replace("0.61", "0.16").replace("<circle", "<rect", 1)
    assert verify({**found, "events/objective.svg": edited}, pages)[0].startswith("events/objective.svg: line ")
    assert verify({**found, "events/objective.svg": None}, pages) == ["events/objective.svg: is missing"]
    assert verify({**found, "events/more.svg": ""}, pages) == ["events/more.svg: is not in the plan"]


def test_the_seal_is_part_of_the_page(pages):
    page = pages["events.md"]
    seal = render.seal_of(page.text)
    assert seal is not None
    [one] = differences(page.text.replace(seal.printed, "0" * 64), page)
    assert one.address == "printed"


def test_a_page_of_another_evidence_is_told_by_the_address(pages):
    """The plan says what an earlier store said: the number is named with where it comes from."""
    run = samples.judged()
    evidence = tuple(
        samples.replace(one, own=31.5) if one.id == "by-month/mix.server_ms_per_op" else one
        for one in run.weighed.evidence
    )
    changed = samples.judged(weighed=samples.replace(run.weighed, evidence=evidence))
    wrong = verify({path: page.text for path, page in pages.items()}, render.pages(plan.plan(changed)))
    assert any("0.385 ms should be 31.5 ms (evidence/by-month/mix.server_ms_per_op/own)" in line for line in wrong)


def test_a_scenario_may_have_spaces_in_its_name():
    line = "<!-- pglab scenario=two words 'x' run=20260101T000000-abc root=1 method=1 printed=2 -->\n"
    seal = render.seal_of(f"# Plan\n\n{line}")
    assert seal is not None
    assert (seal.scenario, seal.run) == ("two words 'x'", "20260101T000000-abc")
