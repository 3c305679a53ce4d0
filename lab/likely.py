"""Rows that a schema would take: types, keys, foreign keys, CHECKs, enums and domains become the text of data.yaml.

Rows that fit are invented, not rows that are true: nobody can read from a schema how often a value occurs. What
follows from the schema is kept to; the rest is even, and stands in a file that is made to be edited.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from lab import datayaml, literals, turns
from lab.bounds import LARGEST, TEXTS, Rules
from lab.model import Json
from lab.tables import NOTHING, Brought, Column, Table, end, few_values
from lab.turns import Turn, Whole

FEWER = 10  # times fewer rows in a table that another one refers to, and as much again once further up
LEAST_KEYS, MOST_KEYS = 10, 100_000  # of a table that is referred to: the preflight of a run loads it whole
START = "2026-01-01"
_TIMES = ("timestamptz", "timestamp", "date")
_DISTINCT = 16  # letters of a text that is made anew, below which two may be alike
_MOMENTS = {"date": 365}  # other times: as many seconds as there are keys at most
_PRIME = 32_749  # the largest below 2 to the 15th


@dataclass(frozen=True)
class Dataset:
    """*text* is data.yaml, *left* what to say above it of tables without rows; *entities* belong under `lab:`.

    *notes*: what was guessed, or left to the server. *holes*: `table.column: why, and the way out`; while there are
    any, the rows do not fit. *streams*: what *text* says, by the table's name (datayaml.text). *whole*: tables of
    which every row is referred to. *method*: the way to bring them in, of which `as_text` says why.
    """

    text: str
    entities: Mapping[str, int]
    notes: tuple[str, ...]
    holes: tuple[str, ...]
    streams: Mapping[str, Mapping[str, Json]]
    whole: frozenset[str] = frozenset()
    left: str = ""
    method: str = "copy_binary"

    @property
    def whence(self) -> str:
        """What the rows are: invented, brought, or both."""
        brought = sum("files" in one for one in self.streams.values())
        return "Brought" if brought == len(self.streams) else "Brought and invented" if brought else "Invented"

    @property
    def way(self) -> str:
        """What each candidate's line in scenario.yaml says of the method: "" where it is what nobody need say."""
        return "" if self.method == Dataset.method else f"ingest: {{method: {self.method}}}, "


def dataset(tables: Sequence[Table], rows: int, sizes: Mapping[str, int] = {}, brought: Brought = NOTHING) -> Dataset:
    """The likely rows of *tables*: of those that nothing refers to *rows* each, of the others fewer; or as *sizes* say.

    Of tables that are *brought* none, and for the keys in their files those of the others that these refer to.

    >>> from lab.tables import Foreign
    >>> shop = Table("shop", (Column("id", "int4", True, counted=True), Column("name", "text")), (("id",),))
    >>> sale = Table("sale", (Column("shop", "int4", True), Column("at", "timestamptz", True)), (),
    ...     (Foreign(("shop",), "shop", ("id",)),))
    >>> print(dataset((sale, shop), 1000).text)
    streams:
      shop:
        kind: synthetic
        rows: shop
        columns:
          name: {type: text}
      sale:
        kind: synthetic
        time: {column: at, start: 2026-01-01}
        columns:
          shop: {type: integer, of: shop}
          at: {type: timestamptz}
    <BLANKLINE>
    """
    plan = _Plan({one.name: one for one in tables}, rows, sizes, brought)
    streams = {name: plan.stream(plan.tables[name]) for name in plan.order if name not in brought.tables}
    streams = {name: one for name, one in streams.items() if one["columns"]}
    used = {str(column["of"]) for one in streams.values() for column in one["columns"].values() if "of" in column}
    used |= {one["rows"] for one in streams.values() if "rows" in one}
    entities = {name: size for name, size in plan.sizes.items() if name in used}
    short = turns.lacking([*plan.turns, *plan.wholes], plan.sizes, plan.limits, streams, rows)
    made = told(streams, entities, plan.notes, [*plan.holes, *short])
    given = (one for name in streams for one in plan.tables[name].columns if one.name in streams[name]["columns"])
    return replace(made, method=literals.METHOD) if any(as_text(one) for one in given) else made


