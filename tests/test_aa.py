"""The baseline against itself: noise found again, shorter runs that happened, and what is said beforehand."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lab import aa, foresight, judge, noise, parts, resample, stats, store, weigh
from lab import scenario as scenario_
from lab.errors import RecordError, ScenarioError
from lab.model import Instance, Lab, Measurement, Query, Requirement, Scenario, Verdict, Workload
from lab.resample import Claims, Noise
from lab.timeline import Drive
from tests.samples import judged
from tests.simulate import OBJECTIVE, Truth, band, correlated, experiment, scenario
from tests.test_store import RUN

NAMES = ("a", "b", "c", "d")
NULL = dict.fromkeys(NAMES, 0.0)
ITSELF = resample.against_itself(scenario(NAMES))
COPIES = dict.fromkeys(ITSELF.candidates, 0.0)


def long_run(seed: int = 1, **truth: object) -> list[Measurement]:
    """A long run of copies."""
    return experiment(Truth(COPIES, **{"rounds": 60, **truth}), seed)  # type: ignore[arg-type]


def claims(measured: Sequence[Measurement], rounds: int = 20, experiments: int = 200) -> Claims:
    return resample.false_claims(measured, ITSELF, rounds=rounds, experiments=experiments, seed=7)


# --- the scenario ---


def test_every_candidate_becomes_a_copy_of_the_baseline_under_another_name() -> None:
    read = resample.against_itself(scenario(NAMES, requirements=[Requirement("retire.ms", at_most=1.0)]))
    assert list(read.candidates) == ["a", "a (copy 2)", "a (copy 3)", "a (copy 4)"]
    assert {one.schema for one in read.candidates.values()} == {read.candidates["a"].schema}
    assert (read.name, read.baseline, read.requirements, read.profile) == ("simulated.aa", "a", (), "quick")


def test_a_scenario_of_one_candidate_has_a_copy_to_be_wrong_about() -> None:
    assert list(resample.against_itself(scenario(("a",))).candidates) == ["a", "a (copy 2)"]


@pytest.mark.parametrize("objective", ["size.bytes_per_row", "ingest.rows_per_s", "query.recent.planning_ms"])
def test_what_rounds_do_not_measure_is_refused_before_any_of_them(objective: str) -> None:
    with pytest.raises(
        ScenarioError, match=f"^objective: {objective}: is measured once a load .* mix.server_ms_per_op"
    ):
        resample.against_itself(scenario(NAMES, objective=objective))


# --- noise ---


@pytest.mark.parametrize("sd", [0.02, 0.10])
def test_the_noise_of_a_pair_is_found_again(sd: float) -> None:
    found = resample.noise(long_run(pair_sd=sd, rounds=200), ITSELF)[OBJECTIVE]
    assert found.sd == pytest.approx(sd, rel=0.1)
    assert found.own_sd == pytest.approx(sd / math.sqrt(2), rel=0.1)
    assert found.mean == pytest.approx(1.0, rel=0.02)
    assert abs(found.autocorrelation) < 0.06


def test_noise_that_stays_for_a_while_is_told_by_its_autocorrelation() -> None:
    values = correlated(np.random.default_rng(3), 2000)
    assert resample.autocorrelation(values) == pytest.approx(0.6, abs=0.05)
    assert resample.autocorrelation(np.where(np.arange(2000) % 2, values, np.nan)) == 0.0


def test_loads_that_differ_are_told_apart_from_rounds_that_do() -> None:
    even = [resample.noise(long_run(seed), ITSELF)[OBJECTIVE].load_sd for seed in range(40)]
    differing = [resample.noise(long_run(seed, load_sd=0.05), ITSELF)[OBJECTIVE].load_sd for seed in range(40)]
    assert np.median(even) < 0.005
    assert np.mean(differing) == pytest.approx(0.05, rel=0.2)


def test_rounds_that_one_side_lacks_are_no_difference_between_loads() -> None:
    """What all sides have in common in a round is no noise of a pair, and a round left out no load's."""
    measured = [replace(m, value=m.value * math.exp(m.round or 0)) for m in long_run(pair_sd=0.001)]
    kept = [m for m in measured if m.instance.candidate != "a" or m.round != 59]
    assert resample.noise(kept, ITSELF)[OBJECTIVE].load_sd < 0.001


def test_what_does_not_vary_has_no_noise() -> None:
    assert resample.noise([replace(m, value=3.0) for m in long_run()], ITSELF) == {}


# --- shorter runs ---


