"""The command line: parse, call one function, print, exit status. The only place that chooses.

Exit statuses: 0 yes, 1 the answer is no, 2 the author's mistake, 3 the environment failed,
4 unclear (gate), 70 a bug of ours (with its traceback), 130 interrupted, 143 ended by SIGTERM.
"""

import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from lab import __version__, advice, progress, terminal
from lab.errors import LabError
from lab.terminal import DOCS, AsJson, Docs, Wait, err, out

app = typer.Typer(
    name="pglab",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    rich_markup_mode="rich",
    help="Measures PostgreSQL architectures against each other and writes an evidence-backed plan.",
)
app.add_typer(advice.commands)

Results = Annotated[Path, typer.Option(help="The folder of stored runs.")]
Stored = Annotated[Path, typer.Option("--results", help="The folder of stored runs, or an exported archive of one.")]
RESULTS = Path("results")
A_RUN = "A run's folder or id, a scenario's name for its newest run, or an exported archive."
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
    load_workers: Annotated[int | None, typer.Option(min=1, max=64, help="Load by so many Locust workers.")] = None,
    load_bind: Annotated[str | None, typer.Option(help="Await them at this address, from other machines.")] = None,
    probes: Annotated[str | None, typer.Option(help="off, 1s or 100ms: how often servers are looked at.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check everything, say how long it takes, stop.")] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the newest run that is not complete.")] = False,
    wait: Wait = False,
    results: Results = RESULTS,
    doc: Docs = DOCS,
    as_json: AsJson = False,
) -> None:
    """Run a scenario, judge it, and write its plan."""
    with terminal.messages(as_json):
        from lab import session
        from lab import show as show_
        from lab.timeline import seconds

        asked = session.Asked(
            scenario=scenario,
            on=on,
            profile=profile,
            rounds=rounds,
            rows=rows,
            only=() if only is None else tuple(name.strip() for name in only.split(",")),
            max_time_s=_duration("--max-time", max_time, seconds),
            resume=resume,
            given=given,
            load_workers=load_workers,
            load_bind=load_bind,
            probes=probes,
            wait=wait,
            results=results,
            doc=doc,
        )
        with progress.told(err, quiet=as_json) as tell, progress.interruptible(err) as stop:
            if dry_run:
                found = session.rehearse(asked, tell)
                terminal.report(found, show_.foretold(found), as_json)
                return
            outcome = session.perform(asked, tell, stop)
        terminal.finish(outcome.said, outcome.data, as_json)
        raise typer.Exit(outcome.status)


@app.command(epilog="Example: pglab aa scenarios/quickstart --on embedded --rounds 60")
def aa(
    scenario: Annotated[str, typer.Argument(help="A folder with a scenario.yaml, or the name of one.")],
    on: Annotated[str, typer.Option(help="auto, embedded or docker.")] = "auto",
    rounds: Annotated[int | None, typer.Option(min=6, max=10_000, help="How many rounds, 6 at least; else 60.")] = None,
    rows: Annotated[int | None, typer.Option(min=1, help="How many rows; else the scenario's.")] = None,
    max_time: Annotated[str | None, typer.Option(help="Begin no trial that would end later, such as 20m.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the newest that is not complete.")] = False,
    wait: Wait = False,
    results: Results = RESULTS,
    as_json: AsJson = False,
) -> None:
    """Run the baseline against itself: noise, false claims, the smallest effect by rounds."""
    with terminal.messages(as_json):
        from lab import aa as aa_
        from lab import session
        from lab.timeline import seconds

        limit_s = _duration("--max-time", max_time, seconds)
        asked = session.Asked(
            scenario, results, DOCS, on, rounds=rounds, rows=rows, max_time_s=limit_s, resume=resume, wait=wait
        )
        with progress.told(err, quiet=as_json) as tell, progress.interruptible(err) as stop:
            outcome = aa_.perform(asked, tell, stop)
        if as_json:
            terminal.print_json(outcome.data)
        for line in outcome.said:
            (err if as_json else out).print(line, markup=False)
        raise typer.Exit(outcome.status)


