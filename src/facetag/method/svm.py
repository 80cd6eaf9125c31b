"""One linear SVM per attribute on the features of a face (paper, sections 3.2 and 5): applying, not fitting."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class LinearSVM:
    """A SVMs over D standardised features: score = weights · (feature - mean) / scale + bias.

    Attributes:
        weights: (A, D).
        bias: (A,).
        mean, scale: (D,) of the features that the SVMs were fitted on; scale is positive.
    """

    weights: NDArray[np.floating[Any]]
    bias: NDArray[np.floating[Any]]
    mean: NDArray[np.floating[Any]]
    scale: NDArray[np.floating[Any]]

    def __post_init__(self) -> None:
        attributes, width = self.weights.shape
        assert self.bias.shape == (attributes,)
        assert self.mean.shape == self.scale.shape == (width,)
        assert (self.scale > 0).all()

    @cached_property
    def _folded(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Weights and bias that take raw features; folded in float64, as the bias is a small difference of sums."""
        weights = self.weights.astype(np.float64) / self.scale
        bias = self.bias - weights @ self.mean
        return weights.astype(np.float32), bias.astype(np.float32)

    def scores(self, features: NDArray[np.floating[Any]]) -> NDArray[np.float32]:
        """Signed distances (unscaled), positive for present; a row's bytes depend on that row alone.

        Shape: (N, D) -> (N, A).

        >>> svm = LinearSVM(np.ones((2, 3)), np.array([0.0, 1.0]), mean=np.zeros(3), scale=np.ones(3))
        >>> svm.scores(np.ones((5, 3))).shape, svm.scores(np.ones((1, 3))).tolist()
        ((5, 2), [[3.0, 4.0]])
        """
        weights, bias = self._folded
        # Not `@`: a BLAS picks kernels and order of summing by the batch's size, the row's place in it and the
        # number of threads, which shows in the last bits. Plain einsum sums every dot product in one fixed order.
        rows = np.ascontiguousarray(features, dtype=np.float32)
        products: NDArray[np.float32] = np.einsum("nd,ad->na", rows, weights, optimize=False)
        return products + bias
