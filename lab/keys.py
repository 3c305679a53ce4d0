"""The keys authors may write in scenario.yaml, workload.yaml and data.yaml, as pydantic forms.

A field's description is what would be right there, in the words of a message: see wording.py.
"""

import math
import re
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Protocol

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

from lab.timeline import Clients, Written

OLDEST = 17
"""The oldest major version of PostgreSQL of which the lab's own questions are asked."""

_SIZE = re.compile(r"(\d{1,15}(?:\.\d+)?)\s*(B|kB|KiB|MB|MiB|GB|GiB|TB|TiB)")
_BYTES = {"B": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
_BYTES |= {"KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40}
_A_SIZE = "a size such as 64GiB, 512MiB"

PROBES = ("off", "1s", "100ms")
"""How often servers and machine are looked at while load runs."""


def size(text: object) -> int:
    """A size as the author wrote it, in bytes; ValueError if it is none.

    >>> size("64GiB"), size("1.5kB")
    (68719476736, 1500)
    >>> size("64G")
    Traceback (most recent call last):
      ...
    ValueError: '64G' is no size (a size such as 64GiB, 512MiB)
    """
    found = _SIZE.fullmatch(text.strip()) if isinstance(text, str) else None
    if found is None:
        raise ValueError(f"{text!r} is no size ({_A_SIZE})")
    return int(float(found[1]) * _BYTES[found[2]])


Text = Annotated[str, Field(strict=True, min_length=1, pattern=r"\S")]
File = Annotated[str, Field(strict=True, min_length=1, description="the name of a file beside scenario.yaml")]
Metric = Annotated[str, Field(strict=True, min_length=1, description="a metric, such as query.<name>.p95_ms")]
Count = Annotated[int, Field(strict=True, gt=0, lt=10**15, description="a whole number above 0, such as 10_000")]
Size = Annotated[int, BeforeValidator(size, json_schema_input_type=str), Field(gt=0, description=_A_SIZE)]
Number = Annotated[float, Field(strict=True, allow_inf_nan=False, description="a number")]
Share = Annotated[float, Field(strict=True, gt=0, lt=1, description="a share, 0.10 for ten percent")]


def _single(value: object) -> object:
    if isinstance(value, str | int | float) and value not in ("", math.inf, -math.inf) and value == value:
        return value
    raise ValueError(f"{value!r} is no single value (text or a number)")


Value = Annotated[Any, AfterValidator(_single), WithJsonSchema({"type": ["string", "number", "boolean"]})]


class _Form(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


_A_PEAK = "peak rate by mean rate of rows coming in; with rows_per_day the plan tells the rate at peak"


class Production(_Form):
    """What the lab stands for."""

    rows_per_day: Count | None = None
    keep_days: Count | None = None
    entities: dict[str, Count] = {}
    memory: Size | None = None
    shared_buffers: Size | None = None
    work_mem: Size | None = None
    peak_factor: Annotated[float, Field(strict=True, gt=0, description=_A_PEAK)] | None = None
    checkpoint_rows: Count | None = None


def _ratio(value: str | float) -> str | float:
    if value in ("in_memory", "as production") or (not isinstance(value, str) and 0 < value < math.inf):
        return value
    raise ValueError(f"{value!r} is no ratio of data to memory (in_memory, as production, or a ratio such as 4.0)")


class Lab(_Form):
    """How the lab shrinks production."""

    rows: Count | None = None
    days: Annotated[int, Field(strict=True, gt=0, le=100_000, description="a whole number of days")] | None = None
    shrink: list[Literal["short", "narrow", "thin"]] = []
    entities: dict[str, Count] = {}
    data_to_memory: Annotated[
        str | Annotated[float, Field(strict=True)],
        AfterValidator(_ratio),
        Field(description="in_memory, as production, or a ratio"),
    ] = "in_memory"
    memory: Literal["strict"] | None = None


class Requirement(_Form):
    """An absolute limit."""

    metric: Metric
    at_most: Annotated[float, Field(strict=True, ge=0, allow_inf_nan=False, description="a limit")] | None = None
    at_least: Annotated[float, Field(strict=True, ge=0, allow_inf_nan=False, description="a limit")] | None = None
    limit_ms: Annotated[float, Field(strict=True, gt=0, allow_inf_nan=False, description="milliseconds")] | None = None


class Objective(_Form):
    """The one metric that decides among those who meet the requirements."""

    minimise: Metric | None = None
    maximise: Metric | None = None


class LeastEffect(_Form):
    """The smallest difference anybody acts on, as a share."""

    exact: Share = 0.01
    time: Share = 0.10


class Topology(BaseModel):
    """A shape; further keys are the options of its kind."""

    model_config = ConfigDict(frozen=True, extra="allow")

    kind: Text = "single"
    postgres: (
        Annotated[int, Field(strict=True, ge=OLDEST, le=99, description=f"a major version from {OLDEST} on")] | None
    ) = None


class Way(BaseModel):
    """A way for rows to come in; further keys are the options of the method."""

    model_config = ConfigDict(frozen=True, extra="allow")

    method: Text = "copy_binary"
    connections: Annotated[int, Field(strict=True, gt=0, le=64, description="1 to 64 connections")] = 1


class Ingest(Way):
    """How the first rows come in and, unless *append* says otherwise, those of the rounds."""

    append: Annotated[Way | None, Field(description="a way for later rows, such as {method: copy_binary}")] = None


class Resources(_Form):
    """What every shape is given, all of it together or each of its nodes."""

    equal: Annotated[Literal["total", "per_node"], Field(description="total or per_node")]
    cpus: Annotated[float, Field(strict=True, gt=0, allow_inf_nan=False, description="cores, such as 1.5")]
    memory: Size


class Catalogue(_Form):
    """A study of partition counts."""

    candidate: Text
    partitions: Annotated[list[Count], Field(min_length=1, description="partition counts, such as [13, 60, 395]")]


class Shared(_Form):
    """What a candidate may say for itself, and the scenario for all."""

    load: File | None = None
    sql: Annotated[dict[str, File], Field(description="query or step: file")] = {}
    settings: Annotated[dict[str, Value], Field(description="setting: value")] = {}
    topology: Topology = Topology()
    ingest: Ingest = Ingest()


class Candidate(Shared):
    """One answer to the question."""

    hypothesis: Annotated[Text, Field(description="one line: what should improve, and what it should cost")]
    schema_: Annotated[File | None, Field(alias="schema", description="the SQL file that makes the tables")] = None
    clients: Clients | None = None
    mix: dict[str, Any] | None = Field(None, description="only where the scenario says may_differ: [mix]")
    matrix: Annotated[
        dict[str, Annotated[list[Value], Field(min_length=1, description="the values, such as [month, day]")]],
        Field(description="placeholder: its values"),
    ] = {}


class Scenario(Shared):
    """scenario.yaml."""

    format: Literal[1]
    question: Annotated[Text, Field(description="one sentence that a candidate can answer")]
    production: Production = Production()
    lab: Lab = Lab()
    requirements: list[Requirement] = []
    objective: Annotated[Objective, Field(description="{minimise: mix.server_ms_per_op}")]
    least_effect: LeastEffect = LeastEffect()
    profile: Literal["quick", "decide", "gate"] = "quick"
    workload: Annotated[Text, Field(description="the name of a workload")] = "workload"
    baseline: Annotated[Text, Field(description="the name of the candidate the others are compared with")]
    schema_: Annotated[File | None, Field(alias="schema", description="the schema of candidates without one")] = None
    candidates: Annotated[dict[str, Any], Field(min_length=1, description="name: {schema: ..., hypothesis: ...}")]
    may_differ: list[Literal["mix"]] = []
    timeline: Annotated[list[Written], Field(min_length=1, description="[{do: ingest}, ...]")] | None = None
    catalogue: Catalogue | None = None
    resources: Resources | None = None
    isolation: Literal["kept", "restored", "fresh"] = "kept"
    cache: Literal["warm", "cold"] = "warm"
    probes: Annotated[Literal["off", "1s", "100ms"], Field(description=", ".join(PROBES))] = "1s"
    unsafe: Annotated[Text, Field(description="why durability may be off")] | None = None


class Workload(_Form):
    """workload.yaml."""

    mix: Annotated[dict[str, Any], Field(min_length=1, description="query: weight")]
    data: File = "data.yaml"
    clients: Clients = 4
    driver: Text = "locust"
    processes: Annotated[int, Field(strict=True, ge=1, le=64, description="a whole number of processes, 1 to 64")] = 1
    params: Annotated[dict[str, Any], Field(description="query: {parameter: source}")] = {}
    locustfile: File | None = None


class Weights(BaseModel):
    """A mix: how often each query is asked, relative to the others."""

    mix: dict[str, Annotated[float, Field(strict=True, gt=0, allow_inf_nan=False, description="a weight above 0")]]


class Data(_Form):
    """data.yaml."""

    streams: Annotated[dict[str, Any], Field(min_length=1, description="events: {kind: synthetic, ...}")]


class Stream(BaseModel):
    """One stream of data.yaml; further keys are the options of its source."""

    model_config = ConfigDict(frozen=True, extra="allow")

    kind: Text


@dataclass(frozen=True)
class Given:
    """What the command line says instead of the files."""

    rows: int | None = None
    profile: str | None = None
    only: tuple[str, ...] = ()  # candidates to keep beside the baseline; () keeps all
    probes: str | None = None


class Parts(Protocol):
    """What kinds there are and what they take: parts.py, handed in since it is of a higher layer."""

    def kinds(self, package: str) -> tuple[str, ...]:
        """The kinds of sources, clusters, ingest or drivers, in alphabetical order."""
        ...

    def options(self, package: str, kind: str) -> type[BaseModel] | None:
        """What a kind takes, None where it does not say."""
        ...

    def cannot(self, driver: str) -> frozenset[str]:
        """What a driver cannot do, in the words of mix.needs."""
        ...
