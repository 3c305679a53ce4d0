"""Made rows: each a function of the seed, the stream's name and its number, and of nothing else.

Rows are made in blocks of fixed size, each column of a block from a generator of its own: any
range of a stream can be had again, the same to the byte, however it is cut, and a new column
changes no other.
"""

import difflib
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pydantic import ValidationError

from lab import draw, permutation
from lab.errors import ScenarioError
from lab.model import Lab, Stream
from lab.sources import _columns, _fixed, _held, _types
from lab.sources._columns import BLOCK, Block, Maker
from lab.sources._shapes import Choices, Column, Keys, Options

__all__ = ["KIND", "Options", "Synthetic", "count", "opened"]

KIND = "synthetic"

_SAMPLED_BLOCKS = 32


def opened(stream: Stream, lab: Lab, *, seed: int) -> "Synthetic":
    """See sources.OpenSource. ScenarioError says which column of the stream is wrong, and why."""
    try:
        options = Options.model_validate(stream.options)
        kind = Keyed if any(column.keys for column in options.columns.values()) else Synthetic
        return kind(stream.name, options, lab, seed, stream.place or "data.yaml")
    except ValidationError as error:
        mistakes = [f"{_dotted(each['loc'])}{_said(each['msg'])}" for each in error.errors()]
    except ValueError as error:
        mistakes = [str(error)]
    place = stream.place or "data.yaml"
    raise ScenarioError([f"{place}: stream {stream.name}: {mistake}" for mistake in mistakes])


def count(keys: Sequence[Mapping[str, Any]], type_: str, place: str) -> int:
    """How many keys of PostgreSQL's *type_* the columns of files have that *keys* names; ScenarioError if they cannot.

    *keys* as a column's `keys` has it; *place* is for messages.
    """
    return len(_held.values([Keys.model_validate(one) for one in keys], type_, place))


def _dotted(path: tuple[int | str, ...]) -> str:
    return ".".join(map(str, path)) + ": " if path else ""


def _said(message: str) -> str:
    return message.removeprefix("Value error, ")


