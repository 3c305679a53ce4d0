"""`pglab init --from`: a live server is read, nothing is written to it, and rows like its own are made."""

import contextlib
import json
import re
import secrets
import socket
import threading
from pathlib import Path

import pytest
from typer.testing import CliRunner

from lab import cli, parts, pg, prepare, production, scenario, start
from lab.errors import ClusterError, ScenarioError
from lab.model import Endpoint, SqlFile

pytestmark = pytest.mark.server

SECRET = "CANARY"
PASSWORD = "hush-hush"
ROWS = 12_000
SCHEMA = f"""
CREATE TYPE state AS ENUM ('open', 'paid', 'gone');
CREATE TABLE customer (id int PRIMARY KEY, name text NOT NULL, note text);
CREATE TABLE orders (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  customer int NOT NULL REFERENCES customer,
  at timestamptz NOT NULL,
  state state NOT NULL,
  amount int NOT NULL,
  batch int NOT NULL,
  city text,
  channel text,
  remark varchar(40),
  paid boolean
);
COMMENT ON TABLE orders IS '{SECRET}';
CREATE TABLE part (k int NOT NULL, v int) PARTITION BY HASH (k);
CREATE TABLE part0 PARTITION OF part FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE part1 PARTITION OF part FOR VALUES WITH (MODULUS 2, REMAINDER 1);
CREATE TABLE bare (a int);
SELECT setseed(0.5);
INSERT INTO customer SELECT i, '{SECRET}' || i, CASE WHEN i % 10 > 2 THEN 'note ' || i END
FROM generate_series(1, 1500) i;
INSERT INTO orders (customer, at, state, amount, batch, city, channel, remark, paid)
SELECT 1 + floor(1500 * power(random(), 4)), '2025-03-01'::timestamptz + i * interval '1 minute',
       (ARRAY['open', 'paid', 'paid', 'gone'])[1 + floor(random() * 4)]::state,
       100 + floor(random() * 1e9), i / 40, '{SECRET}' || floor(exp(ln(200) * random())),
       CASE WHEN random() < .75 THEN (ARRAY['{SECRET}web', '{SECRET}app'])[1 + floor(2 * power(random(), 2))] END,
       CASE WHEN random() < .6 THEN '{SECRET} none' ELSE md5(random()::text) END, random() < .1
FROM generate_series(1, {ROWS}) i;
INSERT INTO part SELECT i, floor(random() * 50) FROM generate_series(1, 3000) i;
ANALYZE customer;
ANALYZE orders;
ANALYZE part0;
ANALYZE part1;
"""
MAPPING = (
    "CREATE FOREIGN DATA WRAPPER w",
    "CREATE SERVER elsewhere FOREIGN DATA WRAPPER w",
    f"CREATE USER MAPPING FOR lab SERVER elsewhere OPTIONS (password '{SECRET}')",
    "GRANT USAGE ON FOREIGN SERVER elsewhere TO lab",
)
NEXT = "SELECT pg_snapshot_xmax(pg_current_snapshot())::text AS xid"


@pytest.fixture(scope="module")
def there(host, server):
    """A database somebody works with, of the role `lab`, and a DSN for it."""
    name = f"t{secrets.token_hex(4)}"
    with pg.connected(server.conninfo(user="pglab", dbname="postgres")) as admin:
        pg.run(admin, f"CREATE DATABASE {name} OWNER lab")
        info = server.conninfo(dbname=name)
        with pg.connected(server.conninfo(user="pglab", dbname=name)) as own:
            pg.run(own, "CREATE EXTENSION pg_stat_statements", *MAPPING)
            prepare.apply(host.psql(), Endpoint("a", "write", info), SqlFile("source.sql", SCHEMA), "source")
            pg.run(own, "SELECT pg_stat_statements_reset()")
        with pg.connected(info) as theirs:
            for number in range(8):
                pg.rows(theirs, f"SELECT /* {SECRET} */ * FROM orders WHERE customer = {number}")
            pg.rows(theirs, f"SELECT count(*) FROM customer WHERE name = '{SECRET}1'")
            pg.run(theirs, f"SET application_name = '{SECRET}'")
        yield pg.changed(info, password=PASSWORD)
        pg.run(admin, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="module")
