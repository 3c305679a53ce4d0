"""A quota on the lab's own processes: read from cgroups laid out by hand, and what a trial under it is worth."""

import pytest

from lab.check import GENERATOR, check
from lab.probes.quota import throttled_s
from tests.slices import drive, ops, sliced


@pytest.fixture
def laid(tmp_path):
    """From the lines of /proc/self/cgroup and files of /sys/fs/cgroup to what is read."""

    def lay(lines, **files):
        (tmp_path / "proc/self").mkdir(parents=True)
        (tmp_path / "proc/self/cgroup").write_text(lines)
        for name, text in files.items():
            path = tmp_path / "sys" / name / "cpu.stat"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return throttled_s(tmp_path / "proc", tmp_path / "sys")

    return lay


def test_what_waited_longest_counts_ours_or_one_above(laid):
    own, above = "throttled_usec 1000000\n", "usage_usec 9\nthrottled_usec 2500000\n"
    files = {"a": above, "a/b": own, "c": "throttled_usec 9000000\n"}
    assert laid("0::/a/b\n", **files) == 2.5


def test_version_1_counts_in_ns(laid):
    assert laid("3:memory:/m\n2:cpu,cpuacct:/x\n", **{"cpu/x": "nr_throttled 4\nthrottled_time 1500000000\n"}) == 1.5


def test_in_a_container_the_mount_is_our_own(laid):
    assert laid("0::/docker/4711\n", **{".": "throttled_usec 700000\n"}) == 0.7


def test_without_cgroups_nothing_waited(tmp_path):
    assert throttled_s(tmp_path, tmp_path) == 0.0


@pytest.mark.parametrize(("waited_s", "kinds"), [(0.5, {GENERATOR}), (0.001, set())])
def test_latencies_of_a_generator_that_a_quota_kept_waiting_are_not_judged(waited_s, kinds):
    doubts = check([sliced(drive(due=20, generator_throttled_s=waited_s), ops(20))])
    assert {doubt.kind for doubt in doubts} == kinds
    assert not any(doubt.leaves_out for doubt in doubts)
