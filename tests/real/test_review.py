"""A review on a real server: each question finds what is wrong, at its line, and passes by what is fine."""

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import pytest

from lab import checklist, pg, replay, review
from lab.errors import IngestError
from lab.migration import Script

pytestmark = pytest.mark.server

# question -> SQL that is wrong, each line that is to be named marked `-- here`
WRONG = {
    "set-null-on-not-null": """
CREATE TABLE a_up (id bigint PRIMARY KEY);
CREATE TABLE a_down (
  id bigint PRIMARY KEY,
  up bigint NOT NULL REFERENCES a_up ON DELETE SET NULL  -- here
);
CREATE INDEX ON a_down (up);
""",
    "policy-without-row-security": """
CREATE TABLE b (id bigint PRIMARY KEY);
CREATE POLICY mine ON b USING (true);  -- here
""",
    "unique-in-one-partition": """
CREATE TABLE c (id bigint NOT NULL, at date NOT NULL, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
CREATE TABLE c_1 PARTITION OF c FOR VALUES FROM ('2026-01-01') TO ('2026-02-01');
CREATE UNIQUE INDEX c_1_id ON c_1 (id);  -- here
""",
    "index-not-valid": """
CREATE TABLE d (id bigint NOT NULL, at date NOT NULL, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
CREATE TABLE d_1 PARTITION OF d FOR VALUES FROM ('2026-01-01') TO ('2026-02-01');
CREATE INDEX ON ONLY d (at);  -- here
""",
    "key-numbers-run-out": """
CREATE TABLE e (
  id serial PRIMARY KEY  -- here
);
CREATE TABLE e2 (
  n int GENERATED ALWAYS AS IDENTITY UNIQUE,  -- here
  id bigint PRIMARY KEY
);
CREATE SEQUENCE e3_ids AS integer;
CREATE TABLE e3 (
  id bigint PRIMARY KEY DEFAULT nextval('e3_ids')  -- here
);
""",
    "foreign-key-of-another-type": """
CREATE TABLE f_up (id bigint PRIMARY KEY, small int NOT NULL UNIQUE);
CREATE TABLE f_down (
  id bigint PRIMARY KEY,
  up int NOT NULL REFERENCES f_up,  -- here
  other bigint NOT NULL REFERENCES f_up (small)  -- here
);
CREATE INDEX ON f_down (up);
CREATE INDEX ON f_down (other);
CREATE TABLE f_most (id numeric PRIMARY KEY);
CREATE TABLE f_more (
  id bigint PRIMARY KEY,
  up int NOT NULL REFERENCES f_most  -- here
);
CREATE INDEX ON f_more (up);
""",
    "sequence-ends": """
CREATE SEQUENCE g_round MAXVALUE 10 CYCLE;  -- here
CREATE SEQUENCE g_used AS integer;  -- here
SELECT setval('g_used', 2000000000);
""",
    "foreign-key-without-index": """
CREATE TABLE h_up (a bigint, b bigint, PRIMARY KEY (a, b));
CREATE TABLE h_down (id bigint PRIMARY KEY, a bigint NOT NULL, b bigint NOT NULL);
CREATE INDEX ON h_down (b, id);
ALTER TABLE h_down
  ADD CONSTRAINT h_fk FOREIGN KEY (a, b) REFERENCES h_up;  -- here
CREATE TABLE h_one (id bigint PRIMARY KEY);
CREATE TABLE h_brin (
  one bigint NOT NULL REFERENCES h_one,  -- here
  id bigint PRIMARY KEY
);
CREATE INDEX ON h_brin USING brin (one);
CREATE TABLE h_parts (
  one bigint NOT NULL REFERENCES h_one,  -- here
  id bigint PRIMARY KEY
) PARTITION BY RANGE (id);
CREATE TABLE h_parts_1 PARTITION OF h_parts FOR VALUES FROM (0) TO (9);
CREATE INDEX ON ONLY h_parts (one);  -- is not valid
""",
    "redundant-index": """
CREATE TABLE i (a int NOT NULL, b int NOT NULL, c int NOT NULL, PRIMARY KEY (a, b));
CREATE INDEX i_first ON i (a);  -- here
CREATE INDEX i_one ON i (b, c) INCLUDE (a);
CREATE INDEX i_two ON i (b, c);  -- here
CREATE INDEX i_three ON i (lower(a::text));
CREATE INDEX i_four ON i (lower(a::text));  -- here
CREATE TABLE i_parts (a int NOT NULL PRIMARY KEY, b int NOT NULL) PARTITION BY RANGE (a);
CREATE TABLE i_parts_1 PARTITION OF i_parts FOR VALUES FROM (0) TO (9);
CREATE INDEX i_narrow ON i_parts (b);
CREATE INDEX i_invalid ON ONLY i_parts (b, a);  -- no query uses it in place of i_narrow
""",
    "many-indexes": """
CREATE TABLE j (  -- here
  a int PRIMARY KEY, b int, c int, d int, e int, f int, g int, h int, i int);
CREATE INDEX ON j (b); CREATE INDEX ON j (c); CREATE INDEX ON j (d); CREATE INDEX ON j (e); CREATE INDEX ON j (f);
CREATE INDEX ON j (g); CREATE INDEX ON j (h); CREATE INDEX ON j (i);
""",
    "random-key": """
CREATE TABLE k (
  at timestamptz,
  id uuid PRIMARY KEY DEFAULT gen_random_uuid()  -- here
);
""",
    "index-on-one-partition": """
CREATE TABLE l (id bigint NOT NULL, at date NOT NULL, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
CREATE TABLE l_1 PARTITION OF l FOR VALUES FROM ('2026-01-01') TO ('2026-02-01');
CREATE INDEX l_1_at ON l_1 (at);  -- here
""",
    "no-primary-key": """
CREATE TABLE m (id bigint);  -- here
""",
    "default-partition": """
CREATE TABLE n (id bigint NOT NULL, at date NOT NULL, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
CREATE TABLE n_rest PARTITION OF n DEFAULT;  -- here
""",
    "unlogged-table": """
CREATE UNLOGGED TABLE o (id bigint PRIMARY KEY);  -- here
""",
    "constraint-not-valid": """
CREATE TABLE p (id bigint PRIMARY KEY, n int);
ALTER TABLE p ADD CONSTRAINT p_n CHECK (n > 0) NOT VALID;  -- here
""",
    "definer-without-search-path": """
CREATE FUNCTION q() RETURNS int LANGUAGE sql SECURITY DEFINER  -- here
AS 'SELECT 1';
CREATE PROCEDURE q_does(n int) LANGUAGE sql SECURITY DEFINER AS 'SELECT 1';  -- here
CREATE FUNCTION q_open() RETURNS int LANGUAGE sql SECURITY DEFINER SET search_path = public, "$user"  -- here
AS 'SELECT 1';
CREATE FUNCTION q_none() RETURNS int LANGUAGE sql SECURITY DEFINER SET search_path = '' AS 'SELECT 1';  -- here
CREATE FUNCTION q_first() RETURNS int LANGUAGE sql SECURITY DEFINER SET search_path = pg_temp, public  -- here
AS 'SELECT 1';
""",
    "unique-with-null": """
CREATE TABLE r (id bigint PRIMARY KEY, a int NOT NULL, b int);
ALTER TABLE r ADD UNIQUE (a, b);  -- here
""",
    "local-time": """
CREATE TABLE s (
  id bigint PRIMARY KEY,
  at timestamptz,
  made timestamp  -- here
);
ALTER TABLE s
  ALTER at TYPE timestamp;  -- here
""",
    "money-type": """
CREATE TABLE t (id bigint PRIMARY KEY);
ALTER TABLE t ADD COLUMN price money;  -- here
""",
    "json-as-text": """
CREATE TABLE u (
  id bigint PRIMARY KEY,
  "the doc" json  -- here
);
""",
    "padded-text": """
CREATE TABLE v (id bigint PRIMARY KEY,
  code char(3));  -- here
""",
    "foreign-key-may-be-null": """
CREATE TABLE w_up (a bigint, b bigint, PRIMARY KEY (a, b));
CREATE TABLE w_down (
  id bigint PRIMARY KEY,
  a bigint NOT NULL,
  b bigint,  -- here
  FOREIGN KEY (a, b) REFERENCES w_up
);
CREATE INDEX ON w_down (b, a);
""",
}
# What looks like it and is right: nothing of this may be found.
FINE = """
CREATE TABLE x_up (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL);
ALTER TABLE x_up ADD CONSTRAINT x_promised UNIQUE (id);  -- a promise, which is not an index to be dropped
CREATE TABLE x_down (
  id uuid PRIMARY KEY DEFAULT uuidv7(),
  up bigint REFERENCES x_up ON DELETE SET NULL,
  two bigint NOT NULL REFERENCES x_up,
  a bigint NOT NULL,
  n int NOT NULL,
  at timestamptz NOT NULL,
  doc jsonb,
  flag char,
  token uuid DEFAULT gen_random_uuid(),
  CHECK (n > 0)
);
ALTER TABLE x_down DROP COLUMN flag;
CREATE INDEX x_partial ON x_down (up) WHERE up IS NOT NULL;
CREATE INDEX x_two ON x_down (two, a);
CREATE INDEX x_desc ON x_down (two DESC);
CREATE INDEX x_hash ON x_down USING hash (two);
CREATE TABLE x_other (id bigint PRIMARY KEY, a int NOT NULL, b int, c text COLLATE "C");
CREATE UNIQUE INDEX x_unique ON x_other (a);
CREATE INDEX x_more ON x_other (a, id);
CREATE INDEX x_some ON x_other (b) WHERE b > 10;
CREATE INDEX x_all ON x_other (b, id);
CREATE UNIQUE INDEX x_null ON x_other (id, b) NULLS NOT DISTINCT;
CREATE INDEX x_collated ON x_other (c);
CREATE INDEX x_collated_too ON x_other (c COLLATE "POSIX", a);
CREATE TABLE x_many (id bigint NOT NULL, at date NOT NULL, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
CREATE TABLE x_many_1 PARTITION OF x_many FOR VALUES FROM ('2026-01-01') TO ('2026-02-01');
CREATE INDEX x_many_at ON x_many (at);
CREATE TABLE x_rows (id bigint PRIMARY KEY);
ALTER TABLE x_rows ENABLE ROW LEVEL SECURITY;
CREATE POLICY x_policy ON x_rows USING (true);
CREATE FUNCTION x_definer() RETURNS int LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'SELECT 1';
CREATE FUNCTION x_atomic() RETURNS int LANGUAGE sql SECURITY DEFINER BEGIN ATOMIC SELECT 1; END;
CREATE TABLE x_text (id text PRIMARY KEY, short varchar NOT NULL UNIQUE);
CREATE TABLE x_texts (id varchar PRIMARY KEY REFERENCES x_text, short text NOT NULL REFERENCES x_text (short));
CREATE INDEX ON x_texts (short);
CREATE TABLE x_ranges (id int4range PRIMARY KEY);
CREATE TABLE x_gist (id bigint PRIMARY KEY, one int4range NOT NULL REFERENCES x_ranges);
CREATE INDEX ON x_gist USING gist (one);
CREATE TABLE x_gone (id int, code char(3), at timestamp);
DROP TABLE x_gone;
CREATE SEQUENCE x_numbers;
SELECT setval('x_numbers', 2000000000);
"""
SCRIPTS = [*(Script(f"{name}.sql", sql) for name, sql in WRONG.items()), Script("fine.sql", FINE)]


