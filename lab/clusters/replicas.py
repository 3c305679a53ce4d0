"""A primary and its streaming standbys, asynchronous or synchronous, with reads sent to the standbys."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from lab import pg
from lab.clusters import Lag
from lab.clusters._nodes import Image, Nodes, bringing_up, image, until
from lab.errors import ClusterError
from lab.hosts import Host, Server
from lab.model import Endpoint, Topology

KIND = "replicas"
HOSTS = ("embedded", "docker")
STREAMS_S = 30.0
CAUGHT_UP_S = 60.0

_NAMES = "synchronous_standby_names"
_SYNC = {"off": ("async",), "on": ("sync", "potential"), "quorum": ("quorum",)}


class Options(BaseModel):
    """*nodes* standbys, of which *confirm* must have a commit before it is acknowledged.

    sync `off`: none must. `on`: the first *confirm* of those that are there, in order of their
    numbers. `quorum`: any *confirm*. What "have" means is the setting synchronous_commit: written
    and flushed (on), received (remote_write) or visible to reads (remote_apply).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    nodes: Annotated[int, Field(strict=True, ge=1, le=5, description="standbys, 1 to 5")] = 1
    sync: Literal["off", "on", "quorum"] = "off"
    confirm: Annotated[int, Field(strict=True, ge=1, le=5, description="standbys that confirm, at most nodes")] = 1
    hot_standby_feedback: Annotated[bool, Field(strict=True, description="true or false")] = False
    reads: Literal["standbys", "all"] = "standbys"
    image: Image | None = None

    @model_validator(mode="after")
    def _enough(self) -> "Options":
        if self.confirm > self.nodes:
            raise ValueError(f"confirm: {self.confirm} of {self.nodes} standbys (at most nodes)")
        if self.sync == "off" and "confirm" in self.model_fields_set:
            raise ValueError("confirm: no standby confirms with sync: off (write sync: on or quorum, or take it out)")
        return self


@contextmanager
def opened(
    host: Host, topology: Topology, *, name: str, settings: Mapping[str, str], logs: Path
) -> Iterator["Replicas"]:
    """See clusters.OpenCluster."""
    options = Options.model_validate(dict(topology.options))
    if _NAMES in settings:
        raise ClusterError(f"{name}: the shape sets {_NAMES} itself (take it out, and say sync: and confirm:)")
    asked = {**settings, "hot_standby_feedback": "on" if options.hot_standby_feedback else "off"}
    with ExitStack() as stack:
        with bringing_up(name):
            primary = stack.enter_context(host.server("primary", asked, logs, image=image(topology)))
            names = [f"standby{number}" for number in range(1, options.nodes + 1)]
            standbys = [stack.enter_context(host.standby(primary, one, asked, logs)) for one in names]
            cluster = Replicas(primary, standbys, options)
            cluster.be_synchronous()
        yield cluster


class Replicas(Nodes):
    """See clusters.Cluster, clusters.CanKill and clusters.CanLag."""

    def __init__(self, primary: Server, standbys: Sequence[Server], options: Options) -> None:
        super().__init__([primary, *standbys])
        self.roles = {"leader": primary, "standby": standbys[0]}
        self._primary, self._standbys, self._options = primary, tuple(standbys), options

    def reads(self) -> Sequence[Endpoint]:
        """The standbys, as the unprivileged role; with `reads: all` the primary before them."""
        servers = self.servers if self._options.reads == "all" else self._standbys
        return tuple(Endpoint(one.name, "read", one.conninfo()) for one in servers)

    def be_synchronous(self) -> None:
        """Have commits wait as asked from here on, and return once all standbys stream so.

        Not a setting of the primary's start: its first commits are made before there is a standby.
        """
        if self._options.sync != "off":
            with pg.connected(self.admin().conninfo) as admin:
                pg.run(admin, f"ALTER SYSTEM SET {_NAMES} = {pg.literal(self._names())}", "SELECT pg_reload_conf()")
        self._streaming()

    def _names(self) -> str:
        how = {"on": "FIRST", "quorum": "ANY"}[self._options.sync]
        return f"{how} {self._options.confirm} ({', '.join(pg.ident(one.name) for one in self._standbys)})"

    def _streaming(self) -> None:
        """Return once every standby streams, in the part it was asked to take."""
        wanted, seen = {one.name for one in self._standbys}, dict[str, str]()

        def done() -> bool:
            seen.clear()
            seen.update({row["name"]: f"{row['state']}, {row['sync_state']}" for row in pg.rows(admin, standbys)})
            fit = {f"streaming, {state}" for state in _SYNC[self._options.sync]}
            return all(seen.get(one) in fit for one in wanted)

        standbys = pg.query("standbys")
        with pg.connected(self.admin().conninfo) as admin:
            until(done, STREAMS_S, lambda: f"not all standbys stream with sync: {self._options.sync}: {seen or 'none'}")

    def lags(self) -> Mapping[str, Lag]:
        """See clusters.CanLag."""
        with pg.connected(self.admin().conninfo) as admin:
            found = pg.rows(admin, pg.query("standbys"))
        return {row["name"]: Lag(row["lag_bytes"], row["lag_s"]) for row in found if row["state"] == "streaming"}

    def caught_up(self) -> None:
        """See clusters.CanLag."""
        with pg.connected(self.admin().conninfo) as admin:
            (written,) = pg.ask(admin, pg.query("flush")).values()
        for standby in self._standbys:
            _replayed(standby, written)

    def empty(self) -> None:
        """A new database on the primary, and so on the standbys."""
        super().empty()
        self.caught_up()

    def snapshot(self) -> None:
        """Keep every data directory, all servers down: the primary goes first, and sends the rest before."""
        for server in self.servers:
            server.stop()
        for server in self.servers:
            server.snapshot()
        self._streaming()

    def restore(self) -> None:
        """Put every kept data directory back; no standby runs while the primary is older than it."""
        for standby in self._standbys:
            standby.kill()
        for server in self.servers:
            server.restore()
        self._streaming()
        self.caught_up()


def _replayed(standby: Server, position: str) -> None:
    """Return once *standby* has replayed WAL up to *position*."""
    seen = "SELECT pg_last_wal_replay_lsn() >= %s::pg_lsn AS yes"
    info = f"{standby.conninfo(user='pglab', dbname='postgres')} connect_timeout=10"  # `lab` may be on its way
    try:
        with pg.connected(info) as connection:
            until(
                lambda: bool(pg.ask(connection, seen, [position])["yes"]),
                CAUGHT_UP_S,
                lambda: f"{standby.name} has not replayed what was written on the primary up to {position}",
            )
    except pg.OperationalError as error:
        raise ClusterError(f"{standby.name} does not answer: {pg.words(error)}") from error
