"""The shell around every command: help, errors, exit codes."""

import json
import os
import re
import signal
import subprocess
import sys

import pytest

from facetag import __version__, cli
from facetag.cli import console
from facetag.errors import DataError, ExitCode, UsageError

HEAVY = {"rich", "torch", "cv2", "numpy", "PIL", "sklearn", "safetensors"}


def python(code, *arguments, **options):
    return subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, check=True, **options)


@pytest.mark.parametrize("arguments", [["--help"], ["predict", "--help"], ["model", "list", "--help"]])
@pytest.mark.process
def test_help_loads_nothing_heavy(arguments):
    code = "import sys; from facetag import cli; code = cli.run(sys.argv[1:]); print(*sys.modules); sys.exit(code)"
    loaded = python(code, *arguments, text=True).stdout.splitlines()[-1].split()
    assert "facetag.cli.commands.predict" in loaded
    assert HEAVY.isdisjoint(loaded)


@pytest.mark.process
def test_completion_loads_nothing_heavy():
    code = "import sys, atexit; atexit.register(lambda: print(*sys.modules)); from facetag import cli; cli.run([])"
    words = {"_FACETAG_COMPLETE": "complete_bash", "COMP_WORDS": "facetag predict --exclude-a", "COMP_CWORD": "2"}
    lines = python(code, text=True, env={**os.environ, **words}).stdout.splitlines()
    assert lines[:-1] == ["--exclude-attributes"]
    assert HEAVY.isdisjoint(lines[-1].split())


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ("predict --format j", ["json", "jsonl"]),
        ("predict --attributes Male,Smi", ["Male,Smiling"]),
        ("predict --exclude-attributes demo", ["demographic"]),
        ("predict --threshold Smi", ["Smiling=0.5"]),
        ("predict --model fa", ["faithful", "fast", "fast-box-free"]),
        ("eval speed --model fai", ["faithful"]),
        ("model info fai", ["faithful"]),
        ("predict --faces do", ["dominant"]),
        ("predict --device cu", ["cuda"]),
        ("finetune center-net --recipe fas", ["fast", "fast-box-free"]),
    ],
)
@pytest.mark.process
def test_values_are_completed_and_nothing_heavy_is_loaded(words, offered):
    code = "import sys, atexit; atexit.register(lambda: print(*sys.modules)); from facetag import cli; cli.run([])"
    typed = f"facetag {words}"
    asked = {"_FACETAG_COMPLETE": "complete_bash", "COMP_WORDS": typed, "COMP_CWORD": str(len(typed.split()) - 1)}
    lines = python(code, text=True, env={**os.environ, **asked}).stdout.splitlines()
    assert lines[:-1] == offered
    assert HEAVY.isdisjoint(lines[-1].split())


def test_options_stand_in_panels(capsys):
    cli.run(["predict", "--help"])
    text = capsys.readouterr().out
    heads = re.findall(r"^(\w+):$", text, re.MULTILINE)
    assert heads == ["Arguments", "Input", "Faces", "Attributes", "Output", "Runs", "Machine", "Options"]
    panel = {name: head for head, part in zip(heads, re.split(r"^\w+:$", text, flags=re.M)[1:], strict=True) for name in
             re.findall(r"(?<= )--[a-z-]+(?= )", part.replace("\n", " \n"))}  # fmt: skip
    assert panel["--files-from"] == "Input" and panel["--boxes"] == "Faces" and panel["--unsure"] == "Attributes"
    assert panel["--out"] == "Output" and panel["--prune"] == "Runs" and panel["--model"] == "Machine"
    assert "-o, --out FILE" in text


@pytest.mark.parametrize("group", ["pretrain", "finetune", "eval", "data", "model"])
def test_every_groups_help_has_examples(group, capsys):
    assert cli.run([group, "--help"]) == ExitCode.OK
    text = capsys.readouterr().out
    assert "Examples:\n" in text and f"    facetag {group} " in text


def every_command(app, path=()):
    for command in app.registered_commands:
        yield (*path, command.name or command.callback.__name__.replace("_", "-"))
    for group in app.registered_groups:
        yield from every_command(group.typer_instance, (*path, group.name))


