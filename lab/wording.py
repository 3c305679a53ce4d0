"""How a mistake in a form reads: from what pydantic finds to what the author is told.

Every finding gets its line, unknown keys the nearest known one and all that are known, and wrong
values the field's own description as what would be right.
"""

import difflib
import re
import types
import typing
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ValidationError

from lab.page import Mistakes, Page, Path, among

_PAGE = object()
AnyForm = TypeVar("AnyForm", bound=BaseModel)


def check(form: type[AnyForm], page: Page, mistakes: Mistakes, path: Path = (), tree: Any = _PAGE) -> AnyForm | None:
    """The *form* filled in with *tree*, or None after noting everything that is wrong in it.

    *tree* stands at *path* of *page*; by default it is the whole page.
    """
    tree = page.tree if tree is _PAGE else tree
    try:
        return form.model_validate(tree)
    except ValidationError as found:
        for where, error in _independent(form, found, tree):
            if error["type"] == "extra_forbidden":
                what = _unknown(str(where[-1]), error["input"], _known(form, error["loc"][:-1]))
                mistakes.add(page.at(*path, *where, named=(*path, *where[:-1])), what)
            else:
                mistakes.add(page.at(*path, *where), _what(form, error))
        return None


def _unknown(key: str, value: Any, known: set[str]) -> str:
    """What the author is told of a key that the form does not have; words without a value were cut off by a comma.

    >>> _unknown("more WAL for each row", None, {"schema"})
    "unknown key 'more WAL for each row' (within {...} a comma ends a value: put it in quotes; known: schema)"
    >>> _unknown("0.95)", None, {"skew"})  # of {skew: hotspot(0.005, 0.95)}
    "unknown key '0.95)' (within {...} a comma ends a value: put it in quotes; known: skew)"
    """
    cut = value is None and not re.fullmatch(r"\w+", key.strip())
    hint = f"(within {{...}} a comma ends a value: put it in quotes; known: {', '.join(sorted(known))})"
    return f"unknown key {key!r} {hint if cut else among(key, known)}"


def _independent(form: type[BaseModel], found: ValidationError, tree: Any) -> list[tuple[Path, Any]]:
    """The findings with their places, unknown keys first; a key that was only misspelt is not missing too."""
    errors = [(_in_tree(_of_key(error), tree), error) for error in found.errors(include_url=False)]
    meant: set[Path] = set()
    for where, error in errors:
        if error["type"] == "extra_forbidden":
            near = difflib.get_close_matches(str(where[-1]), _known(form, error["loc"][:-1]), n=1)
            meant |= {(*where[:-1], key) for key in near}
    errors = [(where, error) for where, error in errors if not (error["type"] == "missing" and where in meant)]
    return sorted(errors, key=lambda pair: pair[1]["type"] != "extra_forbidden")


def _of_key(error: Any) -> Path:
    """The path of a finding; one about a key stands at the key."""
    loc: Path = error["loc"]
    return loc[:-1] if loc[-1:] == ("[key]",) else loc


def _what(form: type[BaseModel], error: Any) -> str:
    """What the author is told of a finding of pydantic."""
    kind, context, given = error["type"], error.get("ctx", {}), error["input"]
    if kind == "invalid_key" or error["loc"][-1:] == ("[key]",):
        return f"{given!r} cannot be a key here (keys are words; put it in quotes if it is one)"
    if kind == "value_error":
        return str(context["error"])
    if kind in ("literal_error", "union_tag_invalid"):
        known = re.findall(r"\w[\w ]*", str(context.get("expected", context.get("expected_tags"))).replace(" or ", ","))
        word = context.get("tag", given)
        return f"unknown value {word!r} {among(str(word), known)}"
    if kind == "union_tag_not_found":
        return f"{_short(given)} does not say what to do (write {{do: ...}})"
    right = _description(form, error["loc"])
    return f"{_wrong(kind, given, context)}{f' ({right})' if right else ''}"


