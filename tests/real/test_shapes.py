"""Several real servers measured as one candidate: what is summed, what is waited for, where reads go."""

from dataclasses import replace

import pytest

from lab import check, pg, prepare, run, share, store, trial
from lab.clusters import replicas, sharded, single
from lab.errors import ClusterError
from lab.hosts import Limits
from lab.model import Instance, SqlFile, Topology
from lab.probes.host import HostProbe
from tests import samples
from tests.real import small

pytestmark = pytest.mark.server

SETTINGS = {"shared_preload_libraries": "pg_stat_statements", "autovacuum": "off"}
HEAP = SqlFile("t.sql", "CREATE TABLE t (a int PRIMARY KEY, b text);\n")


def kept_of(host, tmp_path, kind, topology):
    """A shape that is up, connected to as a run is."""
    told = samples.scenario()
    changed = {**told.candidates, "heap": replace(told.candidates["heap"], topology=topology)}
    told = replace(told, candidates=changed)
    opened = kind.opened(host, topology, name="shape", settings=SETTINGS, logs=tmp_path)
    return opened, lambda cluster: run.connected(Instance("heap", 1), changed["heap"], cluster, told, HostProbe())


@pytest.fixture
def copied(host, tmp_path):
    """A primary with one standby that reads go to, and a table of a thousand rows."""
    opened, connected = kept_of(host, tmp_path, replicas, Topology("replicas", {"nodes": 1}))
    with opened as cluster, connected(cluster) as kept:
        prepare.apply(host.psql(), kept.direct, HEAP, "heap")
        with pg.connected(kept.cluster.write().conninfo) as author:
            pg.run(author, "INSERT INTO t SELECT n, repeat('x', 100) FROM generate_series(1, 1000) n")
        yield kept


def test_every_copy_takes_room_and_only_the_primary_writes(copied):
    prepare.settle(copied.nodes)
    primary, standby = prepare.sizes_of(copied.nodes).values()
    assert primary == standby
    assert prepare.sizes(copied.nodes, 1_000)["size.total_bytes"] == (2 * sum(primary.values()),)
    assert [prepare.leads(node.connection) for node in copied.nodes] == [True, False]
    assert set(prepare.positions(copied.nodes)) == {"primary"}


def test_a_standby_has_replayed_what_was_written_when_that_was_waited_for(copied):
    follower = copied.nodes[1].connection
    for n in range(20):
        pg.run(copied.admin, f"UPDATE t SET b = 'round {n}'")
        prepare.caught_up(copied.nodes)
        assert pg.ask(follower, "SELECT count(*) AS n FROM t WHERE b = %s", [f"round {n}"]) == {"n": 1000}


def test_a_standby_that_does_not_follow_is_told_with_its_lag_and_not_waited_for_for_ever(copied):
    pg.run(copied.nodes[1].connection, "SELECT pg_wal_replay_pause()")
    pg.run(copied.admin, "UPDATE t SET b = 'unseen'")
    with pytest.raises(ClusterError, match=r"^standby1: has not replayed .*: \d+ bytes behind \(is it streaming"):
        prepare.caught_up(copied.nodes, within_s=0.3)
    pg.run(copied.nodes[1].connection, "SELECT pg_wal_replay_resume()")


def test_wal_and_commits_of_a_step_are_counted_once_however_many_follow(copied):
    prepare.caught_up(copied.nodes)
    before = copied.server.read()
    for n in range(30):
        pg.run(copied.admin, f"UPDATE t SET b = 'again' WHERE a = {n + 1}")
    after = copied.server.read()
    assert copied.server.wal(before, after)["commits"] == 30
    assert copied.server.inner()["calls"] == 0
    assert set(copied.server.cpu_s()) == {"primary", "standby1"}


def test_what_is_asked_of_a_standby_is_the_mixs_too(copied):
    prepare.caught_up(copied.nodes)
    marked = "SELECT /* pglab:look */ count(*) FROM t"
    for endpoint in (copied.cluster.write(), *copied.reads):
        with pg.connected(endpoint.conninfo) as client:
            pg.rows(client, marked)
    assert [one.node for one in copied.reads] == ["standby1"]
    assert copied.server.statements()["look"]["calls"] == 2


def test_what_a_replica_takes_away_and_gives_is_promised(copied):
    told = prepare.promises(copied.nodes, Topology("replicas"), reads=True)
    assert "every read sees all that was committed before it" not in told
    assert not any("disks" in one for one in told)


SPREAD = SqlFile(
    "t.sql",
    "CREATE TABLE t (a int, b text) PARTITION BY HASH (a);\n"
    "CREATE FOREIGN TABLE t1 PARTITION OF t FOR VALUES WITH (MODULUS 2, REMAINDER 0)\n"
    "  SERVER shard_1 OPTIONS (table_name 't');\n"
    "CREATE FOREIGN TABLE t2 PARTITION OF t FOR VALUES WITH (MODULUS 2, REMAINDER 1)\n"
    "  SERVER shard_2 OPTIONS (table_name 't');\n",
)


