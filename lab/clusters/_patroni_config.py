"""What Patroni, etcd and HAProxy are told: options and settings become the files and commands of their containers."""

import json
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from lab.clusters._nodes import Image

POSTGRES, REST, ETCD, PEERS = 5432, 8008, 2379, 2380
WRITES, READS = 5000, 5001  # HAProxy's ports
CONFIG, HAPROXY_CONFIG = "/etc/pglab/patroni.yml", "/etc/pglab/haproxy.cfg"
DATA = "/pglab/data"

# What Patroni itself sets for each node, or the shape by its options: a setting of these would not take.
FIXED = frozenset(
    (
        *("listen_addresses", "port", "cluster_name", "hot_standby", "wal_log_hints", "unix_socket_directories"),
        *("data_directory", "hba_file", "ident_file", "config_file", "synchronous_standby_names"),
        *("primary_conninfo", "primary_slot_name", "recovery_target", "recovery_target_timeline"),
    )
)


class Options(BaseModel):
    """What a Patroni cluster is built of, and the times by which it decides.

    *sync* `on` or `quorum`: a commit is acknowledged once *confirm* standbys have it, and only one
    of those may lead next; Patroni lets go of that while no standby is there, unless *strict*.
    *ttl*, *loop_wait*, *retry_timeout*, *primary_start_timeout* in seconds,
    *maximum_lag_on_failover* in bytes, as Patroni has them; *primary_start_timeout* 0: a server that
    crashed is not waited for. *route* is how clients find the leader: through HAProxy, which asks
    every node each *check_s* seconds and believes *fall* failures and *rise* successes in a row (the
    defaults are those of Patroni's documentation), or by libpq's list of hosts. *image* None is
    pglab/patroni of the host's own major version.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    nodes: Annotated[int, Field(strict=True, ge=2, le=5, description="PostgreSQL nodes, 2 to 5")] = 3
    etcd: Literal[1, 3] = 1
    sync: Literal["off", "on", "quorum"] = "off"
    confirm: Annotated[int, Field(strict=True, ge=1, le=4, description="standbys that confirm, fewer than nodes")] = 1
    strict: Annotated[bool, Field(strict=True, description="true or false")] = False
    ttl: Annotated[int, Field(strict=True, ge=20, le=600)] = 30
    loop_wait: Annotated[int, Field(strict=True, ge=1, le=300)] = 10
    retry_timeout: Annotated[int, Field(strict=True, ge=3, le=300)] = 10
    primary_start_timeout: Annotated[int, Field(strict=True, ge=0, le=3600)] = 300
    maximum_lag_on_failover: Annotated[int, Field(strict=True, ge=0)] = 1048576
    route: Literal["haproxy", "multihost"] = "haproxy"
    check_s: Annotated[int, Field(strict=True, ge=1, le=60)] = 3
    fall: Annotated[int, Field(strict=True, ge=1, le=10)] = 3
    rise: Annotated[int, Field(strict=True, ge=1, le=10)] = 2
    image: Image | None = None

    @model_validator(mode="after")
    def _fitting(self) -> "Options":
        if self.confirm >= self.nodes:
            raise ValueError(f"confirm: {self.confirm} of {self.nodes - 1} standbys (fewer than nodes)")
        told = self.model_fields_set & {"confirm", "strict"}
        if self.sync == "off" and told:
            raise ValueError(f"{min(told)}: no standby confirms with sync: off (write sync: on, or take it out)")
        least = self.loop_wait + 2 * self.retry_timeout
        if self.ttl < least:
            raise ValueError(f"ttl: {self.ttl} (at least loop_wait + 2 * retry_timeout, which is {least})")
        return self

    @property
    def failover_s(self) -> float:
        """Within this a cluster that can choose another leader has one: its old one's time and two of its own turns."""
        return self.ttl + 2.0 * self.loop_wait + 2.0 * self.retry_timeout + 15


def names(prefix: str, number: int) -> list[str]:
    """
    >>> names("node", 2)
    ['node-1', 'node-2']
    """
    return [f"{prefix}-{index}" for index in range(1, number + 1)]


