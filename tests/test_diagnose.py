"""Plans without a server: what a query is spent on, which indexes it suggests, and the scenario made of it."""

from dataclasses import replace
from types import SimpleNamespace

import pytest

from lab import bottleneck, diagnose, experiment, pg
from lab.bottleneck import Bottleneck
from lab.experiment import Diagnosis, Tried
from lab.predicates import Use, compared, uses
from lab.proposal import Index, proposals
from tests import authored

T = ("public", "t")


def node(kind="Seq Scan", *children, rows=1, loops=1, blocks=0, **more):
    below = sum(child["Shared Hit Blocks"] for child in children)
    return {
        "Node Type": kind,
        "Actual Rows": rows,
        "Actual Loops": loops,
        "Shared Hit Blocks": blocks + below,
        **({"Plans": list(children)} if children else {}),
        **more,
    }


def scan(table="t", alias=None, **more):
    return node(**{"Schema": "public", "Relation Name": table, "Alias": alias or table, **more})


def aside(name):
    return {"Parent Relationship": "InitPlan", "Subplan Name": name}


# --- what it is spent on --------------------------------------------------------------------


def test_the_node_that_touches_most_blocks_itself_is_the_bottleneck():
    plan = node("Sort", node("Hash Join", scan("a", blocks=40), scan("b", blocks=70), blocks=0), blocks=3)
    found = bottleneck.named(plan)
    assert (found.kind, found.node, found.blocks, found.all_blocks) == ("blocks", "Seq Scan on b", 70, 113)


def test_rows_thrown_away_are_counted_over_all_loops():
    found = bottleneck.named(scan(rows=1, loops=10, blocks=50, **{"Rows Removed by Filter": 100}))
    assert (found.kind, found.rows, found.vain) == ("read in vain", 10, 1000)
    assert bottleneck.named(scan(rows=10, blocks=50, **{"Rows Removed by Filter": 60})).kind == "blocks"


def test_a_node_that_is_asked_for_each_row_is_named_so():
    plan = node("Nested Loop", scan("a", rows=2000, blocks=10), scan("b", loops=2000, blocks=6000))
    found = bottleneck.named(plan)
    assert (found.kind, found.node, found.loops) == ("row by row", "Seq Scan on b", 2000)


def test_partitions_that_are_scanned_alike_are_one():
    parts = [scan(f"t_{n}", blocks=5) for n in range(12)]
    found = bottleneck.named(node("Nested Loop", node("Append", *parts), scan("one", blocks=30)))
    assert (found.kind, found.parts, found.blocks) == ("many partitions", 12, 60)


def test_a_spill_that_outweighs_the_blocks_is_the_bottleneck():
    sort = node("Sort", scan(blocks=10), **{"Temp Read Blocks": 20, "Temp Written Blocks": 20})
    found = bottleneck.named(sort)
    assert (found.kind, found.node, found.temp_blocks) == ("spill", "Sort", 20)


def test_a_cte_is_counted_where_it_is_executed_and_not_where_it_is_read():
    join = node("Hash Join", scan("a", blocks=1088), scan("b", blocks=896), **aside("CTE x"))
    read = node("CTE Scan", blocks=1984, **{"CTE Name": "x", "Temp Read Blocks": 20, "Temp Written Blocks": 30})
    more = node("CTE Scan", blocks=0, **{"CTE Name": "x"})
    loop = node("Nested Loop", read, more, **{"Temp Read Blocks": 20, "Temp Written Blocks": 30})
    plan = {**loop, "Node Type": "Aggregate", "Plans": [join, loop]}
    found = bottleneck.named(plan)
    assert (found.kind, found.node, found.blocks, found.all_blocks) == ("blocks", "Seq Scan on a", 1088, 1984)
    spilt = {"Temp Read Blocks": 2000, "Temp Written Blocks": 30}
    found = bottleneck.named({**plan, **spilt, "Plans": [join, {**loop, **spilt, "Plans": [{**read, **spilt}, more]}]})
    assert (found.kind, found.node, found.temp_blocks) == ("spill", "CTE Scan", 30)


@pytest.mark.parametrize(("name", "mark"), [("InitPlan 1", "(InitPlan 1).col1"), ("InitPlan 1 (returns $0)", "$0")])
def test_what_is_asked_once_is_counted_where_it_is_executed_and_not_where_it_is_used(name, mark):
    once = scan("b", blocks=900, **aside(name))
    used = scan("a", blocks=1000, Filter=f"(a.n > {mark})")
    plan = {**node("Aggregate", used, blocks=3), "Plans": [once, used]}
    found = bottleneck.named(plan)
    assert (found.node, found.blocks, found.all_blocks) == ("Seq Scan on b", 900, 1003)
    here = {**node("Result", once, blocks=5), "Output": [mark]}
    assert bottleneck.named(here).all_blocks == 905


