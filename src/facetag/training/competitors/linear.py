"""Linear SVMs of all attributes at once, each on the features that it may use, with calibration by Platt.

scikit-learn fits one attribute after the other. Here forty share each product of matrices, which is many times sooner;
a test holds both to the same answers.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.model_selection import GroupKFold

from facetag.method.calibration import Calibration
from facetag.method.svm import LinearSVM
from facetag.training.fit import Features, Labels, calibrate

COSTS = (0.0001, 0.001)
FOLDS = 2
STEPS = 40  #: of L-BFGS

Mask = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class CalibratedSVM:
    """SVMs that answer with probabilities.

    Attributes:
        cost: C, chosen by cross-validation over identities.
        unseen: (N, A) probabilities of the faces that it learned from, by SVMs that did not see the identity.
    """

    svm: LinearSVM
    calibration: Calibration
    cost: float
    unseen: NDArray[np.float64]

    def probabilities(self, features: Features) -> NDArray[np.float64]:
        """Shape: (N, D) -> (N, A)."""
        return self.calibration.probabilities(self.svm.scores(features))


def fit_linear(
    features: Features, labels: Labels, cost: float, allowed: Mask | None = None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Weights (A, D) and biases (A,) that minimise |w|² / 2 + C times the squared hinge losses.

    Args:
        features: (N, D), standardised.
        labels: (N, A).
        allowed: (A, D) which features an attribute may use; all for None.
    """
    x, signs = torch.from_numpy(np.ascontiguousarray(features)), torch.from_numpy(2 * labels.astype(np.float32) - 1)
    mask = torch.ones(()) if allowed is None else torch.from_numpy(allowed.T.astype(np.float32))
    weights = torch.zeros(x.shape[1], signs.shape[1], requires_grad=True)
    bias = torch.zeros(signs.shape[1], requires_grad=True)
    solver = torch.optim.LBFGS([weights, bias], max_iter=STEPS, history_size=10, line_search_fn="strong_wolfe")

    def closure() -> Any:
        solver.zero_grad()
        used = weights * mask
        slack = torch.relu(1 - signs * (x @ used + bias))
        loss = (used.square().sum() / (2 * cost) + slack.square().sum()) / len(x)
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    solver.step(closure)  # type: ignore[no-untyped-call]
    return (weights * mask).detach().numpy().T.astype(np.float64), bias.detach().numpy().astype(np.float64)


def fit_calibrated(
    features: Features,
    labels: Labels,
    identities: NDArray[np.int64],
    allowed: Mask | None = None,
    costs: Sequence[float] = COSTS,
    seed: int = 0,
) -> CalibratedSVM:
    """SVMs whose C and whose calibration come from answers for identities that they did not see.

    Shape: features (N, D), labels (N, A), identities (N,), allowed (A, D).
    """
    mean, scale = features.mean(0), np.maximum(features.std(0), 1e-3)
    standard = ((features - mean) / scale).astype(np.float32)
    folds = list(GroupKFold(FOLDS, shuffle=True, random_state=seed).split(standard, groups=identities))
    scores = {cost: _unseen(standard, labels, folds, cost, allowed) for cost in costs}
    cost = max(costs, key=lambda each: ((scores[each] >= 0) == labels).mean())
    weights, bias = fit_linear(standard, labels, cost, allowed)
    calibration = calibrate(scores[cost], labels)
    unseen = calibration.probabilities(scores[cost])
    return CalibratedSVM(LinearSVM(weights, bias, mean, scale), calibration, cost, unseen)


def _unseen(
    standard: Features, labels: Labels, folds: Sequence[tuple[Any, Any]], cost: float, allowed: Mask | None
) -> NDArray[np.float64]:
    scores = np.zeros(labels.shape)
    for seen, unseen in folds:
        weights, bias = fit_linear(standard[seen], labels[seen], cost, allowed)
        scores[unseen] = standard[unseen] @ weights.T + bias
    return scores
