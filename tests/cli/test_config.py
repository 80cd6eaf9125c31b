"""Flags over FACETAG_* over facetag.toml over defaults; a misspelt word is an error."""

import contextlib
import json
import logging
import os
from pathlib import Path

import pytest
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
    app = cli.App(context_settings={"auto_envvar_prefix": config.PREFIX})
    below = cli.App()
    app.callback()(cli.facetag)
    app.add_typer(below, name="below")

    @app.command()
    def tag(min_face: float = 1.0, ext: list[str] = [], strict: bool = False, out: str = "-") -> None:  # noqa: B006
        seen.append((min_face, ext, strict))

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
    assert told("tag", toml="[tag]\nmin-face = 2\next = ['a', 'b']\nstrict = true\n") == (2.0, ["a", "b"], True)
    monkeypatch.setenv("FACETAG_TAG_MIN_FACE", "3")
    monkeypatch.setenv("FACETAG_TAG_EXT", "c d")
    monkeypatch.setenv("FACETAG_TAG_STRICT", "0")
    assert told("tag") == (3.0, ["c", "d"], False)
    assert told("tag", "--min-face", "4", "--ext", "e", "--strict") == (4.0, ["e"], True)


def test_commands_in_commands_have_their_tables_and_variables(told, monkeypatch):
    assert told("below", "deep-one", toml="[below.deep-one]\nmin_face = 5\n") == 5.0
    monkeypatch.setenv("FACETAG_BELOW_DEEP_ONE_MIN_FACE", "6")
    assert told("below", "deep-one") == 6.0


def test_one_word_stands_for_a_list_of_one(told):
    assert told("tag", toml="[tag]\next = 'a'\n")[1] == ["a"]


def test_a_file_may_be_named_and_then_must_be_there(told, tmp_path, monkeypatch, capsys):
    (tmp_path / "other.toml").write_text("[tag]\nmin-face = 7\n")
    assert told("--config", "other.toml", "tag", toml="[tag]\nmin-face = 8\n")[0] == 7.0
    monkeypatch.setenv("FACETAG_CONFIG", "other.toml")
    assert told("tag")[0] == 7.0
    assert told("--config", "none.toml", "tag") == ExitCode.USAGE
    assert "none.toml: No such file" in capsys.readouterr().err


def test_a_file_that_nobody_named_sets_neither_what_is_written_nor_what_is_read(told, capsys):
    toml = "[tag]\nmin-face = 2\nout = 'x'\n"
    assert told("tag", toml=toml) == ExitCode.USAGE
    assert capsys.readouterr().err == (
        "facetag: error: facetag.toml [tag]: 'out' says what is written, read or loaded, in a file that you did not "
        "name; if you trust it, use --config facetag.toml\n"
    )
    assert told("--config", "facetag.toml", "tag")[0] == 2.0


def every_option(command, path=()):
    yield from ((path, name) for name in config.options_of(command))
    for name, below in getattr(command, "commands", {}).items():
        yield from every_option(below, (*path, name))


#: What a file that nobody named may not set: a new option belongs here or into config.HARMLESS.
HARMFUL = {
    "against", "append", "boxes", "card", "columns", "copy", "crop-dir", "data", "device", "draw", "dry-run", "explode",
    "files-from",
    "follow-links", "format", "html", "image", "images", "install-completion", "json", "labels", "max-time", "model",
    "out", "overwrite", "picture", "prune", "recipe", "relative-to", "resume", "run", "sheet", "show-completion",
    "sidecar", "watch", "csv", "engine", "lfwa", "journal", "page", "peer", "raw", "ray-address",
    "ray-workers", "work",
}  # fmt: skip


def test_every_option_is_harmless_or_not_for_a_file_that_nobody_named():
    options = list(every_option(COMMAND))
    assert {name for _, name in options} == HARMFUL | config.HARMLESS and not HARMFUL & config.HARMLESS
    for path, name in options:
        values = {name: "1"}
        for command in reversed(path):
            values = {command: values}
        refused = name in HARMFUL or path[:1] in (("pretrain",), ("finetune",))
        with pytest.raises(UsageError) if refused else contextlib.nullcontext():
            config.refuse_harmful(COMMAND, values, "facetag.toml")


