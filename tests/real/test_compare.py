"""`pglab compare` on a real server: rows that a schema takes, parameters by plans, a scenario that runs."""

from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lab import catalogue, check, comparison, literals, parts, pg, scenario, session, touched
from lab.errors import IngestError, LabError, ScenarioError
from lab.model import Endpoint, SqlFile
from tests.real.small import pglab

pytestmark = pytest.mark.server

EVENTS = "CREATE TABLE events (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, device int, at timestamptz NOT NULL);\n"
FILES = {
    "heap.sql": EVENTS,
    "mit ümläut.sql": f"{EVENTS}CREATE INDEX ON events (device, at);\n",
    "recent.sql": "SELECT at FROM events\nWHERE device = :device ORDER BY at DESC, id LIMIT 20\n",
    "by id.sql": "SELECT * FROM events e WHERE $1 = e.id\n",
}
SHOP = """\
CREATE TYPE mood AS ENUM ('sad', 'happy');
CREATE DOMAIN cents AS integer CHECK (VALUE >= 0 AND VALUE < 500);
CREATE TABLE tenants (id serial PRIMARY KEY, name varchar(40) NOT NULL UNIQUE,
    plan text NOT NULL CHECK (plan IN ('free', 'paid')));
CREATE TABLE users (id uuid PRIMARY KEY, tenant int NOT NULL REFERENCES tenants, code char(4) NOT NULL UNIQUE,
    mood mood, boss uuid REFERENCES users, score real CHECK (score BETWEEN 0 AND 1),
    tags text[] NOT NULL DEFAULT '{}', ip inet, low text GENERATED ALWAYS AS (lower(code)) STORED);
CREATE TABLE orders (tenant int NOT NULL REFERENCES tenants, id bigint NOT NULL, who uuid NOT NULL REFERENCES users,
    price numeric(8, 2) CHECK (price > 0), cost cents, note varchar(10) CHECK (char_length(note) <= 8),
    status text CHECK (status = 'new' OR status = 'sent'), PRIMARY KEY (tenant, id));
CREATE TABLE lines (tenant int NOT NULL, "order" bigint NOT NULL, no smallint NOT NULL, data jsonb,
    PRIMARY KEY (tenant, "order", no), FOREIGN KEY (tenant, "order") REFERENCES orders (tenant, id));
CREATE TABLE likes (who uuid REFERENCES users, tenant int REFERENCES tenants, PRIMARY KEY (who, tenant));
CREATE TABLE profiles (who uuid PRIMARY KEY REFERENCES users, day date UNIQUE);
"""


@pytest.fixture
def place(tmp_path, monkeypatch):
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def asked(*schemas, queries=("recent.sql",), name=None, data=(), **params):
    run = session.Asked("", Path("results"), Path("doc"), rounds=2)
    files = tuple(map(Path, schemas)), tuple(map(Path, queries))
    return comparison.Asked(*files, params, run, rows=2_000, name=name, data=tuple(data))


def made(*schemas, **more):
    """The files that a comparison would write, and what it told."""
    told = []
    whole = asked(*schemas, **more)
    return comparison._made(whole, *comparison._files(whole), told.append), told


@contextmanager
def at(text):
    """A database with a schema, and a connection to it."""
    with comparison._server() as (host, server):
        comparison._applied(host, server, "t", SqlFile("t.sql", text))
        with pg.connected(server.conninfo()) as connection:
            yield Endpoint("t", "write", server.conninfo()), connection


def applied(text, rows=2_000, tried=None):
    """What the catalogue makes of a schema, and what the server refuses of it."""
    with at(text) as (end, connection):
        found = catalogue.of(connection, rows)
        return found, catalogue.attempt(end, found, days=10, rows=rows, tried=tried or rows)


def touched_by(query, text):
    """The tables of a schema, and those that a query touches."""
    with at(text) as (_, connection):
        tables = catalogue.tables(connection)
        return tables, touched.of(connection, {"q": SqlFile("q.sql", query)}, tables)


def test_rows_are_made_that_a_schema_of_many_kinds_takes():
    found, refused = applied(SHOP)
    assert (refused, found.holes) == ((), ())
    assert [*found.streams] == ["tenants", "users", "orders", "likes", "profiles", "lines"]
    assert found.method == "copy_csv"
    assert found.notes == (
        "likes: 420 rows, as many as (who, tenant) has pairs",
        catalogue._AS_TEXT.format(method="copy_csv"),
    )