@dataclass
class Done:
    replayed: replay.Replayed
    findings: list[review.Finding]
    left: list[review.Finding]  # when the SQL that each finding names was run


@pytest.fixture(scope="module")
def place(host, tmp_path_factory):
    with host.server("review", {}, tmp_path_factory.mktemp("logs")) as server:
        yield server


@pytest.fixture(scope="module")
def done(host, place) -> Done:
    replayed = replay.replay(place, host.psql(), SCRIPTS)
    with replay.asking(place) as asker, pg.connected(place.conninfo(user="pglab")) as admin:
        findings = list(review._findings(asker, replay.Origins(asker, SCRIPTS)))
        for remedy in dict.fromkeys(one.remedy for one in findings if one.remedy):
            pg.run(admin, remedy)
        left = list(review._findings(asker, replay.Origins(asker, SCRIPTS)))
    return Done(replayed, findings, left)


def test_every_question_has_its_case():
    assert set(WRONG) == {one.name for one in checklist.QUESTIONS}


def test_the_server_takes_all_of_the_cases(done):
    assert done.replayed == replay.Replayed((), ())


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_found_at_its_line_and_nowhere_else(done, name):
    lines = [n for n, line in enumerate(WRONG[name].splitlines(), 1) if "-- here" in line]
    assert lines
    found = sorted(int(one.place.partition(":")[2]) for one in done.findings if one.place.startswith(f"{name}.sql"))
    own = [one.place for one in done.findings if one.question == name and one.place.startswith(f"{name}.sql")]
    assert sorted(int(place.partition(":")[2]) for place in own) == lines
    extra = {one.question for one in done.findings if one.place.startswith(f"{name}.sql")} - {name}
    assert extra <= {"unique-with-null", "no-primary-key", "index-not-valid"}, found


