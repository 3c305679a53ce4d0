"""The nouns, frozen: what is handed from one layer to the next.

Scenario -> (Topology, Candidate) -> Instance -> Trial -> ops, facts -> Measurement -> Evidence -> Plan

Nothing here acts. Times of day are aware datetimes in UTC, durations carry their unit in the
name, and mappings keep the author's order.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Literal

import pyarrow as pa

Json = Any  # a value that json.dumps takes and json.loads gives back


# --- what the author wrote ------------------------------------------------------------------


@dataclass(frozen=True)
class Topology:
    """A shape: its *kind* is a module of clusters/, *options* what that kind takes."""

    kind: str = "single"
    options: Mapping[str, Json] = field(default_factory=dict)
    postgres: int | None = None  # a major version; None: the host's own


@dataclass(frozen=True)
class SqlFile:
    """One SQL file as the server gets it: *file* for messages, *text* after templating."""

    file: str
    text: str


@dataclass(frozen=True)
class Parameter:
    """Where the values of one query parameter come from.

    *origin* is `stream.column` (values as the rows have them), `window.from`, `window.to`
    (the bounds of the data that are there now), or "" where *law* makes the values itself.
    *law* is a distribution in the words of draw.parse, "" for "as the rows occur".
    *shift_s* is added to a window bound or a time, *shift* to a number.
    """

    name: str
    origin: str = ""
    law: str = ""
    shift_s: float = 0.0
    shift: float = 0.0


@dataclass(frozen=True)
class Statement:
    """One SQL statement with `$1`-style placeholders.

    *text* holds after its first word the mark `/* pglab:<query> */`, by which pg_stat_statements
    is read (PostgreSQL 18 keeps no comment that comes before the first word).
    *takes*: for each placeholder in order, the index into the query's parameters.
    *line*: where it begins in its file; *text* has the lines that the file has.
    """

    text: str
    takes: tuple[int, ...] = ()
    line: int = field(default=1, compare=False)


@dataclass(frozen=True)
class Query:
    """One operation of the mix; several statements are one transaction.

    *send*: `prepared` (once per connection), `literal` (values in the text, so that the planner
    sees them), `unprepared` (parameters apart, planned at each call).
    *ordered*: the order of the rows is part of the answer; otherwise answers are multisets.
    *calls*: functions of the candidate's schema that it calls and that may write.
    """

    name: str
    file: str
    statements: tuple[Statement, ...]
    params: tuple[Parameter, ...] = ()
    weight: float = 1.0
    send: Literal["prepared", "literal", "unprepared"] = "prepared"
    ordered: bool = False
    calls: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Stream:
    """Named rows, and the source that makes them: *kind* is a module of sources/."""

    name: str
    kind: str
    options: Mapping[str, Json]
    place: str = ""  # file and line, for messages


@dataclass(frozen=True)
class Workload:
    """What is asked (queries in the order of the mix) and of which rows (streams)."""

    name: str
    queries: tuple[Query, ...]
    streams: Mapping[str, Stream]
    clients: int = 4
    driver: str = "locust"
    locustfile: SqlFile | None = None
    processes: int = 1  # of the load generator


@dataclass(frozen=True)
class Candidate:
    """One answer to the question. *sql*: the file-given steps `before_append`, `retire`, ...

    *queries* is the whole mix with this candidate's own texts in place; *load* is None where
    the streams go straight to the tables of their names.
    """

    name: str
    hypothesis: str
    schema: SqlFile
    load: SqlFile | None
    steps: Mapping[str, SqlFile]
    queries: tuple[Query, ...]
    settings: Mapping[str, str]
    topology: Topology
    ingest: Mapping[str, Json]  # {"method": "copy_binary", "connections": 1}
    clients: int | None = None  # None: as many as the step or the workload says


@dataclass(frozen=True)
class Requirement:
    """An absolute limit: exactly one of *at_most* and *at_least*. *place* is file and line."""

    metric: str
    at_most: float | None = None
    at_least: float | None = None
    limit_ms: float | None = None  # what over_limit_share counts
    place: str = ""


@dataclass(frozen=True)
class Catalogue:
    """A study of partition counts: *candidate*'s schema rendered with each of *partitions*."""

    candidate: str
    partitions: tuple[int, ...]
    schemas: tuple[SqlFile, ...]  # one per partition count
    place: str = ""


