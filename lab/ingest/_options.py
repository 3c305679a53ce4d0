"""Options that several ways have in common, and what is wrong with them together."""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator, model_validator

Connections = Annotated[int, Field(strict=True, ge=1, le=64, description="1 to 64 connections")]
One = Annotated[int, Field(strict=True, ge=1, le=1, description="a single connection, whose transaction it is")]
PerStatement = Annotated[int, Field(strict=True, ge=1, le=1_000_000, description="rows per statement, such as 1_000")]
PerTransaction = Annotated[
    int,
    Field(strict=True, ge=1, le=1_000_000_000, description="rows per transaction; leave it out for one of all rows"),
]
Duplicates = Annotated[
    float, Field(ge=0, le=1, allow_inf_nan=False, description="the share of rows that is sent twice, such as 0.01")
]
Action = Literal["update", "nothing"]
Key = Annotated[list[str], Field(min_length=1, description="the columns of a unique key, such as [id]")]


class Way(BaseModel):
    """*connections*: how many load at once; only on one is the order of rows the stream's."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    connections: Connections = 1


class Statements(Way):
    """*rows* go into a statement, *transaction_rows* into a transaction; all into one where that is left out."""

    rows: PerStatement = 1_000
    transaction_rows: PerTransaction | None = None

    @field_validator("transaction_rows")
    @classmethod
    def _whole(cls, given: int | None, info: ValidationInfo) -> int | None:
        rows = info.data.get("rows", 1)
        if given is not None and given % rows:
            raise ValueError(
                f"{given} rows are no whole number of statements of {rows} rows (a multiple of {rows}; "
                "or leave it out for one transaction)"
            )
        return given

    def needs(self) -> frozenset[str]:
        """What it takes of the connection, in the words of mix.needs: statements are prepared once."""
        return frozenset({"prepared"})

    def unit(self) -> int:
        """So many rows may be handed over together: they begin and end a transaction, or a statement."""
        return self.transaction_rows or self.rows


class Keyed(Way):
    """*duplicates* of the rows come twice, told by their *key* (the primary key, where left out).

    *action*: what is done with a row that is there: `nothing`, or `update` it to what came last.
    """

    key: Key | None = None
    action: Action = "update"
    duplicates: Duplicates = 0.0

    @model_validator(mode="after")
    def _apart(self) -> Self:
        if self.duplicates and self.connections > 1:
            raise ValueError(
                "rows that come twice may meet on two connections, each waiting for the other's "
                "(connections: 1, or leave duplicates out)"
            )
        return self


NO_KEY = "the tables in schema source have no key; method: copy_binary"
"""The way out where rows go to a candidate's load.sql, and this way needs a key."""
