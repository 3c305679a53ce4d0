"""What a person who must decide reads, for every way a run can end."""

import dataclasses
import math
import re
from dataclasses import dataclass, replace

import pytest

from lab import change, figure, plan, render, timeline
from lab.model import (
    Candidate,
    Doubt,
    Evidence,
    Family,
    LeastEffect,
    Production,
    Requirement,
    Verdict,
    Weighed,
)
from lab.template import Rendered
from tests import samples
from tests.samples import decision, evidence, judged, scenario

TIME = "the processor was shared with others in most trials"


def page(**changes):
    """The Markdown of the sample run with *changes*."""
    made = render.pages(plan.plan(judged(**changes)))
    return made["events.md"].text


def weighed(*, of=None, told=None, **changes):
    """The sample's Weighed with another decision *of* and other evidence *told*."""
    made = judged().weighed
    return replace(
        made, decision=of or made.decision, evidence=tuple(told) if told is not None else made.evidence, **changes
    )


def told() -> list[Evidence]:
    return list(judged().weighed.evidence)


KEEP = decision(
    kind="keep",
    pick="heap",
    may_lose={"heap": 0.06, "by-day": 0.02},
    may_be_best=("heap", "by-day"),
    smallest_effect=0.13,
)
OPEN = decision(
    kind="open",
    pick=None,
    may_lose={},
    may_be_best=(),
    smallest_effect=None,
    because=("no candidate is shown to meet the requirements",),
)
NO = decision(
    kind="no",
    pick=None,
    may_lose={},
    may_be_best=(),
    because=("every candidate fails a requirement or gives other answers than the baseline",),
)


def repeating() -> Weighed:
    """The sample's, its objective's values repeating: each difference is what it is."""
    found = [
        replace(one, value=0.98, low=0.98, high=0.98, because="the values repeat exactly")
        if one.family == Family.OBJECTIVE
        else one
        for one in told()
    ]
    return weighed(of=decision(smallest_effect=None), told=found, twin={}, exact=True)


WAYS = {
    "recommend": {},
    "keep": {"weighed": weighed(of=KEEP)},
    "open": {"weighed": weighed(of=OPEN)},
    "no": {"weighed": weighed(of=NO)},
    "exploratory": {"weighed": weighed(of=decision(exploratory=True), rounds=7)},
    "time refused": {
        "weighed": weighed(
            of=OPEN,
            told=[
                replace(one, low=float("-inf"), high=float("inf"), verdict=Verdict.UNCLEAR, because=TIME)
                if one.family == Family.OBJECTIVE
                else one
                for one in told()
                if one.family != Family.DESCRIBED
            ],
            time_refused=TIME,
        )
    },
    "disagree": {"weighed": weighed(of=KEEP), "disagreements": [samples.Differs("brin", "recent")] * 3},
    "no catalogue": {"studies": ()},
    "one point": {"studies": samples.studies()[:1]},
    "no requirements": {"scenario": scenario(requirements=())},
    "no production": {"sheet": ()},
    "no evidence": {"weighed": Weighed((), OPEN, {}, 0, "")},
    "no twin": {"weighed": weighed(told=[one for one in told() if "twin" not in one.candidate], twin={})},
    "no instances": {"prepared": (), "reasons": (), "sheet": (), "studies": ()},
    "no host": {"run": {"id": "r"}},
    "exact objective": {"weighed": repeating()},
    "loud twin": {"weighed": weighed(twin={"mix.server_ms_per_op": 0.3})},
    "baseline alone": {
        "scenario": scenario(candidates={"heap": samples.candidate("heap")}),
        "weighed": Weighed((), KEEP, {}, 20, ""),
        "reasons": (),
        "sheet": (),
        "studies": (),
    },
    "unsafe": {"scenario": scenario(unsafe="fsync is off: only plans are compared")},
    "difference": {
        "weighed": weighed(
            told=[
                replace(one, scale="difference", value=-0.2, low=-0.3, high=-0.1)
                if one.family == Family.OBJECTIVE
                else one
                for one in told()
            ]
        )
    },
}


@pytest.mark.parametrize("way", WAYS)
def test_a_plan_reads_in_every_case(way):
    text = page(**WAYS[way])
    assert text.startswith("# Plan: events\n\n> Which layout")
    assert "None" not in text
    assert not re.search(r"\n\n\n\n", text)
    assert not re.search(r"[ ,;:]\.(\s|$)|  +[a-z]\w+ is |,,|\(\)", text.partition("```")[0])
    assert render.seal_of(text) is not None


