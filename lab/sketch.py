"""The scenario that `pglab init` writes: what is known of a schema, its rows and its queries as files to be edited."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from lab import dump
from lab.likely import Dataset

DAYS = 10
INVENTED = "The rows are invented after a server's statistics, and so is what a plan says of them."


@dataclass(frozen=True)
class Sketched:
    """A query's name, its file's text, its weight, and the parameters that nothing is known of."""

    name: str
    text: str
    weight: int
    holes: tuple[str, ...]


@dataclass(frozen=True)
class Rows:
    """The rows, the *most* of a table, and where they are alike to a server's: its size as YAML, what was *seen*."""

    made: Dataset
    most: int
    production: str = ""
    seen: tuple[str, ...] = ()


@dataclass(frozen=True)
class Sketch:
    """A scenario of one candidate. *weighted*: the queries were counted; *values*: some values are rows' own."""

    name: str
    schema: str
    rows: Rows
    queries: tuple[Sketched, ...]
    weighted: bool = False
    values: bool = False


def files(drawn: Sketch, said: Sequence[str], holes: Sequence[str]) -> dict[str, str]:
    """Path within the scenario's folder -> text; its README lists what was *said*, and the *holes*."""
    rows, made = drawn.rows, drawn.rows.made
    question = f"What would make {drawn.name} do less work?{f' {INVENTED}' if rows.seen else ''}"
    entities = f", entities: {json.dumps(dict(made.entities), ensure_ascii=False)}" if made.entities else ""
    yaml = [
        f"# Made by pglab init; every line may be edited. Candidates: pglab diagnose --scenario {drawn.name}",
        "format: 1",
        f"question: {json.dumps(question, ensure_ascii=False)}",
        *([rows.production] if rows.production else []),
        f"lab: {{rows: {rows.most}, days: {DAYS}{entities}}}",
        "objective: {minimise: mix.server_ms_per_op}",
        "baseline: as-it-is",
        "candidates:",
        f"  as-it-is: {{schema: schema.sql, {made.way}hypothesis: what is there}}",
        f"  # another: {{schema: another.sql, {made.way}hypothesis: what should improve and what it should cost}}",
        "timeline:",
        "  - {do: ingest}",
        "  - {do: settle}",
        "  - {do: count}",
        "  - {do: round, steps: [{do: drive, for: 500ms, rate: 100}]}",
    ]
    mix = [f"  {one.name}: {one.weight}" for one in drawn.queries]
    weights = "mix:   # by calls, the rarest is 1" if drawn.weighted else "mix:"
    return {
        "scenario.yaml": "\n".join(yaml) + "\n",
        "schema.sql": dump.locked(drawn.schema),
        "workload/workload.yaml": "\n".join(["clients: 2", weights, *mix]) + "\n",
        "workload/data.yaml": f"{_headed(rows, values=drawn.values)}{_marked(made)}{made.left}{made.text}",
        **{f"workload/{one.name}.sql": one.text for one in drawn.queries},
        "README.md": _readme(drawn.name, rows, said, holes),
    }


def _headed(rows: Rows, *, values: bool) -> str:
    """The comment above the rows."""
    if not rows.seen:
        return f"# {rows.made.whence} after the schema: edit what you know better.\n"
    whose = "Common values and bounds are rows' own" if values else "No value is a row's own (but what the schema says)"
    lines = (INVENTED, f"{whose}. Edit what you know better.", *rows.seen)
    return "".join(f"# {one}\n" for one in lines)


def _marked(made: Dataset) -> str:
    return "".join(f"# hole: {one}\n" for one in made.holes)


def _readme(name: str, rows: Rows, said: Sequence[str], holes: Sequence[str]) -> str:
    alike_ = "\n".join(f"- {one}" for one in rows.seen)
    seen = f"## Rows\n\n{INVENTED} They are alike to those of\n\n{alike_}\n\n" if rows.seen else ""
    told = "\n".join(f"- {' '.join(one.split())}" for one in said) or "- nothing was left out"
    open_ = "\n".join(f"- {' '.join(one.split())}" for one in holes) or "- none"
    return (
        f"# {name}\n\nMade by `pglab init`. Check it with `pglab run scenarios/{name} --dry-run`; "
        f"candidates come from you, or from `pglab diagnose --scenario {name}`.\n\n"
        f"{seen}## Left out or guessed\n\n{told}\n\n## To be filled in\n\n{open_}\n"
    )
