"""No number reaches a page without an address."""

import re
from pathlib import Path

import pytest
from jinja2 import TemplateSyntaxError, UndefinedError

from lab import template
from lab.book import Book, UnaddressedError, address
from lab.template import Token, rendered_text

BOOK = Book(
    {
        "size": {"heap": 4096, "name": "by-7 | day", "none": None, "flag": True},
        "rows": [{"n": 1}, {"n": 2}],
        "odd": {"a/b": {"c": 1}, "a": {"b/c": 2, "b": {"c": 3}}},
    }
)


def page(source, **context):
    return rendered_text(source, BOOK, context)


def test_a_datum_prints_in_its_form_and_says_where_it_is_from():
    made = page("It takes {{ book.size.heap | bytes }}, {{ book.size.name | text }}.")
    assert made.text == "It takes 4.00 KiB, by-7 \\| day."
    assert made.tokens == (
        Token("4.00 KiB", "size/heap", "bytes", 9),
        Token("by-7 \\| day", "size/name", "text", 19),
    )


@pytest.mark.parametrize(
    "source",
    [
        "{{ 41.2 }}",
        "{{ 7 }}",
        "{{ true }}",
        "{{ none }}",
        "{{ '41.2' }}",
        "{{ 'p50' }}",
        "{{ 'twice' }}",
        "{{ '٣' }}",
        "{{ '½' }}",
        "{{ [1, 2] }}",
        "{{ ['a'] }}",
        "{{ {'a': 1} }}",
        "{{ 'a' ~ 1 }}",
        "{{ ('a', 1) | join }}",
        "{{ 41.2 | string }}",
        "{{ '%d' | format(7) }}",
        "{{ 'ab' | length }}",
        "{{ book.rows | length }}",
        "{{ book.rows[0].n }}",
        "{{ book.rows[0].n ~ '' }}",
        "{{ book.rows[0].n | string }}",
        "{{ (book.rows[0].n | number) ~ 'x' }}",
        "{{ (book.rows[0].n | number) | upper }}",
        "{{ [book.rows[0].n | number] }}",
        "{{ [book.rows[0].n | number] | join(', ') }}",
        "{{ (book.rows[0].n | number).value }}",
        "{{ '%s' | format(book.rows[0].n | number) }}",
        "{% set x %}{{ 7 }}{% endset %}{{ x }}",
        "{% macro m(x) %}{{ x }}{% endmacro %}{{ m(7) }}",
        "{% macro m() %}{{ book.rows[0].n | number }}{% endmacro %}{{ m() | upper | length }}",
        "{% filter length %}abc{% endfilter %}",
        "{{ 7 | number }}",
        "{{ 'seven' | text }}",
        "{{ loop_index }}",
        "{% for row in book.rows %}{{ loop.index }}{% endfor %}",
        "{{ raw }}",
    ],
)
def test_what_has_no_address_does_not_print(source):
    with pytest.raises((TypeError, UndefinedError)):
        page(source, raw=3.5)


@pytest.mark.parametrize(
    "source",
    [
        "41.2 ms",
        "p50",
        "twice as fast",
        "Two of them",
        "a dozen",
        "{% raw %}7{% endraw %}",
        "{# fine #} half",
        "{% if true %}7{% endif %}",
        "³",
    ],
)
def test_a_template_with_a_figure_written_by_hand_does_not_compile(source):
    with pytest.raises(TemplateSyntaxError, match="written by hand"):
        page(source)


def test_the_line_of_a_figure_written_by_hand_is_named():
    with pytest.raises(TemplateSyntaxError) as caught:
        page("a\nb\n{{ book.size.heap | bytes }} and\nthen 7")
    assert caught.value.lineno == 4


def test_a_comment_may_hold_figures_and_words_may_sound_like_numbers():
    assert page("{# 7 of 9 #}someone often listens to tension, at one time").text.startswith("someone")


def test_words_put_together_into_a_number_are_found_on_the_page():
    with pytest.raises(UnaddressedError):
        page("tw{{ 'ice' }}")
    with pytest.raises(UnaddressedError):
        page("{{ 'tw' }}{{ 'o' }}")


def test_data_pass_through_macros_and_captured_blocks():
    made = page(
        "{% macro m(x) %}<{{ x | number }}>{% endmacro %}{% set y %}{{ m(book.rows[1].n) }}{% endset %}{{ y }}{{ y }}"
    )
    assert made.text == "<2><2>"
    assert [token.address for token in made.tokens] == ["rows/1/n", "rows/1/n"]


@pytest.mark.parametrize("change", ["upper", "replace('a', 'b')", "reverse", "truncate(9)", "trim('\ue000')"])
def test_a_filter_that_changes_a_printed_datum_is_found(change):
    with pytest.raises((UnaddressedError, KeyError)):
        page("{% set y %}{{ book.size.name | text }}{% endset %}{{ y | " + change + " }}")


def test_a_datum_of_another_book_is_found():
    other = Book({"size": {"heap": 1}}).datum("size/heap", "bytes")
    with pytest.raises(UnaddressedError):
        page("{{ datum }}", datum=other)


def test_words_of_others_cannot_forge_the_marks():
    forged = Book({"q": "\ue000size/heap\ue001bytes\ue0029 KiB\ue003"})
    assert "\ue000" not in rendered_text("{{ book.q | text }}", forged).text


def test_different_keys_have_different_addresses():
    keys = [("a/b", "c"), ("a", "b/c"), ("a", "b", "c"), ("a%2Fb", "c"), ("", "a"), ("a", "")]
    assert len({address(*key) for key in keys}) == len(keys)
    assert BOOK.value(address("odd", "a/b", "c")) == 1
    assert BOOK.value(address("odd", "a", "b/c")) == 2


@pytest.mark.parametrize("where", ["size/nothing", "rows/2", "rows/01", "rows/-1", "size/heap/deeper", "rows/n"])
def test_an_address_that_leads_nowhere_is_an_error(where):
    with pytest.raises(KeyError, match="no such fact"):
        BOOK.value(where)


@pytest.mark.parametrize(
    ("where", "shape"),
    [("size/name", "number"), ("size/heap", "text"), ("size/flag", "number"), ("size/none", "ratio")],
)
def test_a_form_takes_only_values_of_its_type(where, shape):
    with pytest.raises(TypeError):
        BOOK.datum(where, shape).text  # noqa: B018


def test_zero_is_something_and_none_is_not():
    book = Book({"zero": 0, "none": None, "no": False, "empty": []})
    assert [bool(book[key]) for key in ("zero", "none", "no", "empty")] == [True, False, False, False]


def test_pages_are_put_together_with_their_places():
    first, below = page("ab\n"), page("{{ book.rows[0].n | number }}")
    both = first + below
    assert [both.text[t.start : t.start + len(t.text)] for t in both.tokens] == ["1"]


def test_no_template_has_an_if_without_an_else_inside_an_expression():
    """Jinja prints an undefined of its own there, which the hook refuses, but only in the run that meets it."""
    found = [
        (path.name, expression)
        for path in sorted((Path(template.__file__).parent / "templates").glob("*.j2"))
        for expression in re.findall(r"\{\{.*?\}\}", path.read_text())
        if " if " in expression and " else " not in expression
    ]
    assert found == []
