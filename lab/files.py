"""Files and folders that appear whole: on the disk under another name first, and until then not there.

And JSON read back, or told why not.
"""

import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lab.errors import RecordError
from lab.model import Json

FORMAT = 1
PART = ".partial-"  # how the name of what is being written begins; tidy knows it too


def write_json(path: Path, value: Json) -> None:
    """One JSON value, readable; on the disk, whole, when this returns, and until then not there."""
    part = _part(path)
    try:
        _write(part, json.dumps(value, ensure_ascii=False, indent=1, allow_nan=False) + "\n")
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    _sync(path.parent)


class _Record(dict[str, Any]):
    """A mapping in a file; a key that it lacks is told with the file's name."""

    def __init__(self, path: Path, value: Mapping[str, Any]) -> None:
        super().__init__(value)
        self._path = path

    def __missing__(self, key: str) -> Any:
        raise RecordError(f"{self._path}: has no {key!r} (it is not as pglab run wrote it)")


def read_json(path: Path) -> Any:
    """One JSON value; RecordError where it is missing, broken or of another format, or lacks what is asked of it."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"), object_hook=lambda found: _Record(path, found))
    except FileNotFoundError:
        raise RecordError(f"{path}: is not there (is it a folder that pglab run wrote?)") from None
    except (ValueError, OSError) as error:
        raise RecordError(f"{path}: cannot be read: {error}") from None
    if isinstance(value, dict) and value.get("format", FORMAT) != FORMAT:
        raise RecordError(f"{path}: is of format {value['format']!r} (this pglab reads format {FORMAT})")
    return value


@contextmanager
def texts(top: Path, pages: Mapping[str, str]) -> Iterator[None]:
    """Files below *top* (path -> text, UTF-8 with line feeds) that get their names when the block ends well.

    All are on the disk before it begins, so that a full one leaves what stood there as it was.
    """
    paths = [top / name for name in pages]
    try:
        for path, text in zip(paths, pages.values(), strict=True):
            path.parent.mkdir(parents=True, exist_ok=True)
            _write(_part(path), text)
        yield
        for path in paths:
            _part(path).replace(path)
    except BaseException:
        for path in paths:
            _part(path).unlink(missing_ok=True)
        raise
    for folder_ in {path.parent for path in paths}:
        _sync(folder_)


@contextmanager
def folder(target: Path) -> Iterator[Path]:
    """A folder that gets its name when the block ends well, and else was never there."""
    target.parent.mkdir(parents=True, exist_ok=True)
    part = Path(tempfile.mkdtemp(prefix=PART, dir=target.parent))
    try:
        yield part
        part.chmod(0o755)
        for path in (*part.rglob("*"), part):
            _sync(path)
        part.rename(target)
        _sync(target.parent)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise


def _part(path: Path) -> Path:
    """Where a file is written: of another ending, so that nobody takes a part that was left for a page."""
    return path.with_name(f"{PART}{path.name}.new")


def _write(part: Path, text: str) -> None:
    with part.open("w", encoding="utf-8", newline="\n") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
