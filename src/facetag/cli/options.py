"""Options that `predict` and `localize` share, and what they mean."""

import os
import stat
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from inspect import Parameter, Signature
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO, Literal, cast

import typer

from facetag.cli import completion, console
from facetag.cli.app import ATTRIBUTES, FACES, INPUT, MACHINE, OUTPUT, RUNS
from facetag.errors import DataError, UsageError
from facetag.remote.url import as_url, refuse_unknown, refuse_url

if TYPE_CHECKING:
    from facetag.images.discover import Discovery

Faces = Literal["all", "thorough", "dominant"]

Paths = Annotated[
    list[str] | None,
    typer.Argument(metavar="PATH", help="Photographs, folders of them, and URLs of either.", show_default=False),
]
Out = Annotated[
    str,
    typer.Option(
        "--out",
        "-o",
        metavar="FILE",
        help="Where to write: a file or a URL, or a folder of Parquet parts, ending in /; - is standard output.",
        rich_help_panel=OUTPUT,
    ),
]
Journal = Annotated[
    str | None,
    typer.Option(
        metavar="FILE",
        help="Where the run keeps its journal, its lock and its record; an output at a URL needs it.  "
        "[default: beside --out]",
        rich_help_panel=RUNS,
    ),
]
Format = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="csv, tsv, json, jsonl, parquet, exiftool-csv or exiftool-json; else by the suffix of --out.",
        rich_help_panel=OUTPUT,
        autocompletion=completion.formats,
    ),
]
Sidecar = Annotated[
    Literal["xmp", "xmp-stem"] | None,
    typer.Option(
        "--sidecar",
        help="Write tags and face regions next to each photo, merged into what is there: xmp to IMG.jpg.xmp, xmp-stem "
        "to IMG.xmp. `facetag untag` takes them out again.",
        rich_help_panel=OUTPUT,
    ),
]
CropDir = Annotated[
    Path | None,
    typer.Option(
        "--crop-dir",
        metavar="DIR",
        help="Save each face as a JPEG here. Photos with faces are decoded once more.",
        rich_help_panel=OUTPUT,
    ),
]
Columns = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAMES",
        help="More columns in a table: decisions (present_NAME, 1 or 0), folder, image_name.",
        rich_help_panel=OUTPUT,
    ),
]
Explode = Annotated[
    Literal["attributes"] | None,
    typer.Option(help="A table with a row for each attribute of each face.", rich_help_panel=OUTPUT),
]
DryRun = Annotated[
    bool,
    typer.Option(
        "--dry-run",
        help="Only print what would be read, and say what is kept; write and change nothing.",
        rich_help_panel=RUNS,
    ),
]
KeepWatch = Annotated[
    bool,
    typer.Option(
        "--watch",
        help="Go on: write the document again whenever its inputs changed and were quiet for five seconds. "
        "A signal ends it.",
        rich_help_panel=RUNS,
    ),
]
ModelName = Annotated[
    str | None,
    typer.Option(
        "--model",
        metavar="DIR|NAME",
        help="A model folder, or a shipped model by name.",
        rich_help_panel=MACHINE,
        autocompletion=completion.models,
    ),
]
WhichFaces = Annotated[
    Faces,
    typer.Option(
        "--faces",
        help="All faces; thorough: small ones too, looked for in every photograph, much slower, and with more that are "
        "none; dominant: the surest of each photograph, whatever its score.",
        rich_help_panel=FACES,
    ),
]
Draw = Annotated[
    Path | None,
    typer.Option(metavar="DIR", help="Draw what was found on copies of the pictures, here.", rich_help_panel=OUTPUT),
]
MinFace = Annotated[
    float,
    typer.Option(
        min=0, max=1_000_000, metavar="PX", help="Leave out faces less high, in pixels.", rich_help_panel=FACES
    ),
]
MaxPixels = Annotated[
    int | None,
    typer.Option(
        min=1,
        metavar="N",
        help="Refuse larger images; each pixel takes 6 bytes.  [default: 200000000]",
        rich_help_panel=INPUT,
    ),
]
Strict = Annotated[
    bool,
    typer.Option(
        "--strict",
        help="Refuse damaged JPEGs and damaged metadata, which else are a warning.",
        rich_help_panel=INPUT,
    ),
]
RawFiles = Annotated[
    Literal["refuse", "preview"],
    typer.Option(
        "--raw",
        help="Camera raw: refused, or the preview that the camera put into it (extra: raw).",
        rich_help_panel=INPUT,
    ),
]
NoRecursive = Annotated[
    bool, typer.Option("--no-recursive", help="Do not enter folders in folders.", rich_help_panel=INPUT)
]
FollowLinks = Annotated[
    bool, typer.Option("--follow-links", help="Enter symlinked folders below the inputs too.", rich_help_panel=INPUT)
]
Hidden = Annotated[
    bool, typer.Option("--hidden", help="In folders, also what begins with a dot.", rich_help_panel=INPUT)
]
Exclude = Annotated[
    list[str] | None,
    typer.Option(
        metavar="PATTERN",
        help="Leave alone what matches in folders, by the rules of .gitignore: a.jpg, folder/, /in/the/input, !except.",
        rich_help_panel=INPUT,
    ),
]
Extensions = Annotated[
    list[str] | None,
    typer.Option("--ext", metavar="EXT", help="In folders, only these endings: jpg,png.", rich_help_panel=INPUT),
]
FilesFrom = Annotated[
    str | None,
    typer.Option(
        metavar="FILE",
        help="Read paths from a file or a URL too, one a line; - is standard input.",
        rich_help_panel=INPUT,
    ),
]
Null = Annotated[bool, typer.Option("--null", "-0", help="Paths of --files-from end in NUL.", rich_help_panel=INPUT)]
RelativeTo = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR", exists=True, file_okay=False,
        help="Write paths as they are seen from this folder; outside it, whole. Else as they are given.",
        rich_help_panel=OUTPUT,
    ),
]  # fmt: skip
Device = Annotated[
    str, typer.Option(help="auto, cpu, cuda or cuda:N.", rich_help_panel=MACHINE, autocompletion=completion.devices)
]
Precision = Annotated[
    Literal["float32", "bfloat16"],
    typer.Option(
        help="Of the nets; bfloat16 is faster where the processor has it, and its answers differ a little.",
        rich_help_panel=MACHINE,
    ),
]
Workers = Annotated[
    int | None,
    typer.Option(
        min=1, max=1024, metavar="N", help="Threads that decode.  [default: up to 4]", rich_help_panel=MACHINE
    ),
]
Batch = Annotated[
    int | None,
    typer.Option(
        min=1,
        metavar="N",
        help="Photographs looked at together, at most; changes no answer.  [default: by the device]",
        rich_help_panel=MACHINE,
    ),
]
EngineName = Annotated[
    Literal["local", "ray"],
    typer.Option(
        "--engine",
        help="Who looks at the photographs: this process, or a Ray cluster (extra: ray), whose machines see the same "
        "files. Both answer alike.",
        rich_help_panel=MACHINE,
    ),
]
RayAddress = Annotated[
    str | None,
    typer.Option(
        metavar="HOST:PORT",
        help="Of a Ray cluster that this machine belongs to.  [default: one on this machine alone]",
        rich_help_panel=MACHINE,
    ),
]
RayWorkers = Annotated[
    int | None,
    typer.Option(
        min=1,
        metavar="N",
        help="Workers of the cluster that hold the model.  [default: one a GPU, or three for four CPUs]",
        rich_help_panel=MACHINE,
    ),
]
Append = Annotated[
    bool,
    typer.Option(
        "--append",
        help="Keep what is in the output, in its order, and put new inputs behind it.",
        rich_help_panel=RUNS,
    ),
]
Overwrite = Annotated[
    bool, typer.Option("--overwrite", help="Forget what the run before found, and begin anew.", rich_help_panel=RUNS)
]
RetryFailed = Annotated[
    bool, typer.Option("--retry-failed", help="Do again what failed in the run before.", rich_help_panel=RUNS)
]
Rehash = Annotated[
    bool, typer.Option("--rehash", help="Read every file: its content says whether it changed.", rich_help_panel=RUNS)
]
Prune = Annotated[
    bool,
    typer.Option("--prune", help="Let vanished files leave the output, however many they are.", rich_help_panel=RUNS),
]
LockWait = Annotated[
    float,
    typer.Option(
        min=0, metavar="SECONDS", help="Wait for another run that writes the same output.", rich_help_panel=RUNS
    ),
]
FailOn = Annotated[
    str,
    typer.Option(
        metavar="never|any|all|RATE",
        help="How many failures make the exit code 3; more than RATE, such as 0.05 or 5%, end the run early.",
        rich_help_panel=RUNS,
        autocompletion=completion.budgets,
    ),
]
Part = Annotated[
    str,
    typer.Option(
        "--shard",
        metavar="I/N",
        help="Answer part I of N, by the paths; `facetag merge` joins the parts.",
        rich_help_panel=RUNS,
    ),
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing but errors.", rich_help_panel=OUTPUT)]
Verbose = Annotated[
    bool,
    typer.Option(
        "--verbose",
        "-v",
        help="Name each input that failed or has a warning; say the run's record.",
        rich_help_panel=OUTPUT,
    ),
]
LogFormat = Annotated[
    console.LogFormat | None,
    typer.Option(help="Lines on standard error for people, or JSON objects.", rich_help_panel=OUTPUT),
]

Boxes = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="Tag the faces in this CSV (file or path, x, y, width, height) instead of looking for any. Its names are "
        "seen from the current folder, or else from its own.",
        rich_help_panel=FACES,
    ),
]
Aligned = Annotated[
    bool,
    typer.Option(
        "--aligned",
        help="Each image is one face picture in CelebA's aligned frame, of any size.",
        rich_help_panel=FACES,
    ),
]
Attributes = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAMES",
        help="Only these attributes or groups: Smiling,hair.",
        rich_help_panel=ATTRIBUTES,
        autocompletion=completion.attributes,
    ),
]
ExcludeAttributes = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAMES",
        help="Not these attributes or groups: demographic,judgement.",
        rich_help_panel=ATTRIBUTES,
        autocompletion=completion.attributes,
    ),
]
Thresholds = Annotated[
    list[str] | None,
    typer.Option(
        "--threshold",
        metavar="NAME=P",
        help="Present from this probability on; NAME may be a group.",
        rich_help_panel=ATTRIBUTES,
        autocompletion=completion.thresholds,
    ),
]
Unsure = Annotated[
    list[str] | None,
    typer.Option(
        metavar="WIDTH|NAME=LOW..HIGH",
        help="Neither present nor absent but unsure: all so near to their threshold, or NAME from LOW to below HIGH.",
        rich_help_panel=ATTRIBUTES,
        autocompletion=completion.bands,
    ),
]


