"""How `predict` and `localize` run: from what the command line says to a document and an exit code."""

import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from facetag.cli.console import say
from facetag.cli.options import Faces
from facetag.cli.progress import Watch
from facetag.errors import ExitCode, UsageError

if TYPE_CHECKING:
    import torch

    from facetag.batch.basis import Basis
    from facetag.batch.finders import Finder
    from facetag.batch.pipeline import Cascade
    from facetag.batch.reading import ReadSettings
    from facetag.batch.run import RunSettings
    from facetag.images.discover import Discovery
    from facetag.localizer import Localizer
    from facetag.model import Model
    from facetag.records import ImageRecord


@dataclass(frozen=True)
class Request:
    """What is to be written and said.

    Attributes:
        out: file, or - for standard output.
        format: of batch.writers.WRITERS.
        attributes: those answered; None when faces are only located.
        draw: folder for drawings.
    """

    out: str
    format: str
    attributes: Sequence[str] | None
    draw: Path | None
    quiet: bool
    verbose: bool

    @property
    def name(self) -> str:
        """What errors call the document."""
        return "standard output" if self.out == "-" else self.out

    @property
    def shows_bar(self) -> bool:
        """A bar needs a terminal that the data do not go to."""
        shared = self.out == "-" and sys.stdout.isatty()
        return sys.stderr.isatty() and not self.quiet and not shared


def request_of(
    out: str, format: str | None, attributes: Sequence[str] | None, draw: Path | None, quiet: bool, verbose: bool
) -> Request:
    """The Request of these options.

    Raises:
        UsageError: no format is known.
    """
    from facetag.batch.writers import format_of

    return Request(out, format_of(out, format), attributes, draw, quiet, verbose)


def load(model: str | None, device: str, quiet: bool) -> "tuple[Model, torch.device]":
    """The model and the device that the command line names, said aloud.

    Raises:
        ModelError, UsageError: there is no such model or device.
    """
    from facetag.cli.stages import torch_device
    from facetag.model import DEFAULT, load_model

    place = torch_device(device)
    loaded = load_model(model or DEFAULT)
    if not quiet:
        say(f"model {loaded.name}, device {place}")
    return loaded, place


def finder(localizer: "Localizer | None", faces: Faces) -> "Finder":
    """Who finds the faces: a localizer, all or the surest; without one, CelebA's aligned frame."""
    from facetag.batch.finders import aligned, located_by

    if localizer is None:
        return aligned
    return located_by(localizer, dominant=faces == "dominant")


def reading(max_pixels: int | None, strict: bool, workers: int | None, batch: int) -> "ReadSettings":
    """ReadSettings of these options; one decoding thread a core, at most four, when not said."""
    from facetag.batch.reading import ReadSettings
    from facetag.images.decode import MAX_PIXELS

    return ReadSettings(max_pixels or MAX_PIXELS, strict, workers or min(os.cpu_count() or 1, 4), batch)


def run_settings(
    out: str, overwrite: bool, retry_failed: bool, rehash: bool, prune: bool, lock_wait: float
) -> "RunSettings":
    """RunSettings of these options.

    Raises:
        UsageError: one of them asks for an earlier run where there can be none.
    """
    from facetag.batch.output import is_regular
    from facetag.batch.run import RunSettings

    if (retry_failed or rehash or prune) and not is_regular(out):
        raise UsageError("--retry-failed, --rehash and --prune go on with a file", "add --out FILE")
    return RunSettings(overwrite, retry_failed, rehash, prune, lock_wait)


def carry_out(
    request: Request,
    inputs: "Discovery",
    cascade: "Cascade",
    localizer: "Localizer | None",
    settings: "ReadSettings",
    basis: "Basis",
    how: "RunSettings",
    note: "Callable[[ImageRecord], None] | None" = None,
) -> ExitCode:
    """Run, and say how it went; SOME_FAILED when inputs failed.

    Args:
        localizer: whose response maps are drawn; None when no LNet looks.
        basis: all that answers depend on.
        note: told of each record too.
    """
    from facetag.batch.draw import Drawer
    from facetag.batch.run import Document, Observers, run

    def seen(record: "ImageRecord") -> None:
        watch.seen(record)
        if note:
            note(record)

    draw = Drawer(request.draw, localizer) if request.draw else None
    with Watch(request.shows_bar, request.quiet, request.verbose) as watch:
        document = Document(request.out, request.format, request.attributes)
        run(inputs, cascade, settings, document, basis, how, Observers(draw, seen))
    if not request.quiet:
        _conclude(request, inputs, watch)
    return ExitCode.SOME_FAILED if watch.failed else ExitCode.OK


def _conclude(request: Request, inputs: "Discovery", watch: Watch) -> None:
    say(f"{watch.summary()}" if watch.total else "no image was found there")
    if request.verbose:
        passed = [f"{count} {met}" for met, count in inputs.counts.items() if met != "found"]
        say(f"passed over: {', '.join(passed) or 'nothing'}")
    if request.out != "-":
        say(f"wrote {request.name}")