def test_what_a_cte_writes_that_nobody_reads_is_counted():
    put = node("ModifyTable", scan("a", blocks=10), blocks=70, **aside("CTE gone"))
    plan = {**node("Aggregate", scan("b", blocks=20)), "Plans": [put, scan("b", blocks=20)]}
    found = bottleneck.named(plan)
    assert (found.node, found.blocks, found.all_blocks) == ("ModifyTable", 70, 100)


def test_what_was_not_executed_counts_for_nothing():
    plan = node("Append", scan("a", blocks=3), {**scan("b", blocks=0), "Actual Loops": 0, "Shared Hit Blocks": 0})
    assert bottleneck.named(plan).node == "Seq Scan on a"


def test_every_kind_of_bottleneck_has_its_words():
    kinds = {"spill", "read in vain", "many partitions", "row by row", "blocks"}
    assert set(bottleneck.SAID) == kinds


# --- which columns --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("condition", "found"),
    [
        ("(t.a = 5)", [("a", "equal")]),
        ("((t.name)::text = 'x = t.b'::text)", [("name", "equal")]),
        ("((t.code)::character varying(3) = 'abc'::character varying)", [("code", "equal")]),
        ("(t.at >= '2026-01-01 00:00:00+00'::timestamp with time zone)", [("at", "ranged")]),
        ('("T"."a" = 1)', [("a", "equal")]),
        ('(t."Odd ""name""" = 1)', [('Odd "name"', "equal")]),
        ("(t.a = ANY ('{1,2}'::integer[]))", [("a", "equal")]),
        ("(t.a <> 5)", []),
        ("(lower(t.a) = 'x'::text)", []),
        ("((t.a = 5) OR (t.b = 6))", []),
        ("((t.a = 5) AND (t.b < 6))", [("a", "equal"), ("b", "ranged")]),
    ],
)
def test_a_condition_says_which_bare_columns_it_compares(condition, found):
    assert [(column, how) for _, column, how in compared(condition)] == found


def test_joins_and_sorts_count_for_the_tables_they_name():
    join = node("Hash Join", scan("t", "x"), scan("u", Filter="(u.n > 3)"), **{"Hash Cond": "(x.id = u.t_id)"})
    plan = node("Sort", join, **{"Sort Key": ["x.at DESC", "x.id", "u.n"]})
    assert uses(plan, {}) == {
        T: Use(joined=("id",), sorted=("at DESC", "id")),
        ("public", "u"): Use(joined=("t_id",), ranged=("n",)),
    }


def test_a_sort_that_goes_down_all_the_way_is_served_by_an_index_that_goes_up():
    plan = node("Sort", scan(), **{"Sort Key": ["t.at DESC", "t.id DESC"]})
    assert uses(plan, {})[T].sorted == ("at", "id")


def test_an_index_that_is_read_for_its_order_says_what_is_sorted_by():
    ordered = {"by_at": ("at", "id")}
    reading = {"Node Type": "Index Scan", "Index Name": "by_at"}
    thrown = scan(Filter="(t.a = 1)", **reading)
    assert uses(thrown, {}, ordered)[T] == Use(equal=("a",), sorted=("at", "id"))
    assert uses(scan(**{**reading, "Index Cond": "(t.at > 3)", "Filter": "(t.a = 1)"}), {}, ordered)[T].sorted == ()
    assert uses(scan(**reading), {}, ordered) == {}


def test_partitions_count_for_their_table():
    leaves = [scan(f"t_{n}", Filter=f"(t_{n}.a = 1)") for n in (1, 2)]
    plan = node("Sort", node("Append", *leaves), **{"Sort Key": ["t.at"]})
    roots = {("public", f"t_{n}"): T for n in (1, 2)}
    assert uses(plan, roots) == {T: Use(equal=("a",), sorted=("at",))}


def test_what_is_equal_comes_first_in_an_index_then_what_is_sorted_or_compared():
    found = [one.columns for one in proposals(T, Use(equal=("a",), ranged=("at",), joined=("j",)))]
    assert ("a", "at") in found
    assert ("at", "a") not in found
    assert ("a", "j") in found
    assert ("j", "a") in found
    assert found.index(("a",)) < found.index(("a", "at"))


