"""Which counter accounts for a difference, and that nothing is said where nothing differs."""

import ast
from dataclasses import replace
from pathlib import Path

import pytest

from lab import parts, plan, reasons
from lab.metrics import find
from lab.model import Instance
from lab.reasons import (
    Side,
    bloat,
    blocks,
    cache,
    estimates,
    filtered,
    index_only,
    indexes,
    locks,
    planning,
    pruning,
    server_time,
    spill,
    unstable,
    unused_index,
    writes,
)
from lab.template import figures_in
from tests.samples import QUERIES, RULES, explains, judged, node, prepared, queries
from tests.slices import drive, ops, sliced, step


def said(rule, own, base):
    """What *rule* says, each as (query, words): citations as the last part of their address."""
    return [
        (one.query, "".join(p if isinstance(p, str) else f"<{p.address.split('/', 2)[-1]}>" for p in one.pieces))
        for one in rule.explain(Side(own), Side(base), queries())
    ]


def counted(name="heap", **values):
    """An instance with these metrics of the query `recent` alone."""
    made = {f"query.recent.{key}" if find(f"query.recent.{key}") else key: (float(v),) * 2 for key, v in values.items()}
    return replace(prepared(name), metrics=made, explains={})


@pytest.mark.parametrize("rule", parts.rules(), ids=lambda rule: rule.NAME)
def test_a_rule_says_nothing_of_a_candidate_that_does_the_same(rule):
    assert said(rule, prepared("heap", 2), prepared("heap")) == []


@pytest.mark.parametrize("rule", parts.rules(), ids=lambda rule: rule.NAME)
def test_a_rule_says_nothing_where_nothing_was_counted(rule):
    empty = replace(prepared("heap"), metrics={}, explains={})
    assert said(rule, empty, prepared("by-day")) == []
    assert said(rule, prepared("by-day"), empty) == []


@pytest.mark.parametrize("rule", parts.rules(), ids=lambda rule: rule.NAME)
def test_a_rule_is_a_module_with_a_name_of_its_own(rule):
    assert rule.__name__.endswith(f".{rule.NAME}")


@pytest.mark.parametrize("rule", parts.rules(), ids=lambda rule: rule.NAME)
def test_no_word_that_a_rule_may_say_states_a_number(rule):
    """Such a word would stop the whole plan; a sentence that no test has seen must not hold one either."""
    tree = ast.parse(Path(rule.__file__).read_text())
    documented = (ast.Module, ast.FunctionDef, ast.ClassDef)
    docs = {ast.get_docstring(one, clean=False) for one in ast.walk(tree) if isinstance(one, documented)}
    said = [one.value for one in ast.walk(tree) if isinstance(one, ast.Constant) and isinstance(one.value, str)]
    assert [text for text in said if " " in text and text not in docs and figures_in(text)] == []


def test_the_rules_are_told_with_their_pages_of_the_manual(repo):
    lines = (repo / "docs" / "reasons.md").read_text().splitlines()
    told = {line.split("`")[1]: line for line in lines if line.startswith("| `")}
    assert told.keys() == {rule.NAME for rule in parts.rules()}
    assert [rule.NAME for rule in parts.rules() if f"]({rule._PAGE}) |" not in told[rule.NAME]] == []


def test_partitions_are_told_on_both_sides():
    [(query, words)] = said(pruning, counted("by-day", partitions_per_call=7), counted(partitions_per_call=1))
    assert query == "recent"
    assert words.startswith("relations scanned per call: ")
    assert words.count("<metrics/query.recent.partitions_per_call/value>") == 2


def test_how_many_tables_a_join_reads_is_no_matter_of_partitions():
    own, base = counted("by-day", partitions_per_call=1), counted(partitions_per_call=2)
    plain = [replace(one, report={"trees": {}}) for one in (own, base)]
    assert said(pruning, *plain) == []
    cut = [replace(one, report={"trees": {"t": ["t_1", "t_2"]}}) for one in (own, base)]
    assert len(said(pruning, cut[0], plain[1])) == len(said(pruning, plain[0], cut[1])) == 1


@pytest.mark.parametrize(("leaves", "told"), [(1, 0), (40, 1)])
def test_leaves_are_told_of_a_table_that_has_partitions(leaves, told):
    own = replace(counted("by-day", planning_ms=1.0, locks_per_call=40), report={"partitions": leaves})
    base = replace(counted(planning_ms=0.1, locks_per_call=2), report={"partitions": 1})
    [(_, words)] = said(planning, own, base)
    assert words.count("leaves of its largest partition tree") == told


