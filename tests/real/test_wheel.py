"""The wheel in another project's environment: all that is shipped is there, and what is written is that project's."""

import json
import os
import shutil
import stat
import subprocess
import sys
import sysconfig
import venv
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.real import small

pytestmark = pytest.mark.server
TOP = Path(__file__).parent.parent.parent
SHIPPED = ("scenarios", "workloads", "docker")
SOURCES = ("lab", *SHIPPED, "setup.py", "MANIFEST.in", "pyproject.toml", "README.md", "CHANGELOG.md", "LICENSE")
BARE = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
BUILD = "import sys, setuptools.build_meta as b; print(getattr(b, 'build_' + sys.argv[1])(sys.argv[2]))"


@dataclass(frozen=True)
class Project:
    """Somebody's project: an empty *folder*, and a Python with the wheel. *home* and *temp* are watched too."""

    folder: Path
    home: Path
    temp: Path
    python: Path

    def pglab(self, *words: str) -> subprocess.CompletedProcess[str]:
        """The command as it is installed, in the project's folder."""
        environment = BARE | {"HOME": str(self.home), "TMPDIR": str(self.temp), "PYTHONDONTWRITEBYTECODE": "1"}
        command = [self.python, self.python.with_name("pglab"), *words]
        given = {"cwd": self.folder, "env": environment, "capture_output": True, "text": True, "timeout": 240}
        return small.patiently(lambda: subprocess.run(command, check=False, **given))


def run(*command: object, cwd: Path) -> str:
    done = subprocess.run(list(map(str, command)), cwd=cwd, capture_output=True, text=True, env=BARE, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.splitlines()[-1] if done.stdout else ""


def built(what: str, source: Path, target: Path) -> Path:
    """The sdist or the wheel of the project in *source*."""
    target.mkdir(exist_ok=True)
    return target / run(sys.executable, "-c", BUILD, what, target, cwd=source)


@pytest.fixture(scope="module")
def source(tmp_path_factory) -> Path:
    """A copy of the project: building leaves its own files there."""
    top = tmp_path_factory.mktemp("source")
    for name in SOURCES:
        if (TOP / name).is_dir():
            shutil.copytree(TOP / name, top / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(TOP / name, top)
    return top


@pytest.fixture(scope="module")
def wheel(source) -> Path:
    left = source / "build" / "lib" / "lab" / "shipped" / "scenarios" / "of-an-earlier-build"
    left.mkdir(parents=True)
    (left / "scenario.yaml").write_text("format: 1\n")
    return built("wheel", source, source.parent / "wheels")


@pytest.fixture(scope="module")
def python(wheel, tmp_path_factory) -> Path:
    """The Python of an environment that has the wheel, and sees what else the tests' environment has."""
    top = tmp_path_factory.mktemp("environment")
    venv.create(top / "venv", symlinks=True)
    python = top / "venv" / "bin" / "python"
    run(sys.executable, "-m", "pip", "--python", python, "install", "-q", "--no-deps", "--no-index", wheel, cwd=top)
    site = run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=top)
    (Path(site) / "others.pth").write_text(f"{sysconfig.get_path('purelib')}\n")
    return python


@pytest.fixture
def project(python, tmp_path) -> Project:
    """An empty project with that environment."""
    for name in ("folder", "home", "temp"):
        (tmp_path / name).mkdir()
    return Project(tmp_path / "folder", tmp_path / "home", tmp_path / "temp", python)


def everything(folder: Path) -> dict[str, tuple[int, int]]:
    """Every file below a folder with its size and time."""
    found = {path.relative_to(folder).as_posix(): path.lstat() for path in sorted(folder.rglob("*"))}
    return {name: (one.st_size, one.st_mtime_ns) for name, one in found.items()}


def files(wheel: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(wheel) as opened:
        return {name: opened.read(name) for name in opened.namelist()}


# --- what is in it --------------------------------------------------------------------------


def test_all_that_is_shipped_is_in_the_wheel_as_it_is_here_and_nothing_of_an_earlier_build(wheel, source):
    there = {name: content for name, content in files(wheel).items() if name.startswith("lab/shipped/")}
    here = {path for name in SHIPPED for path in (source / name).rglob("*") if path.is_file()}
    assert there == {f"lab/shipped/{path.relative_to(source).as_posix()}": path.read_bytes() for path in here}
    assert {"lab/queries/settings.sql", "lab/templates/plan.md.j2"} <= files(wheel).keys()


def test_the_sdist_builds_the_same_wheel(wheel, source, tmp_path):
    subprocess.run(["tar", "-xf", built("sdist", source, tmp_path), "-C", tmp_path], check=True)
    (unpacked,) = (path for path in tmp_path.iterdir() if path.is_dir())
    again = files(built("wheel", unpacked, tmp_path / "again"))
    records = {name for name in again if name.endswith("/RECORD")}
    assert {k: v for k, v in again.items() if k not in records} == {
        k: v for k, v in files(wheel).items() if k not in records
    }


# --- installed ------------------------------------------------------------------------------


def test_the_installed_lab_is_that_of_the_wheel_and_can_build_its_images(project):
    said = "import lab.hosts._images as i, lab; print(lab.__file__, i.FOLDER, *i.own())"
    package, folder, *images = run(project.python, "-c", said, cwd=project.folder).split()
    assert Path(package).is_relative_to(project.python.parents[1])
    assert Path(folder) == Path(package).parent / "shipped" / "docker"
    assert {"pglab/postgres:18", "pglab/patroni:17", "pglab/pgbouncer:latest"} <= set(images)
    assert (Path(folder) / "postgres" / "entrypoint.sh").stat().st_mode & stat.S_IXOTH


def test_commands_that_need_no_server_work_in_an_empty_folder(project):
    assert project.pglab("list").stdout == "no runs in results (pglab run SCENARIO makes one)\n"
    assert "candidates" in json.loads(project.pglab("schema").stdout)["properties"]
    unknown = project.pglab("run", "quickstrt")
    assert (unknown.returncode, "did you mean 'quickstart'? known: cost-of" in unknown.stderr) == (2, True)
    assert everything(project.folder) == {}


def test_a_shipped_scenario_runs_and_whatever_is_written_is_the_projects(project):
    before = everything(project.python.parents[1])
    rehearsed = project.pglab("run", "quickstart", "--only", "heap,brin", "--dry-run", "--on", "embedded", "--json")
    assert rehearsed.returncode == 0, rehearsed.stderr
    assert json.loads(rehearsed.stdout)["candidates"] == ["heap", "brin"]
    assert everything(project.folder) == {}
    own = everything(small.write(project.folder))
    ran = project.pglab("run", "scenarios/small", "--on", "embedded", "--rounds", "2", "--probes", "off")
    assert ran.returncode in (0, 1), ran.stderr
    assert ran.stdout.endswith(
        "I have created a plan at .claude/doc/small.md, please read that first before you proceed\n"
    )
    written = {name.partition("/")[0] for name in everything(project.folder).keys() - own.keys()}
    assert written == {".claude", "results"}
    assert project.pglab("init", "mine").returncode == 0
    assert (project.folder / "scenarios" / "mine" / "scenario.yaml").exists()
    assert everything(project.python.parents[1]) == before
    assert everything(project.home) == everything(project.temp) == {}
