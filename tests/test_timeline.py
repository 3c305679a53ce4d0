"""Steps are tagged by `do`, durations carry a unit, and a timeline is something that can be run."""

import pytest
from pydantic import TypeAdapter, ValidationError

from lab import metrics, timeline

STEPS = TypeAdapter(list[timeline.Written])
PREPARE = [{"do": "ingest"}, {"do": "settle"}, {"do": "count"}]
ROUND = {"do": "round", "steps": [{"do": "drive", "for": "450ms", "rate": 400}]}


def split(*steps):
    return timeline.split(STEPS.validate_python(list(steps)))


def test_a_timeline_is_what_comes_before_the_round_and_what_is_in_it():
    prepare, inside = split({"do": "ingest"}, {"do": "settle"}, {"do": "count"}, ROUND)
    assert [step.do for step in prepare] == ["ingest", "settle", "count"]
    assert [(step.do, step.for_s, step.rate) for step in inside] == [("drive", 0.45, 400.0)]


@pytest.mark.parametrize(
    ("steps", "wrong"),
    [
        ([{"do": "ingest"}], "there must be one `round`"),
        ([{"do": "ingest"}, ROUND, ROUND], "there must be one `round`"),
        ([{"do": "ingest"}, ROUND, {"do": "count"}], "there must be one `round`, as the last step"),
        ([{"do": "settle"}, ROUND], "the first step must be the one `ingest`"),
        ([{"do": "ingest"}, {"do": "ingest"}, ROUND], "the first step must be the one `ingest`"),
        ([*PREPARE, {"do": "round", "steps": [{"do": "append"}]}], "nothing is driven in the round"),
        ([{"do": "ingest"}, ROUND], "before the round there must be `settle` and then `count`"),
        ([{"do": "ingest"}, {"do": "settle"}, ROUND], "before the round there must be `settle` and then `count`"),
        ([{"do": "ingest"}, {"do": "count"}, ROUND], "before the round there must be `settle` and then `count`"),
        ([{"do": "ingest"}, {"do": "count"}, {"do": "settle"}, ROUND], "before the round there must be `settle`"),
    ],
)
def test_a_timeline_that_cannot_be_run_is_refused(steps, wrong):
    with pytest.raises(ValueError, match="^" + wrong):
        split(*steps)


@pytest.mark.parametrize("text", ["450", "7 weeks", "", "-1s", "1e3s", "s", "ms", 5, None])
def test_a_duration_without_its_unit_is_none(text):
    with pytest.raises(ValueError, match=r"is no duration \(a duration such as 450ms, 20s or 2m\)$"):
        timeline.seconds(text)


def test_a_slice_has_a_length():
    with pytest.raises(ValidationError, match="a slice of no length"):
        STEPS.validate_python([{"do": "round", "steps": [{"do": "drive", "for": "0s", "rate": 1}]}])


def test_a_misspelt_step_gives_one_message_at_its_own_place():
    with pytest.raises(ValidationError) as found:
        STEPS.validate_python([{"do": "ingest"}, {"do": "round", "steps": [{"do": "drve", "for": "3s"}]}])
    assert [error["loc"] for error in found.value.errors()] == [(1, "round", "steps", 0)]


@pytest.mark.parametrize("profile", timeline.SLICE)
def test_every_profile_has_a_timeline_of_its_own(profile):
    prepare, inside = timeline.default(profile=profile, appends=True, retires=True)
    assert [step.do for step in (*prepare, *inside)] == ["ingest", "settle", "count", "append", "drive", "retire"]


def test_what_the_author_left_to_the_lab_is_filled_in_and_nothing_else():
    _, inside = split(
        *PREPARE,
        {
            "do": "round",
            "steps": [
                {"do": "append"},
                {"do": "append", "rows": 5},
                {"do": "drive", "for": "1s", "rate": 2, "clients": 3},
                {"do": "saturate", "for": "1s"},
            ],
        },
    )
    first, second, third, last = timeline.filled(inside, rows=100, clients=8)
    assert (first.rows, second.rows, third.clients, last.clients) == (100, 5, 3, 8)


def test_every_metric_comes_from_a_step_that_there_is():
    known = {"ingest", "settle", "count", "append", "drive", "saturate", "retire", "maintain"}
    assert {row.after for row in metrics.TABLE} <= known
