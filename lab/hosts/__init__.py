"""Where a server process lives. Shapes ask a host for processes and do not know its kind."""

from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

from lab.model import Json


@dataclass(frozen=True)
class Limits:
    """What a container may take. None: as much as there is.

    *cpus* is a share of time, 1.5 for one and a half cores' worth; *cpuset* names cores, as `0-1,3`.
    """

    cpus: float | None = None
    cpuset: str | None = None
    memory_bytes: int | None = None


class Process(Protocol):
    """A program that is up and was asked for by a shape: a server, a pooler, a proxy, an agent.

    *name* is the node's, unique in its cluster; *log* has what it said, and outlives it.
    """

    name: str

    @property
    def log(self) -> Path:
        """What it has said until now."""
        ...

    def peer(self) -> tuple[str, int]:
        """Host and port under which other processes of the same host.private() reach it.

        The host may be a folder: that of a Unix socket.
        """
        ...

    def cpu_s(self) -> float:
        """CPU seconds that it and its children have used since it started; ClusterError if it is gone."""
        ...

    def kill(self) -> None:
        """SIGKILL, at once and without a word; start() brings it back."""
        ...

    def pause(self) -> None:
        """Stop it and its children from running, without their noticing; resume() lets them go on."""
        ...

    def resume(self) -> None:
        """Undo pause()."""
        ...

    def start(self) -> None:
        """Start again after stop() or kill(); returns when it is ready."""
        ...

    def stop(self) -> None:
        """Shut down cleanly (a server: fast mode, with its checkpoint)."""
        ...


class Server(Process, Protocol):
    """One running PostgreSQL, ready for queries.

    Two roles exist: the superuser `pglab`, for the lab's own probes, and the unprivileged
    `lab`, owner of the database `lab`, for everything an author wrote.
    """

    def conninfo(self, *, user: str = "lab", dbname: str = "lab") -> str:
        """libpq's keyword/value string for a connection of the lab's to this server."""
        ...

    def password(self, user: str) -> str | None:
        """What *user* needs to connect to peer(); None where no password is asked for."""
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

    def own(self) -> Collection[int]:
        """Processes that work for its servers, with all they start, beside those that this process started."""
        ...

    def private(self) -> AbstractContextManager["Host"]:
        """The same host for one cluster: its processes see each other and no other cluster's."""
        ...

    def server(
        self, name: str, settings: Mapping[str, str], logs: Path, *, image: str | None = None
    ) -> AbstractContextManager[Server]:
        """A new, empty server for the length of a `with` block; nothing but its log remains.

        *image* is that of a host that has images, or a major version as digits; None for the host's
        own. ClusterError where a host has it not, or the server does not start.
        """
        ...

    def standby(self, of: Server, name: str, settings: Mapping[str, str], logs: Path) -> AbstractContextManager[Server]:
        """A streaming standby of *of*, cloned by pg_basebackup, as `server` gives one.

        Its application_name is *name* and it streams through a slot of that name (`-` as `_`). It
        answers queries, and has caught up with what was there when it was asked for.
        """
        ...


@runtime_checkable
class Throttled(Protocol):
    """What can tell how long its limit of processor time kept it waiting."""

    def throttled_s(self) -> float:
        """Seconds for which its limit of CPU time kept it waiting since it started."""
        ...


class Container(Process, Throttled, Protocol):
    """A process with a machine of its own around it."""

    def address(self, port: int | None = None) -> tuple[str, int]:
        """Host and port under which the lab itself reaches its *port* (its own, or one of *also*) at this moment."""
        ...

    def run(self, *command: str) -> str:
        """Run a program inside and give its output; ClusterError with its words."""
        ...

    def cut(self) -> None:
        """Drop every packet from it and to it, of old connections and new; mend() or start() undoes it."""
        ...

    def mend(self) -> None:
        """Undo cut(): connections that have not given up meanwhile go on."""
        ...

    def limits(self) -> Limits:
        """What the kernel limits it to, read from where the kernel enforces it."""
        ...


@runtime_checkable
class Containers(Host, Protocol):
    """A host that also runs programs of other images."""

    def container(
        self,
        name: str,
        image: str,
        logs: Path,
        *,
        port: int,
        also: Sequence[int] = (),
        env: Mapping[str, str] = {},
        files: Mapping[str, str] = {},
        command: Sequence[str] | None = None,
        limits: Limits | None = None,
    ) -> AbstractContextManager[Container]:
        """A container of *image* for the length of a `with` block, up once its *port* takes connections.

        Others of the same private() reach it as *name*. *also*: ports that the lab wants to reach
        beside. *files*: path in the container -> text. ClusterError where it does not come up, or the
        *limits* are not in force.
        """
        ...
