"""The judge's operating characteristics: docs/calibration.md and its figures, made from simulated runs.

    python -m tests.benchmarks.characteristics           simulates anew (minutes), writes data and page
    python -m tests.benchmarks.characteristics picks      simulates only these rows anew
    python -m tests.benchmarks.characteristics --page     only writes the page again, from the data

All numbers of the page are in docs/calibration/data.json, which this program writes; the text
around them is here, and names none of them. A test draws the page again from the data, and
simulates some of the data again.
"""

import json
import math
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from lab import stats
from lab.model import LeastEffect, Verdict
from lab.weigh import ALPHA, LOOK
from tests.benchmarks import judge
from tests.benchmarks.judge import AT_THE_MARGIN, MANY, NULL, RUNS, Share
from tests.simulate import NOISES, Truth

DOCS = Path(__file__).parents[2] / "docs"
DATA = DOCS / "calibration" / "data.json"
PAGE = DOCS / "calibration.md"

SDS = (0.05, 0.10, 0.20)
ROUNDS = (10, 20, 40)
REDUCTIONS = (0.10, 0.125, 0.15, 0.175, 0.20, 0.25, 0.30, 0.40)
LEADS = (0.0, 0.05, 0.10, 0.20)
TIMES = (0.25, 0.5, 0.75, 1.0, 1.5, 2.0)
DIFFERENT = (0, 2, 5, 10)

Rows = dict[str, Any]
Data = dict[str, list[Rows]]


# --- the data -------------------------------------------------------------------------------


def cell(found: Share) -> Rows:
    """A share as the page needs it."""
    return {"share": round(found.value, 4), "low": round(found.low, 4), "high": round(found.high, 4)}


def coverage_rows() -> Iterable[Rows]:
    """By noise: described intervals, simultaneous ones, claims at the margin."""
    for noise in NOISES:
        single, together, claimed = judge.coverage(noise)
        yield {"noise": noise, "single": cell(single), "together": cell(together), "claimed": cell(claimed)}


def claims_rows() -> Iterable[Rows]:
    """By truth: runs with a claim about any of the candidates."""
    half = {name: effect / 2 for name, effect in AT_THE_MARGIN.items()}
    two = percent(0.02)
    at_margin = f"all differ by the margin, sd of a pair {percent(judge.SD_AT_MARGIN)}"
    truths: Mapping[str, tuple[Truth, float]] = {
        "nothing differs": (Truth(NULL), 0.10),
        "all differ by half of the margin": (Truth(half), 0.10),
        at_margin: (Truth(AT_THE_MARGIN, pair_sd=judge.SD_AT_MARGIN), 0.10),
        f"nothing differs, loads differ by {two}, least_effect {two}": (Truth(NULL, load_sd=0.02), 0.02),
        "the same without the twin": (Truth(NULL, load_sd=0.02, twin=False), 0.02),
    }
    for name, (truth, least) in truths.items():
        yield {"truth": name, "claimed": cell(judge.claimed(truth, least=least))}
    yield {"truth": f"{at_margin}, one candidate three times as noisy", "claimed": cell(judge.uneven_claimed())}
    apart = Truth(NULL, pair_sd=0.05, rounds=8, load_sd=0.03, loads=3, twin=False)
    found = judge.claimed(apart, least=0.02, profile="decide")
    name = f"nothing differs, loads differ by {percent(0.03)}, sd of a pair {percent(0.05)}, least_effect {two}"
    one = judge.claimed(replace(apart, rounds=20, loads=1, twin=True), least=0.02)
    yield {"truth": name, "claimed": cell(one)}
    yield {"truth": "the same with --profile decide", "claimed": cell(found)}


def power_rows() -> Iterable[Rows]:
    """By noise and rounds: how often a reduction is found, and the smallest effect that a run prints."""
    for sd in SDS:
        for rounds in ROUNDS:
            effect = -math.expm1(-stats.smallest_effect(sd, rounds, others=4, least=0.10, twin=True))
            found = [{"reduction": r, **cell(judge.power(r, sd=sd, rounds=rounds))} for r in REDUCTIONS]
            at = cell(judge.power(effect, sd=sd, rounds=rounds))
            yield {"sd": sd, "rounds": rounds, "smallest": round(effect, 4), "at_smallest": at, "found": found}


