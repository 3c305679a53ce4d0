"""Citus: a coordinator, which everybody talks to, and workers, which hold the shards.

Nodes prove themselves to each other by scram-sha-256, with the passwords that the lab's roles have
on all of them, out of `pg_dist_authinfo`, which only superusers read. CREATE EXTENSION citus would
switch TLS on, and with it the load's own connections; no other shape has it, and so it is off here
unless the settings say otherwise.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from lab import pg
from lab.clusters._nodes import Image, Nodes, bringing_up
from lab.errors import ClusterError
from lab.hosts import Host, Server
from lab.model import Endpoint, Topology

KIND = "citus"
HOSTS = ("docker",)
COORDINATOR = "coordinator"
ROLES = ("pglab", "lab")

# What the shape itself needs; settings go over it.
SETTINGS: Mapping[str, str] = {
    "wal_level": "logical",  # rebalancing moves shards by logical replication
    "ssl": "off",
    "citus.node_conninfo": "sslmode=prefer",
}

# A worker hides its shards from clients that look into pg_class, as the lab does for their sizes.
_SHARDS_SHOWN = pg.conninfo(options="-c citus.override_table_visibility=off")

_UNMOVED = "SELECT message FROM pg_dist_background_task WHERE job_id = %s AND status <> 'done' ORDER BY task_id"

Start = Callable[[str], AbstractContextManager[Server]]
Mode = Literal["auto", "force_logical", "block_writes"]


class Options(BaseModel):
    """*shards* is what create_distributed_table makes of a table where it is not told, each on *replication* workers.

    *image* follows the conventions of the public one.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    workers: Annotated[int, Field(strict=True, ge=1, le=8, description="workers, 1 to 8")] = 2
    shards: Annotated[int, Field(strict=True, ge=1, le=1024, description="shards of a table, 1 to 1024")] = 32
    replication: Annotated[int, Field(strict=True, ge=1, le=8, description="copies of a shard, at most workers")] = 1
    image: Image = "citusdata/citus:13.2"

    @model_validator(mode="after")
    def _enough(self) -> "Options":
        if self.replication > self.workers:
            raise ValueError(f"replication: {self.replication} copies on {self.workers} workers (at most workers)")
        return self


@contextmanager
def opened(host: Host, topology: Topology, *, name: str, settings: Mapping[str, str], logs: Path) -> Iterator["Citus"]:
    """See clusters.OpenCluster. The nodes are `coordinator`, `worker1`, `worker2` ..."""
    options = Options.model_validate(dict(topology.options))
    asked = settings_of(options, settings)
    with ExitStack() as stack:
        with bringing_up(name):
            cluster = Citus(stack, lambda node: host.server(node, asked, logs, image=options.image))
            cluster.check(topology.postgres, options.image)
            for _ in range(options.workers):
                cluster.start_worker()
            cluster.join()
        yield cluster


def settings_of(options: Options, settings: Mapping[str, str]) -> dict[str, str]:
    """The settings of every node: what is asked for, over the shape's own.

    >>> made = settings_of(Options(shards=8), {"shared_preload_libraries": "pg_stat_statements", "ssl": "on"})
    >>> made["shared_preload_libraries"], made["citus.shard_count"], made["ssl"]
    ('citus,pg_stat_statements', '8', 'on')
    """
    own = {"citus.shard_count": str(options.shards), "citus.shard_replication_factor": str(options.replication)}
    preload = {"shared_preload_libraries": preloaded(settings.get("shared_preload_libraries", ""))}
    return {**SETTINGS, **own, **settings, **preload}


def preloaded(libraries: str) -> str:
    """The libraries asked for, and before them citus, which refuses to come after another.

    >>> preloaded("pg_stat_statements, citus"), preloaded("")
    ('citus,pg_stat_statements', 'citus')
    """
    names = (name.strip() for name in libraries.split(","))
    return ",".join(["citus", *(name for name in names if name not in ("", "citus"))])