@pytest.mark.parametrize("way", WAYS)
def test_every_table_has_as_many_cells_in_each_row(way):
    for table in re.findall(r"(?:^\|.*\n)+", page(**WAYS[way]), re.MULTILINE):
        rows = [re.sub(r"\\\|", "", row).count("|") for row in table.splitlines()]
        assert len(rows) >= 2, table
        assert set(rows) == {rows[0]}, table


@pytest.mark.parametrize(
    ("way", "first"),
    [
        ("recommend", "**Move from `heap` to `by-day`.**"),
        ("keep", "**Keep `heap`.**"),
        ("open", "**Open: nothing is recommended yet.**"),
        ("no", "**No candidate will do.**"),
    ],
)
def test_the_decision_stands_in_the_first_lines(way, first):
    assert page(**WAYS[way]).splitlines()[6] == first


def test_settings_that_differ_are_shown_with_both_values():
    assert "`max_locks_per_transaction` | (default) | 256" in page()


def test_of_a_long_schema_a_plan_shows_what_differs():
    many = "".join(f"CREATE TABLE other{n} (a int);\n" for n in range(change.LONG))
    long = {
        name: replace(one, schema=replace(one.schema, text=many + one.schema.text))
        for name, one in scenario().candidates.items()
    }
    text = page(scenario=scenario(candidates=long))
    assert "`by-day.sql` has the whole schema, which is the one that is there but for the lines under" in text
    assert "CREATE TABLE other7 " not in text
    assert "The schema, line by line:" in text
    kept = page(scenario=scenario(candidates=long), weighed=weighed(of=KEEP))
    assert "`heap.sql` has the whole schema, which stays." in kept
    assert "CREATE TABLE other7 " in page(scenario=scenario(candidates={**long, "heap": samples.candidate("heap")}))


def test_the_same_run_gives_the_same_text_however_mappings_are_ordered():
    run = judged()
    shuffled = replace(
        run, prepared=[replace(one, metrics=dict(reversed(one.metrics.items()))) for one in run.prepared]
    )
    assert page() == render.pages(plan.plan(judged()))["events.md"].text
    assert render.pages(plan.plan(shuffled))["events.md"].text.count("\n") == page().count("\n")


def test_no_path_of_a_machine_and_no_time_of_day_is_printed():
    text = page(run={**judged().run, "begun": "2026-01-02T03:04:05+00:00", "folder": "/home/somebody/results"})
    assert "/home" not in text
    assert "03:04" not in text


def test_a_recommendation_names_what_is_lost_and_how_to_get_there():
    text = page()
    assert "**Guarantees lost.** The server no longer enforces:\n\n- events: PRIMARY KEY (id)" in text
    assert "CREATE TABLE events (\n  id bigint,\n" in text
    assert "was not measured here" in text


def test_a_step_that_only_changes_indexes_moves_no_table():
    text = page(weighed=weighed(of=decision(pick="brin", may_lose={"brin": 0.0}, may_be_best=("brin",))))
    assert "CREATE INDEX CONCURRENTLY" in text
    assert "write to both" not in text


def test_a_kept_baseline_tells_what_was_turned_down():
    text = page(**WAYS["keep"])
    assert "The nearest alternative, `by-day`, is at 0.61x of `heap`" in text
    assert "Choosing `heap` loses at most 6 %" in text
    assert "What `by-day`, the nearest alternative, would have changed" in text


def test_a_candidate_that_answers_otherwise_is_named_with_the_query():
    assert "`brin` answers `recent` otherwise than `heap` (parameter sets that differ: 3)" in page(**WAYS["disagree"])


def test_refused_time_is_told_and_no_interval_without_ends_is_printed():
    text = page(**WAYS["time refused"])
    assert f"**Nothing is said about time:** {TIME}." in text
    assert "∞" not in text


def test_no_margin_is_told_where_nothing_is_said_about_time():
    assert "beyond a margin of" in page()
    assert "beyond a margin of" not in page(**WAYS["time refused"])


@pytest.mark.parametrize(("effect", "says"), [(0.94, "improvement that a run like this one"), (0.96, "no improvement")])
def test_a_run_that_can_find_nothing_says_so(effect, says):
    assert says in page(weighed=weighed(of=decision(smallest_effect=effect)))


