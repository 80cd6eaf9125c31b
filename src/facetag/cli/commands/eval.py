"""`facetag eval attributes|tags|localization|convention`, with the paper's figures of eval_figures and others."""

import shlex
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from facetag.cli.app import App
from facetag.cli.commands import eval_experiments, eval_figures, eval_localization
from facetag.cli.commands.eval_lfwa import Lfwa, Plus, attributes_of_lfwa
from facetag.cli.commands.measuring import (
    about,
    answer,
    cascade_of,
    celeba_part,
    check_card,
    check_outputs,
    localizer_of_run,
    progress,
    write_card,
    write_text,
)
from facetag.cli.commands.stages import Quiet
from facetag.cli.console import say
from facetag.cli.options import Device, ModelName, Precision

_HELP = """Measure attributes, their robustness, localization and speed; fit boxes.

\b
Examples:
  facetag eval attributes --data data --partition val
  facetag eval tags labels.csv --images photos --sheet mistakes.jpg
"""

app = App(no_args_is_help=True, help=_HELP)

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

AnyHalf = Annotated[
    Literal["tune", "test", "all"],
    typer.Option(help="Photographs to choose settings on, those to measure on at the end, or all; by content."),
]


@app.command()
def attributes(
    data: Data = Path("data"),
    partition: Annotated[Literal["test", "val", "train"], typer.Option(help="Part of the official split.")] = "test",
    mode: Annotated[
        Literal["cascade", "crops"], typer.Option(help="Find the face first, or take the aligned pictures' fixed box.")
    ] = "cascade",
    limit: Limit = None,
    lfwa: Lfwa = None,
    plus: Plus = False,
    model: ModelName = None,
    device: Device = "auto",
    precision: Precision = "float32",
    json: Json = None,
    sheet: Sheet = None,
    count: Count = 50,
    card: Annotated[bool, typer.Option("--card", help="Write the figures into the model's CARD.md too.")] = False,
    quiet: Quiet = False,
) -> None:
    """Attributes of aligned CelebA, beside the majority.

    Accuracy, balanced accuracy, F1, average precision and calibration error; with --lfwa, on LFWA.

    \b
    Example:
      facetag eval attributes --data data --partition val --json attributes.json
    """
    if lfwa:
        attributes_of_lfwa(lfwa, plus, model, device, json, quiet)
        return
    from facetag.evaluate import attributes as evaluate
    from facetag.evaluate import report
    from facetag.evaluate import sheet as sheets

    check_outputs(json, sheet, data)
    if card:
        check_card(model, limit, precision)
    fractions, part = celeba_part(data, partition, limit)
    paths, labels, report_progress = part.paths, part.attributes, progress("pictures", quiet)
    loaded, localizer, tagger = cascade_of(model, device, precision)
    locate = localizer.dominant if mode == "cascade" else evaluate.aligned_faces
    tagged = evaluate.tag_images(paths, locate, tagger, report_progress, localizer.read_size)
    measured = evaluate.measure_attributes(tagged, labels, fractions)
    facts = {**about(loaded), "partition": partition, "mode": mode, "precision": precision}
    tables = report.attribute_tables(measured, evaluate.FITTED[partition])
    answer(json, facts, report.attribute_json(measured), tables)
    if card:
        command = ["facetag", "eval", "attributes", "--partition", partition, "--mode", mode]
        write_card(model, shlex.join([*command, *(("--model", model) if model else ()), "--card"]), tables)
    if sheet:
        sheets.write_sheet(sheet, sheets.contact_sheet(sheets.attribute_tiles(paths, tagged, labels, count)))


