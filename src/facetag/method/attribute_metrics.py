"""How good attribute predictions are: per attribute and on average.

Accuracy alone misleads: 15 of the 40 entries of the paper's Table 1 lie below the constant predictor. So the
majority baseline, balanced accuracy, F1, average precision and calibration error stand beside it.
"""

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class AttributeMetrics:
    """One value in [0, 1] for each of A attributes; nan where it is not defined. Every field has shape (A,).

    Attributes:
        accuracy: share of faces decided as labelled.
        balanced_accuracy: mean of recall and specificity; nan unless both classes occur.
        f1: harmonic mean of precision and recall; nan without positives.
        average_precision: sum over thresholds of precision times gain in recall, equal probabilities counted at
            once (scikit-learn's definition); nan without positives.
        calibration_error: expected calibration error over bins of equal width.
        majority: accuracy of always saying the training set's majority value.
        own_majority: accuracy of always saying these labels' own majority value, the best constant there is.
    """

    accuracy: Values
    balanced_accuracy: Values
    f1: Values
    average_precision: Values
    calibration_error: Values
    majority: Values
    own_majority: Values

    def means(self) -> dict[str, float]:
        """Field name -> mean over the attributes where it is defined; nan when it is defined for none."""
        return {field.name: _mean_of_defined(getattr(self, field.name)) for field in fields(self)}


def attribute_metrics(
    probabilities: NDArray[np.floating[Any]],
    present: NDArray[np.bool_],
    labels: NDArray[np.bool_],
    majority: NDArray[np.bool_],
) -> AttributeMetrics:
    """Measure decisions and probabilities against labels.

    Args:
        probabilities: (N, A) in [0, 1].
        present: (N, A) decisions.
        labels: (N, A) truth.
        majority: (A,) the training set's majority values.
    """
    assert probabilities.shape == present.shape == labels.shape and majority.shape == labels.shape[1:]
    return AttributeMetrics(
        accuracy=_fraction(present == labels),
        balanced_accuracy=balanced_accuracy(present, labels),
        f1=f1(present, labels),
        average_precision=average_precision(probabilities, labels),
        calibration_error=calibration_error(probabilities, labels),
        majority=_fraction(labels == majority),
        own_majority=_fraction(labels == majority_values(labels)),
    )


def majority_values(labels: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The majority value of each attribute; absent when both are equally common. Shape: (N, A) -> (A,).

    >>> majority_values(np.array([[True, False], [True, False], [False, True]])).tolist()
    [True, False]
    """
    majority: NDArray[np.bool_] = 2 * labels.sum(axis=0) > len(labels)
    return majority


def balanced_accuracy(present: NDArray[np.bool_], labels: NDArray[np.bool_]) -> Values:
    """Mean of recall and specificity; nan unless both classes occur. Shape: (N, A), (N, A) -> (A,).

    >>> balanced_accuracy(np.array([[True], [True], [False]]), np.array([[True], [False], [False]])).tolist()
    [0.75]
    """
    recall = _ratio((present & labels).sum(axis=0), labels.sum(axis=0))
    specificity = _ratio((~present & ~labels).sum(axis=0), (~labels).sum(axis=0))
    return (recall + specificity) / 2


def f1(present: NDArray[np.bool_], labels: NDArray[np.bool_]) -> Values:
    """2 TP / (2 TP + FP + FN); nan without positives in the labels. Shape: (N, A), (N, A) -> (A,).

    >>> f1(np.array([[True], [True], [False]]), np.array([[True], [True], [True]])).tolist()
    [0.8]
    """
    positives = labels.sum(axis=0)
    score = _ratio(2 * (present & labels).sum(axis=0), present.sum(axis=0) + positives)
    return np.where(positives > 0, score, np.nan)


def average_precision(probabilities: NDArray[np.floating[Any]], labels: NDArray[np.bool_]) -> Values:
    """Step-wise area under precision over recall; nan without positives. Shape: (N, A), (N, A) -> (A,).

    >>> average_precision(np.array([[0.9], [0.8], [0.1]]), np.array([[True], [False], [True]])).round(4).tolist()
    [0.8333]
    """
    columns = zip(probabilities.T, labels.T, strict=True)
    return np.array([_average_precision(p, truth) for p, truth in columns], dtype=np.float64)


def calibration_error(probabilities: NDArray[np.floating[Any]], labels: NDArray[np.bool_], bins: int = 15) -> Values:
    """Expected calibration error: |mean probability - share of positives| in each of `bins` bins of equal width,
    weighted by the bins' counts; nan without faces. Shape: (N, A), (N, A) -> (A,).

    >>> calibration_error(np.array([[0.75], [0.75]]), np.array([[True], [False]])).tolist()
    [0.25]
    """
    gap = probabilities.astype(np.float64) - labels
    bin_of = np.minimum((probabilities * bins).astype(np.int64), bins - 1)
    total = sum(np.abs(np.where(bin_of == index, gap, 0.0).sum(axis=0)) for index in range(bins))
    return _ratio(np.asarray(total), np.full(labels.shape[1], len(labels)))


def _average_precision(probabilities: NDArray[np.floating[Any]], labels: NDArray[np.bool_]) -> float:
    if not labels.any():
        return float("nan")
    order = np.argsort(-probabilities, kind="stable")
    ranked = probabilities[order]
    last_of_ties = np.flatnonzero(np.append(ranked[1:] != ranked[:-1], True))
    true_positives = np.cumsum(labels[order])[last_of_ties]
    precision = true_positives / (last_of_ties + 1)
    gain = np.diff(true_positives, prepend=0) / true_positives[-1]
    return float((precision * gain).sum())


def _fraction(hits: NDArray[np.bool_]) -> Values:
    return _ratio(hits.sum(axis=0), np.full(hits.shape[1], len(hits)))


def _ratio(part: NDArray[Any], whole: NDArray[Any]) -> Values:
    """part / whole; nan where the whole is 0."""
    ratio = np.full(whole.shape, np.nan)
    np.divide(part, whole, out=ratio, where=whole > 0)
    return ratio


def _mean_of_defined(values: Values) -> float:
    defined = values[~np.isnan(values)]
    return float(defined.mean()) if len(defined) else float("nan")
