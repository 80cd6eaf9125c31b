"""JSON and JSON Lines: one object an input, with a list of faces, in the form that `facetag schema` states.

Locating alone leaves out tags, unsure and probabilities.
"""

import json
from collections.abc import Sequence
from typing import Any, TextIO

from facetag.formats.writers.base import Writer, input_fields, located_fields
from facetag.results import FaceResult, ImageResult


class JsonLinesWriter(Writer):
    """One object a line."""

    def __init__(self, stream: TextIO, attributes: Sequence[str] | None) -> None:
        self._stream = stream
        self._tagged = attributes is not None

    def write(self, record: ImageResult) -> None:
        self._stream.write(_text(record, self._tagged) + "\n")

    def finish(self) -> None:
        """Lines have no end of their own."""


class JsonWriter(Writer):
    """An array, one object a line, written as the objects come."""

    def __init__(self, stream: TextIO, attributes: Sequence[str] | None) -> None:
        self._stream = stream
        self._tagged = attributes is not None
        self._before = "[\n"

    def write(self, record: ImageResult) -> None:
        self._stream.write(self._before + _text(record, self._tagged))
        self._before = ",\n"

    def finish(self) -> None:
        self._stream.write("[]\n" if self._before == "[\n" else "\n]\n")


def _text(record: ImageResult, tagged: bool) -> str:
    """One input as one line of JSON."""
    return json.dumps(_object(record, tagged), ensure_ascii=False, allow_nan=False)


def _object(record: ImageResult, tagged: bool) -> dict[str, Any]:
    """One input as plain data; image_width and image_height are null when unknown."""
    return {**input_fields(record), "faces": [_face(face, tagged) for face in record.faces]}


def _face(face: FaceResult, tagged: bool) -> dict[str, Any]:
    located = located_fields(face)
    if not tagged:
        return located
    return {**located, "tags": face.tags, "unsure": face.unsure, "probabilities": face.probabilities}
