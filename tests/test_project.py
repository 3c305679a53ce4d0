"""What the lab kept of production, and how far a claim reaches for it."""

from dataclasses import replace

import pytest

from lab import metrics, project, timeline
from lab.asked import asked
from lab.model import Instance, Lab, Measurement, Parameter, Production, Scope, Stream, Study, Topology
from tests.samples import EVENTS, driven, prepared, queries, scenario, studies

NAMES = ("heap", "brin", "by-month", "by-day")


def sheet(told=None, *, points=(), **reports):
    """The sheet of the sample instances; *reports*: candidate -> its number of partitions."""
    made = []
    for name in NAMES:
        one = prepared(name)
        parts = reports.get(name.replace("-", "_"), one.report["partitions"])
        made.append(replace(one, report={**one.report, "partitions": parts}))
    return project.sheet(told or scenario(), made, points, driven())


def row(rows, invariant, of=""):
    [found] = [one for one in rows if (one.invariant, one.of) == (invariant, of)]
    return found


def like_production(**changes):
    """A lab as large as production, which is small."""
    small = Production(rows_per_day=10_000, keep_days=40, entities={"device": 100})
    return scenario(production=small, lab=replace(Lab(rows=400_000, days=40, entities={"device": 100}), **changes))


def skewed(rows="zipf(1.1)", calls="zipf(1.1)", **changes):
    """The sample with keys that are not alike in how many rows they have, and how often they are asked for."""
    told = scenario(**changes)
    device = {**EVENTS["columns"]["device"], **({"skew": rows} if rows else {})}
    recent, *others = queries()
    asked_for = (Parameter("device", "events.device", calls), *recent.params[1:])
    return replace(
        told,
        workload=replace(
            told.workload,
            queries=(replace(recent, params=asked_for), *others),
            streams={"events": Stream("events", "synthetic", {"columns": {"device": device}})},
        ),
    )


def test_short_and_narrow_keep_the_rows_of_a_query_by_key():
    one = row(sheet(), "rows per query", "recent")
    assert (one.production, one.lab, one.kept) == (pytest.approx(100), pytest.approx(100), True)


def test_narrow_keeps_nothing_of_a_query_across_all_keys():
    one = row(sheet(), "rows per query", "daily_total")
    assert (one.production, one.lab, one.kept) == (10_000_000, 10_000, False)
    assert one.because == "it asks across all keys"
    assert project.scope("query.daily_total.rows_per_call", sheet(), ("brin", "heap")) is Scope.NOT_DECIDABLE


def test_narrow_keeps_nothing_of_a_skewed_key_that_is_asked_for_as_often_as_it_occurs():
    one = row(sheet(skewed()), "rows per query", "recent")
    assert one.kept is False
    assert one.production > 100 * one.lab
    assert project.scope("query.recent.blocks_per_call", sheet(skewed()), ("brin", "heap")) is Scope.NOT_DECIDABLE
    assert row(sheet(skewed(calls="")), "rows per query", "recent").kept is False


def test_an_even_choice_among_skewed_keys_sees_the_mean_key():
    assert row(sheet(skewed(calls="uniform")), "rows per query", "recent").kept
    for calls in ("", "zipf(1.1)", "latest(1.1)"):
        assert row(sheet(skewed(rows="", calls=calls)), "rows per query", "recent").kept


def test_short_alone_keeps_the_rows_of_every_query_that_names_a_time():
    short = scenario(lab=Lab(rows=400_000_000, days=40, shrink=("short",), entities={"device": 100_000}))
    rows = sheet(short)
    assert row(rows, "rows per query", "recent").kept
    assert row(rows, "rows per query", "daily_total").kept
    by_id = replace(queries()[0], params=(Parameter("id", "events.id"),))
    assert asked(short, by_id) == (None, None, "it names no time, so that it may read all days")


def test_a_key_with_rows_on_end_or_ranked_by_age_is_not_known():
    fan_out = skewed(rows="")
    device = {**EVENTS["columns"]["device"], "fan_out": "poisson(3)"}
    stream = Stream("events", "synthetic", {"columns": {"device": device}})
    fan_out = replace(fan_out, workload=replace(fan_out.workload, streams={"events": stream}))
    assert row(sheet(fan_out), "rows per query", "recent").kept is None
    assert row(sheet(skewed(calls="latest(1.1)")), "rows per query", "recent").kept is None


