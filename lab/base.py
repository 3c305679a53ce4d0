"""The folder below which everything of this user's runs lives."""

import os
from pathlib import Path


def base() -> Path:
    """Persistent, never a tmpfs; `PGLAB_BASE` names another one; socket paths must stay below about 100 bytes."""
    return Path(os.environ.get("PGLAB_BASE") or f"/var/tmp/pglab-{os.getuid()}")
