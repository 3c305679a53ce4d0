"""What authors write is read, or every mistake in it is said with its place and a way out."""

import random
import re
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest

from lab import noise, parts, scenario
from lab.design import design
from lab.errors import ScenarioError
from lab.model import Scenario
from tests.authored import FILES, Parts, edited, read

S, W = "scenario.yaml", "workload/workload.yaml"
TABLE = Path(__file__).with_name("mistakes.txt")


def mistakes(files: dict[str, str], given: scenario.Given | None = None) -> list[str]:
    with pytest.raises(ScenarioError) as found:
        read(files, given)
    return list(found.value.mistakes)


# --- mistakes -------------------------------------------------------------------------------


def table() -> Iterator[pytest.param]:
    """The cases of mistakes.txt: a title, edits as file, old and new lines, and the messages."""
    for block in TABLE.read_text(encoding="utf-8").strip().split("\n\n"):
        title, *lines = block.split("\n")
        files, wanted = dict(FILES), []
        file, old, new = "", [], []
        for line in [*lines, "@"]:
            mark, text = line[:1], line[2:]
            if mark == "@":
                if old or new:
                    files[file] = files[file].replace("\n".join(old), "\n".join(new), 1) if old else "\n".join(new)
                file, old, new = text, [], []
            elif mark == "x":
                del files[file]
            else:
                {"-": old, "+": new, ">": wanted}[mark].append(text)
        yield pytest.param(files, wanted, id=title.removeprefix("# "))


@pytest.mark.parametrize(("files", "wanted"), list(table()))
def test_every_mistake_reads_as_its_place_what_is_wrong_and_what_would_be_right(files, wanted):
    assert mistakes(files) == wanted


def test_every_mistake_of_the_table_has_a_line_and_a_way_out():
    for line in TABLE.read_text(encoding="utf-8").splitlines():
        if line.startswith("> "):
            assert re.match(r"> [\w/.]+:\d+: .", line), line


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (FileNotFoundError(2, "no"), "does not exist (it belongs beside scenario.yaml)"),
        (PermissionError(13, "no"), "may not be read (chmod a+r)"),
        (IsADirectoryError(21, "no"), "is a folder (name a file)"),
        (UnicodeDecodeError("utf-8", b"ab\xff", 2, 3, "no"), "is not UTF-8, from byte 2 on (iconv -t UTF-8)"),
        (OSError(5, "Input/output error"), "cannot be read: Input/output error"),
    ],
)
def test_a_file_that_cannot_be_had_says_why(error, said):
    def reader(name: str) -> str:
        if name == "heap.sql":
            raise error
        return scenario.kept(FILES)(name)

    with pytest.raises(ScenarioError) as found:
        scenario.read("sample", reader, Parts())
    assert found.value.mistakes == (f"scenario.yaml:12: candidates.heap.schema: 'heap.sql' {said}",)


def test_no_scenario_yaml_is_said_without_a_line():
    assert mistakes({}) == ["scenario.yaml: 'scenario.yaml' does not exist (it belongs beside scenario.yaml)"]


def test_a_control_character_is_found_at_its_line():
    assert mistakes(edited((S, "question", "ques\x07tion"))) == [
        "scenario.yaml:2: is no YAML: special characters are not allowed (take the character out)"
    ]


@pytest.mark.long
def test_what_goes_too_deep_is_refused():
    assert mistakes(edited((S, "Which index?", "[" * 3000 + "]" * 3000))) == [
        "scenario.yaml:1: goes too deep, or an alias holds itself (write it out)"
    ]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (
            scenario.Given(only=("heep",)),
            "--only: no candidate 'heep' (did you mean 'heap'? known: by-day, by-month, heap)",
        ),
        (scenario.Given(profile="fast"), "--profile: unknown value 'fast' (known: decide, gate, quick)"),
        (scenario.Given(probes="5s"), "--probes: unknown value '5s' (known: 100ms, 1s, off)"),
        (scenario.Given(rows=0), "--rows: 0 is not above 0 (a whole number of rows)"),
    ],
)
def test_the_command_line_is_checked_too(given, said):
    assert said in mistakes(dict(FILES), given)


