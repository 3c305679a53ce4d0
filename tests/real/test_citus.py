"""Citus as authors use it: their SQL as an ordinary role, rows by COPY, shards moved, nodes lost."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from lab import count, pg, prepare, sizing
from lab.clusters import citus
from lab.clusters.citus import Citus
from lab.errors import ClusterError, IngestError, PlaceError
from lab.hosts.docker import Docker
from lab.ingest import copy_binary
from lab.model import Endpoint, Parameter, Query, SqlFile, Statement, Topology
from lab.probes.server import Node, ServerProbe

pytestmark = [pytest.mark.server, pytest.mark.docker]

TENANTS, ORDERS = 40, 4_000

SCHEMA = """\
CREATE TABLE tenants (tenant integer PRIMARY KEY, region text NOT NULL);
SELECT create_reference_table('tenants');
CREATE TABLE orders (
  tenant integer NOT NULL REFERENCES tenants,
  id bigint NOT NULL,
  amount bigint NOT NULL,
  PRIMARY KEY (tenant, id)
);
SELECT create_distributed_table('orders', 'tenant');
CREATE TABLE items (
  tenant integer NOT NULL,
  order_id bigint NOT NULL,
  line integer NOT NULL,
  PRIMARY KEY (tenant, order_id, line),
  FOREIGN KEY (tenant, order_id) REFERENCES orders (tenant, id)
);
SELECT create_distributed_table('items', 'tenant', colocate_with => 'orders');
CREATE TABLE history (tenant integer, id bigint, amount bigint) USING columnar;
SELECT create_distributed_table('history', 'tenant', colocate_with => 'orders');
CREATE INDEX ON orders (amount);
"""

Opened = Callable[..., AbstractContextManager[Citus]]


@pytest.fixture(scope="module")
def opened(docker_host: Docker, tmp_path_factory: pytest.TempPathFactory) -> Opened:
    """Opens a Citus of two workers, in a network of its own; the test skips where there is no image of it."""

    def opened(postgres: int | None = None, **options: Any) -> AbstractContextManager[Citus]:
        topology, logs = Topology("citus", {"shards": 8, **options}, postgres), tmp_path_factory.mktemp("logs")
        with ExitStack() as stack:
            host = stack.enter_context(docker_host.private())
            try:
                open_ = citus.opened(host, topology, name="shape", settings=sizing.SETTINGS, logs=logs)
                cluster = stack.enter_context(open_)
            except PlaceError as error:
                pytest.skip(str(error))
            rest = stack.pop_all()
        return _Closing(cluster, rest)

    return opened


class _Closing(AbstractContextManager[Citus]):
    def __init__(self, cluster: Citus, stack: ExitStack) -> None:
        self._cluster, self._stack = cluster, stack

    def __enter__(self) -> Citus:
        return self._cluster

    def __exit__(self, *error: Any) -> None:
        self._stack.__exit__(*error)


@pytest.fixture(scope="module")
def shared(opened: Opened, docker_host: Docker) -> Iterator[Citus]:
    with opened() as cluster:
        fill(cluster, docker_host.psql())
        yield cluster


@pytest.fixture
def cluster(shared: Citus) -> Citus:
    """A Citus with the schema above and rows in it, which a test leaves as it was."""
    return shared


@pytest.fixture
def spoilt(shared: Citus, docker_host: Docker) -> Iterator[Citus]:
    """The same, made anew after the test."""
    yield shared
    shared.empty()
    fill(shared, docker_host.psql())


def fill(cluster: Citus, psql: Path) -> None:
    prepare.apply(psql, cluster.write(), SqlFile("schema.sql", SCHEMA), "candidate")
    regions = f"INSERT INTO tenants SELECT t, 'region ' || t % 3 FROM generate_series(0, {TENANTS - 1}) t"
    do(cluster.write(), regions)
    assert copied(cluster, "orders", orders()).rows == ORDERS
    do(cluster.write(), "INSERT INTO items SELECT tenant, id, l FROM orders, generate_series(1, 2) l")


def orders() -> pa.RecordBatch:
    ids = range(ORDERS)
    columns = {"tenant": [n % TENANTS for n in ids], "id": list(ids), "amount": [n % 100 for n in ids]}
    types = {"tenant": pa.int32(), "id": pa.int64(), "amount": pa.int64()}
    return pa.record_batch([pa.array(columns[name], types[name]) for name in columns], names=list(columns))


def copied(cluster: Citus, table: str, batch: pa.RecordBatch) -> Any:
    return copy_binary.load(cluster.write(), ("public", table), batch.schema, [batch])


def do(endpoint: Endpoint, *statements: str) -> None:
    with pg.connected(endpoint.conninfo) as connection:
        pg.run(connection, *statements)


def one(endpoint: Endpoint, statement: str, params: Sequence[Any] = ()) -> Any:
    """The only value that a statement returns."""
    with pg.connected(endpoint.conninfo) as connection:
        (value,) = pg.ask(connection, statement, params).values()
    return value


def placed(cluster: Citus, table: str) -> dict[str, int]:
    """Node -> how many shards of a table lie on it."""
    statement = "SELECT nodename, count(*) AS n FROM citus_shards WHERE table_name = %s::regclass GROUP BY 1"
    with pg.connected(cluster.write().conninfo) as connection:
        return {row["nodename"]: row["n"] for row in pg.rows(connection, statement, [table])}


# --- open -----------------------------------------------------------------------------------


def test_the_coordinator_knows_its_workers_and_keeps_no_shards_itself(cluster):
    nodes = "SELECT string_agg(nodename || ' ' || shouldhaveshards, ', ' ORDER BY nodeid) FROM pg_dist_node"
    assert one(cluster.write(), nodes) == "coordinator false, worker1 true, worker2 true"
    assert [node.node for node in cluster.nodes()] == ["coordinator", "worker1", "worker2"]


def test_every_node_loads_citus_first_and_has_what_the_lab_asks_for(cluster):
    for node in cluster.nodes():
        assert one(node, "SHOW shared_preload_libraries") == "citus,pg_stat_statements"
        assert one(node, "SHOW citus.shard_count") == "8"
        assert one(node, "SHOW autovacuum") == "off"


def test_no_connection_is_encrypted_where_those_of_other_shapes_are_not(cluster):
    for node in cluster.nodes():
        assert one(node, "SELECT count(*) FROM pg_stat_ssl WHERE ssl") == 0


def test_nodes_prove_themselves_by_passwords_that_the_author_cannot_read(spoilt):
    with pytest.raises(pg.Error, match="permission denied for table pg_dist_authinfo"):
        one(spoilt.write(), "SELECT count(*) FROM pg_dist_authinfo")
    do(spoilt.admin(), "DELETE FROM pg_dist_authinfo WHERE rolename = 'lab'")
    # by the server where an empty one is sent, else by libpq, which sends none
    with pytest.raises(pg.Error, match=r'password authentication failed for user "lab"|no password supplied'):
        one(spoilt.write(), "SELECT count(*) FROM orders")


def test_an_image_of_another_postgresql_is_refused_with_the_way_out(opened):
    with pytest.raises(ClusterError, match=r"shape: image '.*' is PostgreSQL 17, not 16 \(.* postgres: 17\)"):
        opened(postgres=16, workers=1)


def test_an_image_that_is_nowhere_is_named(docker_host, tmp_path):
    topology = Topology("citus", {"image": "pglab/nothing:0"})
    with (
        pytest.raises(PlaceError, match="'pglab/nothing:0'"),
        citus.opened(docker_host, topology, name="shape", settings={}, logs=tmp_path),
    ):
        pass


# --- what authors do ------------------------------------------------------------------------


def test_an_author_distributes_tables_and_their_rows_lie_on_all_workers(cluster):
    assert placed(cluster, "orders") == {"worker1": 4, "worker2": 4}
    assert placed(cluster, "tenants") == {"coordinator": 1, "worker1": 1, "worker2": 1}
    assert one(cluster.write(), "SELECT count(*) FROM orders") == ORDERS


def test_a_question_about_one_tenant_is_asked_of_one_worker(cluster):
    explained = "EXPLAIN (FORMAT JSON) SELECT * FROM orders WHERE tenant = 7 AND id = 7"
    (plan,) = one(cluster.write(), explained)
    assert plan["Plan"]["Distributed Query"]["Job"]["Task Count"] == 1
    assert one(cluster.write(), "SELECT amount FROM orders WHERE tenant = 7 AND id = 7") == 7


def test_tables_with_the_same_key_and_reference_tables_are_joined_where_they_lie(cluster):
    joined = (
        "FROM orders o JOIN items i ON (i.tenant, i.order_id) = (o.tenant, o.id) JOIN tenants t ON t.tenant = o.tenant"
    )
    assert one(cluster.write(), f"SELECT count(*) {joined} WHERE t.region = 'region 1'") == 2 * ORDERS * 13 // TENANTS


def test_other_joins_send_rows_between_workers_once_they_are_allowed_to(cluster):
    joined = "SELECT count(*) FROM orders o JOIN items i ON i.order_id = o.amount"
    with pytest.raises(pg.Error, match="requires repartitioning"):
        one(cluster.write(), joined)
    with pg.connected(cluster.write().conninfo) as connection:
        pg.run(connection, "SET citus.enable_repartition_joins = on")
        assert pg.ask(connection, joined) == {"count": 2 * ORDERS}


def test_a_transaction_over_several_workers_is_taken_back_on_all(cluster):
    with pg.connected(cluster.write().conninfo, autocommit=False) as connection:
        pg.run(connection, "UPDATE orders SET amount = amount + 1")
        connection.rollback()
        assert pg.ask(connection, "SELECT sum(amount) AS n FROM orders") == {"n": ORDERS * 99 // 2}


def test_columnar_tables_take_less_room(cluster):
    do(cluster.write(), "INSERT INTO history SELECT tenant, id, amount FROM orders, generate_series(1, 20)")
    do(cluster.write(), "CREATE TABLE plain (LIKE history)", "SELECT create_distributed_table('plain', 'tenant')")
    do(cluster.write(), "INSERT INTO plain SELECT * FROM history")
    assert one(cluster.write(), "SELECT count(*) FROM plain") == 20 * ORDERS
    assert one(cluster.write(), "SELECT citus_table_size('history') * 4 < citus_table_size('plain')") is True
    do(cluster.write(), "DROP TABLE plain", "TRUNCATE history")


def test_rows_that_the_table_refuses_are_refused_as_on_a_single_server(cluster):
    with pytest.raises(IngestError, match="duplicate key value"):
        copied(cluster, "orders", orders())
    assert one(cluster.write(), "SELECT count(*) FROM orders") == ORDERS


def test_the_lab_acts_as_the_author_on_the_workers_too(cluster):
    with pg.connected(cluster.admin().conninfo) as admin, pg.acting_as(admin, "lab"):
        pg.run(admin, "BEGIN", "DELETE FROM items WHERE order_id < 100")
        users = "SELECT result FROM run_command_on_workers('SELECT current_user')"
        assert [row["result"] for row in pg.rows(admin, users)] == ["lab", "lab"]
        assert pg.ask(admin, "SELECT count(*) FROM items") == {"count": 2 * (ORDERS - 100)}


def test_workers_show_the_lab_how_large_their_shards_are(cluster):
    coordinator, *workers = [one(node, f"SELECT heap_bytes FROM ({pg.query('sizes')}) s") for node in cluster.nodes()]
    assert sum(workers) > ORDERS * 36
    assert 5 * coordinator < sum(workers)


# --- changed and brought back ---------------------------------------------------------------


def test_it_can_be_emptied_while_somebody_writes(spoilt):
    with pg.connected(spoilt.write().conninfo) as connection:
        pg.run(connection, "BEGIN", "UPDATE orders SET amount = 0")
        spoilt.empty()
        connection.close()
    assert one(spoilt.write(), "SELECT count(*) FROM citus_tables") == 0
    assert one(spoilt.write(), "SELECT count(*) FROM pg_dist_node") == 3


def test_shards_spread_over_a_worker_that_comes_later_and_a_restored_cluster_knows_it_not(opened, docker_host):
    with opened() as cluster:
        fill(cluster, docker_host.psql())
        cluster.snapshot()
        assert cluster.add_worker() == "worker3"
        do(cluster.write(), "ALTER TABLE history REPLICA IDENTITY FULL", "TRUNCATE items")
        cluster.rebalance()
        assert sorted(placed(cluster, "orders").values()) == [2, 3, 3]
        assert [server.name for server in cluster.servers][-1] == "worker3"
        cluster.restore()
        assert [server.name for server in cluster.servers] == ["coordinator", "worker1", "worker2"]
        assert placed(cluster, "orders") == {"worker1": 4, "worker2": 4}
        assert one(cluster.write(), "SELECT count(*) FROM items") == 2 * ORDERS


def test_tables_without_a_key_do_not_move_unless_writes_may_wait(opened):
    with opened(workers=1) as cluster:
        keyless = "CREATE TABLE keyless (a int); SELECT create_distributed_table('keyless', 'a')"
        do(cluster.write(), *keyless.split("; "), "INSERT INTO keyless SELECT generate_series(1, 100)")
        cluster.add_worker()
        with pytest.raises(ClusterError, match=r"coordinator: the shards do not move: .* REPLICA IDENTITY"):
            cluster.rebalance()
        cluster.rebalance("block_writes")
        assert placed(cluster, "keyless") == {"worker1": 4, "worker2": 4}
        assert one(cluster.write(), "SELECT count(*) FROM keyless") == 100


def test_a_lost_worker_fails_what_lies_there_and_nothing_else(cluster):
    lies = "SELECT nodename FROM citus_shards WHERE shardid = get_shard_id_for_distribution_column('orders', %s)"
    homes = {tenant: one(cluster.write(), lies, [tenant]) for tenant in range(TENANTS)}
    lost, left = (next(t for t, home in homes.items() if home == node) for node in ("worker1", "worker2"))
    of_tenant = "SELECT count(*) FROM orders WHERE tenant = %s"
    cluster.kill("worker1")
    assert one(cluster.write(), of_tenant, [left]) == ORDERS // TENANTS
    with pytest.raises(pg.Error, match="worker1"):
        one(cluster.write(), of_tenant, [lost])
    cluster.revive("worker1")
    assert one(cluster.write(), of_tenant, [lost]) == ORDERS // TENANTS


def test_copies_of_shards_outlive_a_lost_worker(opened):
    with opened(replication=2) as cluster:
        do(cluster.write(), "CREATE TABLE t (a int)", "SELECT create_distributed_table('t', 'a')")
        do(cluster.write(), "INSERT INTO t SELECT generate_series(1, 100)")
        cluster.kill("worker2")
        assert one(cluster.write(), "SELECT count(*) FROM t") == 100


# --- what the lab asks of it ----------------------------------------------------------------


def test_what_citus_notes_for_itself_is_no_table_of_the_authors(cluster):
    with pg.connected(cluster.admin().conninfo) as admin:
        tables = [row["name"] for row in pg.rows(admin, pg.query("tables"), {"column": None})]
        assert prepare.rows_in(admin) == TENANTS + ORDERS + 2 * ORDERS
        assert not [promise for promise in prepare.guarantees(admin) if "columnar_internal" in promise]
    assert tables == ["history", "items", "orders", "tenants"]


def test_unlogged_tables_are_found_on_the_coordinator(cluster):
    do(cluster.write(), "CREATE UNLOGGED TABLE quick (a int)", "SELECT create_distributed_table('quick', 'a')")
    with pytest.raises(IngestError, match="unlogged table quick"):
        prepare.durable(cluster.write(), "candidate")
    do(cluster.write(), "DROP TABLE quick")


def test_each_node_is_vacuumed_once_though_all_are_asked(cluster):
    vacuumed = "SELECT sum(vacuum_count) FROM pg_stat_user_tables WHERE relname ~ '^orders_[0-9]+$'"
    _, first, second = cluster.nodes()
    before = one(first, vacuumed), one(second, vacuumed)
    for node in (cluster.admin(), first):
        with pg.connected(node.conninfo) as connection:
            pg.alone(connection, "VACUUM (FREEZE, ANALYZE)")
    assert (one(first, vacuumed), one(second, vacuumed)) == (before[0] + 4, before[1])


def test_what_reads_alone_is_one_call_to_a_worker_and_what_writes_is_taken_back(cluster):
    read, write = "SELECT count(*) FROM orders WHERE tenant = $1", "DELETE FROM items WHERE tenant = $1"
    queries = [
        Query(name, f"{name}.sql", (Statement(text, (0,)),), (Parameter("tenant"),))
        for name, text in (("read", read), ("write", write))
    ]
    before = one(cluster.write(), "SELECT count(*) FROM items")
    with ExitStack() as stack:
        workers = [
            Node(node.node, stack.enter_context(pg.connected(node.conninfo)), inner=True)
            for node in cluster.nodes()[1:]
        ]
        sets = {query.name: [["1"], ["2"]] for query in queries}
        found = count.count(cluster.write().conninfo, queries, sets, inner=ServerProbe(workers, []).inner)
    assert found.metrics["query.read.inner_calls_per_call"] == (1.0,)
    assert found.metrics["query.write.inner_calls_per_call"][0] > 1
    assert one(cluster.write(), "SELECT count(*) FROM items") == before
