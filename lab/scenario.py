"""scenario.yaml and its files become a Scenario, or a list of everything that is wrong with them.

Files are read through a passed reader and kept verbatim, so that a scenario can be read again
from a run's own record. Names of files are relative to scenario.yaml; those of the workload begin
with `workload/` wherever it was found.
"""

import datetime
import posixpath
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from lab import candidates, design, keys, metrics, mix, timeline
from lab.errors import ScenarioError
from lab.model import Candidate, Catalogue, Lab, LeastEffect, Production, Requirement, Scenario, SqlFile
from lab.page import Mistakes, Page, among
from lab.page import Path as Keys
from lab.template import render_sql

FORMAT = 1
FILE = "scenario.yaml"

# Gives the text of a file by its name; raises OSError (FileNotFoundError where there is none) or
# UnicodeDecodeError.
Reader = Callable[[str], str]


@dataclass(frozen=True)
class Given:
    """What the command line says instead of the files."""

    rows: int | None = None
    profile: str | None = None
    only: tuple[str, ...] = ()  # candidates to keep beside the baseline; () keeps all


# --- where files are ------------------------------------------------------------------------


def shipped() -> Path:
    """The folder of scenarios/ and workloads/ that come with the lab."""
    return Path(__file__).parent / "shipped"


def find(name: str, cwd: Path) -> Path:
    """The folder of the scenario *name*: a path, else ./scenarios/<name>, else a shipped one."""
    for folder in (cwd / name, cwd / "scenarios" / name, shipped() / "scenarios" / name):
        folder = folder.parent if folder.name == FILE and folder.is_file() else folder
        if (folder / FILE).exists():
            return folder
    if (cwd / name).is_dir():
        raise ScenarioError(f"{name}: there is no {FILE} in this folder (pglab init makes one)")
    known = [path.parent.name for base in (cwd, shipped()) for path in base.glob(f"scenarios/*/{FILE}")]
    raise ScenarioError(f"{name}: no such scenario {among(name, known)}")


def on_disk(folder: Path, cwd: Path) -> Reader:
    """The reader for a scenario in *folder*; workloads are looked up in ./workloads, then shipped."""

    def text(name: str) -> str:
        paths = [folder / name]
        if name.startswith("workloads/"):
            paths = [cwd / name, shipped() / name]
        path = next((path for path in paths if path.exists()), paths[0])
        return path.read_bytes().decode("utf-8")

    return text


def kept(files: Mapping[str, str]) -> Reader:
    """The reader over Scenario.files, as a run's record has them."""

    def text(name: str) -> str:
        try:
            return files[name]
        except KeyError:
            raise FileNotFoundError(name) from None

    return text


# --- reading --------------------------------------------------------------------------------


def read(name: str, reader: Reader, parts: keys.Parts, given: Given = Given()) -> Scenario:
    """The scenario *name* of the files that *reader* gives.

    *parts* says which kinds there are (lab.parts). Reading Scenario.files again, with the same
    *given*, gives an equal scenario. Raise ScenarioError with every mistake that does not follow
    from another; another format is refused before anything else is looked at.
    """
    files = _Files(reader)
    page = files.page(FILE)
    if page is None or not _is_this_format(page, files.mistakes):
        raise ScenarioError(files.mistakes.found)
    form = keys.check(keys.Scenario, page, files.mistakes)
    entries = candidates.entries(page, files.mistakes)
    asked = files.workload(page, parts)
    if form is None or asked is None:
        raise ScenarioError(files.mistakes.found)
    return _Build(name, page, form, given, files, asked, parts).scenario(entries)


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
            self.mistakes.add(where, f"{name!r} {_why(error)}")
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
        self.base = next((base for base in ("workload", f"workloads/{name}") if self._is_there(base)), "workload")
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


def _why(error: OSError | UnicodeDecodeError) -> str:
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return "does not exist (names are relative to the file that names them)"
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
    try:
        tree = YAML(typ="rt", pure=True).load(text)
        lines: dict[Keys, int] = {}
        return Page(file, _plain(tree, (), lines), lines)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        what = " ".join(str(error.problem or error.context).split())
        raise ScenarioError(f"{file}:{mark.line + 1 if mark else 1}: {_yaml(what)}") from None
    except RecursionError:
        raise ScenarioError(f"{file}:1: goes too deep, or an alias holds itself (write it out)") from None
    except (YAMLError, ValueError, TypeError, LookupError, AttributeError, NotImplementedError, OverflowError) as error:
        # ruamel.yaml lets some of its own through, such as a ValueError for the date 2026-13-01
        raise ScenarioError(f"{file}:1: is no YAML that the lab reads: {' '.join(str(error).split())}") from None