# --- what is read ---------------------------------------------------------------------------


def test_a_scenario_read_again_from_its_own_files_is_equal():
    first = read()
    assert read(first.files) == first
    assert set(first.files) == set(FILES)


def test_names_of_files_do_not_say_where_the_workload_was_found():
    elsewhere = {name.replace("workload/", "workloads/events/"): text for name, text in FILES.items()}
    assert read(elsewhere) == read()


def test_a_matrix_becomes_candidates_in_the_authors_order():
    assert list(read().candidates) == ["heap", "by-month", "by-day"]
    assert read().candidates["by-day"].schema.text == "CREATE TABLE events_day (id bigint); -- None\n"


def test_a_matrix_fills_in_the_rest_of_the_candidate():
    files = edited((S, "hypothesis: pruning", "hypothesis: 'one partition a {interval}, {not} more'"))
    assert read(files).candidates["by-month"].hypothesis == "one partition a month, {not} more"


def test_two_axes_multiply():
    two = edited((S, "by-{interval}:", "'{n} by {interval}':"), (S, "[month, day]}", "[month, day], n: [1, 2]}"))
    assert list(read(two).candidates) == ["heap", "1 by month", "2 by month", "1 by day", "2 by day"]


def test_templates_know_the_window_that_the_data_and_the_rounds_span():
    holes = "{{ start }} {{ days }} {{ rounds }} {{ first_day }} {{ last_day }} {{ day(31) }} {{ month(13) }}"
    text = read(edited() | {"part.sql.j2": holes + " {{ lab.rows }} {{ production.keep_days }}"})
    assert (
        text.candidates["by-day"].schema.text == "2026-01-01 10 20 2026-01-01 2026-01-30 2026-02-01 2027-02-01 1000 100"
    )


def test_a_template_makes_a_partition_for_every_day():
    loop = "{% for n in range(days + rounds) %}{{ day(n) }}\n{% endfor %}"
    lines = read(edited() | {"part.sql.j2": loop}).candidates["by-day"].schema.text.split()
    assert (len(lines), lines[-1]) == (30, date(2026, 1, 30).isoformat())


def test_names_with_quotes_spaces_and_letters_of_the_world_work():
    name, file = "L'été «№ 1»", "l'é té.sql"
    files = edited((S, "  heap:\n    schema: heap.sql", f'  "{name}":\n    schema: {file}'))
    files[S] = files[S].replace("baseline: heap", f"baseline: {name}")
    files[file] = FILES["heap.sql"]
    assert read(files).candidates[name].schema.file == file


def test_production_is_shrunk_by_the_rows_a_day():
    assert dict(read().lab.entities) == {"device": 5}
    assert read().production.memory_bytes == 64 * 2**30


def test_more_rows_on_the_command_line_widen_what_narrow_made():
    assert dict(read(given=scenario.Given(rows=2_000)).lab.entities) == {"device": 10}


def test_no_entity_is_shrunk_away():
    assert dict(read(given=scenario.Given(rows=10)).lab.entities) == {"device": 1}


def test_the_author_may_say_how_many_entities_the_lab_has():
    assert dict(read(edited((S, "days: 10,", "days: 10, entities: {device: 7},"))).lab.entities) == {"device": 7}


def test_only_keeps_the_baseline():
    assert list(read(given=scenario.Given(only=("by-day",))).candidates) == ["heap", "by-day"]


def test_without_a_timeline_a_round_appends_a_day_drives_and_retires():
    found = read()
    assert [step.do for step in found.prepare] == ["ingest", "settle", "count"]
    assert [step.do for step in found.round] == ["append", "drive", "retire"]
    assert found.round[0].rows == 100
    assert (found.round[1].for_s, found.round[1].rate, found.round[1].clients) == (0.45, 400.0, 2)


def test_without_days_nothing_moves():
    files = edited((S, "lab: {shrink: [short, narrow], days: 10, rows: 1_000}", "lab: {rows: 1_000}"))
    assert [step.do for step in read(files).round] == ["drive"]


def test_requirements_know_their_place():
    assert read().requirements[0].place == "scenario.yaml:6"