def test_the_server_reads_every_literal_of_every_type():
    known = [*literals._LITERALS, *(f"_{one}" for one in [*literals._ELEMENTS, "inet"])]
    types = [one for one in known if one not in ("hstore", "ltree", "_citext")]
    columns = ", ".join(f"c{at} {literals.shown(one)} NOT NULL" for at, one in enumerate(types))
    text = f"CREATE EXTENSION citext; CREATE EXTENSION hstore; CREATE EXTENSION ltree; CREATE TABLE t ({columns}, "
    found, refused = applied(
        f"{text} h hstore NOT NULL, l ltree NOT NULL, c citext[] NOT NULL, bits bit(5), b varbit(2));"
    )
    assert (refused, found.holes) == ((), ())
    given = found.streams["t"]["columns"]
    assert len(given) == len(known) + 2
    assert all(one["choices"] for one in given.values())


def test_a_foreign_key_of_a_partition_alone_is_kept_to():
    text = (
        "CREATE TABLE payers (id int PRIMARY KEY);"
        "CREATE TABLE paid (payer int NOT NULL, at timestamptz NOT NULL) PARTITION BY RANGE (at);"
        "CREATE TABLE paid_all (at timestamptz NOT NULL, payer int NOT NULL REFERENCES payers);"
        "ALTER TABLE paid ATTACH PARTITION paid_all FOR VALUES FROM (MINVALUE) TO (MAXVALUE);"
    )
    made, refused = applied(text)
    assert refused == ()
    assert made.streams["paid"]["columns"]["payer"]["of"] == "payers"


def test_what_the_server_refuses_of_the_rows_is_told_with_table_and_column():
    text = "CREATE TABLE t (a int NOT NULL CHECK (a % 2 = 3), b int);"
    found, (refused,) = applied(text)
    assert "is not understood" in found.notes[0]
    assert refused.startswith("table public.t: ")
    assert "t_a_check" in refused
    assert refused.endswith("(give rows of your own with --data, or take the rule out of every schema)")


def test_a_table_that_a_bare_name_does_not_find_is_told():
    found, _ = applied("CREATE SCHEMA s; CREATE TABLE s.t (a int); CREATE TABLE u (a int);")
    assert [*found.streams] == ["u"]
    assert "table t: is in a schema that is not on the search_path" in found.notes[-1]


@pytest.mark.usefixtures("place")
def test_parameters_are_drawn_from_what_they_are_compared_with():
    files, told = made("heap.sql", "mit ümläut.sql", queries=("recent.sql", "by id.sql"))
    assert 'recent: {device: "events.device"}' in files["workload/workload.yaml"]
    assert 'by_id: ["uniform(1, 2000)"]' in files["workload/workload.yaml"]
    assert "recent.sql: :device is drawn from events.device" in told
    read = scenario.read("x", scenario.kept(files), parts)
    assert (read.baseline, [*read.candidates]) == ("heap", ["heap", "mit ümläut"])
    (drive,) = read.round
    assert drive.rate * drive.for_s > check.WARM_OPERATIONS, "else no slice tells whether it was warm"


def test_both_ends_of_a_range_of_times_are_a_day_of_the_window_which_is_told(place):
    (place / "day.sql").write_text("SELECT count(*) FROM events WHERE at >= $1 AND at < $2")
    (place / "ids.sql").write_text("SELECT count(*) FROM events WHERE id BETWEEN :a AND :b")
    (place / "few.sql").write_text("SELECT count(*) FROM events WHERE :c < device AND :d > device")
    files, told = made("heap.sql", "mit ümläut.sql", queries=("day.sql", "ids.sql", "few.sql"))
    assert 'day: ["window.to - 1d", "window.to"]' in files["workload/workload.yaml"]
    assert 'few: {c: "events.device", d: "events.device + 99"}' in files["workload/workload.yaml"]
    for words in (
        "day.sql: $1 and $2 are the ends of a range, both from events.at, which would be empty: taken is",
        "ids.sql: :a and :b are the ends of a range, both from uniform(1, 2000), and half of the ranges are empty",
        "few.sql: :c and :d are the ends of a range, both from events.device, which would be empty: taken is what",
    ):
        assert any(one.startswith(words) for one in told), told
    _, told = made("heap.sql", "mit ümläut.sql", queries=("ids.sql",), a="uniform(1, 9)", b="uniform(9, 19)")
    assert not any("ends of a range" in one for one in told)


