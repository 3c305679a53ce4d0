"""One node of Patroni's: the container, its agent's REST interface, and the server that the agent looks after."""

import base64
import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from lab import pg
from lab.clusters._nodes import until
from lab.clusters._patroni_config import DATA, POSTGRES, REST
from lab.errors import ClusterError
from lab.hosts import Container, Limits

ANSWERS_S = 1.0  # within which an agent that is well answers
READY_S = 60.0
_PAUSE_S = 0.1
_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # no proxy of the user's is asked


class PatroniNode:
    """See hosts.Server. What it is told and what it says of itself goes through its agent."""

    def __init__(self, container: Container, words: Mapping[str, str], passfile: Path) -> None:
        self.name = container.name
        self._container = container
        self._words = words
        self._passfile = passfile
        self._woken_s = 0.0
        self._places: dict[int, tuple[str, int]] = {}
        self._find()

    def _find(self) -> None:
        """Where it is reached from here; it stays known while the node is down."""
        self._places = {port: self._container.address(port) for port in (POSTGRES, REST)}

    # --- the server

    @property
    def place(self) -> tuple[str, int]:
        """Host and port under which the lab reaches its server, or did while it was up."""
        return self._places[POSTGRES]

    def conninfo(self, *, user: str = "lab", dbname: str = "lab") -> str:
        """See hosts.Server.conninfo; the password is in a file that only the lab's user reads."""
        host, port = self.place
        return pg.conninfo(host=host, port=port, user=user, dbname=dbname, passfile=str(self._passfile))

    def peer(self) -> tuple[str, int]:
        """See hosts.Process.peer."""
        return self.name, POSTGRES

    def password(self, user: str) -> str:
        """See hosts.Server.password."""
        return self._words[user]

    def snapshot(self) -> None:
        """See hosts.Server.snapshot: not of one node alone."""
        raise ClusterError(f"{self.name}: one node alone is not kept, as the others would go on (keep the cluster)")

    def restore(self) -> None:
        """See hosts.Server.restore: not of one node alone."""
        raise ClusterError(f"{self.name}: one node alone is not brought back (bring the cluster back)")

    # --- the agent

    def asks(
        self, path: str, body: Mapping[str, Any] | None = None, *, method: str = "POST", within_s: float = ANSWERS_S
    ) -> tuple[int, str] | None:
        """HTTP status and text of what the agent answers, None where it does not; without a body it is a GET."""
        host, port = self._places[REST]
        key = base64.b64encode(f"pglab:{self._words['rest']}".encode()).decode()
        request = urllib.request.Request(
            f"http://{host}:{port}{path}",
            data=None if body is None else json.dumps(body).encode(),
            method="GET" if body is None else method,
            headers={"Authorization": f"Basic {key}", "Content-Type": "application/json"},
        )
        try:
            with _DIRECT.open(request, timeout=within_s) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:  # an answer too: 503 is "not I"
            with error:
                return error.code, error.read().decode()
        except OSError:
            return None

    def wake(self) -> None:
        """Have the agent look around now, not only every loop_wait seconds; at most once a second."""
        if time.monotonic() - self._woken_s > 1:
            self.asks("/config", {"pause": None}, method="PATCH")  # changes nothing, and a change is looked at
            self._woken_s = time.monotonic()

    def led(self) -> int | None:
        """The timeline on which it leads, with the lock and a server that takes writes; None if it does not.

        An agent that has the lock says so before its server is up.
        """
        answer = self.asks("/primary")
        if answer is None or answer[0] != 200:
            return None
        said = json.loads(answer[1])
        return int(said["timeline"]) if (said.get("role"), said.get("state")) == ("primary", "running") else None

    def runs(self) -> bool:
        """Is its server up?"""
        answer = self.asks("/health")
        return answer is not None and answer[0] == 200

    def state(self) -> Mapping[str, Any]:
        """What the agent says of its node: role, state, timeline ...; {} where it does not answer."""
        answer = self.asks("/patroni")
        return dict(json.loads(answer[1])) if answer is not None else {}

    def members(self) -> Sequence[Mapping[str, Any]]:
        """What the agent knows of all nodes: name, role, state, timeline ...; none where it does not answer."""
        answer = self.asks("/cluster")
        return list(json.loads(answer[1])["members"]) if answer is not None and answer[0] == 200 else []

    # --- the process

    @property
    def log(self) -> Path:
        """See hosts.Process.log: the agent's and the server's."""
        return self._container.log

    def address(self, port: int | None = None) -> tuple[str, int]:
        """See hosts.Container.address."""
        return self._container.address(port)

    def run(self, *command: str) -> str:
        """See hosts.Container.run."""
        return self._container.run(*command)

    def cpu_s(self) -> float:
        """See hosts.Process.cpu_s: the agent's and the server's."""
        return self._container.cpu_s()

    def throttled_s(self) -> float:
        """See hosts.Container.throttled_s."""
        return self._container.throttled_s()

    def limits(self) -> Limits:
        """See hosts.Container.limits."""
        return self._container.limits()

    def kill(self) -> None:
        """SIGKILL to everything on the node, the agent among them."""
        self._container.kill()

    def kill_server(self) -> None:
        """SIGKILL to the postmaster alone, whose agent sees it."""
        self.run("sh", "-c", f"kill -9 $(head -n 1 {DATA}/postmaster.pid)")

    def pause(self) -> None:
        """See hosts.Process.pause: the whole node."""
        self._container.pause()

    def resume(self) -> None:
        """See hosts.Process.resume."""
        self._container.resume()

    def cut(self) -> None:
        """See hosts.Container.cut."""
        self._container.cut()

    def mend(self) -> None:
        """See hosts.Container.mend."""
        self._container.mend()

    def stop(self) -> None:
        """The agent shuts its server down and gives up its part."""
        self._container.stop()

    def start(self) -> None:
        """See hosts.Process.start."""
        self.begin()
        until(
            self.runs,
            READY_S,
            lambda: f"{self.name}: its server does not run: {self.state().get('state', 'no answer')}",
        )

    def begin(self) -> None:
        """Start the agent, which starts the server when it sees fit."""
        self._container.start()
        self._find()


def slowly(done: Callable[[], bool]) -> Callable[[], bool]:
    """*done*, asked at most ten times a second: agents have other things to do."""

    def asked() -> bool:
        if done():
            return True
        time.sleep(_PAUSE_S)
        return False

    return asked
