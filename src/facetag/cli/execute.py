"""How `predict` and `localize` run, once all is loaded: to a document, the run's record and an exit code."""

import os
import platform
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import partial
from typing import Any

from facetag.cli.console import complain, detail, print_path, say, take_leave
from facetag.cli.options import OF_PREDICT, Options
from facetag.cli.progress import Watch
from facetag.cli.request import Asked, Request
from facetag.cluster.versions import versions
from facetag.errors import BudgetSpent, ExitCode, InputsFailed, OutputLocked, UsageError
from facetag.formats.path_encoding import one_line
from facetag.images.discover import Discovery
from facetag.pipeline.question import Question
from facetag.pipeline.timing import Stopwatch
from facetag.results import ImageResult
from facetag.runs.cache_key import CacheKey, cache_key_of
from facetag.runs.dry_run import Prospect, dry_run
from facetag.runs.listing import Listing
from facetag.runs.run import Document, Fate, Observers, Outcome, run
from facetag.runs.run_report import RunRecord, now, refuse_other_files, text_of, write_record


def carry_out(
    command: str,
    request: Request,
    inputs: Discovery,
    asked: Asked,
    note: Callable[[ImageResult], None] = lambda record: None,
) -> ExitCode:
    """Run a command, say how it went, and write the run's record; `note` is told of each result too.

    Returns:
        OK, SOME_FAILED when the budget is spent at the end, or that of the signal that ended the run early.

    Raises:
        BudgetSpent: so many inputs failed that the run was stopped.
        FacetagError: see `runs.run.run`.
    """
    files = request.files
    if files:
        refuse_other_files(files.report)
    if request.how.overwrite or not files or not os.path.exists(files.journal):
        asked.engine.loaded()  # no answer is known
    clock, started, cache_key = Stopwatch(), now(), cache_key_of(command, asked.question)
    listing = Listing(inputs, request.how.shard.keeps)
    with (
        request.signals.stepping(),
        Watch(request.shows_bar, listing, inputs.was_missing, lambda: asked.seconds) as watch,
    ):
        outcome = _run(request, listing, asked, cache_key, watch, clock, note)
    passed_over = _conclude(inputs, watch, outcome if files else None)
    record = _record(request, asked, cache_key, watch, clock, started, outcome, passed_over)
    detail(text_of(record), **asdict(record))
    if not outcome.finished:
        return _stopped(request, watch)
    if not files:
        _refuse_strange_boxes(asked.question, request)  # what streams is written before this can be known
    else:
        write_record(record, files.report)
    if request.options.out != "-":
        say(f"wrote {one_line(request.name)}")
    return _judged(request, watch)


def _judged(request: Request, watch: Watch) -> ExitCode:
    """The exit code of a finished run; one line when too many inputs failed, however quiet it is to be."""
    if not request.budget.is_spent(watch.failed, watch.total):
        return ExitCode.OK
    error = InputsFailed(
        f"{watch.failed} of {watch.total} inputs failed, more than --fail-on {request.budget.name} allows",
        "the column error says why",
    )
    complain(str(error), exit_code=int(error.exit_code))
    return error.exit_code


def foresee(command: str, request: Request, inputs: Discovery, asked: Asked) -> ExitCode:
    """Print what a run would read, say what it would keep, and change nothing."""
    counts = Counter[Prospect]()
    cache_key = cache_key_of(command, asked.question)
    for path, prospect in dry_run(inputs, asked.engine, request.files, cache_key, request.how):
        counts[prospect] += 1
        if prospect is not Prospect.KEPT:
            print_path(path)
    listed = ", ".join(f"{counts[prospect]} {prospect}" for prospect in Prospect)
    unknown = counts[Prospect.CHANGED] + counts[Prospect.NEW]
    fields = {str(prospect): count for prospect, count in counts.items()}
    say(
        f"{counts.total()} inputs: {listed}; {unknown} would be read, and tagged unless their content is known",
        **fields,
    )
    return ExitCode.OK


def _options_given(command: str, options: Options) -> dict[str, Any]:
    """The command's options and their values."""
    return {name: said for name, said in vars(options).items() if command == "predict" or name not in OF_PREDICT}