def told(
    streams: Mapping[str, Mapping[str, Json]], entities: Mapping[str, int], notes: Sequence[str], holes: Sequence[str]
) -> Dataset:
    """The dataset of these streams, whose text is made of them."""
    return Dataset(datayaml.text(streams), entities, tuple(notes), tuple(holes), streams)


@dataclass
class _Plan:
    """What is decided of all tables together, and what is to be told."""

    tables: Mapping[str, Table]
    rows: int
    known: Mapping[str, int]
    brought: Brought
    notes: list[str] = field(default_factory=list)
    holes: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.order = list(self._ordered())
        heights = self._heights()
        held = {table: count for (table, _), count in self.brought.counts.items()}
        invented = [self.tables[name] for name in self.order if name not in self.brought.tables]
        self.sizes = {
            one.name: min(MOST_KEYS, self.known.get(one.name, _keys(self.rows, heights[one.name])))
            for one in invented
            if heights[one.name] and one.name not in held
        }
        self.limits = dict.fromkeys(self.sizes, MOST_KEYS)
        for one in invented:
            few = [most for key in one.unique if (most := _fewest(one, key)) is not None]
            if one.name in held:
                self.holes += self._crowded(one, held[one.name])
            elif few:
                self.limits[one.name] = min(MOST_KEYS, *few)
                most = self.known.get(one.name, max(LEAST_KEYS, self.rows))
                self.sizes[one.name] = min(self.limits[one.name], self.sizes.get(one.name, most))
        self.in_turn: set[tuple[str, str]] = set()  # (table, column): keys in the order of the rows
        self.small: dict[tuple[str, str], str] = {}  # (table, column): the entity of numbers of two bytes
        self.few = {one.name: few_values(one) for one in self.tables.values()}
        self.turns = [one for table in invented for one in self._turns(table)]
        self.wholes = [one for table in invented for one in self._wholes(table)]
        fixed = {f"{one}.{name}": len(has) for one, of in self.few.items() for name, has in of.items()}
        once = {one.name: own for one in invented if (own := self._once(one))}
        for name in once.keys() & held.keys():
            self.sizes[once[name]] = max(held[name], self.sizes.get(once[name], 0))
        self.sizes = turns.fitted(self.sizes, self.limits, self.turns, self.wholes, {**fixed, **held}) | held
        for name, own in ((name, own) for name, own in once.items() if name in self.sizes):
            if name not in held:
                self.sizes[name] = self.sizes[own]
            elif self.sizes[own] < held[name]:
                each = f"each refers to its own row of {own}, which has {self.sizes[own]:,} (--data {name}=FILE)"
                self.holes.append(f"{name}: files have {held[name]:,} keys of it, and {each}")
        self.sizes |= fixed

    def _crowded(self, table: Table, count: int) -> Iterator[str]:
        """Holes for columns that are unique and have fewer values than files have keys of the table."""
        for key in table.unique:
            where, few = f"{table.name}.{key[0]}: is unique", _fewest(table, key)
            if few is not None and few < count and (table.name, key[0]) not in self.brought.counts:
                told = f"{few:,} values, and files have {count:,} keys of the table"
                yield f"{where} with {told} (--data {table.name}=FILE)"

    def _ordered(self) -> Iterator[str]:
        """Tables after those that they refer to; where they refer to each other, in the order they were made."""
        left = dict(self.tables)
        while left:
            free = [n for n, t in left.items() if not any(f.table in left and f.table != n for f in t.foreign)]
            for name in free or [next(iter(left))]:
                yield name
                del left[name]

    def _heights(self) -> dict[str, int]:
        """How many references lie one behind the other up to each table."""
        heights = dict.fromkeys(self.order, 0)
        for name in reversed(self.order):
            for one in self.tables[name].foreign:
                heights[one.table] = max(heights[one.table], heights[name] + (one.table != name), 1)
        return heights

    def _wholes(self, table: Table) -> Iterator[Whole]:
        """Foreign keys of several columns: both sides go through their keys in turn, so that the pairs agree."""
        for one in (one for one in table.foreign if len(one.columns) > 1 and one.table not in self.brought.tables):
            self.in_turn |= {(table.name, column) for column in one.columns}
            self.in_turn |= {(one.table, column) for column in one.theirs}
            parts = {self.entity(one.table, column) for column in one.theirs} - {one.table}
            yield Whole(one.table, table.name, one.columns, parts)

    def _turns(self, table: Table) -> Iterator[Turn]:
        """Keys of foreign keys, and of columns of few values: in turn, by numbers that share no factor."""
        referring = {column for one in table.foreign for column in one.columns}
        either = referring | self.few[table.name].keys()
        for key in (one for one in table.unique if len(one) > 1 and set(one) <= either and referring & set(one)):
            self.in_turn |= {(table.name, column) for column in key}
            whose = (self.entity(table.name, one) if one in referring else f"{table.name}.{one}" for one in key)
            yield Turn(table.name, key, tuple(whose))

    def entity(self, table: str, column: str) -> str:
        """The table whose keys a column holds: see `end`."""
        return end(self.tables, self.brought.tables, table, column)[0]

    def _held(self, table: Table, column: Column) -> dict[str, Json]:
        """`keys` of a column whose keys files have, else {}."""
        keys = self.brought.held.get(end(self.tables, self.brought.tables, table.name, column.name))
        return {"keys": keys} if keys else {}

    def stream(self, table: Table) -> dict[str, Json]:
        """The stream of *table* as data.yaml has it; `columns` is empty where nothing of it is given."""
        rules = {one.name: Rules() for one in table.columns}
        for text in table.checks:
            if not any(rule.read(text, name) for name, rule in rules.items()):
                self.notes.append(f"{table.name}: CHECK ({text}) is not understood; the rows were made without it")
        for column in table.columns:
            for text in column.checks:
                if not rules[column.name].read(text, "VALUE"):
                    self.notes.append(f"{table.name}.{column.name}: the domain's CHECK ({text}) is not understood")
        once = "" if table.name in {name for name, _ in self.brought.counts} else self._once(table)
        time = "" if table.name in self.sizes or once else _time(table)
        referring = {column for one in table.foreign for column in one.columns}
        distinct = _distinct(table, time, referring | self.few[table.name].keys())
        self._small(table, distinct)
        self._few(table)
        columns: dict[str, Json] = {}
        for column in table.columns:
            counted = column.counted and len(table.columns) > 1 and not self._held(table, column)
            if column.generated or counted:
                continue
            if column.name == time:
                made: dict[str, Json] | None = {"type": type_of(column)}
            else:
                made = self._column(table, column, rules[column.name], unique=column.name in distinct)
            if made is not None:
                columns[column.name] = made
        rows: dict[str, Json] = {"rows": once or table.name} if once or table.name in self.sizes else {}
        if not rows and (most := self._rows(table)) < self.rows:
            rows = {"rows": most}
        start = {"time": {"column": time, "start": START}} if time else {}
        return {"kind": "synthetic", **rows, **start, "columns": columns}

    def _rows(self, table: Table) -> int:
        """How many rows a table gets that nothing refers to; no more than there are pairs, which is told."""
        rows = min(self.rows, self.known.get(table.name, self.rows))
        for one in (one for one in self.turns if one.table == table.name and not one.twice):
            if (pairs := one.pairs(self.sizes)) < rows:
                self.notes.append(f"{table.name}: {pairs:,} rows, as many as ({', '.join(one.key)}) has pairs")
                rows = pairs
        return rows

    def _small(self, table: Table, distinct: set[str]) -> None:
        """Numbers of two bytes in a key of several columns: in turn with the other columns, sharing no factor."""
        referring = {column for one in table.foreign for column in one.columns}
        for column in (one for one in table.columns if one.name in distinct and one.type == "int2"):
            keys = [key for key in table.unique if column.name in key and len(key) > 1]
            if not keys:
                continue
            own = f"{table.name}_{column.name}"
            while own in self.sizes:
                own += "_"
            self.small[table.name, column.name] = own
            others = [[self.entity(table.name, one) for one in key if one in referring] for key in keys]
            self.sizes[own] = turns.coprime(_PRIME, [self.sizes[one] for each in others for one in each])
            self.in_turn |= {(table.name, other) for key in keys for other in key}
            self.turns += [Turn(table.name, key, (*each, own)) for key, each in zip(keys, others, strict=True)]

    def _few(self, table: Table) -> None:
        """Holes for keys of several columns whose types have few values, which are drawn, so that some occur twice."""
        referring = {column for one in table.foreign for column in one.columns}
        for key in (key for key in table.unique if len(key) > 1):
            if set(key) <= self.few[table.name].keys() - referring:
                self.holes.append(
                    f"{table.name}.{key[-1]}: ({', '.join(key)}) is unique, and its types have few values "
                    "(give the rows)"
                )

    def _once(self, table: Table) -> str:
        """The entity of which *table* has one row each, as a unique foreign key has it; "" if none."""
        for one in table.foreign:
            if one.columns in table.unique and len(one.columns) == 1 and one.table != table.name:
                return self.entity(table.name, one.columns[0])
        return ""

    def _column(self, table: Table, column: Column, rules: "Rules", *, unique: bool) -> dict[str, Json] | None:
        """One column's way; None where it is left to the server, which is told where it is not plain."""
        type_ = "text" if column.labels or as_text(column) else type_of(column)
        if type_ is None:
            self._without(table, column)
            return None
        referring = any(column.name in one.columns for one in table.foreign)
        referred = any(
            one.table == table.name and column.name in one.theirs for t in self.tables.values() for one in t.foreign
        )
        if as_text(column):
            if unique or referring or referred:
                what = literals.shown(column.type)
                self.holes.append(f"{table.name}.{column.name}: keys of type {what} are not invented (give the rows)")
            return {"type": type_, "choices": dict.fromkeys(literals.of(column.type, column.length), 1)}
        if referring or referred:
            once = referred or unique or (table.name, column.name) in self.in_turn
            width = {"width": min(column.length, _DISTINCT)} if type_ == "text" and column.length else {}
            entity = self.entity(table.name, column.name)
            turn, held = {"sequence": 1} if once else {}, self._held(table, column)
            return {"type": type_, "of": entity, **turn, **(held or width)}
        if why := rules.contradiction(column.type, column.precision, column.scale):
            self.holes.append(f"{table.name}.{column.name}: {why}")
        if unique:
            return self._unique(table, column, type_, rules)
        if (table.name, column.name) in self.in_turn and (has := self.few[table.name].get(column.name)):
            return {"type": type_, "sequence": 1, "choices": dict.fromkeys(has, 1)}
        return {"type": type_, **_values(column, type_, rules)}

    def _unique(self, table: Table, column: Column, type_: str, rules: Rules) -> dict[str, Json]:
        if own := self.small.get((table.name, column.name)):
            return {"type": type_, "of": own, "sequence": 1}
        width = {"width": min(column.length, _DISTINCT)} if column.type in TEXTS and column.length else {}
        few = column.type in (*_TIMES, "int2") or width.get("width", _DISTINCT) < _DISTINCT
        if table.name in self.sizes and few:
            return {"type": type_, "of": table.name, "sequence": 1, **width}
        if column.type in (*TEXTS, "uuid", "bytea", "json", "jsonb"):
            return {"type": type_, **width}
        if column.type == "bool" or column.labels:
            self.holes.append(f"{table.name}.{column.name}: is unique, and its type has few values (give the rows)")
        return {"type": type_, "sequence": max(1, rules.first())}

    def _without(self, table: Table, column: Column) -> None:
        where, type_ = f"{table.name}.{column.name}", literals.shown(column.type)
        if column.defaulted:
            self.notes.append(f"{where}: no {type_} can be invented; every row takes the default")
        elif not column.not_null:
            self.notes.append(f"{where}: no {type_} can be invented; it is null in every row")
        else:
            self.holes.append(
                f"{where}: no {type_} can be invented, and it may not be null (give it a DEFAULT in the schema, "
                "or move rows of your own by a load.sql)"
            )


