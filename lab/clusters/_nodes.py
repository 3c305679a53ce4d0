"""What shapes have in common: servers of which one leads, and how a shape is opened within another."""

import importlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Annotated, cast

from pydantic import Field

from lab import pg
from lab.clusters import OpenCluster
from lab.errors import ClusterError
from lab.hosts import Process, Server
from lab.model import Endpoint, Topology

_POLL_S = 0.005

Image = Annotated[str, Field(strict=True, min_length=1, description="an image, such as postgres:17")]
"""Any that follows the conventions of the one that a kind has by default."""


class Nodes:
    """See clusters.Cluster and clusters.CanKill. The first server leads, and is written to and read from."""

    def __init__(self, servers: Sequence[Server]) -> None:
        self.servers: Sequence[Server] = tuple(servers)
        self.processes: Sequence[Process] = self.servers
        self.roles: Mapping[str, Server] = {"leader": self.servers[0]}
        """What a node may be called besides its name."""

    def write(self) -> Endpoint:
        """The leader, as the unprivileged role."""
        return Endpoint(self.servers[0].name, "write", self.servers[0].conninfo())

    def reads(self) -> Sequence[Endpoint]:
        """The write endpoint."""
        return (self.write(),)

    def admin(self) -> Endpoint:
        """The leader, as superuser."""
        return self.nodes()[0]

    def nodes(self) -> Sequence[Endpoint]:
        """Every server as superuser, the leader first."""
        return tuple(Endpoint(one.name, "admin", one.conninfo(user="pglab")) for one in self.servers)

    def empty(self) -> None:
        """A new database on the leader."""
        pg.make_database(self.admin().conninfo)

    def snapshot(self) -> None:
        """Keep every data directory."""
        for server in self.servers:
            server.snapshot()

    def restore(self) -> None:
        """Put every kept data directory back."""
        for server in self.servers:
            server.restore()

    def kill(self, node: str) -> None:
        """See clusters.CanKill."""
        self._called(node).kill()

    def pause(self, node: str) -> None:
        """See clusters.CanKill."""
        self._called(node).pause()

    def resume(self, node: str) -> None:
        """See clusters.CanKill."""
        self._called(node).resume()

    def revive(self, node: str) -> None:
        """See clusters.CanKill."""
        self._called(node).start()

    def _called(self, node: str) -> Server:
        known = {**{one.name: one for one in self.servers}, **self.roles}
        if node not in known:
            raise ClusterError(f"there is no node {node!r} ({', '.join(known)})")
        return known[node]


def image(topology: Topology) -> str | None:
    """What a host is asked for where the topology names an image, or a major version of PostgreSQL."""
    named = topology.options.get("image")
    return str(named or topology.postgres) if named or topology.postgres else None


def opener(kind: str) -> OpenCluster:
    """How a shape of *kind* is opened: for one that stands before another."""
    return cast(OpenCluster, importlib.import_module(f"lab.clusters.{kind}").opened)


@contextmanager
def bringing_up(name: str) -> Iterator[None]:
    """What a server refuses while the shape *name* is brought up is a ClusterError that says of which shape."""
    try:
        yield
    except ClusterError as error:
        raise ClusterError(f"{name}: {error}") from error
    except pg.Error as error:
        raise ClusterError(f"{name}: {pg.words(error)}") from error


def until(done: Callable[[], bool], within_s: float, why: Callable[[], str]) -> None:
    """Return once *done* says so; ClusterError with what *why* says if that takes more than *within_s*."""
    deadline = time.monotonic() + within_s
    while not done():
        if time.monotonic() > deadline:
            raise ClusterError(f"{why()} (waited {within_s:.0f} s)")
        time.sleep(_POLL_S)
