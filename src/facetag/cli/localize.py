"""`facetag localize PATH...`: faces alone."""

import typer

from facetag.cli import options
from facetag.cli.running import carry_out, finder, load, reading, request_of, run_settings


def localize(
    paths: options.Paths = None,
    out: options.Out = "-",
    format: options.Format = None,
    model: options.ModelName = None,
    faces: options.WhichFaces = "all",
    draw: options.Draw = None,
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
    device: options.Device = "auto",
    workers: options.Workers = None,
    batch: options.Batch = 16,
    overwrite: options.Overwrite = False,
    retry_failed: options.RetryFailed = False,
    rehash: options.Rehash = False,
    prune: options.Prune = False,
    lock_wait: options.LockWait = 0,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """Find the faces in photographs: a row a face, at least one an input, without attributes.

    Boxes are x, y, width and height in pixels of the upright picture. Exits with 0 when every input was answered
    (without a face too), 3 when some could not be.

    \b
    Examples:
      facetag localize photos --out faces.csv
      facetag localize group.jpg --draw drawn --format json
      facetag localize portraits --faces dominant --min-face 40 --out faces.json
    """
    inputs = options.inputs_of(paths, files_from, null, no_recursive, exclude, ext, follow_links, hidden)
    request = request_of(out, format, None, draw, quiet, verbose)
    how = run_settings(out, overwrite, retry_failed, rehash, prune, lock_wait)

    from facetag.batch.basis import basis_of
    from facetag.batch.pipeline import Cascade
    from facetag.localizer import Localizer

    loaded, place = load(model, device, quiet)
    localizer = Localizer(loaded, place)
    cascade = Cascade(finder(localizer, faces), min_face=min_face)
    settings = reading(max_pixels, strict, workers, batch)
    basis = basis_of("localize", loaded, cascade, settings, faces)
    raise typer.Exit(carry_out(request, inputs, cascade, localizer, settings, basis, how))
