"""Face boxes in a CSV file that a user brings: for `--boxes`, and as the truth that localization is measured against.

A header line, then one row per face. Columns, in any order, others ignored:
    file (or path)            the image, as the user writes it
    x, y, width, height       pixels of the upright image, top left corner and size
A row with all four empty says that the image has no face. facetag's own CSV output is such a file.
"""

import math
from pathlib import Path

from facetag.datasets.columns import read_rows
from facetag.errors import DataError
from facetag.geometry import Box

_LARGEST = 1e12  #: pixels
_NUMBERS = ("x", "y", "width", "height")
_REMEDY = "columns are file, x, y, width, height; pixels of the upright image"


def load_boxes_csv(path: Path, data: bytes | None = None) -> dict[str, list[Box]]:
    """Boxes by image, images and boxes in the order of the file; an image without a face has an empty list.

    Args:
        data: the bytes of the file, where it was read already.

    Raises:
        DataError: the file is missing, has no such columns or no rows, or a row is malformed; names file and line.
    """
    boxes: dict[str, list[Box]] = {}
    for line, row in read_rows(path, _NUMBERS, data=data):
        found, fields = boxes.setdefault(row["file"], []), [row[name] for name in _NUMBERS]
        if any(fields):
            found.append(_box(path, line, fields))
    if not boxes:
        raise DataError(f"{path} has no rows", _REMEDY)
    return boxes


def load_scores_csv(path: Path, data: bytes | None = None) -> dict[str, list[float]]:
    """Scores of the boxes that `load_boxes_csv` reads, in its order: of the column `score`; 1 where there is none.

    Raises:
        DataError: as there, or a score is no number.
    """
    scores: dict[str, list[float]] = {}
    for line, row in read_rows(path, _NUMBERS, possible=("score",), data=data):
        found = scores.setdefault(row["file"], [])
        if any(row[name] for name in _NUMBERS):
            found.append(_score(path, line, row.get("score") or "1"))
    return scores


def _score(path: Path, line: int, field: str) -> float:
    try:
        score = float(field)
    except ValueError:
        score = math.nan
    if not math.isfinite(score):
        raise DataError(f"{path}, line {line}: the score {field!r} is no number", "leave it empty for a certain face")
    return score


def _box(path: Path, line: int, fields: list[str]) -> Box:
    try:
        numbers = [float(field) for field in fields]
    except ValueError:
        numbers = []
    if not numbers or not all(map(math.isfinite, numbers)):
        raise DataError(f"{path}, line {line}: {','.join(fields)!r} is not four numbers", _REMEDY)
    if max(map(abs, numbers)) > _LARGEST:
        raise DataError(f"{path}, line {line}: {','.join(fields)!r} is beyond any image", _REMEDY)
    if min(numbers[2:]) <= 0:
        raise DataError(f"{path}, line {line}: a box needs a width and a height", _REMEDY)
    return Box(*numbers)