def _yaml(what: str) -> str:
    if what.startswith("found duplicate key"):
        return f"{what.split(' with value')[0].removeprefix('found ')} (give each name once)"
    return f"is no YAML: {what}"


def _plain(value: Any, path: Keys, lines: dict[Keys, int]) -> Any:
    """*value* in plain Python values, dates as ISO text; *lines* gets a line for every key and item."""
    if isinstance(value, CommentedMap):
        for key in value:
            if not isinstance(key, str | int):
                raise ValueError(f"{key!r} cannot be a key (quote it)")
            if key in (value.lc.data or {}):
                lines[(*path, _scalar(key))] = value.lc.data[key][0] + 1
        return {_scalar(key): _plain(one, (*path, _scalar(key)), lines) for key, one in value.items()}
    if isinstance(value, CommentedSeq):
        lines.update({(*path, at): value.lc.data[at][0] + 1 for at in value.lc.data or {}})
        return [_plain(one, (*path, at), lines) for at, one in enumerate(value)]
    return _scalar(value)


def _scalar(value: Any) -> Any:
    if value is None or isinstance(value, bool):
        return value
    for kind in (str, int, float):
        if isinstance(value, kind):
            return kind(value)
    if isinstance(value, datetime.date):
        return value.isoformat()
    raise ValueError(f"{type(value).__name__} is no kind of value here (text, numbers, lists, mappings)")


