"""How `predict` and `localize` run, once all is loaded: to a document, the run's record and an exit code."""

import platform
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from facetag.cli.console import detail, say, take_leave
from facetag.cli.options import OF_PREDICT, Options
from facetag.cli.progress import Watch
from facetag.cli.request import Request
from facetag.errors import BudgetSpent, ExitCode, OutputLocked
from facetag.formats.destination import beside, is_regular
from facetag.formats.path_encoding import one_line
from facetag.images.discover import Discovery
from facetag.pipeline.timing import Stopwatch
from facetag.predictor import FaceTagger
from facetag.results import ImageRecord
from facetag.runs.cache_key import Basis, basis_of
from facetag.runs.run import Document, Observers, Outcome, run
from facetag.runs.run_report import ENDING, RunRecord, now, text_of, versions, write_record


def carry_out(
    command: str,
    request: Request,
    inputs: Discovery,
    tagger: FaceTagger,
    note: Callable[[ImageRecord], None] = lambda record: None,
) -> ExitCode:
    """Run a command, say how it went, and write the run's record; `note` is told of each result too.

    Returns:
        OK, SOME_FAILED when the budget is spent at the end, or that of the signal that ended the run early.

    Raises:
        BudgetSpent: so many inputs failed that the run was stopped.
        FacetagError: see `runs.run.run`.
    """
    clock, started, basis = Stopwatch(), now(), _basis(command, request, tagger)
    with request.signals.stepping(), Watch(request.shows_bar) as watch:
        outcome = _run(request, inputs, tagger, basis, watch, clock, note)
    _conclude(inputs, watch)
    record = _record(request, tagger, basis, watch, clock, started, outcome)
    detail(text_of(record), **asdict(record))
    if not outcome.finished:
        return _stopped(request, watch)
    if is_regular(request.options.out):
        write_record(record, beside(request.options.out, ENDING))
    if request.options.out != "-":
        say(f"wrote {one_line(request.name)}")
    return ExitCode.SOME_FAILED if request.budget.is_spent(watch.failed, watch.total) else ExitCode.OK


def _basis(command: str, request: Request, tagger: FaceTagger) -> Basis:
    options = request.options
    faces = "aligned" if options.aligned else options.faces
    return basis_of(
        command, tagger.model, tagger.cascade, tagger.reading, faces, options.boxes, precision=options.precision
    )


def _words(command: str, options: Options) -> dict[str, Any]:
    """The command's options and their values."""
    return {name: said for name, said in vars(options).items() if command == "predict" or name not in OF_PREDICT}


def _run(
    request: Request,
    inputs: Discovery,
    tagger: FaceTagger,
    basis: Basis,
    watch: Watch,
    clock: Stopwatch,
    note: Callable[[ImageRecord], None],
) -> Outcome:
    def seen(record: ImageRecord) -> None:
        watch.seen(record)
        if tagger.given:
            tagger.given.note(record)
        note(record)

    def stop() -> bool:
        return bool(request.signals.received) or request.budget.stops(watch.failed, watch.total)

    draw = tagger.drawer(request.options.draw) if request.options.draw else None
    document = Document(request.options.out, request.format, tagger.attributes or None, request.layout)
    observers = Observers(draw, seen, stop, clock)
    try:
        return run(inputs, tagger.cascade, tagger.reading, document, basis, request.how, observers)
    except OutputLocked:
        if not request.signals.received:
            raise
        return Outcome(False)  # it was stopped while it waited


def _stopped(request: Request, watch: Watch) -> ExitCode:
    goes_on = "its answers so far are written"
    if is_regular(request.options.out):
        goes_on = f"the same command {'without --overwrite ' if request.how.overwrite else ''}goes on"
    if request.signals.received:
        take_leave(f"stopped after {watch.total} input{'s' * (watch.total != 1)}; {goes_on}")
        return request.signals.exit_code
    raise BudgetSpent(
        f"{watch.failed} of {watch.total} inputs failed, more than --fail-on {request.budget.name} allows",
        "see why with -v; when it is mended the same command with --retry-failed goes on",
    )


def _record(
    request: Request, tagger: FaceTagger, basis: Basis, watch: Watch, clock: Stopwatch, started: str, outcome: Outcome
) -> RunRecord:
    ended_by = "a signal" if request.signals.received else "--fail-on"
    return RunRecord(
        command=basis.command,
        outcome="finished" if outcome.finished else f"stopped by {ended_by}",
        started=started,
        ended=now(),
        versions=versions(),
        system=platform.platform(),
        model={"name": tagger.model.name, "digest": tagger.model.fingerprint},
        device=str(tagger.device),
        options=_words(basis.command, request.options),
        basis=asdict(basis),
        basis_digest=basis.digest.hex(),
        counts=watch.by_status(),
        inputs=watch.total,
        faces=watch.faces,
        kept=outcome.kept,
        seconds=round(watch.seconds, 3),
        stages={stage.value: round(taken, 3) for stage, taken in clock.seconds.items()},
        images_per_second=round((watch.total - outcome.kept) / watch.seconds, 3),
    )


def _conclude(inputs: Discovery, watch: Watch) -> None:
    if watch.total:
        watch.tell()
    else:
        say("no image was found there")
    passed = {str(met): count for met, count in inputs.counts.items() if met != "found"}
    listed = ", ".join(f"{count} {met}" for met, count in passed.items())
    detail(f"passed over: {listed or 'nothing'}", passed_over=passed)
