"""`facetag pretrain lnet|anet` (paper, section 4)."""

from pathlib import Path

import typer

from facetag.cli import training_options as options

app = typer.Typer(no_args_is_help=True, help="Pre-train LNet+ on object categories, ANet on identities.")


@app.command()
def lnet(
    data: options.Data = Path("data"),
    run: options.Run = Path("runs/quick"),
    recipe: options.Recipe = "quick",
    device: options.Device = "auto",
    workers: options.Workers = 1,
    resume: options.Resume = False,
    max_time: options.MaxTime = None,
    quiet: options.Quiet = False,
) -> None:
    """Pre-train LNet+ on object categories (data/objects).

    Example: facetag pretrain lnet --data data --run runs/quick --max-time 20m
    """
    from facetag.training.pretrain import pretrain_lnet
    from facetag.training.recipe import load_recipe

    pretrain_lnet(data, run, load_recipe(recipe), options.run_options(device, workers, resume, max_time, quiet))
