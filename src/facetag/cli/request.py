"""What commands need before they run: from what the command line says to a request and its means."""

import hashlib
import json
import os
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from facetag.cli.console import is_quiet, say, shows_bars, speak_as
from facetag.cli.options import Options, names_in
from facetag.cli.session import Session
from facetag.cli.signals import Signals
from facetag.errors import ModelError, UsageError, writing
from facetag.model_folder import DEFAULT, shipped_models
from facetag.remote.url import as_url

if TYPE_CHECKING:
    from facetag.cli.thresholds import Decisions
    from facetag.cluster.engine import RayEngine
    from facetag.formats.writers.layout import Layout
    from facetag.pipeline.drawing import Drawer
    from facetag.pipeline.engine import Answering
    from facetag.pipeline.loader import ReadSettings
    from facetag.pipeline.stages import Cascade
    from facetag.predictor import FaceTagger
    from facetag.runs.failure_budget import Budget
    from facetag.runs.run import RunSettings
    from facetag.runs.run_files import RunFiles


@dataclass(frozen=True)
class Request:
    """What the command line asks for, as far as no model is needed to understand it.

    Attributes:
        options: as they were typed.
        format: of formats.writers.WRITERS.
        budget: of failures.
        how: the run deals with an earlier one.
        signals: that came.
        layout: of a table, where it is not the usual one.
    """

    options: Options
    format: str
    budget: "Budget"
    how: "RunSettings"
    signals: Signals
    layout: "Layout | None" = None

    @property
    def files(self) -> "RunFiles | None":
        """What a run has besides its document; None where that streams."""
        from facetag.formats.destination import is_regular
        from facetag.runs.run_files import RunFiles

        return RunFiles.of(self.options.out, self.options.journal) if is_regular(self.options.out) else None

    @property
    def name(self) -> str:
        """What people call the document."""
        return "standard output" if self.options.out == "-" else self.options.out

    @property
    def shows_bar(self) -> bool:
        """A bar needs a terminal that the data do not go to."""
        shared = self.options.out == "-" and sys.stdout.isatty()
        return shows_bars() and not is_quiet() and not shared


def request_of(context: typer.Context, options: Options) -> Request:
    """The Request of a command's options.

    Raises:
        UsageError: no format or budget is known by that name, options do not fit together, or the output would replace
            what is read, or what facetag did not write.
    """
    from facetag.formats.destination import refuse_foreign, refuse_lost_journal, refuse_to_replace, see_folder
    from facetag.formats.writers import format_of
    from facetag.formats.writers.layout import layout_of
    from facetag.runs.failure_budget import budget_of

    _check_engine(options)
    files = _files_of(options)
    see_folder(options.out)
    refuse_to_replace(options.out, options.files_from, str(options.boxes) if options.boxes else None)
    if files and not as_url(options.out) and not options.overwrite:
        refuse_foreign(options.out, files.know_out)
        if options.append:
            refuse_lost_journal(options.out, files.journal)
    speak_as(options.log_format, options.quiet, options.verbose)
    format = format_of(options.out, options.format)
    return Request(
        options=options,
        format=format,
        budget=budget_of(options.fail_on),
        how=_run_settings(options),
        signals=context.ensure_object(Session).signals,
        layout=layout_of(names_in(options.columns), options.explode, format),
    )


class Asked:
    """What a command asks, and the FaceTagger that answers it, loaded when an image has to be looked at.

    Attributes:
        question: what is asked.
        engine: for a run.
        seconds: that loading took; 0 as long as nothing is loaded.
    """

    def __init__(self, options: Options, decisions: "Decisions") -> None:
        """Raises FacetagError, as FaceTagger says, as far as that can be known before it is loaded."""
        from facetag.model_folder import read_facts
        from facetag.pipeline.engine import Engine
        from facetag.pipeline.question import question_of

        self._options = options
        self._given = _arguments_of_question(options, decisions)
        self.question = question_of(read_facts(options.model or DEFAULT), **self._given)
        local = Engine(self.question.reading, self.question.stored, self._load)
        self._ray = self._of_ray() if options.engine == "ray" else None
        self.engine: Answering = self._ray or local
        self.seconds = 0.0
        self._tagger: FaceTagger | None = None

    @property
    def tagger(self) -> "FaceTagger":
        """Its model and device are said aloud when it is loaded.

        Raises:
            FacetagError: as FaceTagger says.
        """
        self.engine.loaded()
        assert self._tagger
        return self._tagger

    @property
    def device(self) -> str:
        """What the networks ran on."""
        if self._ray:
            return self._ray.device
        return str(self._tagger.device) if self._tagger else "none"

    def drawer(self, folder: Path) -> "Drawer":
        """Draws results into a folder."""
        from facetag.pipeline.drawing import Drawer

        return Drawer(folder, lambda: self.tagger.localizer)

    def _load(self) -> "tuple[Cascade, ReadSettings]":
        started = time.monotonic()
        from facetag.networks.execution.device import device_name
        from facetag.predictor import FaceTagger

        arguments = {**self._given, "boxes": self.question.given}
        tagger = FaceTagger(self._options.model or DEFAULT, device=self._options.device, **arguments)
        if tagger.model.fingerprint != self.question.model.fingerprint:
            raise ModelError(f"the model {tagger.model.name} was replaced meanwhile", "run the same command again")
        name, device = tagger.model.name, tagger.device
        say(f"model {name}, device {device_name(device)}", model=name, device=str(device))
        self._tagger, self.seconds = tagger, time.monotonic() - started
        return tagger.cascade, tagger.reading

    def _of_ray(self) -> "RayEngine":
        from facetag.cluster.engine import RayEngine
        from facetag.cluster.inference import Sight
        from facetag.cluster.versions import versions

        def tell(device: str, actors: int, seconds: float) -> None:
            self.seconds += seconds  # --watch starts a Ray for each run that has to look at images
            workers = f"{actors} Ray worker{'s' * (actors != 1)}"
            say(f"model {name}, device {device}, {workers}", model=name, device=device, workers=actors)

        options, name = self._options, self.question.model.name
        model = options.model or DEFAULT
        model = model if model in shipped_models() else os.path.abspath(model)
        arguments = {**self._given, "boxes": self.question.given}
        sight = Sight(model, options.device, arguments, self.question.model.fingerprint, versions())
        asked = self.question
        return RayEngine(sight, asked.reading, asked.stored, options.ray_address, options.ray_workers, tell)


