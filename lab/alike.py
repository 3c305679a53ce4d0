"""Rows alike to a server's: what its pg_stats say of a column takes the place of what was guessed after the schema.

    likely's rows, pg_stats -> nulls, different values, skew or order, widths -> data.yaml

Values are invented all the same; those of pg_stats are rows' own, and come only where the user consents. What the
schema demands stays as it was: keys, foreign keys, CHECKs.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from lab import frequencies, likely
from lab.bounds import LARGEST, TEXTS, Rules
from lab.likely import Dataset
from lab.model import Json
from lab.tables import Column, Table, rules_of

LEAST_ROWS = 1_000  # of a table, where it has as many
LEAST_EACH = 100  # rows for each value, below which there are fewer values than on the server
MOST_CHOICES = 20  # values that data.yaml lists one by one
MANY = 0.95  # of the rows have a value of their own: practically all
TIED = 0.1  # a correlation beyond chance
_HEADER, _JSONB = 1, 5  # bytes that a short text has in a row beside its letters, and a jsonb with one key


@dataclass(frozen=True)
class Seen:
    """A row of pg_stats. *distinct* is negative where it is a part of the rows; *shares* are of all rows, descending.

    *values* and *bounds* are rows' own, () without consent.
    """

    nulls: float
    width: float
    distinct: float
    shares: tuple[float, ...] = ()
    correlation: float | None = None
    values: tuple[str, ...] = ()
    bounds: tuple[str, ...] = ()

    def common(self) -> list[float]:
        """The shares of the most common values among the rows that have one."""
        return [one / (1 - self.nulls) for one in self.shares] if self.nulls < 1 else []

    def of(self, rows: float) -> float:
        """How many different values *rows* rows of the server's have."""
        return self.distinct if self.distinct >= 0 else -self.distinct * rows

    def whole(self) -> bool:
        """Are the most common values all there are?"""
        return 0 < self.distinct <= len(self.shares) and sum(self.common()) > 0.99


@dataclass(frozen=True)
class Counted:
    """A table of a server: its rows, None where nobody has counted them, and its columns as far as they were seen."""

    rows: float | None
    columns: Mapping[str, Seen] = field(default_factory=dict)


def sizes(counted: Mapping[str, Counted], rows: int) -> dict[str, int]:
    """How many rows each table gets, the largest *rows* at most: in the server's proportions, small ones whole.

    >>> sizes({"a": Counted(5e6), "b": Counted(50), "c": Counted(1e5), "d": Counted(None)}, 100_000)
    {'a': 100000, 'b': 50, 'c': 2000}
    """
    known = {name: one.rows for name, one in counted.items() if one.rows}
    scale = min(1.0, rows / max(known.values(), default=1))
    return {name: max(1, round(min(own, max(own * scale, LEAST_ROWS)))) for name, own in known.items()}


def adjusted(made: Dataset, tables: Sequence[Table], counted: Mapping[str, Counted], rows: int) -> Dataset:
    """*made* with what was seen in the place of what was guessed; its notes name what cannot be had together."""
    plan = _Plan({one.name: one for one in tables}, counted, made, rows)
    streams = {name: one if "files" in one else plan.stream(name, dict(one)) for name, one in made.streams.items()}
    told = likely.told(streams, made.entities, (*made.notes, *plan.notes), made.holes)
    return replace(told, whole=made.whole, left=made.left, method=made.method)