def test_what_is_left_out_is_not_told_where_partitions_of_two_schemas_have_one_name():
    scan = node("Append", 1.0, 1, node("Seq Scan", 1.0, 1, Relation_Name="t_1"), Subplans_Removed=2)
    own = with_plan("by-day", scan)
    own = replace(own, metrics={"query.recent.partitions_per_call": (1.0,)})
    base = counted("heap", partitions_per_call=1)
    alone = replace(own, report={"trees": {"t": ["t_1", "t_2", "t_3"]}})
    [one] = pruning.explain(Side(alone), Side(base), queries())
    assert one.facts == {"own_all": 3, "own_start": 2}
    both = replace(own, report={"trees": {"a.t": ["t_1", "t_2", "t_3"], "b.t": ["t_1", "t_2", "t_3"]}})
    assert list(pruning.explain(Side(both), Side(base), queries())) == []


LEAVES = [node("Seq Scan", 1.0, 1, Relation_Name=f"t_{n}") for n in (1, 2, 3, 4)]


@pytest.mark.parametrize(
    ("top", "facts"),
    [
        (node("Append", 1.0, 1, *LEAVES[:2]), {"own_all": 6, "own_plan": 4}),
        (LEAVES[0], {"own_all": 6, "own_plan": 5}),
        (node("Append", 1.0, 1, node("Hash Join", 1.0, 1, LEAVES[0]), LEAVES[1]), {"own_all": 6, "own_plan": 4}),
        (node("ModifyTable", 1.0, 1, LEAVES[0], Relation_Name="t_1"), {"own_all": 6, "own_plan": 5}),
        (node("Append", 1.0, 1, LEAVES[0], LEAVES[0]), None),
        (node("Nested Loop", 1.0, 1, LEAVES[0], LEAVES[1]), None),
        (node("Hash Join", 1.0, 1, node("Append", 1.0, 1, *LEAVES[:2]), LEAVES[2]), None),
        (
            node("Hash Join", 1.0, 1, node("Append", 1.0, 1, *LEAVES[:2]), node("Merge Append", 1.0, 1, *LEAVES[2:])),
            None,
        ),
    ],
)
def test_what_is_left_out_is_told_of_a_tree_that_is_asked_in_one_place_alone(top, facts):
    own = replace(
        with_plan("by-day", top),
        metrics={"query.recent.partitions_per_call": (1.0,)},
        report={"trees": {"t": [f"t_{n}" for n in range(1, 7)]}},
    )
    found = list(pruning.explain(Side(own), Side(counted("heap", partitions_per_call=1)), queries()))
    assert [one.facts for one in found] == ([facts] if facts else [])


def passed(name="heap", **values):
    """An instance of which each pass counted another of these values of `recent`."""
    return replace(counted(name), metrics={f"query.recent.{key}": each for key, each in values.items()})


@pytest.mark.parametrize("rule", [blocks, spill, writes, locks, pruning], ids=lambda rule: rule.NAME)
def test_what_the_passes_do_not_agree_on_is_no_reason(rule):
    """Of 36, 40 and 36 against 41, two passes are far enough apart to be told and one is not."""
    keys = ("blocks", "temp_bytes", "wal_bytes", "locks", "fast_path_misses", "partitions")

    def told(*values):
        own, base = ({f"{key}_per_call": each for key in keys} for each in (values, (410.0,) * len(values)))
        return said(rule, passed("by-day", **own), passed(**base))

    assert told(360.0, 410.0, 360.0) == []
    assert told(360.0, 450.0, 360.0) == []
    assert len(told(360.0, 370.0, 360.0)) == 1


@pytest.mark.parametrize(
    ("took", "locks", "times"),
    [
        ((1.0, 1.1), (40.0, 40.0), 1),
        ((0.11, 0.12), (40.0, 40.0), 0),
        ((0.11, 1.1), (40.0, 40.0), 0),
        ((1.0, 1.1), (1.0, 1.0), 0),
        ((1.0, 1.1), (2.0, 2.0), 0),
        ((1.0, 1.1), (40.0, 2.0), 0),
    ],
)
def test_planning_is_told_where_what_is_planned_for_differs_the_same_way(took, locks, times):
    own = passed("by-day", planning_ms=took, locks_per_call=locks)
    base = passed(planning_ms=(0.1, 0.1), locks_per_call=(2.0, 2.0))
    assert len(said(planning, own, base)) == times


