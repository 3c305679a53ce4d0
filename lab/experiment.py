"""A diagnosis becomes a scenario: the diagnosed baseline, and one candidate for each way that may help it.

The folder stands by itself: the baseline's files and the workload are copied into it. What the
scenario said of production, lab, requirements and timeline is kept word for word.
"""

import itertools
import json
import re
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from lab import template
from lab.book import Book
from lab.bottleneck import SAID, Bottleneck
from lab.errors import PlaceError
from lab.model import Candidate, Json, Scenario
from lab.proposal import Index

_BLOCK = 8192
DAYS = 10  # over which rows that have a time are spread, where nobody says
RANDOM_READS = {"random_page_cost": "1.1"}
_MIB = 2**20
_TOP = re.compile(r"^(?=[A-Za-z_]+\s*:)", re.MULTILINE)
_REPLACED = ("question", "baseline", "candidates", "catalogue", "workload", "schema", "sql", "load")


@dataclass(frozen=True)
class Tried:
    """An index that was tried: query -> estimated cost with it by that without it, where the planner took it.

    *refused* has the server's words where the index cannot be.
    """

    index: Index
    ddl: str
    gains: Mapping[str, float]
    refused: str = ""


@dataclass(frozen=True)
class Diagnosis:
    """What each query is spent on, and the indexes that the planner expects to gain by, the simplest first.

    *tried* is how many indexes were tried, those *refused* by the server among them; *by* says how. *replanned* are
    the queries that get another plan when a block read at random costs hardly more than the next one, as on an SSD
    or from the cache.
    """

    bottlenecks: Mapping[str, Bottleneck]
    kept: tuple[Tried, ...]
    tried: int
    by: str
    replanned: tuple[str, ...] = ()
    refused: tuple[Tried, ...] = ()


@dataclass(frozen=True)
class Way:
    """A candidate beside the baseline, which differs by one of *ddl*, *settings*, *rewrite* (a query and its text)."""

    name: str
    hypothesis: str
    ddl: str = ""
    settings: Mapping[str, str] | None = None
    rewrite: tuple[str, str] | None = None


def candidates(read: Scenario, found: Diagnosis, rewrites: Mapping[str, str]) -> tuple[Way, ...]:
    """The ways that may help, those that change least first: settings, texts, indexes. No two have one name."""
    own = read.candidates[read.baseline]
    taken = {read.baseline, "baseline", "load", *own.steps}
    ways = []
    for way in (*_settings(read, found), *_texts(rewrites), *map(_index, found.kept)):
        name = _free(way.name, taken)
        taken.add(name)
        ways.append(replace(way, name=name))
    return tuple(ways)


def _free(name: str, taken: Collection[str]) -> str:
    """*name*, with a number behind it where it is taken.

    >>> _free("t-a", {"t-a", "t-a-2"})
    't-a-3'
    """
    numbered = (f"{name}-{n}" for n in itertools.count(2))
    return next(one for one in itertools.chain([name], numbered) if one not in taken)