@dataclass(frozen=True)
class Options:
    """All that `predict` and `localize` are told, by the options' long names; `filled` has typer fill it."""

    paths: Paths = None
    out: Out = "-"
    journal: Journal = None
    format: Format = None
    columns: Columns = None
    explode: Explode = None
    model: ModelName = None
    faces: WhichFaces = "all"
    boxes: Boxes = None
    aligned: Aligned = False
    draw: Draw = None
    sidecar: Sidecar = None
    crop_dir: CropDir = None
    attributes: Attributes = None
    exclude_attributes: ExcludeAttributes = None
    threshold: Thresholds = None
    unsure: Unsure = None
    min_face: MinFace = 0
    max_pixels: MaxPixels = None
    strict: Strict = False
    raw: RawFiles = "refuse"
    no_recursive: NoRecursive = False
    follow_links: FollowLinks = False
    hidden: Hidden = False
    exclude: Exclude = None
    ext: Extensions = None
    files_from: FilesFrom = None
    null: Null = False
    relative_to: RelativeTo = None
    device: Device = "auto"
    precision: Precision = "float32"
    workers: Workers = None
    batch: Batch = None
    engine: EngineName = "local"
    ray_address: RayAddress = None
    ray_workers: RayWorkers = None
    append: Append = False
    overwrite: Overwrite = False
    retry_failed: RetryFailed = False
    rehash: Rehash = False
    prune: Prune = False
    dry_run: DryRun = False
    watch: KeepWatch = False
    lock_wait: LockWait = 0
    shard: Part = "1/1"
    fail_on: FailOn = "any"
    quiet: Quiet = False
    verbose: Verbose = False
    log_format: LogFormat = None


