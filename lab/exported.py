"""export.json: what a run that came out of an archive says of how it left the machine it was measured on.

Only logs may differ from what their trial's seal says, and only as export.json has it: no number rests
on a log. Every other file must be what its seal says, in an exported run as in any.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from lab.errors import RecordError

NAME = "export.json"


class Export(BaseModel):
    """What was done to a run. *root*: of the run as it is; *was*: before, where evidence had to be changed.

    *redacted*: log -> its sha256 as it is. *resealed*: files that evidence rests on and that were changed,
    with the seals over them, so that the run has another root. All paths begin in the run's folder.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[1] = 1
    root: str
    was: str
    redacted: Mapping[str, str]
    resealed: tuple[str, ...]


def read(folder: Path) -> Export | None:
    """What export.json of a run's folder says, None of a run that was never exported; RecordError where it is none."""
    path = folder / NAME
    try:
        return Export.model_validate(json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, ValidationError) as error:
        why = error.errors()[0]["msg"] if isinstance(error, ValidationError) else error
        raise RecordError(f"{path}: cannot be read: {why} (pglab export writes it)") from None


def due(export: Export | None, where: str, checksums: Mapping[str, str]) -> dict[str, str]:
    """The checksums that files of *where* must have: those of its seal, and of redacted logs those of the export."""
    redacted = export.redacted if export else {}
    told = {name: redacted.get(f"{where}/{name}") for name in checksums if is_log(f"{where}/{name}")}
    return {name: told.get(name) or checksum for name, checksum in checksums.items()}


def is_log(path: str) -> bool:
    """Is it a log of a trial, by its path in the run's folder?

    >>> is_log("trials/heap.1.r1-0/logs/heap.1.log"), is_log("trials/heap.1.r1-0/ops.parquet"), is_log("run.json")
    (True, False, False)
    """
    parts = path.split("/")
    return len(parts) == 4 and parts[0] == "trials" and parts[2] == "logs"
