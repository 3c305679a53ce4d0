"""What pg_dump and pg_stat_statements write becomes a scenario; all that needs no server."""

import re
import shutil

import pytest
from typer.testing import CliRunner

from lab import alembic, cli, dump, lesson, likely, parts, recorded, scenario, start
from lab.errors import PlaceError, ScenarioError
from lab.tables import Column, Table

LEFT_OUT = {
    "ALTER TABLE public.t OWNER TO joe;": "owners",
    "ALTER FUNCTION public.f(a integer, b text) OWNER TO joe;": "owners",
    "GRANT SELECT ON TABLE public.t TO joe;": "rights",
    "REVOKE ALL ON SCHEMA public FROM PUBLIC;": "rights",
    "ALTER DEFAULT PRIVILEGES FOR ROLE joe GRANT ALL ON TABLES TO joe;": "rights",
    "COMMENT ON EXTENSION citext IS 'x; y';": "extensions",
    "CREATE EXTENSION IF NOT EXISTS postgis WITH SCHEMA public;": "extension postgis",
    "CREATE SCHEMA public;": "schema public",
    "CREATE PUBLICATION p FOR ALL TABLES;": "publications",
    "CREATE SUBSCRIPTION s CONNECTION 'x' PUBLICATION p;": "subscriptions",
    "CREATE EVENT TRIGGER e ON ddl_command_start\n  EXECUTE FUNCTION f();": "event triggers",
    "CREATE SERVER s FOREIGN DATA WRAPPER postgres_fdw;": "foreign servers",
    "CREATE USER MAPPING FOR joe SERVER s;": "foreign servers",
    "CREATE FOREIGN TABLE f (a int) SERVER s;": "foreign servers",
    "CREATE ROLE joe;": "roles",
    "SET default_tablespace = fast;": "tablespaces",
    "CREATE POLICY p ON t TO joe USING (true);": "row security",
    "ALTER TABLE t FORCE ROW LEVEL SECURITY;": "row security",
    "INSERT INTO t VALUES (1);": "rows",
    "UPDATE t SET a = 1;": "rows",
    "DELETE FROM t;": "rows",
    "WITH a AS (SELECT 1)\nINSERT INTO t SELECT * FROM a;": "rows",
    "SELECT setval('t_id_seq', 5);": "rows",
    "CREATE FUNCTION c() RETURNS int LANGUAGE c AS 'x', 'y';": "functions in C",
}


@pytest.mark.parametrize(("said", "why"), LEFT_OUT.items())
def test_what_a_disposable_server_cannot_have_becomes_a_comment_and_is_told(said, why):
    made = dump.read("d.sql", f"CREATE TABLE a ();\n{said}\nCREATE TABLE b ();\n", {"citext"})
    (note,) = made.notes
    assert note.startswith("d.sql:2: left out (1 statement): ")
    assert why in note
    commented = "\n".join(f"-- {line}" for line in said.split("\n"))
    assert made.text == f"CREATE TABLE a ();\n{commented}\nCREATE TABLE b ();\n"


@pytest.mark.parametrize(
    "said",
    [
        "SET default_tablespace = '';",
        "CREATE EXTENSION IF NOT EXISTS citext WITH SCHEMA public;",
        "ALTER SEQUENCE public.t_id_seq OWNED BY public.t.id;",
        "SELECT pg_catalog.set_config('search_path', '', false);",
        "COMMENT ON TABLE t IS 'GRANT all TO joe; ALTER TABLE t OWNER TO joe;';",
        "CREATE FUNCTION f() RETURNS void LANGUAGE sql\n"
        "BEGIN ATOMIC SELECT CASE WHEN 1 > 0 THEN 1 END; INSERT INTO t VALUES (1); END;",
        "CREATE FUNCTION f() RETURNS void LANGUAGE plpgsql AS $$BEGIN\nINSERT INTO t VALUES (1); END;$$;",
        "ALTER TABLE t ADD COLUMN policy int;",
    ],
)
def test_what_a_disposable_server_can_have_stays_as_it_is(said):
    assert dump.read("d.sql", f"{said}\n", {"citext"}) == dump.Dump(f"{said}\n", ())


