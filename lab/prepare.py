"""A candidate becomes an instance: its schema applied, its rows loaded, settled, counted.

`settle` is one defined thing: VACUUM (FREEZE, ANALYZE) of the whole database, BRIN summarised,
a checkpoint, nothing of the kind under way, statistics reset.
"""

import secrets
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from lab import pg, refused, shape, ways
from lab.errors import ClusterError, IngestError
from lab.ingest import Load
from lab.model import Candidate, Endpoint, Json, SqlFile, Topology
from lab.probes.server import Node, added, hold, written
from lab.sources import Source

_QUIET_S = 30.0
_BEHIND_S = 60.0  # for a standby to replay what was written
_MILLION = 1_000_000
_LOST = 2  # psql's exit status
_FULL = "No space left on device"  # as the system words it in the locale C
NO_ROOM = "free some room on that disk; for the embedded host also PGLAB_BASE on a larger one"
_SMALL_ROWS = 100_000  # such streams are loaded whole even in preflight


# --- the author's SQL -----------------------------------------------------------------------


def apply(psql: Path, endpoint: Endpoint, sql: SqlFile, who: str, *, locked: bool = False) -> None:
    """Run an SQL file through psql as the unprivileged role, all statements or an IngestError.

    ClusterError where the connection was lost or a disk is full.

    psql because it is what people test their files with: its own commands, COPY FROM stdin and
    the `\\restrict` of pg_dump work, and its messages carry file and line. psql reads the
    rendered text, so a template's line numbers are those of what the template made.
    *locked*: the file may be a stranger's, so psql runs none of its own commands.
    """
    lock = ("-c", f"\\restrict {secrets.token_hex(16)}") if locked else ()
    done = subprocess.run(
        [psql, "-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", endpoint.conninfo, *lock, "-f", "-"],
        input=sql.text,
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
        cwd="/",
        env={"PGCLIENTENCODING": "UTF8", "LC_ALL": "C.UTF-8", "PGAPPNAME": "pglab"},
        start_new_session=True,  # Ctrl-C asks the lab to stop, not psql
    )
    if done.returncode == 0:
        return
    said = f"{who}: {refused.words(done.stderr, '<stdin>', sql)}"
    if _FULL in said:
        raise ClusterError(f"{said} ({NO_ROOM})")
    raise ClusterError(said) if done.returncode == _LOST else IngestError(said)


# --- rows -----------------------------------------------------------------------------------


def fill(
    psql: Path, endpoint: Endpoint, candidate: Candidate, load: Load, sources: Sequence[Source], span: "Span"
) -> Json:
    """Bring the rows of *span* into a candidate's tables and give the load report.

    The report has `seconds`, `load_sql_s` (the candidate's own load.sql, shown apart), `rows` and
    `streams`: name -> ways.told. With load.sql the streams are tables in schema `source` until it
    has run; without it each goes to the table of its name.
    """
    start = time.monotonic()
    streams: dict[str, Json] = {}
    load_sql_s = 0.0
    with pg.connected(endpoint.conninfo) as connection:
        if candidate.load is not None:
            pg.run(connection, "CREATE SCHEMA source")
            pg.run(connection, *(create_table(("source", s.name), s.schema) for s in sources))
        tables = {
            s.name: ("source", s.name) if candidate.load else table_of(connection, candidate, s.name) for s in sources
        }
    for source in sources:
        first, last = span.of(source)
        loaded = ways.sent(load, endpoint, candidate, tables[source.name], source.schema, source.batches(first, last))
        if loaded.rows != last - first:
            raise IngestError(f"{candidate.name}: {source.name}: {loaded.rows} of {last - first} rows arrived")
        streams[source.name] = ways.told(loaded)
    if candidate.load is not None:
        moved = time.monotonic()
        apply(psql, endpoint, candidate.load, candidate.name)
        load_sql_s = time.monotonic() - moved
        with pg.connected(endpoint.conninfo) as connection:
            pg.run(connection, "DROP SCHEMA source CASCADE")
    rows = sum(one["rows"] for one in streams.values())
    return {"rows": rows, "seconds": time.monotonic() - start, "load_sql_s": load_sql_s, "streams": streams}


