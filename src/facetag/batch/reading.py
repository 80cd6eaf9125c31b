"""Paths to decoded photographs, in order, ahead of their use, in batches; memory stays flat however many there are."""

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from threading import Condition

from facetag.batch.failures import attempt
from facetag.images.decode import MAX_PIXELS, read_image
from facetag.images.resample import Image
from facetag.records import ImageRecord


@dataclass(frozen=True)
class ReadSettings:
    """How photographs are read.

    Attributes:
        max_pixels: larger images are refused by their header.
        strict: refuse truncated JPEGs.
        workers: threads that decode.
        batch: photographs that are answered together, at most.
        batch_pixels: a batch that has this many is full; as many again may lie decoded, waiting for their turn.
    """

    max_pixels: int = MAX_PIXELS
    strict: bool = False
    workers: int = 2
    batch: int = 16
    batch_pixels: int = 100_000_000


@dataclass(frozen=True, eq=False)
class Photo:
    """A decoded input: path as given, pixels (H, W, 3) upright RGB uint8, and decoding's warning."""

    path: str
    pixels: Image
    warning: str = ""

    @property
    def width(self) -> int:
        return int(self.pixels.shape[1])

    @property
    def height(self) -> int:
        return int(self.pixels.shape[0])


#: What became of reading one input: its pixels, or already its record.
Item = Photo | ImageRecord


def read(path: str, settings: ReadSettings) -> Item:
    """Read and decode one input."""

    def work() -> Photo:
        decoded = read_image(path, max_pixels=settings.max_pixels, strict=settings.strict)
        return Photo(path, decoded.pixels, decoded.warning)

    return attempt(path, work)


def read_ahead(paths: Iterable[str], settings: ReadSettings) -> Iterator[Item]:
    """Every input in order, decoded by threads up to two batches ahead of the one that is asked for.

    `paths` may be lazy and endless; it is read no further than that either.
    """
    room = _Room(settings.batch_pixels)
    waiting: deque[Future[Item]] = deque()
    pool = ThreadPoolExecutor(settings.workers, "decode")
    try:
        for number, path in enumerate(paths):
            waiting.append(pool.submit(_read_when_room, path, settings, room, number))
            if len(waiting) > 2 * settings.batch:
                yield room.leave(waiting.popleft().result())
        while waiting:
            yield room.leave(waiting.popleft().result())
    finally:
        room.close()
        pool.shutdown(cancel_futures=True)


def batches(items: Iterable[Item], settings: ReadSettings) -> Iterator[list[Item]]:
    """Items in order, in lists that are full by number or by pixels."""
    batch: list[Item] = []
    for item in items:
        batch.append(item)
        if len(batch) == settings.batch or sum(map(pixels_of, batch)) >= settings.batch_pixels:
            yield batch
            batch = []
    if batch:
        yield batch


def pixels_of(item: Item) -> int:
    """How many are held in memory."""
    return item.width * item.height if isinstance(item, Photo) else 0


class _Room:
    """Pixels that lie decoded and unused. Threads wait while there are too many; whoever is next in line never does,
    so that one huge photograph cannot stop the run."""

    def __init__(self, pixels: int) -> None:
        self._most = pixels
        self._held = 0
        self._next = 0
        self._closed = False
        self._changed = Condition()

    def wait(self, number: int) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._held < self._most or number == self._next or self._closed)

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


def _read_when_room(path: str, settings: ReadSettings, room: _Room, number: int) -> Item:
    room.wait(number)
    return room.enter(read(path, settings))
