"""Rows that are there already, in files: a range and a sample of them."""

import hashlib
from collections.abc import Iterator, Mapping
from datetime import datetime
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Protocol

import numpy as np
import pyarrow as pa

from lab import draw
from lab.errors import LabError


class File(Protocol):
    """Rows by number, read as often as they are asked for."""

    def batches(self, first: int) -> Iterator[pa.RecordBatch]:
        """All rows from number *first* on, in the types of the schema."""
        ...


class Fixed:
    """See sources.Source. *rows* of *file*, in the types of *schema*; *paths*: its files, by name."""

    def __init__(self, name: str, file: File, schema: pa.Schema, rows: int, paths: Mapping[str, Path]) -> None:
        self.name, self.schema, self.rows = name, schema, rows
        self._file, self._paths = file, paths

    @cached_property
    def data(self) -> Mapping[str, str]:
        """See sources.HasData: the files' bytes, all of them, which takes less than sending their rows once."""
        return sums(self.name, self._paths)

    def batches(self, first: int, last: int) -> Iterator[pa.RecordBatch]:
        """See sources.Source.batches."""
        if last > self.rows:
            raise LabError(f"stream {self.name}: rows to {last} were asked for, and the file has {self.rows}")
        left = last - first
        for batch in self._file.batches(first) if left > 0 else ():
            yield batch.slice(0, left)
            left -= batch.num_rows
            if left <= 0:
                return

    def sample(self, n: int, *, seed: int) -> pa.Table:
        """See sources.Source.sample: a simple random sample, in the order of the file."""
        size = min(n, self.rows)
        chosen = np.sort(draw.rng(seed, self.name, "sample").choice(self.rows, size, replace=False))
        taken, at = [], 0
        for batch in self.batches(0, self.rows):
            low, high = np.searchsorted(chosen, [at, at + batch.num_rows])
            taken.append(batch.take(pa.array(chosen[low:high] - at, pa.int64())))
            at += batch.num_rows
        return pa.Table.from_batches(taken, self.schema)

    def time_of(self, row: int) -> datetime | None:  # noqa: ARG002
        """None: rows of a file come in no even time."""
        return None


def sums(stream: str, paths: Mapping[str, Path]) -> dict[str, str]:
    """File -> the sha256 of its bytes, as HasData has it; LabError where one cannot be read."""
    try:
        stamps = {name: path.stat() for name, path in paths.items()}
        return {name: f"sha256 {_sha256(paths[name], at.st_mtime_ns, at.st_size)}" for name, at in stamps.items()}
    except OSError as error:
        raise LabError(f"stream {stream}: {error.filename}: cannot be read: {error.strerror}") from None


@lru_cache(maxsize=1024)
def _sha256(path: Path, changed_ns: int, size: int) -> str:  # noqa: ARG001 what was read
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()  # a piece at a time, however large
