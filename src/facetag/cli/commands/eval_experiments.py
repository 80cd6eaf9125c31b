"""`facetag eval table|sizes|transfer|groups`: the paper's comparisons, and whom a model serves worse."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from facetag.attributes import attribute_indices
from facetag.cli.commands.figure_options import (
    Data,
    FigureOptions,
    Limit,
    Output,
    RecipeName,
    Seed,
    check_figure_outputs,
    deliver,
    figure_command,
    fitted_warning,
    labeled,
    locate_by,
    named_paths,
)
from facetag.cli.commands.measuring import about, cascade_of, celeba_part, progress
from facetag.cli.options import Device
from facetag.errors import UsageError

if TYPE_CHECKING:
    from facetag.evaluate.competitors import Answers, Arena
    from facetag.training.competitors.anet import AnetStart

SYSTEMS = ("constant", "PANDA-w", "FaceTracer", "PANDA-l")

Systems = Annotated[
    list[str] | None,
    typer.Option("--system", metavar="NAME", help=f"Only these: {', '.join(SYSTEMS)}; all by default."),
]
Models = Annotated[
    list[str] | None, typer.Option("--model", metavar="DIR|NAME", help="These models' rows too; may be repeated.")
]
Work = Annotated[Path, typer.Option(help="Folder that keeps what was learned, so that a rerun is cheap.")]
FaceBoxCsv = Annotated[
    Path | None, typer.Option("--boxes", help="CSV of a detector's boxes of the aligned images, for PANDA-w.")
]


@dataclass(frozen=True, kw_only=True)
class ContestOptions(Output):
    """What systems learn from and answer."""

    data: Data = Path("data")
    work: Work = Path("runs/table")
    system: Systems = None
    model: Models = None
    mode: Annotated[
        Literal["both", "cascade", "crops"],
        typer.Option(help="Models in fixed boxes (crops), in those found, or both."),
    ] = "both"
    boxes: FaceBoxCsv = None
    training_images: Annotated[int, typer.Option(min=1, help="Images of partition 0 to learn from, spread evenly.")] = (
        10000
    )
    panda_w_images: Annotated[int, typer.Option(min=1, help="Of these, those that PANDA-w learns from.")] = 10000
    anet_images: Annotated[
        int | None, typer.Option(min=3, help="Of the sizes, ANets learn from those up to this one.")
    ] = None
    sizes: Annotated[list[int] | None, typer.Option("--size", min=3, help="Images to learn from; repeat it.")] = None
    run: Annotated[
        Path | None,
        typer.Option(help="A training run: ANets learn too, from its ANet after identities and from nothing."),
    ] = None
    recipe: RecipeName = "faithful"
    limit: Limit = None
    seed: Seed = 0
    device: Device = "auto"


@dataclass(frozen=True, kw_only=True)
class TransferOptions(ContestOptions):
    """What no net learned, and whose nets these are."""

    runs: Annotated[
        list[str] | None,
        typer.Option("--run", metavar="NAME=RUN", help="A training run's fine-tuned ANet, by a name; may be repeated."),
    ] = None
    left_out: Annotated[
        list[str] | None,
        typer.Option(metavar="ATTRIBUTE", help="What no net learned; repeat it. By default studies/left_out.toml's."),
    ] = None


@figure_command(ContestOptions, ("sizes", "anet_images"))
def table(options: ContestOptions) -> None:
    """The paper's competitors and your models on CelebA's test images (Table 1).

    Trains FaceTracer, PANDA and, with --run, ANet with and without identities before, all on the same images; what
    they learned stays in --work. PANDA-w needs --boxes. Of each model it is said what fraction of its errors is due to
    its boxes.

    \b
    Example:
      facetag eval table --data data --model faithful --boxes haar.csv --page table.html
    """
    from facetag.evaluate.error_sources import error_sources
    from facetag.evaluate.paper_table import measure_table, table_figure

    check_figure_outputs(options)
    given = _arena(options)
    answers = [*_competitors(options, given), *_anets(options, given), *_models(options, given)]
    test = given.test
    measured = measure_table(answers, test.values, test.identities, given.fractions, options.seed)
    sources = error_sources(answers, test.values, given.fractions > 0.5)
    facts = {"test_images": len(test.paths), "training_images": len(given.training.paths), "seed": options.seed}
    deliver(options, facts, table_figure(measured, sources))


@figure_command(ContestOptions, ("boxes", "panda_w_images", "mode"))
def sizes(options: ContestOptions) -> None:
    """Accuracy by the number of training images (Fig. 13).

    FaceTracer, PANDA-l, with --run ANets too, and SVMs on the frozen features of each --model in fixed boxes. Of so
    many images nets learn from two thirds or more, in partition 0, and their SVMs from the rest, in partition 1.

    \b
    Example:
      facetag eval sizes --data data --size 500 --size 2000 --run runs/faithful --page sizes.html
    """
    from facetag.evaluate.attributes import aligned_faces
    from facetag.evaluate.competitors import anet_of_few, face_tracer, frozen_svms, panda_of_few
    from facetag.evaluate.training_sizes import sizes_figure
    from facetag.networks.execution.device import torch_device

    check_figure_outputs(options)
    given, wanted = _arena(options), options.system or ["FaceTracer", "PANDA-l"]
    every = len(given.training.paths) + len(given.fitting.paths)
    counts = sorted({min(count, every) for count in (*(options.sizes or (500, 2000)), every)})
    traced = sorted({min(count, len(given.training.paths)) for count in counts})
    answers = [face_tracer(given, count) for count in traced if "FaceTracer" in wanted]
    answers += [panda_of_few(given, count) for count in counts if "PANDA-l" in wanted]
    for start in _starts(options):
        few = [count for count in counts if count <= (options.anet_images or every)]
        answers += [anet_of_few(given, start, count, torch_device(options.device)) for count in few]
    for name in options.model or ():
        own = sorted({min(count, len(given.fitting.paths)) for count in counts})
        answers += frozen_svms(given, cascade_of(name, options.device)[2], aligned_faces, own)
    if not answers:
        raise UsageError("nothing to compare", "name a --system of FaceTracer and PANDA-l, a --run, or a --model")
    test = given.test
    facts = {"test_images": len(test.paths), "training_images": len(given.training.paths), "seed": options.seed}
    deliver(options, facts, sizes_figure(answers, test.values, test.identities, given.fractions, options.seed))


@figure_command(TransferOptions, ("sizes", "anet_images", "run", "mode", "model"))
def transfer(options: TransferOptions) -> None:
    """Attributes that the nets never learned (Fig. 12).

    SVMs learn them from partition 1 on frozen features: those of each --run, whose ANet was trained without them
    (anet_attributes.left_out of its recipe), and of PANDA, trained here without them. FaceTracer has no nets and learns
    all of it there.

    \b
    Example:
      facetag eval transfer --data data --run ANet=runs/left_out --boxes haar.csv --page transfer.html
    """
    from facetag.evaluate.competitors import constant, face_tracer, panda_parts, svms_of_run
    from facetag.evaluate.transfer import LEFT_OUT, transfer_figure
    from facetag.networks.execution.device import torch_device
    from facetag.training.competitors.placement import load_face_boxes
    from facetag.training.recipe import load_recipe

    check_figure_outputs(options)
    given, out = _arena(options), tuple(options.left_out or LEFT_OUT)
    attribute_indices(out)
    wanted = options.system or [name for name in SYSTEMS if name != "PANDA-w" or options.boxes]
    answers: list[Answers] = []
    if "constant" in wanted:
        answers.append(constant(given))
    if "FaceTracer" in wanted:
        answers.append(face_tracer(given, part="fit"))
    if "PANDA-w" in wanted:
        boxes = load_face_boxes(_boxes(options), given.training.paths)
        answers.append(panda_parts(given, boxes, options.panda_w_images, left_out=out))
    if "PANDA-l" in wanted:
        answers.append(panda_parts(given, left_out=out))
    recipe, device = load_recipe(options.recipe), torch_device(options.device)
    runs = list(named_paths("--run", options.runs or ()))
    for name, run in runs:
        answers += svms_of_run(given, name, run, recipe, device)
    if not answers:
        raise UsageError("nothing to compare", "name a --system, or a --run")
    test = given.test
    facts = {"test_images": len(test.paths), "training_images": len(given.training.paths), "seed": options.seed}
    figure = transfer_figure(answers, test.values, test.identities, given.fractions, out, options.seed)
    deliver(options, {**facts, "left_out": ", ".join(out)}, figure)


def _starts(options: ContestOptions) -> "list[AnetStart]":
    """ANets that learn here: from the identities of a run, and from nothing.

    Raises:
        DataError: the run has none.
    """
    from facetag.training.checkpoint import best_state
    from facetag.training.competitors.anet import AnetStart
    from facetag.training.recipe import load_recipe

    if options.run is None:
        return []
    recipe, identities = load_recipe(options.recipe), options.run / "anet_identities"
    best_state(identities)
    return [AnetStart("ANet from nothing", recipe), AnetStart("ANet from identities", recipe, identities)]


def _anets(options: ContestOptions, given: "Arena") -> "Iterator[Answers]":
    """ANets that learn here from the very images of the competitors."""
    from facetag.evaluate.competitors import anet_of_few
    from facetag.networks.execution.device import torch_device

    every = len(given.training.paths) + len(given.fitting.paths)
    for start in _starts(options):
        yield anet_of_few(given, start, every, torch_device(options.device))


def _boxes(options: ContestOptions) -> Path:
    """A detector's boxes for PANDA-w.

    Raises:
        UsageError: there are none.
    """
    if not options.boxes:
        raise UsageError("PANDA-w takes its parts from a detector's boxes", "give them by --boxes FILE")
    return options.boxes


def _arena(options: ContestOptions) -> "Arena":
    """Images, and a folder for what is learned.

    Raises:
        UsageError: a system is not known.
        DataError: a partition has no image.
    """
    from facetag.datasets.celeba import load_celeba
    from facetag.errors import DataError
    from facetag.evaluate.competitors import arena

    unknown = sorted(set(options.system or ()) - set(SYSTEMS))
    if unknown:
        raise UsageError(f"there is no system {unknown[0]}", f"name one of {', '.join(SYSTEMS)}")
    fractions, test = celeba_part(options.data, "test", options.limit)
    celeba = load_celeba(options.data / "celeba" if (options.data / "celeba").is_dir() else options.data)
    given = arena(
        celeba, fractions, test, options.training_images, options.work, lambda what: progress(what, options.quiet)
    )
    for number, part in (("1", given.fitting), ("2", given.test)):
        if not part.paths:
            raise DataError(f"{options.data} has no image of partition {number}", "add it, see `facetag data arrange`")
    return given


def _competitors(options: ContestOptions, given: "Arena") -> "Iterator[Answers]":
    """The constant predictor and the paper's competitors, from worst to best by the paper.

    Raises:
        UsageError: PANDA-w was asked for without boxes.
    """
    from facetag.evaluate.competitors import constant, face_tracer, panda_parts
    from facetag.training.competitors.placement import load_face_boxes

    wanted = options.system or [name for name in SYSTEMS if name != "PANDA-w" or options.boxes]
    if "PANDA-w" in wanted:
        yield panda_parts(given, load_face_boxes(_boxes(options), given.training.paths), options.panda_w_images)
    if "constant" in wanted:
        yield constant(given)
    if "FaceTracer" in wanted:
        yield face_tracer(given)
    if "PANDA-l" in wanted:
        yield panda_parts(given)


def _models(options: ContestOptions, given: "Arena") -> "Iterator[Answers]":
    """Each model on fixed boxes, then on those that it finds."""
    from facetag.evaluate.attributes import aligned_faces
    from facetag.evaluate.competitors import FIXED, model_answers

    for name in options.model or ():
        loaded, localizer, tagger = cascade_of(name, options.device)
        if options.mode != "cascade":
            yield model_answers(given, f"{loaded.name}{FIXED}", aligned_faces, tagger, localizer.read_size)
        if options.mode != "crops":
            yield model_answers(given, loaded.name, localizer.dominant, tagger, localizer.read_size)


@figure_command(FigureOptions, ("groups", "run", "recipe"), partition="test")
def groups(options: FigureOptions) -> None:
    """Errors by sex and age, and answers that cannot be true.

    Of every attribute, with intervals. Impossible is, for example, No_Beard with Goatee.

    \b
    Example:
      facetag eval groups --data data --partition test --page groups.html
    """
    from facetag.evaluate.attributes import tag_images
    from facetag.evaluate.groups import groups_figure, measure_groups

    check_figure_outputs(options)
    chosen, facts = labeled(options)
    loaded, localizer, tagger = cascade_of(options.model, options.device)
    locate, report = locate_by(localizer, options), progress("images", options.quiet)
    tagged = tag_images(chosen.paths, locate, tagger, report, localizer.read_size)
    measured = measure_groups(tagged, chosen.values, chosen.identities, options.seed)
    facts = {**about(loaded), **facts, "mode": options.mode, "seed": options.seed}
    deliver(options, facts, groups_figure(measured, fitted_warning(options)))


COMMANDS: tuple[Callable[..., None], ...] = (table, sizes, transfer, groups)
