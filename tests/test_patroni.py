"""Patroni without an engine: what its containers are told, who is taken for the leader, and names that stick."""

import json
import threading
from collections.abc import Callable, Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from lab.clusters import _patroni_config as config
from lab.clusters import patroni
from lab.clusters._patroni_node import PatroniNode
from lab.clusters._patroni_settings import Shown, taken
from lab.clusters._patroni_start import refuse, together
from lab.clusters.patroni import Options, Patroni
from lab.errors import ClusterError
from lab.model import Endpoint

WORDS = {"pglab": "w1", "lab": "w2", "pglab_replication": "w3", "rest": "w4"}


# --- what is asked for ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"nodes": 2, "sync": "on", "confirm": 2}, "confirm: 2 of 1 standbys"),
        ({"confirm": 1}, "confirm: no standby confirms with sync: off"),
        ({"strict": True}, "strict: no standby confirms with sync: off"),
        ({"ttl": 20}, "ttl: 20 .at least loop_wait . 2 . retry_timeout, which is 30"),
        ({"nodes": 6}, "nodes"),
        ({"etcd": 2}, "etcd"),
    ],
)
def test_options_that_do_not_fit_are_told(options, said):
    with pytest.raises(ValueError, match=said):
        Options.model_validate(options)


def test_a_setting_of_patronis_own_is_refused():
    with pytest.raises(ClusterError, match=r"shape: Patroni sets hot_standby, port itself \(take it out"):
        refuse("shape", {"PORT": "5433", "hot_standby": "off", "work_mem": "4MB"})


@pytest.mark.parametrize(
    ("asked", "shown", "yes"),
    [
        ("-1", Shown("512", "8kB", "integer", "4MB"), True),
        ("0.1", Shown("0.1", None, "real", "0.1"), True),
        ("0.2", Shown("0.1", None, "real", "0.1"), False),
        ("1GB", Shown("64", "16MB", "integer", "1GB"), True),
        ("1GB", Shown("1", "ms", "integer", "1ms"), False),
        ("off", Shown("on", None, "bool", "on"), False),
        ("a", Shown("b", None, "string", "b"), False),
    ],
)
def test_a_setting_is_compared_as_the_server_reads_it(asked, shown, yes):
    assert taken(asked, shown) is yes


def test_every_node_wants_a_scram_password_of_everybody():
    told = json.loads(config.node("node-2", Options(), {"work_mem": "7MB"}, WORDS, config.initdb(17)))
    assert {rule.split()[-1] for rule in told["postgresql"]["pg_hba"]} == {"scram-sha-256"}
    assert told["restapi"]["authentication"]["password"] == "w4"
    assert told["postgresql"]["connect_address"] == "node-2:5432"
    assert told["bootstrap"]["dcs"]["postgresql"]["parameters"] == {"work_mem": "7MB"}


@pytest.mark.parametrize(("sync", "mode"), [("off", False), ("on", True), ("quorum", "quorum")])
def test_how_many_must_confirm_is_what_patroni_is_told(sync, mode):
    options = Options() if sync == "off" else Options(sync=sync, confirm=2, strict=True)
    told = config.shared(options, {})
    assert told["synchronous_mode"] == mode
    assert (told["synchronous_node_count"], told["synchronous_mode_strict"]) == ((1, False) if not mode else (2, True))


def test_haproxy_asks_every_node_for_both_parts_and_ends_sessions_to_who_lost_one():
    told = config.haproxy(Options(nodes=2, check_s=1, fall=4, rise=5))
    writes, reads = told.split("listen ")[1:]
    for part, port, text in (("primary", 5000, writes), ("replica", 5001, reads)):
        assert f"bind *:{port}" in text
        assert f"OPTIONS /{part}\n" in text
        assert [line.split()[1] for line in text.splitlines() if line.strip().startswith("server ")] == [
            "node-1",
            "node-2",
        ]
        assert "inter 1s fall 4 rise 5 on-marked-down shutdown-sessions" in text


def test_containers_are_left_all_though_one_was_never_entered():
    left = []

    class Doubtful:
        def __init__(self, name: str) -> None:
            self.name = name

        def __enter__(self) -> str:
            if self.name == "b":
                raise ClusterError("b does not come up")
            return self.name

        def __exit__(self, *_: object) -> None:
            left.append(self.name)

    with pytest.raises(ClusterError, match="b does not come up"), together(map(Doubtful, "abc")):
        pass
    assert sorted(left) == ["a", "c"]


# --- an agent -------------------------------------------------------------------------------


class Agent(ThreadingHTTPServer):
    """Answers every path with what it was given for it, 503 otherwise."""

    def __init__(self, answers: dict[str, tuple[int, object]]) -> None:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                status, said = answers.get(self.path, (503, {}))
                body = json.dumps(said).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:  # type: ignore[override]
                pass

        super().__init__(("127.0.0.1", 0), Handler)


class Box:
    """A container as far as a node needs it."""

    name = "node-1"

    def __init__(self, port: int) -> None:
        self.port = port

    def address(self, _: int | None = None) -> tuple[str, int]:
        return "127.0.0.1", self.port


@pytest.fixture
def node() -> Iterator[Callable[..., PatroniNode]]:
    """A node whose agent gives the answers that it is called with."""
    agents: list[Agent] = []

    def made(**answers: tuple[int, object]) -> PatroniNode:
        agents.append(Agent({f"/{path}": answer for path, answer in answers.items()}))
        threading.Thread(target=agents[-1].serve_forever, args=(0.01,), daemon=True).start()
        return PatroniNode(Box(agents[-1].server_port), WORDS, Path("pgpass"))  # type: ignore[arg-type]

    yield made
    for agent in agents:
        agent.shutdown()
        agent.server_close()