def test_what_is_fine_is_passed_by(done):
    assert [one.what for one in done.findings if one.place.startswith("fine.sql")] == []


def test_every_finding_has_a_place_in_a_file(done):
    assert [one for one in done.findings if ":" not in one.place] == []


def test_the_sql_that_puts_it_right_runs_and_does_so(done):
    asked = {one.question for one in done.findings if one.remedy}
    assert len(asked) > 15
    assert [one for one in done.left if one.remedy] == []


# --- files as they come ---------------------------------------------------------------------

DUMP = """\
--
-- PostgreSQL database dump
--

\\restrict abc

SET client_encoding = 'UTF8';
SELECT pg_catalog.set_config('search_path', '', false);
CREATE SCHEMA shop;
ALTER SCHEMA shop OWNER TO keeper;
CREATE SCHEMA public;
CREATE EXTENSION IF NOT EXISTS postgis WITH SCHEMA public;
CREATE EXTENSION IF NOT EXISTS plpgsql WITH SCHEMA pg_catalog;
COMMENT ON EXTENSION plpgsql IS 'PL/pgSQL';
CREATE TABLE shop.orders (
    id bigint NOT NULL,
    "where" public.geometry
);
CREATE TABLE shop.items (
    id integer NOT NULL
);
ALTER TABLE shop.items OWNER TO keeper;
CREATE POLICY own ON shop.items TO reader USING (true);
COPY shop.items (id) FROM stdin;
1
\\.
GRANT SELECT ON TABLE shop.items TO reader;
\\unrestrict abc
"""


