"""Face boxes in a CSV file that a user brings: for `--boxes`, and as the truth that localisation is measured against.

A header line, then one row per face. Columns, in any order, others ignored:
    file (or path)            the image, as the user writes it
    x, y, width, height       pixels of the upright image, top left corner and size
A row with all four empty says that the image has no face. facetag's own CSV output is such a file.
"""

import csv
import math
from collections.abc import Iterator
from pathlib import Path

from facetag.errors import DataError
from facetag.geometry import Box

_NUMBERS = ("x", "y", "width", "height")
_REMEDY = "columns are file, x, y, width, height; pixels of the upright image"


def load_boxes_csv(path: Path) -> dict[str, list[Box]]:
    """Boxes by image, images and boxes in the order of the file; an image without a face has an empty list.

    Raises:
        DataError: the file is missing, has no such columns or no rows, or a row is malformed; names file and line.
    """
    boxes: dict[str, list[Box]] = {}
    for line, name, fields in _rows(path):
        found = boxes.setdefault(name, [])
        if any(fields):
            found.append(_box(path, line, fields))
    if not boxes:
        raise DataError(f"{path} has no rows", _REMEDY)
    return boxes


def _rows(path: Path) -> Iterator[tuple[int, str, list[str]]]:
    """Line, image and the four fields of each row."""
    try:
        with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
            reader = csv.reader(file, strict=True)
            header = [name.strip().lower() for name in next(reader, [])]
            places = _columns(path, header)
            for row in filter(None, reader):
                if len(row) != len(header):
                    raise DataError(
                        f"{path}, line {reader.line_num}: {len(row)} fields where {len(header)} belong", _REMEDY
                    )
                name, *fields = (row[place].strip() for place in places)
                if not name:
                    raise DataError(f"{path}, line {reader.line_num}: no file name", _REMEDY)
                yield reader.line_num, name, fields
    except OSError as error:
        raise DataError(f"{path}: {error.strerror or error}", "check the path and its permissions") from None
    except csv.Error as error:
        raise DataError(f"{path}, line {reader.line_num}: {error}", _REMEDY) from None


def _columns(path: Path, header: list[str]) -> list[int]:
    """Where file, x, y, width and height stand."""
    name = "file" if "file" in header else "path"
    missing = [column for column in (name, *_NUMBERS) if header.count(column) != 1]
    if missing:
        raise DataError(f"{path}, line 1: needs the column {missing[0]} once", _REMEDY)
    return [header.index(column) for column in (name, *_NUMBERS)]


def _box(path: Path, line: int, fields: list[str]) -> Box:
    try:
        numbers = [float(field) for field in fields]
    except ValueError:
        numbers = []
    if not numbers or not all(map(math.isfinite, numbers)):
        raise DataError(f"{path}, line {line}: {','.join(fields)!r} is not four numbers", _REMEDY)
    if min(numbers[2:]) <= 0:
        raise DataError(f"{path}, line {line}: a box needs a width and a height", _REMEDY)
    return Box(*numbers)
