"""What runs have in a Docker engine: containers, networks and volumes, found by their labels."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker

from lab.errors import PlaceError
from lab.hosts import _engine

CONTAINER, NETWORK, VOLUME = KINDS = ("container", "network", "volume")
"""In the order in which they can be removed."""


@dataclass(frozen=True)
class Thing:
    """One thing of a run. *bytes*: what it takes beside its image."""

    kind: str
    name: str
    bytes: int


def of(base: Path, dead: Callable[[str], bool]) -> list[Thing]:
    """What runs of *base* that are *dead*, asked for by name, have; nothing where no engine answers."""
    try:
        with _engine.answering("clean") as engine:
            return list(_things(engine.client, base, dead))
    except PlaceError:
        return []


def _things(client: Any, base: Path, dead: Callable[[str], bool]) -> Iterator[Thing]:
    ours = {"label": f"{_engine.PLACE}={base}"}
    with _engine.told("clean"):
        containers = client.api.containers(all=True, size=True, filters=ours)
        networks = client.api.networks(filters=ours)
        volumes = client.api.volumes(filters=ours)["Volumes"] or []
    for kind, found in zip(KINDS, (containers, networks, volumes), strict=True):
        left = [one for one in found if dead(one["Labels"].get(_engine.RUN, ""))]
        sizes = _sizes(client) if kind == VOLUME and left else {}
        for one in left:
            name = one["Names"][0].lstrip("/") if kind == CONTAINER else one["Name"]
            yield Thing(kind, name, int(one.get("SizeRw") or sizes.get(name, 0)))


def _sizes(client: Any) -> dict[str, int]:
    """Volume -> bytes; the engine says -1 where it does not know."""
    with _engine.told("clean"):
        volumes = client.df()["Volumes"] or []
    return {one["Name"]: max(0, (one.get("UsageData") or {}).get("Size", 0)) for one in volumes}


def remove(kind: str, name: str) -> None:
    """Remove one thing; nothing happens where it is gone."""
    with _engine.answering("clean") as engine, _engine.told(name), suppress(docker.errors.NotFound):
        if kind == CONTAINER:
            engine.client.containers.get(name).remove(force=True, v=True)
        elif kind == NETWORK:
            engine.client.networks.get(name).remove()
        else:
            engine.client.volumes.get(name).remove(force=True)
