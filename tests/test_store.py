"""results/ on disk: written once, whole or not at all, and read back as it was."""

import errno
import json
import os
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lab import store
from lab.errors import PlaceError, RecordError
from lab.model import Instance, Prepared, Study, Trial
from lab.probes import SERIES
from tests.slices import drive, ops, sliced

NAMES = ["heap", 'Other "näme"', "by day/../..", "東京", "a'b\\c", "🐘", ".", "x" * 300]
RUN = {
    "id": "20260101T000000-abcdef",
    "scenario": {"name": "events", "files": {"a.sql": "-- 'ä'\n"}},
    "rounds": 2,
    "on": "embedded",
    "host": {"postgres": "18.1"},
}


def prepared(name: str = "heap", load: int = 1, *, twin: bool = False) -> Prepared:
    return Prepared(
        instance=Instance(name, load, twin),
        metrics={"size.total_bytes": (1.0,), "query.recent.blocks_per_call": (0.1, 1 / 3)},
        explains={"recent": [{"params": ["it's", None, "ü"], "plan": {"Plan": {"Node Type": "Seq Scan"}}}]},
        digests={"recent": ("aa", "bb")},
        settings={"work_mem": {"value": "4096", "unit": "kB", "source": "command line"}},
        guarantees=("events: CHECK (name <> '\"'::text)",),
        report={"rows": 3, "seconds": 0.5, "streams": {"events": {"rows": 3}}},
    )


def trial(number: int = 1, name: str = "heap"):
    """One trial to be kept, of round *number*."""
    made = sliced(drive(), ops(20), round_=number)
    return replace(made, trial=Trial(f"{store.slug(name)}.1.r{number}-0123456789", Instance(name, 1), number, 0, 2**61))


SAMPLES = {"events": pa.table({"device": [1, 2], "name": ["é", None]})}


@pytest.fixture
def folder(tmp_path) -> Path:
    return store.create(tmp_path / "results", RUN)


@pytest.fixture
def full(folder) -> Path:
    """A run with one of everything."""
    store.keep_instance(folder, prepared(), SAMPLES)
    store.keep_study(folder, Study("heap", 13, {"query.recent.locks_per_call": (43.0, 43.0)}))
    store.keep_trial(folder, trial(), {"heap.1": "ready\n"})
    return folder


def everything(folder: Path) -> list[str]:
    """What is there, by name, hidden files too."""
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


# --- round trips ----------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_every_noun_comes_back_as_it_was_kept_whatever_its_candidate_is_called(folder, name):
    instance, study = prepared(name, 2, twin=True), Study(name, 60, {"backend_memory_bytes": (1.5,)})
    first, second = trial(1, name), trial(2, name)
    store.keep_instance(folder, instance, SAMPLES)
    store.keep_study(folder, study)
    store.keep_trial(folder, second, {store.label(instance.instance): "zwei – ✓\n"})
    store.keep_trial(folder, first, {})
    stored = store.read(folder)
    assert stored.run == {"format": 1, **RUN}
    assert (stored.prepared, stored.studies) == ((instance,), (study,))
    assert [replace(one, ops=None) for one in stored.slices] == [replace(one, ops=None) for one in (first, second)]
    assert all(one.ops.equals(first.ops) for one in stored.slices)
    assert store.problems(folder) == []


def test_a_log_and_a_sample_of_the_rows_come_back_too(full):
    assert (full / "trials" / trial().trial.id / "logs/heap.1.log").read_text() == "ready\n"
    assert pq.read_table(full / "instances/heap.1/parameters.events.parquet").equals(SAMPLES["events"])


def test_series_are_kept_with_the_trial_and_sealed_and_trials_without_are_read(folder):
    seen = pa.Table.from_pylist([{"at_ns": 5, "node": "a", "name": "active", "value": 1.0}], schema=SERIES)
    store.keep_trial(folder, replace(trial(1), series=seen), {})
    store.keep_trial(folder, trial(2), {})
    with_series, without = store.read(folder).slices
    assert with_series.series.equals(seen)
    assert without.series is None
    file = folder / "trials" / with_series.trial.id / "series.parquet"
    pq.write_table(seen.slice(0, 0), file)
    assert [problem.endswith("series.parquet: was changed") for problem in store.problems(folder)] == [True]