@dataclass
class _Plan:
    tables: Mapping[str, Table]
    counted: Mapping[str, Counted]
    made: Dataset
    rows: int
    notes: list[str] = field(default_factory=list)

    def stream(self, name: str, stream: dict[str, Json]) -> dict[str, Json]:
        """A table's stream, adjusted."""
        seen = self.counted[name].columns if name in self.counted else {}
        own = {one.name: one for one in self.tables[name].columns}
        time = stream.get("time", {}).get("column", "")
        if time in seen and (spread := _spread(seen[time], self._size(stream))):
            stream["time"] = {**stream["time"], **spread}
        columns: dict[str, Json] = {}
        for column, made in stream["columns"].items():
            if column not in seen:
                columns[column] = made
                continue
            nulls = round(seen[column].nulls, 4) if not own[column].not_null else 0
            way = made if column == time else self._column(name, own[column], seen[column], made)
            columns[column] = {**way, **({"nulls": nulls} if nulls else {})}
        return {**stream, "columns": columns}

    def _size(self, stream: Mapping[str, Json]) -> int:
        rows = stream.get("rows", self.rows)
        return rows if isinstance(rows, int) else self.made.entities[rows]

    def _column(self, table: str, column: Column, seen: Seen, made: Mapping[str, Json]) -> dict[str, Json]:
        """A column's way; what makes keys unique stays as it is, but for the width of texts."""
        rules = rules_of(self.tables[table], column)
        inside = any(column.name in key for key in self.tables[table].unique)
        if "of" in made and "sequence" not in made:
            return {**made, **self._keyed(f"{table}.{column.name}", seen, made["of"])}
        if "of" in made or "sequence" in made or inside:
            return {**made, **({} if made.keys() & {"of", "choices"} else _width(column, seen, rules))}
        if "choices" in made:
            return {**made, "choices": _labelled(list(made["choices"]), seen)}
        if column.type in ("json", "jsonb"):
            return {**made, **_width(column, seen, rules)}
        if "law" in made and (rules.least is not None or rules.most is not None):
            return {**made, **_order(seen, seen.of(self.counted[table].rows or self.rows))}
        return self._free(table, column, seen, made, rules)

    def _keyed(self, where: str, seen: Seen, entity: str) -> dict[str, Json]:
        """Which of the keys of *entity* a foreign key refers to, and how often."""
        keys = self.made.entities[entity]
        skew = frequencies.skew(seen.common(), keys)
        if skew != "uniform":
            return self._skewed(where, skew, seen, keys)
        there = self.counted[entity].rows if entity in self.counted else None
        used = seen.distinct / there if there and seen.distinct > 0 else 1.0
        if used < 0.5 and not _order(seen, keys):
            return {"skew": f"hotspot({frequencies.figures(max(used, 1 / keys))}, 1)"}
        return _order(seen, keys)

    def _skewed(self, where: str, skew: str, seen: Seen, keys: int) -> dict[str, Json]:
        if order := _order(seen, keys):
            self.notes.append(
                f"{where}: its values are skewed, and lie in an order (correlation {order['correlation']}), of which "
                "the rows have the skew alone"
            )
        return {"skew": skew}

    def _free(self, table: str, column: Column, seen: Seen, made: Mapping[str, Json], rules: Rules) -> dict[str, Json]:
        """A column that the schema leaves free: its values, how many and how often, in the lab's rows."""
        there = self.counted[table].rows or self.rows
        draws = self._size(self.made.streams[table]) * (1 - seen.nulls)
        width = _width(column, seen, rules)
        if draws < 1 or not seen.distinct:  # nobody has seen a value
            return {**made, **width}
        if seen.whole() and len(seen.shares) <= MOST_CHOICES and (values := _values(column, seen, width)):
            return {"type": made["type"], "choices": dict(zip(values, _rounded(seen.common()), strict=False))}
        distinct = _distinct(seen, there, draws)
        if distinct >= MANY * draws:
            return self._many(column, seen, made, rules) | width
        room = _room(column, width)
        keys, skew = frequencies.fitted(seen.common(), distinct, draws)
        if keys > room:
            keys, skew = room, frequencies.skew(seen.common(), room)
        way = self._skewed(f"{table}.{column.name}", skew, seen, keys) if skew != "uniform" else _order(seen, keys)
        return {"type": made["type"], "n_distinct": keys, **way, **width}

    def _many(self, column: Column, seen: Seen, made: Mapping[str, Json], rules: Rules) -> dict[str, Json]:
        """Practically a value for each row."""
        if "law" not in made:
            return {"type": made["type"]} if "n_distinct" not in made else {**made, "n_distinct": frequencies.MOST}
        most = min(LARGEST.get(column.type, 10**9), 10**9)
        low, high = rules.range(column.type, column.precision, column.scale)
        if column.type != "int2" and column.precision is None:
            low, high = 1, most
        elif column.precision is not None:
            high = 10 ** (column.precision - column.scale) - 1 if column.precision > column.scale else high
        if len(seen.bounds) > 1 and all(map(_finite, (seen.bounds[0], seen.bounds[-1]))):
            low, high = (_number(one, column) for one in (seen.bounds[0], seen.bounds[-1]))
        return {"type": made["type"], "law": f"uniform({low}, {high})", **_order(seen, 10**6)}


# --- a column by itself ---------------------------------------------------------------------