# --- a column by itself ---------------------------------------------------------------------


def type_of(column: Column) -> str | None:
    """The type as data.yaml names it, None where no such values are made."""
    return literals.named(column.type, column.precision, column.scale)


def as_text(column: Column) -> bool:
    """Are its values literals that the server reads, so that a method has to send them as text?"""
    return not column.labels and bool(literals.of(column.type, column.length))


def _keys(rows: int, height: int) -> int:
    return min(MOST_KEYS, max(LEAST_KEYS, rows // int(FEWER ** min(height, 2))))


def _fewest(table: Table, key: Sequence[str]) -> int | None:
    """How many values the only column of *key* may have, where rows cannot simply be numbered; else None."""
    one = next((one for one in table.columns if (one.name,) == tuple(key)), None)
    if one is None or one.counted or one.generated:
        return None
    if one.type in TEXTS and (one.length or _DISTINCT) < _DISTINCT:
        return int(16 ** (one.length or _DISTINCT))
    return {"int2": _PRIME, "date": MOST_KEYS}.get(one.type)


def _time(table: Table) -> str:
    """The column that advances with the rows: of a key, or the first that may not be null; "" if none."""
    inside = {column for key in table.unique for column in key}
    times = [one for one in table.columns if one.type in _TIMES and not one.generated]
    times.sort(key=lambda one: (one.name not in inside, not one.not_null, one.type == "date"))
    return times[0].name if times and (times[0].not_null or times[0].name in inside) else ""


def _distinct(table: Table, time: str, referring: set[str]) -> set[str]:
    """The columns that make each key unique by having no value twice."""
    own = {one.name: one for one in table.columns}
    found: set[str] = set()
    for key in table.unique:
        free = [own[name] for name in key if name in own and not own[name].generated]
        if len(key) == 1:
            found |= {one.name for one in free if not one.counted or len(table.columns) == 1}
        elif time not in key and not any(one.counted or one.name in found for one in free):
            able = [one for one in free if one.name not in referring and _many(one)]
            able.sort(key=lambda one: (one.type != "uuid", one.type != "int2", one.type not in LARGEST))
            found |= {one.name for one in able[-1:]} if able and able[0].type != "uuid" else {o.name for o in able[:1]}
    return found - {time}


def _many(column: Column) -> bool:
    """Has the type as many values as there are rows?"""
    wide = column.type in TEXTS and not column.labels and (column.length or _DISTINCT) >= _DISTINCT
    return wide or column.type in ("int2", "int4", "int8", "uuid", "numeric")


def _values(column: Column, type_: str, rules: "Rules") -> dict[str, Json]:
    """How the values of a column that is in no key are made."""
    chosen = rules.choices or column.labels
    if chosen:
        return {"choices": dict.fromkeys(chosen, 1)}
    if column.type in TEXTS:
        longest = min(column.length or rules.longest or _DISTINCT, rules.longest or _DISTINCT)
        return (
            {"width": max(rules.shortest, min(longest, max(_DISTINCT, rules.shortest)))}
            if (longest < _DISTINCT or rules.shortest > _DISTINCT)
            else {}
        )
    if type_ in ("boolean", "uuid", "bytea", "jsonb"):
        return {}
    if column.type in _TIMES:
        return {"n_distinct": _MOMENTS.get(column.type, MOST_KEYS)}
    low, high = rules.range(column.type, column.precision, column.scale)
    return {"law": f"uniform({low}, {high})"}