def test_what_is_written_is_drawn_from_the_column_that_it_is_written_to(place):
    (place / "in.sql").write_text("INSERT INTO events (device, at) VALUES ($1, $2::timestamptz)")
    (place / "set.sql").write_text("UPDATE events SET device = :other WHERE id = :id")
    files, _ = made("heap.sql", "mit ümläut.sql", queries=("in.sql", "set.sql"))
    assert 'in: ["events.device", "events.at"]' in files["workload/workload.yaml"]
    assert 'set: {other: "events.device", id: "uniform(1, 2000)"}' in files["workload/workload.yaml"]


def test_a_new_key_is_asked_for_since_each_that_is_there_would_be_refused(place):
    (place / "in.sql").write_text("INSERT INTO events OVERRIDING SYSTEM VALUE VALUES (:id, :device, now())")
    with pytest.raises(
        ScenarioError, match=r"values of :id come from\? it is written to events\.id, where a value that is"
    ):
        made("heap.sql", "mit ümläut.sql", queries=("in.sql",))
    (place / "in.sql").write_text(
        "INSERT INTO events OVERRIDING SYSTEM VALUE VALUES (:id, :device, now()) ON CONFLICT DO NOTHING"
    )
    files, _ = made("heap.sql", "mit ümläut.sql", queries=("in.sql",))
    assert 'in: {id: "uniform(1, 2000)", device: "events.device"}' in files["workload/workload.yaml"]


MISTAKES = {
    "SELECT * FROM events LIMIT :n": (ScenarioError, r"values of :n come from\?.*--param n=TABLE.COLUMN"),
    "SELECT 1;\nSELECT *\n FROM evnts WHERE a = :a": (IngestError, r'^q\.sql:3: relation "evnts"'),
    "SELECT 'x": (ScenarioError, r"q\.sql:1: the string that begins here has no end"),
    "-- nothing": (ScenarioError, r"q\.sql: there is no statement in it"),
}


@pytest.mark.parametrize("text", MISTAKES)
def test_a_query_that_cannot_be_asked_is_told_before_anything_is_written(place, text):
    kind, words = MISTAKES[text]
    (place / "q.sql").write_text(text)
    with pytest.raises(kind, match=words):
        made("heap.sql", "mit ümläut.sql", queries=("q.sql",))
    assert not (place / "scenarios").exists()


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"device": "evnts.device"}, "no table 'evnts' with rows .*did you mean 'events'"),
        ({"device": "events.devce"}, "no column 'devce'.*did you mean 'device'"),
        ({"device": "x y z"}, "--param device=x y z: 'x y z' is no source"),
        ({"other": "events.device"}, "--param other: no query takes :other"),
    ],
)
@pytest.mark.usefixtures("place")
def test_a_source_that_is_not_there_is_named_with_what_is(params, words):
    with pytest.raises(ScenarioError, match=words):
        made("heap.sql", "mit ümläut.sql", **params)


def test_identical_files_are_told_whatever_they_are_called(place):
    (place / "same.sql").write_text(f"-- not the same\n{EVENTS.replace(' ', '  ')}")
    for other in ("same.sql", "heap.sql"):
        with pytest.raises(ScenarioError, match=rf"heap.sql and {other} are identical but for space and comments"):
            made("heap.sql", other)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "there is no statement in it"),
        (b"\xff\xfe\x00", "is no text in UTF-8"),
        (b"CREATE TABLE events (\n  a txt\n);", r'b\.sql:2: ERROR: type "txt" does not exist'),
        (b"CREATE TABLE events (at timestamptz);", "no such column.*rows are what heap needs"),
    ],
)
def test_a_schema_that_does_not_fit_is_told_with_its_place(place, content, words):
    (place / "b.sql").write_bytes(content)
    with pytest.raises(LabError, match=words):
        made("heap.sql", "b.sql")


