"""The images of the docker host: which there are, which are present, and building what docker/ has."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from lab.errors import PlaceError, ScenarioError
from lab.hosts import _engine, _images
from lab.hosts._images import Image

__all__ = ("Built", "Image", "build", "do", "listed")


@dataclass(frozen=True)
class Built:
    """What came of one image: *outcome* is present, built or failed; *why* says what failed."""

    name: str
    outcome: str
    why: str = ""

    def said(self) -> str:
        """What a table says."""
        return f"{self.outcome}: {self.why}" if self.why else self.outcome


def do(what: str, names: Sequence[str], tell: Callable[[str], None]) -> Sequence[Image | Built]:
    """What was asked for in words; ScenarioError for other words than list and build."""
    if what == "build":
        return build(names, tell)
    if what != "list" or names:
        raise ScenarioError(
            f"images {' '.join([what, *names])}: is nothing to do (images list, images build [NAME ...])"
        )
    return listed()


def listed() -> list[Image]:
    """Every image the lab's shapes use; PlaceError where no engine answers."""
    with _engine.answering("images") as engine:
        return _images.known(engine.client)


def build(names: Sequence[str], tell: Callable[[str], None]) -> list[Built]:
    """Build the images named, or all of docker/ that are missing; one that fails keeps no other from it.

    *tell* gets a line at a time. PlaceError where no engine answers, or one fails that was named with its
    version; of others one may be missing as long as its folder has one of another version.
    """
    with _engine.answering("images") as engine:
        wanted = [one for name in names for one in _named(name)] or _images.own()
        present = {one.name for one in _images.known(engine.client) if one.present} if not names else set()
        done: list[Built] = []
        for name in wanted:
            done.append(_built(engine.client, name, done, name in present, tell))
    had = {_folder(one.name) for one in done if one.outcome != "failed"}
    exact = {name if name.startswith("pglab/") else f"pglab/{name}" for name in names}
    lacking = [
        one.why for one in done if one.outcome == "failed" and (one.name in exact or _folder(one.name) not in had)
    ]
    if lacking:
        raise PlaceError("\n".join(lacking))
    return done


def _named(name: str) -> list[str]:
    """The whole names of the lab's own images that are meant: people may leave out `pglab/` and the version.

    >>> _named("postgres:17"), _named("pglab/pgbouncer"), _named("patroni")
    (['pglab/postgres:17'], ['pglab/pgbouncer:latest'], ['pglab/patroni:18', 'pglab/patroni:17'])
    """
    folder = name.removeprefix("pglab/")
    if (_images.FOLDER / folder / "Dockerfile").exists():
        return _images.of_folder(folder)
    return [_images.full(f"pglab/{folder}")]


def _folder(name: str) -> str:
    return name.partition(":")[0]


def _built(client: Any, name: str, done: Sequence[Built], present: bool, tell: Callable[[str], None]) -> Built:
    if present:
        tell(f"{name} is present")
        return Built(name, "present")
    failed = {one.name: one.why for one in done if one.outcome == "failed"}
    if _images.base(name) in failed:
        return Built(name, "failed", failed[_images.base(name)])
    try:
        for line in _images.build(client, name):
            tell(line)
    except PlaceError as error:
        tell(str(error))
        return Built(name, "failed", str(error))
    return Built(name, "built")
