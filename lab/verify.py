"""Is every number of a plan still true?

The run that the plan's last line names is judged again, from trials/ and instances/ and not from
what an earlier judgement left in analysis/, and the pages that come of it are compared with those
that are there. The store itself is checked against its checksums and the root that the plan holds.
"""

from dataclasses import dataclass
from pathlib import Path

from lab import archive, differences, exported, judge, render, store
from lab.errors import RecordError
from lab.render import Seal


@dataclass(frozen=True)
class Verified:
    """What verifying came to. *wrong*: one line each, [] where all is true; *numbers*: how many were checked."""

    wrong: list[str]
    numbers: int


def verify(plan: Path, results: Path) -> Verified:
    """Derive the plan at *plan* and its figures again from the run in *results* that it names, or in that archive.

    Raise RecordError where that cannot be done: the plan names no run, its run is not there, another
    version of the method judged it, or another version of the lab wrote it with other words or rules.
    """
    if plan.is_dir():
        raise RecordError(f"{plan}: is a folder (name the plan in it)")
    page = _read(plan)
    if page is None:
        raise RecordError(f"{plan}: is not there (pglab plan RUN writes it)")
    seal = render.seal_of(page)
    if seal is None:
        raise RecordError(f"{plan}: no line of it names a run (pglab plan RUN writes the plan again)")
    with archive.laid_out(results) as (runs, told):
        found = _verified(plan, page, seal, _folder(plan, runs, seal))
        return Verified([told(line) for line in found.wrong], found.numbers)


def _verified(plan: Path, page: str, seal: Seal, folder: Path) -> Verified:
    """The same, of the run in *folder*."""
    troubled = _of_store(folder, seal)
    try:
        expected = judge.judge(folder).pages
    except RecordError as error:
        return Verified([*troubled, str(error)], 0)
    first, *figures = expected
    found = {first: page, **{path: _read(plan.parent / path) for path in figures}}
    found |= {path: "" for path in _others(plan.parent, folder.parent.name) if path not in expected}
    numbers = sum(len(one.tokens) for one in expected.values())
    differing = differences.compare(found, expected)
    if differing and not troubled and as_written(plan):
        raise RecordError(
            f"{plan}: is as it was written, but by another version of the lab, which words or judges otherwise (judge "
            f"it again with pglab plan {seal.run}); the first difference: {differing[0]}"
        )
    return Verified([*troubled, *differing], numbers)


def as_written(plan: Path) -> bool:
    """Are the plan and its figures what some version of the lab wrote there? No, where its seal does not say so."""
    page = _read(plan)
    seal = render.seal_of(page or "")
    if seal is None:
        return False
    figures = {path: _read(plan.parent / path) for path in _others(plan.parent, seal.scenario)}
    return render.untouched({render.page_path(seal.scenario): page, **figures})


def _folder(plan: Path, results: Path, seal: Seal) -> Path:
    """The folder of the run that a seal names; RecordError where this pglab cannot judge it."""
    folder = results / seal.scenario / seal.run
    if not (folder / store.RUN).exists():
        raise RecordError(
            f"{plan}: its run {seal.run!r} is not in {results / seal.scenario} (name its folder: --results)"
        )
    if seal.method != judge.METHOD_VERSION:
        raise RecordError(
            f"{plan}: was judged by method version {seal.method}, this pglab has {judge.METHOD_VERSION} "
            f"(judge it again with pglab plan {seal.run})"
        )
    return folder


def _of_store(folder: Path, seal: Seal) -> list[str]:
    """What is wrong with the stored run: files that are not what their seals say, or seals that were made anew."""
    wrong = [f"{folder}: {problem}" for problem in store.problems(folder)]
    export = exported.read(folder)
    if store.root(folder) != seal.root:
        if export and export.resealed and not wrong and seal.root == export.was:
            raise RecordError(
                f"{folder}: says that {len(export.resealed)} files which evidence rests on were redacted since the "
                "plan was made, and so cannot be held against it (judge it again: pglab plan ARCHIVE)"
            )
        wrong.append(f"{folder}: is not the run that the plan was made of (its root is {store.root(folder)})")
    return wrong


def _others(docs: Path, name: str) -> list[str]:
    """The figures that lie in the plan's own folder, as paths relative to *docs*."""
    return sorted(path.relative_to(docs).as_posix() for path in (docs / name).glob("*.svg"))


def _read(path: Path) -> str | None:
    """A page as it is, its line ends too; None where there is none."""
    try:
        return path.read_bytes().decode("utf-8", errors="replace")
    except FileNotFoundError:
        return None
