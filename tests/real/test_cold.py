"""Memory that is strict and caches that are cold: what a server reads is read from its files."""

from contextlib import ExitStack

import pytest

from lab import cold, pg, prepare, sizing, store
from lab.clusters import replicas, single
from lab.errors import ClusterError
from lab.model import Topology
from lab.probes.server import Node
from tests.real import small

pytestmark = pytest.mark.server

STRICT = {**sizing.SETTINGS, "shared_buffers": "16MB", "debug_io_direct": "data"}
TABLE = "CREATE TABLE t AS SELECT n, repeat('x', 100) AS b FROM generate_series(1, 20_000) n"


@pytest.fixture(params=[Topology("single"), Topology("replicas", {"nodes": 1})], ids=lambda one: one.kind)
def nodes(request, host, tmp_path):
    """The servers of a shape with a table of some three hundred pages, as superuser."""
    kind = {"single": single, "replicas": replicas}[request.param.kind]
    with (
        kind.opened(host, request.param, name="cold", settings=STRICT, logs=tmp_path) as cluster,
        ExitStack() as stack,
    ):
        found = [Node(one.node, stack.enter_context(pg.connected(one.conninfo))) for one in cluster.nodes()]
        pg.run(found[0].connection, TABLE)
        prepare.caught_up(found)
        yield found


def read_by(connection):
    """Pages that one look at the table reads from files, and not from the cache."""
    (explained,) = pg.ask(connection, "EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) SELECT count(*) FROM t")["QUERY PLAN"]
    return explained["Plan"]["Shared Read Blocks"]


def test_what_was_in_the_cache_is_read_again_from_every_server(nodes):
    for node in nodes:
        read_by(node.connection)
        assert read_by(node.connection) == 0
    cold.cool(nodes)
    for node in nodes:
        assert read_by(node.connection) > 300
        assert pg.ask(node.connection, "SHOW debug_io_direct")["debug_io_direct"] == "data"


def test_what_somebody_holds_is_told_and_not_passed_over(nodes, monkeypatch):
    monkeypatch.setattr(cold, "_HELD_S", 0.1)
    with pg.connected(nodes[0].connection.info.dsn, autocommit=False) as other:
        pg.run(other, "DECLARE c CURSOR FOR SELECT * FROM t", "FETCH 5 FROM c")
        with pytest.raises(ClusterError, match=r"\d buffers are in use"):
            cold.cool(nodes)
    cold.cool(nodes)


def test_a_run_with_a_cold_cache_reads_its_files_in_every_round_and_its_plan_says_so(tmp_path):
    told = small.SCENARIO.replace("rows: 2_000}", "rows: 2_000, memory: strict}\ncache: cold")
    folder = small.write(tmp_path, **{"scenarios/small/scenario.yaml": told})
    done = small.pglab(folder, "run", "scenarios/small", "--on", "embedded", "--rounds", "4", "--only", "plain")
    assert done.returncode == 0, done.stderr
    stored = store.read(store.find(folder / "results", "small"))
    for prepared in stored.prepared:
        assert prepared.settings["debug_io_direct"]["value"] == "data"
        assert prepared.settings["effective_cache_size"]["value"] == "16384"
    for one in stored.slices:  # once, when all is done
        assert ["activity" in fact for fact in one.steps] == [*[False] * (len(one.steps) - 1), True]
    seen = [fact["activity"]["totals"] for one in stored.slices for fact in one.steps if "activity" in fact]
    assert max(totals["reads"] for totals in seen) > 100, seen
    text = (folder / ".claude/doc/small.md").read_text()
    assert "Memory was strict" in text
    assert "The cache was cold" in text
