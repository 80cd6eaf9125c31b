"""Intervals by bootstrap over identities: images of one person are drawn together, as they are alike.

What is drawn are sums: a figure that is one sum over another is had for thousands of draws by one product of matrices.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

DRAWS = 2000
LOW, HIGH = 2.5, 97.5  #: percentiles: 95 of 100 draws lie between

Values = NDArray[np.float64]


class Bootstrap:
    """Draws of identities (N,), the same for all sums that are asked of one object: so differences are paired."""

    def __init__(self, identities: NDArray[np.int64], seed: int = 0, draws: int = DRAWS) -> None:
        self._persons = np.unique(identities, return_inverse=True)[1]
        self.count = int(self._persons.max()) + 1
        chances = np.full(self.count, 1 / self.count)
        self._times = np.random.default_rng(seed).multinomial(self.count, chances, draws).astype(np.float64)

    def sums(self, values: NDArray[Any]) -> Values:
        """Sums over all images, then over each draw of persons. Shape: (N, A) -> (1 + draws, A).

        >>> Bootstrap(np.array([7, 7, 9]), draws=2).sums(np.ones((3, 1))).shape
        (3, 1)
        """
        by_person = np.zeros((self.count, values.shape[1]))
        np.add.at(by_person, self._persons, values.astype(np.float64))
        return np.concatenate([by_person.sum(0, keepdims=True), self._times @ by_person])


def ratio(part: Values, whole: Values) -> Values:
    """part / whole; nan where the whole is 0."""
    result = np.full(np.broadcast_shapes(part.shape, whole.shape), np.nan)
    np.divide(part, whole, out=result, where=whole > 0)
    return result


def mean_defined(values: Values) -> Values:
    """Mean over attributes of (..., A) where defined; nan where none is."""
    defined = ~np.isnan(values)
    return ratio(np.where(defined, values, 0).sum(-1), defined.sum(-1).astype(np.float64))


def interval(draws: Values) -> tuple[Values, Values]:
    """The 95 % interval of (draws, ...); nan where no draw is defined."""
    lacking = np.isnan(draws).all(axis=0)
    safe = np.where(lacking, 0.0, draws)
    low, high = np.nanpercentile(safe, [LOW, HIGH], axis=0)
    return np.where(lacking, np.nan, low), np.where(lacking, np.nan, high)
