"""PgBouncer before any other shape: clients talk to the pooler, which has few connections to the servers.

Writes go through the pooler's database `lab` to where the shape behind takes writes. Each server of
its own that the shape reads from has a database `lab_<server>` there; where reads have a route
of the shape's own (a proxy), they go where writes go. Superusers and probes go past the pooler.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Annotated, Any, Literal, cast

from pydantic import BaseModel, ConfigDict, Field, field_validator

from lab import pg
from lab.clusters import CanBypass, CanKill, CanLag, CanPartition, CanSwitchover, Cluster, Lag, databases
from lab.clusters._nodes import Image, bringing_up, opener
from lab.errors import ClusterError
from lab.hosts import Container, Containers, Host, Process
from lab.model import Endpoint, Topology

KIND = "pooled"
HOSTS = ("docker",)
POOLER = "pooler"
PORT = 6432
_FOLDER = "/etc/pgbouncer"


class Options(BaseModel):
    """*pool_size* connections to each database, handed to a client for a session, a transaction or a statement.

    *prepared* named prepared statements are kept in mind for each connection to a server, so that
    they work wherever a client's next transaction goes; 0: the pooler knows nothing of them.
    *behind*: the topology that the pooler stands before.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    mode: Literal["session", "transaction", "statement"] = "transaction"
    pool_size: Annotated[int, Field(strict=True, ge=1, le=1000, description="connections, 1 to 1000")] = 20
    prepared: Annotated[int, Field(strict=True, ge=0, le=100_000, description="statements, 0 for none")] = 200
    behind: Annotated[dict[str, Any], Field(description="a topology, such as {kind: single}")] = {"kind": "single"}
    image: Image = "pglab/pgbouncer"

    @field_validator("behind")
    @classmethod
    def _other(cls, behind: dict[str, Any]) -> dict[str, Any]:
        if behind.get("kind") == KIND:
            raise ValueError("a pooler behind a pooler (name another kind)")
        if behind.get("kind") == databases.KIND:
            raise ValueError("databases made on the way behind a pooler, which is told of one (name another kind)")
        return behind

    def cannot(self) -> Mapping[str, str]:
        """What queries may not need here, in the words of mix.needs, and what would let them."""
        found = {}
        if self.mode != "session" and not self.prepared:
            found["prepared"] = "prepared: 200, mode: session, or in the query's header send: unprepared"
        if self.mode == "statement":
            found["transaction"] = "mode: transaction"
        return found


@contextmanager
def opened(host: Host, topology: Topology, *, name: str, settings: Mapping[str, str], logs: Path) -> Iterator["Pooled"]:
    """See clusters.OpenCluster."""
    options = Options.model_validate(dict(topology.options))
    if host.kind not in HOSTS:
        raise ClusterError(f"{name}: PgBouncer is a container, which the host {host.kind} has not (--on docker)")
    inner = _behind(options, topology)
    with ExitStack() as stack:
        behind = stack.enter_context(opener(inner.kind)(host, inner, name=name, settings=settings, logs=logs))
        with bringing_up(name):
            routes = _routes(behind)
            files = _files(options, routes, _secret(behind))
            pooler = stack.enter_context(
                cast(Containers, host).container(POOLER, options.image, logs, port=PORT, files=files)
            )
        yield _able(behind)(behind, pooler, tuple(routes)[1:])


def _behind(options: Options, topology: Topology) -> Topology:
    """The topology behind, of the same major version where it names none."""
    own = dict(options.behind)
    kind, postgres = own.pop("kind", "single"), own.pop("postgres", None)
    return Topology(kind, own, postgres or topology.postgres)


# --- configuration --------------------------------------------------------------------------


def _routes(behind: Cluster) -> dict[str, tuple[str, int]]:
    """The pooler's databases, and where each leads: first that for writes, then those for reads."""
    there = {one.name: one for one in behind.processes}
    if behind.write().node not in there:
        raise ClusterError("the shape behind the pooler has no one place that takes writes (route: haproxy)")
    servers = {one.name for one in behind.servers}
    reads = [one.node for one in behind.reads() if one.node in servers and one.node != behind.write().node]
    return {"lab": there[behind.write().node].peer(), **{_database(node): there[node].peer() for node in reads}}


def _database(node: str) -> str:
    return f"lab_{node}"


def _secret(behind: Cluster) -> str:
    """What the servers keep of the password of `lab`: the pooler proves itself with what clients prove."""
    with pg.connected(behind.admin().conninfo) as admin:
        return str(pg.ask(admin, "SELECT rolpassword FROM pg_authid WHERE rolname = 'lab'")["rolpassword"])