def test_every_candidate_is_asked_the_same():
    mixes = [[(q.name, q.weight, q.params) for q in one.queries] for one in read().candidates.values()]
    assert mixes[0] == mixes[1] == mixes[2]


def test_a_candidate_may_bring_its_own_text_with_fewer_parameters():
    own = edited((S, "sql: {retire: retire.sql}", "sql: {retire: retire.sql, recent: own.sql}"))
    own["own.sql"] = "SELECT 2 WHERE :since < now()"
    heap, day = (read(own).candidates[name].queries[0] for name in ("heap", "by-day"))
    assert heap.statements[0].text == "SELECT /* pglab:recent */ 2 WHERE $1 < now()"
    assert heap.statements[0].takes == (1,)
    assert heap.params == day.params


def test_a_zero_byte_in_a_file_is_refused_since_the_server_would_stop_reading_there():
    files = edited()
    files["heap.sql"] = "CREATE TABLE events (a int);\0 CREATE INDEX ON events (a);"
    with pytest.raises(ScenarioError, match=r"'heap\.sql' holds a zero byte"):
        read(files)


def test_a_stream_of_files_need_not_list_the_columns_that_parameters_are_drawn_from():
    rows = "streams:\n  events: {kind: csv, files: events.csv, columns: {at: timestamptz}}\n"
    files = edited((W, "fast", "locust"), **{"workload/data.yaml": rows})
    of_files = scenario.read("sample", scenario.kept(files), parts, scenario.Given())
    assert [one.origin for query in of_files.workload.queries for one in query.params] == [
        "events.device",
        "window.to",
        "events.id",
    ]


def test_a_candidate_may_be_asked_by_more_clients():
    files = edited((S, "hypothesis: plain", "hypothesis: plain\n    clients: 100"))
    assert [one.clients for one in read(files).candidates.values()] == [100, None, None]


def test_settings_of_scenario_and_candidate_are_merged():
    files = edited(
        (S, "baseline: heap", "baseline: heap\nsettings: {work_mem: 8MB, jit: off}"),
        (S, "hypothesis: plain", "hypothesis: plain\n    settings: {JIT: true}"),
    )
    assert read(files).candidates["heap"].settings == {"work_mem": "8MB", "jit": "true"}
    assert read(files).candidates["by-day"].settings == {"work_mem": "8MB", "jit": "off"}


def test_durability_may_be_off_with_a_reason():
    files = edited((S, "baseline: heap", "baseline: heap\nunsafe: a cache\nsettings: {fsync: off}"))
    assert read(files).unsafe == "a cache"


def test_a_candidates_mix_may_differ_where_the_scenario_says_so():
    files = edited(
        (S, "baseline: heap", "baseline: heap\nmay_differ: [mix]"),
        (S, "hypothesis: plain", "hypothesis: plain\n    mix: {by_id: 3}"),
    )
    assert [(q.name, q.weight) for q in read(files).candidates["heap"].queries] == [("by_id", 3.0)]


def test_topologies_nest():
    shape = "topology: {kind: over, postgres: 17, behind: {kind: single}}"
    topology = read(edited((S, "baseline: heap", f"baseline: heap\n{shape}"))).candidates["heap"].topology
    assert (topology.kind, topology.postgres, topology.options) == ("over", 17, {"behind": {"kind": "single"}})


def test_the_catalogue_study_renders_the_schema_for_each_number_of_partitions():
    files = edited((S, "baseline: heap", "baseline: heap\ncatalogue: {candidate: by-day, partitions: [13, 60]}"))
    catalogue = read(files).catalogue
    assert catalogue is not None
    assert [schema.text[-4:] for schema in catalogue.schemas] == [" 13\n", " 60\n"]
    assert read(files, scenario.Given(only=("by-month",))).catalogue is None


def test_numbered_parameters_take_their_sources_from_a_list():
    files = edited((W, "clients: 2", "clients: 2\nparams: {by_id: [events.id, 'uniform(1, 9)']}"))
    files["workload/by_id.sql"] = "SELECT $2, $1"
    query = read(files).workload.queries[1]
    assert [(p.name, p.origin, p.law) for p in query.params] == [("$1", "events.id", ""), ("$2", "", "uniform(1, 9)")]
    assert query.statements[0].takes == (1, 0)


