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

    >>> response = np.array([[4.0, 3.0, 0.0, 1.0, 2.0]])
    >>> climb(density_peaks(response, threshold=0.5)).tolist()  # of the responses 4, 3, 2, 1
    [0, 0, 2, 2]
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

    >>> windows, labels = labelled_windows(np.array([[4.0, 3.0, 0.0, 1.0, 2.0]]), threshold=0.5)
    >>> [(window.left, window.right, window.score) for window in windows], labels.tolist()
    ([(0, 1, 4.0), (3, 4, 2.0)], [[0, 0, -1, 1, 1]])
    """
    from scipy.ndimage import find_objects  # here, because it takes 0.3 s, and centre networks need none of it

    peaks = density_peaks(response, threshold)
    owner = climb(peaks)
    summits = _summits(peaks)
    rank = np.full(len(peaks.rho), -1)
    rank[summits] = np.arange(len(summits))
    labels = np.full(response.shape, -1)
    labels[peaks.positions[:, 0], peaks.positions[:, 1]] = rank[owner]
    spans = find_objects(labels + 1)
    return [_window(peaks, *pair) for pair in zip(summits, spans, strict=True)], labels


def nms(boxes: Sequence[Box], scores: Sequence[float], iou: float, containment: float = 1.0) -> list[int]:
    """Greedy non-maximum suppression: indices of the boxes to keep, score descending, equal scores as given.

    Args:
        boxes: in any one frame.
        scores: one per box, larger is surer.
        iou: a box is dropped when its IoU with a kept box is over this.
        containment: a box is dropped when intersection / smaller area with a kept box is over this; 1 switches it off.

    >>> nms([Box(0, 0, 10, 10), Box(1, 0, 10, 10), Box(30, 0, 10, 10)], [0.5, 0.9, 0.7], iou=0.5)
    [1, 2]
    """
    assert len(boxes) == len(scores)
    table = np.array([(box.x, box.y, box.right, box.bottom, box.area) for box in boxes], np.float64).reshape(-1, 5).T
    dropped = np.zeros(len(boxes), bool)
    kept: list[int] = []
    for index in sorted(range(len(boxes)), key=lambda i: -scores[i]):
        if not dropped[index]:
            kept.append(index)
            dropped |= _duplicates(table, index, iou, containment)
    return kept


def _duplicates(table: NDArray[np.float64], index: int, iou: float, containment: float) -> NDArray[np.bool_]:
    """Which boxes overlap one of them by more; the table has a row each for left, top, right, bottom and area."""
    left, top, right, bottom, area = table
    own = table[:, index]
    width = np.minimum(right, own[2]) - np.maximum(left, own[0])
    height = np.minimum(bottom, own[3]) - np.maximum(top, own[1])
    common = np.maximum(width, 0.0) * np.maximum(height, 0.0)
    union, smaller = area + own[4] - common, np.minimum(area, own[4])
    overlap = np.divide(common, union, out=np.zeros_like(common), where=union > 0)
    inside = np.divide(common, smaller, out=np.zeros_like(common), where=smaller > 0)
    duplicates: NDArray[np.bool_] = (overlap > iou) | (np.minimum(inside, 1.0) > containment)
    return duplicates


def _summits(peaks: Peaks) -> NDArray[np.int64]:
    """Indices of the peaks, d descending, equal d in total order."""
    summits = np.flatnonzero(peaks.is_peak)
    return summits[np.argsort(-peaks.d[summits], kind="stable")]


def _window(peaks: Peaks, summit: int, span: tuple[slice, slice]) -> Window:
    """`span` are the rows and columns of the members."""
    rows, columns = span
    row, column = (int(value) for value in peaks.positions[summit])
    return Window(rows.start, columns.start, rows.stop - 1, columns.stop - 1, row, column, float(peaks.rho[summit]))
