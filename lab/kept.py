"""An instance that is up: its candidate, its cluster, and the lab's own connections to its servers and databases."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from lab import pg, prepare, ways
from lab.apart import Rooms
from lab.clusters import CanBypass, Cluster
from lab.ingest import Load
from lab.model import Candidate, Endpoint, Instance
from lab.prepare import Span
from lab.probes.host import HostProbe
from lab.probes.server import Node, ServerProbe


@dataclass
class Kept:
    """An instance that is up: what it is connected by, and which rows it holds now."""

    instance: Instance
    candidate: Candidate
    cluster: Cluster
    admin: pg.Connection
    host: HostProbe
    span: Span = field(default_factory=Span)
    rows: int = 0
    rows_before: int = 0  # when the instance was prepared
    others: Sequence[Node] = ()  # the servers beside the one that *admin* speaks to
    shaped: bool = False  # some candidate is no single server: what tells shapes apart is measured too
    rooms: Rooms = field(init=False)
    server: ServerProbe = field(init=False)

    def __post_init__(self) -> None:
        self.rooms = Rooms(self.cluster, self.nodes)
        self.rooms.meet()
        self.server = ServerProbe(self.nodes, self.cluster.processes, self.rooms.nodes)

    @property
    def nodes(self) -> tuple[Node, ...]:
        """Every server as superuser, the one that is written to first."""
        return (Node(self.cluster.admin().node, self.admin), *self.others)

    @property
    def databases(self) -> tuple[Node, ...]:
        """All of these servers' databases, `lab` first: what is counted for each apart is asked of each."""
        return (*self.nodes, *self.rooms.nodes)

    @property
    def direct(self) -> Endpoint:
        """The server that is written to, past anything that keeps no session: for what is prepared and counted."""
        return self.cluster.direct() if isinstance(self.cluster, CanBypass) else self.cluster.write()

    @property
    def role(self) -> str:
        """Who the author's SQL is run as: whom the server is written to as."""
        return pg.parsed(self.direct.conninfo).get("user", self.admin.info.user)

    @property
    def reads(self) -> tuple[Endpoint, ...]:
        """Where reads are sent, if not where writes go."""
        write = self.cluster.write()
        found = tuple(self.cluster.reads())
        return () if all(one.conninfo == write.conninfo for one in found) else found

    @property
    def connection(self) -> str:
        """The name by which the driver keeps its connections."""
        return f"{self.candidate.name}.{self.instance.load}"

    def rows_there(self) -> int:
        """The rows in all tables that the author made, in all databases; of what is in each of these once."""
        if not self.rooms.nodes:
            return prepare.rows_in(self.admin)
        first, *others = (one.connection for one in self.rooms.nodes)
        return prepare.rows_in(first) + sum(prepare.rows_in(other, self.rooms.by) for other in others)

    def load(self, loads: Mapping[str, Load], *, later: bool = False) -> Load:
        """The candidate's own way to bring rows in, to where they belong."""
        return self.rooms.load(ways.bound(loads, self.candidate, later=later))

    def hang_up(self) -> None:
        """Close the connections to all servers."""
        self.rooms.close()
        for node in self.nodes:
            node.connection.close()
