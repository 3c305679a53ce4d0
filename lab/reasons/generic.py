"""Generic plans: one plan for all values, or one for each call's values."""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial

from lab.model import Query
from lab.reasons import MANUAL, Cite, Reason, Side, named, own_fact

NAME = "generic"
_PAGE = f"{MANUAL}sql-prepare.html#SQL-PREPARE-NOTES"


def explain(own: Side, base: Side, queries: Sequence[Query]) -> Iterator[Reason]:
    """A query for which the server keeps one plan for all values on one side, and plans anew on the other."""
    for query in queries:
        modes = {"own": _modes(own, query.name), "base": _modes(base, query.name)}
        if not all(modes.values()) or _kept(modes["own"]) == _kept(modes["base"]):
            continue
        blocks = {f"{side}_{mode}": found["blocks"][mode] for side, found in modes.items() for mode in found["blocks"]}
        cite = partial(own_fact, NAME, own, query.name)
        mine, theirs = ([cite(f"{side}_{mode}", "number") for mode in _MODES] for side in modes)
        kept, anew = (own, base) if _kept(modes["own"]) else (base, own)
        pieces = (
            "after some calls the server keeps a plan for all values with ",
            named(kept),
            ", and goes on planning for each call's values with ",
            named(anew),
            "; ",
            *_told(own, mine),
            "; ",
            *_told(base, theirs),
            ".",
        )
        yield Reason(NAME, own.instance.candidate, query.name, pieces, _PAGE, blocks)


_MODES = ("generic", "custom")


def _told(one: Side, cites: Sequence[Cite]) -> tuple[str | Cite, ...]:
    generic, custom = cites
    return (named(one), " touches ", generic, " blocks with a plan for all values and ", custom, " with one for each")


def _modes(one: Side, query: str) -> Mapping[str, Mapping[str, float]]:
    """What modes.py found of a query, {} where it did not look."""
    found: Mapping[str, Mapping[str, float]] = one.report.get("queries", {}).get(query, {})
    return found if "chosen" in found and "blocks" in found else {}


def _kept(found: Mapping[str, Mapping[str, float]]) -> bool:
    return found["chosen"]["generic"] > found["chosen"]["custom"]
