"""What the rules say of time: only what the judge may, by its units, beyond the twin and the least effect."""

from dataclasses import replace
from pathlib import Path

import pytest

from lab import judge, readings, reasons, shape, store
from lab.check import FOREIGN, OVERLOADED, THROTTLED
from lab.model import Doubt, Instance, Measurement
from lab.reasons import Times, jit, planning, server_time, triggers
from tests.samples import prepared, queries, scenario
from tests.test_reasons import rounds, trial

METRIC = "mix.server_ms_per_op"
PLAIN = Times()


def timed(own, base, *, twin=False, times=PLAIN):
    """What server_time says of two candidates with these trials, by query."""
    loads = [prepared("heap"), *([prepared("heap", 2, twin=True)] if twin else [])]
    mine = reasons.side("by-day", [prepared("by-day")], own, times=times)
    theirs = reasons.side("heap", loads, base, times=times)
    return {one.query: one for one in server_time.explain(mine, theirs, queries())}


SLOW, FAST = rounds("by-day", recent=(0.0, 30.0)), rounds("heap", recent=(0.0, 10.0))


def twin_of(recent):
    return [trial("heap", n, load=2, recent=(0.0, recent + n / 10)) for n in range(4)]


def test_nothing_is_said_of_the_time_of_a_side_on_which_the_judge_is_silent():
    assert set(timed(SLOW, FAST)) == {"recent"}
    assert timed(SLOW, FAST, times=Times(silent=frozenset({"by-day"}))) == {}
    assert timed(SLOW, FAST, times=Times(silent=frozenset({"heap"}))) == {}


def test_trials_that_are_no_evidence_about_time_are_left_out_of_it():
    barred = Times(barred=frozenset({SLOW[0].trial.id}))
    assert timed(SLOW, FAST, times=barred)["recent"].facts == timed(SLOW[1:], FAST)["recent"].facts


def test_the_share_of_planning_while_driven_is_of_trials_that_are_evidence_about_time():
    trials = [*rounds("by-day", recent=(30.0, 10.0)), *rounds("by-day", recent=(90.0, 10.0))]
    barred = Times(barred=frozenset({"doubted"}))
    trials = [replace(s, trial=replace(s.trial, id="doubted")) if n >= 4 else s for n, s in enumerate(trials)]
    own = reasons.side("by-day", [measured("by-day", 9.0)], trials, times=barred)
    [one] = planning.explain(own, reasons.side("heap", [measured("heap", 1.0)], FAST), queries())
    assert one.facts == {"part": pytest.approx(30 / 40.15)}


def measured(name, ms):
    """A candidate that takes so long to plan, with as many locks, and in triggers; the slow one compiles too."""
    call = {
        "execution_ms": 100.0,
        "triggers": [{"Trigger Name": "t", "Time": ms, "Calls": 1}],
        "jit": [{"Functions": 3, "Timing": {"Total": 40.0}}] if ms > 1 else [],
    }
    one = prepared(name)
    return replace(
        one,
        metrics={"query.recent.planning_ms": (ms,), "query.recent.locks_per_call": (ms,)},
        report={**one.report, "queries": {"recent": {"timed": call}}},
    )


@pytest.mark.parametrize("rule", [planning, triggers, jit], ids=lambda rule: rule.NAME)
@pytest.mark.parametrize(("silent", "told"), [((), 1), (("by-day",), 0), (("heap",), 0)])
def test_rules_that_cite_times_are_as_silent_as_the_judge(rule, silent, told):
    times = Times(silent=frozenset(silent))
    own, base = (
        reasons.side(name, [measured(name, ms)], (), times=times) for name, ms in (("by-day", 9.0), ("heap", 1.0))
    )
    assert len(list(rule.explain(own, base, queries()))) == told


def test_a_difference_within_what_the_twin_differs_by_is_not_told():
    assert set(timed(SLOW, [*FAST, *twin_of(12.0)], twin=True)) == {"recent"}
    assert timed(SLOW, [*FAST, *twin_of(31.0)], twin=True) == {}


def test_a_twin_of_which_no_time_is_known_is_no_guard():
    assert timed(SLOW, FAST, twin=True) == {}


def test_a_difference_within_the_least_effect_on_the_time_itself_is_not_told():
    near = rounds("by-day", recent=(0.0, 11.5))  # of 10.15: 15 %
    assert set(timed(near, FAST)) == {"recent"}
    assert timed(near, FAST, times=Times(least=0.20)) == {}


def test_where_loads_are_compared_their_means_are_what_repeats():
    """Two loads that differ more than their rounds: many rounds of one load do not make it a second one."""
    own = [trial("by-day", n, load=load, recent=(0.0, slow)) for load, slow in ((1, 30.0), (3, 12.0)) for n in range(8)]
    base = [trial("heap", n, load=load) for load in (1, 3) for n in range(8)]
    assert timed(own, base, times=Times(by_load=True)) == {}
    alike = [trial("by-day", n, load=load, recent=(0.0, 30.0 + load / 10)) for load in (1, 3) for n in range(8)]
    assert set(timed(alike, base, times=Times(by_load=True))) == {"recent"}


# --- what the judge hands over --------------------------------------------------------------


def times_of(*, doubts=(), unlike=(), uneven=(), **changes):
    sides = (Instance("heap", 1), Instance("heap", 2, twin=True), Instance("by-day", 1))
    found = [Measurement(one, n, f"{one.name}.{n}", METRIC, 1.0, 9) for one in sides for n in range(4)]
    given = {"scenario": scenario(**changes), "doubts": doubts, "disqualified": ()}
    return judge._times(readings.case(found, **given, unlike=unlike, uneven=uneven))


def of(side, kind, number):
    return [Doubt(f"{side}.{n}", kind, "so", False) for n in range(number)]


def test_reasons_are_as_silent_about_time_as_the_judge():
    assert times_of().silent == frozenset()
    assert times_of(unlike=["by-day"]).silent == times_of(uneven=["by-day"]).silent == {"by-day"}
    assert times_of(doubts=of("by-day", OVERLOADED, 3)).silent == {"by-day"}
    assert times_of(doubts=of("by-day", THROTTLED, 3)).silent == {"by-day"}
    everybody = [*of("heap", FOREIGN, 4), *of("by-day", FOREIGN, 4)]
    assert times_of(doubts=everybody).silent >= {"heap", "heap (twin)", "by-day"}


def test_reasons_get_the_trials_units_and_least_effect_of_the_judge():
    assert times_of(doubts=of("by-day", OVERLOADED, 1)).barred == {"by-day.0"}
    assert times_of(profile="decide").by_load
    assert not times_of().by_load
    assert times_of().least == scenario().least_effect.time


def test_why_is_silent_about_time_between_shapes_that_share_the_cores(monkeypatch):
    (folder,) = store.runs(Path(__file__).parent.parent / "results", "sample")
    monkeypatch.setattr(shape, "unlike", lambda *_: frozenset({"by-day"}))
    told = [one for one in judge.judge(folder).judged.reasons if one.candidate == "by-day"]
    assert [one for one in told if one.rule == "server_time" or (one.rule == "planning" and one.facts)] == []
    assert told
