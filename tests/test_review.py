"""A review without a server: which files, what squawk remarks, what the page says."""

import json
import re

import pytest

from lab import checklist, lint, metrics, migration, review, written
from lab.errors import PlaceError, ScenarioError
from lab.migration import Script
from lab.replay import Refused
from tests import authored

# --- which files ----------------------------------------------------------------------------


def names(scripts, top):
    return [one.file.removeprefix(f"{top.as_posix()}/") for one in scripts]


def test_migrations_go_in_the_order_of_their_names_and_numbers_by_value(tmp_path):
    listed = ("10_b.sql", "9_a.sql", "R__views.sql", "V2__x.sql", "V10__y.sql", "2026/up.sql", "readme.md", ".old.sql")
    for name in listed:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("SELECT 1;\n")
    found = names(migration.read(tmp_path), tmp_path)
    assert found == ["9_a.sql", "10_b.sql", "2026/up.sql", "V2__x.sql", "V10__y.sql", "R__views.sql"]


@pytest.mark.parametrize("name", ["1_a.down.sql", "down.sql", "U1__a.sql", "1_a.undo.sql", "1-rollback.sql"])
def test_what_undoes_a_migration_is_not_applied(tmp_path, name):
    (tmp_path / "1_a.up.sql").write_text("CREATE TABLE a ();\n")
    (tmp_path / name).write_text("DROP TABLE a;\n")
    assert names(migration.read(tmp_path), tmp_path) == ["1_a.up.sql"]


@pytest.mark.parametrize("mark", ["-- migrate:down", "-- +goose Down", "-- +migrate Down"])
def test_the_part_of_a_file_that_undoes_it_is_left_out_and_lines_stay_where_they_are(tmp_path, mark):
    path = tmp_path / "a.sql"
    path.write_text(f"CREATE TABLE a ();\n{mark}\nDROP TABLE a;\n")
    (script,) = migration.read(path)
    assert script.text == "CREATE TABLE a ();\n\n\n"


def test_the_key_of_a_dump_is_left_out_as_the_review_has_its_own(tmp_path):
    path = tmp_path / "a.sql"
    path.write_text("\\restrict abc\nSELECT 1;\n\\unrestrict abc\n")
    assert migration.read(path)[0].text == "\nSELECT 1;\n\n"


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("gone.sql", None, "no such file or folder"),
        ("empty", (), "no *.sql file"),
        ("undone", ("1.down.sql",), "only files that undo"),
        ("dump.sql", b"PGDMP\x01\x0e", "pg_restore -s"),
        ("latin.sql", b"SELECT 1;\nSELECT '\xe9';\n", "latin.sql:2: is not UTF-8"),
    ],
)
def test_what_is_no_schema_is_told_with_the_way_out(tmp_path, name, content, told):
    path = tmp_path / name
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        path.mkdir()
        for file in content:
            (path / file).write_text("")
    with pytest.raises(ScenarioError, match=re.escape(told)) as raised:
        migration.read(path)
    assert str(path) in str(raised.value)


# --- squawk ---------------------------------------------------------------------------------

MIGRATION = Script(
    "m/1.sql",
    "\\set a b\nCOPY t FROM stdin;\n1\tx\n\\.\n\n"
    "CREATE INDEX ON orders (customer);\nALTER TABLE t ADD a int, ADD b char(2);\n",
)


def test_squawk_remarks_on_migrations_by_file_and_line():
    found = {one.rule: one for one in lint.lint([MIGRATION], migrations=True)}
    one = found["require-concurrent-index-creation"]
    assert (one.file, one.line, one.page) == ("m/1.sql", 6, f"{lint.PAGES}require-concurrent-index-creation")
    assert one.what
    assert one.right
    assert lint.SYNTAX not in found, "what only psql understands is no mistake"


def test_what_the_catalogue_answers_better_is_not_asked_twice():
    assert not {one.rule for one in lint.lint([MIGRATION], migrations=True)} & lint.ASKED_ELSEWHERE


