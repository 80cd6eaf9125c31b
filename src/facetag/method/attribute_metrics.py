"""How good attribute predictions are: per attribute and on average.

Accuracy alone misleads: 15 of the 40 entries of the paper's Table 1 lie below the constant predictor. So the
majority baseline, balanced accuracy, F1, average precision and calibration error stand beside it.

scikit-learn measures what it can. This file says where a value is not defined; there scikit-learn warns and answers 0
or 1. Calibration error is by hand: scikit-learn's curve does not say how many faces each bin holds.
"""

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, balanced_accuracy_score, f1_score

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
    return _by_attribute(balanced_accuracy_score, present, labels, both=True)


def f1(present: NDArray[np.bool_], labels: NDArray[np.bool_]) -> Values:
    """2 TP / (2 TP + FP + FN); nan without positives in the labels. Shape: (N, A), (N, A) -> (A,).

    >>> f1(np.array([[True], [True], [False]]), np.array([[True], [True], [True]])).tolist()
    [0.8]
    """
    return _by_attribute(f1_score, present, labels)


def average_precision(probabilities: NDArray[np.floating[Any]], labels: NDArray[np.bool_]) -> Values:
    """Step-wise area under precision over recall; nan without positives. Shape: (N, A), (N, A) -> (A,).

    >>> average_precision(np.array([[0.9], [0.8], [0.1]]), np.array([[True], [False], [True]])).round(4).tolist()
    [0.8333]
    """
    return _by_attribute(average_precision_score, probabilities, labels)


def calibration_error(probabilities: NDArray[np.floating[Any]], labels: NDArray[np.bool_], bins: int = 15) -> Values:
    """Expected calibration error: |mean probability - share of positives| in each of `bins` bins of equal width,
    weighted by the bins' counts; nan without faces. Shape: (N, A), (N, A) -> (A,).

    >>> calibration_error(np.array([[0.75], [0.75]]), np.array([[True], [False]])).tolist()
    [0.25]
    """
    gap = probabilities.astype(np.float64) - labels
    bin_of = np.minimum((probabilities * bins).astype(np.int64), bins - 1)
    total = sum(np.abs(np.where(bin_of == index, gap, 0.0).sum(axis=0)) for index in range(bins))
    return np.asarray(total) / (len(labels) or np.nan)


def _by_attribute(
    metric: Callable[..., float], answers: NDArray[Any], labels: NDArray[np.bool_], both: bool = False
) -> Values:
    """A metric of scikit-learn, which takes labels and answers, of each attribute that has positives, and negatives
    too if it needs `both`; nan of the others."""
    columns = zip(answers.T, labels.T, strict=True)
    values = [metric(truth, given) if _is_defined(truth, both) else np.nan for given, truth in columns]
    return np.array(values, np.float64)


def _is_defined(truth: NDArray[np.bool_], both: bool) -> bool:
    return bool(truth.any()) and not (both and truth.all())


def _fraction(hits: NDArray[np.bool_]) -> Values:
    fractions: Values = hits.sum(axis=0) / (len(hits) or np.nan)
    return fractions


def _mean_of_defined(values: Values) -> float:
    defined = values[~np.isnan(values)]
    return float(defined.mean()) if len(defined) else float("nan")
