"""LFWA and LFWA+ (paper, section 5.2): a model's nets stay as they are, SVMs learn from the training half.

A test image without a face found counts: as the training half's majority values and fractions.
"""

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facetag.datasets.lfwa import Lfwa
from facetag.errors import DataError
from facetag.evaluate.attributes import Locate
from facetag.evaluate.image_batches import Progress, no_progress
from facetag.evaluate.labeled_faces import face_features
from facetag.evaluate.report import Table
from facetag.method.attribute_metrics import AttributeMetrics, attribute_metrics
from facetag.tagger import Tagger
from facetag.training.competitors.linear import FOLDS, fit_calibrated

COSTS = (0.0001, 0.001, 0.01)

_SHOWN = {
    "accuracy": "accuracy",
    "majority": "majority",
    "balanced_accuracy": "balanced",
    "f1": "F1",
    "average_precision": "avg. prec.",
    "calibration_error": "cal. error",
}


@dataclass(frozen=True, eq=False)
class LfwaReport:
    """Attributes on LFWA's test half.

    Attributes:
        names: of the attributes.
        trained: faces that the SVMs learned from.
        images, missed: of the test half, and those without a face found.
    """

    names: tuple[str, ...]
    trained: int
    images: int
    missed: int
    metrics: AttributeMetrics


def measure_lfwa(data: Lfwa, locate: Locate, tagger: Tagger, progress: Progress = no_progress) -> LfwaReport:
    """Fit on the training half, whose persons are shared out over folds, and measure on the other.

    Raises:
        DataError: a half is empty, shows too few persons, or no face is found in it.
    """
    training, test = data.select(data.train), data.select(~data.train)
    if not test.paths or len(set(training.people)) < FOLDS:
        raise DataError(
            f"LFWA has {len(training.paths)} images to train and {len(test.paths)} to test here",
            "extract all of lfw.tgz",
        )
    rows, features = face_features(training.paths, locate, tagger, progress)
    persons = np.unique(training.people, return_inverse=True)[1][rows]
    labels = training.attributes == 1
    svm = fit_calibrated(features, labels[rows], persons, costs=COSTS)
    fractions = labels.mean(0)
    probabilities = np.tile(fractions, (len(test.paths), 1))
    found, seen = face_features(test.paths, locate, tagger, progress)
    probabilities[found] = svm.probabilities(seen)
    metrics = attribute_metrics(probabilities, probabilities >= 0.5, test.attributes == 1, fractions > 0.5)
    return LfwaReport(data.attribute_names, len(rows), len(test.paths), len(test.paths) - len(found), metrics)


def lfwa_tables(report: LfwaReport) -> list[Table]:
    """Percent per attribute, and their means."""
    values: dict[str, NDArray[np.float64]] = {name: getattr(report.metrics, name) for name in _SHOWN}
    rows = [(name, *(_percent(values[key][index]) for key in _SHOWN)) for index, name in enumerate(report.names)]
    means = report.metrics.means()
    rows.append(("mean", *(_percent(means[key]) for key in _SHOWN)))
    title = (
        f"{report.images} test images, {report.missed} without a face found; SVMs learned from {report.trained} "
        "faces of the training half; percent (the paper: LFWA 84, FaceTracer 74, PANDA-w 71, PANDA-l 81)"
    )
    return [Table(title, ("attribute", *_SHOWN.values()), rows)]


def lfwa_json(report: LfwaReport) -> dict[str, Any]:
    """Means, and every metric by attribute."""
    names = [field.name for field in fields(report.metrics)]
    return {
        "images": report.images,
        "missed": report.missed,
        "trained": report.trained,
        "means": report.metrics.means(),
        "attributes": {
            attribute: {name: getattr(report.metrics, name)[index] for name in names}
            for index, attribute in enumerate(report.names)
        },
    }


def _percent(value: float) -> str:
    return "-" if np.isnan(value) else f"{100 * value:.1f}"
