"""docs/commands.md, as the code of the command line gives it: `python -m tests.reference` writes it."""

import inspect
import types
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from typer.models import ArgumentInfo, CommandInfo

from lab import advice, cli

PAGE = Path(__file__).parent.parent / "docs" / "commands.md"
HEAD = """\
# Commands

Every command with its arguments and options, made from the code by `make docs`. What they are for is in the
[README](../README.md#commands); `pglab COMMAND --help` says the same.
"""
TAKES = {str: "TEXT", int: "N", float: "NUMBER", Path: "PATH", bool: ""}


def page() -> str:
    """The text of docs/commands.md."""
    given = [*cli.app.registered_commands, *advice.commands.registered_commands]
    parts = ["\n".join(_told(one)) for one in sorted(given, key=name)]
    statuses = (cli.__doc__ or "").partition("Exit statuses: ")[2].strip()
    return "\n".join([HEAD, *parts, f"## Exit statuses\n\n{statuses}\n"])


def name(command: CommandInfo) -> str:
    """What a command is called."""
    return command.name or command.callback.__name__.replace("_", "-")


def _told(command: CommandInfo) -> Iterator[str]:
    """The lines of one command."""
    hints = typing.get_type_hints(command.callback, include_extras=True)
    given = inspect.signature(command.callback).parameters.values()
    read = [(one, *typing.get_args(hints[one.name])[:2]) for one in given]
    placed = [_placed(one) for one, _, info in read if isinstance(info, ArgumentInfo)]
    yield f"## pglab {name(command)}\n\n{inspect.getdoc(command.callback)}\n"
    yield f"    {' '.join(['pglab', name(command), *placed, '[OPTIONS]'])}\n"
    yield "| argument or option | what it is | default |\n|:--|:--|:--|"
    for one, kind, info in read:
        yield f"| {_named(one, kind, info)} | {_plain(info.help)} | {_default(one)} |"
    yield f"\n{command.epilog.replace('Example: ', 'Example: `')}`\n"


def _plain(text: str) -> str:
    """Text that Markdown shows as it is."""
    return text.replace("<", r"\<").replace("|", r"\|")


def _placed(one: inspect.Parameter) -> str:
    """An argument, in brackets where it may be left out."""
    word = one.name.strip("_").upper()
    return word if one.default is inspect.Parameter.empty else f"[{word}]"


def _named(one: inspect.Parameter, kind: Any, info: Any) -> str:
    """An argument, or an option with what it takes; a list may be given several times."""
    if isinstance(info, ArgumentInfo):
        return f"`{_placed(one)}`{_many(kind)}"
    kinds = [each for each in (typing.get_args(kind) or (kind,)) if each is not types.NoneType]
    takes = TAKES[(typing.get_args(kinds[0]) or kinds)[0]]
    given = [word for word in (info.default, *(info.param_decls or ())) if str(word).startswith("-")]
    words = given or [f"--{one.name.replace('_', '-')}"]
    return ", ".join(f"`{word} {takes}`".replace(" `", "`") for word in words) + _many(kind)


def _many(kind: Any) -> str:
    return " (several)" if "list[" in str(kind) else ""


def _default(one: inspect.Parameter) -> str:
    left_out = one.default in (None, False, inspect.Parameter.empty)
    return "" if left_out else f"`{str(one.default).lower() if one.default is True else one.default}`"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