def test_commands_of_psql_are_left_out():
    made = dump.read("d.sql", "\\connect shop\nCREATE TABLE t ();\n", ())
    assert made.text == "-- \\connect shop\nCREATE TABLE t ();\n"
    assert made.notes == ("d.sql:1: left out (1 statement): psql's own commands",)


@pytest.mark.parametrize("said", ["  \\! touch x\n", "TABLE a; \\! id\n", "/* a */ \\echo it's\n", "\t\\copy a to b"])
def test_a_command_of_psql_is_a_comment_wherever_it_stands(said):
    made = dump.read("d.sql", f"CREATE TABLE a ();\n{said}", ())
    assert made.text == f"CREATE TABLE a ();\n{said.replace(chr(92), '-- ' + chr(92))}"
    assert made.notes == ("d.sql:2: left out (1 statement): psql's own commands",)


def test_a_command_of_psql_that_would_end_a_statement_is_refused_with_its_line():
    with pytest.raises(ScenarioError, match=r"d\.sql:3: \\g is psql's own"):
        dump.read("d.sql", "\\set a 1\nSELECT\n1 \\g |id\n", ())


def test_what_looks_like_a_command_or_rows_within_literals_comments_and_bodies_stays():
    text = "-- COPY t FROM stdin;\nCREATE FUNCTION f() RETURNS text AS $$ SELECT '\n\\x\nCOPY a FROM stdin;'$$;\n"
    assert dump.read("d.sql", text, ()) == dump.Dump(text, ())


def test_the_line_of_a_mistake_behind_a_command_is_the_files_own():
    with pytest.raises(ScenarioError, match=r"d\.sql:3: the string"):
        dump.read("d.sql", "\\set a 1\n\nSELECT 'x", ())


def test_what_follows_on_the_line_of_a_comment_is_run():
    made = dump.read("d.sql", "GRANT a TO b; CREATE TABLE t ();", ())
    assert made.text == "-- GRANT a TO b;\n CREATE TABLE t ();"


def test_functions_stand_in_for_those_of_uuid_ossp():
    made = dump.read("d.sql", 'CREATE EXTENSION "uuid-ossp" WITH SCHEMA public;\n', ())
    assert made.text.startswith("CREATE FUNCTION public.uuid_generate_v1() RETURNS uuid")
    assert made.text.endswith('; -- CREATE EXTENSION "uuid-ossp" WITH SCHEMA public;\n')


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("CREATE TABLE t (a int);\n\nCOPY public.t (a) FROM stdin;\nit's\n\\.\n", "d.sql:3: has rows"),
        ("", "there is no statement"),
        ("-- nothing\n", "there is no statement"),
        ("a\0b", "has a zero byte"),
        ("CREATE TABLE t (\n a text DEFAULT 'x", "d.sql:2: the string that begins here has no end"),
    ],
)
def test_what_is_no_schema_is_refused(text, said):
    with pytest.raises(ScenarioError, match=said):
        dump.read("d.sql", text, ())


# --- pg_stat_statements ---------------------------------------------------------------------

HEAD = "query,calls,total_exec_time\n"


def test_the_costliest_come_first_and_those_of_one_text_are_one():
    made = recorded.read("s.csv", f"{HEAD}SELECT a FROM t,5,1\nSELECT b FROM t,1,9\nSELECT a FROM t,5,2\n")
    assert [(one.name, one.calls, one.total_ms) for one in made.queries] == [("select_t", 1, 9), ("select_t_2", 10, 3)]


def test_what_is_left_out_is_told_and_counts_as_time_that_is_not_covered():
    others = ("COMMIT", "<insufficient privilege>", "SELECT * FROM pg_class", "SELECT 'x")
    text = f"{HEAD}SELECT a FROM t,5,1\n" + "".join(f"{one},1,1\n" for one in others)
    made = recorded.read("s.csv", text)
    assert made.share(made.queries) == pytest.approx(0.2)
    assert [one.partition("): ")[2] for one in made.notes] == [
        "commands, which are not asked in a mix",
        "another role's, not shown to who asked (pg_read_all_stats shows it)",
        "of the server's own catalogue",
        "cut off in the middle",
    ]


