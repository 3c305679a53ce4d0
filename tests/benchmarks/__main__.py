"""The project's figures: a table, then as the last line one JSON object.

    python -m tests.benchmarks [name,name ...]      only these figures

Name -> {"value", "low", "high", "unit", "against", "goal", "holds"}: `holds` is false only if the
whole interval misses the goal, "not shown" if it straddles.
"""

import json
import sys
import time

from tests.benchmarks import containers, generator, ingest, itself, judge, planted, probes, routes, trial

FIGURES = {
    **trial.FIGURES,
    **ingest.FIGURES,
    **generator.FIGURES,
    **containers.FIGURES,
    **routes.FIGURES,
    **judge.FIGURES,
    **itself.FIGURES,
    **planted.FIGURES,
    **probes.FIGURES,
}


def main(words: list[str]) -> int:
    """Measure what was asked for; the exit status is 1 if a goal is missed for certain."""
    asked = [name for word in words for name in word.split(",") if name]
    unknown = sorted(set(asked) - FIGURES.keys())
    if unknown:
        print(f"no figure {', '.join(unknown)} (known: {', '.join(FIGURES)})", file=sys.stderr)
        return 2
    found = {}
    print(f"{'figure':28} {'value':>10} {'low':>10} {'high':>10} {'unit':10} {'goal':10} holds")
    for name in asked or FIGURES:
        start = time.monotonic()
        one = found[name] = FIGURES[name]()
        numbers = " ".join(f"{_short(one[key]):>10}" for key in ("value", "low", "high"))
        print(f"{name:28} {numbers} {one['unit']!s:10} {one['goal']!s:10} {_word(one['holds'])}", end="", flush=True)
        print(f"   ({time.monotonic() - start:.0f} s; {one['against']})")
    print(json.dumps(found))
    return 1 if any(one["holds"] is False for one in found.values()) else 0


def _short(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float | int) else str(value)


def _word(holds: object) -> str:
    return {True: "yes", False: "NO"}.get(holds, str(holds)) if isinstance(holds, bool) else str(holds)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
