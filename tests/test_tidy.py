"""What dead runs left is found, with its size, and removed; what a live one has is not touched."""

import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from lab import tidy
from lab.hosts import embedded

KIB = 1024


@pytest.fixture
def base(tmp_path) -> Path:
    (tmp_path / "base").mkdir()
    return tmp_path / "base"


@pytest.fixture
def results(tmp_path) -> Path:
    (tmp_path / "results").mkdir()
    return tmp_path / "results"


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    """Another process, which does nothing."""
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    yield process
    process.kill()
    process.wait()


def home(base: Path, name: str, *, pid: int, started: int | None, kib: int = 64) -> Path:
    """A run's home with so much in it."""
    made = base / name
    (made / "data").mkdir(parents=True)
    (made / "data/1").write_bytes(os.urandom(kib * KIB))
    (made / "owner.json").write_text(json.dumps({"pid": pid, "started": started}))
    return made


def mine(base: Path, name: str = "20260101T000000-aaaaaa.1111") -> Path:
    return home(base, name, pid=os.getpid(), started=embedded.born(os.getpid()))


def dead(base: Path, name: str = "20250101T000000-bbbbbb.2222", **more: int) -> Path:
    process = subprocess.Popen([sys.executable, "-c", ""])
    started = embedded.born(process.pid)
    process.wait()
    return home(base, name, pid=process.pid, started=started, **more)


def old(path: Path, seconds: float = 3600) -> Path:
    os.utime(path, (time.time() - seconds,) * 2)
    return path


def where(found: list[tidy.Left]) -> list[Path]:
    return [Path(one.where) for one in found]


# --- homes ----------------------------------------------------------------------------------


def test_the_home_of_a_dead_run_is_found_with_its_size(base, results):
    left = dead(base, kib=512)
    (found,) = tidy.left(base, results)
    assert (found.what, found.where) == ("servers' data", str(left))
    assert 512 * KIB <= found.bytes < 600 * KIB


def test_the_home_of_a_live_run_is_not_touched(base, results):
    alive = mine(base)
    tidy.remove(tidy.left(base, results))
    assert tidy.left(base, results) == []
    assert (alive / "data/1").exists()


def test_removing_leaves_only_what_lives(base, results):
    left, alive = dead(base), mine(base)
    tidy.remove(tidy.left(base, results))
    assert (left.exists(), alive.exists()) == (False, True)


def test_another_process_of_the_same_id_is_told_apart_by_when_it_started(base, results, sleeper):
    started = embedded.born(sleeper.pid)
    reused = home(base, "20250101T000000-cccccc.3333", pid=sleeper.pid, started=started - 1)
    assert not tidy.alive(reused)
    assert tidy.alive(home(base, "20260101T000000-dddddd.4444", pid=sleeper.pid, started=started))
    assert where(tidy.left(base, results)) == [reused]


def test_a_run_that_was_killed_is_dead_before_anybody_has_waited_for_it(base, sleeper):
    made = home(base, "20260101T000000-dddddd.4444", pid=sleeper.pid, started=embedded.born(sleeper.pid))
    os.kill(sleeper.pid, signal.SIGKILL)
    until = time.monotonic() + 5
    while tidy.alive(made) and time.monotonic() < until:
        time.sleep(0.01)
    assert sleeper.returncode is None, "nobody has waited: it is a zombie"
    assert not tidy.alive(made)


def test_a_process_that_is_gone_and_an_owner_that_never_was_are_not_the_same_nothing(base):
    assert not tidy.alive(home(base, "x", pid=2**22 + 1, started=None))


BROKEN = {"none": None, "cut": '{"pid": 1', "a list": "[]", "words": '{"pid": "x", "started": 1}', "bytes": "\udcff"}


@pytest.mark.parametrize("what", BROKEN)
def test_a_home_without_a_readable_owner_lives_for_a_minute(base, results, what):
    made = base / "20260101T000000-eeeeee.5555"
    made.mkdir()
    if BROKEN[what] is not None:
        (made / "owner.json").write_text(BROKEN[what], errors="surrogateescape")
    assert tidy.left(base, results) == []
    old(made)
    assert where(tidy.left(base, results)) == [made]


@pytest.fixture
def umask() -> Iterator[None]:
    """The strictest that people have."""
    before = os.umask(0o077)
    yield
    os.umask(before)


@pytest.mark.usefixtures("umask")
def test_every_user_may_enter_a_home_whatever_the_umask_and_one_of_before_is_opened_for_roots_servers(monkeypatch):
    with tempfile.TemporaryDirectory(prefix="t", dir="/var/tmp") as top:
        base = Path(top, "a", "base")
        monkeypatch.setenv("PGLAB_BASE", str(base))
        with embedded.home("tmask") as home:
            assert {stat.S_IMODE(folder.stat().st_mode) for folder in (home, base, base.parent)} == {0o711}
        base.chmod(0o700)
        embedded.guard(base)
        assert stat.S_IMODE(base.stat().st_mode) == (0o711 if os.getuid() == 0 else 0o700)


def test_binaries_of_another_version_are_left_over_and_those_of_this_one_are_not(base, results):
    other, own = base / "wheel-1.2.3", base / f"wheel-{embedded.version()}"
    for folder in (other, own):
        (folder / "bin").mkdir(parents=True)
        old(folder)
    (found,) = tidy.left(base, results)
    assert (found.what, found.where) == ("binaries of another version", str(other))