def test_a_shorter_run_is_a_stretch_of_rounds_as_they_happened() -> None:
    measured = long_run()
    values = {(m.round, m.value) for m in measured}
    for given in resample.resampled(measured, OBJECTIVE, rounds=20, experiments=30, seed=1):
        rounds = list(dict.fromkeys(m.round for m in given))
        assert rounds == list(range(min(rounds), min(rounds) + 20))
        assert {(m.round, m.value) for m in given} <= values
        assert len(given) == 20 * 5


def test_the_roles_are_dealt_anew_for_each_and_stay_for_all_its_rounds() -> None:
    measured = long_run()
    of = {m.trial: m.instance for m in measured}
    dealt = []
    for given in resample.resampled(measured, OBJECTIVE, rounds=20, experiments=20, seed=1):
        roles = {(of[m.trial], m.instance) for m in given}
        assert len(roles) == len(set(of.values()))
        dealt.append(frozenset(roles))
    assert len(set(dealt)) > 15


def test_shorter_runs_begin_everywhere() -> None:
    firsts = {
        min(m.round or 0 for m in given)
        for given in resample.resampled(long_run(), OBJECTIVE, rounds=20, experiments=400, seed=1)
    }
    assert firsts == set(range(41))


def test_a_run_too_short_for_one_of_them_is_refused() -> None:
    with pytest.raises(ValueError, match="fewer than"):
        next(resample.resampled(long_run(rounds=10), OBJECTIVE, rounds=20, experiments=1, seed=1))


# --- false claims ---


@pytest.mark.long
def test_resampled_runs_claim_as_seldom_as_fresh_ones() -> None:
    """Each of them is a run that happened: over many long runs the share is that of fresh runs."""
    asked = replace(ITSELF, least_effect=replace(ITSELF.least_effect, time=0.0))
    shares = []
    for seed in range(60):
        measured = experiment(Truth(COPIES, rounds=40, twin=False), seed)
        shares.append(resample.false_claims(measured, asked, rounds=20, experiments=40, seed=seed).share)
    assert np.mean(shares) == pytest.approx(0.05, abs=0.03)


def test_a_quiet_null_run_makes_no_false_claim() -> None:
    found = claims(long_run(pair_sd=0.05))
    assert (found.false, found.too_many, found.independent) == (0, False, 3)
    assert found.interval[0] == 0.0
    assert found.interval[1] == pytest.approx(1 - 0.025 ** (1 / 3))


def test_a_copy_that_is_none_makes_too_many() -> None:
    measured = experiment(Truth({**COPIES, "a (copy 3)": 0.5}, rounds=60, pair_sd=0.05), 1)
    assert claims(measured).too_many


def test_a_quarter_is_not_too_many_and_more_is() -> None:
    assert not Claims(20, 5, 0, 3).too_many
    assert Claims(20, 6, 0, 3).too_many


@pytest.mark.long
def test_a_sound_judge_is_seldom_told_to_make_too_many() -> None:
    """60 rounds give three shorter runs that share none; a judge at 5 % is to pass in about 95 % of long runs."""
    asked = replace(ITSELF, least_effect=replace(ITSELF.least_effect, time=0.0))
    told = 0
    for seed in range(100):
        measured = experiment(Truth(COPIES, rounds=60, twin=False), seed)
        told += resample.false_claims(measured, asked, rounds=20, experiments=60, seed=seed).too_many
    assert told <= 5


def test_who_cannot_speak_is_not_counted_as_right() -> None:
    assert Claims(20, 4, 10, 3).share == 0.4
    silent = Claims(20, 0, 20, 3)
    assert (silent.share, silent.interval, silent.too_many) == (0.0, (0.0, 1.0), False)


# --- the report ---


def reported(monkeypatch: pytest.MonkeyPatch, folder: Path, measured: list[Measurement]) -> dict:
    """What `aa` reports of a run that measured this."""
    weighed = weigh.weigh(measured, scenario=ITSELF, planned_rounds=60)
    made = judged(scenario=scenario(NAMES))
    object.__setattr__(made, "scenario", ITSELF)
    found = replace(
        made, weighed=weighed, measurements=measured, doubts=[], run={"id": "x", "seed": 3, "host": {"kind": "e"}}
    )
    monkeypatch.setattr(judge, "judge", lambda _: judge.Judgement(folder, found))
    monkeypatch.setattr(aa, "EXPERIMENTS", 50)
    return aa.report(folder)


