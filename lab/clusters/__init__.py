"""Shapes built of hosts. A kind is a module here with KIND, Options and `opened`."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

from lab.hosts import Host, Server
from lab.model import Endpoint, Topology


class Cluster(Protocol):
    """A topology that is up: every node answers queries with the settings asked for."""

    servers: Sequence[Server]

    def write(self) -> Endpoint:
        """Where writes go, as the unprivileged role."""
        ...

    def reads(self) -> Sequence[Endpoint]:
        """Where reads may go; the write endpoint where there is no other."""
        ...

    def admin(self) -> Endpoint:
        """The write node as superuser, for probes and steps of the lab's own."""
        ...

    def snapshot(self) -> None:
        """Keep the state of all nodes."""
        ...

    def restore(self) -> None:
        """Bring all nodes back to the kept state."""
        ...


class OpenCluster(Protocol):
    """Bring a topology up for the length of a `with` block, then leave nothing behind.

    On entry every node answers queries with the settings asked for. On exit, however the block
    ended, processes and data are gone and the server logs are still in *logs*. Raise
    ClusterError if either cannot be had.
    """

    def __call__(
        self, host: Host, topology: Topology, *, name: str, settings: Mapping[str, str], logs: Path
    ) -> AbstractContextManager[Cluster]: ...
