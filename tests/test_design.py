"""Who is driven when: balanced, randomised, recorded, and the same however many rounds there are."""

from collections import Counter
from dataclasses import replace

import pytest

from lab import scenario
from lab.design import ROUNDS, Design, design, slug
from lab.model import Instance
from tests.authored import FILES, edited, read

S = "scenario.yaml"
TIMELINE = "[{do: ingest}, {do: settle}, {do: count}, {do: round, steps: [{do: drive, for: 2s, rate: 400}]}]"


def of(profile: str = "quick", **more) -> Design:
    return design(read(given=scenario.Given(profile=profile)), **{"seed": 1, **more})


def ids(found: Design) -> list[str]:
    return [trial.id for trial in found.trials]


def test_quick_loads_each_candidate_once_and_the_baseline_twice():
    assert of().instances == (
        Instance("heap", 1),
        Instance("by-month", 1),
        Instance("by-day", 1),
        Instance("heap", 2, twin=True),
    )


def test_decide_loads_each_candidate_three_times_and_needs_no_twin():
    found = of("decide")
    assert Counter(one.candidate for one in found.instances) == {"heap": 3, "by-month": 3, "by-day": 3}
    assert not any(one.twin for one in found.instances)


@pytest.mark.parametrize("profile", ROUNDS)
def test_a_round_holds_one_trial_for_every_instance(profile):
    found = of(profile)
    assert len(found.rounds) == ROUNDS[profile]
    for number, trials in enumerate(found.rounds, 1):
        assert {trial.instance for trial in trials} == set(found.instances)
        assert [trial.position for trial in trials] == list(range(len(found.instances)))
        assert {trial.round for trial in trials} == {number}


def test_all_in_a_round_are_asked_the_same_and_no_two_rounds_are():
    seeds = [{trial.seed for trial in trials} for trials in of().rounds]
    assert all(len(one) == 1 for one in seeds)
    assert len(set.union(*seeds)) == len(seeds)


def test_parameters_do_not_depend_on_who_else_is_there():
    few = design(read(given=scenario.Given(only=("by-day",))), seed=1)
    assert [trials[0].seed for trials in few.rounds] == [trials[0].seed for trials in of().rounds]


def test_the_order_is_drawn_for_every_round():
    orders = [tuple(trial.instance for trial in trials) for trials in of(rounds=200).rounds]
    assert len(set(orders)) == 24  # all orders of four
    places = Counter(order.index(Instance("heap", 1)) for order in orders)
    assert all(30 <= count <= 70 for count in places.values())


def test_the_same_seed_gives_the_same_design_and_another_seed_another():
    assert of() == of()
    assert not set(ids(of())) & set(ids(of(seed=2)))
    assert [t.instance for t in of().trials] != [t.instance for t in of(seed=2).trials]


def test_more_rounds_leave_the_earlier_ones_as_they_were():
    assert of(rounds=30).rounds[:20] == of(rounds=20).rounds


def test_ids_are_readable_and_all_different():
    found = ids(of())
    assert len(set(found)) == len(found)
    assert {one.rpartition("-")[0] for one in found[:4]} == {"heap.1.r1", "by-month.1.r1", "by-day.1.r1", "heap.2.r1"}
    assert all(len(one.rpartition("-")[2]) == 10 for one in found)


@pytest.mark.parametrize(
    "edit",
    [
        ("heap.sql", "bigint", "integer"),
        ("retire.sql", ":to", ":to AND true"),
        ("workload/recent.sql", "zipf(1.1)", "zipf(1.2)"),
        ("workload/recent.sql", "SELECT 1", "SELECT 2"),
        ("workload/workload.yaml", "recent: 5", "recent: 6"),
        ("workload/workload.yaml", "clients: 2", "clients: 3"),
        ("workload/workload.yaml", "driver: fast", "driver: fast\nlocustfile: by_id.sql"),
        ("workload/data.yaml", "device: 1", "device: 2"),
        (S, "rows: 1_000}", "rows: 2_000}"),
        (S, "hypothesis: plain", "hypothesis: plain\n    settings: {jit: off}"),
        (S, "hypothesis: plain", "hypothesis: plain\n    topology: {kind: over}"),
        (S, "hypothesis: plain", "hypothesis: plain\n    ingest: {connections: 2}"),
        (S, "baseline: heap", "baseline: heap\nisolation: fresh"),
        (S, "baseline: heap", f"baseline: heap\ntimeline: {TIMELINE}"),
    ],
    ids=lambda edit: f"{edit[0]}: {edit[2].splitlines()[-1].strip()}",
)
def test_whatever_decides_what_a_trial_does_is_in_its_id(edit):
    heap = [one for one in ids(of()) if one.startswith("heap.1")]
    assert not set(heap) & set(ids(design(read(edited(edit)), seed=1)))


@pytest.mark.parametrize(
    "edit",
    [
        (S, "Which index?", "Which one?"),
        (S, "hypothesis: plain", "hypothesis: simple"),
        (S, "at_most: 50", "at_most: 5"),
        ("workload/by_id.sql", "SELECT", "\n\nSELECT"),
    ],
)
def test_what_only_says_something_is_not(edit):
    assert ids(design(read(edited(edit)), seed=1)) == ids(of())


def test_a_change_of_one_candidate_leaves_the_trials_of_the_others():
    changed = set(ids(design(read(edited(("part.sql.j2", "bigint", "integer"))), seed=1)))
    assert {one.split(".")[0] for one in set(ids(of())) - changed} == {"by-month", "by-day"}


def test_what_the_caller_knows_is_in_the_id_too():
    assert not set(ids(of(what={"host": "embedded"}))) & set(ids(of(what={"host": "docker"})))


def test_slugs_are_short_plain_and_never_shared():
    names = ["Heap", "heap", "ヒープ", "堆", "a" * 40, "a" * 41, "x/../../y", "  "]
    slugs = {name: slug(name) for name in names}
    assert slugs["heap"] == "heap"
    assert len(set(slugs.values())) == len(names)
    assert all(0 < len(one) <= 24 and one.isascii() and "/" not in one for one in slugs.values())


def test_two_candidates_of_one_slug_have_trials_of_their_own():
    body = "{schema: heap.sql, hypothesis: shouted, sql: {retire: retire.sql}}"
    found = design(read(edited((S, "  by-{interval}:", f"  HEAP: {body}\n  by-{{interval}}:"))), seed=1)
    assert {"heap.1.r1", f"{slug('HEAP')}.1.r1"} <= {one.rpartition("-")[0] for one in ids(found)}


def test_the_design_of_a_scenario_read_again_is_the_same():
    assert design(read(read().files), seed=1) == of()
    assert design(replace(read(), files={}), seed=1) == of()
    assert set(FILES) == set(read().files)
