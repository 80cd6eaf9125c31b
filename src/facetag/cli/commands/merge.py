"""`facetag merge OUTPUT...`: what shards wrote, as one run would have written it."""

from typing import Annotated

import typer

from facetag.cli import options
from facetag.cli.console import say
from facetag.formats.path_encoding import one_line

Outputs = Annotated[
    list[str],
    typer.Argument(
        metavar="OUTPUT",
        help="What each shard wrote, with its journal beside it; or the journal, where it lies apart.",
        show_default=False,
    ),
]

Overwrite = Annotated[
    bool, typer.Option("--overwrite", help="Replace --out also where facetag did not write it.", show_default=False)
]


def merge(
    outputs: Outputs,
    out: options.Out = "-",
    journal: options.Journal = None,
    format: options.Format = None,
    lock_wait: options.LockWait = 0,
    overwrite: Overwrite = False,
    quiet: options.Quiet = False,
) -> None:
    """Merge the outputs of all shards of a run: the same bytes as if one run had written them.

    Refuses shards that overlap, are missing, or were made by another model or with other settings. A table has the
    columns that --columns and --explode gave the shards.

    \b
    Examples:
      facetag predict photos --shard 1/2 --out one.csv
      facetag predict photos --shard 2/2 --out two.csv
      facetag merge one.csv two.csv --out tags.csv
    """
    from facetag.runs.merge import merge as merge_outputs

    out = options.shown("out", out)
    count = merge_outputs(outputs, out, format, lock_wait, overwrite, journal)
    if not quiet and out != "-":
        say(f"wrote {one_line(out)}: {count} inputs of {len(outputs)} shards")