def test_operations_are_stored_by_how_much_each_is_later_and_come_back_as_they_were(folder):
    made = replace(trial(), ops=ops(2000), witness=ops(300))
    store.keep_trial(folder, made, {})
    (read,) = store.read(folder).slices
    assert read.ops.equals(made.ops)
    assert read.witness.equals(made.witness)
    for name in ("ops", "witness"):
        group = pq.read_metadata(folder / "trials" / made.trial.id / f"{name}.parquet").row_group(0)
        columns = {one.path_in_schema: one for one in map(group.column, range(group.num_columns))}
        delta = {column for column, one in columns.items() if "DELTA_BINARY_PACKED" in one.encodings}
        assert delta == {"seq", "due_ns", "start_ns", "end_ns"}
        assert "RLE_DICTIONARY" in columns["name"].encodings
        assert {one.compression for one in columns.values()} == {"ZSTD"}


def test_names_that_look_alike_get_folders_of_their_own(folder):
    alike = ["heap", "Heap", "heap.1", "heap 1", "ä", "ö", "x" * 30, "x" * 31]
    for name in alike:
        store.keep_instance(folder, prepared(name), {})
    assert {one.instance.candidate for one in store.read(folder).prepared} == set(alike)


@pytest.mark.parametrize("name", NAMES)
def test_a_folder_of_a_candidate_is_short_and_stays_where_it_belongs(name):
    slug = store.slug(name)
    assert slug.isascii()
    assert len(slug) <= 29
    assert "/" not in slug
    assert not slug.startswith(".")


def test_trials_come_in_the_order_of_rounds_and_positions(folder):
    for n in (10, 9, 2):
        store.keep_trial(folder, trial(n), {})
    assert [one.trial.round for one in store.read(folder).slices] == [2, 9, 10]


# --- once, whole or not at all --------------------------------------------------------------


def test_a_run_is_written_once(folder):
    with pytest.raises(RecordError, match="is there already"):
        store.create(folder.parent.parent, RUN)


def test_an_instance_is_kept_as_it_was_the_first_time(full):
    before = store.root(full)
    store.keep_instance(full, replace(prepared(), guarantees=()), SAMPLES)
    store.keep_study(full, Study("heap", 13, {}))
    assert store.root(full) == before


def test_a_trial_is_not_written_over(full):
    with pytest.raises(PlaceError):
        store.keep_trial(full, trial(), {})
    assert store.problems(full) == []


class KilledError(BaseException):
    """Stands for a kill: nothing that code should catch."""


def killing(monkeypatch, n: int) -> None:
    """The nth thing that is put on the disk is the last one."""
    left, really = [n], os.fsync

    def fsync(handle):
        left[0] -= 1
        if left[0] <= 0:
            raise KilledError
        really(handle)

    monkeypatch.setattr(os, "fsync", fsync)


KEPT = {
    "instances": lambda folder: store.keep_instance(folder, prepared(), SAMPLES),
    "studies": lambda folder: store.keep_study(folder, Study("heap", 13, {})),
    "trials": lambda folder: store.keep_trial(folder, trial(), {"heap.1": "ready\n"}),
}


@pytest.mark.parametrize("what", KEPT)
@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 6])
def test_what_is_interrupted_anywhere_is_there_whole_or_not_at_all(folder, monkeypatch, what, n):
    with monkeypatch.context() as patch:
        killing(patch, n)
        try:
            KEPT[what](folder)
        except KilledError:
            there = (folder / what).exists() and everything(folder / what)
            assert not there or store.problems(folder) == [], there
            assert not any(".partial-" in name for name in everything(folder))
    if not (folder / what).exists() or not everything(folder / what):
        KEPT[what](folder)
    assert store.problems(folder) == []
    assert len(list((folder / what).iterdir())) == 1


def test_everything_that_is_kept_is_on_the_disk_before_it_gets_its_name(folder, monkeypatch):
    synced, really = [], os.fsync

    def fsync(handle):
        synced.append(Path(f"/proc/self/fd/{handle}").readlink().name)
        really(handle)

    monkeypatch.setattr(os, "fsync", fsync)
    store.keep_trial(folder, trial(), {"heap.1": "ready\n"})
    assert {"ops.parquet", "facts.json", "trial.json", "heap.1.log", "logs", "trials"} <= set(synced)


@pytest.mark.parametrize("what", [*KEPT, "more-1.json", "done.json"])
def test_nothing_has_its_name_before_it_is_whole(folder, monkeypatch, what):
    record = {"more-1.json": store.take_up, "done.json": store.finish}
    seen, really = [], os.fsync

    def fsync(handle):
        at = Path(f"/proc/self/fd/{handle}").readlink()
        if not at.is_dir() or at.name.startswith("."):
            seen.append([name for name in everything(folder) if ".partial-" not in name and name not in was])
        really(handle)

    was = ["run.json", what] if what in KEPT else ["run.json"]
    monkeypatch.setattr(os, "fsync", fsync)
    KEPT[what](folder) if what in KEPT else record[what](folder, {"rounds": 2})
    assert seen
    assert all(names == [] for names in seen), seen