@dataclass(frozen=True)
class Span:
    """Which rows are there: how many windows were retired and appended, of how many rows each.

    Only a stream with a time moves; all others are loaded whole.
    """

    appended: int = 0
    retired: int = 0
    limit: int | None = None  # preflight loads only so many, of streams with a time or with many rows
    whole: frozenset[str] = frozenset()  # but not of these

    def of(self, source: Source) -> tuple[int, int]:
        """[first, last) of *source*."""
        moves = source.time_of(0) is not None
        first, last = (self.retired, source.rows + self.appended) if moves else (0, source.rows)
        if self.limit is None or source.name in self.whole or not (moves or last > _SMALL_ROWS):
            return first, last
        return first, min(last, first + self.limit)


def table_of(connection: pg.Connection, candidate: Candidate, stream: str) -> tuple[str, str]:
    """The (schema, table) that rows of *stream* go to; IngestError where there is none."""
    found = pg.rows(
        connection,
        "SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
        "WHERE c.oid = to_regclass(%s)",
        [pg.ident(stream)],
    )
    if not found:
        raise IngestError(
            f"{candidate.name}: {candidate.schema.file}: no table for the stream {stream!r} "
            f"(create table {pg.ident(stream)}, or move the rows yourself with load: load.sql)"
        )
    return found[0]["nspname"], found[0]["relname"]


_TYPES: tuple[tuple[Callable[[pa.DataType], bool], str], ...] = (
    (pa.types.is_boolean, "boolean"),
    (lambda arrow: pa.types.is_int8(arrow) or pa.types.is_int16(arrow), "smallint"),
    (pa.types.is_int32, "integer"),
    (pa.types.is_int64, "bigint"),
    (pa.types.is_float32, "real"),
    (pa.types.is_float64, "double precision"),
    (pa.types.is_decimal, "numeric"),
    (lambda arrow: pa.types.is_string(arrow) or pa.types.is_large_string(arrow), "text"),
    (lambda arrow: arrow.equals(pa.binary(16)), "uuid"),
    (pa.types.is_binary, "bytea"),
    (pa.types.is_date32, "date"),
    (pa.types.is_time64, "time"),
    (pa.types.is_duration, "interval"),
)


def create_table(name: tuple[str, str], schema: pa.Schema) -> str:
    """The CREATE TABLE for a stream as it is; unlogged, since it lives only until load.sql has run.

    IngestError, with stream and column, where PostgreSQL has no such type.

    >>> create_table(("source", "t"), pa.schema([("a", pa.int64()), ("b", pa.timestamp("us", "UTC"))]))
    'CREATE UNLOGGED TABLE "source"."t" ("a" bigint, "b" timestamptz)'
    """
    types = {field.name: _type(field.type) for field in schema}
    if unknown := [f"column {field.name}: {field.type}" for field in schema if types[field.name] is None]:
        raise IngestError(f"stream {name[1]}: {', '.join(unknown)} fits no column of a table (give it as text)")
    columns = ", ".join(f"{pg.ident(column)} {kind}" for column, kind in types.items())
    return f"CREATE UNLOGGED TABLE {pg.ident(*name)} ({columns})"


def _type(arrow: Any) -> str | None:
    if pa.types.is_timestamp(arrow):
        return "timestamptz" if arrow.tz else "timestamp"
    if pa.types.is_dictionary(arrow):
        return _type(arrow.value_type)
    if pa.types.is_list(arrow):
        element = _type(arrow.value_type)
        return element and f"{element}[]"
    return next((kind for test, kind in _TYPES if test(arrow)), None)


# --- facts of an instance -------------------------------------------------------------------


def settle(nodes: Sequence[Node], rooms: Sequence[Node] = ()) -> None:
    """See the module; of every server, and of *rooms*, further databases of theirs.

    ClusterError where an autovacuum worker does not go within 30 s.
    """
    writers = [node.connection for node in nodes if leads(node.connection)]
    analyse((*nodes, *rooms), "VACUUM (FREEZE, ANALYZE)")
    for admin in (*writers, *(room.connection for room in rooms)):
        pg.rows(admin, pg.query("brin"))
    caught_up(nodes)
    for node in nodes:
        pg.run(node.connection, "CHECKPOINT")
    for admin in writers:
        _quiet(admin)
    for node in (*rooms, *nodes):
        pg.rows(node.connection, pg.query("reset"))