def test_of_a_schema_squawk_says_nothing_about_locks():
    scripts = [Script("s.sql", "CREATE TABLE a (id serial PRIMARY KEY);\nCREATE INDEX ON b (c);\n")]
    assert {one.rule for one in lint.lint(scripts, migrations=False)} == {"prefer-identity"}


def test_a_squawk_that_fails_is_told(tmp_path, monkeypatch):
    (tmp_path / ".squawk.toml").write_text("nonsense")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(PlaceError, match=r"squawk\.toml"):
        lint.lint([MIGRATION], migrations=True)


# --- the checklist --------------------------------------------------------------------------


@pytest.mark.parametrize("question", checklist.QUESTIONS, ids=lambda one: one.name)
def test_a_question_says_why_what_is_right_when_it_is_fine_and_what_to_measure(question):
    for words in (question.why, question.right, question.fine, question.measure):
        assert re.fullmatch(r"[A-Za-z].*\.", words, re.DOTALL), words
        assert "  " not in words
        assert not re.search(r"\d+ ?(%|ms|times)|faster by|slower by", words), "no speed is claimed"
    assert re.fullmatch(r"[a-z-]+\.html(#[A-Z-]+)?", question.page)
    assert {name for name in question.metrics if metrics.find(name.replace("<query>", "q")) is None} == set()


def test_the_names_of_questions_differ():
    assert len({one.name for one in checklist.QUESTIONS}) == len(checklist.QUESTIONS) >= 10


def test_every_question_is_in_the_docs_under_its_weight(repo):
    rows = [line.split("|") for line in (repo / "docs" / "review.md").read_text().splitlines() if line.startswith("| ")]
    told = {row[1].partition(":")[0].strip(): set(re.findall(r"`([a-z-]+)`", row[2])) for row in rows}
    for weight in checklist.WEIGHTS:
        assert told[weight] == {one.name for one in checklist.QUESTIONS if one.weight == weight}


# --- the page -------------------------------------------------------------------------------


def finding(question="redundant-index", place="s.sql:3", **more):
    weight = next(one.weight for one in checklist.QUESTIONS if one.name == question)
    given = {"object": "a", "what": "index b has the same keys as c", "remedy": "DROP INDEX b;", **more}
    return review.Finding(question=question, weight=weight, place=place, **given)


def reviewed(**changes):
    given = {
        "name": "shop",
        "path": "db/schema.sql",
        "migrations": False,
        "scripts": 1,
        "postgres": "18.6",
        "squawk": "2.70.0",
        "scope": {"tables": 2, "partitions": 0, "indexes": 3, "foreign_keys": 1},
        "findings": (finding(), finding("local-time", "s.sql:9", what="a.at is timestamp without time zone")),
        "remarks": (),
        "refused": (),
        "roles": (),
    }
    return review.Reviewed(**{**given, **changes})


def test_the_page_says_of_each_finding_where_what_why_what_is_right_and_what_to_measure():
    page = review.page(reviewed())
    (question,) = (one for one in checklist.QUESTIONS if one.name == "redundant-index")
    section = page.partition("## redundant-index")[2].partition("\n## ")[0]
    bare = section.replace("\\", "")
    assert "- `s.sql:3`: index b has the same keys as c" in section
    for words in (question.why, question.right, question.fine, question.measure):
        assert words in bare
    assert f"({checklist.MANUAL}{question.page})" in section
    assert "```sql\nDROP INDEX b;\n```" in section


def test_errors_come_before_risks_and_those_before_costs():
    page = review.page(reviewed(findings=(finding(), finding("local-time"), finding("index-not-valid"))))
    at = [page.index(f"## {name} (") for name in ("index-not-valid", "local-time", "redundant-index")]
    assert at == sorted(at)


def test_what_the_server_refused_and_the_stand_ins_are_told():
    page = review.page(reviewed(refused=(Refused("0A000", "s.sql:1: ERROR: no <postgis>"),), roles=("keeper",)))
    assert "- s.sql:1: ERROR: no \\<postgis\\>" in page
    assert "a stand-in without rights was made for each: `keeper`" in page


