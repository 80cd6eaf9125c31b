"""What every command has besides its own options: help in panels, `--debug` behind its name too, and what the session
has to say once it is known how quiet to be."""

from collections.abc import Callable
from functools import cache
from typing import Annotated, Any, cast

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

from facetag.cli.console import speak_as
from facetag.cli.session import Session

#: A panel of `predict --help` and the like; options of none stand below "Options".
INPUT, FACES, ATTRIBUTES, OUTPUT, RUNS, MACHINE = "Input", "Faces", "Attributes", "Output", "Runs", "Machine"
PANELS = (INPUT, FACES, ATTRIBUTES, OUTPUT, RUNS, MACHINE)

Debug = Annotated[
    bool,
    typer.Option(
        "--debug",
        help="Show where errors come from.",
        is_eager=True,  # so that no settings file and no variable sets it for one command
        allow_from_autoenv=False,
        rich_help_panel=MACHINE,
    ),
]


class _Helping:
    """Help is for who asks on the command line: a variable, FACETAG_HELP=1, would end every command in silence."""

    def get_help_option(self, ctx: Any) -> Any:
        """As typer makes it."""
        option = super().get_help_option(ctx)  # type: ignore[misc]  # of the class beside it
        option.allow_from_autoenv = False
        return option


class Group(_Helping, TyperGroup):
    """A group of commands of facetag."""


class Command(_Helping, TyperCommand):
    """A command of facetag."""

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self.params.append(_debug())

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Options in their panels, in the order of PANELS; typer's own panels need rich, which is slow to load."""
        grouped: dict[str, list[tuple[str, str]]] = {name: [] for name in ("Arguments", *PANELS, "Options")}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is not None:
                grouped[_panel(parameter)].append(record)
        for name, records in grouped.items():
            if records:
                with formatter.section(name):
                    formatter.write_dl(records)

    def invoke(self, ctx: Any) -> Any:
        """Run it; before that, say what the session kept for the time when `--quiet` and `--verbose` are known."""
        ctx.params.pop("debug", None)  # `facetag.cli.run` has seen it
        speak_as(ctx.params.get("log_format"), quiet=False, verbose=bool(ctx.params.get("verbose")))
        if not (ctx.params.get("quiet") and _is_typed(ctx, "quiet")):
            for tell, line, fields in ctx.ensure_object(Session).kept:
                tell(line, **fields)
        return super().invoke(ctx)


class App(typer.Typer):
    """A group of commands; they are of the class Command, and it is of the class Group."""

    def __init__(self, **named: Any) -> None:
        super().__init__(**{"cls": Group, **named})

    def command(self, name: str | None = None, **named: Any) -> Callable[[Any], Any]:
        """Register a command, as typer's own does."""
        return super().command(name, **{"cls": Command, **named})


def _panel(parameter: Any) -> str:
    if parameter.param_type_name == "argument":
        return "Arguments"
    return getattr(parameter, "rich_help_panel", None) or "Options"


def _is_typed(ctx: Any, name: str) -> bool:
    """Whether the user said it, on the command line or in a variable; a file may not silence what is said of files."""
    source = ctx.get_parameter_source(name)
    return source is not None and source.name in ("COMMANDLINE", "ENVIRONMENT")


@cache
def _debug() -> Any:
    """The option as typer makes it; its constructors differ from version to version."""
    app = typer.Typer(add_completion=False)

    @app.command()
    def command(debug: Debug = False) -> None: ...

    return next(parameter for parameter in cast(Any, get_command(app)).params if parameter.name == "debug")
