"""The one table of metrics: what may be measured, in which unit, and which way is good.

The set a scenario has follows from its queries and its timeline alone (names_of), so that a
requirement on a metric that does not exist is refused before anything runs.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

Kind = Literal["exact", "size", "time", "rate"]


@dataclass(frozen=True)
class Metric:
    """One row of the table. *pattern* holds `<query>` where a query's name stands.

    *better* is the good direction; *zero* says that the value can be 0, so that differences and
    not ratios are taken; *operations* is how many operations in a trial the value needs before an
    interval for it exists at all. *after* is the timeline step it comes from. *invariants* are
    what the lab must keep of production for a claim about it to transfer (project.py).
    """

    pattern: str
    unit: str
    kind: Kind
    better: Literal["lower", "higher"]
    after: str
    zero: bool = False
    operations: int = 1
    invariants: tuple[str, ...] = ()
    shapes: bool = False
    work: bool = False

    @property
    def in_rounds(self) -> bool:
        """Whether each round measures it, and not only the load before them."""
        return self.after not in ("ingest", "count")


_PARTS = ("partitions per query",)
_LOCKS = ("locks per query", "databases")
_ROWS = ("rows per query", "databases", *_PARTS)
_READ = (*_ROWS, "rows read in vain", "days per BRIN range")
_BLOCKS = (*_READ, "blocks while driven")
_WIDE = ("rows per partition", "databases")
_IMAGES = ("checkpoint distance", "rows in all")  # a page is written whole once between two: of how many pages?
_IMAGES_DRIVEN = ("checkpoints while driven",)
_IMAGES_MOVED = ("checkpoints while rows move",)

TABLE: tuple[Metric, ...] = (
    Metric("query.<query>.p50_ms", "ms", "time", "lower", "drive", operations=6),
    Metric("query.<query>.p95_ms", "ms", "time", "lower", "drive", operations=59),
    Metric("query.<query>.p99_ms", "ms", "time", "lower", "drive", operations=299),
    Metric("query.<query>.p999_ms", "ms", "time", "lower", "drive", operations=2995),
    Metric("query.<query>.mean_ms", "ms", "time", "lower", "drive", operations=2),
    Metric("query.<query>.max_ms", "ms", "time", "lower", "drive"),
    Metric("query.<query>.per_s", "1/s", "rate", "higher", "drive"),
    Metric("query.<query>.error_share", "share", "rate", "lower", "drive", zero=True),
    Metric("query.<query>.over_limit_share", "share", "rate", "lower", "drive", zero=True),
    Metric("query.<query>.planning_ms", "ms", "time", "lower", "count"),
    Metric(
        "query.<query>.blocks_per_call", "blocks", "exact", "lower", "count", invariants=(*_READ, "blocks while driven")
    ),
    Metric("query.<query>.rows_per_call", "rows", "exact", "lower", "count", True, 1, _ROWS),
    Metric("query.<query>.locks_per_call", "locks", "exact", "lower", "count", True, 1, _LOCKS),
    Metric("query.<query>.fast_path_misses_per_call", "locks", "exact", "lower", "count", True, 1, _LOCKS),
    Metric("query.<query>.partitions_per_call", "relations", "exact", "lower", "count", True, 1, _PARTS),
    Metric("query.<query>.wal_bytes_per_call", "bytes", "exact", "lower", "count", True, 1, _ROWS),
    Metric("query.<query>.temp_bytes_per_call", "bytes", "exact", "lower", "count", True, 1, _READ),
    Metric("query.<query>.inner_calls_per_call", "calls", "exact", "lower", "count", True, 1, _ROWS, shapes=True),
    Metric("query.<query>.driven_blocks_per_call", "blocks", "size", "lower", "drive", invariants=_READ),
    Metric("query.<query>.first_query_ms", "ms", "time", "lower", "count"),
    Metric("mix.server_ms_per_op", "ms", "time", "lower", "drive"),
    Metric("mix.per_s", "1/s", "rate", "higher", "drive"),
    Metric("mix.generator_us_per_op", "us", "time", "lower", "drive"),
    Metric("mix.wal_record_bytes_per_op", "bytes", "size", "lower", "drive", True, 1, _WIDE, shapes=True),
    Metric("mix.wal_fpi_bytes_per_op", "bytes", "size", "lower", "drive", True, 1, _IMAGES_DRIVEN, shapes=True),
    Metric("mix.commits_per_op", "commits", "size", "lower", "drive", True, 1, _ROWS, shapes=True),
    Metric("mix.round_trips_per_op", "round trips", "size", "lower", "drive", invariants=_ROWS),
    Metric("mix.inner_calls_per_op", "calls", "size", "lower", "drive", True, 1, _ROWS, shapes=True),
    Metric("busiest_cpu_s_per_op", "s", "time", "lower", "drive", invariants=_READ, shapes=True, work=True),
    Metric("cpu_s_per_op", "s", "time", "lower", "drive", invariants=_READ, work=True),
    Metric("saturate.per_s", "1/s", "rate", "higher", "saturate"),
    Metric("saturate.service_ms", "ms", "time", "lower", "saturate"),
    Metric("ingest.rows_per_s", "rows/s", "rate", "higher", "ingest"),
    Metric("append.rows_per_s", "rows/s", "rate", "higher", "append"),
    Metric("append.wal_bytes_per_row", "bytes/row", "size", "lower", "append", invariants=(*_WIDE, *_IMAGES_MOVED)),
    Metric("retire.ms", "ms", "time", "lower", "retire"),
    Metric("retire.wal_bytes_per_row", "bytes/row", "size", "lower", "retire", invariants=(*_WIDE, *_IMAGES_MOVED)),
    Metric("maintain.ms", "ms", "time", "lower", "maintain"),
    Metric("maintain.wal_bytes_per_row", "bytes/row", "size", "lower", "maintain", True, 1, (*_WIDE, *_IMAGES_MOVED)),
    Metric("backend_memory_bytes", "bytes", "exact", "lower", "count", invariants=("partitions in all", "databases")),
    Metric("size.total_bytes", "bytes", "exact", "lower", "count", invariants=_WIDE),
    Metric("size.heap_bytes", "bytes", "exact", "lower", "count", invariants=_WIDE),
    Metric("size.index_bytes", "bytes", "exact", "lower", "count", True, 1, _WIDE),
    Metric("size.toast_bytes", "bytes", "exact", "lower", "count", True, 1, _WIDE),
    Metric("size.bytes_per_row", "bytes/row", "exact", "lower", "count", invariants=_WIDE),
    Metric("wal.record_bytes_per_row", "bytes/row", "exact", "lower", "ingest", invariants=_WIDE),
    Metric("wal.fpi_bytes_per_row", "bytes/row", "exact", "lower", "ingest", True, 1, _IMAGES),
    Metric("wal.bytes_per_row", "bytes/row", "exact", "lower", "ingest", invariants=(*_WIDE, *_IMAGES)),
    Metric("xids_per_million_rows", "xids", "exact", "lower", "ingest", True, 1, ("rows in all", "databases")),
)

_QUERY = "[a-z][a-z0-9_]*"
_RULES = tuple((re.compile(re.escape(m.pattern).replace("<query>", _QUERY)), m) for m in TABLE)


def find(name: str) -> Metric | None:
    """The row of the table that *name* belongs to, or None.

    >>> find("query.recent.p95_ms").operations
    59
    >>> find("query.recent.p97_ms") is None
    True
    """
    return next((metric for rule, metric in _RULES if rule.fullmatch(name)), None)


def row(name: str) -> Metric:
    """The row of a *name* that is known to be in the table."""
    metric = find(name)
    if metric is None:
        raise KeyError(name)
    return metric


def names_of(queries: Iterable[str], steps: Sequence[str], *, shapes: bool = False) -> tuple[str, ...]:
    """Every metric that a scenario with these queries and timeline steps, and with *shapes*, has.

    >>> "retire.ms" in names_of(["recent"], ["ingest", "count", "drive"])
    False
    >>> "query.recent.p95_ms" in names_of(["recent"], ["ingest", "count", "drive"])
    True
    """
    rows = [metric for metric in TABLE if metric.after in steps and (shapes or not metric.shapes)]
    return tuple(
        metric.pattern.replace("<query>", query)
        for metric in rows
        for query in (sorted(queries) if "<query>" in metric.pattern else [""])
    )
