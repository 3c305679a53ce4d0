"""What would change from one candidate to another: schema, queries, settings, how rows come in, what is promised."""

import difflib
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from lab import shape
from lab.errors import ScenarioError
from lab.model import Candidate, Prepared
from lab.statement import tokens

LONG = 80  # lines, above which a schema is shown by what changes in it
FEW = 5  # times fewer lines differ than there are
_LOCK = re.compile(r"\\(?:un)?restrict\b")


def changes(base: Candidate, own: Candidate, was: Prepared | None, now: Prepared | None) -> dict[str, Any]:
    """From *base* to *own*; *was* and *now* are their instances, None where there is none.

    Without both instances neither guarantees nor settings are known: `compared` says so.
    """
    lost, gained = _guarantees(was, now)
    return {
        "subject": own.name,
        "reach": _reach(base.schema.text, own.schema.text),
        "schema": _diff(base.schema.text, own.schema.text, base.name, own.name),
        "queries": _rewritten(base, own),
        "settings": _settings(was.settings, now.settings) if was and now else [],
        "lost": lost,
        "gained": gained,
        "compared": bool(was and now),
        "partitioned": partitioned(base.schema.text),
        "shape": _shape(base, own),
        "ways": {} if base.ingest == own.ingest else {"was": way(base.ingest), "now": way(own.ingest)},
    }


def _shape(base: Candidate, own: Candidate) -> dict[str, Any]:
    """The two topologies in words, and of which kind the new one is; {} where they are the same."""
    if base.topology == own.topology:
        return {}
    waits = str(own.topology.options.get("sync", "off")) != "off"
    words = {"was": shape.words(base.topology), "now": shape.words(own.topology)}
    return {**words, "kind": own.topology.kind, "waits": waits}


def way(ingest: Mapping[str, Any]) -> str:
    """How rows come in, in a line, as the author wrote it.

    >>> way({"method": "insert", "connections": 1, "rows": 500})
    'insert (rows: 500)'
    >>> way({"method": "unlogged", "connections": 2, "append": {"method": "copy_csv", "connections": 1}})
    'unlogged (connections: 2), later rows by copy_csv'
    """
    told = {key: value for key, value in ingest.items() if key not in ("method", "append")}
    told = {key: value for key, value in told.items() if (key, value) != ("connections", 1)}
    options = ", ".join(f"{key}: {value}" for key, value in told.items())
    later = f", later rows by {way(ingest['append'])}" if "append" in ingest else ""
    return f"{ingest['method']}{options and f' ({options})'}{later}"


def setting(found: Mapping[str, Any] | None) -> str:
    """A setting as one writes it; "(default)" where the server's own stands.

    >>> setting({"value": "16384", "unit": "8kB"}), setting({"value": "on", "unit": None}), setting(None)
    ('16384 x 8kB', 'on', '(default)')
    """
    if found is None:
        return "(default)"
    unit = str(found.get("unit") or "")
    return f"{found['value']} x {unit}" if unit[:1].isdigit() else f"{found['value']}{unit and ' '}{unit}"


def setting_bytes(setting: Mapping[str, Any] | None) -> float | None:
    """A memory setting as pg_settings has it, in bytes.

    >>> [setting_bytes(one) for one in ({"value": "16384", "unit": "8kB"}, {"value": "64MB", "unit": None}, None)]
    [134217728.0, 67108864.0, None]
    """
    if setting is None:
        return None
    value, unit = str(setting.get("value", "")), str(setting.get("unit") or "B")
    for suffix in ("kB", "MB", "GB"):
        if value.endswith(suffix):
            value, unit = value.removesuffix(suffix), suffix
    return float(value) * _MEMORY_UNITS[unit] if value.isdecimal() and unit in _MEMORY_UNITS else None


_MEMORY_UNITS = {"B": 1, "kB": 1024, "8kB": 8192, "MB": 2**20, "GB": 2**30}


def _guarantees(was: Prepared | None, now: Prepared | None) -> tuple[list[str], list[str]]:
    """What the catalogs promise no longer, and what they promise anew."""
    if was is None or now is None:
        return [], []
    old, new = _merged(was.guarantees), _merged(now.guarantees)
    return sorted(old - new), sorted(new - old)


