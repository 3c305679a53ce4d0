"""Images are had in one order: present, pulled, built; and what cannot be had is told with the way to it."""

from types import SimpleNamespace

import docker
import pytest

from lab import images
from lab.errors import PlaceError, ScenarioError
from lab.hosts import _engine, _images


class Engine:
    """A Docker engine's client that has some images, may pull others, and may build."""

    def __init__(self, *present: str, pullable: tuple[str, ...] = (), fails: tuple[str, ...] = ()) -> None:
        self.there, self.pullable, self.fails = set(present), pullable, fails
        self.did: list[str] = []
        self.images = self.api = self
        self.args: dict[str, dict[str, str]] = {}

    def get(self, name: str) -> SimpleNamespace:
        if name not in self.there:
            raise docker.errors.ImageNotFound(name)
        return SimpleNamespace(id=f"sha256:{name}", attrs={"Size": 7}, tag=self.there.add)

    def pull(self, name: str) -> SimpleNamespace:
        self.did.append(f"pull {name}")
        if name not in self.pullable:
            raise docker.errors.APIError("x", explanation="no such host")
        self.there.add(name)
        return self.get(name)

    def build(self, *, tag: str, buildargs: dict[str, str], **_: object) -> list[dict[str, str]]:
        self.did.append(f"build {tag}")
        self.args[tag] = buildargs
        if tag in self.fails:
            said = "\x1b[91mE: Unable to locate package postgresql\n\x1b[0m"
            return [{"stream": said}, {"error": "returned a non-zero code: 100"}]
        self.there.add(tag)
        return [{"stream": "Step 1/2 : FROM it"}, {"stream": " ---> 1234"}]


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """A docker/ of three images, of which one is made from another."""
    monkeypatch.delenv("PGLAB_REGISTRY", raising=False)
    monkeypatch.setattr(_images, "FOLDER", tmp_path)
    monkeypatch.setattr(_images, "PUBLIC", ("citusdata/citus:1",))
    for name, text in {
        "postgres": "ARG BASE=debian:trixie-slim\nFROM ${BASE}\nARG MAJOR=17\n",
        "cluster": "ARG MAJOR=17\nARG BASE=pglab/postgres:${MAJOR}\nFROM ${BASE}\n",
        "pgbouncer": "ARG BASE=debian:trixie-slim\nFROM ${BASE}\n",
    }.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "Dockerfile").write_text(text)
    return tmp_path


OURS = ["pglab/pgbouncer:latest", "pglab/postgres:18", "pglab/postgres:17", "pglab/cluster:18", "pglab/cluster:17"]


def asked(monkeypatch, engine: Engine, *words: str) -> tuple[list[str], list[str]]:
    """What `pglab images` did and told."""
    engine.close = lambda: None
    monkeypatch.setattr(_engine, "connect", lambda *_: engine)
    told: list[str] = []
    done = images.do(words[0], words[1:], told.append)
    return [f"{one.name} {one.said()}" for one in done], told


# --- having one -----------------------------------------------------------------------------


def test_an_image_that_is_present_is_neither_pulled_nor_built():
    engine = Engine("pglab/postgres:17", "postgis/postgis:latest")
    assert _images.had(engine, "17") == "sha256:pglab/postgres:17"
    assert _images.had(engine, "postgis/postgis") == "sha256:postgis/postgis:latest"
    assert engine.did == []


def test_one_of_the_labs_own_is_built_and_never_pulled_from_where_anybody_could_have_its_name():
    engine = Engine(pullable=("pglab/postgres:17",))
    assert _images.had(engine, "17") == "sha256:pglab/postgres:17"
    assert engine.did == ["build pglab/postgres:17"]


def test_it_is_pulled_from_the_registry_that_is_named(monkeypatch):
    monkeypatch.setenv("PGLAB_REGISTRY", "registry.example/team/")
    engine = Engine(pullable=("registry.example/team/pglab/postgres:17",))
    assert _images.had(engine, "17") == "sha256:pglab/postgres:17"
    assert engine.did == ["pull registry.example/team/pglab/postgres:17"]


def test_any_other_is_pulled_and_never_built():
    engine = Engine(pullable=("postgis/postgis:17",))
    assert _images.had(engine, "postgis/postgis:17") == "sha256:postgis/postgis:17"
    assert engine.did == ["pull postgis/postgis:17"]
    with pytest.raises(
        PlaceError, match=r"image 'no/such:latest': is not present, and cannot be pulled: no such host \("
    ):
        _images.had(engine, "no/such")


def test_the_first_version_that_is_present_is_the_servers_and_else_the_first_that_can_be_had():
    assert _images.default(Engine("pglab/postgres:17", "pglab/postgres:18")) == "pglab/postgres:18"
    assert _images.default(Engine("pglab/postgres:17")) == "pglab/postgres:17"
    assert _images.default(Engine()) == "pglab/postgres:18"
    assert _images.default(Engine(fails=("pglab/postgres:18",))) == "pglab/postgres:17"
    with pytest.raises(PlaceError, match=r"(?s)postgres:18': cannot be built.*postgres:17': cannot be built"):
        _images.default(Engine(fails=("pglab/postgres:18", "pglab/postgres:17")))


# --- building -------------------------------------------------------------------------------


