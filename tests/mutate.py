"""Break the code in known places; every break must turn its test red.

    python tests/mutate.py [word ...]      only mutants whose file or test holds one of the words

A mutant is `file`, `old` (text that occurs once), `new`, and the `test` that must fail. The code is
broken in copies, one for each that works at the same time, so that an interrupted run leaves the
project as it was. Each test runs in a fork of this process, which has imported every library that
tests need and nothing of the project: so a mutant costs its test and little more.
"""

import compileall
import contextlib
import importlib
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
COPIED = ("lab", "tests", "scenarios", "workloads", "docs", "results/sample", "pyproject.toml", "Makefile", "README.md")
LIBRARIES = ("hypothesis", "numpy", "pandas", "scipy.stats", "pyarrow.parquet", "pydantic", "jinja2", "psycopg")
LIMIT_S = 300
OPTIONS = ("-q", "-x", "-p", "no:randomly", "-p", "no:cacheprovider", "-W", "ignore::pytest.PytestAssertRewriteWarning")
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
    since: float = 0.0

    def begin(self) -> int:
        """Break the copy and test it in a child; its process id."""
        path = self.top / self.mutant["file"]
        path.write_text(path.read_text().replace(self.mutant["old"], self.mutant["new"], 1))
        self.since = time.monotonic()
        child = os.fork()
        if child == 0:
            _test(self.top, self.mutant["test"])
        return child

    def restore(self) -> None:
        shutil.copy(TOP / self.mutant["file"], self.top / self.mutant["file"])


def main(words: list[str]) -> int:
    """Try the mutants; the exit status is 1 if any survives or does not apply."""
    begun = time.monotonic()
    mutants: list[Mutant] = tomllib.loads((TOP / "tests" / "mutants.toml").read_text())["mutant"]
    stale = {id(mutant): problem for mutant in mutants if (problem := _stale(mutant))}
    chosen = [
        m for m in mutants if id(m) not in stale and (not words or any(w in m["file"] + m["test"] for w in words))
    ]
    with tempfile.TemporaryDirectory(prefix="pglab-mutants-") as folder:
        Path(folder).chmod(0o755)
        survivors = _try_all(chosen, Path(folder))
    for line in [*stale.values(), *survivors]:
        print(line)
    spent = time.monotonic() - begun
    red = len(chosen) - len(survivors)
    print(f"{len(chosen)} mutants, {red} red, {len(survivors)} survived, {len(stale)} stale, {spent:.0f} s")
    return 1 if stale or survivors or not chosen else 0


def _stale(mutant: Mutant) -> str:
    path = TOP / mutant["file"]
    count = path.read_text().count(mutant["old"]) if path.exists() else 0
    return "" if count == 1 else f"stale: {mutant['file']}: {mutant['old']!r} occurs {count} times"


def _try_all(mutants: list[Mutant], folder: Path) -> list[str]:
    """What happened to those that did not turn their test red."""
    for name in LIBRARIES:
        importlib.import_module(name)
    free = [_copied(folder / str(n)) for n in range(min(len(mutants), os.cpu_count() or 1))]
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
    for top in free:
        shutil.rmtree(_base(top), ignore_errors=True)
    return found


def _told(place: Place, status: int) -> list[str]:
    """Nothing where the test failed, as it must, or hung where it passed before."""
    if status in (1, -signal.SIGALRM):
        return []
    one = place.mutant
    what = "survived" if status == 0 else f"pytest ended with {status}: {(place.top / 'said').read_text()[-400:]}"
    return [f"{one['file']}: {one['old']!r} -> {one['new']!r}: {one['test']} {what}"]


def _test(top: Path, test: str) -> Any:
    """In the child: run one test of the copy, as if Python had been started there."""
    status = 3
    try:
        signal.alarm(LIMIT_S)
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
        status = int(pytest.main([*OPTIONS, test]))
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