def _files(options: Options, routes: Mapping[str, tuple[str, int]], secret: str) -> dict[str, str]:
    """PgBouncer's configuration and its list of users."""
    databases = "\n".join(f"{name} = host={host} port={port} dbname=lab" for name, (host, port) in routes.items())
    lines = "\n".join(f"{key} = {value}" for key, value in _settings(options).items())
    return {
        f"{_FOLDER}/pgbouncer.ini": f"[databases]\n{databases}\n\n[pgbouncer]\n{lines}\n",
        f"{_FOLDER}/userlist.txt": f'"lab" "{secret}"\n',
    }


def _settings(options: Options) -> dict[str, str | int]:
    """PgBouncer's settings: those asked for, and those by which a server that comes back is soon found again."""
    return {
        "listen_addr": "*",
        "listen_port": PORT,
        "unix_socket_dir": "",
        "auth_type": "scram-sha-256",
        "auth_file": f"{_FOLDER}/userlist.txt",
        "pool_mode": options.mode,
        "default_pool_size": options.pool_size,
        "max_prepared_statements": options.prepared,
        "max_client_conn": 10_000,
        "ignore_startup_parameters": "extra_float_digits",
        "server_login_retry": 1,
        "dns_max_ttl": 1,
        "dns_nxdomain_ttl": 1,
        "stats_users": "lab",
    }


# --- the cluster ----------------------------------------------------------------------------


class Pooled:
    """See clusters.Cluster and clusters.CanBypass. It is able to do what the shape behind is able to."""

    def __init__(self, behind: Cluster, pooler: Container, reads: Sequence[str]) -> None:
        self.behind = behind
        self.pooler = pooler
        self._reads = reads

    @property
    def servers(self) -> Sequence[Any]:
        """Those of the shape behind."""
        return self.behind.servers

    @property
    def processes(self) -> Sequence[Process]:
        """Those of the shape behind, and the pooler."""
        return (*self.behind.processes, self.pooler)

    def write(self) -> Endpoint:
        """The pooler, as the unprivileged role."""
        return Endpoint(POOLER, "write", self._through("lab"))

    def reads(self) -> Sequence[Endpoint]:
        """The pooler's database for each server that the shape behind reads from, else write()."""
        return tuple(Endpoint(POOLER, "read", self._through(one)) for one in self._reads) or (self.write(),)

    def _through(self, database: str) -> str:
        host, port = self.pooler.address()
        return pg.changed(self.behind.write().conninfo, host=host, port=port, dbname=database)

    def direct(self) -> Endpoint:
        """See clusters.CanBypass."""
        return self.behind.direct() if isinstance(self.behind, CanBypass) else self.behind.write()

    def admin(self) -> Endpoint:
        """That of the shape behind."""
        return self.behind.admin()

    def nodes(self) -> Sequence[Endpoint]:
        """Those of the shape behind."""
        return self.behind.nodes()

    def empty(self) -> None:
        """A new database behind the pooler."""
        self.behind.empty()

    def snapshot(self) -> None:
        """Keep the state of the shape behind; a pooler has none."""
        self.behind.snapshot()

    def restore(self) -> None:
        """Bring the shape behind back."""
        self.behind.restore()

    def kill(self, node: str) -> None:
        """See clusters.CanKill; the pooler is a node too."""
        self.pooler.kill() if node == POOLER else self._servers(node).kill(node)

    def pause(self, node: str) -> None:
        """See clusters.CanKill."""
        self.pooler.pause() if node == POOLER else self._servers(node).pause(node)

    def resume(self, node: str) -> None:
        """See clusters.CanKill."""
        self.pooler.resume() if node == POOLER else self._servers(node).resume(node)

    def revive(self, node: str) -> None:
        """See clusters.CanKill."""
        self.pooler.start() if node == POOLER else self._servers(node).revive(node)

    def _servers(self, node: str) -> CanKill:
        if not isinstance(self.behind, CanKill):
            raise ClusterError(f"there is no node {node!r} that can be struck ({POOLER})")
        return self.behind


class _Lags(Pooled):
    behind: Any

    def caught_up(self) -> None:
        """See clusters.CanLag."""
        self.behind.caught_up()

    def lags(self) -> Mapping[str, Lag]:
        """See clusters.CanLag."""
        return cast(Mapping[str, Lag], self.behind.lags())


class _Partitions(Pooled):
    behind: Any

    def partition(self, node: str) -> None:
        """See clusters.CanPartition."""
        self.behind.partition(node)

    def heal(self, node: str) -> None:
        """See clusters.CanPartition."""
        self.behind.heal(node)


class _Switches(Pooled):
    behind: Any

    def switchover(self) -> None:
        """See clusters.CanSwitchover."""
        self.behind.switchover()


def _able(behind: Cluster) -> type[Pooled]:
    """The class that has the abilities of what is behind, and no others."""
    found = {CanLag: _Lags, CanPartition: _Partitions, CanSwitchover: _Switches}
    bases = tuple(own for ability, own in found.items() if isinstance(behind, ability))
    return type("Pooled", bases or (Pooled,), {})