def test_fresh_rows_are_told_of_where_rows_are_appended():
    assert "Blocks per call in peace" in page()
    assert "fresh rows that no vacuum has seen" not in page()
    assert "fresh rows that no vacuum has seen" in page(scenario=replace(scenario(), round=(timeline.Append(),)))


def test_a_requirement_on_a_percentile_is_worded_by_the_share_over_the_limit():
    assert "**met**, 25.0x to spare; 1.50 ms here, over the limit at most 0.2 %, allowed 5 %" in page()


def test_a_missed_requirement_has_nothing_to_spare():
    assert not re.search(r"not met\*\*, \S+ to spare", page())


def test_limits_of_one_metric_do_not_take_each_others_evidence():
    limits = (Requirement("append.rows_per_s", at_least=10.0), Requirement("append.rows_per_s", at_least=20.0))
    found = [
        evidence(
            "heap", "append.rows_per_s", 15.0, scale="value", low=14.0, high=float("inf"), own=15.0, against="at_least",
            base=limit, family=Family.REQUIREMENT, verdict=verdict,
        )
        for limit, verdict in ((20.0, Verdict.NOT_MET), (10.0, Verdict.MET))
    ]  # fmt: skip
    made = plan.plan(judged(scenario=scenario(requirements=limits), weighed=weighed(told=found)))
    assert made.book.value("requirement/0/heap/verdict") == "met"
    assert made.book.value("requirement/1/heap/verdict") == "not met"


def test_requirements_that_look_alike_each_have_their_own_evidence():
    """Limits that differ only in what they count: evidence comes in the scenario's order."""
    limits = tuple(Requirement("query.recent.over_limit_share", at_most=0.01, limit_ms=ms) for ms in (50.0, 200.0))
    found = [
        evidence(
            "heap",
            limits[0].metric,
            value,
            scale="value",
            low=0.0,
            high=value,
            own=value,
            against="at_most",
            base=0.01,
            family=Family.REQUIREMENT,
            verdict=Verdict.MET,
        )
        for value in (0.009, 0.001)
    ]
    made = plan.plan(judged(scenario=scenario(requirements=limits), weighed=weighed(told=found)))
    assert [made.book.value(f"requirement/{n}/heap/value") for n in (0, 1)] == [0.009, 0.001]
    assert "over 50.0 ms" in render.pages(made)["events.md"].text


def test_two_pieces_of_evidence_at_one_address_are_a_bug():
    with pytest.raises(ValueError, match=r"by-day/retire\.ms: two pieces"):
        plan.plan(judged(weighed=weighed(told=[*told(), evidence("by-day", "retire.ms", 2.0)])))


def test_the_margin_in_force_is_the_twins_where_that_is_larger():
    text = page(**WAYS["loud twin"])
    assert "differed by up to 35 %" in text
    assert "so the margin in force is 35 %" in text
    assert "the margin in force is 10 %" not in text


def test_an_objective_that_repeats_is_told_with_its_own_margin_and_without_intervals():
    run = judged(weighed=repeating())
    text = page(weighed=repeating())
    assert "is at 0.98x of `heap` in the objective `mix.server_ms_per_op`: **better**.\n" in text
    assert "every improvement beyond 1 % is found" in text
    assert "claimed beyond a margin of 1 %; the same means shown to lie within 1 %" in text
    assert "hold together" not in "".join(one.text for one in render.pages(plan.plan(run)).values())
    drawn = figure.objective(run)
    left, at = drawn["one"] - drawn["band_left"], drawn["one"] - drawn["rows"][0]["at"]
    assert left / at == pytest.approx(math.log1p(0.01) / -math.log(0.98))


@pytest.mark.parametrize(
    ("profile", "twin", "told"), [("quick", 0.01, True), ("quick", 0.08, False), ("decide", 0.01, False)]
)
def test_small_claims_are_told_to_need_several_loads(profile, twin, told):
    small = replace(scenario(), least_effect=LeastEffect(time=0.02), profile=profile)
    text = page(scenario=small, weighed=weighed(twin={small.objective: twin}))
    assert ("Claims so small need several loads (`--profile decide`)" in text) == told
    assert "Claims so small" not in page()


