"""What a plan says of production, of work seen under load, and of how to get there."""

from dataclasses import replace
from pathlib import Path

import pytest

from lab import judge, plan, project, render, store
from lab.model import Lab, Production, Scope, SqlFile, Stream
from tests import samples
from tests.samples import decision, driven, judged, prepared, scenario, studies


def page(**changes):
    return render.pages(plan.plan(judged(**changes)))["events.md"].text


def section(text, title):
    return text.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def picked(name, **changes):
    """The sample run, in which *name* is to be moved to."""
    chosen = decision(pick=name, may_lose={name: 0.0}, may_be_best=(name,))
    return judged(weighed=replace(judged().weighed, decision=chosen), **changes)


def test_production_that_was_not_stated_is_said_so_and_nothing_is_claimed_about_it():
    told = scenario(production=Production(), lab=Lab(rows=400_000, days=40, entities={"device": 100}))
    sheet = project.sheet(told, [prepared(name) for name in told.candidates], studies(), driven())
    run = judged(scenario=told, sheet=sheet)
    evidence = [
        replace(one, scope=project.scope(one.metric, sheet, (one.candidate, "heap"))) for one in run.weighed.evidence
    ]
    text = render.pages(plan.plan(replace(run, weighed=replace(run.weighed, evidence=tuple(evidence)))))[
        "events.md"
    ].text
    first = section(text, "The decision")
    assert "**Production was not stated: nothing is claimed about it.**" in first
    assert "Transfers to production" not in text
    assert "Not decidable here" not in text
    risks = section(text, "Risks, and what was not shown")
    assert "The scenario says nothing of production" in risks
    assert "similarity sheet" not in risks  # which would say "not shown" in each line


def test_rows_that_were_brought_are_taken_for_productions_and_that_is_said():
    told = scenario(production=Production(), lab=Lab())
    told = replace(told, workload=replace(told.workload, streams={"events": Stream("events", "parquet", {})}))
    sheet = project.sheet(told, [prepared(name) for name in told.candidates], studies(), driven())
    risks = section(page(scenario=told, sheet=sheet), "Risks, and what was not shown")
    assert "what transfers does so if they are all of its rows, and not an extract" in risks
    assert "similarity sheet" in risks
    assert "and not an extract" not in page()


def test_what_transfers_is_told_by_label_and_of_queries_only_where_they_differ():
    made = plan.plan(judged())
    found = made.outline["scopes"]
    told = {
        str(scope): {(one["label"].text, tuple(query.text for query in one["queries"])) for one in entries}
        for scope, entries in found.items()
    }
    undecided = told[Scope.NOT_DECIDABLE]
    assert ("locks per call", ()) in undecided
    assert ("backend memory", ()) in undecided
    assert [one["sizes"] for one in found[Scope.NOT_DECIDABLE]].count(True) == 1


def test_what_transfers_is_told_first():
    run = picked("brin")
    mixed = sorted(run.weighed.evidence, key=lambda one: one.metric == "size.total_bytes")
    text = render.pages(plan.plan(replace(run, weighed=replace(run.weighed, evidence=tuple(mixed)))))["events.md"].text
    first = section(text, "The decision")
    places = [first.find(words) for words in ("**Transfers to", "**Holds on this host", "**Not decidable")]
    assert -1 < places[0] < places[1] < places[2]


def test_sizes_are_told_as_one_and_queries_in_brackets():
    text = render.pages(plan.plan(picked("brin")))["events.md"].text
    [line] = [line for line in text.splitlines() if "Transfers to production" in line]
    assert line.count("size") == 1
    assert "sizes in all and per row" in line


def test_blocks_seen_while_driven_stand_beside_those_counted_where_they_differ():
    text = section(page(), "What was counted")
    assert "| `recent` | 104 / 106 | 3,710 / 3,800 | 62 / 64 | 24.5 / 140 |" in text
    assert "while driven" in section(page(), "Promised and seen")
    assert "while driven" in section(page(), "Why")
    calm = [one for one in judged().measurements if "driven" not in one.metric]
    assert "while driven" not in section(page(measurements=calm), "What was counted")
    near = [replace(one, value=104.0) if one.metric.startswith("query.recent.") else one for one in driven()]
    near = [one for one in near if one.instance.candidate == "heap"]
    assert "| `recent` |" not in section(page(measurements=[*calm, *near]), "What was counted")


def test_the_values_to_watch_have_the_blocks_that_pg_stat_statements_saw():
    assert "| `recent` | 24.5 | 140 |" in section(page(), "What to watch")


def test_new_indexes_are_made_under_other_names_and_renamed():
    text = section(render.pages(plan.plan(picked("brin")))["events.md"].text, "What to do")
    steps = ["under names that are not taken yet", "DROP INDEX CONCURRENTLY", "RENAME TO"]
    assert [text.find(step) for step in steps] == sorted(text.find(step) for step in steps)
    assert -1 not in [text.find(step) for step in steps]


def test_indexes_of_a_partitioned_table_are_made_by_partition():
    told = scenario()
    by_day = told.candidates["by-day"]
    more = replace(by_day, schema=SqlFile("more.sql", by_day.schema.text + " CREATE INDEX ON events (value);"))
    swapped = {"heap": replace(by_day, name="heap"), "by-day": more}
    run = judged(scenario=scenario(candidates=swapped), studies=(), reasons=(), prepared=(), sheet=())
    text = section(render.pages(plan.plan(run))["events.md"].text, "What to do")
    assert "ON ONLY" in text
    assert "ATTACH PARTITION" in text
    assert "DROP INDEX CONCURRENTLY" not in text


@pytest.mark.parametrize("path", [".claude", "results/", "scenarios/"])
def test_how_to_check_names_no_folder_that_another_run_would_not_have(path):
    text = section(page(), "How to check this again")
    assert "pglab verify" in text
    assert path not in text


def test_the_sheet_says_why_a_row_is_not_kept():
    text = page(sheet=project.sheet(scenario(), [prepared(name) for name in samples.PARTITIONS], studies()))
    assert "| rows per query | daily\\_total | 10,000,000 | 10,000 | **no**, it asks across all keys |" in text
    assert "| locks per query | heap | – | – | yes, not partitioned |" in text


def test_a_stored_run_is_judged_with_the_blocks_that_its_rounds_saw():
    (folder,) = store.runs(Path(__file__).parent.parent / "results", "sample")
    found = [row for row in judge.judge(folder).judged.sheet if row.invariant == "blocks while driven"]
    assert found
    assert all(row.driven is not None for row in found)
