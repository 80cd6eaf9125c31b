"""What goes through the pipeline: the file that an input is, its pixels, and its answer."""

from contextlib import nullcontext
from dataclasses import dataclass, field
from math import ceil
from threading import Lock

from facetag.errors import ImageTooLarge
from facetag.images.decode import decode
from facetag.images.pixels import AGAIN
from facetag.images.resample import Image
from facetag.results import ImageResult

VAST = AGAIN  #: pixels; no two larger photographs are decoded again at a time
CACHED_PIXELS = 4_000_000  #: pixels; as many are kept of a photograph that was decoded again, for who asks next
_VAST_LOCK = Lock()
_LARGEST = (1 << 63) - 1  #: that SQLite holds


@dataclass(frozen=True)
class Source:
    """The file that an answer is about, as it was when it was read.

    Attributes:
        size, mtime_ns: as the system says; of a URL, a number made of its ETag is in the place of the time.
        sha256: of its bytes; empty for a file that was not read whole, because its first bytes are no image's.
    """

    size: int
    mtime_ns: int
    sha256: bytes

    @classmethod
    def of(cls, size: int, mtime_ns: int, sha256: bytes) -> "Source":
        """With numbers that a journal holds: a file may be dated beyond what SQLite's 64 bits reach."""
        return cls(min(size, _LARGEST), max(min(mtime_ns, _LARGEST), -_LARGEST), sha256)

    def is_stamped(self, size: int, mtime_ns: int) -> bool:
        """Whether a file of this size and time is, as far as these say, the same one."""
        return Source.of(size, mtime_ns, self.sha256) == self


@dataclass(frozen=True, eq=False)
class Whole:
    """What is left of a photograph that was decoded smaller: its upright size, and its file's bytes."""

    width: int
    height: int
    data: bytes
    max_pixels: int


@dataclass(frozen=True, eq=False)
class LoadedImage:
    """A decoded input.

    Attributes:
        path: as given.
        pixels: (H, W, 3) upright RGB uint8.
        warning: decoding's.
        source: the file, where a journal wants to know it.
        whole: None unless it was decoded smaller.
        again: the pixels when it was decoded again, if they were few.
    """

    path: str
    pixels: Image
    warning: str = ""
    source: Source | None = None
    whole: Whole | None = None
    again: list[Image] = field(default_factory=list)

    @property
    def width(self) -> int:
        """Of the whole photograph, whatever was decoded."""
        return self.whole.width if self.whole else int(self.pixels.shape[1])

    @property
    def height(self) -> int:
        """Of the whole photograph, whatever was decoded."""
        return self.whole.height if self.whole else int(self.pixels.shape[0])

    def at(self, min_size: float) -> Image:
        """Its pixels with at least so many on the longer side, if it has them: decoded again where fewer were.

        Raises:
            MemoryError: memory does not suffice, which is all that can keep from being decoded what was before.
        """
        if self.whole is None:
            return self.pixels
        for pixels in (self.pixels, *self.again):
            if max(pixels.shape) >= min(min_size, max(self.width, self.height)):
                return pixels
        larger = self._decoded(self.whole, ceil(min_size))
        if larger.size <= 3 * CACHED_PIXELS:
            self.again[:] = [larger]
        return larger

    def _decoded(self, whole: Whole, min_size: int) -> Image:
        with _VAST_LOCK if whole.width * whole.height > VAST else nullcontext():
            try:
                return decode(whole.data, max_pixels=whole.max_pixels, min_size=min_size).pixels
            except ImageTooLarge as error:
                raise MemoryError(str(error)) from error


@dataclass(frozen=True, eq=False)
class Answer:
    """The record of one input, and what a journal wants to know of its file.

    Attributes:
        image: its pixels, where it was looked at.
        source: None where no journal asks, or where the file could not be read for reasons outside it: it is missing,
            there is no permission, a disk is broken.
        reused: the journal knew the record.
    """

    record: ImageResult
    image: LoadedImage | None = None
    source: Source | None = None
    reused: bool = False


#: What became of reading one input: an image to look at, or at once its answer.
Item = LoadedImage | Answer


def pixels_of(item: Item) -> int:
    """How many are held in memory; bytes of a file that is kept count as pixels do."""
    if not isinstance(item, LoadedImage):
        return 0
    return (item.pixels.size + (len(item.whole.data) if item.whole else 0)) // 3