@dataclass(frozen=True)
class Production:
    """What the lab stands for. None: the author did not say."""

    rows_per_day: int | None = None
    keep_days: int | None = None
    entities: Mapping[str, int] = field(default_factory=dict)
    memory_bytes: int | None = None
    shared_buffers_bytes: int | None = None
    work_mem_bytes: int | None = None
    peak_factor: float | None = None
    checkpoint_rows: int | None = None


@dataclass(frozen=True)
class Lab:
    """How production is shrunk. *entities* are the numbers of distinct keys in the lab's rows.

    *data_to_memory*: `in_memory`, `as production`, or a ratio. *strict*: shared_buffers is all the
    cache there is, because servers read and write past the operating system's.
    """

    rows: int | None = None
    days: int | None = None
    shrink: tuple[str, ...] = ()
    entities: Mapping[str, int] = field(default_factory=dict)
    data_to_memory: str | float = "in_memory"
    strict: bool = False


@dataclass(frozen=True)
class Resources:
    """What shapes of several nodes are given: *cpus* and *memory_bytes* of all (`total`), or of each."""

    equal: Literal["total", "per_node"]
    cpus: float
    memory_bytes: int
    place: str = ""  # file and line, for messages


@dataclass(frozen=True)
class LeastEffect:
    """The smallest difference anybody acts on, as a share: 0.01 is one percent."""

    exact: float = 0.01
    time: float = 0.10


@dataclass(frozen=True)
class Scenario:
    """A question, the requirements, and the candidate answers; all files read, all names known.

    *candidates* are in the author's order, which is the order of simplicity.
    *prepare* and *round* are the timeline's steps (timeline.Step) before and within a round.
    *files*: every file the scenario is made of, by the name messages use, verbatim.
    """

    name: str
    question: str
    production: Production
    lab: Lab
    requirements: tuple[Requirement, ...]
    objective: str  # the metric to minimise or, by its direction, maximise
    least_effect: LeastEffect
    profile: str
    workload: Workload
    baseline: str
    candidates: Mapping[str, Candidate]
    catalogue: Catalogue | None
    prepare: tuple[Any, ...]
    round: tuple[Any, ...]
    isolation: Literal["kept", "restored", "fresh"]
    unsafe: str | None
    files: Mapping[str, str]
    resources: Resources | None = None  # None: every candidate has the whole host
    cache: Literal["warm", "cold"] = "warm"  # cold: emptied before each slice
    lengthened: tuple[str, ...] = ()  # the steps of the round that the profile drives for longer than is written
    probes: str = "1s"  # how often totals are read while load runs (probes/watcher.py); off: nobody watches


# --- what is planned and what happened ------------------------------------------------------


@dataclass(frozen=True)
class Endpoint:
    """Where a client connects: *conninfo* is libpq's keyword/value string."""

    node: str
    role: Literal["write", "read", "admin"]
    conninfo: str


@dataclass(frozen=True)
class Window:
    """A run of rows by number, and the times they span: [first, last), [start, end)."""

    first: int
    last: int
    start: datetime
    end: datetime


@dataclass(frozen=True)
class Instance:
    """One prepared cluster of a candidate. The baseline's second, in `quick`, is the twin."""

    candidate: str
    load: int
    twin: bool = False

    @property
    def name(self) -> str:
        """The name for people; the twin is not a candidate and says so.

        >>> Instance("heap", 2, twin=True).name, Instance("heap", 1).name
        ('heap (twin)', 'heap')
        """
        return f"{self.candidate} (twin)" if self.twin else self.candidate


