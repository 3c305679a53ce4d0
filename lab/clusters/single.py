"""One server, which everybody reads from and writes to."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from lab.clusters._nodes import Image, Nodes, image
from lab.hosts import Host
from lab.model import Topology

KIND = "single"
HOSTS = ("embedded", "docker")


class Options(BaseModel):
    """*image*: any that follows the conventions of the official PostgreSQL image."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    image: Image | None = None


@contextmanager
def opened(host: Host, topology: Topology, *, name: str, settings: Mapping[str, str], logs: Path) -> Iterator[Nodes]:
    """See clusters.OpenCluster."""
    Options.model_validate(dict(topology.options))
    with host.server(name, settings, logs, image=image(topology)) as server:
        yield Nodes([server])
