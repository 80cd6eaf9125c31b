"""Results to documents: one small class a format, all behind WRITERS. `formats.path_encoding` spells the paths."""

import os
from collections.abc import Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING, TextIO

from facetag.errors import UsageError
from facetag.formats.part_folder import is_folder
from facetag.formats.writers.base import Writer
from facetag.formats.writers.csv import CsvWriter, TsvWriter
from facetag.formats.writers.exiftool import ExiftoolCsvWriter, ExiftoolJsonWriter
from facetag.formats.writers.json import JsonLinesWriter, JsonWriter
from facetag.formats.writers.parquet import ParquetWriter

if TYPE_CHECKING:
    from facetag.formats.writers.layout import Layout

#: name and file suffix -> class. A new format is a class, a line here and, unless it leaves
#: something out, one in `formats.readers`.
WRITERS: dict[str, type[Writer]] = {
    "csv": CsvWriter,
    "tsv": TsvWriter,
    "json": JsonWriter,
    "jsonl": JsonLinesWriter,
    "parquet": ParquetWriter,
    "exiftool-csv": ExiftoolCsvWriter,
    "exiftool-json": ExiftoolJsonWriter,
}


def writer_of(format: str, stream: TextIO, attributes: Sequence[str] | None, layout: "Layout | None" = None) -> Writer:
    """A writer of a format; of a table in another form where a layout is given."""
    if layout is None:
        return WRITERS[format](stream, attributes)
    from facetag.formats.writers import layout as layouts

    return layouts.WRITERS[format](stream, attributes or (), layout)


def format_of(out: str, name: str | None = None) -> str:
    """The format called `name`, or else the one that the suffix of `out` says; csv for `-`, parquet for a folder.

    Raises:
        UsageError: there is no such format, it is none of a folder, or what it needs is not installed.
    """
    suffix = os.path.splitext(out.rstrip("/"))[1][1:].lower()
    if is_folder(out):
        suffix = suffix if suffix in WRITERS else "parquet"
    chosen = name or ("csv" if out == "-" else suffix)
    if chosen not in WRITERS:
        raise UsageError(f"no format is known for {name or out!r}", f"choose by --format: {', '.join(WRITERS)}")
    if is_folder(out) and chosen != "parquet":
        raise UsageError(f"{out} is a folder, and {chosen} is one file", "leave out the slash, or write parquet")
    needs = WRITERS[chosen].needs
    if needs and find_spec(needs) is None:
        raise UsageError(f"{chosen} needs {needs}", f"pip install 'facetag[{chosen}]'")
    return chosen
