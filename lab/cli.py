"""The command line: parse, call one function, print, exit status. The only place that chooses.

Exit statuses: 0 yes, 1 the answer is no, 2 the author's mistake, 3 the environment failed,
4 unclear (gate), 70 a bug of ours (with its traceback), 130 interrupted.
"""

import io
import json
import signal
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TextIO

import typer
from rich.cells import cell_len, set_cell_size
from rich.console import Console

from lab import __version__, progress
from lab.errors import LabError

if TYPE_CHECKING:
    from lab.model import Json

app = typer.Typer(
    name="pglab",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    rich_markup_mode="rich",
    help="Measures PostgreSQL architectures against each other and writes an evidence-backed plan.",
)
out = Console(highlight=False, soft_wrap=True, emoji=False)
err = Console(stderr=True, highlight=False, soft_wrap=True, emoji=False)

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON value on stdout and nothing else there.")]
Results = Annotated[Path, typer.Option(help="The folder of stored runs.")]
Docs = Annotated[Path, typer.Option("--doc", help="The folder that plans are written to.")]
RESULTS = Path("results")
DOCS = Path(".claude/doc")
BUG = 70
"""EX_SOFTWARE: Python's own 1 would say that the answer is no."""


def _version(asked: bool) -> None:
    if asked:
        out.print(f"pglab {__version__}")
        raise typer.Exit


