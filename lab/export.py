"""`pglab export`: a stored run becomes one archive that names neither the machine it ran on nor its people.

What the plan's root covers stays byte for byte, but for what would name somebody; so a plan that was
written of the run verifies against the archive wherever nothing of that was in its evidence (decision 0018).
"""

import getpass
import hashlib
import json
import os
import shutil
import socket
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from lab import archive, exported, redact, store, tidy
from lab.errors import PlaceError, RecordError
from lab.exported import Export
from lab.hosts import embedded
from lab.model import Json
from lab.redact import Names

_ENDS = {"instances": "instance.json", "studies": "study.json", "trials": "trial.json"}
_MANY = 5  # names that were left: so many are told to people


@dataclass(frozen=True)
class Exported:
    """What was written. *left*: what still names somebody -> the files that do; *complete*: are all rounds there?"""

    archive: Path
    bytes: int
    export: Export
    left: Mapping[str, list[str]]
    complete: bool

    def said(self) -> Iterator[str]:
        """The same for people, the archive last."""
        if not self.complete:
            yield "not all rounds of this run are there: a plan of it is exploratory, here and there"
        for name, paths in list(self.left.items())[:_MANY]:
            more = f" and {len(paths) - 1} more" if len(paths) > 1 else ""
            yield f"left as it is, since evidence rests on it: {name} in {paths[0]}{more}"
        if len(self.left) > _MANY:
            yield f"left so too: {len(self.left) - _MANY} more (--json names them)"
        if self.export.resealed:
            yield (
                f"redacted in what evidence rests on, so that the run has another root: {len(self.export.resealed)} "
                "files; plans that were written of it before must be judged again from the archive"
            )
        yield "it holds the queries, their parameters and samples of the rows as they were"
        yield f"{self.archive} ({self.bytes / 2**20:.1f} MiB, {len(self.export.redacted)} logs redacted)"

    def data(self) -> dict[str, Json]:
        """The same for programs."""
        told = {"archive": str(self.archive), "bytes": self.bytes, "complete": self.complete, "left": dict(self.left)}
        return told | self.export.model_dump(mode="json")


def export(folder: Path, target: Path | None, names: Names) -> Exported:
    """Write the run in *folder* to *target*, else to `<run>.pglab.tar.gz` here, without *names*.

    RecordError where the run goes on, is not as it was written, or holds no trial. The run stays as it is.
    """
    _exportable(folder)
    target = target or Path(f"{folder.resolve().name}{archive.SUFFIX}")
    with tempfile.TemporaryDirectory(prefix="pglab-export-", ignore_cleanup_errors=True) as top:
        copy = _copied(folder, Path(top))
        machines = _machines(copy)
        names = Names(names.hosts | {was for was, now in machines.items() if was != now}, names.users, names.homes)
        done = _redacted(copy, names, machines)
        store.write_json(copy / exported.NAME, done.model_dump(mode="json"))
        archive.pack(Path(top), target)
        return Exported(target, target.stat().st_size, done, _left(copy, names), store.complete(folder))


def here() -> Names:
    """Whom this machine's own logs name: its names, its user, and who became that by sudo, with their home folders."""
    full = socket.gethostname()
    users = {os.environ.get("SUDO_USER", ""), _user()} - {""}
    homes = {str(Path.home()), *(os.path.expanduser(f"~{user}") for user in users)}  # noqa: PTH111 which raises
    return Names(
        hosts=frozenset((full, full.partition(".")[0])),
        users=frozenset(users),
        homes=frozenset(home for home in homes if home.startswith("/")),
    )


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a user id without a name, as in containers
        return ""


def _exportable(folder: Path) -> None:
    run = store.read_run(folder)
    if str(run["id"]) in tidy.living(embedded.base()):
        raise RecordError(f"{folder}: goes on (wait for its end, or interrupt it: what is there can be exported then)")
    if not store.trials_of(folder):
        raise RecordError(f"{folder}: holds no finished trial (go on with pglab run --resume)")
    store.whole(folder)


def _copied(folder: Path, top: Path) -> Path:
    """A copy of what the run wrote, below *top*: nothing unfinished, and nothing that was made of it."""
    run = store.read_run(folder)
    copy = top / str(run["scenario"]["name"]) / str(run["id"])
    single = [*folder.glob("more-*.json"), *(folder / name for name in (store.RUN, store.DONE, exported.NAME))]
    sealed = [seal.parent for seal in store.seals(folder) if seal.name in _ENDS.values()]
    try:
        copy.mkdir(parents=True)
        for path in (path for path in single if path.exists()):
            shutil.copyfile(path, copy / path.name)
        for path in sealed:
            shutil.copytree(path, copy / path.relative_to(folder))
    except OSError as error:
        why = error.strerror or error
        raise PlaceError(f"{folder}: cannot be copied to {top}: {why} (TMPDIR names another folder)") from error
    return copy


