"""Documents that `formats.writers` wrote, back to the same records: one function a format, all behind READERS."""

import csv
import json
import math
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any, BinaryIO

from facetag.attributes import is_attribute_name
from facetag.errors import DataError, UsageError
from facetag.formats.part_folder import SUCCESS, PartFolder
from facetag.formats.path_encoding import one_line, unescape
from facetag.formats.writers import format_of
from facetag.formats.writers.csv import COLUMNS, CSV, DECISIONS, TSV
from facetag.formats.writers.layout import EXTRA, LONG, PRESENT, VERSION
from facetag.geometry import Box
from facetag.results import SCHEMA_VERSION, FaceResult, ImageResult, Status

#: What reading a document that is none of ours may raise; pyarrow's own errors are among them and OSError.
_MALFORMED = (
    AttributeError, csv.Error, KeyError, NotImplementedError, OverflowError, RecursionError, TypeError, ValueError,
)  # fmt: skip
_OF_THE_INPUT = COLUMNS[: COLUMNS.index("face")]

_OF_TABLES = {*COLUMNS, *DECISIONS}

_Object = Mapping[str, Any]
_Reader = Callable[[BinaryIO, Sequence[str] | None], Iterator[_Object]]


def read_results(file: str | os.PathLike[str], attributes: Sequence[str] | None = None) -> list[ImageResult]:
    """The results of a document that facetag wrote; the suffix of its name says the format.

    Args:
        attributes: of the model that it was written with, to refuse all others; None takes those that it names.

    Raises:
        UsageError, DataError: as `read_records`, which gives them one by one.
    """
    return list(read_records(os.fspath(file), None, attributes))


def read_records(
    file: str, format: str | None = None, attributes: Sequence[str] | None = None
) -> Iterator[ImageResult]:
    """The records of a document, in its order, as they are read; of a folder of Parquet parts too.

    Args:
        format: of READERS; else the suffix of `file` says it.
        attributes: of the model that it was written with, to refuse all others; None takes those that it names, which
            are the same for all faces.

    Raises:
        UsageError: the format is unknown, or what it needs is not installed.
        DataError: the file cannot be read, is malformed or of another schema version; names it and why.
    """
    files = _files_of(file)
    file = os.path.join(file, "") if os.path.isdir(file) else file
    read = _reader_of(format_of(file, format))
    try:
        yield from _records(chain.from_iterable(_objects_of(each, read, attributes) for each in files), attributes)
    except OSError as error:
        raise DataError(
            f"{file}: {one_line(error.strerror or str(error))}", "name a file that facetag wrote"
        ) from error
    except _MALFORMED as error:
        reason = one_line(str(error))
        raise DataError(f"{file} is not a whole document of facetag ({reason})", "write it anew") from error


def _files_of(file: str) -> Sequence[str]:
    """A document's files; of a folder its parts, in the order of the table.

    Raises:
        DataError: the folder has no _SUCCESS of ours.
    """
    if not os.path.isdir(file):
        return [file]
    folder = PartFolder(file)
    parts = folder.parts()
    if parts is None:
        raise DataError(f"{file} has no {SUCCESS} of facetag's", "let the run that writes it come to its end")
    return [folder.path(part.name) for part in parts]


def _objects_of(file: str, read: _Reader, attributes: Sequence[str] | None) -> Iterator[_Object]:
    with open(file, "rb") as stream:
        yield from read(stream, attributes)


def _records(values: Iterable[_Object], attributes: Sequence[str] | None) -> Iterator[ImageResult]:
    """The records of objects; without `attributes` those of the first face are those of all."""
    if attributes is not None:
        yield from (_record(value, attributes) for value in values)
        return
    named: tuple[str, ...] | None = None
    for value in values:
        for face in value["faces"]:
            named = _named(face) if named is None else named
            if _named(face) != named:
                raise ValueError(f"the faces of {value['path']} have other attributes than those before")
        yield _record(value, named or ())


def _named(face: _Object) -> tuple[str, ...]:
    """The attributes of a face, which may be anybody's."""
    names = tuple(face.get("probabilities", ()))
    if strange := [name for name in names if not is_attribute_name(name)]:
        raise ValueError(f"{strange[0]!r} is no name of an attribute")
    return names


def _read_csv(stream: BinaryIO, attributes: Sequence[str] | None) -> Iterator[_Object]:
    return _objects(_table(stream, CSV, attributes))


def _read_tsv(stream: BinaryIO, attributes: Sequence[str] | None) -> Iterator[_Object]:
    return _objects(_table(stream, TSV, attributes))


def _read_json(stream: BinaryIO, attributes: Sequence[str] | None) -> Iterator[_Object]:
    return iter(json.load(stream))


def _read_json_lines(stream: BinaryIO, attributes: Sequence[str] | None) -> Iterator[_Object]:
    return map(json.loads, stream)