def test_an_image_is_built_from_the_debian_that_is_there_else_from_the_public_one():
    made_here, public = Engine(_images.BASE), Engine()
    first, *_ = _images.build(made_here, "17")
    assert first == "building pglab/postgres:17 from pglab/debian:trixie"
    list(_images.build(public, "17"))
    assert made_here.args["pglab/postgres:17"] == {"BASE": "pglab/debian:trixie", "MAJOR": "17"}
    assert public.args["pglab/postgres:17"] == {"BASE": "debian:trixie-slim", "MAJOR": "17"}


def test_what_an_image_is_made_from_is_built_before_it():
    engine = Engine()
    _images.had(engine, "pglab/cluster:17")
    assert engine.did == ["build pglab/postgres:17", "build pglab/cluster:17"]
    assert engine.args["pglab/cluster:17"]["BASE"] == "pglab/postgres:17"


def test_what_cannot_be_built_is_told_by_what_failed_first():
    why = r"cannot be built from debian:trixie-slim: E: Unable to locate package postgresql \(pglab images build"
    with pytest.raises(PlaceError, match=why):
        _images.had(Engine(fails=("pglab/postgres:18",)), "18")


def test_a_base_that_cannot_be_pulled_is_told_with_how_to_make_one(monkeypatch):
    engine = Engine()
    monkeypatch.setattr(engine, "build", lambda **_: [{"error": "Get https://registry: lookup registry: no such host"}])
    with pytest.raises(PlaceError, match=r"docker/base\.sh makes pglab/debian:trixie"):
        _images.had(engine, "17")


def test_without_the_dockerfiles_that_is_said(monkeypatch, tmp_path):
    monkeypatch.setattr(_images, "FOLDER", tmp_path / "none")
    with pytest.raises(PlaceError, match=r"installed without the Dockerfiles .*PGLAB_REGISTRY"):
        _images.had(Engine(), "17")


def test_a_folder_that_is_not_there_is_told_with_those_that_are():
    with pytest.raises(PlaceError, match=r"docker/ has no 'nginx' \(cluster, pgbouncer, postgres\)"):
        _images.had(Engine(), "pglab/nginx")


@pytest.mark.parametrize(
    ("name", "others"), [("pglab/cluster", "pglab/cluster:18, pglab/cluster:17"), ("pglab/pgbouncer:1", "latest")]
)
def test_a_tag_that_none_is_built_with_is_told_with_those_that_are(name, others):
    with pytest.raises(PlaceError, match=rf"docker/\w+ is built into others \(.*{others}\)"):
        _images.had(Engine(), name)


# --- the command ----------------------------------------------------------------------------


def test_the_list_says_of_every_image_whether_it_is_there_and_how_it_would_be_had(monkeypatch):
    done, _ = asked(monkeypatch, Engine("pglab/postgres:17"), "list")
    assert [one.split()[0] for one in done] == [*OURS, "citusdata/citus:1"]
    assert "pglab/postgres:17 present, 0 MiB" in done
    assert "pglab/postgres:18 missing, can be built" in done
    assert done[-1] == "citusdata/citus:1 missing, can be pulled"


def test_all_that_are_missing_are_built_and_one_version_may_fail_where_the_other_is_had(monkeypatch):
    engine = Engine("pglab/pgbouncer:latest", fails=("pglab/postgres:18",))
    done, told = asked(monkeypatch, engine, "build")
    assert [" ".join(one.split()[:2]).rstrip(":") for one in done] == [
        "pglab/pgbouncer:latest present",
        "pglab/postgres:18 failed",
        "pglab/postgres:17 built",
        "pglab/cluster:18 failed",
        "pglab/cluster:17 built",
    ]
    assert engine.did == ["build pglab/postgres:18", "build pglab/postgres:17", "build pglab/cluster:17"]
    assert "pglab/postgres:17: Step 1/2 : FROM it" in told


def test_an_image_of_which_no_version_can_be_had_is_a_failure_and_the_others_are_built(monkeypatch):
    engine = Engine(fails=("pglab/pgbouncer:latest",))
    with pytest.raises(PlaceError, match=r"^image 'pglab/pgbouncer:latest': cannot be built"):
        asked(monkeypatch, engine, "build")
    assert "build pglab/cluster:17" in engine.did


def test_one_that_is_named_is_built_though_it_is_there_and_must_not_fail(monkeypatch):
    engine = Engine("pglab/postgres:17", fails=("pglab/postgres:18",))
    assert asked(monkeypatch, engine, "build", "postgres:17")[0] == ["pglab/postgres:17 built"]
    with pytest.raises(PlaceError, match="postgres:18"):
        asked(monkeypatch, engine, "build", "postgres:17", "postgres:18")


def test_one_that_is_named_without_its_version_is_built_in_those_that_can_be_had(monkeypatch):
    engine = Engine("pglab/cluster:17", fails=("pglab/postgres:18",))
    done, _ = asked(monkeypatch, engine, "build", "cluster")
    assert [one.split(":")[1].split()[0] for one in done] == ["18", "17"]
    assert engine.did[-1] == "build pglab/cluster:17"
    with pytest.raises(PlaceError, match="pgbouncer"):
        asked(monkeypatch, Engine(fails=("pglab/pgbouncer:latest",)), "build", "pgbouncer")


@pytest.mark.parametrize("words", [("lst",), ("list", "postgres:17")], ids=" ".join)
def test_other_words_are_told_with_those_that_there_are(monkeypatch, words):
    with pytest.raises(ScenarioError, match=rf"images {' '.join(words)}: is nothing to do \(images list, images build"):
        asked(monkeypatch, Engine(), *words)
