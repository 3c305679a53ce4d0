"""The scenario that `pglab init` writes where nobody gives it a schema: it runs as it is, and says what each key is."""

FILES = {
    "scenario.yaml": """\
# A scenario is a question, candidates that may answer it, and the rows and queries they are measured with.
# `pglab run` with this folder measures it; `--dry-run` checks every file first. `pglab schema` has all keys.
format: 1
question: Is an index on (customer, placed_at) worth its writes for the newest orders of a customer?

# How production differs from the lab; projections and doubts come from it. Also: entities, shared_buffers, work_mem.
production: {rows_per_day: 200_000, keep_days: 365, memory: 32GiB, peak_factor: 3}

# The lab's own size. `entities` are how many different customers the rows have.
# Also: shrink (short, narrow, thin), data_to_memory, memory: strict.
lab: {rows: 50_000, days: 10, entities: {customer: 1_000}}

# What must hold. A candidate that misses one is not recommended, however fast it is elsewhere.
requirements:
  - {metric: query.newest.p95_ms, at_most: 50}

# What is to be as small (minimise) or as large (maximise) as it can be, among those that meet the requirements.
objective: {minimise: mix.server_ms_per_op}
least_effect: {exact: 0.01, time: 0.10}   # smaller differences are of no interest to you

profile: quick      # or decide, gate: three loads or one, slices of at least 2s
topology: {kind: single}   # or replicas, patroni, citus, sharded, pooled, databases
workload: orders    # the folder workload/ here goes before workloads/orders

# The steps of a run; those below `round` are repeated. Also: append, retire, and times with `at`.
timeline:
  - {do: ingest}
  - {do: settle}
  - {do: count}
  - {do: round, steps: [{do: drive, for: 400ms, rate: 200}]}

# The baseline is what you have. Each candidate says what should improve, and what it should cost.
# A candidate may also have: settings, sql (its own text of a query), load, topology, ingest, clients, matrix.
baseline: plain
candidates:
  plain: {schema: plain.sql, hypothesis: the least to write and to keep}
  indexed: {schema: indexed.sql, hypothesis: few blocks for each customer; every new order pays for one more index}
""",
    "plain.sql": """\
CREATE TABLE orders (
  id bigint PRIMARY KEY,
  placed_at timestamptz NOT NULL,
  customer integer NOT NULL,
  status text NOT NULL,
  amount numeric(12, 2) NOT NULL
);
""",
    "workload/workload.yaml": """\
# Which rows there are, who asks, and how often each query is asked, in proportion. A query is a file <name>.sql.
data: data.yaml
clients: 2
mix: {newest: 9, by_id: 1}
""",
    "workload/data.yaml": """\
# A stream's rows go to the table of its name. Other kinds of source than synthetic: csv, parquet where there are any.
streams:
  orders:
    kind: synthetic
    time: {column: placed_at, start: 2026-01-01}   # advances with the rows over `lab.days`
    columns:
      id: {type: bigint, sequence: 1}
      placed_at: {type: timestamptz}
      customer: {type: int, of: customer, skew: zipf(1.1)}   # some order far more than others
      status: {type: text, choices: {paid: 0.9, open: 0.1}}
      amount: {type: "numeric(12, 2)", law: "uniform(1, 500)"}
""",
    "workload/newest.sql": """\
-- A parameter has a name here, and a source of its values: a stream's column, with a law of how often each is asked.
-- params: customer=orders.customer zipf(1.1)
SELECT id, placed_at, status, amount
FROM orders
WHERE customer = :customer
ORDER BY placed_at DESC
LIMIT 20
""",
    "workload/by_id.sql": """\
-- params: id=orders.id
SELECT customer, status, amount FROM orders WHERE id = :id
""",
}


def files(name: str) -> dict[str, str]:
    """Path within the folder of the scenario *name* -> text."""
    return {
        **FILES,
        "indexed.sql": f"{FILES['plain.sql']}CREATE INDEX ON orders (customer, placed_at DESC);\n",
        "README.md": (
            f"# {name}\n\nThe newest orders of a customer, with and without an index. Change the tables in `plain.sql`,"
            "\nthe rows in `workload/data.yaml` and the queries in `workload/` to yours, one at a time; check with\n\n"
            f"    pglab run scenarios/{name} --dry-run\n\nthen measure with `pglab run scenarios/{name}`.\n"
        ),
    }
