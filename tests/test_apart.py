"""A database for each value of a column, as it is asked for: what cannot go with it is told at its place."""

import pytest

from lab import apart, count, parts, scenario
from lab.errors import ScenarioError
from tests.real import small

OTHER = '  "Other \\"näme\\"": {schema: other.sql, hypothesis: without the index, sql: {retire: retire.sql}}\n'
SCENARIO = small.SCENARIO.replace(OTHER, OTHER.replace("sql: {", "topology: {kind: databases, by: device}, sql: {"))
FILES = {
    **small.FILES,
    "scenarios/small/scenario.yaml": SCENARIO,
    "workloads/readings/by_id.sql": (
        "-- params: device=readings.device, id=readings.id\n"
        "SELECT * FROM readings WHERE device = :device AND id = :id\n"
    ),
}


@pytest.fixture
def read(tmp_path):
    def reading(**changes):
        small.write(tmp_path, **{**FILES, **changes})
        return scenario.read("small", scenario.OnDisk(tmp_path / "scenarios/small", tmp_path), parts)

    return reading


def test_queries_that_name_a_value_of_the_column_find_their_database(read):
    topology = read().candidates['Other "näme"'].topology
    assert (topology.kind, topology.options) == ("databases", {"by": "device"})


@pytest.mark.parametrize(
    ("file", "old", "new", "said"),
    [
        (
            "workloads/readings/by_id.sql",
            "device=readings.device, ",
            "",
            r"topology: workload/by_id\.sql has no parameter of a column 'device', and so no database to go "
            r"to \(params: device=stream\.device, or leave the query out of the mix\)",
        ),
        (
            "scenarios/small/scenario.yaml",
            "schema: other.sql",
            "schema: other.sql, load: load.sql",
            r"topology: load\.sql cannot move rows to databases apart \(leave load out\)",
        ),
        (
            "workloads/readings/workload.yaml",
            "locust",
            "pgbench",
            r"topology: databases: the driver pgbench knows of one database \(driver: locust\)",
        ),
    ],
)
def test_what_does_not_go_with_it_is_told(read, file, old, new, said):
    changed = {file: FILES[file].replace(old, new)}
    if file.endswith("by_id.sql"):
        changed[file] = changed[file].replace("device = :device AND ", "")
    if new == "pgbench":  # which cannot draw a value between two of the rows that are there
        changed["workloads/readings/recent.sql"] = FILES["workloads/readings/recent.sql"].replace("zipf(1.1)", "")
    with pytest.raises(ScenarioError, match=said):
        read(**changed, **{"scenarios/small/load.sql": "SELECT 1;\n"})


def test_counts_of_several_databases_are_the_means_over_all_parameter_sets():
    groups = [("a", ("q",), {"q": [0, 2, 3]}), ("b", ("q",), {"q": [1]})]

    def one(info, _, sets):
        size = float(len(sets["q"]))
        metrics = {
            "query.q.blocks_per_call": (4.0, 4.0) if info == "a" else (8.0, 12.0),
            "query.q.planning_ms": (size,) * len(sets["q"]),
            "backend_memory_bytes": (100.0,) if info == "a" else (300.0,),
        }
        return count.Counted(metrics, {"q": [info] * len(sets["q"])}, {"q": tuple(f"{info}{n}" for (n,) in sets["q"])})

    counted = apart.counted(groups, {"q": [[0], [1], [2], [3]]}, one, held=3)
    assert counted.metrics == {
        "query.q.blocks_per_call": (5.0, 6.0),
        "query.q.planning_ms": (3.0, 3.0, 3.0, 1.0),
        "backend_memory_bytes": (600.0,),
    }
    assert counted.digests == {"q": ("a0", "b1", "a2", "a3")}
    assert counted.explains == {"q": ["a", "a"]}
