"""SQL files become queries: what is a parameter, what is text, and what the header says."""

import random
import re
from types import SimpleNamespace

import pytest

from lab import commands, count, functions, statement, trial
from lab.errors import ScenarioError
from lab.model import Parameter, Query, SqlFile, Statement

HEAD = "-- params: a=e.a, b=e.b\n"


def compiled(text: str) -> list[tuple[str, tuple[int, ...]]]:
    """Text without the mark, and takes, of each statement of *text* under HEAD."""
    query = statement.read("q", "q.sql", HEAD + text)
    return [(one.text.replace(" /* pglab:q */", ""), one.takes) for one in query.statements]


def mistakes(text: str, **given) -> list[str]:
    with pytest.raises(ScenarioError) as found:
        statement.read("q", "q.sql", text, **given)
    return list(found.value.mistakes)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("SELECT :a", "SELECT $1"),
        ("SELECT :a, :b, :a", "SELECT $1, $2, $1"),
        ("SELECT :b, :a", "SELECT $1, $2"),
        ("SELECT :a::text, now()::date", "SELECT $1::text, now()::date"),
        ("SELECT a[1:2], a[:a]", "SELECT a[1:2], a[$1]"),
        ("SELECT ':a', 'it''s :b'", "SELECT ':a', 'it''s :b'"),
        (r"SELECT E'it\'s :b', :a", r"SELECT E'it\'s :b', $1"),
        (r"SELECT 'a\', :a", r"SELECT 'a\', $1"),
        ('SELECT ":a" AS "x"":b"', 'SELECT ":a" AS "x"":b"'),
        ("SELECT $$ :a $$, $x$ :b $$ ; $x$, :a", "SELECT $$ :a $$, $x$ :b $$ ; $x$, $1"),
        ("SELECT a$1, :a", "SELECT a$1, $1"),
        ("SELECT /* :b /* ; */ ' */ :a -- :b '", "SELECT /* :b /* ; */ ' */ $1"),
        ("SELECT f(x := :a)", "SELECT f(x := $1)"),
        ("SELECT 1e5, 7%(:a)", "SELECT 1e5, 7%($1)"),
        ("SELECT Ünïcode, :a", "SELECT Ünïcode, $1"),
        ("SELECT '%(x)s'", "SELECT '%(x)s'"),
    ],
)
def test_only_names_outside_text_are_parameters(text, wanted):
    assert [sql for sql, _ in compiled(text)] == [wanted]


def test_takes_lead_from_placeholders_to_the_querys_parameters():
    assert compiled("SELECT :b, :a, :b")[0][1] == (1, 0)


def test_several_statements_are_apart_and_number_from_one():
    assert compiled("UPDATE t SET a = :b;\n-- then\nSELECT :b, :a;;\n") == [
        ("UPDATE t SET a = $1", (1,)),
        ("SELECT $1, $2", (1, 0)),
    ]


def test_every_statement_carries_the_querys_mark():
    assert all("/* pglab:q */" in one.text for one in statement.read("q", "q.sql", "SELECT 1; SELECT 2").statements)


def test_the_header_says_how_a_query_is_sent_and_whether_its_order_counts():
    query = statement.read("q", "q.sql", "-- What it is for.\n-- send: literal\n-- order: total\nSELECT 1")
    assert (query.send, query.ordered) == ("literal", True)
    plain = statement.read("q", "q.sql", "SELECT 1 -- send: literal\n")
    assert (plain.send, plain.ordered) == ("prepared", False)


def test_prose_with_a_colon_is_no_directive():
    assert statement.read("q", "q.sql", "-- Note: orders: by day\n-- sender: nobody\nSELECT 1").send == "prepared"


def test_numbered_parameters_are_taken_by_their_number():
    query = statement.read("q", "q.sql", "-- params: $1=e.a, $2=e.b\nSELECT $2, $1")
    assert [p.name for p in query.params] == ["$1", "$2"]
    assert query.statements[0].takes == (1, 0)


