"""Commands that a test calls without starting a process."""

from typer.testing import CliRunner

from facetag.cli.commands.eval import app

_runner = CliRunner()


def run_eval(*arguments: object):
    """`facetag eval ARGUMENTS`; its errors are raised."""
    return _runner.invoke(app, [str(argument) for argument in arguments], catch_exceptions=False)
