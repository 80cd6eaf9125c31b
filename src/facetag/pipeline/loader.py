"""Paths to decoded photographs, in order, ahead of their use, in batches; memory stays flat however many there are.

One thread asks for paths, several read and decode, and whoever iterates looks at the photographs meanwhile.
"""

import os
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import closing, nullcontext
from dataclasses import dataclass, field, replace
from functools import partial
from queue import Empty, SimpleQueue
from threading import Condition, Semaphore, Thread
from time import monotonic

from facetag.images.decode import MAX_PIXELS, File, Raw, decode, read_file
from facetag.images.pixels import budget
from facetag.pipeline.batch_size import BatchSize
from facetag.pipeline.failures import attempt, wants_memory
from facetag.pipeline.image_memory import ImageMemory
from facetag.pipeline.items import VAST, Answer, Item, LoadedImage, Source, Whole, pixels_of
from facetag.pipeline.timing import Stage, Stopwatch
from facetag.remote.url import as_url
from facetag.results import ImageResult

PATIENCE = 0.5  #: seconds without a further path after which a batch goes as it is
THREAD_NAME = "decode"  #: how the names of the threads begin that read and decode
MOST_ITEMS = 4  #: inputs in a batch, at most, for each photograph that it may hold


@dataclass(frozen=True)
class ReadSettings:
    """How photographs are read.

    Attributes:
        max_pixels: larger images are refused by their header.
        strict: refuse what would have a warning.
        workers: threads that decode.
        batch: photographs that are answered together, at most.
        inference_workers: batches that are looked at side by side.
        batch_pixels: as many may be looked at, and as many again lie decoded, waiting for their turn; so a batch that
            has a looker's share of it is full.
        folder: that relative paths are seen from; empty for the current one.
        min_size: JPEGs may be decoded smaller as long as the longer side has so many pixels; 0 = never.
        raw: what becomes of camera raw, as for `decode`.
        claim: told how many bytes the pixels of the photograph in hand will take; may wait until there is room.
    """

    max_pixels: int = MAX_PIXELS
    strict: bool = False
    workers: int = 2
    batch: int = 16
    inference_workers: int = 1
    batch_pixels: int = 100_000_000
    folder: str = ""
    min_size: int = 0
    raw: Raw = "refuse"
    claim: Callable[[int], None] = lambda taken: None

    @property
    def held_pixels(self) -> int:
        """`batch_pixels`, or fewer where `max_pixels` says that memory is short."""
        return min(self.batch_pixels, max(self.max_pixels // 2, 1))

    def location(self, path: str) -> str:
        """What to open."""
        return as_url(path) or os.path.join(self.folder, path)


#: Reads one input; threads call it, several at a time.
Reader = Callable[[str, ReadSettings], Item]


def read(path: str, settings: ReadSettings) -> Item:
    """Read and decode one input."""
    return attempted(path, lambda: decoded_image(path, read_file(settings.location(path), raw=settings.raw), settings))


def attempted(path: str, load: Callable[[], Item], source: Source | None = None) -> Item:
    """What `load` returns, or the answer that says why it could not; of a file that was read, with its source."""
    loaded = attempt(path, load)
    return Answer(loaded, source=source) if isinstance(loaded, ImageResult) else loaded


def decoded_image(path: str, file: File, settings: ReadSettings, source: Source | None = None) -> LoadedImage:
    """The photograph of a file that was read.

    Raises:
        ImageError: as `decode` says.
    """
    decoded = decode(
        file.data,
        max_pixels=settings.max_pixels,
        strict=settings.strict,
        min_size=settings.min_size,
        name=path,
        raw=settings.raw,
        claim=settings.claim,
    )
    width, height = decoded.width, decoded.height
    smaller = decoded.pixels.shape[:2] != (height, width)
    whole = Whole(width, height, file.data, settings.max_pixels) if smaller else None
    return LoadedImage(path, decoded.pixels, decoded.warning, source, whole)


def read_ahead(
    paths: Iterable[str], settings: ReadSettings, size: BatchSize, clock: Stopwatch, reader: Reader = read
) -> Generator[Item | None, None, None]:
    """Every input in order, decoded by threads ahead of the one that is asked for; None when none has come for a while.

    `paths` may be lazy, slow and endless. It is iterated in a thread of its own, two full batches ahead at most; its
    errors come out here.
    """
    ahead = _Ahead(settings, size, clock, reader)
    try:
        ahead.start(paths)
        yield from ahead.items()
    finally:
        ahead.close()


def batches(items: Iterable[Item | None], size: BatchSize, settings: ReadSettings) -> Generator[list[Item], None, None]:
    """Items in order, in lists that are full by number or by pixels; what there is, even nothing, when no more comes
    for a while: whoever is told to stop then notices.

    Few of the inputs of an update are photographs to look at, so records alone fill a list more slowly.
    """
    batch: list[Item] = []
    with closing(items) if isinstance(items, Generator) else nullcontext():
        for item in items:
            if item is not None:
                batch.append(item)
            ends = item is None or _is_full(batch, size, settings)
            item = None  # nor is the last one kept while the next one is waited for
            if ends:
                yield batch
                batch = []
        if batch:
            yield batch


def _is_full(batch: Sequence[Item], size: BatchSize, settings: ReadSettings) -> bool:
    """Whether the batch takes no more."""
    most = settings.held_pixels * size.fraction / settings.inference_workers
    images = sum(isinstance(item, LoadedImage) for item in batch)
    return images >= size.now or len(batch) >= MOST_ITEMS * size.now or sum(map(pixels_of, batch)) >= most


class _Room:
    """Pixels that lie decoded and unused. Threads wait while there are too many; whoever is next in line never does,
    so that one huge photograph cannot stop the run."""

    def __init__(self, pixels: int, size: BatchSize) -> None:
        self._most = pixels
        self._size = size
        self._held = 0
        self._next = 0
        self._closed = False
        self._changed = Condition()

    def wait(self, number: int) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._held < self._limit or number == self._next or self._closed)

    def wait_for_turn(self, number: int) -> None:
        with self._changed:
            self._changed.wait_for(lambda: number == self._next or self._closed)

    @property
    def _limit(self) -> float:
        return self._most * self._size.fraction

    def enter(self, item: Item) -> Item:
        with self._changed:
            self._held += pixels_of(item)
        return item

    def leave(self, item: Item) -> Item:
        with self._changed:
            self._held -= pixels_of(item)
            self._next += 1
            self._changed.notify_all()
        return item

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify_all()


class _Ahead:
    """The threads behind `read_ahead`, and the line in which their answers wait.

    They are daemons: one may wait forever for a list's next line, another decode for minutes, and the program is to end
    nevertheless.
    """

    def __init__(self, settings: ReadSettings, size: BatchSize, clock: Stopwatch, reader: Reader) -> None:
        self._settings, self._size, self._clock, self._reader = settings, size, clock, reader
        self._room = _Room(settings.held_pixels, size)
        self._memory = ImageMemory(budget(settings.max_pixels))
        self._slots = Semaphore(2 * MOST_ITEMS * settings.batch)
        self._line: SimpleQueue[Future[Item] | None] = SimpleQueue()
        self._first: Future[Item] | None = None
        self._tasks: SimpleQueue[_Task | None] = SimpleQueue()
        self._decoders = [
            Thread(target=self._work, name=f"{THREAD_NAME}_{n}", daemon=True) for n in range(settings.workers)
        ]
        self._closed = False

    def start(self, paths: Iterable[str]) -> None:
        for thread in self._decoders:
            thread.start()
        Thread(target=self._feed, args=(paths,), name="discover", daemon=True).start()

    def items(self) -> Iterator[Item | None]:
        while True:
            try:
                with self._clock.stage(Stage.WAIT):
                    item = self._next()
            except Empty:
                yield None
                continue
            if item is None:
                return
            self._slots.release()
            yield self._room.leave(item)
            del item  # its memory may be what the next one waits for

    def _next(self) -> Item | None:
        """The next item, None behind the last one.

        Raises:
            Empty: there has been none for a while.
        """
        self._first = self._first or self._line.get(timeout=PATIENCE)
        if self._first is None:
            return None
        try:
            item = self._first.result(timeout=PATIENCE)
        except TimeoutError:
            if self._first.done():
                raise
            raise Empty from None
        self._first = None
        return item

    def close(self) -> None:
        """Wait a moment for whoever reads, and for nobody who decodes."""
        self._closed = True
        self._room.close()
        self._memory.close()
        self._slots.release()
        for _ in self._decoders:
            self._tasks.put(None)
        deadline = monotonic() + PATIENCE
        for thread in self._decoders:
            if thread.ident:
                thread.join(max(deadline - monotonic(), 0))

    def _feed(self, paths: Iterable[str]) -> None:
        """Hand out the paths; an error among them takes its place in the line."""
        try:
            for number, path in enumerate(self._timed(paths)):
                self._slots.acquire()
                if self._closed:
                    return
                task = _Task(path, number)
                self._line.put(task.answer)
                self._tasks.put(task)
            self._line.put(None)
        except Exception as error:  # noqa: BLE001 - raised again by whoever takes it out of the line
            failed: Future[Item] = Future()
            failed.set_exception(error)
            self._line.put(failed)

    def _timed(self, paths: Iterable[str]) -> Iterator[str]:
        stream = iter(paths)
        while True:
            with self._clock.stage(Stage.DISCOVER):
                path = next(stream, None)
            if path is None:
                return
            yield path

    def _work(self) -> None:
        while (task := self._tasks.get()) and not self._closed:
            try:
                task.answer.set_result(self._read(task.path, task.number))
            except BaseException as error:  # noqa: BLE001 - raised again by whoever takes it out of the line
                task.answer.set_exception(error)
            del task  # nor is what it answered kept while the next one is waited for

    def _read(self, path: str, number: int) -> Item:
        self._room.wait(number)
        with self._memory.passing(number):
            item = self._decode(path, number)
            if _ran_out(item):
                self._size.ran_out(self._size.now)  # so that less lies decoded from now on
                self._room.wait_for_turn(number)
                item = self._decode(path, number)
        if isinstance(item, LoadedImage):
            self._memory.keep(number, item, _bytes_of(item))
        return self._room.enter(item)

    def _decode(self, path: str, number: int) -> Item:
        with self._clock.stage(Stage.DECODE):
            return self._reader(path, replace(self._settings, claim=partial(self._memory.claim, number)))


@dataclass(frozen=True, eq=False)
class _Task:
    """A path to read, its number among all, and what becomes of it."""

    path: str
    number: int
    answer: "Future[Item]" = field(default_factory=Future)


def _bytes_of(image: LoadedImage) -> int | None:
    """What a photograph holds; None = all that was claimed, because it may be decoded whole."""
    if image.whole and image.width * image.height > VAST:
        return None
    return int(image.pixels.size) + (len(image.whole.data) if image.whole else 0)


def _ran_out(item: Item) -> bool:
    """Whether memory did just now; what a journal keeps of an earlier run says nothing of this one's."""
    return isinstance(item, Answer) and not item.reused and wants_memory(item.record)