def test_rows_thrown_away_are_more_in_production():
    rows = sheet()
    assert row(rows, "rows read in vain", "heap: daily_total").kept is None
    assert not [one for one in rows if one.invariant == "rows read in vain" and one.of == "brin: recent"]
    assert not [one for one in sheet(like_production()) if one.invariant == "rows read in vain"]
    told = scenario(production=Production(rows_per_day=10_000, keep_days=395, entities={"device": 100}))
    assert row(sheet(told), "rows per query", "daily_total").kept
    assert project.scope("query.daily_total.temp_bytes_per_call", sheet(told), ("brin", "heap")) is Scope.NOT_DECIDABLE


def test_a_brin_range_spans_the_days_that_its_pages_hold():
    one = row(sheet(), "days per BRIN range", "brin")
    assert one.lab == pytest.approx(128 * 8192 / 30_343_168 * 40, rel=1e-3)
    assert (one.lab / one.production, one.kept) == (pytest.approx(1000), False)
    assert project.scope("query.recent.blocks_per_call", sheet(), ("brin", "heap")) is Scope.NOT_DECIDABLE
    told = scenario()
    few = replace(
        told.candidates["brin"],
        schema=replace(
            told.candidates["brin"].schema, text="CREATE INDEX i ON t USING brin (at) WITH (pages_per_range = 16)"
        ),
    )
    told = replace(told, candidates={**told.candidates, "brin": few})
    assert row(sheet(told), "days per BRIN range", "brin").lab == pytest.approx(one.lab / 8)


def test_thin_breaks_rows_per_query():
    thin = scenario(lab=Lab(rows=400_000, days=395, entities={"device": 100_000}))
    assert row(sheet(thin), "rows per query", "recent").kept is False


def test_what_nobody_said_of_production_is_neither_kept_nor_broken():
    rows = sheet(scenario(production=Production(), lab=Lab(shrink=("short",))))
    assert {one.kept for one in rows if one.of == "" or one.invariant == "rows per query"} == {None}


def test_rows_that_stand_for_themselves_keep_what_depends_on_rows_and_not_on_the_host():
    told = scenario(production=Production(), lab=Lab())
    real = replace(told, workload=replace(told.workload, streams={"events": Stream("events", "package", {})}))
    rows = sheet(real)
    assert row(rows, "rows per partition", "by-day").kept
    assert row(rows, "data / cache", "heap").kept is None
    idle = project.sheet(real, [prepared("heap"), prepared("brin")])
    assert row(idle, "blocks while driven", "brin: recent").kept is None
    assert project.scope("size.total_bytes", rows) is Scope.TRANSFERS


def test_rows_that_nobody_made_up_are_as_many_as_came_and_have_no_days():
    asked = scenario(production=Production(), lab=Lab(rows=100_000, days=10))
    real = replace(asked, workload=replace(asked.workload, streams={"events": Stream("events", "parquet", {})}))
    loaded = replace(prepared("heap"), report={"rows": 1_000})
    rows = project.sheet(real, [loaded, prepared("brin")])
    assert (row(rows, "rows in all").lab, row(rows, "rows in all").because) == (1_000.0, project.TAKEN)
    assert [row(rows, one).lab for one in ("rows per day", "days kept")] == [None, None]
    assert row(project.sheet(real, []), "rows in all").lab is None


def test_made_up_rows_of_which_nobody_said_what_they_stand_for_keep_nothing():
    rows = sheet(scenario(production=Production(), lab=Lab(rows=400_000, days=40, entities={"device": 100})))
    assert {(one.kept, one.production) for one in rows} == {(None, None)}
    counted = [one.pattern.replace("<query>", "recent") for one in metrics.TABLE if one.kind in ("exact", "size")]
    assert {project.scope(metric, rows, ("brin", "heap")) for metric in counted} == {Scope.NOT_DECIDABLE}


def test_a_claim_about_one_candidate_is_not_held_against_another():
    rows = sheet()
    assert project.scope("size.total_bytes", rows, ("by-day", "heap")) is Scope.NOT_DECIDABLE
    assert project.scope("size.total_bytes", rows, ("brin", "heap")) is Scope.TRANSFERS


def test_a_large_partition_keeps_bytes_per_row_and_a_thin_one_does_not():
    rows = sheet()
    assert row(rows, "rows per partition", "heap").kept
    assert row(rows, "rows per partition", "heap").because
    assert row(rows, "rows per partition", "by-day").kept is False


