"""Shapes: what changes when candidates are not all one server.

Servers that share one host share its cores. Between shapes of unlike numbers of processes a time
or a rate says how many cores the host has, not which shape is faster (DATA section 4); unless the
scenario gives each the same (`resources`), only work carries: CPU seconds, WAL, calls, sizes.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence

from lab.errors import ScenarioError
from lab.model import Json, Prepared, Resources, Scenario, Topology


def several(scenario: Scenario) -> bool:
    """Whether some candidate is anything but a single server, so that shapes are measured too."""
    return any(candidate.topology.kind != "single" for candidate in scenario.candidates.values())


def processes(prepared: Sequence[Prepared]) -> dict[str, int]:
    """Candidate -> how many processes serve it; one where the report says nothing of a shape."""
    return {one.instance.candidate: len(one.report.get("processes", (None,))) for one in prepared}


def unlike(scenario: Scenario, prepared: Sequence[Prepared]) -> frozenset[str]:
    """The candidates that have more or fewer processes than the baseline and share the host's cores with it."""
    counts: Mapping[str, int] = processes(prepared)
    if scenario.resources is not None or scenario.baseline not in counts:
        return frozenset()
    return frozenset(name for name, count in counts.items() if count != counts[scenario.baseline])


def facts(scenario: Scenario, prepared: Sequence[Prepared]) -> dict[str, Json]:
    """What serves each candidate, and whether times between them say anything; {} of single servers alone."""
    if not several(scenario):
        return {}
    reports = {one.instance.candidate: one.report for one in reversed(prepared)}
    given = scenario.resources
    return {
        "unlike": bool(unlike(scenario, prepared)),
        "resources": given and {"equal": given.equal, "cpus": given.cpus, "memory": given.memory_bytes},
        "candidates": {
            name: {
                "name": name,
                "topology": words(one.topology),
                "processes": len(reports[name].get("processes", (None,))),
                "standbys": reports[name].get("standbys", 0),
                "reads": ", ".join(reports[name].get("reads", ())),
                "apart": reports[name].get("databases"),
            }
            for name, one in scenario.candidates.items()
            if name in reports
        },
    }


def words(topology: Topology) -> str:
    """A topology in a line, as the author wrote it.

    >>> words(Topology("pooled", {"mode": "session", "behind": {"kind": "replicas", "nodes": 2}}))
    'pooled (mode: session), before replicas (nodes: 2)'
    """
    inner = topology.options.get("behind")
    options = ", ".join(f"{key}: {value}" for key, value in topology.options.items() if key != "behind")
    behind = f", before {words(_behind(inner))}" if isinstance(inner, Mapping) else ""
    version = f", PostgreSQL {topology.postgres}" if topology.postgres else ""
    return f"{topology.kind}{options and f' ({options})'}{behind}{version}"


def _behind(inner: Mapping[str, Json]) -> Topology:
    return Topology(str(inner.get("kind", "single")), {key: value for key, value in inner.items() if key != "kind"})


def _layers(topology: Topology) -> Iterator[Topology]:
    """A topology and what it stands before."""
    yield topology
    inner = topology.options.get("behind")
    if isinstance(inner, Mapping):
        yield from _layers(_behind(inner))


# --- what a shape promises --------------------------------------------------------------------

_FRESH = "every read sees all that was committed before it"
_ATOMIC = "all of a transaction is committed, or nothing of it"
_MOMENT = "a query sees all rows as of one moment"
_ALL = "one query may ask for all rows"
_SESSION = "settings, advisory locks and temporary tables of a session stay with its client"
_BROKEN = {
    "sharded": (_ATOMIC, _MOMENT),  # postgres_fdw: no two-phase commit, a snapshot for each server
    "databases": (_ALL,),
    "citus": (_MOMENT,),  # two-phase commit, but no snapshot over all workers
}


