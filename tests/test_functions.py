"""Functions of a schema that may write are told by how they are declared, and who calls them is no reader."""

import pytest

from lab import commands, design, functions
from lab.model import SqlFile
from tests import authored

PLPGSQL = "CREATE FUNCTION f(a int = 1) RETURNS int LANGUAGE plpgsql {} AS $$ BEGIN RETURN 1; END $$;"


@pytest.mark.parametrize(
    ("schema", "found"),
    [
        (PLPGSQL.format(""), {"f"}),
        (PLPGSQL.format("VOLATILE COST 10"), {"f"}),
        (PLPGSQL.format("STABLE"), set()),
        (PLPGSQL.format("IMMUTABLE"), set()),
        (PLPGSQL.format("-- not STABLE\n"), {"f"}),
        (PLPGSQL.format("STABLE") + PLPGSQL.format("").replace("a int", "a text"), {"f"}),
        ("create or replace function app.F(stable int) returns table (a int) as '/lib' language c", {"f"}),
        ("CREATE FUNCTION \"F g\"(a numeric(3, 1)) RETURNS int AS $b$ SELECT $$INSERT$$ $b$ LANGUAGE 'sql'", set()),
        ("CREATE FUNCTION f() RETURNS void LANGUAGE sql AS 'SELECT ''; x''; DELETE FROM t'", {"f"}),
        ("CREATE FUNCTION f() RETURNS void LANGUAGE sql AS E'SELECT 1\\n'", {"f"}),
        ("CREATE FUNCTION f() RETURNS int BEGIN ATOMIC TABLE t; UPDATE t SET a = 1 RETURNING a; END; SELECT 1", {"f"}),
        ("CREATE FUNCTION f() RETURNS int BEGIN ATOMIC TABLE t; END; INSERT INTO t VALUES (1)", set()),
        ("CREATE FUNCTION f() RETURNS int RETURN 1", set()),
        ("CREATE FUNCTION f() RETURNS int RETURN g(); CREATE FUNCTION g() RETURNS int RETURN nextval('s')", {"f", "g"}),
        ("CREATE TABLE function (a int); CREATE PROCEDURE p() LANGUAGE sql AS 'TRUNCATE t'", set()),
        ("CREATE TRIGGER x AFTER INSERT ON t EXECUTE FUNCTION f()", set()),
    ],
)
def test_what_is_declared_neither_stable_nor_immutable_may_write_but_for_sql_that_only_reads(schema, found):
    assert functions.writing([SqlFile("schema.sql", schema)]) == found


def test_a_query_may_write_in_that_candidate_alone_whose_schema_says_so():
    asked = {"workload/by_id.sql": "-- params: id=events.id\nSELECT f(:id) FROM events\n"}
    plain = "CREATE TABLE events (id bigint);\n"
    read = authored.read(authored.FILES | asked | {"heap.sql": plain + PLPGSQL.format("")})
    assert [commands.only_reads(one) for one in read.candidates["heap"].queries] == [True, False]
    assert all(commands.only_reads(one) for one in read.candidates["by-day"].queries)
    assert design.design(read, seed=1)  # identities are made of what was written


def test_a_function_that_load_sql_makes_is_seen_too():
    files = authored.edited(("scenario.yaml", "    hypothesis: plain\n", "    hypothesis: plain\n    load: load.sql\n"))
    asked = {"workload/by_id.sql": "-- params: id=events.id\nSELECT f(:id) FROM events\n"}
    read = authored.read(files | asked | {"load.sql": PLPGSQL.format("")})
    assert not commands.only_reads(read.candidates["heap"].queries[1])


ROWS = "COPY notes FROM stdin;\nit's here\n\\.\n"


@pytest.mark.parametrize(
    ("schema", "found"),
    [
        (PLPGSQL.format("") + ROWS, {"f"}),
        (ROWS + PLPGSQL.format(""), set()),  # the server knows
        ("CREATE FUNCTION f() AS $$", set()),
        (PLPGSQL.format("") + "CREATE FUNCTION g() RETURNS int BEGIN ATOMIC SELECT 'a", {"f"}),
        ("CREATE FUNCTION g() RETURNS int STABLE AS $$ # it's $$ LANGUAGE plpython3u;" + PLPGSQL.format(""), {"f"}),
        ("CREATE FUNCTION g() RETURNS int AS $$ # it's $$ LANGUAGE plpython3u;" + PLPGSQL.format(""), {"f", "g"}),
    ],
)
def test_what_is_no_sql_is_unknown_and_the_functions_before_it_count(schema, found):
    assert functions.writing([SqlFile("schema.sql", schema)]) == found


def test_a_schema_with_functions_and_rows_that_hold_a_lone_quote_is_read():
    plain = "CREATE TABLE events (id bigint);\n"
    asked = {"workload/by_id.sql": "-- params: id=events.id\nSELECT f(:id) FROM events\n"}
    read = authored.read(authored.FILES | asked | {"heap.sql": plain + PLPGSQL.format("") + ROWS})
    assert [commands.only_reads(one) for one in read.candidates["heap"].queries] == [True, False]