def test_what_was_planned_and_never_run_is_no_query_of_the_mix():
    made = recorded.read("s.csv", f"{HEAD}SELECT a FROM t,5,1\nINSERT INTO t VALUES ($1),0,0\n")
    assert [one.text for one in made.queries] == ["SELECT a FROM t"]
    assert made.notes == (
        "s.csv: left out (1: 'INSERT INTO t VALUES ($1)' ...): planned and never run to an end (calls is 0)",
    )


def test_without_times_no_share_is_said():
    made = recorded.read("s.csv", "Query\nSELECT 1\n")
    assert made.share(made.queries) is None


def test_of_many_queries_the_costliest_are_taken_and_it_is_told():
    rows = "".join(f"SELECT {n} FROM t,1,{n}\n" for n in range(50))
    made = recorded.read("s.csv", HEAD + rows)
    assert len(made.queries) == recorded.MOST
    assert made.queries[0].text == "SELECT 49 FROM t"
    assert made.notes == ("s.csv: the 20 costliest of 50 queries are taken",)


@pytest.mark.parametrize(
    ("words", "sql"),
    [
        ("date $1", "$1::date"),
        ("timestamp without time zone $1", "$1::timestamp without time zone"),
        ("interval\n $1", "$1::interval"),
        ("date, $1", "date, $1"),
        ("interval", "interval"),
        ('"date" $1', '"date" $1'),
        ("x /* date $1 */", "x /* date $1 */"),
    ],
)
def test_a_type_before_a_parameter_is_a_cast(words, sql):
    assert recorded.sql(words) == sql


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "s.csv:1: has no column `query`"),
        ("a,b\n1,2\n", "s.csv:1: has no column `query`"),
        (HEAD, "it has no rows"),
        (f"{HEAD}COMMIT,1,1\n", "commands, which are not asked"),
        (f"{HEAD}SELECT 1,many,1\n", "s.csv:2: calls: 'many' is no number"),
        (f'{HEAD}"SELECT 1,1,1\n', "is no CSV"),
        (f"{HEAD}SELECT 1\n", "s.csv:2: calls: '' is no number"),
    ],
)
def test_what_is_no_pg_stat_statements_is_refused(text, said):
    with pytest.raises(ScenarioError, match=said):
        recorded.read("s.csv", text)


# --- the command ----------------------------------------------------------------------------


def test_the_scenario_that_teaches_is_a_scenario():
    read = scenario.read("my-question", scenario.kept(lesson.files("my-question")), parts)
    assert list(read.candidates) == ["plain", "indexed"]


def test_init_writes_a_scenario_and_never_over_a_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(cli.app, ["init"])
    assert done.exit_code == 0, done.output
    assert "scenarios/my-question" in done.stdout
    kept = tmp_path / "scenarios" / "my-question" / "scenario.yaml"
    kept.write_text("mine")
    again = CliRunner().invoke(cli.app, ["init"])
    assert again.exit_code == 2
    assert "is there already" in again.stderr
    assert kept.read_text() == "mine"
    shutil.rmtree(kept.parent)


@pytest.mark.parametrize("name", ["a/b", "..", "", " ", "-x"])
def test_a_name_that_is_none_is_refused(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(cli.app, ["init", "--", name])
    assert done.exit_code == 2
    assert "is no name for a scenario" in done.stderr
    assert not (tmp_path / "scenarios").exists()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (b"PGDMP\x01\x0e", "is an archive of pg_dump's"),
        ("-- Größe\n".encode("latin-1"), "d.sql:1: is not UTF-8"),
        (None, "no such file"),
        ("folder", "is a folder"),
    ],
)
def test_a_file_that_is_no_dump_is_refused_with_the_way_out(given, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "d.sql"
    if given == "folder":
        path.mkdir()
    elif given is not None:
        path.write_bytes(given)
    done = CliRunner().invoke(cli.app, ["init", "x", "--schema", "d.sql"])
    assert done.exit_code == 2
    assert said in done.stderr
    assert not (tmp_path / "scenarios").exists()


def test_queries_without_tables_are_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ScenarioError, match="of which tables"):
        start.perform(start.Asked(queries=tmp_path / "s.csv"), print)