# --- files on disk --------------------------------------------------------------------------


def laid_out(folder: Path) -> Path:
    for name, text in FILES.items():
        path = folder / "scenarios" / "sample" / name
        if name.startswith("workload/"):
            path = folder / name.replace("workload/", "workloads/events/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder / "scenarios" / "sample"


def test_a_scenario_is_found_by_path_by_name_and_by_its_file(tmp_path):
    folder = laid_out(tmp_path)
    for name in ("sample", "scenarios/sample", "scenarios/sample/scenario.yaml", str(folder)):
        assert scenario.find(name, tmp_path) == folder


def test_what_is_shipped_is_found_from_any_folder_and_goes_after_ones_own(tmp_path):
    found = scenario.find("quickstart", tmp_path)
    assert "question:" in scenario.OnDisk(found, tmp_path)("scenario.yaml")
    assert "mix:" in scenario.OnDisk(found, tmp_path)("workloads/events/workload.yaml")
    (tmp_path / "scenarios" / "quickstart").mkdir(parents=True)
    (tmp_path / "scenarios" / "quickstart" / "scenario.yaml").write_text("format: 1")
    assert scenario.find("quickstart", tmp_path) == tmp_path / "scenarios" / "quickstart"


def test_an_unknown_scenario_names_the_nearest(tmp_path):
    laid_out(tmp_path)
    with pytest.raises(ScenarioError, match=r"^sampel: no such scenario \(did you mean 'sample'\? known: .*sample"):
        scenario.find("sampel", tmp_path)
    with pytest.raises(ScenarioError, match=r"^workloads: there is no scenario.yaml in this folder"):
        scenario.find("workloads", tmp_path)


def test_what_is_on_disk_is_what_is_kept(tmp_path):
    found = scenario.read("sample", scenario.OnDisk(laid_out(tmp_path), tmp_path), Parts())
    assert found == read()


def test_a_workload_beside_the_scenario_comes_first(tmp_path):
    folder = laid_out(tmp_path)
    for name in ("workload.yaml", "data.yaml", "recent.sql", "by_id.sql"):
        (folder / "workload").mkdir(exist_ok=True)
        (folder / "workload" / name).write_text(FILES[f"workload/{name}"].replace("recent: 5", "recent: 9"))
    found = scenario.read("sample", scenario.OnDisk(folder, tmp_path), Parts())
    assert found.workload.queries[0].weight == 9


def test_bytes_that_are_no_text_are_named(tmp_path):
    folder = laid_out(tmp_path)
    (folder / "heap.sql").write_bytes(b"-- caf\xe9")
    with pytest.raises(ScenarioError, match=r"'heap.sql' is not UTF-8, from byte 6 on"):
        scenario.read("sample", scenario.OnDisk(folder, tmp_path), Parts())


def test_every_scenario_of_the_repository_parses(repo):
    folders = [path.parent for path in sorted(repo.glob("scenarios/*/scenario.yaml"))]
    for folder in folders:
        found = scenario.read(folder.name, scenario.OnDisk(folder, repo), parts)
        assert scenario.read(folder.name, scenario.kept(found.files), parts) == found


def test_the_schema_for_editors_knows_every_key():
    schema = scenario.json_schema()
    assert set(schema["required"]) == {"format", "question", "objective", "baseline", "candidates"}
    assert "hypothesis" in schema["$defs"]["Candidate"]["properties"]


# --- nothing but ScenarioError --------------------------------------------------------------

_ODD = list('[]{}:-~1|>%@\t\x00é;#\\"')
_ODD += [
    "null",
    "-1",
    "1e999",
    ".nan",
    ".inf",
    "''",
    "&a",
    "*a",
    "!!set",
    "!x",
    "? ",
    "2026-13-45",
    "0o9",
    "---",
    "!!int",
]
_ODD += ["{{x}}", "{%if%}", "$1", ":x", "$$", "/*", "--", "E'"]


def spoiled(text: str, chance: random.Random) -> str:
    """*text* with one word or character replaced, doubled or taken out."""
    at = chance.randrange(len(text))
    words = [match.span() for match in re.finditer(r"[\w.]+", text)]
    start, end = chance.choice([(at, at), (at, at + 1), (at, at + 5), *words])
    again = slice(*chance.choice(words))
    return text[:start] + chance.choice([*_ODD, "", "\n", "9" * 400, text[again]]) + text[end:]


def outcome(files: dict[str, str]) -> type:
    try:
        return type(read(files))
    except ScenarioError as error:
        return type(error)


def test_whatever_is_written_there_is_a_scenario_or_a_message():
    chance = random.Random(20260101)
    names = [chance.choice(sorted(FILES)) for _ in range(200)]
    assert {outcome(dict(FILES) | {name: spoiled(FILES[name], chance)}) for name in names} == {Scenario, ScenarioError}


@pytest.mark.parametrize(
    ("value", "why"),
    [("2026-13-01", "month must be in 1..12"), ("2026-02-30 10:00:00", "day is out of range for month")],
)
def test_a_value_that_yaml_cannot_make_is_told_at_its_line(value, why):
    files = edited(("workload/data.yaml", "2026-01-01", value))
    with pytest.raises(ScenarioError) as told:
        read(files)
    assert str(told.value) == f"workload/data.yaml:4: {value!r} cannot be read: {why} (put it in quotes if it is text)"


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("window", "window.from"),
        ("a.b", "no dot"),
        ("a/b", "no slash"),
        ("x" * 64, "63 bytes"),
        ("ä" * 32, "63 bytes"),
        (" ", "printable"),
    ],
)
def test_a_streams_name_that_cannot_be_one_is_told_with_the_reason(name, why):
    files = edited(("workload/data.yaml", "  events:", f"  {name!r}:"))
    with pytest.raises(ScenarioError) as told:
        read(files)
    (line,) = (line for line in told.value.mistakes if "cannot be a stream's name" in line)
    assert line.startswith("workload/data.yaml:2: ")
    assert why in line


