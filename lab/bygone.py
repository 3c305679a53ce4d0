"""The author's steps of rounds that went before, for an instance that begins at a later window: a resumed run's.

The tables are then as these rounds would have left them: partitions made for rows that were appended since, and
those of rows that were retired dropped.
"""

import itertools
from collections.abc import Iterator, Mapping, Sequence

from lab import timeline
from lab.kept import Kept
from lab.sources import Source
from lab.trial import Tools, author, bounds_of, moving


def before_rows(kept: Kept, round_: Sequence[timeline.Step], tools: Tools) -> None:
    """What must be there before the rows of the window are brought in."""
    for bounds in _appended(kept, round_, tools):
        author(kept, "before_append", bounds)


def after_rows(kept: Kept, round_: Sequence[timeline.Step], tools: Tools) -> None:
    """What was done to rows that came, and to those that are not there any more."""
    for bounds in _appended(kept, round_, tools):
        author(kept, "after_append", bounds)
    for source in moving(tools.sources):
        for bounds in _windows(source, 0, kept.span.retired, [tools.window_rows]):
            author(kept, "retire", bounds)


def _appended(kept: Kept, round_: Sequence[timeline.Step], tools: Tools) -> Iterator[Mapping[str, str]]:
    rows = [step.rows for step in round_ if isinstance(step, timeline.Append) and step.rows]
    for source in moving(tools.sources):
        yield from _windows(source, source.rows, source.rows + kept.span.appended, rows)


def _windows(source: Source, first: int, last: int, rows: Sequence[int]) -> Iterator[Mapping[str, str]]:
    """The bounds of rows [first, last) by windows of so many *rows*, in turn."""
    for many in itertools.cycle(rows):
        if first >= last:
            return
        yield bounds_of(source, first, first + many)
        first += many