def test_one_command_leaves_a_plan_a_table_and_a_scenario_that_is_not_overwritten(place):
    command = ["compare", "heap.sql", "mit ümläut.sql", "--query", "recent.sql"]
    command += ["--rows", "2k", "--rounds", "2", "--name", "mine"]
    done = pglab(place, *command)
    assert done.returncode in (0, 1), done.stderr
    assert "mit ümläut" in done.stdout
    last = "I have created a plan at .claude/doc/mine.md, please read that first before you proceed"
    assert done.stdout.splitlines()[-1] == last
    edited = place / "scenarios/mine/scenario.yaml"
    edited.write_text(edited.read_text() + "# mine\n")
    again = pglab(place, *command)
    assert again.returncode == 2
    assert "scenarios/mine: is there already" in again.stderr
    assert edited.read_text().endswith("# mine\n")


def test_a_dump_is_taken_as_init_takes_it_and_what_is_left_out_is_told(place):
    dumped = f"{EVENTS}\nALTER TABLE public.events OWNER TO postgres;\nGRANT SELECT ON TABLE public.events TO reader;\n"
    (place / "b.sql").write_text(f"{dumped}CREATE INDEX ON events (device);\n")
    line = EVENTS.count("\n") + 2
    files, told = made("heap.sql", "b.sql")
    assert f"b.sql:{line}: left out (1 statement): owners; the lab's role owns everything" in told
    assert f"b.sql:{line + 1}: left out (1 statement): rights; one role asks everything" in told
    assert "\n-- ALTER TABLE public.events OWNER TO postgres;\n" in files["b.sql"]


def test_a_strangers_schema_runs_no_command_of_psql(place):
    (place / "b.sql").write_text(f"{EVENTS}  \\! touch {place / 'x'}\n")
    with pytest.raises(IngestError, match=r"b\.sql:2: .*backslash commands are restricted.*leave them out"):
        made("heap.sql", "b.sql")
    (place / "c.sql").write_text(f"\\restrict abc\n{EVENTS}-- c\nCREATE INDEX ON events (at);\n\\unrestrict abc\n")
    files, _ = made("heap.sql", "c.sql")
    assert files["c.sql"].startswith("\\restrict ")
    assert not (place / "x").exists()


def test_a_pattern_is_no_value_of_its_column(place):
    (place / "a.sql").write_text("CREATE TABLE t (id int PRIMARY KEY, name text NOT NULL);\n")
    (place / "b.sql").write_text("CREATE TABLE t (id int PRIMARY KEY, name text NOT NULL, CHECK (id > 0));\n")
    (place / "like.sql").write_text("SELECT id FROM t WHERE name LIKE :name\n")
    with pytest.raises(ScenarioError, match=r"values of :name come from\? it is a pattern"):
        made("a.sql", "b.sql", queries=("like.sql",))


def test_rows_that_do_not_fit_late_in_a_stream_are_found():
    _, refused = applied("CREATE TABLE t (n int PRIMARY KEY, CHECK (n < 1500 OR n IS NULL));", tried=300)
    assert "1500" in "".join(refused) or "t_n_check" in "".join(refused)


def test_settings_of_the_role_by_one_candidate_are_not_the_nexts(place):
    text = f"CREATE SCHEMA s; ALTER ROLE CURRENT_USER SET search_path = s; SET search_path = s; {EVENTS}"
    (place / "a.sql").write_text(text)
    (place / "b.sql").write_text(f"CREATE SCHEMA s; {EVENTS}CREATE TABLE s.events (at date);")
    made("a.sql", "b.sql")


# --- rows of one's own ---

KEYED = """\
CREATE TYPE mood AS ENUM ('sad', 'happy');
CREATE TABLE devices (id int PRIMARY KEY, zip text NOT NULL, mood mood);
CREATE TABLE events (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, device int NOT NULL REFERENCES devices,
    at timestamptz NOT NULL, price numeric(8, 2), tags text[]);
"""
DEVICES = 1_000