@dataclass(frozen=True)
class Trial:
    """One slice on one instance in one round.

    *seed* decides parameters and due times, and is the same for every trial of a round.
    *position* is the place in the round's drawn order, from 0.
    """

    id: str
    instance: Instance
    round: int
    position: int
    seed: int


@dataclass(frozen=True)
class Slice:
    """A trial as it was recorded.

    *steps*: what happened, in order; every step has `do`, `start_ns`, `end_ns` (CLOCK_MONOTONIC),
    `wal_bytes` (insert position), `server_cpu_s`, `foreign_cpu_share` (of all cores, by processes
    that are neither the lab's nor the server's), `checkpoints` and `autovacuums` (workers seen, or
    what they finished).
    Further keys by kind: `append` and `retire` have `rows`; `drive` and `saturate` have `rate`,
    `for_s`, `clients`, `generator_cpu_s`, `generator_throttled_s` (by a quota), `workers`
    (drivers.Driven; only where load workers sent), `zero_ns` (the zero of due times), `drive` alone `due`
    (how many operations were due; what is not recorded of them is missing), and `statements`:
    query -> {calls, plan_ms, exec_ms, blocks, read (of these), wal_bytes, temp_bytes}, differences of
    pg_stat_statements over the step. The last step has `activity`, the server's statistics after it
    (probes/activity.py). *ops* is a table of drivers.OPS for all driven steps. A `witness` has `rate` to
    `zero_wall_ns` as a `drive` has, and its operations are in *witness*; None where there was none.
    *rows* are the rows in the candidate's tables after the slice, *rows_due* what they should be.
    *series* is a table of probes.SERIES over all driven steps; None where nobody watched.
    """

    trial: Trial
    steps: tuple[Mapping[str, Json], ...]
    ops: pa.Table
    rows: int
    rows_due: int
    series: pa.Table | None = None
    witness: pa.Table | None = None


@dataclass(frozen=True)
class Prepared:
    """An instance as it was recorded, before the first round.

    *metrics*: name -> the values of the passes of the count pass (or one value of the load);
    what repeats within 0.1 % is exact. *explains*: query -> list of {params, plan}, the JSON of
    EXPLAIN. *digests*: query -> one digest for each parameter set. *settings*: name ->
    {value, unit, source} where they differ from the server's defaults. *guarantees*: constraints
    as the catalogs word them. *report*: rows, seconds, bytes and `checkpoints` (by server that
    writes) of the load; what the catalogs have (inventory.py); `queries`, their plans in other modes (modes.py).
    """

    instance: Instance
    metrics: Mapping[str, tuple[float, ...]]
    explains: Mapping[str, Json]
    digests: Mapping[str, tuple[str, ...]]
    settings: Mapping[str, Mapping[str, Json]]
    guarantees: tuple[str, ...]
    report: Mapping[str, Json]


@dataclass(frozen=True)
class Study:
    """One point of the catalogue study: *metrics* as in Prepared, at *partitions* partitions."""

    candidate: str
    partitions: int
    metrics: Mapping[str, tuple[float, ...]]


@dataclass(frozen=True)
class Measurement:
    """One metric of one trial, or of one instance (*round* None, *trial* its folder's name).

    *operations* is the number of operations the value rests on, None where that has no meaning.
    *limit_ms* is what an `over_limit_share` counts; one query may have several limits.
    """

    instance: Instance
    round: int | None
    trial: str
    metric: str
    value: float
    operations: int | None = None
    limit_ms: float | None = None


# --- what may be said -----------------------------------------------------------------------


class Verdict(StrEnum):
    """What the trials allow us to say about a candidate."""

    BETTER = "better"
    WORSE = "worse"
    SAME = "same"  # shown to differ by less than anyone cares about
    UNCLEAR = "unclear"  # not shown; more rounds, or a quieter machine, might
    DESCRIBED = "described"  # an interval for the reader; nothing is claimed
    MET = "met"
    NOT_MET = "not met"
    NOT_SHOWN = "not shown"