def test_what_a_kill_left_half_written_is_not_taken_for_a_trial(full):
    shutil.copytree(full / "trials" / trial().trial.id, full / "trials" / ".partial-x1y2")
    (full / "trials/.partial-x1y2/trial.json").unlink()
    assert len(store.read(full).slices) == len(store.trials_of(full)) == 1
    assert store.problems(full) == []


def test_a_resumption_that_is_interrupted_leaves_the_run_readable(full, monkeypatch):
    with monkeypatch.context() as patch:
        killing(patch, 1)
        with pytest.raises(KilledError):
            store.take_up(full, {"rounds": 2, "why": "resumed"})
    assert store.read(full).more == ()
    store.take_up(full, {"rounds": 2, "why": "resumed"})
    assert len(store.read(full).more) == 1


# --- resumed, complete ----------------------------------------------------------------------


def test_each_time_a_run_is_taken_up_is_recorded_and_the_last_one_says_how_many_rounds(full):
    before = store.root(full)
    for n in range(11):
        store.take_up(full, {"rounds": 4 + n, "why": "more rounds"})
    stored = store.read(full)
    assert [one["rounds"] for one in stored.more] == list(range(4, 15))
    assert stored.rounds == 14
    assert store.root(full) != before


def test_a_run_is_complete_when_the_rounds_of_its_last_plan_are_there(full):
    assert not store.complete(full)
    store.finish(full, {"rounds": 2})
    assert store.complete(full)
    store.take_up(full, {"rounds": 4, "why": "more rounds"})
    assert not store.complete(full)
    store.finish(full, {"rounds": 4})
    assert store.complete(full)


# --- what was changed -----------------------------------------------------------------------


def files(full: Path) -> list[Path]:
    return sorted(path for path in full.rglob("*") if path.is_file() and path.parent != full)


def test_every_changed_file_is_named(full):
    for victim in files(full):
        was = victim.read_bytes()
        victim.write_bytes(was.replace(b"1", b"2", 1) if b"1" in was else was + b" ")
        seal = victim.name in ("trial.json", "instance.json", "study.json")
        found = "\n".join(store.problems(full))
        if seal:
            assert found or store.root(full) != _root_of(full, victim, was)
        else:
            assert f"{victim.relative_to(full).as_posix()}: was changed" in found
        victim.write_bytes(was)
    assert store.problems(full) == []


def _root_of(full: Path, victim: Path, was: bytes) -> str:
    """The root as it would be had *victim* not been changed."""
    now = victim.read_bytes()
    victim.write_bytes(was)
    root = store.root(full)
    victim.write_bytes(now)
    return root


def test_every_missing_file_is_named(full):
    for victim in files(full):
        was = victim.read_bytes()
        victim.unlink()
        (found,) = store.problems(full)
        assert f"{victim.relative_to(full).as_posix()}: is " in found
        victim.write_bytes(was)


@pytest.fixture
def done(full) -> Path:
    """The same, of which all planned rounds are there."""
    store.finish(full, {"rounds": 2})
    return full


def test_every_file_of_a_finished_run_that_is_changed_or_gone_is_named(done):
    for victim in sorted(path for path in done.rglob("*") if path.is_file()):
        was, name = victim.read_bytes(), victim.relative_to(done).as_posix()
        victim.write_bytes(was.replace(b": 2", b": 3", 1) if b": 2" in was else was + b" ")
        assert store.problems(done) == [f"{name}: was changed"]
        victim.unlink()
        assert store.problems(done) == ([] if name == "done.json" else [f"{name}: is missing"])
        victim.write_bytes(was)
    assert store.problems(done) == []


def test_a_trial_that_is_gone_from_a_finished_run_or_added_to_it_is_named(done):
    (there,) = (done / "trials").iterdir()
    there.rename(done / "trials" / "heap.1.r9-0123456789")
    assert store.problems(done) == [
        "trials/heap.1.r1-0123456789/trial.json: is missing",
        "trials/heap.1.r9-0123456789/trial.json: was added",
    ]


