"""`facetag report OUTPUT`: an output as one page to look at."""

import os
from pathlib import Path
from typing import Annotated

import typer

from facetag.cli.console import say

Output = Annotated[str, typer.Argument(metavar="OUTPUT", help="What predict or localize wrote.", show_default=False)]
Out = Annotated[str | None, typer.Option(metavar="FILE", help="The page.  [default: OUTPUT with .html behind it]")]
Format = Annotated[str | None, typer.Option(metavar="NAME", help="Of OUTPUT; else by its suffix.")]
RelativeTo = Annotated[
    Path | None,
    typer.Option(metavar="DIR", exists=True, file_okay=False, help="The folder that the paths are seen from."),
]
NoThumbnails = Annotated[bool, typer.Option("--no-thumbnails", help="Read no photo, and show no face.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace a file that is no page of facetag's.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing but errors.")]


def report(
    output: Output,
    out: Out = None,
    format: Format = None,
    relative_to: RelativeTo = None,
    no_thumbnails: NoThumbnails = False,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
) -> None:
    """Write one self-contained page: counts by status, failures, attributes, faces to look at, and a filter.

    \b
    Examples:
      facetag report tags.csv
      facetag report tags.parquet --out report.html --no-thumbnails
    """
    from facetag.formats.destination import open_output
    from facetag.formats.readers import read_records
    from facetag.formats.report.page import write_report
    from facetag.formats.report.summary import Summary
    from facetag.formats.report.thumbnails import thumbnails

    page = out or f"{output}.html"
    refuse_stranger(page, overwrite, output)
    summary = Summary.of(read_records(output, format))
    examples = (*summary.most_confident.values(), *summary.borderline.values())
    shown = [face for faces in (summary.highest, summary.lowest, *examples) for face in faces]
    folder = str(relative_to or "")
    images, missing = thumbnails([] if no_thumbnails else shown, lambda path: os.path.join(folder, path))
    with open_output(page) as stream:
        write_report(stream, summary, images, os.path.basename(output), missing)
    if not quiet:
        say(f"wrote {page}: {summary.inputs} inputs, {summary.faces} faces")


def refuse_stranger(page: str, overwrite: bool, *inputs: str) -> None:
    """See that a page replaces pages of facetag's alone.

    Raises:
        UsageError: it is another file.
    """
    from facetag.errors import UsageError
    from facetag.formats.destination import is_regular, refuse_to_replace

    refuse_to_replace(page, *inputs)
    if overwrite or not is_regular(page) or not os.path.exists(page) or not os.path.getsize(page):
        return
    with open(page, "rb") as stream:
        if b"facetag" not in stream.read(4096):
            raise UsageError(f"{page} was not written by facetag", "name another file, or use --overwrite")
