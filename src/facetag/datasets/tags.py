"""Tags that a user gives photographs, to measure a model on: which attributes their surest face has.

A CSV file with a header line, then a row per photograph. Columns, in any order, others ignored:
    file (or path)               the photograph, relative to the folder of photographs, or absolute
    any attributes, as Smiling   1 for present, 0 or -1 for absent, empty where nobody can say
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from facetag.attributes import ATTRIBUTES
from facetag.datasets.columns import read_rows
from facetag.datasets.webfaces import Half, split_half
from facetag.errors import DataError

_REMEDY = "columns are file and attributes of facetag; labels are 1, 0 (or -1) or empty"
_VALUES = {"1": 1, "0": 0, "-1": 0, "": -1}


@dataclass(frozen=True, eq=False)
class TagLabels:
    """Labels of N photographs.

    Attributes:
        files: as the user writes them, in the order of the file, none twice.
        attributes: indices into names of those that the file has, sorted.
        values: (N, A), A all names: 1 present, 0 absent, -1 unknown.
        names: the attributes that are known.
    """

    files: list[str]
    attributes: list[int]
    values: NDArray[np.int8]
    names: tuple[str, ...] = ATTRIBUTES

    def select(self, rows: list[int]) -> "TagLabels":
        """These photographs' labels."""
        return replace(self, files=[self.files[row] for row in rows], values=self.values[rows])


def load_tags_csv(path: Path, known: tuple[str, ...] = ATTRIBUTES) -> TagLabels:
    """The labels of a file, of attributes that are known.

    Raises:
        DataError: the file is missing, has no attribute's column or no rows, names a photograph twice, or a label is
            none; names file and line.
    """
    names = [name.lower() for name in known]
    labels: dict[str, list[int]] = {}
    columns: list[int] = []
    for line, row in read_rows(path, (), names):
        columns = columns or [index for index, name in enumerate(names) if name in row]
        if not columns:
            raise DataError(f"{path}, line 1: no column is called like an attribute", _REMEDY)
        if row["file"] in labels:
            raise DataError(f"{path}, line {line}: {row['file']} has a row already", _REMEDY)
        labels[row["file"]] = [label_of(path, line, row.get(name, "")) for name in names]
    if not labels:
        raise DataError(f"{path} has no rows", _REMEDY)
    return TagLabels(list(labels), columns, np.array(list(labels.values()), np.int8), known)


def joined(sets: Sequence[TagLabels]) -> TagLabels:
    """The photographs of all sets, in order; an attribute that a set has no column of is unknown there."""
    files = [file for labels in sets for file in labels.files]
    attributes = sorted({index for labels in sets for index in labels.attributes})
    return TagLabels(files, attributes, np.concatenate([labels.values for labels in sets]))


def labeled_images_of(
    labels: TagLabels, folder: Path, half: Half | Literal["all"] = "all"
) -> tuple[TagLabels, list[Path]]:
    """The labelled photographs of a half (`split_half`), and where they are.

    Raises:
        DataError: one is not there, or none is of this half.
    """
    paths = [folder / file for file in labels.files]
    for path in paths:
        if not os.path.isfile(path):  # unlike Path's, it answers for any name
            raise DataError(f"{path} is not there", "name the files as they are called in the folder of photographs")
    rows = [row for row, path in enumerate(paths) if half == "all" or split_half(path) == half]
    if not rows:
        raise DataError(f"no labelled photograph is of the half {half}", "use --half all")
    return labels.select(rows), [paths[row] for row in rows]


def label_of(path: Path, line: int, field: str) -> int:
    if field not in _VALUES:
        raise DataError(f"{path}, line {line}: {field!r} is no label", _REMEDY)
    return _VALUES[field]
