"""The forms of one scenario, each right in itself, become a Scenario if they fit each other."""

import datetime
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from lab import candidates, design, keys, metrics, mix, timeline
from lab.errors import ScenarioError
from lab.model import (
    Candidate,
    Catalogue,
    Json,
    Lab,
    LeastEffect,
    Production,
    Requirement,
    Resources,
    Scenario,
    SqlFile,
    Topology,
)
from lab.page import Mistakes, Page, among
from lab.page import Path as Keys
from lab.template import render_sql

# Gives a file by name, for the beginning of messages; None after noting why it cannot be had.
Text = Callable[[str, str], SqlFile | None]


@dataclass(frozen=True)
class Build:
    """A scenario under way: its forms are right in themselves, not yet with each other."""

    name: str
    page: Page
    form: keys.Scenario
    given: keys.Given
    asked: mix.Read
    parts: keys.Parts
    text: Text
    mistakes: Mistakes

    def scenario(self, entries: Sequence[candidates.Entry]) -> Scenario:
        """The scenario, or ScenarioError with all that does not fit."""
        production, lab = self._production(), self._lab()
        built = self._candidates(entries, lab, production)
        prepare, inside = self._timeline(built, lab, {entry.name: entry.path for entry in entries})
        lengthened = tuple(self._lengthened(inside))
        inside = tuple(timeline.lengthened(step, self._profile()) for step in inside)
        wanted = self._only(built, [entry.name for entry in entries])
        self._memory(built, lab, production)
        catalogue = self._catalogue(entries, built, self._renderer(lab, production))
        requirements = self._requirements(prepare + inside)
        objective = self._objective(prepare + inside)
        probes = self._probes()
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
            lengthened=lengthened,
            probes=probes,
            unsafe=self.form.unsafe,
            files={},
            resources=self._resources(),
            cache=self.form.cache,
        )

    def _resources(self) -> Resources | None:
        form = self.form.resources
        return Resources(form.equal, form.cpus, form.memory, self._place("resources")) if form else None

    def _probes(self) -> str:
        if self.given.probes is not None and self.given.probes not in keys.PROBES:
            self.mistakes.add(
                "--probes", f"unknown value {self.given.probes!r} {among(self.given.probes, keys.PROBES)}"
            )
        return self.given.probes or self.form.probes

    def _profile(self) -> str:
        if self.given.profile is not None and self.given.profile not in design.ROUNDS:
            self.mistakes.add(
                "--profile", f"unknown value {self.given.profile!r} {among(self.given.profile, design.ROUNDS)}"
            )
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
        rows = form.rows if self.given.rows is None else self.given.rows
        if rows is not None and rows < 1:
            self.mistakes.add("--rows", f"{rows} is not above 0 (a whole number of rows)")
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
        strict = form.memory == "strict"
        return Lab(rows, form.days, tuple(form.shrink), entities | form.entities, form.data_to_memory, strict)

    def _memory(self, built: Mapping[str, Candidate], lab: Lab, production: Production) -> None:
        """Note what memory and cache ask for and cannot have."""
        there = production.memory_bytes if lab.strict else production.shared_buffers_bytes
        if lab.data_to_memory == "as production" and not (production.rows_per_day and production.keep_days and there):
            cache = "memory" if lab.strict else "shared_buffers"
            self.mistakes.add(
                self.page.at("lab", "data_to_memory"),
                f"production's is not known (it needs rows_per_day, keep_days and {cache} in production)",
            )
        if self.form.cache == "cold" and not lab.strict:
            self.mistakes.add(
                self.page.at("cache"),
                "the operating system would still have what the server forgets (cold needs lab: {memory: strict})",
            )
        for name, candidate in built.items() if lab.strict else ():
            if "given" in _nested(candidate.topology):
                self.mistakes.add(
                    self.page.at("lab", "memory"),
                    f"{name}: a given server's settings are not the lab's to change (leave memory: strict out)",
                )

    # --- candidates

    def _candidates(
        self, entries: Sequence[candidates.Entry], lab: Lab, production: Production
    ) -> dict[str, Candidate]:
        render = self._renderer(lab, production)
        desk = candidates.Desk(
            self.page, self.form, self.asked.workload, self.asked.names, self.parts, render, self.mistakes
        )
        built = {entry.name: candidates.build(entry, desk) for entry in entries}
        baseline = self.form.baseline
        if baseline and baseline not in built and not self._refused(entries):
            self.mistakes.add(self.page.at("baseline"), f"no candidate {baseline!r} {among(baseline, built)}")
        return {name: candidate for name, candidate in built.items() if candidate is not None}

    def _refused(self, entries: Sequence[candidates.Entry]) -> bool:
        """Whether some candidate was refused already: which names there are is then not known."""
        return len({entry.path for entry in entries}) < len(self.form.candidates)

    def _renderer(self, lab: Lab, production: Production) -> candidates.Render:
        known = dict(self._known(lab, production))

        def render(name: str, where: str, values: Mapping[str, object]) -> SqlFile | None:
            file = self.text(name, where)
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

    def _catalogue(
        self, entries: Sequence[candidates.Entry], built: Mapping[str, Candidate], render: candidates.Render
    ) -> Catalogue | None:
        form = self.form.catalogue
        entry = next((entry for entry in entries if form and entry.name == form.candidate), None)
        if form is None or entry is None:
            if form is not None and not self._refused(entries):
                names = [entry.name for entry in entries]
                where = self.page.at("catalogue", "candidate")
                self.mistakes.add(where, f"no candidate {form.candidate!r} {among(form.candidate, names)}")
            return None
        if entry.name not in built:
            return None
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
        self, built: Mapping[str, Candidate], lab: Lab, paths: Mapping[str, Keys]
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
        self._moving(built, lab, [step.do for step in inside], paths)
        for name, candidate in built.items():
            self._ways(candidate, "append" in [step.do for step in inside], paths[name])
        rows = lab.rows // lab.days if lab.rows and lab.days else None
        filled = tuple(timeline.filled(inside, rows=rows, clients=self.asked.workload.clients))
        return prepare, filled

    def _lengthened(self, inside: Sequence[timeline.Step]) -> Iterator[str]:
        """What is said of each step that is shorter than the profile's slices."""
        profile, last = self._profile(), len(self.form.timeline or ()) - 1
        least = timeline.LEAST.get(profile, 0.0)
        for n, step in enumerate(inside):
            if isinstance(step, timeline.Drive | timeline.Saturate) and step.for_s < least:
                yield (
                    f"{self.page.at('timeline', last, 'steps', n, 'for')}: {step.for_s:g} s is driven for {least:g} s, "
                    f"as long as a slice of profile {profile} is at least (profile: quick drives shorter ones)"
                )

    def _moving(
        self, built: Mapping[str, Candidate], lab: Lab, steps: Sequence[str], paths: Mapping[str, Keys]
    ) -> None:
        """Note what append and retire lack."""
        if "append" in steps and not (lab.days and lab.rows):
            where = self.page.at("timeline") if self.form.timeline else self.page.at("lab")
            self.mistakes.add(where, "append needs to know how much a day is (write lab: {days: 40, rows: 400_000})")
        elif lab.days and lab.rows and lab.rows < lab.days:
            self.mistakes.add(
                self.page.at("lab", "rows"), f"{lab.rows} rows are less than one a day (at least {lab.days})"
            )
        for name, candidate in built.items() if "retire" in steps else ():
            if "retire" not in candidate.steps:
                where = self.page.at(*paths[name])
                self.mistakes.add(where, "the round retires rows, and nothing says how (sql: {retire: retire.sql})")

    def _ways(self, candidate: Candidate, appends: bool, path: Keys) -> None:
        """Note what a candidate's ways to bring rows in are right in themselves, and cannot do here."""
        where = self.page.at(*(*path, "ingest") if self.page.has(*path, "ingest") else ("ingest",))
        shape = candidate.topology
        first = candidate.ingest
        later = first.get("append", first) if appends else None
        asked = {kind: [first] if later in (first, None) else [first, later] for kind in _nested(shape)}
        asked |= {"load": [first] if candidate.load else [], "append": [later] if later else []}
        for need, way in ((need, way) for need, ways in asked.items() for way in ways):
            cannot = candidates.cannot(self.parts, "ingest", way["method"], _options(way))
            if need in cannot:
                words = _NEEDS.get(need, f"bring rows into {need}")
                self.mistakes.add(where, f"{way['method']} cannot {words} ({cannot[need]})")
        taken = candidates.needs(self.parts, "ingest", later["method"], _options(later)) if later else frozenset()
        for need, out in candidates.cannot(self.parts, "clusters", shape.kind, shape.options).items():
            if later and need in taken:
                self.mistakes.add(where, f"{shape.kind} cannot do {need} here, which {later['method']} needs ({out})")

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
        queries = self.asked.names
        known = metrics.names_of(queries, [step.do for step in steps], shapes=self._shapes())
        row = metrics.find(name)
        if not steps or name in known:
            return
        asked = name.split(".")[1] if name.startswith("query.") and name.count(".") == 2 else None
        if row is None:
            what = f"no metric {name!r} {among(name, known)}"
        elif asked is not None and asked not in queries:
            what = f"no query {asked!r} in the mix {among(asked, queries)}"
        elif row.shapes and not self._shapes():
            what = f"{name} is only measured where shapes differ (topology: {{kind: replicas}} in some candidate)"
        else:
            what = f"{name} comes from the step {row.after}, which the timeline lacks (add {{do: {row.after}}})"
        self.mistakes.add(self.page.at(*path), what)

    def _shapes(self) -> bool:
        """Whether the scenario, or some candidate, asks for anything but a single server."""
        bodies = (body for body in self.page.tree["candidates"].values() if isinstance(body, dict))
        written = [self.page.tree.get("topology"), *(body.get("topology") for body in bodies)]
        return any(isinstance(one, dict) and one.get("kind", "single") != "single" for one in written)

    def _place(self, *path: str | int) -> str:
        return f"{self.page.file}:{self.page.line(path)}"


_NEEDS = {
    "append": "add to rows that are there, as the round does",
    "load": "bring rows to a candidate's own load SQL",
}


def _options(way: Mapping[str, Json]) -> dict[str, Json]:
    """The options of a way to bring rows in, without its name and that of later rows."""
    return {key: value for key, value in way.items() if key not in ("method", "append")}


def _nested(topology: Topology) -> Iterator[str]:
    """Kinds of a shape and of those behind it, from the front."""
    yield topology.kind
    behind = topology.options.get("behind")
    while isinstance(behind, dict):
        yield str(behind.get("kind", "single"))
        behind = behind.get("behind")


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
