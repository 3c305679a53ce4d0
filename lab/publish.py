"""A judged run's plan goes to the folder of plans; what a person edited there is kept.

The run keeps its own copy in analysis/. The one in `.claude/doc` is replaced only if it still is
what its run gives, or what another version of the lab wrote; else it was edited, and stays beside the
new one under another name.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from lab import files, judge, render, store, verify
from lab.errors import LabError, PlaceError
from lab.model import Json


@dataclass(frozen=True)
class Published:
    """What was written and how it ended: exit status, what to say (the last line last), data."""

    status: int
    said: tuple[str, ...]
    data: Json


def publish(folder: Path, doc: Path) -> Published:
    """Judge the run in *folder* and write its plan to *doc*; RecordError where it is not as it was written."""
    store.whole(folder)
    judgement = judge.judge(folder)
    pages = {path: page.text for path, page in judgement.pages.items()}
    earlier = folder / "analysis" / "plan.md"
    was = earlier.read_bytes() if earlier.exists() else b""  # of this run, before more of it was there
    own = {f"plan{Path(p).suffix}" if n == 0 else p: t for n, (p, t) in enumerate(pages.items())}
    with _disk(folder / "analysis"), files.texts(folder / "analysis", own):
        store.write_json(folder / "analysis" / "plan.json", judgement.data())
    target = doc / next(iter(pages))
    said = []
    ours = (was, pages[target.name].encode())
    with _disk(doc), files.texts(doc, pages):
        if target.exists() and target.read_bytes() not in ours and edited(target, folder):
            said.append(f"{target} was edited by hand; it is kept as {_set_aside(target)}")
        said += [f"{path} is not in the plan; it is kept as {kept}" for path, kept in _clear(doc, pages, folder)]
    said.append(f"I have created a plan at {target.as_posix()}, please read that first before you proceed")
    return Published(judgement.status, tuple(said), {"plan": target.as_posix(), **judgement.data()})


def edited(target: Path, folder: Path) -> bool:
    """Is the plan at *target* another text than its run gives? If its run is gone: another than was sealed.

    A plan that cannot be verified counts as edited: nothing is lost.
    """
    seal = render.seal_of(target.read_text(encoding="utf-8", errors="replace"))
    if seal is None:
        return True
    if verify.as_written(target):
        return False
    kept = folder.parent / seal.run / "analysis" / "plan.md"
    if seal.method != judge.METHOD_VERSION and kept.exists():
        return kept.read_bytes() != target.read_bytes()
    try:
        return bool(verify.verify(target, folder.parent.parent).wrong)
    except LabError:
        return True


def _clear(doc: Path, pages: Mapping[str, str], folder: Path) -> Iterator[tuple[Path, Path]]:
    """Take away the figures of earlier plans that this one lacks; what no run of it drew is set aside.

    Gives what was set aside, and its new name.
    """
    for path in sorted((doc / folder.parent.name).glob("*.svg")):
        name = path.relative_to(doc)
        if name.as_posix() in pages:
            continue
        drawn = [run / "analysis" / name for run in store.runs(folder.parent.parent, folder.parent.name)]
        if any(one.exists() and one.read_bytes() == path.read_bytes() for one in drawn):
            path.unlink()
        else:
            yield path, _set_aside(path)


def _set_aside(target: Path) -> Path:
    """Rename what was edited: `<name>.edited-<date>.md`, with a number where that is taken."""
    day = f"{datetime.now(UTC):%Y-%m-%d}"
    ending = ".md" if target.suffix == ".md" else f"{target.suffix}.kept"  # another .svg would be taken for the plan's
    n, kept = 1, target.with_name(f"{target.stem}.edited-{day}{ending}")
    while kept.exists():
        n += 1
        kept = target.with_name(f"{target.stem}.edited-{day}-{n}{ending}")
    target.rename(kept)
    return kept


@contextmanager
def _disk(folder: Path) -> Iterator[None]:
    """What the disk refuses, as one message."""
    try:
        yield
    except OSError as error:
        raise PlaceError(
            f"{folder}: cannot be written: {error.strerror or error} (free some room, or name another folder with "
            "--doc; the run is kept, pglab plan writes its plan again)"
        ) from error