def test_words_of_others_cannot_act_in_the_page():
    nasty = "<script>`x`\n# head | {{ book }}"
    page = review.page(reviewed(findings=(finding(what=nasty, place=nasty),), path=nasty))
    assert "\n# head" not in page
    assert "<script>" not in re.sub(r"`[^`\n]*`", "", page)


def test_many_places_of_one_question_are_counted_and_not_all_listed():
    page = review.page(reviewed(findings=tuple(finding(place=f"s.sql:{n}") for n in range(1, 51))))
    assert "s.sql:20`" in page
    assert "s.sql:21`" not in page
    assert "and 30 more" in page


def test_remarks_of_squawk_are_told_by_rule_with_their_places():
    remarks = (
        lint.Remark("ban-drop-column", "m/1.sql", 3, "Dropping a column may break clients.", ""),
        lint.Remark("ban-drop-column", "m/2.sql", 7, "Dropping a column may break clients.", ""),
    )
    page = review.page(reviewed(remarks=remarks, migrations=True, scripts=2))
    assert page.count("Dropping a column may break clients.") == 1
    assert "`m/1.sql:3`, `m/2.sql:7`" in page
    assert f"]({lint.PAGES}ban-drop-column)" in page


def test_a_schema_with_nothing_to_find_says_so_and_what_was_not_looked_at():
    page = review.page(reviewed(findings=()))
    assert "No question of the checklist found anything." in page
    assert "Nothing that was found waits for a measurement." in page
    assert "## What this review did not look at" in page
    assert all(one.name in page for one in checklist.QUESTIONS)


def test_the_same_review_gives_the_same_page():
    assert review.page(reviewed()) == review.page(reviewed())


def test_all_that_was_found_is_in_the_json():
    data = json.loads(json.dumps(review.data(reviewed())))
    assert [one["place"] for one in data["findings"]] == ["s.sql:3", "s.sql:9"]
    assert set(data["questions"]) == {"redundant-index", "local-time"}


def test_the_scenario_that_a_review_sketches_can_be_read():
    sketch = review.sketch(reviewed(name="events"))
    schemas = {f"{name}.sql": "CREATE TABLE events (id bigint);\n" for name in ("as-it-is", "fixed-redundant-index")}
    read = authored.read({**authored.FILES, **schemas, "scenario.yaml": sketch})
    assert list(read.candidates) == ["as-it-is", "fixed-redundant-index"], "local-time is decided by no metric"
    assert read.baseline == "as-it-is"


def test_no_scenario_is_sketched_where_nothing_is_to_be_measured():
    assert review.sketch(reviewed(findings=(finding("local-time"),))) == ""


def test_a_page_is_ours_until_a_person_edits_it():
    page = review.page(reviewed())
    assert review.ours(page)
    assert not review.ours(page.replace("Why it matters", "Why"))
    assert not review.ours(page + "\nMine.\n")
    assert not review.ours("")


def test_an_edited_page_is_kept_under_another_name_each_time(tmp_path):
    target = tmp_path / "doc" / "a.review.md"
    assert written.replace(target, "one", bool) == ()
    assert written.replace(target, "two", bool) == ()
    assert list(target.parent.iterdir()) == [target]
    for text in ("three", "four"):
        assert "is kept as" in written.replace(target, text, lambda text: not text)[0]
    kept = sorted(one.read_text() for one in target.parent.glob("a.review.edited-*.md"))
    assert (kept, target.read_text()) == (["three", "two"], "four")


def test_a_folder_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / "doc").write_text("")
    with pytest.raises(PlaceError, match="--doc"):
        written.replace(tmp_path / "doc" / "a.md", "one", bool)


def test_a_name_that_is_none_is_told(tmp_path):
    (tmp_path / "a b.sql").write_text("SELECT 1;")
    asked = review.Asked(tmp_path / "a b.sql", tmp_path)
    with pytest.raises(ScenarioError, match="--name"):
        review.perform(asked, print)


def test_a_host_that_is_none_is_told(tmp_path):
    (tmp_path / "a.sql").write_text("SELECT 1;")
    with pytest.raises(ScenarioError, match="--on auto: no such host \\(docker or embedded\\)"):
        review.perform(review.Asked(tmp_path / "a.sql", tmp_path, on="auto"), print)
