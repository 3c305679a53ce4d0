"""What pg_stats say of a column takes the place of what was guessed after the schema, and no more than that."""

import numpy as np
import pytest

from lab import alike, draw, frequencies, likely, recorded
from lab.alike import Counted, Seen
from lab.errors import ScenarioError
from lab.tables import Column, Foreign, Table

SHOP = Table("shop", (Column("id", "int4", True), Column("name", "text")), (("id",),))


def rows(*columns, counted=None, shops=1000, rows=10_000, foreign=(), checks=()):
    """The columns of data.yaml for a table of *columns* that refers to a shop, and the notes."""
    tables = (SHOP, Table("sale", columns, (), (Foreign(("shop",), "shop", ("id",)),) if foreign else (), checks))
    known = {"shop": Counted(shops), "sale": Counted(rows, counted)}
    sizes = alike.sizes(known, rows)
    made = alike.adjusted(likely.dataset(tables, rows, sizes), tables, known, rows)
    return made.streams["sale"]["columns"], made.notes


def one(column, seen, **others):
    columns, _ = rows(column, counted={column.name: seen}, **others)
    return columns[column.name]


KINDS = Seen(nulls=0.2, width=6, distinct=2, shares=(0.6, 0.2), values=())


def test_of_few_values_the_frequencies_are_kept_and_the_values_invented():
    assert one(Column("kind", "text"), KINDS)["choices"] == {"v1xxx": 0.75, "v2xxx": 0.25}
    assert one(Column("kind", "text"), KINDS)["nulls"] == 0.2
    assert one(Column("kind", "bool"), KINDS)["choices"] == {"false": 0.75, "true": 0.25}
    assert "nulls" not in one(Column("kind", "int4", not_null=True), KINDS)


def test_with_consent_the_values_are_the_servers_own():
    seen = Seen(0, 6, 2, (0.75, 0.25), values=("web", "app"))
    assert one(Column("kind", "text"), seen)["choices"] == {"web": 0.75, "app": 0.25}
    labels = Column("kind", "state", labels=("old", "app", "web"))
    assert one(labels, seen)["choices"] == {"old": 0.0, "app": 0.25, "web": 0.75}
    assert one(labels, KINDS)["choices"] == {"old": 0.75, "app": 0.25, "web": 0.0}
    far = Seen(0, 4, -1, bounds=("7", "50", "90"))
    assert one(Column("n", "int4"), far)["law"] == "uniform(7, 90)"
    endless = Seen(0, 8, -1, bounds=("7", "50", "Infinity"))
    assert "inf" not in one(Column("n", "float8"), endless)["law"]


def test_what_a_check_or_a_key_demands_stays_as_it_was():
    many = Seen(0, 4, 300, tuple([0.01] * 10), 0.0)
    assert one(Column("n", "int4"), many, checks=("(n > 5)", "(n <= 9)"))["law"] == "uniform(6, 9)"
    assert one(Column("n", "int4"), many)["n_distinct"] == 300
    made = alike.adjusted(likely.dataset((SHOP,), 100), (SHOP,), {"shop": Counted(100, {"id": many})}, 100)
    assert made.streams["shop"]["columns"]["id"] == {"type": "integer", "sequence": 1}


def test_values_of_the_type_are_never_fewer_than_the_keys():
    many = Seen(0, 3, 5000)
    assert one(Column("n", "numeric", precision=4, scale=2), many)["n_distinct"] == 99
    assert one(Column("t", "text", length=2), many)["n_distinct"] == 256


def test_how_often_a_key_is_referred_to_is_the_servers():
    shop = Column("shop", "int4", True)
    zipf = tuple(draw.Zipf(1.1).shares(1000)[:100].tolist())
    assert one(shop, Seen(0, 4, 1000, zipf), foreign=True)["skew"] == "zipf(1.1)"
    assert one(shop, Seen(0, 4, 1000, (0.3, 0.01)), foreign=True)["skew"] == "shares(0.3, 0.01)"
    assert one(shop, Seen(0, 4, 200), foreign=True)["skew"] == "hotspot(0.2, 1)"
    assert "skew" not in one(shop, Seen(0, 4, 1000), foreign=True)