def test_a_query_whose_passes_do_not_agree_has_no_part_in_what_the_mix_differs_by():
    def metrics(recent, daily):
        return {"query.recent.blocks_per_call": recent, "query.daily_total.blocks_per_call": daily}

    own = replace(counted("by-day"), metrics=metrics((360.0, 410.0, 360.0), (90.0, 90.0, 90.0)))
    base = replace(counted(), metrics=metrics((400.0, 400.0, 400.0), (10.0, 10.0, 10.0)))
    [one] = blocks.explain(Side(own), Side(base), queries())
    assert (one.query, one.facts) == ("daily_total", {"part": 1.0})


def redrawn(name, *nodes):
    """An instance whose plans for the same parameters are these, one a drawing."""
    entries = [{"params": ["7"], "plan": {"Plan": one}} for one in nodes]
    return replace(counted(name, blocks_per_call=10.0), explains={"recent": entries})


WASTE = node("Seq Scan", 1.0, 1, Relation_Name="t", Rows_Removed_by_Filter=9_000)


def test_no_rule_rests_on_a_plan_that_another_drawing_changes():
    base = redrawn("heap", node("Index Scan", 1.0, 1, Relation_Name="t", Index_Name="i"))
    assert len(said(filtered, redrawn("by-day", WASTE), base)) == 1
    assert len(said(filtered, redrawn("by-day", WASTE, WASTE), base)) == 1
    assert said(filtered, redrawn("by-day", WASTE, base.explains["recent"][0]["plan"]["Plan"]), base) == []


def test_a_plan_that_hangs_on_the_drawing_is_told_with_what_the_drawings_gave():
    base = redrawn("heap", WASTE)
    assert said(unstable, redrawn("by-day", WASTE, WASTE), base) == []
    own = replace(redrawn("by-day", WASTE), metrics={"query.recent.blocks_per_call": (36.0, 40.0, 36.0)})
    [one] = unstable.explain(Side(own), Side(base), queries())
    assert one.facts == {"low": 36.0, "high": 40.0, "drawings": 3}
    parted = redrawn("by-day", WASTE, node("Index Scan", 1.0, 1, Relation_Name="t", Index_Name="i"))
    [one] = unstable.explain(Side(parted), Side(base), queries())
    assert (one.facts["first"], one.facts["other"]) == ("Seq Scan on t", "Index Scan using i on t")
    [one] = unstable.explain(Side(base), Side(parted), queries())
    assert one.facts["first"] == "Seq Scan on t"


def test_blocks_that_a_write_finds_here_or_there_are_no_sign_of_another_plan():
    own = replace(counted("by-day"), metrics={"query.append_one.blocks_per_call": (18.0, 22.0, 18.0)})
    assert said(unstable, own, counted()) == []


@pytest.mark.parametrize(("own", "way"), [(50, "fewer"), (150, "more")])
def test_blocks_say_which_way(own, way):
    [(_, words)] = said(blocks, counted("by-day", blocks_per_call=own), counted(blocks_per_call=100))
    assert f"touches {way} blocks" in words


def test_blocks_within_a_twentieth_are_no_reason():
    assert said(blocks, counted("by-day", blocks_per_call=96), counted(blocks_per_call=100)) == []


def test_the_parts_of_all_blocks_weigh_by_the_mix_and_make_a_whole():
    found = list(blocks.explain(Side(prepared("by-day")), Side(prepared("heap")), queries()))
    parts = {one.query: one.facts["part"] for one in found}
    assert sum(parts.values()) == pytest.approx(1)
    assert parts["recent"] == pytest.approx(8 * 79.5 / (8 * 79.5 + 1 * 3609))


def test_locks_are_told_where_the_fast_path_is_missed():
    own = counted("by-day", locks_per_call=22, fast_path_misses_per_call=6)
    assert said(locks, own, counted(locks_per_call=4, fast_path_misses_per_call=0))
    assert (
        said(
            locks,
            counted("by-day", locks_per_call=9, fast_path_misses_per_call=0),
            counted(locks_per_call=4, fast_path_misses_per_call=0),
        )
        == []
    )