#: Options that `localize` has not.
OF_PREDICT = (
    "boxes", "aligned", "attributes", "exclude_attributes", "threshold", "unsure", "columns", "explode", "sidecar",
    "crop_dir", "dry_run", "watch",
)  # fmt: skip

_Command = Callable[[typer.Context, Options], None]


def filled(without: Sequence[str] = ()) -> Callable[[_Command], Callable[..., None]]:
    """Decorates a command of Options, so that typer sees a parameter for each field but those `without`."""

    def decorate(command: _Command) -> Callable[..., None]:
        def called(context: typer.Context, **names_in: Any) -> None:
            command(context, Options(**{name: shown(name, value) for name, value in names_in.items()}))

        asked = [each for each in fields(Options) if each.name not in without]
        kind = Parameter.KEYWORD_ONLY
        parameters = [Parameter(each.name, kind, default=each.default, annotation=each.type) for each in asked]
        context = Parameter("context", Parameter.POSITIONAL_OR_KEYWORD, annotation=typer.Context)
        called.__signature__ = Signature([context, *parameters])  # type: ignore[attr-defined]
        called.__name__, called.__doc__ = command.__name__, command.__doc__
        return called

    return decorate


def shown(name: str, value: Any) -> Any:
    """An option's value, in which URLs are as they may be shown, and open what they say.

    Raises:
        UsageError: a URL stands where there has to be a path on this machine.
    """
    if isinstance(value, list):
        return [shown(name, each) for each in value]
    if isinstance(value, Path):
        refuse_url(f"--{name.replace('_', '-')}", value)
    return as_url(value) or value if isinstance(value, str) else value