def test_files_of_the_base_folder_are_no_homes(base, results):
    (base / "measuring.lock").touch()
    old(base / "measuring.lock")
    assert tidy.left(base, results) == []


def test_where_nothing_was_ever_run_nothing_is_left(tmp_path):
    assert tidy.left(tmp_path / "no base", tmp_path / "no results") == []


# --- processes ------------------------------------------------------------------------------


@pytest.fixture
def server(base) -> Iterator[tuple[Path, subprocess.Popen[bytes]]]:
    """A process that carries a run's label, as a server does."""
    made = mine(base)
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)", f"cluster_name=pglab-{made.name}"])
    yield made, process
    process.kill()
    process.wait()


def test_a_server_of_a_live_run_is_not_touched(base, results, server):
    assert tidy.left(base, results) == []
    tidy.remove(tidy.left(base, results))
    assert server[1].poll() is None


def test_a_server_of_a_dead_run_is_found_by_its_label_and_ended_before_its_data_are_removed(base, results, server):
    made, process = server
    (made / "owner.json").write_text(json.dumps({"pid": process.pid, "started": 1}))
    first, second = tidy.left(base, results)
    assert (first.what, first.pid, first.where) == ("server process", process.pid, f"cluster_name=pglab-{made.name}")
    assert second.where == str(made)
    tidy.remove([first, second])
    assert process.wait(5) is not None
    assert not made.exists()


def test_a_servers_children_are_part_of_it(base, results):
    made = dead(base)
    nap = "import subprocess, sys, time\nif sys.argv[2:]: subprocess.Popen([sys.executable, '-c', NAP, sys.argv[2]])\n"
    nap = f"NAP = 'import time; time.sleep(60)'\n{nap}print('up', flush=True); time.sleep(60)"
    labels = (f"cluster_name=pglab-{made.name}", f"postgres: pglab-{made.name}: checkpointer")
    process = subprocess.Popen([sys.executable, "-c", nap, *labels], stdout=subprocess.PIPE)
    with process.stdout:
        process.stdout.readline()
    (child,) = psutil.Process(process.pid).children()
    found = tidy.left(base, results)
    assert [one.pid for one in found if one.pid] == [process.pid]
    child.suspend()  # as one that would never notice that its parent is gone
    tidy.remove(found)
    assert process.wait(5) is not None
    assert embedded.born(child.pid) is None


def test_a_child_that_outlived_its_server_is_found(base, results):
    made = dead(base)
    label = f"postgres: pglab-{made.name}: checkpointer"
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)", label])
    tidy.remove(tidy.left(base, results))
    assert process.wait(5) is not None


@pytest.mark.parametrize(
    ("program", "of", "found"), [("initdb", dead, True), ("initdb", mine, False), ("tail", dead, False)]
)
def test_a_program_that_a_dead_run_was_making_a_server_with_is_found(base, results, program, of, found):
    made = of(base)
    words = [f"/somewhere/bin/{program}", "-c", "sleep 60; true", "-D", str(made / "data")]
    process = subprocess.Popen(words, executable="/bin/sh")
    try:
        there = {one.pid for one in tidy.left(base, results) if one.what == "server process"}
        assert (process.pid in there) == found
    finally:
        subprocess.run(["pkill", "-P", str(process.pid)], check=False)
        process.kill()
        process.wait()


def test_a_server_of_another_base_folder_is_somebody_elses(base, results, server, tmp_path):
    made, process = server
    shutil.rmtree(made)
    assert tidy.left(base, results) == []
    assert process.poll() is None
    assert tidy.left(tmp_path / "another", results) == []


def test_a_process_that_ended_by_itself_meanwhile_is_no_failure(base, results, server):
    made, process = server
    (made / "owner.json").write_text(json.dumps({"pid": process.pid, "started": 1}))
    found = tidy.left(base, results)
    process.kill()
    process.wait()
    tidy.remove(found)


# --- unfinished files -----------------------------------------------------------------------


def fragments(results: Path, run: str) -> list[Path]:
    """One of everything that a run leaves when it is killed in the middle of writing."""
    folders = [
        results / "events" / ".partial-a1",
        results / "events" / run / ".logs",
        results / "events" / run / "trials" / ".partial-b2",
        results / "events" / run / "instances" / ".partial-c3",
    ]
    for folder in folders:
        folder.mkdir(parents=True)
        (folder / "file").write_text("x")
    half = results / "events" / run / ".partial-more-1.json"
    half.write_text("{")
    return [old(path) for path in sorted([*folders, half])]


def test_what_a_killed_run_was_writing_is_left_over_and_what_it_finished_is_not(base, results):
    left = fragments(results, "20250101T000000-bbbbbb")
    whole = results / "events/20250101T000000-bbbbbb/trials/heap.1.r1-0123456789"
    whole.mkdir()
    (whole / "trial.json").write_text("{}")
    found = tidy.left(base, results)
    assert where(found) == left
    assert {one.what for one in found} == {"unfinished files"}
    assert all(one.bytes > 0 for one in found)
    tidy.remove(found)
    assert tidy.left(base, results) == []
    assert (whole / "trial.json").exists()


def test_what_a_live_run_is_writing_is_not_touched(base, results):
    fragments(results, "20260101T000000-aaaaaa")
    mine(base, "20260101T000000-aaaaaa.1111")
    assert where(tidy.left(base, results)) == [results / "events/.partial-a1"]


def test_what_was_written_a_moment_ago_may_belong_to_a_run_that_begins(base, results):
    (results / "events/.partial-a1").mkdir(parents=True)
    assert tidy.left(base, results) == []
