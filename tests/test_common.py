"""Common numbers: what was asked of the candidates of a round is held against each other."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest

from lab import common, design, timeline, trial
from lab.drivers import Driven, Work, _ops
from lab.model import Instance, Json, Parameter, Query, Scenario, Slice, Statement, Trial
from tests import samples
from tests.slices import MS, START, drive, ops, sliced

SIDES = (Instance("heap", 1), Instance("by-day", 1), Instance("heap", 2, twin=True))
QUERIES = tuple(
    Query(name, f"{name}.sql", (Statement("SELECT $1", (0,)),), (Parameter("n", "", "uniform(1, 100)"),), weight)
    for name, weight in (("recent", 3.0), ("total", 1.0))
)


def scenario(*steps: timeline.Drive, **own: tuple[Query, ...]) -> Scenario:
    made = samples.scenario(round=steps or (timeline.Drive.model_validate({"for": "450ms", "rate": 400}),))
    candidates = {name: replace(one, queries=own.get(name, QUERIES)) for name, one in made.candidates.items()}
    return replace(made, candidates=candidates)


def asked(side: Instance, round_: int = 1, *, key: str = "7", **more: object) -> Slice:
    """A trial of four operations, at a place of its own on the clock."""
    at = START + 10_000 * MS * (SIDES.index(side) + 1)
    table = ops(4, due=at + np.arange(4) * 10 * MS)
    table = table.set_column(table.schema.get_field_index("key"), "key", pa.array(["1", None, key, "2"]))
    item = sliced(drive(due=4, start_ns=at, end_ns=at + 2000 * MS, zero_ns=at) | more, table, round_=round_)
    return replace(item, trial=replace(item.trial, id=f"{side.name}.{round_}", instance=side))


def doubted(*slices: Slice, of: Scenario | None = None) -> list[str]:
    found = common.asked_otherwise(slices, of or scenario())
    assert all(one.leaves_out for one in found)
    return [one.trial for one in found]


def column(item: Slice, name: str, values: object) -> Slice:
    table = item.ops
    at = table.schema.get_field_index(name)
    return replace(
        item, ops=table.set_column(at, table.schema.field(at), pa.array(values).cast(table.schema.types[at]))
    )


def test_who_was_asked_the_same_at_other_hours_is_not_doubted() -> None:
    assert doubted(*map(asked, SIDES)) == []


def test_who_was_asked_something_else_than_the_baseline_is_left_out() -> None:
    other = asked(SIDES[1], key="8")
    assert doubted(other, asked(SIDES[2]), asked(SIDES[0])) == ["by-day.1"]
    named = column(asked(SIDES[1]), "name", ["recent", "recent", "total", "recent"])
    assert doubted(asked(SIDES[0]), named) == [named.trial.id]
    late = column(asked(SIDES[1]), "due_ns", asked(SIDES[1]).ops["due_ns"].to_numpy() + 1)
    assert doubted(asked(SIDES[0]), late) == [late.trial.id]
    assert doubted(asked(SIDES[0]), asked(SIDES[1], due=5)) == [late.trial.id]


def test_rounds_are_not_asked_the_same() -> None:
    assert doubted(asked(SIDES[0], 1), asked(SIDES[1], 2, key="8")) == []


def test_what_an_overloaded_trial_never_reached_says_nothing() -> None:
    item = asked(SIDES[1])
    assert doubted(asked(SIDES[0]), replace(item, ops=item.ops.slice(1, 2))) == []


def test_a_closed_loop_is_not_held_to_the_numbers_of_others() -> None:
    assert doubted(asked(SIDES[0]), asked(SIDES[1], key="8", do="saturate")) == []
    assert doubted(asked(SIDES[0], due=None), asked(SIDES[1], key="8", due=None)) == []


def test_who_has_a_mix_of_its_own_is_held_against_those_of_that_mix() -> None:
    own = scenario(**{"by-day": QUERIES[:1]})
    assert doubted(asked(SIDES[0]), asked(SIDES[1], key="8"), of=own) == []


class Recorder:
    """A driver that writes down what it is to send, as if all had been answered; every step is at a later hour."""

    zero_ns = 0

    @contextmanager
    def watched(self, *_: object) -> Iterator[dict[str, Json]]:
        self.zero_ns += 10_000 * MS
        yield {"do": "drive", "start_ns": self.zero_ns, "end_ns": self.zero_ns + 5000 * MS}

    def start(self, work: Work) -> SimpleNamespace:
        log = _ops.Log(0)
        for seq, due in enumerate(work.calls["due_ns"].to_pylist()):
            log.add(seq, self.zero_ns + due, 1, "ok", None)
        driven = Driven(_ops.table(work, self.zero_ns, [log]), self.zero_ns, 0, 0.0)
        return SimpleNamespace(wait=lambda _: True, ops=lambda: driven)


def test_a_round_asks_all_candidates_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    recorder = Recorder()
    for name, way in (("_watched", recorder.watched), ("_reckon", lambda *_: None), ("activity", lambda *_: {})):
        monkeypatch.setattr(trial, name, way)
    steps = [timeline.Drive.model_validate({"for": "450ms", "rate": 400, "clients": 4})] * 2
    read = scenario(*steps)
    tools = trial.Tools(None, recorder, {}, [], {}, 0)

    def done(one: Trial) -> Slice:
        candidate = read.candidates[one.instance.candidate]
        kept = SimpleNamespace(
            instance=one.instance,
            candidate=candidate,
            connection="",
            reads=(),
            nodes=(),
            rooms=SimpleNamespace(nodes=(), apart=lambda _: None, warm=lambda *_: None),
            rows=3,
            rows_there=lambda: 3,
            cluster=SimpleNamespace(processes=(), write=lambda: None),
        )
        return trial.drive(kept, one, steps, tools)

    slices = [done(one) for one in design.design(read, seed=1, rounds=2).trials]
    assert min(item.ops.num_rows for item in slices) > 200
    assert doubted(*slices, of=read) == []
