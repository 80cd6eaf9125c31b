"""How well tags are told on photographs that are not CelebA's, from labels that a user brings.

The face that is tagged is the surest of its photograph, found by the model. A photograph without a face found has no
tags: it is counted and left out of the figures.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from facetag.datasets.tags import TagLabels
from facetag.errors import DataError
from facetag.evaluate.attributes import Tagged
from facetag.method.attribute_metrics import AttributeMetrics, attribute_metrics, majority_values


@dataclass(frozen=True, eq=False)
class TagRow:
    """One attribute on the photographs that have a label of it and a face.

    Attributes:
        photographs, positives: how many, and how many of them are labelled present.
        metrics: each field (1,); the majority is the labels' own.
        recall, specificity: shares of present and of absent ones that are told; nan without any.
    """

    name: str
    images: int
    positives: int
    metrics: AttributeMetrics
    recall: float
    specificity: float


@dataclass(frozen=True, eq=False)
class TagReport:
    """Tags measured on photographs.

    Attributes:
        photographs, missed: how many, and in how many of them no face was found.
        rows: the attributes that any of them has a label of.
    """

    images: int
    missed: int
    rows: list[TagRow]


def measure_tags(tagged: Tagged, labels: TagLabels) -> TagReport:
    """Compare answers with the labels of the same photographs.

    Raises:
        DataError: no photograph with a face found has a label.
    """
    rows = [_row(index, tagged, labels) for index in labels.attributes]
    rows = [row for row in rows if row.images]
    if not rows:
        raise DataError("no photograph with a face has a label", "label more photographs, or look at --sheet")
    return TagReport(len(labels.files), int((~tagged.found).sum()), rows)


def _row(index: int, tagged: Tagged, labels: TagLabels) -> TagRow:
    column = slice(index, index + 1)
    chosen = tagged.found & (labels.values[:, index] >= 0)
    truth, present = labels.values[chosen, column] == 1, tagged.present[chosen, column]
    return TagRow(
        labels.names[index],
        len(truth),
        int(truth.sum()),
        attribute_metrics(tagged.probabilities[chosen, column], present, truth, majority_values(truth)),
        _fraction(present[truth]),
        _fraction(~present[~truth]),
    )


def _fraction(hits: NDArray[np.bool_]) -> float:
    return float(np.mean(hits)) if len(hits) else float("nan")