def analyse(nodes: Sequence[Node], how: str = "ANALYZE") -> None:
    """All tables of every server that takes writes, foreign ones too: another sample of the same rows."""
    for node in nodes:
        if leads(node.connection):
            pg.alone(node.connection, how)
            for table in pg.rows(node.connection, pg.query("foreign")):
                pg.run(node.connection, f"ANALYZE {pg.ident(table['schema'], table['name'])}")
    caught_up(nodes)


def _quiet(admin: pg.Connection) -> None:
    until = time.monotonic() + _QUIET_S
    while pg.ask(admin, pg.query("totals"))["autovacuums"]:
        if time.monotonic() > until:
            raise ClusterError(
                f"an autovacuum worker was still busy after {_QUIET_S:.0f} s (settings: {{autovacuum: off}})"
            )
        time.sleep(0.05)


def caught_up(nodes: Sequence[Node], *, within_s: float = _BEHIND_S) -> None:
    """Return when every server in recovery has replayed what was written by now.

    ClusterError with the lag where one has not *within_s*, or where nobody writes what it follows.
    A single server has nobody to wait for.
    """
    if len(nodes) < 2:
        return
    standbys = [node for node in nodes if not leads(node.connection)]
    until = time.monotonic() + within_s
    due = _due([node for node in nodes if node not in standbys]) if standbys else {}
    while not all(node.name in due for node in standbys) and time.monotonic() < until:
        time.sleep(0.05)  # a standby that lost its connection asks for it again
        due = _due([node for node in nodes if node not in standbys])
    for node in standbys:
        _wait_for(node, due.get(node.name), until)


def _due(writers: Sequence[Node]) -> dict[str, int]:
    """Standby -> how far the server that it streams from has written."""
    found: dict[str, int] = {}
    for node in writers:
        pg.rows(node.connection, pg.query("flush"))
        end = _place(node.connection)["bytes"]
        found |= {row["name"]: end for row in pg.rows(node.connection, pg.query("standbys"))}
    return found


def _wait_for(node: Node, due: int | None, until: float) -> None:
    if due is None:
        raise ClusterError(f"{node.name}: is in recovery, and no server of this shape sends it WAL (see its log)")
    while (lag := due - (_place(node.connection)["bytes"] or 0)) > 0:
        if time.monotonic() > until:
            raise ClusterError(
                f"{node.name}: has not replayed what was written: {lag} bytes behind "
                "(is it streaming? see its log; a query on it may hold replay up: max_standby_streaming_delay)"
            )
        time.sleep(0.002)


def leads(connection: pg.Connection) -> bool:
    """Does the server write, and follow no other?"""
    return not _place(connection)["recovering"]


def _place(connection: pg.Connection) -> dict[str, Any]:
    return pg.ask(connection, pg.query("place"))


def positions(nodes: Sequence[Node]) -> dict[str, dict[str, Any]]:
    """Of every server that writes: its WAL insert position, next transaction id and number of checkpoints.

    To be read again later; WAL is held from here on.
    """
    hold(nodes)
    return {node.name: pg.ask(node.connection, pg.query("position")) for node in nodes if leads(node.connection)}


def checkpoints(nodes: Sequence[Node], before: Mapping[str, Mapping[str, Any]]) -> dict[str, int]:
    """How many checkpoints each server that writes has begun since *before*, by the server's own count."""
    return {name: one["checkpoints"] - before[name]["checkpoints"] for name, one in positions(nodes).items()}


def load_metrics(
    nodes: Sequence[Node], before: Mapping[str, Mapping[str, Any]], report: Json
) -> dict[str, tuple[float, ...]]:
    """Exact metrics of the load since *before*, over all servers: WAL per row, records and images apart, and xids."""
    after = positions(nodes)
    total = {"record_bytes": 0.0, "fpi_bytes": 0.0}
    for node in nodes:
        if node.name in after:
            total = added(total, written(node, before[node.name]["lsn"], after[node.name]["lsn"]))
    rows, xids = report["rows"], sum(one["xid"] - before[name]["xid"] for name, one in after.items())
    return {
        "ingest.rows_per_s": (rows / report["seconds"],),
        "wal.record_bytes_per_row": (total["record_bytes"] / rows,),
        "wal.fpi_bytes_per_row": (total["fpi_bytes"] / rows,),
        "wal.bytes_per_row": (sum(total.values()) / rows,),
        "xids_per_million_rows": (xids * _MILLION / rows,),
    }


