"""The only home of jinja2: text with holes, and no hole left open.

A schema file named `*.sql.j2` is rendered when the scenario is read; what the server gets is the
text afterwards, and that text is what the trial ids hash.

A page of a plan is rendered through a hook that prints nothing but data of a Book and words
without figures; neither may a template's own text hold a figure. So no number can reach a page
without an address from which verify.py derives it again.
"""

import re
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from jinja2 import (
    Environment,
    FileSystemLoader,
    StrictUndefined,
    Template,
    TemplateError,
    TemplateSyntaxError,
    UndefinedError,
)
from jinja2.ext import Extension
from jinja2.sandbox import ImmutableSandboxedEnvironment

from lab import form
from lab.book import Book, Datum, Place, UnaddressedError, printer
from lab.errors import ScenarioError

_SQL = ImmutableSandboxedEnvironment(undefined=StrictUndefined, keep_trailing_newline=True, autoescape=False)


def render_sql(text: str, file: str, variables: Mapping[str, object]) -> str:
    """Fill in *text*, the contents of *file*, with *variables*; every hole must have a value.

    Raise ScenarioError with file, line and the names there are.

    >>> render_sql("CREATE TABLE t_{{ interval }} ();", "t.sql.j2", {"interval": "day"})
    'CREATE TABLE t_day ();'
    >>> render_sql("-- by\\nCREATE TABLE t_{{ intervall }} ();", "t.sql.j2", {"interval": "day"})
    Traceback (most recent call last):
      ...
    lab.errors.ScenarioError: t.sql.j2:2: 'intervall' is undefined (known: interval)
    """
    try:
        code = _SQL.compile(text, name=file, filename=file)
        return Template.from_code(_SQL, code, dict(_SQL.globals)).render(variables)
    except TemplateSyntaxError as error:
        raise ScenarioError(f"{file}:{error.lineno}: {error.message}") from None
    except UndefinedError as error:
        known = ", ".join(sorted(variables)) or "none"
        raise ScenarioError(f"{file}:{_line(error, file)}: {error.message} (known: {known})") from None
    except (TemplateError, TypeError, ValueError, ArithmeticError, LookupError) as error:
        raise ScenarioError(f"{file}:{_line(error, file)}: the template stops: {error}") from None


def _line(error: BaseException, file: str) -> int:
    """The line of *file* where *error* arose; jinja2 puts it into the traceback."""
    frames = traceback.extract_tb(error.__traceback__)
    return next((frame.lineno or 1 for frame in reversed(frames) if frame.filename == file), 1)


# --- pages: nothing prints without an address -----------------------------------------------

# A printed datum carries its address and form between these marks until the page is complete;
# the marks are private-use characters, which form.py takes out of the words of others.
_OPEN, _FORM, _TEXT, _CLOSE = "\ue000", "\ue001", "\ue002", "\ue003"
_DATUM = re.compile(f"{_OPEN}([^{_OPEN}-{_CLOSE}]*){_FORM}([^{_OPEN}-{_CLOSE}]*){_TEXT}([^{_OPEN}-{_CLOSE}]*){_CLOSE}")

