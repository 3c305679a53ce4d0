"""What both drivers do on the lab's side: Work made plain, and raw logs made into OPS.

A client writes down only what nobody else knows: which call, when, how many rows, what went
wrong. Name, due time and key follow from the call, for whole columns at a time.
"""

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from lab import pg, statement
from lab.drivers import OPS, Work
from lab.errors import ClusterError, LabError
from lab.model import Query, Statement

OUTCOMES = ("ok", "failed", "unknown")


@dataclass(frozen=True)
class Log:
    """One client's operations: int64 columns of equal length, and *troubles* by position in them.

    A trouble is (outcome, SQLSTATE or None).
    """

    client: int
    seq: bytes
    start_ns: bytes
    end_ns: bytes
    rows: bytes
    troubles: Mapping[int, tuple[str, str | None]] = field(default_factory=dict)


def asked(query: Query) -> pg.Asked:
    """What a Wire needs of a query."""
    return query.send, tuple(
        (stated.text, stated.takes, _pieces(stated) if query.send == "literal" else ()) for stated in query.statements
    )


def _pieces(stated: Statement) -> tuple[str | int, ...]:
    """The text cut at its placeholders, each as the index of the value it stands for.

    >>> _pieces(Statement("SELECT '$1' WHERE a = $1 /* $1 */", (2,)))
    ("SELECT '$1' WHERE a = ", 2, ' /* $1 */')
    """
    pieces: list[str | int] = []
    for numbered, run in itertools.groupby(
        statement.tokens("sql", stated.text), lambda token: token.kind == "numbered"
    ):
        texts = [token.text for token in run]
        pieces += [stated.takes[int(text[1:]) - 1] for text in texts] if numbered else ["".join(texts)]
    return tuple(pieces)


def unconnected(work: Work, words: str) -> LabError:
    """What to raise where the server refuses a connection."""
    return ClusterError(f"{work.endpoint.node}: no connection for {work.connection!r}: {words}")


def unprepared(work: Work, index: int, words: str) -> LabError:
    """What to raise where the server refuses to prepare a query: the author's mistake."""
    query = work.queries[index]
    return LabError(f"{query.file}: the server refuses query {query.name!r}: {words}")


def order(work: Work, share: tuple[int, int]) -> dict[str, Any]:
    """One process' share of a slice in plain types, for a process without Arrow.

    *share* is (which, of how many): its clients and calls are every so manieth from which. Columns
    are bytes: int32 `query`, int64 `due_ns`, and the parameters as Arrow has them: those of call i
    are first[i] to first[i + 1], the text of parameter j is data[at[j]:at[j + 1]]; `nulls` has a byte
    for each, or none if there is no NULL.
    """
    which, many = share
    params: Any = work.calls["params"].combine_chunks()
    values = params.values
    _, at, data = values.buffers()
    return {
        "connection": work.connection,
        "conninfo": work.endpoint.conninfo,
        "clients": list(range(which, work.clients, many)),
        "names": [query.name for query in work.queries],
        "asked": [asked(query) for query in work.queries],
        "saturate": work.saturate,
        "for_s": work.for_s,
        "share": share,
        "query": work.calls["query"].to_numpy().tobytes(),
        "due_ns": work.calls["due_ns"].to_numpy().tobytes(),
        "first": params.offsets.to_numpy().tobytes(),
        "at": np.frombuffer(at or bytes(4), np.int32)[values.offset :].tobytes(),
        "data": bytes(data or b""),
        "nulls": values.is_null().to_numpy(zero_copy_only=False).tobytes() if values.null_count else b"",
    }


def table(work: Work, zero_ns: int, logs: Sequence[Log]) -> pa.Table:
    """The operations of a slice as OPS, in the order they were started."""
    columns = {name: _ints(getattr(log, name) for log in logs) for name in ("seq", "start_ns", "end_ns", "rows")}
    lengths = [len(log.seq) // 8 for log in logs]
    client = np.repeat(np.array([log.client for log in logs], np.int32), lengths)
    outcome, sqlstate = _troubles(logs, lengths)
    order = np.argsort(columns["start_ns"], kind="stable")
    columns = {name: column[order] for name, column in columns.items()}
    call = columns["seq"] % max(len(work.calls), 1)
    due = columns["start_ns"] if work.saturate else zero_ns + work.calls["due_ns"].to_numpy()[call]
    made: dict[str, pa.Array[Any]] = {
        "seq": pa.array(columns["seq"]),
        "client": pa.array(client[order]),
        "name": _named(work.calls["query"].to_numpy()[call], [query.name for query in work.queries]),
        "due_ns": pa.array(due),
        "start_ns": pa.array(columns["start_ns"]),
        "end_ns": pa.array(columns["end_ns"]),
        "outcome": _named(outcome[order], OUTCOMES),
        "sqlstate": sqlstate.take(order),
        "rows": pa.array(columns["rows"]),
        "key": _keys(work.calls["params"].combine_chunks()).take(call),
    }
    return pa.table(made, schema=OPS)


def _ints(parts: Iterable[bytes]) -> NDArray[np.int64]:
    return np.frombuffer(b"".join(parts), np.int64)


def _troubles(logs: Sequence[Log], lengths: Sequence[int]) -> "tuple[NDArray[np.int32], pa.Array[Any]]":
    """Outcome as an index into OUTCOMES, and SQLSTATE, for all operations of all logs in order."""
    outcome = np.zeros(sum(lengths), np.int32)
    states: dict[int, str | None] = {}
    base = 0
    for log, length in zip(logs, lengths, strict=True):
        for position, (what, state) in log.troubles.items():
            outcome[base + position] = OUTCOMES.index(what)
            states[base + position] = state
        base += length
    sqlstate = pa.nulls(len(outcome), pa.string())
    if states:
        chosen = np.zeros(len(outcome), bool)
        chosen[list(states)] = True
        words = [states[position] for position in sorted(states)]
        sqlstate = pc.replace_with_mask(sqlstate, pa.array(chosen), pa.array(words, pa.string()))
    return outcome, sqlstate


def _named(index: NDArray[np.int32], names: Sequence[str]) -> "pa.DictionaryArray[Any, Any]":
    return pa.DictionaryArray.from_arrays(pa.array(index, pa.int32()), pa.array(names, pa.string()))


def _keys(params: Any) -> "pa.Array[Any]":
    """The first parameter of each call, null where there is none."""
    offsets = params.offsets.to_numpy()
    first = pa.array(offsets[:-1], mask=offsets[:-1] == offsets[1:])
    keys: pa.Array[Any] = params.values.take(first)
    return keys
