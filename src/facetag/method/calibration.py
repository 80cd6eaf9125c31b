"""From SVM scores to probabilities (Platt scaling) and from probabilities to decisions: applying, and thresholds."""

from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray


class Decision(IntEnum):
    """What is said of one attribute of one face."""

    UNSURE = -1
    ABSENT = 0
    PRESENT = 1


@dataclass(frozen=True, eq=False)
class Calibration:
    """Platt scaling per attribute: probability = sigmoid(slope * score + intercept).

    Attributes:
        slope, intercept: (A,).
    """

    slope: NDArray[np.floating[Any]]
    intercept: NDArray[np.floating[Any]]

    def __post_init__(self) -> None:
        assert self.slope.ndim == 1 and self.slope.shape == self.intercept.shape

    def probabilities(self, scores: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
        """Calibrated probabilities that each attribute is present. Shape: (N, A) -> (N, A) in [0, 1].

        >>> Calibration(np.ones(3), np.zeros(3)).probabilities(np.zeros((2, 3))).tolist()
        [[0.5, 0.5, 0.5], [0.5, 0.5, 0.5]]
        """
        return sigmoid(self.slope * scores.astype(np.float64) + self.intercept)


def sigmoid(x: ArrayLike) -> NDArray[np.float64]:
    """1 / (1 + exp(-x)), any shape, without overflow at either end.

    By hand, because scipy.special takes 0.2 s to import, which every command that tags would wait for.

    >>> sigmoid(np.array([-1000.0, 0.0, 1000.0])).tolist()
    [0.0, 0.5, 1.0]
    """
    values = np.asarray(x, np.float64)
    small = np.exp(-np.abs(values))
    return np.where(values >= 0, 1.0, small) / (1.0 + small)


def decide(
    probabilities: NDArray[np.floating[Any]], thresholds: NDArray[np.floating[Any]], unsure: float = 0.0
) -> NDArray[np.int8]:
    """Decisions, as values of Decision: present from the threshold on, unsure less than `unsure` away from it.

    Shape: probabilities (N, A), thresholds (A,) -> (N, A).

    >>> decide(np.array([[0.2, 0.59, 0.6]]), np.array([0.5, 0.6, 0.6])).tolist()
    [[0, 0, 1]]
    >>> decide(np.array([[0.2, 0.59, 0.6]]), np.array([0.5, 0.6, 0.6]), unsure=0.05).tolist()
    [[0, -1, -1]]
    """
    over = probabilities - thresholds
    decisions = np.where(over >= 0, Decision.PRESENT, Decision.ABSENT)
    return np.where(np.abs(over) < unsure, Decision.UNSURE, decisions).astype(np.int8)


def best_thresholds(probabilities: NDArray[np.floating[Any]], labels: NDArray[np.bool_]) -> NDArray[np.float64]:
    """The threshold in [0, 1] of largest accuracy for each attribute, by exact sweep.

    Thresholds tried: 0, 0.5 and the middle between neighbouring probabilities (0 and 1 counted among them), which
    covers every decision that some threshold gives. Ties go to the nearest to 0.5, then to the lower.

    Shape: probabilities (N, A) in [0, 1], labels (N, A) -> (A,).

    >>> best_thresholds(np.array([[0.1], [0.2], [0.3]]), np.array([[False], [True], [True]])).round(6).tolist()
    [0.15]
    """
    assert probabilities.shape == labels.shape
    columns = zip(probabilities.astype(np.float64).T, labels.T, strict=True)
    return np.array([_best_threshold(p, present) for p, present in columns], dtype=np.float64)


def _best_threshold(probabilities: NDArray[np.float64], labels: NDArray[np.bool_]) -> float:
    order = np.argsort(probabilities, kind="stable")
    positives_below = np.concatenate([[0], np.cumsum(labels[order])])
    thresholds = _candidates(probabilities)
    below = np.searchsorted(probabilities[order], thresholds, side="left")
    negatives_right = below - positives_below[below]
    positives_right = positives_below[-1] - positives_below[below]
    best = np.lexsort((thresholds, np.abs(thresholds - 0.5), -(negatives_right + positives_right)))[0]
    return float(thresholds[best])


def equal_error_threshold(
    probabilities: NDArray[np.floating[Any]], labels: NDArray[np.bool_], weights: NDArray[np.floating[Any]]
) -> float:
    """The threshold in [0, 1] by which present and absent faces of one attribute are told equally often, as nearly as
    any does; of equally good ones the nearest to 0.5, then the lower. 0.5 where one of the two kinds is missing.

    Shape: probabilities, labels, weights (how much a face counts among the faces) (N,).

    >>> equal_error_threshold(np.array([0.2, 0.75, 0.8]), np.array([False, True, True]), np.ones(3))
    0.5
    """
    counted = labels[weights > 0]
    if counted.all() or not counted.any():
        return 0.5
    thresholds = _candidates(probabilities.astype(np.float64))
    missed, right = (_fraction_below(thresholds, probabilities[kind], weights[kind]) for kind in (labels, ~labels))
    uneven = np.abs((1 - missed) - right).round(12)  # equally good ones may differ by roundings
    return float(thresholds[np.lexsort((thresholds, np.abs(thresholds - 0.5), uneven))[0]])


def _fraction_below(
    thresholds: NDArray[np.float64], probabilities: NDArray[np.floating[Any]], weights: NDArray[np.floating[Any]]
) -> NDArray[np.float64]:
    """The weight of the probabilities under each threshold, of all weight; some has to be over 0."""
    order = np.argsort(probabilities)
    sums = np.concatenate([[0.0], np.cumsum(weights[order])])
    fractions: NDArray[np.float64] = sums[np.searchsorted(probabilities[order], thresholds)] / sums[-1]
    return fractions


def _candidates(probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
    edges = np.unique(np.concatenate([[0.0, 1.0], probabilities]))
    midpoints = (edges[:-1] + edges[1:]) / 2
    # Between two neighbouring floats the middle may round down to the lower, which would let the lower one through.
    midpoints = np.where(midpoints > edges[:-1], midpoints, edges[1:])
    return np.concatenate([[0.0, 0.5], midpoints])
