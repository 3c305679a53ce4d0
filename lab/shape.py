"""Shapes: what changes when candidates are not all one server.

Servers that share one host share its cores. Between shapes of unlike numbers of processes a time
or a rate says how many cores the host has, not which shape is faster (DATA section 4); unless the
scenario gives each the same (`resources`), only work carries: CPU seconds, WAL, calls, sizes.
"""

from collections.abc import Mapping, Sequence

from lab.model import Prepared, Scenario


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