def test_keys_that_a_table_has_nothing_beside_are_told_apart():
    alone = Table("t", (Column("id", "int4", True, counted=True),), (("id",),))
    assert likely.dataset([alone], 10).streams["t"]["columns"] == {"id": {"type": "integer", "sequence": 1}}


def test_what_functions_asked_is_in_their_own_row_and_left_out():
    head = "toplevel,query,calls,total_exec_time\n"
    made = recorded.read("s.csv", f"{head}t,SELECT a FROM f(),5,10\nf,SELECT b FROM t,50,9\n")
    assert [one.text for one in made.queries] == ["SELECT a FROM f()"]
    assert made.share(made.queries) == 1.0
    assert made.notes[0].startswith("s.csv:3: left out (1): asked by functions")


@pytest.mark.parametrize("mark", [";", "\t"])
def test_another_delimiter_is_named(mark):
    with pytest.raises(ScenarioError, match=f"s.csv:1: the delimiter is {re.escape(repr(mark))}"):
        recorded.read("s.csv", mark.join(("query", "calls")) + "\n" + mark.join(("TABLE t", "1")))


def test_a_csv_with_a_zero_byte_is_refused():
    with pytest.raises(ScenarioError, match="zero byte"):
        recorded.read("s.csv", "query\nTABLE t\0\n")


def test_tables_whose_names_begin_like_the_catalogues_are_asked():
    made = recorded.read(
        "s.csv", "query\nSELECT a FROM pg_orders\nSELECT b FROM t JOIN pg_catalog.pg_class c ON true\n"
    )
    assert [one.text for one in made.queries] == ["SELECT a FROM pg_orders"]


# --- Alembic --------------------------------------------------------------------------------

OFFLINE = """BEGIN;
CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL);
CREATE TABLE users (id SERIAL PRIMARY KEY);
INSERT INTO alembic_version (version_num) VALUES ('a1');
COMMIT;
"""


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project whose migrations are Alembic's, and an Alembic on PATH that tells where and how it was called."""
    (tmp_path / "migrations" / "versions").mkdir(parents=True)
    (tmp_path / "migrations" / "env.py").touch()
    (tmp_path / "alembic.ini").touch()
    program = tmp_path / "bin" / "alembic"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\necho \"-- $PWD: $*\"\ncat <<'END'\n{OFFLINE}END\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
    return tmp_path


@pytest.mark.parametrize("given", [".", "migrations", "migrations/versions"])
def test_the_sql_of_alembics_migrations_is_what_alembic_itself_writes_offline(project, given):
    (script,) = alembic.written(alembic.home(project / given))
    assert script.text == f"-- {project}: -c alembic.ini upgrade heads --sql\n{OFFLINE}"
    made = dump.read(script.file, script.text, ())
    assert "\nCREATE TABLE users" in made.text
    assert "\n-- CREATE TABLE alembic_version" in made.text
    assert "\n-- INSERT INTO alembic_version" in made.text


def test_a_folder_of_plain_sql_is_none_of_alembics(tmp_path):
    (tmp_path / "V1__a.sql").touch()
    assert alembic.home(tmp_path) is None


def test_migrations_without_their_ini_are_refused_with_the_way_out(project):
    (project / "alembic.ini").unlink()
    with pytest.raises(ScenarioError, match=r"no alembic\.ini .name the folder that has it; or alembic upgrade heads"):
        alembic.home(project / "migrations")


def test_without_alembic_the_command_to_run_is_named(project, monkeypatch):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(PlaceError, match=r"not on PATH .*alembic upgrade heads --sql > schema\.sql"):
        alembic.written(project)


def test_migrations_that_fail_offline_are_told_with_alembics_last_words(project):
    (project / "bin" / "alembic").write_text("#!/bin/sh\necho CREATE TABLE half\necho 'no connection' >&2\nexit 1\n")
    with pytest.raises(ScenarioError, match=r"fails: no connection .*pg_dump -s"):
        alembic.written(project)
