"""Rows of TPC-H's eight tables, as `tpchgen-cli` makes them, which is a package of PyPI; they are kept as Parquet.

The files lie below the lab's own base, one folder for each version of the generator and each scale, and are made once.
The specification has few skews and no order that matters: for others there is `synthetic`.
"""

import importlib.metadata
import secrets
import shutil
import subprocess
import sysconfig
from pathlib import Path
from typing import Literal, get_args

from pydantic import BaseModel, ConfigDict, Field

from lab.base import base
from lab.errors import PlaceError, ScenarioError
from lab.model import Lab, Stream
from lab.sources import _paths, parquet
from lab.sources._fixed import Fixed

KIND = "tpch"
_PACKAGE = "tpchgen-cli"

Table = Literal["region", "nation", "supplier", "customer", "part", "partsupp", "orders", "lineitem"]


class Options(BaseModel):
    """*table*: one of the eight; the stream's own name where nothing is said.

    *scale*: 1 is 6 million line items and 1.5 million orders; 0.01 a hundredth of that. *rows*: at most so many.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    table: Table | None = None
    scale: float = Field(1.0, gt=0, le=1000, allow_inf_nan=False)
    rows: int | None = Field(None, ge=0)


def opened(stream: Stream, lab: Lab, *, seed: int) -> Fixed:
    """See sources.OpenSource. PlaceError where the generator is not installed; *seed* changes nothing."""
    asked, place = _paths.asked(stream, Options)
    table = asked.table or stream.name
    if table not in get_args(Table):
        raise ScenarioError(f"{place}: table: {table!r} is none of TPC-H's (one of {', '.join(get_args(Table))})")
    program, version = _generator()
    made = _made(program, version, table, asked.scale)
    files = {"files": str(made), **({} if asked.rows is None else {"rows": asked.rows})}
    source = parquet.opened(Stream(stream.name, parquet.KIND, files, stream.place), lab, seed=seed)
    source.data = {_PACKAGE: version}  # with the options that is all its rows hang on
    return source


def _made(program: Path, version: str, table: str, scale: float) -> Path:
    """The file with a table's rows, made now unless it was before."""
    path = base() / f"tpch-{version}-{scale:g}" / f"{table}.parquet"
    if path.is_file():
        return path
    making = base() / f"tpch-{secrets.token_hex(4)}"
    try:
        making.mkdir(parents=True)
        command = [str(program), "parquet", f"--tables={table}", f"--scale-factor={scale:g}", f"--output-dir={making}"]
        done = subprocess.run([*command, "--quiet"], capture_output=True, text=True, check=False)
        if done.returncode:
            raise PlaceError(f"{_PACKAGE}: {table}, scale {scale:g}: {' '.join(done.stderr.split())}")
        path.parent.mkdir(exist_ok=True)
        (making / path.name).replace(path)  # whole, or not there
    except OSError as error:
        raise PlaceError(f"{making}: {error.strerror} (set PGLAB_BASE to a larger disk)") from None
    finally:
        shutil.rmtree(making, ignore_errors=True)
    return path


def _generator() -> tuple[Path, str]:
    """The generator of this Python's environment, and its version."""
    program = Path(sysconfig.get_path("scripts")) / _PACKAGE
    try:
        version = importlib.metadata.version(_PACKAGE)
    except importlib.metadata.PackageNotFoundError:
        version = ""
    if not version or not program.is_file():
        raise PlaceError(f"the package {_PACKAGE} is not installed (pip install 'pglab[tpch]')")
    return program, version
