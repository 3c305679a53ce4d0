"""Files that somebody damaged: each gives what it still says, or a message, and never a traceback."""

import csv as csv_
import io
import random
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lab import parts, scenario, statement
from lab.errors import LabError
from lab.model import Lab, Stream
from lab.sources import csv, parquet

TOP = Path(__file__).parent.parent
SCENARIOS = 2_000
FILES = 200
ODD = ("{", "}", "[", "]", ":", "- ", "\t", "'", '"', "#", "|", "&a", "*a", "!!x", "\x00", "\ufeff", "é", "null")
ODD += (
    "-1",
    "0",
    "[]",
    "{}",
    "true",
    "~",
    "99999999999999999999",
    "0x1f",
    "2026-13-45",
    "{{",
    "}}",
    "{%",
    "\r\n",
    "1e9999",
)
PUT_IN = (b'"', b",", b"\n", b"\r", b"\x00", b"\xff", b"\xef\xbb\xbf")


def mutated(text: str, draw: random.Random) -> str:
    """*text* with one to four changes: lines lost, doubled, swapped, moved in, or something odd put into them."""
    lines = text.splitlines(keepends=True)
    for _ in range(draw.randint(1, 4)):
        if not lines:
            return ""
        n = draw.randrange(len(lines))
        line = lines[n]
        at = draw.randrange(len(line) + 1)
        word = draw.choice(ODD)
        lines[n : n + 1] = draw.choice(
            (
                [],
                [line, line],
                [line[:at] + word + line[at:]],
                [line[:at] + line[at + draw.randint(1, 9) :]],
                [" " * draw.randint(1, 4) + line],
                [line.lstrip()],
                [line.partition(":")[0] + f": {word}\n"],
                [draw.choice(lines), line],
            )
        )
    return "".join(lines)


def read_of(name: str) -> dict[str, str]:
    """The files that a scenario of the repository consists of."""
    return dict(scenario.read(name, scenario.OnDisk(TOP / "scenarios" / name, TOP), parts, scenario.Given()).files)


def message(work) -> str:
    """What *work* refuses with, "" where it refuses nothing; whatever else it raises is the test's failure."""
    try:
        work()
    except LabError as error:
        return str(error) or "nothing was said"
    return ""


@pytest.mark.long
def test_two_thousand_damaged_scenarios_give_no_traceback():
    draw = random.Random(1)
    every = [read_of(name) for name in ("quickstart", "flights", "pooling", "sharding", "tenancy")]
    told = []
    for n in range(SCENARIOS):
        files = dict(draw.choice(every))
        name = draw.choice([one for one in files if one.endswith(".yaml")] if n % 3 else list(files))
        files[name] = mutated(files[name], draw)
        try:
            told.append(message(lambda: scenario.read("mutated", scenario.kept(files), parts, scenario.Given())))  # noqa: B023
        except Exception as error:
            error.add_note(f"mutant {n} of {name}:\n{files[name]}")
            raise
    assert SCENARIOS / 10 < told.count("") < SCENARIOS * 9 / 10
    assert "nothing was said" not in told


def test_damaged_queries_give_no_traceback():
    draw = random.Random(2)
    texts = [path.read_text() for path in sorted((TOP / "workloads").rglob("*.sql"))]
    told = []
    for n in range(FILES):
        text = mutated(draw.choice(texts), draw)
        try:
            told.append(message(lambda: statement.read("q", "q.sql", text)))  # noqa: B023
        except Exception as error:
            error.add_note(f"mutant {n}:\n{text}")
            raise
    refused = [one for one in told if one]
    assert FILES / 20 < len(refused) < FILES
    assert [one for one in refused if "q.sql" not in one] == []


def damaged(content: bytes, draw: random.Random) -> bytes:
    """*content* with bytes changed, cut out, or put in."""
    for _ in range(draw.randint(1, 3)):
        at = draw.randrange(len(content)) if content else 0
        content = draw.choice(
            (
                content[:at],
                content[:at] + draw.randbytes(draw.randint(1, 8)) + content[at:],
                content[:at] + content[at + draw.randint(1, 40) :],
                content[:at] + bytes([draw.randrange(256)]) + content[at + 1 :],
                content[:at]
                + draw.choice((b'"', b",", b"\n", b"\r", b"\x00", b"\xff", b"\xef\xbb\xbf"))
                + content[at:],
            )
        )
    return content


def rows_of(kind) -> bytes:
    rows = [{"id": n, "at": f"2026-01-01 00:{n % 60:02}:00", "note": f'a "{n}"' if n % 3 else ""} for n in range(300)]
    if kind is csv:
        text = io.StringIO()
        writer = csv_.DictWriter(text, rows[0])
        writer.writeheader()
        writer.writerows(rows)
        return text.getvalue().encode()
    sink = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), sink, row_group_size=70)
    return sink.getvalue()


@pytest.mark.parametrize("kind", [csv, parquet], ids=lambda one: one.KIND)
def test_damaged_rows_give_no_traceback(kind, tmp_path):
    draw, whole = random.Random(3), rows_of(kind)
    path = tmp_path / f"a.{kind.KIND}"
    stream = Stream("t", kind.KIND, {"files": str(path), **({"columns": {"id": "bigint"}} if kind is csv else {})})

    def read() -> None:
        source = kind.opened(stream, Lab(), seed=1)
        list(source.batches(0, source.rows))
        source.sample(20, seed=1)

    told = []
    for n in range(FILES):
        path.write_bytes(damaged(whole, draw))
        try:
            told.append(message(read))
        except Exception as error:
            error.add_note(f"mutant {n} of {kind.KIND}")
            raise
    refused = [one for one in told if one]
    assert FILES / 20 < len(refused) < FILES
    assert [one for one in refused if "stream t" not in one] == []