def _distinct(seen: Seen, there: float, draws: float) -> float:
    """How many different values the lab's rows have: the server's, unless few rows were then left for each.

    >>> few, many = Seen(0, 4, 5), Seen(0, 4, 50_000)
    >>> _distinct(few, 1e7, 1e5), _distinct(many, 1e7, 1e5), _distinct(many, 1e5, 1e5)
    (5, 1000.0, 50000)
    """
    if seen.distinct < 0:
        return -seen.distinct * draws / (1 - seen.nulls)
    return min(seen.distinct, max(draws / LEAST_EACH, seen.distinct * min(1.0, draws / there)))


def _order(seen: Seen, keys: float) -> dict[str, Json]:
    """The correlation beyond that of rows in random order, {} where there is none."""
    if seen.correlation is None:
        return {}
    chance = frequencies.concentration(seen.common(), keys)
    beyond = (seen.correlation - chance) / max(0.01, 1 - chance if seen.correlation > chance else 1 + chance)
    beyond = max(-1.0, min(1.0, beyond))
    return {"correlation": round(beyond, 2)} if abs(beyond) >= TIED else {}


def _width(column: Column, seen: Seen, rules: Rules) -> dict[str, Json]:
    """The letters of a text: as many as the server's have on average, as far as the schema lets them."""
    if column.type not in (*TEXTS, "bytea", "json", "jsonb") or not seen.width:
        return {}
    if column.type in ("json", "jsonb"):
        return {"width": max(10, round(seen.width) - _JSONB)}
    longest = min(column.length or 2**20, rules.longest or 2**20)
    return {"width": max(1, rules.shortest, min(longest, round(seen.width) - _HEADER * (1 if seen.width < 128 else 4)))}


def _labelled(labels: Sequence[str], seen: Seen) -> dict[str, float]:
    """Shares for the values that the schema lists: the values' own with consent, else the largest to the first."""
    shares = _rounded(seen.common())
    known = dict(zip(seen.values or labels, shares, strict=False))
    rest = 0.0 if seen.whole() else max(0.0, 1 - sum(shares)) / max(1, len(labels) - len(known))
    found = {label: known.get(label, round(rest, 4)) for label in labels}
    return found if any(found.values()) else dict.fromkeys(labels, 1)


def _values(column: Column, seen: Seen, width: Mapping[str, int]) -> list[str]:
    """Values to choose from, invented where the server's are not there; [] for a type whose values are keys."""
    number = len(seen.shares)
    if column.type == "bool":
        return list(seen.values and ("true" if one == "t" else "false" for one in seen.values)) or ["false", "true"]
    if column.type not in (*TEXTS, *LARGEST, "numeric", "float4", "float8") or number > _room(column, width):
        return []
    if seen.values:
        return list(seen.values)
    if column.type in TEXTS:
        long = width.get("width", 1)
        return [f"v{one + 1}".ljust(long, "x") for one in range(number)] if long > len(str(number)) else []
    return [str(one + 1) for one in range(number)]


def _room(column: Column, width: Mapping[str, int]) -> int:
    """How many keys the type holds, up to as many as are made."""
    if column.type in (*TEXTS, "bytea"):
        return min(frequencies.MOST, int(16 ** min(5, width.get("width", 16))))
    if column.type == "numeric" and column.precision is not None:
        return max(1, min(frequencies.MOST, int(10 ** min(6, max(0, column.precision - column.scale))) - 1))
    few = {"bool": 2, "date": likely.MOST_KEYS}
    return min(frequencies.MOST, LARGEST.get(column.type, few.get(column.type, frequencies.MOST)))


def _rounded(shares: Sequence[float]) -> list[float]:
    return [max(0.0001, round(one, 4)) for one in shares]


def _finite(words: str) -> bool:
    """Is a bound a number that ends? Neither NaN nor Infinity does, and PostgreSQL's numbers may be either."""
    return math.isfinite(float(words))


def _number(words: str, column: Column) -> float:
    """A bound of a histogram, as a law takes it."""
    return int(words) if column.type in LARGEST else float(words)


def _spread(seen: Seen, rows: int) -> dict[str, Json]:
    """From when to when the rows' times are, {} where nobody may know or they never end."""
    try:
        first, last = (datetime.fromisoformat(one) for one in (seen.bounds[0], seen.bounds[-1]))
    except (ValueError, IndexError):
        return {}
    seconds = (last - first).total_seconds()
    return {"start": first.date().isoformat(), "step_s": round(seconds / rows, 6)} if seconds > 0 else {}