# --- redacting ------------------------------------------------------------------------------


def _machines(copy: Path) -> dict[str, str]:
    """The machines that load workers of a run were on -> what they are called instead, in the same order."""
    facts = map(store.read_json, copy.glob("trials/*/facts.json"))
    hosts = sorted({str(worker["host"]) for one in facts for worker in _workers(one)})
    return {host: f"load-host-{n:02d}" for n, host in enumerate(hosts, 1)}


def _workers(facts: Json) -> Iterator[dict[str, Json]]:
    for step in facts["steps"]:
        yield from step.get("workers", ())


def _redacted(copy: Path, names: Names, machines: Mapping[str, str]) -> Export:
    """What was done to a copy: its logs redacted, and of its evidence what names somebody, with new seals."""
    before, earlier = store.root(copy), exported.read(copy)
    redacted = dict(earlier.redacted) if earlier else {}
    for path in sorted(copy.glob("trials/*/logs/*")):
        if _rewritten(path, names):
            redacted[path.relative_to(copy).as_posix()] = _sha256(path)
    changed = [path for path in _evidence(copy) if _edited(path, names, machines)]
    seals = sorted({seal for path in changed if (seal := _seal_of(path, copy))})
    for seal in seals:
        _reseal(seal, [path for path in changed if path.parent == seal.parent])
    _finish_again(copy)
    same = earlier is not None and earlier.root == before  # and nothing was added to it here
    was, resealed = (earlier.was, earlier.resealed) if earlier and same else (before, ())
    paths = {path.relative_to(copy).as_posix() for path in (*changed, *seals)} | set(resealed)
    return Export(root=store.root(copy), was=was, redacted=redacted, resealed=tuple(sorted(paths)))


def _rewritten(path: Path, names: Names) -> bool:
    """Redact a log; was there anything to redact?"""
    was = path.read_bytes()
    now = redact.text(was.decode("utf-8", errors="surrogateescape"), names).encode("utf-8", errors="surrogateescape")
    path.write_bytes(now)
    return now != was


def _evidence(copy: Path) -> list[Path]:
    """The JSON files that evidence rests on, beside the seals."""
    others = (*_ENDS.values(), store.DONE, exported.NAME)
    return sorted(path for path in copy.rglob("*.json") if path.name not in others)


def _edited(path: Path, names: Names, machines: Mapping[str, str]) -> bool:
    """Redact a file that evidence rests on, where that changes no meaning; was there anything to redact?"""
    was = store.read_json(path)
    now = redact.strings(was, partial(redact.paths, names=names))
    if path.name == "settings.json":
        now = redact.strings(now, partial(redact.text, names=names))
    if path.name == "facts.json":
        for worker in _workers(now):
            worker["host"] = machines[worker["host"]]
    if now != was:
        store.write_json(path, now)
    return bool(now != was)


def _seal_of(path: Path, copy: Path) -> Path | None:
    kind = path.relative_to(copy).parts[0]
    return path.parent / _ENDS[kind] if kind in _ENDS else None


def _reseal(seal: Path, changed: Iterable[Path]) -> None:
    what = store.read_json(seal)
    what["checksums"] |= {path.name: _sha256(path) for path in changed}
    store.write_json(seal, what)


def _finish_again(copy: Path) -> None:
    """Have done.json say what the seals that it names are by now, where it names any."""
    done = store.read_json(copy / store.DONE) if (copy / store.DONE).exists() else {}
    if "seals" in done:
        what = {key: value for key, value in done.items() if key not in ("format", "seals", "checksum")}
        store.finish(copy, what, done["seals"])


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _left(copy: Path, names: Names) -> dict[str, list[str]]:
    """What still names somebody -> the files that evidence rests on: there it may mean something else, so it stays."""
    found: dict[str, list[str]] = {}
    for path in _evidence(copy):
        for name in redact.found(json.dumps(store.read_json(path), ensure_ascii=False), names):
            found.setdefault(name, []).append(path.relative_to(copy).as_posix())
    return dict(sorted(found.items()))
