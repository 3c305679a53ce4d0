"""Which counter accounts for a difference, and that nothing is said where nothing differs."""

from dataclasses import replace

import pytest

from lab import parts, plan, reasons
from lab.metrics import find
from lab.reasons import Side, blocks, filtered, index_only, indexes, locks, pruning, spill
from lab.template import figures_in
from tests.samples import QUERIES, RULES, explains, judged, node, prepared, queries


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


def test_partitions_are_told_on_both_sides():
    [(query, words)] = said(pruning, counted("by-day", partitions_per_call=7), counted(partitions_per_call=1))
    assert query == "recent"
    assert "scans <metrics/query.recent.partitions_per_call/value> relations" in words


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
    assert one.facts == {"fetches": 14.0}
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


def test_explains_of_the_samples_cover_the_queries_that_read():
    assert set(explains("heap")) < set(QUERIES)
