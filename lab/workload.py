"""Mix and seed to calls: which query is due when, with which parameters.

Everything is drawn in columns beforehand, so that the driver only sends. Parameters come from a
sample of the rows (sources.Source.sample), from the bounds of the window, or from a law. They
depend on the seed and on the names of query and parameter, never on the candidate.
"""

import difflib
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from lab import draw as _draw
from lab import statement
from lab.errors import ScenarioError
from lab.model import Parameter, Query, Window

CALLS = pa.schema([("due_ns", pa.int64()), ("query", pa.int32()), ("params", pa.list_(pa.string()))])

_DAY_S = 86_400
_LAST_US = 253_370_764_800_000_000  # 9999-01-01, after which Arrow has no text for a time; and as long before 1970
_DIGITS = 60  # of a decimal that something is added to, which may have 38

Texts = Any  # a pyarrow string array: values in the server's text format, null is NULL


@dataclass(frozen=True)
class _Known:
    """What parameters may be drawn from."""

    samples: Mapping[str, pa.Table]
    window_start: datetime | None
    window_end: datetime | None


def draw(
    queries: Sequence[Query],
    samples: Mapping[str, pa.Table],
    *,
    window_start: datetime | None,
    window_end: datetime | None,
    due_ns: npt.NDArray[np.int64],
    seed: int,
) -> pa.Table:
    """One call per element of *due_ns*, in its order: a table of drivers.CALLS.

    The mix follows the weights, each call independent of the last. *samples*: stream -> rows.
    ScenarioError names the query's file and the parameter that cannot be drawn.
    """
    known = _Known(samples, window_start, window_end)
    weights = np.array([query.weight for query in queries], dtype=np.float64)
    bounds = np.cumsum(weights) / weights.sum()
    chosen = np.searchsorted(bounds[:-1], _draw.rng(seed, "mix").random(len(due_ns)), side="right")
    lists, places = [], []
    for index, query in enumerate(queries):
        at = np.flatnonzero(chosen == index)
        lists.append(_lists(_columns(query, known, len(at), seed), len(at)))
        places.append(at)
    order = np.argsort(np.concatenate(places), kind="stable")
    params = pa.concat_arrays(lists).take(pa.array(order, pa.int64()))
    return pa.table([pa.array(due_ns, pa.int64()), pa.array(chosen, pa.int32()), params], schema=CALLS)


def draw_sets(
    query: Query,
    samples: Mapping[str, pa.Table],
    *,
    window_start: datetime | None,
    window_end: datetime | None,
    k: int,
    seed: int,
) -> list[tuple[str | None, ...]]:
    """*k* parameter tuples of one query, for the count pass; as `draw` would make them."""
    columns = _columns(query, _Known(samples, window_start, window_end), k, seed)
    return list(zip(*(column.to_pylist() for column in columns), strict=True)) if columns else [()] * k


def window(time_of: Callable[[int], datetime | None], first: int, last: int) -> Window | None:
    """Rows [first, last) and the times they span, [start, end); None where rows have no time."""
    start, end = time_of(first), time_of(last)
    return None if start is None or end is None else Window(first, last, start, end)


# --- one query's parameters -----------------------------------------------------------------


def _columns(query: Query, known: _Known, size: int, seed: int) -> list[Texts]:
    """One array of *size* texts for each parameter of *query*."""
    together = _together(query, known, size, seed)
    columns = []
    for parameter in query.params:
        if parameter.origin.startswith("window."):
            columns.append(_bound(query, parameter, known, size))
        elif not parameter.origin:
            columns.append(_made(query, parameter, size, seed))
        elif not parameter.law:
            stream, _, column = parameter.origin.partition(".")
            columns.append(texts(_shifted(query, parameter, together[stream][column])))
        else:
            columns.append(_ranked(query, parameter, known, size, seed))
    return columns


