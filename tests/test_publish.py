"""Plans are replaced whole or not at all, whatever the disk refuses."""

import errno
import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from lab import publish, store, written
from lab.errors import PlaceError
from tests.test_store import RUN

OLD = {"events.md": "the old plan\n", "events/objective.svg": "<svg>old</svg>\n"}
NEW = {"events.md": "the new plan\n", "events/objective.svg": "<svg>new</svg>\n", "events/more.svg": "<svg/>\n"}


@pytest.fixture
def run(tmp_path, monkeypatch) -> Path:
    """A run that is judged to NEW, and OLD in the folder of plans."""
    made = SimpleNamespace(pages={path: SimpleNamespace(text=text) for path, text in NEW.items()}, status=0, data=dict)
    monkeypatch.setattr("lab.publish.judge.judge", lambda _: made)
    for path, text in OLD.items():
        (tmp_path / "doc" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "doc" / path).write_text(text)
    return store.create(tmp_path / "results", RUN)


def there(doc: Path) -> dict[str, str]:
    """Every file in the folder of plans, hidden ones too."""
    return {path.relative_to(doc).as_posix(): path.read_text() for path in doc.rglob("*") if path.is_file()}


def refusing(monkeypatch, n: int, refused: OSError) -> None:
    """From the nth file on the disk refuses in the folder of plans."""
    left, really = [n], os.fsync

    def fsync(handle):
        left[0] -= "/doc/" in os.readlink(f"/proc/self/fd/{handle}")  # noqa: PTH115
        if left[0] <= 0:
            raise refused
        really(handle)

    monkeypatch.setattr(os, "fsync", fsync)


@pytest.mark.parametrize("n", [1, 2, 3])
def test_a_full_disk_leaves_the_old_plan_and_its_figures_as_they_were(run, tmp_path, monkeypatch, n):
    refusing(monkeypatch, n, OSError(errno.ENOSPC, "No space left on device"))
    with pytest.raises(PlaceError, match=r"doc: cannot be written: No space left on device \(.*--doc"):
        publish.publish(run, tmp_path / "doc")
    assert there(tmp_path / "doc") == OLD


def test_an_edited_plan_in_a_folder_that_may_not_be_written_is_one_message(run, tmp_path, monkeypatch):
    def refuse(*_):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "rename", refuse)
    with pytest.raises(PlaceError, match=r"doc: cannot be written: Permission denied \(.*--doc"):
        publish.publish(run, tmp_path / "doc")
    assert there(tmp_path / "doc") == OLD


def test_a_new_plan_takes_the_place_of_the_old_one_and_nothing_else_is_left(run, tmp_path):
    said = publish.publish(run, tmp_path / "doc").said
    found = there(tmp_path / "doc")
    (kept,) = (path for path in found if path not in NEW)
    assert said[0].endswith(f"was edited by hand; it is kept as {tmp_path / 'doc' / kept}")
    assert {path: found[path] for path in NEW} == NEW
    assert found[kept] == OLD["events.md"]


def test_a_full_disk_leaves_the_page_of_a_review_as_it_was(tmp_path, monkeypatch):
    target = tmp_path / "doc" / "review.md"
    written.replace(target, "old", bool)
    refusing(monkeypatch, 1, OSError(errno.ENOSPC, "No space left on device"))
    with pytest.raises(PlaceError, match="No space left on device"):
        written.replace(target, "new", bool)
    assert there(tmp_path / "doc") == {"review.md": "old"}
