"""`facetag finetune lnet-o|lnet-s|anet|center-net|svm|all` (paper, section 4)."""

from pathlib import Path
from typing import Annotated

import typer

from facetag.cli.app import App
from facetag.cli.commands import stages
from facetag.cli.console import say
from facetag.cli.options import ModelName
from facetag.errors import UsageError

_HELP = """Fine-tune the LNets and ANet, train the centre network, fit the SVMs.

\b
Examples:
  facetag finetune all --run runs/faithful --out models/faithful --resume
  facetag finetune center-net --run runs/mine --recipe fast-box-free
"""

app = App(no_args_is_help=True, help=_HELP)

Out = Annotated[Path | None, typer.Option(help="Folder of the model that is written; default: RUN/model.")]
Boxes = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="Learn from the photos of this CSV too (file or path, x, y, width, height; one row a face, all four empty "
        "for a photo without one). The recipe's center_net.boxed_images says how often. Its names are seen from the "
        "current folder, or else from its own.",
    ),
]

NewAttributes = Annotated[
    Path | None,
    typer.Option("--attributes", help="CSV of your own attributes: file, then a column each; 1, 0 or empty."),
]
NewImages = Annotated[Path, typer.Option("--images", help="Folder of the images that --attributes names.")]

stages.add_stage(
    app,
    "lnet-o",
    "facetag.training.cascade:finetune_lnet_o",
    """Fine-tune LNet_o by attributes on whole images.

    Example: facetag finetune lnet-o --run runs/faithful --resume""",
)
stages.add_stage(
    app,
    "lnet-s",
    "facetag.training.cascade:finetune_lnet_s",
    """Fine-tune LNet_s by attributes on the head-shoulder crops that LNet_o proposes.

    Example: facetag finetune lnet-s --run runs/faithful""",
)
stages.add_stage(
    app,
    "anet",
    "facetag.training.cascade:finetune_anet",
    """Fine-tune ANet by attributes on the faces that the LNets, or the recipe's centre network, propose.

    Example: facetag finetune anet --run runs/faithful""",
)
stages.add_stage(
    app,
    "teacher",
    "facetag.training.cascade:finetune_teacher",
    """Train the larger network that the recipe's ANet learns from.

    Example: facetag finetune teacher --run runs/mine --recipe studies/fast_grown.toml""",
)


@app.command("center-net")
def center_net(
    data: stages.Data = Path("data"),
    run: stages.Run = Path("runs/faithful"),
    recipe: stages.Recipe = "faithful",
    boxes: Boxes = None,
    device: stages.Device = "auto",
    workers: stages.Workers = 1,
    resume: stages.Resume = False,
    max_time: stages.MaxTime = None,
    quiet: stages.Quiet = False,
) -> None:
    """Train the centre network, a small and fast localizer, on composed scenes, and on your own boxes with --boxes.

    Example: facetag finetune center-net --run runs/faithful --recipe fast --boxes faces.csv
    """
    from facetag.training.cascade import train_center_net
    from facetag.training.distributed import process_group
    from facetag.training.recipe import load_recipe

    options = stages.run_options(device, workers, resume, max_time, quiet)
    with process_group(options.device):
        stages.finish(train_center_net(data, run, load_recipe(recipe), options, boxes))


@app.command()
def svm(
    data: stages.Data = Path("data"),
    run: stages.Run = Path("runs/faithful"),
    recipe: stages.Recipe = "faithful",
    out: Out = None,
    attributes: NewAttributes = None,
    images: NewImages = Path(),
    model: ModelName = None,
    device: stages.Device = "auto",
    quiet: stages.Quiet = False,
) -> None:
    """Fit the SVMs on identities that the nets never saw, and write the model folder.

    With --attributes it adds attributes of your own to a model: its nets stay, each of your columns gets an SVM.

    \b
    Examples:
      facetag finetune svm --run runs/faithful --out models/faithful
      facetag finetune svm --attributes beanies.csv --images photos --out models/mine
    """
    if attributes:
        _add_attributes(attributes, images, model, out, device, quiet)
        return
    from facetag.training.recipe import load_recipe
    from facetag.training.ship import fit_svm

    stages.one_process_alone("finetune svm")
    options = stages.run_options(device, 0, False, None, quiet)
    folder = out or run / "model"
    fitted = fit_svm(data, run, load_recipe(recipe), options, folder)
    chosen = f"C = {fitted.cost}, pull {fitted.pull}"
    say(f"{folder}: mean accuracy {fitted.accuracy:.4f}, cross-fitted by identity, {chosen}")


def _add_attributes(labels: Path, images: Path, model: str | None, out: Path | None, device: str, quiet: bool) -> None:
    """Write a model that answers the columns of a CSV too.

    Raises:
        UsageError: there is no --out, or it is a model already.
    """
    from dataclasses import replace

    from facetag.cli.commands.measuring import cascade_of, progress
    from facetag.datasets.new_attributes import load_new_attributes
    from facetag.evaluate.labeled_faces import face_features
    from facetag.model import save_model
    from facetag.training.new_attributes import add_attributes, card_of

    if out is None or (out / "model.json").exists():
        raise UsageError("--attributes writes a new model", "name a new folder by --out")
    given = load_new_attributes(labels, images)
    loaded, localizer, tagger = cascade_of(model, device)
    rows, features = face_features(given.paths, localizer.dominant, tagger, progress("images", quiet))
    known, persons = given.values[rows], given.identities[rows]
    larger, measured = add_attributes(loaded, given.names, features, known, persons)
    named = replace(larger, name=out.name)
    save_model(named, out, card_of(named, loaded, measured))
    say(f"{out}: {len(rows)} of {len(given.paths)} images have a face")
    for name, each in measured.items():
        figures = f"accuracy {each.accuracy:.3f} (majority {each.majority:.3f}), balanced {each.balanced_accuracy:.3f}"
        say(f"{name}: {figures}, of {each.faces} faces, {each.positives} with it, cross-fitted")


@app.command("all")
def all_stages(
    data: stages.Data = Path("data"),
    run: stages.Run = Path("runs/faithful"),
    recipe: stages.Recipe = "faithful",
    out: Out = None,
    device: stages.Device = "auto",
    workers: stages.Workers = 1,
    resume: stages.Resume = False,
    max_time: stages.MaxTime = None,
    quiet: stages.Quiet = False,
) -> None:
    """LNet_o, LNet_s, the recipe's centre network, ANet and the SVMs, in the paper's order.

    With --resume, finished stages are kept and the others go on from their checkpoints; --max-time is for all.

    Example: facetag finetune all --run runs/faithful --out models/faithful --resume
    """
    from facetag.training.cascade import finetune_all
    from facetag.training.recipe import load_recipe

    stages.one_process_alone("finetune all")
    options = stages.run_options(device, workers, resume, max_time, quiet)
    stages.finish(finetune_all(data, run, load_recipe(recipe), options, out or run / "model"))
