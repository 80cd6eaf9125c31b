"""`facetag eval grouping|layers|neurons|regions|reliability|compare|figures`: the paper's figures, remade."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from facetag.cli.commands.measuring import about, answer, cascade_of, celeba_part, check_outputs, progress, write_text
from facetag.cli.commands.stages import Quiet
from facetag.cli.console import say
from facetag.cli.options import Device, ModelName
from facetag.errors import UsageError

if TYPE_CHECKING:
    from facetag.evaluate.attributes import Locate
    from facetag.evaluate.labeled_faces import LabeledImages
    from facetag.localization.base import Localizer
    from facetag.networks.anet_heads import AnyANet
    from facetag.tagger import Tagger

Json = Annotated[Path | None, typer.Option("--json", help="Write the numbers here too; - prints them alone.")]
Drawn = Annotated[Path | None, typer.Option("--picture", help="Draw the figure here: .png, .svg or .pdf.")]
Data = Annotated[Path, typer.Option(help="CelebA, or the folder that holds celeba/.")]
Part = Annotated[Literal["test", "val", "train"], typer.Option("--partition", help="Part of the official split.")]
Labels = Annotated[
    Path | None,
    typer.Option(help="Your labels in place of CelebA: a CSV as of eval tags; a column identity names persons."),
]
Images = Annotated[Path, typer.Option(help="Folder of the images that --labels names.")]
Limit = Annotated[int | None, typer.Option(min=1, help="Only so many, spread evenly over all.")]
Mode = Annotated[
    Literal["cascade", "crops"], typer.Option(help="Find the face first, or take the aligned images' fixed box.")
]
Run = Annotated[
    Path | None, typer.Option(help="A training run: its ANet after identities, next to the model's after attributes.")
]
RecipeName = Annotated[str, typer.Option("--recipe", help="The run's recipe.")]
Clusters = Annotated[int, typer.Option("--groups", min=2, help="How many groups k-means makes.")]
Seed = Annotated[int, typer.Option(min=0, help="Of folds, draws and k-means.")]

_CELEBA, _FOLDER = Path("data"), Path()


def grouping(
    data: Data = _CELEBA,
    partition: Part = "val",
    labels: Labels = None,
    images: Images = _FOLDER,
    limit: Limit = None,
    groups: Clusters = 6,
    seed: Seed = 0,
    model: ModelName = None,
    json: Json = None,
    drawn: Drawn = None,
) -> None:
    """Groups of attributes by SVM weights (Fig. 10).

    k-means of the weights, next to how labels co-occur. No image is opened.

    \b
    Example:
      facetag eval grouping --data data --picture grouping.png
    """
    from facetag.evaluate import figure_report, plots
    from facetag.evaluate.grouping import measure_grouping
    from facetag.model import load_model
    from facetag.model_folder import DEFAULT

    check_outputs(json)
    plots.check_figure(drawn)
    chosen, facts = _labeled(data, partition, labels, images, limit)
    loaded = load_model(model or DEFAULT)
    measured = measure_grouping(loaded.svm.weights, chosen.values, groups, seed)
    facts = {**about(loaded), **facts, "seed": seed}
    answer(json, facts, figure_report.grouping_json(measured), figure_report.grouping_tables(measured))
    if drawn:
        plots.write_figure(drawn, plots.draw_grouping(measured))


def layers(
    data: Data = _CELEBA,
    partition: Part = "val",
    labels: Labels = None,
    images: Images = _FOLDER,
    limit: Limit = None,
    mode: Mode = "cascade",
    run: Run = None,
    recipe: RecipeName = "faithful",
    seed: Seed = 0,
    model: ModelName = None,
    device: Device = "auto",
    json: Json = None,
    drawn: Drawn = None,
    quiet: Quiet = False,
) -> None:
    """What each layer of ANet knows (Fig. 9).

    Linear probes on C3, C4 and FC, for identity-related and for other attributes, cross-fitted by identity.

    \b
    Example:
      facetag eval layers --data data --limit 1000 --run runs/faithful --picture layers.png
    """
    from facetag.evaluate import figure_report, plots
    from facetag.evaluate.labeled_faces import activations
    from facetag.evaluate.layers import measure_layers

    check_outputs(json)
    plots.check_figure(drawn)
    chosen, facts = _labeled(data, partition, labels, images, limit)
    loaded, localizer, tagger = cascade_of(model, device)
    nets = _nets(tagger, run, recipe)
    found = activations(chosen.paths, _locate(localizer, mode, labels), tagger, nets, progress("images", quiet))
    faces = chosen.select(found.rows)
    reports = {net: measure_layers(each, faces.values, faces.identities, seed) for net, each in found.layers.items()}
    facts = {**about(loaded), **facts, "mode": mode, "seed": seed}
    answer(json, facts, figure_report.layers_json(reports), figure_report.layers_tables(reports))
    if drawn:
        plots.write_figure(drawn, plots.draw_layers(reports))


def neurons(
    data: Data = _CELEBA,
    partition: Part = "val",
    labels: Labels = None,
    images: Images = _FOLDER,
    limit: Limit = None,
    mode: Mode = "cascade",
    run: Run = None,
    recipe: RecipeName = "faithful",
    model: ModelName = None,
    device: Device = "auto",
    json: Json = None,
    drawn: Drawn = None,
    quiet: Quiet = False,
) -> None:
    """What single units of FC stand for (Fig. 8).

    Mean faces of high, medium and low responders, sparsity and living units. With --run the figure is of the net after
    identities, and the numbers are of both.

    \b
    Example:
      facetag eval neurons --data data --limit 1000 --picture neurons.png
    """
    from facetag.evaluate import figure_report, plots
    from facetag.evaluate.labeled_faces import activations
    from facetag.evaluate.neurons import measure_neurons

    check_outputs(json)
    plots.check_figure(drawn)
    chosen, facts = _labeled(data, partition, labels, images, limit)
    loaded, localizer, tagger = cascade_of(model, device)
    nets = _nets(tagger, run, recipe)
    found = activations(chosen.paths, _locate(localizer, mode, labels), tagger, nets, progress("images", quiet))
    values = chosen.values[found.rows]
    reports = {net: measure_neurons(each, values) for net, each in found.layers.items()}
    facts = {**about(loaded), **facts, "mode": mode}
    answer(json, facts, figure_report.neurons_json(reports), figure_report.neurons_tables(reports))
    if drawn:
        net = next(iter(nets))
        plots.write_figure(drawn, plots.draw_neurons(reports[net], found, net))


def regions(
    data: Data = _CELEBA,
    partition: Part = "val",
    labels: Labels = None,
    images: Images = _FOLDER,
    limit: Limit = 200,
    mode: Mode = "cascade",
    model: ModelName = None,
    device: Device = "auto",
    json: Json = None,
    drawn: Drawn = None,
    quiet: Quiet = False,
) -> None:
    """Where each attribute is decided (Fig. 11).

    Patches of the face are replaced with the mean face's; drawn on the mean face is how far the scores change.

    \b
    Example:
      facetag eval regions --data data --picture regions.png
    """
    from facetag.evaluate import figure_report, plots
    from facetag.evaluate.labeled_faces import activations
    from facetag.evaluate.regions import measure_regions

    check_outputs(json)
    plots.check_figure(drawn)
    chosen, facts = _labeled(data, partition, labels, images, limit)
    loaded, localizer, tagger = cascade_of(model, device)
    nets = _nets(tagger, None, "")
    found = activations(chosen.paths, _locate(localizer, mode, labels), tagger, nets, progress("images", quiet))
    measured = measure_regions(tagger, found.windows, progress("patches", quiet))
    facts = {**about(loaded), **facts, "mode": mode}
    answer(json, facts, figure_report.regions_json(measured), figure_report.regions_tables(measured))
    if drawn:
        plots.write_figure(drawn, plots.draw_regions(measured))


def reliability(
    data: Data = _CELEBA,
    partition: Part = "test",
    labels: Labels = None,
    images: Images = _FOLDER,
    limit: Limit = None,
    mode: Mode = "cascade",
    model: ModelName = None,
    device: Device = "auto",
    json: Json = None,
    drawn: Drawn = None,
    quiet: Quiet = False,
) -> None:
    """Whether probabilities are what they say.

    A reliability diagram and the calibration error of each attribute.

    \b
    Example:
      facetag eval reliability --labels labels.csv --images photos --picture reliability.png
    """
    from facetag.evaluate import figure_report, plots
    from facetag.evaluate.attributes import tag_images
    from facetag.evaluate.reliability import measure_reliability

    check_outputs(json)
    plots.check_figure(drawn)
    chosen, facts = _labeled(data, partition, labels, images, limit)
    loaded, localizer, tagger = cascade_of(model, device)
    locate = _locate(localizer, mode, labels)
    tagged = tag_images(chosen.paths, locate, tagger, progress("images", quiet), localizer.read_size)
    measured = measure_reliability(tagged.probabilities, chosen.values)
    facts = {**about(loaded), **facts, "mode": mode}
    tables = figure_report.reliability_tables(measured, _fitted(partition, labels))
    answer(json, facts, figure_report.reliability_json(measured), tables)
    if drawn:
        plots.write_figure(drawn, plots.draw_reliability(measured))


def compare(
    first: Annotated[str, typer.Argument(metavar="A", help="A model: its name or its folder.")],
    second: Annotated[str, typer.Argument(metavar="B", help="Another.")],
    data: Data = _CELEBA,
    partition: Part = "test",
    labels: Labels = None,
    images: Images = _FOLDER,
    limit: Limit = None,
    mode: Mode = "cascade",
    seed: Seed = 0,
    device: Device = "auto",
    json: Json = None,
    drawn: Drawn = None,
    quiet: Quiet = False,
) -> None:
    """Two models on the same images, attribute by attribute.

    Differences have paired 95 % intervals by bootstrap over identities. A face not found counts as nothing present.

    \b
    Example:
      facetag eval compare faithful fast --data data --limit 1000 --picture compare.png
    """
    from facetag.evaluate import figure_report, plots
    from facetag.evaluate.attributes import tag_images
    from facetag.evaluate.compare import compare_models

    check_outputs(json)
    plots.check_figure(drawn)
    chosen, facts = _labeled(data, partition, labels, images, limit)
    answers, models = [], []
    for name in (first, second):
        loaded, localizer, tagger = cascade_of(name, device)
        locate, report = _locate(localizer, mode, labels), progress(f"images by {loaded.name}", quiet)
        answers.append(tag_images(chosen.paths, locate, tagger, report, localizer.read_size))
        models.append(about(loaded))
    measured = compare_models(answers, chosen.values, chosen.identities, seed)
    names = [each["model"] for each in models]
    facts = {"a": models[0]["model"], "b": models[1]["model"], **facts, "mode": mode, "seed": seed}
    numbers = {"fingerprints": [each["fingerprint"] for each in models], **figure_report.comparison_json(measured)}
    answer(json, facts, numbers, figure_report.comparison_tables(measured, names, _fitted(partition, labels)))
    if drawn:
        plots.write_figure(drawn, plots.draw_comparison(measured, names))


def figures(
    out: Annotated[Path, typer.Option(help="The page, .html.")],
    data: Data = _CELEBA,
    partition: Part = "val",
    labels: Labels = None,
    images: Images = _FOLDER,
    limit: Limit = 1000,
    mode: Mode = "cascade",
    run: Run = None,
    recipe: RecipeName = "faithful",
    groups: Clusters = 6,
    seed: Seed = 0,
    against: Annotated[str | None, typer.Option(help="A second model to compare with.")] = None,
    model: ModelName = None,
    device: Device = "auto",
    quiet: Quiet = False,
) -> None:
    """All these figures as one page that opens offline.

    \b
    Example:
      facetag eval figures --out figures.html --data data
    """
    from facetag.evaluate import plots
    from facetag.evaluate.figure_page import FigureSettings, all_figures, check_page, page

    check_page(out)
    plots.new_figure(1, 1)
    chosen, facts = _labeled(data, partition, labels, images, limit)
    loaded, localizer, tagger = cascade_of(model, device)
    nets = _nets(tagger, run, recipe)
    settings = FigureSettings(groups, seed, localizer.read_size, _fitted(partition, labels))
    rival = _rival(against, device, mode, labels)
    locate = _locate(localizer, mode, labels)
    shown = all_figures(chosen, locate, tagger, nets, settings, rival, progress("images", quiet))
    write_text(out, page({**about(loaded), **facts, "mode": mode, "seed": seed}, shown))
    say(f"{out} holds {len(shown)} figures")


COMMANDS: tuple[Callable[..., None], ...] = (grouping, layers, neurons, regions, reliability, compare, figures)


def _rival(name: str | None, device: str, mode: str, labels: Path | None) -> "tuple[str, Locate, Tagger, int] | None":
    if name is None:
        return None
    loaded, localizer, tagger = cascade_of(name, device)
    return loaded.name, _locate(localizer, mode, labels), tagger, localizer.read_size


def _labeled(
    data: Path, partition: Any, labels: Path | None, images: Path, limit: int | None
) -> "tuple[LabeledImages, dict[str, Any]]":
    """The images that are asked for, and what to say of them."""
    import numpy as np

    from facetag.evaluate.image_batches import evenly
    from facetag.evaluate.labeled_faces import celeba_images, own_images

    if labels is None:
        part = celeba_part(data, partition, limit)[1]
        return celeba_images(part), {"partition": partition, "images": len(part)}
    found = own_images(labels, images)
    chosen = found.select(np.array(evenly(len(found.paths), limit)))
    return chosen, {"labels": str(labels), "images": len(chosen.paths)}


def _fitted(partition: Any, labels: Path | None) -> str:
    """What a reader must know of these figures."""
    from facetag.evaluate.attributes import FITTED

    return "" if labels else FITTED[partition]


def _locate(localizer: "Localizer", mode: str, labels: Path | None) -> "Locate":
    from facetag.evaluate.attributes import aligned_faces

    if mode == "crops" and labels:
        raise UsageError("--mode crops is for CelebA's aligned images", "leave out --mode, or --labels")
    return localizer.dominant if mode == "cascade" else aligned_faces


def _nets(tagger: "Tagger", run: Path | None, recipe: str) -> "dict[str, AnyANet]":
    """ANet by what it was trained with last: identities, when there is a run, then attributes."""
    from facetag.evaluate.labeled_faces import identity_anet
    from facetag.training.recipe import load_recipe

    start = {"identities": identity_anet(run, load_recipe(recipe))} if run else {}
    return {**start, "attributes": tagger.model.anet}
