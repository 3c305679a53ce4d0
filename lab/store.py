"""results/ on disk: written once, checksummed, and read back as the nouns it was made from.

    <scenario>/<UTC time>-<short id>/
        run.json                    before the first trial; never edited
        more-<n>.json               each time the run was taken up again
        instances/<name>/           instance.json last, with the checksums of its siblings
        studies/<name>/             the same, for the points of the catalogue study
        trials/<id>/                trial.json last, with the checksums of its siblings
        done.json                   when the planned rounds are complete, with the checksums of all seals
        export.json                 where it came out of an archive (lab/exported.py)
        analysis/                   what was made of it; may be deleted and made again

A folder appears under its final name when it is complete: whatever carries that name is whole.
"""

import glob
import hashlib
import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from lab import exported, files
from lab.design import slug
from lab.errors import PlaceError, RecordError
from lab.files import FORMAT as FORMAT
from lab.files import read_json as read_json
from lab.files import write_json as write_json
from lab.model import Instance, Json, Prepared, Slice, Study, Trial

RUN = "run.json"
DONE = "done.json"
_RISING = ("seq", "due_ns", "start_ns", "end_ns")  # columns of operations that take less by how much each is more


@dataclass(frozen=True)
class Stored:
    """A run as it was stored. *more*: the contents of more-<n>.json in order; *done*: of done.json."""

    folder: Path
    run: Mapping[str, Json]
    more: tuple[Mapping[str, Json], ...]
    done: Mapping[str, Json] | None
    prepared: tuple[Prepared, ...]
    studies: tuple[Study, ...]
    slices: tuple[Slice, ...]

    @property
    def rounds(self) -> int:
        """How many rounds are planned, as of the last time that the run was taken up."""
        return int(self.more[-1]["rounds"] if self.more else self.run["rounds"])


# --- writing --------------------------------------------------------------------------------


def create(results: Path, run: Mapping[str, Json]) -> Path:
    """Make the folder of a new run with its run.json; RecordError where it is there already."""
    folder = results / str(run["scenario"]["name"]) / str(run["id"])
    with _disk(folder):
        if folder.exists():
            raise RecordError(f"{folder}: is there already (a run is written once)")
        with files.folder(folder) as part:
            write_json(part / RUN, {"format": FORMAT, **run})
    return folder


def take_up(folder: Path, what: Mapping[str, Json]) -> None:
    """Record that a run goes on: more-<n>.json, n from 1."""
    n = len(list(folder.glob("more-*.json"))) + 1
    with _disk(folder):
        write_json(folder / f"more-{n}.json", {"format": FORMAT, **what})


def finish(folder: Path, what: Mapping[str, Json], of: Collection[str] | None = None) -> None:
    """Record that all planned rounds are there, and what every seal is, or those of *of*: a change is named from then.

    *of*: their paths, relative to *folder*.
    """
    sealed = {name: sha256 for name, sha256 in _sealed(folder).items() if of is None or name in of}
    with _disk(folder):
        done = {"format": FORMAT, **what, "seals": sealed}
        write_json(folder / DONE, {**done, "checksum": _of_value(done)})


def keep_instance(folder: Path, prepared: Prepared, samples: Mapping[str, pa.Table]) -> None:
    """Keep what is known of an instance before its first round; kept once, the first time."""
    target = folder / "instances" / label(prepared.instance)
    if target.exists():
        return
    with _disk(target), files.folder(target) as part:
        for name in ("metrics", "explains", "digests", "settings", "guarantees", "report"):
            write_json(part / f"{name}.json", getattr(prepared, name))
        for stream, sample in samples.items():
            pq.write_table(sample, part / f"parameters.{stream}.parquet", compression="zstd")
        _seal(part / "instance.json", {"instance": _instance(prepared.instance)})


def keep_study(folder: Path, study: Study) -> None:
    """Keep one point of the catalogue study."""
    target = folder / "studies" / f"{slug(study.candidate)}.{study.partitions}"
    if target.exists():
        return
    with _disk(target), files.folder(target) as part:
        write_json(part / "metrics.json", study.metrics)
        _seal(part / "study.json", {"candidate": study.candidate, "partitions": study.partitions})


def has_instance(folder: Path, instance: Instance) -> bool:
    """Is what is known of this instance on disk?"""
    return (folder / "instances" / label(instance)).exists()


def has_study(folder: Path, candidate: str, partitions: int) -> bool:
    """Is this point of the catalogue study on disk?"""
    return (folder / "studies" / f"{slug(candidate)}.{partitions}").exists()


