"""The Docker engine: the connection to it, what of it is this run's, and its refusals as messages."""

import logging
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import docker
import psutil
import requests
from testcontainers.core.config import testcontainers_config
from testcontainers.core.docker_client import DockerClient, get_docker_host

from lab.errors import ClusterError, PlaceError
from lab.hosts._home import base
from lab.hosts._images import words

RUN, PLACE, REAPED = "pglab.run", "pglab.base", "pglab.reaped"
"""Labels of everything the lab makes: the name of the run's home, and the folder that it lies in; and again the
name, of everything that goes when the run does."""

_WAY = "install docker.io and start dockerd, or use --on embedded"


@dataclass(frozen=True)
class Engine:
    """An engine that answers, and the run whose things are made there. *versions*: of images, once known."""

    client: Any
    run: str
    versions: dict[str, tuple[str, str]] = field(default_factory=dict)

    def labels(self) -> Mapping[str, str]:
        """What `pglab clean` finds a run's things by."""
        return labels(self.run)


def labels(run: str) -> dict[str, str]:
    """The labels of a run of this user's base folder."""
    return {RUN: run, PLACE: str(base()), REAPED: run}


@contextmanager
def answering(run: str) -> Iterator[Engine]:
    """The engine for the length of a `with` block; PlaceError where none answers."""
    client = connect()
    try:
        yield Engine(client, run)
    finally:
        client.close()


def connect(timeout_s: int = 120) -> Any:
    """A client of the engine that DOCKER_HOST or docker's own context names; PlaceError where none answers.

    testcontainers' own Ryuk stays off: its port is published on all addresses, by which anybody could
    have containers removed. The lab has one of its own (_reaper).
    """
    testcontainers_config.ryuk_disabled = True
    logging.getLogger("testcontainers").setLevel(logging.WARNING)
    for name in ("container", "docker_client"):
        logging.getLogger(f"testcontainers.core.{name}").setLevel(logging.WARNING)
    try:
        _knock(_place())
        client = DockerClient(timeout=timeout_s).client
        client.ping()
    except (docker.errors.DockerException, requests.exceptions.RequestException, OSError) as error:
        raise PlaceError(f"no Docker engine answers: {_why(error)} ({_way(error)})") from None
    return client


def _place() -> str:
    """Where the engine is, as DOCKER_HOST or docker's own context says."""
    return get_docker_host() or "unix:///var/run/docker.sock"


def _knock(place: str) -> None:
    """OSError where nobody listens at a Unix socket: docker's client would leave its own end open."""
    if place.startswith("unix://"):
        with socket.socket(socket.AF_UNIX) as ours:
            ours.connect(place.removeprefix("unix://"))


def _why(error: BaseException) -> str:
    """The innermost cause, which is the one that says something."""
    found = _innermost(error)
    said = found.strerror if isinstance(found, OSError) and found.strerror else words(error)
    return f"{_place()}: {said}"


def _way(error: BaseException) -> str:
    if isinstance(_innermost(error), PermissionError):
        return "this user may not use it: join the group docker, or use --on embedded"
    return _WAY


def _innermost(error: BaseException) -> BaseException:
    """The OSError below an error, else the error: libraries wrap it as cause, context or argument."""
    seen: list[BaseException] = []
    ahead: list[object] = [error]
    while ahead:
        one = ahead.pop()
        if isinstance(one, BaseException) and one not in seen:
            seen.append(one)
            ahead += [one.__cause__, one.__context__, *one.args]
    told = [one for one in seen if isinstance(one, OSError) and one.errno]
    return told[-1] if told else error


@contextmanager
def told(name: str) -> Iterator[None]:
    """What the engine refuses becomes a ClusterError in its words."""
    try:
        yield
    except docker.errors.ImageNotFound as error:
        raise ClusterError(f"{name}: {words(error)}") from None
    except docker.errors.APIError as error:
        raise ClusterError(f"{name}: {_refusal(words(error))}") from None
    except requests.exceptions.RequestException as error:
        raise ClusterError(
            f"{name}: the Docker engine stopped answering: {_why(error)} (is dockerd running?)"
        ) from None


def _refusal(said: str) -> str:
    """
    >>> _refusal("driver failed: Bind for 127.0.0.1:5432 failed: port is already allocated")
    'the port 127.0.0.1:5432 is taken (end what listens there, or ask for another port)'
    """
    if "port is already allocated" in said or "address already in use" in said:
        where = next((word for word in said.replace("tcp4", "").split() if _is_address(word)), "it asked for").rstrip(
            ":"
        )
        return f"the port {where} is taken (end what listens there, or ask for another port)"
    if "address pool" in said:
        return "the Docker engine has no network left (pglab clean; docker network prune)"
    return f"the Docker engine refuses: {said}"


def _is_address(word: str) -> bool:
    host, _, port = word.rstrip(":").rpartition(":")
    return host.count(".") == 3 and port.isdigit() and port != "0"


def local(gateway: str) -> bool:
    """Is a bridge's address one of this machine's? Then its containers are reached by their own addresses."""
    return any(one.address == gateway for found in psutil.net_if_addrs().values() for one in found)


def processes(containers: list[int]) -> frozenset[int]:
    """Processes that work for a run's containers: their shims, and the engine, which serves everybody.

    *containers* are the ids of their first processes. A shim is the parent of one; the engine's own
    are known by their names.
    """
    found = set()
    for one in psutil.process_iter(["name"]):
        if one.info["name"] in ("dockerd", "containerd", "docker-proxy"):
            found.add(one.pid)
    for pid in containers:
        try:
            found.add(psutil.Process(pid).ppid())
        except psutil.NoSuchProcess:
            continue
    return frozenset(found - {0, 1})
