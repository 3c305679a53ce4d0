"""A run as one file, and back: a .tar.gz that is made of its content alone, and read as one that a stranger sent.

Names in it begin with `<scenario>/<run>/`, so that it may also be unpacked by hand, in results/. Nothing
in it is believed: only plain files of a run's own layout are taken, each once, all of one run, and no more
than a run of that size could hold.
"""

import filecmp
import gzip
import io
import os
import re
import shutil
import tarfile
import tempfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from lab import exported, store
from lab.errors import LabError, PlaceError, RecordError

SUFFIX = ".pglab.tar.gz"
LEAST_BYTES = 64 * 2**20  # which any archive may hold
TIMES = 100  # and else so many times its own size: JSON shrinks to a tenth, Parquet hardly
_LAYOUT = re.compile(r"(run|done|export|more-\d+)\.json|(instances|studies|trials)/[^/]+/([^/]+/)*[^/]+")
_LONGEST_BYTES = 1024  # of a name, whose parts may have 255
_DAMAGED = (
    *(tarfile.TarError, gzip.BadGzipFile, zlib.error, EOFError, ValueError, OverflowError),
    *(FileExistsError, NotADirectoryError),  # one name is a file and a folder
)
_OTHER = "pglab export RUN makes it; get it again, or another"


# --- packing --------------------------------------------------------------------------------


def pack(top: Path, target: Path) -> None:
    """Every file below *top* into *target*, the same bytes for the same files; there when it is whole, or not at all.

    RecordError where *target* is there and other than it would be; PlaceError where it cannot be written.
    """
    try:
        with _appearing(target) as file, gzip.GzipFile("", "wb", 6, file, mtime=0) as packed:
            _write(top, packed)
    except OSError as error:
        raise PlaceError(
            f"{target}: cannot be written: {error.strerror or error} (make room, or name another file with --output)"
        ) from error


def _write(top: Path, packed: gzip.GzipFile) -> None:
    paths = sorted(path for path in top.rglob("*") if path.is_file())
    with tarfile.open(fileobj=packed, mode="w|", format=tarfile.PAX_FORMAT) as tar:
        for path in paths:
            member = tarfile.TarInfo(path.relative_to(top).as_posix())  # mode 0644, of nobody, at no time
            member.size = path.stat().st_size
            with path.open("rb") as content:
                tar.addfile(member, content)


@contextmanager
def _appearing(target: Path) -> Iterator[IO[bytes]]:
    """A file that gets its name when the block ends well, and else was never there."""
    handle, name = tempfile.mkstemp(prefix=f".partial-{target.name}-", dir=target.parent)
    part = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        if target.exists() and not (target.is_file() and filecmp.cmp(part, target, shallow=False)):
            raise RecordError(f"{target}: is there already, and is another (--output names another file)")
        part.chmod(0o644)
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)


# --- unpacking ------------------------------------------------------------------------------


def unpack(source: Path, top: Path) -> Path:
    """The run in the archive *source*, below the empty folder *top*: its folder `<top>/<scenario>/<run>`.

    RecordError where it is no archive of a run, is damaged, or was changed since its export; what was
    unpacked until then is the caller's to remove.
    """
    try:
        folder = _extracted(source, top)
    except _DAMAGED as error:
        raise RecordError(f"{source}: is no archive of a run, or a damaged one: {_words(error)} ({_OTHER})") from None
    export = exported.read(folder)
    if export is None or not (folder / store.RUN).exists():
        raise RecordError(f"{source}: holds no exported run ({_OTHER})")
    if store.root(folder) != export.root:
        raise RecordError(f"{source}: was changed after its export: its root is {store.root(folder)} ({_OTHER})")
    return folder


def _extracted(source: Path, top: Path) -> Path:
    """The folder of the run whose files were written below *top*."""
    with source.open("rb") as file, gzip.GzipFile(fileobj=file) as plain:
        limited = _Limited(plain, source)
        folders: set[Path] = set()
        with tarfile.open(fileobj=limited, mode="r|") as tar:
            for member in tar:
                path = _place(member, source, top)
                folders.add(_run_of(path, top))
                if len(folders) > 1 or path.exists():
                    raise RecordError(f"{source}: {member.name!r} is of another run, or there twice ({_OTHER})")
                _keep(tar.extractfile(member), path)
        while limited.read(2**20):  # to its end, where gzip has a checksum
            pass
    if not folders:
        raise RecordError(f"{source}: is empty ({_OTHER})")
    return folders.pop()


def _place(member: tarfile.TarInfo, source: Path, top: Path) -> Path:
    """Where a file of an archive belongs; RecordError where a run has no such file."""
    scenario, _, rest = member.name.partition("/")
    run, _, within = rest.partition("/")
    parts = member.name.split("/")
    plain = member.type in (tarfile.REGTYPE, tarfile.AREGTYPE) and not member.issparse()
    right = all(part not in ("", ".", "..") and len(os.fsencode(part)) < 256 for part in parts)
    right = right and len(os.fsencode(member.name)) <= _LONGEST_BYTES
    if not (plain and right and scenario and run and _LAYOUT.fullmatch(within)):
        raise RecordError(f"{source}: {member.name!r} is no file of a run, and nothing is unpacked ({_OTHER})")
    return top.joinpath(*parts)


def _run_of(path: Path, top: Path) -> Path:
    return top.joinpath(*path.relative_to(top).parts[:2])


def _keep(content: IO[bytes] | None, path: Path) -> None:
    if content is None:  # of what is no file; _place has refused it
        raise ValueError(path.name)
    path.parent.mkdir(parents=True, exist_ok=True)
    with content, path.open("xb") as file:
        shutil.copyfileobj(content, file)


class _Limited(io.RawIOBase):
    """What an archive holds, no further than one of its size may."""

    def __init__(self, plain: gzip.GzipFile, source: Path) -> None:
        super().__init__()
        self._plain, self._source = plain, source
        self._left = max(LEAST_BYTES, TIMES * source.stat().st_size)

    def read(self, size: int = -1, /) -> bytes:
        found = self._plain.read(min(size, self._left + 1) if size >= 0 else self._left + 1)
        self._left -= len(found)
        if self._left < 0:
            raise RecordError(f"{self._source}: holds more than a run of its size could ({_OTHER})")
        return found


def _words(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__


# --- where a folder is expected -------------------------------------------------------------


@contextmanager
def laid_out(results: Path) -> Iterator[tuple[Path, Callable[[str], str]]]:
    """The folder of runs *results*; where that is an archive, a folder with its run, for as long as the block.

    With it comes what a text is as long as it is about that folder: what names files in it names the archive.
    """
    if not results.is_file():
        yield results, str
        return
    with tempfile.TemporaryDirectory(prefix="pglab-", ignore_cleanup_errors=True) as place:

        def told(said: str) -> str:
            return said.replace(f"{place}/", f"{results}: ")

        try:
            _unpacked(results, Path(place))
            yield Path(place), told
        except LabError as error:
            raise type(error)(told(str(error))) from None


def _unpacked(source: Path, place: Path) -> None:
    try:
        unpack(source, place)
    except OSError as error:
        why = error.strerror or error
        raise PlaceError(f"{source}: cannot be unpacked: {why} (is there room? TMPDIR names another folder)") from error


@contextmanager
def found(results: Path, name: str) -> Iterator[Path]:
    """The folder of a run, as store.find has it; *name* or *results* may be an archive."""
    named = Path(name).is_file()
    with laid_out(Path(name) if named else results) as (runs, _):
        yield store.runs(runs)[0] if named else store.find(runs, name)
