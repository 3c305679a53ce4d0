"""Which rows there were, and where queries had their parameters from, as facts of a plan."""

from collections.abc import Mapping, Sequence
from typing import Any

from lab.model import Parameter, Prepared, Scenario, Stream

_DAY_S = 86_400


def facts(scenario: Scenario, prepared: Sequence[Prepared]) -> dict[str, Any]:
    """`streams` and `queries`, each by name; a stream's rows are those that the first instance was loaded with."""
    loaded: Mapping[str, Any] = next((one.report["streams"] for one in prepared if "streams" in one.report), {})
    return {
        "streams": {
            name: {"name": name, "whence": _whence(one), "rows": loaded.get(name, {}).get("rows")}
            for name, one in scenario.workload.streams.items()
        },
        "queries": {
            query.name: {
                "name": query.name,
                "weight": query.weight,
                "params": [{"name": one.name, "source": source(one)} for one in query.params],
            }
            for query in scenario.workload.queries
        },
    }


def source(parameter: Parameter) -> str:
    """Where a parameter's values came from, in the words of a workload.

    >>> source(Parameter("a", "t.paid", "zipf(1.1)", shift_s=-604_800.0)), source(Parameter("b", "t.n", shift=50.0))
    ('t.paid zipf(1.1) - 7d', 't.n + 50')
    >>> source(Parameter("c", "window.to", shift_s=-0.5)), source(Parameter("d", "", "uniform(1, 9)"))
    ('window.to - 0.5s', 'uniform(1, 9)')
    """
    words = " ".join(filter(None, (parameter.origin, parameter.law)))
    moved = parameter.shift or parameter.shift_s
    if not moved:
        return words
    far = abs(moved)
    unit = "" if parameter.shift else "d" if far % _DAY_S == 0 else "s"
    return f"{words} {'-' if moved < 0 else '+'} {far / _DAY_S if unit == 'd' else far:.12g}{unit}"


def _whence(stream: Stream) -> str:
    """What a stream's rows are."""
    if stream.kind == "synthetic":
        return "invented"
    files = stream.options.get("files", ())
    told = ", ".join([files] if isinstance(files, str) else files)
    return f"{stream.kind}: {told}" if told else stream.kind
