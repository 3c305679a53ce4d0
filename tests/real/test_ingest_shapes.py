"""Every way for rows to come in, into shapes of several servers: the same rows, or a refusal with the way out."""

import secrets
from contextlib import ExitStack

import pytest

from lab import parts
from lab.errors import IngestError, PlaceError
from lab.model import Topology
from tests.real.test_ingest_methods import DIGEST, ROWS, TABLE, WAYS, ask, load, run

FOREIGN = (
    "CALL pglab.on_shards('CREATE TABLE t_{shard} (" + TABLE.replace("'", "''") + ")')",
    f"CREATE TABLE t ({TABLE.replace(' PRIMARY KEY', '')}) PARTITION BY HASH (id)",
    "CALL pglab.for_shards('CREATE FOREIGN TABLE t_{shard} PARTITION OF t FOR VALUES WITH (MODULUS {shards}, "
    "REMAINDER {index}) SERVER shard_{shard}')",
)
SHAPES = {
    "sharded": (Topology("sharded", {"shards": 2, "batch_size": 100}), FOREIGN),
    "pooled": (Topology("pooled", {"mode": "transaction"}), (f"CREATE TABLE t ({TABLE})",)),
    "citus": (
        Topology("citus", {"workers": 2, "shards": 4}),
        (f"CREATE TABLE t ({TABLE})", "SELECT create_distributed_table('t', 'id')"),
    ),
}


REFUSED = {
    "sharded": (
        ("upsert", "no unique key"),
        ("upsert of arrays", "no unique key"),
        ("staged", "no unique key"),
        ("staged in parts", "no unique key"),
        ("staged, not updated", "no unique key"),
        ("merged", "no unique key"),
        ("merged, not updated", "no unique key"),
        ("frozen", "is a partitioned table"),
        ("unlogged meanwhile", "is a partitioned table"),
    ),
    "pooled": (),
    "citus": (),
}
"""Foreign tables have no keys on the coordinator; what Citus cannot take is refused with the scenario (`cannot`)."""


@pytest.fixture(
    scope="module", params=["sharded", *(pytest.param(one, marks=pytest.mark.docker) for one in ("pooled", "citus"))]
)
def shape(request, tmp_path_factory):
    """The kind of a shape that is up, and where its rows are written; skips where it cannot be had."""
    topology, schema = SHAPES[request.param]
    settings = {"shared_preload_libraries": "pg_stat_statements"}
    with ExitStack() as stack:
        try:
            on = parts.load("hosts", "embedded" if request.param == "sharded" else "docker")
            host = stack.enter_context(stack.enter_context(on.opened(f"t{secrets.token_hex(3)}")).private())
            opened = parts.load("clusters", topology.kind).opened
            logs = tmp_path_factory.mktemp("logs")
            cluster = stack.enter_context(opened(host, topology, name="shape", settings=settings, logs=logs))
        except PlaceError as error:
            pytest.skip(str(error))
        run(cluster.write(), *schema)
        yield request.param, cluster.write()


def test_every_way_leaves_the_same_rows_or_refuses_and_leaves_none(shape):
    kind, endpoint = shape
    refused = dict(REFUSED[kind])
    counted, left = {}, {}
    for name, (method, options) in WAYS.items():
        takes = parts.options("ingest", method)
        if kind in getattr(takes and takes.model_validate(options), "cannot", dict)():
            continue
        run(endpoint, "TRUNCATE t")
        if name in refused:
            with pytest.raises(IngestError, match=f"table public.t: .*{refused.pop(name)}"):
                load(endpoint, method, options)
            assert ask(endpoint, "SELECT count(*) AS n FROM t") == {"n": 0}, name
        else:
            counted[name] = load(endpoint, method, options).rows
            left[name] = tuple(ask(endpoint, DIGEST).values())
    assert refused == {}
    assert len(left) > 6
    assert set(counted.values()) == {ROWS}
    assert set(left.values()) == {left["binary"]}, left
    assert left["binary"][0] == ROWS