@pytest.fixture
def brought(place):
    """Two schemas of two tables, and the rows of both: the second refers to all of the first."""
    (place / "a.sql").write_text(KEYED)
    (place / "b.sql").write_text(f"{KEYED}CREATE INDEX ON events (device);\n")
    lines = (f"{n},{n:05},{'sad' if n % 2 else ''}" for n in range(DEVICES))
    (place / "devices.csv").write_text("id,zip,mood\n" + "".join(f"{line}\n" for line in lines))
    at = [datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=n) for n in range(5_000)]
    columns = {
        "device": [n * 37 % DEVICES for n in range(5_000)],
        "at": at,
        "price": [1.25] * 5_000,
        "tags": [["x"]] * 5_000,
    }
    pq.write_table(pa.table(columns), place / "e.parquet")
    return place


@pytest.mark.usefixtures("brought")
def test_rows_of_ones_own_are_brought_as_files():
    files, told = made("a.sql", "b.sql", data=["devices.csv", "events=e.parquet"])
    assert "kind: csv" in files["workload/data.yaml"]
    assert 'files: "e.parquet"' in files["workload/data.yaml"]
    assert files["workload/data.yaml"].startswith("# Brought after a:")
    assert any(":device is drawn from events.device" in line for line in told)


def test_a_comparison_of_brought_rows_runs_and_its_plan_verifies(brought):
    words = (
        "compare",
        "a.sql",
        "b.sql",
        "--query",
        "recent.sql",
        "--data",
        "devices.csv",
        "--data",
        "events=e.parquet",
    )
    done = pglab(brought, *words, "--rounds", "2", "--on", "embedded")
    assert done.returncode == 0, done.stderr
    verified = pglab(brought, "verify", ".claude/doc/compare-a-b.md")
    assert verified.returncode == 0, verified.stdout


def test_a_brought_value_that_its_column_refuses_is_told_with_its_row(brought):
    with (brought / "devices.csv").open("a") as file:
        file.write("many,1,\n")
    with pytest.raises(LabError, match=r"devices.csv: row 1001, column id: 'many' is no integer"):
        made("a.sql", "b.sql", data=["devices.csv", "events=e.parquet"])


def test_brought_rows_that_do_not_fit_the_table_are_told_with_table_and_column(brought):
    pq.write_table(pa.table({"device": ["x"], "att": [1]}), brought / "e.parquet")
    with pytest.raises(IngestError) as found:
        made("a.sql", "b.sql", data=["devices.csv", "events=e.parquet"])
    assert "column device: what the rows have (string) and what the table has (int4) do not fit" in str(found.value)
    assert "column att: the table has no such column (did you mean 'at'?" in str(found.value)


@pytest.mark.usefixtures("brought")
@pytest.mark.parametrize("data", ["devices.csv", "events=e.parquet"])
def test_rows_are_invented_beside_those_of_a_file(data):
    files, _ = made("a.sql", "b.sql", data=[data])
    assert files["workload/data.yaml"].startswith("# Brought and invented after a:")
    assert f"devices: {DEVICES}" in files["scenario.yaml"].replace('"', "")


def test_a_key_that_the_server_counts_and_a_column_that_refers_to_it_are_one_source(place):
    (place / "a.sql").write_text(LARGE.replace("geo", "text"))
    (place / "b.sql").write_text(LARGE.replace("geo", "text") + "CREATE INDEX ON orders (at);\n")
    (place / "q.sql").write_text('SELECT * FROM lines JOIN orders o ON o.id = "order" WHERE "order" = :nr\n')
    files, _ = made("a.sql", "b.sql", queries=("q.sql",))
    assert 'q: {nr: "lines.order"}' in files["workload/workload.yaml"]


def test_rows_that_do_not_fit_are_told_before_parameters_are_asked_for(place):
    (place / "events.csv").write_text("dvice,at\n1,2026-01-01 00:00:00+00\n")
    (place / "q.sql").write_text("SELECT * FROM events WHERE device = :device AND at > :x::timestamptz - :y::interval")
    with pytest.raises(
        IngestError, match=r"column dvice: the table has no such column \(did you mean 'device'\?"
    ) as told:
        made("heap.sql", "mit ümläut.sql", queries=("q.sql",), data=["events.csv"])
    assert "(put the rows of events.csv right, or leave the column out of them)" in str(told.value)


# --- tables that nobody asks of ---

