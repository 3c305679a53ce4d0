"""The page of operating characteristics is drawn from its data, and the data come from the judge as it is."""

import json

import pytest

from tests.benchmarks import characteristics, judge
from tests.benchmarks.judge import Share

DATA = json.loads(characteristics.DATA.read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", characteristics.pages(DATA), ids=lambda path: path.name)
def test_the_page_and_its_figures_are_what_the_data_give(path):
    assert path.read_text(encoding="utf-8") == characteristics.pages(DATA)[path]


def test_the_page_shows_every_row_of_the_data():
    assert {name: len(rows) for name, rows in DATA.items()} == {
        "coverage": 4,
        "claims": 8,
        "power": 9,
        "picks": 8,
        "hard": 4,
        "requirements": 7,
        "looks": 4,
    }


def near(found: Share, stored: dict) -> bool:
    """The same but for a run or two that rounding decides otherwise on another machine."""
    return abs(found.value - stored["share"]) <= 2.5 / judge.RUNS


@pytest.mark.long
def test_the_stored_data_are_what_the_judge_gives_today():
    power = next(one for one in DATA["power"] if (one["sd"], one["rounds"]) == (0.10, 20))
    found = next(one for one in power["found"] if one["reduction"] == 0.15)
    assert near(judge.power(0.15, sd=0.10, rounds=20), found)
    at_the_limit = next(one for one in DATA["requirements"] if one["times"] == 1.0)
    assert near(judge.requirement(1.0, judge.Verdict.MET), at_the_limit["met"])
    margin = next(one for one in DATA["claims"] if one["truth"] == "all differ by the margin, sd of a pair 5 %")
    assert near(judge.claimed(judge.Truth(judge.AT_THE_MARGIN, pair_sd=judge.SD_AT_MARGIN)), margin["claimed"])


# --- what a figure says ---


@pytest.mark.parametrize(
    ("hits", "holds"),
    [(0, True), (30, True), (50, "not shown"), (90, False)],
)
def test_a_figure_holds_only_if_its_whole_interval_does(hits, holds):
    assert judge.figure(judge.share([True] * hits + [False] * (1000 - hits)), "x", high=0.05)["holds"] == holds


def test_a_share_between_two_limits_may_miss_either():
    found = judge.share([True] * 900 + [False] * 100)
    assert judge.figure(found, "x", low=0.93, high=0.97)["holds"] is False
    assert judge.figure(found, "x", low=0.80, high=0.97)["holds"] is True


def test_the_interval_of_things_that_come_in_runs_is_that_of_runs():
    """Ten runs of a hundred intervals each, all of which hold or none: ten things and not a thousand."""
    alike = judge.share([(100, 100)] * 5 + [(0, 100)] * 5)
    assert alike.high - alike.low > 0.5
