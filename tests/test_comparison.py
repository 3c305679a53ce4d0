"""`pglab compare` without a server: numbers of rows, and which run's table is shown."""

from pathlib import Path
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

from lab import cli, comparison, publish, session, store
from lab.errors import IngestError, LabError


@pytest.mark.parametrize("words", ["9" * 5000, "0", "000k", "k", "1e3", "-1", ""])
def test_what_is_no_number_of_rows_is_refused(words):
    with pytest.raises(LabError, match="is no number of rows"):
        comparison.count(words)


def test_the_table_is_of_the_run_that_was_made_and_not_of_the_newest(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for run in ("2026-01-01", "2099-01-01"):
        (tmp_path / "results" / "c" / run).mkdir(parents=True)
        (tmp_path / "results" / "c" / run / store.RUN).write_text("{}")
    for name, text in {"a.sql": "TABLE a;", "b.sql": "TABLE b;", "q.sql": "TABLE c"}.items():
        (tmp_path / name).write_text(text)
    done = publish.Published(0, ("said",), {"run": "2026-01-01"})
    monkeypatch.setattr(comparison, "_made", lambda *_: {"scenario.yaml": ""})
    monkeypatch.setattr(comparison.session, "perform", lambda *_: done)
    monkeypatch.setattr(comparison.show, "shown", lambda folder: folder.name)
    run = session.Asked("", Path("results"), Path("doc"))
    asked = comparison.Asked((Path("a.sql"), Path("b.sql")), (Path("q.sql"),), {}, run, name="c")
    _, shown = comparison.perform(asked, _Silent(), None)
    assert shown == "2026-01-01"


def test_a_numbered_parameter_needs_no_dollar_that_a_shell_would_take(tmp_path, monkeypatch):
    taken = []

    def perform(asked, *_):
        taken.append(asked.params)
        raise LabError("enough")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(comparison, "perform", perform)
    words = [
        "compare",
        "a.sql",
        "b.sql",
        "--query",
        "q.sql",
        "--param",
        "2=t.a",
        "--param",
        "$1=t.b",
        "--param",
        "c=t.c",
    ]
    assert CliRunner().invoke(cli.app, words).exit_code == 2
    assert taken == [{"$2": "t.a", "$1": "t.b", "c": "t.c"}]


class _Silent:
    def note(self, line):
        pass


def test_a_scenario_that_could_not_be_run_is_gone_again_and_that_is_said(tmp_path, monkeypatch):
    def refuse(*_):
        raise IngestError("b: no such column")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(comparison, "_files", lambda _: ({"a": None, "b": None}, {}))
    monkeypatch.setattr(comparison, "_made", lambda *_: {"scenario.yaml": "format: 1\n"})
    monkeypatch.setattr(session, "perform", refuse)
    said: list[str] = []
    run = session.Asked("", Path("results"), Path("doc"))
    with pytest.raises(IngestError, match="no such column"):
        comparison.perform(comparison.Asked((), (), {}, run), SimpleNamespace(note=said.append), None)
    assert not (tmp_path / "scenarios/compare-a-b").exists()
    assert said == [
        "the scenario is scenarios/compare-a-b",
        "scenarios/compare-a-b is gone again: it was not run",
    ]


@pytest.mark.parametrize("begun", [False, True])
def test_a_scenario_of_which_no_run_began_when_it_was_stopped_is_gone_again(tmp_path, monkeypatch, begun):
    def stopped(*_):
        if begun:
            run = tmp_path / "results/compare-a-b/20260101T000000-abcdef"
            run.mkdir(parents=True)
            (run / store.RUN).write_text("{}")
        raise KeyboardInterrupt("interrupted while waiting")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(comparison, "_files", lambda _: ({"a": None, "b": None}, {}))
    monkeypatch.setattr(comparison, "_made", lambda *_: {"scenario.yaml": "format: 1\n"})
    monkeypatch.setattr(session, "perform", stopped)
    run = session.Asked("", Path("results"), Path("doc"))
    with pytest.raises(KeyboardInterrupt):
        comparison.perform(comparison.Asked((), (), {}, run), _Silent(), None)
    assert (tmp_path / "scenarios/compare-a-b").exists() is begun
