"""Do two faces show the same person: how well features tell it (paper, section 4: ANet is pre-trained on identities).

This measures a pre-training on people whom it never saw. facetag itself compares nobody and keeps no features.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import mannwhitneyu

from facetag.errors import DataError

PAIRS = 6000
FOLDS = 10
FEWEST_PEOPLE = 4  #: with two images, for two folds

Values = NDArray[np.float64]


@dataclass(frozen=True)
class Verification:
    """Area under the ROC curve, and fraction of balanced pairs that are told right (nan of fewer than four people)."""

    auc: float
    accuracy: float


def verify(
    features: NDArray[np.floating], identities: NDArray[np.int64], pairs: int = PAIRS, folds: int = FOLDS, seed: int = 0
) -> Verification:
    """Tell pairs of one person from pairs of two by the cosine of centred features (N, D).

    People (N,) are dealt into folds, each of two people or more, and a pair is of one fold. A fold's pairs are decided
    by the threshold that is best on all others.

    Raises:
        DataError: there are too few people with two images.
    """
    rng = np.random.default_rng(seed)
    centred = np.asarray(features, np.float64) - np.mean(features, axis=0, dtype=np.float64)
    unit = centred / np.maximum(np.linalg.norm(centred, axis=1, keepdims=True), 1e-12)
    people, counts = np.unique(identities, return_counts=True)
    people = rng.permutation(people[counts > 1])
    folds = min(folds, len(people) // 2)
    if not folds:
        raise DataError(f"{len(people)} people with two images are too few to verify", "bring 20 or more")
    each = max(1, pairs // (2 * folds))
    scores: list[Values] = []
    same = np.repeat([True, False], each)
    for part in np.array_split(people, folds):
        members = [np.flatnonzero(identities == person) for person in part]
        first, second = np.concatenate([_alike(members, each, rng), _different(members, each, rng)]).T
        scores.append((unit[first] * unit[second]).sum(1))
    auc = _auc(np.concatenate(scores), np.tile(same, folds))
    if folds == 1:
        return Verification(auc, np.nan)
    right = 0
    for fold, own in enumerate(scores):
        others = np.concatenate([part for number, part in enumerate(scores) if number != fold])
        right += int(((own >= _best_threshold(others, np.tile(same, folds - 1))) == same).sum())
    return Verification(auc, right / (2 * each * folds))


def _alike(members: list[NDArray[np.int64]], count: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Pairs (count, 2) of two images of one person, who is drawn evenly."""
    drawn = rng.integers(len(members), size=count)
    return np.array([rng.choice(members[person], 2, replace=False) for person in drawn])


def _different(members: list[NDArray[np.int64]], count: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Pairs (count, 2) of images of two people."""
    drawn = [rng.choice(len(members), 2, replace=False) for _ in range(count)]
    return np.array([[rng.choice(members[person]) for person in pair] for pair in drawn])


def _auc(scores: Values, same: NDArray[np.bool_]) -> float:
    """The fraction of (pair of one person, pair of two) whose scores are in this order: U over its largest value."""
    alike, different = scores[same], scores[~same]
    return float(mannwhitneyu(alike, different).statistic) / (len(alike) * len(different))


def _best_threshold(scores: Values, same: NDArray[np.bool_]) -> float:
    """From which score on a pair is of one person, so that most of these are right."""
    order = np.argsort(scores)
    sorted_same = same[order]
    # right when the first k are called two people: those of them that are, and the others that are one
    right = np.concatenate([[0], np.cumsum(~sorted_same)]) + np.concatenate([[0], np.cumsum(sorted_same[::-1])])[::-1]
    best = int(np.argmax(right))
    if 0 < best < len(scores):
        return float(scores[order[best - 1 : best + 1]].mean())
    return -np.inf if best == 0 else np.inf
