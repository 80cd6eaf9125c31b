"""`facetag localize PATH...`: faces alone."""

import typer

from facetag.cli import options
from facetag.cli.options import inputs_of
from facetag.cli.request import Work, finder, is_half, load, localizer_for, reading, request_of


def localize(
    context: typer.Context,
    paths: options.Paths = None,
    out: options.Out = "-",
    format: options.Format = None,
    model: options.ModelName = None,
    faces: options.WhichFaces = "all",
    draw: options.Draw = None,
    min_face: options.MinFace = 0,
    max_pixels: options.MaxPixels = None,
    strict: options.Strict = False,
    raw: options.RawFiles = "refuse",
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
    """Find the faces in photographs: a row a face, at least one an input, without attributes.

    Boxes are x, y, width and height in pixels of the upright picture. Exits with 0 when every input was answered
    (without a face too), 3 when some could not be (see --fail-on). With --out FILE the same command continues or
    updates an earlier run.

    \b
    Examples:
      facetag localize photos --out faces.csv
      facetag localize group.jpg --draw drawn --format json
      facetag localize portraits --faces dominant --min-face 40 --out faces.json
    """
    request = request_of(context, None)
    inputs = inputs_of(paths, files_from, null, no_recursive, exclude, ext, follow_links, hidden, relative_to, draw)

    from facetag.cli.execute import carry_out
    from facetag.pipeline.stages import Cascade
    from facetag.runs.cache_key import basis_of

    loaded, place = load(model, device)
    localizer = localizer_for(loaded, place, is_half(precision, place), faces)
    cascade = Cascade(finder(localizer, faces), min_face=min_face)
    settings = reading(place, max_pixels, strict, workers, batch, relative_to, localizer, raw)
    basis = basis_of("localize", loaded, cascade, settings, faces, precision=precision)
    raise typer.Exit(carry_out(request, inputs, Work(loaded, place, cascade, localizer, settings, basis)))
