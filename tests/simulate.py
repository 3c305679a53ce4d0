"""Experiments whose truth we chose, as the Measurements that a run would have given.

Noise is laid over time, not over candidates: a round is a stretch of time in which every side has
one place, drawn as design.py draws it, so that drift and autocorrelation fall on whoever stands there.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from lab import design
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
Order = Callable[[np.random.Generator, int, int], npt.NDArray[np.int64]]

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


def sawtooth(rng: np.random.Generator, size: int) -> Array:
    """White noise on a machine that is slow once in five trials: of five sides, in the first of each round."""
    return rng.normal(size=size) + 4.0 * (np.arange(size) % 5 == 0)


NOISES: Mapping[str, Noise] = {"white": white, "AR(1)": correlated, "drift": drifting, "heavy tails": heavy}


# --- where in a round each side stands: (rounds, sides) places -------------------------------


def drawn(rng: np.random.Generator, rounds: int, sides: int) -> npt.NDArray[np.int64]:
    """In each round an order of its own, as design.py draws it."""
    return np.array([rng.permutation(sides) for _ in range(rounds)])


def designed(rng: np.random.Generator, rounds: int, sides: int) -> npt.NDArray[np.int64]:
    """The places that the production code gives to the instances of one load and the twin."""
    made = design.design(scenario([f"c{n}" for n in range(sides - 1)]), seed=int(rng.integers(2**31)), rounds=rounds)
    places = [{trial.instance: trial.position for trial in trials} for trials in made.rounds]
    return np.array([[of[instance] for instance in made.instances] for of in places])


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
    order: Order = drawn


def experiment(truth: Truth, seed: int, metric: str = OBJECTIVE) -> list[Measurement]:
    """One run of *truth*: a measurement of *metric* for each instance and round."""
    rng = np.random.default_rng(seed)
    instances = _instances(truth)
    level = {instance: truth.effects[instance.candidate] + truth.load_sd * rng.normal() for instance in instances}
    sides = len(instances)
    noise = truth.noise(rng, sides * truth.rounds) * truth.pair_sd / math.sqrt(2)
    order = truth.order(rng, truth.rounds, sides)
    measured = []
    for number in range(truth.rounds):
        for side, instance in enumerate(instances):
            place = number * sides + order[number, side] if truth.shuffled else side * truth.rounds + number
            value = math.exp(level[instance] + noise[place])
            trial = f"{instance.name}.{instance.load}.r{number}"
            measured.append(Measurement(instance, number, trial, metric, value))
    return measured


def _instances(truth: Truth) -> list[Instance]:
    """Every load of every candidate, and the twin."""
    base = next(iter(truth.effects))
    loads = [Instance(name, load + 1) for name in truth.effects for load in range(truth.loads)]
    return loads + [Instance(base, 2, twin=True)] * truth.twin


def described(truth: Truth, seed: int, names: Sequence[str], different: int = 0) -> list[Measurement]:
    """Many metrics of one run, each with noise of its own; in all but the first *different* nothing differs."""
    null = {**truth.effects, **dict.fromkeys(truth.effects, 0.0)}
    return [
        m
        for n, name in enumerate(names)
        for m in experiment(truth if n < different else replace(truth, effects=null), seed * 1000 + n, name)
    ]


def over_limit(
    seed: int,
    *,
    names: Sequence[str],
    share: float,
    limit_ms: float,
    query: str,
    operations: int = 30,
    rounds: int = 20,
    loads: int = 1,
    load_sd: float = 0.0,
) -> list[Measurement]:
    """Shares of operations over a limit: *share* on average, but each trial has one of its own (beta, sd share / 2).

    Of several *loads* each has a share of its own too: a beta around *share* with sd `load_sd * share`, and its trials
    follow that alone.
    """
    rng = np.random.default_rng(seed)
    own = _betas(rng, share, load_sd, (len(names), loads, 1)) if load_sd else share
    each = (
        np.broadcast_to(own, (len(names), loads, rounds))
        if load_sd
        else _betas(rng, share, 0.5, (len(names), loads, rounds))
    )
    counts = rng.binomial(operations, each)
    metric = f"query.{query}.over_limit_share"
    return [
        Measurement(
            *(Instance(name, load + 1), r, f"{name}.{load + 1}.r{r}", metric),
            *(counts[n, load, r] / operations, operations, limit_ms),
        )
        for n, name in enumerate(names)
        for load in range(loads)
        for r in range(rounds)
    ]


def _betas(rng: np.random.Generator, mean: float, sd: float, size: tuple[int, ...]) -> np.ndarray:
    """Shares with this mean, and *sd* times it as their deviation."""
    total = (1 - mean) / mean / sd**2 - 1  # a + b of such a beta
    return rng.beta(mean * total, (1 - mean) * total, size=size)


def band(share: float, size: int, sigmas: float = 3.0) -> float:
    """How far a share seen in *size* experiments may be from the true one, by chance."""
    return sigmas * math.sqrt(share * (1 - share) / size)
