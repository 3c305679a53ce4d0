"""Trials as they would have been recorded, written down by hand."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from lab.drivers import OPS
from lab.model import Instance, Json, Prepared, Slice, Trial

MS = 1_000_000
START = 5_000_000_000


def ops(
    number: int,
    *,
    due: Any = None,
    start: Any = None,
    end: Any = None,
    name: str | Sequence[str] = "recent",
    outcome: Sequence[str] | None = None,
    clients: int = 4,
) -> pa.Table:
    """So many operations, due every 10 ms, started when due, answered in 1 ms by clients in turn."""
    due = START + np.arange(number) * 10 * MS if due is None else np.asarray(due)
    start = due if start is None else np.asarray(start)
    end = start + MS if end is None else np.asarray(end)
    outcome = outcome or ["ok"] * number
    columns = {
        "seq": np.arange(number),
        "client": (np.arange(number) % clients).astype(np.int32),
        "name": pa.array([name] * number if isinstance(name, str) else name).dictionary_encode(),
        "due_ns": due,
        "start_ns": start,
        "end_ns": end,
        "outcome": pa.array(outcome, pa.string()).dictionary_encode(),
        "sqlstate": pa.array([None if o == "ok" else "57014" for o in outcome], pa.string()),
        "rows": np.ones(number, dtype=np.int64),
        "key": pa.nulls(number, pa.string()),
    }
    return pa.table(columns).cast(OPS)


def step(do: str, *, start_ns: int = START, end_ns: int = START + 2000 * MS, **more: Json) -> dict[str, Json]:
    """One step of a slice, from START for two seconds, at peace."""
    facts = {"wal_bytes": 0, "server_cpu_s": 0.1, "foreign_cpu_share": 0.0, "checkpoints": 0, "autovacuums": 0}
    return {"do": do, "start_ns": start_ns, "end_ns": end_ns} | facts | more


def drive(**more: Json) -> dict[str, Json]:
    """A driven step."""
    return step("drive", **({"rate": 100, "for_s": 2.0, "clients": 4, "zero_ns": START, "statements": {}} | more))


def sliced(
    steps: Mapping[str, Json] | Sequence[Mapping[str, Json]],
    table: pa.Table,
    *,
    round_: int = 0,
    rows: int = 1000,
    rows_due: int = 1000,
) -> Slice:
    """One trial of heap."""
    trial = Trial(f"heap.1.r{round_}-0123456789", Instance("heap", 1), round_, 0, 7)
    return Slice(trial, (steps,) if isinstance(steps, Mapping) else tuple(steps), table, rows, rows_due)


def prepared(
    name: str,
    digests: Mapping[str, tuple[str, ...]] | None = None,
    metrics: Mapping[str, tuple[float, ...]] | None = None,
    *,
    instance: Instance | None = None,
) -> Prepared:
    """One instance before the first round."""
    return Prepared(instance or Instance(name, 1), metrics or {}, {}, digests or {}, {}, (), {})
