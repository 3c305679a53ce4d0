"""Rows that follow from a schema: keys, references, CHECKs, and what cannot be invented."""

import math
import random

import pyarrow as pa
import pytest
from ruamel.yaml import YAML

from lab import bounds, likely
from lab.model import Lab, Stream
from lab.sources import synthetic
from lab.tables import Column, Foreign, Table

ID = Column("id", "int4", True)
USERS = Table("users", (Column("id", "uuid", True), Column("name", "text", True)), (("id",), ("name",)))
TAGS = Table("tags", (Column("id", "int4", True, counted=True), Column("word", "bpchar", True, length=4)), (("id",),))


def rows_of(*tables, rows=1_000):
    """Table -> its invented rows; data.yaml's text says the same as the streams."""
    made = likely.dataset(tables, rows)
    assert not made.holes
    assert YAML(typ="safe").load(made.text)["streams"].keys() == made.streams.keys()
    lab = Lab(rows=rows, days=10, entities=made.entities)
    found = {}
    for name, options in YAML(typ="safe").load(made.text)["streams"].items():
        del options["kind"]
        source = synthetic.opened(Stream(name, "synthetic", options), lab, seed=0)
        found[name] = pa.Table.from_batches(source.batches(0, source.rows), source.schema).to_pydict()
    return found


def test_a_reference_has_keys_that_the_other_table_has():
    likes = Table("likes", (Column("who", "uuid", True),), (), (Foreign(("who",), "users", ("id",)),))
    made = rows_of(likes, USERS)
    assert len(made["likes"]["who"]) == 1_000
    assert len(set(made["users"]["id"])) == len(made["users"]["id"]) == 100
    assert set(made["likes"]["who"]) <= set(made["users"]["id"])


def test_numbers_that_the_server_counts_are_left_to_it_and_referred_to_from_one():
    likes = Table("likes", (Column("tag", "int4", True),), (), (Foreign(("tag",), "tags", ("id",)),))
    made = rows_of(likes, TAGS)
    assert "id" not in made["tags"]
    assert set(made["likes"]["tag"]) == set(range(1, 101))


def test_a_key_of_two_references_holds_each_pair_once():
    columns = (Column("who", "uuid", True), Column("tag", "int4", True))
    foreign = (Foreign(("who",), "users", ("id",)), Foreign(("tag",), "tags", ("id",)))
    made = rows_of(Table("both", columns, (("who", "tag"),), foreign), USERS, TAGS)["both"]
    assert len(set(zip(made["who"], made["tag"], strict=True))) == 1_000


def test_what_refers_to_a_table_of_one_row_each_finds_as_many_as_there_are():
    profiles = Table(
        "profiles", (ID, Column("who", "uuid", True)), (("id",), ("who",)), (Foreign(("who",), "users", ("id",)),)
    )
    photos = Table("photos", (Column("profile", "int4", True),), (), (Foreign(("profile",), "profiles", ("id",)),))
    made = rows_of(USERS, profiles, photos)
    assert len(made["profiles"]["id"]) == len(made["users"]["id"])
    assert set(made["photos"]["profile"]) <= set(made["profiles"]["id"])


def test_references_by_two_columns_name_pairs_that_are_there():
    orders = Table("orders", (Column("tag", "int4", True), ID), (("tag", "id"),), (Foreign(("tag",), "tags", ("id",)),))
    columns = (Column("tag", "int4", True), Column("order", "int4", True), Column("no", "int2", True))
    lines = Table("lines", columns, (("tag", "order", "no"),), (Foreign(("tag", "order"), "orders", ("tag", "id")),))
    made = rows_of(TAGS, orders, lines)
    there = set(zip(made["orders"]["tag"], made["orders"]["id"], strict=True))
    pairs = list(zip(made["lines"]["tag"], made["lines"]["order"], strict=True))
    assert set(pairs) <= there
    assert len(set(zip(pairs, made["lines"]["no"], strict=True))) == 1_000


@pytest.mark.parametrize(
    "column",
    [Column("c", "varchar", True, length=3), Column("c", "int2", True), Column("c", "date", True), ID],
    ids=lambda one: one.type,
)
def test_what_is_unique_occurs_once(column):
    made = rows_of(Table("t", (column, Column("n", "int4")), ((column.name,),)))["t"][column.name]
    assert len(set(made)) == len(made) == 1_000
    assert column.length is None or max(map(len, made)) <= column.length


