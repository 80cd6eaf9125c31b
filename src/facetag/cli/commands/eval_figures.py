"""`facetag eval grouping|layers|neurons|regions|reliability|robustness|speed|compare|figures`: figures remade."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from facetag.cli.commands.figure_options import (
    FigureOptions,
    Output,
    check_figure_outputs,
    deliver,
    figure_command,
    fitted_warning,
    labeled,
    locate_by,
)
from facetag.cli.commands.measuring import about, cascade_of, celeba_part, progress, write_text
from facetag.cli.console import say
from facetag.cli.options import Device, ModelName

if TYPE_CHECKING:
    from facetag.evaluate.figures import FigureSettings, Rival
    from facetag.evaluate.labeled_faces import Activations, LabeledImages
    from facetag.networks.anet_heads import AnyANet
    from facetag.tagger import Tagger


@figure_command(FigureOptions, ("mode", "run", "recipe", "device", "quiet"))
def grouping(options: FigureOptions) -> None:
    """Groups of attributes by SVM weights (Fig. 10).

    k-means of the weights, next to how labels co-occur. No image is opened.

    \b
    Example:
      facetag eval grouping --data data --picture grouping.png
    """
    from facetag.evaluate.figures import grouping_figure
    from facetag.model import load_model
    from facetag.model_folder import DEFAULT

    check_figure_outputs(options)
    chosen, facts = labeled(options)
    loaded = load_model(options.model or DEFAULT)
    facts = {**about(loaded), **facts, "seed": options.seed}
    deliver(options, facts, grouping_figure(loaded.svm.weights, chosen, _settings(options)))


@figure_command(FigureOptions, ("groups",))
def layers(options: FigureOptions) -> None:
    """What each layer of ANet knows (Fig. 9).

    Linear probes on C3, C4 and FC, for identity-related and for other attributes, cross-fitted by identity.

    \b
    Example:
      facetag eval layers --data data --limit 1000 --run runs/faithful --picture layers.png
    """
    from facetag.evaluate.figures import layers_figure

    chosen, found, _, facts = _activations(options)
    deliver(options, {**facts, "seed": options.seed}, layers_figure(chosen, found, _settings(options)))


@figure_command(FigureOptions, ("groups", "seed"))
def neurons(options: FigureOptions) -> None:
    """What single units of FC stand for (Fig. 8).

    Mean faces of high, medium and low responders, sparsity and living units. With --run the figure is of the net after
    identities, and the numbers are of both.

    \b
    Example:
      facetag eval neurons --data data --limit 1000 --picture neurons.png
    """
    from facetag.evaluate.figures import neurons_figure

    chosen, found, _, facts = _activations(options)
    deliver(options, facts, neurons_figure(chosen, found))


@figure_command(FigureOptions, ("groups", "seed", "run", "recipe"), limit=200)
def regions(options: FigureOptions) -> None:
    """Where each attribute is decided (Fig. 11).

    Patches of the face are replaced with the mean face's; drawn on the mean face is how far the scores change.

    \b
    Example:
      facetag eval regions --data data --picture regions.png
    """
    from facetag.evaluate.figures import regions_figure

    _, found, tagger, facts = _activations(options)
    deliver(options, facts, regions_figure(tagger, found, progress=progress("patches", options.quiet)))


@figure_command(FigureOptions, ("groups", "seed", "run", "recipe"), partition="test")
def reliability(options: FigureOptions) -> None:
    """Whether probabilities are what they say.

    A reliability diagram and the calibration error of each attribute.

    \b
    Example:
      facetag eval reliability --labels labels.csv --images photos --picture reliability.png
    """
    from facetag.evaluate.attributes import tag_images
    from facetag.evaluate.figures import reliability_figure

    check_figure_outputs(options)
    chosen, facts = labeled(options)
    loaded, localizer, tagger = cascade_of(options.model, options.device)
    locate, report = locate_by(localizer, options), progress("images", options.quiet)
    tagged = tag_images(chosen.paths, locate, tagger, report, localizer.read_size)
    facts = {**about(loaded), **facts, "mode": options.mode}
    deliver(options, facts, reliability_figure(chosen, tagged, fitted_warning(options)))


@figure_command(FigureOptions, ("groups", "labels", "images", "mode", "run", "recipe"))
def robustness(options: FigureOptions) -> None:
    """Attributes when the box or the picture is worse (Fig. 4b).

    Aligned CelebA in its fixed box: shifted, scaled, blurred, compressed, grey, turned, small.

    \b
    Example:
      facetag eval robustness --data data --limit 1000 --picture robustness.png
    """
    from facetag.evaluate.figures import robustness_figure
    from facetag.evaluate.robustness import measure_robustness

    check_figure_outputs(options)
    fractions, part = celeba_part(options.data, options.partition, options.limit)
    loaded, _, tagger = cascade_of(options.model, options.device)
    report = progress("pictures", options.quiet)
    measured = measure_robustness(part.paths, part.attributes, fractions, tagger, options.seed, report)
    facts = {**about(loaded), "partition": options.partition, "seed": options.seed}
    deliver(options, facts, robustness_figure(measured, fitted_warning(options)))


@dataclass(frozen=True, kw_only=True)
class SpeedOptions(Output):
    """What is timed."""

    image: Annotated[Path | None, typer.Option(help="Photograph for the cascade's times; else smooth colours.")] = None
    repeats: Annotated[int, typer.Option(min=1, help="Rounds; the medians are reported.")] = 9
    model: ModelName = None
    device: Device = "auto"


@figure_command(SpeedOptions, ("quiet",))
def speed(options: SpeedOptions) -> None:
    """Time the interweaved operation and the cascade (5.2).

    The first against patch by patch with multiply-adds counted, the second on a 300x300 image.

    \b
    Example:
      facetag eval speed --image examples/photos/astronaut.jpg
    """
    from facetag.evaluate.figures import speed_figure
    from facetag.evaluate.image_batches import load_pixels
    from facetag.evaluate.speed import measure_speed, smooth_image

    check_figure_outputs(options)
    given_image = load_pixels(options.image) if options.image else smooth_image()
    loaded, localizer, tagger = cascade_of(options.model, options.device)
    measured = measure_speed(localizer, tagger, given_image, options.repeats)
    deliver(options, about(loaded), speed_figure(measured))


@dataclass(frozen=True, kw_only=True)
class CompareOptions(FigureOptions):
    """Two models beside."""

    first: Annotated[str, typer.Argument(metavar="A", help="A model: its name or its folder.")]
    second: Annotated[str, typer.Argument(metavar="B", help="Another.")]


@figure_command(CompareOptions, ("groups", "run", "recipe", "model"), partition="test")
def compare(options: CompareOptions) -> None:
    """Two models on the same images, attribute by attribute.

    Differences have paired 95 % intervals by bootstrap over identities. A face not found counts as nothing present.

    \b
    Example:
      facetag eval compare faithful fast --data data --limit 1000 --picture compare.png
    """
    from facetag.evaluate.attributes import tag_images
    from facetag.evaluate.figures import comparison_figure

    check_figure_outputs(options)
    chosen, facts = labeled(options)
    answers, models = [], []
    for name in (options.first, options.second):
        loaded, localizer, tagger = cascade_of(name, options.device)
        locate, report = locate_by(localizer, options), progress(f"images by {loaded.name}", options.quiet)
        answers.append(tag_images(chosen.paths, locate, tagger, report, localizer.read_size))
        models.append(about(loaded))
    names = [each["model"] for each in models]
    figure = comparison_figure(chosen, answers, names, _settings(options))
    figure.numbers["fingerprints"] = [each["fingerprint"] for each in models]
    facts = {"a": names[0], "b": names[1], **facts, "mode": options.mode, "seed": options.seed}
    deliver(options, facts, figure)


@dataclass(frozen=True, kw_only=True)
class PageOptions(FigureOptions):
    """All figures of a model, on one page."""

    out: Annotated[Path, typer.Option(help="The page, .html.")]
    against: Annotated[str | None, typer.Option(help="A second model to compare with.")] = None


@figure_command(PageOptions, ("json", "csv", "drawn", "page"), limit=1000)
def figures(options: PageOptions) -> None:
    """All these figures as one page that opens offline.

    \b
    Example:
      facetag eval figures --out figures.html --data data
    """
    from facetag.evaluate import plots
    from facetag.evaluate.figure_page import check_page, page
    from facetag.evaluate.figures import all_figures

    check_page(options.out)
    plots.new_figure(1, 1)
    chosen, facts = labeled(options)
    loaded, localizer, tagger = cascade_of(options.model, options.device)
    nets = _nets(tagger, options)
    settings, locate = _settings(options, localizer.read_size), locate_by(localizer, options)
    rival = _rival(options)
    shown = all_figures(chosen, locate, tagger, nets, settings, rival, progress("images", options.quiet))
    facts = {**about(loaded), **facts, "mode": options.mode, "seed": options.seed}
    write_text(options.out, page(facts, shown))
    say(f"{options.out} holds {len(shown)} figures")


COMMANDS: tuple[Callable[..., None], ...] = (
    grouping, layers, neurons, regions, reliability, robustness, speed, compare, figures,
)  # fmt: skip


def _settings(options: FigureOptions, read_size: int = 0) -> "FigureSettings":
    from facetag.evaluate.figures import FigureSettings

    return FigureSettings(options.groups, options.seed, read_size, fitted_warning(options))


def _activations(options: FigureOptions) -> "tuple[LabeledImages, Activations, Tagger, dict[str, Any]]":
    """What ANet answers for the images that are asked for, and what to say of them."""
    from facetag.evaluate.labeled_faces import activations

    check_figure_outputs(options)
    chosen, facts = labeled(options)
    loaded, localizer, tagger = cascade_of(options.model, options.device)
    locate, report = locate_by(localizer, options), progress("images", options.quiet)
    found = activations(chosen.paths, locate, tagger, _nets(tagger, options), report)
    return chosen, found, tagger, {**about(loaded), **facts, "mode": options.mode}


def _rival(options: PageOptions) -> "Rival | None":
    if options.against is None:
        return None
    loaded, localizer, tagger = cascade_of(options.against, options.device)
    return loaded.name, locate_by(localizer, options), tagger, localizer.read_size


def _nets(tagger: "Tagger", options: FigureOptions) -> "dict[str, AnyANet]":
    """ANet by what it was trained with last: identities, when there is a run, then attributes."""
    from facetag.evaluate.labeled_faces import identity_anet
    from facetag.training.recipe import load_recipe

    start = {"identities": identity_anet(options.run, load_recipe(options.recipe))} if options.run else {}
    return {**start, "attributes": tagger.model.anet}
