"""Plan -> pages: Markdown with a seal, its figures as SVG, and the same as JSON.

The seal is the last line of the page, one comment: which run the plan is of, the Merkle root of
its store, the version of the method, the sha256 of everything that was printed out of the book, and
that of the pages themselves. verify.py finds the run by it, and tells by the last whether pages that
are not what this version of the lab writes are at least what was written.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from lab import template
from lab.book import Book
from lab.plan import Plan
from lab.template import Rendered

_SEAL = re.compile(r"<!-- pglab scenario=(.+?) run=(\S+) root=(\S+) method=(\S+) printed=(\S+?)(?: pages=(\S+))? -->")


@dataclass(frozen=True)
class Seal:
    """The last line of a plan: where it comes from, and the sha256 of what was printed and of the pages.

    Plans that were written before there was the last have "".
    """

    scenario: str
    run: str
    root: str
    method: str
    printed: str
    pages: str = ""


def pages(plan: Plan) -> dict[str, Rendered]:
    """Every page of *plan* by its path relative to the folder of plans, the Markdown first.

    Whoever writes them writes all of them, as UTF-8 and with line feeds.
    """
    figures = {figure_path(plan, name): _figure(plan, name) for name in plan.figures}
    context = {"show": plan.outline, "figures": plan.figures}
    body = template.rendered("plan.md.j2", plan.book, context)
    return {page_path(plan.name): body + _sealed(plan, body, figures), **figures}


def page_path(name: str) -> str:
    """The path of a scenario's plan in the folder of plans."""
    return f"{name}.md"


def figure_path(plan: Plan, name: str) -> str:
    """The path of a figure in the folder of plans; the page refers to it so."""
    return f"{plan.name}/{name}.svg"


def seal_of(page: str) -> Seal | None:
    """The seal of a plan's text, the last where somebody wrote below it; None where there is none."""
    found = _seal(page)
    return Seal(*found.groups(default="")) if found else None


def _seal(page: str) -> re.Match[str] | None:
    return next(reversed(list(_SEAL.finditer(page))), None)


def untouched(found: Mapping[str, str | None]) -> bool:
    """Are pages, the Markdown first, as some version of the lab wrote them? No, where their seal does not say so."""
    first, *_ = found.values()
    seal = seal_of(first or "")
    return seal is not None and seal.pages == digest(found)


def digest(found: Mapping[str, str | None]) -> str:
    """The sha256, 64 hex digits, over the paths and texts of pages, without the seal of the first, the Markdown."""
    (name, page), *figures = found.items()
    return _digest(name, _unsealed(page or ""), figures)


def _digest(name: str, body: str, figures: Iterable[tuple[str, str | None]]) -> str:
    listed = [[name, body.rstrip("\n")], *sorted([path, text] for path, text in figures)]
    return hashlib.sha256(json.dumps(listed, ensure_ascii=False).encode()).hexdigest()


def _unsealed(page: str) -> str:
    """A page without its seal; what stands below that, but for empty lines, is part of the page."""
    seal = _seal(page)
    return page if seal is None else page[: seal.start()] + (page[seal.end() :] if page[seal.end() :].strip() else "")


def printed(rendered: list[Rendered]) -> str:
    """The sha256 over (token, address, form) of *rendered* in order, as 64 hex digits."""
    listed = [[token.text, token.address, token.form] for page in rendered for token in page.tokens]
    return hashlib.sha256(json.dumps(listed, ensure_ascii=False).encode()).hexdigest()


def as_json(plan: Plan) -> dict[str, Any]:
    """The plan for programs: decision, evidence and requirements as the book has them, and the seal's run."""
    book = plan.book
    branches = ("decision", "objective", "evidence", "requirement", "rounds", "trials", "doubts", "sheet")
    return {
        "format": 1,
        "scenario": plan.name,
        "run": book.value("run/id"),
        **{branch: _finite(book.value(branch)) for branch in branches},
    }


def _figure(plan: Plan, name: str) -> Rendered:
    return template.rendered(f"{name}.svg.j2", plan.book, {"figure": plan.book["figure"][name]})


def _sealed(plan: Plan, body: Rendered, figures: Mapping[str, Rendered]) -> Rendered:
    drawn = [(path, one.text) for path, one in figures.items()]
    book = Book(
        {
            "scenario": plan.name,
            "run": plan.book.value("run/id"),
            "root": plan.book.value("root"),
            "method": str(plan.book.value("method/version")),
            "printed": printed([body, *figures.values()]),
            "pages": _digest(page_path(plan.name), body.text, drawn),
        }
    )
    return template.rendered("seal.md.j2", book)


def _finite(value: Any) -> Any:
    """JSON knows no infinity: an open end of an interval is null."""
    if isinstance(value, Mapping):
        return {key: _finite(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(one) for one in value]
    return None if isinstance(value, float) and value in (float("inf"), float("-inf")) else value
