"""Break the code in known places; every break must turn its test red.

    python tests/mutate.py [word ...]      only mutants whose file or test holds one of the words
    python tests/mutate.py -tests/real     none whose file or test holds what comes after the minus

A mutant is `file`, `old` (text that occurs once), `new`, and the `test` that must fail. The code is
broken in copies, one for each that works at the same time, so that an interrupted run leaves the
project as it was. Each test runs in a fork of this process, which has imported every library that
tests need and nothing of the project: so a mutant costs its test and little more.

First the same tests run on copies that nothing was changed in. One that fails there, and again when it
has the machine to itself, proves nothing when it fails once more, and is an error; one that skips, for
what this machine lacks, tries no mutant: such mutants are counted as not tried, each with the reason.
"""

import compileall
import contextlib
import importlib
import json
import os
import py_compile
import shutil
import signal
import sys
import tempfile
import time
import tomllib
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

TOP = Path(__file__).parent.parent
COPIED = (
    *("lab", "tests", "scenarios", "workloads", "docs", "docker", "results/sample", "requirements", ".claude"),
    *(
        "pyproject.toml",
        "setup.py",
        "MANIFEST.in",
        "Makefile",
        "README.md",
        "CHANGELOG.md",
        "CONTRIBUTING.md",
        "LICENSE",
    ),
)
LIBRARIES = ("hypothesis", "numpy", "pandas", "scipy.stats", "pyarrow.parquet", "pydantic", "jinja2", "psycopg")
LIMIT_S = 300
WHOLE_LIMIT_S = 3600
OPTIONS = ("-q", "-p", "no:randomly", "-p", "no:cacheprovider", "-W", "ignore::pytest.PytestAssertRewriteWarning")
VERBOSE = (
    "CI",
    "BUILD_NUMBER",
)  # where one is set pytest tells long lists apart for minutes

Mutant = dict[str, str]


@dataclass
class Place:
    """A copy of the project, in which one mutant at a time is tried."""

    top: Path
    mutant: Mutant

    def begin(self) -> int:
        """Break the copy and test it in a child; its process id."""
        path = self.top / self.mutant["file"]
        path.write_text(path.read_text().replace(self.mutant["old"], self.mutant["new"], 1))
        return _forked(self.top, [self.mutant["test"]], LIMIT_S)

    def restore(self) -> None:
        shutil.copy(TOP / self.mutant["file"], self.top / self.mutant["file"])


def main(words: list[str]) -> int:
    """Try the mutants; the exit status is 1 if any survives or does not apply."""
    begun = time.monotonic()
    mutants: list[Mutant] = tomllib.loads((TOP / "tests" / "mutants.toml").read_text())["mutant"]
    stale = {id(mutant): problem for mutant in mutants if (problem := _stale(mutant))}
    chosen = [m for m in mutants if id(m) not in stale and asked_for(m, words)]
    with tempfile.TemporaryDirectory(prefix="pglab-mutants-") as folder:
        Path(folder).chmod(0o755)
        for name in LIBRARIES:
            importlib.import_module(name)
        places = [_copied(Path(folder) / str(n)) for n in range(min(len(chosen), os.cpu_count() or 1))]
        outcomes = _unchanged(places, list(dict.fromkeys(m["test"] for m in chosen)))
        if again := sorted({name for name, told in outcomes.items() if "failed" in told}):
            outcomes |= _unchanged(places[:1], again)
        sound, untried, unsound = sorted_out(chosen, outcomes)
        survivors = _try_all(sound, places)
        for top in places:
            shutil.rmtree(_base(top), ignore_errors=True)
    for line in [*untried, *stale.values(), *unsound, *survivors]:
        print(line)
    spent = time.monotonic() - begun
    counts = (
        f"{len(sound) - len(survivors)} red, {len(survivors)} survived, {len(untried)} not tried, {len(stale)} stale"
    )
    print(f"{len(chosen)} mutants, {counts}, {spent:.0f} s")
    return 1 if stale or survivors or unsound or not sound else 0


def asked_for(mutant: Mutant, words: list[str]) -> bool:
    """Does a mutant's file or test hold one of the words, if there are any, and none of those after a minus?"""
    place = mutant["file"] + mutant["test"]
    wanted = [word for word in words if not word.startswith("-")]
    spared = [word[1:] for word in words if word.startswith("-")]
    return not any(word in place for word in spared) and (not wanted or any(word in place for word in wanted))


def _stale(mutant: Mutant) -> str:
    path = TOP / mutant["file"]
    count = path.read_text().count(mutant["old"]) if path.exists() else 0
    return "" if count == 1 else f"stale: {mutant['file']}: {mutant['old']!r} occurs {count} times"


