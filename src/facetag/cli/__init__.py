"""The command line: one command a file. Nothing heavy is imported before a command runs."""

import itertools
import logging
import os
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any, cast

import typer
from typer.main import get_command

from facetag import __version__
from facetag.cli.app import App
from facetag.cli.commands import (
    attributes,
    data,
    diff,
    doctor,
    eval,
    finetune,
    localize,
    merge,
    model,
    paths,
    predict,
    pretrain,
    report,
    schema,
    untag,
)
from facetag.cli.config import PREFIX, every_option, load_config
from facetag.cli.console import (
    LogFormat,
    complain,
    complain_with_traceback,
    mend_streams,
    speak,
    take_leave,
)
from facetag.cli.session import Session
from facetag.errors import ExitCode, FacetagError, Stopped, Unforeseen, UsageError

#: What can be typed after `facetag`: a function, or an app of further commands. A new command is one line.
COMMANDS: dict[str, typer.Typer | Callable[..., None]] = {
    "predict": predict.predict,
    "localize": localize.localize,
    "pretrain": pretrain.app,
    "finetune": finetune.app,
    "eval": eval.app,
    "data": data.app,
    "model": model.app,
    "doctor": doctor.doctor,
    "merge": merge.merge,
    "attributes": attributes.attributes,
    "schema": schema.schema,
    "report": report.report,
    "diff": diff.diff,
    "untag": untag.untag,
    "paths": paths.paths,
}

#: Words that do not fit together on the command line; typer has no public name for it.
_Misuse = cast("type[Any]", typer.BadParameter.__base__)

_LONGEST = 500  #: characters of an unforeseen error's own words

_FAREWELLS: dict[int, str] = {
    ExitCode.INTERRUPTED: "interrupted",
    ExitCode.TERMINATED: "terminated",
    ExitCode.HUNG_UP: "hung up",
}

app = App(
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"], "auto_envvar_prefix": PREFIX},
)
for _name, _command in COMMANDS.items():
    if isinstance(_command, typer.Typer):
        app.add_typer(_command, name=_name)
    else:
        app.command(_name)(_command)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"facetag {__version__}")
        raise typer.Exit


@app.callback()
def facetag(
    context: typer.Context,
    debug: Annotated[bool, typer.Option("--debug", help="Show where errors come from.")] = False,
    log_format: Annotated[
        LogFormat | None,
        typer.Option(help="Lines on standard error for people, or JSON objects.  [default: text]", show_default=False),
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Defaults of options.  [default: facetag.toml, if there is one]",
            callback=load_config,
            is_eager=True,
        ),
    ] = None,
    version: Annotated[
        bool,
        typer.Option(
            "--version", "-V", help="Show the version.", callback=_version, is_eager=True, allow_from_autoenv=False
        ),
    ] = False,
) -> None:
    """Find faces and forty attributes in photographs.

    \b
    Examples:
      facetag predict photos --out tags.csv
      facetag predict --help

    Options come from the command line, else from variables (FACETAG_PREDICT_MIN_FACE=40), else from facetag.toml.
    """
    session = context.ensure_object(Session)
    session.debug = session.debug or debug
    speak(log_format, logging.DEBUG if session.debug else logging.INFO)
    try:
        os.getcwd()
    except OSError as error:
        raise UsageError(f"the current folder cannot be used: {error.strerror}", "change into another one") from error


def main() -> None:
    """Entry point of `facetag`."""
    mend_streams()
    sys.unraisablehook = _end_where_it_was_lost
    code = run(sys.argv[1:])
    if _is_busy():
        os._exit(code)  # with images whose answers nobody wants any more
    sys.exit(code)


def _end_where_it_was_lost(lost: "sys.UnraisableHookArgs") -> None:
    """Python drops what a handler of signals raises inside a finalizer; then the process ends there, as by a kill."""
    if isinstance(lost.exc_value, KeyboardInterrupt):
        code: object = ExitCode.INTERRUPTED
    else:
        code = lost.exc_value.code if isinstance(lost.exc_value, SystemExit) else None
    if not isinstance(code, int) or code not in _FAREWELLS:
        sys.__unraisablehook__(lost)
        return
    take_leave(_FAREWELLS[code])
    os._exit(code)


def _is_busy() -> bool:
    """Whether threads infer, for which Python would wait, or decode and load: it would end them amid what is not
    Python, which aborts the process."""
    loaded = (sys.modules.get(f"facetag.pipeline.{name}") for name in ("loader", "workers"))  # to import is slow
    names = tuple(module.THREAD_NAME for module in loaded if module)
    return any(thread.name.startswith(names) for thread in threading.enumerate()) if names else False


