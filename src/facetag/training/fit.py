"""The linear SVMs, their calibration and thresholds (paper, sections 3.2 and 5). The only fitting with scikit-learn.

Everything is fitted on identities that the nets never saw (partition 1). Calibration and thresholds see only scores
of SVMs that did not see the face's identity: cross-fitted by identity.
"""

from dataclasses import dataclass

import numpy as np
from joblib import Parallel, delayed
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold
from sklearn.svm import LinearSVC

from facetag.errors import DataError
from facetag.method.calibration import Calibration, best_thresholds
from facetag.method.svm import LinearSVM
from facetag.training.recipe import FitStage

Features = NDArray[np.float32]
Labels = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Fitted:
    """SVMs with what turns their scores into decisions.

    Attributes:
        cost: the chosen C.
        accuracy: mean over the attributes, cross-fitted.
    """

    svm: LinearSVM
    calibration: Calibration
    thresholds: NDArray[np.float64]
    cost: float
    accuracy: float


def require_identities(identities: NDArray[np.int64], folds: int) -> None:
    """Refuse what cannot be cross-validated by identity.

    Raises:
        DataError: fewer than two folds, or fewer identities (N,) than folds.
    """
    if folds < 2:
        raise DataError(f"folds = {folds} under [svm] of the recipe cannot cross-validate", "set two or more")
    people = len(np.unique(identities))
    if people < folds:
        raise DataError(
            f"{people} identities are too few for the recipe's {folds} folds under [svm]",
            "bring more pictures of partition 1, or set fewer folds",
        )


def fit(features: Features, labels: Labels, identities: NDArray[np.int64], stage: FitStage, jobs: int = -1) -> Fitted:
    """Fit one SVM per attribute.

    Shape: features (N, D), labels (N, A), identities (N,).

    Raises:
        DataError: fewer identities than folds.
    """
    require_identities(identities, stage.folds)
    mean, scale = features.mean(0), np.maximum(features.std(0), 1e-3)
    standard = (features - mean) / scale
    folds = list(GroupKFold(stage.folds, shuffle=True, random_state=stage.seed).split(standard, groups=identities))
    scores = {cost: cross_fitted(standard, labels, folds, cost, stage.seed, jobs) for cost in stage.costs}
    cost = max(scores, key=lambda c: ((scores[c] > 0) == labels).mean())
    calibration = calibrate(scores[cost], labels)
    thresholds = best_thresholds(calibration.probabilities(scores[cost]), labels)
    weights, bias = fit_attributes(standard, labels, cost, stage.seed, jobs)
    accuracy = cross_fitted_accuracy(scores[cost], labels, folds)
    return Fitted(LinearSVM(weights, bias, mean, scale), calibration, thresholds, cost, accuracy)


def cross_fitted(
    features: Features,
    labels: Labels,
    folds: list[tuple[NDArray[np.int64], NDArray[np.int64]]],
    cost: float,
    seed: int,
    jobs: int,
) -> NDArray[np.float64]:
    """Scores (N, A) of every face by SVMs that saw no face of its identity."""
    scores = np.zeros(labels.shape)
    for seen, unseen in folds:
        weights, bias = fit_attributes(features[seen], labels[seen], cost, seed, jobs)
        scores[unseen] = features[unseen] @ weights.T + bias
    return scores


def cross_fitted_accuracy(
    scores: NDArray[np.float64], labels: Labels, folds: list[tuple[NDArray[np.int64], NDArray[np.int64]]]
) -> float:
    """Mean accuracy when calibration and thresholds, like the SVMs, saw no face of an identity; C alone saw all."""
    right = 0
    for seen, unseen in folds:
        calibration = calibrate(scores[seen], labels[seen])
        thresholds = best_thresholds(calibration.probabilities(scores[seen]), labels[seen])
        right += int(((calibration.probabilities(scores[unseen]) >= thresholds) == labels[unseen]).sum())
    return right / labels.size


def fit_attributes(
    features: Features, labels: Labels, cost: float, seed: int, jobs: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Weights (A, D) and biases (A,) of one SVM per attribute, fitted in parallel."""
    columns = range(labels.shape[1])
    fitted = Parallel(n_jobs=jobs)(delayed(_fit_one)(features, labels[:, column], cost, seed) for column in columns)
    return np.stack([weights for weights, _ in fitted]), np.array([bias for _, bias in fitted])


def _fit_one(features: Features, labels: Labels, cost: float, seed: int) -> tuple[NDArray[np.float64], float]:
    if labels.all() or not labels.any():  # nothing to separate: always the only value seen
        return np.zeros(features.shape[1]), 1.0 if labels.all() else -1.0
    svm = LinearSVC(C=cost, dual="auto", random_state=seed, max_iter=5000)
    svm.fit(features, labels)
    return svm.coef_[0], float(svm.intercept_[0])


def calibrate(scores: NDArray[np.float64], labels: Labels) -> Calibration:
    """Platt scaling of each attribute's cross-fitted scores (N, A)."""
    pairs = [_platt(scores[:, column], labels[:, column]) for column in range(labels.shape[1])]
    return Calibration(np.array([slope for slope, _ in pairs]), np.array([shift for _, shift in pairs]))


def _platt(scores: NDArray[np.float64], labels: Labels) -> tuple[float, float]:
    if labels.all() or not labels.any():
        share = (labels.sum() + 1) / (len(labels) + 2)
        return 0.0, float(np.log(share / (1 - share)))
    fitted = LogisticRegression(C=1e3).fit(scores[:, None], labels)
    return float(fitted.coef_[0, 0]), float(fitted.intercept_[0])
