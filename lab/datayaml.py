"""Streams become the text of data.yaml, made to be edited: a column a line."""

import json
import re
from collections.abc import Mapping

from lab.model import Json

_YAML = re.compile(r"(?!(?:on|off|yes|no|y|n|true|false|null)$)[a-z_][a-z0-9_]*")


def text(streams: Mapping[str, Mapping[str, Json]]) -> str:
    """data.yaml with *streams*.

    >>> print(text({"t": {"kind": "synthetic", "columns": {"a b": {"type": "bigint", "sequence": 1}}}}))
    streams:
      t:
        kind: synthetic
        columns:
          "a b": {type: bigint, sequence: 1}
    <BLANKLINE>
    """
    lines = ["streams:" if streams else "streams: {}"]
    for name, stream in streams.items():
        lines += [f"  {_key(name)}:", "    kind: synthetic"]
        lines += [f"    rows: {_key(stream['rows'])}"] if "rows" in stream else []
        if "time" in stream:
            lines.append(f"    time: {{column: {_key(stream['time']['column'])}, start: {stream['time']['start']}}}")
        lines.append("    columns:")
        lines += [f"      {_key(column)}: {_flow(made)}" for column, made in stream["columns"].items()]
    return "\n".join(lines) + "\n"


def _flow(made: Mapping[str, Json]) -> str:
    inner = (
        f"{key}: {{{', '.join(f'{_key(str(choice))}: {share}' for choice, share in value.items())}}}"
        if isinstance(value, dict)
        else f"{key}: {_key(value)}"
        for key, value in made.items()
    )
    return f"{{{', '.join(inner)}}}"


def _key(word: str | float) -> str:
    """A word or number as YAML reads it back: in quotes where it is no plain word."""
    return str(word) if not isinstance(word, str) or _YAML.fullmatch(word) else json.dumps(word, ensure_ascii=False)
