"""Options that `predict` and `localize` share, and what they mean."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO, Literal, cast

import typer

from facetag.cli import console
from facetag.errors import DataError, UsageError

if TYPE_CHECKING:
    from facetag.images.discover import Discovery

Faces = Literal["all", "thorough", "dominant"]

Paths = Annotated[
    list[str] | None,
    typer.Argument(metavar="PATH", help="Photographs, and folders of them.", show_default=False),
]
Out = Annotated[str, typer.Option(metavar="FILE", help="Where to write; - is standard output.")]
Format = Annotated[
    str | None, typer.Option(metavar="NAME", help="csv, tsv, json, jsonl or parquet; else by the suffix of --out.")
]
ModelName = Annotated[
    str | None, typer.Option("--model", metavar="DIR|NAME", help="A model folder, or a shipped model by name.")
]
WhichFaces = Annotated[
    Faces,
    typer.Option(
        "--faces",
        help="All faces; thorough: small ones too, looked for in every photograph, much slower, and with more that are "
        "none; dominant: the surest of each photograph, whatever its score.",
    ),
]
Draw = Annotated[Path | None, typer.Option(metavar="DIR", help="Draw what was found on copies of the pictures, here.")]
MinFace = Annotated[
    float, typer.Option(min=0, max=1_000_000, metavar="PX", help="Leave out faces less high, in pixels.")
]
MaxPixels = Annotated[
    int | None,
    typer.Option(min=1, metavar="N", help="Refuse larger images; each pixel takes 6 bytes.  [default: 200000000]"),
]
Strict = Annotated[
    bool, typer.Option("--strict", help="Refuse damaged JPEGs and damaged metadata, which else are a warning.")
]
RawFiles = Annotated[
    Literal["refuse", "preview"],
    typer.Option("--raw", help="Camera raw: refused, or the preview that the camera put into it (extra: raw)."),
]
NoRecursive = Annotated[bool, typer.Option("--no-recursive", help="Do not enter folders in folders.")]
FollowLinks = Annotated[bool, typer.Option("--follow-links", help="Enter symlinked folders below the inputs too.")]
Hidden = Annotated[bool, typer.Option("--hidden", help="In folders, also what begins with a dot.")]
Exclude = Annotated[
    list[str] | None,
    typer.Option(
        metavar="GLOB", help="Leave alone what matches in folders: names, or with a slash in it paths below the input."
    ),
]
Extensions = Annotated[
    list[str] | None, typer.Option("--ext", metavar="EXT", help="In folders, only these endings: jpg,png.")
]
FilesFrom = Annotated[
    str | None, typer.Option(metavar="FILE", help="Read paths from a file too, one a line; - is standard input.")
]
Null = Annotated[bool, typer.Option("--null", "-0", help="Paths of --files-from end in NUL.")]
RelativeTo = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR", exists=True, file_okay=False,
        help="Write paths as they are seen from this folder; outside it, whole. Else as they are given.",
    ),
]  # fmt: skip
Device = Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")]
Precision = Annotated[
    Literal["float32", "bfloat16"],
    typer.Option(help="Of the nets; bfloat16 is faster where the processor has it, and its answers differ a little."),
]
Workers = Annotated[int | None, typer.Option(min=1, metavar="N", help="Threads that decode.  [default: up to 4]")]
Batch = Annotated[
    int | None,
    typer.Option(
        min=1, metavar="N", help="Photographs looked at together, at most; changes no answer.  [default: by the device]"
    ),
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Forget what the run before found, and begin anew.")]
RetryFailed = Annotated[bool, typer.Option("--retry-failed", help="Do again what failed in the run before.")]
Rehash = Annotated[bool, typer.Option("--rehash", help="Read every file: its content says whether it changed.")]
Prune = Annotated[bool, typer.Option("--prune", help="Let vanished files leave the output, however many they are.")]
LockWait = Annotated[
    float, typer.Option(min=0, metavar="SECONDS", help="Wait for another run that writes the same output.")
]
FailOn = Annotated[
    str,
    typer.Option(
        metavar="never|any|all|RATE",
        help="How many failures make the exit code 3; more than RATE, such as 0.05 or 5%, end the run early.",
    ),
]
Part = Annotated[
    str,
    typer.Option("--shard", metavar="I/N", help="Answer part I of N, by the paths; `facetag merge` joins the parts."),
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing but errors.")]
Verbose = Annotated[
    bool, typer.Option("--verbose", "-v", help="Name each input that failed or has a warning; say the run's record.")
]
LogFormat = Annotated[
    console.LogFormat | None, typer.Option(help="Lines on standard error for people, or JSON objects.")
]


def words(given: list[str] | None) -> list[str]:
    """The words of an option that may be repeated and may hold several, separated by commas."""
    return [word.strip() for text in given or () for word in text.split(",") if word.strip()]


def inputs_of(
    paths: list[str] | None,
    files_from: str | None,
    null: bool,
    no_recursive: bool,
    exclude: list[str] | None,
    extensions: list[str] | None,
    follow_links: bool,
    hidden: bool,
    relative_to: Path | None,
    draw: Path | None,
) -> "Discovery":
    """The stream of inputs that the command line names.

    Raises:
        UsageError: it names none, or draws where it reads.
        DataError: the list cannot be read.
    """
    from facetag.images.discover import discover

    if not paths and files_from is None:
        raise UsageError("nothing to read", "name photographs or folders, or use --files-from")
    if draw and os.path.realpath(draw) in map(os.path.realpath, paths or []):
        raise UsageError(f"--draw {draw} is an input too, and drawings are none", "draw into another folder")
    if null and files_from is None:
        raise UsageError("-0 says how --files-from is written", "add --files-from FILE")
    return discover(
        _named(paths or [], files_from, null),
        recursive=not no_recursive,
        extensions=words(extensions) or None,
        exclude=exclude or (),
        follow_links=follow_links,
        hidden=hidden,
        relative_to=str(relative_to or ""),
        drawings=str(draw or ""),
    )


def _named(paths: list[str], files_from: str | None, null: bool) -> Iterator[str]:
    from facetag.images.discover import files_from as listed

    yield from paths
    if files_from is None:
        return
    try:
        with _list(files_from) as stream:
            yield from listed(stream, null)
    except OSError as error:
        raise DataError(f"{files_from}: {error.strerror}", "name a file that holds paths") from error


def _list(files_from: str) -> BinaryIO:
    if files_from == "-":
        # unbuffered: a thread may still wait for it when the program ends, and would hold the buffer's lock
        return cast(BinaryIO, open(sys.stdin.fileno(), "rb", buffering=0, closefd=False))
    return open(files_from, "rb")