def test_a_partition_larger_than_productions_is_not_asymptotic():
    tiny = scenario(production=Production(rows_per_day=10, keep_days=40), lab=Lab(rows=400_000, days=40))
    assert row(sheet(tiny), "rows per partition", "heap").kept is False


def test_partitions_in_all_grow_with_the_days_kept_and_a_study_does_not_make_them_more():
    one = row(sheet(), "partitions in all", "by-day")
    assert (one.production, one.kept, one.because) == (395, False, "")
    studied = row(sheet(points=studies()), "partitions in all", "by-day")
    assert (studied.kept, studied.because) == (False, "the catalogue study counts it there")
    assert project.scope("backend_memory_bytes", sheet(points=studies()), ("by-day", "heap")) is Scope.NOT_DECIDABLE
    assert row(sheet(), "partitions in all", "heap").production == 1


def test_few_partitions_do_not_tell_how_many_production_has():
    rows = sheet()
    assert row(rows, "partitions in all", "by-month").production is None
    assert row(rows, "rows per partition", "by-month").production is None
    assert row(rows, "rows per partition", "by-month").kept, "they are as long in production, and denser"
    assert row(sheet(by_month=1), "partitions in all", "by-month").production is None
    whole = scenario(lab=Lab(rows=400_000, days=395))
    assert row(sheet(whole), "partitions in all", "by-month").production == 2


def points(**counted):
    """A catalogue study of by-day: what is counted of `recent` at each of its numbers of partitions."""
    return [
        Study(
            "by-day", count, {f"query.recent.{what}_per_call": (float(values[n]),) for what, values in counted.items()}
        )
        for n, count in enumerate((13, 60, 395))
    ]


def test_what_is_locked_is_kept_only_if_the_study_counts_it_alike_at_every_number():
    steady = {"partitions": (7, 7, 7), "fast_path_misses": (0, 0, 0)}
    pruned_in_time = sheet(points=points(**steady, locks=(22, 22, 22)))
    assert row(pruned_in_time, "locks per query", "by-day: recent").kept
    other_plan = row(sheet(points=points(**steady, locks=(32, 32, 32))), "locks per query", "by-day: recent")
    assert (other_plan.production, other_plan.lab, other_plan.kept) == (32, 22, False)
    late = sheet(points=points(**steady, locks=(22, 244, 1584)))
    locks = row(late, "locks per query", "by-day: recent")
    assert (locks.production, locks.lab, locks.kept) == (1584, 22, False)
    assert project.scope("query.recent.locks_per_call", late, ("by-day", "heap")) is Scope.NOT_DECIDABLE
    assert row(late, "partitions per query", "by-day: recent").kept
    missed = {**steady, "fast_path_misses": (0, 5, 9)}
    assert not row(sheet(points=points(**missed, locks=(22, 22, 22))), "locks per query", "by-day: recent").kept
    short = points(**steady, locks=(22, 22, 22))[:2]
    assert row(sheet(points=short), "locks per query", "by-day: recent").kept is None


def test_what_is_studied_of_one_query_says_nothing_of_another():
    rows = sheet(points=points(partitions=(7, 7, 7), locks=(22, 22, 22), fast_path_misses=(0, 0, 0)))
    assert project.scope("query.recent.locks_per_call", rows, ("by-day", "heap")) is Scope.TRANSFERS
    assert project.scope("query.daily_total.locks_per_call", rows, ("by-day", "heap")) is Scope.NOT_DECIDABLE


def test_blocks_depend_on_the_partitions_that_a_query_scans():
    metric = "query.recent.rows_per_call"
    steady = {"locks": (56, 244, 1584), "fast_path_misses": (0, 1, 2)}
    assert project.scope(metric, sheet(points=points(**steady, partitions=(7, 7, 7)))) is Scope.NOT_DECIDABLE
    sides = ("by-day", "heap")
    assert project.scope(metric, sheet(points=points(**steady, partitions=(7, 7, 7))), sides) is Scope.TRANSFERS
    assert project.scope(metric, sheet(points=points(**steady, partitions=(13, 60, 395))), sides) is Scope.NOT_DECIDABLE


def test_without_a_study_only_a_table_that_is_whole_keeps_what_a_query_locks():
    rows = sheet()
    for invariant in ("partitions per query", "locks per query"):
        assert row(rows, invariant, "by-day").kept is None
        assert row(rows, invariant, "heap").kept
    assert row(sheet(like_production()), "locks per query", "by-day").kept


