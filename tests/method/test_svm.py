"""Linear SVM scores: right, and the same bytes whatever the batch."""

import numpy as np
import pytest
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

from facetag.method.svm import LinearSVM

RNG = np.random.default_rng(0)
FEATURES = RNG.normal(3, 2, size=(200, 1440)).astype(np.float32)
SVM = LinearSVM(RNG.normal(size=(40, 1440)), RNG.normal(size=40), RNG.normal(size=1440), RNG.uniform(0.1, 3, 1440))


def test_scores_by_hand():
    svm = LinearSVM(np.array([[1.0, 2.0]]), np.array([0.5]), np.array([1.0, 1.0]), np.array([2.0, 4.0]))
    scores = svm.scores(np.array([[3.0, 5.0], [1.0, 1.0]], dtype=np.float32))
    assert scores.tolist() == [[1 * 1 + 2 * 1 + 0.5], [0.5]]
    assert scores.dtype == np.float32


def test_agrees_with_scikit_learn():
    labels = FEATURES[:, 0] > FEATURES[:, 1]
    fitted = make_pipeline(StandardScaler(), LinearSVC(max_iter=20_000)).fit(FEATURES[:, :20], labels)
    scaler, svc = fitted[0], fitted[1]
    svm = LinearSVM(svc.coef_, svc.intercept_, scaler.mean_, scaler.scale_)
    assert svm.scores(FEATURES[:, :20])[:, 0] == pytest.approx(fitted.decision_function(FEATURES[:, :20]), abs=1e-4)


@pytest.mark.parametrize("count", [1, 7, 64, 200])
def test_a_rows_bytes_do_not_depend_on_the_batch(count):
    assert SVM.scores(FEATURES[:count]).tobytes() == SVM.scores(FEATURES)[:count].tobytes()


def test_a_rows_bytes_do_not_depend_on_its_place_or_memory_layout():
    straight = SVM.scores(FEATURES)
    assert SVM.scores(FEATURES[::-1]).tobytes() == straight[::-1].tobytes()
    assert SVM.scores(np.asfortranarray(FEATURES)).tobytes() == straight.tobytes()


def test_no_faces_give_no_scores():
    assert SVM.scores(FEATURES[:0]).shape == (0, 40)


@pytest.mark.parametrize("scale", [[1.0, 0.0], [1.0]])
def test_impossible_standardisation_is_refused(scale):
    with pytest.raises(AssertionError):
        LinearSVM(np.ones((1, 2)), np.ones(1), np.ones(2), np.array(scale))
