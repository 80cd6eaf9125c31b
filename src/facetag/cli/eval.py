"""`facetag eval attributes|robustness|localization|speed|convention`: what the model is worth, measured."""

import shlex
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from facetag.cli.console import say
from facetag.cli.options import Device, ModelName
from facetag.cli.stages import Quiet, torch_device
from facetag.errors import UsageError, writing

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from facetag.datasets.celeba import CelebA
    from facetag.evaluate.attributes import Partition
    from facetag.evaluate.report import Table
    from facetag.model import Model
    from facetag.student import AnyLocalizer
    from facetag.tagger import Tagger

app = typer.Typer(no_args_is_help=True, help="Measure attributes, their robustness, localisation and speed; fit boxes.")

Json = Annotated[Path | None, typer.Option("--json", help="Write the figures here too; - prints them alone.")]
Limit = Annotated[int | None, typer.Option(min=1, help="Only so many, spread evenly over all.")]
Sheet = Annotated[Path | None, typer.Option(help="A contact sheet to look at, .jpg or .png.")]
Count = Annotated[int, typer.Option(min=1, help="Photographs on the sheet.")]
Data = Annotated[Path, typer.Option(help="CelebA, or the folder that holds celeba/.")]
Images = Annotated[Path, typer.Option(help="Folder of photographs.")]
Boxes = Annotated[
    Path | None,
    typer.Option(help="CSV of true boxes: file, x, y, width, height; else the WebFaces file among the images."),
]


@app.command()
def attributes(
    data: Data = Path("data"),
    partition: Annotated[Literal["test", "val", "train"], typer.Option(help="Part of the official split.")] = "test",
    mode: Annotated[
        Literal["cascade", "crops"], typer.Option(help="Find the face first, or take the aligned pictures' fixed box.")
    ] = "cascade",
    limit: Limit = None,
    model: ModelName = None,
    device: Device = "auto",
    json: Json = None,
    sheet: Sheet = None,
    count: Count = 50,
    card: Annotated[bool, typer.Option("--card", help="Write the figures into the model's CARD.md too.")] = False,
    quiet: Quiet = False,
) -> None:
    """Attributes of aligned CelebA, beside the majority.

    Accuracy, balanced accuracy, F1, average precision and calibration error.

    \b
    Example:
      facetag eval attributes --data data --partition val --json attributes.json
    """
    from facetag.evaluate import attributes as evaluate
    from facetag.evaluate import report
    from facetag.evaluate import sheet as sheets

    _check_outputs(json, sheet)
    if card:
        _check_card(model, limit)
    shares, part = _celeba(data, partition, limit)
    paths, labels = part.paths, part.attributes
    loaded, localizer, tagger = _cascade(model, device)
    locate = localizer.dominant if mode == "cascade" else evaluate.aligned_faces
    tagged = evaluate.tag_pictures(paths, locate, tagger, _progress("pictures", quiet))
    measured = evaluate.measure_attributes(tagged, labels, shares)
    facts = {**_about(loaded), "partition": partition, "mode": mode}
    tables = report.attribute_tables(measured)
    _answer(json, facts, report.attribute_json(measured), tables)
    if card:
        words = ["facetag", "eval", "attributes", "--partition", partition, "--mode", mode]
        _write_card(model, shlex.join([*words, *(("--model", model) if model else ()), "--card"]), tables)
    if sheet:
        sheets.write_sheet(sheet, sheets.contact_sheet(sheets.attribute_tiles(paths, tagged, labels, count)))


@app.command()
def robustness(
    data: Data = Path("data"),
    partition: Annotated[Literal["test", "val", "train"], typer.Option(help="Part of the official split.")] = "val",
    limit: Limit = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the directions in which boxes and pictures go.")] = 0,
    model: ModelName = None,
    device: Device = "auto",
    json: Json = None,
    quiet: Quiet = False,
) -> None:
    """Attributes when the box or the picture is worse.

    Aligned CelebA in its fixed box: shifted, scaled, blurred, compressed, grey, turned, small.

    \b
    Example:
      facetag eval robustness --data data --limit 1000 --json robustness.json
    """
    from facetag.evaluate import report
    from facetag.evaluate.robustness import FITTED, measure_robustness
    from facetag.tagger import Tagger

    _check_outputs(json)
    shares, part = _celeba(data, partition, limit)
    loaded = _model(model)
    tagger = Tagger(loaded, torch_device(device))
    progress = _progress("pictures", quiet)
    measured = measure_robustness(part.paths, part.attributes, shares, tagger, seed, progress)
    facts = {**_about(loaded), "partition": partition, "seed": seed}
    tables = report.robustness_tables(measured, FITTED[partition])
    _answer(json, facts, report.robustness_json(measured), tables)