def test_names_of_indexes_are_names_of_candidates_and_differ():
    listed = proposals(("public", 'odd "t"'), Use(equal=("a",), ranged=("at",), sorted=("z DESC",)))
    assert len({one.name for one in listed}) == len(listed)
    assert all(set(one.name) <= set("abcdefghijklmnopqrstuvwxyz0123456789-") for one in listed)


# --- which are kept -------------------------------------------------------------------------


def tried(*columns, **gains):
    return Tried(Index(T, columns), f"CREATE INDEX ON t ({', '.join(columns)});", gains)


def test_an_index_that_no_query_takes_is_not_kept():
    assert diagnose.best([tried("a")]) == ()


def test_an_index_that_cannot_be_is_tried_and_refused_with_the_servers_words(monkeypatch):
    def refuse(*_):
        raise pg.Error("data type jsonb has no default operator class")

    undone = []
    monkeypatch.setattr(diagnose.Screen, "_there", refuse)
    ask = diagnose.Screen(SimpleNamespace(rollback=lambda: undone.append(1)), (), {}, hypothetical=False)
    one = ask.tried(Index(T, ("doc",), "brin"))
    assert one.refused == "data type jsonb has no default operator class"
    assert undone, "the transaction is of no use until it is rolled back"
    assert diagnose.best([one]) == ()
    page = made(found(kept=(), refused=(one,)))["README.md"]
    assert "has no default operator class" in page


def test_a_wider_index_is_kept_only_if_some_query_gains_more_by_it():
    narrow, same, better = tried("a", q=0.5), tried("a", "b", q=0.49), tried("a", "c", q=0.2)
    assert diagnose.best([better, same, narrow]) == (narrow, better)


def test_no_more_are_kept_than_can_be_measured_and_the_simplest_stand_first():
    many = [tried(f"c{n}", **{f"q{n}": 0.9 - n / 100}) for n in range(9)]
    kept = diagnose.best([tried("x", "y", q=0.1), *many])
    assert len(kept) == diagnose.MOST
    assert kept[-1].index.columns == ("x", "y")
    assert [one.index.columns for one in kept[:-1]] == [("c5",), ("c6",), ("c7",), ("c8",)]


# --- the scenario ---------------------------------------------------------------------------

PLAIN = {"scenario.yaml": authored.SCENARIO.split("  by-{interval}:")[0]}


def spent(kind="read in vain", **more):
    given = {"node": "Seq Scan on t", "blocks": 9, "all_blocks": 10, "rows": 1, "vain": 99, "loops": 1, "parts": 1}
    return Bottleneck(kind=kind, temp_blocks=0, **{**given, **more})


def found(**more):
    given = {"bottlenecks": {"recent": spent()}, "kept": (tried("device", recent=0.3),), "tried": 4, "by": "hypopg"}
    return Diagnosis(**{**given, **more})


def made(diagnosis=None, rewrites=None, **files):
    read = authored.read({**authored.FILES, **PLAIN, **files})
    return experiment.files("next", read, diagnosis or found(), rewrites or {})


def test_the_scenario_keeps_what_was_asked_of_the_first_and_adds_candidates():
    files = made()
    read, first = authored.read(files), authored.read({**authored.FILES, **PLAIN})
    assert list(read.candidates) == ["heap", "t-device"]
    assert (read.production, read.lab, read.objective) == (first.production, first.lab, first.objective)
    own = read.candidates["t-device"]
    assert own.schema.text == "CREATE TABLE events (id bigint);\n\nCREATE INDEX ON t (device);\n"
    assert own.steps["retire"].text == first.candidates["heap"].steps["retire"].text
    assert {one.name for one in read.workload.queries} == {"recent", "by_id"}


def test_a_candidate_differs_from_the_baseline_by_one_thing():
    own = "    hypothesis: plain\n    clients: 3\n    settings: {work_mem: 1MB}\n    ingest: {connections: 2}\n"
    text = PLAIN["scenario.yaml"].replace(
        "    hypothesis: plain\n", f"{own}    topology: {{kind: single, postgres: 17}}\n"
    )
    heap, other = authored.read(made(**{"scenario.yaml": text})).candidates.values()
    assert replace(other, name=heap.name, hypothesis=heap.hypothesis, schema=heap.schema) == heap
    assert (heap.clients, heap.settings["work_mem"], heap.ingest["connections"]) == (3, "1MB", 2)
    assert heap.topology.postgres == 17