def test_what_came_since_a_finished_run_was_taken_up_is_no_problem_and_what_was_there_is_seen_to(done):
    store.take_up(done, {"rounds": 3, "why": "more rounds"})
    store.keep_trial(done, trial(3), {})
    assert store.problems(done) == []
    spoil_json(done / "run.json", rounds=1)
    assert store.problems(done) == ["run.json: was changed"]
    spoil_json(done / "run.json", rounds=2)
    store.finish(done, {"rounds": 3})
    assert (store.problems(done), store.complete(done)) == ([], True)
    spoil_json(done / "more-1.json", rounds=4)
    assert (store.problems(done), store.complete(done)) == (["more-1.json: was changed"], False)


def test_a_finished_run_of_another_format_is_told_so_and_not_to_be_changed(done):
    spoil_json(done / "run.json", format=9)
    with pytest.raises(RecordError, match=r"run.json: is of format 9 \(this pglab reads format 1\)$"):
        store.whole(done)


def test_a_run_that_was_finished_before_seals_were_recorded_is_read(done):
    spoil_json(done / "done.json", seals=None, checksum=None)
    assert (store.problems(done), store.complete(done)) == ([], True)


def test_a_run_that_says_to_have_more_rounds_than_were_planned_is_not_complete(done):
    spoil_json(done / "done.json", seals=None, checksum=None, rounds=3)
    assert not store.complete(done)


def test_an_added_file_is_named(full):
    (full / "instances/heap.1/note.txt").write_text("mine")
    assert store.problems(full) == ["instances/heap.1/note.txt: was added"]


def test_the_root_changes_with_any_seal_and_with_nothing_else(full):
    before = store.root(full)
    store.take_up(full, {"rounds": 2, "why": "resumed"})
    roots = {before, store.root(full)}
    for seal in store.seals(full):
        was = seal.read_bytes()
        seal.write_bytes(was + b" ")
        roots.add(store.root(full))
        seal.unlink()
        roots.add(store.root(full))
        seal.write_bytes(was)
    assert len(store.seals(full)) == 5
    assert len(roots) == 2 + 2 * 5 - 1, "without more-1.json the root is what it was before that"
    again = store.root(full)
    (full / "analysis").mkdir()
    (full / "analysis/plan.md").write_text("a plan")
    store.finish(full, {"rounds": 2})
    assert store.root(full) == again


def test_a_removed_trial_changes_the_root(full):
    before = store.root(full)
    shutil.rmtree(full / "trials" / trial().trial.id)
    assert store.problems(full) == []
    assert store.root(full) != before


# --- what cannot be read --------------------------------------------------------------------


def spoil_json(path: Path, **changes: object) -> None:
    value = {**json.loads(path.read_text()), **changes}
    path.write_text(json.dumps({key: one for key, one in value.items() if one is not None}))


@pytest.mark.parametrize(
    "name", ["run.json", "trials/*/trial.json", "trials/*/facts.json", "instances/*/instance.json"]
)
def test_a_file_of_another_format_is_refused_by_name(full, name):
    (path,) = full.glob(name)
    spoil_json(path, format=9)
    with pytest.raises(RecordError, match=rf"{path.name}: is of format 9 \(this pglab reads format 1\)"):
        store.read(full)


