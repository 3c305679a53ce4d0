"""What the lab kept of production, and how far a claim reaches for it."""

from dataclasses import replace

import pytest

from lab import metrics, project
from lab.model import Lab, Production, Scope
from tests.samples import prepared, scenario, studies

NAMES = ("heap", "brin", "by-month", "by-day")


def sheet(told=None, *, points=(), **reports):
    """The sheet of the sample instances; *reports*: candidate -> its number of partitions."""
    made = []
    for name in NAMES:
        one = prepared(name)
        parts = reports.get(name.replace("-", "_"), one.report["partitions"])
        made.append(replace(one, report={**one.report, "partitions": parts}))
    return project.sheet(told or scenario(), made, points)


def row(rows, invariant, of=""):
    [found] = [one for one in rows if (one.invariant, one.of) == (invariant, of)]
    return found


def like_production(**changes):
    """A lab as large as production, which is small."""
    small = Production(rows_per_day=10_000, keep_days=40, entities={"device": 100})
    return scenario(production=small, lab=replace(Lab(rows=400_000, days=40, entities={"device": 100}), **changes))


def test_short_and_narrow_keep_rows_per_query():
    assert row(sheet(), "rows per query", "device").kept


def test_thin_breaks_rows_per_query():
    thin = scenario(lab=Lab(rows=400_000, days=395, entities={"device": 100_000}))
    assert row(sheet(thin), "rows per query", "device").kept is False


def test_what_nobody_said_of_production_is_neither_kept_nor_broken():
    rows = sheet(scenario(production=Production(), lab=Lab(shrink=("short",))))
    assert {one.kept for one in rows if one.of == "" or one.invariant == "rows per query"} == {None}


def test_rows_that_stand_for_themselves_keep_what_depends_on_rows_and_not_on_the_host():
    rows = sheet(scenario(production=Production(), lab=Lab()))
    assert row(rows, "rows per partition", "by-day").kept
    assert row(rows, "data / cache", "heap").kept is None
    assert project.scope("size.total_bytes", rows) is Scope.TRANSFERS


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


def test_partitions_in_all_grow_with_the_days_kept_unless_the_catalogue_study_went_there():
    assert row(sheet(), "partitions in all", "by-day").production == 395
    assert row(sheet(), "partitions in all", "by-day").kept is False
    assert row(sheet(points=studies()), "partitions in all", "by-day").kept
    assert row(sheet(points=studies()[:2]), "partitions in all", "by-day").kept is False
    assert row(sheet(), "partitions in all", "heap").production == 1


def test_a_pruned_query_keeps_its_partitions_and_one_that_scans_all_does_not():
    rows = sheet()
    assert row(rows, "partitions per query", "by-day: recent").kept
    all_of = sheet(by_day=7)
    assert row(all_of, "partitions per query", "by-day: recent").kept is False
    assert row(all_of, "partitions per query", "by-day: daily_total").kept


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


@pytest.mark.parametrize(
    "metric", [one.pattern.replace("<query>", "recent") for one in metrics.TABLE if one.kind in ("time", "rate")]
)
def test_times_and_rates_hold_on_this_host_whatever_is_kept(metric):
    assert project.scope(metric, sheet(like_production())) is Scope.THIS_HOST


def test_a_count_transfers_exactly_where_all_its_invariants_are_kept():
    rows = sheet()
    assert project.scope("query.recent.blocks_per_call", rows) is Scope.TRANSFERS
    assert project.scope("size.total_bytes", rows) is Scope.NOT_DECIDABLE
    assert project.scope("size.total_bytes", sheet(like_production())) is Scope.TRANSFERS
    assert project.scope("wal.fpi_bytes_per_row", rows) is Scope.NOT_DECIDABLE
    assert project.scope("xids_per_million_rows", rows) is Scope.TRANSFERS


def test_a_query_that_scans_all_partitions_does_not_spoil_the_claims_about_another():
    rows = sheet(by_day=7)
    assert project.scope("query.recent.locks_per_call", rows) is Scope.NOT_DECIDABLE
    assert project.scope("query.daily_total.locks_per_call", rows) is Scope.TRANSFERS


def test_a_sheet_that_is_silent_lets_nothing_transfer_that_depends_on_it():
    assert project.scope("size.total_bytes", ()) is Scope.NOT_DECIDABLE


def test_every_invariant_that_a_metric_names_is_on_the_sheet():
    named = {invariant for one in metrics.TABLE for invariant in one.invariants}
    assert named <= {one.invariant for one in sheet()}


def test_the_twin_has_no_rows_of_its_own():
    alone = project.sheet(scenario(), [prepared("heap")])
    assert project.sheet(scenario(), [prepared("heap"), prepared("heap", 2, twin=True)]) == alone