class Synthetic:
    """See sources.Source."""

    def __init__(self, name: str, options: Options, lab: Lab, seed: int, place: str = "data.yaml") -> None:
        self.name = name
        self.rows = _rows(options, lab)
        self._seed = seed
        self._clock = _Clock(options, lab) if options.time else None
        self._group = 0  # rows that are shuffled among themselves after the first load
        if options.order == "shuffled":
            self._group = max(1, self.rows // (lab.days or 1))
        self._nulls = {name: column.nulls for name, column in options.columns.items() if column.nulls}
        self._makers = _Makers(name, options, lab, self.rows, seed, self._clock, place).all()
        fields = [pa.field(name, _types.arrow(column.type)) for name, column in options.columns.items()]
        self.schema = pa.schema(fields)

    def batches(self, first: int, last: int) -> Iterator[pa.RecordBatch]:
        """See sources.Source.batches; one batch for each block touched."""
        for number in range(first // BLOCK, -(-last // BLOCK) if last > first else 0):
            start = number * BLOCK
            low, high = max(first, start), min(last, start + BLOCK)
            yield self._block(number).slice(low - start, high - low)

    def sample(self, n: int, *, seed: int) -> pa.Table:
        """See sources.Source.sample: rows of a few blocks, which are chosen as the rows in them are."""
        if self.rows <= n:
            return pa.Table.from_batches(self.batches(0, self.rows), self.schema)
        random = draw.rng(seed, self.name, "sample")
        blocks = -(-self.rows // BLOCK)
        chosen = np.sort(random.choice(blocks, min(blocks, _SAMPLED_BLOCKS), replace=False))
        made = [self.batches(block * BLOCK, min(self.rows, (block + 1) * BLOCK)) for block in chosen.tolist()]
        table = pa.Table.from_batches([batch for batches in made for batch in batches], self.schema)
        at = np.sort(random.choice(len(table), min(n, len(table)), replace=False))
        return table.take(pa.array(at, pa.int64()))

    def time_of(self, row: int) -> datetime | None:
        """See sources.Source.time_of; for late rows, when they arrive."""
        return self._clock.at(row) if self._clock else None

    def _block(self, number: int) -> pa.RecordBatch:
        block = Block(self._numbers(np.arange(number * BLOCK, (number + 1) * BLOCK)))
        arrays = []
        for name, make in self._makers.items():
            made = make(draw.rng(self._seed, self.name, name, block=number), block)
            if name in self._nulls:
                random = draw.rng(self._seed, self.name, name, "nulls", block=number)
                made = _columns.with_nulls(made, random, self._nulls[name])
            arrays.append(made)
        return pa.RecordBatch.from_arrays(arrays, schema=self.schema)

    def _numbers(self, places: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """The number of the row at each place: itself, unless rows are shuffled.

        Shuffling moves what follows the number (ids, times); what is drawn is drawn by place.
        """
        if not self._group:
            return places
        later = places >= self.rows
        numbers = np.empty_like(places)
        numbers[~later] = permutation.permuted(places[~later], self.rows, self._seed)
        group, place = np.divmod(places[later] - self.rows, self._group)
        numbers[later] = self.rows + group * self._group + permutation.permuted(place, self._group, self._seed)
        return numbers


class Keyed(Synthetic):
    """Made rows whose keys are those of files: see sources.HasData."""

    def __init__(self, name: str, options: Options, lab: Lab, seed: int, place: str = "data.yaml") -> None:
        super().__init__(name, options, lab, seed, place)
        held = [one for column in options.columns.values() for one in column.keys]
        self._files = {str(path): path for path in _held.paths(held, f"{place}: stream {name}")}

    @cached_property
    def data(self) -> Mapping[str, str]:
        """See sources.HasData."""
        return _fixed.sums(self.name, self._files)


class _Clock:
    """Row number to time, in whole microseconds: the same product for one row and for a block."""

    def __init__(self, options: Options, lab: Lab) -> None:
        assert options.time is not None
        self.column = options.time.column
        self._start = options.time.start
        self.start_us = round(self._start.timestamp() * 1e6)
        if options.time.step_s is not None:
            self.step_us = options.time.step_s * 1e6
        elif lab.days and lab.rows:
            self.step_us = lab.days * 86_400e6 / lab.rows
        else:
            raise ValueError("time: how long is it from row to row? (give step_s, or lab.days and lab.rows)")

    def at(self, row: int) -> datetime:
        return self._start + timedelta(microseconds=int(row * self.step_us // 1))


class _Makers:
    """A stream's columns as kernels. ValueError names the column and what is wrong with it."""

    def __init__(
        self, stream: str, options: Options, lab: Lab, rows: int, seed: int, clock: _Clock | None, place: str
    ) -> None:
        self._stream = stream
        self._place = place
        self._options = options
        self._lab = lab
        self._rows = max(rows, 1)
        self._seed = seed
        self._clock = clock
        self._values: dict[str, list[str]] = {}  # column -> the choices it has
        self._keys: dict[str, int] = {}  # column -> how many keys it has

    def all(self) -> Mapping[str, Maker]:
        makers = {}
        for name, column in self._options.columns.items():
            try:
                makers[name] = self._maker(name, column, _types.arrow(column.type))
            except (ValueError, pa.ArrowException) as error:
                raise ValueError(f"columns.{name}: {error}") from None
        return makers

    def _maker(self, name: str, column: Column, kind: pa.DataType) -> Maker:
        if column.per is not None:
            return self._per(name, column, kind)
        if self._clock and self._clock.column == name:
            return self._time(kind)
        if column.of is not None or column.n_distinct is not None:
            return self._key(name, column, kind)
        if column.choices is not None:
            return self._choice(name, column.choices, kind, in_turn=column.sequence is not None)
        if column.sequence is not None:
            return _columns.sequence(column.sequence, kind)
        if column.law is not None:
            return self._law(column, kind)
        if column.cases is not None:
            return self._cases(name, column, kind)
        return self._fresh(name, column, kind)

    def _time(self, kind: pa.DataType) -> Maker:
        assert self._clock is not None
        if not pa.types.is_timestamp(kind) and not pa.types.is_date(kind):
            raise ValueError("a time is a timestamptz, a timestamp or a date")
        late = self._options.late
        by = draw.parse(late.by) if late else None
        lateness = (late.share, by) if late and isinstance(by, draw.ValueLaw) else None
        return _columns.clock(self._clock.start_us, self._clock.step_us, lateness, kind)

    def _key(self, name: str, column: Column, kind: pa.DataType) -> Maker:
        """Keys of an entity are spelled alike in every stream; those of n_distinct are the column's own."""
        n = column.n_distinct or _entity(self._lab, column.of or "")
        origin = (column.of,) if column.of else (self._stream, name)
        salt = int(_columns.words(draw.rng(self._seed, *origin, "salt"), 1)[0])
        self._keys[name] = n
        self._values[name] = []
        if not isinstance(column.width, int):
            raise ValueError("keys are of one width (a number)")
        pool = self._held(column, n) if column.keys else _columns.key_values(n, kind, column.width, salt)
        return _columns.keyed(name, pool, self._pick(name, column, n))

    def _held(self, column: Column, n: int) -> Any:
        """The keys that files have, which are as many as the entity has."""
        pool = _held.values(column.keys, column.type, f"{self._place}: stream {self._stream}")
        if len(pool) != n:
            raise ValueError(
                f"keys: the files have {len(pool):,} of {column.of}, and lab.entities says {n:,} "
                f"(write {column.of}: {len(pool)} under entities of lab in scenario.yaml)"
            )
        return pool

    def _pick(self, name: str, column: Column, n: int) -> _columns.Pick:
        if column.sequence is not None:
            return _columns.in_turn(n)
        if column.correlation is not None:
            return _columns.along(n, column.correlation, self._rows)
        if column.fan_out is not None:
            return _columns.fanned(self._fan(name, column.fan_out, n))
        law = draw.parse(column.skew)
        assert isinstance(law, draw.RankLaw)
        if isinstance(law, draw.Even):
            return _columns.evenly(n)
        keys = draw.rng(self._seed, self._stream, name, "ranks").permutation(n).astype(np.int32)
        return _columns.by_rank(law.over(n), keys)

    def _fan(self, name: str, words: str, n: int) -> npt.NDArray[np.int64]:
        law = draw.parse(words)
        assert isinstance(law, draw.ValueLaw)
        drawn = law.values(draw.rng(self._seed, self._stream, name, "fan"), n)
        counts = np.maximum(np.rint(drawn), 0).astype(np.int64)
        if not counts.any():
            raise ValueError(f"fan_out: {words} gives no key a row")
        return counts

    def _choice(self, name: str, choices: Choices, kind: pa.DataType, *, in_turn: bool) -> Maker:
        self._values[name] = [_word(value) for value in choices]
        shares = np.array(list(choices.values()), np.float64)
        ranks = draw.Ranks(shares / shares.sum())
        pick = _columns.in_turn(len(choices)) if in_turn else _columns.by_rank(ranks, None)
        return _columns.keyed(name, _pool(self._values[name], kind), pick)

    def _law(self, column: Column, kind: pa.DataType) -> Maker:
        law = draw.parse(column.law or "")
        assert isinstance(law, draw.ValueLaw)
        _check_numeric(kind)
        if column.correlation is not None and isinstance(law, draw.Uniform):
            return _columns.trending(law, column.correlation, self._rows, kind)
        return _columns.lawful(law, kind)

    def _cases(self, name: str, column: Column, kind: pa.DataType) -> Maker:
        parent, cases = column.given or "", {_word(key): case for key, case in (column.cases or {}).items()}
        known = self._values.get(parent)
        if not known:
            raise ValueError(f"given: {parent!r} is no earlier column with choices{_near(parent, self._values)}")
        if self._options.columns[parent].nulls:
            raise ValueError(f"given: {parent!r} may be null, and nothing is said of that case")
        if missing := [value for value in known if value not in cases]:
            raise ValueError(f"cases: nothing is said of {', '.join(missing)}")
        if foreign := [value for value in cases if value not in known]:
            raise ValueError(f"cases: {parent} never has {foreign[0]!r}{_near(foreign[0], known)}")
        ordered = [cases[value] for value in known]
        if not any(isinstance(case, str) for case in ordered):
            return self._given(name, parent, ordered, kind)
        parsed = [draw.parse(case) if isinstance(case, str) else None for case in ordered]
        laws = [law for law in parsed if isinstance(law, draw.ValueLaw)]
        if len(laws) < len(ordered):
            raise ValueError("cases: all are choices, or all are laws of values")
        _check_numeric(kind)
        return _columns.by_case(parent, laws, kind)

    def _given(self, name: str, parent: str, cases: list[Any], kind: pa.DataType) -> Maker:
        spelled = [{_word(value): share for value, share in case.items()} for case in cases]
        values = list(dict.fromkeys(value for case in spelled for value in case))
        shares = np.array([[case.get(value, 0.0) for value in values] for case in spelled], np.float64)
        if shares.min() < 0 or not shares.sum(axis=1).all():
            raise ValueError("cases: choices need a frequency of at least 0 each, and not 0 in all")
        self._values[name] = values
        return _columns.keyed(name, _pool(values, kind), _columns.given(parent, shares))

    def _per(self, name: str, column: Column, kind: pa.DataType) -> Maker:
        parent = column.per or ""
        if parent not in self._keys:
            raise ValueError(f"per: {parent!r} is no earlier column with of or n_distinct{_near(parent, self._keys)}")
        inner = self._maker(name, column.model_copy(update={"per": None}), kind)
        keys = Block(np.arange(self._keys[parent]))
        return _columns.per(parent, inner(draw.rng(self._seed, self._stream, name, "per"), keys))

    def _fresh(self, name: str, column: Column, kind: pa.DataType) -> Maker:
        if column.type == "uuid":
            return _columns.uuids()
        if column.type == "boolean":
            return _columns.coins()
        wrap = ('{"v": "', '"}') if column.type == "jsonb" else ("", "")
        width: int | draw.Law = column.width if isinstance(column.width, int) else draw.parse(column.width)
        assert isinstance(width, int | draw.ValueLaw)
        letters = (width if isinstance(width, int) else column.at_most) - len("".join(wrap))
        if letters < 1:
            raise ValueError(f"width: a jsonb has at least {len(''.join(wrap)) + 1} characters")
        tape = _columns.tape(letters, self._seed, self._stream, name)
        return _columns.fresh(kind, letters if isinstance(width, int) else width, tape, wrap)


def _rows(options: Options, lab: Lab) -> int:
    if isinstance(options.rows, str):
        return _entity(lab, options.rows)
    rows = options.rows if options.rows is not None else lab.rows
    if rows is None:
        raise ValueError("how many rows? (give rows, or lab.rows)")
    return rows


def _entity(lab: Lab, name: str) -> int:
    if name not in lab.entities:
        raise ValueError(f"there is no entity {name!r}{_near(name, lab.entities)}")
    return lab.entities[name]


def _near(word: str, known: Any) -> str:
    near = difflib.get_close_matches(word, known, 1)
    hint = f"did you mean {near[0]!r}? " if near else ""
    return f" ({hint}known: {', '.join(known) or 'none'})"


def _word(value: object) -> str:
    """A choice as text, however YAML or JSON spelled it."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _pool(values: list[str], kind: pa.DataType) -> Any:
    """The choices as an array of the column's type; ArrowInvalid names the one that does not fit."""
    return pa.array(values, pa.string()).cast(kind)


def _check_numeric(kind: pa.DataType) -> None:
    if not (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)):
        raise ValueError("laws make numbers (a numeric type, or choices, of, n_distinct)")