def shared(options: Options, settings: Mapping[str, str]) -> dict[str, Any]:
    """What all nodes agree on: Patroni's dynamic configuration.

    >>> shared(Options(sync="quorum"), {})["synchronous_mode"]
    'quorum'
    """
    return {
        "ttl": options.ttl,
        "loop_wait": options.loop_wait,
        "retry_timeout": options.retry_timeout,
        "primary_start_timeout": options.primary_start_timeout,
        "maximum_lag_on_failover": options.maximum_lag_on_failover,
        "synchronous_mode": {"off": False, "on": True, "quorum": "quorum"}[options.sync],
        "synchronous_mode_strict": options.strict,
        "synchronous_node_count": options.confirm,
        "postgresql": {"use_pg_rewind": True, "use_slots": True, "parameters": dict(settings)},
    }


def node(
    name: str, options: Options, settings: Mapping[str, str], words: Mapping[str, str], initdb: Sequence[Any]
) -> str:
    """One node's patroni.yml, as JSON, which is YAML. *words*: role -> password."""
    local = {
        "listen": f"0.0.0.0:{POSTGRES}",
        "connect_address": f"{name}:{POSTGRES}",
        "data_dir": DATA,
        "pgpass": "/pglab/pgpass",
        "use_unix_socket": True,
        "authentication": {
            "superuser": {"username": "pglab", "password": words["pglab"]},
            "replication": {"username": "pglab_replication", "password": words["pglab_replication"]},
        },
        "parameters": {"unix_socket_directories": "/var/run/postgresql"},
        "pg_hba": [
            "local all all scram-sha-256",
            "host all all all scram-sha-256",
            "host replication pglab_replication all scram-sha-256",
        ],
        "basebackup": [{"checkpoint": "fast"}],
        "remove_data_directory_on_rewind_failure": True,
        "remove_data_directory_on_diverged_timelines": True,
    }
    rest = {
        "listen": f"0.0.0.0:{REST}",
        "connect_address": f"{name}:{REST}",
        "authentication": {"username": "pglab", "password": words["rest"]},
    }
    told = {
        "scope": "pglab",
        "name": name,
        "restapi": rest,
        "etcd3": {"hosts": [f"{one}:{ETCD}" for one in names("etcd", options.etcd)]},
        "bootstrap": {"dcs": shared(options, settings), "initdb": list(initdb)},
        "postgresql": local,
    }
    return json.dumps(told, indent=1)


def initdb(major: int) -> list[Any]:
    """Options of initdb as Patroni takes them: UTF-8, and an order of text that no library of the image decides."""
    order = [{"locale-provider": "builtin"}, {"builtin-locale": "C.UTF-8"}, {"locale": "C"}]
    return ["no-sync", {"encoding": "UTF8"}, *(order if major >= 17 else [{"locale": "C.UTF-8"}])]


def etcd(name: str, members: Sequence[str]) -> list[str]:
    """The command of one member of etcd; what it acknowledges it has on disk."""
    return [
        *("etcd", "--name", name, "--data-dir", DATA, "--log-level", "warn"),
        *("--listen-client-urls", f"http://0.0.0.0:{ETCD}", "--advertise-client-urls", f"http://{name}:{ETCD}"),
        *("--listen-peer-urls", f"http://0.0.0.0:{PEERS}", "--initial-advertise-peer-urls", f"http://{name}:{PEERS}"),
        *("--initial-cluster", ",".join(f"{one}=http://{one}:{PEERS}" for one in members)),
    ]


def haproxy(options: Options) -> str:
    """HAProxy's configuration, after the one in Patroni's documentation: it asks Patroni who leads.

    Sessions to a node that no longer has the part are ended, so that no client hangs on it.
    """
    check = f"inter {options.check_s}s fall {options.fall} rise {options.rise} on-marked-down shutdown-sessions"
    servers = "\n".join(
        f"    server {one} {one}:{POSTGRES} check port {REST} resolvers docker init-addr last,libc,none"
        for one in names("node", options.nodes)
    )
    parts = "".join(
        f"""
listen {part}
    bind *:{port}
    option httpchk OPTIONS /{part}
    http-check expect status 200
    default-server {check}
{servers}
"""
        for part, port in (("primary", WRITES), ("replica", READS))
    )
    return _HAPROXY + parts


_HAPROXY = """global
    log stdout format raw local0
    maxconn 4000

resolvers docker
    nameserver dns 127.0.0.11:53
    hold valid 1s

defaults
    log global
    mode tcp
    option tcplog
    option dontlog-normal
    retries 2
    timeout connect 4s
    timeout check 5s
    timeout client 30m
    timeout server 30m
"""