def test_the_users_own_configuration_is_below_the_folders_and_may_set_all(told, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "own"))
    (tmp_path / "own/facetag").mkdir(parents=True)
    own = tmp_path / "own/facetag/config.toml"
    own.write_text("[tag]\nmin-face = 5\nstrict = true\nout = 'mine.csv'\n[below.deep-one]\nmin-face = 6\n")
    assert told("tag") == (5.0, [], True)
    assert capsys.readouterr().err == f"facetag: options from {own}\n"
    assert told("tag", toml="[tag]\nmin-face = 7\n") == (7.0, [], True)
    assert told("below", "deep-one") == 6.0
    (tmp_path / "other.toml").write_text("[tag]\nstrict = false\n")
    assert told("--config", "other.toml", "tag") == (5.0, [], False)
    monkeypatch.setenv("XDG_CONFIG_HOME", "own")  # a relative one is to be ignored
    monkeypatch.setenv("HOME", str(tmp_path / "nobody"))
    assert told("below", "deep-one") == 2.0


def test_a_configuration_in_a_closed_folder_is_somebody_elses(told, monkeypatch):
    """`sudo -u` and containers leave HOME and the current folder as they were; root sees all, so this is played."""

    def closed(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "is_file", closed)
    assert told("below", "deep-one") == 2.0


def test_what_was_read_is_said_and_verbose_says_which_options(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "facetag.toml").write_text("log-format = 'text'\n[predict]\nmin-face = 2\nquiet = true\n")
    words = ["predict", "--files-from", "none"]
    cli.run(words)
    first, *others = capsys.readouterr().err.splitlines()
    assert first == "facetag: options from facetag.toml" and len(others) == 1  # its quiet does not silence that
    cli.run([*words, "-v"])
    assert "facetag: facetag.toml sets log-format, predict.min-face, predict.quiet\n" in capsys.readouterr().err
    cli.run([*words, "-q"])
    assert "facetag.toml" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("FACETAG_MODEL", "FACETAG_PREDICT_MODEL"),
        ("FACETAG_OUT", "FACETAG_PREDICT_OUT"),
        ("FACETAG_MODLE", "FACETAG_PREDICT_MODEL"),
        ("FACETAG_PREDICT_MODLE", "FACETAG_PREDICT_MODEL"),
        ("FACETAG_LOCALISE_DRAW", "FACETAG_LOCALIZE_DRAW"),
        ("FACETAG_REPEATS", "FACETAG_EVAL_SPEED_REPEATS"),
        ("FACETAG_SPEED_REPEATS", "FACETAG_EVAL_SPEED_REPEATS"),
        ("FACETAG_RECIPE", "FACETAG_PRETRAIN_LNET_RECIPE"),
    ],
)
def test_a_variable_that_is_none_suggests_the_one_that_was_meant(name, meant):
    assert config.nearest_variable(name, list(config.variables(COMMAND))) == meant


def test_quiet_silences_what_is_said_of_variables(monkeypatch, capsys):
    monkeypatch.setenv("FACETAG_MODEL", "fast")
    words = ["predict", "--files-from", "none"]
    cli.run(words)
    assert "did you mean FACETAG_PREDICT_MODEL?" in capsys.readouterr().err
    cli.run([*words, "-q"])
    assert capsys.readouterr().err.count("\n") == 1


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
        ("[tag]\next = [['a']]\n", "facetag.toml [tag]: ext is a list;"),
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


@pytest.mark.parametrize("name", ["FACETAG_HELP", "FACETAG_TAG_HELP", "FACETAG_BELOW_HELP"])
def test_no_variable_asks_for_help_in_place_of_an_answer(told, monkeypatch, capsys, name):
    monkeypatch.setenv(name, "1")
    assert told("tag") == (1.0, [], False)
    assert told("below", "deep-one") == 2.0
    assert f"{name} is of no option" in capsys.readouterr().err


def test_a_file_of_any_size_is_one_line(told, capsys):
    with open("facetag.toml", "wb") as file:
        file.truncate(1 << 40)
    assert cli.run(["predict", "a.jpg"]) == ExitCode.USAGE
    assert capsys.readouterr().err.startswith("facetag: error: facetag.toml is larger than ")


def test_a_file_may_begin_with_a_byte_order_mark(told):
    assert told("tag", toml="\ufeff[tag]\nmin-face = 2\n")[0] == 2.0


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
