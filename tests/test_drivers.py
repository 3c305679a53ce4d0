"""Several load workers as one: what each is given, whose clock it is, who is let in."""

import re
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import msgpack
import numpy as np
import pyarrow as pa
import pytest

import lab
from lab import load, pace, plain
from lab.drivers import CALLS, Apart, Work, _distributed, _ops, _process, inline
from lab.drivers._clocks import Reading, ours, reading
from lab.errors import ScenarioError
from lab.model import Endpoint, Query, Statement, Topology
from lab.plain import Log
from tests import authored

TOP = Path(__file__).parent.parent
QUERY = Query("one", "one.sql", (Statement("SELECT $1, '$1'", (0,)),), send="literal")
HELLO = {
    "dialect": plain.DIALECT,
    "lab": lab.__version__,
    "locust": "2.47.0",
    "byteorder": "little",
    "token": "",
    "host": "a",
    "boot": "b",
    "pid": 1,
    "cores": 2,
}


@pytest.fixture(autouse=True)
def this_machine(monkeypatch):
    """What HELLO says of Locust and byte order is what is here."""
    monkeypatch.setattr(_distributed.importlib.metadata, "version", lambda _: "2.47.0")
    monkeypatch.setattr(_distributed.sys, "byteorder", "little")


def slice_of(*, clients, rate=1000, saturate=False):
    due = pace.due_times(rate=rate, for_s=1, arrivals="poisson", seed=5)
    params = [[str(number) if number % 7 else None] for number in range(len(due))]
    table = pa.table({"due_ns": due, "query": [0] * len(due), "params": params}, schema=CALLS)
    return Work("c", Endpoint("primary", "write", "host=x"), [QUERY], table, clients, 1.0, saturate)


# --- what each is given ---------------------------------------------------------------------


@pytest.mark.parametrize("workers", [1, 2, 3, 7])
def test_the_shares_of_all_workers_are_the_slice_of_one_process(workers):
    work = slice_of(clients=10)
    orders = [_ops.order(work, (number, workers)) for number in range(workers)]
    seqs = [list(order.seqs()) for order in orders]
    assert sorted(seq for share in seqs for seq in share) == list(range(len(work.calls)))
    assert sorted(client for order in orders for client in order.clients) == list(range(10))
    due = {seq: order.calls.dues[seq] for order, share in zip(orders, seqs, strict=True) for seq in share}
    assert [due[seq] for seq in sorted(due)] == work.calls["due_ns"].to_pylist()
    assert max(map(len, seqs)) - min(map(len, seqs)) <= 1


def test_an_order_comes_out_of_the_network_as_it_went_in():
    for order in (_ops.order(slice_of(clients=3), (1, 2)), _ops.order(slice_of(clients=3, saturate=True), (0, 1))):
        sent = msgpack.loads(msgpack.dumps(plain.packed(order)), raw=False, strict_map_key=False)  # as Locust does
        assert plain.unpacked(sent) == order


def test_a_log_comes_out_of_the_network_as_it_went_in():
    log = Log(4)
    for seq in range(1000):
        log.add(seq, 10**18 + seq, 2, *(("failed", "22012") if seq == 3 else (None, None)))
    log.add(1000, 5, 0, "unknown", None)
    again = Log.unpacked(msgpack.loads(msgpack.dumps(log.packed()), raw=False, strict_map_key=False))
    for name in ("client", "seq", "start_ns", "end_ns", "rows", "troubles"):
        assert getattr(again, name) == getattr(log, name)


def test_a_locustfile_travels_as_its_text(tmp_path):
    (tmp_path / "mine.py").write_text("import locust\n")
    order = _ops.order(slice_of(clients=1), (0, 1), str(tmp_path / "mine.py"))
    assert _distributed.plain(order)[2] == "import locust\n"
    assert _distributed.plain(_ops.order(slice_of(clients=1), (0, 1)))[2] is None


# --- whose clock it is ----------------------------------------------------------------------