def keep_trial(folder: Path, slice_: Slice, logs: Mapping[str, str]) -> None:
    """Keep a trial; when this returns it survives whatever comes."""
    trial = slice_.trial
    target = folder / "trials" / trial.id
    with _disk(target), files.folder(target) as part:
        write_json(part / "facts.json", {"format": FORMAT, "steps": list(slice_.steps)})
        _write_ops(slice_.ops, part / "ops.parquet")
        if slice_.series is not None:
            pq.write_table(slice_.series, part / "series.parquet", compression="zstd")
        if slice_.witness is not None:
            _write_ops(slice_.witness, part / "witness.parquet")
        (part / "logs").mkdir()
        for node, text in logs.items():
            (part / "logs" / f"{node}.log").write_text(text, encoding="utf-8")
        what = {
            "id": trial.id,
            "instance": _instance(trial.instance),
            "round": trial.round,
            "position": trial.position,
            "seed": trial.seed,
            "rows": slice_.rows,
            "rows_due": slice_.rows_due,
        }
        _seal(part / "trial.json", what)


def _write_ops(ops: pa.Table, path: Path) -> None:
    """A table of drivers.OPS, in half of what it takes with dictionaries for all columns."""
    others: Any = [name for name in ops.column_names if name not in _RISING]  # its type is said to be bool alone
    by = dict.fromkeys(_RISING, "DELTA_BINARY_PACKED")
    pq.write_table(ops, path, compression="zstd", use_dictionary=others, column_encoding=by)


def label(instance: Instance) -> str:
    """The name of an instance's folder.

    >>> label(Instance("By Day", 2))
    'by-day-11062.2'
    """
    return f"{slug(instance.candidate)}.{instance.load}"


def _seal(path: Path, what: Mapping[str, Json]) -> None:
    """Write the file that makes its folder whole: what it is, and the checksums of its siblings."""
    write_json(path, {"format": FORMAT, **what, "checksums": _checksums(path.parent)})


def _checksums(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): _sha256(path) for path in files}


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _instance(instance: Instance) -> dict[str, Json]:
    return {"candidate": instance.candidate, "load": instance.load, "twin": instance.twin}


@contextmanager
def _disk(where: Path) -> Iterator[None]:
    """What the disk refuses, as one message."""
    try:
        yield
    except OSError as error:
        raise PlaceError(
            f"{where}: cannot be written: {error.strerror or error} "
            "(free some room or name another folder with --results; finished trials are kept, go on with --resume)"
        ) from error


# --- reading --------------------------------------------------------------------------------


def read_run(folder: Path) -> Mapping[str, Json]:
    """The run.json of a run's folder; RecordError where the folder is not a run's."""
    run = read_json(folder / RUN)
    if not isinstance(run, dict) or "format" not in run:
        raise RecordError(f"{folder / RUN}: has no format (it was not written by pglab run)")
    return run


def read(folder: Path) -> Stored:
    """A whole run, trials in the order of rounds and positions."""
    done = folder / DONE
    slices = (_read_trial(path) for path in _folders(folder / "trials"))
    return Stored(
        folder=folder,
        run=read_run(folder),
        more=tuple(read_json(path) for path in _more(folder)),
        done=read_json(done) if done.exists() else None,
        prepared=tuple(_read_instance(path) for path in _folders(folder / "instances")),
        studies=tuple(sorted(map(_read_study, _folders(folder / "studies")), key=lambda s: s.partitions)),
        slices=tuple(sorted(slices, key=lambda s: (s.trial.round, s.trial.position))),
    )


def trials_of(folder: Path) -> frozenset[str]:
    """The ids of the trials that are there."""
    return frozenset(path.name for path in _folders(folder / "trials"))


def runs(results: Path, scenario: str = "*") -> list[Path]:
    """The folders of runs, oldest first."""
    return sorted((path.parent for path in results.glob(f"{scenario}/*/{RUN}")), key=lambda path: path.name)


def planned(folder: Path) -> int:
    """How many rounds are planned, as of the last time that the run was taken up."""
    more = _more(folder)
    return int(read_json(more[-1] if more else folder / RUN)["rounds"])


def complete(folder: Path) -> bool:
    """Are all planned rounds there?"""
    done = folder / DONE
    return done.exists() and bool(read_json(done)["rounds"] == planned(folder))


def find(results: Path, name: str) -> Path:
    """A run by its folder, its id, or its scenario's name (then the newest); RecordError if none."""
    if not name.strip():
        raise RecordError("a run has a name: its folder, its id, or its scenario's (pglab list shows which there are)")
    if (Path(name) / RUN).exists():
        return Path(name)
    found = [path for path in runs(results) if path.name == name] or runs(results, glob.escape(name))
    if not found:
        raise RecordError(f"{name}: no such run in {results} (pglab list shows which there are)")
    return found[-1]


def _more(folder: Path) -> list[Path]:
    return sorted(folder.glob("more-*.json"), key=lambda path: int(path.stem.partition("-")[2]))


def _folders(parent: Path) -> list[Path]:
    found = parent.iterdir() if parent.exists() else ()
    return sorted(path for path in found if path.is_dir() and not path.name.startswith("."))


