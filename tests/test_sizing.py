"""How large servers are made: memory in proportion to the rows."""

from dataclasses import replace

import pyarrow as pa
import pytest

from lab import sizing
from lab.errors import ScenarioError
from lab.model import Instance, Lab, Production, Stream, Topology
from tests.samples import scenario

MB = 2**20
THERE = Production(rows_per_day=1000, keep_days=10, memory_bytes=6400 * MB, shared_buffers_bytes=1600 * MB)


class Rows:
    """A hundred megabytes of rows, as many as production has in a tenth of its days."""

    rows = 1000

    def batches(self, first, last):
        yield pa.record_batch([pa.nulls(last - first, pa.binary(100 * MB // 1000))], names=["a"])


def memory(**lab):
    """The settings in which memory is said, for rows of 200 MB with their indexes."""
    return sizing.memory(replace(scenario(), production=THERE, lab=Lab(**lab)), [Rows()])


@pytest.mark.parametrize(
    ("lab", "buffers", "cache"),
    [
        ({}, 400, 1600),  # in memory: twice the data; effective_cache_size as production has it to shared_buffers
        ({"data_to_memory": 4.0}, 50, 200),
        ({"data_to_memory": "as production"}, 160, 640),  # a tenth of the rows, a tenth of the shared buffers
        ({"strict": True}, 400, 400),
        ({"strict": True, "data_to_memory": 4.0}, 50, 50),
        ({"strict": True, "data_to_memory": "as production"}, 640, 640),  # a tenth of all memory
    ],
)
def test_memory_is_in_proportion_to_the_rows(lab, buffers, cache):
    found = memory(**lab)
    assert int(found["shared_buffers"].removesuffix("MB")) == pytest.approx(buffers, rel=0.02)
    assert int(found["effective_cache_size"].removesuffix("MB")) == pytest.approx(cache, rel=0.02)


def test_strict_memory_passes_the_operating_systems_cache_by():
    assert memory(strict=True)["debug_io_direct"] == "data"
    assert "debug_io_direct" not in memory()


def opened(entities, production=None, **streams):
    """The sources of these streams, of a lab with these entities."""
    given = {
        name: Stream(name, kind, options, f"data.yaml:{n}")
        for n, (name, (kind, options)) in enumerate(streams.items(), 2)
    }
    own = scenario()
    lab, there = (
        Lab(rows=100, days=1, entities={**(production or {}), **entities}),
        Production(entities=production or {}),
    )
    return sizing.opened(replace(own, lab=lab, production=there, workload=replace(own.workload, streams=given)), seed=0)


REFERS = {"columns": {"order": {"type": "integer", "of": "orders"}}}


def test_a_stream_of_files_has_as_many_rows_as_there_are_keys_to_refer_to(tmp_path):
    (tmp_path / "o.csv").write_text("id\n" + "1\n" * 2_000)
    orders = ("csv", {"files": str(tmp_path / "o.csv"), "columns": {"id": "integer"}})
    for more in ({}, {"lines": ("synthetic", REFERS)}):
        with pytest.raises(ScenarioError) as caught:
            opened({"orders": 1_000}, orders=orders, **more)
        (said,) = caught.value.mistakes
        assert said == (
            "data.yaml:2: stream orders has 2,000 rows, and lab.entities says orders: 1000, from which references to "
            "it are drawn (write orders: 2000 under entities of lab in scenario.yaml, or give the entity another name)"
        )
    assert [one.rows for one in opened({"orders": 2_000, "other": 9}, orders=orders)] == [2_000]


def test_a_stream_that_says_its_rows_has_as_many_as_there_are_keys_to_refer_to():
    orders = {"columns": {"id": {"type": "integer", "of": "orders", "sequence": 1}}}
    with pytest.raises(ScenarioError, match=r"stream orders has 300 rows, and lab.entities says orders: 20, from"):
        opened({"orders": 20}, orders=("synthetic", {**orders, "rows": 300}), lines=("synthetic", REFERS))
    for rows in ({"rows": "orders"}, {}):
        opened({"orders": 20}, orders=("synthetic", {**orders, **rows}))


def test_what_production_has_alone_is_another_number_unless_it_is_drawn_from():
    orders = ("synthetic", {"rows": 300, "columns": {"id": {"type": "integer", "sequence": 1}}})
    opened({}, {"orders": 5_000}, orders=orders)
    with pytest.raises(ScenarioError, match=r"production.entities says orders: 5000"):
        opened({}, {"orders": 5_000}, orders=orders, lines=("synthetic", REFERS))


def test_streams_without_any_row_are_refused_and_one_without_beside_others_is_not(tmp_path):
    (tmp_path / "o.csv").write_text("id\n")
    empty = ("csv", {"files": str(tmp_path / "o.csv"), "columns": {"id": "integer"}})
    with pytest.raises(ScenarioError, match=r"^data\.yaml:2: no stream has a row, .*\(a thousand or more\)$"):
        opened({}, orders=empty, lines=empty)
    lines = ("synthetic", {"columns": {"id": {"type": "integer", "sequence": 1}}})
    assert [one.rows for one in opened({}, orders=empty, lines=lines)] == [0, 100]


def test_databases_apart_need_room_where_it_is_known_how_many_there_are():
    own = replace(scenario(), lab=Lab(entities={"device": 40}))
    instances = [Instance(name, 1) for name in own.candidates]
    plain = sizing.disk_bytes(own, instances, [Rows()])
    assert plain == pytest.approx(len(instances) * (100 + 4 * 100) * MB, rel=0.01)
    for kind, by, databases in [("databases", "device", 40), ("databases", "other", 0), ("sharded", "device", 0)]:
        shaped = replace(own.candidates["heap"], topology=Topology(kind, {"by": by}))
        read = replace(own, candidates={**own.candidates, "heap": shaped})
        assert sizing.disk_bytes(read, instances, [Rows()]) - plain == databases * 15 * MB