@pytest.mark.parametrize(
    "name", ["run.json", "trials/*/trial.json", "instances/*/metrics.json", "trials/*/ops.parquet"]
)
@pytest.mark.parametrize("how", ["missing", "cut", "empty", "not text"])
def test_a_file_that_cannot_be_read_is_one_message_with_its_name(full, name, how):
    (path,) = full.glob(name)
    data = path.read_bytes()
    path.unlink()
    if how != "missing":
        path.write_bytes({"cut": data[: len(data) // 2], "empty": b"", "not text": b"\xff\xfe\x00{"}[how])
    with pytest.raises(RecordError, match=path.name):
        store.read(full)


@pytest.mark.parametrize("key", ["id", "instance", "round", "position", "seed", "rows", "rows_due"])
def test_a_seal_without_one_of_its_keys_is_told_with_its_name(full, key):
    (path,) = full.glob("trials/*/trial.json")
    spoil_json(path, **{key: None})
    with pytest.raises(RecordError, match=rf"trial.json: has no '{key}'"):
        store.read(full)


def test_a_folder_that_is_no_run_is_refused(tmp_path):
    (tmp_path / "run.json").write_text('{"name": "another tool\'s"}')
    with pytest.raises(RecordError, match="was not written by pglab run"):
        store.read(tmp_path)


def test_what_is_missing_deep_in_a_file_is_told_with_the_files_name(full):
    (full / "run.json").write_text('{"format": 1, "scenario": {}, "rounds": 2}')
    with pytest.raises(RecordError, match=r"run.json: has no 'name'"):
        str(store.read_run(full)["scenario"]["name"])


def test_the_rounds_that_are_planned_are_those_of_the_last_time_the_run_was_taken_up(full):
    assert store.planned(full) == 2
    store.take_up(full, {"rounds": 5})
    assert (store.planned(full), store.complete(full)) == (5, False)
    store.finish(full, {"rounds": 5})
    assert store.complete(full)


@pytest.mark.parametrize("spoil", [lambda path: path.write_text("{}"), Path.unlink, lambda p: p.with_name("x").touch()])
def test_a_run_that_is_not_as_it_was_written_is_told_with_the_file(full, spoil):
    store.whole(full)
    (facts,) = full.glob("trials/*/facts.json")
    spoil(facts)
    with pytest.raises(RecordError, match=f"^{full}/trials/.*/(facts.json|x): (was changed|is missing|was added)\n"):
        store.whole(full)


def test_a_seal_that_is_gone_is_told_by_its_name_once(full):
    (seal,) = full.glob("trials/*/trial.json")
    seal.unlink()
    with pytest.raises(RecordError) as told:
        store.whole(full)
    assert str(told.value).count(str(full)) == 2  # the seal's path, and the run's in the last line


# --- found by name --------------------------------------------------------------------------


def test_a_run_is_found_by_its_folder_its_id_and_its_scenario(full, tmp_path):
    newer = store.create(tmp_path / "results", {**RUN, "id": "20270101T000000-abcdef"})
    results = tmp_path / "results"
    assert store.find(results, str(full)) == full
    assert store.find(results, RUN["id"]) == full
    assert store.find(results, "events") == newer
    with pytest.raises(RecordError, match="pglab list"):
        store.find(results, "evens")
    with pytest.raises(RecordError):
        store.find(results, "ev*")


# --- a disk that fills ----------------------------------------------------------------------


def no_room(*_: object, **__: object):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("refuses", [(os, "fsync"), (pq, "write_table"), (os, "mkdir")], ids=lambda what: what[1])
def test_a_full_disk_is_one_message_with_the_way_out_and_loses_nothing(full, monkeypatch, refuses):
    root, there = store.root(full), everything(full)
    with monkeypatch.context() as patch:
        patch.setattr(*refuses, no_room)
        for keep in (
            lambda: store.keep_trial(full, trial(2), {}),
            lambda: store.keep_instance(full, prepared("brin"), SAMPLES),
        ):
            with pytest.raises(PlaceError) as told:
                keep()
            assert told.value.status == 3
            assert str(told.value).startswith(str(full))
            for words in ("No space left on device", "--results", "--resume"):
                assert words in str(told.value)
            assert "\n" not in str(told.value)
    assert (store.root(full), everything(full)) == (root, there)
    assert store.problems(full) == []


def test_a_full_disk_when_a_run_is_taken_up_or_finished_leaves_it_readable(full, monkeypatch):
    for record in (store.take_up, store.finish):
        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", no_room)
            with pytest.raises(PlaceError, match="No space left on device"):
                record(full, {"rounds": 2})
    assert (store.read(full).more, store.read(full).done) == ((), None)


@pytest.fixture
def small_disk(tmp_path):
    """A file system of one MiB."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "pglab-test", place], capture_output=True, text=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"no file system may be mounted here: {mounted.stderr.strip()}")
    yield place
    subprocess.run(["umount", place], check=True)


def test_a_disk_that_is_really_full_loses_no_finished_trial(small_disk):
    folder = store.create(small_disk / "results", RUN)
    kept = 0
    while shutil.disk_usage(small_disk).free > 64 * 1024:
        kept += 1
        store.keep_trial(folder, trial(kept), {"heap.1": "x" * 20_000})
    with pytest.raises(PlaceError, match=r"cannot be written: .*No space left on device.*--resume"):
        store.keep_trial(folder, trial(kept + 1), {"heap.1": "x" * 60_000})
    assert kept > 3
    assert len(store.read(folder).slices) == kept
    assert store.problems(folder) == []
    assert not list(folder.glob("trials/.*"))


def test_a_folder_that_may_not_be_written_is_one_message(tmp_path):
    (tmp_path / "results").write_text("a file, not a folder")
    with pytest.raises(PlaceError, match=r"cannot be written: .*--results"):
        store.create(tmp_path / "results", RUN)


def test_a_number_that_is_none_is_a_bug_and_leaves_nothing(folder):
    with pytest.raises(ValueError, match="not JSON compliant"):
        store.keep_study(folder, Study("heap", 1, {"a": (float("nan"),)}))
    assert not everything(folder / "studies")
