"""Centre heatmaps: from a centre network's maps to face boxes, and from boxes to the maps it is trained on.

A face is where its centre's logit is largest among the neighbouring cells (Zhou et al., "Objects as Points", 2019). A
cell is `stride` pixels.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from facetag.geometry import Box

SPREAD = 0.12  #: standard deviation of a centre's heat in the face's sides; boxes that far off have an IoU of 0.6
LEAST_SPREAD = 0.6  #: and no less than this many cells
LARGEST = 6.0  #: log of a side in cells beyond which no box is believed
TARGETS = 7  #: maps of `HeatmapTargets.stacked`

Maps = NDArray[np.float32]


@dataclass(frozen=True)
class Center:
    """A face as the maps show it: its box, and the logit of its centre."""

    box: Box
    logit: float


def find_centers(maps: Maps, stride: int, least: float) -> list[Center]:
    """The faces in one image's maps, those with the highest logit first.

    A centre's cell has a logit of at least `least`, and no neighbour has a larger one.

    Shape: maps (5, H, W): logit of a centre, its offset from the cell's own (x, y) in cells, log width, log height in
    cells.

    >>> maps = np.full((5, 4, 6), -9, np.float32)
    >>> maps[:, 1, 2] = (3.0, 0.5, 0.0, np.log(2), np.log(3))
    >>> find_centers(maps, 8, least=0.0)[0].box
    Box(x=16.0, y=0.0, width=16.0, height=24.0)
    """
    logits = maps[0]
    padded = np.pad(logits, 1, constant_values=-np.inf)
    high, wide = logits.shape
    around = np.max([padded[y : y + high, x : x + wide] for y in range(3) for x in range(3)], axis=0)
    rows, columns = np.nonzero((logits >= around) & (logits >= least))
    order = np.argsort(-logits[rows, columns], kind="stable")
    return [_center(maps, int(rows[i]), int(columns[i]), stride) for i in order]


def _center(maps: Maps, row: int, column: int, stride: int) -> Center:
    logit, right, down, wide, high = (float(value) for value in maps[:, row, column])
    width, height = (float(np.exp(min(side, LARGEST))) * stride for side in (wide, high))
    x, y = (column + 0.5 + right) * stride, (row + 0.5 + down) * stride
    return Center(Box.around(round(x, 3), round(y, 3), round(width, 3), round(height, 3)), logit)


@dataclass(frozen=True, eq=False)
class HeatmapTargets:
    """What an image's maps should be, each (H, W).

    Attributes:
        heat: 1 in the cell of a face's centre, falling off around it.
        heat_weight: the weight of an error there; 0 in ignore regions.
        box_weight: likewise for what follows; 0 away from centres.
        right, down: offset of the centre in cells.
        width, height: logs of the box's sides in cells.
    """

    heat: Maps
    heat_weight: Maps
    box_weight: Maps
    right: Maps
    down: Maps
    width: Maps
    height: Maps

    def stacked(self) -> Maps:
        """(7, H, W) in the order of the attributes."""
        maps = (self.heat, self.heat_weight, self.box_weight, self.right, self.down, self.width, self.height)
        return np.stack(maps)


def heatmap_targets(
    faces: Sequence[Box], ignored: Sequence[Box], cells: tuple[int, int], stride: int, far: float = 1.0
) -> HeatmapTargets:
    """The maps (rows, columns = `cells`) that these faces should give.

    Ignore regions have no weight, except close to a face (in its box), where the weight is 1; where neither is near,
    it is `far`.
    """
    rows, columns = np.mgrid[: cells[0], : cells[1]].astype(np.float32) + np.float32(0.5)
    targets = HeatmapTargets(*(np.zeros(cells, np.float32) for _ in range(TARGETS)))
    targets.heat_weight[:] = far
    for region in ignored:
        targets.heat_weight[_inside(region.scaled(1 / stride), rows, columns)] = 0
    for face in sorted(faces, key=lambda box: -box.height):  # of two at one place the smaller lies in front
        _add(targets, face.scaled(1 / stride), rows, columns)
    return targets


def _add(targets: HeatmapTargets, box: Box, rows: Maps, columns: Maps) -> None:
    x, y = box.center
    across, down = (max(SPREAD * side, LEAST_SPREAD) for side in (box.width, box.height))
    distance = np.hypot((columns - x) / across, (rows - y) / down)
    near = distance <= 1.5
    targets.heat_weight[_inside(box, rows, columns)] = 1
    targets.box_weight[near] = np.exp(-(distance[near] ** 2) / 2)
    targets.right[near], targets.down[near] = (x - columns)[near], (y - rows)[near]
    targets.width[near], targets.height[near] = np.log(box.width), np.log(box.height)
    np.maximum(targets.heat, np.exp(-(distance**2) / 2), out=targets.heat)
    row, column = int(np.floor(y)), int(np.floor(x))
    if 0 <= row < rows.shape[0] and 0 <= column < rows.shape[1]:
        targets.heat[row, column] = 1
        targets.box_weight[row, column] = 1


def _inside(box: Box, rows: Maps, columns: Maps) -> NDArray[np.bool_]:
    inside: NDArray[np.bool_] = (columns >= box.x) & (columns <= box.right) & (rows >= box.y) & (rows <= box.bottom)
    return inside
