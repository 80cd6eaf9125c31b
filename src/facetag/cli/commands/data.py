"""`facetag data arrange|check`: training data into the folders that the training commands read."""

from pathlib import Path
from typing import Annotated

import typer

from facetag.cli.app import App
from facetag.cli.console import say

_HELP = """Arrange data sets as the training commands read them, and check them.

\b
Examples:
  facetag data arrange celeba ~/Downloads/CelebA data/celeba
  facetag data check celeba data/celeba
"""

app = App(no_args_is_help=True, help=_HELP)

Kind = Annotated[str, typer.Argument(help="celeba, objects, people, backgrounds, webfaces, lfwa ...")]


@app.command()
def arrange(
    kind: Kind,
    source: Annotated[Path, typer.Argument(help="What you have: extracted folders or archives.")],
    destination: Annotated[Path, typer.Argument(help="Folder to make, such as data/celeba.")],
    copy: Annotated[bool, typer.Option("--copy", help="Copy the files; the default links to them.")] = False,
) -> None:
    """Turn a download into the layout that the loaders read. The source is never changed, nothing is overwritten.

    Example: facetag data arrange celeba ~/Downloads/CelebA data/celeba
    """
    from facetag.datasets.arrange import arrange as arrange_files

    done = arrange_files(kind, source, destination, link=not copy)
    say(f"{destination}: {done.placed} placed, {done.kept} there already, {done.ignored} other files left alone")


@app.command()
def check(kind: Kind, root: Annotated[Path, typer.Argument(help="Folder of the data set.")]) -> None:
    """Read a data set as training would, and count what is there.

    Example: facetag data check celeba data/celeba
    """
    from facetag.datasets.arrange import check as check_files

    for line in check_files(kind, root):
        print(line)