def pick_rows() -> Iterable[Rows]:
    """By how far the best is ahead: wrong recommendations, and decisions at all, in eight and in twenty rounds."""
    for lead in LEADS:
        for rounds in (8, 20):
            wrong, decided = judge.wrong_picks(lead, rounds=rounds)
            yield {"lead": lead, "rounds": rounds, "wrong": cell(wrong), "decided": cell(decided)}


def hard_rows() -> Iterable[Rows]:
    """By rounds: recommended, and just beyond the margin from the best."""
    for rounds in (8, *ROUNDS):
        with_, out = (cell(judge.hard_picks(rounds=rounds, out=out)) for out in (False, True))
        yield {"rounds": rounds, "wrong": with_, "out": out}


def requirement_rows() -> Iterable[Rows]:
    """By the true share of operations over a limit: any of five candidates met, any missed."""
    for times in TIMES:
        met, missed = (judge.requirement(times, verdict) for verdict in (Verdict.MET, Verdict.NOT_MET))
        yield {"limits": 1, "times": times, "met": cell(met), "missed": cell(missed)}
    met, missed = (judge.all_of_three(verdict) for verdict in (Verdict.MET, Verdict.NOT_MET))
    yield {"limits": 3, "times": 1.0, "met": cell(met), "missed": cell(missed)}


def look_rows() -> Iterable[Rows]:
    """By how many of twenty described metrics differ: marks that are false, differences that are marked."""
    for different in DIFFERENT:
        false, found = judge.looks(different)
        yield {"different": different, "false": cell(false), "found": cell(found) if different else None}


ROWS: Mapping[str, Callable[[], Iterable[Rows]]] = {
    "coverage": coverage_rows,
    "claims": claims_rows,
    "power": power_rows,
    "picks": pick_rows,
    "hard": hard_rows,
    "requirements": requirement_rows,
    "looks": look_rows,
}


# --- the page -------------------------------------------------------------------------------


def percent(share: float) -> str:
    """
    >>> percent(0.0432), percent(0.1)
    ('4.3 %', '10 %')
    """
    return f"{share * 100:.1f}".removesuffix(".0") + " %"