def test_the_report_is_kept_with_its_run_and_read_as_noise(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    told = reported(monkeypatch, tmp_path, long_run(pair_sd=0.05))
    kept = json.loads((tmp_path / "analysis" / "noise.json").read_text())
    assert kept == json.loads(json.dumps(told))
    assert (kept["format"], kept["rounds"], kept["rounds_of_an_experiment"]) == (1, 60, 20)
    assert kept["smallest_reductions"]["20"] == pytest.approx(0.125, abs=0.01)
    assert noise._metrics(tmp_path, [])[OBJECTIVE].sd == pytest.approx(0.05, rel=0.2)


def test_the_report_for_people_has_the_noise_the_false_claims_and_the_smallest_effect(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    text = "\n".join(aa.lines(reported(monkeypatch, tmp_path, long_run(pair_sd=0.05))))
    assert "5 copies of the baseline, 60 rounds" in text
    assert "false claims: 0 of 50 resampled runs of 20 rounds (0.0%" in text
    assert f"smallest reduction of {OBJECTIVE}" in text


def test_too_few_rounds_are_told_with_the_way_out(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(RecordError, match="--resume --rounds"):
        reported(monkeypatch, tmp_path, long_run(rounds=5))


@pytest.mark.parametrize(("copy", "status"), [(0.0, 0), (0.5, 1)])
def test_the_exit_status_is_that_of_the_false_claims(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, copy: float, status: int
) -> None:
    measured = experiment(Truth({**COPIES, "a (copy 3)": copy}, rounds=60, pair_sd=0.05), 1)
    reported(monkeypatch, tmp_path, measured)
    monkeypatch.setattr(aa.session, "measured", lambda *_: (tmp_path, True))
    monkeypatch.setattr(store, "trials_of", lambda _: frozenset({"one"}))
    asked = aa.session.Asked("any", tmp_path, tmp_path)
    assert aa.perform(asked, None, aa.Stop()).status == status  # type: ignore[arg-type]


@pytest.mark.parametrize(("interrupted", "status"), [(True, 130), (False, 2)])
def test_a_run_that_ends_early_says_how_to_go_on(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, interrupted: bool, status: int
) -> None:
    with pytest.raises(RecordError):
        reported(monkeypatch, tmp_path, long_run(rounds=4))
    monkeypatch.setattr(aa.session, "measured", lambda *_: (tmp_path, False))
    monkeypatch.setattr(store, "trials_of", lambda _: frozenset({"one"}))
    stop = aa.Stop()
    stop.interrupted, stop.why = interrupted, "the time is up"
    done = aa.perform(aa.session.Asked("any", tmp_path, tmp_path), None, stop)  # type: ignore[arg-type]
    assert done.status == status
    assert "the time is up; go on with: pglab aa any --resume" in done.said[0]


@pytest.mark.parametrize("interrupted", [True, False])
@pytest.mark.parametrize("perform", [aa.perform, aa.session.perform])
def test_a_run_without_a_trial_was_interrupted_or_says_how_much_time_one_takes(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, perform: Any, interrupted: bool
) -> None:
    monkeypatch.setattr(aa.session, "measured", lambda *_: (tmp_path, False))
    stop = aa.Stop()
    stop.within(-3, 12.3)
    assert stop.before(0)
    stop.interrupted = interrupted
    done = perform(aa.session.Asked("any", tmp_path, tmp_path), None, stop)
    assert (done.status, done.data["status"]) == ((130, 130) if interrupted else (2, 2))
    assert (
        "the time given with --max-time is over (to prepare and to finish one takes about 13 s;" in done.said[0]
    ) == (not interrupted)
    assert done.said[-1].startswith("go on with: pglab ")


# --- noise that is known ---


HOST = {"kind": "embedded", "cores": 2}
SEEN = Noise(0.031, 0.1, 0.0, 0.022, 0.4, "ms")


@pytest.fixture(autouse=True)
def stored_scenarios(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a stored run without files asked is the simulated scenario, but for what its run.json says."""
    read = judge.scenario_of

    def scenario_of(run: Mapping[str, Any]) -> Scenario:
        if "asked" not in run:
            return read(run)
        asked: Scenario = replace(scenario(NAMES), profile=run["profile"], lab=Lab(rows=run["asked"].get("rows")))
        steps = [Drive.model_validate(step) for step in run["asked"].get("round", ())]
        return replace(asked, objective=run["asked"].get("objective", OBJECTIVE), round=tuple(steps))

    monkeypatch.setattr(judge, "scenario_of", scenario_of)


def kept(
    results: Path, run: str, *, name: str = "simulated", host: object = None, profile: str = "quick", **asked: object
) -> Path:
    """A stored run without trials."""
    what = {**RUN, "id": run, "scenario": {"name": name, "files": {}}, "host": host or HOST, "profile": profile}
    return store.create(results, {**what, "asked": asked})


def plain(folder: Path, sd: float) -> None:
    (folder / "analysis").mkdir()
    store.write_json(folder / "analysis" / "plan.json", {"decision": {"noise_sd": sd}})


def known(results: Path, profile: str = "quick") -> noise.Known:
    return noise.known(results, replace(scenario(NAMES), profile=profile), host=HOST)


def aa_run(results: Path, run: str = "20260101T000000-a", *, refused: str = "", **more: object) -> Path:
    folder = kept(results, run, name="simulated.aa", **more)  # type: ignore[arg-type]
    noise.keep(folder, OBJECTIVE, {OBJECTIVE: SEEN}, Claims(10, 0, 0, 3), refused=refused)
    return folder


def test_where_nothing_is_known_there_are_three_guesses(tmp_path: Path) -> None:
    assert list(known(tmp_path).sds.values()) == [0.02, 0.05, 0.10]


def test_an_aa_runs_noise_is_preferred_to_that_of_a_newer_run(tmp_path: Path) -> None:
    aa_run(tmp_path)
    plain(kept(tmp_path, "20260102T000000-b"), 0.08)
    assert known(tmp_path).sds == {"noise as in A/A run 20260101T000000-a": 0.031}
    assert known(tmp_path).metrics == {OBJECTIVE: SEEN}


def test_the_newest_run_speaks_where_there_is_no_aa_run(tmp_path: Path) -> None:
    plain(kept(tmp_path, "20260101T000000-a"), 0.07)
    plain(kept(tmp_path, "20260102T000000-b"), 0.08)
    assert known(tmp_path).sds == {"noise as in run 20260102T000000-b": 0.08}


def test_another_hosts_noise_says_nothing(tmp_path: Path) -> None:
    aa_run(tmp_path, host={"kind": "embedded", "cores": 64})
    assert len(known(tmp_path).sds) == 3


def test_noise_of_a_disturbed_host_is_not_used(tmp_path: Path) -> None:
    aa_run(tmp_path, refused="other processes took the processors in most trials")
    assert len(known(tmp_path).sds) == 3


def test_noise_of_rounds_says_nothing_about_loads(tmp_path: Path) -> None:
    aa_run(tmp_path)
    plain(kept(tmp_path, "20260102T000000-b"), 0.08)
    assert len(known(tmp_path, "decide").sds) == 3
    plain(kept(tmp_path, "20260103T000000-c", profile="decide"), 0.03)
    assert known(tmp_path, "decide").sds == {"noise as in run 20260103T000000-c": 0.03}


@pytest.mark.parametrize(
    "other",
    [
        {"objective": "retire.ms"},
        {"profile": "gate"},
        {"rows": 1000},
        {"round": [{"for": "450ms", "rate": 200}]},
    ],
)
def test_noise_of_another_question_is_not_taken_for_this_ones(tmp_path: Path, other: dict[str, Any]) -> None:
    plain(kept(tmp_path, "20260101T000000-a"), 0.07)
    plain(kept(tmp_path, "20260102T000000-b", **other), 0.08)
    assert known(tmp_path).sds == {"noise as in run 20260101T000000-a": 0.07}


@pytest.mark.parametrize("other", [{"rows": 1000}, {"round": [{"for": "450ms", "rate": 200}]}])
def test_an_aa_run_of_other_rows_or_steps_says_nothing(tmp_path: Path, other: dict[str, Any]) -> None:
    aa_run(tmp_path, **other)
    assert len(known(tmp_path).sds) == 3


def test_a_stored_run_of_the_same_files_asked_the_same_but_for_what_was_said_beside_it(
    tmp_path: Path, repo: Path
) -> None:
    read = scenario_.read("quickstart", scenario_.OnDisk(repo / "scenarios" / "quickstart", repo), parts)
    overrides = {"rows": None, "profile": None, "only": []}
    what = {**RUN, "scenario": {"name": "quickstart", "files": dict(read.files)}, "host": HOST, "profile": read.profile}
    plain(store.create(tmp_path, {**what, "id": "20260101T000000-a", "overrides": overrides}), 0.07)
    plain(store.create(tmp_path, {**what, "id": "20260102T000000-b", "overrides": {**overrides, "rows": 4000}}), 0.08)
    found = noise.known(tmp_path, read, host=HOST)
    assert (found.sds, found.passed_over) == ({"noise as in run 20260101T000000-a": 0.07}, ())


def test_a_run_that_cannot_be_read_is_named_and_the_one_before_it_asked(tmp_path: Path) -> None:
    plain(kept(tmp_path, "20260101T000000-a"), 0.07)
    (kept(tmp_path, "20260102T000000-b") / "run.json").write_text("{")
    found = known(tmp_path)
    assert found.sds == {"noise as in run 20260101T000000-a": 0.07}
    assert "20260102T000000-b" in found.passed_over[0]


def test_what_is_known_is_what_is_warned_by(tmp_path: Path) -> None:
    """By an A/A run's noise as by an ordinary run's, and not by guesses."""

    def warned() -> list[str]:
        return noise.foreseen(tmp_path, scenario(NAMES), rounds=3, host=HOST).warnings

    assert warned() == []
    plain(kept(tmp_path, "20260102T000000-b"), 0.08)
    assert "least_effect 10%" in warned()[0]
    aa_run(tmp_path)
    assert warned() == []


@pytest.mark.parametrize("profile", ["quick", "decide"])
def test_an_objective_that_repeats_exactly_has_no_noise(tmp_path: Path, profile: str) -> None:
    plain(kept(tmp_path, "20260102T000000-b"), 0.08)
    exact = scenario(NAMES, objective="size.bytes_per_row", profile=profile)
    assert list(noise.foreseen(tmp_path, exact, rounds=3, host=HOST).lines()) == []
    assert list(noise.foreseen(tmp_path, scenario(NAMES), rounds=3, host=HOST).smallest_effects.values()) != []


@pytest.mark.parametrize(("profile", "told"), [("quick", 0), ("decide", 3)])
def test_what_a_load_has_once_has_noise_only_between_loads(tmp_path: Path, profile: str, told: int) -> None:
    asked = scenario(NAMES, objective="ingest.rows_per_s", profile=profile)
    assert len(noise.foreseen(tmp_path, asked, rounds=20, host=HOST).smallest_effects) == told


@pytest.mark.parametrize("profile", ["quick", "decide"])
def test_where_nobody_challenges_the_baseline_nothing_can_be_found(tmp_path: Path, profile: str) -> None:
    asked = scenario(NAMES[:1], profile=profile)
    assert noise.foreseen(tmp_path, asked, rounds=20, host=HOST).smallest_effects == {}


# --- what is said beforehand ---


def driven(names: Sequence[str] = NAMES, **more: object) -> Scenario:
    """A scenario whose round sends 30 operations of `recent` and 60 of `report`."""
    queries = tuple(Query(name, f"{name}.sql", (), weight=w) for name, w in (("recent", 1.0), ("report", 2.0)))
    round_ = (Drive.model_validate({"for": "450ms", "rate": 200}),)
    return replace(scenario(names, **more), workload=Workload("w", queries, {}), round=round_)  # type: ignore[arg-type]


def seen(sd: float, metric: str, mean: float) -> dict[str, Noise]:
    return {metric: Noise(sd, 0.0, 0.0, sd / math.sqrt(2), mean, "ms")}


def test_operations_of_a_round_are_the_querys_share_of_the_rate() -> None:
    assert foresight.operations_per_round(driven(), "recent") == pytest.approx(30)
    assert foresight.operations_per_round(driven(), "report") == pytest.approx(60)


def test_a_percentile_that_too_few_operations_speak_for_is_told_with_the_rounds_that_would_do() -> None:
    asked = driven(requirements=[Requirement("query.recent.p99_ms", at_most=50.0)])
    needed = foresight.operations_for(0.01, 0.05 / 4)
    (said,) = foresight.warnings(asked, 10, {})
    assert f"{needed} are needed" in said
    rounds = math.ceil(needed / 30)
    assert f"--rounds {rounds} would do" in said
    assert list(foresight.warnings(asked, rounds, {})) == []
    assert list(foresight.warnings(asked, math.ceil(rounds / 3), {}, loads=3)) == []


def test_the_operations_that_are_said_to_be_needed_are_what_the_judge_needs() -> None:
    asked = driven(("a",), requirements=[Requirement("query.recent.p95_ms", at_most=50.0)])
    needed = foresight.operations_for(0.05, 0.05)
    verdicts = []
    for operations in (needed - 1, needed):
        over = Measurement(Instance("a", 1), 1, "t", "query.recent.over_limit_share", 0.0, operations, 50.0)
        weighed = weigh.weigh([over], scenario=asked, planned_rounds=1)
        verdicts += [e.verdict for e in weighed.evidence if e.against == "at_most"]
    assert verdicts == [Verdict.NOT_SHOWN, Verdict.MET]


@pytest.mark.long
@pytest.mark.parametrize(("sd", "candidates"), [(0.10, 2), (0.10, 4), (0.20, 4)])
def test_with_the_rounds_that_would_do_equal_candidates_are_shown_to_be_near(sd: float, candidates: int) -> None:
    """In four runs of five, and a few more where the other of two conditions costs less."""
    names = NAMES[:candidates]
    asked = driven(names)
    (said,) = foresight.warnings(asked, 3, {}, sd=sd)
    rounds = int(said.rpartition("--rounds ")[2].split()[0])
    truth = Truth(dict.fromkeys(names, 0.0), pair_sd=sd, rounds=rounds)
    runs = [weigh.weigh(experiment(truth, n), scenario=scenario(names), planned_rounds=rounds) for n in range(400)]
    near = sum(run.decision.may_lose["a"] <= 0.10 for run in runs) / 400
    assert 0.80 - band(0.80, 400) <= near <= 0.97
    assert list(foresight.warnings(asked, rounds, {}, sd=sd)) == []


def test_what_is_foreseen_of_equal_candidates_is_by_the_bound_that_judges_them() -> None:
    """Two candidates and no twin: the half-width and the error of a mean, each by its own constant."""
    df = stats.joint_df(2, 200)
    error = stats.dunnett(1, 5000.0, sides=1, alpha=1 - foresight.POWER)
    seen = foresight.likeness(0.10, 200, candidates=2, twin=False) / (0.10 / math.sqrt(200)) - error
    assert seen == pytest.approx(stats.t_quantile(0.975, df), rel=0.03)
    assert seen > 1.1 * stats.t_quantile(0.95, df)


def test_a_quiet_host_is_not_warned_about() -> None:
    assert list(foresight.warnings(driven(), 20, {}, sd=0.02)) == []


@pytest.mark.long
def test_a_limit_too_near_to_the_baselines_own_value_is_told_and_the_rounds_that_would_do_do() -> None:
    asked = scenario(("a",), requirements=[Requirement("retire.ms", at_most=1.05)])
    noise_ = seen(0.20, "retire.ms", mean=math.exp(0.20**2 / 4))  # arithmetic
    (said,) = foresight.warnings(asked, 5, noise_)
    rounds = int(said.rpartition("--rounds ")[2].split()[0])
    truth = Truth({"a": 0.0}, pair_sd=0.20, rounds=rounds, twin=False)
    runs = [experiment(truth, n, "retire.ms") for n in range(400)]
    told = [weigh.weigh(run, scenario=asked, planned_rounds=rounds).evidence for run in runs]
    met = sum(any(e.verdict is Verdict.MET for e in evidence) for evidence in told) / 400
    assert abs(met - 0.80) <= band(0.80, 400)
    assert list(foresight.warnings(asked, rounds, noise_)) == []


def test_a_limit_that_no_run_could_tell_from_the_value_is_said_to_be_so() -> None:
    asked = scenario(("a",), requirements=[Requirement("retire.ms", at_most=1.0)])
    (said,) = foresight.warnings(asked, 20, seen(0.20, "retire.ms", mean=1.0))
    assert "no number up to" in said


def test_the_smallest_effect_before_a_run_is_that_of_the_verdict() -> None:
    expected = -math.expm1(-stats.smallest_effect(0.1, 20, others=3, least=0.10, twin=True))
    assert foresight.smallest_improvement(scenario(NAMES), 0.1, 20, twin=True) == expected


def test_where_more_is_better_the_smallest_effect_before_a_run_is_an_increase(tmp_path: Path) -> None:
    """As decide.could_show says it afterwards."""
    rate = scenario(NAMES, objective="mix.per_s")
    expected = math.expm1(stats.smallest_effect(0.1, 20, others=3, least=0.10, twin=True))
    assert foresight.smallest_improvement(rate, 0.1, 20, twin=True) == expected
    found = noise.foreseen(tmp_path, rate, rounds=20, host=HOST)
    assert all(line.startswith("smallest increase that this run can show") for line in found.lines())
    assert found.smallest_effects["noise of 10%"] == pytest.approx(expected, abs=1e-4)
