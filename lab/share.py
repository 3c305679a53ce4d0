"""What each process of a shape is given: limits, which the host is asked for in the shape's stead."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

from lab import parts, shape
from lab.errors import ClusterError
from lab.hosts import Host, Limits, Process
from lab.model import Json, Scenario


@dataclass(frozen=True)
class Share:
    """The limits of each of *count* processes."""

    limits: Limits
    count: int

    def check(self, name: str, processes: Sequence[Process]) -> None:
        """ClusterError where what is up is not what resources were shared out among."""
        if len(processes) != self.count:
            raise ClusterError(
                f"{name}: {len(processes)} processes are up, and resources were shared out among {self.count} "
                "(a shape of this kind is not counted right: leave resources out, and tell us)"
            )


def shares(scenario: Scenario, *, kind: str, cores: int) -> dict[str, Share]:
    """Candidate -> what each of its processes is given on a host of that *kind*; {} where nothing is limited.

    ScenarioError where the host cannot give it.
    """
    given = scenario.resources
    if given is None:
        return {}
    counts = {name: shape.count(one.topology, _filled) for name, one in scenario.candidates.items()}
    shape.affordable(scenario, counts, kind=kind, cores=cores)
    found = {}
    for name, count in counts.items():
        cpus, memory = shape.each(given, count)
        found[name] = Share(Limits(cpus=cpus, memory_bytes=memory), count)
    return found


def _filled(kind: str, options: Mapping[str, Json]) -> Mapping[str, Json]:
    takes = parts.options("clusters", kind)
    return options if takes is None else takes.model_validate(dict(options)).model_dump()


def limited(host: Host, share: Share | None) -> Host:
    """The host, of which every process that a shape asks for has the share's limits."""
    return host if share is None else cast(Host, _Limited(host, share.limits))


class _Limited:
    """A host that limits what its server, standby and container start; all else is the host's own."""

    def __init__(self, host: Any, limits: Limits) -> None:
        self._host = host
        self._limits = limits

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._host, name)
        return partial(self._start, found) if name in ("server", "standby", "container") else found

    def _start(self, start: Any, *words: Any, **options: Any) -> AbstractContextManager[Any]:
        return cast(AbstractContextManager[Any], start(*words, **{"limits": self._limits, **options}))
