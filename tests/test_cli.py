"""The command line as people and scripts meet it: help, exit statuses, one JSON value, no traceback."""

import json
import re
import shlex
import signal
import subprocess
import sys
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import get_args

import pytest
import typer.main
from typer.testing import CliRunner

from lab import cli, decide, doctor, progress, resume, session, show, sizing, store, terminal
from lab.errors import ClusterError, PlaceError, RecordError
from tests.real import small
from tests.test_store import RUN

COMMANDS = sorted(typer.main.get_command(cli.app).commands)
SEAL = "<!-- pglab scenario=small run=20260101T000000-abcdef root={root} method={method} printed={root} -->\n"


def pglab(*words: str):
    """The command in this process."""
    return CliRunner().invoke(cli.app, list(words))


@pytest.fixture
def here(tmp_path, monkeypatch) -> Path:
    """An empty current folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    return tmp_path


@pytest.fixture
def runs(here) -> Path:
    """A folder with one run that has no trial yet."""
    return store.create(here / "results", {**RUN, "scenario": {"name": "small", "files": {}}})


# --- help -----------------------------------------------------------------------------------


def test_the_commands_are_those_that_were_promised():
    assert set(COMMANDS) >= {"run", "plan", "verify", "show", "list", "doctor", "clean", "schema"}


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_says_what_it_does_with_an_example(command):
    done = pglab(command, "--help")
    assert done.exit_code == 0
    assert f"Example: pglab {command}" in " ".join(done.stdout.split())
    assert typer.main.get_command(cli.app).commands[command].help.strip().endswith(".")


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_json_and_says_what_its_options_are(command):
    known = typer.main.get_command(cli.app).commands[command].params
    assert "--json" in [word for one in known for word in one.opts]
    assert [one.name for one in known if not (one.help or "").strip().endswith(".")] == []


def test_without_a_word_there_is_help_and_the_version_is_told():
    assert "Usage" in pglab().output
    assert pglab("--version").stdout.startswith("pglab ")


def test_help_does_not_import_what_only_a_run_needs():
    script = (
        "import sys; sys.argv = ['pglab', '--help']\nfrom lab import cli\n"
        "try:\n    cli.main()\nexcept SystemExit:\n    pass\n"
        "print(sorted({'pandas', 'scipy', 'pyarrow', 'numpy', 'psycopg', 'jinja2', 'pydantic', 'ruamel', 'psutil',"
        " 'testcontainers', 'docker', 'locust', 'gevent'} & set(sys.modules)), file=sys.stderr)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, env=small.environment(), check=True
    )
    assert done.stderr == "[]\n"
    assert "Usage" in done.stdout


# --- one JSON value -------------------------------------------------------------------------


@pytest.mark.parametrize("words", [["list"], ["clean", "--dry-run"], ["doctor"], ["schema"]])
def test_with_json_stdout_is_one_value(here, monkeypatch, words):
    monkeypatch.setattr(doctor, "findings", lambda: [doctor.Finding("cores", True, "2")])
    monkeypatch.setattr(doctor, "can_run", lambda _: True)
    monkeypatch.setattr("lab.tidy.left", lambda *_: [])
    done = pglab(*words, "--json")
    assert done.exit_code == 0, done.output
    json.loads(done.stdout)
    assert here.exists()


@pytest.mark.parametrize(
    "words", [["verify", "no.md"], ["plan", "no"], ["show", "no"], ["run", "no"], ["run", "no", "--dry-run"]]
)
@pytest.mark.usefixtures("here")
def test_a_failure_with_json_is_a_value_too_and_a_message_on_stderr(words):
    done = pglab(*words, "--json")
    value = json.loads(done.stdout)
    assert value["status"] == done.exit_code == 2
    assert value["error"]
    assert " ".join(value["error"].split()) in " ".join(done.stderr.split())


def test_a_list_of_runs_is_the_same_for_people_and_programs(runs):
    (one,) = json.loads(pglab("list", "--json").stdout)
    assert one == {**show.about(runs), "folder": "results/small/20260101T000000-abcdef"}
    assert "20260101T000000-abcdef" in pglab("list").stdout


@pytest.mark.usefixtures("here")
def test_where_there_are_no_runs_the_list_says_how_to_make_one():
    assert pglab("list").stdout == "no runs in results (pglab run SCENARIO makes one)\n"


# --- exit statuses --------------------------------------------------------------------------


@pytest.mark.parametrize(("well", "status"), [(True, 0), (False, 3)])
def test_doctor_ends_with_3_where_nothing_can_run(monkeypatch, well, status):
    monkeypatch.setattr("lab.doctor.findings", list)
    monkeypatch.setattr("lab.doctor.can_run", lambda _: well)
    assert pglab("doctor").exit_code == status


@pytest.mark.parametrize(
    ("error", "status"), [(RecordError("a"), 2), (ClusterError("b"), 3), (KeyboardInterrupt(), 130)]
)
@pytest.mark.usefixtures("here")
def test_what_is_raised_decides_the_exit_status(monkeypatch, error, status):
    def failing(*_):
        raise error

    monkeypatch.setattr("lab.session.perform", failing)
    done = pglab("run", "small")
    assert done.exit_code == status
    assert done.stdout == ""
    assert done.stderr.strip()


@pytest.mark.usefixtures("here")
def test_a_bug_keeps_its_traceback(monkeypatch):
    def failing(*_):
        raise ZeroDivisionError

    monkeypatch.setattr("lab.session.perform", failing)
    assert isinstance(pglab("run", "small").exception, ZeroDivisionError)


def test_a_bug_is_not_taken_for_an_answer_of_no(monkeypatch, capsys):
    def failing():
        raise ZeroDivisionError

    monkeypatch.setattr(cli, "app", failing)
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 70
    assert "Traceback" in (told := capsys.readouterr().err)
    assert "ZeroDivisionError" in told


NONSENSE = (
    "rnu",
    "run",
    "run a --rounds 1",
    "run a --rows 0",
    "run a --rounds many",
    "run a --max-time soon",
    "run a --onn docker",
    "verify",
)


@pytest.mark.parametrize("words", [words.split() for words in NONSENSE], ids=NONSENSE)
@pytest.mark.usefixtures("here")
def test_words_that_mean_nothing_are_the_users_mistake(words):
    done = pglab(*words)
    assert done.exit_code == 2
    assert done.stderr.strip()
    assert "Traceback" not in done.output


def test_ctrl_c_asks_once_and_then_insists():
    with progress.interruptible(cli.err) as stop:
        assert not stop.asked
        signal.raise_signal(signal.SIGINT)
        assert (stop.asked, stop.interrupted) == (True, True)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)


def test_sigterm_ends_as_ctrl_c_does_and_only_once(capsys):
    put_away = []

    def work():
        try:
            signal.raise_signal(signal.SIGTERM)
        finally:
            signal.raise_signal(signal.SIGTERM)
            put_away.append(True)

    with pytest.raises(typer.Exit) as ended, terminal.messages(as_json=False):
        work()
    assert (ended.value.exit_code, put_away) == (143, [True])
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    assert "ended by SIGTERM" in capsys.readouterr().err


def test_what_looks_like_an_emoji_or_markup_stays_as_it_is(here):
    done = pglab("verify", ":key:[bold].md")
    assert ":key:[bold].md: is not there" in done.stderr
    assert here.exists()


# --- the author's mistakes ------------------------------------------------------------------

YAML = "scenarios/small/scenario.yaml"
WORK = "workloads/readings/workload.yaml"


def edited(name: str, old: str, new: str) -> dict[str, str]:
    assert small.FILES[name].count(old) >= 1, old
    return {name: small.FILES[name].replace(old, new, 1)}


MISTAKES = {
    "a misspelt key": (
        edited(YAML, "hypothesis: what", "hypotesis: what"),
        ["scenario.yaml:", "hypotesis", "hypothesis"],
    ),
    "a misspelt key at the top": (edited(YAML, "baseline:", "baselin:"), ["scenario.yaml:9", "baselin", "'baseline'"]),
    "a misspelt step": (edited(YAML, "do: drive", "do: drvie"), ["scenario.yaml:17", "drvie", "drive"]),
    "a missing file": ({"scenarios/small/other.sql": None}, ["other.sql", "scenario.yaml:"]),
    "a missing query": ({"workloads/readings/by_id.sql": None}, ["by_id", "workload.yaml:1"]),
    "a missing workload": (edited(YAML, "workload: readings", "workload: readngs"), ["readngs", "scenario.yaml:8"]),
    "a baseline that is no candidate": (
        edited(YAML, "baseline: plain", "baseline: plan"),
        ["scenario.yaml:9", "'plan'", "'plain'"],
    ),
    "a parameter without a source": (
        {"workloads/readings/by_id.sql": "SELECT * FROM readings WHERE id = :id\n"},
        ["by_id.sql:1", "id"],
    ),
    "a parameter of a column that is not there": (
        edited("workloads/readings/by_id.sql", "readings.id", "readings.ids"),
        ["by_id.sql:1", "ids"],
    ),
    "a requirement on a metric that does not exist": (
        edited(YAML, "query.recent.p95_ms", "query.recnt.p95_ms"),
        ["scenario.yaml:6", "recnt"],
    ),
    "two candidates of one name": (edited(YAML, '"Other \\"näme\\""', "plain"), ["scenario.yaml:", "plain"]),
    "a template variable without a value": (
        edited(YAML, "other.sql", "other.sql.j2")
        | {"scenarios/small/other.sql.j2": "CREATE TABLE readings (id bigint);\n-- {{ intervall }}\n"},
        ["other.sql.j2:2", "intervall"],
    ),
    "another format": (edited(YAML, "format: 1", "format: 2"), ["scenario.yaml:1", "format"]),
    "no YAML": ({YAML: "a: [1\nb: {"}, ["scenario.yaml:"]),
    "an empty file": ({YAML: ""}, ["scenario.yaml"]),
    "a driver that does not exist": (edited(WORK, "locust", "locusts"), ["workload.yaml:3", "locusts", "locust"]),
    "a profile that does not exist": (
        edited(YAML, "format: 1\n", "format: 1\nprofile: quik\n"),
        ["scenario.yaml:2", "quik", "quick"],
    ),
    "an unknown key of a column": (
        edited("workloads/readings/data.yaml", "sequence: 1", "n_distinkt: 1"),
        ["workloads/readings/data.yaml:6", "n_distinkt", "did you mean 'n_distinct'?"],
    ),
    "a duration that is none": (edited(YAML, "for: 100ms", "for: 100"), ["scenario.yaml:17", "100", "450ms"]),
}


@pytest.mark.parametrize("what", MISTAKES)
def test_an_authors_mistake_is_a_message_with_its_place_and_status_2(here, what):
    changes, words = MISTAKES[what]
    small.write(here, **changes)
    done = pglab("run", "scenarios/small")
    assert (done.exit_code, done.stdout) == (2, "")
    assert isinstance(done.exception, SystemExit)
    for word in words:
        assert word in done.stderr, done.stderr
    assert not (here / "results").exists()


@pytest.mark.parametrize(
    ("name", "spoilt"),
    [
        (YAML, "a: [1"),
        (WORK, "mixx: {}"),
        ("workloads/readings/data.yaml", "streams: 1"),
        ("workloads/readings/recent.sql", "SELECT :nothing"),
        ("scenarios/small/retire.sql", "DELETE FROM readings WHERE at < :never"),
    ],
)
@pytest.mark.parametrize("within", [".", "scenarios", "scenarios/small"])
def test_a_mistake_names_its_file_where_it_is(here, monkeypatch, within, name, spoilt):
    small.write(here, **{name: spoilt})
    (here / within / "workloads").exists() or (here / within / "workloads").symlink_to(here / "workloads")
    monkeypatch.chdir(here / within)
    known = str(Path(name).relative_to(within)) if Path(name).is_relative_to(within) else name
    done = pglab("run", str(here / "scenarios" / "small"))
    lines = done.stderr.splitlines()
    assert done.exit_code == 2
    assert lines
    assert [line for line in lines if not line.startswith(f"{known}:")] == []
    assert (here / within / known).exists()


@pytest.mark.parametrize("name", [YAML, "scenarios/small/plain.sql", WORK, "workloads/readings/recent.sql"])
def test_a_file_that_cannot_be_read_is_a_message_with_its_name(here, name):
    small.write(here)
    for spoilt in (b"\xff\xfe\x00 SELECT", None):
        (here / name).unlink()
        (here / name).mkdir() if spoilt is None else (here / name).write_bytes(spoilt)
        done = pglab("run", "scenarios/small")
        assert done.exit_code == 2
        assert isinstance(done.exception, SystemExit)
        assert Path(name).name in done.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--only", "plian"], ["plian", "plain"]),
        (["--only", ""], ["--only: no candidate ''", "plain"]),
        (["--on", "kubernetes"], ["kubernetes", "embedded"]),
        (["--profile", "quik"], ["quik", "quick"]),
        (["--resume"], ["no run of small", "--resume"]),
    ],
)
def test_a_mistaken_option_is_told_with_what_would_be_right(here, words, said):
    small.write(here)
    done = pglab("run", "scenarios/small", *words)
    assert done.exit_code == 2, done.output
    for word in said:
        assert word in done.stderr


@pytest.mark.parametrize("more", [[], ["--dry-run"]])
@pytest.mark.parametrize(
    ("option", "blocked"), [("--results", "kept/small"), ("--doc", "kept"), ("--doc", "kept/small.md")]
)
def test_a_folder_that_may_not_be_written_is_told_before_anything_is_tried(here, monkeypatch, option, blocked, more):
    def never(*_):
        raise AssertionError("a host was opened")

    monkeypatch.setattr("lab.session._Session", never)
    small.write(here)
    (here / blocked).parent.mkdir(exist_ok=True)
    if blocked.endswith(".md"):
        (here / blocked).mkdir()
    else:
        (here / blocked).write_text("a file, not a folder")
    done = pglab("run", "scenarios/small", option, "kept", *more)
    assert done.exit_code == 3, done.output
    assert "kept" in done.stderr
    assert "cannot be written: " in done.stderr
    assert f"(name another folder with {option})" in done.stderr
    assert not (here / "results").exists()


def test_trying_whether_a_folder_may_be_written_leaves_nothing(here):
    (here / "plan.md").write_text("as it was")
    for name in ("plan.md", "new/folder", "."):
        sizing.writable(here / name, "--doc", folder=name != "plan.md")
    assert [path.name for path in here.iterdir()] == ["plan.md"]
    assert (here / "plan.md").read_text() == "as it was"


@pytest.mark.parametrize("words", [["run"], ["run", "--dry-run"], ["aa"], ["compare"]])
def test_who_measures_is_refused_beside_another_run_and_waits_only_when_asked_to(here, monkeypatch, words):
    def waits(waiting=None):
        if waiting is None:
            raise PlaceError("another pglab is measuring")
        waiting("waiting for another pglab")
        raise KeyboardInterrupt("nothing was begun")

    monkeypatch.setattr("lab.session.alone.measuring", waits)
    monkeypatch.setattr("lab.comparison._made", lambda *_: dict(small.FILES))
    monkeypatch.setattr("lab.comparison._written", lambda *_: False)
    small.write(here)
    (here / "q.sql").write_text("SELECT 1")
    of = ["scenarios/small"]
    if words == ["compare"]:
        of = ["scenarios/small/plain.sql", "scenarios/small/other.sql", "--query", "q.sql", "--name", "small"]
    refused, waited = pglab(*words, *of), pglab(*words, *of, "--wait")
    assert (refused.exit_code, waited.exit_code) == (3, 130)
    assert refused.stderr.endswith("another pglab is measuring\n")
    assert waited.stderr.count("waiting for another pglab\n") == 1
    assert waited.stderr.endswith("nothing was begun\n")


def test_a_run_that_cannot_be_read_is_passed_over_when_another_is_taken_up(here, monkeypatch):
    def taken(*given):
        raise RecordError(f"taken up: {given[2]}")

    monkeypatch.setattr("lab.session._alone", nullcontext)
    monkeypatch.setattr("lab.session._Session", taken)
    small.write(here)
    for id_ in ("20260101T000000-aaaaaa", "20270101T000000-bbbbbb"):
        folder = store.create(here / "results", {**RUN, "id": id_, "scenario": {"name": "small", "files": {}}})
    (folder / "run.json").write_text("{")
    done = pglab("run", "scenarios/small", "--resume")
    assert "passed over: results/small/20270101T000000-bbbbbb/run.json: cannot be read" in done.stderr
    assert "taken up: 20260101T000000-aaaaaa" in done.stderr


def test_what_to_go_on_with_is_chosen_when_the_run_that_was_waited_for_has_ended(here, monkeypatch):
    @contextmanager
    def waits(waiting=None):
        waiting("waiting for another pglab")
        store.finish(newest, {"rounds": RUN["rounds"]})
        yield

    def taken(*given):
        raise RecordError(f"taken up: {given[2]}")

    monkeypatch.setattr("lab.session.alone.measuring", waits)
    monkeypatch.setattr("lab.session._Session", taken)
    small.write(here)
    asked = ("run", "scenarios/small", "--resume", "--wait")
    done = pglab(*asked)
    assert "no run of small to go on with (leave --resume out)" in done.stderr
    assert "waiting" not in done.stderr  # since nothing that could be waited for would help
    newest = store.create(here / "results", RUN | {"id": "20270101T000000-b", "scenario": {"name": "small"}})
    done = pglab(*asked)
    assert "waiting for another pglab\n" in done.stderr
    assert "(all are complete: add --rounds N" in done.stderr
    (newest / "done.json").unlink()
    store.create(here / "results", RUN | {"id": "20260101T000000-a", "scenario": {"name": "small"}})
    broken = store.create(here / "results", RUN | {"id": "20250101T000000-c", "scenario": {"name": "small"}})
    (broken / "run.json").write_text("{")
    done = pglab(*asked)
    assert "taken up: 20260101T000000-a" in done.stderr
    assert done.stderr.count("passed over: ") == 1
    assert not list(newest.glob("more-*"))


ALIKE = ("overrides", "profile", "seed", "on", "host", "settings", "method", "versions", "probes")


def test_a_run_that_began_with_shorter_slices_is_not_gone_on_with():
    begun = {"id": "a", "scenario": {"files": {}}, **dict.fromkeys(ALIKE)}
    resume.same(begun, {**begun, "data": {}, "lengthened": []})
    with pytest.raises(RecordError, match=r"lengthened was \[\] and is \['s.yaml:3: 0.25 s is driven for 2 s'\]"):
        resume.same(begun, {**begun, "data": {}, "lengthened": ["s.yaml:3: 0.25 s is driven for 2 s"]})


def test_a_run_that_was_changed_is_not_gone_on_with(here):
    begun = store.create(here / "results", RUN)
    store.finish(begun, {"rounds": RUN["rounds"]})
    (begun / "run.json").write_text((begun / "run.json").read_text().replace("embedded", "docker"))
    with pytest.raises(RecordError, match=r"run.json: was changed\n.*is not as pglab run wrote it"):
        session._Session.take_up(None, begun)


def test_a_scenario_that_is_nowhere_is_told_with_where_it_was_looked_for(here):
    done = pglab("run", "nowhere")
    assert done.exit_code == 2
    assert "nowhere" in done.stderr
    assert here.exists()


# --- mistaken records -----------------------------------------------------------------------


def sealed(method: str = "1") -> str:
    return "# A plan\n\n" + SEAL.format(root="0" * 64, method=method)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "is not there (pglab plan RUN writes it)"),
        ("# A plan of our own\n", "no line of it names a run"),
        (sealed(), "its run '20260101T000000-abcdef' is not in results/small (name its folder: --results)"),
        ("\udcff\n" + sealed(), "its run '20260101T000000-abcdef' is not in"),
    ],
)
def test_a_plan_that_cannot_be_verified_says_why(here, text, said):
    if text is not None:
        (here / "plan.md").write_text(text, errors="surrogateescape")
    done = pglab("verify", "plan.md")
    assert done.exit_code == 2
    assert said in done.stderr


def test_a_plan_of_another_method_is_to_be_judged_again(runs):
    (runs.parents[2] / "plan.md").write_text(sealed("0"))
    done = pglab("verify", "plan.md")
    assert done.exit_code == 2
    assert "pglab plan 20260101T000000-abcdef" in done.stderr


@pytest.mark.parametrize("command", ["plan", "show", "list"])
@pytest.mark.parametrize("spoilt", ['{"format": 9, "rounds": 2}', '{"format": 1}', "{", "[]", '{"name": "foreign"}'])
def test_a_results_folder_of_another_format_is_refused_by_name(runs, command, spoilt):
    (runs / "run.json").write_text(spoilt)
    done = pglab(command, *([] if command == "list" else ["small"]))
    assert done.exit_code == 2
    assert isinstance(done.exception, SystemExit)
    assert "run.json" in done.stderr or "no finished trial" in done.stderr


@pytest.mark.parametrize("command", ["plan", "show"])
@pytest.mark.usefixtures("runs")
def test_a_run_without_a_trial_cannot_be_judged_and_says_how_to_go_on(command):
    done = pglab(command, "small")
    assert done.exit_code == 2
    assert "holds no finished trial (go on with pglab run --resume)" in done.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("verify", "."), "is a folder"),
        (("show", ""), "a run has a name"),
        (("run", "."), "the README shows the smallest one"),
        (("run", "x", "--rounds", "10001"), "10000"),
    ],
)
@pytest.mark.usefixtures("here")
def test_what_names_nothing_is_told_without_a_traceback(words, said):
    done = pglab(*words)
    assert done.exit_code == 2, done.output
    assert said in done.stderr


def test_the_readme_names_every_decision_and_every_exit_status():
    readme = (Path(__file__).parent.parent / "README.md").read_text()
    told = readme[readme.index("Exit status:") : readme.index("## How it keeps itself honest")]
    assert [kind for kind in get_args(decide.Kind) if f"`{kind}`" not in told] == []
    assert [
        status for status in ("0", "1", "2", "3", str(cli.BUG), "130") if not re.search(rf"\b{status} ", told)
    ] == []


@pytest.mark.parametrize("words", [["list"], ["list", "--json"], ["--version"]])
def test_an_output_that_cannot_be_written_is_one_line_and_a_status(words):
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "lab.cli", *words], stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert done.returncode == 3
    assert done.stderr == "the output cannot be written: No space left on device (make room, or send it elsewhere)\n"


def test_a_load_worker_without_a_master_is_refused():
    done = pglab("load-worker", "--master", " ")
    assert done.exit_code == 2
    assert "--master: is empty" in done.stderr


def test_the_command_that_goes_on_says_all_that_a_run_was_begun_with():
    assert session._again(session.Asked("a b", Path("results"), Path(".claude/doc"))) == "pglab run 'a b' --resume"
    begun = session.Asked("s", Path("r"), Path("d"), "docker", "decide", 30, 500, ("x", "y z"), 9.0, given="lab")
    words = [
        "--profile",
        "decide",
        "--rows",
        "500",
        "--only",
        "x,y z",
        "--given",
        "lab",
        "--results",
        "r",
        "--doc",
        "d",
    ]
    assert shlex.split(session._again(begun))[2:] == ["s", "--resume", "--on", "docker", *words]
    itself = session.Asked("s", Path("results"), Path("d"), load_workers=2, probes="1s", itself=True)
    assert session._again(itself) == "pglab aa s --resume --probes 1s --load-workers 2"