def test_checks_enums_and_lengths_are_kept_to():
    columns = (
        Column("price", "numeric", precision=4, scale=0),
        Column("kind", "varchar", length=20),
        Column("mood", "mood", labels=("sad", "on")),
        Column("code", "text", checks=("(length(VALUE) = 3)",)),
        Column("share", "float8"),
    )
    checks = (
        "(price > (0)::numeric)",
        "((kind)::text = ANY ((ARRAY['a'::character varying, 'it''s'::character varying])::text[]))",
        "((share >= (0)::double precision) AND (share <= (1)::double precision))",
    )
    made = rows_of(Table("t", columns, (), (), checks))["t"]
    assert min(made["price"]) >= 1
    assert set(made["kind"]) == {"a", "it's"}
    assert set(made["mood"]) == {"sad", "on"}
    assert set(map(len, made["code"])) == {3}
    assert 0 <= min(made["share"]) < max(made["share"]) <= 1


def test_a_check_that_is_not_understood_is_told():
    made = likely.dataset((Table("t", (ID,), (), (), ("(a < b)",)),), 10)
    assert made.notes == ("t: CHECK ((a < b)) is not understood; the rows were made without it",)


def test_what_cannot_be_invented_is_left_out_or_named_with_the_way_out():
    columns = (
        ID,
        Column("near", "vector"),
        Column("far", "vector", True, defaulted=True),
        Column("shape", "geometry", True),
    )
    made = likely.dataset((Table("t", columns),), 10)
    assert list(made.streams["t"]["columns"]) == ["id"]
    assert [one.partition(":")[0] for one in made.notes] == ["t.near", "t.far"]
    (hole,) = made.holes
    assert hole.startswith("t.shape: no geometry can be invented, and it may not be null (give it a DEFAULT")
    assert (made.method, made.way) == ("copy_binary", "")


def test_types_that_the_server_reads_from_text_alone_are_literals_and_name_the_method():
    columns = (ID, Column("tags", "_text", True), Column("ip", "inet"), Column("mask", "bit", True, length=3))
    made = likely.dataset((Table("t", columns),), 100)
    assert made.method == "copy_csv"
    assert made.way == "ingest: {method: copy_csv}, "
    found = rows_of(Table("t", columns))["t"]
    assert set(found["tags"]) == {"{a}", "{a,b}", "{a,b,c}"}
    assert set(found["mask"]) == {"000", "111"}


def test_keys_of_such_types_are_holes():
    keyed = Table("t", (Column("ip", "inet", True),), (("ip",),))
    (hole,) = likely.dataset((keyed,), 100).holes
    assert hole == "t.ip: keys of type inet are not invented (give the rows)"


def test_pairs_of_one_table_with_itself_are_no_guess():
    foreign = (Foreign(("a",), "users", ("id",)), Foreign(("b",), "users", ("id",)))
    friends = Table("friends", (Column("a", "uuid", True), Column("b", "uuid", True)), (("a", "b"),), foreign)
    (hole,) = likely.dataset((USERS, friends), 100).holes
    assert "refers twice to users" in hole


def test_names_of_any_kind_are_read_back():
    table = Table('my "table"', (Column("on", "int4"), Column("größe", "text")))
    assert list(rows_of(table)['my "table"']) == ["on", "größe"]


def test_a_date_that_others_share_does_not_make_a_table_move():
    made = likely.dataset((Table("t", (ID, Column("at", "timestamptz"))),), 10)
    assert "time" not in made.streams["t"], "a column that may be null says nothing of when rows come"


@pytest.mark.parametrize(
    ("text", "least", "most"),
    [
        ("((n >= 1) AND (n <= 10))", 1, 10),
        ("((n > 0) AND (n > '-1'::integer))", 0, None),
        ("(n > '-5'::integer)", -5, None),
        ("((n)::numeric < 9.5)", None, 9.5),
    ],
)
def test_bounds_are_read_as_the_server_words_them(text, least, most):
    rules = bounds.Rules()
    assert rules.read(text, "n")
    for found, asked in ((rules.least, least), (rules.most, most)):
        assert found is None if asked is None else math.isclose(found, asked)


def test_numbers_that_are_unique_begin_where_their_check_lets_them():
    made = rows_of(Table("t", (ID, Column("n", "int4")), (("id",),), (), ("(id > 3)",)), rows=10)
    assert made["t"]["id"] == list(range(4, 14))


