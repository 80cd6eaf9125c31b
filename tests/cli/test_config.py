"""Flags over FACETAG_* over facetag.toml over defaults; a misspelt word is an error."""

import contextlib
import json
import logging
import os

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st
from typer.main import get_command

from facetag import cli
from facetag.cli import config, console
from facetag.errors import ExitCode, FacetagError, UsageError

COMMAND = get_command(cli.app)


@pytest.fixture
def told(monkeypatch, tmp_path):
    """Runs a little application with our ways around it; answers what the command was told."""
    seen = []
    app = typer.Typer(context_settings={"auto_envvar_prefix": config.PREFIX})
    below = typer.Typer()
    app.callback()(cli.facetag)
    app.add_typer(below, name="below")

    @app.command()
    def tag(min_face: float = 1.0, names: list[str] = [], strict: bool = False) -> None:  # noqa: B006 - typer's way
        seen.append((min_face, names, strict))

    @below.command("deep-one")
    def deep_one(min_face: float = 2.0) -> None:
        seen.append(min_face)

    monkeypatch.setattr(cli, "app", app)
    monkeypatch.chdir(tmp_path)

    def run(*words, toml=None):
        if toml is not None:
            (tmp_path / "facetag.toml").write_text(toml)
        code = cli.run(words)
        return seen.pop() if code == ExitCode.OK else code

    return run


def test_each_source_yields_to_the_one_before_it(told, monkeypatch):
    assert told("tag") == (1.0, [], False)
    assert told("tag", toml="[tag]\nmin-face = 2\nnames = ['a', 'b']\nstrict = true\n") == (2.0, ["a", "b"], True)
    monkeypatch.setenv("FACETAG_TAG_MIN_FACE", "3")
    monkeypatch.setenv("FACETAG_TAG_NAMES", "c d")
    monkeypatch.setenv("FACETAG_TAG_STRICT", "0")
    assert told("tag") == (3.0, ["c", "d"], False)
    assert told("tag", "--min-face", "4", "--names", "e", "--strict") == (4.0, ["e"], True)


def test_commands_in_commands_have_their_tables_and_variables(told, monkeypatch):
    assert told("below", "deep-one", toml="[below.deep-one]\nmin_face = 5\n") == 5.0
    monkeypatch.setenv("FACETAG_BELOW_DEEP_ONE_MIN_FACE", "6")
    assert told("below", "deep-one") == 6.0


def test_one_word_stands_for_a_list_of_one(told):
    assert told("tag", toml="[tag]\nnames = 'a'\n")[1] == ["a"]


def test_a_file_may_be_named_and_then_must_be_there(told, tmp_path, monkeypatch, capsys):
    (tmp_path / "other.toml").write_text("[tag]\nmin-face = 7\n")
    assert told("--config", "other.toml", "tag", toml="[tag]\nmin-face = 8\n")[0] == 7.0
    monkeypatch.setenv("FACETAG_CONFIG", "other.toml")
    assert told("tag")[0] == 7.0
    assert told("--config", "none.toml", "tag") == ExitCode.USAGE
    assert "none.toml: No such file" in capsys.readouterr().err


def test_options_before_the_command_come_from_the_file_too(told, capsys):
    assert told("tag", "--bogus", toml="log-format = 'json'\n") == ExitCode.USAGE
    line = json.loads(capsys.readouterr().err)
    assert (line["level"], line["exit_code"]) == ("error", 2) and "No such option" in line["message"]


@pytest.mark.parametrize(
    ("toml", "message"),
    [
        ("[tag]\nmin-fase = 2\n", "facetag.toml [tag]: there is no 'min-fase'; did you mean min-face?"),
        ("[tga]\nmin-face = 2\n", "facetag.toml: there is no 'tga'; did you mean tag?"),
        ("[below.deep_one]\n", "facetag.toml [below]: there is no 'deep_one'; did you mean deep-one?"),
        ("version = true\n", "facetag.toml: there is no 'version'"),
        ("[tag]\nhelp = true\n", "facetag.toml [tag]: there is no 'help'; did you mean"),
        ("tag = 3\n", "facetag.toml: 'tag' is a command; write its options below a line [tag]"),
        ("[tag]\nmin-face = [2]\n", "facetag.toml [tag]: min-face is a list; write it as on the command line"),
        ("[tag]\nmin-face = 1979-05-27\n", "facetag.toml [tag]: min-face is a date;"),
        ("[tag]\nnames = [['a']]\n", "facetag.toml [tag]: names is a list;"),
        ("[tag]\nmin-face = 'x'\n", "Invalid value for '--min-face'"),
        ("[tag\n", "facetag.toml is not TOML: "),
    ],
)
def test_what_nobody_understands_is_one_line(told, capsys, toml, message):
    assert told("tag", toml=toml) == ExitCode.USAGE
    err = capsys.readouterr().err
    assert err.startswith("facetag: error: ") and err.count("\n") == 1 and message in err


