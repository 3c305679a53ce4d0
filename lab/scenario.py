"""scenario.yaml and its files become a Scenario, or a list of everything that is wrong with them.

Files are read through a passed reader and kept verbatim, so that a scenario can be read again
from a run's own record. Names of files are relative to scenario.yaml; those of the workload begin
with `workload/` wherever it was found.
"""

import datetime
import difflib
import posixpath
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.reader import ReaderError

from lab import assemble, candidates, keys, mix
from lab.errors import IngestError, ScenarioError
from lab.keys import Given as Given
from lab.model import Scenario, SqlFile
from lab.page import Mistakes, Page, among, dotted
from lab.page import Path as Keys
from lab.wording import check

FORMAT = 1
FILE = "scenario.yaml"

# Gives the text of a file by its name; raises OSError (FileNotFoundError where there is none) or
# UnicodeDecodeError.
Reader = Callable[[str], str]

_NOTHING = Given()


# --- where files are ------------------------------------------------------------------------


def shipped() -> Path:
    """The folder of scenarios/, workloads/ and docker/ that come with the lab: in a wheel's lab/, else the clone."""
    own = Path(__file__).parent / "shipped"
    return own if own.is_dir() else Path(__file__).parent.parent


def find(name: str, cwd: Path) -> Path:
    """The folder of the scenario *name*: a path, else ./scenarios/<name>, else a shipped one."""
    for folder in (cwd / name, cwd / "scenarios" / name, shipped() / "scenarios" / name):
        try:
            folder = folder.parent if folder.name == FILE and folder.is_file() else folder
            if (folder / FILE).exists():
                return folder
        except OSError as error:
            raise ScenarioError(f"{folder}: cannot be read: {error.strerror} (is it yours to read?)") from None
    if (cwd / name).is_dir():
        raise ScenarioError(f"{name or cwd}: there is no {FILE} in this folder (the README shows the smallest one)")
    known = [path.parent.name for base in (cwd, shipped()) for path in base.glob(f"scenarios/*/{FILE}")]
    raise ScenarioError(f"{name}: no such scenario {among(name, known)}")


class OnDisk:
    """The reader for the scenario in *folder*; workloads are looked up in *cwd*'s workloads, then shipped."""

    def __init__(self, folder: Path, cwd: Path) -> None:
        self._folder, self._cwd = folder, cwd
        self._workload = folder / "workload"  # or wherever its workload.yaml was found

    def __call__(self, name: str) -> str:
        paths = [self._folder / name]
        if name.startswith("workloads/"):
            paths = [self._cwd / name, shipped() / name]
        path = next((path for path in paths if path.exists()), paths[0])
        if path.name == "workload.yaml" and path.exists():
            self._workload = path.parent
        return path.read_bytes().decode("utf-8-sig")  # a mark of the byte order is none of the author's

    @contextmanager
    def locating(self) -> Iterator[None]:
        """What is raised about the author's files names them where they are, from *cwd*."""
        try:
            yield
        except (ScenarioError, IngestError) as error:
            raise type(error)("\n".join(map(self._located, str(error).splitlines()))) from None

    def _located(self, line: str) -> str:
        """A message with `workload/` and the files beside scenario.yaml as paths from *cwd*."""
        line = re.sub(r"(?<![\w./-])workload/", lambda _: f"{self._seen(self._workload)}/", line)
        return ": ".join(map(self._placed, line.split(": ")))

    def _placed(self, part: str) -> str:
        """A part of a message; where it is the name of a file of the scenario, with or without a line: its path."""
        name = re.sub(r":\d+$", "", part)
        beside = name == FILE or (part != name and (self._folder / name).is_file())
        return f"{self._seen(self._folder / name)}{part.removeprefix(name)}" if beside else part

    def _seen(self, path: Path) -> str:
        return (path.relative_to(self._cwd) if path.is_relative_to(self._cwd) else path).as_posix()


def kept(files: Mapping[str, str]) -> Reader:
    """The reader over Scenario.files, as a run's record has them."""

    def text(name: str) -> str:
        try:
            return files[name]
        except KeyError:
            raise FileNotFoundError(name) from None

    return text


# --- reading --------------------------------------------------------------------------------


def read(name: str, reader: Reader, parts: keys.Parts, given: Given = _NOTHING) -> Scenario:
    """The scenario *name* of the files that *reader* gives.

    *parts* says which kinds there are (lab.parts). Reading Scenario.files again, with the same
    *given*, gives an equal scenario. Raise ScenarioError with every mistake that does not follow
    from another; another format is refused before anything else is looked at.
    """
    files = _Files(reader)
    page = files.page(FILE)
    if page is None or not _is_this_format(page, files.mistakes):
        raise ScenarioError(files.mistakes.found)
    form = check(keys.Scenario, page, files.mistakes) or _what_is_right(page)
    entries = candidates.entries(page, files.mistakes)
    asked = files.workload(page, parts)
    if form is None or asked is None:
        raise ScenarioError(files.mistakes.found)
    build = assemble.Build(name, page, form, given, asked, parts, files.text, files.mistakes)
    return replace(build.scenario(entries), files=dict(files.texts))