def run(arguments: Sequence[str]) -> int:
    """Run one command line and answer with its code of ExitCode; an error is one line on standard error."""
    session = Session(debug=_asks_for_debug(arguments))
    speak(_asked_format(arguments), logging.INFO)
    try:
        with session.signals.heeded():
            code = _whole_command()(list(arguments), "facetag", obj=session, standalone_mode=False) or ExitCode.OK
        sys.stdout.flush()  # what was printed is data too: it is written, or that it was not is an error
    except BrokenPipeError:
        return _stop_talking()
    except SystemExit as end:
        if isinstance(end.__context__, BrokenPipeError):  # typer's own answer to it is 1
            return _stop_talking()
        if end.code not in (ExitCode.TERMINATED, ExitCode.HUNG_UP):
            raise
        code = end.code
    except Stopped:  # Python loses what a handler of signals raises while SQLite works
        code = session.signals.exit_code
    except Exception as error:  # noqa: BLE001 - the last resort: what nobody foresaw is one line too
        if not session.signals.ended:
            return _tell(error, session.debug)
        code = session.signals.exit_code  # amid the tidying for the signal before, the end was bound to break something
    if code in _FAREWELLS:
        take_leave(_FAREWELLS[code])
    return int(code)


def _tell(error: Exception, debug: bool) -> int:
    """Say what went wrong, in one line."""
    if isinstance(error, _Misuse):
        return _explain(error)
    if isinstance(error, OSError):
        error = _unwritten(error)
    return _fail(error if isinstance(error, FacetagError) else _unforeseen(error), debug)


def _whole_command() -> Any:
    """Typer's tree of commands, whose help is not half about variables."""
    command = get_command(app)
    for option in every_option(command):
        option.show_envvar = False
    return command


def _asked_format(arguments: Sequence[str]) -> LogFormat:
    """What `--log-format` says wherever it stands, for errors that come before the words are understood."""
    asked = os.environ.get(f"{PREFIX}_LOG_FORMAT", "text")
    for word, following in itertools.zip_longest(before := _options_part(arguments), before[1:]):
        name, found, value = word.partition("=")
        if name == "--log-format":
            asked = value if found else following
    return "json" if asked == "json" else "text"


def _asks_for_debug(arguments: Sequence[str]) -> bool:
    return "--debug" in _options_part(arguments)


def _options_part(arguments: Sequence[str]) -> list[str]:
    """The words before `--`, behind which nothing is an option."""
    return list(itertools.takewhile(lambda word: word != "--", arguments))


def _fail(error: FacetagError, debug: bool = False) -> int:
    """Say it. What was printed before goes out too, unless writing is the error; Python is not to try again."""
    say_it = complain_with_traceback if debug else complain
    say_it(str(error), exit_code=int(error.exit_code))
    try:
        sys.stdout.flush()
    except (OSError, ValueError):
        _stop_talking()
    return error.exit_code


def _unwritten(error: OSError) -> FacetagError:
    """What the system refused. Whoever opens a file says so himself, so without a name it is what was printed."""
    if error.filename:
        return FacetagError(
            f"cannot use {error.filename}: {error.strerror or error}", "choose another place or make room"
        )
    if isinstance(error, FileNotFoundError):
        return FacetagError("the current folder is gone", "change into another one")
    return FacetagError(f"cannot write standard output: {error.strerror or error}", "choose another place or make room")


def _unforeseen(error: Exception) -> FacetagError:
    """What nobody thought of, in one line."""
    what = " ".join(f"{type(error).__name__}: {error}".split())[:_LONGEST]
    return Unforeseen(f"facetag failed unexpectedly ({what})", "run it again with --debug, and report what it says")


def _stop_talking() -> int:
    """Whoever read our output has read enough: that is no error, and Python is not to say so at its exit."""
    with suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    return ExitCode.OK


def _explain(misuse: Any) -> int:
    """One line; a command without its words is answered by its help."""
    message = misuse.format_message()
    path = misuse.ctx.command_path if misuse.ctx else "facetag"
    if "\n" in message:
        print(message, file=sys.stderr)
    else:
        complain(f"{message.rstrip('.')}{_source(misuse)}; see `{path} --help`", exit_code=int(ExitCode.USAGE))
    return ExitCode.USAGE


def _source(misuse: Any) -> str:
    """Where a word that was not typed comes from."""
    option: Any = getattr(misuse, "param", None)
    source = misuse.ctx.get_parameter_source(option.name) if option and misuse.ctx else None
    if source and source.name == "ENVIRONMENT":
        return f" (from the variable {misuse.ctx.auto_envvar_prefix}_{option.name.upper()})"
    return " (from the settings file)" if source and source.name == "DEFAULT_MAP" else ""
