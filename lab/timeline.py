"""The steps of a run, tagged by `do`.

Before the rounds every instance is ingested, settled and counted; in a round it is appended to,
driven, retired from. A tagged union: a misspelt step gives one message, at its own line.
"""

import math
import re
from collections.abc import Iterator, Sequence
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

_DURATION = re.compile(r"(\d{1,9}(?:\.\d+)?)\s*(ms|s|m|h|d)")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_A_DURATION = "a duration such as 450ms, 20s or 2m"


def seconds(text: object) -> float:
    """A duration as the author wrote it, in seconds; ValueError if it is none.

    >>> [seconds(text) for text in ("450ms", "20s", "2m", "1.5h", "7d")]
    [0.45, 20.0, 120.0, 5400.0, 604800.0]
    >>> seconds(20)
    Traceback (most recent call last):
      ...
    ValueError: 20 is no duration (a duration such as 450ms, 20s or 2m)
    """
    found = _DURATION.fullmatch(text.strip()) if isinstance(text, str) else None
    if found is None:
        raise ValueError(f"{text!r} is no duration ({_A_DURATION})")
    return round(float(found[1]) * _SECONDS[found[2]], 9)


def _positive(value: float) -> float:
    if value <= 0:
        raise ValueError(f"a slice of no length ({_A_DURATION})")
    return value


Rows = Annotated[int, Field(strict=True, gt=0, lt=10**15, description="a whole number of rows above 0")]
Clients = Annotated[int, Field(strict=True, gt=0, le=1000, description="a whole number of clients, 1 to 1000")]
Rate = Annotated[
    float, Field(gt=0, le=1_000_000, allow_inf_nan=False, strict=True, description="operations per second, above 0")
]
Seconds = Annotated[
    float,
    BeforeValidator(seconds, json_schema_input_type=str),
    AfterValidator(_positive),
    Field(description=_A_DURATION),
]