def _merged(promises: Sequence[str]) -> set[str]:
    """Promises, each once where tables of one name in several schemas make it.

    >>> sorted(_merged(["t1.orders: PRIMARY KEY (id)", "t2.orders: PRIMARY KEY (id)", "a.b: UNIQUE (c)"]))
    ['a.b: UNIQUE (c)', 'orders: PRIMARY KEY (id)']
    """
    bare = {one: re.sub(r"^[^.:]+\.([^.:]+: )", r"\1", one) for one in promises}
    often = Counter(bare.values())
    return {short if often[short] > 1 else one for one, short in bare.items()}


def _reach(old: str, new: str) -> str:
    """What the step from one schema to another touches: `none`, `indexes` alone, or `tables`.

    >>> _reach("-- the old one\\nCREATE TABLE t (a int);", "create table t (a int);")
    'none'
    >>> _reach("CREATE TABLE t (a int);", "-- with an index\\nCREATE TABLE t (a int); CREATE INDEX ON t (a);")
    'indexes'
    """
    was, now = statements(old), statements(new)
    if was == now:
        return "none"
    only_indexes = all(re.match(r"create (unique )?index\b", part) for part in was ^ now)
    return "indexes" if only_indexes else "tables"


def partitioned(schema: str) -> bool:
    """Whether a schema file makes a partitioned table.

    >>> partitioned("CREATE TABLE t (a int) PARTITION BY RANGE (a);"), partitioned("-- partition by range (a)")
    (True, False)
    """
    making = re.compile(r"create\b.*\btable\b.*\bpartition by (range|list|hash)\b")
    return any(making.match(part) for part in statements(schema))


def statements(text: str) -> set[str]:
    """The statements of a schema file, without comments, in lower case and single spaces."""
    try:
        bare = "".join(" " if one.kind in ("comment", "block") else one.text for one in tokens("schema", text))
    except ScenarioError:  # rows of a COPY among the statements are no SQL
        bare = text
    return {" ".join(part.lower().split()) for part in bare.split(";")}


def _diff(old: str, new: str, was: str, now: str) -> str:
    r"""A unified diff, "" where nothing differs; but for psql's locks, whose keys follow from the text.

    >>> _diff("\\restrict a\nTABLE t;", "\\restrict b\nTABLE t;", "one", "two")
    ''
    """
    before, after = ([line for line in text.splitlines() if not _LOCK.match(line)] for text in (old, new))
    return "\n".join(difflib.unified_diff(before, after, was, now, lineterm=""))


def brief(schemas: Mapping[str, str], baseline: str) -> tuple[str, ...]:
    """The candidates whose schema is long, and is the baseline's but for a few lines: nobody reads these in it.

    >>> long = "".join(f"CREATE TABLE t{n} ();\\n" for n in range(LONG + 1))
    >>> brief({"a": long, "b": long + "CREATE TABLE u ();", "c": long.replace("t", "u"), "d": ""}, "a")
    ('a', 'b')
    """
    was = Counter(schemas[baseline].splitlines())
    return tuple(
        name
        for name, text in schemas.items()
        for lines in (text.splitlines(),)
        if len(lines) > LONG and (Counter(lines) - was).total() * FEW <= len(lines)
    )


def _rewritten(base: Candidate, own: Candidate) -> list[dict[str, Any]]:
    """The queries whose text is another, with both texts."""
    old = {query.name: "\n".join(one.text for one in query.statements) for query in base.queries}
    new = {query.name: "\n".join(one.text for one in query.statements) for query in own.queries}
    return [{"name": name, "text": text} for name, text in new.items() if old.get(name) != text]


def _settings(was: Mapping[str, Mapping[str, Any]], now: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    names = sorted(name for name in was.keys() | now.keys() if setting(was.get(name)) != setting(now.get(name)))
    return [{"name": name, "was": setting(was.get(name)), "now": setting(now.get(name))} for name in names]