def test_loads_that_differ_are_not_told_to_need_more_rounds():
    text = page(weighed=weighed(of=OPEN, twin={"mix.server_ms_per_op": 0.3}))
    assert "several loads (`--profile decide`), more than further rounds, may decide what is open" in text
    assert "More rounds, or a quieter machine, may decide" in page(weighed=weighed(of=OPEN))


def test_what_is_worse_in_the_pick_is_named_as_a_risk():
    assert re.search(r"The pick is worse in [^\n]*size index", page())


def test_doubts_about_instances_are_counted_in_instances():
    doubts = [Doubt(samples.TRIALS[n], "warm-up", "the first third was slower", False) for n in range(3)]
    doubts.append(Doubt(samples.TRIALS[3], "overloaded", "the lag grew", False))
    text = page(doubts=doubts)
    assert "(instances: 3): the first third was slower" in text
    assert "(trials: 1): the lag grew" in text


def test_trials_left_out_are_named_and_doubts_counted():
    doubts = [
        Doubt("t1", "rows", "rows were missing", True),
        Doubt("t2", "foreign", "others were busy", False),
        Doubt("t3", "foreign", "others were busy", False),
    ]
    text = page(doubts=doubts)
    assert "**Left out** (trials: 1): rows were missing (rows)" in text
    assert "**Doubted** (trials: 2): others were busy (foreign)" in text
    assert "rows: `t1`" in text


def test_a_percentile_without_operations_enough_is_told_with_what_it_needs():
    @dataclass(frozen=True)
    class Lacks:
        metric: str
        operations: int
        needs: int = 299

    text = page(not_estimable=[Lacks("query.recent.p99_ms", 90), Lacks("query.recent.p99_ms", 120)])
    assert (
        "`query.recent.p99_ms` is not estimable: it needs 299 operations in a trial, and the best trial had 120."
        in text
    )


def test_looks_are_marked_and_said_to_be_no_claims():
    text = page()
    assert "0.20x [0.19x, 0.22x] **look**" in text
    assert "not claims" in text


def test_words_of_the_author_do_not_act_as_markdown():
    text = page(scenario=scenario(question="Is <b>a</b> | `b`\n# better?"))
    assert "> Is \\<b\\>a\\</b\\> \\| \\`b\\` \\# better?" in text


def test_sql_that_holds_a_fence_stays_inside_its_block():
    base = samples.candidate("by-day")
    odd = replace(base, schema=replace(base.schema, text="-- ```\nCREATE TABLE t ();"))
    text = page(scenario=scenario(candidates={**scenario().candidates, "by-day": odd}))
    assert "````sql\n-- ```\nCREATE TABLE t ();\n````" in text


def test_candidates_of_any_name_have_addresses_of_their_own():
    names = {"heap": "heap", "a/b": "by-day", "a%2Fb": "brin"}
    candidates = {new: replace(samples.candidate(old), name=new) for new, old in names.items()}
    swap = {old: new for new, old in names.items()}
    found = [replace(one, candidate=swap[one.candidate]) for one in told() if one.candidate in swap]
    run = judged(
        scenario=scenario(candidates=candidates), studies=(), reasons=(), prepared=(), sheet=(),
        weighed=weighed(of=decision(pick="a/b", may_lose={"a/b": 0.0}, may_be_best=("a/b",)), told=found),
    )  # fmt: skip
    assert "Move from `heap` to `a/b`" in render.pages(plan.plan(run))["events.md"].text


def test_the_seal_says_run_root_and_method_and_covers_the_figures():
    pages = render.pages(plan.plan(judged()))
    seal = render.seal_of(pages["events.md"].text)
    assert (seal.scenario, seal.run, seal.root, seal.method) == ("events", "20260102T030405-ab12cd", "ab" * 32, "1")
    page, *figures = pages.values()
    body = Rendered("", page.tokens[: -len(dataclasses.fields(render.Seal))])
    assert seal.printed == render.printed([body, *figures])
    assert seal.printed != render.printed([body])


def test_the_seal_is_found_above_what_somebody_wrote_below_it_and_that_touches_the_page():
    found = {path: one.text for path, one in render.pages(plan.plan(judged())).items()}
    text, seal = found["events.md"], render.seal_of(found["events.md"])
    assert render.untouched(found)
    assert render.untouched({**found, "events.md": text + "\n"})
    for more in ("more", "\nIt is 7 times as fast.\n", f" {text}"):
        assert render.seal_of(text + more) == seal
        assert not render.untouched({**found, "events.md": text + more})
    assert render.seal_of("# A page\n") is None