def with_plan(name, top):
    return replace(prepared(name), explains={"recent": [{"params": [], "plan": {"Plan": top}}]})


def test_an_index_only_scan_is_told_on_whichever_side_it_is():
    only, plain = node("Index Only Scan", 1.0, 2), node("Index Scan", 1.0, 3)
    [(_, ours)] = said(index_only, with_plan("by-day", only), with_plan("heap", plain))
    [(_, theirs)] = said(index_only, with_plan("by-day", plain), with_plan("heap", only))
    assert ours.startswith("<by-day/name> reads this from an index alone")
    assert theirs.startswith("<heap/name> reads this from an index alone")


def test_an_index_only_scan_tells_of_the_rows_it_looked_up_in_the_table_all_the_same():
    only = node("Index Only Scan", 50.0, 2, loops=2, Heap_Fetches=7)
    [one] = index_only.explain(
        Side(with_plan("by-day", only)), Side(with_plan("heap", node("Index Scan", 1.0, 3))), queries()
    )
    assert one.facts == {"fetches": 7.0}  # EXPLAIN's total over both loops
    assert "no vacuum has marked as visible" in "".join(piece for piece in one.pieces if isinstance(piece, str))


def test_a_node_that_was_never_executed_is_no_reason():
    idle = node("Append", 1.0, 2, node("Index Only Scan", 0.0, 0, loops=0))
    assert said(index_only, with_plan("by-day", idle), with_plan("heap", node("Append", 1.0, 2))) == []


def test_rows_thrown_away_count_in_every_loop():
    top = node("Nested Loop", 1.0, 9, node("Seq Scan", 1.0, 9, loops=10, Rows_Removed_by_Filter=50))
    [one] = filtered.explain(
        Side(with_plan("heap", top)), Side(with_plan("by-day", node("Index Scan", 1.0, 1))), queries()
    )
    assert one.facts == {"own": 500.0, "base": 0.0}


@pytest.mark.parametrize("rule", [filtered, index_only], ids=lambda rule: rule.NAME)
@pytest.mark.parametrize(
    "far", [node("Foreign Scan", 1.0, 1), node("Custom Scan", 1.0, 1, Custom_Plan_Provider="Citus Adaptive")]
)
def test_nothing_is_said_of_what_another_server_does_unseen(rule, far):
    here = with_plan("heap", node("Index Only Scan", 1.0, 9, Rows_Removed_by_Filter=5000))
    assert said(rule, with_plan("by-day", node("Append", 1.0, 1, far)), here) == []
    assert said(rule, with_plan("by-day", node("Seq Scan", 1.0, 9)), here)


def test_several_statements_of_one_query_are_all_looked_at():
    entry = {
        "params": [],
        "plan": [{"Plan": node("Index Scan", 1.0, 1)}, {"Plan": node("Seq Scan", 1.0, 1, Rows_Removed_by_Filter=700)}],
    }
    own = replace(prepared("by-day"), explains={"recent": [entry]})
    [one] = filtered.explain(Side(own), Side(with_plan("heap", node("Index Scan", 1.0, 1))), queries())
    assert one.facts["own"] == 700.0


@pytest.mark.parametrize(
    ("shape", "told"),
    [({}, True), ({"sizes": {"a": {}, "b": {}}, "standbys": 1}, True), ({"sizes": {"a": {}, "b": {}}}, False)],
)
def test_an_unused_index_is_told_where_all_rows_are_on_one_server(shape, told):
    index = {"name": "i", "table": "t", "bytes": 9000.0, "enforces": False}
    reading = ({"since": {}, "tables": {}, "indexes": {}, "totals": {}},)
    own, base = (
        Side(replace(prepared(name), report={"rows": 10, "indexes": indexes, **more}), readings=reading)
        for name, indexes, more in (("by-day", [index], {}), ("heap", [], shape))
    )
    assert len(list(unused_index.explain(own, base, queries()))) == told
    assert len(list(unused_index.explain(base, own, queries()))) == told


def test_spills_are_told():
    assert said(spill, counted("by-day", temp_bytes_per_call=8192), counted(temp_bytes_per_call=0))


def test_index_bytes_are_told_with_the_write_ahead_log():
    own = counted("brin", **{"size.index_bytes": 100, "wal.record_bytes_per_row": 5})
    [(query, words)] = said(indexes, own, counted(**{"size.index_bytes": 900, "wal.record_bytes_per_row": 9}))
    assert query == ""
    assert "of indexes" in words