def test_a_dump_with_owners_and_extensions_that_are_missing_is_reviewed_for_the_rest(host, place):
    scripts = [Script("dump.sql", DUMP.replace("\\restrict abc", "").replace("\\unrestrict abc", ""))]
    replayed = replay.replay(place, host.psql(), scripts)
    assert replayed.roles == ("keeper", "reader")
    told = [one.said for one in replayed.refused]
    assert [one.partition(": ")[0] for one in told] == ["dump.sql:12", "dump.sql:17"]
    assert "--on docker" in told[0]
    with replay.asking(place) as asker:
        found = list(review._findings(asker, replay.Origins(asker, scripts)))
        assert pg.ask(asker, "SELECT tableowner FROM pg_tables WHERE tablename = 'items'") == {"tableowner": "keeper"}
    assert [(one.question, one.place) for one in found] == [
        ("policy-without-row-security", "dump.sql:23"),
        ("no-primary-key", "dump.sql:19"),
    ]


def test_a_strangers_file_runs_nothing_on_this_machine(host, place, tmp_path):
    made = tmp_path / "made"
    lines = f"\\! touch {made}\n\\o {made}\nCREATE TABLE a (id int); \\copy a to {made}\n\\i /etc/passwd\n"
    replayed = replay.replay(place, host.psql(), [Script("a.sql", lines)])
    assert not made.exists()
    assert [one.said.partition(": ")[0] for one in replayed.refused] == ["a.sql:1", "a.sql:2", "a.sql:3", "a.sql:4"]
    assert "psql's own commands are not run" in replayed.refused[0].said


