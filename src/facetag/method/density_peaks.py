"""Density peaks of a response map (paper, section 3.1, Eq. 3).

Several faces leave several regions of high response. A peak is a position of high response that is far from every
position of higher response, so two faces give two peaks where one threshold would give one blob.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

_LATERAL = ((-1, 0), (0, -1), (0, 1), (1, 0))
_DIAGONAL = ((-1, -1), (-1, 1), (1, -1), (1, 1))


@dataclass(frozen=True, eq=False)
class Peaks:
    """The N visited positions of a response map in total order: response descending, then row-major.

    "Larger" means earlier in this order, so equal responses have a definite order too.

    Attributes:
        positions: (N, 2) int, row and column in cells.
        rho: (N,) response, the paper's density intensity.
        sigma: (N,) distance in cells to the nearest larger position; at the global maximum, which has none, the
            largest distance to a visited position.
        d: (N,) sqrt((rho / max rho)² + sigma²), Eq. (3). Scaling rho makes sigma comparable to it: the map's own
            scale is arbitrary.
        parent: (N,) int, index of the nearest larger position, the earliest of those equally near; -1 at the
            global maximum.
        is_peak: (N,) bool, sigma > sqrt(2): nothing larger among the eight neighbours. The global maximum is always
            a peak, however small its cluster.
    """

    positions: NDArray[np.int64]
    rho: NDArray[np.float64]
    sigma: NDArray[np.float64]
    d: NDArray[np.float64]
    parent: NDArray[np.int64]
    is_peak: NDArray[np.bool_]


def density_peaks(response: NDArray[np.floating[Any]], threshold: float) -> Peaks:
    """Find the density peaks of a response map (paper, Eq. 3).

    The map is sparse: only positions over the threshold are visited. Neighbours settle almost all of them; the few
    local maxima are searched against every larger position.

    Args:
        response: (H, W) finite responses, H and W in cells.
        threshold: visited is what is strictly over it; not negative, as the responses come after a ReLU.

    >>> response = np.zeros((3, 7))
    >>> response[1, 1], response[1, 2], response[1, 5] = 4.0, 3.0, 2.0
    >>> peaks = density_peaks(response, threshold=0.5)
    >>> peaks.positions.shape, peaks.positions[peaks.is_peak].tolist()
    ((3, 2), [[1, 1], [1, 5]])
    >>> peaks.sigma.tolist()
    [4.0, 1.0, 3.0]
    """
    assert response.ndim == 2 and np.isfinite(response).all()
    assert threshold >= 0
    rows, columns = np.nonzero(response > threshold)
    density = response[rows, columns].astype(np.float64)
    order = np.argsort(-density, kind="stable")
    positions = np.stack([rows, columns], axis=1)[order]
    rho = density[order]
    parent, squared = _nearest_larger(positions, response.shape)
    is_peak = squared > 2
    is_peak[:1] = True
    sigma = np.sqrt(squared)
    return Peaks(positions, rho, sigma, np.hypot(rho / rho[:1], sigma), parent, is_peak)


def _nearest_larger(
    positions: NDArray[np.int64], shape: tuple[int, ...]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(N,) index of the nearest earlier position and (N,) squared distance to it, as Peaks defines both."""
    parent = np.full(len(positions), -1)
    squared = np.zeros(len(positions), dtype=np.int64)
    squared[:1] = _squared_distances(positions, positions[:1]).max(initial=0)
    # Lateral neighbours come last because they are nearer and overrule diagonal ones.
    for offsets, distance in ((_DIAGONAL, 2), (_LATERAL, 1)):
        earliest = _earliest_neighbour(positions, shape, offsets)
        is_larger = earliest < np.arange(len(positions))
        parent[is_larger] = earliest[is_larger]
        squared[is_larger] = distance
    for index in np.flatnonzero(parent < 0)[1:]:
        distances = _squared_distances(positions[:index], positions[index])
        parent[index] = distances.argmin()
        squared[index] = distances.min()
    return parent, squared


def _earliest_neighbour(
    positions: NDArray[np.int64], shape: tuple[int, ...], offsets: Sequence[tuple[int, int]]
) -> NDArray[np.int64]:
    """(N,) index of the earliest visited position among these neighbours of each; N where there is none."""
    ranks = np.full((shape[0] + 2, shape[1] + 2), len(positions))
    rows, columns = positions.T + 1
    ranks[rows, columns] = np.arange(len(positions))
    earliest: NDArray[np.int64] = np.min([ranks[rows + dy, columns + dx] for dy, dx in offsets], axis=0)
    return earliest


def _squared_distances(positions: NDArray[np.int64], position: NDArray[np.int64]) -> NDArray[np.int64]:
    """(N,) exact squared distances in cells; squared, so that ties and sqrt(2) need no rounding."""
    squared: NDArray[np.int64] = ((positions - position) ** 2).sum(axis=1)
    return squared
