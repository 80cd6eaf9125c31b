"""A whole run: inputs in, a document out. After a kill the same run goes on with what its journal holds."""

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING

from facetag.errors import Stopped, UsageError, writing
from facetag.formats.destination import (
    Passing,
    as_it_is,
    is_regular,
    open_output,
    refuse_foreign,
    refuse_lost_journal,
    unheeded,
)
from facetag.formats.part_folder import is_folder
from facetag.formats.parts import PartsWriter
from facetag.formats.writers import writer_of
from facetag.formats.writers.base import Writer
from facetag.formats.writers.layout import Layout
from facetag.pipeline.engine import Answering
from facetag.pipeline.failures import NOT_DRAWN, remarked
from facetag.pipeline.items import Answer
from facetag.pipeline.timing import Stage, Stopwatch
from facetag.results import ImageResult
from facetag.runs.appending import as_seen, indices
from facetag.runs.cache_key import CacheKey
from facetag.runs.cached_reader import Recall
from facetag.runs.journal import Journal, make_journal, refuse_other_programs, remove_journal
from facetag.runs.run_files import RunFiles
from facetag.runs.shards import WHOLE, Enumeration, Shard

if TYPE_CHECKING:
    from facetag.pipeline.drawing import Drawer

_log = logging.getLogger("facetag")


@dataclass(frozen=True)
class RunSettings:
    """How a run deals with an earlier run's output; a document that is no regular file has none.

    Attributes:
        overwrite: forget the earlier run.
        retry_failed: do again what failed.
        rehash: believe contents only, not size and time of change.
        prune: let vanished inputs leave the output however many they are.
        lock_wait: seconds to wait for another run at the same output.
        shard: the part of the inputs that is answered.
        append: what the earlier run answered stays, in its order; new inputs come behind.
        arguments: digest of what the command was given to read; a run with others would drop the earlier one's rows.
            Empty when that does not matter.
    """

    overwrite: bool = False
    retry_failed: bool = False
    rehash: bool = False
    prune: bool = False
    lock_wait: float = 0.0
    shard: Shard = WHOLE
    append: bool = False
    arguments: str = ""


@dataclass(frozen=True)
class Document:
    """What is written.

    Attributes:
        out: a file, or - for standard output.
        format: of WRITERS.
        attributes: those written; None when faces are only located.
        decide: from a stored result to what is written of it: the chosen attributes and the tags.
        layout: of a table, where it is not the usual one.
        journal: its path, where it does not lie beside `out`.
    """

    out: str
    format: str
    attributes: Sequence[str] | None
    decide: Callable[[ImageResult], ImageResult] = lambda record: record
    layout: Layout | None = None
    journal: str | None = None

    @property
    def files(self) -> RunFiles:
        """Of a run that writes it."""
        return RunFiles.of(self.out, self.journal)

    @property
    def name(self) -> str:
        """What errors call it."""
        return "standard output" if self.out == "-" else self.out

    @property
    def layout_text(self) -> str:
        """What the journal is told of the layout; empty for the usual one."""
        return self.layout.text if self.layout else ""


class Fate(StrEnum):
    """What an input is to an output that may have been there before."""

    NEW = "new"  #: its path was not answered before
    CHANGED = "changed"  #: it was, and is answered anew: the file, the model or a setting is another, or it failed
    REUSED = "reused"  #: the answer was known, from an earlier run or from an equal file


@dataclass(frozen=True, eq=False)
class Observers:
    """Who looks on.

    Attributes:
        draw: makes drawings too.
        seen: told of each record, as it is written, and its Fate, in order, once nothing can take it back; what it
            raises ends the run.
        stop: asked after each batch whether to end early.
        clock: told where the time goes.
        before_writing: called when every input is answered; what it raises ends the run.
        at: passed each point at which the run's death must do no harm (see `formats.destination`, `runs.journal`).
    """

    draw: "Drawer | None" = None
    seen: Callable[[ImageResult, Fate], None] = lambda record, fate: None
    stop: Callable[[], bool] = lambda: False
    clock: Stopwatch = field(default_factory=Stopwatch)
    at: Passing = unheeded
    before_writing: Callable[[], None] = lambda: None


