"""The folder of one run on this machine, by whose owner a run is known to be alive."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lab.base import base as base
from lab.errors import PlaceError
from lab.procfs import process

_ENTERED = 0o711  # set after making: the umask takes from the mode that mkdir is given


@contextmanager
def home(name: str) -> Iterator[Path]:
    """A new folder below the base for the length of a `with` block, with its owner's name in it."""
    folder = base() / name
    guard(base())
    try:
        folder.mkdir()
        folder.chmod(_ENTERED)
        (folder / "owner.json").write_text(json.dumps({"pid": os.getpid(), "started": born(os.getpid())}))
    except OSError as error:
        shutil.rmtree(folder, ignore_errors=True)
        raise PlaceError(
            f"{folder}: cannot be made: {error.strerror or error} (set PGLAB_BASE to a larger disk)"
        ) from None
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def born(pid: int) -> int | None:
    """When a process started, in ticks since the machine did; None where it is gone, or a zombie."""
    one = process(pid)
    return None if one is None or one.ended else one.born


def guard(folder: Path) -> None:
    """Make the base folder, and those above it, or refuse one that is somebody else's or lies in memory.

    Root's servers run as `nobody`, who must be able to enter, whatever root's umask is and was when it was made.
    """
    try:
        for one in reversed([one for one in (folder, *folder.parents) if not one.exists()]):
            one.mkdir(exist_ok=True)
            one.chmod(_ENTERED)
    except OSError as error:
        raise PlaceError(f"{folder}: cannot be made: {error.strerror} (set PGLAB_BASE to a folder on disk)") from None
    if folder.stat().st_uid != os.getuid():
        raise PlaceError(f"{folder}: belongs to another user (set PGLAB_BASE to a folder of your own)")
    if os.getuid() == 0:
        folder.chmod(folder.stat().st_mode | _ENTERED)
    kind = subprocess.run(["stat", "-fc", "%T", folder], capture_output=True, text=True, check=False).stdout.strip()
    if kind in ("tmpfs", "ramfs"):
        raise PlaceError(f"{folder}: is a {kind}, where nothing is durable (set PGLAB_BASE to a folder on disk)")
    if len(str(folder)) > 60:
        raise PlaceError(f"{folder}: is too long for a Unix socket below it (set PGLAB_BASE to a shorter path)")
