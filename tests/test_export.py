"""An exported run: nobody is named in it, a plan of it still verifies, and whatever was done to it is found."""

import gzip
import hashlib
import io
import json
import shutil
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from lab import archive, cli, export, exported, publish, store, tidy, verify
from lab.errors import LabError, PlaceError, RecordError
from lab.model import Study
from lab.redact import Names
from tests.test_store import RUN, SAMPLES, prepared, trial

TOP = Path(__file__).parent.parent
NAMES = Names(hosts=frozenset({"workbench"}), users=frozenset({"evelyn"}), homes=frozenset({"/srv/people/evelyn"}))
WORDS = ("workbench", "evelyn", "10.20.30.40", "fd00::17", "hunter2", "mallory")
LOG = """\
LOG:  listening on Unix socket "/srv/people/evelyn/pglab/.s.PGSQL.5432", at 23:47:35.118
FATAL:  no pg_hba.conf entry for host "10.20.30.40", user "mallory", database "bench"
LOG:  connection received: host=workbench.example.org port=4711 from fd00::17 by 10.20.30.40
LOG:  statement: SELECT postgres_fdw('postgresql://mallory:hunter2@10.20.30.40/bench')
LOG:  restored as evelyn in /home/mallory/rows, lsn=0/1C34FC0, on 127.0.0.1 and PostgreSQL 18.6.3
"""


@pytest.fixture
def run(tmp_path) -> Path:
    """A small run with one of everything, whose log names a machine and people."""
    folder = store.create(tmp_path / "results", RUN)
    store.keep_instance(folder, prepared(), SAMPLES)
    store.keep_study(folder, Study("heap", 13, {"query.recent.locks_per_call": (43.0,)}))
    store.keep_trial(folder, trial(1), {"heap.1": LOG})
    store.keep_trial(folder, trial(2), {"heap.1": "ready\n"})
    return folder


@pytest.fixture(scope="module")
def sample(tmp_path_factory) -> Path:
    """The first rounds of the sample run, with LOG as one of its logs, in a folder of results."""
    top = tmp_path_factory.mktemp("sample")
    (given,) = store.runs(TOP / "results", "sample")
    later = shutil.ignore_patterns("analysis", *(f"*.r{n}-*" for n in range(7, 21)))
    folder = shutil.copytree(given, top / "results" / "sample" / given.name, ignore=later)
    said = min(folder.glob("trials/*/logs/*"))
    said.write_text(LOG)
    seal_again(folder, said)
    store.finish(folder, {"rounds": 20})
    return folder


@pytest.fixture(scope="module")
def planned(sample) -> Path:
    """The plan of that run, before it was exported."""
    doc = sample.parents[2] / "doc"
    publish.publish(sample, doc)
    return doc / "sample.md"


@pytest.fixture(scope="module")
def packed(sample) -> Path:
    """Its archive."""
    return export.export(sample, sample.parents[2] / "sample.tar.gz", NAMES).archive


def seal_again(folder: Path, path: Path) -> None:
    """Make the seal above a file that was edited right, as if it had been written so."""
    seal = next(one for one in store.seals(folder) if one.name != "run.json" and path.is_relative_to(one.parent))
    what = store.read_json(seal)
    what["checksums"][path.relative_to(seal.parent).as_posix()] = hashlib.sha256(path.read_bytes()).hexdigest()
    store.write_json(seal, what)


def edited(path: Path, old: str, new: str) -> None:
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))


def contents(source: Path) -> dict[str, bytes]:
    with tarfile.open(source) as tar:
        return {one.name: tar.extractfile(one).read() for one in tar}


def shipped(run: Path, **more) -> export.Exported:
    return export.export(run, run.parents[2] / "run.tar.gz", NAMES, **more)


# --- who is named ---------------------------------------------------------------------------


def test_nobody_is_named_in_any_file_of_an_archive(run):
    for path, content in contents(shipped(run).archive).items():
        for word in WORDS:
            assert word.encode() not in content, path


def test_what_is_no_name_is_left_in_a_log(run):
    found = contents(shipped(run).archive)
    (log,) = (content.decode() for path, content in found.items() if "r1-" in path and path.endswith(".log"))
    assert "lsn=0/1C34FC0, on 127.0.0.1 and PostgreSQL 18.6.3" in log
    assert '"/home/user/pglab/.s.PGSQL.5432", at 23:47:35.118' in log
    assert log.count("\n") == LOG.count("\n")


