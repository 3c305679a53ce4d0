"""The commands that advise before anything is measured."""

from pathlib import Path
from typing import Annotated

import typer

from lab import terminal
from lab.errors import LabError
from lab.terminal import DOCS, AsJson, Docs

commands = typer.Typer()


@commands.command(epilog="Example: pglab review db/migrations")
def review(
    file: Annotated[Path, typer.Argument(help="An SQL file with a schema, or a folder of migrations.")],
    on: Annotated[str, typer.Option(help="embedded or docker: where the disposable server is.")] = "embedded",
    name: Annotated[str | None, typer.Option(help="The review's name; else that of the file or folder.")] = None,
    doc: Docs = DOCS,
    as_json: AsJson = False,
) -> None:
    """Review a schema or migrations: findings, what would be right, what to measure next."""
    with terminal.messages(as_json):
        from lab import review as review_

        asked = review_.Asked(path=file, doc=doc, on=on, name=name)
        done = review_.perform(asked, lambda line: terminal.err.print(line, markup=False))
        terminal.finish(done.said, done.data, as_json)


@commands.command(epilog="Example: pglab diagnose --scenario quickstart --query recent_by_device")
def diagnose(
    scenario: Annotated[str | None, typer.Option(help="A folder with a scenario.yaml, or the name of one.")] = None,
    query: Annotated[
        list[str] | None, typer.Option(help="A slow query: a name of the scenario's mix, or with --schema a file.")
    ] = None,
    schema: Annotated[Path | None, typer.Option(help="Without a scenario: an SQL file with the tables.")] = None,
    data: Annotated[Path | None, typer.Option(help="With --schema: a data.yaml that says which rows.")] = None,
    rewrite: Annotated[list[str] | None, typer.Option(help="query=file.sql: another text of a query.")] = None,
    name: Annotated[str | None, typer.Option(help="The new scenario's name; else <scenario>-diagnosis.")] = None,
    on: Annotated[str, typer.Option(help="auto, embedded or docker.")] = "auto",
    rows: Annotated[int | None, typer.Option(min=1, help="How many rows; else the scenario's, or 100,000.")] = None,
    as_json: AsJson = False,
) -> None:
    """Say what slow queries are spent on, and write a scenario with candidates that may help."""
    with terminal.messages(as_json):
        from lab import diagnose as diagnose_

        if scenario is not None and (schema or data):
            raise LabError("--schema, --data: stand in for --scenario (give one or the other)")
        others = _rewrites(rewrite or [])
        asked = diagnose_.Asked(scenario, tuple(query or ()), schema, data, others, name, on, rows)
        done = diagnose_.perform(asked, lambda line: terminal.err.print(line, markup=False))
        terminal.finish(done.said, done.data, as_json)


def _rewrites(given: list[str]) -> dict[str, Path]:
    """`query=file` -> the file of each query."""
    found = {}
    for one in given:
        query, equals, file = one.partition("=")
        if not (query and equals and file):
            raise LabError(f"--rewrite {one}: names no query and file (--rewrite recent=recent.other.sql)")
        found[query] = Path(file)
    return found