def made(there, tmp_path_factory):
    """A scenario that was made of it: its folder, and what the command said of it, everything told on the way too."""
    top = tmp_path_factory.mktemp("from")
    with contextlib.chdir(top):
        told: list[str] = []
        done = start.perform(start.Asked("shop", source=there), told.append)
    return top / "scenarios" / "shop", "\n".join([*told, *done.said, json.dumps(done.data)])


def written(folder: Path) -> str:
    return "\n".join(path.read_text() for path in sorted(folder.rglob("*")) if path.is_file())


def seen(info: str) -> dict[tuple[str, str], dict[str, float]]:
    with pg.connected(info) as connection:
        found = pg.rows(connection, pg.query("source_columns"), {"values": False})
    return {(one["table"], one["column"]): one for one in found}


def loaded(host, endpoint, folder):
    """The scenario's rows, all of them, in a database of their own."""
    prepare.apply(host.psql(), endpoint, SqlFile("schema.sql", (folder / "schema.sql").read_text()), "made")
    read = scenario.read("shop", scenario.OnDisk(folder, folder), parts)
    for name, stream in read.workload.streams.items():
        source = parts.load("sources", "synthetic").opened(stream, read.lab, seed=1)
        load = parts.load("ingest", "copy_binary").load
        load(endpoint, ("public", name), source.schema, source.batches(0, source.rows), connections=1)
    with pg.connected(endpoint.conninfo) as connection:
        pg.run(connection, *(f"ANALYZE {one}" for one in ("customer", "orders", "part0", "part1")))


def test_rows_that_are_made_have_the_statistics_of_the_servers(made, there, host, database):
    folder, _ = made
    for query in folder.glob("workload/*.sql"):
        assert "no source" not in query.read_text()
    loaded(host, database, folder)
    theirs, ours = seen(there), seen(database.conninfo)
    rows = {"customer": 1500, "orders": ROWS, "part": 1500}
    assert set(theirs) == set(ours)
    for name, one in theirs.items():
        other = ours[name]
        assert other["nulls"] == pytest.approx(one["nulls"], abs=0.04), name
        distinct = [
            each["distinct"] if each["distinct"] > 0 else -each["distinct"] * rows[name[0]] for each in (one, other)
        ]
        assert distinct[1] == pytest.approx(distinct[0], rel=0.15, abs=1), name
        tops = [max(each["shares"], default=0) for each in (one, other)]
        assert tops[1] == pytest.approx(tops[0], abs=0.04), name
        if name[1] not in ("state", "channel", "remark", "paid", "name", "note", "city"):
            assert other["correlation"] == pytest.approx(one["correlation"], abs=0.1), name
        if name[1] != "state":
            assert other["width"] == pytest.approx(one["width"], abs=2), name


def test_no_value_of_a_row_leaves_the_server_without_consent(made):
    folder, said = made
    assert SECRET not in written(folder)
    assert SECRET not in said
    assert "invented after a server's statistics" in (folder / "scenario.yaml").read_text()
    assert "invented after a server's statistics" in (folder / "README.md").read_text()
    assert (folder / "workload" / "data.yaml").read_text().startswith("# The rows are invented after a server's")


