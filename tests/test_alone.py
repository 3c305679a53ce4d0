"""One measuring run at a time, and whoever comes second is told who measures."""

import fcntl
import os
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from lab import alone
from lab.errors import PlaceError

HOLDER = """
import fcntl, sys
with open(sys.argv[1]) as lock:
    fcntl.flock(lock, fcntl.LOCK_EX)
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def lock(tmp_path, monkeypatch) -> Path:
    """A lock of this test's own, which nobody may write."""
    path = tmp_path / "measuring.lock"
    path.touch(mode=0o444)
    monkeypatch.setattr(alone, "MEASURING", path)
    return path


@pytest.fixture
def holder(lock, tmp_path):
    """Another process that holds the lock, started as `pglab run small --on embedded` is."""
    program = tmp_path / "pglab"
    program.write_text(HOLDER)
    words = [sys.executable, program, lock, "run", "it's small"]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "held\n"
        yield process
        process.stdin.close()


def refused() -> str:
    """What is said where another run measures."""
    with pytest.raises(PlaceError) as told, alone.measuring():
        pass
    return str(told.value)


def test_the_run_that_measures_is_named_by_its_process_its_user_its_words_and_its_beginning(holder, lock):
    said = refused()
    assert f"(pid {holder.pid} of " in said
    assert f"""pglab {lock} run 'it'"'"'s small')""" in said
    assert ", since 2" in said
    assert said.endswith("wait for it (--wait), or stop it")


def test_where_the_kernel_shows_no_lock_nobody_is_named(holder, monkeypatch, tmp_path):
    for nothing in (tmp_path / "missing", Path("/dev/null")):
        monkeypatch.setattr(alone, "_LOCKS", nothing)
        assert "measuring on this machine; two runs" in refused()
    assert holder.poll() is None


def test_a_lock_that_was_taken_is_free_again_afterwards(lock):
    for _ in range(2):
        with alone.measuring(), lock.open() as mine, pytest.raises(BlockingIOError):
            fcntl.flock(mine, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_the_first_who_measures_makes_the_lock_so_that_others_may_read_it_whatever_the_umask(lock):
    lock.unlink()
    before = os.umask(0o077)
    try:
        for _ in range(2):
            with alone.measuring():
                assert lock.stat().st_mode & 0o444 == 0o444
            lock.chmod(0o600)  # as one was made before
    finally:
        os.umask(before)


@pytest.mark.usefixtures("lock")
def test_a_lock_that_cannot_be_read_is_one_message_with_the_way_out(monkeypatch):
    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    assert re.search(r"measuring.lock: cannot be opened: Permission denied \(.*chmod a\+r ", refused())


def test_who_waits_is_told_once_for_whom_and_measures_when_that_run_has_ended(holder, lock):
    told = []

    def tell(what):
        told.append(what)
        holder.stdin.close()  # which ends it

    before = signal.getsignal(signal.SIGINT)
    with alone.measuring(tell), lock.open() as mine:
        holder.wait(10)  # until then it is held in any case
        with pytest.raises(BlockingIOError):
            fcntl.flock(mine, fcntl.LOCK_EX | fcntl.LOCK_NB)
    (said,) = told
    assert said.startswith(f"waiting for another pglab that is measuring on this machine (pid {holder.pid} of ")
    assert ", since 2" in said
    assert signal.getsignal(signal.SIGINT) is before


def test_ctrl_c_ends_the_wait_at_once_although_a_run_would_only_finish_its_trial(holder):
    asked = []
    before = signal.signal(signal.SIGINT, lambda *_: asked.append(1))
    late = threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT))
    later = threading.Timer(5, holder.kill)  # so that a wait that goes on ends too
    later.start()
    try:
        with pytest.raises(KeyboardInterrupt, match="nothing was begun"), alone.measuring(lambda _: late.start()):
            pass
    finally:
        later.cancel()
        signal.signal(signal.SIGINT, before)
    assert (asked, holder.poll()) == ([], None)


@pytest.mark.usefixtures("lock")
def test_nobody_is_told_to_wait_where_nobody_measures():
    told = []
    with alone.measuring(told.append):
        pass
    assert told == []
