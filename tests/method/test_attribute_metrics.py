"""Attribute metrics by hand and against their definitions, written out."""

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from facetag.method.attribute_metrics import (
    attribute_metrics,
    average_precision,
    balanced_accuracy,
    calibration_error,
    f1,
    majority_values,
)

LABELS = np.array([[1, 0], [1, 0], [0, 0], [0, 0]], dtype=bool)
PROBABILITIES = np.array([[0.9, 0.1], [0.4, 0.6], [0.6, 0.1], [0.1, 0.1]])
PRESENT = PROBABILITIES >= 0.5

# Few levels make ties.
columns = st.integers(1, 12).flatmap(
    lambda n: st.tuples(arrays(np.float64, n, elements=st.integers(0, 4).map(lambda k: k / 4)), arrays(np.bool_, n))
)


def test_metrics_by_hand():
    metrics = attribute_metrics(PROBABILITIES, PRESENT, LABELS, majority=np.array([False, True]))
    assert metrics.accuracy.tolist() == [0.5, 0.75]
    assert metrics.balanced_accuracy == pytest.approx([0.5, math.nan], nan_ok=True)
    assert metrics.f1 == pytest.approx([0.5, math.nan], nan_ok=True)
    assert metrics.average_precision == pytest.approx([0.5 * 1 + 0.5 * 2 / 3, math.nan], nan_ok=True)
    assert metrics.calibration_error == pytest.approx([(0.1 + 0.6 + 0.6 + 0.1) / 4, (0.3 + 0.6) / 4])
    assert metrics.majority.tolist() == [0.5, 0.0]
    assert metrics.own_majority.tolist() == [0.5, 1.0]


def test_means_pass_over_what_is_not_defined():
    means = attribute_metrics(PROBABILITIES, PRESENT, LABELS, majority=np.array([False, True])).means()
    assert means["accuracy"] == 0.625
    assert means["f1"] == 0.5
    undefined = attribute_metrics(PROBABILITIES[:, 1:], PRESENT[:, 1:], LABELS[:, 1:], majority=np.array([True]))
    assert math.isnan(undefined.means()["f1"])


def test_no_faces_give_nan_without_warnings():
    none = np.zeros((0, 2))
    metrics = attribute_metrics(none, none > 0, none > 0, majority=np.array([True, False]))
    assert list(metrics.means().values()) == pytest.approx([math.nan] * 7, nan_ok=True)


def test_positives_never_found_have_f1_zero():
    assert f1(np.zeros((3, 1), bool), np.ones((3, 1), bool)).tolist() == [0]


def test_commoner_value_is_absent_on_a_tie():
    assert majority_values(np.array([[1, 1, 0], [0, 1, 0]], dtype=bool)).tolist() == [False, True, False]


def test_opposite_errors_in_one_bin_cancel_and_in_two_do_not():
    probabilities = np.array([[0.25], [0.75]])
    labels = np.array([[True], [False]])
    assert calibration_error(probabilities, labels, bins=1).tolist() == [0.0]
    assert calibration_error(probabilities, labels, bins=2).tolist() == [0.75]


def test_probability_one_is_in_the_last_bin():
    assert calibration_error(np.ones((2, 1)), np.ones((2, 1), bool)).tolist() == [0.0]


def average_precision_written_out(probabilities, labels):
    """Thresholds descending: precision times gain in recall, equal probabilities at once."""
    total = recall_before = 0.0
    for threshold in sorted(set(probabilities), reverse=True):
        hits = labels[probabilities >= threshold]
        recall = hits.sum() / labels.sum()
        total, recall_before = total + hits.mean() * (recall - recall_before), recall
    return total


def defined(value):
    return pytest.approx(value, rel=0, abs=1e-12)


@given(columns)
def test_average_precision_is_as_defined_also_with_ties(column):
    probabilities, labels = column
    (answer,) = average_precision(probabilities[:, None], labels[:, None])
    if labels.any():
        assert answer == defined(average_precision_written_out(probabilities, labels))
    else:
        assert math.isnan(answer)


@given(columns)
def test_f1_is_as_defined(column):
    probabilities, labels = column
    present = probabilities >= 0.5
    (answer,) = f1(present[:, None], labels[:, None])
    if labels.any():
        assert answer == defined(2 * (present & labels).sum() / (present.sum() + labels.sum()))
    else:
        assert math.isnan(answer)


@given(columns)
def test_balanced_accuracy_is_as_defined(column):
    probabilities, labels = column
    present = probabilities >= 0.5
    (answer,) = balanced_accuracy(present[:, None], labels[:, None])
    if labels.any() and not labels.all():
        assert answer == defined((present[labels].mean() + (~present[~labels]).mean()) / 2)
    else:
        assert math.isnan(answer)


@given(columns, st.integers(1, 4))
def test_calibration_error_equals_a_loop_over_bins(column, bins):
    probabilities, labels = column
    wanted = 0.0
    edges = [*(np.arange(bins) / bins), 1.1]
    for low, high in pairwise(edges):
        inside = [i for i, p in enumerate(probabilities) if low <= p < high]
        if inside:
            wanted += len(inside) / len(labels) * abs(probabilities[inside].mean() - labels[inside].mean())
    assert calibration_error(probabilities[:, None], labels[:, None], bins)[0] == pytest.approx(wanted)
