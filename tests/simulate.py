"""Experiments whose truth we chose, as the Measurements that a run would have given.

Noise is laid over time, not over candidates: a round is a stretch of time in which every side has
one place, drawn as design.py draws it, so that drift and autocorrelation fall on whoever stands there.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from lab.model import (
    Candidate,
    Instance,
    Lab,
    LeastEffect,
    Measurement,
    Production,
    Requirement,
    Scenario,
    SqlFile,
    Topology,
    Workload,
)

Array = npt.NDArray[np.float64]
Noise = Callable[[np.random.Generator, int], Array]

OBJECTIVE = "mix.server_ms_per_op"


def scenario(
    names: Sequence[str],
    *,
    requirements: Sequence[Requirement] = (),
    objective: str = OBJECTIVE,
    least: LeastEffect | None = None,
    profile: str = "quick",
    baseline: str | None = None,
) -> Scenario:
    """A question with these candidates, simplest first; the first is the baseline unless said."""
    schema = SqlFile("schema.sql", "CREATE TABLE t (x int);")
    candidates = {name: Candidate(name, "", schema, None, {}, (), {}, Topology(), {}) for name in names}
    return Scenario(
        name="simulated",
        question="?",
        production=Production(),
        lab=Lab(),
        requirements=tuple(requirements),
        objective=objective,
        least_effect=least or LeastEffect(),
        profile=profile,
        workload=Workload("none", (), {}),
        baseline=baseline or names[0],
        candidates=MappingProxyType(candidates),
        catalogue=None,
        prepare=(),
        round=(),
        isolation="kept",
        unsafe=None,
        files={},
    )


# --- noise over time, each with a standard deviation of about one ---------------------------


def white(rng: np.random.Generator, size: int) -> Array:
    """Independent normal noise."""
    return rng.normal(size=size)


def correlated(rng: np.random.Generator, size: int) -> Array:
    """AR(1) with coefficient 0.6: a busy neighbour stays for a while."""
    shocks = rng.normal(size=size) * math.sqrt(1 - 0.6**2)
    noise = np.empty(size)
    noise[0] = rng.normal()
    for i in range(1, size):
        noise[i] = 0.6 * noise[i - 1] + shocks[i]
    return noise


def drifting(rng: np.random.Generator, size: int) -> Array:
    """White noise on a machine that grows slower by four standard deviations over the run."""
    return rng.normal(size=size) + np.linspace(-2, 2, size)


def heavy(rng: np.random.Generator, size: int) -> Array:
    """Student's t with four degrees of freedom: now and then a very slow trial."""
    return rng.standard_t(4, size=size) / math.sqrt(2)


NOISES: Mapping[str, Noise] = {"white": white, "AR(1)": correlated, "drift": drifting, "heavy tails": heavy}


# --- experiments ----------------------------------------------------------------------------


@dataclass(frozen=True)
class Truth:
    """*effects*: candidate -> true log ratio to the first. *pair_sd*: sd of the log ratio of one pair.

    *load_sd*: sd by which each load of a table differs from the table as such. With *shuffled*
    False the sides stand in blocks, AAAABBBB, as nobody should do it.
    """

    effects: Mapping[str, float]
    pair_sd: float = 0.10
    rounds: int = 20
    twin: bool = True
    load_sd: float = 0.0
    loads: int = 1
    noise: Noise = white
    shuffled: bool = True


def experiment(truth: Truth, seed: int, metric: str = OBJECTIVE) -> list[Measurement]:
    """One run of *truth*: a measurement of *metric* for each instance and round."""
    rng = np.random.default_rng(seed)
    instances = _instances(truth)
    level = {instance: truth.effects[instance.candidate] + truth.load_sd * rng.normal() for instance in instances}
    sides = len(instances)
    noise = truth.noise(rng, sides * truth.rounds) * truth.pair_sd / math.sqrt(2)
    measured = []
    for number in range(truth.rounds):
        order = rng.permutation(sides)
        for side, instance in enumerate(instances):
            place = number * sides + order[side] if truth.shuffled else side * truth.rounds + number
            value = math.exp(level[instance] + noise[place])
            trial = f"{instance.name}.{instance.load}.r{number}"
            measured.append(Measurement(instance, number, trial, metric, value))
    return measured


def _instances(truth: Truth) -> list[Instance]:
    """Every load of every candidate, and the twin."""
    base = next(iter(truth.effects))
    loads = [Instance(name, load + 1) for name in truth.effects for load in range(truth.loads)]
    return loads + [Instance(base, 2, twin=True)] * truth.twin


def band(share: float, size: int, sigmas: float = 3.0) -> float:
    """How far a share seen in *size* experiments may be from the true one, by chance."""
    return sigmas * math.sqrt(share * (1 - share) / size)
