"""`facetag localize PATH...`: faces alone."""

import typer

from facetag.cli.options import OF_PREDICT, Options, filled, inputs_of
from facetag.cli.request import Asked, request_of
from facetag.cli.thresholds import Decisions


@filled(without=OF_PREDICT)
def localize(context: typer.Context, options: Options) -> None:
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
    request = request_of(context, options)
    inputs = inputs_of(options)

    from facetag.cli.execute import carry_out

    asked = Asked(options, Decisions(attributes=()))
    raise typer.Exit(carry_out("localize", request, inputs, asked))
