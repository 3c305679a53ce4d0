"""What both drivers do on the lab's side: Work made plain, and raw logs made into OPS.

A client writes down only what nobody else knows: which call, when, how many rows, what went
wrong. Name, due time and key follow from the call, for whole columns at a time.
"""

import itertools
from array import array
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from lab import commands, statement
from lab.drivers import OPS, Work
from lab.errors import ClusterError, LabError
from lab.model import Query, Statement
from lab.plain import Asked, Calls, Log, Order

OUTCOMES = ("ok", "failed", "unknown")


def asked(query: Query) -> Asked:
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


def unconnected(work: Work, words: str, *, reading: bool = False) -> LabError:
    """What to raise where a server refuses a connection, one for *reading* or any other."""
    nodes = ", ".join(dict.fromkeys(one.node for one in work.reads)) if reading else work.endpoint.node
    return ClusterError(f"{nodes}: no connection for {work.connection!r}: {words}")


def unprepared(work: Work, index: int, words: str) -> LabError:
    """What to raise where the server refuses to prepare a query: the author's mistake."""
    query = work.queries[index]
    return LabError(f"{query.file}: the server refuses query {query.name!r}: {words}")


def order(work: Work, share: tuple[int, int], script: str | None = None) -> Order:
    """The share of one process of several; *share* is (which, of how many)."""
    which, many = share
    return Order(
        connection=work.connection,
        conninfo=work.endpoint.conninfo,
        clients=tuple(range(which, work.clients, many)),
        names=tuple(query.name for query in work.queries),
        asked=tuple(asked(query) for query in work.queries),
        calls=calls(work.calls),
        share=share,
        for_s=work.for_s,
        saturate=work.saturate,
        script=script,
        reads=tuple(one.conninfo for one in work.reads),
        reading=tuple(map(commands.only_reads, work.queries)),
        **_apart(work),
    )


def _apart(work: Work) -> dict[str, Any]:
    if work.apart is None:
        return {}
    places = {value: place.conninfo for value, place in work.apart.places.items()}
    return {"keys": tuple(work.apart.keys), "apart": places, "held": work.apart.connections}


def calls(table: pa.Table) -> Calls:
    """A table of CALLS without Arrow."""
    params: Any = table["params"].combine_chunks()
    values = params.values
    _, at, data = values.buffers()
    return Calls(
        query=table["query"].to_numpy().tobytes(),
        due_ns=table["due_ns"].to_numpy().tobytes(),
        first=params.offsets.to_numpy().tobytes(),
        at=np.frombuffer(at or bytes(4), np.int32)[values.offset :].tobytes(),
        data=bytes(data or b""),
        nulls=values.is_null().to_numpy(zero_copy_only=False).tobytes() if values.null_count else b"",
    )


def table(work: Work, zero_ns: int, logs: Sequence[Log]) -> pa.Table:
    """The operations of a slice as OPS, in the order they were started."""
    made = _written(logs)
    call = made["seq"].to_numpy() % max(len(work.calls), 1)
    due = made["start_ns"] if work.saturate else pa.array(zero_ns + work.calls["due_ns"].to_numpy()[call])
    names = [query.name for query in work.queries]
    keys = _keys(work.calls["params"].combine_chunks()).take(call)
    made |= {"name": _named(work.calls["query"].to_numpy()[call], names), "due_ns": due, "key": keys}
    return pa.table(made, schema=OPS)


def scripted_table(parts: Sequence[tuple[Sequence[str], Sequence[Log]]]) -> pa.Table:
    """The operations of a scripted slice as OPS, in the order they were started.

    Each part is one process' names and logs; a log's `seq` is an index into the names.
    """
    table = pa.concat_tables([_scripted(names, logs) for names, logs in parts]).unify_dictionaries()
    table = table.take(np.argsort(table["start_ns"].to_numpy(), kind="stable"))
    return table.set_column(0, "seq", pa.array(np.arange(len(table))))


def _scripted(names: Sequence[str], logs: Sequence[Log]) -> pa.Table:
    made = _written(logs)
    name = _named(made["seq"].to_numpy().astype(np.int32), names)
    key = pa.nulls(len(name), pa.string())
    return pa.table({**made, "name": name, "due_ns": made["start_ns"], "key": key}, schema=OPS)


def _written(logs: Sequence[Log]) -> "dict[str, pa.Array[Any]]":
    """What the clients wrote down, as columns in the order operations were started."""
    columns = {name: _ints(getattr(log, name) for log in logs) for name in ("seq", "start_ns", "end_ns", "rows")}
    lengths = [len(log.seq) for log in logs]
    client = np.repeat(np.array([log.client for log in logs], np.int32), lengths)
    outcome, sqlstate = _troubles(logs, lengths)
    order = np.argsort(columns["start_ns"], kind="stable")
    written: dict[str, pa.Array[Any]] = {name: pa.array(column[order]) for name, column in columns.items()}
    written["client"] = pa.array(client[order])
    written["outcome"] = _named(outcome[order], OUTCOMES)
    written["sqlstate"] = sqlstate.take(order)
    return written


def _ints(parts: Iterable["array[int]"]) -> NDArray[np.int64]:
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