def sizes(nodes: Sequence[Node], rows: int, *, beside: float = 0.0) -> dict[str, tuple[float, ...]]:
    """Bytes of everything on all servers, and a row's share of them; *rows* are the rows of the streams.

    *beside* are bytes that the shape takes besides what the author's schema made.
    """
    each = sizes_of(nodes).values()
    found = {what: sum(one[f"{what}_bytes"] for one in each) for what in _PARTS}
    total = sum(found.values()) + beside
    return {
        **{f"size.{what}_bytes": (value,) for what, value in found.items()},
        "size.total_bytes": (total,),
        "size.bytes_per_row": (total / rows,),
    }


def sizes_of(nodes: Sequence[Node]) -> dict[str, dict[str, float]]:
    """Server -> heap_bytes, index_bytes, toast_bytes of what the author's schema made on it, in all of its *nodes*."""
    found: dict[str, dict[str, float]] = {}
    for node in nodes:
        asked = pg.ask(node.connection, pg.query("sizes"))
        own = {f"{what}_bytes": asked[f"{what}_bytes"] for what in _PARTS}
        found[node.name] = added(own, found[node.name]) if node.name in found else own
    return found


_PARTS = ("heap", "index", "toast")


def rows_in(connection: pg.Connection, column: str | None = None) -> int:
    """The rows in all tables that the author made, or in those with a *column*; counted, and not by their indexes.

    The server's statistics would have such scans among those of the mix (reasons/unused_index.py).
    """
    tables = pg.rows(connection, pg.query("tables"), {"column": column})
    counts = " + ".join(f"(SELECT count(*) FROM {pg.ident(t['schema'], t['name'])})" for t in tables)
    pg.run(connection, "SET enable_indexonlyscan = off")
    rows = int(pg.ask(connection, f"SELECT {counts} AS n")["n"]) if tables else 0
    pg.run(connection, "RESET enable_indexonlyscan")
    return rows


def promises(nodes: Sequence[Node], topology: Topology, *, reads: bool) -> tuple[str, ...]:
    """What the shape promises besides the schema, by how the first server commits (shape.promises)."""
    said = pg.ask(nodes[0].connection, pg.query("commits"))
    standbys = sum(not leads(node.connection) for node in nodes)
    return shape.promises(topology, names=said["names"], commit=said["level"], standbys=standbys, reads=reads)


def settings(admin: pg.Connection) -> dict[str, dict[str, Json]]:
    """Name -> {value, unit, source} of what differs from the server's defaults."""
    return {row.pop("name"): row for row in pg.rows(admin, pg.query("settings"))}


def durable(endpoint: Endpoint, who: str) -> None:
    """Refuse a schema that makes writes cheaper by giving up what a crash would then take.

    Asked as the author's own role, which may have settings of its own. Raise IngestError.
    """
    with pg.connected(endpoint.conninfo) as connection:
        weak = [row["what"] for row in pg.rows(connection, pg.query("undurable"))]
    if weak:
        raise IngestError(
            f"{who}: {', '.join(weak)}: would not survive a crash, and is compared with what does "
            "(leave it out, or say `unsafe: why` in scenario.yaml)"
        )


def names(endpoint: Endpoint, who: str) -> None:
    """Refuse a schema of the lab's own name, whose tables would not be counted. Raise IngestError."""
    with pg.connected(endpoint.conninfo) as connection:
        if pg.rows(connection, "SELECT FROM pg_namespace WHERE nspname = 'source'"):
            raise IngestError(f"{who}: schema source: the lab's own, of the streams that load.sql reads (another name)")


def unlogged(admin: pg.Connection) -> list[str]:
    """The tables that a crash would empty."""
    found = (row["what"].partition("unlogged table ") for row in pg.rows(admin, pg.query("undurable")))
    return [table for before, _, table in found if not before]


def guarantees(admin: pg.Connection) -> tuple[str, ...]:
    """What the schema promises: constraints and unique indexes as the catalogs word them."""
    return tuple(row["promise"] for row in pg.rows(admin, pg.query("guarantees")))
