"""Which rows there were, and where queries had their parameters from, as facts of a plan."""

from collections.abc import Mapping, Sequence
from typing import Any

from lab.model import Parameter, Prepared, Scenario, Stream

_UNITS = (("d", 86_400.0), ("h", 3_600.0), ("m", 60.0), ("s", 1.0))


def facts(scenario: Scenario, prepared: Sequence[Prepared]) -> dict[str, Any]:
    """`streams`, and `parameters` by query; a stream's rows are those that the first instance was loaded with."""
    loaded: Mapping[str, Any] = next((one.report["streams"] for one in prepared if "streams" in one.report), {})
    return {
        "streams": {
            name: {"name": name, "whence": _whence(one), "rows": loaded.get(name, {}).get("rows")}
            for name, one in scenario.workload.streams.items()
        },
        "parameters": {
            query.name: [{"name": one.name, "source": source(one)} for one in query.params]
            for query in scenario.workload.queries
        },
    }


def source(parameter: Parameter) -> str:
    """Where a parameter's values came from, in the words of a workload.

    >>> source(Parameter("a", "t.paid", "zipf(1.1)", shift_s=-604_800.0)), source(Parameter("b", "t.n", shift=50.0))
    ('t.paid zipf(1.1) - 7d', 't.n + 50')
    >>> [source(Parameter("c", "window.to", shift_s=-each)) for each in (0.5, 90.0, 21_600.0)]
    ['window.to - 0.5s', 'window.to - 90s', 'window.to - 6h']
    >>> source(Parameter("d", "", "uniform(1, 9)"))
    'uniform(1, 9)'
    """
    words = " ".join(filter(None, (parameter.origin, parameter.law)))
    moved = parameter.shift or parameter.shift_s
    if not moved:
        return words
    far, sign = abs(moved), "-" if moved < 0 else "+"
    unit, each = ("", 1.0) if parameter.shift else next(one for one in _UNITS if far % one[1] == 0 or one[0] == "s")
    return f"{words} {sign} {far / each:.12g}{unit}"


def _whence(stream: Stream) -> str:
    """What a stream's rows are."""
    if stream.kind == "synthetic":
        return "invented"
    files = stream.options.get("files", ())
    told = ", ".join([files] if isinstance(files, str) else files)
    return f"{stream.kind}: {told}" if told else stream.kind