@pytest.mark.parametrize("command", list(every_command(cli.app)), ids=" ".join)
def test_every_commands_help_has_an_example_that_names_it(command, capsys):
    assert cli.run([*command, "--help"]) == ExitCode.OK
    text, _, examples = capsys.readouterr().out.partition("Example")
    assert f"facetag {' '.join(command)}" in " ".join(examples.split())
    assert text.startswith(f"Usage: facetag {' '.join(command)} ")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["predic"], "No such command 'predic'"),
        (["predict", "--bogus"], "No such option: --bogus"),
        (["predict", "x", "--batch", "0"], "'--batch'"),
        (["predict", "x", "--faces", "some"], "'--faces'"),
        (["predict"], "nothing to read; name photographs or folders, or use --files-from"),
        (["localize", "x", "-0"], "add --files-from"),
        (["predict", "-"], "photographs are not read from standard input; use --files-from - for a list of paths"),
        (["predict", "x", "--out", "tags.txt"], "no format is known for 'tags.txt'; choose by --format: csv, "),
        (["predict", "x", "--attributes", "Smile"], "no attribute or group is called 'Smile'"),
        (["predict", "x", "--attributes", "Male", "--exclude-attributes", "demographic"], "no attribute is left"),
        (["predict", "x", "--threshold", "Smiling"], "--threshold Smiling=0.7"),
        (["predict", "x", "--threshold", "Smiling=1.5"], "P from 0 to 1"),
        (["predict", "x", "--threshold", "Smile=0.5"], "no attribute or group is called 'Smile'"),
        (["predict", "x", "--min-face", "inf"], "'--min-face'"),
        (["predict", "x", "--aligned", "--faces", "dominant"], "exclude each other; use one of them"),
        (["predict", "x", "--aligned", "--boxes", "b.csv"], "exclude each other; use one of them"),
    ],
)
def test_misuse_is_one_line_and_2(arguments, message, capsys):
    assert cli.run(arguments) == ExitCode.USAGE
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("facetag: error: ") and err.count("\n") == 1
    assert message in err


def test_a_command_without_its_words_is_answered_by_its_help(capsys):
    assert cli.run(["model"]) == ExitCode.USAGE
    out, err = capsys.readouterr()
    assert out == "" and err.startswith("Usage: facetag model ")


def test_version(capsys):
    assert cli.run(["--version"]) == ExitCode.OK
    assert capsys.readouterr().out == f"facetag {__version__}\n"
    assert cli.run(["-V"]) == ExitCode.OK
    assert capsys.readouterr().out == f"facetag {__version__}\n"


def failing(monkeypatch, error, app=None):
    def command():
        raise error

    app = app or cli.typer.Typer()
    app.command("other")(lambda: None)
    app.command("command")(command)
    app.callback()(cli.facetag)
    monkeypatch.setattr(cli, "app", app)


@pytest.mark.parametrize(("error", "code"), [(DataError("no", "look"), 1), (UsageError("no", "look"), 2)])
def test_an_error_is_one_line_and_its_code(monkeypatch, capsys, error, code):
    failing(monkeypatch, error)
    assert cli.run(["command"]) == code
    assert capsys.readouterr() == ("", "facetag: error: no; look\n")


def test_debug_shows_where_an_error_comes_from(monkeypatch, capsys):
    failing(monkeypatch, DataError("no", "look"))
    assert cli.run(["--debug", "command"]) == 1
    err = capsys.readouterr().err
    assert "Traceback" in err and err.endswith("facetag: error: no; look\n")


@pytest.mark.parametrize("words", [["command", "--debug"], ["--debug", "command"]])
def test_debug_is_heard_before_and_behind_the_command(monkeypatch, capsys, words):
    failing(monkeypatch, DataError("no", "look"), cli.App())
    assert cli.run(words) == 1
    err = capsys.readouterr().err
    assert "Traceback" in err and err.endswith("facetag: error: no; look\n")


def test_what_nobody_foresaw_is_one_line_and_1(monkeypatch, capsys):
    failing(monkeypatch, ZeroDivisionError("division\nby zero"))
    assert cli.run(["command"]) == ExitCode.FATAL
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert err.startswith(
        "facetag: error: facetag failed unexpectedly (ZeroDivisionError: division by zero); run it again"
    )
    assert cli.run(["--debug", "command"]) == ExitCode.FATAL
    assert "Traceback" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["--log-format", "json", "command"], 1),
        (["--log-format=json", "--debug", "command"], 1),
        (["bogus", "--log-format", "json"], 2),
        (["--bogus", "--log-format=json"], 2),
        (["--log-format", "json", "--config", "none.toml", "command"], 2),
    ],
)
def test_every_error_is_an_object_when_lines_are_for_programs(monkeypatch, capsys, words, code):
    failing(monkeypatch, ZeroDivisionError("division by zero"))
    assert cli.run(words) == code
    (line,) = map(json.loads, capsys.readouterr().err.splitlines())
    assert (line["level"], line["exit_code"]) == ("error", code)
    assert ("Traceback" in line.get("traceback", "")) is ("--debug" in words)


