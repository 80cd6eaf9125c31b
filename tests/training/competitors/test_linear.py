import numpy as np
import pytest
from sklearn.svm import LinearSVC

from facetag.training.competitors.linear import fit_calibrated, fit_linear


def data(count: int = 300) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    features = rng.normal(size=(count, 8)).astype(np.float32)
    truth = features @ rng.normal(size=(8, 3)) + 0.5 * rng.normal(size=(count, 3))
    return features, truth > 0.2


def test_all_attributes_at_once_are_what_scikit_learn_fits_one_by_one() -> None:
    features, labels = data()
    weights, bias = fit_linear(features, labels, 0.1)
    for column in range(3):
        # its bias is regularised too, but as a feature so large that it does not matter
        svm = LinearSVC(C=0.1, intercept_scaling=100.0, dual=False, tol=1e-6).fit(features, labels[:, column])
        assert weights[column] == pytest.approx(svm.coef_[0], abs=2e-3)
        assert bias[column] == pytest.approx(svm.intercept_[0], abs=2e-3)


def test_an_attribute_uses_only_what_it_may() -> None:
    features, labels = data()
    allowed = np.ones((3, 8), np.bool_)
    allowed[1, :4] = False
    weights, bias = fit_linear(features, labels, 0.1, allowed)
    assert (weights[1, :4] == 0).all() and (weights[0] != 0).all()
    alone, alone_bias = fit_linear(features[:, 4:], labels[:, [1]], 0.1)
    assert weights[1, 4:] == pytest.approx(alone[0], abs=2e-3) and bias[1] == pytest.approx(alone_bias[0], abs=2e-3)


def test_probabilities_are_calibrated_on_identities_that_were_not_seen() -> None:
    """Features that say who it is tell nothing of anybody else, so that nothing may be sure."""
    rng = np.random.default_rng(1)
    identities = np.repeat(np.arange(60), 5)
    who = np.eye(60, dtype=np.float32)[identities]
    labels = (rng.random(60) < 0.5)[identities][:, None]
    fitted = fit_calibrated(who, labels, identities, costs=(1.0,))
    assert ((fitted.svm.scores(who) >= 0) == labels).mean() > 0.95
    assert ((fitted.unseen >= 0.5) == labels).mean() < 0.65
    assert np.abs(fitted.unseen - 0.5).max() < 0.3
