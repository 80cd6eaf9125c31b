"""`facetag predict PATH...`: faces and their attributes."""

import typer

from facetag.cli.companions import Companions
from facetag.cli.console import say
from facetag.cli.options import Options, filled, inputs_of
from facetag.cli.request import request_of, tagger_of
from facetag.cli.thresholds import decisions_of
from facetag.errors import UsageError


@filled()
def predict(context: typer.Context, options: Options) -> None:
    """Find the faces in photographs and tag each with forty attributes: a row a face, at least one an input.

    Exits with 0 when every input was answered (without a face too), 3 when some could not be (see --fail-on). With
    --out FILE the same command continues or updates an earlier run.

    \b
    Examples:
      facetag predict photos --out tags.csv
      facetag predict photos --attributes Smiling,hair --threshold Smiling=0.7 --out tags.json
      find . -name '*.jpg' -print0 | facetag predict --files-from - -0 --format jsonl
    """
    decisions = decisions_of(options)
    request = request_of(context, options)
    inputs = inputs_of(options)
    if sum((options.faces != "all", options.boxes is not None, options.aligned)) > 1:
        raise UsageError("--faces, --boxes and --aligned exclude each other", "use one of them")

    from facetag.cli.execute import carry_out, foresee

    tagger = tagger_of(options, decisions)
    if options.dry_run:
        raise typer.Exit(foresee("predict", request, inputs, tagger))
    companions = Companions(options.sidecar, options.crop_dir, tagger.reading.location)
    code = companions.conclude(carry_out("predict", request, inputs, tagger, companions), options.fail_on)
    unused = tagger.given.unused if tagger.given else ()
    if unused and request.how.shard.count == 1:  # else another shard may have asked
        images, were = ("image", "was") if len(unused) == 1 else ("images", "were")
        say(f"{len(unused)} {images} named in {options.boxes} {were} not among the inputs")
    raise typer.Exit(code)