def _read_trial(path: Path) -> Slice:
    what = read_json(path / "trial.json")
    trial = Trial(what["id"], Instance(**what["instance"]), what["round"], what["position"], what["seed"])
    ops = _read_table(path / "ops.parquet")
    kept = {name: path / f"{name}.parquet" for name in ("series", "witness") if f"{name}.parquet" in what["checksums"]}
    more = {name: _read_table(file) for name, file in kept.items()}
    steps = tuple(read_json(path / "facts.json")["steps"])
    return Slice(trial, steps, ops, what["rows"], what["rows_due"], **more)


def _read_table(path: Path) -> pa.Table:
    try:
        return pq.read_table(path)
    except (OSError, pa.ArrowInvalid) as error:
        raise RecordError(f"{path}: cannot be read: {error}") from None


def _read_instance(path: Path) -> Prepared:
    what = read_json(path / "instance.json")
    parts: dict[str, Any] = {
        name: read_json(path / f"{name}.json") for name in ("explains", "settings", "report", "guarantees")
    }
    return Prepared(
        instance=Instance(**what["instance"]),
        metrics=_tuples(read_json(path / "metrics.json")),
        digests=_tuples(read_json(path / "digests.json")),
        guarantees=tuple(parts.pop("guarantees")),
        **parts,
    )


def _read_study(path: Path) -> Study:
    what = read_json(path / "study.json")
    return Study(what["candidate"], what["partitions"], _tuples(read_json(path / "metrics.json")))


def _tuples(table: Mapping[str, Sequence[Any]]) -> dict[str, tuple[Any, ...]]:
    return {key: tuple(values) for key, values in table.items()}


# --- checking -------------------------------------------------------------------------------

_SEALS = {"instances": "instance.json", "studies": "study.json", "trials": "trial.json"}


def seals(folder: Path) -> list[Path]:
    """The files whose checksums cover the whole run, in a fixed order."""
    found = [folder / RUN, *_more(folder)]
    for kind, seal in _SEALS.items():
        found.extend(path / seal for path in _folders(folder / kind))
    return found


def root(folder: Path) -> str:
    """The Merkle root of a run: one sha256 over the names and sha256s of its seals, 64 hex digits."""
    lines = (f"{name} {sha256}\n" for name, sha256 in _sealed(folder).items())
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def whole(folder: Path) -> None:
    """Nothing where every file of a run is as it was written; else RecordError naming those that are not."""
    read_run(folder)  # one of another format is not told to be changed
    found = [f"{folder}/{problem}" for problem in problems(folder)]
    if found:
        found.append(f"{folder}: is not as pglab run wrote it and is not judged (restore it from a copy)")
        raise RecordError("\n".join(found))


def problems(folder: Path) -> list[str]:
    """Every file that is not what its seal says, every seal that is not what done.json says, in words; [] if none."""
    export = exported.read(folder)
    of_folders = (path for path in seals(folder) if path.name in _SEALS.values())
    checks = [*(_of_seal(folder, seal, export) for seal in of_folders), _since_done(folder)]
    return sorted({problem for check in checks for problem in _told(check, folder)})


def _told(check: Iterator[str], folder: Path) -> Iterator[str]:
    """What a check finds, and what it could not read."""
    try:
        yield from check
    except RecordError as error:
        yield str(error).removeprefix(f"{folder}/")


def _of_seal(folder: Path, seal: Path, export: exported.Export | None) -> Iterator[str]:
    where = seal.parent.relative_to(folder).as_posix()
    if not seal.exists():
        yield f"{where}/{seal.name}: is missing"
        return
    due = exported.due(export, where, read_json(seal)["checksums"])
    there = {k: v for k, v in _checksums(seal.parent).items() if k != seal.name}
    yield from (f"{where}/{problem}" for problem in _differing(due, there))


def _since_done(folder: Path) -> Iterator[str]:
    """What happened to the seals since the planned rounds were there; nothing of a run that was written without them.

    A run that was taken up again has further ones, of which done.json will tell when those rounds are there too.
    """
    done = read_json(folder / DONE) if (folder / DONE).exists() else {}
    if "seals" not in done:
        return
    if done.pop("checksum", "") != _of_value(done):
        yield f"{DONE}: was changed"
        return
    due, there = done["seals"], _sealed(folder)
    if any(name.startswith("more-") for name in there.keys() - due.keys()):
        there = {name: there[name] for name in there.keys() & due.keys()}
    yield from _differing(due, there)


def _differing(due: Mapping[str, str], there: Mapping[str, str]) -> Iterator[str]:
    """Where checksums by name are not those that are due, in words."""
    yield from (f"{name}: is missing" for name in due.keys() - there.keys())
    yield from (f"{name}: was added" for name in there.keys() - due.keys())
    yield from (f"{name}: was changed" for name in due.keys() & there.keys() if due[name] != there[name])


def _sealed(folder: Path) -> dict[str, str]:
    """Seal -> its sha256, of those that are there, in their order."""
    return {path.relative_to(folder).as_posix(): _sha256(path) for path in seals(folder) if path.exists()}


def _of_value(value: Json) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, ensure_ascii=False).encode()).hexdigest()