@app.command()
def tags(
    labels: Annotated[Path, typer.Argument(help="CSV of labels: file, and columns called like attributes.")],
    images: Images = Path("data/webfaces"),
    half: AnyHalf = "all",
    model: ModelName = None,
    device: Device = "auto",
    precision: Precision = "float32",
    json: Json = None,
    sheet: Sheet = None,
    count: Count = 50,
    quiet: Quiet = False,
) -> None:
    """Attributes on photographs that you have labelled.

    Labels are 1, 0 (or -1) or empty (nobody can say), of the surest face in each photograph. Attributes that were added
    to the model are known too. The sheet shows mistakes.

    \b
    Example:
      facetag eval tags labels.csv --images photos --sheet mistakes.jpg
    """
    from facetag.datasets.tags import labeled_images_of, load_tags_csv
    from facetag.evaluate import report
    from facetag.evaluate import sheet as sheets
    from facetag.evaluate.attributes import tag_images
    from facetag.evaluate.tags import measure_tags
    from facetag.model_folder import DEFAULT, read_facts

    check_outputs(json, sheet, images)
    known = read_facts(model or DEFAULT).attributes
    chosen, paths = labeled_images_of(load_tags_csv(labels, known), images, half)
    loaded, localizer, tagger = cascade_of(model, device, precision)
    report_progress = progress("photographs", quiet)
    tagged = tag_images(paths, localizer.dominant, tagger, report_progress, localizer.read_size, len(known))
    measured = measure_tags(tagged, chosen)
    facts = {**about(loaded), "labels": str(labels), "half": half, "precision": precision}
    answer(json, facts, report.tag_json(measured), report.tag_tables(measured))
    if sheet:
        tiles = sheets.mistake_tiles(paths, tagged, chosen, count)
        if tiles:
            sheets.write_sheet(sheet, sheets.contact_sheet(tiles))
        else:
            say(f"no answer is wrong: {sheet} is not written")


@app.command()
def localization(
    images: Images = Path("data/webfaces"),
    boxes: Boxes = None,
    half: AnyHalf = "tune",
    limit: Limit = None,
    faces: Annotated[Literal["all", "thorough"], typer.Option(help="As of facetag predict.")] = "all",
    model: ModelName = None,
    device: Device = "auto",
    precision: Precision = "float32",
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
    from facetag.evaluate.image_batches import evenly

    check_outputs(json, sheet, images)
    annotated_images = evaluate.load_annotated_images(images, boxes, half)
    chosen = [annotated_images.chosen[index] for index in evenly(len(annotated_images.chosen), limit)]
    loaded, localizer, tagger = cascade_of(model, device, precision, faces)
    examined = evaluate.examine(chosen, localizer, progress("photographs", quiet))
    measured = evaluate.measure_localization(examined, localizer.settings.score)
    facts = {
        **about(loaded),
        "half": half,
        "faces": faces,
        "precision": precision,
        "missing": annotated_images.missing,
        "duplicates": annotated_images.duplicates,
    }
    answer(json, facts, report.localization_json(measured), report.localization_tables(measured))
    if sheet:
        tiles = sheets.localization_tiles(examined, localizer.settings.score, tagger, count)
        sheets.write_sheet(sheet, sheets.contact_sheet(tiles))


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
    from facetag.evaluate.box_calibration import fit_box_calibration
    from facetag.evaluate.image_batches import evenly
    from facetag.evaluate.localization import load_annotated_images

    check_outputs(json)
    single = load_annotated_images(images, boxes, half).single
    chosen = [single[index] for index in evenly(len(single), limit)]
    if run:
        localizer, heads_alone = localizer_of_run(run, recipe, device)
        facts: dict[str, Any] = {"run": str(run), "recipe": recipe}
    else:
        loaded, localizer, _ = cascade_of(model, device)
        facts, heads_alone = about(loaded), False
    fitted = fit_box_calibration(localizer, chosen, progress("photographs", quiet), heads_alone)
    if json:
        write_text(json, report.to_json({**facts, "half": half, **report.box_calibration_json(fitted)}))
    if str(json) != "-":
        print(report.box_calibration_toml(fitted))


for _figure in (*eval_figures.COMMANDS, *eval_experiments.COMMANDS, *eval_localization.COMMANDS):
    app.command()(_figure)