def _is_this_format(page: Page, mistakes: Mistakes) -> bool:
    if not isinstance(page.tree, dict):
        mistakes.add(page.at(), f"is no mapping (its first line is format: {FORMAT})")
        return False
    written = page.tree.get("format")
    if written is None or isinstance(written, bool) or written != FORMAT:
        what = "is missing" if written is None else f"unknown format {written!r}"
        mistakes.add(page.at("format"), f"{what} (write format: {FORMAT})")
        return False
    if next(iter(page.tree)) != "format":
        mistakes.add(page.at("format"), "is not the first key (it decides how the rest is read)")
    return True


# Keys that may be wrong or missing without making others look wrong, and what stands in for them.
_APART = {
    "question",
    "objective",
    "requirements",
    "least_effect",
    "profile",
    "baseline",
    "isolation",
    "catalogue",
    "resources",
    "probes",
}
_STANDS_IN = {"question": "-", "objective": {"minimise": "mix.server_ms_per_op"}, "baseline": "-"}


def _what_is_right(page: Page) -> keys.Scenario | None:
    """The form without its mistakes, so that the rest is looked at too; None where too much hangs on them."""
    try:
        return keys.Scenario.model_validate(page.tree)
    except ValidationError as found:
        wrong = {str(error["loc"][0]) for error in found.errors()}
    known = {field.alias or name for name, field in keys.Scenario.model_fields.items()}
    meant = {near for key in wrong - known for near in difflib.get_close_matches(key, known, n=1)}
    if not (wrong & known) | meant <= _APART:
        return None
    tree = {key: value for key, value in page.tree.items() if str(key) not in wrong}
    form = keys.Scenario.model_validate({**_STANDS_IN, **tree})
    return form if "baseline" in tree else form.model_copy(update={"baseline": ""})


@dataclass
class _Files:
    """The files asked for so far, and what is wrong with them."""

    reader: Reader
    texts: dict[str, str] = field(default_factory=dict)
    mistakes: Mistakes = field(default_factory=Mistakes)
    base: str = "workload"  # where the reader finds what is kept as workload/

    def text(self, name: str, where: str) -> SqlFile | None:
        """A file, or None after noting at *where* why it cannot be had."""
        clean = posixpath.normpath(name)
        if posixpath.isabs(name) or "\x00" in name or "\\" in name:
            self.mistakes.add(where, f"{name!r} is not relative to {FILE} (copy the file beside it)")
            return None
        try:
            self.texts[clean] = self.reader(self._asked(clean))
        except (OSError, UnicodeDecodeError) as error:
            short = clean.removeprefix("workload/")
            beside = FILE if short == clean else "workload.yaml"
            self.mistakes.add(where, f"{short!r} {_why(error, beside)}")
            return None
        if "\x00" in self.texts[clean]:
            self.mistakes.add(where, f"{clean.removeprefix('workload/')!r} holds a zero byte (take it out)")
            return None
        return SqlFile(clean, self.texts[clean])

    def _asked(self, name: str) -> str:
        inside = name.removeprefix("workload/")
        return name if inside == name else f"{self.base}/{inside}"

    def page(self, name: str, where: str = "") -> Page | None:
        """A YAML file; None after noting what is wrong with it."""
        file = self.text(name, where or name)
        try:
            return _page(file.file, file.text) if file else None
        except ScenarioError as error:
            self.mistakes.extend(error.mistakes)
            return None

    def workload(self, page: Page, parts: keys.Parts) -> mix.Read | None:
        """The workload the scenario names: <scenario>/workload/, ./workloads/<name>, shipped."""
        name = page.tree.get("workload", "workload")
        if not isinstance(name, str) or not name.strip() or "/" in name:
            self.mistakes.add(page.at("workload"), f"{name!r} is no name of a workload (a folder of workloads/)")
            return None
        places = ("workload", f"workloads/{name}")
        there = next((base for base in places if self._is_there(base)), None)
        if there is None:
            looked = "looked for workload.yaml in the scenario's workload/, in workloads/ here, and among those shipped"
            self.mistakes.add(page.at("workload"), f"no workload {name!r} ({looked})")
            return None
        self.base = there
        own = self.page("workload/workload.yaml", page.at("workload"))
        if own is None:
            return None
        written = own.tree.get("data", "data.yaml") if isinstance(own.tree, dict) else "data.yaml"
        data = self.page(f"workload/{written}", own.at("data")) if isinstance(written, str) else None
        fetch = lambda file, where: self.text(f"workload/{file}", where)  # noqa: E731
        return mix.read(name, own, data, fetch, parts, self.mistakes)

    def _is_there(self, base: str) -> bool:
        try:
            self.reader(f"{base}/workload.yaml")
        except FileNotFoundError:
            return False
        except (OSError, UnicodeDecodeError):
            return True  # and unreadable: that is said when it is read
        return True


