"""Streams become the text of data.yaml, made to be edited: a column a line."""

import json
import re
from collections.abc import Iterator, Mapping

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
        lines += [f"  {_key(name)}:", f"    kind: {stream['kind']}"]
        lines += _brought(options(stream)) if "files" in stream else _made(stream)
    return "\n".join(lines) + "\n"


def options(stream: Mapping[str, Json]) -> dict[str, Json]:
    """What stands under a stream beside its kind, as its source takes it.

    A stream of files has here all columns of these, and how many rows they have; of that it takes the types that
    CSV cannot say.

    >>> options({"kind": "csv", "files": "a.csv", "rows": 9, "columns": {"a": {"type": "bigint"}, "b": {}}})
    {'files': 'a.csv', 'columns': {'a': 'bigint'}}
    >>> options({"kind": "parquet", "files": ["a", "b"], "rows": 9, "columns": {"a": {"type": "bigint"}}})
    {'files': ['a', 'b']}
    """
    if "files" not in stream:
        return {key: value for key, value in stream.items() if key != "kind"}
    types = {name: made["type"] for name, made in stream["columns"].items() if "type" in made}
    return {"files": stream["files"], **({"columns": types} if stream["kind"] == "csv" and types else {})}


def _made(stream: Mapping[str, Json]) -> Iterator[str]:
    if "rows" in stream:
        yield f"    rows: {_key(stream['rows'])}"
    if "time" in stream:
        time = stream["time"]
        step = f", step_s: {time['step_s']}" if "step_s" in time else ""
        yield f"    time: {{column: {_key(time['column'])}, start: {time['start']}{step}}}"
    yield "    columns:"
    yield from (f"      {_key(column)}: {_flow(made)}" for column, made in stream["columns"].items())


def _brought(own: Mapping[str, Json]) -> Iterator[str]:
    yield f"    files: {json.dumps(own['files'], ensure_ascii=False)}"
    if "columns" in own:
        yield "    columns:"
        yield from (f"      {_key(column)}: {_key(kind)}" for column, kind in own["columns"].items())


def _flow(value: Json) -> str:
    """Mappings, lists, words and numbers in a line."""
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{_key(str(key))}: {_flow(inner)}' for key, inner in value.items())}}}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_flow, value))}]"
    return _key(value)


def _key(word: str | float) -> str:
    """A word or number as YAML reads it back: in quotes where it is no plain word."""
    return str(word) if not isinstance(word, str) or _YAML.fullmatch(word) else json.dumps(word, ensure_ascii=False)