@dataclass(frozen=True)
class Outcome:
    """How a run ended.

    Attributes:
        finished: False when it was stopped early; a file was not written then, but the same command goes on.
        reused: inputs whose answer was known, from an earlier run or from an equal file in this one.
        gone: inputs of the output before that are not in this one's.
        damaged: known answers that failed their check and were made again.
    """

    finished: bool
    reused: int = 0
    gone: int = 0
    damaged: int = 0


def run(
    paths: Iterable[str],
    engine: Answering,
    document: Document,
    cache_key: CacheKey,
    settings: RunSettings | None = None,
    observers: Observers | None = None,
) -> Outcome:
    """Write the record of every path, in order.

    A regular file, and what lies at a URL, has a journal: what it knows is not done again, and the file is written
    from it, whole, when every path has been met. All else is written as answers come.

    Args:
        engine: loaded when there is an image that must be looked at.
        cache_key: all that answers depend on; that of the engine.

    Raises:
        OutputLocked: another run writes this file.
        JournalError: what lies beside the file is no journal that this run could go on with.
        InputsGone: most inputs of the earlier run are gone.
        UsageError: the file is not facetag's, or of a run that was given other inputs.
        FacetagError: the document, its journal or a drawing cannot be written.
    """
    settings, observers = settings or RunSettings(), observers or Observers()
    if not is_regular(document.out):
        return _stream(filter(settings.shard.keeps, paths), engine, document, observers)
    files = document.files
    with files.locked(settings.lock_wait, observers.stop) as for_sqlite:
        path = files.journal
        document = replace(document, out=as_it_is(document.out))
        if settings.overwrite:
            refuse_other_programs(path)
            remove_journal(path)
        else:
            refuse_foreign(document.out, files.know_out)
        if settings.append:
            refuse_lost_journal(document.out, path)
        make_journal(path, document.out)
        try:
            with Journal(
                path,
                cache_key,
                observers.at,
                settings.shard,
                settings.arguments,
                observers.stop,
                for_sqlite,
                settings.append,
            ) as journal:
                return _go_on(journal, paths, engine, document, settings, observers)
        except Stopped:
            return Outcome(False)


def _go_on(
    journal: Journal,
    paths: Iterable[str],
    engine: Answering,
    document: Document,
    settings: RunSettings,
    observers: Observers,
) -> Outcome:
    """Answer what the journal does not know, and write the document from it."""
    enough, by_path = suffices(settings, observers.draw), journal.cache_key.by_path
    recall = Recall(journal, settings.rehash, by_path, enough, engine.stored, engine.reading)
    free = journal.begin([engine.start.folder])
    if settings.append:
        whole = Enumeration(map(as_seen(journal, engine.start), paths), settings.shard, indices(journal, free))
    else:
        whole = Enumeration(paths, settings.shard)
    outcome = _answer(whole, engine, document, recall, observers)
    if not outcome.finished:
        return outcome
    observers.before_writing()
    if not settings.prune and not settings.append:
        journal.refuse_emptying(document.out)
    with observers.clock.stage(Stage.WRITE):
        publish(journal.records(), document, observers.at)
        inputs, digest = journal.seen() if settings.append else (whole.inputs, whole.digest)
        if settings.append and (others := journal.count_of_others()):
            _log.warning("%s keeps %d answers of another model or other settings", document.name, others)
        forgotten = journal.finish(inputs, digest, document.layout_text)
    return replace(outcome, gone=outcome.gone + forgotten, damaged=journal.damaged)