def test_a_spill_becomes_a_candidate_with_memory_for_it():
    spilled = replace(spent("spill"), temp_blocks=2048)
    own = authored.read(made(found(kept=(), bottlenecks={"recent": spilled}))).candidates["more-work-mem"]
    assert own.settings["work_mem"] == "32MB"


def test_queries_that_would_be_planned_otherwise_become_a_candidate_of_settings():
    read = authored.read(made(found(kept=(), replanned=("recent",))))
    assert read.candidates["random-reads-cheap"].settings == experiment.RANDOM_READS


def test_a_rewrite_becomes_a_candidate_with_its_own_text():
    text = authored.FILES["workload/recent.sql"].replace("SELECT 1", "SELECT 2")
    read = authored.read(made(found(kept=()), {"recent": text}))
    asked = {one.name: one for one in read.candidates["rewritten-recent"].queries}
    assert "SELECT" in asked["recent"].statements[0].text
    assert asked["recent"].file == "rewritten-recent.sql"


def test_a_baseline_with_texts_of_its_own_keeps_them():
    text = authored.FILES["workload/recent.sql"].replace("SELECT 1", "SELECT 2")
    yaml = PLAIN["scenario.yaml"].replace("    sql: {", "    sql: {recent: own.sql, ")
    assert yaml != PLAIN["scenario.yaml"]
    first = authored.read({**authored.FILES, **PLAIN, "scenario.yaml": yaml, "own.sql": text})
    files = made(**{"scenario.yaml": yaml, "own.sql": text})
    assert files["sql/recent.sql"] == text
    asked = {one.name: one.statements for one in first.candidates["heap"].queries}
    for candidate in authored.read(files).candidates.values():
        assert {one.name: one.statements for one in candidate.queries} == asked


def test_indexes_that_would_have_one_name_are_candidates_of_their_own():
    tables = (("public", "t"), ("own", "t"), ("public", "T"))
    alike = tuple(Tried(Index(table, ("a",)), f"CREATE INDEX ON {table};", {"recent": 0.3}) for table in tables)
    down = Tried(Index(T, ("a DESC",)), "CREATE INDEX ON t (a DESC);", {"recent": 0.2})
    read = authored.read({**authored.FILES, **PLAIN})
    ways = experiment.candidates(read, found(kept=(*alike, down)), {})
    assert [one.name for one in ways] == ["t-a", "own-t-a", "t-a-2", "t-a-desc"]


def test_the_name_of_the_baseline_is_taken():
    text = PLAIN["scenario.yaml"].replace("heap:\n", "t-device:\n").replace("baseline: heap", "baseline: t-device")
    assert list(authored.read(made(**{"scenario.yaml": text})).candidates) == ["t-device", "t-device-2"]


def test_every_candidate_says_what_should_improve_and_what_it_should_cost():
    spilled = replace(spent("spill"), temp_blocks=2048)
    diagnosis = found(bottlenecks={"recent": spilled}, replanned=("by_id",))
    read = authored.read({**authored.FILES, **PLAIN})
    ways = experiment.candidates(read, diagnosis, {"recent": "SELECT 1"})
    assert [one.name for one in ways] == ["random-reads-cheap", "more-work-mem", "rewritten-recent", "t-device"]
    assert all(one.hypothesis.startswith(("recent: ", "by_id: ")) and "; " in one.hypothesis for one in ways)


def test_the_readme_names_bottleneck_candidates_and_that_estimates_are_none():
    page = made()["README.md"]
    assert "| `recent` | most of the rows that are read are thrown away | Seq Scan on t | 9 | 10 | 1 | 99 |" in page
    assert "Estimated cost of `recent`: 0.30x." in page
    assert "An estimate is no measurement." in page
    assert "```sql\nCREATE INDEX ON t (device);\n```" in page
    assert "None: no such index would be taken." in made(found(kept=()))["README.md"]


def test_names_and_words_that_mean_something_in_yaml_stay_what_they_are():
    odd = (
        authored.SCENARIO.split("  by-{interval}:")[0]
        .replace("heap:\n", '"a: #b":\n')
        .replace("baseline: heap", 'baseline: "a: #b"')
    )
    files = made(**{"scenario.yaml": odd.replace("hypothesis: plain", 'hypothesis: "yes: {no}"')})
    read = authored.read(files)
    assert list(read.candidates) == ["a: #b", "t-device"]
    assert read.candidates["a: #b"].hypothesis == "yes: {no}"
