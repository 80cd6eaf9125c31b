"""Several views of one face: where they lie (Eq. 5), how their features become one vector (paper, section 3.2)."""

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from facetag.errors import UsageError

Combination = Literal["concatenate", "average"]


def view_offsets(radius: int, step: int) -> tuple[tuple[int, int], ...]:
    """(dy, dx) in pixels from the anchor to each of the (2 radius / step + 1)² views, row-major.

    Raises:
        UsageError: the radius is not a whole number of steps.

    >>> view_offsets(radius=8, step=8)[:4]
    ((-8, -8), (-8, 0), (-8, 8), (0, -8))
    """
    if step < 1 or radius < 0 or radius % step:
        raise UsageError(f"views of radius {radius} px cannot be {step} px apart", "make the radius a multiple of it")
    reach = range(-radius, radius + 1, step)
    return tuple((dy, dx) for dy in reach for dx in reach)


def combine(features: NDArray[np.floating[Any]], how: Combination) -> NDArray[np.floating[Any]]:
    """One vector per face from the features of its views.

    `concatenate` is the paper's h_a. `average` is the later revision: it averages the SVM's scores over views, and
    as an SVM is affine, the score of the average is that average at a V-th of the cost.

    Shape: (N, V, F) -> (N, V F) views in row-major order, or (N, F).

    >>> features = np.arange(12.0).reshape(1, 2, 6)  # one face, two views
    >>> combine(features, "concatenate").shape, combine(features, "average").tolist()
    ((1, 12), [[3.0, 4.0, 5.0, 6.0, 7.0, 8.0]])
    """
    count, views, width = features.shape
    if how == "concatenate":
        return features.reshape(count, views * width)
    # View by view: numpy may choose another order of summing for another batch, and so other last bits.
    total = features[:, 0].copy()
    for view in range(1, views):
        total += features[:, view]
    total /= views
    return total


def best_anchor(scores: NDArray[np.floating[Any]], margin: int) -> tuple[int, int]:
    """The (row, column) of the window to place the views around (Eq. 5).

    Only anchors whose views all lie in the region compete. Equal scores go to the most central window, then to the
    first in row-major order.

    Args:
        scores: (rows, columns) largest C4 response in each window's block; more than 2 margin of each.
        margin: windows from an anchor to its outermost view.

    >>> scores = np.zeros((5, 5))
    >>> scores[0, 0], scores[1, 3] = 9.0, 1.0  # views around the first would lie outside
    >>> best_anchor(scores, margin=1), best_anchor(np.zeros((5, 5)), margin=1)
    ((1, 3), (2, 2))
    """
    rows, columns = scores.shape
    assert margin >= 0 and min(rows, columns) > 2 * margin
    inner = scores[margin : rows - margin, margin : columns - margin]
    row, column = np.indices(inner.shape).reshape(2, -1)
    # Twice the distances, because the middle of an even number of windows lies between two.
    off_center = (2 * row - inner.shape[0] + 1) ** 2 + (2 * column - inner.shape[1] + 1) ** 2
    best = np.lexsort((off_center, -inner.ravel()))[0]
    return int(row[best]) + margin, int(column[best]) + margin
