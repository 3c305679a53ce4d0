"""Break the code in known places; every break must turn its test red.

    python tests/mutate.py [word ...]      only mutants whose file or test holds one of the words

A mutant is `file`, `old` (text that occurs once), `new`, and the `test` that must fail. The code is
broken in a copy, so that an interrupted run leaves nothing behind.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

TOP = Path(__file__).parent.parent
COPIED = ("lab", "tests", "scenarios", "workloads", "docs", "results/sample", "pyproject.toml", "Makefile", "README.md")


def main(words: list[str]) -> int:
    """Try the mutants; the exit status is 1 if any survives or does not apply."""
    mutants = tomllib.loads((TOP / "tests" / "mutants.toml").read_text())["mutant"]
    chosen = [m for m in mutants if not words or any(word in m["file"] + m["test"] for word in words)]
    stale = [problem for mutant in mutants for problem in _stale(mutant)]
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        survivors = [words for words in pool.map(_try, chosen) if words]
    for line in stale + survivors:
        print(line)
    print(f"{len(chosen)} mutants, {len(chosen) - len(survivors)} red, {len(survivors)} survived, {len(stale)} stale")
    return 1 if stale or survivors or not chosen else 0


def _stale(mutant: dict[str, str]) -> list[str]:
    count = (TOP / mutant["file"]).read_text().count(mutant["old"])
    return [] if count == 1 else [f"stale: {mutant['file']}: {mutant['old']!r} occurs {count} times"]


def _try(mutant: dict[str, str]) -> str:
    """"" if the mutant's test fails, as it must; else what happened."""
    with tempfile.TemporaryDirectory(prefix="pglab-mutant-") as folder:
        top = Path(folder)
        top.chmod(0o755)
        for name in COPIED:
            _copy(TOP / name, top / name)
        path = top / mutant["file"]
        path.write_text(path.read_text().replace(mutant["old"], mutant["new"], 1))
        command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:randomly", "-p", "no:cacheprovider"]
        environment = {**os.environ, "PYTHONPATH": folder, "PYTHONDONTWRITEBYTECODE": "1"}
        try:
            done = subprocess.run(
                [*command, mutant["test"]], cwd=top, env=environment, capture_output=True, text=True, timeout=300
            )
        except subprocess.TimeoutExpired:
            return ""  # it hangs where it passed: seen
    if done.returncode == 1:
        return ""
    what = "survived" if done.returncode == 0 else f"pytest ended with {done.returncode}: {done.stdout[-300:]}"
    return f"{mutant['file']}: {mutant['old']!r} -> {mutant['new']!r}: {mutant['test']} {what}"


def _copy(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
    elif source.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, target)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