@app.command(epilog="Example: pglab plan quickstart")
def plan(
    run: Annotated[str, typer.Argument(help=A_RUN)],
    results: Stored = RESULTS,
    doc: Docs = DOCS,
    as_json: AsJson = False,
) -> None:
    """Judge a stored run again and write its plan; needs no server."""
    with terminal.messages(as_json):
        from lab import archive, publish

        with archive.found(results, run) as folder:
            outcome = publish.publish(folder, doc)
        terminal.finish(outcome.said, outcome.data, as_json)
        raise typer.Exit(outcome.status)


@app.command(epilog="Example: pglab verify .claude/doc/quickstart.md")
def verify(
    plan: Annotated[Path, typer.Argument(help="A plan that pglab wrote.")],
    results: Stored = RESULTS,
    as_json: AsJson = False,
) -> None:
    """Derive every number of a plan again from its stored run."""
    with terminal.messages(as_json):
        from lab import verify as verify_

        found = verify_.verify(plan, results)
        if as_json:
            terminal.print_json({"verified": not found.wrong, "numbers": found.numbers, "wrong": found.wrong})
        else:
            for line in found.wrong:
                out.print(line, markup=False)
            if not found.wrong:
                out.print(f"{plan}: all {found.numbers} numbers and quotes are what the stored run gives", markup=False)
        raise typer.Exit(1 if found.wrong else 0)


@app.command(epilog="Example: pglab show quickstart")
def show(
    run: Annotated[str, typer.Argument(help=A_RUN)],
    results: Stored = RESULTS,
    as_json: AsJson = False,
) -> None:
    """Show the decision of a stored run and what it rests on."""
    with terminal.messages(as_json):
        from lab import archive
        from lab import show as show_

        with archive.found(results, run) as folder:
            found = show_.shown(folder)
        if as_json:
            terminal.print_json(found.data())
            return
        terminal.glance(found)


@app.command(epilog="Example: pglab export quickstart --output quickstart.pglab.tar.gz")
def export(
    run: Annotated[str, typer.Argument(help=A_RUN)],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The archive; else <run>.pglab.tar.gz in this folder.")
    ] = None,
    results: Stored = RESULTS,
    as_json: AsJson = False,
) -> None:
    """Make one archive of a stored run, without host names, users, addresses and home folders."""
    with terminal.messages(as_json):
        from lab import archive
        from lab import export as export_

        with archive.found(results, run) as folder:
            done = export_.export(folder, output, export_.here())
        terminal.finish(tuple(done.said()), done.data(), as_json)


@app.command("list", epilog="Example: pglab list")
def list_(results: Stored = RESULTS, as_json: AsJson = False) -> None:
    """List the stored runs."""
    with terminal.messages(as_json):
        from lab import show as show_

        found, broken = show_.listed(results)
        if as_json:
            terminal.print_json(found)
        elif found:
            table = show_.runs_table(found)
            terminal.table(table.columns, table.rows)
        elif not broken:
            out.print(f"no runs in {results} (pglab run SCENARIO makes one)", markup=False)
        for line in broken:
            err.print(line, markup=False)
        raise typer.Exit(2 if broken else 0)


@app.command(epilog="Example: pglab doctor")
def doctor(as_json: AsJson = False) -> None:
    """Say what this machine can run, and what is missing for the rest."""
    with terminal.messages(as_json):
        from lab import doctor as doctor_

        found = doctor_.findings()
        if as_json:
            terminal.print_json([vars(one) for one in found])
        else:
            for one in found:
                sign = "ok " if one.well else ("-  " if one.what in doctor_.OPTIONAL else "NO ")
                out.print(f"{sign} {one.what}: {one.seen}" + ("" if one.well else f" ({one.way})"), markup=False)
        raise typer.Exit(0 if doctor_.can_run(found) else 3)