def _read_parquet(stream: BinaryIO, attributes: Sequence[str] | None) -> Iterator[_Object]:
    from pyarrow import parquet

    file = parquet.ParquetFile(stream)
    _check_columns(file.schema_arrow.names, attributes)
    return _objects(row for batch in file.iter_batches() for row in batch.to_pylist())


#: name of the format, as in WRITERS -> its objects, in the form of JSON. What ExifTool reads holds no whole answers.
READERS: dict[str, _Reader] = {
    "csv": _read_csv,
    "tsv": _read_tsv,
    "json": _read_json,
    "jsonl": _read_json_lines,
    "parquet": _read_parquet,
}


def _reader_of(format: str) -> _Reader:
    if format not in READERS:
        raise UsageError(f"{format} holds no whole answers", f"read an output in one of {', '.join(READERS)}")
    return READERS[format]


def _table(stream: BinaryIO, dialect: Mapping[str, Any], attributes: Sequence[str] | None) -> Iterator[_Object]:
    """The rows of a table of text as Parquet has them: what is empty is None, and decisions are lists."""
    rows = csv.reader((line.decode() for line in stream), strict=True, **dialect)
    names = next(rows, [])
    _check_columns(names, attributes)
    for fields in rows:
        if len(fields) != len(names):
            raise ValueError(f"line {rows.line_num} has {len(fields)} fields, not {len(names)}")
        row: dict[str, Any] = {name: field or None for name, field in zip(names, fields, strict=True)}
        lists = {name: row[name].split(";") if row[name] else [] for name in DECISIONS if name in row}
        yield row | lists


def _is_extra(name: str) -> bool:
    return name in EXTRA or name.startswith(PRESENT)


def _is_probability(name: str) -> bool:
    return name not in _OF_TABLES and not _is_extra(name)


def _check_columns(names: Sequence[str], attributes: Sequence[str] | None) -> None:
    """Refuse columns that are not ours; those that schema version 2 adds are passed over, its long form is refused.

    Without `attributes` those may be any, each once.
    """
    if tuple(names[len(COLUMNS) :][: len(LONG)]) == LONG:
        raise ValueError("--explode attributes has rows for attributes, not for faces")
    names = [name for name in names if not _is_extra(name)]
    answers = list(names[len(COLUMNS) :])
    if tuple(names[: len(COLUMNS)]) != COLUMNS or answers[: len(DECISIONS)] not in ([], list(DECISIONS)):
        raise ValueError("its columns are not ours")
    found = answers[len(DECISIONS) :]
    known = dict.fromkeys(filter(is_attribute_name, found)) if attributes is None else attributes
    if found != [name for name in known if name in found]:
        raise ValueError("its attributes are unknown, repeated or in another order")


def _objects(rows: Iterable[_Object]) -> Iterator[_Object]:
    """The rows of each input as one object."""
    together: list[_Object] = []
    for row in rows:
        if together and (row["face"] is None or int(row["face"]) == 1):
            yield _object(together)
            together = []
        together.append(row)
    if together:
        yield _object(together)


def _object(rows: Sequence[_Object]) -> _Object:
    start = {name: rows[0][name] for name in _OF_THE_INPUT}
    count = int(rows[0]["faces"] or 0)
    numbers = [int(row["face"] or 0) for row in rows]
    if numbers != (list(range(1, count + 1)) or [0]) or any(row[name] != start[name] for row in rows for name in start):
        raise ValueError(f"the rows of {start['path']} do not belong together")
    return {**start, "faces": [_face_object(row) for row in rows[:count]]}


def _face_object(row: _Object) -> _Object:
    if DECISIONS[0] not in row:
        return row
    return {**row, "probabilities": {name: value for name, value in row.items() if _is_probability(name)}}


def _record(value: _Object, attributes: Sequence[str]) -> ImageResult:
    if int(value["schema_version"]) not in (SCHEMA_VERSION, VERSION):
        raise ValueError(f"of schema version {value['schema_version']}, not {SCHEMA_VERSION} or {VERSION}")
    width, height = (int(value[name] or 0) for name in ("image_width", "image_height"))
    path, error = _text(value["path"]), _text(value["error"] or "")
    faces = tuple(_face(face, attributes) for face in value["faces"])
    return ImageResult(unescape(path), Status(value["status"]), error, width, height, faces)


def _face(value: _Object, attributes: Sequence[str]) -> FaceResult:
    box = Box(*(_number(value[name]) for name in ("x", "y", "width", "height")))
    probabilities = {name: _number(probability) for name, probability in value.get("probabilities", {}).items()}
    decisions = {name: tuple(value.get(name, ())) for name in DECISIONS}
    if unknown := {*probabilities, *decisions["tags"], *decisions["unsure"]}.difference(attributes):
        raise ValueError(f"no attribute is called {min(map(str, unknown))}")
    return FaceResult(box, _number(value["score"]), probabilities, **decisions)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is not text")
    return value


def _number(value: Any) -> float:
    number = float(value)
    if not math.isfinite(number):
        raise ValueError(f"{value} is not a number")
    return number
