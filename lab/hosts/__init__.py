"""Where a server process lives. Shapes ask a host for servers and do not know its kind."""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

from lab.model import Json


class Server(Protocol):
    """One running PostgreSQL, ready for queries.

    Two roles exist: the superuser `pglab`, for the lab's own probes, and the unprivileged
    `lab`, owner of the database `lab`, for everything an author wrote.
    """

    name: str
    log: Path

    def conninfo(self, *, user: str = "lab", dbname: str = "lab") -> str:
        """libpq's keyword/value string for a connection to this server."""
        ...

    def cpu_s(self) -> float:
        """CPU seconds that the server's processes have used since it started."""
        ...

    def stop(self) -> None:
        """Shut down cleanly (fast mode, with its checkpoint); a stopped server may be started."""
        ...

    def start(self) -> None:
        """Start again after stop(); returns when queries are answered."""
        ...

    def snapshot(self) -> None:
        """Keep a copy of the data directory; the server is stopped and started for it."""
        ...

    def restore(self) -> None:
        """Go back to the kept copy; the server answers queries again on return."""
        ...


class Host(Protocol):
    """A way to have servers: `embedded` (local processes) or `docker` (containers)."""

    kind: str

    def fingerprint(self) -> Mapping[str, Json]:
        """What must be equal for two runs to be comparable: cores, memory, kernel, server version."""
        ...

    def psql(self) -> Path:
        """The psql that fits this host's servers."""
        ...

    def workdir(self, name: str) -> Path:
        """A new folder of the lab's own for the length of the run, found and removed with it."""
        ...

    def server(self, name: str, settings: Mapping[str, str], logs: Path) -> AbstractContextManager[Server]:
        """A new, empty server for the length of a `with` block; nothing but its log remains."""
        ...
