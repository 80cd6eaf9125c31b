"""From the student's maps to face boxes: a face is where its middle is surest among the neighbouring cells.

Also the other way: the maps that faces ought to give, which the student is trained on. A cell is `stride` pixels.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from facetag.geometry import Box

SPREAD = 0.12  #: standard deviation of a middle in heights of the face; boxes that far off still have an IoU of 0.6
LEAST_SPREAD = 0.7  #: and no less than this many cells

Maps = NDArray[np.float32]


@dataclass(frozen=True)
class Middle:
    """A face as the maps tell it: its box, `ratio` times as wide as high, and the logit of its middle."""

    box: Box
    logit: float


def find_middles(maps: Maps, stride: int, ratio: float, least: float) -> list[Middle]:
    """The faces in the maps (4, H, W) of one picture, the surest first.

    A middle's cell has a logit of at least `least`, and no neighbour has a larger one. Maps: logit of a middle, log of
    the height in cells, offset of the middle from the cell's own in cells (x, y).
    """
    logits = maps[0]
    padded = np.pad(logits, 1, constant_values=-np.inf)
    high, wide = logits.shape
    around = np.max([padded[y : y + high, x : x + wide] for y in range(3) for x in range(3)], axis=0)
    rows, columns = np.nonzero((logits >= around) & (logits >= least))
    order = np.argsort(-logits[rows, columns], kind="stable")
    return [_middle(maps, int(rows[i]), int(columns[i]), stride, ratio) for i in order]


def _middle(maps: Maps, row: int, column: int, stride: int, ratio: float) -> Middle:
    logit, size, right, down = (float(value) for value in maps[:, row, column])
    height = float(np.exp(min(size, 10.0))) * stride
    x, y = (column + 0.5 + right) * stride, (row + 0.5 + down) * stride
    return Middle(Box.around(x, y, ratio * height, height), logit)


@dataclass(frozen=True, eq=False)
class Wanted:
    """What the maps of a picture ought to be, each (H, W).

    Attributes:
        heat: 1 in the cell of a face's middle, falling off around it.
        heat_weight: how much being wrong there counts.
        size_weight: likewise for what follows; 0 away from middles.
        size, right, down: log of the height in cells, offset of the middle in cells.
    """

    heat: Maps
    heat_weight: Maps
    size_weight: Maps
    size: Maps
    right: Maps
    down: Maps

    def stacked(self) -> Maps:
        """(6, H, W) in the order of the attributes."""
        return np.stack([self.heat, self.heat_weight, self.size_weight, self.size, self.right, self.down])


def wanted_maps(
    faces: Sequence[Box], doubtful: Sequence[Box], cells: tuple[int, int], stride: int, far: float = 1.0
) -> Wanted:
    """The maps (rows, columns = `cells`) that these faces ought to give.

    Nothing is asked for inside `doubtful` boxes, except close to a face (in its box, half as large again), where being
    wrong counts 1; where neither is near, it counts `far`.
    """
    rows, columns = np.mgrid[: cells[0], : cells[1]].astype(np.float32) + np.float32(0.5)
    wanted = Wanted(*(np.zeros(cells, np.float32) for _ in range(6)))
    wanted.heat_weight[:] = far
    for box in doubtful:
        wanted.heat_weight[_inside(box.scaled(1 / stride), rows, columns)] = 0
    for face in sorted(faces, key=lambda box: -box.height):  # of two at one place the smaller lies in front
        box = face.scaled(1 / stride)
        x, y = box.center
        spread = max(SPREAD * box.height, LEAST_SPREAD)
        distance = np.hypot(columns - x, rows - y) / spread
        heat = np.exp(-(distance**2) / 2)
        near = distance <= 1.5
        wanted.heat_weight[_inside(box.enlarged(1.5), rows, columns)] = 1
        wanted.size_weight[near] = 1
        wanted.size[near] = np.log(box.height)
        wanted.right[near], wanted.down[near] = (x - columns)[near], (y - rows)[near]
        np.maximum(wanted.heat, heat, out=wanted.heat)
        row, column = int(np.floor(y)), int(np.floor(x))
        if 0 <= row < cells[0] and 0 <= column < cells[1]:
            wanted.heat[row, column] = 1
    return wanted


def _inside(box: Box, rows: Maps, columns: Maps) -> NDArray[np.bool_]:
    return (columns >= box.x) & (columns <= box.right) & (rows >= box.y) & (rows <= box.bottom)