def test_parameters_of_the_workload_come_before_the_header():
    given = (Parameter("a", "e.a"),)
    assert statement.read("q", "q.sql", "SELECT :a", params=given).params == given
    assert statement.read("q", "q.sql", "-- params: a=e.a\nSELECT :a", params=given).params == given
    assert mistakes("-- params: a=e.b\nSELECT :a", params=given) == [
        "q.sql:1: params: differ from what the workload says of this query "
        "(leave the line out; all candidates are asked the same)"
    ]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("SELECT 'a", ["q.sql:1: the string that begins here has no end"]),
        ('SELECT\n"a', ["q.sql:2: the quoted name that begins here has no end"]),
        ("SELECT $x$ $y$", ["q.sql:1: the dollar quote that begins here has no end"]),
        ("SELECT /* /* */", ["q.sql:1: the comment that begins here has no end"]),
        ("-- nothing\n;", ["q.sql:1: there is no statement in it (write one SQL statement)"]),
        ("SELECT\n%(x)s", ["q.sql:2: %(x)s is a placeholder of a Python driver (write :x)"]),
        ("SELECT :'x'", ["q.sql:1: :'x': psql's quoting of variables is not known here (write :name)"]),
        (
            "BEGIN; SELECT 1; COMMIT",
            [
                "q.sql:1: BEGIN: the statements of a file are one transaction already (leave it out)",
                "q.sql:1: COMMIT: the statements of a file are one transaction already (leave it out)",
            ],
        ),
        ("-- params: $1=e.a, b=e.b\nSELECT $1, :b", ["q.sql:2: $1 beside :b (write all by name, or all by number)"]),
        (
            "-- params: a=e.a\nSELECT\n:c",
            [
                "q.sql:3: :c: no source for its values (write  -- params: c=stream.column zipf(1.1)  "
                "at the top of the file, or params: in workload.yaml; known: a)"
            ],
        ),
        (
            "-- send: litteral\nSELECT 1",
            ["q.sql:1: send: unknown way 'litteral' (did you mean 'literal'? known: literal, prepared, unprepared)"],
        ),
        (
            "-- parms: a=e.a\nSELECT 1",
            ["q.sql:1: unknown directive 'parms' (did you mean 'params'? known: order, params, send)"],
        ),
        (
            "-- order: partial\nSELECT 1",
            [
                "q.sql:1: order: unknown order 'partial' "
                "(total: the rows' order is part of the answer; without the line it is not)"
            ],
        ),
        ("-- order: total\n-- order: total\nSELECT 1", ["q.sql:2: order: given twice (first in line 1)"]),
    ],
)
def test_a_text_that_cannot_be_meant_is_refused(text, wanted):
    assert mistakes(text) == wanted


@pytest.mark.parametrize(
    ("source", "wanted"),
    [
        ("events.device", Parameter("p", "events.device")),
        ("events.device zipf(1.1)", Parameter("p", "events.device", "zipf(1.1)")),
        ("events.device hotspot(0.1, 0.9)", Parameter("p", "events.device", "hotspot(0.1, 0.9)")),
        ("window.from", Parameter("p", "window.from")),
        ("window.to - 7d", Parameter("p", "window.to", "", -604_800.0)),
        ("window.from + 90m", Parameter("p", "window.from", "", 5_400.0)),
        ("uniform(1, 100)", Parameter("p", "", "uniform(1, 100)")),
    ],
)
def test_a_source_is_a_column_a_bound_or_a_law(source, wanted):
    assert statement.parameter("p", source) == wanted


NO_CONSTANT = "is no constant (a number, or a text in single quotes: constant('english'))"


@pytest.mark.parametrize(
    ("source", "wrong"),
    [
        (
            "my events.id",
            "'my events.id' is no source "
            '(names that are no plain words in double quotes: "my stream"."my column" zipf(1.1))',
        ),
        ("'english'", "'english' is no source (a text that is always the same: constant('english'))"),
        ("constant(english)", f"'constant(english)' {NO_CONSTANT}"),
        ("constant('it's')", f"""\"constant('it's')\" {NO_CONSTANT}"""),
        (
            "",
            "'' is no source (stream.column, stream.column zipf(1.1), stream.column + 7d, window.to - 7d, "
            "uniform(1, 100), "
            "or constant('a text'))",
        ),
        ("window.now", "unknown bound 'window.now' (did you mean 'window.to'? known: window.from, window.to)"),
        ("window.to - 7", "'7' is no duration (a duration such as 450ms, 20s or 2m)"),
        ("events.device zipf", "law 'zipf' does not have its arguments (it is written zipf(theta))"),
        (
            "events.device normal(1, 2)",
            "law 'normal(1, 2)' makes values of its own and chooses none of events (zipf(1.1))",
        ),
        ("zipf(1.1)", "law 'zipf(1.1)' has nothing to choose from (stream.column zipf(1.1))"),
    ],
)
def test_a_source_that_is_none_says_what_one_is(source, wrong):
    with pytest.raises(ValueError, match=f"^{re.escape(wrong)}$"):
        statement.parameter("p", source)


def test_all_mistakes_of_a_params_line_are_said_at_once():
    assert mistakes("-- params: a=x, b, a=e.a, c=e.c, c=e.d\nSELECT 1") == [
        "q.sql:1: params: a: 'x' is no source "
        "(stream.column, stream.column zipf(1.1), stream.column + 7d, window.to - 7d, uniform(1, 100), "
        "or constant('a text'))",
        "q.sql:1: params: 'b' is no parameter (write name=stream.column zipf(1.1))",
        "q.sql:1: params: c: given twice (give it one source)",
    ]


