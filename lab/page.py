"""What an author wrote, with a line for every value, and the list of what is wrong with it."""

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

Path = tuple[str | int, ...]  # the keys and indexes that lead to a value


@dataclass(frozen=True)
class Page:
    """One YAML file: *tree* in plain Python values, *lines* from 1 for the keys and items in it."""

    file: str
    tree: Any
    lines: Mapping[Path, int]

    def line(self, path: Path = ()) -> int:
        """The line of the value at *path*, or of the innermost value around it that has one."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)

    def at(self, *path: str | int, named: Path | None = None) -> str:
        """The beginning of a message about the value at *path*, called *named* where given.

        >>> Page("s.yaml", {"mix": {"a": 0}}, {("mix",): 3}).at("mix", "a")
        's.yaml:3: mix.a'
        """
        return f"{self.file}:{self.line(path)}: {dotted(path if named is None else named)}".removesuffix(": ")

    def has(self, *path: str | int) -> bool:
        """Whether the author wrote something at *path*."""
        found = self.tree
        for key in path:
            try:
                found = found[key]
            except (KeyError, IndexError, TypeError):
                return False
        return True


@dataclass
class Mistakes:
    """What is wrong with the files of one scenario, in the order found; each said once.

    *noted* counts repetitions too: two candidates of one matrix make the same mistakes.
    """

    found: list[str] = field(default_factory=list)
    noted: int = 0

    def add(self, where: str, what: str) -> None:
        """Note that at *where* something is wrong: *what* (what would be right)."""
        self.extend([f"{where}: {what}"])

    def extend(self, mistakes: Iterable[str]) -> None:
        """Note complete messages."""
        for mistake in mistakes:
            self.noted += 1
            if mistake not in self.found:
                self.found.append(mistake)


def dotted(path: Path) -> str:
    """A path as people write it.

    >>> dotted(("requirements", 0, "metric"))
    'requirements[0].metric'
    """
    text = "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in path)
    return text.removeprefix(".")


def among(word: str, known: Iterable[object]) -> str:
    """What would be right instead of the unknown *word*: the nearest of *known*, and a list.

    Of more than thirty known ones only the nearest three are named.

    >>> among("knd", ["nodes", "kind"])
    "(did you mean 'kind'? known: kind, nodes)"
    >>> among("x", [])
    '(there are none)'
    """
    names = sorted({str(name) for name in known})
    if not names:
        return "(there are none)"
    near = difflib.get_close_matches(word, names, n=3, cutoff=0.6)
    guess = f"did you mean {near[0]!r}? " if near else ""
    if len(names) <= 30:
        return f"({guess}known: {', '.join(names)})"
    return f"({guess}near: {', '.join(near)})" if near else f"(known: {', '.join(names[:10])} ...)"
