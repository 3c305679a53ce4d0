"""One container: made, reached, stopped, read, and gone with nothing left but its log."""

import select
import socket
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import docker
from testcontainers.core.container import DockerContainer
from testcontainers.core.network import Network

from lab.errors import ClusterError
from lab.hosts import Limits, _cgroup
from lab.hosts._engine import Engine, told
from lab.hosts._log import last_words

START_S = END_S = 60.0
FREEZE_S = 5.0
_SHARED_BYTES = 2**30  # of /dev/shm, by which parallel workers talk; docker's own 64 MB are soon full
_LOOPBACK = "127.0.0.1"
_OPEN = "iptables -w -F INPUT && iptables -w -F OUTPUT"


@dataclass(frozen=True)
class Net:
    """The bridge of one cluster. *direct*: its containers' own addresses are reached from here.

    *passwords*: user -> word, the same on all its servers; Citus hands roles from one to the others.
    """

    engine: Engine
    bridge: Network
    token: str
    direct: bool
    passwords: Mapping[str, str]


@dataclass(frozen=True)
class Wanted:
    """What a container is to be. *volume* is mounted at /pglab; *published*: a port on loopback, 0 for any."""

    name: str
    image: str
    port: int
    also: Sequence[int] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    command: Sequence[str] | None = None
    limits: Limits | None = None
    volume: str | None = None
    published: int | None = None


@contextmanager
def up(net: Net, wanted: Wanted, logs: Path, kind: "Callable[..., Container]") -> "Iterator[Container]":
    """A container for the length of a `with` block, gone afterwards however the block ended, its log kept."""
    logs.mkdir(parents=True, exist_ok=True)
    made = _made(net, wanted)
    container = kind(net, wanted, made, logs / f"{wanted.name}.log")
    try:
        with told(wanted.name):
            made.start()
        container.began()
        yield container
    finally:
        container.gone()


def _made(net: Net, wanted: Wanted) -> DockerContainer:
    """The container as testcontainers is told of it; nothing is started."""
    made = DockerContainer(wanted.image).with_name(f"pglab-{net.engine.run}-{net.token}-{wanted.name}")
    made.with_envs(**wanted.env).with_network(net.bridge).with_network_aliases(wanted.name)
    if wanted.command is not None:
        made.with_command(list(wanted.command))
    if wanted.volume is not None:
        made.with_volume_mapping(wanted.volume, "/pglab", "rw")
    for path, text in wanted.files.items():
        made.with_copy_into_container(text.encode(), path, 0o755 if text.startswith("#!") else 0o644)
    if not net.direct or wanted.published is not None:
        for port in (wanted.port, *wanted.also):
            made.ports[f"{port}/tcp"] = _binding(wanted.published)
    return made.with_kwargs(
        hostname=wanted.name,
        labels=dict(net.engine.labels()),
        cap_add=["NET_ADMIN"],  # for cut(): of root's alone, and servers are not root
        shm_size=_SHARED_BYTES,
        log_config=docker.types.LogConfig(type="json-file", config={}),
        **_limited(wanted.limits or Limits()),
    )


def _binding(port: int | None) -> Any:
    """The engine's client's words for a port of loopback; None or 0 is any."""
    return (_LOOPBACK, port) if port else (_LOOPBACK,)


def _limited(limits: Limits) -> dict[str, Any]:
    """The engine's words for limits; memory without swap beside."""
    found: dict[str, Any] = {}
    if limits.cpus is not None:
        found["nano_cpus"] = round(limits.cpus * 1e9)
    if limits.cpuset is not None:
        found["cpuset_cpus"] = limits.cpuset
    if limits.memory_bytes is not None:
        found |= {"mem_limit": limits.memory_bytes, "memswap_limit": limits.memory_bytes}
    return found


