"""`facetag report OUTPUT`: an output as one page to look at."""

import os
from collections.abc import Callable
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

_HEAD = 4096  #: bytes of a file by which its writer is told
_TITLES = (b": facetag report</title>", b": facetag diff</title>")  #: how the titles of our pages end


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
    refuse_stranger(page, is_page, overwrite, output)
    summary = Summary.of(read_records(output, format))
    examples = (*summary.most_confident.values(), *summary.borderline.values())
    shown = [face for faces in (summary.highest, summary.lowest, *examples) for face in faces]
    folder = str(relative_to or "")
    images, missing = thumbnails([] if no_thumbnails else shown, lambda path: os.path.join(folder, path))
    with open_output(page) as stream:
        write_report(stream, summary, images, os.path.basename(output), missing)
    if not quiet:
        say(f"wrote {page}: {summary.inputs} inputs, {summary.faces} faces")


def is_page(head: bytes) -> bool:
    """Whether a file that begins so is a page of `facetag report` or `facetag diff`."""
    return head.lstrip()[:15].lower() == b"<!doctype html>" and any(title in head for title in _TITLES)


def refuse_stranger(file: str, is_ours: Callable[[bytes], bool], overwrite: bool, *inputs: str) -> None:
    """See that a file is not there yet, empty, or facetag's.

    Args:
        is_ours: says it by how the file begins.
        inputs: files that are read, and never replaced.

    Raises:
        UsageError: it is another file.
    """
    from facetag.errors import UsageError
    from facetag.formats.destination import is_regular, refuse_to_replace

    refuse_to_replace(file, *inputs)
    if overwrite or not is_regular(file) or not os.path.exists(file):
        return
    with open(file, "rb") as stream:
        head = stream.read(_HEAD)
    if head and not is_ours(head):
        raise UsageError(f"{file} was not written by facetag", "name another file, or use --overwrite")
