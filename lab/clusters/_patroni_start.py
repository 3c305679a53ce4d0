"""The containers of a Patroni cluster: what the host is asked for, with which passwords, several at a time."""

import secrets
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path

from lab.clusters import _patroni_config as config
from lab.clusters._patroni_config import Options
from lab.errors import ClusterError
from lab.hosts import Container, Containers, Host
from lab.model import Topology


def refuse(name: str, settings: Mapping[str, str]) -> None:
    fixed = sorted(config.FIXED & {one.lower() for one in settings})
    if fixed:
        raise ClusterError(f"{name}: Patroni sets {', '.join(fixed)} itself (take it out of settings)")


@contextmanager
def drawn(host: Host, name: str) -> Iterator[tuple[Mapping[str, str], Path]]:
    """Role -> password, drawn anew, and the file by which the lab's connections have them."""
    words = {role: secrets.token_hex(16) for role in ("pglab", "lab", "pglab_replication", "rest")}
    folder = host.workdir(f"{name}-{secrets.token_hex(3)}")
    passfile = folder / "pgpass"
    passfile.touch(mode=0o600)
    passfile.write_text("".join(f"*:*:*:{role}:{words[role]}\n" for role in ("pglab", "lab")))
    try:
        yield words, passfile
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def together(managers: Iterable[AbstractContextManager[Container]]) -> Iterator[list[Container]]:
    """Enter all at the same time for the length of a `with` block, and leave all at the same time."""
    found = list(managers)
    stacks = [ExitStack() for _ in found]
    try:
        with ThreadPoolExecutor(len(found)) as pool:
            entered = list(pool.map(ExitStack.enter_context, stacks, found))
        yield entered
    finally:
        with ThreadPoolExecutor(len(found)) as pool:
            list(pool.map(ExitStack.close, stacks))


class Asked:
    """The containers of one cluster, as the host is asked for them."""

    def __init__(
        self,
        host: Containers,
        topology: Topology,
        options: Options,
        settings: Mapping[str, str],
        logs: Path,
        words: Mapping[str, str],
    ) -> None:
        self._major = topology.postgres or int(str(host.fingerprint()["postgres"]).partition(".")[0])
        self._image = options.image or f"pglab/patroni:{self._major}"
        self._host, self._options, self._settings, self._logs, self._words = host, options, settings, logs, words

    def etcd(self) -> Iterator[AbstractContextManager[Container]]:
        """The members of etcd."""
        members = config.names("etcd", self._options.etcd)
        for one in members:
            yield self._container(one, config.ETCD, command=config.etcd(one, members))

    def nodes(self) -> Iterator[AbstractContextManager[Container]]:
        """The nodes, each with its server and its agent."""
        for one in config.names("node", self._options.nodes):
            text = config.node(one, self._options, self._settings, self._words, config.initdb(self._major))
            command = ("patroni", config.CONFIG)
            yield self._container(
                one, config.REST, also=(config.POSTGRES,), files={config.CONFIG: text}, command=command
            )

    def haproxy(self) -> AbstractContextManager[Container]:
        """HAProxy, which finds the nodes as they are when it starts."""
        files = {config.HAPROXY_CONFIG: config.haproxy(self._options)}
        command = ("haproxy", "-W", "-db", "-f", config.HAPROXY_CONFIG)
        return self._container("haproxy", config.WRITES, also=(config.READS,), files=files, command=command)

    def _container(
        self,
        name: str,
        port: int,
        *,
        command: Sequence[str],
        also: Sequence[int] = (),
        files: Mapping[str, str] = {},
    ) -> AbstractContextManager[Container]:
        return self._host.container(name, self._image, self._logs, port=port, also=also, files=files, command=command)
