"""What each package holds: a kind is a module that has KIND, and a new kind is one new file.

Nothing is imported to find out which kinds there are: importing a source brings Arrow, importing
a host brings containers. A module is imported when its options are asked for, or when it is used.
"""

import ast
import importlib
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import cast

from pydantic import BaseModel

from lab.reasons import Rule

PACKAGES = ("sources", "hosts", "ingest", "clusters", "drivers", "probes")
_LAB = Path(__file__).parent


def kinds(package: str) -> tuple[str, ...]:
    """The kinds in *package*, in alphabetical order.

    >>> "single" in kinds("clusters")
    True
    """
    return tuple(sorted(_modules(package)))


def load(package: str, kind: str) -> ModuleType:
    """The module of a kind; KeyError where *package* has no such kind."""
    return importlib.import_module(f"lab.{package}.{_modules(package)[kind]}")


def options(package: str, kind: str) -> type[BaseModel] | None:
    """The pydantic model of what a kind takes, None where it does not say."""
    return cast(type[BaseModel] | None, getattr(load(package, kind), "Options", None))


def cannot(driver: str) -> frozenset[str]:
    """What a driver says it cannot do."""
    return frozenset(getattr(load("drivers", driver), "CANNOT", ()))


def rules() -> tuple[Rule, ...]:
    """The rules of reasons/, in alphabetical order of their modules."""
    files = sorted((_LAB / "reasons").glob("[!_]*.py"))
    return tuple(cast(Rule, importlib.import_module(f"lab.reasons.{file.stem}")) for file in files)


@cache
def _modules(package: str) -> dict[str, str]:
    """Kind -> the name of its module."""
    files = sorted((_LAB / package).glob("[!_]*.py"))
    found = {_kind(file): file.stem for file in files}
    found.pop(None, None)
    return cast(dict[str, str], found)


def _kind(file: Path) -> str | None:
    """The value of KIND at the top of a module, read and not run."""
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        targets = node.targets if isinstance(node, ast.Assign) else []
        if any(isinstance(target, ast.Name) and target.id == "KIND" for target in targets):
            return cast(str, ast.literal_eval(cast(ast.Assign, node).value))
    return None
