"""Options that the training commands share."""

import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from facetag.cli.console import metrics_reporter, seconds
from facetag.errors import UsageError

if TYPE_CHECKING:
    import torch

    from facetag.training.loop import RunOptions

Data = Annotated[Path, typer.Option(help="Folder with celeba/, objects/ and backgrounds/ (see `facetag data`).")]
Run = Annotated[Path, typer.Option(help="Folder of this training: checkpoints, metrics, results; one folder a stage.")]
Recipe = Annotated[str, typer.Option(help="A shipped recipe by name, or a TOML file.")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")]
Workers = Annotated[int, typer.Option(min=0, help="Processes that prepare pictures; 0 = none.")]
Resume = Annotated[bool, typer.Option("--resume", help="Go on from the last checkpoint.")]
MaxTime = Annotated[str | None, typer.Option(metavar="TIME", help="Save and stop after this long: 90s, 20m, 2h.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")]


def torch_device(name: str) -> "torch.device":
    """The device of a `--device` option.

    Raises:
        UsageError: it is not a device, or CUDA is asked for and there is none.
    """
    import torch

    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    kind, _, number = name.partition(":")
    if kind not in ("cpu", "cuda") or (number and not number.isdigit()) or (kind == "cpu" and number):
        raise UsageError(f"{name!r} is not a device", "use auto, cpu, cuda or cuda:N")
    if kind == "cpu":
        return torch.device("cpu")
    index = int(number or os.environ.get("LOCAL_RANK", "0"))
    if index >= torch.cuda.device_count():
        raise UsageError(f"there is no CUDA device {index}", "use --device cpu, or install a CUDA build of torch")
    return torch.device("cuda", index)


def run_options(device: str, workers: int, resume: bool, max_time: str | None, quiet: bool) -> "RunOptions":
    """RunOptions in which Ctrl-C and SIGTERM end the run after the step, with a checkpoint."""
    from facetag.training.loop import RunOptions

    stopped: list[int] = []
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda received, _: stopped.append(received))
    return RunOptions(
        device=torch_device(device),
        workers=workers,
        resume=resume,
        max_time=seconds(max_time),
        should_stop=lambda: bool(stopped),
        report=metrics_reporter(quiet),
    )
