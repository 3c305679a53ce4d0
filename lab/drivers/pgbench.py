"""The mix, driven by PostgreSQL's own pgbench: another generator, for saturation and as a second witness.

What it cannot: draw anything but numbers, keep to due times that somebody else drew (at a rate it
draws its own, Poisson as well), send queries in different ways, read from other servers than it writes
to, count rows, stop after a part of a second, or go on after a statement failed. It knows neither
parameters that the lab drew nor when: it draws from a pool of them, evenly.
"""

import itertools
import re
import resource
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from lab import commands, statement
from lab.drivers import OPS, Driven, Work
from lab.errors import DriverError, LabError, PlaceError, ScenarioError
from lab.model import Query, Statement

KIND = "pgbench"
# a bound of the rows that are there is a time, and no number; and it knows of one database (drivers.Apart)
CANNOT = frozenset({"window", "apart"})
OWN_SCHEDULE = True
"""When operations are due is drawn here, so that their number at a rate is not known before."""

POOL = 256
"""So many sets of a query's parameters are drawn from."""

_MODES = {"prepared": "prepared", "unprepared": "extended", "literal": "simple"}
_END_S = 5.0
_FAILED = {"failed": None, "serialization": "40001", "deadlock": "40P01"}
"""What stands in the place of a latency since PostgreSQL 15 (the last two with --failures-detailed) -> SQLSTATE."""
_VARIABLE = re.compile(r"(?<!:):[A-Za-z_]")


@contextmanager
def opened(*, workdir: Path, options: Mapping[str, object]) -> Iterator["Pgbench"]:
    """See drivers.OpenDriver. *options*: `program`, where pgbench is, if not on PATH."""
    if unknown := set(options) - {"program"}:
        raise ScenarioError(f"driver pgbench: unknown option {min(unknown)!r} (known: program)")
    program = shutil.which(str(options.get("program", "pgbench")))
    if program is None:
        raise PlaceError("pgbench is not on PATH (install PostgreSQL's client programs, or use driver: locust)")
    yield Pgbench(Path(program), workdir)


class Pgbench:
    """See drivers.Driver. A process for each slice: nothing is kept in between."""

    def __init__(self, program: Path, workdir: Path) -> None:
        self._program = program
        self._workdir = workdir

    def start(self, work: Work) -> "Run":
        """See drivers.Driver.start; but connections are opened once it runs. LabError for what it cannot do."""
        found = scripts(work)
        folder = Path(tempfile.mkdtemp(prefix="pgbench.", dir=self._workdir))
        files = []
        for index, text in found.items():
            path = folder / f"{index}.sql"
            path.write_text(text, encoding="utf-8")
            files += ["-f", f"{path}@{_weight(work, index)}"]
        command = [str(self._program), *arguments(work), *files, "--log-prefix", str(folder / "log")]
        return Run(work, [work.queries[index].name for index in found], folder, command)

    def refuse(self, work: Work) -> None:
        """See drivers.CanRefuse."""
        scripts(work)

    def forget(self, connection: str) -> None:
        """See drivers.Driver.forget: no connection outlives its slice."""


