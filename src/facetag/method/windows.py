"""From response map to windows: which cells belong to which peak (paper, section 3.1), and no face twice."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facetag.geometry import Box, Window
from facetag.method.density_peaks import Peaks, density_peaks


def climb(peaks: Peaks) -> NDArray[np.int64]:
    """(N,) index of the peak that each visited position climbs to by nearest larger positions.

    Connected components (8 neighbours) need no search of their own. Whatever is not a peak steps at most sqrt(2)
    cells, to one of its eight neighbours, so a climb never leaves its component; and a component's largest position
    has nothing larger within sqrt(2) cells, so it is a peak and every climb ends.
    """
    owner = np.where(peaks.is_peak, np.arange(len(peaks.rho)), peaks.parent)
    while ((higher := owner[owner]) != owner).any():
        owner = higher
    return owner


def labelled_windows(response: NDArray[np.floating[Any]], threshold: float) -> tuple[list[Window], NDArray[np.int64]]:
    """The windows of a response map, one per peak, d (Eq. 3) descending; equal d in the peaks' total order.

    A window is the box of the positions that climb to its peak. Windows may overlap, their members never do.

    Returns:
        The windows, and (H, W) the index of the window that each cell is a member of; -1 where none.

    Args:
        response: (H, W) finite responses, H and W in cells.
        threshold: visited is what is strictly over it; not negative.
    """
    peaks = density_peaks(response, threshold)
    owner = climb(peaks)
    summits = _summits(peaks)
    found = [_window(peaks, summit, peaks.positions[owner == summit]) for summit in summits]
    rank = np.full(len(peaks.rho), -1)
    rank[summits] = np.arange(len(summits))
    labels = np.full(response.shape, -1)
    labels[peaks.positions[:, 0], peaks.positions[:, 1]] = rank[owner]
    return found, labels


def suppress_doubles(boxes: Sequence[Box], scores: Sequence[float], iou: float, containment: float = 1.0) -> list[int]:
    """Greedy non-maximum suppression: indices of the boxes to keep, score descending, equal scores as given.

    Args:
        boxes: in any one frame.
        scores: one per box, larger is surer.
        iou: a box is dropped when its IoU with a kept box is over this.
        containment: a box is dropped when intersection / smaller area with a kept box is over this; 1 switches it off.
    """
    assert len(boxes) == len(scores)
    kept: list[int] = []
    for index in sorted(range(len(boxes)), key=lambda i: -scores[i]):
        box = boxes[index]
        if all(box.iou(boxes[k]) <= iou and _containment(box, boxes[k]) <= containment for k in kept):
            kept.append(index)
    return kept


def _summits(peaks: Peaks) -> NDArray[np.int64]:
    """Indices of the peaks, d descending, equal d in total order."""
    summits = np.flatnonzero(peaks.is_peak)
    return summits[np.argsort(-peaks.d[summits], kind="stable")]


def _window(peaks: Peaks, summit: int, members: NDArray[np.int64]) -> Window:
    top, left = (int(value) for value in members.min(axis=0))
    bottom, right = (int(value) for value in members.max(axis=0))
    row, column = (int(value) for value in peaks.positions[summit])
    return Window(top, left, bottom, right, row, column, float(peaks.rho[summit]))


def _containment(first: Box, second: Box) -> float:
    """Intersection over the smaller area, in [0, 1]; 0 when one is empty."""
    smaller = min(first.area, second.area)
    return min(first.intersection(second) / smaller, 1.0) if smaller > 0 else 0.0