def test_a_stream_of_any_other_name_gives_its_values():
    files = edited(
        ("workload/data.yaml", "  events:", "  'my \"own\" events':"),
        ("workload/recent.sql", "events.device", '"my ""own"" events".device'),
        ("workload/by_id.sql", "events.id", '"my ""own"" events".id'),
    )
    recent = next(query for query in read(files).workload.queries if query.name == "recent")
    assert recent.params[0].origin == 'my "own" events.device'


# --- slices of the profile ------------------------------------------------------------------

SHORT = """\
baseline: heap
timeline:
  - {do: ingest}
  - {do: settle}
  - {do: count}
  - do: round
    steps:
      - {do: drive, for: 250ms, rate: 400}
      - {do: saturate, for: 3s}
      - {do: saturate, for: 1s}
"""


def short(profile: str) -> Scenario:
    return read(edited((S, "baseline: heap\n", SHORT)), scenario.Given(profile=profile))


@pytest.mark.parametrize("profile", ["decide", "gate"])
def test_slices_that_are_too_short_for_the_profile_are_lengthened_and_told(profile):
    found = short(profile)
    assert [step.for_s for step in found.round] == [2.0, 3.0, 2.0]
    first, last = found.lengthened
    assert re.fullmatch(
        rf"scenario.yaml:\d+: timeline.*: 0.25 s is driven for 2 s, .* of profile {profile} .*profile: quick.*", first
    )
    assert int(last.split(":")[1]) - int(first.split(":")[1]) == 2
    assert noise.foreseen(Path("nowhere"), found, rounds=8, host={}).warnings[:2] == [first, last]


def test_quick_drives_as_long_as_the_author_wrote():
    found = short("quick")
    assert [step.for_s for step in found.round] == [0.25, 3.0, 1.0]
    assert found.lengthened == ()


def test_trials_of_longer_slices_are_others():
    longer = read(edited((S, "baseline: heap\n", SHORT.replace("250ms", "2s"))), scenario.Given(profile="decide"))
    written, driven = (design(one, seed=1).trials[0].id for one in (longer, short("decide")))
    assert written != design(read(edited((S, "baseline: heap\n", SHORT))), seed=1).trials[0].id
    assert written == driven