def test_with_consent_common_values_are_taken(there, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, word in pg.parsed(there).items():
        monkeypatch.setenv({"dbname": "PGDATABASE"}.get(name, f"PG{name.upper()}"), word)
    monkeypatch.setenv("PGOPTIONS", "-c default_transaction_read_only=on")  # the lab's own server is another
    done = CliRunner().invoke(cli.app, ["init", "shop", "--from", "", "--with-values", "--json"])
    assert done.exit_code == 0, done.output
    data = (tmp_path / "scenarios" / "shop" / "workload" / "data.yaml").read_text()
    assert re.search(rf'"{SECRET}web": 0\.7\d*, "{SECRET}app": 0\.2', data)
    assert "state: {type: text, choices: {open: 0.2" in data
    assert "start: 2025-03-01, step_s: 59.9" in data
    assert PASSWORD not in done.output + written(tmp_path)


def test_the_password_is_nowhere(made, there):
    folder, said = made
    assert PASSWORD not in written(folder) + said
    with production.session(there) as connection:
        assert PASSWORD not in production._same(connection, pg.parsed(there), encrypted=False)
    refused(pg.changed(there, dbname=PASSWORD), r'database "\*\*\*" does not exist')


def test_what_the_server_was_asked_is_the_mix(made):
    folder, said = made
    mix = (folder / "workload" / "workload.yaml").read_text()
    assert "select_orders: 8" in mix
    assert "select_customer: 1" in mix
    assert (folder / "workload" / "select_orders.sql").read_text().startswith("-- params: $1=orders.customer\nSELECT")
    assert "commands, which are not asked in a mix" in said


def test_nothing_is_written_to_the_server(there, server):
    with pg.connected(server.conninfo(user="pglab", dbname="postgres")) as admin:
        found = [pg.ask(admin, NEXT)]
        for _ in range(3):
            production.read(there, values=True, dumped=True)
            found.append(pg.ask(admin, NEXT))
    assert len(set(map(str, found))) < len(found), "each reading took transaction ids"
    with production.session(there) as connection:
        assert pg.ask(connection, "SHOW transaction_read_only") == {"transaction_read_only": "on"}
        assert pg.ask(connection, "SHOW transaction_isolation") == {"transaction_isolation": "repeatable read"}
        limits = [pg.ask(connection, f"SHOW {one}")[one] for one in ("statement_timeout", "lock_timeout")]
        assert limits == ["1min", "5s"]
        with pytest.raises(pg.Error, match="read-only transaction"):
            pg.run(connection, "INSERT INTO public.customer VALUES (0, 'a')")


def test_the_schema_and_the_statistics_are_of_one_moment(there, monkeypatch):
    asked = production._asked

    def changed(connection):
        with pg.connected(there) as other:
            pg.run(other, "CREATE TABLE later (a int)")
        return asked(connection)

    monkeypatch.setattr(production, "_asked", changed)
    try:
        assert "later" not in production.read(there, values=False, dumped=True).schema
    finally:
        with pg.connected(there) as other:
            pg.run(other, "DROP TABLE later")


def test_a_standby_is_read_too(host, server, there, tmp_path):
    name = f"s{secrets.token_hex(3)}"
    with host.standby(server, name, {"hot_standby": "on"}, tmp_path) as standby:
        folder, port = standby.peer()
        read = production.read(pg.changed(there, host=folder, port=port), values=False, dumped=True)
    with pg.connected(server.conninfo(user="pglab", dbname="postgres")) as admin:
        pg.rows(admin, "SELECT pg_drop_replication_slot(%s)", [name])  # it would hold all WAL of the tests that follow
    assert read.tables["public", "orders"].rows == ROWS
    assert "CREATE TABLE public.orders" in read.schema


# --- what cannot be read --------------------------------------------------------------------


def refused(dsn: str, match: str, error: type[Exception] = ClusterError) -> None:
    with pytest.raises(error, match=match) as told:
        production.read(dsn, values=False, dumped=True)
    assert PASSWORD not in str(told.value)


def test_a_server_that_is_not_there_is_told(tmp_path):
    refused(pg.conninfo(host=str(tmp_path), dbname="shop", password=PASSWORD), "No such file or directory")


def test_what_is_no_dsn_is_refused_without_quoting_it():
    refused(f"host=a {PASSWORD}", "--from: is no DSN", ScenarioError)


def test_a_wrong_password_is_told_without_it(server, there):
    hba = server.data / "pg_hba.conf"
    before = hba.read_text()
    role = f"r{secrets.token_hex(3)}"
    with pg.connected(server.conninfo(user="pglab", dbname="postgres")) as admin:
        pg.run(admin, f"CREATE ROLE {role} LOGIN PASSWORD 'another'")
        try:
            hba.write_text(f"local all {role} scram-sha-256\n{before}")
            pg.run(admin, "SELECT pg_reload_conf()", "SELECT pg_sleep(0.2)")
            refused(pg.changed(there, user=role), "password authentication failed.*PGPASSWORD")
            read = production.read(pg.changed(there, user=role, password="another"), values=False, dumped=False)
            assert any("customer: this role may not know its statistics" in one for one in read.notes)
        finally:
            hba.write_text(before)
            pg.run(admin, "SELECT pg_reload_conf()", f"DROP ROLE {role}")


def test_a_role_without_rights_is_told_which(server, there):
    role = f"r{secrets.token_hex(3)}"
    with pg.connected(server.conninfo(user="pglab", dbname="postgres")) as admin:
        pg.run(admin, f"CREATE ROLE {role} LOGIN")
        refused(pg.changed(there, user=role), "permission denied for table .*pg_read_all_data")
        pg.run(admin, f"DROP ROLE {role}")


def test_a_database_without_tables_is_no_source(database):
    refused(database.conninfo, "has no tables", ScenarioError)


def test_a_server_that_is_too_old_is_refused_by_its_version(there, monkeypatch):
    monkeypatch.setattr(production, "OLDEST", 99)
    refused(there, "the server is PostgreSQL 18 .servers from 99 on are read")


def test_a_server_newer_than_every_pg_dump_is_refused_with_a_way_out(there, monkeypatch):
    monkeypatch.setattr(production, "_major", lambda _: 17)
    refused(there, r"is PostgreSQL 18; the pg_dump is 17 .*--from DSN --schema dump\.sql")
    assert production.read(there, values=False, dumped=False).schema == ""


def test_an_encrypted_connection_is_not_followed_by_one_that_is_not(monkeypatch):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(ClusterError, match=r"cannot encrypt, as this connection is, and on PATH there is none"):
        production._program(18, encrypted=True)


def test_no_settings_of_pg_dumps_are_left_in_a_pooler(server, there, tmp_path):
    with pooled(server.peer(), tmp_path) as port:
        dsn = pg.changed(there, host=str(tmp_path), port=port)
        refused(dsn, "a pooler stands before the server")
        assert production.read(dsn, values=False, dumped=False).tables


def test_a_table_that_somebody_changes_is_not_waited_for_long(there, monkeypatch):
    monkeypatch.setattr(production, "_SCHEMA_ALONE", ("--schema-only", "--lock-wait-timeout=100"))
    with pg.connected(there) as other, other.transaction():
        pg.run(other, "LOCK TABLE orders")
        refused(there, "statement timeout .somebody changes a table")


@contextlib.contextmanager
def pooled(peer, folder):
    """What a client sees of a pooler: a server whose process is not the one it was told of."""
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(folder / ".s.PGSQL.6000"))
        listening.listen()
        thread = threading.Thread(target=_serve, args=(listening, f"{peer[0]}/.s.PGSQL.{peer[1]}"))
        thread.start()
        yield 6000
        listening.shutdown(socket.SHUT_RDWR)
        thread.join()


def _serve(listening, server):
    with contextlib.suppress(OSError):
        while True:
            client, _ = listening.accept()
            with client, socket.socket(socket.AF_UNIX) as other:
                other.connect(server)
                back = threading.Thread(target=_pass, args=(other, client))
                back.start()
                _pass(client, other)
                back.join()


def _pass(one, to):
    with contextlib.suppress(OSError):
        while data := one.recv(1 << 16):
            to.sendall(re.sub(rb"K\0\0\0\x0c....", b"K\0\0\0\x0c\0\0\0\1", data, count=1, flags=re.DOTALL))
        to.shutdown(socket.SHUT_RDWR)