def test_the_words_of_a_reason_state_no_number():
    for one in judged().reasons:
        assert figures_in("".join(piece for piece in one.pieces if isinstance(piece, str))) == []


def test_every_citation_leads_to_a_fact_and_every_fact_is_cited():
    run = judged()
    book = plan.plan(run).book
    for one in run.reasons:
        assert one.evidence
        for address in one.evidence:
            book.value(address)
        own = {address.rsplit("/", 1)[-1] for address in one.evidence if address.startswith("reasons/")}
        assert own == set(one.facts)


def test_every_candidate_is_explained_against_the_baseline_and_the_baseline_not_at_all():
    told = reasons.reasons(
        RULES,
        [prepared("by-day"), prepared("heap"), prepared("heap", 2, twin=True)],
        "heap",
        {"heap": queries(), "by-day": queries()},
    )
    assert {one.candidate for one in told} == {"by-day"}
    assert reasons.reasons(RULES, [prepared("by-day")], "heap", {"by-day": queries()}) == ()


def planned(kind, rows, came, *children, **more):
    return node(kind, came, 1, *children, Plan_Rows=rows, **more)


def test_a_wrong_estimate_is_told_of_the_lowest_node_that_has_it():
    top = planned("Sort", 10, 5000.0, planned("Seq Scan", 20, 5000.0, Relation_Name="t"))
    [one] = estimates.explain(Side(with_plan("by-day", top)), Side(with_plan("heap", node("Sort", 1.0, 1))), queries())
    assert one.facts == {"node": "Seq Scan on t", "planned": 20, "actual": 5000.0}


@pytest.mark.parametrize("above", ["Limit", "Nested Loop", "Merge Join"])
def test_too_few_rows_of_a_node_that_may_not_have_been_read_to_its_end_are_no_wrong_estimate(above):
    scan = planned("Seq Scan", 5000, 10.0, Relation_Name="t", Parent_Relationship="Inner")
    base = Side(with_plan("heap", node("Sort", 1.0, 1)))
    assert list(estimates.explain(Side(with_plan("by-day", planned(above, 10, 10.0, scan))), base, queries())) == []
    whole = planned(above, 10, 10.0, planned("Sort", 10, 10.0, scan))
    assert len(list(estimates.explain(Side(with_plan("by-day", whole)), base, queries()))) == 1


# --- what trials say ------------------------------------------------------------------------


def trial(name, round_, *, load=1, recent=(0.0, 10.0), daily=(0.0, 10.0), **more):
    """A trial of ten operations: ms of planning and of execution of two queries."""
    statements = {
        query: {"calls": 5, "plan_ms": both[0], "exec_ms": both[1]}
        for query, both in (("recent", recent), ("daily_total", daily))
    }
    slice_ = sliced(drive(statements=statements, **more), ops(10), round_=round_)
    return replace(slice_, trial=replace(slice_.trial, instance=Instance(name, load, twin=load == 2)))


def rounds(name, *, recent, daily=(0.0, 10.0)):
    """Four rounds that differ a little, as rounds do."""
    return [
        trial(name, n, recent=(recent[0], recent[1] + n / 10), daily=(daily[0], daily[1] + n / 10)) for n in range(4)
    ]


def timed(own, base, rule=server_time):
    """What *rule* says of two candidates with these trials, by query."""
    sides = [reasons.side(name, [prepared(name)], trials) for name, trials in (("by-day", own), ("heap", base))]
    return {one.query: one for one in rule.explain(*sides, queries())}


def test_the_time_of_a_query_is_told_by_operation_with_its_part_of_all_and_what_planning_is_of_it():
    own = [trial("by-day", n, recent=(3.0, 4.0 + n), daily=(0.0, 13.0 - n / 100)) for n in range(4)]
    base = [trial("heap", n, recent=(0.0, 20.0 + n), daily=(0.0, 10.0)) for n in range(4)]
    found = timed(own, base)
    facts = found["recent"].facts
    assert facts["own"] == pytest.approx((7.0 + 1.5) / 10)
    assert facts["base"] == pytest.approx((20.0 + 1.5) / 10)
    assert (facts["plan"], facts["exec"]) == (pytest.approx(0.3), pytest.approx(-1.6))
    assert (facts["low"], facts["high"]) == (pytest.approx(-1.3), pytest.approx(-1.3))
    assert facts["part"] == pytest.approx(13 / (13 + 2.985))
    assert found["daily_total"].leads < found["recent"].leads