def test_the_run_itself_stays_as_it_is(run):
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    shipped(run)
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before


def test_logs_alone_change_no_root(run):
    done = shipped(run)
    assert (done.export.root, done.export.was, done.export.resealed) == (store.root(run), store.root(run), ())
    assert list(done.export.redacted) == ["trials/heap.1.r1-0123456789/logs/heap.1.log"]


def test_home_folders_load_workers_and_settings_are_redacted_in_evidence_and_sealed_anew(run):
    edited(run / "run.json", "-- 'ä'", "-- /srv/people/evelyn/a")
    settings, facts = run / "instances/heap.1/settings.json", run / "trials/heap.1.r1-0123456789/facts.json"
    edited(settings, '"4096"', '"host=workbench user=mallory"')
    edited(facts, '"do": "drive"', '"do": "drive", "workers": [{"host": "workbench"}, {"host": "abacus"}]')
    seal_again(run, settings)
    seal_again(run, facts)
    store.finish(run, {"rounds": 2})
    store.keep_trial(run, trial(3), {})
    store.take_up(run, {"rounds": 3})
    done = shipped(run)
    assert done.export.root != done.export.was == store.root(run)
    assert done.export.resealed == (
        *("instances/heap.1/instance.json", "instances/heap.1/settings.json", "run.json"),
        *("trials/heap.1.r1-0123456789/facts.json", "trials/heap.1.r1-0123456789/trial.json"),
    )
    with archive.found(Path("results"), str(done.archive)) as folder:
        assert store.problems(folder) == []
        read = store.read(folder)
    assert read.run["scenario"]["files"] == {"a.sql": "-- /home/user/a\n"}
    assert read.prepared[0].settings["work_mem"]["value"] == "host=[redacted] user=[redacted]"
    assert [one["host"] for one in read.slices[0].steps[0]["workers"]] == ["load-host-02", "load-host-01"]
    assert not done.left


def test_what_an_author_wrote_is_not_edited_but_told(run):
    edited(run / "run.json", "-- 'ä'", "SELECT 'evelyn', '10.20.30.40', '/home/cart'")
    done = shipped(run)
    assert done.left == {name: ["run.json"] for name in ("/home/cart", "10.20.30.40", "evelyn")}
    assert "left as it is, since evidence rests on it: evelyn in run.json" in "\n".join(done.said())
    assert b"'evelyn', '10.20.30.40', '/home/cart'" in contents(done.archive)[f"events/{run.name}/run.json"]


def test_here_is_a_machine_with_a_name_a_user_and_a_home():
    found = export.here()
    assert all(found.hosts)
    assert all(home.startswith("/") for home in found.homes)
    assert str(Path.home()) in found.homes


# --- the same bytes -------------------------------------------------------------------------


def test_the_same_run_gives_the_same_bytes_wherever_and_whenever(run, tmp_path, monkeypatch):
    first = shipped(run).archive.read_bytes()
    monkeypatch.setattr("time.time", lambda: 4e9)
    moved = shutil.copytree(run, tmp_path / "elsewhere" / "other" / "name")
    for path in sorted(moved.rglob("*"), reverse=True):
        path.touch()
    again = export.export(moved, tmp_path / "again.tar.gz", NAMES)
    assert again.archive.read_bytes() == first


def test_an_export_exported_again_is_the_same_bytes(run):
    facts = run / "trials/heap.1.r1-0123456789/facts.json"
    edited(facts, '"do": "drive"', '"do": "drive", "workers": [{"host": "abacus"}]')
    seal_again(run, facts)
    first = shipped(run).archive
    with archive.found(Path("results"), str(first)) as folder:
        again = export.export(folder, run.parents[2] / "again.tar.gz", NAMES)
    assert again.archive.read_bytes() == first.read_bytes()


def test_what_is_unfinished_or_made_of_the_run_is_not_in_it(run):
    (run / "trials" / ".partial-x").mkdir()
    (run / "trials" / ".partial-x" / "ops.parquet").write_text("half")
    (run / "analysis").mkdir()
    (run / "analysis" / "plan.md").write_text("of evelyn")
    within = {name.split("/")[2] for name in contents(shipped(run).archive)}
    assert within == {"run.json", "export.json", "instances", "studies", "trials"}
    assert not any("partial" in name for name in contents(shipped(run).archive))


