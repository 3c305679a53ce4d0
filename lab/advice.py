"""The commands that advise before anything is measured."""

from pathlib import Path
from typing import Annotated

import typer

from lab import terminal
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
