"""The Docker host on this machine's engine: really up, really limited, really gone."""

import pytest

from lab import pg
from lab.errors import ClusterError

pytestmark = [pytest.mark.server, pytest.mark.docker]
PRELOAD = {"shared_preload_libraries": "pg_stat_statements"}


def test_a_server_answers_with_the_settings_asked_for(docker_host, tmp_path):
    with (
        docker_host.server("one", {**PRELOAD, "work_mem": "7MB"}, tmp_path) as server,
        pg.connected(server.conninfo()) as connection,
    ):
        assert pg.ask(connection, "SHOW work_mem") == {"work_mem": "7MB"}
        assert pg.ask(connection, "SELECT rolsuper FROM pg_roles WHERE rolname = current_user") == {"rolsuper": False}
        assert pg.ask(connection, "SHOW fsync") == {"fsync": "on"}
        assert server.cpu_s() > 0


def test_a_server_that_refuses_a_setting_says_so(docker_host, tmp_path):
    with (
        pytest.raises(ClusterError, match=r"one: the server did not start: .*shared_buffers"),
        docker_host.server("one", {"shared_buffers": "many"}, tmp_path),
    ):
        pass
