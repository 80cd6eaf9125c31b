"""Platt scaling, decisions and thresholds."""

import math

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from scipy.special import expit

from facetag.method.calibration import Calibration, Decision, best_thresholds, decide, equal_error_threshold, sigmoid

probability = st.one_of(st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0]), st.floats(0, 1))
faces = st.lists(st.tuples(probability, st.booleans()), max_size=8)


def test_sigmoid_by_hand():
    assert sigmoid(np.array([0.0, math.log(3), -math.log(3)])) == pytest.approx([0.5, 0.75, 0.25])


@given(st.lists(st.floats(-800, 800), max_size=8))
def test_sigmoid_is_that_of_scipy(values):
    np.testing.assert_allclose(sigmoid(values), expit(values), rtol=1e-14, atol=1e-300)


def test_sigmoid_is_quiet_and_right_at_the_ends():
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        assert sigmoid(np.array([-1e308, -1000.0, 1000.0, 1e308])).tolist() == [0, 0, 1, 1]
        assert sigmoid(np.array([-50.0]))[0] == pytest.approx(math.exp(-50))


def test_calibration_scales_each_attribute_by_itself():
    calibration = Calibration(np.array([2.0, -1.0]), np.array([0.0, 1.0]))
    probabilities = calibration.probabilities(np.array([[0.5, 1.0], [0.0, 0.0]], dtype=np.float32))
    assert probabilities == pytest.approx(np.array([[1 / (1 + math.exp(-1)), 0.5], [0.5, 1 / (1 + math.exp(-1))]]))


@pytest.mark.parametrize("count", [1, 7, 64])
def test_probabilities_have_the_same_bytes_in_every_batch(count):
    rng = np.random.default_rng(0)
    calibration = Calibration(rng.normal(size=40), rng.normal(size=40))
    scores = rng.normal(size=(64, 40)).astype(np.float32)
    whole = calibration.probabilities(scores)
    assert calibration.probabilities(scores[:count]).tobytes() == whole[:count].tobytes()


def test_decisions_by_hand():
    probabilities = np.array([[0.5, 0.5], [0.25, 0.75], [0.375, 0.875]])
    thresholds = np.array([0.5, 0.75])
    assert decide(probabilities, thresholds).tolist() == [[1, 0], [0, 1], [0, 1]]
    assert decide(probabilities, thresholds, unsure=0.25).tolist() == [[-1, 0], [0, -1], [-1, -1]]
    assert Decision(decide(probabilities, thresholds)[0, 0]) is Decision.PRESENT


def test_thresholds_by_hand():
    probabilities = np.array([[0.1, 0.6], [0.2, 0.7], [0.3, 0.8], [0.4, 0.9]])
    labels = np.array([[0, 0], [0, 0], [1, 1], [1, 1]], dtype=bool)
    assert best_thresholds(probabilities, labels) == pytest.approx([0.25, 0.75])


def test_ties_go_to_the_nearest_to_one_half():
    labels = np.array([[True], [False], [True]])
    assert best_thresholds(np.array([[0.2], [0.6], [0.9]]), labels).tolist() == [0.75]
    assert best_thresholds(np.array([[0.9], [0.1], [0.9]]), labels).tolist() == [0.5]
    assert best_thresholds(np.zeros((0, 2)), np.zeros((0, 2), bool)).tolist() == [0.5, 0.5]


@pytest.mark.parametrize("present", [True, False])
def test_one_class_only_is_always_decided_so(present):
    probabilities = np.array([[0.2], [0.8]])
    thresholds = best_thresholds(probabilities, np.full((2, 1), present))
    assert (decide(probabilities, thresholds) == present).all()


@given(faces)
@example([(0.0, True), (math.nextafter(0.5, 0), False), (0.5, True)])
@example([(0.25, False), (math.nextafter(0.25, 1), True), (math.nextafter(0.25, 0), False)])
def test_no_threshold_is_more_accurate(items):
    probabilities = np.array([p for p, _ in items])
    labels = np.array([label for _, label in items], dtype=bool)
    (threshold,) = best_thresholds(probabilities[:, None], labels[:, None])
    assert 0 <= threshold <= 1
    tried = [0.0, *probabilities, *np.nextafter(probabilities, 1), 1.0]
    hits = [((probabilities >= t) == labels).sum() for t in tried]
    assert ((probabilities >= threshold) == labels).sum() == max(hits)


def test_an_even_threshold_by_hand():
    probabilities = np.array([0.1, 0.3, 0.4, 0.6, 0.7, 0.8])
    labels = np.array([False, False, True, False, True, True])
    one = np.ones(6)
    assert equal_error_threshold(probabilities, labels, one) == 0.5  # two thirds of either kind
    # where the absent one at 0.6 counts eight times, two thirds of the present ones and all absent ones are nearest
    assert equal_error_threshold(probabilities, labels, np.array([1, 1, 1, 8, 1, 1])) == pytest.approx(0.65)
    assert (
        equal_error_threshold(probabilities, np.ones(6, bool), one)
        == equal_error_threshold(one[:0], labels[:0], one[:0])
        == 0.5
    )


@given(faces, st.integers(1, 3))
def test_no_threshold_is_more_even(items, weight):
    probabilities, labels = np.array([p for p, _ in items]), np.array([label for _, label in items], dtype=bool)
    weights = np.where(np.arange(len(items)) % 2, weight, 1.0)

    def uneven(threshold):
        told = probabilities >= threshold
        right = [np.average((told == kind)[labels == kind], weights=weights[labels == kind]) for kind in (True, False)]
        return abs(right[0] - right[1])

    threshold = equal_error_threshold(probabilities, labels, weights)
    assert 0 <= threshold <= 1
    if labels.any() and not labels.all():
        tried = [0.0, *probabilities, *np.nextafter(probabilities, 1), 1.0]
        assert uneven(threshold) <= min(map(uneven, tried)) + 1e-9


@given(faces)
def test_of_equally_accurate_candidates_the_nearest_to_one_half_wins(items):
    probabilities = np.array([p for p, _ in items])
    labels = np.array([label for _, label in items], dtype=bool)
    (threshold,) = best_thresholds(probabilities[:, None], labels[:, None])
    best = ((probabilities >= threshold) == labels).sum()
    if ((probabilities >= 0.5) == labels).sum() == best:
        assert threshold == 0.5
