"""What commands need before they run: from what the command line says to a request and its means."""

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from facetag.cli.console import is_quiet, say, shows_bars, speak_as
from facetag.cli.options import Faces
from facetag.cli.options import words as split
from facetag.cli.session import Session
from facetag.cli.signals import Signals
from facetag.errors import UsageError

if TYPE_CHECKING:
    import torch

    from facetag.formats.writers.layout import Layout
    from facetag.localization.center_localizer import AnyLocalizer
    from facetag.model import Model
    from facetag.pipeline.face_sources import Finder
    from facetag.pipeline.loader import ReadSettings
    from facetag.pipeline.stages import Cascade
    from facetag.results import ImageRecord
    from facetag.runs.cache_key import Basis
    from facetag.runs.failure_budget import Budget
    from facetag.runs.run import RunSettings


@dataclass(frozen=True)
class Request:
    """What the command line asks for, as far as no model is needed to understand it.

    Attributes:
        out: file, or - for standard output.
        format: of formats.writers.WRITERS.
        attributes: those answered; None when faces are only located.
        draw: folder for drawings.
        budget: of failures.
        how: the run deals with an earlier one.
        words: all options and their values, for the run's record.
        signals: that came.
        layout: of a table, where it is not the usual one.
    """

    out: str
    format: str
    attributes: Sequence[str] | None
    draw: Path | None
    budget: "Budget"
    how: "RunSettings"
    words: Mapping[str, Any]
    signals: Signals
    layout: "Layout | None" = None

    @property
    def name(self) -> str:
        """What people call the document."""
        return "standard output" if self.out == "-" else self.out

    @property
    def shows_bar(self) -> bool:
        """A bar needs a terminal that the data do not go to."""
        shared = self.out == "-" and sys.stdout.isatty()
        return shows_bars() and not is_quiet() and not shared


@dataclass(frozen=True, eq=False)
class Work:
    """What a run works with.

    Attributes:
        localizer: what finds the faces; None when no net does.
        basis: all that answers depend on.
        note: told of each record too.
    """

    model: "Model"
    device: "torch.device"
    cascade: "Cascade"
    localizer: "AnyLocalizer | None"
    reading: "ReadSettings"
    basis: "Basis"
    note: "Callable[[ImageRecord], None]" = lambda record: None


def request_of(context: typer.Context, attributes: Sequence[str] | None) -> Request:
    """The Request of a command's options, which are called as in cli.options.

    Raises:
        UsageError: no format or budget is known by that name, options do not fit together, or the output would replace
            what is read.
    """
    from facetag.formats.destination import refuse_to_replace
    from facetag.formats.writers import format_of
    from facetag.formats.writers.layout import layout_of
    from facetag.runs.failure_budget import budget_of

    words = context.params
    refuse_to_replace(words["out"], words["files_from"], words.get("boxes"))
    speak_as(words["log_format"], words["quiet"], words["verbose"])
    format = format_of(words["out"], words["format"])
    return Request(
        out=words["out"],
        format=format,
        attributes=attributes,
        draw=words["draw"],
        budget=budget_of(words["fail_on"]),
        how=_run_settings(words),
        words=words,
        signals=context.ensure_object(Session).signals,
        layout=layout_of(split(words.get("columns")), words.get("explode"), format),
    )


def load(model: str | None, device: str) -> "tuple[Model, torch.device]":
    """The model and the device that the command line names, said aloud.

    Raises:
        ModelError, UsageError: there is no such model or device.
    """
    from facetag.cli.commands.stages import device_name, torch_device
    from facetag.model import DEFAULT, load_model

    place = torch_device(device)
    loaded = load_model(model or DEFAULT)
    say(f"model {loaded.name}, device {device_name(place)}", model=loaded.name, device=str(place))
    return loaded, place


def is_half(precision: str, place: "torch.device") -> bool:
    """Whether the nets run in bfloat16, and a line where the processor has no instructions for it.

    Raises:
        UsageError: the GPU has none.
    """
    import torch

    half = precision == "bfloat16"
    if half and place.type == "cuda" and not torch.cuda.is_bf16_supported():
        raise UsageError(f"{place} has no bfloat16", "use --precision float32")
    has_it = getattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: False)
    if half and place.type == "cpu" and not has_it():
        say("this processor has no bfloat16: float32 would be faster")
    return half


def localizer_for(model: "Model", place: "torch.device", half: bool, faces: Faces) -> "AnyLocalizer":
    """What finds the model's faces, as thoroughly as asked.

    Raises:
        UsageError: it cannot look for small faces wherever they are.
    """
    from facetag.localization.center_localizer import StudentLocalizer, localizer_of

    localizer = localizer_of(model, place, half)
    if faces != "thorough":
        return localizer
    if not isinstance(localizer, StudentLocalizer):
        raise UsageError(f"--faces thorough is a student's, and {model.name} has LNets", "use --model fast")
    sure = localizer.thorough()
    if not sure.settings.finer:
        raise UsageError(f"--faces thorough: {model.name} has no finer looks", "use --model fast")
    return sure


def finder(localizer: "AnyLocalizer | None", faces: Faces) -> "Finder":
    """Who finds the faces: a localizer, all or the surest; without one, CelebA's aligned frame."""
    from facetag.pipeline.face_sources import aligned, located_by

    if localizer is None:
        return aligned
    return located_by(localizer, dominant=faces == "dominant")


def reading(
    place: "torch.device",
    max_pixels: int | None,
    strict: bool,
    workers: int | None,
    batch: int | None,
    folder: Path | None,
    localizer: "AnyLocalizer | None",
) -> "ReadSettings":
    """ReadSettings of these options and of what finds the faces; when not said, one decoding thread a core, at most
    four, and as large a batch as suits the device. Torch's threads are shared out among the lookers."""
    import torch

    from facetag.images.decode import MAX_PIXELS
    from facetag.localization.center_localizer import read_side
    from facetag.pipeline.batch_size import lookers, suiting, threads_at_first
    from facetag.pipeline.loader import ReadSettings

    threads = workers or min(os.cpu_count() or 1, 4)
    together = batch or suiting(place)
    beside = lookers(place, threads_at_first())
    torch.set_num_threads(max(threads_at_first() // beside, 1))
    return ReadSettings(
        max_pixels or MAX_PIXELS,
        strict,
        threads,
        together,
        beside,
        folder=str(folder or ""),
        side=read_side(localizer),
    )


def _run_settings(words: Mapping[str, Any]) -> "RunSettings":
    """RunSettings of options by their names.

    Raises:
        UsageError: one of them asks for an earlier run where there can be none, or the shard is none.
    """
    from facetag.formats.destination import is_regular
    from facetag.runs.run import RunSettings
    from facetag.runs.shards import Shard

    words = {**words, "shard": Shard.parse(words["shard"])}
    settings = RunSettings(**{field.name: words[field.name] for field in fields(RunSettings)})
    if (settings.retry_failed or settings.rehash or settings.prune) and not is_regular(words["out"]):
        raise UsageError("--retry-failed, --rehash and --prune go on with a file", "add --out FILE")
    return settings
