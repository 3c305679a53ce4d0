"""What the environment says of another server: what libpq reads there, and how it is forgotten."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

# Section "Environment Variables" of libpq's manual (PostgreSQL 18), and what its programs and the server read.
_READ = frozenset(
    f"PG{name}"
    for name in (
        *("HOST", "SSLNEGOTIATION", "HOSTADDR", "PORT", "DATABASE", "USER", "PASSWORD", "PASSFILE", "REQUIREAUTH"),
        *("CHANNELBINDING", "SERVICE", "SERVICEFILE", "OPTIONS", "APPNAME", "SSLMODE", "REQUIRESSL", "SSLCOMPRESSION"),
        *("SSLCERT", "SSLKEY", "SSLCERTMODE", "SSLROOTCERT", "SSLCRL", "SSLCRLDIR", "SSLSNI", "REQUIREPEER"),
        *("SSLMINPROTOCOLVERSION", "SSLMAXPROTOCOLVERSION", "GSSENCMODE", "KRBSRVNAME", "GSSLIB", "GSSDELEGATION"),
        *("CONNECT_TIMEOUT", "CLIENTENCODING", "TARGETSESSIONATTRS", "LOADBALANCEHOSTS", "MINPROTOCOLVERSION"),
        *("MAXPROTOCOLVERSION", "DATESTYLE", "TZ", "GEQO", "SYSCONFDIR", "LOCALEDIR", "DATA"),
    )
)


def read(variable: str) -> bool:
    """Does libpq, or a program of PostgreSQL's, read this variable of the environment?

    >>> [read(one) for one in ("PGSERVICE", "PGPASSWORD", "PGTZ", "PGLAB_BASE", "PG_DSN", "HOME")]
    [True, True, True, False, False, False]
    """
    return variable in _READ


@contextmanager
def forgotten() -> Iterator[None]:
    """The environment without what libpq reads there, for the length of a `with` block: it is about another server.

    PGPORT would move a disposable server too, PGHOSTADDR or PGSERVICE lead its connections elsewhere, and PGOPTIONS
    change what is measured.
    """
    kept = {name: os.environ.pop(name) for name in list(os.environ) if read(name)}
    try:
        yield
    finally:
        os.environ.update(kept)
