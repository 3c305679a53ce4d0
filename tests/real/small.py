"""A small scenario on disk, for tests that run the lab for real: seconds, not minutes."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil

from lab import alone
from lab.errors import PlaceError

PATIENCE_S = 150.0  # for another run on this machine to end

SCENARIO = """\
format: 1
question: Which index serves the readings of one device?
production: {rows_per_day: 500, keep_days: 4, entities: {device: 20}}
lab: {days: 4, rows: 2_000}
requirements:
  - {metric: query.recent.p95_ms, at_most: 1_000}
objective: {minimise: mix.server_ms_per_op}
workload: readings
baseline: plain
timeline:
  - {do: ingest}
  - {do: settle}
  - {do: count}
  - do: round
    steps:
      - {do: append, rows: 500}
      - {do: drive, for: 100ms, rate: 300}
      - {do: retire}
candidates:
  plain: {schema: plain.sql, hypothesis: what is there, sql: {retire: retire.sql}}
  "Other \\"näme\\"": {schema: other.sql, hypothesis: without the index, sql: {retire: retire.sql}}
"""

TABLE = (
    "CREATE TABLE readings (id bigint PRIMARY KEY, at timestamptz NOT NULL, device integer NOT NULL, value float8);\n"
)
INDEX = "CREATE INDEX ON readings (device, at);\n"

FILES = {
    "scenarios/small/scenario.yaml": SCENARIO,
    "scenarios/small/plain.sql": TABLE + INDEX,
    "scenarios/small/other.sql": TABLE,
    "scenarios/small/retire.sql": "DELETE FROM readings WHERE at >= :from AND at < :to;\nVACUUM readings;\n",
    "workloads/readings/workload.yaml": "mix: {recent: 5, by_id: 2}\nclients: 2\ndriver: locust\n",
    "workloads/readings/data.yaml": (
        "streams:\n"
        "  readings:\n"
        "    kind: synthetic\n"
        "    time: {column: at, start: 2026-01-01}\n"
        "    columns:\n"
        "      id: {type: bigint, sequence: 1}\n"
        "      at: {type: timestamptz}\n"
        "      device: {type: int, of: device, skew: zipf(1.1)}\n"
        '      value: {type: float8, law: "normal(20, 5)", nulls: 0.1}\n'
    ),
    "workloads/readings/recent.sql": (
        "-- params: device=readings.device zipf(1.1), since=window.to - 1d\n"
        "SELECT at, value FROM readings WHERE device = :device AND at >= :since ORDER BY at DESC, id LIMIT 20\n"
    ),
    "workloads/readings/by_id.sql": "-- params: id=readings.id\nSELECT * FROM readings WHERE id = :id\n",
}


def write(folder: Path, **changes: str | None) -> Path:
    """Lay the scenario out in *folder*; *changes* are by file name, None leaves a file away."""
    for name, text in {**FILES, **changes}.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if text is not None:
            path.write_text(text, encoding="utf-8")
    return folder


def pglab(folder: Path, *words: str, **more: object) -> subprocess.CompletedProcess[str]:
    """Run the command in *folder*, as a user would; nothing of this project is on its path but the package.

    Where another run measures on this machine, it is waited for.
    """
    return patiently(lambda: once(folder, *words, **more))


def patiently(command: Callable[[], subprocess.CompletedProcess[str]]) -> subprocess.CompletedProcess[str]:
    """What a command came to, given again as long as another run measures on this machine."""
    until = time.monotonic() + PATIENCE_S
    while True:
        done = command()
        if "another pglab is measuring" not in f"{done.stderr}" or time.monotonic() > until:
            return done
        time.sleep(1)


def wait_for_the_machine() -> None:
    """Return when no other run measures on this machine; a test fails whose turn does not come."""
    until = time.monotonic() + PATIENCE_S
    while True:
        try:
            with alone.measuring():
                return
        except PlaceError:
            assert time.monotonic() < until, "another run does not end"
            time.sleep(0.5)


def words(process: psutil.Process) -> str:
    """A process's command line, "" where it is gone by now, or is about to be."""
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


def once(folder: Path, *words: str, timeout: float = 240, **more: object) -> subprocess.CompletedProcess[str]:
    """The same, without waiting for anybody; *timeout* in s."""
    return subprocess.run(
        [sys.executable, "-m", "lab.cli", *words],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=timeout,
        env=environment(),
        **more,
    )


def environment() -> dict[str, str]:
    """The environment, with this checkout's package first."""
    return {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "COLUMNS": "200"}
