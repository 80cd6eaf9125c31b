"""`facetag untag PATH...`: takes what facetag wrote out of sidecars."""

from typing import Annotated

import typer

from facetag.cli.console import complain, print_path, say
from facetag.errors import ExitCode, FacetagError

Paths = Annotated[
    list[str],
    typer.Argument(metavar="PATH", help="Photos, folders of them, or sidecars.", show_default=False),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only name the sidecars that would change.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing but errors.")]


def untag(paths: Paths, dry_run: DryRun = False, quiet: Quiet = False) -> None:
    """Take the keywords and face regions of facetag out of XMP sidecars; all else in them stays.

    Prints each sidecar that changes. One that facetag made and nobody else wrote to is deleted.

    \b
    Examples:
      facetag predict photos --sidecar xmp --out tags.csv
      facetag untag photos --dry-run
      facetag untag photos
    """
    from facetag.formats.path_encoding import escape
    from facetag.formats.xmp.sidecar import sidecars_of, untag_sidecar

    changed = refused = 0
    for sidecar in (found for path in paths for found in sidecars_of(path)):
        try:
            if untag_sidecar(sidecar, dry_run):
                changed += 1
                print_path(sidecar)
        except FacetagError as error:
            refused += 1
            complain(f"{escape(sidecar)}: {error}")
    if not quiet:
        would = "would change" if dry_run else "changed"
        say(f"{changed} sidecar{'s' * (changed != 1)} {would}{f', {refused} refused' if refused else ''}")
    raise typer.Exit(ExitCode.SOME_FAILED if refused else ExitCode.OK)
