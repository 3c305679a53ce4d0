"""Facts of host and server, read between steps and compared as differences; and series while load runs."""

from collections.abc import Mapping
from typing import Protocol

import pyarrow as pa

from lab.model import Json

SERIES = pa.schema(
    [
        ("at_ns", pa.int64()),  # CLOCK_MONOTONIC, as the operations' times
        ("node", pa.dictionary(pa.int32(), pa.string())),  # a server's name; empty for the whole machine
        ("name", pa.dictionary(pa.int32(), pa.string())),
        ("value", pa.float64()),
    ]
)
"""Readings while load runs. Of a server: `active` (sessions that run a statement) and `wait.<type>:<event>` or
`wait.running` (those of them that wait for this, or for nothing) at each look, and the running totals of
queries/series.sql; `down` where it did not answer. Of the machine: the running totals of probes/_machine.py."""


class Probe(Protocol):
    """Something that can be read at any time: running totals, so that two readings subtract."""

    def read(self) -> Mapping[str, Json]:
        """The totals now; numbers only, or mappings of numbers."""
        ...