def _run(
    request: Request,
    inputs: Listing,
    asked: Asked,
    cache_key: CacheKey,
    watch: Watch,
    clock: Stopwatch,
    note: Callable[[ImageResult], None],
) -> Outcome:
    question = asked.question

    def seen(record: ImageResult, fate: Fate) -> None:
        watch.seen(record, fate)
        if question.given:
            question.given.note(record)
        note(record)

    def stop() -> bool:
        is_hopeless = watch.is_before_its_end and request.budget.stops(watch.failed_now, watch.known_total)
        return bool(request.signals.received) or is_hopeless

    draw = asked.drawer(request.options.draw) if request.options.draw else None
    attributes = question.attributes or None
    options = request.options
    document = Document(options.out, request.format, attributes, question.decide, request.layout, options.journal)
    observers = Observers(draw, seen, stop, clock, before_writing=partial(_refuse_strange_boxes, question, request))
    try:
        return run(inputs, asked.engine, document, cache_key, request.how, observers)
    except OutputLocked:
        if not request.signals.received:
            raise
        return Outcome(False)  # it was stopped while it waited


def _refuse_strange_boxes(question: Question, request: Request) -> None:
    """No input has a name that the user's boxes have: the file is most likely of other images.

    Raises:
        UsageError: so it is.
    """
    given = question.given
    if given and given.is_unused and given.unnamed and request.how.shard.count == 1:
        raise UsageError(
            f"no input has a name that {request.options.boxes} has",
            "write its names as the inputs are named, or use --relative-to",
        )


def _stopped(request: Request, watch: Watch) -> ExitCode:
    goes_on = "its answers so far are written"
    if request.files:
        goes_on = f"the same command {'without --overwrite ' if request.how.overwrite else ''}goes on"
    if request.signals.received:
        take_leave(f"stopped after {watch.total} input{'s' * (watch.total != 1)}; {goes_on}")
        return request.signals.exit_code
    raise BudgetSpent(
        f"{watch.failed_now} of {watch.known_total} inputs failed, more than --fail-on {request.budget.name} allows",
        "see why with -v; when it is mended the same command with --retry-failed goes on",
    )


def _record(
    request: Request,
    asked: Asked,
    cache_key: CacheKey,
    watch: Watch,
    clock: Stopwatch,
    started: str,
    outcome: Outcome,
    passed_over: Mapping[str, int],
) -> RunRecord:
    ended_by = "a signal" if request.signals.received else "--fail-on"
    return RunRecord(
        command=cache_key.command,
        outcome="finished" if outcome.finished else f"stopped by {ended_by}",
        started=started,
        ended=now(),
        versions=versions(),
        system=platform.platform(),
        model={"name": asked.question.model.name, "digest": asked.question.model.fingerprint},
        device=asked.device,
        options=_options_given(cache_key.command, request.options),
        basis=asdict(cache_key),
        basis_digest=cache_key.digest.hex(),
        counts=watch.by_status(),
        inputs=watch.total,
        faces=watch.faces,
        kept=outcome.reused,
        new=watch.fates[Fate.NEW],
        changed=watch.fates[Fate.CHANGED],
        gone=outcome.gone,
        passed_over=passed_over,
        seconds=round(watch.seconds, 3),
        stages={stage.value: round(taken, 3) for stage, taken in clock.seconds.items()},
        images_per_second=round(watch.rate, 3),
    )


def _conclude(inputs: Discovery, watch: Watch, outcome: Outcome | None) -> dict[str, int]:
    """Say how it went; `outcome` is None where no output lay there before.

    Returns:
        What discovery passed over, by reason.
    """
    passed = {str(seen): count for seen, count in inputs.counts.items() if seen != "found"}
    if watch.total:
        gone = None if outcome is None else max(outcome.gone, 0) if outcome.finished else 0
        watch.conclude(gone, sum(passed.values()))
    else:
        say("no image was found there")
    listed = ", ".join(f"{count} {seen}" for seen, count in passed.items())
    detail(f"passed over: {listed or 'nothing'}", passed_over=passed)
    return passed