def promises(topology: Topology, *, names: str, commit: str, standbys: int, reads: bool) -> tuple[str, ...]:
    """What a shape promises besides its schema, in lines like those of the catalogs.

    *names* and *commit* are synchronous_standby_names and synchronous_commit of the server that
    writes, *reads* says whether reads are sent to servers that follow it.

    >>> told = promises(Topology("replicas"), names="ANY 1 (a, b)", commit="on", standbys=2, reads=True)
    >>> told[0], "every read sees all that was committed before it" in told
    ('a commit is on the disks of 2 servers before it is acknowledged', False)
    """
    confirm = _confirm(names)
    layers = list(_layers(topology))
    broken = {promise for one in layers for promise in _BROKEN.get(one.kind, ())}
    if reads and not (commit == "remote_apply" and confirm >= standbys):
        broken.add(_FRESH)
    if any(one.options.get("mode", "transaction") != "session" for one in layers if one.kind == "pooled"):
        broken.add(_SESSION)
    on_disk = confirm if commit in ("on", "remote_apply") else 0
    kept = [f"a commit is on the disks of {on_disk + 1} servers before it is acknowledged"] if on_disk else []
    return (*kept, *(one for one in (_FRESH, _ATOMIC, _MOMENT, _ALL, _SESSION) if one not in broken))


def _confirm(names: str) -> int:
    """How many standbys synchronous_standby_names waits for.

    >>> [_confirm(names) for names in ("", "a", "FIRST 2 (a, b)", "any 1 (a, b)", "3 (a, b, c)", "*")]
    [0, 1, 2, 1, 3, 1]
    """
    found = re.match(r"\s*(?:(?:first|any)\s+)?(\d+)\s*\(", names, re.IGNORECASE)
    return int(found[1]) if found else int(bool(names.strip()))


# --- what each is given -----------------------------------------------------------------------

_COUNTS: Mapping[str, tuple[int, tuple[str, ...]]] = {
    "single": (1, ()),
    "databases": (1, ()),
    "replicas": (1, ("nodes",)),
    "sharded": (1, ("shards",)),
    "citus": (1, ("workers",)),
    "patroni": (0, ("nodes", "etcd")),
    "pooled": (1, ()),
}
"""Kind -> how many processes it has at least, and the options that add as many as they say."""

Filled = Callable[[str, Mapping[str, Json]], Mapping[str, Json]]
"""Options of a kind with its defaults."""


def count(topology: Topology, filled: Filled) -> int:
    """How many processes a topology will have, *filled* giving the defaults of what nobody said.

    >>> count(Topology("pooled", {"behind": {"kind": "replicas", "nodes": 2}}), lambda kind, options: options)
    4
    """
    total = 0
    for one in _layers(topology):
        (fixed, adding), options = _COUNTS[one.kind], filled(one.kind, one.options)
        total += fixed + sum(int(options[key]) for key in adding) + (options.get("route") == "haproxy")
    return total


def each(resources: Resources, count: int) -> tuple[float, int]:
    """Cores and bytes of memory for each of *count* processes.

    >>> each(Resources("total", 3.0, 6 * 2**30), 3), each(Resources("per_node", 1.0, 2**30), 3)
    ((1.0, 2147483648), (1.0, 1073741824))
    """
    share = count if resources.equal == "total" else 1
    return resources.cpus / share, resources.memory_bytes // share


def affordable(scenario: Scenario, counts: Mapping[str, int], *, kind: str, cores: int) -> None:
    """ScenarioError where the host cannot give each candidate what `resources` says; *counts* by candidate.

    What a node adds can only be seen where one core is left for the load generator; what a shape
    costs is seen in work, which a generator on the same cores does not change.
    """
    given = scenario.resources
    if given is None:
        return
    if kind == "embedded":
        raise ScenarioError(
            f"{given.place}: resources: the embedded host cannot limit a server (--on docker, or take resources out)"
        )
    name = max(counts, key=lambda one: counts[one])
    asked, of_each = each(given, counts[name])[0] * counts[name], given.equal == "per_node"
    have = cores - 1 if of_each else cores
    if asked > have:
        what = f"{name} has {counts[name]} processes, which makes {asked:g} cores" if of_each else f"{asked:g} cores"
        beside = " beside the load generator's one" if of_each else ""
        fitting = f"cpus: {max(0.1, have / (counts[name] if of_each else 1)):.2g} or less"
        raise ScenarioError(
            f"{given.place}: resources: {what}, and this host has {have}{beside} "
            f"({fitting}{', equal: total' if of_each else ''}, or a larger host)"
        )