def _why(error: OSError | UnicodeDecodeError, beside: str) -> str:
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return f"does not exist (it belongs beside {beside})"
    if isinstance(error, IsADirectoryError):
        return "is a folder (name a file)"
    if isinstance(error, PermissionError):
        return "may not be read (chmod a+r)"
    if isinstance(error, UnicodeDecodeError):
        return f"is not UTF-8, from byte {error.start} on (iconv -t UTF-8)"
    return f"cannot be read: {error.strerror}"


# --- YAML -----------------------------------------------------------------------------------


def _page(file: str, text: str) -> Page:
    """The page of a YAML text; ScenarioError with the line where it is no YAML."""
    lines: dict[Keys, int] = {}
    page = Page(file, None, lines)
    try:
        return replace(page, tree=_plain(YAML(typ="rt", pure=True).load(text), (), page, lines))
    except MarkedYAMLError as error:
        raise ScenarioError(f"{file}:{_yaml(error)}") from None
    except ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise ScenarioError(f"{file}:{line}: is no YAML: {error.reason} (take the character out)") from None
    except RecursionError:
        raise ScenarioError(f"{file}:1: goes too deep, or an alias holds itself (write it out)") from None
    except _LET_THROUGH as error:
        line, value = next(_refused(text), (1, ""))
        what = f"{value!r} cannot be read" if value else "is no YAML that the lab reads"
        way = " (put it in quotes if it is text)" if value else ""
        raise ScenarioError(f"{file}:{line}: {what}: {' '.join(str(error).split())}{way}") from None


# What ruamel.yaml lets through of its own, such as a ValueError for the date 2026-13-01.
_LET_THROUGH = (YAMLError, ValueError, TypeError, LookupError, AttributeError, NotImplementedError, OverflowError)


def _refused(text: str) -> Iterator[tuple[int, str]]:
    """The values without quotes that cannot be made by themselves, such as the date 2026-13-01, with their lines."""
    ahead = [YAML(typ="rt", pure=True).compose(text)]
    while ahead:
        node = ahead.pop()
        if isinstance(node.value, str):
            try:
                YAML(typ="rt", pure=True).load(node.value if node.style is None else "")
            except _LET_THROUGH:
                yield node.start_mark.line + 1, node.value
        else:
            inner = (one if isinstance(one, tuple) else (one,) for one in node.value)
            ahead += reversed([one for pair in inner for one in pair])


def _yaml(error: MarkedYAMLError) -> str:
    """The line that an author must look at, and what is wrong there."""
    mark, begun = error.problem_mark or error.context_mark, error.context_mark
    what = " ".join(str(error.problem or error.context).split())
    line, open_ = mark.line + 1 if mark else 1, begun.line + 1 if begun else 1
    if what.startswith("found duplicate key"):
        return f"{line}: {what.split(' with value')[0].removeprefix('found ')} (give each name once)"
    if what == "could not find expected ':'":
        return f"{open_}: is no YAML: a key without a value (key: value)"
    if str(error.context).startswith("while parsing a flow") and open_ < line:
        return f"{line}: is no YAML: {what} (what line {open_} opens is not closed)"
    return f"{line}: is no YAML: {what}"


def _plain(value: Any, path: Keys, page: Page, lines: dict[Keys, int]) -> Any:
    """*value* in plain Python values, dates as ISO text; *lines* gets a line for every key and item."""
    if isinstance(value, CommentedMap):
        found = {}
        for key, one in value.items():
            line = value.lc.data[key][0] + 1 if key in (value.lc.data or {}) else page.line(path)
            inner: Keys = (*path, _key(key, f"{page.file}:{line}: {dotted(path)}".removesuffix(": ")))
            lines[inner] = line
            found[inner[-1]] = _plain(one, inner, page, lines)
        return found
    if isinstance(value, CommentedSeq):
        lines.update({(*path, at): value.lc.data[at][0] + 1 for at in value.lc.data or {}})
        return [_plain(one, (*path, at), page, lines) for at, one in enumerate(value)]
    if value is None or isinstance(value, bool):
        return value
    for kind in (str, int, float):
        if isinstance(value, kind):
            return kind(value)
    if isinstance(value, datetime.date):
        return value.isoformat()
    raise ScenarioError(f"{page.at(*path)}: no kind of value the lab knows (text, numbers, lists, mappings)")


def _key(key: Any, where: str) -> str | int:
    if isinstance(key, str):
        return str(key)
    if isinstance(key, int):
        return bool(key) if isinstance(key, bool) else int(key)
    written = "a key without a name" if key is None else str(key)
    raise ScenarioError(f"{where}: {written} cannot be a key (put it in quotes)")


# --- for editors -----------------------------------------------------------------------------


def json_schema() -> dict[str, Any]:
    """A JSON schema of scenario.yaml, for editors."""
    schema = keys.Scenario.model_json_schema(by_alias=True)
    body = keys.Candidate.model_json_schema(by_alias=True, ref_template="#/$defs/{model}")
    schema["$defs"] |= body.pop("$defs", {}) | {"Candidate": body}
    schema["properties"]["candidates"]["additionalProperties"] = {"$ref": "#/$defs/Candidate"}
    return schema
