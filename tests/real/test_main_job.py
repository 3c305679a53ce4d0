"""The whole length of it on a real server: from a scenario file to a verified plan, and what goes wrong."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from lab import store
from tests.real import small

pytestmark = pytest.mark.server
LAST = "I have created a plan at .claude/doc/small.md, please read that first before you proceed"


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    """A folder in which the small scenario has been run to its end; tests copy it before they spoil it."""
    folder = small.write(tmp_path_factory.mktemp("a user's folder"))
    done = small.pglab(folder, "run", "scenarios/small", "--on", "embedded", "--rounds", "4")
    assert done.returncode == 0, done.stderr
    assert done.stdout == LAST + "\n"
    return folder


@pytest.fixture
def mine(finished, tmp_path) -> Path:
    return Path(shutil.copytree(finished, tmp_path / "copy"))


def plan_of(folder: Path) -> Path:
    return folder / ".claude/doc/small.md"


def run_of(folder: Path) -> Path:
    return store.find(folder / "results", "small")


# --- verify ---------------------------------------------------------------------------------


def test_a_fresh_plan_verifies(finished):
    done = small.pglab(finished, "verify", ".claude/doc/small.md")
    assert done.returncode == 0, done.stdout + done.stderr


def test_one_changed_digit_is_named_with_its_line(mine):
    lines = plan_of(mine).read_text().splitlines(keepends=True)
    at = next(n for n, line in enumerate(lines) if line.startswith("| `size.total_bytes`"))
    lines[at] = re.sub(r"\d", lambda found: str((int(found[0]) + 1) % 10), lines[at], count=1)
    plan_of(mine).write_text("".join(lines))
    done = small.pglab(mine, "verify", ".claude/doc/small.md")
    assert done.returncode == 1
    assert f"line {at + 1}:" in done.stdout
    assert "size.total_bytes" in done.stdout


def test_an_added_sentence_with_a_number_is_named(mine):
    text = plan_of(mine).read_text().replace("\n## Requirements\n", "\nIt is 7 times as fast.\n\n## Requirements\n", 1)
    plan_of(mine).write_text(text)
    done = small.pglab(mine, "verify", ".claude/doc/small.md")
    assert done.returncode == 1
    assert "It is 7 times as fast" in done.stdout


def test_two_swapped_numbers_are_named(mine):
    text = plan_of(mine).read_text()
    line = next(line for line in text.splitlines() if line.startswith("| `wal.record_bytes_per_row`"))
    first, second = re.findall(r"\d+ bytes/row", line)[:2]
    swapped = line.replace(first, "@").replace(second, first).replace("@", second)
    assert swapped != line
    plan_of(mine).write_text(text.replace(line, swapped))
    done = small.pglab(mine, "verify", ".claude/doc/small.md")
    assert done.returncode == 1
    assert done.stdout.count("wal.record_bytes_per_row") >= 2


@pytest.mark.parametrize("name", ["ops.parquet", "facts.json"])
def test_a_changed_stored_file_is_named(mine, name):
    victim = sorted(run_of(mine).glob(f"trials/*/{name}"))[0]
    data = bytearray(victim.read_bytes())
    at = data.rindex(b"1") if name.endswith("json") else len(data) // 2
    data[at] = ord("2") if name.endswith("json") else data[at] ^ 1
    victim.write_bytes(data)
    done = small.pglab(mine, "verify", ".claude/doc/small.md")
    assert done.returncode in (1, 2), done.stdout
    assert f"{victim.parent.name}/{name}" in done.stdout + done.stderr


def test_a_plan_whose_run_is_gone_says_so(mine):
    shutil.rmtree(mine / "results")
    done = small.pglab(mine, "verify", ".claude/doc/small.md")
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert "results" in done.stderr


def test_a_results_folder_of_another_format_is_refused(mine):
    path = run_of(mine) / "run.json"
    path.write_text(path.read_text().replace('"format": 1', '"format": 9', 1))
    done = small.pglab(mine, "plan", "small")
    assert done.returncode == 2
    assert "is of format 9" in done.stderr


def test_judging_again_gives_the_same_text(mine):
    before = plan_of(mine).read_bytes()
    done = small.pglab(mine, "plan", "small")
    assert done.returncode == 0, done.stderr
    assert plan_of(mine).read_bytes() == before


def test_an_edited_plan_is_kept_beside_the_new_one(mine):
    plan_of(mine).write_text(plan_of(mine).read_text() + "\nour own note\n")
    done = small.pglab(mine, "plan", "small")
    assert "was edited by hand" in done.stderr
    (kept,) = plan_of(mine).parent.glob("small.edited-*.md")
    assert "our own note" in kept.read_text()
    assert "our own note" not in plan_of(mine).read_text()


def test_a_figure_of_an_earlier_plan_goes_and_one_that_no_run_drew_is_kept(mine):
    docs = plan_of(mine).parent / "small"
    for name, folder in (("earlier", run_of(mine) / "analysis" / "small"), ("own", docs)):
        folder.mkdir(exist_ok=True)
        (folder / f"{name}.svg").write_text(f"<svg>{name}</svg>")
    (docs / "earlier.svg").write_text("<svg>earlier</svg>")
    done = small.pglab(mine, "plan", "small")
    assert "own.svg is not in the plan; it is kept as" in done.stderr
    assert not (docs / "earlier.svg").exists()
    (kept,) = docs.glob("own.edited-*.svg.kept")
    assert kept.read_text() == "<svg>own</svg>"
    assert small.pglab(mine, "verify", ".claude/doc/small.md").returncode == 0


# --- what it found --------------------------------------------------------------------------


def test_a_dropped_index_is_told_apart_by_what_was_counted(finished):
    done = small.pglab(finished, "show", "small", "--json")
    evidence = json.loads(done.stdout)["plan"]["evidence"]
    (other,) = (name for name in evidence if name.startswith("Other"))
    assert evidence[other]["size.index_bytes"]["verdict"] == "better"
    assert evidence[other]["query.recent.blocks_per_call"]["verdict"] == "worse"


def test_two_copies_of_one_schema_claim_nothing(tmp_path):
    folder = small.write(tmp_path, **{"scenarios/small/other.sql": small.TABLE + small.INDEX})
    done = small.pglab(folder, "run", "small", "--rounds", "6")
    assert done.returncode == 0, done.stderr
    shown = json.loads(small.pglab(folder, "show", "small", "--json").stdout)
    evidence = [one for metrics in shown["plan"]["evidence"].values() for one in metrics.values()]
    assert evidence
    assert [one for one in evidence if one["verdict"] in ("better", "worse")] == []


def test_all_candidates_of_a_round_were_asked_the_same(finished):
    stored = store.read(run_of(finished))
    asked: dict[int, set[str]] = {}
    for one in stored.slices:
        ops = one.ops.sort_by("seq").select(["name", "key"]).to_pydict()
        asked.setdefault(one.trial.round, set()).add(json.dumps(ops))
    assert {len(different) for different in asked.values()} == {1}
    assert len(set.union(*asked.values())) == len(asked), "rounds differ from each other"


def test_a_trial_holds_what_the_server_did(finished):
    stored = store.read(run_of(finished))
    for one in stored.slices:
        (driven,) = (step for step in one.steps if step["do"] == "drive")
        assert sum(asked["calls"] for asked in driven["statements"].values()) == one.ops.num_rows
        assert one.rows == one.rows_due == 2_000


def test_an_instance_says_how_many_checkpoints_came_while_its_rows_did(finished):
    counts = [one.report["checkpoints"] for one in store.read(run_of(finished)).prepared]
    assert [list(each.values()) for each in counts] == [[0]] * 3


# --- interrupted ----------------------------------------------------------------------------


_STARTED: list[subprocess.Popen[str]] = []


@pytest.fixture(autouse=True)
def _none_is_left():
    """A run that a failed test leaves would be measured beside, and end as a zombie of this process."""
    yield
    while _STARTED:
        lab = _STARTED.pop()
        if lab.returncode is None:
            lab.kill()
            lab.communicate()


def start(folder: Path, *words: str) -> subprocess.Popen[str]:
    """The small scenario's run, begun when no other measures on this machine."""
    small.wait_for_the_machine()
    lab = subprocess.Popen(
        [sys.executable, "-m", "lab.cli", "run", "scenarios/small", "--on", "embedded", *words],
        cwd=folder,
        env=small.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    _STARTED.append(lab)
    return lab


def wait_for_trials(folder: Path, n: int) -> None:
    until = time.monotonic() + 60
    while len(list(folder.glob("results/small/*/trials/[!.]*"))) < n:
        assert time.monotonic() < until, "no trial came"
        time.sleep(0.02)


def test_a_killed_run_goes_on_to_the_same_trials(finished, tmp_path):
    folder = small.write(tmp_path)
    lab = start(folder, "--rounds", "4")
    wait_for_trials(folder, 4)
    os.kill(lab.pid, signal.SIGKILL)
    lab.communicate()
    kept = store.trials_of(run_of(folder))
    done = small.pglab(folder, "run", "scenarios/small", "--resume")
    assert done.returncode == 0, done.stderr
    assert kept < store.trials_of(run_of(folder)) == store.trials_of(run_of(finished))
    verified = small.pglab(folder, "verify", ".claude/doc/small.md")
    assert verified.returncode == 0, verified.stdout
    gone_within(5, run_of(folder).name)
    cleaned = small.pglab(folder, "clean")
    assert "servers' data" in cleaned.stdout, cleaned.stdout
    assert small.pglab(folder, "clean").stdout.strip() == "nothing is left over"


BY_DAY = (
    small.TABLE.replace("PRIMARY KEY", "NOT NULL").replace(";", " PARTITION BY RANGE (at);")
    + small.INDEX
    + """
CREATE PROCEDURE add_day(day timestamptz) LANGUAGE plpgsql AS $$ BEGIN
  EXECUTE format('CREATE TABLE %I PARTITION OF readings FOR VALUES FROM (%L) TO (%L)',
    'day_' || to_char(day, 'YYYYMMDD'), day, day + interval '1 day');
END $$;
CREATE PROCEDURE drop_day(day timestamptz) LANGUAGE plpgsql AS $$ BEGIN
  IF (SELECT min(inhrelid::regclass::text) FROM pg_inherits WHERE inhparent = 'readings'::regclass)
    <> 'day_' || to_char(day, 'YYYYMMDD') THEN
    RAISE 'an older day is there still';
  END IF;
  EXECUTE format('DROP TABLE %I', 'day_' || to_char(day, 'YYYYMMDD'));
END $$;
"""
    + "".join(f"CALL add_day('2026-01-0{day} UTC');\n" for day in range(1, 5))
)
"""Partitions of the four days that the first load has, and of no later one."""

STEPS = {
    "scenarios/small/before_append.sql": "CALL add_day(:from);\n",
    "scenarios/small/drop.sql": "CALL drop_day(:from);\n",
}


def test_partitions_of_rounds_that_went_before_are_made_and_dropped_where_a_run_goes_on(tmp_path):
    steps = "sql: {before_append: before_append.sql, retire: drop.sql}"
    scenario = small.SCENARIO.replace("without the index, sql: {retire: retire.sql}", f"by day, {steps}")
    folder = small.write(
        tmp_path, **{"scenarios/small/scenario.yaml": scenario, "scenarios/small/other.sql": BY_DAY, **STEPS}
    )
    for words in (("--rounds", "3"), ("--rounds", "5", "--resume")):
        done = small.pglab(folder, "run", "scenarios/small", "--on", "embedded", *words)
        assert done.returncode == 0, done.stderr
    slices = store.read(run_of(folder)).slices
    assert [len([one for one in slices if one.trial.round == n]) for n in range(1, 6)] == [3] * 5
    assert {one.rows for one in slices} == {one.rows_due for one in slices} == {2_000}


OF_A_FILE = {
    "scenarios/small/scenario.yaml": small.SCENARIO.replace("      - {do: append, rows: 500}\n", "")
    .replace("      - {do: retire}\n", "")
    .replace(", sql: {retire: retire.sql}", ""),
    "workloads/readings/data.yaml": "streams: {readings: {kind: csv, files: rows.csv}}\n",
    "workloads/readings/recent.sql": small.FILES["workloads/readings/recent.sql"].replace(
        "window.to - 1d", "readings.at"
    ),
}


def rows_of(value: int) -> str:
    return "id,at,device,value\n" + "".join(
        f"{n},2026-01-01 00:00:{n % 60:02d}Z,{n % 20},{value}.5\n" for n in range(300)
    )


def test_rows_of_other_files_are_another_run(tmp_path):
    folder = small.write(tmp_path, **OF_A_FILE, **{"rows.csv": rows_of(1)})
    asked = ["run", "scenarios/small", "--on", "embedded", "--rounds"]
    done = small.pglab(folder, *asked, "2")
    assert done.returncode == 0, done.stderr
    first = run_of(folder)
    (folder / "rows.csv").write_text(rows_of(2))
    done = small.pglab(folder, *asked, "3", "--resume")
    assert done.returncode == 2, done.stderr
    assert "cannot go on: stream readings: rows.csv has changed (undo that, or leave --resume out" in done.stderr
    done = small.pglab(folder, *asked, "2")
    assert done.returncode == 0, done.stderr
    assert not store.trials_of(first) & store.trials_of(run_of(folder))


def gone_within(seconds: float, run: str) -> None:
    """No server of *run* may outlive its lab; another lab's on this machine may well live."""
    until, label = time.monotonic() + seconds, f"cluster_name=pglab-{run}"
    while any(label in " ".join(p.info["cmdline"] or ()) for p in psutil.process_iter(["cmdline"])):
        assert time.monotonic() < until, "a server outlived its lab"
        time.sleep(0.05)


def test_ctrl_c_once_finishes_the_trial_and_judges(tmp_path):
    folder = small.write(tmp_path)
    lab = start(folder, "--rounds", "40")
    wait_for_trials(folder, 7)
    os.kill(lab.pid, signal.SIGINT)
    out, err = lab.communicate(timeout=60)
    assert lab.returncode == 130, err
    assert out == LAST + "\n"
    assert "go on with: pglab run scenarios/small --resume" in err
    assert "exploratory" in plan_of(folder).read_text().lower()


def test_ctrl_c_twice_stops_and_keeps_what_was_finished(tmp_path):
    folder = small.write(
        tmp_path, **{"scenarios/small/scenario.yaml": small.SCENARIO.replace("for: 100ms", "for: 20s")}
    )
    lab = start(folder, "--rounds", "2")
    until = time.monotonic() + 60
    while not list(folder.glob("results/small/*/instances/plain.2")):
        assert time.monotonic() < until
        time.sleep(0.02)
    time.sleep(1.0)
    os.kill(lab.pid, signal.SIGINT)
    time.sleep(0.5)
    os.kill(lab.pid, signal.SIGINT)
    _, err = lab.communicate(timeout=60)
    assert lab.returncode == 130
    assert "--resume" in err
    assert "Traceback" not in err


def test_a_server_that_dies_in_a_trial_loses_no_finished_one(tmp_path):
    folder = small.write(tmp_path)
    lab = start(folder, "--rounds", "30")
    wait_for_trials(folder, 4)
    mine = psutil.Process(lab.pid)
    postmasters = [p for p in mine.children() if "bin/postgres" in small.words(p)]
    os.kill(postmasters[0].pid, signal.SIGKILL)
    _, err = lab.communicate(timeout=60)
    assert lab.returncode == 3, err
    assert "Traceback" not in err
    assert "--resume" in err
    assert len(store.trials_of(run_of(folder))) >= 4


NAP = """\
CREATE FUNCTION nap() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(60); RETURN NEW; END';
CREATE TRIGGER nap BEFORE INSERT ON readings FOR EACH ROW WHEN (NEW.id = 1500) EXECUTE FUNCTION nap();
"""  # at a row that preflight does not load


@pytest.mark.parametrize(("there", "schema"), [("COPY", NAP), ("psql", "SELECT pg_sleep(3);\n")])
def test_a_server_that_dies_while_rows_come_in_or_sql_is_applied_is_no_mistake_of_the_authors(tmp_path, there, schema):
    folder = small.write(tmp_path, **{"scenarios/small/plain.sql": small.TABLE + small.INDEX + schema})
    lab = start(folder, "--rounds", "2")
    mine, until = psutil.Process(lab.pid), time.monotonic() + 60
    while not list(folder.glob("results/small/*/run.json")) or not any(
        there in small.words(p) for p in mine.children(recursive=True)
    ):
        assert time.monotonic() < until, f"no {there}"
        time.sleep(0.02)
    (postmaster,) = (p for p in mine.children() if "bin/postgres" in small.words(p))
    os.kill(postmaster.pid, signal.SIGKILL)
    _, err = lab.communicate(timeout=60)
    assert lab.returncode == 3, err
    assert "Traceback" not in err
    assert "go on with: pglab run scenarios/small --resume" in err


def test_two_runs_do_not_measure_each_other(tmp_path):
    folder = small.write(tmp_path)
    lab = start(folder, "--rounds", "30")
    wait_for_trials(folder, 1)
    second = small.once(folder, "run", "scenarios/small")
    os.kill(lab.pid, signal.SIGKILL)
    lab.communicate()
    small.pglab(folder, "clean")
    assert second.returncode == 3
    assert "another pglab is measuring" in second.stderr


def test_ctrl_c_while_preparing_is_no_mistake_of_the_authors(tmp_path):
    slow = small.TABLE + small.INDEX + "SELECT pg_sleep(3);\n"
    folder = small.write(tmp_path, **{"scenarios/small/plain.sql": slow})
    lab = start(folder, "--rounds", "2")
    mine, until = psutil.Process(lab.pid), time.monotonic() + 60
    while not list(folder.glob("results/small/*/run.json")) or not any(
        "psql" in small.words(p) for p in mine.children()
    ):
        assert time.monotonic() < until, "no schema is being applied"
        time.sleep(0.02)
    os.killpg(lab.pid, signal.SIGINT)  # as a terminal does: every process of the group
    out, err = lab.communicate(timeout=90)
    assert lab.returncode == 130, err
    assert "canceling statement" not in err
    assert "--resume" in out


# --- loads of another kind ------------------------------------------------------------------


def test_a_mix_that_writes_is_measured(tmp_path):
    changes = {
        "workloads/readings/workload.yaml": "mix: {recent: 5, note: 2}\nclients: 4\ndriver: locust\nprocesses: 2\n",
        "workloads/readings/note.sql": (
            "-- params: device=readings.device, at=window.to\nINSERT INTO notes (device, at) VALUES (:device, :at)\n"
        ),
        "scenarios/small/plain.sql": small.TABLE + small.INDEX + "CREATE TABLE notes (device int, at timestamptz);\n",
        "scenarios/small/other.sql": small.TABLE + "CREATE TABLE notes (device int, at timestamptz);\n",
    }
    folder = small.write(tmp_path, **changes)
    done = small.pglab(folder, "run", "scenarios/small", "--rounds", "3")
    assert done.returncode == 0, done.stderr
    stored = store.read(run_of(folder))
    assert all(one.rows == one.rows_due > 2_000 for one in stored.slices)
    assert "(left out: 0)" in plan_of(folder).read_text()


SCRIPTED = """\
import psycopg
from locust import User, constant, task


class Reader(User):
    wait_time = constant(0.01)

    def on_start(self):
        self.connection = psycopg.connect(self.host, autocommit=True)

    @task
    def newest(self):
        with self.environment.events.request.measure("pg", "newest"):
            self.connection.execute("SELECT max(at) FROM readings").fetchall()
"""


def test_a_workloads_own_locustfile_drives_scripted_users(tmp_path):
    changes = {
        "workloads/readings/workload.yaml": (
            "mix: {recent: 5, by_id: 2}\nclients: 2\ndriver: locust\nlocustfile: locustfile.py\n"
        ),
        "workloads/readings/locustfile.py": SCRIPTED,
        "scenarios/small/scenario.yaml": small.SCENARIO.replace(
            "requirements:\n  - {metric: query.recent.p95_ms, at_most: 1_000}\n", ""
        ).replace("minimise: mix.server_ms_per_op", "minimise: cpu_s_per_op"),
    }
    folder = small.write(tmp_path, **changes)
    done = small.pglab(folder, "run", "scenarios/small", "--rounds", "3")
    assert done.returncode == 0, done.stderr
    names = {name for one in store.read(run_of(folder)).slices for name in one.ops["name"].to_pylist()}
    assert len(names) == 1
    assert "newest" in names.pop()


# --- the author's mistakes that only a server finds ---------------------------------------------

BY_ID = "workloads/readings/by_id.sql"
SERVER_FINDS = {
    "a schema the server refuses": (
        {"scenarios/small/other.sql": "CREATE TABLE readings (\n  id bigintt\n);\n"},
        ['Other "näme"', "other.sql:2", 'type "bigintt" does not exist'],
    ),
    "a query the server refuses": (
        {BY_ID: "-- params: id=readings.id\nSELECT id,\n  nothing FROM readings WHERE id = :id\n"},
        [f"plain: {BY_ID}:3: ", 'column "nothing" does not exist'],
    ),
    "a query the server refuses with the values it is asked with": (
        {BY_ID: "-- params: id=readings.id\n\nSELECT 1 / (id - id)\nFROM readings WHERE id <> :id\n"},
        [f"plain: {BY_ID}:3: with :id = ", "division by zero"],
    ),
    "more clients than the server takes": (
        {"workloads/readings/workload.yaml": "mix: {recent: 5, by_id: 2}\nclients: 392\ndriver: locust\n"},
        [
            "plain: 392 clients want 401 connections",
            "max_connections is 400 (settings: {max_connections: 401}, or fewer",
        ],
    ),
    "rows that do not fit": (
        {"scenarios/small/other.sql": small.TABLE.replace("device integer", "device boolean")},
        ['Other "näme"', "readings", "device"],
    ),
    "a stream without a table": (
        {"scenarios/small/other.sql": "CREATE TABLE other (id bigint);\n"},
        ["no table for the stream 'readings'", "load: load.sql"],
    ),
    "an extension that the embedded server lacks": (
        {"scenarios/small/other.sql": 'CREATE EXTENSION "uuid-ossp";\n' + small.TABLE},
        ["other.sql:1", "uuid-ossp", "--on docker"],
    ),
    "a table that a crash would empty": (
        {"scenarios/small/other.sql": small.TABLE.replace("CREATE TABLE", "CREATE UNLOGGED TABLE")},
        ['Other "näme"', "other.sql", "unlogged table readings", "unsafe: why"],
    ),
    "a schema of the lab's own name": (
        {"scenarios/small/other.sql": small.TABLE + "CREATE SCHEMA source;\n"},
        ['Other "näme": other.sql: schema source: the lab\'s own', "(another name)"],
    ),
    "a schema of the lab's own name from its first step on": (
        {"scenarios/small/retire.sql": "DELETE FROM readings WHERE at < :to; CREATE SCHEMA source;\n"},
        ["retire.sql", "schema source: the lab's own"],
    ),
    "a role that does not wait for the disk": (
        {"scenarios/small/other.sql": small.TABLE + "ALTER ROLE lab SET synchronous_commit = off;\n"},
        ["synchronous_commit = off", "unsafe: why"],
    ),
    "a table that a crash would empty from its first step on": (
        {"scenarios/small/retire.sql": "DELETE FROM readings WHERE at < :to; ALTER TABLE readings SET UNLOGGED;\n"},
        ["retire.sql", "unlogged table readings", "unsafe: why"],
    ),
    "a query that does not wait for the disk": (
        {
            "workloads/readings/by_id.sql": "-- params: id=readings.id\n"
            "SELECT set_config('synchronous_commit', 'off', true);\nSELECT * FROM readings WHERE id = :id;\n"
        },
        ["by_id.sql", "synchronous_commit', 'off'", "unsafe: why"],
    ),
    "a step the server refuses": (
        {"scenarios/small/retire.sql": "VACUUM readings;\nDELETE FROM\n  readigns WHERE at < :to;\n"},
        ["plain: scenarios/small/retire.sql:3: ", '"readigns" does not exist'],
    ),
}


@pytest.mark.parametrize("what", SERVER_FINDS)
def test_what_only_a_server_finds_is_one_message_before_the_first_trial(what, tmp_path):
    changes, words = SERVER_FINDS[what]
    done = small.pglab(small.write(tmp_path, **changes), "run", "scenarios/small")
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    for word in words:
        assert word in done.stderr
    assert not (tmp_path / "results").exists()
    assert not (tmp_path / ".claude").exists()


def test_a_query_that_fails_with_more_rows_than_preflight_loads_names_candidate_file_and_line(tmp_path):
    text = "-- params: id=readings.id\n\nSELECT :id, 1 / (id - 1500)\nFROM readings\n"
    done = small.pglab(small.write(tmp_path, **{BY_ID: text}), "run", "scenarios/small")
    assert done.returncode == 2, done.stderr
    assert f"\nplain: {BY_ID}:3: with :id = " in done.stderr


def test_references_to_rows_that_a_stream_does_not_have_are_refused_before_the_first_trial(tmp_path):
    scenario = small.SCENARIO.replace("lab: {", "lab: {entities: {readings: 7}, ")
    data = small.FILES["workloads/readings/data.yaml"].replace("    time:", "    rows: 2_000\n    time:", 1)
    changes = {"scenarios/small/scenario.yaml": scenario, "workloads/readings/data.yaml": data}
    done = small.pglab(small.write(tmp_path, **changes), "run", "scenarios/small")
    assert done.returncode == 2, done.stderr
    assert "workloads/readings/data.yaml:2: stream readings has 2,000 rows, and lab.entities says" in done.stderr
    assert not (tmp_path / "results").exists()


def test_a_setting_the_server_refuses_is_told_with_its_words(tmp_path):
    text = small.SCENARIO.replace("workload: readings\n", "workload: readings\nsettings: {work_mem: lots}\n")
    done = small.pglab(small.write(tmp_path, **{"scenarios/small/scenario.yaml": text}), "run", "scenarios/small")
    assert done.returncode != 0
    assert "work_mem" in done.stderr
    assert "Traceback" not in done.stderr
