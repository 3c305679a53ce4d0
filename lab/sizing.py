"""How large: the settings that every instance gets, memory in proportion to the rows, room on the disk."""

import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from lab import parts
from lab.errors import PlaceError, ScenarioError
from lab.model import Instance, Scenario
from lab.sources import Source

MIB = 2**20
_APART_BYTES = 15 * MIB  # of a database of its own without rows: its catalogs, and as much WAL

# What every instance gets, and why. A scenario's and a candidate's own settings go over these.
SETTINGS: Mapping[str, str] = {
    "shared_preload_libraries": "pg_stat_statements",
    "pg_stat_statements.track_planning": "on",
    "autovacuum": "off",  # vacuum is a timed step of the round, not an accident in one of them
    "checkpoint_timeout": "1d",  # no checkpoint, and so no full-page images, in the middle of a slice
    "max_wal_size": "64GB",
    "max_connections": "400",  # sizes the shared lock table: a query may lock thousands of partitions
    "timezone": "UTC",
}


def opened(read: Scenario, *, seed: int) -> list[Source]:
    """The streams' sources.

    ScenarioError where references would be drawn from keys that a stream does not have, or no stream has any row.
    """
    sources = [parts.load("sources", s.kind).opened(s, read.lab, seed=seed) for s in read.workload.streams.values()]
    if not any(source.rows for source in sources):
        place = next((stream.place for stream in read.workload.streams.values()), "") or "data.yaml"
        raise ScenarioError(f"{place}: no stream has a row, and what a row costs cannot be told (a thousand or more)")
    if mistakes := list(_strangers(read, sources)):
        raise ScenarioError(mistakes)
    return sources


def _strangers(read: Scenario, sources: Sequence[Source]) -> Iterator[str]:
    """Streams that say their own number of rows, beside an entity of their name that has another number of keys."""
    streams, production = read.workload.streams, read.production.entities
    columns = [one for stream in streams.values() for one in (stream.options.get("columns") or {}).values()]
    drawn = {one.get("of") for one in columns if isinstance(one, Mapping)}
    drawn |= {str(stream.options.get("rows")) for stream in streams.values()}
    for source in sources:
        name, stream, keys = source.name, streams[source.name], read.lab.entities.get(source.name, source.rows)
        own = stream.kind != "synthetic" or isinstance(stream.options.get("rows"), int)
        said = "lab.entities" if keys != production.get(name) else "production.entities"
        if own and keys != source.rows and (name in drawn or said == "lab.entities"):
            yield (
                f"{stream.place or 'data.yaml'}: stream {name} has {source.rows:,} rows, and {said} says "
                f"{name}: {keys}, from which references to it are drawn (write {name}: {source.rows} under entities "
                "of lab in scenario.yaml, or give the entity another name)"
            )


def data_bytes(sources: Sequence[Source]) -> int:
    """The rows' size as Arrow holds them, from the first thousand of each stream."""
    total = 0
    for source in sources:
        few = min(source.rows, 1_000)
        sampled = sum(batch.nbytes for batch in source.batches(0, few))
        total += sampled * source.rows // max(few, 1)
    return total


def disk_bytes(read: Scenario, instances: Iterable[Instance], sources: Sequence[Source]) -> int:
    """Room for data, WAL and indexes: four times the rows as sent, an empty server's 100 MiB each, databases apart."""
    each = 100 * MIB + 4 * data_bytes(sources)
    return sum(each + apart(read, one.candidate) * _APART_BYTES for one in instances)


def apart(read: Scenario, candidate: str) -> int:
    """The databases that a candidate makes for the values of a column; 0 where `lab.entities` does not tell."""
    shape = read.candidates[candidate].topology
    return read.lab.entities.get(str(shape.options.get("by")), 0) if shape.kind == "databases" else 0


def memory(read: Scenario, sources: Sequence[Source]) -> dict[str, str]:
    """shared_buffers after `lab.data_to_memory`, effective_cache_size in proportion, production's work_mem.

    `in_memory`: twice the rows as sent, with their indexes, and at least 128 MB. With `lab.memory:
    strict` servers read and write past the operating system's cache (debug_io_direct), so that
    shared_buffers stand for all of production's memory, and effective_cache_size is no more than they.
    """
    data = 2 * data_bytes(sources)
    wanted = read.lab.data_to_memory
    production = read.production
    cache_there = production.memory_bytes if read.lab.strict else production.shared_buffers_bytes
    if wanted == "in_memory":
        buffers = max(128 * MIB, 2 * data)
    elif wanted == "as production":
        rows = (production.rows_per_day or 0) * (production.keep_days or 0)
        there = rows * data / max(1, sum(source.rows for source in sources))
        buffers = int(data * (cache_there or 0) / there) if there else 128 * MIB
    else:
        buffers = int(data / float(wanted))
    found = {"shared_buffers": f"{max(16, buffers // MIB)}MB"}
    if read.lab.strict:
        found |= {"debug_io_direct": "data", "effective_cache_size": found["shared_buffers"]}
    elif production.shared_buffers_bytes and production.memory_bytes:
        cache = buffers * production.memory_bytes // production.shared_buffers_bytes
        found["effective_cache_size"] = f"{max(32, cache // MIB)}MB"
    if production.work_mem_bytes:
        found["work_mem"] = f"{production.work_mem_bytes // 1024}kB"
    return found


def writable(path: Path, option: str, *, folder: bool = True) -> None:
    """PlaceError naming *option* where a folder, or else a file, could not be written; nothing is left of the attempt.

    Of what is not there yet, the folder that it would be made in is tried.
    """
    try:
        there = next(one for one in (path, *path.parents) if one.exists())
        with tempfile.TemporaryFile(dir=there) if folder or there != path else path.open("ab"):
            pass
    except OSError as error:
        raise PlaceError(
            f"{path}: cannot be written: {error.strerror or error} (name another folder with {option})"
        ) from None


def room(folder: Path, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise PlaceError(
            f"{folder}: {free / 2**30:.1f} GiB free, about {needed / 2**30:.1f} GiB needed "
            "(use fewer --rows, --only some candidates, or set PGLAB_BASE to a larger disk)"
        )
