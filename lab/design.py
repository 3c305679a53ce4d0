"""A scenario becomes rounds of trials: who is driven when, from which seed, under which id.

Everything follows from the scenario, one recorded seed and the numbers of candidate, load and
round; nothing from the clock, and nothing from how many rounds there are. So rounds may be added
later, and what was measured keeps its place.
"""

import hashlib
import json
import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from lab.draw import rng
from lab.model import Instance, Json, Scenario, Trial
from lab.timeline import Step

# Rounds by profile: what a run takes where nobody says.
ROUNDS: Mapping[str, int] = {"quick": 20, "decide": 8, "gate": 16}
LOADS: Mapping[str, int] = {"quick": 1, "decide": 3, "gate": 1}
_SLUG_LETTERS = 24
_ID_DIGITS = 10
# What only says something, and decides nothing; settings say what is strict, and the schema what may write.
_SAYS = ("place", "hypothesis", "strict", "calls", "line")


@dataclass(frozen=True)
class Design:
    """*instances* in the order of simplicity, the twin last; *rounds* in the order of time.

    Every round holds one trial for every instance, in its drawn order.
    """

    seed: int
    instances: tuple[Instance, ...]
    rounds: tuple[tuple[Trial, ...], ...]

    @property
    def trials(self) -> tuple[Trial, ...]:
        """All trials in the order in which they are to happen."""
        return tuple(trial for trials in self.rounds for trial in trials)


def design(
    scenario: Scenario, *, seed: int, rounds: int | None = None, what: Mapping[str, Json] | None = None
) -> Design:
    """The design of *scenario*; *rounds* None takes the profile's number.

    *what* holds everything else that decides what a trial does, as JSON values: host kind, server
    version, method version. Files, rows, settings and timeline are taken from the scenario.
    """
    instances = tuple(_instances(scenario))
    marks = {name: _mark(scenario, name, seed, what or {}) for name in scenario.candidates}
    numbers = range(1, (ROUNDS[scenario.profile] if rounds is None else rounds) + 1)
    return Design(seed, instances, tuple(_round(scenario, instances, n, seed, marks) for n in numbers))


def _instances(scenario: Scenario) -> Iterable[Instance]:
    """Each candidate once for each load; with one load, the baseline's twin besides."""
    loads = LOADS[scenario.profile]
    for load in range(1, loads + 1):
        yield from (Instance(name, load) for name in scenario.candidates)
    if loads == 1:
        yield Instance(scenario.baseline, 2, twin=True)


def _round(
    scenario: Scenario,
    instances: tuple[Instance, ...],
    number: int,
    seed: int,
    marks: Mapping[str, str],
) -> tuple[Trial, ...]:
    """The trials of round *number*, from 1. The candidates do not enter the seed: all are asked the same."""
    order = rng("order", scenario.name, seed, number).permutation(len(instances))
    asked = int(rng("round", scenario.name, seed, number).integers(2**62))
    trials = []
    for position, index in enumerate(order):
        instance = instances[index]
        name = f"{slug(instance.candidate)}.{instance.load}.r{number}"
        digest = _digest([marks[instance.candidate], instance.load, number])
        trials.append(Trial(f"{name}-{digest}", instance, number, position, asked))
    return tuple(trials)


# --- names ----------------------------------------------------------------------------------


def slug(name: str) -> str:
    """*name* for a file system: at most 24 of a-z, 0-9 and -; names that differ have slugs that differ.

    A name of which something is lost has a digest of it in its slug.

    >>> slug("by-day"), slug("Über 'heap', v2"), slug("東京")
    ('by-day', 'uber-heap-v2-7edab', 'candidate-8289e')
    """
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    kept = re.sub(r"[^a-z0-9]+", "-", plain.lower()).strip("-") or "candidate"
    if kept == name and len(kept) <= _SLUG_LETTERS:
        return kept
    tail = hashlib.blake2b(name.encode()).hexdigest()[:5]
    return f"{kept[: _SLUG_LETTERS - 6].rstrip('-')}-{tail}"


def _mark(scenario: Scenario, name: str, seed: int, what: Mapping[str, Json]) -> str:
    """A digest of everything that decides what the trials of candidate *name* do."""
    candidate = scenario.candidates[name]
    return _digest(
        {
            "scenario": scenario.name,
            "candidate": candidate,
            "streams": scenario.workload.streams,
            "driver": [scenario.workload.driver, scenario.workload.locustfile, scenario.workload.processes],
            "production": scenario.production,
            "lab": scenario.lab,
            "steps": [_step(step) for step in (*scenario.prepare, *scenario.round)],
            "isolation": scenario.isolation,
            "seed": seed,
            "what": what,
        }
    )


def _step(step: Step) -> Json:
    """A step as JSON, without a witness that it does not have: ids are as they were before there were any."""
    dumped = step.model_dump(mode="json")
    return {key: value for key, value in dumped.items() if key != "witness" or value is not None}


def _digest(value: object) -> str:
    """The first digits of a hash of *value*; equal values of frozen types give equal digits."""
    text = json.dumps(_jsonable(value), sort_keys=True, ensure_ascii=False)
    return hashlib.blake2b(text.encode()).hexdigest()[:_ID_DIGITS]


def _jsonable(value: object) -> Json:
    """Dataclasses and mappings as objects, sequences as lists."""
    if hasattr(value, "__dataclass_fields__"):
        return {key: _jsonable(getattr(value, key)) for key in value.__dataclass_fields__ if key not in _SAYS}
    if isinstance(value, Mapping):
        return {str(key): _jsonable(one) for key, one in value.items()}
    if isinstance(value, tuple | list):
        return [_jsonable(one) for one in value]
    return value