def said(one: Mapping[str, float] | None) -> str:
    """A share with its interval."""
    if one is None:
        return ""
    return f"{percent(one['share'])} ({percent(one['low'])} to {percent(one['high'])})"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table, the first column left, the others right."""
    lines = [head, [":--", *["--:"] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def page(data: Data) -> str:
    """docs/calibration.md."""
    return TEXT.format(
        **SUPPOSED,
        coverage=table(
            ["noise", "described intervals", "all simultaneous intervals", "runs that claim"],
            [
                [one["noise"], said(one["single"]), said(one["together"]), said(one["claimed"])]
                for one in data["coverage"]
            ],
        ),
        claims=table(["truth", "runs that claim anything"], [[o["truth"], said(o["claimed"])] for o in data["claims"]]),
        power_table=table(
            ["sd of a pair", "rounds", "smallest effect printed", "found when planted"],
            [[*setting(one), percent(one["smallest"]), said(one["at_smallest"])] for one in data["power"]],
        ),
        curves=table(
            ["sd of a pair", "rounds", *(percent(r) for r in REDUCTIONS)],
            [[*setting(one), *(percent(f["share"]) for f in one["found"])] for one in data["power"]],
        ),
        figures="\n".join(f"![{figure_title(sd)}](calibration/{figure_name(sd)})" for sd in SDS),
        picks=table(
            ["the best is ahead by", "rounds", "wrong recommendations", "runs that decide"],
            [[percent(o["lead"]), str(o["rounds"]), said(o["wrong"]), said(o["decided"])] for o in data["picks"]],
        ),
        hard=table(
            ["rounds", "wrong recommendations", "wrong, the baseline out"],
            [[str(one["rounds"]), said(one["wrong"]), said(one["out"])] for one in data["hard"]],
        ),
        limits=table(
            ["limits", "true share over each, of that allowed", "any said to meet all", "any said to miss one"],
            [
                [str(one["limits"]), f"{one['times']:g}", said(one["met"]), said(one["missed"])]
                for one in data["requirements"]
            ],
        ),
        marks=table(
            [f"metrics that differ, of {MANY}", "false marks", "differences marked"],
            [[str(one["different"]), said(one["false"]), said(one["found"])] for one in data["looks"]],
        ),
    )


def setting(one: Rows) -> tuple[str, str]:
    """The noise and the rounds of a row."""
    return percent(one["sd"]), str(one["rounds"])


SUPPOSED: Mapping[str, str] = {
    "runs": f"{RUNS:,}",
    "candidates": str(len(NULL)),
    "rounds": str(Truth(NULL).rounds),
    "least": percent(LeastEffect().time),
    "sd": percent(Truth(NULL).pair_sd),
    "sd_at_margin": percent(judge.SD_AT_MARGIN),
    "level": percent(1 - ALPHA),
    "alpha": percent(ALPHA),
    "half_alpha": percent(ALPHA / 2),
    "look": percent(LOOK),
    "power": percent(0.80),
    "margin": percent(-math.expm1(-judge.MARGIN)),
    "limit": judge.LIMIT.metric.rpartition(".")[2].removesuffix("_ms"),
    "operations": str(judge.OPERATIONS),
    "many": str(MANY),
    "differ": percent(judge.DIFFERENCE),
}
"""What the runs have in common, from where it is decided."""

TEXT = """\
# How the judge was calibrated

Made by `make characteristics` (tests/benchmarks/characteristics.py), as every number here; `make bench` gives the
same as figures with goals. Each line is {runs} simulated runs with a truth that was chosen, judged by the code
that judges real ones (lab/weigh.py), with an interval of {level} in parentheses. Where nothing else is said a run has
{candidates} candidates and the baseline's twin, {rounds} rounds, a least effect of {least}, and a standard deviation of
the log ratio of one pair ("sd of a pair") of {sd}.

The kinds of noise (tests/simulate.py) are laid over time, as on a machine, and fall on whoever is driven then.

## Do the intervals hold the truth, and is the margin respected?

Every candidate's truth lies exactly at the margin, better or worse; the sd of a pair is {sd_at_margin}. Described
intervals hold the truth in {level} of cases each, the simultaneous ones all together in as many runs; a claim of
better or worse would be false, and is to be made in at most {alpha} of the runs.

{coverage}

## What is claimed, by the truth

{claims}

The twin is one draw of the difference between two loads. It keeps the small differences of loading from being
claimed; where loads differ by more than the least effect, only several loads can tell (`--profile decide`).

## How large must a difference be to be found?

One of the candidates is better than the others, which do not differ. A run prints the smallest effect that it finds in
{power} of runs; this is how often it is found when planted:

{power_table}

And by the true reduction, how often that candidate is called better. A reduction exactly at the margin is one
of {margin}.

{curves}

{figures}

## Is the pick right?

The best is ahead of the baseline by so much, another is near the baseline, two are worse. A recommendation is wrong if
it is worse than the best by more than the margin; it is to be so in at most {half_alpha} of the runs.

{picks}

The hardest case: three candidates, the baseline far off, or out by a requirement that it misses, and the challenger
that is listed first just beyond the margin from the other.

{hard}

## Requirements

A limit on {limit}, with {operations} operations of each candidate in each trial, the share of operations over the limit
varying from trial to trial by half of itself. At a true share of exactly that allowed, being said to meet it is wrong
for every candidate, and so is being said to miss it; either is to happen to any of them in at most {alpha} of the runs.
Who is said to meet must pass all limits; of several limits one that is missed is enough to be out, so that with each
limit more a candidate that meets them all may be out by chance, which costs a candidate and recommends none.

{limits}

## Marks on what is described

