"""What a journal has to know of an input beside its record, inputs that it settles before anybody looks at them, and
answers."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from facetag.results import ImageResult

if TYPE_CHECKING:
    from facetag.pipeline.loader import LoadedImage

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


@dataclass(frozen=True)
class CachedResult:
    """An input of a run with a journal that nobody has to look at.

    Attributes:
        source: None when it could not be read for reasons outside the file: missing, no permission, a broken disk.
        reused: the journal knew the answer.
    """

    record: ImageResult
    source: Source | None = None
    reused: bool = False


@dataclass(frozen=True, eq=False)
class Answer:
    """The record of one input, its pixels where it was looked at, and what a journal wants to know of its file.

    Attributes:
        reused: the journal knew the record.
    """

    record: ImageResult
    image: "LoadedImage | None" = None
    source: Source | None = None
    reused: bool = False


def cached_answer(item: ImageResult | CachedResult) -> Answer:
    """The answer to an input that nobody has to look at."""
    if isinstance(item, CachedResult):
        return Answer(item.record, source=item.source, reused=item.reused)
    return Answer(item)