class Run:
    """See drivers.Load: one pgbench at work."""

    def __init__(self, work: Work, names: Sequence[str], folder: Path, command: Sequence[str]) -> None:
        self._work = work
        self._names = names
        self._folder = folder
        self._spent_s = _children_s()
        self._wall_ns, self._mono_ns = time.time_ns(), time.monotonic_ns()
        with (folder / "said").open("wb") as said:
            self._process = subprocess.Popen(
                [*command, work.endpoint.conninfo], stdin=subprocess.DEVNULL, stdout=said, stderr=said
            )

    def wait(self, until_s: float) -> bool:
        """See drivers.Load.wait."""
        try:
            self._process.wait(until_s)
        except subprocess.TimeoutExpired:
            return False
        return True

    def stop(self) -> None:
        """End it now. It keeps what it wrote down to itself then, so that `ops` is a DriverError."""
        self._process.terminate()

    def ops(self) -> Driven:
        """See drivers.Load.ops."""
        try:
            status = self._process.wait(_END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            status = self._process.wait()
        said = (self._folder / "said").read_text(errors="replace")
        lines = [line for log in sorted(self._folder.glob("log.*")) for line in log.read_text().splitlines()]
        shutil.rmtree(self._folder)
        if status != 0:
            raise DriverError(f"pgbench: ended with status {status}: {_words(said)}")
        table = operations(lines, self._names, self._mono_ns - self._wall_ns, saturate=self._work.saturate)
        zero_ns = int(table["due_ns"].to_numpy()[0]) if len(table) else self._mono_ns
        return Driven(table, zero_ns, zero_ns - self._mono_ns + self._wall_ns, _children_s() - self._spent_s)


# --- what it is told ------------------------------------------------------------------------


def arguments(work: Work) -> list[str]:
    """How pgbench is called for *work*, less its scripts: every operation logged, nothing vacuumed.

    The seed follows from the due times, which are the same for all candidates in a round.
    """
    seed = int(work.calls["due_ns"].to_numpy().sum() % 2**31)
    rate = [] if work.saturate else ["-R", f"{len(work.calls) / work.for_s:.6g}"]
    threads = ["-j", str(min(work.clients, 2 if work.saturate else 1))]
    mode = ["-M", _MODES[work.queries[0].send]]
    return [
        "-n",
        "-l",
        "-T",
        f"{work.for_s:.0f}",
        "-c",
        str(work.clients),
        *threads,
        *mode,
        *rate,
        f"--random-seed={seed}",
    ]


def refuse(work: Work) -> None:
    """LabError for what *work* asks of pgbench and it cannot do; with those that can."""
    others = "(drivers that can: inline, locust)"
    if not work.queries:
        raise LabError(f"driver pgbench: runs no locustfile {others}")
    if work.for_s != round(work.for_s):
        raise LabError(
            f"driver pgbench: drives for whole seconds, not {work.for_s:g} s (for: 1s, or another driver {others})"
        )
    if len({query.send for query in work.queries}) > 1:
        raise LabError(f"driver pgbench: sends all queries of a mix in one way {others}")
    if work.apart is not None:
        raise LabError(f"driver pgbench: sends to one database, and rows are kept apart in several {others}")
    if any(commands.only_reads(query) for query in work.queries) and work.reads:
        raise LabError(f"driver pgbench: sends reads where writes go {others}")


def scripts(work: Work) -> dict[int, str]:
    """The scripts of the queries that are called, by their number in *work*; LabError for what cannot be sent."""
    refuse(work)
    used = np.unique(work.calls["query"].to_numpy()).tolist()
    return {index: script(work.queries[index], pool(work, index)) for index in used}


def pool(work: Work, index: int) -> list[list[str]]:
    """The first POOL sets of parameters that were drawn for a query; LabError where one is no number.

    A number is what pgbench would write just as the lab did.
    """
    mine = work.calls.filter(pa.array(work.calls["query"].to_numpy() == index))
    sets: list[Any] = mine["params"].to_pylist()[:POOL]
    query = work.queries[index]
    for value in itertools.chain.from_iterable(sets):
        if value is None or not _is_number(value):
            raise LabError(
                f"{query.file}: query {query.name!r} takes {value!r}, and pgbench draws numbers only "
                "(drivers that can: inline, locust)"
            )
    return sets


def _is_number(text: str) -> bool:
    """Whether pgbench, which knows int64 and double, would write it just so.

    >>> [_is_number(text) for text in ("12", "-3", "0.25", "007", "1.10", "2026-01-01", "nan", "9" * 19)]
    [True, True, True, False, False, False, False, False]
    """
    if re.fullmatch(r"-?\d{1,18}", text):
        return str(int(text)) == text
    return re.fullmatch(r"-?\d{1,15}\.\d{1,15}", text) is not None and f"{float(text):.15g}" == text


def script(query: Query, sets: Sequence[Sequence[str]]) -> str:
    """A query as a script of pgbench's, which draws one of the *sets* of parameters each time.

    >>> point = Query("point", "p.sql", (Statement("SELECT b FROM t WHERE a = $1", (0,)),))
    >>> print(script(point, [["7"], ["9"]]))
    \\set set_ random(0, 1)
    \\set p0 case when :set_ < 1 then 7 else 9 end
    SELECT b FROM t WHERE a = :p0;
    <BLANKLINE>
    """
    lines = [f"\\set set_ random(0, {len(sets) - 1})"] if sets and sets[0] else []
    lines += [f"\\set p{n} {_choice([one[n] for one in sets], 0)}" for n in range(len(sets[0]) if sets else 0)]
    statements = [f"{_filled(query, one)};" for one in query.statements]
    if len(statements) > 1:
        statements = ["BEGIN;", *statements, "COMMIT;"]
    return "\n".join([*lines, *statements]) + "\n"


def _choice(values: Sequence[str], first: int) -> str:
    """An expression for the value number `set_`, from *first* on: halved again and again, so that it is quick."""
    if len(set(values)) == 1:
        return values[0]
    half = len(values) // 2
    left, right = _choice(values[:half], first), _choice(values[half:], first + half)
    return f"case when :set_ < {first + half} then {left} else {right} end"


def _filled(query: Query, one: Statement) -> str:
    """The text with variables for placeholders; LabError where it has what pgbench would take for one."""
    texts = []
    for token in statement.tokens(query.file, one.text):
        if token.kind == "numbered":
            texts.append(f":p{one.takes[int(token.text[1:]) - 1]}")
        elif token.text == f"/* pglab:{query.name} */":
            texts.append(f"/* pglab::{query.name} */")  # the mark; what two colons begin is no variable
        elif _VARIABLE.search(token.text):
            raise LabError(
                f"{query.file}: pgbench would take {token.text!r} for a variable of its own "
                "(drivers that can: inline, locust)"
            )
        else:
            texts.append(token.text)
    return "".join(texts).rstrip().removesuffix(";")


def _weight(work: Work, index: int) -> int:
    return int((work.calls["query"].to_numpy() == index).sum())


# --- what it says ---------------------------------------------------------------------------


def operations(lines: Sequence[str], names: Sequence[str], offset_ns: int, *, saturate: bool) -> pa.Table:
    """pgbench's log as OPS, in the order of due times; *offset_ns* is CLOCK_MONOTONIC less the wall clock.

    A line is client, transaction, latency in us, script, end in s and us since the epoch and, at a
    rate, how late it began in us; the latency counts from when it was due. Rows and keys are not told.
    A failure (a deadlock, say) has a word for the latency, which is not told then: it is due, less how
    late it began, when it ends.

    >>> operations(["2 5 1500 0 1 250000 500"], ["point"], 0, saturate=False).to_pylist()[0]["start_ns"]
    1249000000
    """
    width = 6 if saturate else 7
    split = [line.split()[:width] for line in lines]
    words = [one[2] if one[2] in _FAILED else "" for one in split]
    told = [[*one[:2], _late(one) if word else one[2], *one[3:]] for one, word in zip(split, words, strict=True)]
    fields = np.array(told, np.int64).reshape(-1, width)
    end_ns = fields[:, 4] * 1_000_000_000 + fields[:, 5] * 1000 + offset_ns
    due_ns = end_ns - fields[:, 2] * 1000
    start_ns = due_ns if saturate else due_ns + fields[:, 6] * 1000
    order = np.argsort(due_ns, kind="stable")
    count = len(lines)
    scripts: pa.Array[Any] = pa.array(fields[order, 3], pa.int32())
    return pa.table(
        {
            "seq": pa.array(np.arange(count)),
            "client": pa.array(fields[order, 0].astype(np.int32)),
            "name": pa.DictionaryArray.from_arrays(scripts, pa.array(list(names))),
            "due_ns": pa.array(due_ns[order]),
            "start_ns": pa.array(start_ns[order]),
            "end_ns": pa.array(end_ns[order]),
            "outcome": pa.array(["failed" if words[n] else "ok" for n in order], pa.string()).dictionary_encode(),
            "sqlstate": pa.array([_FAILED.get(words[n]) for n in order], pa.string()),
            "rows": pa.nulls(count, pa.int64()),
            "key": pa.nulls(count, pa.string()),
        },
        schema=OPS,
    )


def _late(fields: Sequence[str]) -> str:
    """How late in us an operation began, which only a rate has."""
    return fields[6] if len(fields) > 6 else "0"


def _words(said: str) -> str:
    """What went wrong, of all that it said."""
    errors = [line.strip() for line in said.splitlines() if "error:" in line or "ERROR" in line or "fatal" in line]
    return " / ".join(errors[:3]) or " / ".join(said.strip().splitlines()[-3:]) or "without a word"


def _children_s() -> float:
    """CPU seconds of all children of this process that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