UP = {"state": "running", "role": "primary", "timeline": 3}


def test_a_leader_has_the_lock_and_a_server_that_is_up(node):
    assert node(primary=(200, UP)).led() == 3
    assert node(primary=(503, UP)).led() is None
    assert node(primary=(200, {**UP, "state": "starting"})).led() is None
    assert node(primary=(200, {**UP, "role": "replica"})).led() is None


def test_an_agent_that_is_gone_says_nothing(node):
    gone = PatroniNode(Box(1), WORDS, Path("pgpass"))  # type: ignore[arg-type]
    assert (gone.led(), gone.runs(), gone.state(), gone.members()) == (None, False, {}, [])
    assert node(health=(200, {})).runs()


# --- a cluster ------------------------------------------------------------------------------


class Fake:
    """A node, or a container beside: *log* has what was done to any of them."""

    def __init__(self, name: str, log: list[str]) -> None:
        self.name, self.timeline, self._log = name, None, log

    def led(self) -> int | None:
        return self.timeline

    def runs(self) -> bool:
        return True

    def state(self) -> dict[str, str]:
        return {"role": "replica", "state": "running", "replication_state": "streaming"}

    def __getattr__(self, verb: str) -> Callable[..., None]:
        return lambda *_: self._log.append(f"{verb} {self.name}")


class Bench:
    """A cluster of fakes, of which node-1 leads."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.log: list[str] = []
        self.nodes = [Fake(f"node-{number}", self.log) for number in (1, 2, 3)]
        for verb in ("kill", "pause", "resume", "cut", "mend", "start", "begin", "run"):
            monkeypatch.setattr(
                PatroniNode, verb, lambda node, *_, verb=verb: self.log.append(f"{verb} {node.name}"), raising=False
            )
        self.cluster = Patroni(self.nodes, [Fake("etcd-1", self.log)], Options(), Path("pgpass"))  # type: ignore[arg-type]
        monkeypatch.setattr(PatroniNode, "led", lambda node: node.timeline)
        monkeypatch.setattr(self.cluster, "whole", lambda *_: self.log.append("whole"))
        monkeypatch.setattr(self.cluster, "caught_up", lambda: self.log.append("caught up"))
        self.lead(1, 1)

    def lead(self, number: int, timeline: int | None) -> None:
        self.nodes[number - 1].timeline = timeline


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Bench:
    return Bench(monkeypatch)


def after(log: Sequence[str], *, of: str) -> list[str]:
    return [line for line in log if line.startswith(of)]


def test_of_two_that_think_they_lead_it_is_the_one_of_the_later_timeline(bench):
    bench.lead(3, 2)
    assert bench.cluster.leader().name == "node-3"


def test_where_nobody_leads_it_is_told_what_each_node_says(bench):
    bench.lead(1, None)
    with pytest.raises(ClusterError, match=r"no node leads: node-1 replica running, .*node-3 replica running"):
        bench.cluster.leader(0.01)


def test_who_was_struck_as_leader_is_revived_though_another_leads_by_then(bench):
    bench.cluster.kill("leader")
    bench.lead(1, None)
    bench.lead(2, 2)
    bench.cluster.revive("leader")
    assert bench.log == ["kill node-1", "start node-1"]
    bench.cluster.kill("leader")
    assert bench.log[-1] == "kill node-2"


def test_the_first_node_that_does_not_lead_is_the_standby(bench):
    bench.cluster.pause("standby")
    assert bench.log == ["pause node-2"]
    with pytest.raises(ClusterError, match=r"there is no node 'nobody' \(node-1, node-2, node-3, leader, standby\)"):
        bench.cluster.pause("nobody")


def test_what_is_still_struck_is_mended_before_the_cluster_is_brought_back(bench):
    bench.cluster.partition("node-2")
    bench.cluster.kill("node-3")
    bench.cluster.partition("node-1")
    bench.cluster.heal("node-1")
    bench.log.clear()
    bench.cluster.restore()
    assert bench.log[:2] == ["mend node-2", "begin node-3"]
    assert after(bench.log, of="mend") == ["mend node-2"]


def test_nobody_is_chosen_while_a_cluster_is_brought_back(bench):
    bench.cluster.restore()
    assert after(bench.log, of="kill") == ["kill node-3", "kill node-2", "kill node-1", "kill etcd-1"]
    begun = [line for line in bench.log if line.startswith(("start", "begin"))]
    assert begun[0] == "start etcd-1"
    assert bench.log[-2:] == ["whole", "caught up"]


# --- standbys -------------------------------------------------------------------------------


@pytest.mark.server
def test_a_standby_is_asked_although_the_database_of_the_load_is_not_there_yet(server, monkeypatch):
    monkeypatch.setattr(patroni, "CAUGHT_UP_S", 0)
    standby = Endpoint("node-2", "admin", server.conninfo(user="pglab", dbname="on its way"))
    with pytest.raises(ClusterError, match=r"^node-2 has not replayed .* up to 0/1"):
        patroni._replayed(standby, "0/1")  # a server that leads has replayed nothing


# --- routes ---------------------------------------------------------------------------------


def test_a_route_that_leads_elsewhere_is_told_with_what_was_reached(bench, monkeypatch):
    reached = iter([True, False, True])
    monkeypatch.setattr(patroni, "_recovers", lambda _: next(reached))
    monkeypatch.setattr(patroni, "ROUTE_S", 0)
    monkeypatch.setattr(bench.cluster, "write", lambda: Endpoint("haproxy", "write", ""))
    monkeypatch.setattr(bench.cluster, "reads", lambda: ())
    with pytest.raises(ClusterError) as told:
        bench.cluster.routed()
    assert str(told.value).startswith(
        "haproxy: its write route does not lead to a leader: standby, leader, standby; node-1 replica running, "
    )
