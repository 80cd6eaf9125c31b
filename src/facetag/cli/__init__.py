"""The command line: one command a file. Nothing heavy is imported before a command runs."""

import sys

import typer

from facetag.cli import pretrain
from facetag.errors import FacetagError

app = typer.Typer(
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    help="Find faces and forty attributes in photographs.",
)
app.add_typer(pretrain.app, name="pretrain")


def main() -> None:
    """Entry point of `facetag`."""
    try:
        app()
    except FacetagError as error:
        print(f"facetag: error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
