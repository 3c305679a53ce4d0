"""Shapes built of hosts. A kind is a module here with KIND, Options and `opened`."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

from lab import pg
from lab.hosts import Host, Process, Server
from lab.model import Endpoint, Topology


class Cluster(Protocol):
    """A topology that is up: every node answers queries with the settings asked for."""

    servers: Sequence[Server]
    processes: Sequence[Process]
    """Everything that serves: the servers, and what stands beside and before them."""

    def write(self) -> Endpoint:
        """Where writes go, as the unprivileged role."""
        ...

    def reads(self) -> Sequence[Endpoint]:
        """Where reads may go; the write endpoint where there is no other."""
        ...

    def admin(self) -> Endpoint:
        """The write node as superuser, for probes and steps of the lab's own."""
        ...

    def nodes(self) -> Sequence[Endpoint]:
        """Every server as superuser, admin() first: what is summed over a shape is asked of each."""
        ...

    def empty(self) -> None:
        """A new, empty database `lab` on every node, as after opening; connections to the old one end."""
        ...

    def snapshot(self) -> None:
        """Keep the state of all nodes."""
        ...

    def restore(self) -> None:
        """Bring all nodes back to the kept state."""
        ...


# --- abilities: a kind that has one has its methods ------------------------------------------


@runtime_checkable
class CanKill(Protocol):
    """Nodes can be killed and paused. *node* is a server's name, `leader`, or `standby` (the first)."""

    def kill(self, node: str) -> None:
        """SIGKILL the node's server; what then happens is the shape's own doing."""
        ...

    def pause(self, node: str) -> None:
        """Freeze the node; resume(node) lets it go on."""
        ...

    def resume(self, node: str) -> None:
        """Undo pause()."""
        ...

    def revive(self, node: str) -> None:
        """Start a node that was killed."""
        ...


@runtime_checkable
class CanPartition(Protocol):
    """A node can be cut off from all the others, and from clients."""

    def partition(self, node: str) -> None:
        """Cut *node* off; heal(node) undoes it."""
        ...

    def heal(self, node: str) -> None:
        """Undo partition()."""
        ...


@runtime_checkable
class CanSwitchover(Protocol):
    """The leader's role can be handed over in good order."""

    def switchover(self) -> None:
        """Another node leads on return."""
        ...


@dataclass(frozen=True)
class Lag:
    """How far a standby is behind: WAL in bytes, and seconds; None where nothing was written lately."""

    bytes: int
    seconds: float | None


@runtime_checkable
class CanLag(Protocol):
    """Read endpoints follow the write endpoint at some distance."""

    def caught_up(self) -> None:
        """Return once every read endpoint shows all that is committed now; ClusterError if one does not."""
        ...

    def lags(self) -> Mapping[str, Lag]:
        """Node -> how far it is behind at this moment; nodes that do not stream are left out."""
        ...


@runtime_checkable
class CanBypass(Protocol):
    """Clients are led to the write node by something that keeps no session for them."""

    def direct(self) -> Endpoint:
        """The write node past it, as the unprivileged role: for what is counted within one session."""
        ...


@runtime_checkable
class CanKeepApart(Protocol):
    """Rows live in databases of their own, one for each value of the column *by*: a call goes to that of its value.

    A client holds *connections* at most, and closes the one it has not used for longest for another.
    """

    by: str
    connections: int

    def make(self, values: Iterable[str], like: pg.Connection) -> None:
        """Make databases for those of *values* that have none, like write() was when the first was made.

        *like* is the only session in write()'s database, a superuser's. IngestError for values that can have none.
        """
        ...

    def databases(self, *, admin: bool = False) -> Mapping[str, Endpoint]:
        """Value -> its database, as the unprivileged role or as superuser; those that have been made."""
        ...

    def model(self, *, admin: bool = False) -> Endpoint:
        """What further ones are copied from: whoever is connected to it while that is done is in the way."""
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