@pytest.mark.process
@pytest.mark.parametrize("words", ["predict a.jpg", "schema", "model list"])
def test_a_current_folder_that_is_gone_is_one_line(tmp_path, words):
    command = f'cd "$1" && rmdir "$1" && exec "$0" -m facetag {words}'
    (tmp_path / "gone").mkdir()
    command = ["sh", "-c", command, sys.executable, str(tmp_path / "gone")]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == ExitCode.USAGE
    assert result.stderr == (
        "facetag: error: the current folder cannot be used: No such file or directory; change into another one\n"
    )


def test_marks_that_turn_text_round_are_spelled_out(monkeypatch, capsys):
    failing(monkeypatch, DataError("a\u202egpj.exe", "look"))
    cli.run(["command"])
    console.say("b\u2066\x1b[31m\u200fc")
    assert capsys.readouterr().err.splitlines() == [
        "facetag: error: a\\u202egpj.exe; look",
        "facetag: b\\u2066\\x1b[31m\\u200fc",
    ]


def test_interruption_has_its_code(monkeypatch, capsys):
    failing(monkeypatch, KeyboardInterrupt())
    assert cli.run(["command"]) == ExitCode.INTERRUPTED
    assert capsys.readouterr().err.strip() == "facetag: interrupted"


@pytest.mark.parametrize(
    ("number", "code", "word"),
    [(signal.SIGINT, ExitCode.INTERRUPTED, "interrupted"), (signal.SIGTERM, ExitCode.TERMINATED, "terminated")],
)
def test_what_breaks_because_of_a_signal_is_no_fault(monkeypatch, capsys, number, code, word):
    """As where the second signal comes amid the tidying for the first."""

    def torn():
        try:
            signal.raise_signal(number)
        finally:
            raise ValueError("generator already executing")

    failing(monkeypatch, None)
    cli.app.command("torn")(torn)
    assert cli.run(["torn"]) == code
    assert capsys.readouterr().err == f"facetag: {word}\n"


@pytest.mark.process
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_that_python_loses_in_a_finalizer_ends_the_process(number, code):
    program = f"""
import signal, sys, weakref
from facetag import cli
class Thing: pass
def command():
    thing = Thing()
    weakref.finalize(thing, signal.raise_signal, {int(number)})
    del thing
    print("went on", flush=True)
cli.app.command("command")(command)
sys.argv = ["facetag", "command"]
cli.main()
"""
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    word = {130: "interrupted", 143: "terminated"}[code]
    assert (result.returncode, result.stdout, result.stderr) == (code, "", f"facetag: {word}\n")


@pytest.mark.process
def test_a_reader_that_has_gone_is_no_error():
    code = "import sys; from facetag import cli; sys.argv = ['facetag', '--help']; cli.main()"
    ours, theirs = os.pipe()
    os.close(ours)
    try:
        result = subprocess.run([sys.executable, "-c", code], stdout=theirs, stderr=subprocess.PIPE, check=False)
    finally:
        os.close(theirs)
    assert (result.returncode, result.stderr) == (0, b"")


@pytest.mark.process
@pytest.mark.parametrize(
    ("words", "redirection", "code", "said"),
    [
        ("schema", ">&-", 1, "facetag: error: cannot write standard output: Bad file descriptor; "),
        ("schema", ">/dev/full", 1, "facetag: error: cannot write standard output: No space left on device; "),
        ("--version", ">/dev/full", 1, "facetag: error: cannot write standard output: No space left on device; "),
        ("model list", ">/dev/full", 1, "facetag: error: cannot write standard output: No space left on device; "),
        ("schema", "2>&-", 0, ""),
        ("bogus", "2>&-", 2, ""),
        ("schema", "<&-", 0, ""),
    ],
)
@pytest.mark.parametrize("buffered", ["", "1"])
def test_a_standard_stream_that_is_closed_or_full_is_one_line_at_most(words, redirection, code, said, buffered):
    command = f'PYTHONUNBUFFERED={buffered} exec "$0" -m facetag {words} {redirection}'
    result = subprocess.run(["sh", "-c", command, sys.executable], capture_output=True, text=True, check=False)
    assert result.returncode == code
    assert result.stderr.startswith(said) and result.stderr.count("\n") == bool(said)
    assert bool(result.stdout) == (code == 0)
