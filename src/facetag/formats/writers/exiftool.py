"""What ExifTool writes into images by `-csv` and `-json`: one row or object an input, its keywords in three lists.

    exiftool -sep ", " -csv+=tags.csv photos        adds the keywords to those that are there
    exiftool -json+=tags.json photos

`+=` matters: with `=` ExifTool replaces the lists. Only keywords are written. Face regions need an image's stored
frame, which records do not have; sidecars do (`formats.xmp`).
"""

import csv
import json
from collections.abc import Sequence
from typing import Any, TextIO

from facetag.formats.keywords import ROOT, keywords_of
from facetag.formats.path_encoding import escape
from facetag.formats.writers.base import Writer
from facetag.formats.writers.csv import CSV
from facetag.results import ImageResult

SEPARATOR = ", "  #: of a list in a field, for ExifTool's -sep
_TAGS = ("XMP-dc:Subject", "XMP-lr:HierarchicalSubject", "XMP-digiKam:TagsList")


class ExiftoolCsvWriter(Writer):
    """SourceFile first; a list is one field."""

    def __init__(self, stream: TextIO, attributes: Sequence[str] | None) -> None:
        self._rows = csv.writer(stream, **CSV)
        self._rows.writerow(("SourceFile", *_TAGS))

    def write(self, record: ImageResult) -> None:
        self._rows.writerow([_file(record), *map(SEPARATOR.join, _lists(record))])

    def finish(self) -> None:
        """A table has no end of its own."""


class ExiftoolJsonWriter(Writer):
    """An array of objects, written as they come; an input without keywords has its name alone."""

    def __init__(self, stream: TextIO, attributes: Sequence[str] | None) -> None:
        self._stream = stream
        self._before = "[\n"

    def write(self, record: ImageResult) -> None:
        tags = {name: texts for name, texts in zip(_TAGS, _lists(record), strict=True) if texts}
        values: dict[str, Any] = {"SourceFile": _file(record), **tags}
        self._stream.write(self._before + json.dumps(values, ensure_ascii=False))
        self._before = ",\n"

    def finish(self) -> None:
        self._stream.write("[]\n" if self._before == "[\n" else "\n]\n")


def _lists(record: ImageResult) -> tuple[list[str], list[str], list[str]]:
    keywords = keywords_of(record)
    return keywords, [f"{ROOT}|{each}" for each in keywords], [f"{ROOT}/{each}" for each in keywords]


def _file(record: ImageResult) -> str:
    """The path itself, as ExifTool has to find it; one that UTF-8 cannot say is escaped, and found by none."""
    try:
        record.path.encode()
    except UnicodeEncodeError:
        return escape(record.path)
    return record.path
