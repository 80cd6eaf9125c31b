"""Kumar's attributes of LFW (`lfw_attributes.txt`): 73 real scores per image, whose sign is the class.

A comment line, a header line that starts with `#`, then tab-separated rows: person, number of the image, scores.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from facetag.datasets.lfwa import find_lfw_images
from facetag.errors import DataError

_AGAIN = "take lfw_attributes.txt as it was released"


@dataclass(frozen=True)
class KumarScores:
    """Rows of the file, whether or not their images are there.

    Attributes:
        people: N names with spaces.
        numbers: (N,) which image of the person, from 1.
        attribute_names: A names.
        scores: (N, A).
    """

    people: list[str]
    numbers: NDArray[np.int64]
    attribute_names: tuple[str, ...]
    scores: NDArray[np.float64]


@dataclass(frozen=True)
class Kumar:
    """N images of LFW with A attributes.

    Attributes:
        paths: N image files.
        scores: (N, A); `attributes` is their sign.
        attribute_names: A names.
        missing: rows without an image, left out above.
    """

    paths: list[Path]
    scores: NDArray[np.float64]
    attribute_names: tuple[str, ...]
    missing: int

    @property
    def attributes(self) -> NDArray[np.int8]:
        """(N, A) in {0, 1}."""
        return (self.scores > 0).astype(np.int8)

    def summary(self) -> list[str]:
        """Counts for a reader, a line each."""
        return [
            f"{len(self.paths)} images with {len(self.attribute_names)} attributes",
            f"{self.missing} rows have no image",
        ]


def load_kumar(root: Path) -> Kumar:
    """Rows of root/lfw_attributes.txt that have their image.

    Raises:
        DataError: images or file missing, or a malformed row; names file and line.
    """
    folder, path = find_lfw_images(root), root / "lfw_attributes.txt"
    rows = read_kumar(path)
    names = [person.replace(" ", "_") for person in rows.people]
    paths = [folder / name / f"{name}_{number:04d}.jpg" for name, number in zip(names, rows.numbers, strict=True)]
    present = np.array([path.is_file() for path in paths])
    if not present.any():
        raise DataError(f"{path} names none of the images in {folder}", "put labels and images of LFW together")
    kept = [paths[i] for i in np.flatnonzero(present)]
    return Kumar(kept, rows.scores[present], rows.attribute_names, int((~present).sum()))


def read_kumar(path: Path) -> KumarScores:
    """The file alone.

    Raises:
        DataError: missing, without a header or rows, or a malformed row; names file and line.
    """
    try:
        lines = path.read_text(encoding="utf-8", errors="surrogateescape").split("\n")
    except OSError as error:
        raise DataError(f"{path}: {error.strerror or error}", "copy it from the LFW attributes page") from None
    columns: list[str] = []
    rows: list[tuple[str, int, list[float]]] = []
    for number, line in enumerate(lines, start=1):
        fields = line.strip().split("\t")
        if line.startswith("#"):
            columns = (
                [name for name in fields if name not in ("#", "person", "imagenum")] if len(fields) > 1 else columns
            )
        elif line.strip():
            rows.append(_row(path, number, fields, len(columns)))
    if not columns or not rows:
        raise DataError(f"{path} has no {'rows' if columns else 'line with its columns'}", _AGAIN)
    scores = np.array([row[2] for row in rows])
    return KumarScores([row[0] for row in rows], np.array([row[1] for row in rows]), tuple(columns), scores)


def _row(path: Path, line: int, fields: list[str], columns: int) -> tuple[str, int, list[float]]:
    """Person, number of the image and scores."""
    if len(fields) != 2 + columns:
        raise DataError(f"{path}, line {line}: {len(fields)} fields where {2 + columns} belong", _AGAIN)
    try:
        person, number, scores = fields[0], int(fields[1]), [float(field) for field in fields[2:]]
    except ValueError:
        raise DataError(f"{path}, line {line}: a field that is not a number", _AGAIN) from None
    if not 0 < number < 10_000 or not np.isfinite(scores).all() or Path(person).name != person:
        raise DataError(f"{path}, line {line}: not a person, an image's number and scores", _AGAIN)
    return person, number, scores
