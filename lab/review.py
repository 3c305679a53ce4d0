"""A schema or a folder of migrations -> a review: findings, each with where, why, what would be right, what to measure.

Two readers: squawk reads the text of migrations, and the catalogue of a disposable server that the
text was applied to is asked the questions of checklist.py. The server holds no rows, so a review
says nothing of speed: it says what would have to be measured.
"""

import hashlib
import re
import secrets
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from lab import checklist, lint, migration, parts, pg, replay, template, written
from lab.book import Book
from lab.checklist import QUESTIONS, WEIGHTS, Question, Weight
from lab.errors import IngestError, ScenarioError
from lab.hosts import Host
from lab.lint import Remark
from lab.migration import Script
from lab.model import Json
from lab.replay import Origins, Refused

_NAME = re.compile(r"[\w][\w.-]*")
_SEAL = re.compile(r"<!-- pglab review of=\S+ printed=(\w{64}) -->\s*\Z")
_SHOWN = 20  # places of one question that the page names; all are in --json


@dataclass(frozen=True)
class Asked:
    """What the command line said. *name* None: after the file or folder."""

    path: Path
    doc: Path
    on: str = "embedded"
    name: str | None = None


@dataclass(frozen=True)
class Finding:
    """One answer to a question of the checklist. *place*: `file:line` where it is known, else ""."""

    question: str
    weight: Weight
    place: str
    object: str
    what: str
    remedy: str


@dataclass(frozen=True)
class Reviewed:
    """Everything that a review found out; the page is made of this alone."""

    name: str
    path: str
    migrations: bool
    scripts: int
    postgres: str
    squawk: str
    scope: Mapping[str, int]
    findings: tuple[Finding, ...]
    remarks: tuple[Remark, ...]
    refused: tuple[Refused, ...]
    roles: tuple[str, ...]


def perform(asked: Asked, tell: Callable[[str], None]) -> written.Written:
    """Review what is at the path and write the page; LabError where there is nothing to review."""
    name = _name(asked)
    if asked.on not in parts.kinds("hosts"):
        raise ScenarioError(f"--on {asked.on}: no such host ({' or '.join(parts.kinds('hosts'))})")
    scripts = migration.read(asked.path)
    with parts.load("hosts", asked.on).opened(f"review-{secrets.token_hex(4)}", tell) as host:
        reviewed = review(name, asked.path, scripts, host)
    text = page(reviewed)
    target = asked.doc / f"{name}.review.md"
    said = written.replace(target, text, ours)
    last = f"I have created a review at {target.as_posix()}, please read that first before you proceed"
    return written.Written(0, (*said, summary(reviewed), last), {"review": target.as_posix(), **data(reviewed)})


def review(name: str, path: Path, scripts: Sequence[Script], host: Host) -> Reviewed:
    """Both readers' findings; IngestError where the server cannot read the SQL, or refuses all of it."""
    migrations = path.is_dir()
    remarks = lint.lint(scripts, migrations=migrations)
    with host.private() as private, private.server("review", {}, host.workdir("logs")) as server:
        try:
            replayed = replay.replay(server, host.psql(), scripts)
            _readable(replayed.refused)
            with replay.asking(server) as asker:
                scope = pg.ask(asker, pg.query("review_scope"))
                _something(scope, replayed.refused, path)
                findings = tuple(_findings(asker, Origins(asker, scripts)))
        except pg.Error as error:
            raise IngestError(f"{path}: the server cannot be asked after this SQL: {pg.words(error)}") from None
    return Reviewed(
        name=name,
        path=path.as_posix(),
        migrations=migrations,
        scripts=len(scripts),
        postgres=str(host.fingerprint()["postgres"]),
        squawk=lint.version(),
        scope=scope,
        findings=findings,
        remarks=remarks,
        refused=replayed.refused,
        roles=replayed.roles,
    )


def data(reviewed: Reviewed) -> dict[str, Json]:
    """The review for programs: everything, with the words of the questions that found something."""
    found = {one.question for one in reviewed.findings}
    asked = {one.name: {k: v for k, v in asdict(one).items() if k not in ("asks", "name")} for one in QUESTIONS}
    return {"format": 1, **asdict(reviewed), "questions": {name: asked[name] for name in asked if name in found}}


def summary(reviewed: Reviewed) -> str:
    """How much was found, in one line."""
    weights = Counter(one.weight for one in reviewed.findings)
    counted = ", ".join(f"{weights[weight]} {weight}" for weight in WEIGHTS if weights[weight])
    tables = reviewed.scope["tables"]
    return (
        f"tables: {tables}, findings: {len(reviewed.findings)}{counted and f' ({counted})'}, "
        f"squawk's remarks: {len(reviewed.remarks)}, statements refused: {len(reviewed.refused)}"
    )


def _name(asked: Asked) -> str:
    name = asked.name if asked.name is not None else asked.path.resolve().name.removesuffix(".sql")
    if not _NAME.fullmatch(name):
        raise ScenarioError(f"{name!r}: is no name for a page (letters, digits, - _ .; say another with --name)")
    return name


