"""What every format keeps to."""

from collections.abc import Sequence
from typing import Any, ClassVar, Protocol, TextIO

from facetag.formats.path_encoding import escape
from facetag.results import SCHEMA_VERSION, FaceResult, ImageResult


class Writer(Protocol):
    """Writes one document to a stream: UTF-8 without newline translation; binary formats use its `buffer`.

    `attributes` are those answered, in the order of ATTRIBUTES; None when faces were only located.
    """

    #: a module of an extra called as the format is, without which it cannot be written or read; empty for none.
    needs: ClassVar[str] = ""

    def __init__(self, stream: TextIO, attributes: Sequence[str] | None) -> None: ...

    def write(self, record: ImageResult) -> None: ...

    def finish(self) -> None:
        """End the document; the stream stays open."""


def input_fields(record: ImageResult) -> dict[str, Any]:
    """What typed formats say of one input; a size that is unknown is None."""
    return {
        "schema_version": SCHEMA_VERSION,
        "path": escape(record.path),
        "status": record.status.value,
        "error": record.error,
        "image_width": record.width or None,
        "image_height": record.height or None,
    }


def located_fields(face: FaceResult) -> dict[str, Any]:
    """What typed formats say of where one face is."""
    box = face.box
    return {"x": box.x, "y": box.y, "width": box.width, "height": box.height, "score": face.score}