MARK = """
CREATE FUNCTION public.mark() RETURNS text LANGUAGE plpgsql AS $$
BEGIN
  COPY (SELECT 1) TO PROGRAM 'touch {made}';
  RETURN 'led astray';
EXCEPTION WHEN insufficient_privilege THEN
  RETURN 'led astray';
END $$;
CREATE TABLE a (id bigint, other json);
"""
ATTACKS = {
    "a temporary view in place of a catalogue": """
CREATE TEMP VIEW pg_policy AS SELECT length(public.mark())::oid AS oid;
CREATE TEMP VIEW pg_proc AS SELECT length(public.mark())::oid AS oid;
CREATE TABLE b (id int);
""",
    "a function that fits better": """
CREATE POLICY mine ON a USING (true);
CREATE FUNCTION public.format(text, name, regclass) RETURNS text LANGUAGE sql AS 'SELECT public.mark()';
""",
    "a search_path of the database": """
CREATE FUNCTION public.quote_ident(text) RETURNS text LANGUAGE sql AS 'SELECT public.mark()';
ALTER DATABASE lab SET search_path = public, pg_catalog;
ALTER ROLE lab SET search_path = public, pg_catalog;
""",
}


@pytest.fixture
def made():
    """A file that the server's own user could make."""
    with tempfile.TemporaryDirectory(prefix="pglab-made-") as folder:
        Path(folder).chmod(0o777)
        yield Path(folder) / "made"


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_strangers_sql_is_never_run_with_more_rights_and_answers_no_question(
    host, tmp_path, monkeypatch, made, attack
):
    monkeypatch.setattr(host, "workdir", lambda name: tmp_path / name)
    scripts = [Script("a.sql", MARK.format(made=made) + ATTACKS[attack])]
    found = review.review("a", tmp_path / "a.sql", scripts, host).findings
    assert not made.exists()
    assert {"no-primary-key", "json-as-text"} <= {one.question for one in found}
    assert [one for one in found if "astray" in f"{one.what}{one.remedy}"] == []


def test_the_catalogue_is_asked_without_rights_by_a_path_that_is_not_the_authors(host, place):
    replay.replay(place, host.psql(), [Script("a.sql", "ALTER ROLE lab SET search_path = public, pg_catalog;\n")])
    with replay.asking(place) as asker:
        assert pg.ask(asker, "SELECT session_user, current_setting('search_path') AS path") == {
            "session_user": "lab",
            "path": "pg_catalog, pg_temp",
        }
    with pg.connected(place.conninfo()) as own:
        pg.run(own, "ALTER ROLE lab RESET search_path")


def test_sql_that_shuts_the_server_to_questions_is_told(host, tmp_path, monkeypatch):
    monkeypatch.setattr(host, "workdir", lambda name: tmp_path / name)
    scripts = [Script("a.sql", "CREATE TABLE a (id int);\nALTER DATABASE lab CONNECTION LIMIT 0;\n")]
    with pytest.raises(IngestError, match=r"cannot be asked after this SQL: .*too many connections"):
        review.review("a", tmp_path / "a.sql", scripts, host)


def test_an_application_name_of_the_authors_own_is_no_place(host, place):
    scripts = [Script("a.sql", "SET application_name = 'pglab review 9';\nCREATE TABLE a (id int);\n")]
    replay.replay(place, host.psql(), scripts)
    with replay.asking(place) as asker:
        assert [one.place for one in review._findings(asker, replay.Origins(asker, scripts))] == [""]


def test_a_unique_key_is_named_without_what_it_carries_and_only_where_nothing_may_be_null(host, place):
    table = "CREATE TABLE a (a int NOT NULL, b int, UNIQUE (a) INCLUDE (b), UNIQUE (b));"
    replay.replay(place, host.psql(), [Script("a.sql", table)])
    with replay.asking(place) as asker:
        (found,) = pg.rows(asker, pg.query("review_primary_key"))
    assert found["what"] == "table public.a has no primary key, though (a) is unique"


