"""Which values the partitions of a table take, by their bounds as the server words them."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime

_RANGE = re.compile(r"FOR VALUES FROM \((?P<low>[^,]+)\) TO \((?P<high>[^,]+)\)")
_LIST = re.compile(r"FOR VALUES IN \((?P<values>.*)\)")
_VALUE = re.compile(r"'(?:[^']|'')*'|[^,\s]+")
_NUMBER = re.compile(r"'?(-?\d+)'?")


def checks(bounds: Sequence[str]) -> tuple[str, ...]:
    """What a column of whole numbers, or one of listed values, must hold for a row to be taken, as CHECKs about VALUE.

    >>> checks(["FOR VALUES FROM (MINVALUE) TO (10)", "FOR VALUES FROM (10) TO ('90')", "DEFAULT"])
    ('(VALUE >= 10)', '(VALUE < 90)')
    >>> checks(["FOR VALUES IN ('a', 'it''s')", "FOR VALUES IN (NULL)"])
    ("(VALUE = ANY (ARRAY['a', 'it''s']))",)
    """
    listed = [value for one in bounds if (found := _LIST.fullmatch(one)) for value in _VALUE.findall(found["values"])]
    if listed := [one for one in listed if one != "NULL"]:
        return (f"(VALUE = ANY (ARRAY[{', '.join(listed)}]))",)
    low, high = ([_NUMBER.fullmatch(one) for one in side] for side in _sides(bounds))
    if not low or not high or not all((*low, *high)):
        return ()
    least, most = (limit(int(one[1]) for one in side if one) for limit, side in ((min, low), (max, high)))
    return (f"(VALUE >= {least})", f"(VALUE < {most})")


def span(bounds: Sequence[str]) -> tuple[datetime, datetime] | None:
    """From when to when there are partitions, in UTC, None where the bounds are no times.

    >>> found = span(["FOR VALUES FROM ('2026-02-01') TO ('2026-03-01 02:00+02')", "FOR VALUES FROM (MINVALUE) TO (0)"])
    >>> found is None, [str(one) for one in span(["FOR VALUES FROM ('2026-02-01') TO ('2026-03-01 02:00:00+02')"])]
    (True, ['2026-02-01 00:00:00+00:00', '2026-03-01 00:00:00+00:00'])
    """
    low, high = _sides(bounds)
    try:
        begin, end = [_utc(one) for one in low], [_utc(one) for one in high]
    except ValueError:
        return None
    return (min(begin), max(end)) if begin and end else None


def _utc(words: str) -> datetime:
    found = datetime.fromisoformat(words.strip("'"))
    return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)


def _sides(bounds: Sequence[str]) -> tuple[list[str], list[str]]:
    """The lower and the upper bounds, open ones left out."""
    found = [one for bound in bounds if (one := _RANGE.fullmatch(bound))]
    low = [one["low"] for one in found if one["low"] != "MINVALUE"]
    return low, [one["high"] for one in found if one["high"] != "MAXVALUE"]