def test_the_counter_that_is_named_goes_the_way_of_the_time():
    slower, faster = rounds("by-day", recent=(0.0, 30.0)), rounds("by-day", recent=(0.0, 3.0))
    base = rounds("heap", recent=(0.0, 10.0))
    assert "blocks per call" in words(timed(faster, base)["recent"])  # it touches fewer
    assert "no counter of the larger part" in words(timed(slower, base)["recent"])
    planned = rounds("by-day", recent=(30.0, 10.0))
    assert "relations scanned per call" in words(timed(planned, base)["recent"])


def words(one):
    return "".join(piece for piece in one.pieces if isinstance(piece, str))


def test_a_difference_in_time_that_the_rounds_do_not_show_is_not_told():
    own = [trial("by-day", n, recent=(0.0, 20.0 + 9 * (-1) ** n)) for n in range(4)]
    assert timed(own, rounds("heap", recent=(0.0, 10.0))) == {}
    assert timed(rounds("by-day", recent=(0.0, 30.0))[:1], rounds("heap", recent=(0.0, 10.0))) == {}


def test_rounds_that_one_side_lacks_and_the_twin_are_left_out_of_the_time():
    own = rounds("by-day", recent=(0.0, 30.0))
    base = rounds("heap", recent=(0.0, 10.0))
    whole = timed(own[:3], base[:3])["recent"].facts
    twin = [trial("heap", n, load=2, recent=(0.0, 500.0)) for n in range(3)]
    assert timed(own, [*base[:3], *twin])["recent"].facts == whole


def test_queries_that_carry_more_of_the_time_come_first_and_what_is_of_no_query_last():
    slow = rounds("by-day", recent=(0.0, 30.0), daily=(0.0, 99.0))
    base = rounds("heap", recent=(0.0, 10.0), daily=(0.0, 10.0))
    asked = {"heap": queries(), "by-day": queries()}
    found = reasons.reasons(parts.rules(), [prepared("by-day"), prepared("heap")], "heap", asked, [*slow, *base])
    order = list(dict.fromkeys(one.query for one in found))
    assert order == ["daily_total", "recent", ""]
    assert next(one.rule for one in found if one.query == "daily_total") == "server_time"


def test_readings_go_back_to_the_last_reset_and_no_further_and_to_no_other_instance():
    seen = [{"since": {"a": since}, "n": n} for n, since in enumerate(["old", "new", "new"])]
    trials = [trial("heap", n, activity=one) for n, one in enumerate(seen)]
    twin = trial("heap", 3, load=2, activity={"since": {"a": "new"}, "n": 9})
    kept = reasons.side("heap", [prepared("heap")], [*trials, twin])
    assert [one["n"] for one in kept.readings] == [1, 2]
    assert reasons.side("heap", [prepared("heap")], trials, kept=False).readings == ()


def test_rows_at_a_reading_are_without_what_later_steps_did():
    steps = [step("append", rows=50), drive(activity={}), step("append", rows=7), step("retire", rows=57)]
    assert bloat.rows_then(sliced(steps, ops(1), rows=1000)) == 1050
    assert bloat.rows_then(sliced([*steps, step("maintain", activity={})], ops(1), rows=1000)) == 1000
    assert bloat.rows_then(sliced([*steps, drive(rows_by_load=5)], ops(1), rows=1000)) == 1045


@pytest.mark.parametrize(("more", "told"), [({}, ["by-day"]), ({"inner_calls": 3}, [])])
def test_blocks_are_told_of_a_mix_that_asks_one_server_alone(more, told):
    sides = []
    for name, read in (("by-day", 50), ("heap", 0)):
        asked = drive(statements={"recent": {"calls": 1, "blocks": 100, "read": read}}, **more)
        one = replace(sliced(asked, ops(1)), trial=replace(sliced(asked, ops(1)).trial, instance=Instance(name, 1)))
        sides.append(reasons.side(name, [prepared(name)], [one]))
    assert [one.candidate for one in cache.explain(*sides, queries())] == told


def test_explains_of_the_samples_cover_the_queries_that_read():
    assert set(explains("heap")) < set(QUERIES)
