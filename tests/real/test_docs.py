"""The commands of README.md and of the tutorial, run as they stand: each ends with the status that the page says."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.real import small

pytestmark = pytest.mark.server

TOP = Path(__file__).parents[2]
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FILE = re.compile(r"(?:#|--) (\S+/\S+\.(?:yaml|sql))\b")
STATUS = re.compile(r"# exit status (\d+)$")


def blocks(page: str) -> list[tuple[str, str]]:
    """The fenced blocks of a page, in its order: language, text."""
    return BLOCK.findall((TOP / page).read_text())


def scripts(text: str) -> list[tuple[str, int]]:
    """A block as scripts, cut after each command that the page says another exit status than 0 of."""
    found, lines = [], list[str]()
    for line in text.splitlines():
        lines.append(line)
        if said := STATUS.search(line):
            found.append(("\n".join(lines), int(said[1])))
            lines = []
    return [*found, ("\n".join(lines), 0)] if lines else found


@pytest.fixture
def folder(tmp_path):
    """An empty folder in which pglab is there, on the path and as .venv/bin/pglab."""
    programs = tmp_path / ".venv" / "bin"
    programs.mkdir(parents=True)
    command = programs / "pglab"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m lab.cli "$@"\n')
    command.chmod(0o755)
    return tmp_path


def run(folder: Path, script: str, status: int) -> str:
    path = f"{folder / '.venv' / 'bin'}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-euc", script],
        cwd=folder,
        env={**small.environment(), "PATH": path},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == status, f"{script}\n{done.stdout}{done.stderr}"
    return done.stdout + done.stderr


def test_the_tutorial_runs_as_it_stands(folder):
    said = [
        run(folder, script, status)
        for language, text in blocks("docs/tutorial.md")
        if language == "sh"
        for script, status in scripts(text)
    ]
    told = "\n".join(said)
    assert "scenarios/compare-heap-indexed/scenario.yaml:7: baseline: no candidate 'heep' (did you mean 'heap'?" in told
    assert "I have created a plan at .claude/doc/shop-diagnosis.md, please read that first before you proceed" in told
    assert (folder / ".claude" / "doc" / "shop-diagnosis.md").exists()


def test_the_commands_of_the_readme_run_as_they_stand(folder):
    ran = 0
    for language, text in blocks("README.md"):
        if place := FILE.match(text):
            path = folder / place[1]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        elif language == "sh" and not text.startswith("make "):  # these two are what .ci/run begins with
            for script, status in scripts(text):
                run(folder, script, status)
                ran += 1
    assert ran >= 2


def test_what_the_readme_makes_is_what_ci_makes():
    readme = "".join(text for language, text in blocks("README.md") if language == "sh")
    made = set(re.findall(r"^make (\w+)", readme, re.MULTILINE))
    assert made == {"demo", "test"}
    assert made <= set(re.findall(r"^make (\w+)", (TOP / ".ci" / "run").read_text(), re.MULTILINE))