class Container:
    """See hosts.Container."""

    def __init__(self, net: Net, wanted: Wanted, made: DockerContainer, log: Path) -> None:
        self.name = wanted.name
        self.net = net
        self._wanted = wanted
        self._made = made
        self._log = log
        self._cgroup: _cgroup.Cgroup | None = None

    @property
    def _it(self) -> Any:
        """The engine's container."""
        return self._made.get_wrapped_container()

    @property
    def log(self) -> Path:
        """What it wrote to its output and error until now, of all its starts; fetched when asked for."""
        with told(self.name), suppress(docker.errors.NotFound):
            self._log.write_bytes(self._it.logs())
        return self._log

    def peer(self) -> tuple[str, int]:
        """See hosts.Process.peer: the name that docker's DNS gives it."""
        return self.name, self._wanted.port

    def address(self, port: int | None = None) -> tuple[str, int]:
        """See hosts.Container.address: its own where that is reached from here, else what is published on loopback."""
        port = port or self._wanted.port
        with told(self.name):
            self._it.reload()
        networks = self._it.attrs["NetworkSettings"]
        if self.net.direct and self._wanted.published is None:
            return str(networks["Networks"][self.net.bridge.name]["IPAddress"]), port
        published = networks["Ports"].get(f"{port}/tcp")
        if not published:
            raise ClusterError(f"{self.name}: the port {port} is not reached from here (name it when asking for it)")
        return _LOOPBACK, int(published[0]["HostPort"])

    def run(self, *command: str) -> str:
        """See hosts.Container.run."""
        with told(self.name):
            status, said = self._it.exec_run(list(command))
        text = str(said.decode(errors="replace"))
        if status:
            raise ClusterError(f"{self.name}: {command[0]}: {text.strip() or f'ended with status {status}'}")
        return text

    def cut(self) -> None:
        """See hosts.Container.cut: by a firewall in its own network, where only loopback is left."""
        self._wall(f"{_OPEN} && iptables -w -A INPUT ! -i lo -j DROP && iptables -w -A OUTPUT ! -o lo -j DROP")

    def mend(self) -> None:
        """See hosts.Container.mend."""
        self._wall(_OPEN)

    def _wall(self, rules: str) -> None:
        with told(self.name):
            status, said = self._it.exec_run(["sh", "-c", rules], user="root")
        if status:
            raise ClusterError(
                f"{self.name}: cannot be cut off or joined again: {said.decode(errors='replace').strip()} "
                "(its image needs iptables: pglab/patroni has it)"
            )

    # --- what it takes

    def pid(self) -> int:
        """Its first process, by the engine's machine's numbers; ClusterError if it is not running."""
        with told(self.name):
            self._it.reload()
        if not self._it.attrs["State"]["Running"]:
            raise ClusterError(f"{self.name}: {self._ended()}")
        return int(self._it.attrs["State"]["Pid"])

    def cpu_s(self) -> float:
        """See hosts.Process.cpu_s: the whole container's, from its cgroup."""
        if self._cgroup is None:
            return float(self._stats()["cpu_usage"]["total_usage"]) / 1e9
        return self._counted(self._cgroup.cpu_s)

    def throttled_s(self) -> float:
        """See hosts.Container.throttled_s."""
        if self._cgroup is None:
            return float(self._stats()["throttling_data"]["throttled_time"]) / 1e9
        return self._counted(self._cgroup.throttled_s)

    def limits(self) -> Limits:
        """See hosts.Container.limits."""
        return _cgroup.within(self.run) if self._cgroup is None else self._cgroup.limits()

    def _counted(self, read: Callable[[], float]) -> float:
        """A reading of the cgroup, which ends with the container."""
        try:
            return read()
        except OSError:
            raise ClusterError(f"{self.name}: the container is gone: {last_words(self.log)}") from None

    def _stats(self) -> Mapping[str, Any]:
        """The engine's own reading, where its kernel is not this one's."""
        self.pid()
        with told(self.name):
            stats: Mapping[str, Any] = self._it.stats(stream=False, one_shot=True)["cpu_stats"]
        return stats

    # --- its life

    def began(self) -> None:
        """It was started just now: find its cgroup, see that its limits are in force, wait until it is ready."""
        until = time.monotonic() + START_S
        self._cgroup = _cgroup.of(self.pid(), str(self._it.id))
        self._hold(self._wanted.limits)
        self._wait(until)

    def _hold(self, limits: Limits | None) -> None:
        wrong = _cgroup.differing(limits, self.limits()) if limits is not None else []
        if wrong:
            raise ClusterError(f"{self.name}: the limits are not in force: {'; '.join(wrong)} (see docker info)")

    def _wait(self, until: float) -> None:
        """Return once its port takes connections."""
        while time.monotonic() < until:
            self.pid()
            if _takes(self.address()):
                return
            time.sleep(0.02)
        late = f"took no connection at port {self._wanted.port} within {START_S:.0f} s"
        raise ClusterError(f"{self.name}: {late}: {last_words(self.log)}")

    def _ended(self) -> str:
        state = self._it.attrs["State"]
        return f"the container ended with status {state['ExitCode']}: {last_words(self.log)}"

    def start(self) -> None:
        """See hosts.Process.start."""
        with told(self.name):
            self._it.start()
        self.began()

    def stop(self) -> None:
        """See hosts.Process.stop: the image's own signal."""
        self._end(self._it.attrs["Config"].get("StopSignal") or "SIGTERM")

    def kill(self) -> None:
        """See hosts.Process.kill."""
        self._end("SIGKILL")

    def _end(self, signal: str) -> None:
        with told(self.name):
            self._it.reload()
            if self._it.status == "paused":
                self._it.unpause()
                self._it.reload()
            if self._it.status != "running":
                return
            self._it.kill(signal=signal)
            if not self._over(time.monotonic() + END_S):
                self._it.kill(signal="SIGKILL")
                self._over(time.monotonic() + END_S)

    def _over(self, until: float) -> bool:
        """Has it ended by then?"""
        while time.monotonic() < until:
            self._it.reload()
            if self._it.status == "exited":
                return True
            time.sleep(0.01)
        return False

    def pause(self) -> None:
        """See hosts.Process.pause: its cgroup is frozen, which a kernel may refuse for a moment."""
        until = time.monotonic() + FREEZE_S
        with told(self.name):
            while True:
                try:
                    self._it.pause()
                    return
                except docker.errors.APIError as error:
                    if "unable to freeze" not in str(error) or time.monotonic() > until:
                        raise
                time.sleep(0.1)

    def resume(self) -> None:
        """See hosts.Process.resume."""
        with told(self.name):
            self._it.unpause()

    def gone(self) -> None:
        """Ended, its log complete, and removed with what its image declares as volumes."""
        try:
            if self._made._container is not None:
                self._remove()
        finally:
            self._made.get_docker_client().client.close()

    def _remove(self) -> None:
        with suppress(ClusterError):
            self._end("SIGKILL")
        with suppress(ClusterError):
            self.log  # noqa: B018 - fetched for the last time
        with told(self.name), suppress(docker.errors.NotFound):
            self._it.remove(force=True, v=True)


def _takes(where: tuple[str, int]) -> bool:
    """Does something take a connection there, and keep it? Docker's proxy takes any, and drops what nobody serves."""
    try:
        with socket.create_connection(where, timeout=1) as connection:
            if where[0] != _LOOPBACK:
                return True
            readable, _, _ = select.select([connection], [], [], 0.05)
            return not readable or bool(connection.recv(1, socket.MSG_PEEK))
    except OSError:
        return False
