"""A coordinator whose tables have partitions on other servers, through postgres_fdw: sharding without an extension.

How rows are spread is the author's: the schema runs on the coordinator, which has a foreign server
`shard_1`, `shard_2` ... for each shard, and `pglab.on_shards` to run SQL there: see docs/topologies.md.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from lab import pg
from lab.clusters._nodes import Image, Nodes, bringing_up, image
from lab.hosts import Host, Server
from lab.model import Topology

KIND = "sharded"
HOSTS = ("embedded", "docker")

Rows = Annotated[int, Field(strict=True, ge=1, le=1_000_000, description="rows, 1 to 1_000_000")]
Further = Literal[
    "analyze_sampling",
    "extensions",
    "fdw_startup_cost",
    "fdw_tuple_cost",
    "keep_connections",
    "parallel_abort",
    "parallel_commit",
    "truncatable",
    "updatable",
    "use_remote_estimate",
]


class Options(BaseModel):
    """How many shards, and how postgres_fdw speaks to each; its own defaults where nothing is said.

    *batch_size* rows go into one INSERT, *fetch_size* rows come in one FETCH; with *async_capable*
    several shards are scanned at once. *fdw* holds further options of the foreign servers.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    shards: Annotated[int, Field(strict=True, ge=1, le=8, description="shards, 1 to 8")] = 2
    batch_size: Rows = 1
    fetch_size: Rows = 100
    async_capable: Annotated[bool, Field(strict=True, description="true or false")] = False
    fdw: dict[Further, bool | int | float | str] = {}
    image: Image | None = None

    def of_servers(self) -> dict[str, str]:
        """The options of every foreign server, as postgres_fdw takes them."""
        own = {"batch_size": self.batch_size, "fetch_size": self.fetch_size, "async_capable": self.async_capable}
        return {key: str(value).lower() for key, value in (*own.items(), *self.fdw.items())}


@contextmanager
def opened(
    host: Host, topology: Topology, *, name: str, settings: Mapping[str, str], logs: Path
) -> Iterator["Sharded"]:
    """See clusters.OpenCluster."""
    options = Options.model_validate(dict(topology.options))
    names = ["coordinator", *(f"shard_{number}" for number in range(1, options.shards + 1))]
    with ExitStack() as stack:
        with bringing_up(name):
            servers = [stack.enter_context(host.server(one, settings, logs, image=image(topology))) for one in names]
            cluster = Sharded(servers, options)
            cluster.join()
        yield cluster


class Sharded(Nodes):
    """See clusters.Cluster and clusters.CanKill. The coordinator leads."""

    def __init__(self, servers: Sequence[Server], options: Options) -> None:
        super().__init__(servers)
        self._options = options

    def join(self) -> None:
        """Make the shards known to the coordinator's database `lab`."""
        with pg.connected(self.admin().conninfo) as admin:
            pg.run(admin, "CREATE EXTENSION postgres_fdw", "CREATE EXTENSION dblink SCHEMA pglab")
            for shard in self.servers[1:]:
                pg.run(admin, *_known(shard, self._options.of_servers()))
            pg.run(admin, pg.query("shards"))

    def empty(self) -> None:
        """New databases on all nodes, joined again; the coordinator's first, which is connected to the others'."""
        for node in self.nodes():
            pg.make_database(node.conninfo)
        self.join()


def _known(shard: Server, options: Mapping[str, str]) -> Iterator[str]:
    """The statements that make *shard* a foreign server of its own name, on which everybody is the role lab."""
    host, port = shard.peer()
    server = pg.ident(shard.name)
    where = {"host": host, "port": str(port), "dbname": "lab", **options}
    password = shard.password("lab")
    proof = {"password_required": "false"} if password is None else {"password": password}
    yield f"CREATE SERVER {server} FOREIGN DATA WRAPPER postgres_fdw OPTIONS ({_listed(where)})"
    yield f"GRANT USAGE ON FOREIGN SERVER {server} TO lab"
    for role in ("lab", "pglab"):
        yield f"CREATE USER MAPPING FOR {role} SERVER {server} OPTIONS ({_listed({'user': 'lab', **proof})})"


def _listed(options: Mapping[str, str]) -> str:
    """
    >>> print(_listed({"host": "a", "fetch_size": "5"}))
    host 'a', fetch_size '5'
    """
    return ", ".join(f"{key} {pg.literal(value)}" for key, value in options.items())
