"""Parquet: the table of CSV with types; what is empty there is null here, and tags and unsure are lists."""

import io
from collections.abc import Iterator, Sequence
from typing import Any, TextIO

from facetag.formats.writers.base import Writer, input_fields, located_fields
from facetag.formats.writers.csv import COLUMNS, DECISIONS, columns
from facetag.results import FaceResult, ImageResult

ROWS = 8192  #: of a row group, about; as many are held in memory
_TEXT = ("path", "status", "error")
_REAL = ("x", "y", "width", "height", "score")


class ParquetWriter(Writer):
    """Row groups as they fill, so that memory stays flat; the bytes depend on the records alone.

    Attributes:
        row_count: rows so far.
    """

    needs = "pyarrow"

    def __init__(self, stream: TextIO, attributes: Sequence[str] | None) -> None:
        from pyarrow import parquet

        self.attributes = attributes
        self.row_count = 0
        self._schema = self.schema(attributes)
        self._rows: list[dict[str, Any]] = []
        self._stream = stream.buffer
        self._held = io.BytesIO()  # pyarrow writes a last time when it is collected, which our stream may not outlive
        self._file = parquet.ParquetWriter(self._held, self._schema, compression="zstd")

    def write(self, record: ImageResult) -> None:
        before = len(self._rows)
        self._rows.extend(self.rows(record))
        self.row_count += len(self._rows) - before
        if len(self._rows) >= ROWS:
            self._write_group()

    def finish(self) -> None:
        if self._rows:
            self._write_group()
        self._file.close()
        self._pass_on()

    def schema(self, attributes: Sequence[str] | None) -> Any:
        """The columns and their types."""
        return _schema(attributes)

    def rows(self, record: ImageResult) -> Iterator[dict[str, Any]]:
        """The rows of one input."""
        return rows(record, self.attributes)

    def _write_group(self) -> None:
        import pyarrow

        self._file.write_table(pyarrow.Table.from_pylist(self._rows, self._schema))
        self._rows.clear()
        self._pass_on()

    def _pass_on(self) -> None:
        self._stream.write(self._held.getvalue())
        self._stream.flush()
        self._held.seek(0)
        self._held.truncate()


def _schema(attributes: Sequence[str] | None) -> Any:
    import pyarrow

    kinds = {
        **dict.fromkeys(COLUMNS, pyarrow.int32()),
        **dict.fromkeys(_TEXT, pyarrow.string()),
        **dict.fromkeys(_REAL, pyarrow.float64()),
        **dict.fromkeys(DECISIONS, pyarrow.list_(pyarrow.string())),
        **dict.fromkeys(attributes or (), pyarrow.float64()),
    }
    return pyarrow.schema([(name, kinds[name]) for name in columns(attributes)])


def rows(record: ImageResult, attributes: Sequence[str] | None) -> Iterator[dict[str, Any]]:
    """The rows of one input, as in `writers.csv`; a column that is left out is null."""
    face_count = None if record.status.is_failure else len(record.faces)
    start = {**input_fields(record), "faces": face_count}
    for number, face in enumerate(record.faces, 1):
        yield {**start, "face": number, **_face(face, attributes)}
    if not record.faces:
        yield start


def _face(face: FaceResult, attributes: Sequence[str] | None) -> dict[str, Any]:
    located = located_fields(face)
    if attributes is None:
        return located
    probabilities = {name: face.probabilities[name] for name in attributes}
    return {**located, "tags": face.tags, "unsure": face.unsure, **probabilities}
