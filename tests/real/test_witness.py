"""A run whose baseline is driven by two generators, one after the other, at the same rate."""

from lab import check, judge, store
from tests.real import small

STEP = "{do: drive, for: 100ms, rate: 300}"
BY_TWO = "{do: drive, for: 900ms, rate: 200, witness: pgbench}"
NUMBERS = (
    "-- params: device=readings.device zipf(1.1)\n"
    "SELECT at, value FROM readings WHERE device = :device ORDER BY at DESC, id LIMIT 20\n"
)


def scenario(tmp_path, **files):
    """The small scenario with a witness, and with numbers alone for parameters."""
    text = small.FILES["scenarios/small/scenario.yaml"]
    assert text.count(STEP) == 1
    changed = {"scenarios/small/scenario.yaml": text.replace(STEP, BY_TWO), "workloads/readings/recent.sql": NUMBERS}
    return small.write(tmp_path, **{**changed, **files})


def test_the_baseline_alone_is_sent_the_same_twice_and_the_plan_compares_the_two(tmp_path):
    scenario(tmp_path)
    done = small.pglab(tmp_path, "run", "small", "--on", "embedded", "--rounds", "2")
    assert done.returncode in (0, 1), done.stderr
    (folder,) = (tmp_path / "results/small").iterdir()
    for item in store.read(folder).slices:
        kinds = [step["do"] for step in item.steps]
        own = item.trial.instance.candidate == "plain" and not item.trial.instance.twin
        assert kinds == ["append", "drive", *(["witness"] if own else []), "retire"]
        assert (item.witness is not None) == own
        if own:
            ((step, ops),) = check.driven(item, "witness")
            assert (step["rate"], step["for_s"], step["clients"]) == (200.0, 1.0, 2)
            assert 50 < ops.num_rows == item.witness.num_rows < 300
            assert set(ops["name"].to_pylist()) <= {"recent", "by_id"}
            ((before, sent),) = check.driven(item)
            assert before["end_ns"] <= step["start_ns"]
            assert sent.num_rows == item.ops.num_rows == before["due"]
    told = judge.judge(folder).judged.load["witness"]
    assert (told["driver"], told["witness"], told["trials"] + told["left_out"]) == ("locust", "pgbench", 2)
    plan = (tmp_path / ".claude/doc/small.md").read_text()
    assert "A second generator, pgbench, sent the baseline the same mix at the same rate" in plan
    assert ("needs 299 operations of a query in a slice" in plan) == (told["trials"] > 0)
    assert small.pglab(tmp_path, "verify", ".claude/doc/small.md").returncode == 0


def test_a_text_for_the_witness_is_refused_before_the_run_with_place_and_way_out(tmp_path):
    text = NUMBERS.replace("device=readings.device zipf(1.1)", "device=readings.device, at=readings.at").replace(
        ":device", ":device AND at = :at"
    )
    scenario(tmp_path, **{"workloads/readings/recent.sql": text})
    done = small.pglab(tmp_path, "run", "small", "--on", "embedded", "--rounds", "2")
    assert done.returncode == 2
    assert "plain: workloads/readings/recent.sql: query 'recent' takes '2026-" in done.stderr
    assert "pgbench draws numbers only (drivers that can: inline, locust)" in done.stderr
    assert "(it is the witness of a drive step: leave `witness` out)" in done.stderr
    assert "Traceback" not in done.stderr
    assert not list((tmp_path / "results").glob("small/*/trials/*"))
