"""Hard negatives: places in pictures without people where a net saw a face, from a CSV file in the data folder.

The file has the columns of `facetag.datasets.boxes` and `kind`. A row of the kind `face` says that the picture does
show a face, so that it is no scene without people; every other row is a place that only looks like one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from facetag.datasets.boxes import load_boxes_csv
from facetag.datasets.columns import read_rows
from facetag.geometry import Box
from facetag.images.resample import Image

FACE = "face"  #: the kind of a picture that does show one
AROUND = 2.2  #: sides of a piece over those of the place


@dataclass(frozen=True)
class Negatives:
    """Where nets were wrong.

    Attributes:
        positions: a picture's file and a place in it, in pixels.
        with_faces: pictures that do show a face.
    """

    positions: Sequence[tuple[Path, Box]]
    with_faces: frozenset[Path]


def load_negatives(file: Path) -> Negatives:
    """The places of a file whose names are seen from the folder that it lies in.

    Raises:
        DataError: the file is missing or malformed; names file and line.
    """
    kinds: dict[str, set[str]] = {}
    for _, row in read_rows(file, ("kind",)):
        kinds.setdefault(row["file"], set()).add(row["kind"])
    faces = {name for name, found in kinds.items() if FACE in found}
    boxes = {name: found for name, found in load_boxes_csv(file).items() if name not in faces}
    positions = [(file.parent / name, box) for name, found in boxes.items() for box in found]
    return Negatives(positions, frozenset(file.parent / name for name in faces))


def piece_around(image: Image, position: Box) -> tuple[Image, Box]:
    """The picture around a place, as far as there is any, and the place as fractions of that piece."""
    height, width = image.shape[:2]
    around = position.enlarged(AROUND, AROUND).clipped(width, height)
    left, top = int(around.x), int(around.y)
    right, bottom = max(round(around.right), left + 1), max(round(around.bottom), top + 1)
    piece = image[top:bottom, left:right]
    return piece, position.shifted(-left, -top).scaled(1 / piece.shape[1], 1 / piece.shape[0])