@pytest.mark.parametrize(
    ("text", "type_", "precision", "scale", "low", "high"),
    [
        ("((n > 0) AND (n < 0.003))", "numeric", 6, 3, 0.001, 0.002),
        ("((n > 3) AND (n < 5))", "int4", None, 0, 4, 4),
        ("((n > 0) AND (n <= 1))", "numeric", None, 0, 0.01, 1),
    ],
)
def test_the_step_beyond_a_bound_is_that_of_the_type(text, type_, precision, scale, low, high):
    rules = bounds.Rules()
    assert rules.read(text, "n")
    assert rules.range(type_, precision, scale) == (low, high)


def test_fractions_stay_between_bounds_that_are_close():
    rules = bounds.Rules()
    assert rules.read("((n > 0) AND (n < 0.001))", "n")
    low, high = rules.range("float8", None, 0)
    assert 0 < low < high < 0.001


def test_bounds_that_let_nothing_in_are_a_hole_that_says_them():
    made = likely.dataset((Table("t", (Column("n", "int4"),), (), (), ("((n > 3) AND (n < 4))",)),), 10)
    assert made.holes == ("t.n: no value of its type is > 3 and < 4, as its CHECK has it (give the rows)",)


def test_each_constant_of_a_list_is_read_and_none_is_changed():
    rules = bounds.Rules()
    assert rules.read("(n = ANY (ARRAY['-1'::integer, 0, 1]))", "n")
    assert rules.choices == ("-1", "0", "1")
    assert rules.read("(k = ANY (ARRAY['Admin::User'::text, 'b'::text]))", "k")
    assert rules.choices == ("Admin::User", "b")
    assert not bounds.Rules().read("(n = ANY (ARRAY[1, now()]))", "n")
    made = rows_of(Table("t", (Column("n", "int4"),), (), (), ("(n = ANY (ARRAY['-1'::integer, 0, 1]))",)))
    assert set(made["t"]["n"]) == {-1, 0, 1}


def test_a_key_of_columns_with_few_values_is_a_hole():
    mood = Column("mood", "mood", True, labels=("sad", "happy"))
    made = likely.dataset((Table("t", (ID, mood, Column("b", "bool", True)), (("id",), ("mood", "b"))),), 1000)
    assert made.holes == ("t.b: (mood, b) is unique, and its types have few values (give the rows)",)


def referring(name, keys, columns, foreign):
    """A table that refers to others by *foreign* (columns, table, theirs), each of *keys* unique."""
    return Table(name, tuple(Column(one, "int4", True) for one in columns), keys, tuple(Foreign(*f) for f in foreign))


def between(one, other):
    """A table of pairs of *one* and *other*, as every Django project has them."""
    foreign = [((each,), each, ("id",)) for each in (one, other)]
    return referring(f"{one}_{other}", ((one, other),), (one, other), foreign)


def identified(name):
    return Table(name, (Column("id", "int4", True, counted=True), Column("n", "text")), (("id",),))


def broken(tables, rows, sizes):
    """Keys that occur twice and pairs that are not there, in what the streams have; tables with a hole are nobody's."""
    made = likely.dataset(tables, rows, sizes)
    holes = {one.partition(".")[0] for one in made.holes}
    lab = Lab(rows=rows, days=10, entities=made.entities)
    found = {}
    for name, options in YAML(typ="safe").load(made.text)["streams"].items():
        source = synthetic.opened(Stream(name, options.pop("kind"), options), lab, seed=0)
        columns = pa.Table.from_batches(source.batches(0, source.rows), source.schema).to_pydict()
        found[name] = {**({"id": range(1, source.rows + 1)} if "id" not in columns else {}), **columns}
    wrong = []
    for table in (one for one in tables if one.name not in holes):
        own = found[table.name]
        for key in table.unique:
            values = list(zip(*(own[column] for column in key), strict=True))
            wrong += [(table.name, key)] if len(set(values)) < len(values) else []
        for one in table.foreign:
            there = set(zip(*(found[one.table][column] for column in one.theirs), strict=True))
            here = set(zip(*(own[column] for column in one.columns), strict=True))
            wrong += [(table.name, one)] if here - there else []
    return wrong, made


def test_keys_of_pairs_hold_each_pair_once_in_all_tables_together():
    names = ("g", "p", "u0")
    tables = [*map(identified, names), *(between(*pair) for pair in (("g", "p"), ("u0", "g"), ("u0", "p")))]
    wrong, made = broken(tables, 100_000, {})
    assert not wrong
    assert not made.holes
    assert dict(made.entities) == {"g": 10_000, "p": 10_001, "u0": 10_003}
    assert all("rows" not in made.streams[one.name] for one in tables[3:])


