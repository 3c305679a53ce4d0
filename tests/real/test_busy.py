"""A machine that is kept busy by somebody else: time is not judged, and what is exact is decided."""

import json
import subprocess
import sys

from tests.real import small

SPIN = "import time; end = time.monotonic() + 400\nwhile time.monotonic() < end: pass"  # it is killed long before


def test_a_plan_made_while_a_core_is_kept_busy_decides_what_is_exact_and_nothing_about_time(tmp_path):
    small.write(tmp_path)
    spinning = subprocess.run(
        ["sh", "-c", f'setsid "{sys.executable}" -c "$0" >/dev/null 2>&1 & echo $!', SPIN],
        check=True,
        capture_output=True,
        text=True,
    )
    try:
        done = small.pglab(tmp_path, "run", "small", "--on", "embedded", "--rounds", "3", "--json")
    finally:
        subprocess.run(["kill", spinning.stdout.strip()], check=True)
    found = json.loads(done.stdout)
    assert found["decision"]["time_refused"] == "other processes took the processors in most trials"
    assert "Nothing is said about time" in (tmp_path / ".claude/doc/small.md").read_text()
    verdicts = {
        metric: one["verdict"] for metric, one in found["evidence"]['Other "näme"'].items() if one["family"] == "exact"
    }
    assert verdicts["size.index_bytes"] == "better"
    assert verdicts["query.recent.blocks_per_call"] == "worse"
    assert all(
        one["verdict"] == "described" or one["family"] == "exact"
        for one in found["evidence"]['Other "näme"'].values()
        if one["family"] != "objective"
    )
