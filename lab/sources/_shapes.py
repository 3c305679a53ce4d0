"""What data.yaml says of a synthetic stream, checked as far as that goes without the scenario."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from lab import draw
from lab.sources import _types

Choices = Mapping[bool | int | float | str, float]

_WAYS = ("sequence", "of", "n_distinct", "choices", "law", "cases")
_MADE_FRESH = ("text", "bytea", "jsonb", "uuid", "boolean")


class _Shape(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


class Time(_Shape):
    """The column that advances evenly with the row's number.

    *step_s* is seconds per row; without it the lab's days are spread over the lab's rows.
    """

    column: str
    start: datetime = datetime(2026, 1, 1, tzinfo=UTC)
    step_s: float | None = Field(None, gt=0)

    @field_validator("start")
    @classmethod
    def _aware(cls, start: datetime) -> datetime:
        return start.astimezone(UTC) if start.tzinfo else start.replace(tzinfo=UTC)


class Late(_Shape):
    """A *share* of the rows arrives after its time, by as many seconds as the law *by* says."""

    share: float = Field(1.0, ge=0, le=1)
    by: str

    @field_validator("by")
    @classmethod
    def _of_values(cls, by: str) -> str:
        return _makes_values(by)


class Keys(_Shape):
    """The values that *column* of *files* has, each once: the keys that rows brought as files have or refer to.

    *rows*, *nulls*, *delimiter*: as the files' own stream has them; the last two are CSV's.
    """

    kind: Literal["parquet", "csv"]
    files: str | tuple[str, ...]
    column: str
    rows: int | None = Field(None, ge=0)
    nulls: tuple[str, ...] = ("",)
    delimiter: str = Field(",", min_length=1, max_length=1)


class Column(_Shape):
    """One column: its type, and one way to make its values.

    * `sequence: 1`: the row's number, from there
    * `of: device`: keys 1..n, n the scenario's number of that entity; `n_distinct: n`: n values
      of the column's own. Both with `skew` (a law over ranks), or `correlation` (with the row's
      number, as in pg_stats); `of` also with `sequence` (one row for each key, in turn) or
      `fan_out` (a law: how many rows on end each key has), and with `keys: {kind: parquet,
      files: orders.parquet, column: customer}` where the keys are those of files instead of 1..n
    * `choices: {a: 0.7, b: 0.3}`: values and their frequencies; with `sequence: 1` in turn, each as often
    * `law: normal(20, 5)`: a law of values; `uniform(a, b)` also with `correlation`
    * `given: kind` with `cases: {a: law or choices, ...}`: by what column `kind` has
    * nothing: texts, bytes, uuids, booleans made anew for each row

    *per*: drawn once for each key of that column instead of each row. *width*: characters of
    texts, a number or a law with *at_most*. *nulls*: the share of nulls.
    """

    type: str
    sequence: int | None = None
    of: str | None = None
    keys: tuple[Keys, ...] = ()
    n_distinct: int | None = Field(None, ge=1)
    choices: Choices | None = None
    law: str | None = None
    given: str | None = None
    cases: Mapping[bool | int | float | str, str | Choices] | None = None
    per: str | None = None
    skew: str = "uniform"
    fan_out: str | None = None
    correlation: float | None = Field(None, ge=-1, le=1)
    width: int | str = 16
    at_most: int = Field(256, ge=1)
    nulls: float = Field(0.0, ge=0, le=1)

    @property
    def ways(self) -> list[str]:
        """Which ways of making values the author named."""
        return [way for way in _WAYS if getattr(self, way) is not None]

    @field_validator("keys", mode="before")
    @classmethod
    def _several(cls, keys: object) -> object:
        return (keys,) if isinstance(keys, Mapping) else keys

    @field_validator("type")
    @classmethod
    def _known(cls, name: str) -> str:
        _types.arrow(name)
        return name

    @field_validator("law", "fan_out")
    @classmethod
    def _of_values(cls, law: str | None) -> str | None:
        return law if law is None else _makes_values(law)

    @field_validator("skew")
    @classmethod
    def _over_ranks(cls, law: str) -> str:
        if not isinstance(draw.parse(law), draw.RankLaw):
            raise ValueError(f"{law} makes values (a law over ranks, such as zipf(1.1), is needed)")
        return law

    @field_validator("width")
    @classmethod
    def _positive(cls, width: int | str) -> int | str:
        if isinstance(width, int) and width < 1:
            raise ValueError(f"a text has at least one character, not {width}")
        return width if isinstance(width, int) else _makes_values(width)

    @field_validator("choices")
    @classmethod
    def _weighted(cls, choices: Choices | None) -> Choices | None:
        if choices is not None:
            _check_weights(choices)
        return choices

    @model_validator(mode="after")
    def _one_way(self) -> "Column":
        if len(self.ways) > 1 and self.ways not in (["sequence", "of"], ["sequence", "choices"]):
            raise ValueError(f"the values are made in more than one way: {', '.join(self.ways)}")
        if self.ways == ["sequence", "choices"]:
            _check_in_turn(self.sequence, self.choices or {})
        if self.ways == ["sequence", "of"] and self.sequence != 1:
            raise ValueError(f"sequence: {self.sequence}: keys are had in turn from the first on (sequence: 1)")
        if (self.given is None) != (self.cases is None):
            raise ValueError("given and cases go together")
        keyed = self.of is not None or self.n_distinct is not None
        if self.skew != "uniform" and not keyed:
            raise ValueError("skew needs of or n_distinct")
        if self.fan_out is not None and self.of is None:
            raise ValueError("fan_out needs of")
        if self.keys and self.of is None:
            raise ValueError("keys needs of (whose keys they are)")
        if self.correlation is not None and not (keyed or (self.law or "").startswith("uniform")):
            raise ValueError("correlation needs of, n_distinct, or law: uniform(low, high)")
        if self.correlation is not None and self.skew != "uniform":
            raise ValueError("correlation and skew exclude each other")
        return self


class Options(_Shape):
    """A stream of made rows.

    *rows*: how many the first load has; a number, the name of an entity (one row for each), or
    without it the lab's rows. *order*: `sorted` by time, `shuffled` (the first load as a whole,
    later rows within a lab day), or `arrival` with *late*.
    """

    columns: Mapping[str, Column] = Field(min_length=1)
    rows: int | str | None = None
    time: Time | None = None
    order: Literal["sorted", "shuffled", "arrival"] = "sorted"
    late: Late | None = None

    @model_validator(mode="after")
    def _hangs_together(self) -> "Options":
        if self.time and self.time.column not in self.columns:
            raise ValueError(f"time: there is no column {self.time.column!r} (known: {', '.join(self.columns)})")
        for name, column in self.columns.items():
            timed = self.time is not None and self.time.column == name
            if not timed and column.type not in _MADE_FRESH and not column.ways:
                raise ValueError(f"columns: {name}: how are the values made? (one of {', '.join(_WAYS)})")
        if (self.order == "arrival") != (self.late is not None):
            raise ValueError("order: arrival and late go together")
        if self.late and not self.time:
            raise ValueError("late: rows without a time cannot be late (declare time)")
        return self


def _makes_values(law: str) -> str:
    if not isinstance(draw.parse(law), draw.ValueLaw):
        raise ValueError(f"{law} chooses among values (a law that makes them, such as normal(20, 5), is needed)")
    return law


def _check_weights(choices: Choices) -> None:
    if not choices or min(choices.values()) < 0 or sum(choices.values()) <= 0:
        raise ValueError("choices need a frequency of at least 0 each, and not 0 in all")


def _check_in_turn(sequence: int | None, choices: Choices) -> None:
    if sequence != 1:
        raise ValueError(f"sequence: {sequence}: choices are had in turn from the first on (sequence: 1)")
    if len(set(choices.values())) > 1:
        raise ValueError(
            "choices with sequence are had in turn, each as often, and not by other frequencies "
            "(the same number for each, or leave sequence out)"
        )
