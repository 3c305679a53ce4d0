"""What the kernel tells of processes, read from processes that are there."""

import os
import shutil
import subprocess
import sys
import time

import psutil
import pytest

from lab import procfs


@pytest.fixture
def started():
    """Start a program that lives as long as the test."""
    processes = []

    def start(*command):
        processes.append(subprocess.Popen(command, stdout=subprocess.PIPE))
        return processes[-1]

    yield start
    for one in processes:
        one.kill()
        one.communicate()


def busy(seconds):
    """A program that takes so much processor time, and says so."""
    return f"import time\nwhile time.process_time() < {seconds}: pass\nprint('done', flush=True)\n"


def test_a_name_that_looks_like_the_fields_after_it_is_no_field(started, tmp_path):
    program = tmp_path / "a) Z 7 (b"
    shutil.copy(shutil.which("sleep"), program)
    one = started(program, "60")
    until = time.monotonic() + 5
    while psutil.Process(one.pid).name() != program.name and time.monotonic() < until:
        time.sleep(0.01)  # until it has become the program
    seen = procfs.process(one.pid)
    assert (seen.pid, seen.parent, seen.ended) == (one.pid, os.getpid(), False)
    assert seen.born * procfs.TICK_S == pytest.approx(psutil.Process(one.pid).create_time() - psutil.boot_time())


def test_what_is_gone_is_none_and_took_nothing(started):
    one = started("true")
    one.wait()
    assert procfs.process(one.pid) is None
    assert procfs.on_cpu_s(one.pid) == 0
    assert one.pid not in {each.pid for each in procfs.processes()}


def test_a_zombie_is_listed_as_ended(started):
    one = started("true")
    os.waitid(os.P_PID, one.pid, os.WEXITED | os.WNOWAIT)
    assert procfs.process(one.pid).ended
    assert one.pid in {each.pid for each in procfs.processes()}


def test_cpu_is_its_own_and_apart_what_its_ended_children_took():
    inner = f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {busy(0.3)!r}])\ninput()"
    one = subprocess.Popen([sys.executable, "-c", inner], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    with one:
        one.stdout.readline()
        until = time.monotonic() + 5
        while (seen := procfs.process(one.pid)).ended_s < 0.3 and time.monotonic() < until:
            time.sleep(0.01)  # until it has waited for its child
        one.kill()
    assert seen.ended_s == pytest.approx(0.3, abs=0.1)
    assert seen.cpu_s < 0.3


def test_cpu_is_known_to_less_than_a_tick(started):
    one = started(sys.executable, "-c", busy(0.2) + "import time; time.sleep(60)")
    one.stdout.readline()
    assert procfs.on_cpu_s(one.pid) == pytest.approx(procfs.process(one.pid).cpu_s, abs=3 * procfs.TICK_S)
    ticks = procfs.on_cpu_s(one.pid) / procfs.TICK_S
    assert abs(ticks - round(ticks)) > 1e-6
