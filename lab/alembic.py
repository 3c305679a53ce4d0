"""Alembic's migrations are programs: the user's own Alembic writes their SQL, offline, and no database is asked."""

import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from lab.errors import PlaceError, ScenarioError
from lab.migration import Script

LIMIT_S = 300
_INI = "alembic.ini"
_UPGRADE = ("upgrade", "heads", "--sql")
_WAY = "alembic upgrade heads --sql > schema.sql in the project's own environment, then --schema schema.sql"


def home(path: Path) -> Path | None:
    """The folder of alembic.ini, where *path* has it or has the migrations; None if these are not Alembic's.

    ScenarioError where the migrations are there and alembic.ini is not.
    """
    if (path / _INI).is_file():
        return path
    scripts = path.parent if path.name == "versions" else path
    if not ((scripts / "env.py").is_file() and (scripts / "versions").is_dir()):
        return None
    found = next((one for one in scripts.resolve().parents[:2] if (one / _INI).is_file()), None)
    if found is None:
        raise ScenarioError(
            f"{path}: has migrations of Alembic's and no {_INI} (name the folder that has it; or {_WAY})"
        )
    return found


def written(folder: Path) -> tuple[Script, ...]:
    """What `alembic upgrade heads --sql` writes in *folder*; PlaceError where there is no Alembic.

    ScenarioError with Alembic's last words where it fails, as at migrations that ask a database.
    """
    name = f"alembic {' '.join(_UPGRADE)}"
    try:
        done = subprocess.run(
            [*_program(folder), "-c", _INI, *_UPGRADE],
            capture_output=True,
            encoding="utf-8",
            check=False,
            cwd=folder,
            timeout=LIMIT_S,
            stdin=subprocess.DEVNULL,
            env={**os.environ, "PYTHONIOENCODING": "utf-8"},
        )
    except subprocess.TimeoutExpired:
        raise ScenarioError(f"{folder}: {name} has not ended within {LIMIT_S} s ({_WAY})") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ScenarioError(f"{folder}: {name}: {error} ({_WAY})") from None
    if done.returncode:
        said = done.stderr.strip().splitlines() or ["it says nothing"]
        way = "a migration that asks a database is no SQL: give what pg_dump -s writes, by --schema"
        raise ScenarioError(f"{folder}: {name} fails: {said[-1]} ({way})")
    return (Script(name, done.stdout),)


def _program(folder: Path) -> Sequence[str]:
    if found := shutil.which("alembic"):
        return (found,)
    if importlib.util.find_spec("alembic") is not None:
        return (sys.executable, "-m", "alembic")
    raise PlaceError(
        f"{folder}: has migrations of Alembic's, which are programs, and alembic is not on PATH (activate the "
        f"project's environment; or {_WAY})"
    )
