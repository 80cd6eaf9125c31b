"""How good localization is: recall of true boxes against IoU, false positives per image and size (paper, Fig. 7).

A photograph without any located box counts all its true boxes as missed, one without a true box only adds its false
positives. Recall is nan where there is no true box.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from facetag.geometry import Box


@dataclass(frozen=True)
class Located:
    """The boxes located in one photograph, their scores (larger is surer), and the true boxes, all in one frame."""

    boxes: Sequence[Box]
    scores: Sequence[float]
    truths: Sequence[Box]

    def __post_init__(self) -> None:
        assert len(self.boxes) == len(self.scores)


@dataclass(frozen=True, eq=False)
class Froc:
    """What each score threshold gives, thresholds descending; every field has shape (T,).

    Attributes:
        thresholds: the distinct scores; located is what scores at least this.
        recall: share of true boxes found.
        false_positives: per image.
    """

    thresholds: NDArray[np.float64]
    recall: NDArray[np.float64]
    false_positives: NDArray[np.float64]


def match(boxes: Sequence[Box], scores: Sequence[float], truths: Sequence[Box], iou: float) -> NDArray[np.int64]:
    """(len(boxes),) index of the true box that each located box finds, -1 for a false positive.

    Greedy: score descending (equal scores as given), each box takes the free true box of largest IoU (ties: the
    first), if that is at least `iou`. So what a lower score finds never changes what a higher one found.

    >>> truth = Box(0, 0, 10, 10)
    >>> match([truth.shifted(3, 0), truth.shifted(1, 0)], [0.2, 0.9], [truth], iou=0.5).tolist()
    [-1, 0]
    """
    assert 0 < iou <= 1
    found = np.full(len(boxes), -1)
    free = list(range(len(truths)))
    for index in sorted(range(len(boxes)), key=lambda i: -scores[i]):
        nearest = max(free, key=lambda truth: boxes[index].iou(truths[truth]), default=None)
        if nearest is not None and boxes[index].iou(truths[nearest]) >= iou:
            found[index] = nearest
            free.remove(nearest)
    return found


def recall_by_iou(images: Sequence[Located], ious: Sequence[float]) -> NDArray[np.float64]:
    """(len(ious),) share of true boxes found by all located boxes, for each IoU demanded.

    >>> image = Located([Box(0, 0, 10, 8)], [0.9], [Box(0, 0, 10, 10)])
    >>> recall_by_iou([image], [0.5, 0.9]).tolist()
    [1.0, 0.0]
    """
    recalls = [_found_truths(images, iou) for iou in ious]
    return np.array([found.mean() if len(found) else np.nan for found in recalls], dtype=np.float64)


def froc(images: Sequence[Located], iou: float) -> Froc:
    """The free-response curve: recall and false positives per image at every score threshold.

    >>> face = Box(0, 0, 10, 10)
    >>> curve = froc([Located([face.shifted(50, 0), face], [0.9, 0.8], [face])], iou=0.5)
    >>> curve.thresholds.tolist(), curve.recall.tolist(), curve.false_positives.tolist()
    ([0.9, 0.8], [0.0, 1.0], [1.0, 1.0])
    """
    is_hit = np.concatenate([match(i.boxes, i.scores, i.truths, iou) >= 0 for i in images] or [np.zeros(0, bool)])
    scores = np.array([score for image in images for score in image.scores], dtype=np.float64)
    order = np.argsort(-scores, kind="stable")
    ranked = scores[order]
    last_of_ties = np.flatnonzero(np.append(ranked[1:] != ranked[:-1], True)) if len(ranked) else order
    hits = np.cumsum(is_hit[order])[last_of_ties]
    truths = sum(len(image.truths) for image in images)
    recall = hits / truths if truths else np.full(len(hits), np.nan)
    return Froc(ranked[last_of_ties], recall, (last_of_ties + 1 - hits) / max(len(images), 1))


def recall_by_false_positives(
    images: Sequence[Located], rates: Sequence[float], iou: float = 0.5
) -> NDArray[np.float64]:
    """(len(rates),) recall at the lowest score threshold with at most this many false positives per image.

    Nothing is interpolated: 0 when even the highest threshold has more.

    >>> face = Box(0, 0, 10, 10)
    >>> image = Located([face, face.shifted(50, 0)], [0.9, 0.8], [face])
    >>> recall_by_false_positives([image], rates=[0.0, 1.0]).tolist()
    [1.0, 1.0]
    """
    curve = froc(images, iou)
    nothing = 0.0 if any(image.truths for image in images) else np.nan
    recall = np.concatenate([[nothing], curve.recall])
    return recall[np.searchsorted(curve.false_positives, np.asarray(rates, dtype=np.float64), side="right")]


def recall_by_size(
    images: Sequence[Located], edges: Sequence[float], iou: float = 0.5
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Recall of the true boxes of each size, and their number; shapes (len(edges) - 1,).

    A box's size is its longer side in the frame of the boxes: pixels, or, for boxes scaled by 1 / longer side of the
    photograph, a share of it. Bin k holds edges[k] <= size < edges[k + 1].

    >>> image = Located([Box(0, 0, 10, 10)], [0.9], [Box(0, 0, 10, 10), Box(0, 20, 30, 30)])
    >>> recall, count = recall_by_size([image], edges=[0, 20, 40])
    >>> recall.tolist(), count.tolist()
    ([1.0, 0.0], [1, 1])
    """
    sizes = np.array([max(box.width, box.height) for image in images for box in image.truths], dtype=np.float64)
    found = _found_truths(images, iou)
    bins = [(low <= sizes) & (sizes < high) for low, high in pairwise(edges)]
    recall = [found[inside].mean() if inside.any() else np.nan for inside in bins]
    return np.array(recall, dtype=np.float64), np.array([inside.sum() for inside in bins], dtype=np.int64)


def _found_truths(images: Sequence[Located], iou: float) -> NDArray[np.bool_]:
    """Whether each true box, image after image, is found by some located box."""
    found: list[bool] = []
    for image in images:
        matched = set(match(image.boxes, image.scores, image.truths, iou).tolist())
        found.extend(truth in matched for truth in range(len(image.truths)))
    return np.array(found, dtype=np.bool_)