def _readable(refused: Sequence[Refused]) -> None:
    mistakes = [one.said for one in refused if one.state == replay.SYNTAX]
    if mistakes:
        raise IngestError("\n".join(mistakes))


def _something(scope: Mapping[str, int], refused: Sequence[Refused], path: Path) -> None:
    """Raise IngestError where no table came of it all."""
    if scope["tables"]:
        return
    said = [one.said for one in refused[:5]]
    way = "a migration alone has nothing to change: name the folder with all of them, or a file with the schema"
    raise IngestError("\n".join([*said, f"{path}: makes no table that could be reviewed ({way})"]))


def _findings(asker: pg.Connection, origins: Origins) -> Iterator[Finding]:
    for question in QUESTIONS:
        for row in pg.rows(asker, question.asks):
            place = origins.place(row["oid"], row["attnum"], row["words"])
            where = str(place) if place else ""
            yield Finding(question.name, question.weight, where, row["object"], row["what"], row["remedy"] or "")


# --- the page -------------------------------------------------------------------------------


def page(reviewed: Reviewed) -> str:
    """The review as Markdown. Its last line holds the sha256 of what is above it."""
    text = template.rendered("review.md.j2", Book(_facts(reviewed))).text.rstrip() + "\n\n"
    return f"{text}<!-- pglab review of={reviewed.name} printed={_sha256(text)} -->\n"


def ours(text: str) -> bool:
    """Is *text* a review as it was written, so that nothing is lost when another takes its place?"""
    seal = _SEAL.search(text)
    return seal is not None and seal[1] == _sha256(text[: seal.start()])


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _facts(reviewed: Reviewed) -> dict[str, Json]:
    """The tree that the template walks: nothing prints that is not in it."""
    groups = [_group(one, [f for f in reviewed.findings if f.question == one.name]) for one in QUESTIONS]
    found = [one for one in groups if one["count"]]
    return {
        **asdict(reviewed),
        "groups": found,
        "count": len(reviewed.findings),
        "weights": [
            {"name": name, "means": means, "groups": listed}
            for name, means in WEIGHTS.items()
            if (listed := [one for one in found if one["weight"] == name])
        ],
        "squawk_rules": list(_by_rule(reviewed.remarks)),
        "refused": [one.said for one in reviewed.refused],
        "measured": [one for one in found if one["metrics"]],
        "unasked": [{"name": one["name"]} for one in groups if not one["count"]],
        "questions": len(QUESTIONS),
        "sketch": sketch(reviewed),
    }


def _group(question: Question, findings: Sequence[Finding]) -> dict[str, Json]:
    """One question with all that it found; the page shows the first of them."""
    remedies = dict.fromkeys(one.remedy for one in findings if one.remedy)
    return {
        **{k: v for k, v in asdict(question).items() if k != "asks"},
        "page": checklist.MANUAL + question.page,
        "metrics": list(question.metrics),
        "count": len(findings),
        "found": [asdict(one) for one in findings[:_SHOWN]],
        "more": len(findings[_SHOWN:]) or None,
        "remedy": "\n".join(list(remedies)[:_SHOWN]),
    }


def _by_rule(remarks: Sequence[Remark]) -> Iterator[dict[str, Json]]:
    """squawk's remarks by rule, those of the same words together."""
    for rule in dict.fromkeys(one.rule for one in remarks):
        own = [one for one in remarks if one.rule == rule]
        places = list(dict.fromkeys(f"{one.file}:{one.line}" for one in own))
        yield {
            "name": rule,
            "what": list(dict.fromkeys(one.what for one in own))[:_SHOWN],
            "right": own[0].right,
            "page": own[0].page,
            "count": len(places),
            "places": places[:_SHOWN],
            "more": len(places[_SHOWN:]) or None,
        }


def sketch(reviewed: Reviewed) -> str:
    """A scenario.yaml that would measure what the review leaves open; "" where nothing is to be measured.

    One candidate for each question that a metric decides and SQL puts right.
    """
    asked = {one.name: one for one in QUESTIONS}
    open_ = [
        name for name in dict.fromkeys(one.question for one in reviewed.findings if one.remedy) if asked[name].metrics
    ]
    if not open_:
        return ""
    head = [
        f"# scenarios/{reviewed.name}/scenario.yaml; workloads/{reviewed.name}/ has your queries and rows (see README)",
        "format: 1",
        f"question: Which findings of the review of {reviewed.name} are worth their change?",
        "lab: {rows: 100_000, days: 10}",
        "objective: {minimise: mix.server_ms_per_op}",
        f"workload: {reviewed.name}",
        "baseline: as-it-is",
        "candidates:",
        "  as-it-is: {schema: as-it-is.sql, hypothesis: what is there}",
    ]
    for name in open_:
        head += [
            f"  fixed-{name}:  # as-it-is.sql, and then the SQL that stands under `{name}` above",
            f"    schema: fixed-{name}.sql",
            f"    hypothesis: look at {', '.join(asked[name].metrics)}",
        ]
    return "\n".join(head)