@app.callback()
def _top(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    del version


# --- commands -------------------------------------------------------------------------------


@app.command(epilog="Example: pglab run scenarios/quickstart --on embedded --max-time 5m")
def run(
    scenario: Annotated[str, typer.Argument(help="A folder with a scenario.yaml, or the name of one.")],
    on: Annotated[str, typer.Option(help="auto, embedded or docker.")] = "auto",
    profile: Annotated[str | None, typer.Option(help="quick, decide or gate; else the scenario's own.")] = None,
    rounds: Annotated[int | None, typer.Option(min=2, max=10_000, help="How many rounds; else the profile's.")] = None,
    rows: Annotated[int | None, typer.Option(min=1, help="How many rows; else the scenario's.")] = None,
    only: Annotated[str | None, typer.Option(help="Only these candidates, by name, with commas.")] = None,
    max_time: Annotated[str | None, typer.Option(help="Begin no trial that would end later, such as 20m.")] = None,
    given: Annotated[str | None, typer.Option(help="The database of a given server; it is emptied.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check everything, say how long it takes, stop.")] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the newest run that is not complete.")] = False,
    results: Results = RESULTS,
    doc: Docs = DOCS,
    as_json: AsJson = False,
) -> None:
    """Run a scenario, judge it, and write its plan."""
    with _messages(as_json):
        from lab import session
        from lab.timeline import seconds

        asked = session.Asked(
            scenario=scenario,
            on=on,
            profile=profile,
            rounds=rounds,
            rows=rows,
            only=() if only is None else tuple(name.strip() for name in only.split(",")),
            max_time_s=_duration(max_time, seconds),
            resume=resume,
            given=given,
            results=results,
            doc=doc,
        )
        with progress.told(err, quiet=as_json) as tell, _interruptible() as stop:
            if dry_run:
                _report(session.rehearse(asked, tell), as_json)
                return
            outcome = session.perform(asked, tell, stop)
        _finish(outcome.said, outcome.data, as_json)
        raise typer.Exit(outcome.status)


@app.command(epilog="Example: pglab aa scenarios/quickstart --on embedded --rounds 60")
def aa(
    scenario: Annotated[str, typer.Argument(help="A folder with a scenario.yaml, or the name of one.")],
    on: Annotated[str, typer.Option(help="auto, embedded or docker.")] = "auto",
    rounds: Annotated[int | None, typer.Option(min=6, max=10_000, help="How many rounds; else 60.")] = None,
    rows: Annotated[int | None, typer.Option(min=1, help="How many rows; else the scenario's.")] = None,
    max_time: Annotated[str | None, typer.Option(help="Begin no trial that would end later, such as 20m.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the newest that is not complete.")] = False,
    results: Results = RESULTS,
    as_json: AsJson = False,
) -> None:
    """Run the baseline against itself: noise, false claims, the smallest effect by rounds."""
    with _messages(as_json):
        from lab import aa as aa_
        from lab import session
        from lab.timeline import seconds

        limit_s = _duration(max_time, seconds)
        asked = session.Asked(scenario, results, DOCS, on, rounds=rounds, rows=rows, max_time_s=limit_s, resume=resume)
        with progress.told(err, quiet=as_json) as tell, _interruptible() as stop:
            outcome = aa_.perform(asked, tell, stop)
        if as_json:
            _print_json(outcome.data)
        for line in outcome.said:
            (err if as_json else out).print(line, markup=False)
        raise typer.Exit(outcome.status)


@app.command(epilog="Example: pglab plan quickstart")
def plan(
    run: Annotated[str, typer.Argument(help="A run's folder or id, or a scenario's name for its newest run.")],
    results: Results = RESULTS,
    doc: Docs = DOCS,
    as_json: AsJson = False,
) -> None:
    """Judge a stored run again and write its plan; needs no server."""
    with _messages(as_json):
        from lab import publish, store

        outcome = publish.publish(store.find(results, run), doc)
        _finish(outcome.said, outcome.data, as_json)
        raise typer.Exit(outcome.status)


@app.command(epilog="Example: pglab verify .claude/doc/quickstart.md")
def verify(
    plan: Annotated[Path, typer.Argument(help="A plan that pglab wrote.")],
    results: Results = RESULTS,
    as_json: AsJson = False,
) -> None:
    """Derive every number of a plan again from its stored run."""
    with _messages(as_json):
        from lab import verify as verify_

        found = verify_.verify(plan, results)
        if as_json:
            _print_json({"verified": not found.wrong, "numbers": found.numbers, "wrong": found.wrong})
        else:
            for line in found.wrong:
                out.print(line, markup=False)
            if not found.wrong:
                out.print(f"{plan}: all {found.numbers} numbers and quotes are what the stored run gives", markup=False)
        raise typer.Exit(1 if found.wrong else 0)


@app.command(epilog="Example: pglab show quickstart")
def show(
    run: Annotated[str, typer.Argument(help="A run's folder or id, or a scenario's name for its newest run.")],
    results: Results = RESULTS,
    as_json: AsJson = False,
) -> None:
    """Show the decision of a stored run and what it rests on."""
    with _messages(as_json):
        from lab import show as show_
        from lab import store

        found = show_.shown(store.find(results, run))
        if as_json:
            _print_json(found.data())
            return
        out.print(f"{found.question}\n\n{found.decision}", markup=False)
        for table in found.tables:
            out.print(f"\n{table.title}" if table.title else "", markup=False)
            _table(table.columns, table.rows)
        if found.notes:
            out.print("\n".join(["", *found.notes]), markup=False)


@app.command("list", epilog="Example: pglab list")
def list_(results: Results = RESULTS, as_json: AsJson = False) -> None:
    """List the stored runs."""
    with _messages(as_json):
        from lab import show as show_

        found, broken = show_.listed(results)
        if as_json:
            _print_json(found)
        elif found:
            table = show_.runs_table(found)
            _table(table.columns, table.rows)
        elif not broken:
            out.print(f"no runs in {results} (pglab run SCENARIO makes one)", markup=False)
        for line in broken:
            err.print(line, markup=False)
        raise typer.Exit(2 if broken else 0)


@app.command(epilog="Example: pglab doctor")
def doctor(as_json: AsJson = False) -> None:
    """Say what this machine can run, and what is missing for the rest."""
    with _messages(as_json):
        from lab import doctor as doctor_

        found = doctor_.findings()
        if as_json:
            _print_json([vars(one) for one in found])
        else:
            for one in found:
                sign = "ok " if one.well else ("-  " if one.what in doctor_.OPTIONAL else "NO ")
                out.print(f"{sign} {one.what}: {one.seen}" + ("" if one.well else f" ({one.way})"), markup=False)
        raise typer.Exit(0 if doctor_.can_run(found) else 3)


@app.command(epilog="Example: pglab clean --dry-run")
def clean(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be removed.")] = False,
    results: Results = RESULTS,
    as_json: AsJson = False,
) -> None:
    """Remove what dead runs left behind; never touches a live run."""
    with _messages(as_json):
        from lab import tidy
        from lab.hosts import embedded

        found = tidy.left(embedded.base(), results)
        if not dry_run:
            tidy.remove(found)
        if as_json:
            _print_json([vars(one) for one in found])
            return
        for one in found:
            out.print(f"{one.what}: {one.where} ({one.bytes / 2**20:.1f} MiB)", markup=False)
        total = sum(one.bytes for one in found) / 2**20
        verb = "would be removed" if dry_run else "removed"
        out.print(f"{len(found)} left over, {total:.1f} MiB {verb}" if found else "nothing is left over", markup=False)


@app.command(epilog="Example: pglab images build postgres:17")
def images(
    do: Annotated[str, typer.Argument(help="list or build.")],
    names: Annotated[list[str] | None, typer.Argument(help="Which to build; else all that are missing.")] = None,
    as_json: AsJson = False,
) -> None:
    """List the images that containers are made of, or build those of docker/."""
    with _messages(as_json):
        from lab import images as images_

        done = images_.do(do, names or [], lambda line: err.print(line, markup=False))
        if as_json:
            _print_json([vars(one) for one in done])
        else:
            _table(["image", "is"], [[one.name, one.said()] for one in done])


@app.command(epilog="Example: pglab schema > scenario.schema.json")
def schema(as_json: AsJson = True) -> None:
    """Print the JSON schema of scenario.yaml, for editors that complete it; it is JSON either way."""
    del as_json
    with _messages(True):
        from lab import scenario

        _print_json(scenario.json_schema())


# --- how things are said --------------------------------------------------------------------


def _print_json(value: "Json") -> None:
    print(json.dumps(value, ensure_ascii=False, indent=1, default=str))


def _finish(said: tuple[str, ...], data: "Json", as_json: bool) -> None:
    """The last line goes to stdout, what comes before it to stderr; where stdout is JSON, all does."""
    if as_json:
        _print_json(data)
    for line in said[:-1]:
        err.print(line, markup=False)
    (err if as_json else out).print(said[-1], markup=False)


def _report(data: dict[str, Any], as_json: bool) -> None:
    if as_json:
        _print_json(data)
        return
    for key, value in data.items():
        out.print(f"{key}: {value}", markup=False)


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Columns apart by two spaces, a line a row however wide it is: a terminal wraps it, a pipe gets it whole."""
    widths = [max(map(cell_len, cells)) for cells in zip(columns, *rows, strict=True)]
    for row in (columns, *rows):
        cells = (set_cell_size(cell, width) for cell, width in zip(row, widths, strict=True))
        out.print("  ".join(cells).rstrip(), markup=False)


@contextmanager
def _messages(as_json: bool) -> Iterator[None]:
    """What the lab raises on purpose becomes a message and an exit status, not a traceback."""
    try:
        yield
    except LabError as error:
        if as_json:
            _print_json({"error": str(error), "status": error.status})
        err.print(str(error), markup=False, style="red" if err.is_terminal else None)
        raise typer.Exit(error.status) from None
    except KeyboardInterrupt:
        err.print("interrupted; finished trials are kept, go on with --resume", markup=False)
        raise typer.Exit(130) from None


def _duration(text: str | None, seconds: Callable[[object], float]) -> float | None:
    if text is None:
        return None
    try:
        return seconds(text)
    except ValueError as error:
        raise LabError(f"--max-time: {error}") from None


@contextmanager
def _interruptible() -> Iterator[Any]:
    """Ctrl-C once: finish the trial and judge what is there. Twice: stop."""
    from lab.run import Stop

    stop = Stop()

    def asked(signum: int, frame: object) -> None:
        del signum, frame
        if stop.asked:
            raise KeyboardInterrupt
        stop.asked, stop.interrupted, stop.why = True, True, "interrupted"
        err.print("finishing the trial under way; Ctrl-C again stops at once", markup=False)

    before = signal.signal(signal.SIGINT, asked)
    try:
        yield stop
    finally:
        signal.signal(signal.SIGINT, before)


class _Pipe(io.FileIO):
    """A stream whose reader may leave: what comes after goes nowhere, and the exit status is the usual one."""

    def write(self, data: Any, /) -> int:
        try:
            return super().write(data)
        except BrokenPipeError:
            return memoryview(data).nbytes


def _patient(stream: TextIO) -> TextIO:
    """*stream*, so that `pglab list | head -1` ends as `pglab list` does; as it is where it is closed or no file."""
    try:
        raw = io.BufferedWriter(_Pipe(stream.fileno(), "w", closefd=False))
    except (AttributeError, OSError):
        return stream
    return io.TextIOWrapper(raw, stream.encoding, stream.errors, line_buffering=True)


def main() -> None:
    """The console script. What nobody expected keeps its traceback, and is not taken for an answer of no."""
    sys.stdout, sys.stderr = _patient(sys.stdout), _patient(sys.stderr)
    try:
        app()
    except Exception:  # noqa: BLE001 - to say so is all that is done
        traceback.print_exc()
        sys.exit(BUG)


if __name__ == "__main__":
    main()
