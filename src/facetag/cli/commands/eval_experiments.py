"""`facetag eval table|sizes|groups`: the paper's comparisons, and whom a model serves worse."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from facetag.cli.commands.figure_options import (
    Data,
    FigureOptions,
    Limit,
    Output,
    Seed,
    check_figure_outputs,
    deliver,
    figure_command,
    fitted_warning,
    labeled,
    locate_by,
)
from facetag.cli.commands.measuring import about, cascade_of, celeba_part, progress
from facetag.cli.options import Device
from facetag.errors import UsageError

if TYPE_CHECKING:
    from facetag.evaluate.competitors import Answers, Arena

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
    sizes: Annotated[list[int] | None, typer.Option("--size", min=1, help="Images to learn from; repeat it.")] = None
    limit: Limit = None
    seed: Seed = 0
    device: Device = "auto"


@figure_command(ContestOptions, ("sizes",))
def table(options: ContestOptions) -> None:
    """The paper's competitors and your models on CelebA's test images (Table 1).

    Trains FaceTracer and PANDA; their weights stay in --work. PANDA-w needs --boxes.

    \b
    Example:
      facetag eval table --data data --model faithful --boxes haar.csv --page table.html
    """
    from facetag.evaluate.paper_table import measure_table, table_figure

    check_figure_outputs(options)
    given = _arena(options)
    answers = [*_competitors(options, given), *_models(options, given)]
    test = given.test
    measured = measure_table(answers, test.values, test.identities, given.fractions, options.seed)
    facts = {"test_images": len(test.paths), "training_images": len(given.training.paths), "seed": options.seed}
    deliver(options, facts, table_figure(measured))


@figure_command(ContestOptions, ("boxes", "panda_w_images", "mode"))
def sizes(options: ContestOptions) -> None:
    """Accuracy by the number of training images (Fig. 13).

    FaceTracer, PANDA-l, and SVMs on the frozen features of each --model in fixed boxes.

    \b
    Example:
      facetag eval sizes --data data --size 500 --size 2000 --model faithful --page sizes.html
    """
    from facetag.evaluate.attributes import aligned_faces
    from facetag.evaluate.competitors import face_tracer, frozen_svms, panda_parts
    from facetag.evaluate.training_sizes import sizes_figure

    check_figure_outputs(options)
    given, wanted = _arena(options), options.system or ["FaceTracer", "PANDA-l"]
    counts = sorted({*(options.sizes or (500, 2000)), len(given.training.paths)})
    answers = [face_tracer(given, count) for count in counts if "FaceTracer" in wanted]
    answers += [panda_parts(given, count=count, fitting_count=count) for count in counts if "PANDA-l" in wanted]
    for name in options.model or ():
        own = sorted({min(count, len(given.fitting.paths)) for count in counts})
        answers += frozen_svms(given, cascade_of(name, options.device)[2], aligned_faces, own)
    if not answers:
        raise UsageError("nothing to compare", "name a --system of FaceTracer and PANDA-l, or a --model")
    test = given.test
    facts = {"test_images": len(test.paths), "training_images": len(given.training.paths), "seed": options.seed}
    deliver(options, facts, sizes_figure(answers, test.values, test.identities, given.fractions, options.seed))


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
        if not options.boxes:
            raise UsageError("PANDA-w takes its parts from a detector's boxes", "give them by --boxes FILE")
        yield panda_parts(given, load_face_boxes(options.boxes, given.training.paths), options.panda_w_images)
    if "constant" in wanted:
        yield constant(given)
    if "FaceTracer" in wanted:
        yield face_tracer(given)
    if "PANDA-l" in wanted:
        yield panda_parts(given)


def _models(options: ContestOptions, given: "Arena") -> "Iterator[Answers]":
    """Each model on fixed boxes, then on those that it finds."""
    from facetag.evaluate.attributes import aligned_faces
    from facetag.evaluate.competitors import model_answers

    for name in options.model or ():
        loaded, localizer, tagger = cascade_of(name, options.device)
        if options.mode != "cascade":
            yield model_answers(given, f"{loaded.name}, fixed boxes", aligned_faces, tagger, localizer.read_size)
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


COMMANDS: tuple[Callable[..., None], ...] = (table, sizes, groups)
