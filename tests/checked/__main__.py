"""Hold every reason of a plan against a server and the stored trials, without the lab's own counting.

    python -m tests.checked RUN PLAN.md [RUN PLAN.md ...]       prints docs/checked.md

The sentences of section Why are read as they are printed. Each candidate's rows are loaded once more,
on an embedded server with the run's settings, and each figure is found again with plain SQL: EXPLAIN
(ANALYZE, BUFFERS), pg_locks, pg_prepared_statements, pg_partition_tree, pg_indexes_size, pg_get_wal_stats.
What is about the rounds is reckoned from the stored facts and operations. Loading and drawing parameters
are the lab's; no rule, no count pass and no judge of it has a part in the numbers here. Times of planning
are other times on another day: of them the order is held.

The exit status is 1 where a sentence does not agree or is of a kind that nobody checks.
"""

import itertools
import math
import re
import statistics
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from scipy.stats import t

from lab import judge, store
from tests.checked.found import Rounds, Server, Shown, server

ROUNDING = 0.006  # a figure is printed to three digits
TEMPORARY = 0.1  # temporary files of parallel workers are never twice the same: 27.0 to 29.2 MiB over four loads
UNITS = {"KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "us": 1e-3, "s": 1e3}
FEW = 16  # a figure that may be one of many says nothing
N = r"[-+]?[\d,]*\.?\d+(?:e-?\d+)?"


# --- what the plan says ----------------------------------------------------------------------


class Said(NamedTuple):
    """A sentence of section Why."""

    candidate: str
    query: str
    words: str


def sentences(plan: str) -> list[Said]:
    """The sentences of section Why, in their order."""
    why = plan.split("\n## Why\n")[1].split("\n## ")[0].split("The plans side by side")[0]
    found, candidate = [], ""
    for line in why.splitlines():
        if named := re.fullmatch(r"\*\*`(.+)`\*\*", line):
            candidate = named[1]
        elif line.startswith("- "):
            words = re.sub(r" \(\[manual\]\(\S+\)\)$", "", line[2:])
            query, _, rest = words.partition(": ") if re.match(r"`\w+`: ", words) else ("", "", words)
            found.append(Said(candidate, query.strip("`"), rest))
    return found


def number(text: str) -> float:
    """A printed figure; bytes, ms and shares.

    >>> number("1,363"), number("63.5 KiB"), number("40.2 %"), number("0.5 us")
    (1363.0, 65024.0, 0.402, 0.0005)
    """
    figure, _, unit = text.replace(",", "").partition(" ")
    return float(figure) * (0.01 if unit == "%" else UNITS.get(unit, 1.0))


class Compared(NamedTuple):
    """A figure as it is said and as it was found."""

    said: float
    seen: float
    within: float = ROUNDING

    @property
    def agrees(self) -> bool:
        """The same but for rounding."""
        return abs(self.said - self.seen) <= self.within * max(abs(self.said), abs(self.seen)) + 1e-9


def nearest(said: float, seen: Sequence[float], within: float = ROUNDING) -> Compared:
    """A figure that hangs on what ANALYZE drew, against each that it may be."""
    return Compared(said, min(seen, key=lambda one: abs(one - said)), within)


class Case(NamedTuple):
    """What a check looks at: the sentence's sides, and everything that was found."""

    said: Said
    baseline: str
    servers: Mapping[str, Server]
    rounds: Rounds
    weights: Mapping[str, Mapping[str, float]]

    def shown(self, side: str) -> Shown:
        """The query on one side."""
        return self.servers[side].queries[self.said.query]


Check = Callable[[Case, re.Match[str]], Iterator[Compared | bool]]
CHECKS: dict[str, tuple[re.Pattern[str], Check]] = {}
_U = rf"{N}(?: (?:[KMG]iB|bytes|%|ms|us|s))?"


def check(kind: str, pattern: str) -> Callable[[Check], Check]:
    """Register how sentences of a form are checked. In *pattern* X stands for a name and # for a figure."""
    made = re.escape(pattern).replace("X", "`(.+?)`").replace(r"\#", f"({_U})")

    def keep(function: Check) -> Check:
        CHECKS[kind] = re.compile(made.replace(r"\~", ".*")), function
        return function

    return keep


@check(
    "blocks",
    "X touches ~ blocks than X: # per call against #; "
    "weighted by the mix that is # of all blocks by which the mix differs.",
)
def _blocks(case: Case, found: re.Match[str]) -> Iterator[Compared | bool]:
    own, base, mine, theirs, part = found.groups()
    gap, others = 0.0, []
    for name, weight in case.weights[own].items():
        mine_drawn, theirs_drawn = (case.servers[side].queries[name].drawn for side in (own, base))
        if name == case.said.query:
            gap = weight * abs(statistics.median(mine_drawn) - statistics.median(theirs_drawn))
        else:  # by the run's drawings it had one of these differences or, where they were several, may not have counted
            each = {weight * abs(one - other) for one in mine_drawn for other in theirs_drawn}
            others.append(each if len(each) == 1 else {0.0, *each})
    wholes = {gap + sum(rest) for rest in itertools.product(*others)}
    yield Compared(number(mine), case.shown(own).blocks)
    yield Compared(number(theirs), case.shown(base).blocks)
    yield len(wholes) <= FEW and nearest(number(part), [gap / whole for whole in wholes], 0.02).agrees
    yield ("fewer" in found[0]) == (case.shown(own).blocks < case.shown(base).blocks)


@check("filtered", "X reads and throws away # rows per call, in the calls that were looked at; X throws away #.")
def _filtered(case: Case, found: re.Match[str]) -> Iterator[Compared | bool]:
    own, mine, base, theirs = found.groups()
    yield Compared(number(mine), case.shown(own).removed)
    yield Compared(number(theirs), case.shown(base).removed)


@check("index_only", "X reads this from an index alone~: # per call while counting~; X has no such scan.")
def _index_only(case: Case, found: re.Match[str]) -> Iterator[Compared | bool]:
    own, fetched, base = found.groups()
    yield case.shown(own).from_index and not case.shown(base).from_index
    yield Compared(number(fetched), case.shown(own).fetched)


@check(
    "locks",
    "X takes # relation locks per call, # of them in the shared lock table, where sessions contend; X takes # and #.",
)
def _locks(case: Case, found: re.Match[str]) -> Iterator[Compared | bool]:
    own, locks, missed, base, others, other_missed = found.groups()
    yield Compared(number(locks), case.shown(own).locks)
    yield Compared(number(missed), case.shown(own).misses)
    yield Compared(number(others), case.shown(base).locks)
    yield Compared(number(other_missed), case.shown(base).misses)


@check(
    "planning",
    "X takes # to plan it anew and locks # relations per call~; "
    "X takes # to plan it anew and locks # relations per call~.",
)
def _planning(case: Case, found: re.Match[str]) -> Iterator[Compared | bool]:
    own, took, locks, base, other_took, other_locks = found.groups()
    for side, ms, held in ((own, took, locks), (base, other_took, other_locks)):
        yield Compared(number(ms), min(case.shown(side).planning), math.inf)
        shown = case.shown(side)  # a plan for all values locks less: nothing is planned
        yield nearest(number(held), [shown.locks, *shown.locks_by_mode.values()])
    mine, theirs = (min(case.shown(side).planning) for side in (own, base))
    yield (mine > theirs) == (number(took) > number(other_took))
    yield (case.shown(own).locks > case.shown(base).locks) == (mine > theirs)
    for side, leaves in re.findall(rf"`([^`]+)` takes [^`]*?tree: ({N})\)", found[0]):
        yield Compared(number(leaves), case.servers[side].leaves)
    if share := re.search(rf"planning was ({_U}) of the server time", found[0]):
        yield Compared(number(share[1]), case.rounds.planning(own, case.said.query))


@check("pruning", "relations scanned per call: X #~, X #~.")
def _pruning(case: Case, found: re.Match[str]) -> Iterator[Compared | bool]:
    own, _, base, _ = found.groups()
    for side, other in ((own, base), (base, own)):
        (told,) = re.findall(rf"`{re.escape(side)}` ({N})( \(.*?\))?", found[0].replace(f"`{other}`", "|"))
        yield Compared(number(told[0]), case.shown(side).scanned)
        if not told[1]:
            continue
        (leaves,) = re.findall(rf"of ({N}) partitions", told[1])
        yield Compared(number(leaves), case.shown(side).leaves)
        for words, left in case.shown(side).left.items():
            said = re.search(rf"({N}) {words}", told[1])
            yield Compared(number(said[1]) if said else 0.0, left)


@check(
    "generic",
    "after some calls the server keeps a plan for all values with X, and goes on planning for each call's "
    "values with X; X touches # blocks with a plan for all values and # with one for each; "
    "X touches # blocks with a plan for all values and # with one for each.",
)
def _generic(case: Case, found: re.Match[str]) -> Iterator[Compared | bool]:
    keeps, goes_on, *sides = found.groups()
    yield case.shown(keeps).keeps and not case.shown(goes_on).keeps
    for side, generic, custom in (sides[:3], sides[3:]):
        yield nearest(number(generic), case.shown(side).by_mode["generic"])
        yield nearest(number(custom), case.shown(side).by_mode["custom"])


@check("indexes", "X has # of indexes and writes #/row to the write-ahead log while loading; X has # and writes #/row.")
def _indexes(case: Case, found: re.Match[str]) -> Iterator[Compared | bool]:
    own, has, wal, base, other, other_wal = found.groups()
    for side, size, written in ((own, has, wal), (base, other, other_wal)):
        yield Compared(number(size), case.servers[side].index_bytes)
        yield Compared(number(written), case.servers[side].wal_per_row)


@check("estimates", "X's plan rests on a wrong estimate: # rows expected of X, # came; no node of X's is that far off.")
def _estimates(case: Case, found: re.Match[str]) -> Iterator[Compared | bool]:
    one, planned, node, came, other = found.groups()
    kind = node.split(" ")[0]
    like = [(p, a) for words, p, a in case.shown(one).nodes if words.split(" ")[0] == kind]
    said = (number(planned), number(came))
    nearest = min(like, key=lambda seen: abs(math.log(max(seen[0], 1) / said[0])))
    yield Compared(said[0], nearest[0], 0.05)  # a sample of the table is analysed, another time another
    yield Compared(said[1], nearest[1])
    yield max(said) / max(1.0, min(said)) > 10
    del other


@check(
    "parallel",
    "X is answered with # parallel workers per call (# planned), X with # (# planned); "
    "each is a process that is started for the call.",
)
def _parallel(case: Case, found: re.Match[str]) -> Iterator[Compared | bool]:
    own, launched, planned, base, others, other_planned = found.groups()
    for side, there, meant in ((own, launched, planned), (base, others, other_planned)):
        yield Compared(number(there), case.shown(side).launched)
        yield Compared(number(meant), case.shown(side).planned)


@check("spill", "X moves # per call through temporary files; X moves #.")
def _spill(case: Case, found: re.Match[str]) -> Iterator[Compared | bool]:
    own, mine, base, theirs = found.groups()
    yield Compared(number(mine), case.shown(own).temp, TEMPORARY)
    yield Compared(number(theirs), case.shown(base).temp, TEMPORARY)


@check(
    "server_time",
    "X spends ~ server time on it than X, # per operation of the mix against # (difference # to #, at 95 %): "
    "# of all by which the queries' times differ. Planning differs by #, execution by #; ~.",
)
def _server_time(case: Case, found: re.Match[str]) -> Iterator[Compared | bool]:
    own, base, mine, theirs, low, high, part, planning, execution = found.groups()
    every_one = {name: case.rounds.differences(own, base, name) for name in case.weights[own]}
    gaps, own_ms, base_ms, plan, spent = every_one[case.said.query]
    half = float(t.ppf(0.975, len(gaps) - 1)) * statistics.stdev(gaps) / math.sqrt(len(gaps))
    mean = statistics.fmean(gaps)
    whole = sum(abs(statistics.fmean(one[0])) for one in every_one.values())
    for said, seen in (
        (mine, own_ms), (theirs, base_ms), (low, mean - half), (high, mean + half),
        (part, abs(mean) / whole), (planning, plan), (execution, spent),
    ):  # fmt: skip
        yield Compared(number(said), seen)
    yield ("less" in found[0]) == (mean < 0)
    if named := re.search(rf"factor: ({N}) (blocks|relation locks|relations scanned) per call against ({N})", found[0]):
        key = {"blocks": "blocks", "relation locks": "locks", "relations scanned": "scanned"}[named[2]]
        yield Compared(number(named[1]), getattr(case.shown(own), key))
        yield Compared(number(named[3]), getattr(case.shown(base), key))


@check(
    "bloat",
    "over the rounds, with as many rows as before, the tables of X have come to # (#), and those of X to # (#): ~.",
)
def _bloat(case: Case, found: re.Match[str]) -> Iterator[Compared | bool]:
    own, mine, grown, base, theirs, other = found.groups()
    for side, now, share in ((own, mine, grown), (base, theirs, other)):
        _, seen = case.rounds.tables[f"{side}.1"]
        yield Compared(number(now), seen)
        yield Compared(number(share), seen / case.servers[side].table_bytes - 1, 0.02)


@check(
    "cache",
    "over the rounds # of the blocks that the mix asked X for were not in shared buffers, and # of those of "
    "X; when counted, there were # against # in all.",
)
def _cache(case: Case, found: re.Match[str]) -> Iterator[Compared | bool]:
    mine, own, theirs, base, size, other = found.groups()
    yield Compared(number(mine), case.rounds.missed(own))
    yield Compared(number(theirs), case.rounds.missed(base))
    yield Compared(number(size), case.servers[own].total_bytes)
    yield Compared(number(other), case.servers[base].total_bytes)


@check(
    "unstable",
    "the plan of X hangs on the rows that ANALYZE happens to draw: # drawings gave from # to # blocks per call~; ~.",
)
def _unstable(case: Case, found: re.Match[str]) -> Iterator[Compared | bool]:
    one, _, low, high = found.groups()
    drawn = case.shown(one).drawn
    yield Compared(number(low), min(drawn))
    yield Compared(number(high), max(drawn))
    yield len(set(drawn)) > 1


# --- the page --------------------------------------------------------------------------------


def checked(folder: Path, plan: str) -> Iterator[tuple[Said, str, list[Compared | bool]]]:
    """Each sentence of *plan* with its kind ("" where nobody checks it) and what came of it."""
    stored = store.read(folder)
    read = judge.scenario_of(stored.run)
    data = judge.judge(folder).data()
    out = {one for doubt in data["doubts"] if doubt["kind"] in OUT for one in doubt["trials"]}
    explains = {one.instance.candidate: one.explains for one in stored.prepared if not one.instance.twin}
    told = sentences(plan)
    often: dict[str, dict[str, set[str]]] = {name: {} for name in read.candidates}
    for one in told:
        for kind, what in {"unstable": "plan", "generic": "modes"}.items():
            if found := CHECKS[kind][0].fullmatch(one.words):
                for side in {group for group in found.groups() if group in often}:
                    often[side].setdefault(one.query, set()).add(what)
    servers = {name: server(read, name, stored.run, explains[name], often[name]) for name in read.candidates}
    weights = {name: {query.name: query.weight for query in one.queries} for name, one in read.candidates.items()}
    rounds = Rounds(folder, out)
    for said in told:
        case = Case(said, read.baseline, servers, rounds, weights)
        for kind, (pattern, look) in CHECKS.items():
            if found := pattern.fullmatch(said.words):
                yield said, kind, list(look(case, found))
                break
        else:
            yield said, "", []


OUT = ("overloaded", "generator")
"""The doubts of a plan by which a trial is no evidence about time."""


def agree(came: Sequence[Compared | bool]) -> bool:
    """Was there something to compare, and all of it the same?"""
    return bool(came) and all(one if isinstance(one, bool) else one.agrees for one in came)


def lines(folder: Path, plan: str) -> Iterator[tuple[str, bool]]:
    """The page's lines about one plan, each with whether it agrees."""
    stored = store.read(folder)
    yield f"\n## {stored.run['scenario']['name']}, run {folder.name}\n", True
    yield "| candidate | about | rule | said, and found again | agrees |\n|:--|:--|:--|:--|:--|", True
    for said, kind, came in checked(folder, plan):
        pairs = [f"{one.said:.4g} {one.seen:.4g}" for one in came if isinstance(one, Compared)]
        agrees = agree(came)
        words = "; ".join(pairs) if agrees else f"{said.words} {came}"
        about = f"`{said.query}`" if said.query else ""
        yield f"| `{said.candidate}` | {about} | {kind or 'none'} | {words} | {'yes' if agrees else 'NO'} |", agrees


PAGE = """\
# Reasons, held against servers

Made by `python -m tests.checked RUN PLAN.md ...` (tests/checked/), which reads the sentences of a plan's section *Why*
and finds each figure again without the rules, the count pass and the judge of the lab; how, its docstring says.
[reasons.md](reasons.md) has the SQL to do the same by hand. Of each row: the figure as the plan prints it, then as it
was found; bytes, ms and shares. Planning takes other times on another day: of these the order of the two sides is
held, by the shortest of many, and that with it more relations are locked. Temporary files may differ by 10 %: those of
parallel workers do from load to load. Whether a plan for all values is kept, and which plan is made, may hang on the
rows that ANALYZE draws: locks are held against those of either plan, blocks by the way of planning against those of
each of several drawings, and a query's part of the mix's blocks against the sums that those of queries with several
plans may make, which must be few.
"""


def main(words: Sequence[str]) -> int:
    """Print the page of the runs and plans in *words*; 1 where a sentence does not agree."""
    bad = 0
    print(PAGE, end="")
    for folder, plan in zip(words[::2], words[1::2], strict=True):
        for line, agrees in lines(Path(folder), Path(plan).read_text(encoding="utf-8")):
            bad += not agrees
            print(line, flush=True)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