# "one", "first" and "second" are left out: English cannot do without them.
_NUMBER_WORDS = re.compile(
    r"\b(?:zero|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|(?:thir|four|fif|six|seven|eigh|nine)teen"
    r"|(?:twen|thir|for|fif|six|seven|eigh|nine)ty|hundred|thousand|million|billion|dozen|half|halve|quarter"
    r"|twice|thrice|double|triple|quadruple|(?:two|three|four|five|ten)fold|third|fourth|fifth|tenth|hundredth)"
    r"(?:s|es|d|ed|ths)?\b",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Token:
    """A datum as it stands on a page: *text* begins at character *start* of the page."""

    text: str
    address: str
    form: str
    start: int


@dataclass(frozen=True)
class Rendered:
    """A page, and what of it came out of the book, in the order of the page."""

    text: str
    tokens: tuple[Token, ...]

    def __add__(self, other: "Rendered") -> "Rendered":
        """This page, and *other* below it."""
        moved = (Token(t.text, t.address, t.form, t.start + len(self.text)) for t in other.tokens)
        return Rendered(self.text + other.text, (*self.tokens, *moved))


def figures_in(words: str) -> list[str]:
    """Everything in *words* that states a number, as digits of any script or in English.

    >>> figures_in("half of ½ and p50, at one place"), figures_in("a tension of tents")
    (['½', '5', '0', 'half'], [])
    """
    return [c for c in words if c.isnumeric()] + [found.group() for found in _NUMBER_WORDS.finditer(words)]


def rendered(name: str, book: Book, context: Mapping[str, object] | None = None) -> Rendered:
    """The page that template *name* makes of *book*, whose branches it knows by their names.

    *context* adds names. Raise UnaddressedError, which is a bug of ours, where anything but a datum
    of *book* or words without figures would print, or a filter changed a datum on its way.
    """
    return _page(_PAGES.get_template(name).render({"book": book, **(context or {})}), book, name)


def rendered_text(source: str, book: Book, context: Mapping[str, object] | None = None) -> Rendered:
    """The page of a template given as text; for tests.

    >>> book = Book({"size": {"heap": 4096}})
    >>> rendered_text("It takes {{ book.size.heap | bytes }}.", book).text
    'It takes 4.00 KiB.'
    """
    return _page(_PAGES.from_string(source).render({"book": book, **(context or {})}), book, "text")


def _page(marked: str, book: Book, name: str) -> Rendered:
    """Take the marks off a page; whatever lies outside them must state no number."""
    tokens: list[Token] = []
    pieces: list[str] = []
    length = end = 0
    for found in _DATUM.finditer(marked):
        pieces.append(_words(marked[end : found.start()], name))
        length += len(pieces[-1])
        where, shape, text = found.groups()
        if book.datum(where, shape).text != text:
            raise UnaddressedError(f"{name}: {text!r} is not what stands at {where} as {shape}")
        tokens.append(Token(text, where, shape, length))
        pieces.append(text)
        length += len(text)
        end = found.end()
    return Rendered("".join([*pieces, _words(marked[end:], name)]), tuple(tokens))


def _words(words: str, name: str) -> str:
    """*words*, which came from nowhere and so may state no number and hold no torn mark."""
    found = figures_in(words) + re.findall(f"[{_OPEN}-{_CLOSE}]", words)
    if found:
        raise UnaddressedError(f"{name}: {found[0]!r} has no address (in {words.strip()[-60:]!r})")
    return words


def _finalize(value: object) -> str:
    """What an expression of a page prints: a datum with its marks, words, or an error."""
    if isinstance(value, Datum):
        return f"{_OPEN}{value.address}{_FORM}{value.form}{_TEXT}{value.text}{_CLOSE}"
    if not isinstance(value, str):
        raise UnaddressedError(f"{type(value).__name__} {value!r:.60} has no address (print a datum of the book)")
    if found := figures_in(_DATUM.sub("", value)):
        raise UnaddressedError(f"{found[0]!r} in {value!r:.60} has no address (print a datum of the book)")
    return value


class _NoFigures(Extension):
    """Refuses a template whose own text states a number, before it is compiled."""

    def preprocess(self, source: str, name: str | None, filename: str | None = None) -> str:
        for line, kind, text in self.environment.lex(source, name, filename):
            if kind == "data" and (found := figures_in(text)):
                where = line + text[: text.find(found[0])].count("\n")
                raise TemplateSyntaxError(f"{found[0]!r} is written by hand (print a datum)", where, name, filename)
        return source


def _shown(value: object, shape: object) -> Datum:
    """The filter that prints a place in the form that another place names."""
    if not isinstance(shape, Place):
        raise UnaddressedError(f"shown: {shape!r:.60} is not a place that names a form")
    return printer(str(shape.printed("raw").value))(value)


def _pages() -> Environment:
    made = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        undefined=StrictUndefined,
        finalize=_finalize,
        autoescape=False,
        extensions=[_NoFigures],
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    made.filters.update({shape.replace(" ", "_"): printer(shape) for shape in form.FORMS})
    made.filters["shown"] = _shown
    return made


_PAGES = _pages()
