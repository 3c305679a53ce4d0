"""squawk, the linter of PostgreSQL migrations: what it remarks on each script, by file and line.

It comes with the PyPI package `squawk-cli` and reads the `.squawk.toml` of the folder it is called in.
Of a schema, which nobody runs on a database in use, only what it says of the schema itself is kept:
its rules on locks, timeouts and re-running are about migrations.
"""

import importlib.metadata
import json
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lab.errors import PlaceError
from lab.migration import Script

PAGES = "https://squawkhq.com/docs/"
SYNTAX = "syntax-error"
ASKED_ELSEWHERE = frozenset(  # questions that the catalogue answers better (checklist.py)
    ("prefer-bigint-over-int", "prefer-bigint-over-smallint", "ban-char-field", "prefer-timestamp-tz")
)
OF_SCHEMAS = frozenset(
    ("prefer-identity", "prefer-text-field", "identifier-too-long", "ban-create-domain-with-constraint", SYNTAX)
)


@dataclass(frozen=True)
class Remark:
    """What a rule of squawk's says of a place. *right* is "" where it names no better way."""

    rule: str
    file: str
    line: int
    what: str
    right: str

    @property
    def page(self) -> str:
        """Where squawk explains the rule; "" for what it could not read."""
        return "" if self.rule == SYNTAX else PAGES + self.rule


def lint(scripts: Sequence[Script], *, migrations: bool) -> tuple[Remark, ...]:
    """squawk's remarks on *scripts*, in their order; PlaceError where it cannot be run."""
    program = _program()
    found = [remark for script in scripts for remark in _remarks(program, script)]
    return tuple(one for one in found if one.rule not in ASKED_ELSEWHERE and (migrations or one.rule in OF_SCHEMAS))


def version() -> str:
    """The version of squawk that is installed; PlaceError if none is."""
    return _package().version


def _remarks(program: Path, script: Script) -> list[Remark]:
    command = [str(program), "--reporter", "json", "--stdin-filepath", script.file]
    try:
        done = subprocess.run(
            command, input=script.sql, capture_output=True, text=True, encoding="utf-8", check=False, timeout=60
        )
        listed = json.loads(done.stdout)
    except (OSError, ValueError, subprocess.TimeoutExpired) as error:
        said = done.stderr.strip().splitlines() if isinstance(error, ValueError) else [str(error)]
        raise PlaceError(
            f"{script.file}: squawk failed: {' '.join(said[-1:]) or 'no JSON came'} (look into .squawk.toml if there "
            "is one; pip install --force-reinstall squawk-cli)"
        ) from None
    return [
        Remark(one["rule_name"], script.file, one["line"] + 1, _bare(one["message"]), _bare(one["help"] or ""))
        for one in listed
    ]


def _bare(words: str) -> str:
    return words.replace("`", "")


def _program() -> Path:
    for file in _package().files or ():
        if file.name == "squawk":
            return Path(str(file.locate())).resolve()
    raise PlaceError("squawk: its package holds no program (pip install --force-reinstall squawk-cli)")


def _package() -> importlib.metadata.Distribution:
    try:
        return importlib.metadata.distribution("squawk_cli")
    except importlib.metadata.PackageNotFoundError:
        raise PlaceError("squawk is not installed (pip install squawk-cli)") from None