@pytest.mark.parametrize("seed", range(60))
def test_whatever_tables_of_pairs_there_are_and_however_many_rows_no_pair_occurs_twice(seed):
    dice = random.Random(seed)
    names = [f"e{number}" for number in range(dice.randint(2, 6))]
    tables = [*map(identified, names)]
    for number in range(dice.randint(1, 7)):
        two = dice.sample(names, min(len(names), dice.choice((2, 2, 3))))
        foreign = [((each,), each, ("id",)) for each in two]
        tables.append(referring(f"p{number}", (tuple(two),), two, foreign))
    tenant, *owned = dice.sample(names, min(len(names), 3))
    for name in owned if dice.random() < 0.6 else ():
        columns, foreign = (tenant, "id"), [((tenant,), tenant, ("id",))]
        tables.append(referring(f"{name}_of", (("id",), (tenant, "id")), columns, foreign))
    if len(tables) > len(names) and tables[-1].name.endswith("_of"):
        own = [one.name for one in tables if one.name.endswith("_of")]
        foreign = [((tenant, name), name, (tenant, "id")) for name in own]
        tables.append(referring("tenants_pairs", ((tenant, *own),), (tenant, *own), foreign))
    sizes = {one.name: dice.choice((1, 2, 3, 7, 40, 900, 5_000)) for one in tables if dice.random() < 0.4}
    rows = dice.choice((20, 1_000, 20_000))
    wrong, made = broken(tables, rows, sizes)
    assert not wrong
    assert not made.holes
    near = {name: max(40, 1.1 * sizes.get(name, rows)) for name in made.entities if not name.endswith("_of")}
    assert all(made.entities[name] <= size for name, size in near.items())


def test_pairs_of_what_belongs_to_one_tenant_are_there_and_occur_once():
    users, roles = (
        referring(name, (("tenant", "id"),), ("tenant", "id"), [(("tenant",), "tenant", ("id",))])
        for name in ("users", "roles")
    )
    foreign = [(("tenant", "user"), "users", ("tenant", "id")), (("tenant", "role"), "roles", ("tenant", "id"))]
    columns = ("tenant", "user", "role")
    wrong, made = broken(
        [identified("tenant"), users, roles, referring("has", (columns,), columns, foreign)], 20_000, {}
    )
    assert not wrong
    assert not made.holes
    assert "rows" not in made.streams["has"]


def test_numbers_of_two_bytes_are_in_turn_with_keys_that_share_no_factor_with_them():
    kinds = Table("kinds", (Column("id", "int2", True), Column("n", "text")), (("id",),))
    columns = (Column("kind", "int2", True), Column("no", "int2", True))
    lines = Table("lines", columns, (("kind", "no"),), (Foreign(("kind",), "kinds", ("id",)),))
    wrong, made = broken([kinds, lines], 60_000, {"kinds": 40_000})
    assert (wrong, made.holes) == ([], ())
    assert made.entities == {"kinds": 32_749, "lines_no": 32_748}


def test_what_has_a_columns_name_by_chance_is_another_entity():
    table = Table("a", (Column("b", "int4", True), Column("n", "text")), (("b",),))
    other = Table("a_b", (Column("id", "int4", True, counted=True), Column("n", "text")), (("id",),))
    refers = Table("c", (Column("d", "int4", True),), (), (Foreign(("d",), "a_b", ("id",)),))
    wrong, _ = broken([table, other, refers], 1_000, {})
    assert not wrong


def test_rows_are_no_more_than_there_are_pairs_and_where_others_need_them_it_is_a_hole():
    made = likely.dataset([identified("g"), identified("p"), between("g", "p")], 1_000, {"g": 2, "p": 3})
    assert made.streams["g_p"]["rows"] == 6
    assert made.notes == ("g_p: 6 rows, as many as (g, p) has pairs",)
    foreign = [((each,), each, ("id",)) for each in ("g", "p", "u")]
    once = referring("once", (("g", "p"), ("u",)), ("g", "p", "u"), foreign)
    made = likely.dataset([*map(identified, ("g", "p", "u")), once], 1_000, {"g": 2, "p": 3, "u": 7})
    (hole,) = made.holes
    assert hole.startswith("once.p: (g, p) is unique, and 2 of g and 3 of p make 6 pairs for 7 rows (give the table")


