"""Tables of text: CSV and TSV.

A table has one row a face, and one row for an input without any:
    schema_version, path, status
    error                   of a failure, or a warning
    image_width, image_height   pixels, upright; empty when unknown
    face, faces             1 .. faces, and how many; face is empty when there is none, both when nobody could look
    x, y, width, height     of the face in pixels of the upright image, to a tenth
    score                   of the localization
    tags                    attributes decided present, joined by `;`
    unsure                  attributes whose probability is too near the threshold to decide, joined by `;`
    one column an attribute     its probability
"""

import csv
from collections.abc import Iterator, Sequence
from typing import Any, TextIO

from facetag.formats.path_encoding import escape
from facetag.formats.writers.base import Writer
from facetag.results import SCHEMA_VERSION, FaceResult, ImageResult

COLUMNS = (
    "schema_version", "path", "status", "error", "image_width", "image_height",
    "face", "faces", "x", "y", "width", "height", "score",
)  # fmt: skip
DECISIONS = ("tags", "unsure")  #: columns of a tagged face before those of its attributes
_FIRST_FACE_COLUMN = COLUMNS.index("x")  #: columns that an input has without a face

#: What the csv module calls the dialects; names and messages hold no tab and no line break, so TSV quotes nothing.
CSV: dict[str, Any] = {"lineterminator": "\r\n"}
TSV: dict[str, Any] = {"delimiter": "\t", "quoting": csv.QUOTE_NONE, "quotechar": None, "lineterminator": "\n"}


def columns(attributes: Sequence[str] | None) -> tuple[str, ...]:
    """The names of a table's columns."""
    return COLUMNS if attributes is None else (*COLUMNS, *DECISIONS, *attributes)


class CsvWriter(Writer):
    """RFC 4180."""

    dialect = CSV

    def __init__(self, stream: TextIO, attributes: Sequence[str] | None) -> None:
        self._attributes = attributes
        self._rows = csv.writer(stream, **self.dialect)
        self._rows.writerow(columns(attributes))

    def write(self, record: ImageResult) -> None:
        self._rows.writerows(_rows(record, self._attributes))

    def finish(self) -> None:
        """A table has no end of its own."""


class TsvWriter(CsvWriter):
    """text/tab-separated-values: nothing is quoted."""

    dialect = TSV


def _rows(record: ImageResult, attributes: Sequence[str] | None) -> Iterator[list[str]]:
    """The rows of one input: one a face, at least one."""
    size = [str(record.width), str(record.height)] if record.width else ["", ""]
    start = [str(SCHEMA_VERSION), escape(record.path), record.status.value, record.error, *size]
    for number, face in enumerate(record.faces, 1):
        yield [*start, str(number), str(len(record.faces)), *_face_fields(face, attributes)]
    if not record.faces:
        width = len(columns(attributes)) - _FIRST_FACE_COLUMN
        yield [*start, "", "" if record.status.is_failure else "0", *[""] * width]


def _face_fields(face: FaceResult, attributes: Sequence[str] | None) -> list[str]:
    box = [f"{side:.1f}" for side in (face.box.x, face.box.y, face.box.width, face.box.height)]
    located = [*box, f"{face.score:.4f}"]
    if attributes is None:
        return located
    decisions = [";".join(face.tags), ";".join(face.unsure)]
    return [*located, *decisions, *(f"{face.probabilities[name]:.4f}" for name in attributes)]
