"""What every format keeps to."""

from collections.abc import Sequence
from typing import ClassVar, Protocol, TextIO

from facetag.records import ImageRecord


class Writer(Protocol):
    """Writes one document to a stream: UTF-8 without newline translation; binary formats use its `buffer`.

    `attributes` are those answered, in the order of ATTRIBUTES; None when faces were only located.
    """

    #: a module of an extra called as the format is, without which it cannot be written or read; empty for none.
    needs: ClassVar[str] = ""

    def __init__(self, stream: TextIO, attributes: Sequence[str] | None) -> None: ...

    def write(self, record: ImageRecord) -> None: ...

    def finish(self) -> None:
        """End the document; the stream stays open."""
