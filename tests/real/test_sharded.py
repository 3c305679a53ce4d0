"""postgres_fdw shards on this machine: the schema that is documented, and what an author can and cannot do there."""

import re

import pytest

from lab import pg
from lab.clusters import sharded
from lab.model import Topology

pytestmark = pytest.mark.server

SETTINGS = {"shared_preload_libraries": "pg_stat_statements", "max_connections": "30"}


@pytest.fixture(scope="module")
def cluster(host, tmp_path_factory):
    topology = Topology("sharded", {"shards": 3, "batch_size": 50, "fetch_size": 7, "fdw": {"fdw_tuple_cost": 0.3}})
    logs = tmp_path_factory.mktemp("logs")
    with sharded.opened(host, topology, name="shape", settings=SETTINGS, logs=logs) as opened:
        yield opened


@pytest.fixture
def author(cluster):
    """A connection as an author's SQL has it, to an empty database."""
    cluster.empty()
    with pg.connected(cluster.write().conninfo) as connection:
        yield connection


def documented(repo):
    """The schema of the section on shards; other kinds show theirs in sections of their own."""
    (section,) = re.findall(
        r"^## sharded\n(.*?)^## ", (repo / "docs" / "topologies.md").read_text(), re.DOTALL | re.MULTILINE
    )
    (text,) = re.findall(r"```sql\n(.*?)```", section, re.DOTALL)
    return text


def counts(cluster):
    """How many orders each shard has."""
    found = []
    for number, node in enumerate(cluster.nodes()[1:], 1):
        with pg.connected(node.conninfo) as connection:
            found.append(pg.ask(connection, f"SELECT count(*) AS n FROM orders_{number}")["n"])
    return found


ROWS = "INSERT INTO orders SELECT n % 30, n, now(), n FROM generate_series(1, 300) AS n"


def test_the_documented_schema_spreads_rows_over_all_shards_and_finds_them_again(cluster, author, repo):
    pg.run(author, documented(repo), ROWS)
    assert sum(counts(cluster)) == 300
    assert min(counts(cluster)) > 0
    assert pg.ask(author, "SELECT count(*) AS rows, sum(id) AS sum FROM orders") == {"rows": 300, "sum": 45150}


def test_a_tenant_is_asked_of_one_shard(author, repo):
    pg.run(author, documented(repo))
    plan = [row["QUERY PLAN"] for row in pg.rows(author, "EXPLAIN SELECT * FROM orders WHERE tenant = 7")]
    assert sum("Foreign Scan" in line for line in plan) == 1


def test_superusers_see_the_rows_too(cluster, author, repo):
    pg.run(author, documented(repo), ROWS)
    with pg.connected(cluster.admin().conninfo) as admin:
        assert pg.ask(admin, "SELECT count(*) AS n FROM orders") == {"n": 300}
        pg.run(admin, "ANALYZE")


def test_the_foreign_servers_have_the_options_asked_for(author):
    found = pg.rows(author, "SELECT srvname, srvoptions FROM pg_foreign_server ORDER BY 1")
    assert [row["srvname"] for row in found] == ["shard_1", "shard_2", "shard_3"]
    for row in found:
        asked = {"batch_size=50", "fetch_size=7", "async_capable=false", "fdw_tuple_cost=0.3"}
        assert asked <= set(row["srvoptions"])


def test_placeholders_are_numbers_of_shards(cluster, author):
    pg.run(author, "CALL pglab.on_shards('CREATE TABLE t_{shard}_{index}_{shards} (a int)')")
    for number, node in enumerate(cluster.nodes()[1:], 1):
        with pg.connected(node.conninfo) as connection:
            assert pg.ask(connection, f"SELECT count(*) AS n FROM t_{number}_{number - 1}_3") == {"n": 0}


def test_on_shards_authors_are_no_superusers_and_nobody_else_is_let_in(cluster, author):
    with pytest.raises(pg.Error, match="permission denied"):
        pg.run(author, "CALL pglab.on_shards('CREATE EXTENSION file_fdw')")
    with pg.connected(cluster.admin().conninfo) as admin:
        pg.run(admin, "DROP ROLE IF EXISTS stranger", "CREATE ROLE stranger", "GRANT USAGE ON SCHEMA pglab TO stranger")
        with pg.acting_as(admin, "stranger"), pytest.raises(pg.Error, match="permission denied for procedure"):
            pg.run(admin, "CALL pglab.on_shards('SELECT')")
        pg.run(admin, "REVOKE USAGE ON SCHEMA pglab FROM stranger", "DROP ROLE stranger")


def test_what_for_shards_runs_is_the_authors_own(author):
    with pytest.raises(pg.Error, match="permission denied"):
        pg.run(author, "CALL pglab.for_shards('CREATE ROLE mine_{shard}')")
