"""The commands that advise before anything is measured."""

from pathlib import Path
from typing import Annotated

import typer

from lab import progress, terminal
from lab.errors import LabError
from lab.terminal import DOCS, AsJson, Docs, Wait

commands = typer.Typer()


@commands.command(epilog="Example: pglab compare without.sql with.sql --query recent.sql --rows 200k")
def compare(
    schemas: Annotated[list[Path], typer.Argument(help="SQL files, each a candidate; the first is the baseline.")],
    query: Annotated[list[Path] | None, typer.Option(help="An SQL file that is asked of each; more than once.")] = None,
    data: Annotated[
        list[str] | None, typer.Option(help="Rows of your own: TABLE=FILE, a CSV or Parquet file; more than once.")
    ] = None,
    rows: Annotated[str, typer.Option(help="How many rows the largest invented tables get, such as 200k.")] = "100k",
    param: Annotated[list[str] | None, typer.Option(help="name=TABLE.COLUMN: where a parameter's values are.")] = None,
    rounds: Annotated[int | None, typer.Option(min=2, max=10_000, help="How many rounds; else 20.")] = None,
    name: Annotated[str | None, typer.Option(help="The scenario's name; else compare-<the files' names>.")] = None,
    on: Annotated[str, typer.Option(help="auto, embedded or docker: where the candidates are measured.")] = "auto",
    wait: Wait = False,
    results: Annotated[Path, typer.Option(help="The folder of stored runs.")] = Path("results"),
    doc: Docs = DOCS,
    as_json: AsJson = False,
) -> None:
    """Compare schemas by queries: make a scenario of the files, run it, show the table."""
    with terminal.messages(as_json):
        from lab import comparison, session

        run = session.Asked("", results, doc, on, rounds=rounds, wait=wait)
        params = _pairs(param or [], "--param", "device=events.device")
        params = {f"${name}" if name.isdigit() else name: words for name, words in params.items()}
        asked = comparison.Asked(
            tuple(schemas),
            tuple(query or ()),
            params,
            run,
            rows=comparison.count(rows),
            name=name,
            data=tuple(data or ()),
        )
        with progress.told(terminal.err, quiet=as_json) as tell, progress.interruptible(terminal.err) as stop:
            done, shown = comparison.perform(asked, tell, stop)
        if shown is not None and not as_json:
            terminal.glance(shown)
        terminal.finish(done.said, done.data, as_json)
        raise typer.Exit(done.status)


@commands.command(epilog="Example: pglab init shop --schema dump.sql --queries pg_stat_statements.csv")
def init(
    name: Annotated[str, typer.Argument(help="The scenario's name; it is written to scenarios/NAME.")] = "my-question",
    schema: Annotated[Path | None, typer.Option(help="What pg_dump -s wrote, or another SQL file with tables.")] = None,
    from_migrations: Annotated[
        Path | None, typer.Option(help="A folder of plain SQL migrations, or of Alembic's.")
    ] = None,
    queries: Annotated[Path | None, typer.Option(help="pg_stat_statements as CSV with a header.")] = None,
    data: Annotated[
        list[str] | None, typer.Option(help="Rows of your own: TABLE=FILE, a CSV or Parquet file; more than once.")
    ] = None,
    source: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="DSN",
            help="A server to read, and to write nothing to: schema, statistics, queries. What is left out of the DSN, "
            "libpq finds: PGPASSWORD, PGSERVICE, ~/.pgpass.",
        ),
    ] = None,
    with_values: Annotated[
        bool,
        typer.Option("--with-values", help="With --from: take common values of its rows too, which may be secrets."),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Write a scenario: one that teaches the format, or one of your schema and queries."""
    with terminal.messages(as_json):
        from lab import start

        asked = start.Asked(
            name, schema, from_migrations, queries, source=source, values=with_values, data=tuple(data or ())
        )
        done = start.perform(asked, lambda line: terminal.err.print(line, markup=False))
        terminal.finish(done.said, done.data, as_json)


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


def _pairs(given: list[str], option: str, example: str) -> dict[str, str]:
    """`name=words` -> the words of each name."""
    found = {}
    for one in given:
        name, equals, words = one.partition("=")
        if not (name and equals and words):
            raise LabError(f"{option} {one}: is no name=... ({option} {example})")
        if name in found:
            raise LabError(f"{option} {one}: {name} is given twice (once is enough)")
        found[name] = words
    return found


def _rewrites(given: list[str]) -> dict[str, Path]:
    """`query=file` -> the file of each query."""
    found = {}
    for one in given:
        query, equals, file = one.partition("=")
        if not (query and equals and file):
            raise LabError(f"--rewrite {one}: names no query and file (--rewrite recent=recent.other.sql)")
        found[query] = Path(file)
    return found
