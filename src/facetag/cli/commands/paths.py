"""`facetag paths OUTPUT`: the inputs of an output as plain paths, for other programs."""

import os
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from facetag.attributes import ATTRIBUTES, attribute_indices
from facetag.cli.options import names_in
from facetag.results import Status

if TYPE_CHECKING:
    from facetag.results import FaceResult, ImageResult

Output = Annotated[str, typer.Argument(metavar="OUTPUT", help="What predict or localize wrote.", show_default=False)]
Tag = Annotated[
    list[str] | None,
    typer.Option(metavar="NAMES", help="Only images with a face that has all of these."),
]
Without = Annotated[
    list[str] | None, typer.Option(metavar="NAMES", help="Only images with a face that has none of these.")
]
Statuses = Annotated[list[Status] | None, typer.Option("--status", help="Only inputs with this status; repeatable.")]
Print0 = Annotated[bool, typer.Option("--print0", "-0", help="End each path in NUL, for xargs -0.")]
Format = Annotated[str | None, typer.Option(metavar="NAME", help="Of OUTPUT; else by its suffix.")]


def paths(
    output: Output,
    tag: Tag = None,
    without: Without = None,
    status: Statuses = None,
    print0: Print0 = False,
    format: Format = None,
) -> None:
    """Print the paths of an output byte for byte as the system has them, whatever the output had to escape.

    \b
    Examples:
      facetag paths tags.csv --tag Smiling --without Blurry --print0 | xargs -0 cp -t smiling
      facetag paths tags.csv --status unreadable
    """
    from facetag.formats.readers import read_records

    wanted, unwanted = ({ATTRIBUTES[index] for index in attribute_indices(names_in(names))} for names in (tag, without))
    end = b"\0" if print0 else b"\n"
    for record in read_records(output, format):
        if (not status or record.status in status) and _has(record, wanted, unwanted):
            sys.stdout.buffer.write(os.fsencode(record.path) + end)
    sys.stdout.buffer.flush()


def _has(record: "ImageResult", wanted: set[str], unwanted: set[str]) -> bool:
    """Whether one and the same face has all that is wanted and nothing that is not."""

    def suits(face: "FaceResult") -> bool:
        return wanted <= set(face.tags) and not unwanted & set(face.tags)

    return not (wanted or unwanted) or any(map(suits, record.faces))
