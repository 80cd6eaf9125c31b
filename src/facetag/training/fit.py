"""The linear SVMs, their calibration and thresholds (paper, sections 3.2 and 5). The only fitting with scikit-learn.

Everything is fitted on identities that the nets never saw (partition 1). Calibration and thresholds see only scores
of SVMs that did not see the face's identity: cross-fitted by identity. Faces of photographs that ANet did not learn
from may calibrate beside them, and the SVMs may learn from them too.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from joblib import Parallel, delayed
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold, KFold
from sklearn.svm import LinearSVC

from facetag.attributes import ATTRIBUTES
from facetag.errors import DataError
from facetag.method.calibration import Calibration, best_thresholds, equal_error_threshold, sigmoid
from facetag.method.svm import LinearSVM
from facetag.training.recipe import FitStage

_BIAS = 100.0

Features = NDArray[np.float32]
Labels = NDArray[np.bool_]
Fold = tuple[NDArray[np.int64], NDArray[np.int64]]  #: indices that an SVM sees, and those that it does not
Folds = list[Fold]


@dataclass(frozen=True, eq=False)
class Fitted:
    """SVMs with what turns their scores into decisions.

    Attributes:
        cost, pull: those chosen.
        accuracy: mean over the attributes, cross-fitted.
    """

    svm: LinearSVM
    calibration: Calibration
    thresholds: NDArray[np.float64]
    cost: float
    accuracy: float
    pull: float = 0.0


@dataclass(frozen=True, eq=False)
class LabeledFaces:
    """Faces of labelled photographs that ANet did not learn from.

    Attributes:
        features: (M, D).
        labels: (M, A): 1 present, 0 absent, -1 unknown.
        children: (M,) who is known to be one; None = nobody.
        sets: (M,) the number of the set that each is of; None = all are of one.
    """

    features: Features
    labels: NDArray[np.int8]
    children: NDArray[np.bool_] | None = None
    sets: NDArray[np.int64] | None = None

    @property
    def adult_labels(self) -> NDArray[np.int8]:
        """The labels, -1 of children."""
        return self.labels if self.children is None else np.where(self.children[:, None], np.int8(-1), self.labels)

    def joined(self, others: "LabeledFaces") -> "LabeledFaces":
        """These and others."""
        features, labels = (
            np.concatenate([getattr(self, name), getattr(others, name)]) for name in ("features", "labels")
        )
        children = [
            np.zeros(len(each.labels), bool) if each.children is None else each.children for each in (self, others)
        ]
        sets = self.numbered, others.numbered + self.numbered.max(initial=-1) + 1
        return LabeledFaces(features, labels, np.concatenate(children), np.concatenate(sets))

    @property
    def numbered(self) -> NDArray[np.int64]:
        """The set of each (M,)."""
        return np.zeros(len(self.labels), np.int64) if self.sets is None else self.sets

    def weights(self, total: float) -> NDArray[np.float64]:
        """(M, A): of each set `total` for an attribute that it has labels of, in equal parts; 0 of what is unknown."""
        known = self.labels >= 0
        result = np.zeros(known.shape)
        for number in np.unique(self.numbered):
            rows = self.numbered == number
            result[rows] = known[rows] * total / np.maximum(known[rows].sum(0), 1)
        return result


@dataclass(frozen=True, eq=False)
class Sample:
    """What SVMs learn from.

    Attributes:
        features: (N, D), standardised.
        labels: (N, A).
        weights: (N, A): how much each face counts for each attribute; None = all alike.
    """

    features: Features
    labels: Labels
    weights: NDArray[np.float64] | None = None

    @property
    def parts(self) -> tuple[Features, Labels]:
        """Features and labels."""
        return self.features, self.labels

    def joined(self, features: Features, others: LabeledFaces, weight: float) -> "Sample":
        """With labelled faces (M, D) behind these, each set of which weighs `weight` times as much as all of these."""
        own = np.ones(self.labels.shape)
        return Sample(
            np.concatenate([self.features, features]),
            np.concatenate([self.labels, others.labels == 1]),
            np.concatenate([own, others.weights(weight * len(own))]),
        )


@dataclass(frozen=True, eq=False)
class UnseenScores:
    """Scores of photographs to calibrate on beside those of CelebA.

    Attributes:
        scores: (M, A).
        labels: (M, A): 1 present, 0 absent, -1 unknown.
        weight: of the calibration of an attribute that any of them has a label of, in [0, 1).
    """

    scores: NDArray[np.floating[Any]]
    labels: NDArray[np.int8]
    weight: float


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


def fit(
    features: Features,
    labels: Labels,
    identities: NDArray[np.int64],
    stage: FitStage,
    jobs: int = -1,
    outputs: NDArray[np.floating[Any]] | None = None,
    images: LabeledFaces | None = None,
) -> Fitted:
    """Fit one SVM per attribute.

    Shape: features (N, D), labels (N, A), identities (N,), outputs (A, D): weights of the attributes' outputs in the
    fine-tuned net, which `stage.prior_weights` speaks of. The photographs have `stage.photographs` of the calibration.

    Raises:
        DataError: fewer identities than folds.
    """
    require_identities(identities, stage.folds)
    count, mean, scale = len(features), features.mean(0), np.maximum(features.std(0), 1e-3)
    standard = (features - mean) / scale
    folds = list(GroupKFold(stage.folds, shuffle=True, random_state=stage.seed).split(standard, groups=identities))
    prior_weights = {strength: _pull(standard, scale, outputs, strength) for strength in stage.prior_weights}
    learned = Sample(standard, labels)
    if images is not None and stage.labeled_weight:
        others = (images.features - mean) / scale
        learned = learned.joined(others, images, stage.labeled_weight)
        folds = _with_images(folds, KFold(stage.folds, shuffle=True, random_state=stage.seed).split(others), count)
    scores = {
        (cost, strength): cross_fitted(*learned.parts, folds, cost, stage.seed, jobs, pull, learned.weights)
        for cost in stage.costs
        for strength, pull in prior_weights.items()
    }
    own = [(seen[seen < count], unseen[unseen < count]) for seen, unseen in folds]
    accuracies = {choice: cross_fitted_accuracy(found[:count], labels, own, stage) for choice, found in scores.items()}
    cost, strength = best = max(accuracies, key=lambda choice: accuracies[choice])
    weights, bias = fit_attributes(*learned.parts, cost, stage.seed, jobs, prior_weights[strength], learned.weights)
    svm = LinearSVM(weights, bias, mean, scale)
    extra = None
    if images is not None:  # scored by SVMs that did not learn from them, as all that calibrates
        unseen_scores = scores[best][count:] if stage.labeled_weight else svm.scores(images.features)
        extra = UnseenScores(unseen_scores, images.labels, stage.labeled_images)
    of_celeba = scores[best][:count]
    calibration = calibrate(of_celeba, labels, extra)
    adults = None if extra is None or images is None else replace(extra, labels=images.adult_labels)
    thresholds = _thresholds(calibration, of_celeba, labels, stage, adults)
    accuracy = cross_fitted_accuracy(of_celeba, labels, own, stage, extra)
    return Fitted(svm, calibration, thresholds, cost, accuracy, strength)


def _pull(
    standard: Features, scale: Features, outputs: NDArray[np.floating[Any]] | None, strength: float
) -> NDArray[np.float64] | None:
    """Weights (A, D) on standardised features of the outputs, as many times their standard deviations as said."""
    if not strength:
        return None
    assert outputs is not None, "pulls need the outputs of the fine-tuned net"
    directions = np.asarray(outputs, np.float64) * scale
    deviations = np.maximum((standard @ directions.T).std(0), 1e-6)
    result: NDArray[np.float64] = strength * directions / deviations[:, None]
    return result


def _thresholds(
    calibration: Calibration,
    scores: NDArray[np.float64],
    labels: Labels,
    stage: FitStage,
    extra: UnseenScores | None,
) -> NDArray[np.float64]:
    """From which probabilities on the attributes (A,) are present, by the faces of adults."""
    if stage.thresholds == "half":
        thresholds = np.full(labels.shape[1], 0.5)
    else:
        thresholds = best_thresholds(calibration.probabilities(scores), labels)
    for column in map(ATTRIBUTES.index, stage.equal_error):
        both, present, weights = _column(column, scores, labels, extra)
        probabilities = sigmoid(calibration.slope[column] * both + calibration.intercept[column])
        thresholds[column] = equal_error_threshold(probabilities, present, weights)
    return thresholds


def _with_images(folds: Folds, others: Iterable[Fold], count: int) -> Folds:
    """Folds of CelebA's faces, each with a fold of the photographs that stand behind these."""
    pairs = zip(folds, others, strict=True)
    return [(np.append(seen, more + count), np.append(unseen, rest + count)) for (seen, unseen), (more, rest) in pairs]


