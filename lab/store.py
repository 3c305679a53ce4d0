"""results/ on disk: written once, checksummed, and read back as the nouns it was made from.

    <scenario>/<UTC time>-<short id>/
        run.json                    before the first trial; never edited
        more-<n>.json               each time the run was taken up again
        instances/<name>/           instance.json last, with the checksums of its siblings
        studies/<name>/             the same, for the points of the catalogue study
        trials/<id>/                trial.json last, with the checksums of its siblings
        done.json                   when the planned rounds are complete
        export.json                 where it came out of an archive (lab/exported.py)
        analysis/                   what was made of it; may be deleted and made again

A folder appears under its final name when it is complete: whatever carries that name is whole.
"""

import glob
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from lab import exported
from lab.design import slug
from lab.errors import PlaceError, RecordError
from lab.model import Instance, Json, Prepared, Slice, Study, Trial

FORMAT = 1
RUN = "run.json"
_PART = ".partial-"  # how the name of what is being written begins; tidy knows it too


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
        with _appearing(folder) as part:
            write_json(part / RUN, {"format": FORMAT, **run})
    return folder


def take_up(folder: Path, what: Mapping[str, Json]) -> None:
    """Record that a run goes on: more-<n>.json, n from 1."""
    n = len(list(folder.glob("more-*.json"))) + 1
    with _disk(folder):
        write_json(folder / f"more-{n}.json", {"format": FORMAT, **what})


def finish(folder: Path, what: Mapping[str, Json]) -> None:
    """Record that all planned rounds are there."""
    with _disk(folder):
        write_json(folder / "done.json", {"format": FORMAT, **what})


def keep_instance(folder: Path, prepared: Prepared, samples: Mapping[str, pa.Table]) -> None:
    """Keep what is known of an instance before its first round; kept once, the first time."""
    target = folder / "instances" / label(prepared.instance)
    if target.exists():
        return
    with _disk(target), _appearing(target) as part:
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
    with _disk(target), _appearing(target) as part:
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
    with _disk(target), _appearing(target) as part:
        write_json(part / "facts.json", {"format": FORMAT, "steps": list(slice_.steps)})
        pq.write_table(slice_.ops, part / "ops.parquet", compression="zstd")
        for name, table in {"series": slice_.series, "witness": slice_.witness}.items():
            if table is not None:
                pq.write_table(table, part / f"{name}.parquet", compression="zstd")
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


def label(instance: Instance) -> str:
    """The name of an instance's folder.

    >>> label(Instance("By Day", 2))
    'by-day-11062.2'
    """
    return f"{slug(instance.candidate)}.{instance.load}"


def write_json(path: Path, value: Json) -> None:
    """One JSON value, readable; on the disk, whole, when this returns, and until then not there."""
    part = path.with_name(f"{_PART}{path.name}")
    try:
        with part.open("w", encoding="utf-8") as file:
            json.dump(value, file, ensure_ascii=False, indent=1, allow_nan=False)
            file.write("\n")
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    _sync(path.parent)


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
def _appearing(target: Path) -> Iterator[Path]:
    """A folder that gets its name when the block ends well, and else was never there."""
    target.parent.mkdir(parents=True, exist_ok=True)
    part = Path(tempfile.mkdtemp(prefix=_PART, dir=target.parent))
    try:
        yield part
        part.chmod(0o755)
        for path in (*part.rglob("*"), part):
            _sync(path)
        part.rename(target)
        _sync(target.parent)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


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


class _Record(dict[str, Any]):
    """A mapping in a file; a key that it lacks is told with the file's name."""

    def __init__(self, path: Path, value: Mapping[str, Any]) -> None:
        super().__init__(value)
        self._path = path

    def __missing__(self, key: str) -> Any:
        raise RecordError(f"{self._path}: has no {key!r} (it is not as pglab run wrote it)")


def read_json(path: Path) -> Any:
    """One JSON value; RecordError where it is missing, broken or of another format, or lacks what is asked of it."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"), object_hook=lambda found: _Record(path, found))
    except FileNotFoundError:
        raise RecordError(f"{path}: is not there (is it a folder that pglab run wrote?)") from None
    except (ValueError, OSError) as error:
        raise RecordError(f"{path}: cannot be read: {error}") from None
    if isinstance(value, dict) and value.get("format", FORMAT) != FORMAT:
        raise RecordError(f"{path}: is of format {value['format']!r} (this pglab reads format {FORMAT})")
    return value


def read_run(folder: Path) -> Mapping[str, Json]:
    """The run.json of a run's folder; RecordError where the folder is not a run's."""
    run = read_json(folder / RUN)
    if not isinstance(run, dict) or "format" not in run:
        raise RecordError(f"{folder / RUN}: has no format (it was not written by pglab run)")
    return run


def read(folder: Path) -> Stored:
    """A whole run, trials in the order of rounds and positions."""
    done = folder / "done.json"
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
    done = folder / "done.json"
    return done.exists() and bool(read_json(done)["rounds"] >= planned(folder))


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
    lines = (f"{path.relative_to(folder).as_posix()} {_sha256(path)}\n" for path in seals(folder) if path.exists())
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def whole(folder: Path) -> None:
    """Nothing where every file of a run is what its seal says; else RecordError naming those that are not."""
    found = [f"{folder}/{problem}" for problem in problems(folder)]
    if found:
        found.append(f"{folder}: is not as pglab run wrote it and is not judged (restore it from a copy)")
        raise RecordError("\n".join(found))


def problems(folder: Path) -> list[str]:
    """Every file of a run that is not what its seal says, in words; [] where all is well."""
    found, export = [], exported.read(folder)
    for seal in (path for path in seals(folder) if path.name in _SEALS.values()):
        where = seal.parent.relative_to(folder).as_posix()
        try:
            due = exported.due(export, where, read_json(seal)["checksums"])
        except RecordError as error:
            found.append(str(error).removeprefix(f"{folder}/"))
            continue
        there = {k: v for k, v in _checksums(seal.parent).items() if k != seal.name}
        found += [f"{where}/{name}: is missing" for name in due.keys() - there.keys()]
        found += [f"{where}/{name}: was added" for name in there.keys() - due.keys()]
        found += [f"{where}/{name}: was changed" for name in due.keys() & there.keys() if due[name] != there[name]]
    return sorted(found)
