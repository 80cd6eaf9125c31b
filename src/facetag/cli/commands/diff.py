"""`facetag diff OLD NEW`: what changed from one output to another."""

import csv
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from facetag.cli.commands.report import is_page, refuse_stranger
from facetag.cli.console import say

if TYPE_CHECKING:
    from facetag.formats.report.changes import Change

LISTED = 10_000  #: changes in a page
_COLUMNS = ("path", "change", "old_face", "new_face", "attribute", "old", "new")

Old = Annotated[str, typer.Argument(metavar="OLD", help="What an earlier run wrote.", show_default=False)]
New = Annotated[str, typer.Argument(metavar="NEW", help="What a later run wrote.", show_default=False)]
Out = Annotated[str, typer.Option(metavar="FILE", help="Where to write the table, as CSV; - is standard output.")]
Page = Annotated[str | None, typer.Option("--html", metavar="FILE", help="Write a page to look at, too.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace files that facetag did not write.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing but errors.")]


def diff(
    old: Old, new: New, out: Out = "-", page: Page = None, overwrite: Overwrite = False, quiet: Quiet = False
) -> None:
    """Tell what changed: inputs and faces gained and lost, boxes that moved, tags that flipped.

    \b
    Examples:
      facetag diff tags-fast.csv tags-faithful.csv > changes.csv
      facetag diff old.csv new.csv --out changes.csv --html changes.html
    """
    from facetag.formats.destination import open_output
    from facetag.formats.path_encoding import escape
    from facetag.formats.readers import read_records
    from facetag.formats.report.changes import KINDS, Totals, changes
    from facetag.formats.report.page import write_diff
    from facetag.formats.writers.csv import CSV

    refuse_stranger(out, _is_table, overwrite, old, new)
    if page:
        refuse_stranger(page, is_page, overwrite, old, new)
    totals = Totals()
    listed: list[Change] = []
    with open_output(out) as stream:
        table = csv.writer(stream, **CSV)
        table.writerow(_COLUMNS)
        for change in _first_kept(changes(read_records(old), read_records(new), totals), listed):
            numbers = (number or "" for number in (change.old_face, change.new_face))
            table.writerow([escape(change.path), change.kind, *numbers, change.attribute, change.old, change.new])
    if page:
        with open_output(page) as stream:
            write_diff(stream, totals, listed, os.path.basename(old), os.path.basename(new))
    if not quiet:
        counts = ", ".join(f"{totals.kinds[kind]} {kind}" for kind in KINDS if totals.kinds[kind])
        say(f"{totals.inputs} inputs and {totals.faces} faces in both: {counts or 'nothing changed'}", **totals.kinds)


def _is_table(head: bytes) -> bool:
    """Whether a file that begins so is a table of this command."""
    return head.startswith(",".join(_COLUMNS).encode())


def _first_kept(found: "Iterator[Change]", listed: "list[Change]") -> "Iterator[Change]":
    for change in found:
        if len(listed) < LISTED:
            listed.append(change)
        yield change
