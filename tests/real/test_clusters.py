"""One contract for every kind of shape on every host: really up, as asked, and really gone.

A new kind is one line in CASES.
"""

import importlib
import json
import secrets
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import pytest

from lab import parts, pg, tidy
from lab.clusters import CanKill, CanLag, Cluster
from lab.errors import ClusterError, PlaceError
from lab.hosts import Host, embedded
from lab.model import Endpoint, Topology
from tests.real import small

pytestmark = pytest.mark.server


@dataclass(frozen=True)
class Case:
    """A shape with its options on a host."""

    host: str
    kind: str
    options: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return "-".join([self.host, self.kind, *(f"{key}={value}" for key, value in self.options.items())])

    @property
    def topology(self) -> Topology:
        return Topology(self.kind, self.options)


QUICK = {"sync": "on", "ttl": 20, "loop_wait": 2, "retry_timeout": 3, "check_s": 1}

CASES = [
    Case("embedded", "single"),
    Case("embedded", "replicas", {"nodes": 2, "sync": "quorum"}),
    Case("embedded", "sharded", {"shards": 2, "batch_size": 100, "async_capable": True}),
    Case("embedded", "databases", {"by": "a"}),
    Case("docker", "single"),
    Case("docker", "replicas", {"nodes": 1, "sync": "on"}),
    Case("docker", "sharded", {"shards": 2, "fdw": {"use_remote_estimate": True}}),
    Case("docker", "pooled", {"mode": "transaction", "behind": {"kind": "single"}}),
    Case("docker", "pooled", {"mode": "session", "prepared": 0, "behind": {"kind": "replicas", "nodes": 1}}),
    Case("docker", "pooled", {"mode": "transaction", "behind": {"kind": "citus", "workers": 2, "shards": 4}}),
    Case("docker", "pooled", {"mode": "transaction", "behind": {"kind": "patroni", **QUICK}}),
    Case("docker", "databases", {"by": "a"}),
    Case("docker", "citus", {"workers": 2, "shards": 4}),
    Case("docker", "patroni", QUICK),
]

SETTINGS = {
    "shared_preload_libraries": "pg_stat_statements",
    "max_connections": "50",
    "shared_buffers": "32MB",
    "work_mem": "7MB",
}


# --- places and clusters --------------------------------------------------------------------


@pytest.fixture(scope="module")
def places(host: Host) -> Iterator[Callable[[str], Host]]:
    """kind -> the host of that kind, opened when it is first asked for; skips where there is none."""
    found: dict[str, Host] = {"embedded": host}
    with ExitStack() as stack:

        def place(kind: str) -> Host:
            if kind not in found:
                if kind not in parts.kinds("hosts"):
                    pytest.skip(f"there is no host {kind} yet")
                try:
                    found[kind] = stack.enter_context(parts.load("hosts", kind).opened(f"t{secrets.token_hex(3)}"))
                except PlaceError as error:
                    pytest.skip(str(error))
            return found[kind]

        yield place


@pytest.fixture(scope="module", params=CASES, ids=str)
def case(request: pytest.FixtureRequest) -> Case:
    return request.param


@pytest.fixture(scope="module")
def place(case: Case, places: Callable[[str], Host]) -> Host:
    """The host of the case."""
    return places(case.host)


@contextmanager
def opened(place: Host, case: Case, logs: Path, **settings: str) -> Iterator[Cluster]:
    """The case's shape on *place*, where no other shape sees it; skips where an image is missing."""
    open_ = importlib.import_module(f"lab.clusters.{case.kind}").opened
    asked = {**SETTINGS, **settings}
    with ExitStack() as stack:
        try:
            private = stack.enter_context(place.private())
            cluster = stack.enter_context(open_(private, case.topology, name="shape", settings=asked, logs=logs))
        except PlaceError as error:
            pytest.skip(str(error))
        yield cluster


