"""One server, which everybody reads from and writes to."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from lab import pg
from lab.errors import ClusterError
from lab.hosts import Host, Process, Server
from lab.model import Endpoint, Topology

KIND = "single"
HOSTS = ("embedded", "docker")


class Options(BaseModel):
    """A single server has no options."""

    model_config = ConfigDict(frozen=True, extra="forbid")


@contextmanager
def opened(host: Host, topology: Topology, *, name: str, settings: Mapping[str, str], logs: Path) -> Iterator["Single"]:
    """See clusters.OpenCluster."""
    Options.model_validate(dict(topology.options))
    with host.server(name, settings, logs) as server:
        yield Single(server)


class Single:
    """See clusters.Cluster."""

    def __init__(self, server: Server) -> None:
        self.servers: Sequence[Server] = (server,)
        self.processes: Sequence[Process] = (server,)
        self._server = server

    def write(self) -> Endpoint:
        """The server, as the unprivileged role."""
        return Endpoint(self._server.name, "write", self._server.conninfo())

    def reads(self) -> Sequence[Endpoint]:
        """The same."""
        return (self.write(),)

    def admin(self) -> Endpoint:
        """The server, as superuser."""
        return Endpoint(self._server.name, "admin", self._server.conninfo(user="pglab"))

    def nodes(self) -> Sequence[Endpoint]:
        """The server, as superuser."""
        return (self.admin(),)

    def empty(self) -> None:
        """A new database."""
        pg.make_database(self.admin().conninfo)

    def kill(self, node: str) -> None:
        """See clusters.CanKill."""
        self._named(node).kill()

    def pause(self, node: str) -> None:
        """See clusters.CanKill."""
        self._named(node).pause()

    def resume(self, node: str) -> None:
        """See clusters.CanKill."""
        self._named(node).resume()

    def revive(self, node: str) -> None:
        """See clusters.CanKill."""
        self._named(node).start()

    def _named(self, node: str) -> Server:
        if node not in ("leader", self._server.name):
            raise ClusterError(f"there is no node {node!r} (leader, {self._server.name})")
        return self._server

    def snapshot(self) -> None:
        """Keep the data directory."""
        self._server.snapshot()

    def restore(self) -> None:
        """Put the kept data directory back."""
        self._server.restore()
