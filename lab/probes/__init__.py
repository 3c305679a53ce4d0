"""Facts of host and server, read between steps and compared as differences."""

from collections.abc import Mapping
from typing import Protocol

from lab.model import Json


class Probe(Protocol):
    """Something that can be read at any time: running totals, so that two readings subtract."""

    def read(self) -> Mapping[str, Json]:
        """The totals now; numbers only, or mappings of numbers."""
        ...
