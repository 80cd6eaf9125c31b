"""Groups of attributes (paper, section 5.1 and Fig. 10): k-means of what the SVMs weigh, next to labels that co-occur.

Each attribute's weights are of standardised features and brought to length 1: k-means is to see which way they point,
not how easy the attribute is.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import KMeans

from facetag.errors import UsageError

SHUFFLES = 2000
FEWEST = 20  #: images in which both of two attributes are known, for their correlation

Values = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Grouping:
    """Groups of A attributes.

    Attributes:
        groups: (A,) the group of each, from 0; the larger groups first.
        weights: (A, A) cosines between weights.
        labels: (A, A) correlations (phi) between labels, nan where unknown.
        within, between: mean correlation of labels of two attributes of one group, and of two groups.
        chance: the fraction of random groupings of the same sizes whose `within` is as large.
        agreement: Spearman's rank correlation between `weights` and `labels` over all pairs.
        agreement_chance: the fraction of shuffled attributes that agree as well.
    """

    groups: NDArray[np.int64]
    weights: Values
    labels: Values
    within: float
    between: float
    chance: float
    agreement: float
    agreement_chance: float

    @property
    def order(self) -> NDArray[np.int64]:
        """(A,) the attributes, group by group."""
        return np.argsort(self.groups, kind="stable")


def measure_grouping(weights: NDArray[np.floating], values: NDArray[np.int8], count: int, seed: int = 0) -> Grouping:
    """Group attributes by their SVM weights (A, D), and compare with labels (N, A), -1 = unknown.

    Raises:
        UsageError: there are not so many attributes.
    """
    if not 2 <= count <= len(weights):
        raise UsageError(f"{len(weights)} attributes do not make {count} groups", "ask for 2 or more, and fewer")
    lengths = np.linalg.norm(weights.astype(np.float64), axis=1, keepdims=True)
    unit = weights / np.where(lengths > 0, lengths, 1)
    found = KMeans(count, n_init=20, random_state=seed).fit_predict(unit)
    by_size = np.argsort(-np.bincount(found, minlength=count), kind="stable")
    groups = np.argsort(by_size)[found].astype(np.int64)
    cosines, labels = unit @ unit.T, label_correlations(values)
    pairs = np.triu(np.ones_like(labels, dtype=bool), 1) & ~np.isnan(labels)
    within, between = _means(groups, labels, pairs)
    shuffled = _shuffled(groups, cosines, labels, pairs, seed)
    agreement = _ranked(cosines, labels, pairs)
    chance, agreement_chance = (
        float((1 + (draws >= value).sum()) / (1 + len(draws)))
        for draws, value in zip(shuffled, (within, agreement), strict=True)
    )
    return Grouping(groups, cosines, labels, within, between, chance, agreement, agreement_chance)


def label_correlations(values: NDArray[np.int8]) -> Values:
    """Phi of each pair of attributes over the images where both are known; nan under FEWEST of them, or where one never
    changes. Shape: (N, A) -> (A, A)."""
    known, present = (values >= 0).astype(np.float64), (values == 1).astype(np.float64)
    count, both = known.T @ known, present.T @ present
    first, second = present.T @ known, known.T @ present
    spread = first * (count - first) * second * (count - second)
    usable = (spread > 0) & (count >= FEWEST)
    result: Values = np.full(spread.shape, np.nan)
    np.divide(count * both - first * second, np.sqrt(spread), out=result, where=usable)
    return result


def _means(groups: NDArray[np.int64], labels: Values, pairs: NDArray[np.bool_]) -> tuple[float, float]:
    alike = groups[:, None] == groups
    return _mean(labels[pairs & alike]), _mean(labels[pairs & ~alike])


def _mean(values: Values) -> float:
    return float(values.mean()) if len(values) else float("nan")


def _ranked(cosines: Values, labels: Values, pairs: NDArray[np.bool_]) -> float:
    if pairs.sum() < 3:
        return float("nan")
    first, second = (np.argsort(np.argsort(each[pairs], kind="stable")) for each in (cosines, labels))
    return float(np.corrcoef(first, second)[0, 1])


def _shuffled(
    groups: NDArray[np.int64], cosines: Values, labels: Values, pairs: NDArray[np.bool_], seed: int
) -> tuple[Values, Values]:
    """`within` and `agreement` when attributes change their groups and weights at random."""
    rng = np.random.default_rng(seed)
    within, agreement = [], []
    for _ in range(SHUFFLES):
        order = rng.permutation(len(groups))
        within.append(_means(groups[order], labels, pairs)[0])
        agreement.append(_ranked(cosines[np.ix_(order, order)], labels, pairs))
    return np.array(within), np.array(agreement)
