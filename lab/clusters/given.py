"""A server that somebody else runs, by a DSN out of the environment: measured as it is, in one empty database.

Nothing is written but to a database that is empty and that the user names a second time, on the
command line; nothing but that database is changed. The server's role does everything: what the
lab's superuser does elsewhere, it must have the rights to. There are no processes to look into.
"""

import os
import secrets
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from lab import pg
from lab.clusters._nodes import bringing_up
from lab.errors import ClusterError, PlaceError
from lab.hosts import Host, Process, Server
from lab.keys import OLDEST
from lab.model import Endpoint, Topology

KIND = "given"
HOSTS = ("embedded", "docker")
EXTENSIONS = ("pg_stat_statements", "pg_walinspect")


class Options(BaseModel):
    """*dsn_env*: the environment variable that holds the DSN, so that no file holds a password.

    Settings of a session are made the database's own for the time; others must be as asked already,
    except those in *as_is*, or all.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    dsn_env: Annotated[
        str,
        Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", description="the name of an environment variable, such as LAB_DSN"),
    ]
    as_is: list[str] | Literal["all"] = []


@contextmanager
def opened(
    host: Host,
    topology: Topology,
    *,
    name: str,
    settings: Mapping[str, str],
    logs: Path,
    database: str | None = None,
) -> Iterator["Given"]:
    """See clusters.OpenCluster. *database* is what the user named on the command line."""
    del logs  # the server's are not ours to have
    options = Options.model_validate(dict(topology.options))
    folder = host.workdir(f"{name}-{secrets.token_hex(3)}")
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        with bringing_up(name):
            cluster = Given(_without_password(_dsn(options.dsn_env, database), folder / "pgpass"))
            cluster.check()
            stack.callback(cluster.end)  # not before: it empties the database
            cluster.begin(settings, options)
        yield cluster


# --- the connection -------------------------------------------------------------------------


def _dsn(variable: str, database: str | None) -> dict[str, str]:
    """The parts of the DSN, whose database must be the one that the user named."""
    text = os.environ.get(variable)
    if not text:
        raise PlaceError(f"the environment has no {variable} (export {variable}='host=... dbname=... user=...')")
    try:
        parts = pg.parsed(text)
    except pg.Error:  # whose words may hold the password
        raise PlaceError(f"{variable}: is no DSN (host=... dbname=... user=..., or postgresql://...)") from None
    found = parts.get("dbname")
    if not found:
        raise PlaceError(f"{variable}: names no database (dbname=...)")
    if database is None:
        raise PlaceError(f"{variable}: everything in {found!r} would be removed (say --given {found} if you mean it)")
    if database != found:
        raise PlaceError(f"{variable}: names the database {found!r}, and --given {database!r} (name the same)")
    return parts


def _without_password(parts: Mapping[str, str], passfile: Path) -> str:
    """A connection string whose password is in a file that only the lab's user reads."""
    rest = {key: value for key, value in parts.items() if key != "password"}
    if "password" in parts:
        word = parts["password"].replace("\\", r"\\").replace(":", r"\:")
        passfile.touch(mode=0o600)
        passfile.write_text(f"*:*:*:*:{word}\n")
        rest["passfile"] = str(passfile)
    return pg.conninfo(**rest)


# --- the cluster ----------------------------------------------------------------------------


