"""A diagnosis on a real server: what the queries are spent on, which indexes the planner takes, what is written."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from lab import bottleneck, diagnose, parts, pg, scenario
from lab.errors import ScenarioError
from lab.model import Query, Statement
from tests.real.small import FILES, INDEX, TABLE

pytestmark = pytest.mark.server

ALONE = re.sub(r'\n  "Other.*', "\n", FILES["scenarios/small/scenario.yaml"])
PARTITIONED = """\
CREATE TABLE readings (id bigint, at timestamptz NOT NULL, device integer NOT NULL, value float8, PRIMARY KEY (id, at))
PARTITION BY RANGE (at);
CREATE TABLE readings_1 PARTITION OF readings FOR VALUES FROM (MINVALUE) TO ('2026-01-03');
CREATE TABLE readings_2 PARTITION OF readings FOR VALUES FROM ('2026-01-03') TO (MAXVALUE);
"""


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder with the small scenario, its baseline alone and without an index for `recent`."""
    for name, text in {**FILES, "scenarios/small/scenario.yaml": ALONE, "scenarios/small/plain.sql": TABLE}.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def diagnosed(**more):
    return diagnose.perform(diagnose.Asked("small", on="embedded", rows=20_000, **more), print)


def written(folder):
    return scenario.read(folder.name, scenario.OnDisk(folder, Path.cwd()), parts)


def test_a_missing_index_is_found_and_becomes_a_candidate(place):
    done = diagnosed()
    assert done.said[0].startswith("recent: most of the rows that are read are thrown away: Seq Scan on readings")
    assert done.said[-1].startswith("I have created a scenario at scenarios/small-diagnosis, please read its README.md")
    found = {one["index"]["columns"]: one["gains"] for one in done.data["kept"]}
    assert ("device", "at") in found or ("device",) in found
    assert all(gain < 1 - diagnose.GAIN for gains in found.values() for gain in gains.values())
    assert not any("by_id" in gains for gains in found.values()), "its primary key serves it already"
    read = written(place / "scenarios" / "small-diagnosis")
    first, *others = read.candidates.values()
    assert (first.name, first.schema.text) == ("plain", TABLE)
    assert all(one.schema.text.startswith(TABLE) and "CREATE INDEX ON" in one.schema.text for one in others)
    small = written(place / "scenarios" / "small")
    assert (read.production, read.round, read.requirements[0].metric) == (
        small.production,
        small.round,
        small.requirements[0].metric,
    )
    assert "retire" in others[0].steps


CTE = "WITH x AS MATERIALIZED (SELECT b.m FROM a JOIN b ON b.id = a.id) SELECT count(*)"


@pytest.mark.parametrize(
    ("text", "node"),
    [
        (f"{CTE} FROM x", "Seq Scan on a"),
        (f"{CTE} FROM x, x AS again WHERE x.m = again.m", "Seq Scan on a"),
        ("SELECT n FROM b WHERE m > (SELECT max(n) FROM a) ORDER BY n", "Seq Scan on a"),
        ("SELECT n + (SELECT max(n) FROM a) FROM b ORDER BY n", "Seq Scan on a"),
        ("SELECT (SELECT max(n) FROM a)", "Seq Scan on a"),
        ("WITH gone AS (DELETE FROM b RETURNING 1) SELECT count(*) FROM a", "ModifyTable on b"),
        (
            "WITH RECURSIVE x AS (SELECT max(n) AS n FROM a UNION SELECT n + 1 FROM x WHERE n < 9) TABLE x",
            "Seq Scan on a",
        ),
    ],
)
def test_the_blocks_of_a_plan_are_each_counted_once_where_they_are_touched(database, text, node):
    made = "CREATE TABLE {} AS SELECT n AS id, 1 AS n, n AS m FROM generate_series(1, {}) n"
    tables = (made.format("a", 20_000), made.format("b", 9_000))
    with pg.connected(database.conninfo) as connection:
        pg.run(connection, *tables, "VACUUM (ANALYZE) a", "VACUUM (ANALYZE) b")
    with pg.connected(database.conninfo, autocommit=False) as connection:
        (plan,) = diagnose._plans(connection, diagnose._EXECUTED, Query("q", "q.sql", (Statement(text, ()),)), [[]])
    found = bottleneck.named(plan)
    assert found.node == node
    own = bottleneck._own(bottleneck.touched, plan)
    blocks = {bottleneck.words(one): own(one) for one in bottleneck._executed(plan)}
    assert min(blocks.values()) >= 0
    with_delete = blocks.get("ModifyTable on b", 0) + blocks["Seq Scan on b"] if "DELETE" in text else 0
    assert found.all_blocks == bottleneck.touched(plan) + with_delete


@pytest.mark.usefixtures("place")
def test_no_index_is_left_on_the_server_when_the_next_is_tried(monkeypatch):
    seen = []
    screened = diagnose.Screen.tried

    def tried(self, index):
        one = screened(self, index)
        seen.append(diagnose.pg.ask(self._connection, "SELECT count(*) AS n FROM pg_index WHERE indrelid > 16383"))
        return one

    monkeypatch.setattr(diagnose.Screen, "tried", tried)
    diagnosed()
    assert len(seen) > 2
    assert len({one["n"] for one in seen}) == 1


