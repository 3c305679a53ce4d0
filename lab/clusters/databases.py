"""One server with a database for each value of a column: tenants that share nothing but its processes.

The author's schema runs in the database `lab`, which holds no rows; each of the others, `lab:<value>`, is made
like it. Superusers see what is the server's own through `lab`.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from lab import pg
from lab.clusters._nodes import Image, Nodes, bringing_up, image
from lab.errors import IngestError
from lab.hosts import Host, Server
from lab.model import Endpoint, Topology

KIND = "databases"
HOSTS = ("embedded", "docker")
MOST = 500
_LIKE = "lab:"  # the name that the others begin with, and that of the one that they are copied from
_LONGEST = 63  # bytes of a name


class Options(BaseModel):
    """*by*: the column whose values have databases; *connections* that a client holds at most, to all of them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    by: Annotated[str, Field(strict=True, min_length=1, description="a column, such as tenant")]
    connections: Annotated[int, Field(strict=True, ge=1, le=MOST, description=f"connections, 1 to {MOST}")] = 20
    image: Image | None = None


@contextmanager
def opened(
    host: Host, topology: Topology, *, name: str, settings: Mapping[str, str], logs: Path
) -> Iterator["Databases"]:
    """See clusters.OpenCluster."""
    options = Options.model_validate(dict(topology.options))
    with host.server(name, settings, logs, image=image(topology)) as server:
        yield Databases(server, options)


class Databases(Nodes):
    """See clusters.Cluster, CanKill and CanKeepApart."""

    def __init__(self, server: Server, options: Options) -> None:
        super().__init__([server])
        self.by, self.connections = options.by, options.connections
        self._made: tuple[str, ...] = ()
        self._kept: tuple[str, ...] = ()

    def make(self, values: Iterable[str], like: pg.Connection) -> None:
        """See clusters.CanKeepApart."""
        new = sorted(set(values) - set(self._made))
        if len(self._made) + len(new) > MOST:
            raise IngestError(
                f"topology: by: {self.by}: {len(self._made) + len(new)} values, and a database for each is made of "
                f"{MOST} at most (fewer in lab: {{entities: ...}}, or another topology)"
            )
        if "" in new:
            raise IngestError(f"topology: by: {self.by}: a row has the empty text there, which names no database")
        if long := next((one for one in new if len(_name(one).encode()) > _LONGEST), None):
            raise IngestError(
                f"topology: by: {self.by}: {long!r} is too long for the name of a database "
                f"(at most {_LONGEST - len(_LIKE)} bytes)"
            )
        with bringing_up(self.servers[0].name):
            if not self._made and new:
                pg.run(like, f"CREATE DATABASE {pg.ident(_LIKE)} TEMPLATE lab OWNER lab")
            for value in new:
                pg.run(like, f"CREATE DATABASE {pg.ident(_name(value))} TEMPLATE {pg.ident(_LIKE)} OWNER lab")
                self._made += (value,)

    def databases(self, *, admin: bool = False) -> Mapping[str, Endpoint]:
        """See clusters.CanKeepApart."""
        base = self.admin() if admin else self.write()
        return {one: Endpoint(base.node, base.role, pg.changed(base.conninfo, dbname=_name(one))) for one in self._made}

    def model(self, *, admin: bool = False) -> Endpoint:
        """See clusters.CanKeepApart."""
        base = self.admin() if admin else self.write()
        return Endpoint(base.node, base.role, pg.changed(base.conninfo, dbname=_LIKE))

    def empty(self) -> None:
        """A new database `lab` on the server, and no others."""
        with pg.connected(pg.changed(self.admin().conninfo, dbname="postgres")) as admin:
            for name in [_LIKE, *map(_name, self._made)] if self._made else ():
                pg.run(admin, f"DROP DATABASE {pg.ident(name)} WITH (FORCE)")
        self._made = ()
        super().empty()

    def snapshot(self) -> None:
        """Keep the data directory, which has all databases."""
        super().snapshot()
        self._kept = self._made

    def restore(self) -> None:
        """Put it back; databases made since are gone."""
        super().restore()
        self._made = self._kept


def _name(value: str) -> str:
    return f"{_LIKE}{value}"