# --- a plan and an archive ------------------------------------------------------------------


@pytest.mark.long
def test_a_plan_of_the_run_verifies_against_its_archive(planned, packed):
    found = verify.verify(planned, packed)
    assert (found.wrong, found.numbers > 100) == ([], True)


@pytest.mark.long
def test_a_plan_of_the_archive_is_the_plan_of_the_run_to_the_byte(planned, packed, tmp_path):
    with archive.found(Path("results"), str(packed)) as folder:
        publish.publish(folder, tmp_path)
    assert (tmp_path / "sample.md").read_bytes() == planned.read_bytes()


@pytest.mark.long
def test_a_plan_of_before_evidence_was_redacted_is_to_be_judged_again(sample, tmp_path):
    folder = shutil.copytree(sample, tmp_path / "results" / "sample" / sample.name)
    edited(folder / "run.json", '"files": {', '"files": {"note": "/srv/people/evelyn",')
    store.finish(folder, {"rounds": 20})
    publish.publish(folder, tmp_path / "before")
    done = export.export(folder, tmp_path / "run.tar.gz", NAMES)
    with pytest.raises(RecordError, match=r"run.tar.gz: sample/.*: says that 1 files which .*judge it again"):
        verify.verify(tmp_path / "before" / "sample.md", done.archive)
    with archive.found(Path("results"), str(done.archive)) as again:
        publish.publish(again, tmp_path / "after")
    assert verify.verify(tmp_path / "after" / "sample.md", done.archive).wrong == []


# --- tampering ------------------------------------------------------------------------------


def repacked(packed: Path, target: Path, change: Callable[[Path], None]) -> Path:
    """The archive as somebody makes it anew who changed the run in it."""
    with archive.laid_out(packed) as (top, _):
        (folder,) = store.runs(top)
        change(folder)
        archive.pack(top, target)
    return target


def an_ops(folder: Path) -> Path:
    return min(folder.glob("trials/*/ops.parquet"))


def claim(folder: Path, **what) -> None:
    """Have export.json say what its root must be, and more."""
    said = json.loads((folder / exported.NAME).read_text())
    said |= {key: {**said[key], **value} if key in said else value for key, value in what.items()}
    said["root"] = store.root(folder)
    (folder / exported.NAME).write_text(json.dumps(said))


def replaced_operations(folder: Path) -> None:
    pq.write_table(pq.read_table(an_ops(folder)).slice(1), an_ops(folder))


def operations_said_to_be_redacted(folder: Path) -> None:
    replaced_operations(folder)
    path = an_ops(folder)
    claim(folder, redacted={path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()})


def a_log(folder: Path) -> None:
    min(folder.glob("trials/*/logs/*")).write_text("LOG:  all was well\n")


def a_trial_that_is_gone(folder: Path) -> None:
    shutil.rmtree(an_ops(folder).parent)
    claim(folder)


def sealed_anew(folder: Path) -> None:
    replaced_operations(folder)
    seal_again(folder, an_ops(folder))
    store.finish(folder, {"rounds": store.planned(folder)})
    claim(folder)


def a_file_more(folder: Path) -> None:
    (an_ops(folder).parent / "witness.parquet").write_bytes(an_ops(folder).read_bytes())


CHANGES = [replaced_operations, operations_said_to_be_redacted, a_log, a_trial_that_is_gone, sealed_anew, a_file_more]


@pytest.mark.long
@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_whoever_changes_an_archive_is_found_by_the_plan(change, planned, packed, tmp_path):
    changed = repacked(packed, tmp_path / "changed.tar.gz", change)
    assert verify.verify(planned, changed).wrong


@pytest.mark.parametrize("change", [replaced_operations, operations_said_to_be_redacted, a_log, a_file_more])
def test_an_archive_that_was_changed_is_not_judged(change, run, tmp_path):
    changed = repacked(shipped(run).archive, tmp_path / "changed.tar.gz", change)
    with (
        pytest.raises(RecordError, match=r"changed.tar.gz: events/.*: was (changed|added)"),
        archive.found(Path("results"), str(changed)) as folder,
    ):
        publish.publish(folder, tmp_path / "doc")
    assert not (tmp_path / "doc").exists()


