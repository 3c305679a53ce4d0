"""What a review asks of a schema: each question with why it matters, when it is fine, and what would settle it.

A question is one of the lab's own queries on the catalogue. Nothing here claims a speed: what can
be measured is said to be measured, and by which metric of the lab.
"""

from dataclasses import dataclass
from typing import Literal

from lab import pg

MANUAL = "https://www.postgresql.org/docs/current/"
Weight = Literal["error", "risk", "cost", "note"]
WEIGHTS: dict[Weight, str] = {
    "error": "does not do what it says",
    "risk": "works today, and fails or locks later",
    "cost": "is paid for at every write, read or byte; to be measured",
    "note": "usually wiser otherwise, and often meant so",
}


@dataclass(frozen=True)
class Question:
    """One question. *asks* is SQL whose rows are findings (queries/review_*.sql says their columns).

    *page* is a page of PostgreSQL's manual, relative to MANUAL. *metrics* are those of the lab that
    decide it; () where no measurement would, and *measure* says what does.
    """

    name: str
    weight: Weight
    asks: str
    why: str
    right: str
    fine: str
    page: str
    measure: str
    metrics: tuple[str, ...] = ()


QUESTIONS: tuple[Question, ...] = (
    Question(
        "set-null-on-not-null",
        "error",
        pg.query("review_set_null"),
        why="The foreign key promises that a referenced row may go; the column forbids it, so the "
        "delete or update fails.",
        right="Let the column be NULL, or say ON DELETE RESTRICT or CASCADE.",
        fine="Never: the two contradict each other.",
        page="ddl-constraints.html#DDL-CONSTRAINTS-FK",
        measure="Nothing: this is about what is meant. Delete a referenced row on a copy and see.",
    ),
    Question(
        "policy-without-row-security",
        "error",
        pg.query("review_policy"),
        why="Policies are not looked at until row security is enabled for the table: everybody who may read the table "
        "reads all rows.",
        right="Enable row security; and force it where the owner's own queries are to be restrained too.",
        fine="While policies are being written, before they are switched on.",
        page="ddl-rowsecurity.html",
        measure="What it costs to switch it on: two candidates, with and without; scenarios/tenancy does that.",
        metrics=("query.<query>.blocks_per_call", "query.<query>.planning_ms"),
    ),
    Question(
        "unique-in-one-partition",
        "error",
        pg.query("review_partition_unique"),
        why="The same value may stand in another partition. A unique key of the whole table must hold the partition "
        "key, so that one of a single partition promises less than it seems to.",
        right="A unique key on the partitioned table, with the partition key in it; or a table of its own for what "
        "must be unique.",
        fine="Where the value determines the partition, so that equal values always meet in one.",
        page="ddl-partitioning.html#DDL-PARTITIONING-DECLARATIVE-LIMITATIONS",
        measure="Nothing: this is about what is promised.",
    ),
    Question(
        "index-not-valid",
        "error",
        pg.query("review_invalid_index"),
        why="Writes keep it up and no query uses it. It is what a failed CREATE INDEX CONCURRENTLY leaves, or an index "
        "ON ONLY a partitioned table whose partitions' indexes were not all attached.",
        right="REINDEX CONCURRENTLY, or ATTACH PARTITION for every partition's index.",
        fine="In the middle of a migration that attaches them one by one.",
        page="sql-createindex.html#SQL-CREATEINDEX-CONCURRENTLY",
        measure="Nothing: it is of no use as it is.",
    ),
    Question(
        "key-numbers-run-out",
        "risk",
        pg.query("review_short_key"),
        why="Once the last number is drawn every insert fails. Numbers of rolled-back inserts are used up too, and to "
        "change the type later rewrites the table under a lock that keeps everybody out.",
        right="bigint, and GENERATED ALWAYS AS IDENTITY rather than serial.",
        fine="In tables that people fill by hand: countries, plans, roles.",
        page="datatype-numeric.html#DATATYPE-INT",
        measure="What the wider key takes: bytes per row and of the indexes. Alignment often makes it nothing.",
        metrics=("size.bytes_per_row", "size.index_bytes"),
    ),
    Question(
        "foreign-key-of-another-type",
        "risk",
        pg.query("review_foreign_key_type"),
        why="The narrower type cannot refer to all rows of the other table; of types in different families a join "
        "cannot use the index.",
        right="The same type on both sides.",
        fine="Where the referenced key is known to stay small; even then nothing is gained.",
        page="ddl-constraints.html#DDL-CONSTRAINTS-FK",
        measure="Nothing: the referenced key decides. How long a change of type locks is seen on a copy of the size of "
        "production.",
    ),
    Question(
        "sequence-ends",
        "risk",
        pg.query("review_sequence"),
        why="After its last number nextval fails, or with CYCLE gives numbers again that are in use.",
        right="A bigint sequence and column, NO CYCLE.",
        fine="CYCLE where numbers are not kept: a ring of slots.",
        page="sql-createsequence.html",
        measure="Nothing in the lab: watch last_value in pg_sequences in production.",
    ),
    Question(
        "foreign-key-without-index",
        "cost",
        pg.query("review_foreign_key_index"),
        why="When a referenced row is deleted or its key changes, the referring table is searched for its rows: "
        "without an index, all of it, once for each deleted row. Joins from the referenced side want the same index.",
        right="An index that begins with the referring columns.",
        fine="Where referenced rows are never deleted nor their keys changed, and nobody asks from that side; or the "
        "referring table stays small.",
        page="ddl-constraints.html#DDL-CONSTRAINTS-FK",
        measure="Two candidates, as it is and with the index; a mix with the deletes and the joins of production in "
        "production's shares. The index is paid for by inserts.",
        metrics=("query.<query>.blocks_per_call", "append.wal_bytes_per_row", "size.index_bytes"),
    ),
    Question(
        "redundant-index",
        "cost",
        pg.query("review_redundant_index"),
        why="Each insert, and each update that is not HOT, writes both; both take room and cache. What the one answers "
        "the other can answer.",
        right="Drop it, after a look at idx_scan in pg_stat_user_indexes on every server that answers reads.",
        fine="Where it is much smaller than the other and most queries need no more, so that it stays in memory.",
        page="indexes-multicolumn.html",
        measure="Two candidates, as it is and without the index, with the whole mix of queries.",
        metrics=("append.wal_bytes_per_row", "size.index_bytes", "query.<query>.blocks_per_call"),
    ),
    Question(
        "many-indexes",
        "cost",
        pg.query("review_many_indexes"),
        why="Each index is written at every insert, and locked whenever a query of the table is planned; an update "
        "that changes an indexed column cannot be HOT and writes to all of them.",
        right="As few as the queries need; several narrow ones may be one of several columns.",
        fine="In tables that are read in many ways and seldom written.",
        page="storage-hot.html",
        measure="Candidates that leave out those that pg_stat_user_indexes says are not used, with the whole mix.",
        metrics=("append.wal_bytes_per_row", "append.rows_per_s", "query.<query>.locks_per_call"),
    ),
    Question(
        "random-key",
        "cost",
        pg.query("review_random_key"),
        why="New rows go to leaves all over the index: after each checkpoint nearly every one of them is written to "
        "WAL as a whole page, and the whole index wants to be in memory.",
        right="uuidv7() (PostgreSQL 18), which grows with time; or a bigint identity where no uuid is asked for.",
        fine="In small tables; and where a key must not tell when its row was made.",
        page="functions-uuid.html",
        measure="Two candidates, random and by time, loaded with more rows than fit into shared_buffers.",
        metrics=("wal.fpi_bytes_per_row", "append.wal_bytes_per_row", "size.index_bytes"),
    ),
    Question(
        "index-on-one-partition",
        "cost",
        pg.query("review_partition_index"),
        why="The next partition will lack it, and queries then scan that one whole.",
        right="An index on the partitioned table, which every partition gets; ON ONLY and ATTACH for a table in use.",
        fine="Where old and new partitions are asked different things, on purpose.",
        page="ddl-partitioning.html#DDL-PARTITIONING-DECLARATIVE-MAINTENANCE",
        measure="Two candidates, one with the index on all partitions; queries that reach the newest partition.",
        metrics=("query.<query>.blocks_per_call", "append.wal_bytes_per_row"),
    ),
    Question(
        "no-primary-key",
        "risk",
        pg.query("review_primary_key"),
        why="Equal rows cannot be told apart, repaired or deduplicated, nothing can refer to them, and logical "
        "replication refuses their updates and deletes without a replica identity.",
        right="A primary key: the natural one where it never changes, else an identity column.",
        fine="In staging tables, and in logs that are only appended to and dropped by partition.",
        page="ddl-constraints.html#DDL-CONSTRAINTS-PRIMARY-KEYS",
        measure="What the key costs at ingest: two candidates, with and without it.",
        metrics=("ingest.rows_per_s", "append.wal_bytes_per_row", "size.index_bytes"),
    ),
    Question(
        "default-partition",
        "risk",
        pg.query("review_default_partition"),
        why="To attach or create a partition, the DEFAULT one is scanned for rows that belong to it, under a lock that "
        "keeps everybody out of it; if there are any it fails. Rows nobody expected gather there unseen.",
        right="Create partitions ahead of time and let what fits none fail; or keep it and watch that it is empty.",
        fine="While it is empty, or where an excluding CHECK spares the scan.",
        page="ddl-partitioning.html#DDL-PARTITIONING-DECLARATIVE-MAINTENANCE",
        measure="Whether queries that prune still open it: partitions and locks of each query.",
        metrics=("query.<query>.partitions_per_call", "query.<query>.locks_per_call"),
    ),
    Question(
        "unlogged-table",
        "risk",
        pg.query("review_unlogged"),
        why="After a crash it is empty, and standbys have never had its rows.",
        right="A logged table; for speed of one load, COPY into a new logged table.",
        fine="For what can be made again: caches, staging of an import.",
        page="sql-createtable.html#SQL-CREATETABLE-UNLOGGED",
        measure="What durability costs here; the scenario must say unsafe: and why, or the lab refuses to compare.",
        metrics=("append.wal_bytes_per_row", "append.rows_per_s"),
    ),
    Question(
        "constraint-not-valid",
        "risk",
        pg.query("review_not_valid"),
        why="It holds for new rows only; the planner relies on none of it for the old ones, nor may you.",
        right="VALIDATE CONSTRAINT, which lets reads and writes go on, in a migration of its own.",
        fine="Between the migration that adds it and the one that validates it.",
        page="sql-altertable.html#SQL-ALTERTABLE-DESC-VALIDATE-CONSTRAINT",
        measure="Nothing: whether the old rows meet it is found by validating on a copy of production.",
    ),
    Question(
        "definer-without-search-path",
        "risk",
        pg.query("review_definer"),
        why="Whoever may create an object in a schema of the caller's search_path can have it used with the rights of "
        "the function's owner.",
        right="SET search_path in the function, pg_temp last.",
        fine="Where every name in its body is written with its schema, operators too.",
        page="sql-createfunction.html#SQL-CREATEFUNCTION-SECURITY",
        measure="Nothing: this is about rights.",
    ),
    Question(
        "unique-with-null",
        "risk",
        pg.query("review_nullable_unique"),
        why="Two NULLs are not equal, so that rows which are the same in all but that are both let in.",
        right="NOT NULL, or UNIQUE NULLS NOT DISTINCT (PostgreSQL 15).",
        fine="Where NULL means that there is none, and many may have none.",
        page="indexes-unique.html",
        measure="Nothing: this is about what is meant.",
    ),
    Question(
        "local-time",
        "risk",
        pg.query("review_local_time"),
        why="It does not say which instant is meant: the session's time zone decides at every conversion, and an hour "
        "comes twice each autumn.",
        right="timestamptz, which stores the instant in as many bytes. Say with USING AT TIME ZONE what the old values "
        "meant.",
        fine="For times by the wall clock that are meant so: opening hours, a birthday.",
        page="datatype-datetime.html",
        measure="Nothing: both are eight bytes.",
    ),
    Question(
        "money-type",
        "risk",
        pg.query("review_money"),
        why="Its fraction and currency are those of the server's lc_monetary: a dump read with another means other "
        "amounts. It holds no currency.",
        right="numeric with a scale, or a bigint of the smallest unit, and the currency beside it.",
        fine="Hardly ever in a new schema.",
        page="datatype-money.html",
        measure="What numeric takes more than bigint: bytes per row, time of sums.",
        metrics=("size.bytes_per_row", "mix.server_ms_per_op"),
    ),
    Question(
        "json-as-text",
        "cost",
        pg.query("review_json_text"),
        why="It is kept as it was written and parsed again at each access; it has no equality and no GIN index.",
        right="jsonb; and columns for what is asked for often.",
        fine="Where the text must come back unchanged, with order, blanks and repeated keys, and is not asked into.",
        page="datatype-json.html",
        measure="Candidates json, jsonb and columns, with the queries that look into the documents; "
        "scenarios/flights compares documents with tables.",
        metrics=("query.<query>.mean_ms", "size.bytes_per_row", "ingest.rows_per_s"),
    ),
    Question(
        "padded-text",
        "note",
        pg.query("review_padded_text"),
        why="Values are padded to their length with blanks, which count for nothing in some comparisons and are there "
        "in others; it takes more room than text and is never faster.",
        right="text, with a CHECK where the length matters.",
        fine="For codes of one fixed length that every value has.",
        page="datatype-character.html",
        measure="Bytes per row as char(n) and as text, where values are shorter than n.",
        metrics=("size.bytes_per_row",),
    ),
    Question(
        "foreign-key-may-be-null",
        "note",
        pg.query("review_foreign_key_null"),
        why="A row with NULL there refers to nothing and is not checked; over several columns one NULL switches the "
        "whole check off. Joins silently leave such rows out.",
        right="NOT NULL where each row has one; MATCH FULL over several columns that are NULL together.",
        fine="Where the relation is optional.",
        page="ddl-constraints.html#DDL-CONSTRAINTS-FK",
        measure="Nothing: this is about what is meant.",
    ),
)