def _together(query: Query, known: _Known, size: int, seed: int) -> dict[str, pa.Table]:
    """Stream -> *size* rows of its sample, for all parameters that are taken as the rows occur.

    Parameters of one query and one stream come from one row: a device is asked for with a kind
    that it has. Rows in which one of them is null are left out: nobody looks for `= NULL`.
    """
    wanted: dict[str, list[str]] = {}
    for parameter in query.params:
        if parameter.origin and not parameter.law and not parameter.origin.startswith("window."):
            column = _sampled(query, parameter, known)
            stream, _, name = parameter.origin.partition(".")
            if column.null_count == len(column):
                raise _refused(query, parameter, f"the sample of {parameter.origin} holds no value")
            wanted.setdefault(stream, []).append(name)
    rows = {}
    for stream, names in wanted.items():
        sample = known.samples[stream].select(list(dict.fromkeys(names))).drop_null()
        if not len(sample):
            raise ScenarioError(f"{query.file}: no row of the sample of {stream} has all of {', '.join(names)}")
        at = _draw.rng(seed, query.name, stream).integers(0, len(sample), size)
        rows[stream] = sample.take(pa.array(at, pa.int64()))
    return rows


def _ranked(query: Query, parameter: Parameter, known: _Known, size: int, seed: int) -> Texts:
    """The sample's distinct values by descending frequency (ties by value), chosen by the law."""
    law = _law(query, parameter)
    if not isinstance(law, _draw.RankLaw):
        raise _refused(query, parameter, f"{parameter.law} makes values itself (leave out {parameter.origin})")
    column = _sampled(query, parameter, known)
    values = ranked(column, latest=isinstance(law, _draw.Latest))
    if not len(values):
        raise _refused(query, parameter, f"the sample of {parameter.origin} holds no value")
    random = _draw.rng(seed, query.name, parameter.name)
    shifted = _shifted(query, parameter, values)
    return texts(shifted).take(pa.array(law.over(len(values)).draw(random, size), pa.int32()))


def _shifted(query: Query, parameter: Parameter, values: Any) -> Any:
    """*values* moved by what the parameter adds; ScenarioError where it does not fit their type, or they leave it."""
    is_, kind = pa.types, values.type
    if not (parameter.shift or parameter.shift_s) or not len(values):  # there are none where the query is not due
        return values
    if why := _unmoved(parameter, kind):
        raise _refused(query, parameter, f"{parameter.origin} {why}")
    try:
        if is_.is_timestamp(kind) or is_.is_date(kind):
            at = pc.cast(values, pa.timestamp("us", getattr(kind, "tz", None)))
            moved = pc.add_checked(at, pa.scalar(timedelta(seconds=parameter.shift_s), pa.duration("us")))
            ends: dict[str, int] = pc.min_max(pc.cast(moved, pa.int64())).as_py()  # type: ignore[assignment]
            if not -_LAST_US <= ends["min"] <= ends["max"] <= _LAST_US:
                raise ValueError("to times that have no text")
            return pc.cast(moved, kind)
        if is_.is_decimal(kind):
            return pc.add_checked(pc.cast(values, pa.decimal256(_DIGITS, kind.scale)), pa.scalar(_decimal(parameter)))
        added: Any = int(parameter.shift) if is_.is_integer(kind) else parameter.shift
        return pc.add_checked(values, pa.scalar(added).cast(kind))
    except (pa.ArrowException, ArithmeticError, ValueError) as error:
        why = f"cannot be moved so far: {' '.join(str(error).split())}"
        raise _refused(query, parameter, f"{parameter.origin} {why}") from None


def _unmoved(parameter: Parameter, kind: pa.DataType) -> str:
    """Why values of type *kind* cannot be moved by what the parameter adds, "" where they can."""
    is_ = pa.types
    if is_.is_timestamp(kind) or is_.is_date(kind):
        if parameter.shift:
            return "is a time, and a number is added (write + 7d)"
        parts = is_.is_date(kind) and parameter.shift_s % _DAY_S
        return "is a date, which moves by whole days (write + 7d)" if parts else ""
    if not (is_.is_integer(kind) or is_.is_floating(kind) or is_.is_decimal(kind)):
        return f"is of type {kind}, to which nothing can be added"
    if parameter.shift_s:
        return "is a number, and a time is added (write + 50)"
    parts = is_.is_integer(kind) and parameter.shift % 1
    return f"is of whole numbers, and {parameter.shift:g} is added" if parts else ""


def _decimal(parameter: Parameter) -> Decimal:
    return Decimal(repr(parameter.shift)).normalize()


