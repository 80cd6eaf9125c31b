"""What a journal has to know of an input beside its record, and inputs that it settles before anybody looks at them."""

from dataclasses import dataclass

from facetag.results import ImageRecord


@dataclass(frozen=True)
class Source:
    """The file that an answer is about, as it was when it was read.

    Attributes:
        size, mtime_ns: as the system says.
        sha256: of its bytes; empty for a file that was not read whole, because its first bytes are no image's.
    """

    size: int
    mtime_ns: int
    sha256: bytes


@dataclass(frozen=True)
class Settled:
    """An input of a run with a journal that nobody has to look at.

    Attributes:
        source: None when it could not be read for reasons outside the file: missing, no permission, a broken disk.
        kept: the journal knew the answer.
    """

    record: ImageRecord
    source: Source | None = None
    kept: bool = False
