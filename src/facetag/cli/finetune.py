"""`facetag finetune lnet-o|lnet-s|anet|svm|all` (paper, section 4)."""

from pathlib import Path
from typing import Annotated

import typer

from facetag.cli import training_options as options
from facetag.cli.console import say

app = typer.Typer(no_args_is_help=True, help="Fine-tune the LNets and ANet by attributes, fit the SVMs.")

Out = Annotated[Path | None, typer.Option(help="Folder of the model that is written; default: RUN/model.")]


@app.command("lnet-o")
def lnet_o(
    data: options.Data = Path("data"),
    run: options.Run = Path("runs/quick"),
    recipe: options.Recipe = "quick",
    device: options.Device = "auto",
    workers: options.Workers = 1,
    resume: options.Resume = False,
    max_time: options.MaxTime = None,
    quiet: options.Quiet = False,
) -> None:
    """Fine-tune LNet_o by attributes on whole images.

    Example: facetag finetune lnet-o --run runs/quick --resume
    """
    from facetag.training.cascade import finetune_lnet_o
    from facetag.training.recipe import load_recipe

    finetune_lnet_o(data, run, load_recipe(recipe), options.run_options(device, workers, resume, max_time, quiet))


@app.command("lnet-s")
def lnet_s(
    data: options.Data = Path("data"),
    run: options.Run = Path("runs/quick"),
    recipe: options.Recipe = "quick",
    device: options.Device = "auto",
    workers: options.Workers = 1,
    resume: options.Resume = False,
    max_time: options.MaxTime = None,
    quiet: options.Quiet = False,
) -> None:
    """Fine-tune LNet_s by attributes on the head-shoulder crops that LNet_o proposes.

    Example: facetag finetune lnet-s --run runs/quick
    """
    from facetag.training.cascade import finetune_lnet_s
    from facetag.training.recipe import load_recipe

    finetune_lnet_s(data, run, load_recipe(recipe), options.run_options(device, workers, resume, max_time, quiet))


@app.command()
def anet(
    data: options.Data = Path("data"),
    run: options.Run = Path("runs/quick"),
    recipe: options.Recipe = "quick",
    device: options.Device = "auto",
    workers: options.Workers = 1,
    resume: options.Resume = False,
    max_time: options.MaxTime = None,
    quiet: options.Quiet = False,
) -> None:
    """Fine-tune ANet by attributes on the face regions that the LNets propose.

    Example: facetag finetune anet --run runs/quick
    """
    from facetag.training.cascade import finetune_anet
    from facetag.training.recipe import load_recipe

    finetune_anet(data, run, load_recipe(recipe), options.run_options(device, workers, resume, max_time, quiet))


@app.command()
def svm(
    data: options.Data = Path("data"),
    run: options.Run = Path("runs/quick"),
    recipe: options.Recipe = "quick",
    out: Out = None,
    device: options.Device = "auto",
    quiet: options.Quiet = False,
) -> None:
    """Fit the SVMs on identities that the nets never saw, and write the model folder.

    Example: facetag finetune svm --run runs/quick --out models/quick
    """
    from facetag.training.cascade import fit_svm
    from facetag.training.recipe import load_recipe

    run_options = options.run_options(device, 0, False, None, quiet)
    folder = out or run / "model"
    fitted = fit_svm(data, run, load_recipe(recipe), run_options, folder)
    say(f"{folder}: mean accuracy {fitted.accuracy:.4f}, cross-fitted by identity, C = {fitted.cost}")