@app.command()
def localization(
    images: Images = Path("data/webfaces"),
    boxes: Boxes = None,
    half: Annotated[
        Literal["tune", "test", "all"],
        typer.Option(help="Photographs to choose settings on, those to measure on at the end, or all; by content."),
    ] = "tune",
    limit: Limit = None,
    model: ModelName = None,
    device: Device = "auto",
    json: Json = None,
    sheet: Sheet = None,
    count: Count = 50,
    quiet: Quiet = False,
) -> None:
    """Recall by IoU, false positives and size of the face.

    \b
    Example:
      facetag eval localization --images photos --boxes boxes.csv --half all --sheet found.jpg
    """
    from facetag.evaluate import localization as evaluate
    from facetag.evaluate import report
    from facetag.evaluate import sheet as sheets
    from facetag.evaluate.pictures import evenly

    _check_outputs(json, sheet)
    photographs = evaluate.load_photographs(images, boxes, half)
    chosen = [photographs.chosen[index] for index in evenly(len(photographs.chosen), limit)]
    loaded, localizer, tagger = _cascade(model, device)
    examined = evaluate.examine(chosen, localizer, _progress("photographs", quiet))
    measured = evaluate.measure_localization(examined, localizer.settings.score)
    facts = {**_about(loaded), "half": half, "missing": photographs.missing, "duplicates": photographs.duplicates}
    _answer(json, facts, report.localization_json(measured), report.localization_tables(measured))
    if sheet:
        tiles = sheets.localization_tiles(examined, localizer.settings.score, tagger, count)
        sheets.write_sheet(sheet, sheets.contact_sheet(tiles))


@app.command()
def speed(
    image: Annotated[Path | None, typer.Option(help="Photograph for the cascade's times; else smooth colours.")] = None,
    repeats: Annotated[int, typer.Option(min=1, help="Rounds; the medians are reported.")] = 9,
    model: ModelName = None,
    device: Device = "auto",
    json: Json = None,
) -> None:
    """Time the interweaved operation and the cascade.

    The first against patch by patch with multiply-adds counted, the second on a 300x300 image.

    \b
    Example:
      facetag eval speed --image examples/photos/astronaut.jpg
    """
    from facetag.evaluate import report
    from facetag.evaluate.pictures import read_picture
    from facetag.evaluate.speed import measure_speed, smooth_picture

    _check_outputs(json)
    picture = read_picture(image) if image else smooth_picture()
    loaded, localizer, tagger = _cascade(model, device)
    measured = measure_speed(localizer, tagger, picture, repeats)
    _answer(json, _about(loaded), report.speed_json(measured), report.speed_tables(measured))


@app.command()
def convention(
    images: Images = Path("data/webfaces"),
    boxes: Boxes = None,
    half: Annotated[
        Literal["tune", "all"], typer.Option(help="The half to choose settings on, or all photographs; by content.")
    ] = "tune",
    limit: Limit = None,
    model: ModelName = None,
    run: Annotated[Path | None, typer.Option(help="The nets of this training run, not of a model.")] = None,
    recipe: Annotated[str, typer.Option(help="The run's recipe.")] = "faithful",
    device: Device = "auto",
    json: Json = None,
    quiet: Quiet = False,
) -> None:
    """Fit boxes to response maps, as a recipe's part.

    Sizes and offsets, on photographs with one face. In a training run: after LNet_o for [localizer.head], on which
    LNet_s is trained, and again after LNet_s for [localizer.face].

    \b
    Example:
      facetag eval convention --images data/webfaces --run runs/faithful
    """
    from facetag.evaluate import report
    from facetag.evaluate.convention import fit_convention
    from facetag.evaluate.localization import load_photographs
    from facetag.evaluate.pictures import evenly

    _check_outputs(json)
    single = load_photographs(images, boxes, half).single
    chosen = [single[index] for index in evenly(len(single), limit)]
    if run:
        localizer, heads_alone = _localizer_of_run(run, recipe, device)
        about: dict[str, Any] = {"run": str(run), "recipe": recipe}
    else:
        loaded, localizer, _ = _cascade(model, device)
        about, heads_alone = _about(loaded), False
    fitted = fit_convention(localizer, chosen, _progress("photographs", quiet), heads_alone)
    if json:
        _write(json, report.to_json({**about, "half": half, **report.convention_json(fitted)}))
    if str(json) != "-":
        print(report.convention_toml(fitted))