def test_pairs_are_apart_from_what_the_others_keys_are_a_multiple_of():
    orders = referring("orders", (("id",), ("tag", "id")), ("tag", "id"), [(("tag",), "tag", ("id",))])
    notes = referring("notes", (), ("tag", "order"), [(("tag", "order"), "orders", ("tag", "id"))])
    foreign = [(("order",), "orders", ("id",)), (("label",), "label", ("id",))]
    labelled = referring("labelled", (("order", "label"),), ("order", "label"), foreign)
    tables = [identified("label"), identified("tag"), orders, notes, labelled]
    wrong, made = broken(tables, 20_000, {"label": 200, "tag": 200, "orders": 200})
    assert (wrong, made.holes) == ([], ())
    assert "rows" not in made.streams["labelled"]


def test_pairs_that_are_referred_to_are_no_more_than_there_are():
    pairs = Table(
        "pairs",
        (Column("id", "int4", True, counted=True), Column("g", "int4", True), Column("p", "int4", True)),
        (("id",), ("g", "p")),
        (Foreign(("g",), "g", ("id",)), Foreign(("p",), "p", ("id",))),
    )
    refers = referring("refers", (), ("pair",), [(("pair",), "pairs", ("id",))])
    wrong, made = broken([identified("g"), identified("p"), pairs, refers], 1_000, {"g": 2, "p": 3, "pairs": 500})
    assert (wrong, made.holes) == ([], ())
    assert made.entities["pairs"] == 6


def test_of_a_key_of_numbers_the_widest_are_numbered():
    columns = (Column("a", "int4", True), Column("b", "int2", True))
    wrong, made = broken([Table("t", columns, (("a", "b"),))], 40_000, {})
    assert (wrong, made.notes) == ([], ())
    assert made.streams["t"]["columns"]["a"] == {"type": "integer", "sequence": 1}


STATE = Column("state", "state", True, labels=("new", "paid", "sent", "lost"))
FLAG = Column("flag", "bool", True)
KIND = Column("kind", "text", True)
SHOP, USER = ((Column(one, "int4", True), Foreign((one,), one, ("id",))) for one in ("shop", "user"))


def few(name, *columns, checks=()):
    """A table whose key is a reference to `shop`, with *columns*; these may be references too."""
    own = [SHOP, *(one if isinstance(one, tuple) else (one, None) for one in columns)]
    key = tuple(column.name for column, _ in own)
    return Table(name, tuple(one for one, _ in own), (key,), tuple(one for _, one in own if one), checks)


@pytest.mark.parametrize(
    ("columns", "checks", "shops", "rows"),
    [
        ([STATE], (), 101, 404),
        ([FLAG], (), 101, 202),
        ([KIND], ("(kind = ANY (ARRAY['a'::text, 'b'::text, 'c'::text]))",), 100, 300),
        (
            [STATE],
            ("(state <> ALL (ARRAY['lost'::state]))", "(state = ANY (ARRAY['new'::state, 'paid'::state]))"),
            101,
            202,
        ),
        ([STATE, FLAG], (), 101, 404),
        ([FLAG, USER], (), 101, 1_000),
    ],
)
def test_a_key_of_a_reference_and_a_column_of_few_values_holds_each_pair_once(columns, checks, shops, rows):
    tables = [identified("shop"), identified("user"), few("t", *columns, checks=checks)]
    wrong, made = broken(tables, 1_000, {})
    assert (wrong, made.holes, made.entities["shop"]) == ([], (), shops)
    assert made.streams["t"].get("rows", 1_000) == rows
    listed = [one for one in made.streams["t"]["columns"].values() if "of" not in one]
    assert all(one.keys() == {"type", "sequence", "choices"} for one in listed)
    told = [one for one in made.notes if "has pairs" in one]
    key = ", ".join(["shop", *((one[0] if isinstance(one, tuple) else one).name for one in columns)])
    assert told == ([f"t: {rows} rows, as many as ({key}) has pairs"] if rows < 1_000 else [])


def test_such_a_table_that_is_referred_to_has_no_more_rows_than_pairs():
    table = few("t", FLAG)
    table = Table("t", (ID, *table.columns), (("id",), *table.unique), table.foreign)
    refers = Table("r", (Column("t", "int4", True),), (), (Foreign(("t",), "t", ("id",)),))
    wrong, made = broken([identified("shop"), table, refers], 1_000, {"shop": 11, "t": 500})
    assert (wrong, made.holes) == ([], ())
    assert made.entities == {"shop": 11, "t": 22}