def _check_engine(options: Options) -> None:
    """See that the options of a cluster fit together, before anything is loaded.

    Raises:
        UsageError: they do not, or Ray is not installed.
    """
    from facetag.formats.destination import is_regular

    if options.engine != "ray":
        if options.ray_address or options.ray_workers:
            raise UsageError("--ray-address and --ray-workers are of a Ray cluster", "add --engine ray")
        return
    from facetag.cluster.connection import address_of, refuse_without_ray

    if not is_regular(options.out):
        raise UsageError("--engine ray needs a journal, and so a file", "add --out FILE")
    if options.draw:
        raise UsageError("--engine ray does not draw: pixels stay in the cluster", "leave out --draw")
    if options.ray_address:
        address_of(options.ray_address)
    refuse_without_ray()


def _files_of(options: Options) -> "RunFiles | None":
    """An output's journal and what lies beside it, before anything is asked for over a network; None where it has none.

    Raises:
        UsageError: it needs one that is not named, or has none.
    """
    from facetag.formats.destination import is_regular
    from facetag.runs.run_files import RunFiles

    if is_regular(options.out):
        files = RunFiles.of(options.out, options.journal)
        for path in (files.journal, files.report, *files.locks):
            with writing(options.out), suppress(FileNotFoundError):
                os.stat(path)  # its name may be too long where the output's is not
        return files
    if options.journal:
        raise UsageError("--journal is of an output that is a file", "add --out FILE")
    return None


def _arguments_of_question(options: Options, decisions: "Decisions") -> dict[str, Any]:
    """The arguments of `question_of`."""
    return {
        "attributes": decisions.attributes,
        "stored": decisions.stored,
        "thresholds": decisions.thresholds,
        "unsure": decisions.unsure,
        "unsure_bands": decisions.unsure_bands,
        "faces": options.faces,
        "boxes": options.boxes,
        "aligned": options.aligned,
        "min_face": options.min_face,
        "max_pixels": options.max_pixels,
        "strict": options.strict,
        "raw": options.raw,
        "precision": options.precision,
        "workers": options.workers,
        "batch": options.batch,
        "relative_to": options.relative_to or "",
    }


def _run_settings(options: Options) -> "RunSettings":
    """RunSettings of the options of the same names.

    Raises:
        UsageError: one of them asks for an earlier run where there can be none, or the shard is none.
    """
    from facetag.formats.destination import is_regular
    from facetag.runs.run import RunSettings
    from facetag.runs.shards import Shard

    names_in = {field.name: getattr(options, field.name) for field in fields(RunSettings) if field.name != "arguments"}
    shard = Shard.parse(options.shard)
    settings = RunSettings(**{**names_in, "shard": shard, "arguments": _arguments(options)})
    goes_on = settings.retry_failed or settings.rehash or settings.prune or settings.append
    if goes_on and not is_regular(options.out):
        raise UsageError("--retry-failed, --rehash, --prune and --append go on with a file", "add --out FILE")
    if settings.append and (settings.overwrite or settings.prune or shard.count > 1):
        raise UsageError("--append keeps what is there, whole", "leave out --overwrite, --prune and --shard")
    return settings


def _arguments(options: Options) -> str:
    """Digest of what the command was given to read: names, as seen from --relative-to, not what they hold."""
    folder = options.relative_to
    names = [
        as_url(path) or (os.path.relpath(path, folder) if folder else os.path.normpath(path))
        for path in options.paths or ()
    ]
    given = json.dumps([names, options.files_from])
    return hashlib.sha256(given.encode("utf-8", "surrogatepass")).hexdigest()