def _celeba(data: Path, partition: "Partition", limit: int | None) -> "tuple[NDArray[np.float64], CelebA]":
    """Shares of the training partition's attributes, and this partition, or so many of its pictures."""
    from facetag.datasets.celeba import load_celeba
    from facetag.evaluate.attributes import PARTITIONS, training_shares
    from facetag.evaluate.pictures import evenly

    celeba = load_celeba(data / "celeba" if (data / "celeba").is_dir() else data)
    part = celeba.subset(PARTITIONS[partition])
    mask = part.partition < 0
    mask[evenly(len(part), limit)] = True
    return training_shares(celeba), part.select(mask)


def _model(name: str | None) -> "Model":
    from facetag.model import load_model

    return load_model(name) if name else load_model()


def _cascade(model: str | None, device: str) -> "tuple[Model, AnyLocalizer, Tagger]":
    from facetag.student import localizer_of
    from facetag.tagger import Tagger

    place, loaded = torch_device(device), _model(model)
    return loaded, localizer_of(loaded, place), Tagger(loaded, place)


def _localizer_of_run(run: Path, recipe: str, device: str) -> "tuple[AnyLocalizer, bool]":
    """The LNets or the student of a training run, and whether there is no LNet_s yet."""
    from facetag.training.recipe import load_recipe
    from facetag.training.trained import has_stage, head_localizer, trained_finder

    loaded, place = load_recipe(recipe), torch_device(device)
    if loaded.finder == "student" or has_stage(run, "lnet_s"):
        return trained_finder(run, loaded, place), False
    return head_localizer(run, loaded, place), True


def _check_outputs(json: Path | None, sheet: Path | None = None) -> None:
    """See before a long run that its files can be written after it.

    Raises:
        UsageError: one cannot.
    """
    from facetag.evaluate.sheet import check_sheet

    for path in filter(None, (json, sheet)):
        if not path.parent.is_dir():
            raise UsageError(f"{path.parent} is not a folder", "make it, or name another file")
    if sheet:
        check_sheet(sheet)


def _about(model: "Model") -> dict[str, Any]:
    return {"model": model.name, "fingerprint": model.fingerprint}


def _answer(json: Path | None, facts: dict[str, Any], figures: dict[str, Any], tables: "Sequence[Table]") -> None:
    """Tables on standard output and JSON in a file, or JSON alone on standard output."""
    from facetag.evaluate.report import plain_text, to_json

    if json:
        _write(json, to_json({**facts, **figures}))
    if str(json) == "-":
        return
    print(", ".join(f"{name} {value}" for name, value in facts.items() if name != "fingerprint"))
    for table in tables:
        if sys.stdout.isatty():
            _print_rich(table)
        else:
            print(f"\n{plain_text(table)}")


def _write(path: Path, text: str) -> None:
    if str(path) == "-":
        print(text)
    else:
        with writing(path):
            path.write_text(text + "\n", encoding="utf-8")


def _print_rich(table: "Table") -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table as RichTable

    drawn = RichTable(title=table.title, title_justify="left", box=box.SIMPLE_HEAD)
    for place, column in enumerate(table.columns):
        drawn.add_column(column, justify="left" if place == 0 else "right")
    for row in table.rows:
        drawn.add_row(*row, style="bold" if row[0] == "mean" else None)
    Console().print(drawn)


def _progress(what: str, quiet: bool) -> Callable[[int, int], None]:
    """A line on standard error now and then."""
    started = last = time.monotonic()

    def report(done: int, total: int) -> None:
        nonlocal last
        now = time.monotonic()
        if not quiet and (now - last >= 5 or done == total):
            last = now
            say(f"{done}/{total} {what}, {done / max(now - started, 1e-9):.1f}/s")

    return report


def _card(model: str | None) -> Path:
    from facetag.model import DEFAULT, find_model

    return find_model(model or DEFAULT) / "CARD.md"


def _check_card(model: str | None, limit: int | None) -> None:
    """See before a long run that the model's CARD.md can take its figures, and that they are of all pictures.

    Raises:
        UsageError: they are not.
        FacetagError: the card is missing, has no measured section, or cannot be written.
    """
    from facetag.evaluate.card import read_card

    if limit is not None:
        raise UsageError("--card holds figures of a whole partition", "leave out --limit, or --card")
    read_card(_card(model))


def _write_card(model: str | None, command: str, tables: "list[Table]") -> None:
    """Replace the measured section of the model's CARD.md."""
    from facetag.evaluate.card import read_card, with_measurements

    path = _card(model)
    measured = with_measurements(read_card(path), command, tables)
    with writing(path):
        path.write_text(measured, encoding="utf-8")
    say(f"{path} now holds these figures")
