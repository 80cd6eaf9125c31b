"""Attributes of a user's own: a CSV whose every column but file (or path) and identity is one.

Labels are those of `facetag.datasets.tags`: 1 present, 0 or -1 absent, empty where nobody can say.
"""

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from facetag.datasets.columns import read_rows
from facetag.datasets.tags import label_of
from facetag.errors import DataError

_OTHERS = ("file", "path", "identity")


@dataclass(frozen=True, eq=False)
class NewAttributes:
    """Labels of N images.

    Attributes:
        names: of the B attributes, as the file spells them.
        values: (N, B) 1 present, 0 absent, -1 unknown.
        identities: (N,) who is shown; an image of nobody known has a number of its own.
    """

    paths: list[Path]
    names: tuple[str, ...]
    values: NDArray[np.int8]
    identities: NDArray[np.int64]


def load_new_attributes(path: Path, folder: Path) -> NewAttributes:
    """The labels of a file, whose names of images are seen from the folder.

    Raises:
        DataError: the file is missing or malformed, has no column of labels or no rows, or an image is not there; names
            file and line.
    """
    rows = list(read_rows(path, ()))
    names = _names(path)
    if not names or not rows:
        raise DataError(f"{path} has no labels", "columns are file and your attributes; labels are 1, 0 or empty")
    paths = [folder / row["file"] for _, row in rows]
    for (line, _), each in zip(rows, paths, strict=True):
        if not each.is_file():
            raise DataError(f"{path}, line {line}: {each} is not there", "name the files as they are in --images")
    values = [[label_of(path, line, row[name.lower()]) for name in names] for line, row in rows]
    persons = [row.get("identity", "") or f"\n{line}" for line, row in rows]
    return NewAttributes(paths, names, np.array(values, np.int8), np.unique(persons, return_inverse=True)[1])


def _names(path: Path) -> tuple[str, ...]:
    """The attributes' names as the header spells them."""
    with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
        header = [name.strip() for name in next(csv.reader(file), [])]
    names = tuple(name for name in header if name.lower() not in _OTHERS)
    if len({name.lower() for name in names}) < len(names):
        raise DataError(f"{path}, line 1: two columns have one name", "give each attribute a name of its own")
    return names