def test_a_trial_that_is_gone_is_found_without_a_plan(run):
    def change(folder: Path) -> None:
        shutil.rmtree(an_ops(folder).parent)

    changed = repacked(shipped(run).archive, run.parents[2] / "changed.tar.gz", change)
    with pytest.raises(RecordError, match="was changed after its export"), archive.laid_out(changed):
        pass


def test_an_export_that_says_more_than_it_may_is_none(run):
    changed = repacked(shipped(run).archive, run.parents[2] / "changed.tar.gz", lambda one: claim(one, ok="yes"))
    with pytest.raises(RecordError, match=r"export.json: cannot be read: .*not permitted"), archive.laid_out(changed):
        pass


# --- archives of strangers ------------------------------------------------------------------

INSIDE = "events/20260101T000000-abcdef"


def tarred(target: Path, *members: tuple[str, bytes] | tarfile.TarInfo) -> Path:
    with tarfile.open(target, "w:gz") as tar:
        for one in members:
            member = one if isinstance(one, tarfile.TarInfo) else tarfile.TarInfo(one[0])
            content = b"" if isinstance(one, tarfile.TarInfo) else one[1]
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return target


def special(kind: bytes, name: str = f"{INSIDE}/run.json") -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, "/etc/passwd"
    return member


STRANGE = {
    "a path that goes up": ("../run.json", b"{}"),
    "a path that goes up from within": (f"{INSIDE}/trials/../../../../x", b"{}"),
    "an absolute path": ("/tmp/run.json", b"{}"),
    "a path without a scenario": ("run.json", b"{}"),
    "a name that no disk takes": (f"{INSIDE}/trials/x/{'y' * 256}", b"{}"),
    "a path that no disk takes": (f"{INSIDE}/trials/{'/'.join(['y' * 200] * 30)}", b"{}"),
    "an empty part": ("events//run.json", b"{}"),
    "a file that no run has": (f"{INSIDE}/setup.py", b"{}"),
    "a file beside the trials": (f"{INSIDE}/trials/x", b"{}"),
    "what is made of a run": (f"{INSIDE}/analysis/plan.md", b"{}"),
    "a symbolic link": special(tarfile.SYMTYPE),
    "a hard link": special(tarfile.LNKTYPE),
    "a device": special(tarfile.CHRTYPE),
    "a pipe": special(tarfile.FIFOTYPE),
    "a folder": special(tarfile.DIRTYPE, f"{INSIDE}/trials/x/logs/y"),
    "a sparse file": special(tarfile.GNUTYPE_SPARSE),
}


@pytest.mark.parametrize("member", STRANGE.values(), ids=STRANGE)
def test_what_is_no_file_of_a_run_is_refused_and_nothing_is_written(member, tmp_path):
    place = tmp_path / "a" / "b"
    place.mkdir(parents=True)
    with pytest.raises(RecordError, match="is no file of a run, and nothing is unpacked"):
        archive.unpack(tarred(tmp_path / "x.tar.gz", member), place)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [tmp_path / "x.tar.gz"]


@pytest.mark.parametrize(
    "second", [(f"{INSIDE}/run.json", b"{}"), ("events/20260101T000000-ffffff/run.json", b"{}"), ("e/x/run.json", b"")]
)
def test_an_archive_holds_each_file_once_and_one_run(second, tmp_path):
    source = tarred(tmp_path / "x.tar.gz", (f"{INSIDE}/run.json", b"{}"), second)
    with pytest.raises(RecordError, match="is of another run, or there twice"):
        archive.unpack(source, tmp_path / "place")


def test_a_name_that_is_a_file_and_a_folder_is_damage(tmp_path):
    members = [(f"{INSIDE}/trials/x/a", b"{}"), (f"{INSIDE}/trials/x/a/b", b"{}")]
    for n, order in enumerate((members, members[::-1])):
        source = tarred(tmp_path / "x.tar.gz", *order)
        with pytest.raises(RecordError):
            archive.unpack(source, tmp_path / f"place{n}")


