"""The command line: one command a file. Nothing heavy is imported before a command runs."""

import logging
import os
import sys
import threading
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any, cast

import typer
from typer.main import get_command

from facetag import __version__
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
from facetag.cli.console import LogFormat, complain, replace_closed_streams, speak, take_leave
from facetag.cli.session import Session
from facetag.errors import ExitCode, FacetagError

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

_FAREWELLS: dict[int, str] = {ExitCode.INTERRUPTED: "interrupted", ExitCode.TERMINATED: "terminated"}

app = typer.Typer(
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
        LogFormat, typer.Option(help="Lines on standard error for people, or JSON objects.")
    ] = "text",
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
        typer.Option("--version", help="Show the version.", callback=_version, is_eager=True, allow_from_autoenv=False),
    ] = False,
) -> None:
    """Find faces and forty attributes in photographs.

    \b
    Examples:
      facetag predict photos --out tags.csv
      facetag predict --help

    Options come from the command line, else from variables (FACETAG_PREDICT_MIN_FACE=40), else from facetag.toml.
    """
    context.ensure_object(Session).debug = debug
    speak(log_format, logging.DEBUG if debug else logging.INFO)


def main() -> None:
    """Entry point of `facetag`."""
    replace_closed_streams()
    code = run(sys.argv[1:])
    if _is_looking():
        os._exit(code)  # at photographs whose answers nobody wants any more, and Python would wait for that
    sys.exit(code)


def _is_looking() -> bool:
    from facetag.pipeline.workers import LOOKING

    return any(thread.name.startswith(LOOKING) for thread in threading.enumerate())


def run(arguments: Sequence[str]) -> int:
    """Run one command line and answer with its code of ExitCode; an error is one line on standard error."""
    session = Session()
    speak("text", logging.INFO)
    try:
        with session.signals.heeded():
            code = _whole_command()(list(arguments), "facetag", obj=session, standalone_mode=False) or ExitCode.OK
        sys.stdout.flush()  # what was printed is data too: it is written, or that it was not is an error
    except BrokenPipeError:
        return _stop_talking()
    except SystemExit as end:
        if isinstance(end.__context__, BrokenPipeError):  # typer's own answer to it is 1
            return _stop_talking()
        if end.code != ExitCode.TERMINATED:
            raise
        take_leave(_FAREWELLS[end.code])
        return ExitCode.TERMINATED
    except (FacetagError, OSError) as error:
        if session.debug:
            traceback.print_exc()
        return _fail(error if isinstance(error, FacetagError) else _unwritten(error))
    except _Misuse as error:
        return _explain(error)
    if code in _FAREWELLS:
        take_leave(_FAREWELLS[code])
    return int(code)


def _whole_command() -> Any:
    """Typer's tree of commands, whose help is not half about variables."""
    command = get_command(app)
    for option in every_option(command):
        option.show_envvar = False
    return command


def _fail(error: FacetagError) -> int:
    """Say it. What was printed before goes out too, unless writing is the error; Python is not to try again."""
    complain(str(error), exit_code=int(error.exit_code))
    try:
        sys.stdout.flush()
    except (OSError, ValueError):
        _stop_talking()
    return error.exit_code


def _unwritten(error: OSError) -> FacetagError:
    """What the system refused. Whoever opens a file says so himself, so without a name it is what was printed."""
    what = f"cannot use {error.filename}" if error.filename else "cannot write standard output"
    return FacetagError(f"{what}: {error.strerror or error}", "choose another place or make room")


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