class _Step(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Ingest(_Step):
    """Apply the schema and load the lab's rows."""

    do: Literal["ingest"] = "ingest"


class Settle(_Step):
    """Vacuum, analyse, checkpoint, and wait until nothing of the kind is under way."""

    do: Literal["settle"] = "settle"


class Count(_Step):
    """The count pass: one client, fixed parameters, no writers."""

    do: Literal["count"] = "count"


class Append(_Step):
    """Load the next window's rows. *rows* None, before a scenario is read: a day of the lab."""

    do: Literal["append"] = "append"
    rows: Rows | None = None


class Drive(_Step):
    """Send the mix, open-loop at *rate* operations per second, for *for_s* seconds.

    *witness*: another driver, which sends the baseline the same afterwards (Witness).
    """

    do: Literal["drive"] = "drive"
    for_s: Seconds = Field(alias="for")
    rate: Rate
    clients: Clients | None = None
    witness: Literal["pgbench"] | None = None


class Saturate(_Step):
    """Send the mix as fast as *clients* closed loops go, for *for_s* seconds."""

    do: Literal["saturate"] = "saturate"
    for_s: Seconds = Field(alias="for")
    clients: Clients | None = None


class Witness(_Step):
    """Send the baseline what the `drive` before it sent, by its witness. Nobody writes it: see witnessed."""

    do: Literal["witness"] = "witness"
    for_s: Seconds = Field(alias="for")
    rate: Rate
    clients: Clients | None = None


class Retire(_Step):
    """Remove the oldest window by the candidate's own `retire` SQL."""

    do: Literal["retire"] = "retire"


class Maintain(_Step):
    """Vacuum and analyse, timed; autovacuum is off during rounds."""

    do: Literal["maintain"] = "maintain"


InRound = Annotated[Append | Drive | Saturate | Retire | Maintain, Field(discriminator="do")]


class Round(_Step):
    """What every instance goes through in every round, one instance at a time."""

    do: Literal["round"] = "round"
    steps: Annotated[list[InRound], Field(min_length=1, description="at least one step")]


Step = Ingest | Settle | Count | Append | Drive | Saturate | Witness | Retire | Maintain
Written = Annotated[Ingest | Settle | Count | Maintain | Round, Field(discriminator="do")]

# How long a slice is where the author does not say, and how fast.
SLICE = {"quick": "450ms", "decide": "2s", "gate": "2s"}
LEAST = {profile: seconds(SLICE[profile]) for profile in ("decide", "gate")}  # what the author wrote is no shorter
RATE_PER_S = 400.0


def default(*, profile: str, appends: bool, retires: bool) -> tuple[tuple[Step, ...], tuple[Step, ...]]:
    """The timeline of a scenario that names none: the steps before the rounds, those of a round.

    >>> [step.do for step in default(profile="quick", appends=True, retires=False)[1]]
    ['append', 'drive']
    """
    inside: list[Step] = [Append()] if appends else []
    inside.append(Drive.model_validate({"for": SLICE[profile], "rate": RATE_PER_S}))
    inside += [Retire()] if retires else []
    return (Ingest(), Settle(), Count()), tuple(inside)


def split(steps: Sequence[Written]) -> tuple[tuple[Step, ...], tuple[Step, ...]]:
    """The steps before the round and those within; raise ValueError where the order is wrong."""
    rounds = [step for step in steps if isinstance(step, Round)]
    if len(rounds) != 1 or steps[-1] is not rounds[0]:
        raise ValueError("there must be one `round`, as the last step ([{do: ingest}, ..., {do: round, steps: [...]}])")
    prepare = tuple(step for step in steps if not isinstance(step, Round))
    names = [step.do for step in prepare]
    if not names or names[0] != "ingest" or names.count("ingest") > 1:
        raise ValueError("the first step must be the one `ingest` ([{do: ingest}, {do: settle}, {do: count}, ...])")
    if "settle" not in names or "count" not in names[names.index("settle") :]:
        raise ValueError(
            "before the round there must be `settle` and then `count`: what is not settled measures its own vacuum, "
            "and of what is not counted nobody knows whether the answers agree "
            "([{do: ingest}, {do: settle}, {do: count}, {do: round, ...}])"
        )
    if not any(isinstance(step, Drive | Saturate) for step in rounds[0].steps):
        raise ValueError("nothing is driven in the round (steps: [{do: drive, for: 450ms, rate: 400}])")
    return prepare, tuple(rounds[0].steps)


def filled(steps: Sequence[Step], *, rows: int | None, clients: int) -> Iterator[Step]:
    """The steps with *rows* to append and *clients* where the author left them to the lab."""
    for step in steps:
        if isinstance(step, Append) and step.rows is None:
            yield step.model_copy(update={"rows": rows})
        elif isinstance(step, Drive | Saturate) and step.clients is None:
            yield step.model_copy(update={"clients": clients})
        else:
            yield step


def lengthened(step: Step, profile: str) -> Step:
    """*step* driven for as long as a slice of *profile* is at least.

    >>> short = Saturate.model_validate({"for": "250ms"})
    >>> [lengthened(short, profile).for_s for profile in SLICE], lengthened(Retire(), "decide")
    ([0.25, 2.0, 2.0], Retire(do='retire'))
    """
    if isinstance(step, Drive | Saturate) and step.for_s < LEAST.get(profile, 0.0):
        return step.model_copy(update={"for_s": LEAST[profile]})
    return step


def witness(steps: Sequence[Step]) -> str | None:
    """The driver that is a second witness in *steps*, None where there is none."""
    return next((step.witness for step in steps if isinstance(step, Drive) and step.witness), None)


def witnessed(steps: Sequence[Step]) -> Iterator[Step]:
    """The steps of who is driven by two: each `drive` with a witness, then the witness's own slice.

    That is as long, or up to the next whole second longer: pgbench knows no parts of one.

    >>> asked = Drive.model_validate({"for": "450ms", "rate": 400, "witness": "pgbench"})
    >>> [(step.do, step.for_s) for step in witnessed([asked, Saturate.model_validate({"for": "2s"})])]
    [('drive', 0.45), ('witness', 1.0), ('saturate', 2.0)]
    """
    for step in steps:
        yield step
        if isinstance(step, Drive) and step.witness:
            yield Witness.model_validate(
                {"for": f"{math.ceil(step.for_s)}s", "rate": step.rate, "clients": step.clients}
            )
