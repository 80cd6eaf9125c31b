"""`facetag predict PATH...`: faces and their attributes."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from facetag.attributes import ATTRIBUTES
from facetag.cli import options
from facetag.cli.companions import Columns, Companions, CropDir, Explode, Sidecar
from facetag.cli.console import say
from facetag.cli.options import inputs_of
from facetag.cli.request import Work, finder, is_half, load, localizer_for, reading, request_of
from facetag.cli.thresholds import chosen_attributes, deciding
from facetag.errors import UsageError

if TYPE_CHECKING:
    from facetag.pipeline.face_sources import GivenBoxes

Boxes = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="Tag the faces in this CSV (file or path, x, y, width, height) instead of looking for any. Its names are "
        "seen from the current folder, or else from its own.",
    ),
]
Aligned = Annotated[
    bool, typer.Option("--aligned", help="Each image is one face picture in CelebA's aligned frame, of any size.")
]
Attributes = Annotated[
    list[str] | None, typer.Option(metavar="NAMES", help="Only these attributes or groups: Smiling,hair.")
]
ExcludeAttributes = Annotated[
    list[str] | None, typer.Option(metavar="NAMES", help="Not these attributes or groups: demographic,judgement.")
]
Thresholds = Annotated[
    list[str] | None,
    typer.Option("--threshold", metavar="NAME=P", help="Present from this probability on; NAME may be a group."),
]
Unsure = Annotated[
    list[str] | None,
    typer.Option(
        metavar="WIDTH|NAME=LOW..HIGH",
        help="Neither present nor absent but unsure: all so near to their threshold, or NAME from LOW to below HIGH.",
    ),
]


def predict(
    context: typer.Context,
    paths: options.Paths = None,
    out: options.Out = "-",
    format: options.Format = None,
    columns: Columns = None,
    explode: Explode = None,
    model: options.ModelName = None,
    faces: options.WhichFaces = "all",
    boxes: Boxes = None,
    aligned: Aligned = False,
    draw: options.Draw = None,
    sidecar: Sidecar = None,
    crop_dir: CropDir = None,
    attributes: Attributes = None,
    exclude_attributes: ExcludeAttributes = None,
    threshold: Thresholds = None,
    unsure: Unsure = None,
    min_face: options.MinFace = 0,
    max_pixels: options.MaxPixels = None,
    strict: options.Strict = False,
    no_recursive: options.NoRecursive = False,
    follow_links: options.FollowLinks = False,
    hidden: options.Hidden = False,
    exclude: options.Exclude = None,
    ext: options.Extensions = None,
    files_from: options.FilesFrom = None,
    null: options.Null = False,
    relative_to: options.RelativeTo = None,
    device: options.Device = "auto",
    precision: options.Precision = "float32",
    workers: options.Workers = None,
    batch: options.Batch = None,
    overwrite: options.Overwrite = False,
    retry_failed: options.RetryFailed = False,
    rehash: options.Rehash = False,
    prune: options.Prune = False,
    lock_wait: options.LockWait = 0,
    shard: options.Part = "1/1",
    fail_on: options.FailOn = "any",
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
    log_format: options.LogFormat = None,
) -> None:
    """Find the faces in photographs and tag each with forty attributes: a row a face, at least one an input.

    Exits with 0 when every input was answered (without a face too), 3 when some could not be (see --fail-on). With
    --out FILE the same command continues or updates an earlier run.

    \b
    Examples:
      facetag predict photos --out tags.csv
      facetag predict photos --attributes Smiling,hair --threshold Smiling=0.7 --out tags.json
      find . -name '*.jpg' -print0 | facetag predict --files-from - -0 --format jsonl
    """
    chosen = chosen_attributes(attributes, exclude_attributes)
    request = request_of(context, [ATTRIBUTES[index] for index in chosen])
    inputs = inputs_of(paths, files_from, null, no_recursive, exclude, ext, follow_links, hidden, relative_to, draw)
    decisions = deciding(threshold, unsure)
    if sum((faces != "all", boxes is not None, aligned)) > 1:
        raise UsageError("--faces, --boxes and --aligned exclude each other", "use one of them")

    from facetag.cli.execute import carry_out
    from facetag.pipeline.stages import Cascade, Tagging
    from facetag.runs.cache_key import basis_of
    from facetag.tagger import Tagger

    given = _given_boxes(boxes, relative_to) if boxes else None
    loaded, place = load(model, device)
    half = is_half(precision, place)
    localizer = None if boxes or aligned else localizer_for(loaded, place, half, faces)
    find = given or finder(localizer, faces)
    tagging = Tagging(Tagger(loaded, place, half), chosen, *decisions.edges(loaded.thresholds))
    cascade = Cascade(find, tagging, min_face)
    settings = reading(place, max_pixels, strict, workers, batch, relative_to, localizer)
    basis = basis_of("predict", loaded, cascade, settings, "aligned" if aligned else faces, boxes, precision)
    companions = Companions(sidecar, crop_dir, settings.place, given.note if given else None)
    work = Work(loaded, place, cascade, localizer, settings, basis, companions)
    code = companions.conclude(carry_out(request, inputs, work), fail_on)
    if given and given.unused and request.how.shard.count == 1:  # else another shard may have asked
        images, were = ("image", "was") if len(given.unused) == 1 else ("images", "were")
        say(f"{len(given.unused)} {images} named in {boxes} {were} not among the inputs")
    raise typer.Exit(code)


def _given_boxes(file: Path, folder: Path | None) -> "GivenBoxes":
    from facetag.datasets.boxes import load_boxes_csv
    from facetag.pipeline.face_sources import GivenBoxes

    return GivenBoxes(load_boxes_csv(file), file, str(folder or ""))