def cross_fitted(
    features: Features,
    labels: Labels,
    folds: Folds,
    cost: float,
    seed: int,
    jobs: int,
    pull: NDArray[np.float64] | None = None,
    weights: NDArray[np.float64] | None = None,
) -> NDArray[np.float64]:
    """Scores (N, A) of every face by SVMs that saw no face of its identity; `weights` as for `fit_attributes`."""
    scores = np.zeros(labels.shape)
    for seen, unseen in folds:
        counted = None if weights is None else weights[seen]
        directions, bias = fit_attributes(features[seen], labels[seen], cost, seed, jobs, pull, counted)
        scores[unseen] = features[unseen] @ directions.T + bias
    return scores


def cross_fitted_accuracy(
    scores: NDArray[np.float64],
    labels: Labels,
    folds: Folds,
    stage: FitStage,
    extra: UnseenScores | None = None,
) -> float:
    """Mean accuracy when calibration and thresholds, like the SVMs, saw no face of an identity; C and pull saw all."""
    right = 0
    for seen, unseen in folds:
        calibration = calibrate(scores[seen], labels[seen], extra)
        thresholds = _thresholds(calibration, scores[seen], labels[seen], stage, extra)
        right += int(((calibration.probabilities(scores[unseen]) >= thresholds) == labels[unseen]).sum())
    return right / labels.size


