"""Connections that cannot be had."""

import gc
import socket

import pytest
from psycopg import errors

from lab import pg

STATES = {
    "connection": ["", "08000", "08006", "08P01", "57P01", "57P02", "57P03"],
    "room": ["53100"],
    "system": ["58000", "58030"],
    None: ["57014", "53200", "53300", "58P01", "22012", "40P01", "25P03"],  # which authors bring about
}


@pytest.mark.parametrize(("what", "state"), [(what, state) for what, states in STATES.items() for state in states])
def test_a_failure_of_the_environment_is_told_from_one_of_what_was_asked(what, state):
    assert pg.environmental(errors.lookup(state)() if state else pg.OperationalError("gone")) == what


def test_an_attempt_that_timed_out_leaves_no_socket_to_a_server_that_may_answer_again():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        info = f"host=127.0.0.1 port={silent.getsockname()[1]} dbname=x sslmode=disable connect_timeout=2"
        gc.disable()  # as it is while load is driven
        try:
            with pytest.raises(pg.OperationalError, match="timeout"):
                pg.connect(info)
            begun, _ = silent.accept()
            with begun:
                begun.settimeout(2)
                while begun.recv(1000):
                    pass  # until its end has come
        finally:
            gc.enable()
