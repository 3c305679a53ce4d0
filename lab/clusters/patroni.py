"""Patroni: PostgreSQL nodes that choose their leader by etcd, and clients that find it by HAProxy or by libpq.

Node names are `node-1`, `node-2` ..., beside them `etcd-1` ... and `haproxy`. Who leads is asked
of the nodes' agents whenever it matters, and waited for while nobody does. A cluster that was
restored may be led by another node than before, on a later timeline.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Literal, cast

from lab import pg
from lab.clusters import Lag
from lab.clusters import _patroni_config as config
from lab.clusters._nodes import Nodes, bringing_up, until
from lab.clusters._patroni_config import Options
from lab.clusters._patroni_node import PatroniNode, slowly
from lab.clusters._patroni_settings import differing
from lab.clusters._patroni_start import Asked, drawn, refuse, together
from lab.errors import ClusterError
from lab.hosts import Container, Containers, Host
from lab.model import Endpoint, Topology

KIND = "patroni"
HOSTS = ("docker",)
__all__ = ("Options", "Patroni", "opened")
READY_S = 120.0
CAUGHT_UP_S = 60.0
ROUTE_S = 60.0
_PATIENCE_S = 5
# A host that is gone answers nothing, not even a refusal: without these libpq would wait for minutes.
_MULTIHOST = {"connect_timeout": "2", "tcp_user_timeout": "5000"}


@contextmanager
def opened(
    host: Host, topology: Topology, *, name: str, settings: Mapping[str, str], logs: Path
) -> Iterator["Patroni"]:
    """See clusters.OpenCluster."""
    options = Options.model_validate(dict(topology.options))
    if host.kind not in HOSTS:
        raise ClusterError(f"{name}: patroni is built of containers, which the host {host.kind} has not (--on docker)")
    refuse(name, settings)
    with drawn(host, name) as (words, passfile), ExitStack() as stack:
        with bringing_up(name):
            asked = Asked(cast(Containers, host), topology, options, settings, logs, words)
            members = stack.enter_context(together(asked.etcd()))
            containers = stack.enter_context(together(asked.nodes()))
            nodes = [PatroniNode(one, words, passfile) for one in containers]
            cluster = Patroni(nodes, members, options, passfile)
            cluster.found(settings)
            if options.route == "haproxy":
                cluster.before(stack.enter_context(asked.haproxy()))
            cluster.caught_up()
        yield cluster


class Patroni(Nodes):
    """See clusters.Cluster, CanKill, CanPartition, CanSwitchover and CanLag."""

    def __init__(
        self, nodes: Sequence[PatroniNode], members: Sequence[Container], options: Options, passfile: Path
    ) -> None:
        super().__init__(nodes)
        self.options = options
        self._nodes = tuple(nodes)
        self._members = tuple(members)
        self._proxy: Container | None = None
        self._passfile = passfile
        self._struck: dict[str, PatroniNode] = {}  # by the name under which it was struck
        self._undo: dict[PatroniNode, Callable[[], None]] = {}
        self.processes = (*self._members, *self._nodes)

    # --- opening

    def found(self, settings: Mapping[str, str]) -> None:
        """Return once all nodes are one cluster with the roles, the database and the settings asked for."""
        self._make_roles()
        self.whole(READY_S)
        wrong = {node.node: said for node in self.nodes() if (said := differing(node, settings))}
        if wrong:
            (node, said), *_ = wrong.items()
            raise ClusterError(f"{node}: {'; '.join(said)} (Patroni or the server does not take it so)")

    def _make_roles(self) -> None:
        leader = self.leader(READY_S)
        with pg.connected(leader.conninfo(user="pglab", dbname="postgres")) as admin:
            secret = pg.literal(pg.scram(admin, "lab", leader.password("lab")))
            pg.run(admin, f"CREATE ROLE lab LOGIN PASSWORD {secret}")
        pg.make_database(leader.conninfo(user="pglab"))

    def before(self, proxy: Container) -> None:
        """Clients go through *proxy* from here on."""
        self._proxy = proxy
        self.processes = (*self._members, *self._nodes, proxy)

    def routed(self) -> None:
        """Return once the routes lead where they should, for every one of several connections."""
        for endpoint, part in ((self.write(), "leader"), *((one, "standby") for one in self.reads())):
            seen: list[str] = []
            until(
                slowly(lambda endpoint=endpoint, part=part, seen=seen: self._leads_to(endpoint, part, seen)),  # type: ignore[misc]
                ROUTE_S,
                lambda endpoint=endpoint, part=part, seen=seen: (  # type: ignore[misc]
                    f"{endpoint.node}: its {endpoint.role} route does not lead to a {part}: "
                    f"{', '.join(seen)}; {self._states()}"
                ),
            )

    def _leads_to(self, endpoint: Endpoint, part: str, seen: list[str]) -> bool:
        """Does each of several connections reach a node with that *part*? *seen* is what they reached."""
        seen.clear()
        try:
            for _ in self._nodes:
                seen.append("standby" if _recovers(endpoint) else "leader")
        except pg.OperationalError as error:  # HAProxy has not asked yet, or nobody has the part
            seen.append(pg.words(error))
        return set(seen) == {part}

    def whole(self, within_s: float | None = None) -> None:
        """Return once a node leads and all others stream from it, as many of them synchronous as asked.

        The leader makes a slot for a new standby when it next looks around: it is woken for that.
        """
        seen = dict[str, str]()
        until(
            slowly(lambda: self._is_whole(seen)),
            within_s or self.options.failover_s,
            lambda: f"not all nodes follow {seen.pop('leader', 'a leader')}: {seen or self._states()}",
        )

    def _is_whole(self, seen: dict[str, str]) -> bool:
        leader = self._present()
        if leader is None:
            return False
        try:
            with pg.connected(leader.conninfo(user="pglab", dbname="postgres")) as admin:
                found = pg.rows(admin, pg.query("standbys"))
        except pg.OperationalError as error:  # it led a moment ago
            seen[leader.name] = pg.words(error)
            return False
        seen |= {"leader": leader.name, **{row["name"]: f"{row['state']}, {row['sync_state']}" for row in found}}
        streaming = {row["name"] for row in found if row["state"] == "streaming"}
        if streaming >= {one.name for one in self._nodes if one is not leader} and self._confirmed(leader):
            return True
        leader.wake()
        return False

    def _confirmed(self, leader: PatroniNode) -> bool:
        """Are as many standbys synchronous as asked, by the record after which another leader is chosen?"""
        members = leader.members()
        confirm = sum(one["role"] in ("sync_standby", "quorum_standby") for one in members)
        return self.options.sync == "off" or confirm >= self.options.confirm

    # --- who leads

    def leader(self, within_s: float | None = None) -> PatroniNode:
        """The node that leads, waited for as long as a failover may take; ClusterError if there is none."""
        found: list[PatroniNode] = []

        def done() -> bool:
            found.extend([one] if (one := self._present()) else [])
            return bool(found)

        until(slowly(done), within_s or self.options.failover_s, lambda: f"no node leads: {self._states()}")
        return found[0]

    def _present(self) -> PatroniNode | None:
        """The node that leads now; of two, while the one before has not noticed, that of the later timeline."""
        with ThreadPoolExecutor(len(self._nodes)) as pool:
            timelines = list(pool.map(PatroniNode.led, self._nodes))
        found = [(led, node) for led, node in zip(timelines, self._nodes, strict=True) if led is not None]
        return max(found, key=lambda one: one[0])[1] if found else None

    def timeline(self) -> int:
        """The leader's timeline, which every promotion increases by one."""
        return int(self.leader().state()["timeline"])

    def _states(self) -> str:
        """What every node's agent says, for a message."""
        said = {one.name: one.state() for one in self._nodes}
        return ", ".join(
            f"{name} {told['role']} {told.get('state')}" if told else f"{name} silent" for name, told in said.items()
        )

    # --- endpoints

    def write(self) -> Endpoint:
        """The route to whoever leads."""
        if self._proxy is not None:
            return self._through(self._proxy, "write", config.WRITES)
        return self._listed("write", target_session_attrs="read-write")

    def reads(self) -> Sequence[Endpoint]:
        """The route to standbys; by a list of hosts to the leader where there is none."""
        if self._proxy is not None:
            return (self._through(self._proxy, "read", config.READS),)
        return (self._listed("read", target_session_attrs="prefer-standby", load_balance_hosts="random"),)

    def _through(self, proxy: Container, role: Literal["write", "read"], port: int) -> Endpoint:
        host, port = proxy.address(port)
        info = pg.conninfo(host=host, port=port, user="lab", dbname="lab", passfile=str(self._passfile))
        return Endpoint(proxy.name, role, info)

    def _listed(self, role: Literal["write", "read"], **route: str) -> Endpoint:
        hosts, ports = zip(*(one.place for one in self._nodes), strict=True)
        info = pg.conninfo(
            host=",".join(hosts),
            port=",".join(map(str, ports)),
            user="lab",
            dbname="lab",
            passfile=str(self._passfile),
            **_MULTIHOST,
            **route,
        )
        return Endpoint("multihost", role, info)

    def nodes(self) -> Sequence[Endpoint]:
        """Every node as superuser, the leader first."""
        leader = self.leader()
        ordered = sorted(self._nodes, key=lambda one: one is not leader)
        return tuple(Endpoint(one.name, "admin", one.conninfo(user="pglab")) for one in ordered)

    # --- standbys

    def lags(self) -> Mapping[str, Lag]:
        """See clusters.CanLag."""
        with pg.connected(self.admin().conninfo) as admin:
            found = pg.rows(admin, pg.query("standbys"))
        return {row["name"]: Lag(row["lag_bytes"], row["lag_s"]) for row in found if row["state"] == "streaming"}

    def caught_up(self) -> None:
        """See clusters.CanLag; the routes lead there again, too."""
        leader, *standbys = self.nodes()
        with pg.connected(leader.conninfo) as admin:
            (written,) = pg.ask(admin, pg.query("flush")).values()
        for standby in standbys:
            _replayed(standby, written)
        self.routed()

    # --- changed and brought back

    def empty(self) -> None:
        """A new database on the leader, and so on the standbys."""
        super().empty()
        self.caught_up()

    def snapshot(self) -> None:
        """Keep the state of all nodes and of etcd, as a crash of all at once would leave it."""
        self.whole()
        with pg.connected(self.admin().conninfo) as admin:
            pg.run(admin, "CHECKPOINT")
        self.caught_up()
        self._again("keep")

    def restore(self) -> None:
        """Bring the kept state of all nodes and of etcd back; faults that are still there are undone."""
        for undo in tuple(self._undo.values()):
            undo()
        self._undo.clear()
        self._again("bring")

    def _again(self, what: str) -> None:
        """Kill everything and start it again; what is done with their data in between is the image's entrypoint's."""
        for one in (*self._members, *self._nodes):
            one.run("touch", f"/pglab/{what}")
        for killed in self.processes[::-1]:  # etcd is the last, so that nobody is chosen meanwhile
            killed.kill()
        with ThreadPoolExecutor(len(self.processes)) as pool:
            list(pool.map(lambda member: member.start(), self._members))
            list(pool.map(PatroniNode.begin, self._nodes))
        self.whole(READY_S)
        if self._proxy is not None:
            self._proxy.start()
        self.caught_up()

    # --- abilities

    def kill(self, node: str) -> None:
        """See clusters.CanKill: everything on the node, as when its machine loses power."""
        struck = self._strike(node)
        struck.kill()
        self._undo[struck] = struck.begin

    def kill_server(self, node: str) -> None:
        """SIGKILL to the node's postmaster alone: its agent starts it again, or lets another lead."""
        self._called(node).kill_server()

    def pause(self, node: str) -> None:
        """See clusters.CanKill: server and agent."""
        struck = self._strike(node)
        struck.pause()
        self._undo[struck] = struck.resume

    def resume(self, node: str) -> None:
        """See clusters.CanKill."""
        struck = self._was_struck(node)
        struck.resume()

    def revive(self, node: str) -> None:
        """See clusters.CanKill: on return it leads, or streams again."""
        struck = self._was_struck(node)
        struck.start()
        until(
            slowly(lambda: struck.led() is not None or struck.state().get("replication_state") == "streaming"),
            READY_S,
            lambda: f"{struck.name}: is back, and neither leads nor streams: {self._states()}",
        )

    def partition(self, node: str) -> None:
        """See clusters.CanPartition: all its packets are dropped, of old connections too."""
        struck = self._strike(node)
        struck.cut()
        self._undo[struck] = struck.mend

    def heal(self, node: str) -> None:
        """See clusters.CanPartition."""
        self._was_struck(node).mend()

    def switchover(self) -> None:
        """See clusters.CanSwitchover; ClusterError with the agent's words where it refuses."""
        leader = self.leader()
        answer = leader.asks("/switchover", {"leader": leader.name}, within_s=self.options.failover_s)
        if answer is None or answer[0] != 200:
            raise ClusterError(f"{leader.name}: does not hand over: {answer[1].strip() if answer else 'no answer'}")
        until(
            slowly(lambda: self._present() not in (None, leader)),
            self.options.failover_s,
            lambda: f"{leader.name} has handed over, and no other leads: {self._states()}",
        )

    def _strike(self, node: str) -> PatroniNode:
        """The node called so now, which keeps that name until it is undone."""
        self._struck[node] = self._called(node)
        return self._struck[node]

    def _was_struck(self, node: str) -> PatroniNode:
        """The node that was struck under that name, though another may lead by now."""
        found = self._struck.pop(node, None) or self._called(node)
        self._undo.pop(found, None)
        return found

    def _called(self, node: str) -> PatroniNode:
        known = {one.name: one for one in self._nodes}
        if node in known:
            return known[node]
        if node not in ("leader", "standby"):
            raise ClusterError(f"there is no node {node!r} ({', '.join(known)}, leader, standby)")
        leader = self.leader()
        if node == "leader":
            return leader
        running = [one for one in self._nodes if one is not leader and one.runs()]
        if not running:
            raise ClusterError(f"there is no standby now: {self._states()}")
        return running[0]


def _recovers(endpoint: Endpoint) -> bool:
    """Is it a standby that one is led to? Asked with little patience: the next attempt may be led elsewhere."""
    with pg.connected(pg.changed(endpoint.conninfo, connect_timeout=_PATIENCE_S)) as connection:
        return bool(pg.ask(connection, "SELECT pg_is_in_recovery() AS yes")["yes"])


def _replayed(standby: Endpoint, position: str) -> None:
    """Return once *standby* has replayed WAL up to *position*; the database `lab` itself may be on its way."""
    with pg.connected(pg.changed(standby.conninfo, dbname="postgres")) as connection:
        until(
            lambda: bool(pg.ask(connection, "SELECT pg_last_wal_replay_lsn() >= %s::pg_lsn AS yes", [position])["yes"]),
            CAUGHT_UP_S,
            lambda: f"{standby.node} has not replayed what was written on the leader up to {position}",
        )