class Scope(StrEnum):
    """How far a claim reaches."""

    TRANSFERS = "transfers"
    THIS_HOST = "this host only"
    NOT_DECIDABLE = "not decidable here"


class Family(StrEnum):
    """The set of claims that share one error rate."""

    EXACT = "exact"
    REQUIREMENT = "requirement"
    OBJECTIVE = "objective"
    DESCRIBED = "described"


@dataclass(frozen=True)
class Evidence:
    """One thing the trials say of *candidate* about *metric*.

    *scale*: `ratio` (candidate / against, 0.80 is a fifth less), `difference` (same unit as the
    metric) or `value` (absolute, for requirements). *low* and *high* may be infinite where one
    side says nothing. *base* and *own* are the two sides' own values, for the reader.
    *id* is the address of the datum.
    """

    candidate: str
    against: str
    metric: str
    scale: Literal["ratio", "difference", "value"]
    value: float
    low: float
    high: float
    family: Family
    verdict: Verdict
    scope: Scope
    because: str
    trials: tuple[str, ...]
    own: float | None = None
    base: float | None = None
    look: bool = False  # Benjamini-Hochberg: look here

    @property
    def id(self) -> str:
        """The address: `by-day/size.total_bytes`; a requirement's, `by-day:at_most/retire.ms`.

        A requirement is against its limit, so that *against* is `at_most` or `at_least`, and its
        address differs from that of the same metric against the baseline.
        """
        other = f":{self.against}" if self.family is Family.REQUIREMENT else ""
        return f"{self.candidate}{other}/{self.metric}"


@dataclass(frozen=True)
class Doubt:
    """Why a trial, or what it says about time, is not fit to be evidence.

    *leaves_out*: the trial is no evidence at all. Otherwise it is none about time, but where *kind* is a mere note
    (check.NOTES), which takes nothing away.
    *what* is a phrase without digits (numbers reach a plan by address only).
    """

    trial: str
    kind: str
    what: str
    leaves_out: bool


@dataclass(frozen=True)
class Decision:
    """What to do, and how sure that is.

    *kind*: `recommend` a challenger, `keep` the baseline, `open` (nothing may be said yet), `no`
    (every candidate fails a requirement). *pick* is the candidate for the first two, else None.
    *may_lose*: eligible candidate -> the most it could lose to the best one, as a share (Hsu).
    *may_be_best*: the eligible candidates not shown to be worse than the best.
    *smallest_effect* is the smallest difference of the objective, as a share, that this run's
    verdict could have shown in 80 % of runs; None where it cannot be had.
    *noise_sd* is the objective's pooled sd of the log ratio of one pair.
    *because*: phrases without digits, most important first.
    """

    kind: Literal["recommend", "keep", "open", "no"]
    pick: str | None
    may_lose: Mapping[str, float]
    may_be_best: tuple[str, ...]
    smallest_effect: float | None
    noise_sd: float | None
    exploratory: bool
    because: tuple[str, ...]


@dataclass(frozen=True)
class Weighed:
    """All that one run's measurements allow to be said.

    *twin*: metric -> the largest difference of nothing, as |mean| + t s / sqrt(n) on the log scale.
    *rounds*: how many rounds entered. *time_refused*: why nothing is said about time, "" if it is.
    *standing*: candidate -> whether it may be chosen (only if met), and why not, where no requirement says so.
    *exact*: all values of the objective repeat, so that the least effect of what is exact is in force for it.
    """

    evidence: tuple[Evidence, ...]
    decision: Decision
    twin: Mapping[str, float]
    rounds: int
    time_refused: str
    standing: Mapping[str, tuple[Verdict, str]] = field(default_factory=dict)
    exact: bool = False
