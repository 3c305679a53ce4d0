"""Who sent the load, and what that took of the processors: the plan's account of the generator."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from lab import check
from lab.model import Json, Slice


def sent(slices: Iterable[Slice]) -> dict[str, Any]:
    """For the plan: `mean` and `most`, `late`, and `hosts` where load workers sent; {} where nothing was driven.

    `mean` is processor time by the time that load was driven for, over all trials; `most` the same in the
    trial with the most. 1 is one core, and all that a process of Locust can take. `late` is how many operations
    started late by so much although a client was free, of the `due` ones that had a time to start at. A host's
    `cpu_share` is the most that any worker of it took of a core, `clock_error_ms` the most by which its times may err.
    """
    slices = tuple(slices)
    every = (step for item in slices for step in item.steps if step["do"] != "witness")
    steps = [step for step in every if step.get("generator_cpu_s") is not None]
    driven_s = sum(step["for_s"] for step in steps)
    if not driven_s:
        return {}
    late, due = (sum(column) for column in zip(*map(check.late_of, slices), strict=True))
    return {
        "late": {"count": late, "due": due, "by_ms": check.LATE_NS / 1e6},
        "mean": sum(step["generator_cpu_s"] for step in steps) / driven_s,
        "most": max(step["generator_cpu_s"] / step["for_s"] for step in steps),
        "hosts": list(_hosts([step["workers"] for step in steps if "workers" in step])),
    }


def _hosts(together: list[list[Mapping[str, Json]]]) -> Iterator[dict[str, Any]]:
    """A row a host, in alphabetical order; each element is the workers of one step."""
    for host in sorted({str(one["host"]) for step in together for one in step}):
        theirs = [[one for one in step if one["host"] == host] for step in together]
        every = [one for step in theirs for one in step]
        yield {
            "host": host,
            "workers": max(map(len, theirs)),
            "cores": max(one["cores"] for one in every),
            "cpu_share": max(one["cpu_share"] for one in every),
            "clock_error_ms": max(one["clock_error_ns"] for one in every) / 1e6,
        }
