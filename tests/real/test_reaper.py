"""Ryuk beside a run, played by a small program that speaks its protocol: what the lab does for its own part."""

import io
import json
import os
import subprocess
import sys
import time

import docker as engine_client
import pytest
from testcontainers.core.config import testcontainers_config

from lab import tidy
from lab.hosts import _home, docker

pytestmark = [pytest.mark.server, pytest.mark.docker]

IMAGE = f"pglab-test/ryuk:{os.getpid()}"  # another process tests with its own
PLAYED = r"""
use strict; use IO::Socket::INET; use IO::Socket::UNIX;
$SIG{TERM} = sub { exit 0 };
sub asked {
    my $to = IO::Socket::UNIX->new('/var/run/docker.sock') or die; my ($how, $what) = @_;
    print $to "$how $what HTTP/1.0\r\nHost: engine\r\nContent-Length: 0\r\n\r\n"; local $/; return <$to> // '';
}
my $door = IO::Socket::INET->new(LocalPort => 8080, Listen => 5, ReuseAddr => 1) or die;
my $prey;
until ($prey) { my $one = $door->accept; my $line = <$one> // next; $line =~ /^label=(\S+)/ or next; $prey = $1;
    print $one "ACK\n"; $one->flush; 1 while <$one>; }
(my $wait = $ENV{RYUK_RECONNECTION_TIMEOUT}) =~ s/\D//g; sleep $wait;
my $filters = "filters=%7B%22label%22%3A%5B%22$prey%22%5D%7D";
my $all = asked('GET', "/containers/json?all=1&$filters");
asked('DELETE', "/containers/$_?force=1&v=1") for $all =~ /"Id":"([0-9a-f]{64})"/g;
asked('POST', "/networks/prune?$filters");
my $volumes = asked('GET', "/volumes?$filters");
asked('DELETE', "/volumes/$_?force=1") for $volumes =~ /"Name":"([^"]+)"/g;
"""
HELD = """
import sys, time
from pathlib import Path
from lab.hosts import docker
preload = {"shared_preload_libraries": "pg_stat_statements"}
with docker.opened(sys.argv[1]) as host, host.server("one", preload, Path(sys.argv[2])):
    print("up", flush=True); time.sleep(120)
"""


@pytest.fixture
def played(docker_host, monkeypatch):
    """An image that plays Ryuk, and an environment in which it is wanted, and waits for a second only."""
    client = engine_client.from_env()
    folder = io.BytesIO(_recipe(docker_host.image))
    client.images.build(fileobj=folder, tag=IMAGE, rm=True, forcerm=True)
    monkeypatch.setenv("TESTCONTAINERS_RYUK_DISABLED", "false")
    monkeypatch.setenv("RYUK_RECONNECTION_TIMEOUT", "1s")
    monkeypatch.setenv("RYUK_CONTAINER_IMAGE", IMAGE)
    monkeypatch.setattr(testcontainers_config, "ryuk_image", IMAGE)
    monkeypatch.setattr(testcontainers_config, "ryuk_reconnection_timeout", "1s")
    yield client
    client.images.remove(IMAGE, force=True)
    client.close()


def _recipe(image: str) -> bytes:
    return f"FROM {image}\nENTRYPOINT {json.dumps(['perl', '-e', PLAYED])}\n".encode()


def carrying(client, run):
    """Names of everything in the engine that carries the label of *run*."""
    of = {"label": f"pglab.run={run}"}
    containers = [one.name for one in client.containers.list(all=True, filters=of)]
    return [*containers, *(one.name for one in (*client.networks.list(filters=of), *client.volumes.list(filters=of)))]


def until(done):
    deadline = time.monotonic() + 30
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_what_a_killed_lab_had_in_the_engine_goes_without_anybody_asking(played, tmp_path):
    words = [sys.executable, "-c", HELD, "treaped", str(tmp_path)]
    lab = subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env=dict(os.environ))
    try:
        assert lab.stdout.readline() == "up\n"
        assert len(carrying(played, "treaped")) == 4  # the server, Ryuk, a network, a volume
    finally:
        lab.kill()
        lab.wait()
        lab.stdout.close()
    try:
        until(lambda: carrying(played, "treaped") == [])
    finally:
        tidy.remove([one for one in tidy.left(_home.base(), tmp_path) if "treaped" in one.where])


def test_its_port_is_published_on_loopback_and_it_goes_with_the_run(played):
    with docker.opened("treaper"):
        ryuk = played.containers.get("pglab-treaper-ryuk")
        published = [one["HostIp"] for ports in ryuk.ports.values() for one in ports or ()]
        assert published == ["127.0.0.1"]
    until(lambda: carrying(played, "treaper") == [])


@pytest.mark.usefixtures("played")
def test_where_its_image_cannot_be_had_a_note_says_so_and_the_run_goes_on(monkeypatch):
    monkeypatch.setattr(testcontainers_config, "ryuk_image", "nobody.invalid/ryuk:1")
    said = []
    with docker.opened("tnoryuk", said.append) as host:
        assert host.home.is_dir()
    (note,) = said
    assert note.startswith(
        "no Ryuk beside this run: image 'nobody.invalid/ryuk:1': is not present, and cannot be pulled"
    )
    assert note.endswith("what a killed run leaves is removed by pglab clean")


def test_who_switches_it_off_has_none(played, monkeypatch):
    monkeypatch.setenv("TESTCONTAINERS_RYUK_DISABLED", "true")
    with docker.opened("tquiet"):
        assert carrying(played, "tquiet") == []
