"""What a table is and promises, as far as that decides whether rows may come in one way or another."""

from collections.abc import Sequence

from lab import pg
from lab.errors import IngestError
from lab.ingest import _fit

_KINDS = {"p": "a partitioned table", "f": "a foreign table", "v": "a view"}


def plain(link: pg.Connection, table: tuple[str, str], what: str) -> None:
    """Raise IngestError where *table* is no ordinary table, or has rows, and so *what* cannot be done to it."""
    kind = pg.ask(link, pg.query("load_target"), {"schema": table[0], "table": table[1]})["kind"]
    if kind != "r":
        raise IngestError(
            f"table {_fit.dotted(table)}: is {_KINDS.get(kind, 'no ordinary table')}: {what} is for ordinary tables "
            "(method: copy_binary, or a schema without partitions)"
        )
    if pg.ask(link, f"SELECT EXISTS (SELECT FROM {pg.ident(*table)}) AS there")["there"]:
        raise IngestError(
            f"table {_fit.dotted(table)}: has rows already: {what} is for the first rows of a table "
            "(a way of their own for later ones: append: {method: copy_binary})"
        )


def key(link: pg.Connection, fit: _fit.Fit, asked: Sequence[str] | None) -> list[str]:
    """The columns by which a row is known to be there: those *asked* for, or the table's first unique key.

    Raise IngestError where the table has no such key, or the rows do not bring its columns.
    """
    table = _fit.dotted(fit.table)
    found = pg.rows(link, pg.query("unique_keys"), {"schema": fit.table[0], "table": fit.table[1]})
    known: list[list[str]] = [row["columns"] for row in found]
    brought = [one for one in known if set(one) <= set(fit.schema.names)]
    if asked is not None:
        for one in known:
            if set(one) == set(asked) and one in brought:
                return one
        has = ", ".join(f"[{', '.join(one)}]" for one in brought) or "none of columns that the rows bring"
        raise IngestError(f"table {table}: no unique key [{', '.join(asked)}] (the table has: {has})")
    if not brought:
        raise IngestError(
            f"table {table}: no unique key of columns that the rows bring, by which one that is there could be told "
            "(a PRIMARY KEY in the schema, or method: insert)"
        )
    return brought[0]


def upsert(fit: _fit.Fit, known_by: Sequence[str], action: str) -> str:
    """The ON CONFLICT clause; with nothing to update beside the key there is nothing to do."""
    others = [name for name in fit.schema.names if name not in known_by]
    target = f"ON CONFLICT ({_fit.listed(known_by)})"
    if action == "nothing" or not others:
        return f"{target} DO NOTHING"
    return f"{target} DO UPDATE SET {assigned(others, 'excluded.')}"


def assigned(names: Sequence[str], source: str) -> str:
    """The assignments of an UPDATE, from columns of the same names.

    >>> assigned(["a", "b"], "excluded.")
    '"a" = excluded."a", "b" = excluded."b"'
    """
    return ", ".join(f"{pg.ident(name)} = {source}{pg.ident(name)}" for name in names)
