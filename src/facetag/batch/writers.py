"""Records to files: one small class a format, all behind WRITERS. Paths are spelt as `batch.paths` says.

A table has one row a face, and one row for an input without any:
    schema_version, path, status
    error                   of a failure, or a warning
    image_width, image_height   pixels, upright; empty when unknown
    face, faces             1 .. faces, and how many; face is empty when there is none, both when nobody could look
    x, y, width, height     of the face in pixels of the upright image, to a tenth
    score                   of the localisation
    tags                    attributes decided present, joined by `;`
    one column an attribute     its probability
JSON says the same as one object an input, with a list of faces; locating alone leaves out tags and probabilities.
"""

import csv
import json
import os
from collections.abc import Iterator, Sequence
from typing import Any, Protocol, TextIO

from facetag.batch.paths import escape
from facetag.errors import UsageError
from facetag.records import SCHEMA_VERSION, FaceRecord, ImageRecord

COLUMNS = (
    "schema_version", "path", "status", "error", "image_width", "image_height",
    "face", "faces", "x", "y", "width", "height", "score",
)  # fmt: skip


class Writer(Protocol):
    """Writes one document to a stream.

    `attributes` are those answered, in the order of ATTRIBUTES; None when faces were only located.
    """

    def __init__(self, stream: TextIO, attributes: Sequence[str] | None) -> None: ...

    def write(self, record: ImageRecord) -> None: ...

    def finish(self) -> None:
        """End the document; the stream stays open."""


class CsvWriter:
    """RFC 4180."""

    def __init__(self, stream: TextIO, attributes: Sequence[str] | None) -> None:
        self._attributes = attributes
        self._rows = csv.writer(stream, lineterminator="\r\n")
        self._rows.writerow(COLUMNS if attributes is None else (*COLUMNS, "tags", *attributes))

    def write(self, record: ImageRecord) -> None:
        self._rows.writerows(table_rows(record, self._attributes))

    def finish(self) -> None:
        """A table has no end of its own."""


class JsonLinesWriter:
    """One object a line."""

    def __init__(self, stream: TextIO, attributes: Sequence[str] | None) -> None:
        self._stream = stream
        self._tagged = attributes is not None

    def write(self, record: ImageRecord) -> None:
        self._stream.write(json_text(record, self._tagged) + "\n")

    def finish(self) -> None:
        """Lines have no end of their own."""


class JsonWriter:
    """An array, one object a line, written as the objects come."""

    def __init__(self, stream: TextIO, attributes: Sequence[str] | None) -> None:
        self._stream = stream
        self._tagged = attributes is not None
        self._before = "[\n"

    def write(self, record: ImageRecord) -> None:
        self._stream.write(self._before + json_text(record, self._tagged))
        self._before = ",\n"

    def finish(self) -> None:
        self._stream.write("[]\n" if self._before == "[\n" else "\n]\n")


#: name and file suffix -> class. A new format is a class here and a line there.
WRITERS: dict[str, type[Writer]] = {
    "csv": CsvWriter,
    "json": JsonWriter,
    "jsonl": JsonLinesWriter,
}


def format_of(out: str, name: str | None = None) -> str:
    """The format called `name`, or else the one that the suffix of `out` says; csv for `-`.

    Raises:
        UsageError: there is no such format.
    """
    chosen = name or ("csv" if out == "-" else os.path.splitext(out)[1][1:].lower())
    if chosen not in WRITERS:
        raise UsageError(f"no format is known for {name or out!r}", f"choose by --format: {', '.join(WRITERS)}")
    return chosen


def table_rows(record: ImageRecord, attributes: Sequence[str] | None) -> Iterator[list[str]]:
    """The rows of one input: one a face, at least one."""
    size = [str(record.width), str(record.height)] if record.width else ["", ""]
    start = [str(SCHEMA_VERSION), escape(record.path), record.status.value, record.error, *size]
    for number, face in enumerate(record.faces, 1):
        yield [*start, str(number), str(len(record.faces)), *_face_fields(face, attributes)]
    if not record.faces:
        width = 5 + (0 if attributes is None else 1 + len(attributes))
        yield [*start, "", "" if record.status.is_failure else "0", *[""] * width]


def _face_fields(face: FaceRecord, attributes: Sequence[str] | None) -> list[str]:
    box = [f"{side:.1f}" for side in (face.box.x, face.box.y, face.box.width, face.box.height)]
    place = [*box, f"{face.score:.4f}"]
    if attributes is None:
        return place
    return [*place, ";".join(face.tags), *(f"{face.probabilities[name]:.4f}" for name in attributes)]


def json_text(record: ImageRecord, tagged: bool) -> str:
    """One input as one line of JSON."""
    return json.dumps(json_object(record, tagged), ensure_ascii=False, allow_nan=False)


def json_object(record: ImageRecord, tagged: bool) -> dict[str, Any]:
    """One input as plain data; image_width and image_height are null when unknown."""
    return {
        "schema_version": SCHEMA_VERSION,
        "path": escape(record.path),
        "status": record.status.value,
        "error": record.error,
        "image_width": record.width or None,
        "image_height": record.height or None,
        "faces": [_json_face(face, tagged) for face in record.faces],
    }


def _json_face(face: FaceRecord, tagged: bool) -> dict[str, Any]:
    box = face.box
    place = {"x": box.x, "y": box.y, "width": box.width, "height": box.height, "score": face.score}
    return {**place, "tags": list(face.tags), "probabilities": face.probabilities} if tagged else place
