"""What the training commands share: their options, and how one stage becomes one command."""

import os
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from facetag.cli import completion
from facetag.cli.console import metrics_reporter, say, seconds
from facetag.cli.signals import Signals
from facetag.errors import UsageError

if TYPE_CHECKING:
    from facetag.training.loop import Outcome, RunOptions

Data = Annotated[
    Path, typer.Option(help="Folder with celeba/, objects/, backgrounds/, webfaces/ (see `facetag data`).")
]
Run = Annotated[Path, typer.Option(help="Folder of this training: checkpoints, metrics, results; one folder a stage.")]
Recipe = Annotated[
    str, typer.Option(help="A shipped recipe by name, or a TOML file.", autocompletion=completion.recipes)
]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")]
Workers = Annotated[int, typer.Option(min=0, help="Processes that prepare pictures; 0 = none.")]
Resume = Annotated[bool, typer.Option("--resume", help="Go on from the last checkpoint.")]
MaxTime = Annotated[str | None, typer.Option(metavar="TIME", help="Save and stop after this long: 90s, 20m, 2h.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")]


_signals = Signals()


def run_options(device: str, workers: int, resume: bool, max_time: str | None, quiet: bool) -> "RunOptions":
    """RunOptions in which Ctrl-C and SIGTERM end a loop after the step, with a checkpoint, and all else at once."""
    from facetag.networks.execution.device import torch_device
    from facetag.training.loop import RunOptions

    _signals.install()
    return RunOptions(
        device=torch_device(device),
        workers=workers,
        resume=resume,
        max_time=seconds(max_time),
        should_stop=lambda: bool(_signals.received),
        stepping=_signals.stepping,
        report=metrics_reporter(quiet),
    )


def one_process_alone(command: str) -> None:
    """Refuse to run under torchrun what is not shared out.

    Raises:
        UsageError: there are several processes.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise UsageError(f"{command} runs in one process", "use torchrun for the single stages that train nets")


def finish(outcome: "Outcome") -> None:
    """Say how a stage ended; a run that a signal ended exits with that signal's code."""
    if outcome.finished:
        say(f"finished after {outcome.steps} steps, best figure {outcome.best:.4f}")
        return
    say(f"stopped after {outcome.steps} steps; the same command with --resume goes on")
    if _signals.received:
        raise typer.Exit(_signals.exit_code)


def add_stage(app: typer.Typer, name: str, function: str, text: str) -> None:
    """Register `name` as the command of the stage `function`, "module:name", called with data, run, recipe, options."""

    def command(
        data: Data = Path("data"),
        run: Run = Path("runs/faithful"),
        recipe: Recipe = "faithful",
        device: Device = "auto",
        workers: Workers = 1,
        resume: Resume = False,
        max_time: MaxTime = None,
        quiet: Quiet = False,
    ) -> None:
        from facetag.training.distributed import process_group
        from facetag.training.recipe import load_recipe

        module, _, attribute = function.partition(":")
        stage = getattr(import_module(module), attribute)
        options = run_options(device, workers, resume, max_time, quiet)
        with process_group(options.device):
            finish(stage(data, run, load_recipe(recipe), options))

    app.command(name, help=text)(command)