def test_an_order_beyond_chance_is_kept_and_told_where_skew_is_kept_instead():
    assert one(Column("n", "int4"), Seen(0, 4, 400, (), 0.9))["correlation"] == 0.9
    assert "correlation" not in one(Column("n", "int4"), Seen(0, 4, 400, (), 0.05))
    skewed = Seen(0, 4, 400, (0.5,), 0.9)
    columns, notes = rows(Column("n", "int4"), counted={"n": skewed})
    assert columns["n"]["skew"] == "hotspot(0.0025, 0.5)"
    assert any("sale.n: its values are skewed, and lie in an order" in note for note in notes)


@pytest.mark.parametrize("shares", [(), (0.4,), (0.2, 0.1, 0.05, 0.02), tuple(draw.Zipf(0.9).shares(5000)[:100])])
def test_so_many_keys_are_drawn_from_that_as_many_occur_as_on_the_server(shares):
    keys, words = frequencies.fitted(shares, 3000, 10_000)
    law = draw.parse(words)
    drawn = law.over(keys).draw(np.random.default_rng(1), 10_000)
    assert len(np.unique(drawn)) == pytest.approx(3000, rel=0.03)
    assert np.bincount(drawn).max() / 10_000 == pytest.approx(max(shares, default=0), abs=0.03)


# --- what was asked -------------------------------------------------------------------------

ASKED = """query,calls,total_exec_time
"SELECT /* of joe */ a FROM t WHERE b = $1 ORDER BY 1",2,5
SELECT a FROM t WHERE b = 'joe',1,1
ALTER ROLE joe PASSWORD 'secret',1,1
"""


def test_without_consent_nothing_is_kept_or_quoted_of_what_clients_wrote_beside_the_query():
    made = recorded.read("s.csv", ASKED, values=False)
    assert [each.text for each in made.queries] == ["SELECT   a FROM t WHERE b = $1 ORDER BY 1"]
    assert not any("joe" in note for note in made.notes)
    assert any(note.startswith("s.csv: left out (1): they hold constants") for note in made.notes)
    assert len(recorded.read("s.csv", ASKED).queries) == 2


def test_nothing_at_all_that_may_be_kept_is_told_without_quoting():
    with pytest.raises(ScenarioError, match="constants") as told:
        recorded.read("s.csv", "query\nSELECT a FROM t WHERE b = 'joe'\n", values=False)
    assert "joe" not in str(told.value)


def test_a_key_has_as_many_rows_as_on_the_server_and_no_least_number_of_keys_is_made_up():
    kinds = Table("kind", (Column("id", "int4", True),), (("id",),))
    keys = (Column("shop", "int4", True), Column("kind", "int4", True))
    sale = Table("sale", keys, (), (Foreign(("shop",), "shop", ("id",)), Foreign(("kind",), "kind", ("id",))))
    sizes = alike.sizes({"shop": Counted(1e6), "kind": Counted(3), "sale": Counted(50e6)}, 100_000)
    made = likely.dataset((SHOP, kinds, sale), 100_000, sizes)
    assert made.entities == {"shop": 2_000, "kind": 3}  # of 100,000 sales 50 a shop, as of 50 million of a million


def test_few_values_of_a_key_stay_in_turn_whatever_their_frequencies():
    shop = Table("shop", (Column("id", "int4", True, counted=True), Column("n", "text")), (("id",),))
    columns = (Column("shop", "int4", True), Column("state", "text", True))
    checks = ("(state = ANY (ARRAY['new'::text, 'paid'::text]))",)
    sale = Table("sale", columns, (("shop", "state"),), (Foreign(("shop",), "shop", ("id",)),), checks)
    known = {"sale": Counted(200, {"state": Seen(0, 6, 2, (0.9, 0.1))})}
    made = alike.adjusted(likely.dataset((shop, sale), 100), (shop, sale), known, 100)
    assert made.streams["sale"]["columns"]["state"] == {
        "type": "text",
        "sequence": 1,
        "choices": {"new": 1, "paid": 1},
    }


def test_rows_that_are_brought_stay_as_they_are_brought():
    brought = {"kind": "parquet", "files": "sale.parquet", "rows": 9, "columns": {"n": {"type": "integer"}}}
    made = likely.told({"sale": brought}, {}, (), ())
    known = {"sale": Counted(9, {"n": Seen(0.5, 4, 3)})}
    found = alike.adjusted(made, (Table("sale", (Column("n", "int4"),)),), known, 9)
    assert found.streams["sale"] == brought
