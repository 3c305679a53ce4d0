"""A small scenario as text, for tests to spoil, and parts that need no server."""

from collections.abc import Mapping
from datetime import datetime

from pydantic import BaseModel, ConfigDict

from lab import scenario
from lab.model import Json, Scenario

SCENARIO = """\
format: 1
question: Which index?
production: {rows_per_day: 1_000, keep_days: 100, entities: {device: 50}, memory: 64GiB}
lab: {shrink: [short, narrow], days: 10, rows: 1_000}
requirements:
  - {metric: query.recent.p95_ms, at_most: 50}
objective: {minimise: mix.server_ms_per_op}
workload: events
baseline: heap
candidates:
  heap:
    schema: heap.sql
    hypothesis: plain
    sql: {retire: retire.sql}
  by-{interval}:
    schema: part.sql.j2
    matrix: {interval: [month, day]}
    hypothesis: pruning
    sql: {retire: retire.sql}
"""

FILES: Mapping[str, str] = {
    "scenario.yaml": SCENARIO,
    "heap.sql": "CREATE TABLE events (id bigint);\n",
    "part.sql.j2": "CREATE TABLE events_{{ interval }} (id bigint); -- {{ partitions }}\n",
    "retire.sql": "DELETE FROM events WHERE at < :to;\n",
    "workload/workload.yaml": "mix: {recent: 5, by_id: 1}\nclients: 2\ndriver: fast\n",
    "workload/data.yaml": (
        "streams:\n"
        "  events:\n"
        "    kind: made\n"
        "    time: {column: at, start: 2026-01-01}\n"
        "    columns: {id: 1, device: 1, at: 1}\n"
    ),
    "workload/recent.sql": (
        "-- params: device=events.device zipf(1.1), since=window.to - 7d\n"
        "SELECT 1 FROM events WHERE device = :device AND at > :since\n"
    ),
    "workload/by_id.sql": "-- params: id=events.id\nSELECT 1 FROM events WHERE id = :id\n",
}


class _Options(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class _Time(_Options):
    column: str
    start: datetime


class _Made(_Options):
    columns: dict[str, Json]
    time: _Time | None = None


class _Over(_Options):
    behind: dict[str, Json] = {}
    mode: str = "session"

    def cannot(self) -> Mapping[str, str]:
        return {"prepared": "mode: session"} if self.mode == "statement" else {}


class Parts:
    """Stands for lab.parts; the driver `plain` cannot draw from the rows."""

    _kinds: Mapping[str, Mapping[str, type[BaseModel] | None]] = {
        "sources": {"made": _Made},
        "clusters": {"single": _Options, "over": _Over},
        "ingest": {"copy_binary": None},
        "drivers": {"fast": None, "plain": None},
    }

    def kinds(self, package: str) -> tuple[str, ...]:
        return tuple(sorted(self._kinds[package]))

    def options(self, package: str, kind: str) -> type[BaseModel] | None:
        return self._kinds[package][kind]

    def cannot(self, driver: str) -> frozenset[str]:
        return frozenset({"samples", "literal"} if driver == "plain" else ())


def read(files: Mapping[str, str] = FILES, given: scenario.Given | None = None) -> Scenario:
    return scenario.read("sample", scenario.kept(files), Parts(), given or scenario.Given())


def edited(*edits: tuple[str, str, str], **more: str) -> dict[str, str]:
    """The sample's files with (file, old, new) replaced once each."""
    files = dict(FILES)
    for file, old, new in edits:
        assert files[file].count(old) > 0, f"{file} has no {old!r}"
        files[file] = files[file].replace(old, new, 1)
    return files | more