def test_the_bounds_of_a_step_are_literals_and_nothing_else_is_known():
    found = statement.bound("CALL drop(:to, ':to');\n VACUUM t -- now", {"to": "it's"}, "r.sql")
    assert [(one.line, one.text) for one in found] == [(1, "CALL drop('it''s', ':to')"), (2, "VACUUM t")]
    with pytest.raises(ScenarioError, match=r"^r.sql:2: :until: no such value in a step \(known: to\)$"):
        statement.bound("SELECT\n:until", {"to": ""}, "r.sql")


def test_a_statement_knows_the_line_that_it_begins_in_and_keeps_its_own_lines():
    text = "-- params: a=t.a\n\nSELECT 1;\n  -- of one\n  SELECT\n:a;\n"
    found = statement.read("q", "q.sql", text).statements
    assert [(one.line, one.text) for one in found] == [
        (3, "SELECT /* pglab:q */ 1"),
        (5, "SELECT /* pglab:q */\n$1"),
    ]


def test_nothing_of_a_text_is_lost_in_its_pieces():
    chance = random.Random(7)
    pieces = ["'", '"', "$$", "$x$", "/*", "*/", "--", "\n", ":a", "::", ";", "E'", "\\", "é", " ", "a1", "$1", "%"]
    for _ in range(500):
        text = "".join(chance.choice(pieces) for _ in range(12))
        try:
            found = list(statement.tokens("q.sql", text))
        except ScenarioError:
            continue
        assert "".join(token.text for token in found) == text
        assert [token.line for token in found] == sorted(token.line for token in found)


def test_names_that_are_no_plain_words_stand_in_double_quotes():
    line = """a="my, ""own"" events (1)"."b, c" zipf(1.1), d=events."ä b", e=uniform(1, 2)"""
    assert [(one.name, one.origin, one.law) for one in statement.parameters(line, "q.sql:1: params")] == [
        ("a", 'my, "own" events (1).b, c', "zipf(1.1)"),
        ("d", "events.ä b", ""),
        ("e", "", "uniform(1, 2)"),
    ]


@pytest.mark.parametrize(
    ("text", "writes", "moves"),
    [
        ("SELECT * FROM audit WHERE action = 'delete'", False, False),
        ("SELECT a FROM call", False, False),
        ("SELECT copy, e.into FROM t -- merge", False, False),
        ('SELECT "insert" FROM "truncate" /* for update */', False, False),
        ("SELECT $$ insert $$, max(share) FROM t", False, False),
        ("(VALUES (1)) UNION TABLE t", False, False),
        ("SELECT 1 FROM t FOR /* x */ UPDATE SKIP LOCKED", True, False),
        ("SELECT 1 FROM t FOR KEY SHARE", True, False),
        ("SELECT 1 INTO u FROM t", True, False),
        ("update t SET a = 1", True, False),
        ("with a AS (SELECT 1) -- now\n INSERT INTO t TABLE a", True, True),
        ("WITH a AS MATERIALIZED (\nDELETE FROM t RETURNING 1) TABLE a", True, True),
        ("MERGE INTO t USING u ON a = b WHEN MATCHED THEN DO NOTHING", True, True),
        ("TRUNCATE t", True, True),
        ("CALL p()", True, True),
        ("SELECT nextval('s')", True, False),
        ("SELECT lastval(), lo_get(1), pg_advisory_lock(1), nextval FROM t", False, False),
        ("SELECT note(1)", True, True),
        ('SELECT 1 FROM app . "note" /* x */ (1)', True, True),
        ("SELECT note FROM t WHERE pure(note) = 'note(1)' -- note(1)", False, False),
    ],
)
def test_a_query_writes_by_what_it_does_and_not_by_what_it_names(text, writes, moves):
    schema = [SqlFile("s.sql", "CREATE FUNCTION note(a int) RETURNS int AS 'INSERT INTO t VALUES (a)' LANGUAGE SQL;")]
    (query,) = functions.marked([Query("q", "q.sql", (Statement("SELECT 1"), Statement(text)))], schema)
    assert (count.writes(query), commands.only_reads(query)) == (writes, not writes)
    fact: dict[str, int] = {}
    instance, candidate = SimpleNamespace(name="heap"), SimpleNamespace(queries=(query,))
    kept = SimpleNamespace(candidate=candidate, instance=instance, cluster=None, rows=5, rows_there=lambda: 7)
    trial._reckon(kept, fact)
    assert fact == ({"rows_by_load": 2} if moves else {})


def test_a_text_that_is_always_the_same_is_a_source_whatever_stands_in_it():
    found = statement.parameters("""$1=constant('a, (b"'), $2=t.c, n=constant('it''s'), m=constant(10)""", "q.sql:1")
    assert [one.name for one in found] == ["$1", "$2", "n", "m"]
    assert [statement.constant(one.law) for one in found] == ['a, (b"', None, "it's", None]
