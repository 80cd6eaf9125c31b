"""What answers images, loaded when the first one has to be looked at: a run whose answers are all known loads no
network, and none of the libraries that networks need."""

from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import replace
from functools import partial
from itertools import chain
from threading import Lock
from typing import TYPE_CHECKING, Any, Protocol, Self

from facetag.pipeline.batch_size import BatchSize
from facetag.pipeline.items import Answer, Item, LoadedImage, Source
from facetag.pipeline.loader import MOST_ITEMS, Reader, ReadSettings, batches, read, read_ahead
from facetag.pipeline.timing import Stopwatch

if TYPE_CHECKING:
    from facetag.pipeline.stages import Cascade


class Recollection(Protocol):
    """What a run with a journal knows (`runs.cached_reader`): a Reader, and its parts for who reads elsewhere."""

    def __call__(self, path: str, settings: ReadSettings) -> Item:
        """Read one input, unless it is known."""

    def journalled(self, path: str) -> Any:
        """What the journal knows of a path, for the two below; None when that is nothing."""

    def unopened(self, known: Any, location: str) -> Answer | None:
        """The answer to a file that need not be opened; None when it has to be read."""

    def by_content(self, path: str, known: Any, source: Source, kind: str) -> Answer | None:
        """The answer to a file of this content; None when it has to be decoded."""


class Answering(Protocol):
    """What a run has images answered by: an Engine here, or a cluster.

    Attributes:
        stored: attributes that its answers have; None when faces are only located.
        start: how images are read as far as that is known now.
    """

    @property
    def stored(self) -> tuple[str, ...] | None: ...

    @property
    def start(self) -> ReadSettings: ...

    def loaded(self) -> object:
        """Ready to look at images; raises where it cannot be."""

    def reading(self, early: ReadSettings) -> ReadSettings:
        """How an image is to be decoded that was to be read in the early way."""

    def answered(
        self, paths: Iterable[str], clock: Stopwatch, memory: Recollection | None
    ) -> Generator[list[Answer], None, None]:
        """One answer per path, in batches, in any order where there is a memory."""


class Engine:
    """A cascade, and how images are read for it. Threads share one.

    Attributes:
        early: how images are read, as far as that is known before anything is loaded.
        stored: attributes that its answers have; None when faces are only located.
    """

    def __init__(
        self,
        early: ReadSettings,
        stored: tuple[str, ...] | None,
        load: "Callable[[], tuple[Cascade, ReadSettings]]",
    ) -> None:
        """`load` is called once, by whichever thread has the first image to decode; what it raises ends the run."""
        self.early, self.stored, self._load = early, stored, load
        self._loaded: tuple[Cascade, ReadSettings] | None = None
        self._error: Exception | None = None
        self._lock = Lock()

    @classmethod
    def of(cls, cascade: "Cascade", reading: ReadSettings) -> Self:
        """One that is loaded already."""
        return cls(reading, cascade.tag.names if cascade.tag else None, lambda: (cascade, reading))

    def loaded(self) -> "tuple[Cascade, ReadSettings]":
        """The cascade and all of how images are read for it."""
        with self._lock:
            if self._error:
                raise self._error
            try:
                self._loaded = self._loaded or self._load()
            except Exception as error:
                self._error = error  # no other thread is to try again while the run ends
                raise
            return self._loaded

    @property
    def start(self) -> ReadSettings:
        """How images are read as far as that is known now."""
        return self._loaded[1] if self._loaded else self.early

    def reading(self, early: ReadSettings) -> ReadSettings:
        """How an image is to be decoded that a thread was to read in the early way."""
        return replace(self.loaded()[1], claim=early.claim)

    def answered(
        self, paths: Iterable[str], clock: Stopwatch, memory: Recollection | None
    ) -> Generator[list[Answer], None, None]:
        """One answer per path, in order; see `answered_batches`."""
        return answered_batches(paths, self, clock, memory or read)


def answered_batches(
    paths: Iterable[str], engine: Engine, clock: Stopwatch, reader: Reader
) -> Generator[list[Answer], None, None]:
    """One answer per path, in order, in the batches that were looked at together; meanwhile others are decoded.

    While no path comes there is an empty batch now and then, so that whoever iterates can end the run.

    Args:
        paths: may be lazy, slow and endless; iterated in a thread of its own.
        engine: loaded when there is the first image, if the reader did not do so before (`Engine.reading`).
        clock: told where the time goes.
        reader: from a path to its image, or at once to its record; called by several threads.
    """
    size = BatchSize(engine.start.batch)
    with closing(read_ahead(paths, engine.start, size, clock, reader)) as items:
        known: list[Item] = []
        for item in items:
            known += [] if item is None else [item]
            if isinstance(item, LoadedImage):
                break
            if item is None or len(known) >= MOST_ITEMS * size.now:
                yield _cached_answers(known)
                known = []
        else:
            if known:
                yield _cached_answers(known)
            return
        first, known, item = iter(known), [], None  # nobody keeps the image once it was looked at
        yield from _inferred(chain(first, items), engine, size, clock)


def _cached_answers(items: Iterable[Item]) -> list[Answer]:
    return [item for item in items if isinstance(item, Answer)]


def _inferred(
    items: Iterator[Item | None], engine: Engine, size: BatchSize, clock: Stopwatch
) -> Generator[list[Answer], None, None]:
    from facetag.pipeline.stages import answer_batch
    from facetag.pipeline.workers import in_parallel

    cascade, reading = engine.loaded()
    size.widen(reading.batch)
    infer = partial(answer_batch, cascade=cascade, size=size, clock=clock)
    yield from in_parallel(batches(items, size, reading), infer, reading.inference_workers)