def names_in(given: list[str] | None) -> list[str]:
    """The words of an option that may be repeated and may hold several, separated by commas."""
    return [word.strip() for text in given or () for word in text.split(",") if word.strip()]


def inputs_of(options: Options) -> "Discovery":
    """The stream of inputs that the command line names.

    Raises:
        UsageError: it names none, or draws where it reads.
        DataError: the list cannot be read.
    """
    from facetag.images.discover import discover

    paths, draw = options.paths or [], options.draw
    if not paths and options.files_from is None:
        raise UsageError("nothing to read", "name photographs or folders, or use --files-from")
    if draw and os.path.realpath(draw) in map(os.path.realpath, paths):
        raise UsageError(f"--draw {draw} is an input too, and drawings are none", "draw into another folder")
    if options.null and options.files_from is None:
        raise UsageError("-0 says how --files-from is written", "add --files-from FILE")
    if "-" in paths and not os.path.lexists("-"):
        raise UsageError(
            "photographs are not read from standard input", "use --files-from - for a list of paths, ./- for a file"
        )
    for path in paths:
        refuse_unreadable(path)
    if options.files_from is not None and options.files_from != "-":
        _check_list(options.files_from, options.null)
    return discover(
        _named(paths, options.files_from, options.null),
        recursive=not options.no_recursive,
        extensions=names_in(options.ext) or None,
        exclude=options.exclude or (),
        follow_links=options.follow_links,
        hidden=options.hidden,
        relative_to=str(options.relative_to or ""),
        drawings=str(draw or ""),
    )


def refuse_unreadable(path: str) -> None:
    """See that a URL is of a kind that is read here, and that what it needs is installed.

    Raises:
        UsageError: it is not.
    """
    from facetag.remote.store import refuse_without_extra

    if url := as_url(path):
        refuse_without_extra(url)
    elif not os.path.lexists(path):
        refuse_unknown(path)


def _named(paths: list[str], files_from: str | None, null: bool) -> Iterator[str]:
    from facetag.images.discover import files_from as listed

    yield from paths
    if files_from is None:
        return
    if url := as_url(files_from):
        from facetag.remote.reading import whole_list

        with whole_list(url) as stream:
            yield from (url.joined(line) for line in listed(stream, null))
        return
    with _reading(files_from), _list(files_from) as stream:
        yield from listed(stream, null)


def _check_list(files_from: str, null: bool) -> None:
    """See, before a model is loaded, that a list is there, and look at the beginning of one that can be read twice.

    Raises:
        UsageError, DataError: it is not.
    """
    from facetag.images.discover import check_list

    if url := as_url(files_from):
        refuse_unreadable(url)
        return
    with _reading(files_from):
        mode = os.stat(files_from).st_mode
        if stat.S_ISREG(mode) or stat.S_ISDIR(mode):
            with open(files_from, "rb") as stream:
                check_list(stream.read(1 << 16), null)


@contextmanager
def _reading(files_from: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise DataError(f"{files_from}: {error.strerror}", "name a file that holds paths") from error


def _list(files_from: str) -> BinaryIO:
    if files_from == "-":
        # unbuffered: a thread may still wait for it when the program ends, and would hold the buffer's lock
        return cast(BinaryIO, open(sys.stdin.fileno(), "rb", buffering=0, closefd=False))
    return open(files_from, "rb")
