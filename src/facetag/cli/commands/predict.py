"""`facetag predict PATH...`: faces and their attributes."""

from typing import TYPE_CHECKING

import typer

from facetag.cli.companions import Companions
from facetag.cli.console import say
from facetag.cli.options import Options, filled, inputs_of
from facetag.cli.request import Asked, Request, request_of
from facetag.cli.thresholds import decisions_of
from facetag.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from facetag.images.discover import Discovery
    from facetag.pipeline.face_sources import GivenBoxes


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

    from facetag.cli.execute import foresee
    from facetag.cli.watching import refuse_unwatchable, run_and_watch

    if options.watch:
        refuse_unwatchable(options)
    asked = Asked(options, decisions)
    if options.dry_run:
        raise typer.Exit(foresee("predict", request, inputs, asked))
    if options.watch:
        raise typer.Exit(run_and_watch(request, lambda each: _run(each, inputs_of(options), asked)))
    code = _run(request, inputs, asked)
    if asked.question.given:
        _tell_strangers(asked.question.given, request)
    raise typer.Exit(code)


def _run(request: Request, inputs: "Discovery", asked: Asked) -> ExitCode:
    """One run, with what is written for each image beside its answer."""
    from facetag.cli.execute import carry_out

    options = request.options
    companions = Companions(options.sidecar, options.crop_dir, asked.question.reading.location)
    return companions.conclude(carry_out("predict", request, inputs, asked, companions), options.fail_on)


def _tell_strangers(given: "GivenBoxes", request: Request) -> None:
    """How many inputs and how many of the user's boxes did not find each other."""
    boxes, unnamed, unused = request.options.boxes, given.unnamed, len(given.unused)
    if unnamed:
        say(f"{unnamed} input{'s are' if unnamed > 1 else ' is'} not named in {boxes}", unnamed=unnamed)
    if unused and request.how.shard.count == 1:  # else another shard may have asked
        images, were = ("image", "was") if unused == 1 else ("images", "were")
        say(f"{unused} {images} named in {boxes} {were} not among the inputs", unused=unused)
