"""The command line: one command a file. Nothing heavy is imported before a command runs."""

import logging
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Annotated, Any, cast

import typer

from facetag import __version__
from facetag.cli import data, eval, finetune, localize, model, predict, pretrain
from facetag.cli.console import say
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
}

#: Words that do not fit together on the command line; typer has no public name for it.
_Misuse = cast("type[Any]", typer.BadParameter.__base__)


@dataclass
class Session:
    """What the options before the command said."""

    debug: bool = False


app = typer.Typer(
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
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
    version: Annotated[
        bool, typer.Option("--version", help="Show the version.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    """Find faces and forty attributes in photographs.

    \b
    Examples:
      facetag predict photos --out tags.csv
      facetag predict --help
    """
    context.ensure_object(Session).debug = debug
    if debug:
        logging.basicConfig(level=logging.DEBUG, stream=sys.stderr)
        logging.getLogger("PIL").setLevel(logging.CRITICAL)


def main() -> None:
    """Entry point of `facetag`."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Run one command line and answer with its code of ExitCode; an error is one line on standard error."""
    session = Session()
    try:
        code = app(list(arguments), "facetag", obj=session, standalone_mode=False) or ExitCode.OK
        sys.stdout.flush()
    except BrokenPipeError:
        return _stop_talking()
    except SystemExit as end:
        if isinstance(end.__context__, BrokenPipeError):  # typer's own answer to it is 1
            return _stop_talking()
        if end.code != ExitCode.TERMINATED:
            raise
        say("facetag: terminated")
        return ExitCode.TERMINATED
    except FacetagError as error:
        if session.debug:
            traceback.print_exc()
        say(f"facetag: error: {error}")
        return error.exit_code
    except _Misuse as error:
        return _explain(error)
    if code == ExitCode.INTERRUPTED:
        say("facetag: interrupted")
    return int(code)


def _stop_talking() -> int:
    """Whoever read our output has read enough: that is no error, and Python is not to say so at its exit."""
    with suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    return ExitCode.OK


def _explain(misuse: Any) -> int:
    """One line; a command without its words is answered by its help."""
    message = misuse.format_message()
    path = misuse.ctx.command_path if misuse.ctx else "facetag"
    say(message if "\n" in message else f"facetag: error: {message.rstrip('.')}; see `{path} --help`")
    return ExitCode.USAGE