def test_what_a_coordinator_asks_of_its_shards_is_counted_on_them(host, tmp_path):
    opened, connected = kept_of(host, tmp_path, sharded, Topology("sharded", {"shards": 2}))
    with opened as cluster, connected(cluster) as kept:
        for node in kept.nodes[1:]:
            pg.run(node.connection, "CREATE TABLE public.t (a int, b text)", "ALTER TABLE public.t OWNER TO lab")
        prepare.apply(host.psql(), kept.direct, SPREAD, "heap")
        assert [node.inner for node in kept.nodes] == [False, True, True]
        with pg.connected(kept.direct.conninfo) as author:
            pg.run(author, "INSERT INTO t SELECT n, repeat('x', 100) FROM generate_series(1, 1000) n")
            prepare.settle(kept.nodes)
            assert prepare.sizes(kept.nodes, 1_000)["size.heap_bytes"][0] > 1_000 * 100
            before, reading = kept.server.inner(), kept.server.read()
            assert pg.ask(author, "SELECT count(*) AS n FROM t WHERE b <> ''") == {"n": 1000}
            pg.run(author, "UPDATE t SET b = 'y' WHERE a = 7")
            after = kept.server.inner()
            wal = kept.server.wal(reading, kept.server.read())
        assert after["calls"] - before["calls"] >= 6
        assert after["blocks"] > before["blocks"]
        assert wal["commits"] == 1


def test_a_quota_that_keeps_a_server_waiting_is_a_fact_of_the_step_and_a_doubt_about_its_times(docker_host, tmp_path):
    busy = "SELECT sum(n) FROM generate_series(1, 2000000) n"
    for cpus, doubted in ((0.2, True), (None, False)):
        with docker_host.private() as place:
            given = share.limited(place, share.Share(Limits(cpus=cpus), 1))
            opened, connected = kept_of(given, tmp_path, single, Topology("single"))
            with opened as cluster, connected(cluster) as kept:
                with trial._watched(kept, "drive") as fact:
                    pg.rows(kept.admin, busy)
                assert set(fact["throttled_s"]) == {"shape"}
                assert (check.throttled_share([fact]) > check.THROTTLED_SHARE) is doubted


def test_a_run_of_one_server_and_of_two_measures_both_alike_and_sends_reads_to_the_standby(tmp_path):
    scenario = small.SCENARIO.replace("rate: 300}\n      - {do: retire}", "rate: 300}")
    scenario = scenario.replace("mix.server_ms_per_op", "cpu_s_per_op").split("candidates:")[0] + (
        "candidates:\n"
        "  plain: {schema: plain.sql, hypothesis: what is there}\n"
        "  copied: {schema: plain.sql, hypothesis: a standby reads, topology: {kind: replicas, nodes: 1}}\n"
    )
    folder = small.write(tmp_path, **{"scenarios/small/scenario.yaml": scenario})
    done = small.pglab(folder, "run", "small", "--on", "embedded", "--rounds", "3")
    assert done.returncode == 0, done.stderr
    (stored,) = map(store.read, store.runs(folder / "results"))
    steps = [(one.trial.instance.candidate, step) for one in stored.slices for step in one.steps]
    drives = {(name, step["reads"], len(step["cpu_s"])) for name, step in steps if step["do"] == "drive"}
    asked = {one.ops.num_rows for one in stored.slices}
    assert {(name, servers) for name, _, servers in drives} == {("plain", 1), ("copied", 2)}
    assert {count for name, count, _ in drives if name == "plain"} == {0}
    assert {count for name, count, _ in drives if name == "copied"} == asked
    page = (folder / ".claude" / "doc" / "small.md").read_text()
    assert "## Shapes on one host" in page
    assert small.pglab(folder, "verify", ".claude/doc/small.md").returncode == 0


def test_a_query_that_calls_a_function_which_writes_goes_to_the_primary_and_its_rows_are_reckoned(tmp_path):
    scenario = small.SCENARIO.replace("rate: 300}\n      - {do: retire}", "rate: 300}").split("candidates:")[0] + (
        "candidates:\n  plain: {schema: plain.sql, hypothesis: reads elsewhere, topology: {kind: replicas, nodes: 1}}\n"
    )
    noting = (
        "CREATE TABLE notes (device integer);\n"
        "CREATE FUNCTION note(device integer) RETURNS integer LANGUAGE plpgsql AS\n"
        "$$ BEGIN INSERT INTO notes VALUES (device); RETURN device; END $$;\n"
    )
    files = {
        "scenarios/small/scenario.yaml": scenario,
        "scenarios/small/plain.sql": small.TABLE + small.INDEX + noting,
        "workloads/readings/by_id.sql": "-- params: device=readings.device\nSELECT note(:device)\n",
    }
    folder = small.write(tmp_path, **files)
    done = small.pglab(folder, "run", "small", "--on", "embedded", "--rounds", "3")
    assert done.returncode in (0, 1), done.stderr
    (stored,) = map(store.read, store.runs(folder / "results"))
    for one in stored.slices:
        (drive,) = (step for step in one.steps if step["do"] == "drive")
        names = one.ops["name"].to_pylist()
        assert set(one.ops["outcome"].to_pylist()) == {"ok"}
        assert (drive["reads"], drive["rows_by_load"]) == (names.count("recent"), names.count("by_id"))