def _answer(
    whole: Enumeration,
    engine: Answering,
    document: Document,
    recall: Recall,
    observers: Observers,
) -> Outcome:
    """Note the answer to every path of the shard in the journal, a commit a batch."""
    journal, reused, unread = recall.journal, 0, 0
    batches = engine.answered(whole, observers.clock, recall)
    with closing(batches):
        for batch in batches:
            with observers.clock.stage(Stage.WRITE):
                answered = [_drawn(answer, document, observers.draw) for answer in batch]
                del batch  # its photographs are not kept while the next ones gather
                fates = [_fate(journal, answer) for answer in answered]
                for answer in answered:
                    _note(journal, whole.indices.pop(answer.record.path), answer)
                journal.commit()
            reused += sum(answer.reused for answer in answered)
            both = zip(answered, fates, strict=True)
            unread += sum(answer.source is None and fate is Fate.CHANGED for answer, fate in both)
            for answer, fate in zip(answered, fates, strict=True):
                observers.seen(document.decide(answer.record), fate)
            if observers.stop():
                return Outcome(False, reused)
    return Outcome(True, reused, -unread)  # they are forgotten, but not gone


def _fate(journal: Journal, answer: Answer) -> Fate:
    """Before it is noted."""
    if answer.reused:
        return Fate.REUSED
    return Fate.CHANGED if journal.had(answer.record.path) else Fate.NEW


def _drawn(answer: Answer, document: Document, draw: "Drawer | None") -> Answer:
    """Without its photograph, which is drawn where that is asked for; one that cannot be has a remark."""
    image, record = answer.image, answer.record
    if draw and image:
        record = remarked(record, NOT_DRAWN, partial(draw, image, document.decide(record)))
    return replace(answer, record=record, image=None)


def _note(journal: Journal, index: int, answer: Answer) -> None:
    if answer.reused and answer.source is None:
        journal.keep(index, answer.record.path)
    else:
        journal.add(index, answer.record, answer.source)


def suffices(settings: RunSettings, draw: "Drawer | None") -> Callable[[ImageResult], bool]:
    """Whether a known record is kept: failures are tried again when asked, and what was not drawn yet is, or could not
    be."""

    def is_enough(record: ImageResult) -> bool:
        if settings.retry_failed and record.status.is_failure:
            return False
        if NOT_DRAWN in record.error:
            return False
        return draw is None or not record.width or draw.has(record.path)

    return is_enough


def publish(records: Iterable[ImageResult], document: Document, at: Passing = unheeded) -> None:
    """Write the whole document; a regular file is replaced when all went well.

    Raises:
        UsageError: as `_decided`.
        FacetagError: as `open_output`.
    """
    with _writer(document, at) as writer:
        for record in records:
            with writing(document.name):
                writer.write(_decided(record, document))


def _decided(record: ImageResult, document: Document) -> ImageResult:
    """What is written of it.

    Raises:
        UsageError: it was kept from a run that did not answer every attribute that is written.
    """
    try:
        return document.decide(record)
    except KeyError as error:
        raise UsageError(
            f"{document.name} keeps faces without {error.args[0]}, of another model or other --exclude-attributes",
            "append with the same ones, or choose another --out",
        ) from error


@contextmanager
def _writer(document: Document, at: Passing = unheeded) -> Iterator[Writer | PartsWriter]:
    """To a file, or to a folder of parts; the document ends when all went well."""
    start = partial(writer_of, document.format, attributes=document.attributes, layout=document.layout)
    if is_folder(document.out):
        with closing(PartsWriter(document.out, start, at)) as parts:
            yield parts
            with writing(document.name):
                parts.finish()
        return
    with open_output(document.out, at) as stream:
        with writing(document.name):
            writer = start(stream)
        yield writer
        with writing(document.name):
            writer.finish()


def _stream(paths: Iterable[str], engine: Answering, document: Document, observers: Observers) -> Outcome:
    """Answers straight to the document, which is ended properly when the run is stopped."""
    finished = True
    engine.loaded()
    batches = engine.answered(paths, observers.clock, None)
    with closing(batches), _writer(document) as writer:
        for batch in batches:
            answered = [_drawn(answer, document, observers.draw) for answer in batch]
            del batch  # its photographs are not kept while the next ones gather
            for answer in answered:
                with observers.clock.stage(Stage.WRITE), writing(document.name):
                    writer.write(document.decide(answer.record))
                observers.seen(document.decide(answer.record), Fate.NEW)
            if observers.stop():
                finished = False
                break
    return Outcome(finished)