def pings(random, *, offset_ns, out_ns, back_ns, number=8):
    """Pings over ways of unequal length, with delays of their own now and then."""
    sent = np.cumsum(random.integers(10**5, 10**6, number))
    there = sent + out_ns + random.exponential(50_000, number).astype(int)
    back = there + back_ns + random.exponential(50_000, number).astype(int)
    return list(zip(sent.tolist(), (there + offset_ns).tolist(), back.tolist(), strict=True))


def test_the_offset_is_never_wrong_by_more_than_is_said():
    random = np.random.default_rng(1)
    for _ in range(500):
        offset, out, back = (int(random.integers(*span)) for span in ((-(10**15), 10**15), (0, 10**6), (0, 10**6)))
        found = reading(pings(random, offset_ns=offset, out_ns=out, back_ns=back), same_machine=False)
        assert abs(found.offset_ns - offset) <= found.error_ns
        assert found.error_ns < (out + back) / 2 + 200_000  # of the best of them, not of the mean


def test_one_machine_has_one_clock_unless_the_pings_say_otherwise():
    random = np.random.default_rng(2)
    near = reading(pings(random, offset_ns=0, out_ns=10**5, back_ns=10**4), same_machine=True)
    assert (near.offset_ns, near.error_ns) == (0, 0)
    far = reading(pings(random, offset_ns=10**12, out_ns=10**5, back_ns=10**4), same_machine=True)
    assert abs(far.offset_ns - 10**12) <= far.error_ns


def test_a_clock_that_drifts_is_followed_from_the_reading_before_to_the_one_after():
    offset, drift = 7 * 10**14, 50e-6
    at = np.arange(0, 60 * 10**9, 10**7)
    theirs = at + offset + np.rint(at * drift).astype(np.int64)
    before, after = Reading(0, offset, 10), Reading(60 * 10**9, offset + 3_000_000, 10)
    assert np.abs(ours(theirs, before, after) - at).max() <= 1
    assert np.abs(ours(theirs, before, before) - at).max() > 2_900_000  # what one reading would have been off by


# --- who is let in --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"lab": "0.0.1"}, rf"its pglab is 0\.0\.1, the run's is {re.escape(lab.__version__)} \(install the same\)"),
        ({"locust": "2.1.0"}, r"its Locust is 2\.1\.0, the run's is 2\.47\.0"),
        ({"byteorder": "big"}, "its byte order is big, the run's is little"),
        ({"dialect": plain.DIALECT + 1}, "it speaks another dialect"),
        ({"pid": "1"}, "it speaks another dialect"),
        ({"token": "x"}, r"it has another token \(PGLAB_LOAD_TOKEN"),
    ],
)
def test_a_worker_that_does_not_fit_is_refused_with_the_reason(change, why):
    assert _distributed.unfit(HELLO, "") is None
    assert re.match(why, _distributed.unfit(HELLO | change, ""))
    assert re.match("it speaks another dialect", _distributed.unfit({}, ""))


class Line:
    """The master's process: what it would pass on, and what it was told."""

    def __init__(self, *heard):
        self.left, self.told = list(heard), []

    def heard(self, within_s):
        del within_s
        return bool(self.left)

    def hear(self, within_s):
        del within_s
        return self.left.pop(0)

    def tell(self, *order):
        self.told.append(order)


def test_the_first_that_fit_take_part_and_all_others_are_told_why_not():
    line, told = (
        Line(
            ("x", "done", "of a stranger"),
            ("old", "hello", HELLO | {"lab": "0.0.1", "host": "attic"}),
            ("a", "hello", HELLO),
            ("b", "hello", HELLO | {"host": "b"}),
            ("late", "hello", HELLO | {"host": "c"}),
            ("b", "ready"),
        ),
        [],
    )
    room = _distributed.Room(line, 2, "", {}, told.append)
    room.fill(5)
    assert [(seat.name, seat.about["host"]) for seat in room.seats] == [("a", "a"), ("b", "b")]
    assert room.seats[1].hear(1) == ("ready",)
    assert [(who, what) for who, what, _ in line.told] == [
        ("old", "refused"),
        ("a", "welcome"),
        ("b", "welcome"),
        ("late", "refused"),
    ]
    assert told[0].startswith("a load worker of attic is refused: its pglab is 0.0.1")
    assert told[-1] == "a load worker of c is refused: it has its workers"


