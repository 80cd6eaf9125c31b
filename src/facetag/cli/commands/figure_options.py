"""What the commands of the paper's figures are told, as one object, and where their figure goes."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import MISSING, dataclass, fields
from inspect import Parameter, Signature
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

import typer

from facetag.cli.commands.measuring import answer, celeba_part, check_outputs, write_text
from facetag.cli.commands.stages import Quiet
from facetag.cli.options import Device, ModelName
from facetag.errors import UsageError

if TYPE_CHECKING:
    from facetag.evaluate.attributes import Locate
    from facetag.evaluate.figure_page import Figure
    from facetag.evaluate.labeled_faces import LabeledImages
    from facetag.localization.base import Localizer

_PARTS = Literal["test", "val", "train"]

Json = Annotated[Path | None, typer.Option("--json", help="Write the numbers here too; - prints them alone.")]
Csv = Annotated[Path | None, typer.Option("--csv", help="Write the numbers here as CSV: name, value.")]
Drawn = Annotated[Path | None, typer.Option("--picture", help="Draw the figure here: .png, .svg or .pdf.")]
Page = Annotated[Path | None, typer.Option("--page", help="Picture, tables and numbers as one page, .html.")]
Data = Annotated[Path, typer.Option(help="CelebA, or the folder that holds celeba/.")]
Part = Annotated[_PARTS, typer.Option("--partition", help="Part of the official split.")]
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


@dataclass(frozen=True, kw_only=True)
class Output:
    """Where a figure goes; its tables are printed too."""

    json: Json = None
    csv: Csv = None
    drawn: Drawn = None
    page: Page = None
    quiet: Quiet = False


@dataclass(frozen=True, kw_only=True)
class FigureOptions(Output):
    """All that a figure of labelled images is told, by the options' long names; `figure_command` has typer fill it."""

    data: Data = Path("data")
    partition: Part = "val"
    labels: Labels = None
    images: Images = Path()
    limit: Limit = None
    mode: Mode = "cascade"
    run: Run = None
    recipe: RecipeName = "faithful"
    groups: Clusters = 6
    seed: Seed = 0
    model: ModelName = None
    device: Device = "auto"


OptionsT = TypeVar("OptionsT")


def figure_command(
    kind: type[OptionsT], without: Sequence[str] = (), **defaults: Any
) -> Callable[[Callable[[OptionsT], None]], Callable[..., None]]:
    """Decorates a command of such an object, so that typer sees a parameter for each field but those `without`.

    Args:
        defaults: of fields, in place of their own.
    """

    def decorate(command: Callable[[OptionsT], None]) -> Callable[..., None]:
        def called(**given: Any) -> None:
            command(kind(**given))

        asked = [each for each in fields(kind) if each.name not in without]  # type: ignore[arg-type]
        called.__signature__ = Signature([_parameter(each, defaults) for each in asked])  # type: ignore[attr-defined]
        called.__name__, called.__doc__ = command.__name__, command.__doc__
        return called

    return decorate


def _parameter(field: Any, defaults: dict[str, Any]) -> Parameter:
    own = Parameter.empty if field.default is MISSING else field.default
    default = defaults.get(field.name, own)
    return Parameter(field.name, Parameter.KEYWORD_ONLY, default=default, annotation=field.type)


def check_figure_outputs(output: Output) -> None:
    """See before a long run that its files can be written after it.

    Raises:
        UsageError: one cannot.
        FacetagError: the figure cannot be drawn.
    """
    from facetag.evaluate import plots
    from facetag.evaluate.figure_page import check_page

    check_outputs(output.json)
    check_outputs(output.csv)
    plots.check_figure(output.drawn)
    if output.page:
        check_page(output.page)
        plots.new_figure(1, 1)


def deliver(output: Output, facts: dict[str, Any], figure: "Figure") -> None:
    """Tables on standard output, numbers, picture and page where they are wanted."""
    from facetag.evaluate import plots
    from facetag.evaluate.figure_csv import to_csv
    from facetag.evaluate.figure_page import page

    answer(output.json, facts, figure.numbers, figure.tables)
    if output.csv:
        write_text(output.csv, to_csv({**facts, **figure.numbers}).rstrip("\n"))
    if output.drawn:
        plots.write_figure(output.drawn, figure.draw())
    if output.page:
        write_text(output.page, page(facts, [figure]))


def labeled(options: FigureOptions) -> "tuple[LabeledImages, dict[str, Any]]":
    """The images that are asked for, and what to say of them."""
    import numpy as np

    from facetag.evaluate.image_batches import evenly
    from facetag.evaluate.labeled_faces import celeba_images, own_images

    if options.labels is None:
        part = celeba_part(options.data, options.partition, options.limit)[1]
        return celeba_images(part), {"partition": options.partition, "images": len(part)}
    found = own_images(options.labels, options.images)
    chosen = found.select(np.array(evenly(len(found.paths), options.limit)))
    return chosen, {"labels": str(options.labels), "images": len(chosen.paths)}


def fitted_warning(options: FigureOptions) -> str:
    """What a reader must know of these figures."""
    from facetag.evaluate.attributes import FITTED

    return "" if options.labels else FITTED[options.partition]


def locate_by(localizer: "Localizer", options: FigureOptions) -> "Locate":
    """What finds the faces.

    Raises:
        UsageError: fixed boxes of images that are not CelebA's.
    """
    from facetag.evaluate.attributes import aligned_faces

    if options.mode == "crops" and options.labels:
        raise UsageError("--mode crops is for CelebA's aligned images", "leave out --mode, or --labels")
    return localizer.dominant if options.mode == "cascade" else aligned_faces


def named_paths(option: str, given: Sequence[str]) -> Iterator[tuple[str, Path]]:
    """The pairs of NAME=PATH.

    Raises:
        UsageError: one is not such a pair.
    """
    for text in given:
        name, equals, path = text.partition("=")
        if not (name and equals and path):
            raise UsageError(f"{option} {text} is not NAME=PATH", f"write it as {option} NAME=PATH")
        yield name, Path(path)
