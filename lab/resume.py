"""`--resume`: which run is gone on with, and whether it may be."""

import glob
import json
from collections.abc import Callable, Mapping
from pathlib import Path

from lab import sources, store
from lab.errors import RecordError
from lab.model import Json


def unfinished(results: Path, name: str, note: Callable[[str], object], *, rounds: int | None) -> Path:
    """The newest run of scenario *name* that is not complete; where more *rounds* are asked for the newest at all.

    RecordError where there is none. Runs that cannot be read are passed over, and told by *note*.
    """
    found: dict[Path, bool] = {}
    for path in store.runs(results, glob.escape(name)):
        try:
            store.read_run(path)
            found[path] = store.complete(path)
        except RecordError as error:
            note(f"passed over: {error}")
    open_ = [path for path, complete in found.items() if not complete]
    if open_:
        return open_[-1]
    if found and rounds:
        return list(found)[-1]
    raise RecordError(
        f"{results}: no run of {name} to go on with "
        "(all are complete: add --rounds N for more rounds, or leave --resume out)"
        if found
        else f"{results}: no run of {name} to go on with (leave --resume out)"
    )


def same(was: Mapping[str, Json], now: Mapping[str, Json]) -> None:
    """A run may only go on as it began; RecordError naming what differs."""
    differing = []
    was = {"probes": "off", "lengthened": [], **was}  # as all were before there were any
    for key in ("overrides", "profile", "seed", "on", "host", "settings", "method", "versions", "probes", "lengthened"):
        if json.dumps(was[key], sort_keys=True) != json.dumps(now[key], sort_keys=True):
            differing.append(f"{key} was {was[key]!r} and is {now[key]!r}")
    old, new = was["scenario"]["files"], now["scenario"]["files"]
    differing += [f"{name} has changed" for name in sorted(old.keys() | new.keys()) if old.get(name) != new.get(name)]
    differing += sources.changed(was.get("data"), now["data"])
    if differing:
        raise RecordError(
            f"the run {was['id']} cannot go on: {'; '.join(differing)} (undo that, or leave --resume out for a new run)"
        )