def test_a_failed_statement_takes_nothing_of_its_transaction_with_it(host, place):
    scripts = [Script("a.sql", "BEGIN;\nCREATE TABLE a (id int);\nDROP TABLE b;\nCREATE TABLE c (id int);\nCOMMIT;\n")]
    assert [one.said for one in replay.replay(place, host.psql(), scripts).refused] == [
        'a.sql:3: ERROR: table "b" does not exist'
    ]
    with replay.asking(place) as asker:
        assert pg.ask(asker, pg.query("review_scope"))["tables"] == 2


def test_a_statement_that_is_written_twice_is_found_at_its_own_line(host, place):
    once = "DROP TABLE IF EXISTS a;\nCREATE TABLE a (id int);\n"
    scripts = [Script("1.sql", once * 2), Script("2.sql", "ALTER TABLE a\n  ADD b json,\n  ADD c money;\n")]
    replay.replay(place, host.psql(), scripts)
    with replay.asking(place) as asker:
        found = {one.question: one.place for one in review._findings(asker, replay.Origins(asker, scripts))}
    assert found == {"no-primary-key": "1.sql:4", "json-as-text": "2.sql:2", "money-type": "2.sql:3"}


def test_a_role_that_only_another_version_has_is_refused_and_the_rest_is_reviewed(host, place):
    scripts = [Script("a.sql", "CREATE TABLE a (id int);\nGRANT pg_of_another_version TO lab;\n")]
    replayed = replay.replay(place, host.psql(), scripts)
    assert ([one.said for one in replayed.refused], replayed.roles) == (
        ['a.sql:2: ERROR: role "pg_of_another_version" does not exist'],
        (),
    )


def test_a_script_that_does_not_end_is_told(host, place, monkeypatch):
    monkeypatch.setattr(replay, "PATIENCE_S", 0.5)
    with pytest.raises(IngestError, match="leave the data out"):
        replay.replay(place, host.psql(), [Script("a.sql", "SELECT pg_sleep(60);")])


# --- the command ----------------------------------------------------------------------------


def pglab(repo, *words):
    program = [sys.executable, "-m", "lab.cli"]
    env = {**os.environ, "PYTHONPATH": str(repo)}
    return subprocess.run([*program, *words], capture_output=True, text=True, check=False, cwd="/", env=env)


def test_the_review_is_written_and_an_edited_one_is_kept(repo, tmp_path):
    schema = tmp_path / "schema.sql"
    schema.write_text("CREATE TABLE a (id int);\n")
    target = tmp_path / "doc" / "schema.review.md"
    words = ("review", str(schema), "--doc", str(tmp_path / "doc"))
    done = pglab(repo, *words)
    assert (done.returncode, done.stdout) == (
        0,
        f"I have created a review at {target}, please read that first before you proceed\n",
    )
    assert "tables: 1, findings: 1 (1 risk)" in done.stderr
    first = target.read_text()
    assert pglab(repo, *words).stderr == done.stderr, "as it was: nothing to keep"
    target.write_text(first + "\nMine.\n")
    assert "it is kept as" in pglab(repo, *words).stderr
    (kept,) = (tmp_path / "doc").glob("schema.review.edited-*.md")
    assert (kept.read_text(), target.read_text()) == (first + "\nMine.\n", first)
    data = json.loads(pglab(repo, *words, "--json").stdout)
    assert [one["place"] for one in data["findings"]] == [f"{schema}:1"]
    assert set(data["questions"]) == {"no-primary-key"}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("CREATE TABLE a (id int);\nSELEC 1;\n", ":2: ERROR: syntax error"),
        ("ALTER TABLE a ADD b int;\n", ":1: ERROR: relation"),
        ("", "makes no table"),
    ],
)
def test_what_cannot_be_reviewed_is_a_message_and_status_2(repo, tmp_path, text, told):
    schema = tmp_path / "schema.sql"
    schema.write_text(text)
    done = pglab(repo, "review", str(schema), "--doc", str(tmp_path / "doc"))
    assert (done.returncode, done.stdout) == (2, "")
    assert told in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "doc").exists()