Two candidates, the twin, and {many} described metrics, some of which differ by {differ}. Of the marks "look here" at
most {look} are to be false.

{marks}
"""


# --- figures --------------------------------------------------------------------------------

WIDTH, HEIGHT, LEFT, TOP, RIGHT, BOTTOM = 640, 320, 60, 40, 110, 50
SHADES = {10: "#9aa7b5", 20: "#4c78a8", 40: "#1b2f4b"}


def figure_name(sd: float) -> str:
    """The file of one sd's figure."""
    return f"power-sd{round(sd * 100)}.svg"


def figure_title(sd: float) -> str:
    """What it shows."""
    return f"Share of runs that find a reduction, sd of a pair {percent(sd)}"


def figure(data: Data, sd: float) -> str:
    """Power against the true reduction, a line for each number of rounds."""
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" font-family="sans-serif"'
        ' font-size="12">',
        f"<title>{figure_title(sd)}</title>",
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>',
        f'<text x="{LEFT}" y="22" font-size="14">{figure_title(sd)}</text>',
    ]
    for share in (0.0, 0.2, 0.4, 0.6, 0.8, 1.0):
        x, y = place(REDUCTIONS[0], share)
        end, _ = place(REDUCTIONS[-1], share)
        shade = "#c44e52" if share == 0.8 else "#dddddd"
        lines.append(f'<line x1="{x}" y1="{y}" x2="{end}" y2="{y}" stroke="{shade}"/>')
        lines.append(f'<text x="{x - 8}" y="{y + 4}" text-anchor="end">{percent(share)}</text>')
    for reduction in (0.1, 0.2, 0.3, 0.4):
        x, y = place(reduction, 0.0)
        lines.append(f'<text x="{x}" y="{y + 18}" text-anchor="middle">{percent(reduction)}</text>')
    x, y = place(0.25, 0.0)
    lines.append(f'<text x="{x}" y="{y + 38}" text-anchor="middle">true reduction of the objective</text>')
    for one in data["power"]:
        if one["sd"] == sd:
            lines += curve(one)
    return "\n".join([*lines, "</svg>", ""])


def curve(one: Rows) -> list[str]:
    """One line and its label; labels stand below each other, so that lines that end together can be told apart."""
    rounds = int(str(one["rounds"]))
    points = [place(f["reduction"], f["share"]) for f in one["found"]]
    path = " ".join(f"{x},{y}" for x, y in points)
    y = TOP + 16 * (1 + ROUNDS.index(rounds))
    return [
        f'<polyline points="{path}" fill="none" stroke="{SHADES[rounds]}" stroke-width="2"/>',
        f'<text x="{WIDTH - RIGHT + 12}" y="{y}" fill="{SHADES[rounds]}">{rounds} rounds</text>',
    ]


def place(reduction: float, share: float) -> tuple[float, float]:
    """Where a point is drawn."""
    x = LEFT + (reduction - REDUCTIONS[0]) / (REDUCTIONS[-1] - REDUCTIONS[0]) * (WIDTH - LEFT - RIGHT)
    return round(x, 1), round(TOP + (1 - share) * (HEIGHT - TOP - BOTTOM), 1)


def pages(data: Data) -> dict[Path, str]:
    """Every file that is drawn from the data."""
    return {PAGE: page(data), **{DATA.parent / figure_name(sd): figure(data, sd) for sd in SDS}}


def main(words: list[str]) -> int:
    """Simulate (unless --page), then write the page."""
    if "--page" not in words:
        made = json.loads(DATA.read_text(encoding="utf-8")) if words else {}
        for name in words or ROWS:
            print(f"simulating: {name}", flush=True)
            made[name] = list(ROWS[name]())
        made = {name: made[name] for name in ROWS}
        DATA.parent.mkdir(exist_ok=True)
        DATA.write_text(json.dumps(made, indent=1) + "\n", encoding="utf-8")
    for path, text in pages(json.loads(DATA.read_text(encoding="utf-8"))).items():
        path.write_text(text, encoding="utf-8")
        print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
