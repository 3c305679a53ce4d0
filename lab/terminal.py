"""How commands say things: tables, JSON, the last line, and errors as a message and an exit status."""

import io
import json
import signal
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TextIO

import typer
from rich.cells import cell_len, set_cell_size
from rich.console import Console

from lab.errors import LabError, PlaceError

if TYPE_CHECKING:
    from lab.model import Json
    from lab.show import Shown

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON value on stdout and nothing else there.")]
Wait = Annotated[bool, typer.Option("--wait", help="Wait for another run on this machine to end.")]
Docs = Annotated[Path, typer.Option("--doc", help="The folder that plans are written to.")]
DOCS = Path(".claude/doc")
out = Console(highlight=False, soft_wrap=True, emoji=False)
err = Console(stderr=True, highlight=False, soft_wrap=True, emoji=False)


def print_json(value: "Json") -> None:
    """One JSON value on stdout."""
    print(json.dumps(value, ensure_ascii=False, indent=1, default=str))


def finish(said: tuple[str, ...], data: "Json", as_json: bool) -> None:
    """The last line goes to stdout, what comes before it to stderr; where stdout is JSON, all does."""
    if as_json:
        print_json(data)
    for line in said[:-1]:
        err.print(line, markup=False)
    (err if as_json else out).print(said[-1], markup=False)


def report(data: "Json", lines: Iterable[str], as_json: bool) -> None:
    """Lines for people, or the same facts as JSON."""
    if as_json:
        print_json(data)
        return
    for line in lines:
        out.print(line, markup=False)


def table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Columns apart by two spaces, a line a row however wide it is: a terminal wraps it, a pipe gets it whole."""
    widths = [max(map(cell_len, cells)) for cells in zip(columns, *rows, strict=True)]
    for row in (columns, *rows):
        cells = (set_cell_size(cell, width) for cell, width in zip(row, widths, strict=True))
        out.print("  ".join(cells).rstrip(), markup=False)


def glance(found: "Shown") -> None:
    """A judged run at a glance, on stdout."""
    out.print(f"{found.question}\n\n{found.decision}", markup=False)
    for each in found.tables:
        out.print(f"\n{each.title}" if each.title else "", markup=False)
        table(each.columns, each.rows)
    if found.notes:
        out.print("\n".join(["", *found.notes]), markup=False)


@contextmanager
def messages(as_json: bool) -> Iterator[None]:
    """What the lab raises on purpose becomes a message and an exit status, not a traceback.

    SIGTERM, which whoever stops a service or a CI job sends, ends as Ctrl-C does: what was begun is put away.
    """
    before = signal.signal(signal.SIGTERM, _terminated), signal.getsignal(signal.SIGINT)
    try:
        yield
    except LabError as error:
        if as_json:
            print_json({"error": str(error), "status": error.status})
        err.print(str(error), markup=False, style="red" if err.is_terminal else None)
        raise typer.Exit(error.status) from None
    except KeyboardInterrupt as stopped:
        err.print(str(stopped) or "interrupted; finished trials are kept, go on with --resume", markup=False)
        raise typer.Exit(143 if isinstance(stopped, TerminatedError) else 130) from None
    finally:
        for one, handler in zip((signal.SIGTERM, signal.SIGINT), before, strict=True):
            signal.signal(one, handler)


class TerminatedError(KeyboardInterrupt):
    """Ended by SIGTERM: whatever lets Ctrl-C through lets this through."""


def _terminated(signum: int, frame: object) -> None:
    """Once: nothing interrupts the putting away."""
    del signum, frame
    for one in (signal.SIGTERM, signal.SIGINT):
        signal.signal(one, signal.SIG_IGN)
    raise TerminatedError("ended by SIGTERM; a run that had begun goes on with: pglab run SCENARIO --resume")


class _Pipe(io.FileIO):
    """A stream whose reader may leave: what comes after goes nowhere, and the exit status is the usual one.

    Where it cannot be written for another reason, such as a full disk, PlaceError says so once.
    """

    _told = False

    def write(self, data: Any, /) -> int:
        try:
            return super().write(data)
        except BrokenPipeError:
            return memoryview(data).nbytes
        except OSError as error:
            if self._told:
                return memoryview(data).nbytes
            self._told = True
            raise PlaceError(
                f"the output cannot be written: {error.strerror} (make room, or send it elsewhere)"
            ) from None


def patient(stream: TextIO) -> TextIO:
    """*stream*, so that `pglab list | head -1` ends as `pglab list` does; as it is where it is closed or no file."""
    try:
        raw = io.BufferedWriter(_Pipe(stream.fileno(), "w", closefd=False))
    except (AttributeError, OSError):
        return stream
    return io.TextIOWrapper(raw, stream.encoding, stream.errors, line_buffering=True)
