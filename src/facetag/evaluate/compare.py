"""Two models on the same images, with paired intervals by bootstrap over identities.

An image without a face found counts: as absent, at the probability 0. So a model cannot win by leaving out what is
hard.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from facetag.errors import DataError
from facetag.evaluate.attributes import Tagged
from facetag.evaluate.bootstrap import Bootstrap, interval, mean_defined, ratio

Metric = Literal["accuracy", "balanced_accuracy", "squared_error"]
METRICS: tuple[Metric, ...] = ("accuracy", "balanced_accuracy", "squared_error")

Values = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Paired:
    """One metric of both models by attribute, the mean over attributes last: each (A + 1,), nan where it is not
    defined. The difference is B less A; between `low` and `high` lie 95 % of the draws."""

    first: Values
    second: Values
    difference: Values
    low: Values
    high: Values


@dataclass(frozen=True, eq=False)
class ModelComparison:
    """Two models on so many images of so many persons.

    Attributes:
        missed: images in which each of them found no face.
        labeled: (A,) images with a label.
        metrics: accuracy, balanced accuracy and the mean squared error of probabilities (the Brier score, the only one
            of which less is better).
    """

    images: int
    persons: int
    missed: tuple[int, int]
    labeled: NDArray[np.int64]
    metrics: dict[Metric, Paired]


def compare_models(
    answers: Sequence[Tagged], values: NDArray[np.int8], identities: NDArray[np.int64], seed: int = 0
) -> ModelComparison:
    """Compare two models' answers for labels (N, A), -1 = unknown.

    Raises:
        DataError: no image has a label.
    """
    known = values >= 0
    if not known.any():
        raise DataError("no image has a label to compare models by", "label some, or choose other images")
    bootstrap = Bootstrap(identities, seed)
    first, second = (_metrics(each, values, bootstrap) for each in answers)
    return ModelComparison(
        images=len(values),
        persons=bootstrap.count,
        missed=(int((~answers[0].found).sum()), int((~answers[1].found).sum())),
        labeled=known.sum(0),
        metrics={metric: _paired(first[metric], second[metric]) for metric in METRICS},
    )


def _metrics(tagged: Tagged, values: NDArray[np.int8], bootstrap: Bootstrap) -> dict[Metric, Values]:
    """Each metric of all images, then of every draw: (1 + draws, A)."""
    known, truth = values >= 0, values == 1
    probabilities = np.nan_to_num(tagged.probabilities)
    right = known & (tagged.present == truth)
    recall = ratio(bootstrap.sums(right & truth), bootstrap.sums(known & truth))
    specificity = ratio(bootstrap.sums(right & ~truth), bootstrap.sums(known & ~truth))
    count = bootstrap.sums(known)
    return {
        "accuracy": ratio(bootstrap.sums(right), count),
        "balanced_accuracy": (recall + specificity) / 2,
        "squared_error": ratio(bootstrap.sums(np.where(known, (probabilities - truth) ** 2, 0)), count),
    }


def _paired(first: Values, second: Values) -> Paired:
    first, second = (np.concatenate([each, mean_defined(each)[:, None]], axis=1) for each in (first, second))
    low, high = interval((second - first)[1:])
    return Paired(first[0], second[0], second[0] - first[0], low, high)