def test_a_wrong_value_says_where_it_comes_from(told, monkeypatch, capsys):
    told("tag", toml="[tag]\nmin-face = 'x'\n")
    assert "(from the settings file)" in capsys.readouterr().err
    monkeypatch.setenv("FACETAG_TAG_MIN_FACE", "y")
    told("tag")
    assert "(from the variable FACETAG_TAG_MIN_FACE)" in capsys.readouterr().err


def test_a_variable_that_nothing_reads_is_said(told, monkeypatch, capsys):
    monkeypatch.setenv("FACETAG_MIN_FACE", "1")
    monkeypatch.setenv("FACETAG_VERSION", "1")
    assert told("tag") == (1.0, [], False)
    first, second = capsys.readouterr().err.splitlines()
    assert (
        first == "facetag: warning: the variable FACETAG_MIN_FACE is of no option; did you mean FACETAG_TAG_MIN_FACE?"
    )
    assert "FACETAG_VERSION is of no option" in second


@given(st.binary(max_size=60) | st.text("[]=.'\"\\#\n \tx10", max_size=40).map(str.encode))
def test_any_bytes_are_read_or_refused(tmp_path_factory, content):
    file = tmp_path_factory.getbasetemp() / "fuzzed.toml"
    file.write_bytes(content)
    try:
        config.defaults(COMMAND, config.read_toml(file), str(file))
    except FacetagError as error:
        assert isinstance(error, UsageError) and "\n" not in str(error)


@pytest.fixture
def speaking():
    yield
    console.speak("text", logging.INFO)


def test_lines_are_text_or_json_and_from_a_level_on(speaking, capsys):
    def lines():
        console.detail("verbose")
        console.say("hello", number=1)
        console.warn("careful")
        console.complain("bad")
        console.take_leave("gone")
        return capsys.readouterr().err.splitlines()

    assert lines() == ["facetag: hello", "facetag: warning: careful", "facetag: error: bad", "facetag: gone"]
    console.speak(level=logging.ERROR)
    assert console.is_quiet() and lines() == ["facetag: error: bad", "facetag: gone"]
    console.speak("json", console.VERBOSE)
    said = [json.loads(line) for line in lines()]
    assert [line["level"] for line in said] == ["verbose", "info", "warning", "error", "ended"]
    assert said[1]["message"] == "hello" and said[1]["number"] == 1 and said[1]["time"].endswith("+00:00")


def test_a_listener_that_has_gone_stops_nothing(monkeypatch):
    ours, theirs = os.pipe()
    os.close(ours)
    stream = open(theirs, "w")  # noqa: SIM115 - closing it fails too
    monkeypatch.setattr("sys.stderr", stream)
    console.say("hello?")
    monkeypatch.undo()
    with contextlib.suppress(BrokenPipeError):
        stream.close()


@pytest.mark.parametrize(
    ("variables", "terminal", "wanted"),
    [
        ({}, True, True),
        ({}, False, False),
        ({"NO_COLOR": "1"}, True, False),
        ({"NO_COLOR": ""}, True, True),
        ({"FORCE_COLOR": "1"}, False, True),
        ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, True, False),
        ({"TERM": "dumb"}, True, False),
    ],
)
def test_colours_are_for_terminals_and_those_who_ask(monkeypatch, capsys, variables, terminal, wanted):
    for name in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("sys.stderr.isatty", lambda: terminal)
    console.complain("bad")
    err = capsys.readouterr().err
    assert ("\x1b[" in err) is wanted and err.endswith(" bad\n")
