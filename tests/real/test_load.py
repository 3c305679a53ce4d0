"""A whole run by load workers: one that is lost ends it, and it goes on with as many to a verified plan."""

import json
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import psutil
import pytest

from lab import store
from tests.real import small

pytestmark = pytest.mark.server


def kill_a_worker_after(folder, trials, within_s=small.PATIENCE_S):
    """Kill a load worker of the run in *folder* once so many of its trials are there; its process number."""
    until = time.monotonic() + within_s
    while len(list(folder.glob("results/small/*/trials/[!.]*"))) < trials:
        assert time.monotonic() < until, "no trial came"
        time.sleep(0.02)
    labs = {one.pid for one in psutil.process_iter() if _cwd(one) == str(folder)}
    workers = [one for pid in labs for one in _children(pid) if "_worker.py" in small.words(one)]
    assert len(workers) == 2
    os.kill(workers[0].pid, signal.SIGKILL)
    return workers[0].pid


def _cwd(process):
    try:
        return process.cwd()
    except psutil.Error:
        return None


def _children(pid):
    try:
        return psutil.Process(pid).children()
    except psutil.NoSuchProcess:
        return []


def test_a_run_whose_worker_is_lost_ends_and_goes_on_with_as_many(tmp_path):
    folder = small.write(tmp_path)
    asked = ("run", "scenarios/small", "--on", "embedded", "--load-workers", "2")
    with ThreadPoolExecutor(1) as pool:
        killing = pool.submit(kill_a_worker_after, folder, 2)
        done = small.pglab(folder, *asked, "--rounds", "6")
        pid = killing.result()
    assert done.returncode == 3, done.stderr
    assert f"(process {pid}): is lost, its heartbeat has stopped" in done.stderr
    assert "go on with: pglab run scenarios/small --resume --on embedded --load-workers 2)" in done.stderr
    assert "Traceback" not in done.stderr
    kept = len(store.trials_of(store.find(folder / "results", "small")))

    alone = small.pglab(folder, *asked[:4], "--resume")
    assert alone.returncode == 2
    assert "overrides" in alone.stderr

    done = small.pglab(folder, *asked, "--resume")
    assert done.returncode == 0, done.stderr
    run = store.read(store.find(folder / "results", "small"))
    assert len(run.slices) > kept
    facts = [step for one in run.slices for step in one.steps if step["do"] == "drive"]
    assert all(len(step["workers"]) == 2 for step in facts)
    assert all(step["generator_cpu_s"] == pytest.approx(sum(w["cpu_s"] for w in step["workers"])) for step in facts)
    page = (folder / ".claude/doc/small.md").read_text()
    assert f"- Load came from {os.uname().nodename}: workers: 2, cores: " in page
    verified = small.pglab(folder, "verify", ".claude/doc/small.md")
    assert verified.returncode == 0, verified.stdout


def test_a_worker_without_a_run_says_so_as_json_too(tmp_path):
    """It looks for five minutes; an interrupt ends that."""
    command = [sys.executable, "-m", "lab.cli", "load-worker", "--master", "127.0.0.1", "--port", "1", "--json"]
    process = subprocess.Popen(
        command, cwd=tmp_path, env=small.environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stderr.readline() == "load worker: looking for the run at 127.0.0.1 port 1\n"
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 130, err
    assert json.loads(out) == {"status": 130, "ended": "interrupted"}
    assert "Traceback" not in err