class Citus(Nodes):
    """See clusters.Cluster and clusters.CanKill. Nodes live as long as *stack*; *start* makes one of a name."""

    def __init__(self, stack: ExitStack, start: Start) -> None:
        self._stack, self._start = stack, start
        self._ends: dict[str, ExitStack] = {}  # of each node apart: one may go before the others
        super().__init__([self._begun(COORDINATOR)])
        self._kept = self.servers

    def _begun(self, node: str) -> Server:
        self._ends[node] = self._stack.enter_context(ExitStack())
        return self._ends[node].enter_context(self._start(node))

    def _be(self, servers: Iterable[Server]) -> None:
        self.servers = tuple(servers)
        self.processes = self.servers

    def check(self, major: int | None, image: str) -> None:
        """ClusterError where the image is not of the PostgreSQL asked for: an image of Citus has just one."""
        with pg.connected(self.admin().conninfo) as admin:
            found = pg.ask(admin, "SELECT current_setting('server_version_num')::int / 10000 AS major")["major"]
        if major not in (None, found):
            raise ClusterError(
                f"image {image!r} is PostgreSQL {found}, not {major} (name another image:, or say postgres: {found})"
            )

    def start_worker(self) -> Server:
        """One server more, of which the others know nothing yet."""
        worker = self._begun(f"worker{len(self.servers)}")
        self._be([*self.servers, worker])
        return worker

    def join(self) -> None:
        """Citus in the database `lab` of every node, and the workers made known to the coordinator."""
        for server in self.servers:
            _install(server)
        coordinator, *workers = self.servers
        with pg.connected(self.admin().conninfo) as admin:
            pg.rows(admin, "SELECT citus_set_coordinator_host(%s, %s)", coordinator.peer())
            for worker in workers:
                pg.rows(admin, "SELECT citus_add_node(%s, %s)", worker.peer())

    def nodes(self) -> Sequence[Endpoint]:
        """The coordinator and then the workers, as superuser; on workers shards are seen as tables."""
        coordinator, *workers = super().nodes()
        return (coordinator, *(replace(one, conninfo=f"{one.conninfo} {_SHARDS_SHOWN}") for one in workers))

    def empty(self) -> None:
        """New databases on all nodes, joined again."""
        for node in self.nodes():
            pg.make_database(node.conninfo)
        self.join()

    def snapshot(self) -> None:
        """Keep every data directory, the coordinator's first: what it still has to tidy up is in its copy."""
        super().snapshot()
        self._kept = self.servers

    def restore(self) -> None:
        """Put every kept data directory back; workers that were added since are gone.

        The coordinator goes first: one that remembers from where shards were moved would drop them
        there, on a worker where they are back.
        """
        for server in self.servers:
            if server not in self._kept:
                self._ends.pop(server.name).close()
        self._be(self._kept)
        super().restore()

    def add_worker(self) -> str:
        """Open another worker and make it known; gives its name. Shards come to it by rebalance()."""
        worker = self.start_worker()
        _install(worker)
        with pg.connected(self.admin().conninfo) as admin:
            pg.rows(admin, "SELECT citus_add_node(%s, %s)", worker.peer())
        return worker.name

    def rebalance(self, mode: Mode = "auto") -> None:
        """Spread the shards evenly over the workers; ClusterError where one does not move.

        *mode* `auto` moves by logical replication, while writes go on, and wants a primary key or a
        replica identity of every table; `block_writes` copies.
        """
        start = f"SELECT citus_rebalance_start(shard_transfer_mode => '{mode}') AS job"
        with pg.connected(self.admin().conninfo) as admin:
            try:
                job = pg.ask(admin, start)["job"]
                if job is not None:  # None: they lie evenly already
                    pg.rows(admin, "SELECT citus_job_wait(%s)", [job])
                pg.run(admin, "CALL citus_cleanup_orphaned_resources()")
            except pg.Error as error:
                raise ClusterError(f"{COORDINATOR}: the shards do not move: {pg.words(error)}") from error
            said = pg.rows(admin, _UNMOVED, [job])
        if said:
            raise ClusterError(f"{COORDINATOR}: shards have not moved: {said[0]['message']} (see its log)")


def _install(server: Server) -> None:
    """Citus in the node's database `lab`, and what the node connects to others with."""
    with pg.connected(server.conninfo(user="pglab")) as admin:
        pg.run(admin, "CREATE EXTENSION citus", "CREATE EXTENSION citus_columnar")
        for role in ROLES:
            password = server.password(role)
            if password is not None:
                secret = pg.conninfo(password=password)
                pg.run(admin, f"INSERT INTO pg_dist_authinfo VALUES (0, {pg.literal(role)}, {pg.literal(secret)})")
