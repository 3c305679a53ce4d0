"""What the kernel counts and enforces is read alike from cgroups of both versions."""

from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import docker
import pytest

from lab.errors import ClusterError
from lab.hosts import Limits, _cgroup, _container

ID = "c0ffee" * 10
ONE = {
    "cpu/cpu.cfs_quota_us": "150000",
    "cpu/cpu.cfs_period_us": "100000",
    "cpu/cpu.stat": "nr_periods 9\nnr_throttled 3\nthrottled_time 2500000000",
    "cpuacct/cpuacct.usage": "7250000000\n",
    "cpuset/cpuset.cpus": "0-1\n",
    "memory/memory.limit_in_bytes": "1073741824\n",
}
TWO = {
    "cpu.max": "150000 100000\n",
    "cpu.stat": "usage_usec 7250000\nuser_usec 1\nnr_throttled 3\nthrottled_usec 2500000",
    "cpuset.cpus": "0-1\n",
    "memory.max": "1073741824\n",
}
LIMITS = Limits(cpus=1.5, cpuset="0-1", memory_bytes=2**30)


def kernel(top: Path, version: int, files: dict[str, str], within: str = f"docker/{ID}") -> Path:
    """A /proc of one container's first process, 42, and the cgroup that it is in."""
    names = ("cpu", "cpuacct", "cpuset", "memory")
    rows = [f"{n}:{name}:/{within}" for n, name in enumerate(names, 2)] if version == 1 else [f"0::/{within}"]
    mounts = [f"30 23 0:25 / {top}/{name} rw,nosuid - cgroup cgroup rw,{name}" for name in names]
    (top / "proc/42").mkdir(parents=True)
    (top / "proc/42/cgroup").write_text("\n".join([*rows, f"1:name=systemd:/{within}"]))
    (top / "proc/self").mkdir()
    (top / "proc/self/mountinfo").write_text(
        "\n".join(mounts) if version == 1 else f"30 23 0:25 / {top} rw,nosuid - cgroup2 cgroup rw"
    )
    for name, text in files.items():
        folder, _, file = name.rpartition("/")
        path = top / folder / within / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return top / "proc"


@pytest.fixture(params=[(1, ONE), (2, TWO)], ids=["version 1", "version 2"])
def found(request, tmp_path) -> _cgroup.Cgroup:
    seen = _cgroup.of(42, ID, kernel(tmp_path, *request.param))
    assert seen is not None
    return seen


def test_cpu_seconds_and_the_seconds_of_waiting_for_the_quota_are_counted(found):
    assert (found.cpu_s(), found.throttled_s()) == (7.25, 2.5)


def test_limits_are_those_in_force(found):
    assert found.limits() == LIMITS


def test_no_limit_is_none(tmp_path):
    one = {**ONE, "cpu/cpu.cfs_quota_us": "-1", "memory/memory.limit_in_bytes": "9223372036854771712"}
    two = {**TWO, "cpu.max": "max 100000", "cpuset.cpus": "", "memory.max": "max"}
    assert _cgroup.of(42, ID, kernel(tmp_path / "1", 1, one)).limits() == Limits(cpuset="0-1")
    assert _cgroup.of(42, ID, kernel(tmp_path / "2", 2, two)).limits() == Limits()


def test_a_process_of_the_same_number_on_this_machine_is_not_taken_for_one_of_another_machine(tmp_path):
    assert _cgroup.of(42, ID, kernel(tmp_path, 2, TWO, within="user.slice")) is None
    assert _cgroup.of(43, ID, tmp_path / "proc") is None


def test_systemd_names_the_folder_otherwise(tmp_path):
    proc = kernel(tmp_path, 2, TWO, within=f"system.slice/docker-{ID}.scope")
    assert _cgroup.of(42, ID, proc).limits() == LIMITS


@pytest.mark.parametrize("files", [ONE, TWO], ids=["version 1", "version 2"])
def test_a_container_of_another_machine_is_asked_from_within(files):
    def run(program: str, path: str) -> str:
        assert program == "cat"
        try:
            return files[path.removeprefix("/sys/fs/cgroup/")]
        except KeyError:
            raise ClusterError(f"one: cat: {path}: No such file or directory") from None

    assert _cgroup.within(run) == LIMITS


def test_what_is_not_in_force_is_named():
    assert _cgroup.differing(LIMITS, LIMITS) == []
    wrong = _cgroup.differing(LIMITS, Limits(cpus=2, cpuset="0", memory_bytes=2**31))
    assert [one.partition(" ")[0] for one in wrong] == ["cpus", "cpuset", "memory_bytes"]
    assert len(_cgroup.differing(LIMITS, Limits())) == 3


# --- frozen ---------------------------------------------------------------------------------


class Freezing:
    """A container whose kernel refuses to freeze it so many times."""

    def __init__(self, refusals: int, words: str) -> None:
        self.left, self.words, self.asked = refusals, words, 0

    def pause(self) -> None:
        self.asked += 1
        self.left -= 1
        if self.left >= 0:
            raise docker.errors.APIError(self.words)


@pytest.mark.parametrize(
    ("refusals", "words", "asked"), [(2, "OCI runtime pause failed: unable to freeze", 3), (1, "no such container", 1)]
)
def test_what_cannot_be_frozen_at_this_moment_is_asked_again_and_other_refusals_are_told(
    monkeypatch, refusals, words, asked
):
    it = Freezing(refusals, words)
    monkeypatch.setattr(_container.Container, "_it", it)
    one = _container.Container(None, SimpleNamespace(name="one"), None, None)
    with nullcontext() if asked > 1 else pytest.raises(ClusterError, match=f"one: .*{words}"):
        one.pause()
    assert it.asked == asked