def fit_attributes(
    features: Features,
    labels: Labels,
    cost: float,
    seed: int,
    jobs: int,
    pull: NDArray[np.float64] | None = None,
    weights: NDArray[np.float64] | None = None,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Weights (A, D) and biases (A,) of one SVM per attribute, fitted in parallel.

    Args:
        weights: (N, A): how much each face counts for each attribute, 0 = not at all; None = all alike.
    """
    directions = [None] * labels.shape[1] if pull is None else list(pull)
    columns = [None] * labels.shape[1] if weights is None else list(weights.T)
    fitted = Parallel(n_jobs=jobs)(
        delayed(_fit_one)(features, labels[:, column], cost, seed, direction, counted)
        for column, (direction, counted) in enumerate(zip(directions, columns, strict=True))
    )
    return np.stack([weights for weights, _ in fitted]), np.array([bias for _, bias in fitted])


def _fit_one(
    features: Features,
    labels: Labels,
    cost: float,
    seed: int,
    direction: NDArray[np.float64] | None,
    counted: NDArray[np.float64] | None,
) -> tuple[NDArray[np.float64], float]:
    """Weights (D,) and bias; with a direction (D,), what lies along it counts as a further feature."""
    if counted is not None:
        known = counted > 0
        features, labels, counted = features[known], labels[known], counted[known]
    if labels.all() or not labels.any():  # nothing to separate: always the only value seen
        return np.zeros(features.shape[1]), 1.0 if labels.all() else -1.0
    if direction is not None:
        features = np.column_stack([features, features @ direction])
    # the bias, too, is regularised as a weight, so it is given a feature so large that this does not matter
    svm = LinearSVC(C=cost, dual="auto", intercept_scaling=_BIAS, random_state=seed, max_iter=5000)
    svm.fit(features, labels, sample_weight=counted)
    weights, bias = svm.coef_[0], float(svm.intercept_[0])
    return (weights, bias) if direction is None else (weights[:-1] + weights[-1] * direction, bias)


def calibrate(scores: NDArray[np.float64], labels: Labels, extra: UnseenScores | None = None) -> Calibration:
    """Platt scaling of each attribute's cross-fitted scores (N, A)."""
    pairs = [_platt(*_column(column, scores, labels, extra)) for column in range(labels.shape[1])]
    return Calibration(np.array([slope for slope, _ in pairs]), np.array([shift for _, shift in pairs]))


def _column(
    column: int, scores: NDArray[np.float64], labels: Labels, extra: UnseenScores | None
) -> tuple[NDArray[np.float64], Labels, NDArray[np.float64]]:
    """An attribute's scores, labels and weights, which sum up to as many as there are faces of CelebA."""
    own, count = (scores[:, column], labels[:, column]), len(labels)
    known = np.zeros(0, np.bool_) if extra is None else extra.labels[:, column] >= 0
    if extra is None or not known.any():
        return *own, np.ones(count)
    weights = np.repeat([1 - extra.weight, extra.weight * count / known.sum()], [count, known.sum()])
    others = extra.scores[known, column], extra.labels[known, column] == 1
    return np.concatenate([own[0], others[0]]), np.concatenate([own[1], others[1]]), weights


def _platt(scores: NDArray[np.float64], labels: Labels, weights: NDArray[np.float64]) -> tuple[float, float]:
    if labels.all() or not labels.any():
        weight = (labels.sum() + 1) / (len(labels) + 2)
        return 0.0, float(np.log(weight / (1 - weight)))
    fitted = LogisticRegression(C=1e3).fit(scores[:, None], labels, weights)
    return float(fitted.coef_[0, 0]), float(fitted.intercept_[0])
