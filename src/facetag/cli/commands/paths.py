"""`facetag paths OUTPUT`: the inputs of an output as plain paths, for other programs."""

import os
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from facetag.attributes import GROUPS, attribute_indices
from facetag.cli.options import names_in
from facetag.errors import UsageError
from facetag.results import Status

if TYPE_CHECKING:
    from collections.abc import Iterator

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

    end = b"\0" if print0 else b"\n"
    for record in _having(read_records(output, format), names_in(tag), names_in(without)):
        if not status or record.status in status:
            sys.stdout.buffer.write(os.fsencode(record.path) + end)
    sys.stdout.buffer.flush()


def _having(records: "Iterator[ImageResult]", tags: list[str], others: list[str]) -> "Iterator[ImageResult]":
    """The records in which one and the same face has all of `tags` and none of `others`; all where none are named.

    Raises:
        UsageError: a name is neither an attribute of these faces nor a group of them.
    """
    if not tags and not others:
        yield from records
        return
    wanted: set[str] = set()
    unwanted: set[str] = set()

    def suits(face: "FaceResult") -> bool:
        return wanted <= set(face.tags) and not unwanted & set(face.tags)

    for record in records:
        if record.faces and not wanted | unwanted:
            wanted, unwanted = (_meant(names, record.faces[0]) for names in (tags, others))
        if any(map(suits, record.faces)):
            yield record


def _meant(names: list[str], face: "FaceResult") -> set[str]:
    """The attributes that names and groups mean, among those that a document answers."""
    known = tuple(face.probabilities)
    if not known:
        raise UsageError("this output has boxes alone", "leave out --tag and --without, or name one of predict's")
    groups = {group: found for group, names in GROUPS.items() if (found := [each for each in names if each in known])}
    return {known[index] for index in attribute_indices(names, known, groups)}