def _wrong(kind: str, given: Any, context: Mapping[str, Any]) -> str:
    """What is wrong with a value, in the author's terms."""
    if kind == "missing":
        return "is missing"
    if given is None:
        return "has no value"
    if kind in ("too_short", "string_too_short", "string_pattern_mismatch"):
        return "is empty"
    if kind in ("greater_than", "greater_than_equal", "less_than", "less_than_equal"):
        bound = next(iter(context.values()))
        words = {"greater_than": "above", "greater_than_equal": "at least", "less_than": "below"}
        return f"{given!r} is not {words.get(kind, 'at most')} {bound:g}"
    if kind in ("model_type", "dict_type", "model_attributes_type"):
        return f"{_short(given)} is not a mapping"
    if kind == "list_type":
        return f"{_short(given)} is not a list"
    if kind == "string_type":
        return f"{_short(given)} is not text"
    if kind.startswith("int"):
        return f"{_short(given)} is not a whole number"
    if kind.startswith("float") or kind == "finite_number":
        return f"{_short(given)} is not a number"
    return f"{_short(given)} is not valid here"


def _short(given: Any) -> str:
    text = repr(given)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _in_tree(where: Path, tree: Any) -> Path:
    """*where* without what pydantic adds to it: tags of unions, names of types.

    The last part stays even where the tree does not have it: a missing key.
    """
    path: Path = ()
    for at, key in enumerate(where):
        there = isinstance(tree, dict) and key in tree
        there = there or (isinstance(tree, list) and isinstance(key, int) and key < len(tree))
        if there:
            path, tree = (*path, key), tree[key]
        elif at == len(where) - 1 and isinstance(tree, dict) and isinstance(key, str) and key.islower():
            path = (*path, key)
    return path


def _known(form: Any, where: Path) -> set[str]:
    """The keys that the form at *where* takes."""
    return {field.alias or name for found in _forms(_at(form, where)) for name, field in found.model_fields.items()}


def _at(annotation: Any, where: Path) -> Any:
    """The annotation at *where*; parts that are names of types or tags are stepped over."""
    for key in where:
        annotation = next(_steps(annotation, key), annotation)
    return annotation


def _steps(annotation: Any, key: str | int) -> Iterator[Any]:
    """What *key* leads to from *annotation*."""
    for option in _options(annotation):
        if isinstance(option, type) and issubclass(option, BaseModel):
            tag = option.model_fields.get("do")
            if tag is not None and tag.default == key:
                yield option
            for name, field in option.model_fields.items():
                if key == (field.alias or name):
                    yield Annotated[field.annotation, field]
        elif isinstance(holds := typing.get_origin(option), type) and issubclass(holds, Mapping | Sequence):
            yield typing.get_args(option)[-1]


def _options(annotation: Any) -> Iterator[Any]:
    """The types an annotation allows, unions and Annotated undone."""
    if typing.get_origin(annotation) is Annotated:
        yield from _options(typing.get_args(annotation)[0])
    elif _is_union(annotation):
        for option in typing.get_args(annotation):
            yield from _options(option)
    else:
        yield annotation


def _is_union(annotation: Any) -> bool:
    return typing.get_origin(annotation) in (typing.Union, types.UnionType)


def _forms(annotation: Any) -> Iterator[type[BaseModel]]:
    for option in _options(annotation):
        if isinstance(option, type) and issubclass(option, BaseModel):
            yield option


def _description(form: type[BaseModel], where: Path) -> str:
    """What would be right at *where*, in the words of the field, "" where it has none."""
    return next(_descriptions(_at(form, where)), "")


def _descriptions(annotation: Any) -> Iterator[str]:
    if typing.get_origin(annotation) is Annotated:
        inner, *notes = typing.get_args(annotation)
        yield from (note.description for note in notes if getattr(note, "description", None))
        yield from _descriptions(inner)
    elif _is_union(annotation):
        for option in typing.get_args(annotation):
            yield from _descriptions(option)