def test_no_archive_may_hold_more_than_a_run_of_its_size_could(tmp_path, monkeypatch):
    monkeypatch.setattr(archive, "LEAST_BYTES", 2**16)
    source = tarred(tmp_path / "x.tar.gz", (f"{INSIDE}/trials/a/ops.parquet", bytes(2**24)))
    with pytest.raises(RecordError, match="holds more than a run of its size could"):
        archive.unpack(source, tmp_path / "place")
    assert sum(path.stat().st_size for path in tmp_path.rglob("*") if path.is_file()) < 2**23


def test_a_run_that_was_never_exported_is_told_so(run, tmp_path):
    archive.pack(run.parents[1], tmp_path / "x.tar.gz")
    with pytest.raises(RecordError, match=r"x.tar.gz: holds no exported run \(pglab export RUN"):
        archive.unpack(tmp_path / "x.tar.gz", tmp_path / "place")


@pytest.mark.parametrize("content", [b"", b"# a plan\n", gzip.compress(b""), gzip.compress(b"x" * 5000), bytes(1024)])
def test_a_file_that_is_no_archive_is_one_message(content, tmp_path):
    (tmp_path / "x.tar.gz").write_bytes(content)
    with pytest.raises(RecordError, match=r"x.tar.gz: is (empty|no archive of a run, or a damaged one)"):
        archive.unpack(tmp_path / "x.tar.gz", tmp_path / "place")


def test_an_archive_that_ends_early_is_refused_wherever_it_ends(run, tmp_path):
    whole = shipped(run).archive.read_bytes()
    for n, length in enumerate([*range(0, len(whole), 97), *range(len(whole) - 9, len(whole))]):
        (tmp_path / "x.tar.gz").write_bytes(whole[:length])
        with pytest.raises(RecordError):
            archive.unpack(tmp_path / "x.tar.gz", tmp_path / f"place{n}")


def test_an_archive_with_a_wrong_byte_is_refused_wherever_it_is(run, tmp_path):
    """But in gzip's header, of which the fourth to tenth byte say nothing of the content."""
    whole = shipped(run).archive.read_bytes()
    for n, at in enumerate([0, 1, 2, *range(10, len(whole), 61)]):
        (tmp_path / "x.tar.gz").write_bytes(whole[:at] + bytes([whole[at] ^ 0x55]) + whole[at + 1 :])
        with pytest.raises(RecordError):
            archive.unpack(tmp_path / "x.tar.gz", tmp_path / f"place{n}")


def by_hand(path, folder):
    (folder / "by hand").mkdir()
    subprocess.run(["tar", "-xf", path, "-C", folder / "by hand"], check=True)


def test_an_archive_may_be_unpacked_by_hand_and_is_a_run_like_others(run, tmp_path):
    by_hand(shipped(run).archive, tmp_path)
    (folder,) = store.runs(tmp_path / "by hand")
    store.whole(folder)
    assert [one.trial for one in store.read(folder).slices] == [one.trial for one in store.read(run).slices]


def test_a_run_that_went_on_after_it_was_unpacked_by_hand_is_exported_as_what_it_is_now(run, tmp_path):
    edited(run / "run.json", "-- 'ä'", "-- /srv/people/evelyn/a")
    by_hand(shipped(run).archive, tmp_path)
    (folder,) = store.runs(tmp_path / "by hand")
    store.keep_trial(folder, trial(3), {"heap.1": LOG})
    again = export.export(folder, tmp_path / "again.tar.gz", NAMES).export
    assert (again.was, again.root, again.resealed) == (store.root(folder), store.root(folder), ())
    assert len(again.redacted) == 2


# --- what cannot be exported ----------------------------------------------------------------


def test_a_run_that_goes_on_is_not_exported(run, monkeypatch):
    monkeypatch.setattr(tidy, "living", lambda _: {RUN["id"]})
    with pytest.raises(RecordError, match=r"goes on \(wait for its end"):
        shipped(run)
    assert not (run.parents[2] / "run.tar.gz").exists()


def test_a_run_that_was_changed_is_not_exported(run):
    an_ops(run).write_bytes(b"x")
    with pytest.raises(RecordError, match=r"ops.parquet: was changed"):
        shipped(run)


