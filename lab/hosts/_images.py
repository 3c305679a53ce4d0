"""Images: present, pulled, or built from docker/; those of the lab's own are named pglab/<folder>:<tag>.

An image of the lab's own is pulled only from the registry that PGLAB_REGISTRY names: on a public
one anybody could have taken its name.
"""

import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker

from lab import scenario
from lab.errors import PlaceError

Tell = Callable[[str], None]
MAJORS = (18, 17)  # of PostgreSQL, in the order in which the lab would rather have them
PUBLIC = ("citusdata/citus:13.2",)
BASE = "pglab/debian:trixie"
FOLDER = scenario.shipped() / "docker"
_OWN = "pglab/"
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")  # an engine paints what goes to stderr


@dataclass(frozen=True)
class Image:
    """One image the lab can use. *how* it would be had: built, pulled. *bytes* is None where it is not present."""

    name: str
    how: str
    present: bool
    bytes: int | None

    def said(self) -> str:
        """
        >>> Image("pglab/postgres:17", "built", True, 3 * 2**20).said()
        'present, 3 MiB'
        """
        return f"present, {self.bytes / 2**20:.0f} MiB" if self.bytes else f"missing, can be {self.how}"


def silent(_: str) -> None:
    """Tell nobody."""


def known(client: Any) -> list[Image]:
    """Every image that docker/ or the lab's shapes name, and whether the engine has it."""
    found = []
    for name in (*own(), *PUBLIC):
        there = _present(client, name)
        how = "built" if name.startswith(_OWN) and not os.environ.get("PGLAB_REGISTRY") else "pulled"
        found.append(Image(name, how, there is not None, there.attrs["Size"] if there else None))
    return found


def own() -> list[str]:
    """The images that docker/ can be built into, those before others that are made from them."""
    names = [name for path in sorted(FOLDER.glob("*/Dockerfile")) for name in of_folder(path.parent.name)]
    return sorted(names, key=_from_own)


def of_folder(folder: str) -> list[str]:
    """The images that one folder of docker/ is built into: one for each major version, where it tells them apart."""
    versions = "ARG MAJOR" in (FOLDER / folder / "Dockerfile").read_text()
    return [f"{_OWN}{folder}:{tag}" for tag in (MAJORS if versions else ("latest",))]


def _from_own(name: str) -> bool:
    return base(name).startswith(_OWN)


def full(name: str) -> str:
    """An image's name with its tag; a major version alone is the lab's own PostgreSQL.

    >>> full("17"), full("pglab/pgbouncer"), full("registry:5000/a")
    ('pglab/postgres:17', 'pglab/pgbouncer:latest', 'registry:5000/a:latest')
    """
    if name.isdigit():
        return f"{_OWN}postgres:{name}"
    return name if ":" in name.rpartition("/")[2] or "@" in name else f"{name}:latest"


def had(client: Any, name: str, tell: Tell = silent) -> str:
    """The id of an image, which is pulled or built where it is not present; PlaceError where it cannot be."""
    name = full(name)
    there = _present(client, name)
    if there is None and name.startswith(_OWN):
        there = _own(client, name, tell)
    elif there is None:
        tell(f"pulling {name}")
        there = _pulled(client, name)
    return str(there.id)


def default(client: Any, tell: Tell = silent) -> str:
    """The name of the PostgreSQL image that a server is made of where nobody names one."""
    names = [full(str(major)) for major in MAJORS]
    for name in names:
        if _present(client, name) is not None:
            return name
    said = []
    for name in names:
        try:
            had(client, name, tell)
        except PlaceError as error:
            said.append(str(error))
        else:
            return name
    raise PlaceError("\n".join(said))


def _present(client: Any, name: str) -> Any:
    try:
        return client.images.get(name)
    except docker.errors.ImageNotFound:
        return None


def _pulled(client: Any, name: str) -> Any:
    try:
        return client.images.pull(name)
    except docker.errors.APIError as error:
        raise PlaceError(
            f"image {name!r}: is not present, and cannot be pulled: {words(error)} "
            f"(is the name right? then, where a registry is in reach: docker pull {name})"
        ) from None


def _own(client: Any, name: str, tell: Tell) -> Any:
    """From the registry that is named, else built."""
    registry = os.environ.get("PGLAB_REGISTRY")
    if registry:
        tell(f"pulling {name} from {registry}")
        _pulled(client, f"{registry.rstrip('/')}/{name}").tag(name)
        return client.images.get(name)
    for line in build(client, name):
        tell(line)
    return client.images.get(name)


# --- building -------------------------------------------------------------------------------


def build(client: Any, name: str) -> Iterator[str]:
    """Build one of the lab's own images, a line of progress at a time; PlaceError with the last words."""
    name = full(name)
    folder, tag = _recipe(name)
    under = base(name)
    if under.startswith("debian:") and _present(client, BASE) is not None:
        under = BASE
    elif under.startswith(_OWN) and _present(client, under) is None:
        yield from build(client, under)
    yield f"building {name} from {under}"
    args = {"BASE": under, **({"MAJOR": tag} if tag.isdigit() else {})}
    said: list[str] = []
    for part in client.api.build(path=str(folder), tag=name, buildargs=args, rm=True, forcerm=True, decode=True):
        if "error" in part:
            raise PlaceError(_unbuilt(name, under, part["error"], said))
        lines = _COLOURS.sub("", str(part.get("stream", ""))).strip().splitlines()
        said += lines
        yield from (f"{name}: {line[:100]}" for line in lines if line.startswith("Step "))
    yield f"{name} is built"


def base(name: str) -> str:
    """What an image of the lab's own is made from, as its Dockerfile says.

    `ARG BASE=debian:trixie-slim` is BASE where that is present, `ARG BASE=pglab/postgres:${MAJOR}`
    the lab's own of the same major version.
    """
    folder, tag = _recipe(name)
    said = re.search(r"^ARG BASE=(\S+)", (folder / "Dockerfile").read_text(), re.MULTILINE)
    return said[1].replace("${MAJOR}", tag) if said else ""


def _unbuilt(name: str, under: str, error: str, said: list[str]) -> str:
    if "pull access denied" in error or "lookup" in error or "manifest" in error:
        way = f"where no registry can be reached, docker/base.sh makes {BASE} from Debian's packages"
    else:
        way = f"pglab images build {name} shows it; is the network in reach?"
    why = next((line for line in said if line.startswith("E: ")), error.strip().splitlines()[0][:200])
    return f"image {name!r}: cannot be built from {under}: {why} ({way})"


def _recipe(name: str) -> tuple[Path, str]:
    """The folder of docker/ and the tag; PlaceError where there is no such folder."""
    within, _, tag = name.removeprefix(_OWN).partition(":")
    folder = FOLDER / within
    if not FOLDER.is_dir():
        raise PlaceError(
            f"image {name!r}: is not present, and this lab is installed without the Dockerfiles it is built from "
            "(build it in a clone of the project, or pull it: PGLAB_REGISTRY)"
        )
    if not (folder / "Dockerfile").exists():
        there = ", ".join(path.parent.name for path in sorted(FOLDER.glob("*/Dockerfile")))
        raise PlaceError(f"image {name!r}: docker/ has no {within!r} ({there})")
    known = of_folder(within)
    if name not in known and (known[0].endswith(":latest") or not tag.isdigit()):
        raise PlaceError(f"image {name!r}: docker/{within} is built into others ({', '.join(known)})")
    return folder, tag


def words(error: BaseException) -> str:
    """What an engine said, in one line."""
    said = getattr(error, "explanation", None) or str(error)
    return " ".join(str(said).split()).rstrip(".")
