"""Ryuk beside a run: it removes what the run has in the engine, once the run's connection to it is closed.

testcontainers' own would be published on all addresses, and know of containers alone. This one is
published on loopback, and told the run's label, which networks and volumes carry too. Without it
what a killed run left stays until `pglab clean`.
"""

import os
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

import docker
import requests
from testcontainers.core.config import testcontainers_config

from lab.errors import ClusterError, PlaceError
from lab.hosts import _engine, _images
from lab.hosts._engine import Engine, told

_OFF = "TESTCONTAINERS_RYUK_DISABLED"
_PORT = "8080/tcp"
_PULL_S = 20
_READY_S = 20.0


@contextmanager
def beside(engine: Engine, tell: _images.Tell) -> Iterator[bool]:
    """Ryuk for the length of a `with` block; gives whether it is there. *tell* gets why not, unless it is unwanted."""
    with ExitStack() as stack:
        there = False
        if wanted():
            try:
                stack.enter_context(_watching(engine))
                there = True
            except (ClusterError, PlaceError) as error:
                tell(f"no Ryuk beside this run: {error}; what a killed run leaves is removed by pglab clean")
        yield there


def wanted() -> bool:
    """Does the environment not switch it off?"""
    return os.environ.get(_OFF, "").lower() not in ("1", "t", "true", "y", "yes")


@contextmanager
def _watching(engine: Engine) -> Iterator[None]:
    image = _had(engine.client)
    with told("ryuk"):
        container = engine.client.containers.run(image, detach=True, auto_remove=True, **_options(engine))
    try:
        with _connected(container, f"label={_engine.REAPED}={engine.run}\n".encode()):
            yield
    finally:
        with told("ryuk"), suppress(docker.errors.NotFound):
            container.remove(force=True)


def _had(client: Any) -> str:
    """Ryuk's image, pulled where it is not present; PlaceError where that cannot be done soon."""
    name = testcontainers_config.ryuk_image
    try:
        return str(client.images.get(name).id)
    except docker.errors.ImageNotFound:
        pass
    patient = _engine.connect(timeout_s=_PULL_S)
    try:
        return _images.had(patient, name)
    except requests.exceptions.RequestException:
        raise PlaceError(f"image {name!r}: is not present, and not pulled within {_PULL_S} s") from None
    finally:
        patient.close()


def _options(engine: Engine) -> dict[str, Any]:
    """What its container is made with: the engine's socket, a port of loopback, and labels that are not its prey's."""
    return {
        "name": f"pglab-{engine.run}-ryuk",
        "labels": {key: value for key, value in engine.labels().items() if key != _engine.REAPED},
        "volumes": {testcontainers_config.ryuk_docker_socket: {"bind": "/var/run/docker.sock", "mode": "rw"}},
        "ports": {_PORT: ("127.0.0.1",)},
        "privileged": testcontainers_config.ryuk_privileged,
        "environment": {"RYUK_RECONNECTION_TIMEOUT": testcontainers_config.ryuk_reconnection_timeout},
    }


@contextmanager
def _connected(container: Any, prey: bytes) -> Iterator[None]:
    """The connection by which it knows that the run lives, acknowledged; ClusterError where it does not answer."""
    until = time.monotonic() + _READY_S
    while time.monotonic() < until:
        with told("ryuk"):
            container.reload()
        published = container.attrs["NetworkSettings"]["Ports"].get(_PORT)
        if published and (line := _acknowledged(int(published[0]["HostPort"]), prey)) is not None:
            with line:
                yield
            return
        time.sleep(0.1)
    raise ClusterError(f"ryuk: did not answer within {_READY_S:.0f} s (docker logs {container.name})")


def _acknowledged(port: int, prey: bytes) -> socket.socket | None:
    """A connection on which *prey* was told and taken; None where nobody serves the port yet."""
    with ExitStack() as stack:
        try:
            line = stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=2))
            line.sendall(prey)
            if not line.recv(16).startswith(b"ACK"):
                return None
        except OSError:
            return None
        stack.pop_all()
        return line