@pytest.fixture(scope="module")
def cluster(place: Host, case: Case, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """The case's shape, shared by the tests that leave it as it was."""
    with opened(place, case, tmp_path_factory.mktemp("logs")) as cluster:
        yield cluster


def one(endpoint: Endpoint, statement: str) -> Any:
    """The only value that a statement returns."""
    with pg.connected(endpoint.conninfo) as connection:
        (value,) = pg.ask(connection, statement).values()
    return value


def do(endpoint: Endpoint, *statements: str) -> None:
    with pg.connected(endpoint.conninfo) as connection:
        pg.run(connection, *statements)


def visible(cluster: Cluster) -> None:
    """Wait until reads show what was written."""
    if isinstance(cluster, CanLag):
        cluster.caught_up()


@pytest.fixture
def table(cluster: Cluster) -> Iterator[str]:
    """A table of three rows, written where writes go."""
    name = f"t{secrets.token_hex(3)}"
    do(cluster.write(), f"CREATE TABLE {name} AS SELECT generate_series(1, 3) AS a")
    yield name
    do(cluster.write(), f"DROP TABLE IF EXISTS {name}")


# --- open -----------------------------------------------------------------------------------


def test_every_node_has_the_settings_asked_for(cluster):
    for node in cluster.nodes():
        for setting in ("max_connections", "shared_buffers", "work_mem"):
            assert one(node, f"SHOW {setting}") == SETTINGS[setting], (node.node, setting)


def test_every_node_is_durable(cluster):
    for node in cluster.nodes():
        for setting in ("fsync", "full_page_writes", "synchronous_commit"):
            assert one(node, f"SHOW {setting}") == "on", (node.node, setting)
        on_disk = "cat >/dev/null; case $(stat -fc %T .) in tmpfs|ramfs) exit 1;; esac"
        do(node, f"COPY (SELECT 1) TO PROGRAM '{on_disk}'")  # a server's own folder is its data's


def test_writes_are_made_as_an_ordinary_role_that_owns_the_database(cluster):
    write = cluster.write()
    assert (write.role, one(write, "SELECT current_user || ' in ' || current_database()")) == ("write", "lab in lab")
    assert one(write, "SELECT rolsuper OR rolcreaterole OR rolcreatedb FROM pg_roles WHERE rolname = 'lab'") is False


def test_probes_are_superusers_on_every_node(cluster):
    assert cluster.admin() == cluster.nodes()[0]
    for node in cluster.nodes():
        assert one(node, "SELECT rolsuper AND current_database() = 'lab' FROM pg_roles WHERE rolname = current_user")
        assert one(node, "SELECT count(*) > 0 FROM pglab.pg_stat_statements") is True


def test_what_is_written_is_read_from_every_read_endpoint(cluster, table):
    visible(cluster)
    assert cluster.reads()
    for read in cluster.reads():
        assert one(read, f"SELECT sum(a) FROM {table}") == 6, read.node


def test_processes_have_names_of_their_own_logs_and_cpu(cluster):
    names = [process.name for process in cluster.processes]
    assert len(set(names)) == len(names)
    assert {server.name for server in cluster.servers} <= set(names)
    assert all(process.cpu_s() > 0 for process in cluster.processes)


# --- changed and brought back ---------------------------------------------------------------


def test_an_emptied_cluster_has_no_table_and_takes_the_same_schema_again(cluster):
    for _ in range(2):
        do(cluster.write(), "CREATE TABLE mine (a int)", "INSERT INTO mine VALUES (1)")
        cluster.empty()
        for endpoint in (*cluster.reads(), *cluster.nodes()):
            tables = "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind <> 'v'"
            assert one(endpoint, tables) == 0, endpoint


def test_restoring_brings_back_what_was_there(cluster, table):
    cluster.snapshot()
    do(cluster.write(), f"INSERT INTO {table} VALUES (100)", "CREATE TABLE later (a int)")
    for _ in range(2):
        cluster.restore()
        for endpoint in (cluster.write(), *cluster.reads()):
            assert one(endpoint, f"SELECT sum(a) FROM {table}") == 6, endpoint.node
            assert one(endpoint, "SELECT to_regclass('later') IS NULL") is True, endpoint.node
        do(cluster.write(), f"DELETE FROM {table}")
    cluster.restore()


# --- abilities ------------------------------------------------------------------------------


def called(cluster: Cluster, node: str) -> Endpoint:
    """The node that is called so, as superuser, with little patience."""
    roles = dict(zip(("leader", "standby"), cluster.nodes(), strict=False))
    found = {**{one.node: one for one in cluster.nodes()}, **roles}[node]
    return Endpoint(found.node, found.role, f"{found.conninfo} connect_timeout=2")


def struck(cluster: Cluster) -> list[str]:
    """Names under which nodes are struck: those of roles, and every other node's own."""
    roles = ["leader", "standby"] if isinstance(cluster, CanLag) else ["leader"]
    return [*roles, *(node.node for node in cluster.nodes()[len(roles) :])]


def test_a_killed_node_is_gone_and_a_revived_one_is_back(cluster, table):
    if not isinstance(cluster, CanKill):
        pytest.skip("nodes of this kind cannot be killed")
    for node in struck(cluster):
        endpoint = called(cluster, node)
        cluster.kill(node)
        with pytest.raises(pg.OperationalError):
            one(endpoint, "SELECT 1")
        cluster.revive(node)
        assert one(endpoint, "SELECT 1") == 1
    visible(cluster)
    for read in cluster.reads():
        assert one(read, f"SELECT sum(a) FROM {table}") == 6, read.node


def test_a_paused_node_does_not_answer_and_a_resumed_one_does(cluster):
    if not isinstance(cluster, CanKill):
        pytest.skip("nodes of this kind cannot be paused")
    for node in struck(cluster):
        endpoint = called(cluster, node)
        cluster.pause(node)
        with pytest.raises(pg.OperationalError, match="timeout"):
            one(endpoint, "SELECT 1")
        cluster.resume(node)
        assert one(endpoint, "SELECT 1") == 1


def test_a_node_that_is_not_there_cannot_be_struck(cluster):
    if not isinstance(cluster, CanKill):
        pytest.skip("nodes of this kind cannot be killed")
    with pytest.raises(ClusterError, match=r"there is no node 'nobody' \(.*leader"):
        cluster.kill("nobody")


def test_standbys_say_how_far_they_are_behind(cluster, table):
    if not isinstance(cluster, CanLag):
        pytest.skip("nothing follows in this kind")
    do(cluster.write(), f"INSERT INTO {table} VALUES (4)")
    cluster.caught_up()
    lags = cluster.lags()
    assert set(lags) <= {node.node for node in cluster.nodes()} - {cluster.admin().node}
    assert lags
    assert all(lag.bytes >= 0 for lag in lags.values())


# --- apart, and gone ------------------------------------------------------------------------


def test_two_at_once_see_nothing_of_each_other(cluster, place, case, table, tmp_path):
    with opened(place, case, tmp_path) as other:
        for endpoint in (other.write(), *other.reads()):
            assert one(endpoint, f"SELECT to_regclass('{table}') IS NULL") is True
        do(other.write(), f"CREATE TABLE {table} AS SELECT 100 AS a")
        visible(cluster)
        for endpoint in (cluster.write(), *cluster.reads()):
            assert one(endpoint, f"SELECT sum(a) FROM {table}") == 6


def kernel_has() -> Iterator[tuple[str, str]]:
    """What the kernel knows of the embedded servers that this process has started."""
    for process in psutil.Process().children(recursive=True):
        yield "process", f"{process.pid} {embedded.born(process.pid)}"
        for line in maps_of(process.pid):
            *_, inode, path = [*line.split(maxsplit=5), ""][4:6]
            if path.startswith("/dev/shm/PostgreSQL."):
                yield "shared memory", path
            elif path.startswith("/SYSV"):
                yield "segment", inode


def maps_of(pid: int) -> list[str]:
    """What a process has mapped, a line each; nothing where it is gone by now."""
    try:
        return Path(f"/proc/{pid}/maps").read_text().splitlines()
    except OSError:
        return []


def there() -> Iterator[tuple[str, str]]:
    """What the kernel has at this moment, by the names that `kernel_has` gives."""
    yield from (("process", f"{pid} {when}") for pid in psutil.pids() if (when := embedded.born(pid)) is not None)
    yield from (("shared memory", str(path)) for path in Path("/dev/shm").glob("PostgreSQL.*"))
    yield from (("segment", line.split()[1]) for line in Path("/proc/sysvipc/shm").read_text().splitlines()[1:])


def labelled(place: Host, run: str | None = None) -> set[tuple[str, str]]:
    """What a run has on disk and in an engine: by default that of *place*."""
    home = place.home.parent / (run or place.home.name)
    found = {("file", path.name) for path in home.iterdir()} if home.exists() else set()
    if place.kind == "docker":
        for what, words in (("container", "ps -a"), ("network", "network ls"), ("volume", "volume ls")):
            command = ["docker", *words.split(), "-q", "--filter", f"label=pglab.run={home.name}"]
            said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
            found |= {(what, word) for word in said.split()}
    return found - {("file", "initdb")}


def mounted(place: Host) -> set[tuple[str, str]]:
    """The volumes that the containers of *place* have mounted, also those that an image asks for and nobody labels."""
    ids = [word for what, word in labelled(place) if what == "container"]
    command = ["docker", "inspect", "--format", "{{range .Mounts}}{{.Name}} {{end}}", *ids]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout if ids else ""
    return {("volume", word) for word in said.split()}


def volumes(place: Host) -> set[tuple[str, str]]:
    """All volumes that the engine of *place* has."""
    if place.kind != "docker":
        return set()
    said = subprocess.run(["docker", "volume", "ls", "-q"], capture_output=True, text=True, check=True).stdout
    return {("volume", word) for word in said.split()}


@pytest.mark.parametrize("how", ["at the end", "killed", "by an error"])
def test_closed_leaves_nothing_but_logs(place, case, tmp_path, how):
    before, own = set(kernel_has()), labelled(place) | mounted(place)  # another cluster may be open beside
    with suppress(ZeroDivisionError), opened(place, case, tmp_path) as cluster:
        began = set(kernel_has()) - before
        made = (labelled(place) | mounted(place)) - own
        assert began or made
        names = {str(one.pid): small.words(one) for one in psutil.Process().children(recursive=True)}
        if how == "killed" and isinstance(cluster, CanKill):
            cluster.pause(cluster.nodes()[-1].node)
            cluster.kill("leader")
        if how == "by an error":
            raise ZeroDivisionError
    left = began & set(there())
    assert not left, [names.get(one.split()[0], one) for _, one in left]
    assert not made & (labelled(place) | volumes(place))
    logs = {process.name: process.log for process in cluster.processes}
    assert all(log.parent == tmp_path and log.stat().st_size > 0 for log in logs.values()), logs


def test_a_setting_that_a_server_refuses_is_one_clear_error(place, case, tmp_path):
    own = labelled(place)
    with (
        pytest.raises(ClusterError, match=r"^shape: .*work_mem.*many") as refused,
        opened(place, case, tmp_path, work_mem="many"),
    ):
        pass
    assert "\n" not in str(refused.value)
    assert labelled(place) <= own


HELD = """
import importlib, json, sys, time
from pathlib import Path
from lab.model import Topology
host, kind, options, settings, logs, name = json.loads(sys.argv[1])
load = lambda package, one: importlib.import_module(f"lab.{package}.{one}").opened
with load("hosts", host)(name) as place, place.private() as own, load("clusters", kind)(
    own, Topology(kind, options), name="shape", settings=settings, logs=Path(logs)
) as cluster:
    paused = hasattr(cluster, "pause") and cluster.pause(cluster.nodes()[-1].node)
    print("up", flush=True)
    time.sleep(300)
"""


@contextmanager
def held(case: Case, name: str, logs: Path) -> Iterator[subprocess.Popen[str]]:
    """A lab of its own that opens the case's shape and says "up"; killed at the end of the block."""
    asked = json.dumps([case.host, case.kind, case.options, SETTINGS, str(logs), name])
    lab = subprocess.Popen([sys.executable, "-c", HELD, asked], stdout=subprocess.PIPE, text=True)
    try:
        yield lab
    finally:
        lab.kill()
        lab.wait()
        lab.stdout.close()


def test_what_a_killed_lab_leaves_is_found_and_removed(place, case, tmp_path):
    name = f"t{secrets.token_hex(3)}"
    with held(case, name, tmp_path / "logs") as lab:
        assert lab.stdout.readline() == "up\n"
        began = {one for one in there() if one[0] == "process" and int(one[1].split()[0]) in children(lab.pid)}
        assert tidied(tmp_path, name) == []
    assert tidied(tmp_path, name)
    tidy.remove(tidied(tmp_path, name))
    assert tidied(tmp_path, name) == []
    assert not began & set(there())
    assert labelled(place, name) == set()


def test_what_a_lab_leaves_that_was_killed_while_it_opened_is_found_and_removed(place, case, tmp_path):
    """The engine may still be making what it was asked for last, so that what comes later is removed too."""
    name = f"t{secrets.token_hex(3)}"
    began: set[tuple[str, str]] = set()
    with held(case, name, tmp_path / "logs") as lab:
        until(lambda: "container" in kinds_of(labelled(place, name)) or children(lab.pid), lambda: "it began nothing")
        began = {one for one in there() if one[0] == "process" and int(one[1].split()[0]) in children(lab.pid)}
    assert tidied(tmp_path, name)
    until(lambda: swept(place, name, tmp_path), lambda: (tidied(tmp_path, name), labelled(place, name)))
    assert not began & set(there())
    time.sleep(1)
    assert tidied(tmp_path, name) == []
    assert labelled(place, name) == set()


def swept(place: Host, name: str, tmp_path: Path) -> bool:
    """Remove what `pglab clean` finds; is nothing left?"""
    tidy.remove(tidied(tmp_path, name))
    return tidied(tmp_path, name) == [] and labelled(place, name) == set()


def until(done: Callable[[], object], why: Callable[[], object]) -> None:
    """Return once *done*; fail with what *why* says after a minute."""
    deadline = time.monotonic() + 60
    while not done():
        assert time.monotonic() < deadline, why()
        time.sleep(0.02)


def kinds_of(found: set[tuple[str, str]]) -> set[str]:
    return {what for what, _ in found}


def children(pid: int) -> set[int]:
    return {child.pid for child in psutil.Process(pid).children(recursive=True)}


def tidied(tmp_path: Path, name: str) -> list[tidy.Left]:
    """What `pglab clean` finds of the run *name*."""
    return [one for one in tidy.left(embedded.base(), tmp_path / "results") if name in one.where]