class Given:
    """See clusters.Cluster."""

    servers: Sequence[Server] = ()
    processes: Sequence[Process] = ()

    def __init__(self, info: str) -> None:
        self._info = info
        self._set: list[str] = []

    def check(self) -> None:
        """ClusterError if the server is too old, or the role or the database is not fit."""
        with pg.connected(self._info) as admin:
            version = admin.info.server_version
            if version < OLDEST * 10_000:
                raise ClusterError(
                    f"the server is PostgreSQL {version // 10_000} (the lab measures {OLDEST} and later)"
                )
            if admin.info.user == "pglab":
                raise ClusterError("the role 'pglab' would write to the lab's own schema (take one of another name)")
            lacking = pg.rows(admin, pg.query("rights"))
            if lacking:
                told = "; ".join(f"{one['lacks']} ({one['way']})" for one in lacking)
                raise ClusterError(f"the role {admin.info.user!r} lacks {told}")
            made = [one["name"] for one in pg.rows(admin, pg.query("relations"))]
            if made:
                what = f"{len(made)} relations, {made[0]} among them"
                raise ClusterError(f"the database {admin.info.dbname!r} is not empty: {what} (create another)")

    def begin(self, settings: Mapping[str, str], options: Options) -> None:
        """The lab's own extensions, and the settings asked for, in the database."""
        with pg.connected(self._info) as admin:
            for extension in EXTENSIONS:
                _extend(admin, extension)
            asked = {} if options.as_is == "all" else {k: v for k, v in settings.items() if k not in options.as_is}
            wrong = [one for name, value in asked.items() for one in self._ask(admin, name, value)]
        if wrong:
            raise ClusterError(f"the server has {', '.join(wrong)} (set it so, or write as_is: all)")

    def _ask(self, admin: pg.Connection, name: str, value: str) -> Iterator[str]:
        """Make a setting the database's own where a session may have one; else tell how it differs."""
        found = pg.rows(admin, "SELECT context, current_setting(name) AS is FROM pg_settings WHERE name = %s", [name])
        if not found or found[0]["context"] in ("user", "superuser"):
            here, setting = pg.ident(admin.info.dbname), pg.ident(*name.split("."))
            pg.run(admin, f"ALTER DATABASE {here} SET {setting} = {pg.literal(value)}")
            self._set.append(setting)
        elif found[0]["is"].lower() != value.lower():
            yield f"{name} = {found[0]['is']}, not {value}"

    def end(self) -> None:
        """The database as it was: empty, with no settings and no extensions of the lab's."""
        self.empty()
        with pg.connected(self._info) as admin:
            here = pg.ident(admin.info.dbname)
            for setting in self._set:
                pg.run(admin, f"ALTER DATABASE {here} RESET {setting}")
            pg.run(admin, "DROP SCHEMA IF EXISTS pglab CASCADE")

    def write(self) -> Endpoint:
        """The server, as the DSN's role."""
        return Endpoint(KIND, "write", self._info)

    def reads(self) -> Sequence[Endpoint]:
        """The same."""
        return (self.write(),)

    def admin(self) -> Endpoint:
        """The same: there is no other role."""
        return Endpoint(KIND, "admin", self._info)

    def nodes(self) -> Sequence[Endpoint]:
        """The same."""
        return (self.admin(),)

    def empty(self) -> None:
        """All schemas dropped but the lab's, and a new `public`."""
        with pg.connected(self._info) as admin:
            for schema in pg.rows(admin, pg.query("schemas")):
                pg.run(admin, f"DROP SCHEMA {pg.ident(schema['name'])} CASCADE")
            pg.run(admin, "CREATE SCHEMA public")

    def snapshot(self) -> None:
        """A server of somebody else's is not stopped: ClusterError."""
        raise ClusterError("a given server cannot be brought back to a kept state (isolation: kept, or fresh)")

    def restore(self) -> None:
        """See snapshot."""
        self.snapshot()


def _extend(admin: pg.Connection, extension: str) -> None:
    """Have one of the lab's extensions in schema `pglab`; ClusterError where it lies in another."""
    made = f"CREATE EXTENSION IF NOT EXISTS {extension} SCHEMA pglab"
    try:
        pg.run(admin, "CREATE SCHEMA IF NOT EXISTS pglab", made)
    except pg.Error as error:
        raise ClusterError(f"{pg.words(error)} (a superuser makes it in {admin.info.dbname!r}: {made})") from None
    where = pg.ask(
        admin, "SELECT extnamespace::regnamespace::text AS it FROM pg_extension WHERE extname = %s", [extension]
    )
    if where["it"] != "pglab":
        raise ClusterError(f"the extension {extension} is in schema {where['it']} (DROP EXTENSION {extension})")
    if extension == "pg_stat_statements":
        pg.rows(admin, "SELECT FROM pglab.pg_stat_statements LIMIT 1")  # says so where it was not preloaded
