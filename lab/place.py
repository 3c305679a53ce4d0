"""Which host a scenario runs on, by what its topologies permit and what the command line says."""

from collections.abc import Collection, Mapping
from typing import Any

from lab import parts
from lab.errors import ScenarioError
from lab.hosts import embedded
from lab.model import Scenario, Topology

_HOSTS = ("embedded", "docker")  # in the order in which `auto` would rather have them


def choose(asked: str, read: Scenario) -> str:
    """`auto` is decided once: embedded where every topology permits it and nothing is limited, else docker."""
    if asked not in ("auto", *_HOSTS):
        raise ScenarioError(f"--on: {asked!r} is no host (auto, {', '.join(_HOSTS)})")
    allowed = {_words(c.topology): _hosts_of(c.topology) for c in read.candidates.values()}
    able = _HOSTS[1:] if read.resources else _HOSTS
    for kind in able if asked == "auto" else (asked,):
        if all(kind in hosts for hosts in allowed.values()):
            return kind
    if asked == "auto":
        raise ScenarioError(f"no host can run all topologies: {'; '.join(map(_where, allowed.items()))}")
    cannot = {words: hosts for words, hosts in allowed.items() if asked not in hosts}
    ways = [f"--on {kind}" for kind in _HOSTS if all(kind in hosts for hosts in cannot.values())]
    way = f" ({' or '.join(ways)})" if ways else ""
    raise ScenarioError(f"--on {asked}: the topology {', '.join(sorted(cannot))} cannot run there{way}")


def _hosts_of(topology: Topology) -> frozenset[str]:
    """Where a topology can run, and what stands behind it."""
    hosts = frozenset(parts.load("clusters", topology.kind).HOSTS)
    if topology.options.get("image") or topology.postgres not in (None, int(embedded.version().split(".")[0])):
        hosts -= {"embedded"}
    behind = topology.options.get("behind")
    return hosts & _hosts_of(Topology(**_apart(behind))) if isinstance(behind, dict) else hosts


def _apart(tree: Mapping[str, Any]) -> dict[str, Any]:
    """A topology behind another as the fields of one."""
    own = {key: tree[key] for key in ("kind", "postgres") if key in tree}
    return {**own, "options": {key: value for key, value in tree.items() if key not in own}}


def _words(topology: Topology) -> str:
    """What decides where a topology can run."""
    asked = {"postgres": topology.postgres, "image": topology.options.get("image")}
    return " with ".join([topology.kind, *(f"{key}: {value}" for key, value in asked.items() if value)])


def _where(one: tuple[str, Collection[str]]) -> str:
    return f"{one[0]} on {' or '.join(sorted(one[1])) or 'none'}"