# --- building -------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Build:
    """A scenario under way: its forms are right in themselves, not yet with each other."""

    name: str
    page: Page
    form: keys.Scenario
    given: Given
    files: _Files
    asked: mix.Read
    parts: keys.Parts

    @property
    def mistakes(self) -> Mistakes:
        return self.files.mistakes

    def scenario(self, entries: Sequence[candidates.Entry]) -> Scenario:
        """The scenario, or ScenarioError with all that does not fit."""
        production, lab = self._production(), self._lab()
        built = self._candidates(entries, lab, production)
        prepare, inside = self._timeline(built, lab)
        wanted = self._only(built, [entry.name for entry in entries])
        catalogue = self._catalogue(entries, lab, production)
        requirements = self._requirements(prepare + inside)
        objective = self._objective(prepare + inside)
        if self.mistakes.found:
            raise ScenarioError(self.mistakes.found)
        return Scenario(
            name=self.name,
            question=self.form.question.strip(),
            production=production,
            lab=lab,
            requirements=requirements,
            objective=objective,
            least_effect=LeastEffect(self.form.least_effect.exact, self.form.least_effect.time),
            profile=self._profile(),
            workload=self.asked.workload,
            baseline=self.form.baseline,
            candidates=wanted,
            catalogue=catalogue if catalogue and catalogue.candidate in wanted else None,
            prepare=prepare,
            round=inside,
            isolation=self.form.isolation,
            unsafe=self.form.unsafe,
            files=dict(self.files.texts),
        )

    def _profile(self) -> str:
        if self.given.profile is not None and self.given.profile not in design.ROUNDS:
            self.mistakes.add("--profile", f"unknown value {among(self.given.profile, design.ROUNDS)}")
            return self.form.profile
        return self.given.profile or self.form.profile

    # --- sizes

    def _production(self) -> Production:
        form = self.form.production
        return Production(
            rows_per_day=form.rows_per_day,
            keep_days=form.keep_days,
            entities=form.entities,
            memory_bytes=form.memory,
            shared_buffers_bytes=form.shared_buffers,
            work_mem_bytes=form.work_mem,
            peak_factor=form.peak_factor,
            checkpoint_rows=form.checkpoint_rows,
        )

    def _lab(self) -> Lab:
        form, production = self.form.lab, self.form.production
        rows = self.given.rows or form.rows
        entities = dict(production.entities)
        if "narrow" in form.shrink:
            if rows and form.days and production.rows_per_day:
                share = rows / form.days / production.rows_per_day
                entities = {key: max(1, round(count * share)) for key, count in entities.items()}
            else:
                self.mistakes.add(
                    self.page.at("lab", "shrink"),
                    "narrow cannot be reckoned (it needs lab.rows, lab.days and production.rows_per_day)",
                )
        return Lab(rows, form.days, tuple(form.shrink), entities | form.entities, form.data_to_memory)

    # --- candidates

    def _candidates(
        self, entries: Sequence[candidates.Entry], lab: Lab, production: Production
    ) -> dict[str, Candidate]:
        render = self._renderer(lab, production)
        desk = candidates.Desk(self.page, self.form, self.asked.workload, self.parts, render, self.mistakes)
        built = {entry.name: candidates.build(entry, desk) for entry in entries}
        if self.form.baseline not in built and not self._refused(entries):
            self.mistakes.add(
                self.page.at("baseline"), f"no candidate {self.form.baseline!r} {among(self.form.baseline, built)}"
            )
        return {name: candidate for name, candidate in built.items() if candidate is not None}

    def _refused(self, entries: Sequence[candidates.Entry]) -> bool:
        """Whether some candidate was refused already: which names there are is then not known."""
        return len({entry.path for entry in entries}) < len(self.form.candidates)

    def _renderer(self, lab: Lab, production: Production) -> candidates.Render:
        known = dict(self._known(lab, production))

        def render(name: str, where: str, values: Mapping[str, object]) -> SqlFile | None:
            file = self.files.text(name, where)
            if file is None or not name.endswith(".j2"):
                return file
            try:
                return replace(file, text=render_sql(file.text, file.file, {**known, **values}))
            except ScenarioError as error:
                self.mistakes.extend(error.mistakes)
                return None

        return render

    def _known(self, lab: Lab, production: Production) -> Iterator[tuple[str, object]]:
        """What templates may use besides the values of a matrix.

        `partitions` is None but in the catalogue study. `rounds` is how many windows the profile
        appends; `day(n)` and `month(n)` count from the start of the data.
        """
        rounds = design.ROUNDS[self._profile()]
        yield from {"lab": lab, "production": production, "rounds": rounds, "partitions": None}.items()
        if self.asked.start is None or lab.days is None:
            return
        start = self.asked.start.date()
        yield from {"start": start, "days": lab.days, "first_day": start}.items()
        yield "last_day", start + datetime.timedelta(days=lab.days + rounds - 1)
        yield "day", lambda n: start + datetime.timedelta(days=n)
        yield (
            "month",
            lambda n: datetime.date(start.year + (start.month - 1 + n) // 12, (start.month - 1 + n) % 12 + 1, 1),
        )

    def _only(self, built: Mapping[str, Candidate], names: Sequence[str]) -> dict[str, Candidate]:
        for name in self.given.only:
            if name not in names:
                self.mistakes.add("--only", f"no candidate {name!r} {among(name, names)}")
        keep = {self.form.baseline, *self.given.only}
        return {name: one for name, one in built.items() if not self.given.only or name in keep}

    def _catalogue(self, entries: Sequence[candidates.Entry], lab: Lab, production: Production) -> Catalogue | None:
        form = self.form.catalogue
        entry = next((entry for entry in entries if form and entry.name == form.candidate), None)
        if form is None or entry is None:
            if form is not None and not self._refused(entries):
                names = [entry.name for entry in entries]
                where = self.page.at("catalogue", "candidate")
                self.mistakes.add(where, f"no candidate {form.candidate!r} {among(form.candidate, names)}")
            return None
        render = self._renderer(lab, production)
        name = entry.form.schema_ or self.form.schema_ or ""
        rendered = [render(name, "", {**entry.values, "partitions": count}) for count in form.partitions]
        schemas = tuple(schema for schema in rendered if schema is not None)
        if schemas and len({schema.text for schema in schemas}) < len(set(form.partitions)):
            self.mistakes.add(
                self.page.at("catalogue", "candidate"),
                f"{name} is the same for different numbers of partitions (use {{{{ partitions }}}} in a .sql.j2)",
            )
        return Catalogue(form.candidate, tuple(form.partitions), schemas, self._place("catalogue"))

    # --- time

    def _timeline(
        self, built: Mapping[str, Candidate], lab: Lab
    ) -> tuple[tuple[timeline.Step, ...], tuple[timeline.Step, ...]]:
        if self.form.timeline is None:
            retires = lab.days is not None and any("retire" in one.steps for one in built.values())
            prepare, inside = timeline.default(profile=self._profile(), appends=lab.days is not None, retires=retires)
        else:
            try:
                prepare, inside = timeline.split(self.form.timeline)
            except ValueError as error:
                self.mistakes.add(self.page.at("timeline"), str(error))
                return (), ()
        self._moving(built, lab, [step.do for step in inside])
        rows = lab.rows // lab.days if lab.rows and lab.days else None
        filled = tuple(timeline.filled(inside, rows=rows, clients=self.asked.workload.clients))
        return prepare, filled

    def _moving(self, built: Mapping[str, Candidate], lab: Lab, steps: Sequence[str]) -> None:
        """Note what append and retire lack."""
        if "append" in steps and not (lab.days and lab.rows):
            where = self.page.at("timeline") if self.form.timeline else self.page.at("lab")
            self.mistakes.add(where, "append needs to know how much a day is (write lab: {days: 40, rows: 400_000})")
        for name, candidate in built.items() if "retire" in steps else ():
            if "retire" not in candidate.steps:
                where = self.page.at("candidates", name)
                self.mistakes.add(where, "the round retires rows, and nothing says how (sql: {retire: retire.sql})")

    # --- what is asked of the candidates

    def _requirements(self, steps: Sequence[timeline.Step]) -> tuple[Requirement, ...]:
        found = []
        for at, form in enumerate(self.form.requirements):
            path: Keys = ("requirements", at)
            self._metric(form.metric, (*path, "metric"), steps)
            for what in _unsound(form):
                self.mistakes.add(self.page.at(*path), what)
            place = self._place(*path)
            found.append(Requirement(form.metric, form.at_most, form.at_least, form.limit_ms, place))
        return tuple(found)

    def _objective(self, steps: Sequence[timeline.Step]) -> str:
        form = self.form.objective
        if (form.minimise is None) == (form.maximise is None):
            self.mistakes.add(self.page.at("objective"), "exactly one of minimise and maximise (minimise: <metric>)")
            return ""
        verb, name = ("minimise", form.minimise) if form.minimise is not None else ("maximise", form.maximise)
        assert name is not None
        self._metric(name, ("objective", verb), steps)
        row = metrics.find(name)
        right = "minimise" if row and row.better == "lower" else "maximise"
        if row and verb != right:
            self.mistakes.add(self.page.at("objective", verb), f"of {name}, {row.better} is better (write {right})")
        return name

    def _metric(self, name: str, path: Keys, steps: Sequence[timeline.Step]) -> None:
        """Note if the scenario has no such metric; with mistakes in the timeline nobody knows."""
        queries = [query.name for query in self.asked.workload.queries]
        known = metrics.names_of(queries, [step.do for step in steps])
        row = metrics.find(name)
        if not steps or name in known:
            return
        asked = name.split(".")[1] if name.startswith("query.") and name.count(".") == 2 else None
        if row is None:
            what = f"no metric {name!r} {among(name, known)}"
        elif asked is not None and asked not in queries:
            what = f"no query {asked!r} in the mix {among(asked, queries)}"
        else:
            what = f"{name} comes from the step {row.after}, which the timeline lacks (add {{do: {row.after}}})"
        self.mistakes.add(self.page.at(*path), what)

    def _place(self, *path: str | int) -> str:
        return f"{self.page.file}:{self.page.line(path)}"


def _unsound(form: keys.Requirement) -> Iterator[str]:
    """What is wrong with a requirement in itself."""
    row = metrics.find(form.metric)
    if (form.at_most is None) == (form.at_least is None):
        yield "exactly one of at_most and at_least (at_most: 50)"
    elif row and (row.better == "lower") != (form.at_most is not None):
        yield f"of {form.metric}, {row.better} is better (write {'at_most' if row.better == 'lower' else 'at_least'})"
    counts = form.metric.endswith(".over_limit_share")
    if counts and form.limit_ms is None:
        yield "over_limit_share does not say over which limit (limit_ms: 50)"
    if not counts and form.limit_ms is not None:
        yield f"limit_ms has no meaning for {form.metric} (it belongs to query.<name>.over_limit_share)"


def json_schema() -> dict[str, Any]:
    """A JSON schema of scenario.yaml, for editors."""
    schema = keys.Scenario.model_json_schema(by_alias=True)
    body = keys.Candidate.model_json_schema(by_alias=True, ref_template="#/$defs/{model}")
    schema["$defs"] |= body.pop("$defs", {}) | {"Candidate": body}
    schema["properties"]["candidates"]["additionalProperties"] = {"$ref": "#/$defs/Candidate"}
    return schema
