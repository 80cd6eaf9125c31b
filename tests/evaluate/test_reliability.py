import numpy as np
import pytest

from facetag.evaluate.reliability import measure_reliability
from facetag.method.attribute_metrics import calibration_error


def test_errors_are_those_of_the_metric_and_gaps_are_left_out() -> None:
    rng = np.random.default_rng(0)
    probabilities = rng.random((500, 3))
    labels = rng.random((500, 3)) < probabilities * [1.0, 0.5, 1.0]
    values = labels.astype(np.int8)
    values[:100, 2] = -1
    probabilities[400:] = np.nan
    report = measure_reliability(probabilities, values)
    expected = calibration_error(probabilities[:400], labels[:400])
    assert report.calibration_error[:2] == pytest.approx(expected[:2])
    assert report.calibration_error[2] == pytest.approx(calibration_error(probabilities[100:400], labels[100:400])[2])
    assert report.calibration_error[0] < 0.1 < 0.2 < report.calibration_error[1] and report.bias[1] > 0.2
    assert report.missed == 100 and report.counts.sum(1).tolist() == [400, 400, 300]


def test_a_bin_has_its_faces() -> None:
    report = measure_reliability(np.array([[0.95], [1.0], [0.5]]), np.array([[1], [0], [0]], np.int8))
    assert report.counts[0, [14, 7]].tolist() == [2, 1] and report.present[0, [14, 7]].tolist() == [0.5, 0]
    assert report.probability[0, 14] == pytest.approx(0.975) and np.isnan(report.probability[0, 0])