def _unchanged(places: list[Path], tests: list[str]) -> dict[str, list[str]]:
    """What each test comes to where nothing is broken: its outcomes, "passed", "failed" or why it skips."""
    parts = {top: part for n, top in enumerate(places) if (part := tests[n :: len(places)])}  # pytest of none runs all
    children = [child for top, part in parts.items() if (child := _forked(top, part, WHOLE_LIMIT_S))]
    statuses = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    for top, status in zip(parts, statuses, strict=True):
        if status not in (0, 1):
            said = (top / "said").read_text()[-2000:]
            raise SystemExit(f"the tests could not be run on unchanged code: pytest ended with {status}: {said}")
    return {name: told for top in parts for name, told in json.loads((top / "outcomes").read_text()).items()}


def sorted_out(mutants: list[Mutant], outcomes: dict[str, list[str]]) -> tuple[list[Mutant], list[str], list[str]]:
    """Those whose test passes where nothing is broken; as lines, those not tried, and those whose test fails anyway."""
    sound, untried, unsound = list[Mutant](), list[str](), list[str]()
    for one in mutants:
        test = one["test"]
        found = {what for name, told in outcomes.items() if _belongs(name, test) for what in told}
        if not found or "failed" in found:
            unsound.append(f"{one['file']}: {test} {'fails' if found else 'is not found'} where nothing is broken")
        elif "passed" in found:
            sound.append(one)
        else:
            untried.append(f"not tried: {one['file']}: {one['old']!r}: {test}: {'; '.join(sorted(found))}")
    return sound, untried, unsound


def _belongs(name: str, test: str) -> bool:
    """Is `name`, one test as it ran, among those that a mutant's `test` names?"""
    return name == test or name.startswith((f"{test}[", f"{test}::"))


def _try_all(mutants: list[Mutant], places: list[Path]) -> list[str]:
    """What happened to those that did not turn their test red."""
    free = list(places)
    ahead, busy, found = list(reversed(mutants)), dict[int, Place](), []
    while ahead or busy:
        while ahead and free:
            place = Place(free.pop(), ahead.pop())
            busy[place.begin()] = place
        child, status = os.wait()
        place = busy.pop(child)
        place.restore()
        free.append(place.top)
        found += _told(place, os.waitstatus_to_exitcode(status))
    return found


def _told(place: Place, status: int) -> list[str]:
    """Nothing where the test failed, as it must, or hung where it passed before."""
    if status in (1, -signal.SIGALRM):
        return []
    one = place.mutant
    what = "survived" if status == 0 else f"pytest ended with {status}: {(place.top / 'said').read_text()[-400:]}"
    return [f"{one['file']}: {one['old']!r} -> {one['new']!r}: {one['test']} {what}"]


@dataclass(eq=False)
class Outcomes:
    """A pytest plugin: what each test came to."""

    told: dict[str, list[str]]

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.skipped and isinstance(report.longrepr, tuple):
            self.told.setdefault(report.nodeid, []).append(report.longrepr[2])
        elif report.failed or report.when == "call":
            self.told.setdefault(report.nodeid, []).append(report.outcome)


def _forked(top: Path, tests: list[str], limit_s: int) -> int:
    """The process id of a child that runs these tests of a copy, and exits as pytest does."""
    child = os.fork()
    if child == 0:
        _test(top, tests, limit_s)
    return child


def _test(top: Path, tests: list[str], limit_s: int) -> Any:
    """In the child: run tests of the copy, as if Python had been started there."""
    status = 3
    outcomes = Outcomes({})
    stop_early = () if len(tests) > 1 else ("-x",)
    try:
        signal.alarm(limit_s)
        os.setpgid(0, 0)
        os.chdir(top)
        for name in VERBOSE:
            os.environ.pop(name, None)
        os.environ |= {"PYTHONPATH": str(top), "PYTHONDONTWRITEBYTECODE": "1", "PGLAB_BASE": str(_base(top))}
        sys.dont_write_bytecode = True
        sys.path[:] = [str(top), *(path for path in sys.path if Path(path).resolve() not in (TOP, TOP / "tests"))]
        with Path("said").open("w") as said:
            os.dup2(said.fileno(), 1)
            os.dup2(said.fileno(), 2)
        status = int(pytest.main([*OPTIONS, *stop_early, *tests], plugins=[outcomes]))
        Path("outcomes").write_text(json.dumps(outcomes.told))
        sys.stdout.flush()
    except BaseException:
        traceback.print_exc()
        raise
    finally:
        os._exit(status)


def _base(top: Path) -> Path:
    """Where servers of one copy live, apart from those of the others: a machine measures one run at a time."""
    return Path(f"/var/tmp/pglab-mutant-{os.getuid()}-{top.name}")


def _copied(top: Path) -> Path:
    """A copy of the project, compiled so that a changed source is noticed by its content."""
    for name in COPIED:
        source, target = TOP / name, top / name
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        elif source.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, target)
    with contextlib.redirect_stdout(None):
        compileall.compile_dir(top / "lab", quiet=2, invalidation_mode=py_compile.PycInvalidationMode.CHECKED_HASH)
    return top


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
