"""What an instance is made of, as its catalogs have it: partition trees, indexes, foreign keys."""

from lab import pg
from lab.model import Json


def inventory(admin: pg.Connection) -> dict[str, Json]:
    """`trees`: root -> its leaves; `indexes` and `foreign_keys`: rows of queries/indexes.sql and references.sql."""
    return {
        "trees": {row["root"]: row["leaves"] or [] for row in pg.rows(admin, pg.query("trees"))},
        "indexes": pg.rows(admin, pg.query("indexes")),
        "foreign_keys": pg.rows(admin, pg.query("references")),
        "freeze_max_age": pg.ask(admin, "SELECT current_setting('autovacuum_freeze_max_age')::float8 AS n")["n"],
    }
