"""Connections that cannot be had."""

import gc
import socket

import pytest

from lab import pg


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