def ranked(column: Any, *, latest: bool = False) -> Any:
    """The distinct values of *column*, nulls aside, most frequent first and ties by value.

    With *latest* the largest comes first instead.

    >>> ranked(pa.chunked_array([["b", "a", "c", "c", None]])).to_pylist()
    ['c', 'a', 'b']
    """
    table = pa.table({"value": _sortable(column.drop_null())})
    counted = table.group_by("value").aggregate([([], "count_all")])
    by_frequency = counted.sort_by([("count_all", "descending"), ("value", "ascending")])
    ordered = counted.sort_by([("value", "descending")]) if latest else by_frequency
    return ordered["value"].combine_chunks().cast(column.type)


def _sortable(column: Any) -> Any:
    """Arrow neither sorts nor groups binary of fixed size."""
    return column.cast(pa.binary()) if pa.types.is_fixed_size_binary(column.type) else column


def _made(query: Query, parameter: Parameter, size: int, seed: int) -> Texts:
    if (text := statement.constant(parameter.law)) is not None:
        return pa.repeat(text, size)
    law = _law(query, parameter)
    if not isinstance(law, _draw.ValueLaw):
        raise _refused(query, parameter, f"{parameter.law} chooses among values (name a stream.column before it)")
    return texts(pa.array(law.values(_draw.rng(seed, query.name, parameter.name), size)))


def _bound(query: Query, parameter: Parameter, known: _Known, size: int) -> Texts:
    bounds = {"window.from": known.window_start, "window.to": known.window_end}
    if parameter.law or parameter.origin not in bounds:
        raise _refused(query, parameter, f"{parameter.origin!r} is no bound (window.from or window.to, without a law)")
    bound = bounds[parameter.origin]
    if bound is None:
        raise _refused(query, parameter, "there is no window: the stream has no time (declare `time` in data.yaml)")
    try:
        moved = bound + timedelta(seconds=parameter.shift_s)
    except OverflowError:
        raise _refused(query, parameter, f"{parameter.origin} cannot be moved so far") from None
    return pa.repeat(moved.isoformat(sep=" "), size)


def _sampled(query: Query, parameter: Parameter, known: _Known) -> Any:
    """The sample's column that *parameter* is drawn from."""
    stream, _, column = parameter.origin.partition(".")
    if stream not in known.samples:
        raise _refused(query, parameter, f"there is no stream {stream!r}{_near(stream, known.samples)}")
    names = known.samples[stream].column_names
    if column not in names:
        raise _refused(query, parameter, f"stream {stream} has no column {column!r}{_near(column, names)}")
    return known.samples[stream][column]


def _near(word: str, known: Any) -> str:
    near = difflib.get_close_matches(word, known, 1)
    return f" (did you mean {near[0]!r}? known: {', '.join(known)})" if near else f" (known: {', '.join(known)})"


def _law(query: Query, parameter: Parameter) -> _draw.Law:
    try:
        return _draw.parse(parameter.law)
    except ValueError as error:
        raise _refused(query, parameter, str(error)) from None


def _refused(query: Query, parameter: Parameter, why: str) -> ScenarioError:
    return ScenarioError(f"{query.file}: parameter {parameter.name!r}: {why}")


# --- text -----------------------------------------------------------------------------------


def texts(values: Any) -> Texts:
    r"""An Arrow array in PostgreSQL's text format, as one string array; null stays null.

    >>> texts(pa.array([True, None])).to_pylist(), texts(pa.array([b"\x01\xff"])).to_pylist()
    (['true', None], ['\\x01ff'])
    """
    if isinstance(values, pa.ChunkedArray):
        values = values.combine_chunks()
    if pa.types.is_fixed_size_binary(values.type) and values.type.byte_width == 16:
        return pa.array([v and str(uuid.UUID(bytes=v)) for v in values.to_pylist()], pa.string())
    if pa.types.is_binary(values.type) or pa.types.is_fixed_size_binary(values.type):
        return pa.array([None if v is None else f"\\x{v.hex()}" for v in values.to_pylist()], pa.string())
    return pc.cast(values, pa.string())


def _lists(columns: Sequence[Texts], size: int) -> Any:
    """Columns of *size* texts as one list of them per call."""
    width = len(columns)
    offsets = pa.array(np.arange(size + 1) * width, pa.int32())
    if not width:
        return pa.ListArray.from_arrays(offsets, pa.array([], pa.string()))
    by_call = np.arange(size * width).reshape(width, size).T.ravel()
    return pa.ListArray.from_arrays(offsets, pa.concat_arrays(columns).take(pa.array(by_call, pa.int64())))
