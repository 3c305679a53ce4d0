"""Stored runs that are no longer wanted: by their age and number. One that a plan rests on stays."""

import contextlib
import shutil
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from lab import render, store, tidy
from lab.errors import RecordError


@dataclass(frozen=True)
class Old:
    """A stored run beyond what is to be kept. *stays*: why it is kept nevertheless, "" where it may go."""

    folder: Path
    bytes: int
    stays: str = ""


def old(
    results: Path, doc: Path, *, now: datetime, older_s: float | None, keep: int | None, living: Collection[str]
) -> Iterator[Old]:
    """The stored runs in *results* that began more than *older_s* before *now*, but the newest *keep* of each scenario.

    Either may be None: then the other alone decides; with neither there are none. A run that a plan in *doc*
    rests on stays, or its numbers could not be verified; so does one that goes on or may (*living*, ids of runs), and
    one of which nobody can tell when it began.
    """
    if older_s is None and keep is None:
        return
    rests = dict(_rests(doc))
    every = store.runs(results)
    for scenario in sorted({folder.parent for folder in every}):
        of = [folder for folder in every if folder.parent == scenario]
        for folder in of[::-1][keep or 0 :]:
            age_s, stays = _age_s(folder, now)
            if not stays and older_s is not None and age_s <= older_s:
                continue
            if folder.name in living:
                stays = "it goes on, or may"
            elif (scenario.name, folder.name) in rests:
                stays = f"{rests[scenario.name, folder.name]} rests on it"
            yield Old(folder, tidy.size(folder), stays)


def remove(found: Iterable[Old]) -> None:
    """Remove the runs that need not stay, and the folder of a scenario that has none any more."""
    for one in found:
        if not one.stays:
            shutil.rmtree(one.folder)
            with contextlib.suppress(OSError):  # it is not empty
                one.folder.parent.rmdir()


def _age_s(folder: Path, now: datetime) -> tuple[float, str]:
    """How long ago a run began, and why that cannot be said."""
    try:
        return (now - datetime.fromisoformat(str(store.read_run(folder).get("begun")))).total_seconds(), ""
    except (RecordError, ValueError, TypeError) as error:  # the last: a time of no zone
        return 0.0, f"when it began cannot be read: {error}"


def _rests(doc: Path) -> Iterator[tuple[tuple[str, str], Path]]:
    """(scenario, run) of each plan in *doc*, and the plan."""
    for path in sorted(doc.glob("**/*.md")):
        seal = render.seal_of(path.read_text(encoding="utf-8", errors="replace"))
        if seal is not None:
            yield (seal.scenario, seal.run), path
