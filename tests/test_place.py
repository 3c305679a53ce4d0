"""Which host a scenario runs on."""

from types import SimpleNamespace

import pytest

from lab import place
from lab.errors import ScenarioError
from lab.hosts import embedded
from lab.model import Topology

OWN = int(embedded.version().split(".")[0])
SINGLE, OTHER, CITUS = Topology(), Topology(postgres=OWN - 1), Topology("citus")
IMAGE = Topology("single", {"image": "postgis/postgis:17-3.5"})
BEHIND = Topology("pooled", {"behind": {"kind": "single", "postgres": OWN - 1}})


def chosen(asked: str, *topologies: Topology, resources: object = None) -> str:
    named = {str(n): SimpleNamespace(topology=one) for n, one in enumerate(topologies)}
    return place.choose(asked, SimpleNamespace(candidates=named, resources=resources))


def test_auto_is_embedded_where_every_topology_permits_it():
    assert chosen("auto", SINGLE, Topology(postgres=OWN), Topology("replicas")) == "embedded"
    assert chosen("docker", SINGLE) == "docker"


def test_what_is_to_be_limited_needs_containers():
    assert chosen("auto", SINGLE, resources="some") == "docker"


@pytest.mark.parametrize("needs", [OTHER, CITUS, IMAGE], ids=["another version", "citus", "an image"])
def test_one_topology_that_needs_docker_takes_all_there(needs):
    assert chosen("auto", SINGLE, needs) == "docker"
    with pytest.raises(ScenarioError, match=r"--on embedded: the topology .* cannot run there \(--on docker\)"):
        chosen("embedded", SINGLE, needs)


def test_what_decides_is_named():
    with pytest.raises(ScenarioError, match=f"the topology citus, single with postgres: {OWN - 1} cannot run there"):
        chosen("embedded", CITUS, OTHER)
    with pytest.raises(ScenarioError, match=r"the topology single with image: postgis/postgis:17-3\.5 cannot"):
        chosen("embedded", IMAGE)


def test_what_stands_behind_another_counts_too(monkeypatch):
    everywhere = SimpleNamespace(HOSTS=("embedded", "docker"))
    monkeypatch.setattr(place.parts, "load", lambda *_: everywhere)
    assert chosen("auto", BEHIND) == "docker"
    assert chosen("auto", Topology("pooled", {"behind": {"kind": "single"}})) == "embedded"


def test_topologies_that_no_host_can_run_together_are_told(monkeypatch):
    hosts = {"here": ("embedded",), "there": ("docker",)}
    monkeypatch.setattr(place.parts, "load", lambda _, kind: SimpleNamespace(HOSTS=hosts[kind]))
    with pytest.raises(ScenarioError, match="no host can run all topologies: here on embedded; there on docker"):
        chosen("auto", Topology("here"), Topology("there"))


def test_a_host_that_is_none_is_told_with_those_that_are():
    with pytest.raises(ScenarioError, match=r"--on: 'kubernetes' is no host \(auto, embedded, docker\)"):
        chosen("kubernetes", SINGLE)