def test_an_index_of_a_partitioned_table_is_known_by_its_parts(place):
    (place / "scenarios/small/plain.sql").write_text(PARTITIONED)
    done = diagnosed(queries=("recent",))
    tables = {one["index"]["table"] for one in done.data["kept"]}
    assert tables == {("public", "readings")}


def test_an_index_for_the_plan_that_is_kept_for_all_values_is_found_though_common_values_do_well(place):
    """Nearly every call asks for the device that most rows are of, of which the newest are soon found."""
    (place / "scenarios/small/plain.sql").write_text(f"{TABLE}CREATE INDEX ON readings (at);\n")
    (place / "scenarios/small/scenario.yaml").write_text(ALONE.replace("device: 20", "device: 200"))
    data = FILES["workloads/readings/data.yaml"].replace("zipf(1.1)", '"hotspot(0.005, 0.95)"')
    (place / "workloads/readings/data.yaml").write_text(data)
    query = "SELECT value FROM readings WHERE device = :device ORDER BY at DESC LIMIT 10\n"
    (place / "workloads/readings/recent.sql").write_text(f"-- params: device=readings.device\n{query}")
    done = diagnosed(queries=("recent",))
    assert ("device", "at") in {one["index"]["columns"] for one in done.data["kept"]}


def test_where_every_index_is_there_none_is_proposed(place):
    (place / "scenarios/small/plain.sql").write_text(TABLE + INDEX)
    done = diagnosed(queries=("by_id",))
    assert done.data["kept"] == ()
    assert "add a candidate of your own" in done.said[-2]
    assert "None: no such index would be taken." in (place / "scenarios/small-diagnosis/README.md").read_text()


def test_a_rewrite_is_a_candidate_with_that_text(place):
    other = FILES["workloads/readings/recent.sql"].replace("at, value", "at")
    (place / "other.sql").write_text(other)
    diagnosed(queries=("by_id",), rewrites={"recent": Path("other.sql")}, name="mine")
    own = written(place / "scenarios" / "mine").candidates["rewritten-recent"]
    assert [one.file for one in own.queries if one.name == "recent"] == ["rewritten-recent.sql"]
    assert own.schema.text == TABLE


def test_a_schema_a_query_and_data_are_enough(place):
    asked = diagnose.Asked(
        queries=("workloads/readings/recent.sql",),
        schema=Path("scenarios/small/plain.sql"),
        data=Path("entities.yaml"),
        on="embedded",
        rows=20_000,
    )
    data = FILES["workloads/readings/data.yaml"].replace("of: device", "n_distinct: 20")
    (place / "entities.yaml").write_text(data)
    done = diagnose.perform(asked, print)
    assert done.said[0].startswith("recent: most of the rows that are read are thrown away")
    read = written(place / "scenarios" / "plain-diagnosis")
    assert (next(iter(read.candidates)), read.lab.rows) == ("as-it-is", 20_000)
    assert len(read.candidates) > 1


def test_half_of_what_is_needed_is_told():
    with pytest.raises(ScenarioError, match="--schema, --data and --query"):
        diagnose.perform(diagnose.Asked(schema=Path("a.sql"), queries=("b.sql",)), print)


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"queries": ("recnt",)}, "did you mean 'recent'"),
        ({"rewrites": {"total": Path("x.sql")}}, "no query of the mix has this name"),
        ({"rewrites": {"recent": Path("gone.sql")}}, "gone.sql: cannot be read"),
        ({"name": "small"}, "is there already"),
        ({"name": "../out"}, "is no name"),
    ],
)
@pytest.mark.usefixtures("place")
def test_what_cannot_be_diagnosed_is_told_before_a_server_is_started(more, told, monkeypatch):
    monkeypatch.setattr(diagnose, "_loaded", lambda *_: pytest.fail("a server was started"))
    with pytest.raises(ScenarioError, match=re.escape(told)):
        diagnosed(**more)


def test_the_command_names_its_options_mistakes(repo, place):
    words = [sys.executable, "-m", "lab.cli", "diagnose", "--scenario", "small", "--rewrite", "recent"]
    env = {**os.environ, "PYTHONPATH": str(repo)}
    done = subprocess.run(words, capture_output=True, text=True, check=False, cwd=place, env=env)
    assert (done.returncode, done.stdout) == (2, "")
    assert "--rewrite recent=recent.other.sql" in done.stderr


@pytest.mark.docker
@pytest.mark.usefixtures("docker_host", "place")
def test_where_the_server_has_hypopg_no_index_is_made(monkeypatch):
    monkeypatch.setattr(diagnose.Screen, "_made", lambda *_: pytest.fail("an index was made"))
    done = diagnose.perform(diagnose.Asked("small", on="docker", rows=20_000, queries=("recent",)), print)
    assert done.data["by"] == "hypopg"
    assert done.data["kept"]