def _settings(read: Scenario, found: Diagnosis) -> tuple[Way, ...]:
    """work_mem for the largest spill, as rows take about twice the room in memory; and random_page_cost.

    A hash may take hash_mem_multiplier times work_mem (2 since PostgreSQL 15).
    """
    ways = []
    own = read.candidates[read.baseline].settings
    if found.replanned:
        said = f"{', '.join(found.replanned)}: another plan, by indexes that are there; other plans may change too"
        ways.append(Way("random-reads-cheap", said, settings={**own, **RANDOM_READS}))
    spilled = {name: one.temp_blocks for name, one in found.bottlenecks.items() if one.kind == "spill"}
    if spilled:
        mib = max(4, 2 * max(spilled.values()) * _BLOCK // _MIB)
        said = f"{', '.join(spilled)}: no temporary files; each sort may take {mib} MiB of memory, each hash twice that"
        ways.append(Way("more-work-mem", said, settings={**own, "work_mem": f"{mib}MB"}))
    return tuple(ways)


def _texts(rewrites: Mapping[str, str]) -> tuple[Way, ...]:
    return tuple(
        Way(
            f"rewritten-{name}",
            f"{name}: fewer blocks by its other text; nothing is paid by writes",
            rewrite=(name, text),
        )
        for name, text in rewrites.items()
    )


def _index(tried: Tried) -> Way:
    said = f"{', '.join(tried.gains)}: fewer blocks; every row that is written pays for one more index, and the disk"
    return Way(tried.index.name, said, ddl=tried.ddl)


# --- files ----------------------------------------------------------------------------------


def files(name: str, read: Scenario, found: Diagnosis, rewrites: Mapping[str, str]) -> dict[str, str]:
    """Path within the scenario's folder -> text: scenario.yaml, README.md, SQL, and the workload."""
    own = read.candidates[read.baseline]
    ways = candidates(read, found, rewrites)
    made = {path: text for path, text in read.files.items() if path.startswith("workload/")}
    made["baseline.sql"] = own.schema.text
    base = _entry(own, read.files, made)
    entries = {read.baseline: {"schema": "baseline.sql", "hypothesis": own.hypothesis, **base}}
    for way in ways:
        entries[way.name] = _changed(way, own, base, made)
    made["scenario.yaml"] = _yaml(read, entries, list(found.bottlenecks))
    made["README.md"] = _readme(name, read, found, ways)
    return made


def first(name: str, rows: int) -> str:
    """A scenario.yaml with one candidate, `schema.sql`, for a schema that has no scenario yet."""
    return (
        f"format: 1\nquestion: What is {name} spent on?\n\nlab: {{rows: {rows}, days: {DAYS}}}\n"
        "objective: {minimise: mix.server_ms_per_op}\nbaseline: as-it-is\n"
        "candidates:\n  as-it-is: {schema: schema.sql, hypothesis: what is there}\n"
    )


def _entry(own: Candidate, source: Mapping[str, str], made: dict[str, str]) -> dict[str, Json]:
    """What the baseline has beside its schema, as the keys of an entry; its files, some of *source*, go to *made*."""
    shape = own.topology
    entry: dict[str, Json] = {
        **({"settings": dict(own.settings)} if own.settings else {}),
        **({"clients": own.clients} if own.clients is not None else {}),
        "ingest": dict(own.ingest),
        "topology": {"kind": shape.kind, **shape.options, **({"postgres": shape.postgres} if shape.postgres else {})},
    }
    if own.load is not None:
        made["load.sql"] = own.load.text
        entry["load"] = "load.sql"
    steps = {step: f"{step}.sql" for step in own.steps}
    made.update({f"{step}.sql": file.text for step, file in own.steps.items()})
    apart = {one.name: one.file for one in own.queries if not one.file.startswith("workload/")}
    texts = {query: f"sql/{query}.sql" for query in apart}
    made.update({texts[query]: source[file] for query, file in apart.items()})
    return {**entry, **({"sql": {**steps, **texts}} if steps or texts else {})}


def _changed(way: Way, own: Candidate, base: Mapping[str, Json], made: dict[str, str]) -> dict[str, Json]:
    entry = {"schema": "baseline.sql", "hypothesis": way.hypothesis, **base}
    if way.ddl:
        entry["schema"] = f"{way.name}.sql"
        made[f"{way.name}.sql"] = f"{own.schema.text.rstrip()}\n\n{way.ddl}\n"
    if way.settings:
        entry["settings"] = dict(way.settings)
    if way.rewrite:
        query, text = way.rewrite
        made[f"{way.name}.sql"] = text
        entry["sql"] = {**base.get("sql", {}), query: f"{way.name}.sql"}
    return entry


def _yaml(read: Scenario, entries: Mapping[str, Json], queries: list[str]) -> str:
    """The scenario's own text with other candidates; JSON, which is YAML too, where names may be anything."""
    sections = [one for one in _TOP.split(read.files["scenario.yaml"]) if one.strip()]
    kept = [one for one in sections if one.split(":", 1)[0].strip() not in (*_REPLACED, "format")]
    lines = [
        "format: 1",
        f"question: What helps {', '.join(queries)}, and what does it cost the rest?",
        "",
        "".join(kept).rstrip(),
        "",
        f"baseline: {json.dumps(read.baseline, ensure_ascii=False)}",
        "candidates:",
        *(
            f"  {json.dumps(key, ensure_ascii=False)}: {json.dumps(one, ensure_ascii=False)}"
            for key, one in entries.items()
        ),
    ]
    return "\n".join(lines) + "\n"


def _readme(name: str, read: Scenario, found: Diagnosis, ways: tuple[Way, ...]) -> str:
    facts = {
        "name": name,
        "of": read.name,
        "baseline": read.baseline,
        "rows": read.lab.rows,
        "tried": found.tried,
        "by": found.by,
        "most": len(found.kept),
        "refused": [{"ddl": one.ddl, "refused": one.refused} for one in found.refused],
        "queries": [{"name": query, "said": SAID[one.kind], **asdict(one)} for query, one in found.bottlenecks.items()],
        "ways": [
            {"name": one.name, "hypothesis": one.hypothesis, "ddl": one.ddl, "gains": _gains(found, one.ddl)}
            for one in ways
        ],
    }
    return template.rendered("diagnosis.md.j2", Book(facts)).text


def _gains(found: Diagnosis, ddl: str) -> list[dict[str, Json]]:
    return [
        {"query": query, "ratio": ratio} for one in found.kept if one.ddl == ddl for query, ratio in one.gains.items()
    ]


def write(folder: Path, made: Mapping[str, str]) -> None:
    """Write the new scenario; PlaceError where the disk refuses."""
    try:
        for path, text in made.items():
            target = folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text, encoding="utf-8", newline="\n")
    except OSError as error:
        raise PlaceError(f"{folder}: cannot be written: {error.strerror or error} (is this folder yours?)") from None