def test_blocks_that_differ_under_load_are_not_kept():
    rows = sheet()
    one = row(rows, "blocks while driven", "by-day: recent")
    assert (one.driven, one.lab, one.kept) == (pytest.approx(140 / 106), pytest.approx(24.5 / 104), False)
    assert one.production is None
    assert row(rows, "blocks while driven", "by-month: recent").kept
    silent = project.sheet(scenario(), [prepared("heap"), prepared("by-month")])
    assert row(silent, "blocks while driven", "by-month: recent").kept is None


def test_blocks_while_driven_weigh_trials_by_their_calls_and_leave_the_twin_aside():
    def seen(blocks, calls, **instance):
        name = "query.recent.driven_blocks_per_call"
        return Measurement(Instance("heap", 1, **instance), 0, "t", name, blocks, calls)

    assert project.driven([seen(10.0, 30), seen(50.0, 10), seen(999.0, 10, twin=True)]) == {("heap", "recent"): 20.0}


def test_an_unknown_number_of_partitions_keeps_nothing():
    rows = sheet(by_day=None)
    for invariant, of in (
        ("rows per partition", "by-day"),
        ("partitions in all", "by-day"),
        ("partitions per query", "by-day"),
    ):
        assert row(rows, invariant, of).kept is None


def test_data_to_cache_is_the_whole_data_against_shared_buffers():
    one = row(sheet(), "data / cache", "heap")
    assert one.lab == pytest.approx(56_623_104 / 2**27)
    assert one.production == pytest.approx(3.95e9 * 141.55776 / 2**34)


def test_with_strict_memory_shared_buffers_stand_for_all_memory_of_production():
    told = scenario()
    production = replace(told.production, memory_bytes=2**36)
    one = row(sheet(replace(told, production=production, lab=replace(told.lab, strict=True))), "data / cache", "heap")
    assert one.production == pytest.approx(3.95e9 * 141.55776 / 2**36)


TIMES = [m.pattern.replace("<query>", "recent") for m in metrics.TABLE if m.kind in ("time", "rate") and not m.work]


@pytest.mark.parametrize("metric", TIMES)
def test_times_and_rates_hold_on_this_host_whatever_is_kept(metric):
    assert project.scope(metric, sheet(like_production())) is Scope.THIS_HOST


@pytest.mark.parametrize("metric", TIMES)
def test_between_unlike_shapes_on_one_host_no_time_and_no_rate_is_decided(metric):
    assert project.scope(metric, sheet(like_production()), unlike=True) is Scope.NOT_DECIDABLE


def test_processor_time_of_an_operation_carries_as_far_as_the_work_is_productions():
    for unlike in (False, True):
        assert project.scope("cpu_s_per_op", sheet(like_production()), unlike=unlike) is Scope.TRANSFERS
    assert project.scope("cpu_s_per_op", sheet(), ("by-day", "heap"), unlike=True) is Scope.NOT_DECIDABLE


def test_a_count_transfers_exactly_where_all_its_invariants_are_kept():
    rows = sheet()
    assert project.scope("query.recent.rows_per_call", rows, ("brin", "heap")) is Scope.TRANSFERS
    assert project.scope("size.total_bytes", rows) is Scope.NOT_DECIDABLE
    assert project.scope("size.total_bytes", sheet(like_production())) is Scope.TRANSFERS
    assert project.scope("wal.fpi_bytes_per_row", sheet(like_production())) is Scope.NOT_DECIDABLE


def test_transactions_by_rows_are_those_of_this_load():
    assert project.scope("xids_per_million_rows", sheet()) is Scope.NOT_DECIDABLE
    assert project.scope("xids_per_million_rows", sheet(like_production())) is Scope.TRANSFERS


def test_wal_of_rows_that_come_and_go_here_without_checkpoints_says_nothing_of_whole_pages_there():
    moving = replace(like_production(), round=(timeline.Append(rows=1), timeline.Retire(), timeline.Maintain()))
    for step in ("append", "retire", "maintain"):
        assert project.scope(f"{step}.wal_bytes_per_row", sheet(moving)) is Scope.NOT_DECIDABLE
    assert project.scope("wal.record_bytes_per_row", sheet(moving)) is Scope.TRANSFERS


def test_every_count_depends_on_something():
    assert [one.pattern for one in metrics.TABLE if one.kind in ("exact", "size") and not one.invariants] == []


def test_a_sheet_that_is_silent_lets_nothing_transfer_that_depends_on_it():
    assert project.scope("size.total_bytes", ()) is Scope.NOT_DECIDABLE