@app.command(epilog="Example: pglab clean --older 30d --keep 5 --dry-run")
def clean(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be removed.")] = False,
    older: Annotated[str | None, typer.Option(help="Stored runs too that began longer ago, as in 30d.")] = None,
    keep: Annotated[
        int | None, typer.Option(min=0, help="Stored runs too, but the newest so many of each scenario.")
    ] = None,
    results: Results = RESULTS,
    doc: Docs = DOCS,
    as_json: AsJson = False,
) -> None:
    """Remove what dead runs left behind; never touches a live run. With --older or --keep old stored runs too."""
    with terminal.messages(as_json):
        from datetime import UTC, datetime

        from lab import alone, outdated, tidy
        from lab.hosts import embedded
        from lab.timeline import seconds

        base, older_s = embedded.base(), _duration("--older", older, seconds)
        with alone.unless_measuring() as nobody:  # results may be shared with users whose live runs are not known here
            living, now = tidy.living(base), datetime.now(UTC)
            others = set() if nobody else tidy.unfinished(results) - living
            found = tidy.left(base, results, others)
            living |= others
            old = list(outdated.old(results, doc, now=now, older_s=older_s, keep=keep, living=living))
            if not dry_run:
                tidy.remove(found)
                outdated.remove(old)
        if others:
            told = (
                f"runs that are not complete ({len(others)}): somebody measures on this machine, it may be one of them"
            )
            err.print(f"kept: {results}: {told}", markup=False)
        found += [tidy.Left("stored run", str(one.folder), one.bytes) for one in old if not one.stays]
        for one in old:
            if one.stays:
                err.print(f"kept: {one.folder}: {one.stays}", markup=False)
        if as_json:
            terminal.print_json([vars(one) for one in found])
            return
        for left in found:
            out.print(f"{left.what}: {left.where} ({left.bytes / 2**20:.1f} MiB)", markup=False)
        total = sum(left.bytes for left in found) / 2**20
        verb = "would be removed" if dry_run else "removed"
        what = "left over or old" if old else "left over"
        out.print(f"{len(found)} {what}, {total:.1f} MiB {verb}" if found else "nothing is left over", markup=False)


@app.command(epilog="Example: pglab images build postgres:17")
def images(
    do: Annotated[str, typer.Argument(help="list or build.")],
    names: Annotated[list[str] | None, typer.Argument(help="Which to build; else all that are missing.")] = None,
    as_json: AsJson = False,
) -> None:
    """List the images that containers are made of, or build those of docker/."""
    with terminal.messages(as_json):
        from lab import images as images_

        done = images_.do(do, names or [], lambda line: err.print(line, markup=False))
        if as_json:
            terminal.print_json([vars(one) for one in done])
        else:
            terminal.table(["image", "is"], [[one.name, one.said()] for one in done])


@app.command("load-worker", epilog="Example: pglab load-worker --master 10.0.0.5")
def load_worker(
    master: Annotated[str, typer.Option(help="Where the run is: the address given to its --load-bind.")],
    port: Annotated[int, typer.Option(min=1, max=65535, help="The port of the run.")] = 5557,
    as_json: AsJson = False,
) -> None:
    """Generate load for a run on another machine, until that ends."""
    with terminal.messages(False):
        from lab.drivers import locust

        if not master.strip():
            raise LabError("--master: is empty (the address given to --load-bind of the run)")
        locust.worker(master, port, as_json=as_json)


@app.command(epilog="Example: pglab schema > scenario.schema.json")
def schema(as_json: AsJson = True) -> None:
    """Print the JSON schema of scenario.yaml, for editors that complete it; it is JSON either way."""
    del as_json
    with terminal.messages(True):
        from lab import scenario

        terminal.print_json(scenario.json_schema())


# --- how long, and until when ---------------------------------------------------------------


def _duration(option: str, text: str | None, seconds: Callable[[object], float]) -> float | None:
    if text is None:
        return None
    try:
        return seconds(text)
    except ValueError as error:
        raise LabError(f"{option}: {error}") from None


def main() -> None:
    """The console script. What nobody expected keeps its traceback, and is not taken for an answer of no."""
    sys.stdout, sys.stderr = terminal.patient(sys.stdout), terminal.patient(sys.stderr)
    try:
        app()
    except LabError as error:
        err.print(str(error), markup=False)
        sys.exit(error.status)
    except Exception:  # noqa: BLE001 - to say so is all that is done
        traceback.print_exc()
        sys.exit(BUG)


if __name__ == "__main__":
    main()
