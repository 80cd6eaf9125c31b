"""Tables in other forms, for who computes with them: schema version 2, written only where it is asked for.

    decisions       a column `present_NAME` an attribute behind the probabilities: 1 or 0, empty when unsure
    folder, image_name      the path in two parts, behind those
    long            a row for each attribute of each face instead of columns: attribute, probability, present

Parquet has true and false for 1 and 0.
"""

import csv
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Self, TextIO

from facetag.errors import DataError, UsageError
from facetag.formats.writers.base import Writer, input_fields, located_fields
from facetag.formats.writers.csv import COLUMNS, CSV, DECISIONS, TSV
from facetag.formats.writers.parquet import ParquetWriter
from facetag.results import FaceResult, ImageResult

VERSION = 2  #: of the schema
EXTRA = ("decisions", "folder", "image_name")  #: what --columns knows
LONG = ("attribute", "probability", "present")  #: columns of the long form
PRESENT = "present_"  #: begins the name of a column of decisions
_NAMES = ("folder", "image_name")


@dataclass(frozen=True)
class Layout:
    """The form of a table.

    Attributes:
        extra: of EXTRA, the columns that come behind the usual ones.
        long: a row for each attribute of each face.
    """

    extra: frozenset[str] = frozenset()
    long: bool = False

    @classmethod
    def of_text(cls, text: str) -> Self:
        """The layout that `text` says, of the property of that name.

        Raises:
            DataError: it is none.
        """
        try:
            said = json.loads(text)
            layout = cls(frozenset(said["extra"]), said["long"] is True)
        except (KeyError, RecursionError, TypeError, ValueError) as error:
            raise DataError(f"{text[:80]!r} is no layout of a table", "write the output anew") from error
        if not layout.extra <= set(EXTRA):
            raise DataError(f"{text[:80]!r} has columns that are not known here", "use the version that wrote it")
        return layout

    @property
    def text(self) -> str:
        """It as one line of JSON.

        >>> Layout(frozenset(["folder"])).text
        '{"extra": ["folder"], "long": false}'
        """
        return json.dumps({"extra": sorted(self.extra), "long": self.long})

    def columns(self, attributes: Sequence[str]) -> tuple[str, ...]:
        """The names of the columns."""
        names = tuple(name for name in _NAMES if name in self.extra)
        if self.long:
            return (*COLUMNS, *LONG, *names)
        decisions = [PRESENT + name for name in attributes] if "decisions" in self.extra else []
        return (*COLUMNS, *DECISIONS, *attributes, *decisions, *names)

    def rows(self, record: ImageResult, attributes: Sequence[str]) -> Iterator[dict[str, Any]]:
        """The rows of one input; what is missing or None is empty."""
        fields = input_fields(record)
        folder, _, image_name = fields["path"].rpartition("/")
        count = None if record.status.is_failure else len(record.faces)
        start = {**fields, "schema_version": VERSION, "faces": count, "folder": folder, "image_name": image_name}
        for number, face in enumerate(record.faces, 1):
            here = {**start, "face": number, **located_fields(face)}
            if self.long:
                yield from (here | dict(zip(LONG, _answer(face, name), strict=True)) for name in attributes)
            else:
                decisions = {PRESENT + name: _answer(face, name)[2] for name in attributes}
                yield here | {"tags": face.tags, "unsure": face.unsure} | face.probabilities | decisions
        if not record.faces:
            yield start


def is_taken(name: str) -> bool:
    """Whether a table has a column of this name, in whatever case, or may have one, so that no attribute can.

    >>> is_taken("Score"), is_taken("present_Beard"), is_taken("Beard")
    (True, True, False)
    """
    taken = {*COLUMNS, *DECISIONS, *_NAMES, *LONG}
    return name.lower() in taken or name.lower().startswith(PRESENT)


def layout_of(columns: Sequence[str], explode: str | None, format: str) -> Layout | None:
    """The layout of --columns and --explode; None for the usual one.

    Raises:
        UsageError: a column is unknown, they do not fit together, or the format is no table.
    """
    if unknown := sorted(set(columns).difference(EXTRA)):
        raise UsageError(f"--columns knows no {unknown[0]!r}", f"choose of {', '.join(EXTRA)}")
    if not columns and not explode:
        return None
    if format not in WRITERS:
        raise UsageError(f"{format} is no table", f"--columns and --explode go with {', '.join(WRITERS)}")
    if explode and "decisions" in columns:
        raise UsageError("--explode attributes has the decisions in a column", "leave decisions out of --columns")
    return Layout(frozenset(columns), bool(explode))


class LayoutCsvWriter(Writer):
    """RFC 4180."""

    dialect = CSV

    def __init__(self, stream: TextIO, attributes: Sequence[str], layout: Layout) -> None:
        self._attributes, self._layout = attributes, layout
        self._columns = layout.columns(attributes)
        self._rows = csv.writer(stream, **self.dialect)
        self._rows.writerow(self._columns)

    def write(self, record: ImageResult) -> None:
        for row in self._layout.rows(record, self._attributes):
            self._rows.writerow([_text(name, row.get(name)) for name in self._columns])

    def finish(self) -> None:
        """A table has no end of its own."""


class LayoutTsvWriter(LayoutCsvWriter):
    """Nothing is quoted."""

    dialect = TSV


class LayoutParquetWriter(ParquetWriter):
    """With types."""

    def __init__(self, stream: TextIO, attributes: Sequence[str], layout: Layout) -> None:
        self._layout = layout
        super().__init__(stream, attributes)

    def schema(self, attributes: Sequence[str] | None) -> Any:
        import pyarrow

        usual = super().schema(attributes)
        kinds = dict(zip(usual.names, usual.types, strict=True))
        kinds |= dict.fromkeys((*_NAMES, "attribute"), pyarrow.string()) | {"probability": pyarrow.float64()}
        names = self._layout.columns(attributes or ())
        return pyarrow.schema([(name, kinds.get(name, pyarrow.bool_())) for name in names])

    def rows(self, record: ImageResult) -> Iterator[dict[str, Any]]:
        return self._layout.rows(record, self.attributes or ())


#: name of a format that is a table -> its writer of other layouts.
WRITERS = {"csv": LayoutCsvWriter, "tsv": LayoutTsvWriter, "parquet": LayoutParquetWriter}


def _answer(face: FaceResult, name: str) -> tuple[str, float, bool | None]:
    """An attribute, its probability, and whether it is present; None when unsure."""
    return name, face.probabilities[name], None if name in face.unsure else name in face.tags


def _text(column: str, value: Any) -> str:
    """A field as the usual tables write it."""
    match value:
        case None:
            return ""
        case bool():
            return str(int(value))
        case tuple():
            return ";".join(value)
        case _ if column in ("x", "y", "width", "height"):
            return f"{value:.1f}"
        case float():
            return f"{value:.4f}"
    return str(value)