@pytest.mark.parametrize("bind", ["", ":5557", "10.0.0.5:", "10.0.0.5:0", "10.0.0.5:65536", "10.0.0.5:x"])
def test_what_is_no_address_is_refused(bind):
    with pytest.raises(ScenarioError, match=r"^--load-bind: .* is no address \(10\.0\.0\.5, or 10\.0\.0\.5:5557\)"):
        _distributed.address(bind)


def scenario(**workload):
    read = authored.read()
    return replace(read, workload=replace(read.workload, **{"driver": "locust", **workload}))


@pytest.mark.parametrize(
    ("workload", "workers", "bind", "words"),
    [
        ({}, None, "127.0.0.1", r"^--load-bind: how many workers .* \(--load-workers N\)"),
        ({"processes": 2}, 2, None, r"^--load-workers: the workload has `processes: 2` already"),
        ({"driver": "plain"}, 2, None, r"^--load-workers: the driver 'plain' has none \(driver: locust\)"),
        ({}, 2, "10.0.0.5", r"^--load-bind: 10\.0\.0\.5: workers of another machine cannot reach .*\(heap, by-month"),
    ],
)
def test_workers_that_do_not_go_with_the_scenario_are_refused(workload, workers, bind, words):
    with pytest.raises(ScenarioError, match=words):
        load.check(scenario(**workload), workers, bind)


def test_workers_elsewhere_are_for_servers_that_they_can_reach():
    read = scenario()
    load.check(read, 2, None)
    load.check(read, 2, "127.0.0.1:6000")
    given = {name: replace(one, topology=Topology("given")) for name, one in read.candidates.items()}
    load.check(replace(read, candidates=given), 2, "10.0.0.5")


def test_the_image_has_the_versions_that_a_run_has():
    said = dict(
        re.findall(r"^ARG (LOCUST|PSYCOPG)=(\S+)", (TOP / "docker/loadgen/Dockerfile").read_text(), re.MULTILINE)
    )
    lock = (TOP / "requirements/run.lock").read_text()
    assert said == {key: re.search(rf"^{key.lower()}==(\S+)", lock, re.MULTILINE)[1] for key in ("LOCUST", "PSYCOPG")}


def test_a_generator_is_led_by_no_environment_to_another_server(monkeypatch):
    monkeypatch.setenv("PGHOSTADDR", "127.0.0.1")
    monkeypatch.setenv("LAB_DSN", "kept")
    found = _process.environment()
    assert ("PGHOSTADDR" in found, found["LAB_DSN"]) == (False, "kept")


# --- threads --------------------------------------------------------------------------------


class Idle:
    """A connection to nowhere."""

    lost = False

    def __init__(self, info, waits):
        del info, waits

    def check(self):
        """Nothing is lost."""

    def prepare(self, asked):
        """Anything goes."""

    def close(self):
        """Nothing is held."""


def test_connections_of_one_client_are_no_other_threads_to_change(monkeypatch):
    monkeypatch.setattr(inline.pg, "Wire", Idle)
    places = [Endpoint("primary", "write", f"dbname={number}") for number in range(60)]
    apart = Apart([0], {place.conninfo: place for place in places}, 40)
    work, one = replace(slice_of(clients=8), apart=apart), inline.Inline()

    def use(client):
        for number in range(2_000):
            one.wire(work, client, 0, places[number % len(places)])

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(8) as threads:
            assert list(threads.map(use, range(8))) == [None] * 8
    finally:
        sys.setswitchinterval(before)