@pytest.mark.parametrize("shapes", [False, True])
def test_every_invariant_that_a_metric_names_is_on_the_sheet(shapes):
    told = replace(scenario(), round=(timeline.Append(rows=1),))
    if shapes:
        base = replace(told.candidates["heap"], topology=Topology("replicas"))
        told = replace(told, candidates={**told.candidates, "heap": base})
    named = {invariant for one in metrics.TABLE if shapes or not one.shapes for invariant in one.invariants}
    named -= {"databases"}  # of a candidate that keeps rows apart: the next test
    assert named <= {one.invariant for one in sheet(told)}


@pytest.mark.parametrize(("here", "kept"), [(100, True), (10, False)])
def test_what_databases_cost_is_said_of_production_where_there_are_as_many(here, kept):
    told, made = like_production(), {"by": "device", "count": here, "seconds": 1.0, "held": 5, "bytes": 7e6}
    heap, *others = map(prepared, NAMES)
    rows = project.sheet(told, [replace(heap, report={**heap.report, "databases": made}), *others], (), driven())
    assert (row(rows, "databases", "heap").production, row(rows, "databases", "heap").kept) == (100, kept)
    assert row(rows, "rows per partition", "heap").lab == pytest.approx(400_000 / here, rel=0.01)
    for metric in ("size.total_bytes", "backend_memory_bytes", "cpu_s_per_op", "mix.round_trips_per_op"):
        assert (project.scope(metric, rows) is Scope.TRANSFERS) is kept, metric
    unsaid = replace(told, production=replace(told.production, entities={}))
    assert (
        row(
            project.sheet(unsaid, [replace(heap, report={**heap.report, "databases": made})], (), driven()),
            "databases",
            "heap",
        ).kept
        is None
    )


def loaded(due, *, told=None, **report):
    """The sheet of like_production, or of *told*, with *due* rows between checkpoints and more in each report."""
    told = told or like_production()
    told = replace(told, production=replace(told.production, checkpoint_rows=due))
    reports = {"rows": 400_000, "load_sql_s": 0.0, **report}
    instances = [replace(one, report={**one.report, **reports}) for one in map(prepared, NAMES)]
    return project.sheet(told, instances, (), driven())


@pytest.mark.parametrize(
    ("counted", "due", "here", "kept"),
    [
        (40, 10_000, 10_000, True),
        (40, 9_000, 10_000, None),  # within a tenth or not, as one more or less would say
        (40, 20_000, 10_000, False),
        (40, 5_000, 10_000, False),
        (1, 400_000, 400_000, None),
        (1, 100_000, 400_000, False),
        (0, 100_000, 400_000, False),
        (0, 1_000_000, 400_000, None),
    ],
)
def test_rows_between_checkpoints_are_kept_where_enough_came_to_be_sure(counted, due, here, kept):
    one = row(loaded(due, checkpoints={"a": counted}), "checkpoint distance", "brin")
    assert (one.production, one.lab, one.kept) == (due, here, kept)
    assert one.because.startswith("at least") == (counted == 0)


@pytest.mark.parametrize(
    "report", [{}, {"checkpoints": {"a": 20, "b": 20}}, {"checkpoints": {"a": 40}, "load_sql_s": 0.1}]
)
def test_rows_between_checkpoints_are_not_known_of_older_runs_several_servers_and_load_sql(report):
    one = row(loaded(10_000, **report), "checkpoint distance", "brin")
    assert (one.lab, one.kept, one.because != "") == (None, None, report != {})


def test_what_is_written_as_whole_pages_carries_where_checkpoints_and_rows_are_productions():
    kept, metric = {"checkpoints": {"a": 40}}, "wal.fpi_bytes_per_row"
    assert project.scope(metric, loaded(10_000, **kept)) is Scope.TRANSFERS
    assert project.scope(metric, loaded(10_000)) is Scope.NOT_DECIDABLE
    assert project.scope(metric, loaded(20_000, **kept)) is Scope.NOT_DECIDABLE
    assert project.scope(metric, loaded(10_000, told=scenario(), **kept)) is Scope.NOT_DECIDABLE
    assert project.scope("mix.wal_fpi_bytes_per_op", loaded(10_000, **kept)) is Scope.NOT_DECIDABLE


def test_the_twin_has_no_rows_of_its_own():
    alone = project.sheet(scenario(), [prepared("heap")])
    assert project.sheet(scenario(), [prepared("heap"), prepared("heap", 2, twin=True)]) == alone
