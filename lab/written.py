"""Pages in the folder of plans: written as UTF-8 with line feeds, and what a person edited there is kept."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from lab import files
from lab.errors import PlaceError
from lab.model import Json


@dataclass(frozen=True)
class Written:
    """What was written and how it ended: exit status, what to say (the last line last), data."""

    status: int
    said: tuple[str, ...]
    data: Json


def replace(target: Path, text: str, ours: Callable[[str], bool]) -> tuple[str, ...]:
    """Write *text* to *target*; what stands there and is not *ours* is kept under another name.

    Gives what is to be said of that. PlaceError where the disk refuses.
    """
    said: tuple[str, ...] = ()
    with _disk(target.parent), files.texts(target.parent, {target.name: text}):
        if target.exists() and not ours(target.read_bytes().decode(errors="replace")):
            said = (f"{target} was edited by hand; it is kept as {set_aside(target)}",)
    return said


def set_aside(target: Path) -> Path:
    """Rename a page that was edited: `<name>.edited-<date>.md`, with a number where that is taken."""
    day = f"{datetime.now(UTC):%Y-%m-%d}"
    n, kept = 1, target.with_name(f"{target.stem}.edited-{day}.md")
    while kept.exists():
        n += 1
        kept = target.with_name(f"{target.stem}.edited-{day}-{n}.md")
    target.rename(kept)
    return kept


@contextmanager
def _disk(folder: Path) -> Iterator[None]:
    """What the disk refuses, as one message."""
    try:
        yield
    except OSError as error:
        raise PlaceError(
            f"{folder}: cannot be written: {error.strerror or error} (name another folder with --doc)"
        ) from error