def test_a_seal_in_somebodys_sql_is_none_and_part_of_the_page():
    quoted = "<!-- pglab scenario=a run=b root=c method=d printed=e pages=f -->"
    told = {name: quoting(one, quoted) for name, one in scenario().candidates.items()}
    found = {
        path: one.text for path, one in render.pages(plan.plan(judged(scenario=scenario(candidates=told)))).items()
    }
    assert quoted in found["events.md"]
    assert render.untouched(found)
    assert not render.untouched({**found, "events.md": found["events.md"].replace("run=b", "run=z")})


def quoting(candidate: Candidate, words: str) -> Candidate:
    """The same with *words* as a comment in its schema."""
    return replace(candidate, schema=replace(candidate.schema, text=f"-- {words}\n{candidate.schema.text}"))


def test_figures_are_named_by_the_page_and_rendered_beside_it():
    pages = render.pages(plan.plan(judged()))
    for path in list(pages)[1:]:
        assert f"]({path})" in pages["events.md"].text
        assert pages[path].text.startswith("<svg xmlns=")


def test_nothing_in_a_figure_lies_outside_it():
    for made in (plan.plan(judged()), plan.plan(judged(**WAYS["loud twin"]))):
        for name in made.figures:
            figure = made.book.value(f"figure/{name}")
            for key, value in walk(figure):
                if key in ("x", "low", "high", "at", "one", "left", "right", "band_left", "value_x"):
                    assert 0 <= value <= figure["width"], (name, key)
                if key in ("y", "text_y", "axis_y", "value_y"):
                    assert 0 <= value <= figure["height"], (name, key)


def walk(tree):
    """(key, number) of everything in a figure."""
    for key, value in tree.items():
        if isinstance(value, dict):
            yield from walk(value)
        elif isinstance(value, list):
            for one in value:
                yield from walk(one)
        elif isinstance(value, float):
            yield key, value


def test_json_has_no_infinity():
    data = render.as_json(plan.plan(judged(**WAYS["time refused"])))
    assert data["evidence"]["by-day"]["mix.server_ms_per_op"]["low"] is None
    assert data["decision"]["kind"] == "open"


def test_rows_at_peak_are_told_beside_what_came_in_here():
    rates = [
        evidence(name, "append.rows_per_s", value, own=90_000.0 * value, base=90_000.0)
        for name, value in (("brin", 1.1), ("by-day", 0.8))
    ]
    of = scenario(production=replace(scenario().production, peak_factor=5.0))
    text = page(scenario=of, weighed=weighed(told=[*told(), *rates]))
    assert "takes in 10,000,000 rows a day, and at peak 5 times the mean: 579 rows/s. Beside it" in text
    assert "| `append.rows_per_s` | 90,000 rows/s | 99,000 rows/s | – | 72,000 rows/s |\n" in text
    assert "No rate of rows coming in was measured here" in page(scenario=of)


def test_a_peak_of_nobody_knows_how_many_rows_says_what_it_lacks():
    text = page(scenario=scenario(production=Production(peak_factor=5.0)))
    assert "a peak factor of 5, and not of how many rows (production: `rows_per_day`)" in text
    assert "Rows at peak" not in page()


def test_what_did_not_repeat_for_one_candidate_is_not_called_the_same_for_all():
    named = "query.daily_total.temp_bytes_per_call"
    (line,) = re.findall(r"The same for all: .*", page())
    assert "temp bytes per call" in line
    changed = [
        replace(one, family=Family.DESCRIBED, verdict=Verdict.DESCRIBED)
        if (one.metric, one.candidate) == (named, "by-day")
        else one
        for one in told()
    ]
    assert changed != told()
    for line in re.findall(r"The same for all: .*", page(weighed=weighed(told=changed))):
        assert "temp bytes per call" not in line
        assert named not in line


def test_a_query_that_found_nothing_is_told_and_one_that_writes_or_finds_is_not():
    told_so = "No row was found by"
    assert told_so not in page()
    name = "query.recent.rows_per_call"
    empty = tuple(replace(one, metrics={**one.metrics, name: (0.0, 0.0)}) for one in judged().prepared)
    assert f"- {told_so} `recent`, with any parameters" in page(prepared=empty)
    some = (replace(empty[0], metrics={**empty[0].metrics, name: (0.0, 1.0)}), *empty[1:])
    assert told_so not in page(prepared=some)
