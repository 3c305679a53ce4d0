"""What data.yaml says of a stream of files: its options, and the files that there are."""

import glob
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from lab.errors import ScenarioError
from lab.model import Stream

Options = TypeVar("Options", bound=BaseModel)


def asked(stream: Stream, options: type[Options]) -> tuple[Options, str]:
    """The stream's options and its place for messages; ScenarioError with each that is wrong."""
    place = f"{stream.place or 'data.yaml'}: stream {stream.name}"
    try:
        return options.model_validate(stream.options), place
    except ValidationError as error:
        raise ScenarioError([f"{place}: {'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()]) from None


def found(files: str | Sequence[str], place: str) -> list[Path]:
    """The files that are meant, those of a pattern by their names; ScenarioError says which are not there."""
    named = [files] if isinstance(files, str) else files
    paths: list[Path] = []
    for name in named:
        there = [name] if Path(name).is_file() else sorted(glob.glob(name, recursive=True))  # noqa: PTH207 of any root
        own = [Path(one) for one in there if Path(one).is_file()]
        if not own:
            raise ScenarioError(f"{place}: files: {name}: there is no such file (paths begin in the current folder)")
        paths += own
    if not paths:
        raise ScenarioError(f"{place}: files: names none (files: data/events.csv)")
    return paths