LARGE = """\
CREATE TABLE kinds (a text NOT NULL, b boolean NOT NULL, UNIQUE (b), x geo NOT NULL);
CREATE TABLE orders (id serial PRIMARY KEY, at timestamptz NOT NULL);
CREATE TABLE lines (id serial PRIMARY KEY, "order" int NOT NULL REFERENCES orders, n int NOT NULL);
CREATE TABLE log (line int REFERENCES lines, what text);
CREATE TABLE other (a int PRIMARY KEY);
"""


def test_tables_that_no_query_touches_stay_empty_which_is_told(place):
    (place / "a.sql").write_text("CREATE DOMAIN geo AS point;\n" + LARGE)
    (place / "b.sql").write_text("CREATE DOMAIN geo AS point;\n" + LARGE + 'CREATE INDEX ON lines ("order");\n')
    (place / "q.sql").write_text('SELECT sum(n) FROM lines WHERE "order" = :o\n')
    files, told = made("a.sql", "b.sql", queries=("q.sql",))
    assert "rows: 3 tables stay empty, which no query touches (kinds, log, other)" in told
    streams = scenario.read("x", scenario.kept(files), parts).workload.streams
    assert {*streams} == {"orders", "lines"}


@pytest.mark.parametrize(
    ("query", "more"),
    [
        ("DELETE FROM lines WHERE id = :id", {"log"}),
        ("DELETE FROM other WHERE a = :id", {"other", "kin", "kith"}),
        ("MERGE INTO lines USING orders o ON o.id = lines.id WHEN MATCHED THEN DELETE", {"log"}),
        ("SELECT * FROM seeing WHERE a = :a", {"other"}),
        ("SELECT viewed(:a)", {"other"}),
        ("SELECT gone(:a)", {"log"}),
        ("SELECT seen(:o)", {"other"}),
        ("UPDATE lines SET n = 1 WHERE id = :id", set()),
        ("INSERT INTO other SELECT n FROM lines WHERE id = :id", {"other"}),
    ],
)
def test_rows_that_a_query_comes_to_by_a_key_or_a_function_are_there_too(query, more):
    text = (
        "CREATE DOMAIN geo AS point;" + LARGE + "CREATE FUNCTION seen(int) RETURNS bigint LANGUAGE plpgsql AS "
        "'BEGIN RETURN (SELECT count(*) FROM other, lines WHERE \"order\" = $1); END';"
        "CREATE VIEW seeing AS SELECT a FROM other WHERE a IN (SELECT n FROM lines);"
        "CREATE FUNCTION viewed(int) RETURNS bigint LANGUAGE plpgsql "
        "AS 'BEGIN RETURN (SELECT sum(a) FROM seeing); END';"
        "CREATE FUNCTION gone(int) RETURNS void LANGUAGE plpgsql AS 'BEGIN DELETE FROM lines WHERE id = $1; END';"
        "CREATE TABLE kin (a int PRIMARY KEY REFERENCES other ON DELETE CASCADE);"
        "CREATE TABLE kith (a int REFERENCES kin);"
    )
    tables, found = touched_by(query, text)
    assert touched.needed(tables, found) - {"lines", "orders"} == more


def test_a_table_in_which_candidates_differ_has_rows_on_both(place):
    text = "CREATE DOMAIN geo AS text;\n" + LARGE
    (place / "a.sql").write_text(text)
    (place / "b.sql").write_text(text.replace("what text", "what text NOT NULL") + "CREATE INDEX ON other (a);\n")
    (place / "q.sql").write_text("SELECT * FROM orders WHERE id = :o\n")
    files, told = made("a.sql", "b.sql", queries=("q.sql",))
    assert "rows: 1 table stays empty, which no query touches (kinds)" in told
    assert "# 1 table stays empty, which no query touches (kinds)\n" in files["workload/data.yaml"]


def test_a_table_that_a_trigger_writes_to_is_touched():
    text = (
        LARGE.replace("geo", "text") + "CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS "
        "$$BEGIN INSERT INTO other VALUES (NEW.n); RETURN NEW; END$$;"
        "CREATE TRIGGER t AFTER UPDATE ON lines FOR EACH ROW EXECUTE FUNCTION note();"
    )
    _, found = touched_by("UPDATE lines SET n = 1 WHERE id = :id", text)
    assert found == {"lines", "other"}