def test_a_run_without_a_trial_is_not_exported(run):
    shutil.rmtree(run / "trials")
    with pytest.raises(RecordError, match="holds no finished trial"):
        shipped(run)


def test_a_run_whose_rounds_are_not_all_there_is_exported_and_told(run):
    assert not shipped(run).complete
    assert next(shipped(run).said()).startswith("not all rounds of this run are there")
    store.finish(run, {"rounds": 2})
    done = export.export(run, run.parents[2] / "whole.tar.gz", NAMES)
    assert not any(line.startswith("not all rounds") for line in done.said())


def test_another_file_is_not_overwritten_and_the_same_archive_is_no_mistake(run):
    first = shipped(run).archive.read_bytes()
    assert shipped(run).archive.read_bytes() == first
    (run.parents[2] / "run.tar.gz").write_text("mine")
    with pytest.raises(RecordError, match=r"run.tar.gz: is there already, and is another \(--output"):
        shipped(run)
    assert (run.parents[2] / "run.tar.gz").read_text() == "mine"


def test_where_an_archive_cannot_be_written_nothing_is_left(run, tmp_path, monkeypatch):
    with pytest.raises(PlaceError, match="cannot be written: No such file or directory"):
        export.export(run, tmp_path / "nowhere" / "x.tar.gz", NAMES)

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(archive, "_write", full)
    (tmp_path / "out").mkdir()
    with pytest.raises(PlaceError, match=r"x.tar.gz: cannot be written: No space left on device"):
        export.export(run, tmp_path / "out" / "x.tar.gz", NAMES)
    assert list((tmp_path / "out").iterdir()) == []


# --- the commands ---------------------------------------------------------------------------


def pglab(*words: object):
    return CliRunner().invoke(cli.app, list(map(str, words)))


@pytest.fixture
def here(tmp_path, monkeypatch) -> Path:
    """An empty current folder, and an empty one for what is unpacked."""
    for name in ("here", "temp"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temp"))
    return tmp_path / "here"


@pytest.mark.long
def test_the_commands_take_an_archive_for_a_run_and_leave_nothing_unpacked(here, sample, packed):
    done = pglab("export", sample)
    name = f"{sample.name}.pglab.tar.gz"
    assert done.stdout.startswith(f"{name} (")
    assert pglab("plan", packed).exit_code == 0
    assert pglab("verify", ".claude/doc/sample.md", "--results", packed).exit_code == 0
    assert "keep heap" in pglab("show", packed).stdout
    (listed,) = json.loads(pglab("list", "--results", packed, "--json").stdout)
    assert (listed["run"], listed["folder"]) == (sample.name, f"{packed}: sample/{sample.name}")
    assert sorted(path.name for path in here.iterdir()) == [".claude", name]
    assert list((here.parent / "temp").iterdir()) == []


def test_json_says_what_was_redacted(here, sample):
    done = json.loads(pglab("export", sample, "-o", "x.tar.gz", "--json").stdout)
    assert done["archive"] == "x.tar.gz"
    assert done["root"] == done["was"] == store.root(sample)
    assert len(done["redacted"]) == 4
    assert Path("x.tar.gz").stat().st_size == done["bytes"]
    assert here == Path.cwd()


@pytest.mark.parametrize(
    "words", [("plan",), ("show",), ("export",), ("list", "--results")], ids=lambda words: words[0]
)
def test_what_is_no_archive_is_status_2_and_leaves_nothing(here, words):
    (here / "x.tar.gz").write_bytes(gzip.compress(b"x" * 5000))
    done = pglab(*words, "x.tar.gz")
    assert (done.exit_code, "x.tar.gz: is no archive of a run" in done.stderr) == (2, True)
    assert [path.name for path in here.iterdir()] == ["x.tar.gz"]
    assert list((here.parent / "temp").iterdir()) == []


def test_an_error_about_an_archive_names_it_and_not_where_it_was_unpacked(run):
    whole = shipped(run).archive
    shutil.rmtree(run)
    with pytest.raises(LabError, match=f"^{whole}: events/{RUN['id']}/more-1.json: cannot be read"):
        broken(whole)


def broken(whole: Path) -> None:
    with archive.found(Path("results"), str(whole)) as folder:
        (folder / "more-1.json").write_text("{")
        store.read(folder)
