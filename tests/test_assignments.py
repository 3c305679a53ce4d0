"""Parameters that are written: which column each goes to, by the text alone."""

import pytest

from lab.assignments import targets
from lab.model import SqlFile

COLUMNS = {"t": ["a", "b", "c"], "Große Tabelle": ["x"]}


def of(text):
    """Parameter -> table.column, with + where it is of a new row."""
    found = targets(SqlFile("q.sql", text), COLUMNS)
    return {name: [f"{one.table}.{one.column}{'+' * one.inserted}" for one in each] for name, each in found.items()}


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("INSERT INTO t VALUES ($1, $2)", {"$1": ["t.a+"], "$2": ["t.b+"]}),
        ("insert into public.t as n (c) values (:x), (:y)", {"x": ["t.c+"], "y": ["t.c+"]}),
        ('INSERT INTO "Große Tabelle" VALUES (:x)', {"x": ["Große Tabelle.x+"]}),
        ("UPDATE ONLY public.t AS n SET a = :x::int, b = 2 WHERE c = :y", {"x": ["t.a"]}),
        (
            "WITH n AS (INSERT INTO t (a) VALUES (:x) RETURNING a) UPDATE t SET b = :y FROM n",
            {"x": ["t.a+"], "y": ["t.b"]},
        ),
        ("INSERT INTO t VALUES (abs(1), :x), ((2), :y)", {"x": ["t.b+"], "y": ["t.b+"]}),
        ("UPDATE t SET a = (SELECT 1 WHERE true), b = :x", {"x": ["t.b"]}),
        ("INSERT INTO t OVERRIDING USER VALUE VALUES (:x)", {"x": ["t.a+"]}),
    ],
)
def test_each_parameter_goes_to_the_column_of_its_place(text, wanted):
    assert of(text) == wanted


@pytest.mark.parametrize(
    "text",
    [
        "INSERT INTO t (a) VALUES (:x + 1)",
        "INSERT INTO t (a) VALUES (coalesce(:x, 1))",
        "UPDATE t SET a = greatest(:x, b), b = (SELECT max(a) FROM t WHERE c = :y)",
        "UPDATE t SET (a, b) = (:x, :y)",
        "INSERT INTO t SELECT :x",
        "SELECT a FROM t WHERE b = :x FOR UPDATE",
        "SET LOCAL work_mem = :x",
        "INSERT INTO unknown VALUES (:x)",
    ],
)
def test_what_is_computed_is_no_value_of_its_column(text):
    assert of(text) == {}


@pytest.mark.parametrize(
    "text", ["INSERT", "INSERT INTO", "INSERT INTO t (", "UPDATE", "UPDATE t SET", "INSERT INTO t VALUES (:x"]
)
def test_a_text_that_is_cut_off_gives_what_it_says(text):
    of(text)
